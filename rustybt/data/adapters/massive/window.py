"""Which bars of Massive an answer may hold: what is asked for, and how its time stamps become labels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from rustybt.data.adapters.reading import is_time
from rustybt.errors import BadResponseError
from rustybt.market.request import DAY_MICROSECONDS, to_date, to_microseconds
from rustybt.market.trading_calendar import period_numbers, period_starts

if TYPE_CHECKING:
    from rustybt.market.frequency import Frequency
    from rustybt.market.trading_calendar import Instants

NEW_YORK = ZoneInfo("America/New_York")
#: First day of the vendor's history of stocks, of which the largest plans have all.
FIRST_DAY = date(2003, 9, 10)
#: How the vendor spells a frequency, and how many base aggregates (minutes or days) one bar takes at most.
SPANS = {
    "1m": (1, "minute", 1),
    "5m": (5, "minute", 5),
    "15m": (15, "minute", 15),
    "30m": (30, "minute", 30),
    "1h": (1, "hour", 60),
    "1d": (1, "day", 1),
    "1w": (1, "week", 5),
    "1M": (1, "month", 23),
}


@dataclass(frozen=True, slots=True)
class MassiveWindow:
    """A range in whole bars, for the vendor widens every side to whole bars by itself; use `MassiveWindow.of`.

    Parameters
    ----------
    first, last
        Labels of the first and last bar that may come, microseconds since 1970 UTC; no bar if `last` is the smaller.
    """

    frequency: Frequency
    first: int
    last: int

    @classmethod
    def of(cls, start: int, end: int, frequency: Frequency, now: float) -> Self:
        """Return the bars with labels from `start` to `end` that there can be.

        The vendor refuses what lies after `now`, and has nothing from before `FIRST_DAY`.
        """
        start = max(start, to_microseconds(FIRST_DAY))
        if frequency.is_intraday:
            step = frequency.microseconds
            end = min(end, int(now * 1_000_000))
            return cls(frequency, start + -start % step, end - end % step)
        today = datetime.fromtimestamp(now, NEW_YORK).date()
        end = min(end, to_microseconds(today))
        days = np.array([start // DAY_MICROSECONDS, end // DAY_MICROSECONDS]).astype("datetime64[D]")
        numbers = period_numbers(days, frequency)
        labels = period_starts(np.r_[numbers, numbers[0] + 1], frequency)
        return cls(frequency, int(labels[0] if labels[0] >= start else labels[2]), int(labels[1]))

    @property
    def is_empty(self) -> bool:
        """True when no bar has a label in the range."""
        return self.last < self.first

    @property
    def sides(self) -> tuple[str, str]:
        """The first and last bar as the vendor is told: milliseconds, or dates."""
        return self._side(self.first), self._side(self.last)

    def after(self, label: int) -> MassiveWindow:
        """Return what is left of the range after the bar `label`."""
        if self.frequency.is_intraday:
            return MassiveWindow(self.frequency, label + self.frequency.microseconds, self.last)
        day = np.array([label // DAY_MICROSECONDS]).astype("datetime64[D]")
        following = period_starts(period_numbers(day, self.frequency) + 1, self.frequency)
        return MassiveWindow(self.frequency, int(following[0]), self.last)

    def labels(self, milliseconds: pl.Series) -> Instants:
        """Return the label of each bar, microseconds since 1970 UTC: its open, or its session's, week's or month's first day.

        Days, weeks and months begin at midnight in New York, and weeks on Sunday.

        Raises
        ------
        BadResponseError
            A bar does not begin where bars of this frequency do, or lies outside of the range.
        """
        if milliseconds.null_count() or not all(
            map(is_time, (int(at) * 1_000 for at in (milliseconds.min() or 0, milliseconds.max() or 0)))  # type: ignore[arg-type]
        ):
            raise BadResponseError(f"polygon sent a {self.frequency} bar at no time that there is")
        if self.frequency.is_intraday:
            labels = milliseconds.to_numpy() * 1_000
            whole = labels % self.frequency.microseconds == 0
        else:
            wall = (
                milliseconds.cast(pl.Datetime("ms", "UTC"))
                .dt.convert_time_zone(NEW_YORK.key)
                .dt.replace_time_zone(None)
            )
            local = wall.to_physical().to_numpy()
            days, rest = np.divmod(local, DAY_MICROSECONDS // 1_000)
            whole = rest == 0
            if self.frequency.name == "1w":
                # Day 3 of 1970 was a Sunday: it begins the vendor's week, and ends ours.
                days = np.where(days % 7 == 3, days + 1, days)
            labels = period_starts(period_numbers(days.astype("datetime64[D]"), self.frequency), self.frequency)
        if not whole.all():
            raise BadResponseError(
                f"polygon sent a {self.frequency} bar that begins at {milliseconds[int(np.argmin(whole))]} ms"
            )
        if labels.size and not (labels.min() >= self.first and labels.max() <= self.last):
            raise BadResponseError(
                f"polygon sent bars from {to_date(int(labels.min()))} to {to_date(int(labels.max()))} where asked were those from "
                f"{to_date(self.first)} to {to_date(self.last)}"
            )
        return np.asarray(labels, dtype=np.int64)

    def _side(self, label: int) -> str:
        return str(label // 1_000) if self.frequency.is_intraday else to_date(label).isoformat()
