"""The places where bars are due, numbered: what makes gaps countable without a loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from rustybt.market.frequency import DAILY, Frequency
from rustybt.market.request import DAY_MICROSECONDS
from rustybt.market.trading_calendar import period_numbers

if TYPE_CHECKING:
    from rustybt.market.trading_calendar import Anchor, Instants, TradingCalendar


@dataclass(frozen=True, slots=True, eq=False)
class BarGrid:
    """Numbers every bar that a calendar expects: the n-th due bar has the ordinal n, whatever lies between.

    Two bars of one series are neighbours if their ordinals differ by one, over nights, weekends, holidays, half days and
    lunch breaks alike. Use `BarGrid.of`, or `BarGrid.fitting` for bars of an unknown anchor.

    Parameters
    ----------
    keys
        What a bar is looked up by, rising: starts of trading (instants) for intraday bars, numbers of the calendar day,
        week or month for longer ones.
    labels
        Instant of the first bar of each key, microseconds since 1970 UTC.
    counts
        Number of bars due from each key on; 1 for daily and longer.
    """

    frequency: Frequency
    keys: Instants
    labels: Instants
    counts: Instants

    @classmethod
    def of(cls, calendar: TradingCalendar, frequency: Frequency, anchor: Anchor = "open") -> Self:
        """Return the grid of all sessions of `calendar`; `anchor` as in `TradingCalendar.expected_bar_opens`."""
        if frequency.is_intraday:
            starts, ends = calendar.stretches()
            step = frequency.microseconds
            if anchor == "clock":
                starts = starts - starts % step
            counts = np.maximum(-((starts - ends) // step), 0)
            if anchor == "clock" and starts.size:
                # A bar on the clock can reach over a break into the next stretch, which then begins one bar later.
                reach = starts + counts * step
                late = np.r_[0, np.maximum(0, (reach[:-1] - starts[1:]) // step)]
                starts, counts = starts + late * step, np.maximum(counts - late, 0)
            return cls(frequency, starts, starts, counts)
        numbers = period_numbers(calendar.sessions, frequency)
        keys, first = np.unique(numbers, return_index=True)
        labels = calendar.sessions[first].astype(np.int64) * DAY_MICROSECONDS
        return cls(frequency, keys, labels, np.ones(keys.size, dtype=np.int64))

    @classmethod
    def fitting(cls, calendar: TradingCalendar, frequency: Frequency, instants: Instants) -> Self:
        """Return the grid that more of the bars lie on: counted from the open, or on the clock."""
        grid = cls.of(calendar, frequency)
        if not frequency.is_intraday or not instants.size:
            return grid
        off = int(np.count_nonzero(grid.ordinals(instants) < 0))
        if off:
            other = cls.of(calendar, frequency, "clock")
            if int(np.count_nonzero(other.ordinals(instants) < 0)) < off:
                return other
        return grid

    @property
    def size(self) -> int:
        """Number of bars due."""
        return int(self.counts.sum())

    def ordinals(self, instants: Instants) -> Instants:
        """Return the ordinal of each bar label, -1 where no bar is due."""
        if not self.keys.size:
            return np.full(instants.shape, -1, dtype=np.int64)
        wanted = instants if self.frequency.is_intraday else self._numbers(instants)
        at = np.searchsorted(self.keys, wanted, side="right") - 1
        safe = np.maximum(at, 0)
        if self.frequency.is_intraday:
            steps, rest = np.divmod(wanted - self.keys[safe], self.frequency.microseconds)
        else:
            steps, rest = wanted - self.keys[safe], np.zeros(1, dtype=np.int64)
        found = (at >= 0) & (rest == 0) & (steps < self.counts[safe])
        return np.where(found, self._bases()[safe] + steps, -1)

    def labels_at(self, ordinals: Instants) -> Instants:
        """Return the label of each ordinal, microseconds since 1970 UTC; the inverse of `ordinals`."""
        bases = self._bases()
        at = np.searchsorted(bases, ordinals, side="right") - 1
        return np.asarray(self.labels[at] + (ordinals - bases[at]) * self.frequency.microseconds, dtype=np.int64)

    def _numbers(self, instants: Instants) -> Instants:
        days = instants // DAY_MICROSECONDS
        return days if self.frequency == DAILY else period_numbers(days.astype("datetime64[D]"), self.frequency)

    def _bases(self) -> Instants:
        return np.asarray(np.cumsum(self.counts) - self.counts, dtype=np.int64)
