"""A provider's bars, and longer ones made of them when they are asked for."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.data.portal.providers.memory_bars import MemoryBlock, join_blocks
from rustybt.data.portal.rows.placing import join_bars
from rustybt.market.bars import VALUE_COLUMNS
from rustybt.market.calendars import canonical_name, get_calendar
from rustybt.market.frequency import DAILY, Frequency
from rustybt.market.resample import ON_THE_CLOCK, OUTSIDE, base_of, coarser_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rustybt.data.portal.bar_provider import BarBlock, BarProvider
    from rustybt.data.portal.rows.session_axis import SessionAxis
    from rustybt.market.trading_calendar import Anchor, TradingCalendar

#: Intraday bars are read by so many days and rows at once, so that years of minutes need no more memory than a month.
_PIECE_DAYS = 31
_PIECE_ROWS = 1_500_000


class ResampledBars:
    """A `BarProvider` that also serves longer bars than those stored; everything else is the provider's.

    Parameters
    ----------
    calendar_name
        Calendar that says which bars make a session, and where intraday bars begin.
    """

    def __init__(self, bars: BarProvider, calendar_name: str) -> None:
        self._bars = bars
        self._calendar_name = calendar_name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bars, name)

    def read_arrays(
        self,
        symbols: Sequence[str] | None = None,
        start: date | None = None,
        end: date | None = None,
        fields: Sequence[str] = VALUE_COLUMNS,
        frequency: str | None = None,
    ) -> BarBlock:
        """Return bars as the provider does; those of a frequency that it has not are made of the longest that divide it."""
        stored = self._bars.frequencies
        wanted = None if frequency is None else Frequency.parse(frequency)
        base = None if wanted is None or wanted.name in stored else base_of(wanted, stored)
        if base is None or wanted is None:
            return self._bars.read_arrays(symbols, start=start, end=end, fields=fields, frequency=frequency)
        names = list(self._bars.symbols if symbols is None else symbols)
        first, last = start or date(1970, 1, 1), end or date(2199, 12, 31)
        if start is None or end is None:
            assets = [self._bars.assets.lookup_symbol(name) for name in names]
            first = start or min((a.first_session for a in assets if a.first_session), default=first)
            last = end or max((a.last_session for a in assets if a.last_session), default=first)
        elif base.is_intraday:
            first = min(max(first, self._first_session(names, first)), last)
        calendar = get_calendar(self._calendar_name, first - timedelta(days=31), last + timedelta(days=31))
        step = DAILY if base.is_intraday and not wanted.is_intraday else wanted
        parts = [
            _joined(
                self._bars.read_arrays(group, start=low, end=high, fields=fields, frequency=base.name),
                base,
                step,
                calendar,
            )
            for group, low, high in self._pieces(names, first, last, base)
        ]
        whole = join_blocks(parts, fields)
        return whole if step == wanted else _joined(whole, step, wanted, calendar)

    def _first_session(self, names: Sequence[str], otherwise: date) -> date:
        """Return the first session of all: a window may reach back a century, in which there is nothing to read."""
        known = set(self._bars.symbols)
        firsts = [self._bars.assets.lookup_symbol(name).first_session for name in names if name in known]
        return min((day or otherwise for day in firsts), default=otherwise)

    def _pieces(
        self, names: list[str], first: date, last: date, base: Frequency
    ) -> Iterator[tuple[list[str], date, date]]:
        """Yield groups of symbols and stretches of whole days."""
        if not base.is_intraday:
            yield names, first, last
            return
        a_day = max(1, DAILY.seconds // base.seconds)
        size = max(1, _PIECE_ROWS // (a_day * _PIECE_DAYS))
        low = first
        while low <= last:
            # Up to the end of the month, as the files are cut.
            high = min(last, (low.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1))
            for at in range(0, len(names), size):
                yield names[at : at + size], low, high
            low = high + timedelta(days=1)


def _joined(block: BarBlock, finer: Frequency, coarser: Frequency, calendar: TradingCalendar) -> MemoryBlock:
    """Return the longer bars of a block that is sorted by symbol and time."""
    labels = coarser_labels(block.timestamps, finer, coarser, calendar)
    inside = labels != OUTSIDE
    labels, codes = labels[inside], block.symbol_codes[inside]
    values = {field: v if inside.all() else v[inside] for field, v in block.values.items()}
    if not labels.size:
        return MemoryBlock(labels, codes, block.symbols, values)
    starts = np.flatnonzero(np.r_[True, (labels[1:] != labels[:-1]) | (codes[1:] != codes[:-1])])
    return MemoryBlock(labels[starts], codes[starts], block.symbols, join_bars(values, starts))


def anchor_of(bars: BarProvider, axis: SessionAxis, frequency: Frequency) -> Anchor:
    """Return whether stored intraday bars are counted from the open or on the hours of the clock, by a look at some."""
    if frequency.seconds < ON_THE_CLOCK or axis.calendar.is_always_open or frequency.name not in bars.frequencies:
        return "open"
    assets = (bars.assets.lookup_symbol(symbol) for symbol in bars.symbols)
    # Bars of other venues are not counted from the open of the clock's.
    for asset in islice((a for a in assets if canonical_name(a.calendar_name) == axis.calendar.name), 5):
        symbol, first = asset.symbol, asset.first_session or axis.start
        begin = max(first, axis.start - timedelta(days=30))
        block = bars.read_arrays(
            [symbol], start=begin, end=begin + timedelta(days=40), fields=("close",), frequency=frequency.name
        )
        if len(block.timestamps):
            last = begin + timedelta(days=40)
            calendar = get_calendar(axis.calendar_name, begin, last)
            off = {
                anchor: int(
                    (~np.isin(block.timestamps, calendar.expected_bar_opens(begin, last, frequency, anchor))).sum()
                )
                for anchor in ("open", "clock")
            }
            return "clock" if off["clock"] < off["open"] else "open"
    return "open"
