"""Which column of a file or frame is which field of a bar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rustybt.errors import BadResponseError, RequestError
from rustybt.market.bars import PRICE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Fields that a column can carry; `time` is a time of day printed beside a date, dividend and split are csvdir's.
FIELDS = ("timestamp", "time", "symbol", *PRICE_COLUMNS, "volume", "dividend", "split")

# Names that files in the wild use, normalised by `_plain`; an earlier name wins over a later one.
_TIMESTAMP_NAMES = (
    "timestamp", "datetime", "date time", "date", "gmt time", "local time", "open time", "window start",
    "time period start", "time", "ts", "t", "unix timestamp", "unix", "",
)  # fmt: skip
_NAMES: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "sym", "instrument"),
    "open": ("open", "o", "open price", "1. open"),
    "high": ("high", "h", "high price", "2. high"),
    "low": ("low", "l", "low price", "3. low"),
    "close": ("close", "c", "close price", "closing price", "close/last", "last", "4. close"),
    "volume": ("volume", "v", "vol", "vol.", "5. volume"),
    "dividend": ("dividend", "dividends", "ex-dividend", "ex dividend"),
    "split": ("split", "splits", "stock splits", "split ratio"),
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Position of each field among the columns, and the columns nobody asked for.

    Parameters
    ----------
    positions
        Field to column number, from 0. `timestamp` and the four prices are always present.
    unused
        Names of the other columns.
    """

    positions: Mapping[str, int]
    unused: tuple[str, ...]

    def __contains__(self, field: str) -> bool:
        return field in self.positions


def check_column_map(column_map: Mapping[str, str] | None) -> dict[str, str]:
    """Return field to column name; either side of a pair may be the field, the left one if both are.

    ``{"close": "Last"}`` and ``{"Last": "close"}`` say the same.

    Raises
    ------
    RequestError
        Neither side is a field, or a field is named twice.
    """
    checked: dict[str, str] = {}
    for left, right in (column_map or {}).items():
        field, column = (left, right) if left in FIELDS else (_field_alias(right), left)
        if field is None:
            raise RequestError(
                f"column map {left}={right}: neither side is a field", hint=f"fields are {', '.join(FIELDS)}"
            )
        if field in checked:
            raise RequestError(f"column map names {field} twice: {checked[field]!r} and {column!r}")
        checked[field] = column
    return checked


def _field_alias(name: str) -> str | None:
    if name in FIELDS:
        return name
    return "timestamp" if name in ("date", "datetime") else None


def find_columns(header: Sequence[str], column_map: Mapping[str, str], where: str) -> Columns:
    """Return where the fields are, by the caller's map first, then by the names that files use.

    Parameters
    ----------
    column_map
        Field to column name, as from `check_column_map`.
    where
        The file or frame, for messages.

    Raises
    ------
    BadResponseError
        A needed column is missing, a mapped one is absent, or a used one occurs twice.
    """
    plain = [_plain(name) for name in header]
    positions: dict[str, int] = {}
    for field, column in column_map.items():
        positions[field] = _mapped(header, plain, field, column, where)
    # A column that the caller's map uses may still be what its own name says: {"close": "high"} leaves high as it is.
    taken: set[int] = set()
    if "timestamp" not in positions:
        found = next((i for name in _TIMESTAMP_NAMES for i in _at(plain, name, taken)), None)
        if found is not None:
            positions["timestamp"] = _single(header, plain, found, where)
            taken.add(found)
            if plain[found] == "date" and "time" not in positions and (beside := list(_at(plain, "time", taken))):
                positions["time"] = beside[0]
                taken.add(beside[0])
    for field, names in _NAMES.items():
        found = None if field in positions else next((i for name in names for i in _at(plain, name, taken)), None)
        if found is not None:
            positions[field] = _single(header, plain, found, where)
            taken.add(found)
    missing = [field for field in ("timestamp", *PRICE_COLUMNS) if field not in positions]
    if missing:
        raise BadResponseError(
            f"{where} has no column for {', '.join(missing)}; its columns are {', '.join(map(repr, header[:20])) or 'none'}",
            hint=f"name it: --column-map {missing[0]}=COLUMN, in Python column_map={{{missing[0]!r}: 'COLUMN'}}",
            missing=missing,
        )
    used = set(positions.values())
    return Columns(positions, tuple(name for i, name in enumerate(header) if i not in used and name.strip()))


def field_of(name: str) -> str | None:
    """Return the field that a column of this name is read as; None where the name says nothing."""
    plain = _plain(name)
    if plain in _TIMESTAMP_NAMES:
        return "timestamp"
    return next((field for field, names in _NAMES.items() if plain in names), None)


def _mapped(header: Sequence[str], plain: Sequence[str], field: str, column: str, where: str) -> int:
    """Return the column that the caller's map names: its exact spelling first, then whatever case it has."""
    found = [i for i, name in enumerate(header) if name.strip() == column.strip()] or [
        i for i, name in enumerate(plain) if name == _plain(column)
    ]
    if not found:
        raise BadResponseError(
            f"{where} has no column {column!r}, which is to be the {field}; it has {', '.join(map(repr, header[:20]))}",
            hint=f"correct --column-map {field}=COLUMN",
        )
    if len(found) > 1:
        raise _twice(header[found[0]], found, where)
    return found[0]


def _at(plain: Sequence[str], name: str, taken: set[int]) -> list[int]:
    return [i for i, other in enumerate(plain) if other == name and i not in taken]


def _single(header: Sequence[str], plain: Sequence[str], position: int, where: str) -> int:
    same = [i for i, name in enumerate(plain) if name == plain[position]]
    if len(same) > 1:
        raise _twice(header[position], same, where)
    return position


def _twice(name: str, positions: Sequence[int], where: str) -> BadResponseError:
    shown = " and ".join(str(i + 1) for i in positions)
    return BadResponseError(
        f"{where} has the column {name!r} twice, at positions {shown}",
        hint="remove one of them, or give them different names",
        column=name,
    )


def _plain(name: str) -> str:
    """Return the name in lower case, without the marks that exports put round it."""
    return re.sub(r"[\s_]+", " ", name.strip().strip("<>\"'").lower()).strip()
