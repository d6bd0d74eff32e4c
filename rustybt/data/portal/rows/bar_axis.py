"""The rows of intraday arrays: one for each bar that the calendar expects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from rustybt.data.portal.rows.placing import row_keys
from rustybt.market.calendars import get_calendar

if TYPE_CHECKING:
    import pandas as pd

    from rustybt.data.portal.bar_provider import Booleans, Integers
    from rustybt.data.portal.rows.session_axis import SessionAxis
    from rustybt.market.frequency import Frequency
    from rustybt.market.trading_calendar import Anchor


class BarAxis:
    """Bars of the sessions of an axis.

    A bar is counted by `r` from the first one of the simulation, negative before it; `r` never changes, while the
    sessions grow backwards. Rows of arrays are ``r - low`` of whoever holds them.

    Parameters
    ----------
    anchor
        Whether bars are counted from the open or on the hours of the clock, as `TradingCalendar.expected_bar_opens` has it.
    """

    def __init__(self, sessions: SessionAxis, frequency: Frequency, anchor: Anchor = "open") -> None:
        self.sessions = sessions
        self.frequency = frequency
        self.anchor: Anchor = anchor
        self._place()

    def _place(self) -> None:
        sessions = self.sessions
        calendar = sessions.calendar
        first, last = sessions.sessions[0].item(), sessions.sessions[-1].item()
        #: Label (open) and end of every bar, microseconds since 1970 UTC.
        self.labels: Integers = calendar.expected_bar_opens(first, last, self.frequency, self.anchor)
        self.ends: Integers = calendar.bar_ends(self.labels, self.frequency)
        # The bar that ends with the close belongs to the session.
        of_bar = np.searchsorted(sessions.closes, self.ends)
        self._firsts = np.searchsorted(of_bar, np.arange(len(sessions.sessions) + 1))
        self.before = int(self._firsts[sessions.before])
        self._session_of_bar = of_bar
        self._index: pd.DatetimeIndex | None = None

    @property
    def size(self) -> int:
        """Count of the bar after the last one."""
        return len(self.ends) - self.before

    def grow(self, bars: int) -> bool:
        """Have at least `bars` bars ahead of the simulation; return False when the calendar begins later."""
        while self.before < bars:
            held = self.sessions.before
            missing = bars - self.before
            a_session = max(1, -(-len(self.ends) // len(self.sessions.sessions)))
            self.sessions.grow(held + max(1, missing // a_session))
            if self.sessions.before == held:
                return False
            self._place()
        return True

    def first_of(self, t: int) -> int:
        """Return the first bar of session `t`; of the session after the last, the bar after the last."""
        row = min(max(t + self.sessions.before, 0), len(self._firsts) - 1)
        return int(self._firsts[row]) - self.before

    def session_of(self, r: int) -> int:
        """Return the session of bar `r`; before the first bar of all, the session before the first."""
        if r < -self.before:
            return -self.sessions.before - 1
        return int(self._session_of_bar[r + self.before]) - self.sessions.before

    def end_of(self, r: int) -> int:
        """Return the instant at which bar `r` is complete, microseconds since 1970 UTC."""
        return int(self.ends[r + self.before])

    def are_due(self, stamps: Integers) -> Booleans:
        """Return which labels, rising and of any time, are those of bars that the calendar expects."""
        first, last = (datetime.fromtimestamp(int(stamps[i]) / 1e6, tz=UTC).date() for i in (0, -1))
        day = timedelta(days=1)
        calendar = get_calendar(self.sessions.calendar.name, first - day, last + day)
        due = calendar.expected_bar_opens(first - day, last + day, self.frequency, self.anchor)
        return np.isin(row_keys(stamps, self.frequency, self.anchor, calendar), due)

    def last_at(self, instant: int) -> int:
        """Return the last bar that is complete at an instant."""
        return int(np.searchsorted(self.ends, instant, side="right")) - 1 - self.before

    @property
    def index(self) -> pd.DatetimeIndex:
        """The ends of all bars, in UTC, as Zipline labels minutes."""
        if self._index is None:
            import pandas as pd

            self._index = pd.DatetimeIndex(self.ends.astype("datetime64[us]")).as_unit("ns").tz_localize("UTC")
        return self._index

    def ends_of(self, first: int, stop: int) -> pd.DatetimeIndex:
        """Return the ends of bars `first` to `stop` (excluded), in UTC."""
        return self.index[first + self.before : stop + self.before]
