"""The rows of the arrays: one a session, week or month, those of the simulation and those before it that history reaches back to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from rustybt.errors import RequestError
from rustybt.market.calendars import get_calendar
from rustybt.market.frequency import DAILY
from rustybt.market.request import DAY_MICROSECONDS
from rustybt.market.trading_calendar import period_numbers, period_starts

if TYPE_CHECKING:
    import pandas as pd

    from rustybt.data.portal.bar_provider import Integers
    from rustybt.market.frequency import Frequency
    from rustybt.market.trading_calendar import Sessions, TradingCalendar

#: Rows kept before the first simulated session until a longer window is asked for.
FIRST_LOOKBACK = 64
_NAMES = {"1w": "week that ends", "1M": "month that ends"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SessionAxis:
    """Sessions, weeks or months from `before` rows ahead of the simulation to its end.

    A session of the simulation is counted from 0 by `t`; its row is ``before + t``. The count `t` never changes, the
    row does when the axis grows backwards.

    Parameters
    ----------
    calendar_name
        Calendar whose sessions are the rows.
    start, end
        First and last date of the simulation, both included.
    frequency
        Daily; weekly or monthly rows stand for the last session of their week or month, when it is complete.

    Raises
    ------
    RequestError
        No session lies between `start` and `end`.
    """

    def __init__(self, calendar_name: str, start: date, end: date, frequency: Frequency = DAILY) -> None:
        self.calendar_name = calendar_name
        self.start, self.end = start, end
        self.frequency = frequency
        self.calendar: TradingCalendar = get_calendar(calendar_name, start - timedelta(days=120), end)
        self._find_ends()
        simulated = self._rows_between(start, end)
        if not simulated.size:
            raise RequestError(
                f"{calendar_name} has no {_NAMES.get(frequency.name, 'session')} from {start} to {end}",
                hint="choose a start and an end with a session between them, both included",
            )
        self.length = int(simulated.size)
        self.before = 0
        self._place(FIRST_LOOKBACK)

    def _find_ends(self) -> None:
        """Find the positions in the calendar of the sessions that are rows, and what bars of each row are found by."""
        sessions = self.calendar.sessions
        if self.frequency == DAILY:
            self._ends = np.arange(sessions.size)
            self._all_keys = sessions.astype(np.int64) * DAY_MICROSECONDS
            return
        numbers = period_numbers(sessions, self.frequency)
        self._ends = np.flatnonzero(np.r_[numbers[1:] != numbers[:-1], True])
        self._all_keys = numbers[self._ends]

    def _rows_between(self, start: date, end: date) -> Integers:
        """Return the positions in `_ends` of the rows that hold a session from `start` on and are complete at `end`."""
        days = self.calendar.sessions
        wanted = slice(*np.searchsorted(days, [np.datetime64(start), np.datetime64(end + timedelta(days=1))]))
        positions = np.arange(days.size)[wanted]
        rows = np.unique(np.searchsorted(self._ends, positions))
        return np.asarray(rows[days[self._ends[rows]] <= np.datetime64(end)])

    def _place(self, before: int) -> None:
        calendar = self.calendar
        first = int(self._rows_between(self.start, self.end)[0])
        self.before = min(before, first)
        rows = self._ends[first - self.before : first + self.length]
        opening = self._ends[first - self.before - 1] + 1 if first > self.before else 0
        self.sessions: Sessions = calendar.sessions[rows]
        #: Of the first session of each row.
        self.opens = calendar.opens[np.r_[opening, rows[:-1] + 1]]
        self.closes = calendar.closes[rows]
        #: What bars are found by: their labels, or the numbers of their week or month.
        self.keys: Integers = self._all_keys[first - self.before : first + self.length]
        #: When the row before the first was complete.
        self.begin = int(calendar.closes[opening - 1]) if opening else int(calendar.opens[0])
        self._index: pd.DatetimeIndex | None = None

    @property
    def first_day(self) -> date:
        """The first date that a bar of the first row may be labelled with."""
        if self.frequency == DAILY:
            found: date = self.sessions[0].item()
            return found
        start = period_starts(self.keys[:1], self.frequency)[0]
        return (EPOCH + timedelta(microseconds=int(start))).date()

    def grow(self, before: int) -> bool:
        """Reach back at least `before` rows, doubling; return False when the calendar knows no earlier session."""
        if before <= self.before:
            return True
        wanted = max(before, 2 * self.before)
        if int(self._rows_between(self.start, self.end)[0]) < wanted:
            # 252 of 365 days trade on most venues; 8 / 5 is safely more, and calendars come in whole years.
            days = wanted * 8 // 5 * max(1, self.frequency.seconds // DAILY.seconds) + 30
            earlier = self.start - timedelta(days=min(days, (self.start - date(1900, 2, 1)).days))
            self.calendar = get_calendar(self.calendar_name, earlier, self.end)
            self._find_ends()
        self._place(wanted)
        return self.before >= before

    @property
    def index(self) -> pd.DatetimeIndex:
        """Labels of all rows as Zipline's `history` shows them: naive midnights."""
        if self._index is None:
            import pandas as pd

            self._index = pd.DatetimeIndex(self.sessions.astype("datetime64[ns]"))
        return self._index

    def t_of(self, day: date) -> int:
        """Return the count `t` of the first session on or after `day`; negative before the simulation."""
        return int(np.searchsorted(self.sessions, np.datetime64(day))) - self.before

    def end_of_life(self, last_session: date) -> int:
        """Return the count `t` of the first session in which an asset is not listed any more."""
        return self.t_of(last_session) + 1

    def row_of_day(self, day: date) -> int:
        """Return the row of the last session on or before `day`, -1 when the axis begins later."""
        return int(np.searchsorted(self.sessions, np.datetime64(day), side="right")) - 1
