"""Intraday bars, adjusted as of a clock that counts them."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.data.portal.arrays.intraday_panel import IntradayPanel
from rustybt.data.portal.arrays.running_session import RunningSession
from rustybt.data.portal.checks import (
    FIELDS,
    check_asset,
    check_same,
    check_window,
    microseconds_of,
    nothing_known,
    refuse_depth,
    refuse_lookahead,
)
from rustybt.data.portal.rows.placing import side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from rustybt.data.portal.bar_provider import BarProvider, Floats, Integers
    from rustybt.data.portal.rows.bar_axis import BarAxis
    from rustybt.data.portal.rows.session_axis import SessionAxis
    from rustybt.market.assets import Asset


class IntradayFeed:
    """Intraday bars as of a clock.

    Parameters
    ----------
    bars
        Where bars are read from, a stretch at a time.
    axis
        The bars that the calendar expects.

    Attributes
    ----------
    now_t, seen_r
        Session of the clock, None outside a run, and the last bar that may be seen.
    row, spot
        Row of that bar, and the arrays to read it from.
    """

    def __init__(self, bars: BarProvider, axis: BarAxis) -> None:
        self.axis = axis
        self.panel = IntradayPanel(bars, axis)
        self.now_t: int | None = None
        self.seen_r = axis.size - 1
        self.row = 0
        self.spot: dict[str, Floats] = {}
        self._session = RunningSession()

    # The clock -----------------------------------------------------------------------------------------------------

    def set_clock(self, now_t: int | None, seen_r: int) -> None:
        """Move the clock into session `now_t`, where `seen_r` is the last bar that is known."""
        self.now_t, self.seen_r = now_t, seen_r
        panel = self.panel
        if not panel.low <= seen_r < panel.high:
            panel.reach(max(seen_r, -self.axis.before))
        self.row = seen_r - panel.low
        self.spot = panel.arrays
        if seen_r < -self.axis.before:
            # The calendar begins with the run: nothing is known before its first bar.
            self.row, self.spot = 0, nothing_known(len(panel.assets))
        elif now_t is not None and panel.arrays and self._as_of_bar() > seen_r and panel.events:
            # Before the first bar of a session prices are adjusted for what happens in it.
            self.row = 0
            self.spot = {f: self.window(slice(None), 1, f) for f in FIELDS}

    def at_bar(self, t: int, r: int) -> None:
        """Move the clock to bar `r` of session `t`, when it is complete."""
        self.now_t, self.seen_r = t, r
        panel = self.panel
        if not panel.low <= r < panel.high:
            panel.reach(r)
        self.row = r - panel.low
        self.spot = panel.arrays

    def _refresh(self) -> None:
        self.set_clock(self.now_t, self.seen_r)

    def _as_of_bar(self, end: int | None = None) -> int:
        """Return the bar from whose events on nothing is known: those before it, and its own, are applied."""
        if self.now_t is None or (end is not None and end != self.seen_r):
            return self.seen_r if end is None else end
        return max(self.axis.first_of(self.now_t), self.seen_r)

    @property
    def sessions(self) -> SessionAxis:
        """The sessions of the bars."""
        return self.axis.sessions

    @property
    def position(self) -> int:
        """The last bar that may be seen."""
        return self.seen_r

    def place_of(self, stamp: pd.Timestamp, *, is_date: bool) -> int:
        """Return the last bar that is complete at `stamp` (UTC); a date means the last bar of its session.

        Raises
        ------
        LookaheadError
            In a run, that bar is not complete yet.
        """
        axis = self.axis
        while (r := self._last_at(stamp, is_date=is_date)) < -axis.before:
            self.reach(axis.before + 1, f"{stamp}")
        if self.now_t is not None and r > self.seen_r:
            refuse_lookahead(stamp, axis.ends_of(self.seen_r, self.seen_r + 1)[0], "bar")
        return r

    def _last_at(self, stamp: pd.Timestamp, *, is_date: bool) -> int:
        axis = self.axis
        if not is_date:
            return axis.last_at(microseconds_of(stamp))
        return axis.first_of(axis.sessions.row_of_day(stamp.date()) - axis.sessions.before + 1) - 1

    # Columns -------------------------------------------------------------------------------------------------------

    def column(self, asset: Asset) -> int:
        """Return the column of the asset, loading its bars if they are not; RequestError for what is no asset."""
        known = self.panel.columns.get(check_asset(asset).sid)
        if known is not None:
            check_same(self.panel.assets[known], asset)
            return known
        column = self.panel.load(asset)
        self._refresh()
        self.panel.warn_of_bases()
        return column

    def columns(self, assets: Sequence[Asset]) -> slice | Integers:
        """Return the assets' columns, as a slice where they lie side by side."""
        for asset in assets:
            self.panel.expect(check_asset(asset))
        return side_by_side([self.column(asset) for asset in assets])

    # Reading -------------------------------------------------------------------------------------------------------

    def window(self, columns: slice | Integers, bar_count: int, field: str) -> Floats:
        """Return a new array of the last `bar_count` bars up to the last one that may be seen, adjusted as of the clock.

        Returns
        -------
        array, shape (bar_count, n_assets)
            NaN (volume: 0) where no bar is.

        Raises
        ------
        RequestError
            Unknown field, `bar_count` below 1, or the calendar knows no bar that long ago.
        """
        check_window(bar_count, field)
        end = self.seen_r
        first = end - bar_count + 1
        panel = self.panel
        if first < -self.axis.before:
            self.reach(-first, f"a window of {bar_count} bars")
        if not panel.low <= first or not end < panel.high:
            panel.reach(end, bar_count)
            self._refresh()
        if not panel.arrays:
            return np.empty((bar_count, 0))
        rows = panel.arrays[field][first - panel.low : end + 1 - panel.low]
        found: Floats = rows[:, columns].copy() if isinstance(columns, slice) else rows.take(columns, axis=1)
        if panel.events:
            self._adjust(found, columns, first, field)
        return found

    def reach(self, before: int, what: str) -> None:
        """Have so many bars ahead of the simulation; RequestError where the calendar begins later."""
        if not self.panel.grow(before):
            refuse_depth(self.sessions, what)

    def _adjust(self, values: Floats, columns: slice | Integers, first: int, field: str) -> None:
        """Apply the events after bar `first` up to the clock to the bars before each."""
        events = self.panel.events
        begin = bisect_right(events, first, key=lambda event: event.r)
        stop = bisect_right(events, self._as_of_bar(), key=lambda event: event.r)
        for event in events[begin:stop]:
            factor = event.volume_factor if field == "volume" else event.price_factor
            if factor == 1:
                continue
            if isinstance(columns, slice):
                start, end, _ = columns.indices(len(self.panel.assets))
                if start <= event.column < end:
                    values[: event.r - first, event.column - start] *= factor
            else:
                values[: event.r - first, np.flatnonzero(columns == event.column)] *= factor

    def session_so_far(self, columns: slice | Integers, field: str) -> Floats:
        """Return one field of the running session's bar, as of the last bar that may be seen."""
        if field == "price":
            return np.asarray(self.window(columns, 1, field)[0])
        panel = self.panel
        if not panel.arrays:
            return np.empty(0)
        first = self.axis.first_of(self.axis.session_of(self.seen_r))
        if panel.low > first:
            panel.reach(self.seen_r, self.seen_r - first + 1)
            self._refresh()
        # A copy: the sums go on.
        return np.array(self._session.of(panel, first, self.seen_r)[field][columns])

    def index(self, bar_count: int) -> pd.DatetimeIndex:
        """Return the labels of the bars of `window`: their ends, in UTC."""
        return self.axis.ends_of(self.seen_r + 1 - bar_count, self.seen_r + 1)

    def last_traded(self, column: int) -> Any:
        """Return the end of the asset's last bar, in UTC, NaT when there is none."""
        import pandas as pd

        found = self.panel.last_trade(column, self.seen_r - self.panel.low)
        return pd.NaT if found is None else pd.Timestamp(found, unit="us", tz="UTC").as_unit("ns")
