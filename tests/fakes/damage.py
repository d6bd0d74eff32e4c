"""Ways in which an answer arrives damaged: bytes, members of its JSON, rows. Hypothesis draws one, a fake sends it.

`damages(shape)` is the strategy; each `Damage` is a function from a good body to a bad one, with a name to be read in a
failing example. A `Shape` says where a vendor keeps its rows.
"""

from __future__ import annotations

import copy
import gzip
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from aiohttp import web
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

#: Stands for JSON tokens that Python cannot print: numbers out of any range, and what is no number.
RAW = {f"@@{token}@@": token for token in ("1e400", "-1e400", "NaN", "Infinity", "-Infinity", "9" * 60, "9" * 5_000)}
#: What no vendor means by a number, a text, a list or an object; none of it is a number that could be meant.
JUNK: tuple[Any, ...] = (
    None, True, False, "", "abc", [], {}, [[]], [None], {"a": {"b": []}}, "\u0661\u0662\u0663", "NaN", "inf", "\x00", "0x10",
    *RAW,
)  # fmt: skip
HTML = b"<!DOCTYPE html><html><body><h1>Please sign in</h1></body></html>"


@dataclass(frozen=True)
class Damaged:
    """What is sent instead: `raw` bytes go out as they are, head and all, and the connection is closed."""

    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


@dataclass(frozen=True)
class Shape:
    """Where the rows of a vendor's answer are.

    read, write: the rows of a parsed answer, and the answer with others; `step` changes the time of a row by seconds.
    """

    read: Callable[[Any], list[Any]]
    write: Callable[[Any, list[Any]], Any]
    shift: Callable[[Any, int], Any]
    is_csv: bool = False

    def parse(self, body: bytes) -> Any:
        return body.decode() if self.is_csv else json.loads(body, parse_float=_Text, parse_int=_Whole)

    def print(self, answer: Any) -> bytes:
        return answer.encode() if self.is_csv else printed(answer).encode()


class _Text(str):
    """A number as it was printed."""

    __slots__ = ()


class _Whole(int):
    """A whole number that prints as it was."""


def printed(value: Any) -> str:
    """JSON with raw tokens, and with numbers as they were printed."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{printed(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(printed, value)) + "]"
    if isinstance(value, _Text):
        return str(value)
    if isinstance(value, str) and value in RAW:
        return RAW[value]
    return json.dumps(value)


@dataclass(frozen=True)
class Damage:
    """One kind of damage with its numbers drawn.

    kind: for the test to tell what may come of it. `places` are fractions that become positions once the body is known.
    """

    kind: str
    place: float = 0.0
    other: float = 0.0
    junk: Any = None
    seconds: int = 0

    def __call__(self, body: bytes, shape: Shape) -> Damaged | None:
        """Return what to send; None where there is nothing to be damaged this way."""
        try:
            found: Damaged | None = getattr(self, f"_{self.kind}")(body, shape)
        except (LookupError, TypeError, ValueError, AttributeError):
            # Not an answer of this shape: a list of symbols, a cookie.
            return None
        return found

    # -- bytes -------------------------------------------------------------------------------------------------------

    def _cut(self, body: bytes, shape: Shape) -> Damaged:
        return Damaged(body[: int(len(body) * self.place)])

    def _html(self, body: bytes, shape: Shape) -> Damaged:
        return Damaged(HTML, {"Content-Type": "text/html"})

    def _gzip(self, body: bytes, shape: Shape) -> Damaged:
        packed = bytearray(gzip.compress(body))
        at = int(len(packed) * self.place)
        packed[at : at + 4] = b"\xff\x00\xff\x00"
        return Damaged(bytes(packed), {"Content-Encoding": "gzip"})

    def _mark(self, body: bytes, shape: Shape) -> Damaged:
        return Damaged(b"\xef\xbb\xbf" + body)

    def _length(self, body: bytes, shape: Shape) -> Damaged:
        """The head promises more, or less, than comes."""
        length = int(len(body) * (0.1 + 1.8 * self.place))
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        return Damaged(raw=head.encode() + body)

    def _byte(self, body: bytes, shape: Shape) -> Damaged | None:
        if not body:
            return None
        at = int((len(body) - 1) * self.place)
        # Half of a letter of two bytes, or nothing: never a digit, for that cannot be noticed.
        return Damaged(body[:at] + (b"\xc3" if self.other < 0.5 else b"\x00") + body[at + 1 :])

    def _digits(self, body: bytes, shape: Shape) -> Damaged:
        """Digits of another script, from a place on."""
        text = body.decode()
        at = int(len(text) * self.place)
        # The head of a table stays: it holds no number.
        return Damaged((text[:at] + text[at:].translate({48 + n: 0x660 + n for n in range(10)})).encode())

    # -- the tree ----------------------------------------------------------------------------------------------------

    def _member(self, body: bytes, shape: Shape) -> Damaged | None:
        """One node is another thing."""
        return self._change(body, shape, lambda parent, key: parent.__setitem__(key, self.junk))

    def _missing(self, body: bytes, shape: Shape) -> Damaged | None:
        return self._change(body, shape, lambda parent, key: parent.__delitem__(key), only=dict)

    def _extra(self, body: bytes, shape: Shape) -> Damaged | None:
        return self._change(body, shape, lambda parent, key: parent.__setitem__("more", self.junk), only=dict)

    def _emptied(self, body: bytes, shape: Shape) -> Damaged | None:
        return self._change(body, shape, lambda parent, key: parent.clear())

    def _change(
        self, body: bytes, shape: Shape, change: Callable[[Any, Any], object], only: Any = object
    ) -> Damaged | None:
        if shape.is_csv:
            return None
        answer = shape.parse(body)
        nodes = [(parent, key) for parent, key in _nodes(answer) if isinstance(parent, only)]
        if not nodes:
            return None
        # Half of the draws near the root, where there is less of everything.
        shallow = nodes[:40] if self.other < 0.5 else nodes
        change(*shallow[int((len(shallow) - 1) * self.place)])
        return Damaged(shape.print(answer))

    def _twice(self, body: bytes, shape: Shape) -> Damaged | None:
        """A member stands there a second time, with nothing in it; JSON readers take the last."""
        if shape.is_csv or not body.startswith(b"{"):
            return None
        answer = shape.parse(body)
        keys = list(answer)
        key = keys[int((len(keys) - 1) * self.place)]
        return Damaged(body.rstrip()[:-1] + f",{json.dumps(key)}:{printed(self.junk)}}}".encode())

    # -- rows --------------------------------------------------------------------------------------------------------

    def _dropped(self, body: bytes, shape: Shape) -> Damaged | None:
        def drop(rows: list[Any]) -> list[Any]:
            at, count = int((len(rows) - 1) * self.place), 1 + int(self.other * 3)
            return rows[:at] + rows[at + count :]

        return self._with_rows(body, shape, drop)

    def _doubled(self, body: bytes, shape: Shape) -> Damaged | None:
        def double(rows: list[Any]) -> list[Any]:
            at, to = int((len(rows) - 1) * self.place), int(len(rows) * self.other)
            return [*rows[:to], copy.deepcopy(rows[at]), *rows[to:]]

        return self._with_rows(body, shape, double)

    def _swapped(self, body: bytes, shape: Shape) -> Damaged | None:
        def swap(rows: list[Any]) -> list[Any]:
            at, to = int((len(rows) - 1) * self.place), int((len(rows) - 1) * self.other)
            rows[at], rows[to] = rows[to], rows[at]
            return rows

        return self._with_rows(body, shape, swap)

    def _shifted(self, body: bytes, shape: Shape) -> Damaged | None:
        def move(rows: list[Any]) -> list[Any]:
            at = int((len(rows) - 1) * self.place)
            rows[at] = shape.shift(rows[at], self.seconds)
            return rows

        return self._with_rows(body, shape, move)

    def _with_rows(self, body: bytes, shape: Shape, change: Callable[[list[Any]], list[Any]]) -> Damaged | None:
        answer = shape.parse(body)
        rows = shape.read(answer)
        if not rows:
            return None
        return Damaged(shape.print(shape.write(answer, change(list(rows)))))


def damages(*kinds: str) -> st.SearchStrategy[Damage]:
    """Draw one damage of `kinds`."""
    places = st.floats(0, 1, exclude_max=True)
    return st.builds(
        Damage,
        st.sampled_from(kinds),
        places,
        places,
        st.sampled_from(JUNK),
        st.sampled_from((1, -1, 3_600, -3_600, 86_400, -86_400, 10**9, -(10**9), 10**13, -(10**13))),
    )


BYTES = ("cut", "html", "gzip", "mark", "length", "byte", "digits")
TREE = ("member", "missing", "extra", "emptied", "twice")
ROWS = ("dropped", "doubled", "swapped", "shifted")


def mutation(damage: Damage, shape: Shape, *, where: Callable[[web.Request], bool] | None = None) -> Any:
    """Return the hook that damages the answers of a `FakeServer`; `where` chooses them."""

    def mutate(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        if not isinstance(response, web.Response) or response.status != 200 or (where and not where(request)):
            return response
        damaged = damage(bytes(response.body or b""), shape)  # type: ignore[arg-type]
        if damaged is None:
            return response
        if damaged.raw is not None:
            transport = request.transport
            assert transport is not None
            transport.write(damaged.raw)
            transport.close()
            return web.Response()
        headers = {"Content-Type": response.content_type, **damaged.headers}
        return web.Response(status=200, body=damaged.body, headers=headers)

    return mutate


def _nodes(value: Any) -> list[tuple[Any, Any]]:
    """Return (parent, key) of every node below the root, the shallow ones first."""
    found: list[tuple[Any, Any]] = []
    level = [value]
    while level:
        below = []
        for parent in level:
            keys = list(parent) if isinstance(parent, dict) else range(len(parent))
            for key in keys:
                found.append((parent, key))
                if isinstance(parent[key], dict | list):
                    below.append(parent[key])
        level = below
    return found


# -- where each vendor keeps its rows --------------------------------------------------------------------------------


def _move(value: int, change: int) -> int:
    return int(value) + change


def _yahoo_read(answer: Any) -> list[Any]:
    result = answer["chart"]["result"][0]
    quote = result["indicators"]["quote"][0]
    names = ("open", "high", "low", "close", "volume")
    return [list(row) for row in zip(result["timestamp"], *(quote[name] for name in names), strict=True)]


def _yahoo_write(answer: Any, rows: list[Any]) -> Any:
    result = answer["chart"]["result"][0]
    result["timestamp"] = [row[0] for row in rows]
    for at, name in enumerate(("open", "high", "low", "close", "volume"), 1):
        result["indicators"]["quote"][0][name] = [row[at] for row in rows]
    return answer


def _kraken_key(answer: Any) -> str:
    return next(key for key in answer["result"] if key != "last")


def _in_place(get: Callable[[Any], list[Any]]) -> Callable[[Any, list[Any]], Any]:
    def write(answer: Any, rows: list[Any]) -> Any:
        get(answer)[:] = rows
        return answer

    return write


def _first(row: list[Any], seconds: int, unit: int) -> list[Any]:
    return [_move(row[0], seconds * unit), *row[1:]]


def _alpaca_rows(answer: Any) -> list[Any]:
    return answer["bars"][next(iter(answer["bars"]))]


def _alpaca_shift(row: Any, seconds: int) -> Any:
    try:
        moved = datetime.fromisoformat(row["t"]) + timedelta(seconds=seconds)
    except OverflowError:
        return {**row, "t": "9999-12-31T23:59:59Z"}
    return {**row, "t": f"{moved:%Y-%m-%dT%H:%M:%SZ}"}


def _csv_write(answer: str, rows: list[str]) -> str:
    return "\r\n".join([answer.split("\r\n", maxsplit=1)[0], *rows]) + "\r\n"


def _csv_shift(row: str, seconds: int) -> str:
    text, _, rest = row.partition(",")
    try:
        moved = datetime.fromisoformat(text) + timedelta(seconds=seconds)
    except OverflowError:
        return f"9999-12-31,{rest}"
    return f"{str(moved)[: max(len(text), 19 if moved.second else 10)]},{rest}"


YAHOO = Shape(_yahoo_read, _yahoo_write, lambda row, seconds: _first(row, seconds, 1))
BINANCE = Shape(lambda answer: answer, _in_place(lambda a: a), lambda row, seconds: _first(row, seconds, 1_000))
KRAKEN = Shape(
    lambda answer: answer["result"][_kraken_key(answer)],
    _in_place(lambda answer: answer["result"][_kraken_key(answer)]),
    lambda row, seconds: _first(row, seconds, 1),
)
MASSIVE = Shape(
    lambda answer: answer["results"],
    _in_place(lambda answer: answer["results"]),
    lambda row, seconds: {**row, "t": _move(row["t"], seconds * 1_000)},
)
ALPACA = Shape(_alpaca_rows, _in_place(_alpaca_rows), _alpaca_shift)
ALPHAVANTAGE = Shape(lambda answer: answer.split("\r\n")[1:-1], _csv_write, _csv_shift, is_csv=True)
