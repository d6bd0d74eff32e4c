"""What `history` is asked of: one view for each frequency that can be served.

A view resolves assets to columns, whatever these are to it, and returns windows that end at the clock, with their labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rustybt.data.portal.arrays.running_session import first_known
from rustybt.data.portal.checks import check_window, refuse_depth
from rustybt.market.resample import coarser_labels
from rustybt.market.trading_calendar import period_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from rustybt.data.portal.bar_provider import Floats, Integers
    from rustybt.data.portal.intraday_feed import IntradayFeed
    from rustybt.data.portal.rows.session_axis import SessionAxis
    from rustybt.data.portal.session_feed import SessionFeed
    from rustybt.market.assets import Asset
    from rustybt.market.frequency import Frequency


class View(Protocol):
    """Windows of one frequency as of the clock."""

    def columns(self, assets: Sequence[Asset]) -> Any:
        """Return what `window` takes for these assets."""
        ...

    def window(self, columns: Any, bar_count: int, field: str) -> Floats:
        """Return a new array (bar_count, n_assets) that ends at the clock, NaN (volume: 0) where no bar is."""
        ...

    def index(self, bar_count: int) -> pd.DatetimeIndex:
        """Return the labels of the rows of `window`."""
        ...


class SessionView:
    """Sessions in a run on intraday bars: those before, and what the running one has come to so far.

    Parameters
    ----------
    daily
        Daily bars; their clock follows that of `intraday`.
    """

    def __init__(self, daily: SessionFeed, intraday: IntradayFeed) -> None:
        self._daily = daily
        self._intraday = intraday

    @property
    def axis(self) -> SessionAxis:
        """The sessions."""
        return self._daily.axis

    sessions = axis

    @property
    def position(self) -> int:
        """The last session of which anything may be seen."""
        axis = self._intraday.axis
        return axis.session_of(self._intraday.seen_r)

    def reach(self, before: int, what: str) -> None:
        """Have so many sessions ahead of the simulation; RequestError where the calendar begins later."""
        self._daily.reach(before, what)

    def columns(self, assets: Sequence[Asset]) -> tuple[Any, Any]:
        """Return the columns of the daily and of the intraday arrays."""
        return self._daily.columns(assets), self._intraday.columns(assets)

    def window(self, columns: tuple[Any, Any], bar_count: int, field: str) -> Floats:
        """Return sessions up to the running one; the day's daily bar is never read, for it holds the day's end."""
        check_window(bar_count, field)
        intraday, daily = self._intraday, self._daily
        t = self.position
        now = t if intraday.now_t is None else intraday.now_t
        is_running = now == t
        if (daily.now_t, daily.seen_t) != (now, now - 1):
            daily.set_clock(now, now - 1)
        if not is_running:
            return daily.window(columns[0], bar_count, field)
        today = intraday.session_so_far(columns[1], field)[None, :]
        if bar_count == 1:
            return today
        return np.concatenate((daily.window(columns[0], bar_count - 1, field), today))

    def index(self, bar_count: int) -> pd.DatetimeIndex:
        """Return the sessions, naive midnights."""
        return self._daily.index(bar_count, self.position)


class LongerView:
    """Bars made of several of another view: 5 minutes of minutes, weeks of sessions; the last one may still be running.

    They are labelled as the bars that end them: by the instant at which they are due to end, weeks and months by the last
    session due in them.
    """

    def __init__(self, base: SessionFeed | SessionView | IntradayFeed, frequency: Frequency) -> None:
        self._base = base
        self._frequency = frequency
        self._key: tuple[int, int] = (-1, -1)
        self._starts: Integers = np.empty(0, dtype=np.int64)
        self._ends: pd.DatetimeIndex | None = None

    def columns(self, assets: Sequence[Asset]) -> Any:
        """Return the columns of the view below."""
        return self._base.columns(assets)

    def _bins(self) -> Integers:
        """Return the positions, as the base counts them, at which longer bars begin; the one after the last bar ends them."""
        axis: Any = self._base.axis
        sessions = self._base.sessions
        key = (axis.before, sessions.before)
        if key != self._key:
            if axis is sessions:
                numbers = period_numbers(axis.sessions, self._frequency)
            else:
                numbers = coarser_labels(axis.labels, axis.frequency, self._frequency, sessions.calendar)
            self._starts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1], True]) - axis.before
            self._key, self._ends = key, None
        return self._starts

    def _stretch(self, bar_count: int) -> tuple[int, Integers, int]:
        """Return which of the longer bars is the last, where the last `bar_count` and the next begin, and the clock's position."""
        position = self._base.position
        while True:
            starts = self._bins()
            at = int(np.searchsorted(starts, position, side="right")) - 1
            # The first one of the axis may lack its beginning.
            if at - bar_count + 1 > 0:
                return at, starts[at - bar_count + 1 : at + 2], position
            self._reach(bar_count)

    def _reach(self, bar_count: int) -> None:
        base = self._base
        what = f"a window of {bar_count} bars of {self._frequency}"
        before = base.axis.before
        base.reach(2 * before + 1, what)
        if base.axis.before == before:
            refuse_depth(base.sessions, what)

    def window(self, columns: Any, bar_count: int, field: str) -> Floats:
        """Return longer bars up to the one that holds the clock's bar."""
        check_window(bar_count, field)
        _, starts, position = self._stretch(bar_count)
        values = self._base.window(columns, position - int(starts[0]) + 1, field)
        return _joined(values, starts[:-1] - starts[0], field)

    def index(self, bar_count: int) -> pd.DatetimeIndex:
        """Return when each is due to end."""
        at, _, _ = self._stretch(bar_count)
        if self._ends is None:
            self._ends = self._due_ends()
        return self._ends[at - bar_count + 1 : at + 1]

    def _due_ends(self) -> pd.DatetimeIndex:
        import pandas as pd

        axis: Any = self._base.axis
        last = self._starts[1:] - 1 + axis.before
        if axis is not self._base.sessions:
            found: pd.DatetimeIndex = axis.index[last]
            return found
        # The run may end within a week or month, the calendar goes on.
        numbers = period_numbers(axis.calendar.sessions, self._frequency)
        at = np.searchsorted(numbers, period_numbers(axis.sessions[last], self._frequency), side="right") - 1
        return pd.DatetimeIndex(axis.calendar.sessions[at].astype("datetime64[ns]"))


def _joined(values: Floats, starts: Integers, field: str) -> Floats:
    """Return one row for each run of rows that begins at `starts`."""
    if field == "volume":
        found: Floats = np.add.reduceat(values, starts, axis=0)
    elif field == "high":
        found = np.fmax.reduceat(values, starts, axis=0)
    elif field == "low":
        found = np.fmin.reduceat(values, starts, axis=0)
    else:
        stops = [*starts[1:].tolist(), len(values)]
        runs = [values[start:stop] for start, stop in zip(starts.tolist(), stops, strict=True)]
        if field == "open":
            found = np.stack([first_known(run) for run in runs])
        elif field == "close":
            found = np.stack([first_known(run[::-1]) for run in runs])
        else:
            found = np.stack([run[-1] for run in runs])
    return found
