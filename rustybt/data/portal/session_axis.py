"""The rows of the arrays: one a session, those of the simulation and those before it that history reaches back to."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from rustybt.errors import RequestError
from rustybt.market.calendars import get_calendar

if TYPE_CHECKING:
    import pandas as pd

    from rustybt.market.trading_calendar import Sessions, TradingCalendar

#: Rows kept before the first simulated session until a longer window is asked for.
FIRST_LOOKBACK = 64


class SessionAxis:
    """Sessions from `before` rows ahead of the simulation to its end.

    A session of the simulation is counted from 0 by `t`; its row is ``before + t``. The count `t` never changes, the
    row does when the axis grows backwards.

    Parameters
    ----------
    calendar_name
        Calendar whose sessions are the rows.
    start, end
        First and last date of the simulation, both included.

    Raises
    ------
    RequestError
        No session lies between `start` and `end`.
    """

    def __init__(self, calendar_name: str, start: date, end: date) -> None:
        self.calendar_name = calendar_name
        self.start, self.end = start, end
        self.calendar: TradingCalendar = get_calendar(calendar_name, start - timedelta(days=120), end)
        simulated = self.calendar.sessions_between(start, end)
        if not simulated.size:
            raise RequestError(
                f"{calendar_name} has no session from {start} to {end}",
                hint="choose a start and an end with a session between them, both included",
            )
        self.length = int(simulated.size)
        self.before = 0
        self._place(FIRST_LOOKBACK)

    def _place(self, before: int) -> None:
        calendar = self.calendar
        first = int(np.searchsorted(calendar.sessions, np.datetime64(self.start)))
        self.before = min(before, first)
        rows = slice(first - self.before, first + self.length)
        self.sessions: Sessions = calendar.sessions[rows]
        self.opens = calendar.opens[rows]
        self.closes = calendar.closes[rows]
        self._index: pd.DatetimeIndex | None = None

    def grow(self, before: int) -> bool:
        """Reach back at least `before` rows, doubling; return False when the calendar knows no earlier session."""
        if before <= self.before:
            return True
        wanted = max(before, 2 * self.before)
        first = int(np.searchsorted(self.calendar.sessions, np.datetime64(self.start)))
        if first < wanted:
            # 252 of 365 days trade on most venues; 8 / 5 is safely more, and calendars come in whole years.
            earlier = self.start - timedelta(days=min(wanted * 8 // 5 + 30, (self.start - date(1900, 2, 1)).days))
            self.calendar = get_calendar(self.calendar_name, earlier, self.end)
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

    def row_of_day(self, day: date) -> int:
        """Return the row of the last session on or before `day`, -1 when the axis begins later."""
        return int(np.searchsorted(self.sessions, np.datetime64(day), side="right")) - 1
