"""Whose bars are checked: calendar and asset type of each symbol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from rustybt.market.assets import NON_NEGATIVE_TYPES
from rustybt.market.bars import series_starts
from rustybt.market.calendars import EARLIEST_DATE, LATEST_DATE, get_calendar
from rustybt.market.request import to_date, to_microseconds
from rustybt.market.trading_calendar import TradingCalendar

if TYPE_CHECKING:
    import polars as pl

CalendarOf: TypeAlias = (
    str | TradingCalendar | Mapping[str, str | TradingCalendar] | Callable[[str], str | TradingCalendar]
)
TypeOf: TypeAlias = str | Mapping[str, str] | Callable[[str], str]

_DEFAULT_CALENDAR = "XNYS"
_Rows: TypeAlias = slice | np.ndarray[tuple[int], np.dtype[np.bool_]]


class Subjects:
    """Answers for each symbol of a frame; a calendar is built once for all dates of the frame.

    Parameters
    ----------
    calendar_of, asset_type_of
        One value for all symbols, or a mapping or function by symbol; symbols that a mapping lacks get ``XNYS`` and
        ``unknown``.
    """

    def __init__(self, frame: pl.DataFrame, calendar_of: CalendarOf, asset_type_of: TypeOf) -> None:
        self._calendar_of, self._type_of = calendar_of, asset_type_of
        self._calendars: dict[str, TradingCalendar] = {}
        stamps = frame["timestamp"].to_physical()
        usable = stamps.filter((stamps >= to_microseconds(EARLIEST_DATE)) & (stamps < to_microseconds(LATEST_DATE)))
        low, high = usable.min(), usable.max()
        self._start = to_date(low) if isinstance(low, int) else EARLIEST_DATE
        self._end = to_date(high) if isinstance(high, int) else EARLIEST_DATE

    def calendar(self, symbol: str | None) -> TradingCalendar:
        """Return the calendar of `symbol`."""
        found = self._calendar_of
        if isinstance(found, Mapping):
            found = found.get(symbol or "", _DEFAULT_CALENDAR)
        elif callable(found):
            found = found(symbol or "")
        if isinstance(found, TradingCalendar):
            return found
        if found not in self._calendars:
            self._calendars[found] = get_calendar(found, self._start, self._end)
        return self._calendars[found]

    def calendar_names(self, symbols: list[str]) -> list[str]:
        """Return the names of the calendars of `symbols`, sorted."""
        return sorted({self.calendar(symbol).name for symbol in symbols})

    def is_non_negative(self, symbol: str) -> bool:
        """Return whether prices of `symbol` are above zero by the nature of the asset."""
        found = self._type_of
        if isinstance(found, Mapping):
            found = found.get(symbol, "unknown")
        return (found if isinstance(found, str) else found(symbol)) in NON_NEGATIVE_TYPES

    def by_calendar(self, symbol: pl.Series) -> Iterator[tuple[TradingCalendar, _Rows]]:
        """Return each calendar with the rows of its symbols; `symbol` holds each symbol's rows together."""
        starts = series_starts(symbol)
        calendars = [self.calendar(name) for name in symbol.gather(starts).to_list()]
        distinct = {id(calendar): calendar for calendar in calendars}
        if len(distinct) == 1:
            yield calendars[0], slice(None)
            return
        lengths = np.diff(np.r_[starts, symbol.len()])
        keys = np.repeat(np.array([id(calendar) for calendar in calendars]), lengths)
        for key, calendar in distinct.items():
            yield calendar, keys == key
