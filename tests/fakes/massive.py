"""A fake of Massive (formerly Polygon.io): stocks' aggregates, reference data and the websocket of minute bars.

What it does as the vendor does:

- aggregates include trading before and after the session, begin on the clock (hours at 09:00, not 09:30), and are limited
  by the number of *base* aggregates (minutes or days) that they are made of, whatever the multiplier;
- `from` and `to` are widened to whole bars; weeks begin on Sunday; days, weeks and months are labelled by midnight in New York;
- `adjusted` is true unless one says otherwise; large volumes are printed with an exponent (7.0790813e+07);
- a page names the next one as an absolute address of the real host, with a cursor and without the key;
- an empty answer has no `results` at all, for a ticker that nobody knows as well;
- details of a ticker that left the exchange are 404, only the list with ``active=false`` still knows it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from aiohttp import WSMsgType, web

from tests.fakes import market
from tests.fakes.server import FakeServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEY = "invented-massive-key-for-tests"
REAL_BASE = "https://api.massive.com"
NEW_YORK = ZoneInfo("America/New_York")
MAX_LIMIT = 50_000
FIRST_DAY = date(2003, 9, 10)
RATE_LIMIT_TEXT = (
    "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue. "
    "https://massive.com/pricing"
)
PLAN_TEXT = "Your plan doesn't include this data timeframe. Please upgrade your plan at https://massive.com/pricing"
_KINDS = {"equity": "CS", "etf": "ETF"}
#: Base aggregates that one aggregate is made of at most, by span.
_BASES = {"minute": 1, "hour": 60, "day": 1, "week": 5, "month": 23}


@dataclass(frozen=True)
class Aggregate:
    """One bar of an answer: `t` in milliseconds, and how many base aggregates it is made of."""

    t: int
    row: market.Row
    bases: int = 1


class MassiveServer(FakeServer):
    """Serves the fake market's New York listings.

    page_size: most base aggregates, or reference rows, of a page; small, so that answers have several pages.
    oldest: first day that the plan includes; `refuses_older` says whether older ones are 403 or silently left out.
    delayed: the answers' status is DELAYED, as on cheaper plans.
    """

    data_paths = ("/v2/aggs/",)

    def __init__(
        self,
        *,
        page_size: int = MAX_LIMIT,
        key: str = KEY,
        now: float = market.NOW,
        oldest: date | None = None,
        refuses_older: bool = True,
        delayed: bool = False,
        extended: bool = True,
        next_base: str = REAL_BASE,
        **server: Any,
    ) -> None:
        super().__init__(**server)
        self.page_size = page_size
        self.key = key
        self.now = now
        self.oldest = oldest
        self.refuses_older = refuses_older
        self.delayed = delayed
        self.extended = extended
        self.next_base = next_base
        #: Splits and dividends beside those of the market, as the vendor writes them, by ticker.
        self.more_splits: dict[str, list[dict[str, Any]]] = {}
        self.more_dividends: dict[str, list[dict[str, Any]]] = {}
        #: Called with each answer of aggregates before it is sent; a test may spoil it.
        self.spoil: Any = None
        self.subscriptions: dict[web.WebSocketResponse, set[str]] = {}
        self.listeners = 0

    @property
    def environment(self) -> dict[str, str]:
        """The variable with which a client is let in."""
        return {"MASSIVE_API_KEY": self.key}

    def host_names(self) -> list[str]:
        return ["api.massive.com", "socket.massive.com", "delayed.massive.com"]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v2/aggs/ticker/{ticker}/range/{multiplier}/{span}/{start}/{end}", self._aggregates),
            web.get("/v3/reference/splits", self._splits),
            web.get("/v3/reference/dividends", self._dividends),
            web.get("/v3/reference/tickers", self._tickers),
            web.get("/v3/reference/tickers/{ticker}", self._details),
            web.get("/stocks", self._stream),
        ]

    def error_response(self, status: int, headers: dict[str, str]) -> web.Response:
        bodies = {
            401: {"status": "ERROR", "request_id": "fake", "error": "Unknown API Key"},
            403: {"status": "NOT_AUTHORIZED", "request_id": "fake", "message": PLAN_TEXT},
            404: {"status": "NOT_FOUND", "request_id": "fake", "message": "Ticker not found."},
            429: {"status": "ERROR", "request_id": "fake", "error": RATE_LIMIT_TEXT},
        }
        body = bodies.get(status, {"status": "ERROR", "request_id": "fake", "error": "Internal error"})
        return web.Response(
            status=status, text=json.dumps(body), content_type="application/json", headers=headers or None
        )

    # -- aggregates --------------------------------------------------------------------------------------------------

    async def _aggregates(self, request: web.Request) -> web.StreamResponse:
        if not self._knows(request):
            return self.error_response(401, {})
        asked = self._cursor(request)
        where = request.match_info
        ticker, multiplier, span = where["ticker"], int(where["multiplier"]), where["span"]
        start, end = _instant(where["start"], first=True), _instant(where["end"], first=False)
        if start > end:
            return web.json_response(
                {"status": "ERROR", "error": "The parameter 'to' cannot be a time that occurs before 'from'"},
                status=400,
            )
        today = datetime.fromtimestamp(self.now, NEW_YORK).date()
        older = self.oldest is not None and start.astimezone(NEW_YORK).date() < self.oldest
        if (older and self.refuses_older) or start.astimezone(NEW_YORK).date() > today:
            return self.error_response(403, {})
        if older and self.oldest is not None:
            start = market.local_midnight(self.oldest, "America/New_York")
        adjusted = asked.get("adjusted", "true") != "false"
        limit = min(int(asked.get("limit", "5000")), MAX_LIMIT, self.page_size)
        found = self.aggregates(ticker, multiplier, span, start, end)
        if asked.get("sort", "asc") == "desc":
            found = found[::-1]
        after = int(asked["after"]) if "after" in asked else None
        page: list[Aggregate] = []
        used, more = 0, False
        for item in found:
            if after is not None and item.t <= after:
                continue
            if page and used + item.bases > limit:
                more = True
                break
            page.append(item)
            used += item.bases
        factor = (lambda day: market.raw_factor(market.EQUITIES[ticker], day)) if adjusted else (lambda _: Decimal(1))
        answer: dict[str, Any] = {
            "ticker": ticker,
            "queryCount": used,
            "resultsCount": len(page),
            "adjusted": adjusted,
            "results": [_printed(item, factor) for item in page],
            "status": "DELAYED" if self.delayed else "OK",
            "request_id": "fake",
            "count": len(page),
        }
        if not page:
            del answer["results"], answer["count"]
        if more:
            cursor = {"after": str(page[-1].t), "limit": str(limit), "adjusted": "true" if adjusted else "false"}
            answer["next_url"] = f"{self.next_base}{request.path}?cursor={_encoded(cursor)}"
        if self.spoil is not None:
            self.spoil(answer)
        return web.Response(text=_text(answer), content_type="application/json")

    def aggregates(self, ticker: str, multiplier: int, span: str, start: datetime, end: datetime) -> list[Aggregate]:
        """Return the bars that touch `start` to `end`, widened to whole bars, up to now."""
        equity = market.EQUITIES.get(ticker)
        if equity is None or equity.calendar != "XNYS" or span not in _BASES:
            return []
        start = max(start, market.local_midnight(FIRST_DAY, "America/New_York"))
        first, last = start.astimezone(NEW_YORK).date(), end.astimezone(NEW_YORK).date()
        today = datetime.fromtimestamp(self.now, NEW_YORK).date()
        if span in ("minute", "hour"):
            minutes = multiplier * _BASES[span]
            low = int(start.timestamp()) // (60 * minutes) * 60 * minutes
            rows = self._intraday(equity, minutes, first, min(last, today))
            return [
                Aggregate(int(row.start.timestamp() * 1000), row, minutes)
                for row in rows
                if low <= row.start.timestamp() <= min(end.timestamp(), self.now)
            ]
        if span == "week":
            first = first - timedelta(days=(first.weekday() + 1) % 7)
            last = last + timedelta(days=(5 - last.weekday()) % 7)
        if span == "month":
            first = first.replace(day=1)
            last = (last.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
        days = market.daily(ticker, first, min(last, today))
        return _merged(days, span)

    def _intraday(self, equity: market.Equity, minutes: int, first: date, last: date) -> list[market.Row]:
        """Bars of the session, and a thin market two hours before and after it; hours are cut on the clock."""
        regular = () if minutes == 60 else market.intraday(equity.symbol, minutes, first, last)
        rows = list(regular)
        for day, (opened, closed) in market.sessions(equity.calendar).items():
            traded = first <= day <= last and day >= equity.listed and not (equity.delisted and day >= equity.delisted)
            if not traded:
                continue
            step = timedelta(minutes=max(minutes, 30))
            begin = opened - timedelta(minutes=90)
            for number in range(int((closed + timedelta(hours=2) - begin) / step)):
                at = begin + number * step
                if minutes == 60 or (self.extended and not opened <= at < closed):
                    rows.append(market._bar(equity, day, 50_000 + number, at))
        return sorted(rows, key=lambda row: row.start)

    # -- reference ---------------------------------------------------------------------------------------------------

    async def _splits(self, request: web.Request) -> web.StreamResponse:
        def rows(ticker: str) -> list[dict[str, Any]]:
            return [
                {
                    "id": f"{ticker}-{item.ex_date}",
                    "execution_date": item.ex_date.isoformat(),
                    "split_from": item.old,
                    "split_to": item.new,
                    "ticker": ticker,
                }
                for item in market.EQUITIES[ticker].splits
            ] + self.more_splits.get(ticker, [])

        return self._events(request, "execution_date", rows)

    async def _dividends(self, request: web.Request) -> web.StreamResponse:
        def rows(ticker: str) -> list[dict[str, Any]]:
            return [
                {
                    "id": f"{ticker}-{item.ex_date}",
                    "cash_amount": float(item.amount),
                    "currency": "USD",
                    "declaration_date": item.declared.isoformat(),
                    "dividend_type": "CD",
                    "ex_dividend_date": item.ex_date.isoformat(),
                    "frequency": 4,
                    "pay_date": item.pay.isoformat(),
                    "record_date": item.record.isoformat(),
                    "ticker": ticker,
                }
                for item in market.EQUITIES[ticker].dividends
            ] + self.more_dividends.get(ticker, [])

        return self._events(request, "ex_dividend_date", rows)

    def _events(self, request: web.Request, key: str, rows: Any) -> web.StreamResponse:
        if not self._knows(request):
            return self.error_response(401, {})
        asked = self._cursor(request)
        ticker = asked.get("ticker", "")
        found = rows(ticker) if ticker in market.EQUITIES else []
        found = [row for row in found if _within(row[key], asked, key)]
        found.sort(key=lambda row: row[key], reverse=asked.get("order", "desc") == "desc")
        return self._paged(request, asked, found, int(asked.get("limit", "10")))

    async def _tickers(self, request: web.Request) -> web.StreamResponse:
        if not self._knows(request):
            return self.error_response(401, {})
        asked = self._cursor(request)
        active = asked.get("active", "true").lower() != "false"
        found = [
            self._listing(equity)
            for equity in sorted(market.EQUITIES.values(), key=lambda item: item.symbol)
            if equity.calendar == "XNYS"
            and (equity.delisted is None) == active
            and asked.get("ticker", equity.symbol) == equity.symbol
        ]
        return self._paged(request, asked, found, int(asked.get("limit", "100")))

    async def _details(self, request: web.Request) -> web.StreamResponse:
        if not self._knows(request):
            return self.error_response(401, {})
        equity = market.EQUITIES.get(request.match_info["ticker"])
        if equity is None or equity.calendar != "XNYS" or equity.delisted:
            return self.error_response(404, {})
        details = {**self._listing(equity), "list_date": equity.listed.isoformat(), "market_cap": 2771126040150.0}
        return web.json_response({"request_id": "fake", "results": details, "status": "OK"})

    def _listing(self, equity: market.Equity) -> dict[str, Any]:
        found = {
            "ticker": equity.symbol,
            "name": equity.name,
            "market": "stocks",
            "locale": "us",
            "primary_exchange": equity.mic,
            "type": _KINDS[equity.kind],
            "active": equity.delisted is None,
            "currency_name": equity.currency.lower(),
        }
        if equity.delisted:
            found["delisted_utc"] = f"{equity.delisted.isoformat()}T04:00:00Z"
        return found

    def _paged(
        self, request: web.Request, asked: Mapping[str, str], found: list[dict[str, Any]], limit: int
    ) -> web.StreamResponse:
        limit, at = min(limit, 1_000, self.page_size), int(asked.get("at", "0"))
        answer: dict[str, Any] = {"results": found[at : at + limit], "status": "OK", "request_id": "fake"}
        if at + limit < len(found):
            cursor = {**asked, "at": str(at + limit), "limit": str(limit)}
            answer["next_url"] = f"{self.next_base}{request.path}?cursor={_encoded(cursor)}"
        return web.json_response(answer)

    def _knows(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.key}"

    def _cursor(self, request: web.Request) -> dict[str, str]:
        """The question, or the one that a cursor goes on with."""
        if "cursor" in request.query:
            return dict(json.loads(base64.urlsafe_b64decode(request.query["cursor"])))
        return dict(request.query)

    # -- websocket ---------------------------------------------------------------------------------------------------

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        opened = await self.websocket(request)
        self.subscriptions[opened] = set()
        await opened.send_str(_status("connected", "Connected Successfully"))
        try:
            async for message in opened:
                if message.type is not WSMsgType.TEXT:
                    break
                said = json.loads(message.data)
                if said["action"] == "auth" and said["params"] != self.key:
                    await opened.send_str(_status("auth_failed", "authentication failed"))
                    break
                if said["action"] == "auth":
                    await opened.send_str(_status("auth_success", "authenticated"))
                if said["action"] == "subscribe":
                    for topic in said["params"].split(","):
                        self.subscriptions[opened].add(topic)
                        await opened.send_str(_status("success", f"subscribed to: {topic}"))
                    self.listeners += 1
        finally:
            self.subscriptions.pop(opened, None)
        return opened

    def push(self, ticker: str, row: market.Row, seconds: int = 60) -> int:
        """Send one bar to whoever subscribed, as the vendor does at the end of its minute; returns how many got it."""
        t = int(row.start.timestamp() * 1000)
        values = {key: _number(value) for key, value in zip("ohlcv", _values(row), strict=True)}
        text = ", ".join(f'"{key}": {value}' for key, value in values.items())
        message = f'[{{"ev": "AM", "sym": "{ticker}", {text}, "s": {t}, "e": {t + seconds * 1000}, "otc": false}}]'
        return self.push_text(message, f"AM.{ticker}")

    def push_text(self, text: str, topic: str | None = None) -> int:
        """Send any text to the subscribers of `topic`, or to all."""

        async def send() -> int:
            wanted = [
                opened
                for opened, topics in list(self.subscriptions.items())
                if topic is None or topic in topics or "AM.*" in topics
            ]
            for opened in wanted:
                await opened.send_str(text)
            return len(wanted)

        return int(self.run(send()))  # type: ignore[call-overload]


def _merged(days: Iterable[market.Row], span: str) -> list[Aggregate]:
    """Days, or weeks from Sunday, or months, labelled by midnight in New York."""
    groups: dict[date, list[market.Row]] = {}
    for row in days:
        day = row.start.date()
        if span == "week":
            day -= timedelta(days=(day.weekday() + 1) % 7)
        if span == "month":
            day = day.replace(day=1)
        groups.setdefault(day, []).append(row)
    return [
        Aggregate(
            int(market.local_midnight(day, "America/New_York").timestamp() * 1000),
            market.Row(
                datetime(day.year, day.month, day.day, tzinfo=UTC),
                rows[0].open,
                max(row.high for row in rows),
                min(row.low for row in rows),
                rows[-1].close,
                sum((row.volume for row in rows), Decimal(0)),
            ),
            len(rows),
        )
        for day, rows in groups.items()
    ]


def _values(row: market.Row) -> tuple[Decimal, ...]:
    return row.open, row.high, row.low, row.close, row.volume


def _printed(item: Aggregate, factor: Any) -> dict[str, Any]:
    by = factor(datetime.fromtimestamp(item.t / 1000, NEW_YORK).date())
    prices = [value / by for value in _values(item.row)[:4]]
    opened, high, low, close = (Printed(_number(value)) for value in prices)
    return {
        "v": Printed(_number(item.row.volume * by)),
        "vw": close,
        "o": opened,
        "c": close,
        "h": high,
        "l": low,
        "t": item.t,
        "n": 1,
    }


class Printed(str):
    """Text of a number, to be printed as it is."""

    __slots__ = ()


def _number(value: Decimal) -> str:
    """As the vendor prints a double: 150.0 is 150, and 70790813 is 7.0790813e+07."""
    number = float(value)
    if number >= 1e7 and number == int(number):
        digits = str(int(number))
        tail = digits[1:].rstrip("0")
        return f"{digits[0]}{'.' + tail if tail else ''}e+{len(digits) - 1:02d}"
    return str(int(number)) if number == int(number) else repr(number)


def _text(value: Any) -> str:
    """JSON with numbers printed the vendor's way."""
    if isinstance(value, Printed):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return json.dumps(value)


def _instant(text: str, *, first: bool) -> datetime:
    """A date is a whole day in New York; a number is milliseconds."""
    if text.isdigit():
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    day = date.fromisoformat(text)
    if first:
        return market.local_midnight(day, "America/New_York")
    return market.local_midnight(day + timedelta(days=1), "America/New_York") - timedelta(milliseconds=1)


def _within(day: str, asked: Mapping[str, str], key: str) -> bool:
    return asked.get(f"{key}.gte", "") <= day <= asked.get(f"{key}.lte", "9999")


def _encoded(cursor: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()


def _status(status: str, message: str) -> str:
    return json.dumps([{"ev": "status", "status": status, "message": message}])
