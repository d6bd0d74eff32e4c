"""Daily and longer bars, adjusted as of a clock that counts sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.data.portal.arrays.as_of_array import AsOfArray
from rustybt.data.portal.arrays.panel import BarPanel
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

    from rustybt.data.portal.arrays.adjustments import HistoryEvent
    from rustybt.data.portal.bar_provider import BarProvider, Floats, Integers
    from rustybt.data.portal.rows.session_axis import SessionAxis
    from rustybt.market.assets import Asset


class SessionFeed:
    """Bars of sessions, weeks or months as of a clock.

    Parameters
    ----------
    bars
        Where bars are read from when first asked for.
    axis
        The rows; their frequency is that of the bars.

    Attributes
    ----------
    now_t, seen_t
        Session of the clock and last session that may be seen, counted from the first; `now_t` is None outside a run.
    row, spot
        Row of the last session that may be seen, and the arrays to read it from.
    """

    def __init__(self, bars: BarProvider, axis: SessionAxis) -> None:
        self.axis = axis
        self.panel = BarPanel(bars, axis)
        self.now_t: int | None = None
        self.seen_t = axis.length - 1
        self.row = axis.before + self.seen_t
        self.spot: dict[str, Floats] = self.panel.arrays
        self._as_of: dict[str, AsOfArray] = {}

    # The clock -----------------------------------------------------------------------------------------------------

    def set_clock(self, now_t: int | None, seen_t: int) -> None:
        """Move the clock to session `now_t`, None outside a run, of which `seen_t` is the last one whose bars are known.

        Before the session's first bar `seen_t` is ``now_t - 1``, and prices are adjusted for what happens in `now_t`.
        """
        self.now_t, self.seen_t = now_t, seen_t
        self.refresh()

    def refresh(self) -> None:
        """Find the arrays to read from anew, after the clock or the arrays have moved."""
        self.row = self.axis.before + self.seen_t
        now = self._now()
        if self.row < 0:
            # The calendar begins with the run: nothing is known before its first bar.
            self.row, self.spot = 0, nothing_known(len(self.panel.assets))
        elif now == self.seen_t or not self.panel.arrays:
            self.spot = self.panel.arrays
        else:
            self.spot = {field: self._adjusted(field).at(now, 2) for field in FIELDS}

    @property
    def sessions(self) -> SessionAxis:
        """The rows."""
        return self.axis

    @property
    def position(self) -> int:
        """The last session that may be seen."""
        return self.seen_t

    def _now(self) -> int:
        return self.seen_t if self.now_t is None else self.now_t

    def place_of(self, stamp: pd.Timestamp) -> int:
        """Return the count of the last session that is complete at `stamp` (UTC); midnight means that date's session.

        Raises
        ------
        LookaheadError
            In a run, that session has not closed yet.
        """
        while (row := self._row_of(stamp)) < 0:
            self.reach(self.axis.before + 1, f"{stamp}")
        t = row - self.axis.before
        if self.now_t is not None and t > self.seen_t:
            refuse_lookahead(stamp, self.axis.sessions[self.row], "session")
        return t

    def _row_of(self, stamp: pd.Timestamp) -> int:
        if stamp == stamp.normalize():
            return self.axis.row_of_day(stamp.date())
        return int(np.searchsorted(self.axis.closes, microseconds_of(stamp), side="right")) - 1

    # Columns -------------------------------------------------------------------------------------------------------

    def column(self, asset: Asset) -> int:
        """Return the column of the asset, loading its bars if they are not.

        Raises
        ------
        RequestError
            `asset` is not an asset.
        """
        known = self.panel.columns.get(check_asset(asset).sid)
        if known is not None:
            check_same(self.panel.assets[known], asset)
            return known
        column = self.panel.load(asset)
        self._as_of.clear()
        self.refresh()
        self.panel.warn_of_bases()
        return column

    def columns(self, assets: Sequence[Asset]) -> slice | Integers:
        """Return the assets' columns, as a slice where they lie side by side."""
        for asset in assets:
            self.panel.expect(check_asset(asset))
        return side_by_side([self.column(asset) for asset in assets])

    # Reading -------------------------------------------------------------------------------------------------------

    def window(self, columns: slice | Integers, bar_count: int, field: str, end_t: int | None = None) -> Floats:
        """Return a new array of the last `bar_count` sessions up to `end_t`, by default the last one that may be seen.

        Returns
        -------
        array, shape (bar_count, n_assets)
            Adjusted as of the clock when it ends at the last seen session, else as of its own end. NaN (volume: 0)
            where no bar is.

        Raises
        ------
        RequestError
            Unknown field, `bar_count` below 1, or the calendar knows no session that long ago.
        """
        check_window(bar_count, field)
        end = self.seen_t if end_t is None else end_t
        as_of = self._now() if end == self.seen_t else end
        self.reach(bar_count - end - 1, f"a window of {bar_count} sessions")
        stop = end + self.axis.before + 1
        if not self.panel.arrays:
            return np.empty((bar_count, 0))
        array = self._adjusted(field).at(as_of, bar_count + 1)[stop - bar_count : stop]
        return array[:, columns].copy() if isinstance(columns, slice) else array.take(columns, axis=1)

    def reach(self, before: int, what: str) -> None:
        """Have so many sessions ahead of the simulation; RequestError where the calendar begins later."""
        if before <= self.axis.before:
            return
        enough = self.panel.grow(before)
        self._as_of.clear()
        self.refresh()
        if not enough:
            refuse_depth(self.axis, what)

    def index(self, bar_count: int, end_t: int | None = None) -> pd.DatetimeIndex:
        """Return the labels of the sessions of `window`: naive midnights."""
        stop = (self.seen_t if end_t is None else end_t) + self.axis.before + 1
        return self.axis.index[stop - bar_count : stop]

    def _adjusted(self, field: str) -> AsOfArray:
        found = self._as_of.get(field)
        if found is None:
            raw = self.panel.filled if field == "price" else self.panel.arrays[field]
            found = self._as_of[field] = AsOfArray(raw, self._history_events(), field, self.axis.before)
        return found

    def _history_events(self) -> list[HistoryEvent]:
        events = [e for of_asset in self.panel.events for e in of_asset.history]
        return sorted(events, key=lambda e: (e.t, e.column))

    def last_traded(self, column: int) -> Any:
        """Return the label of the asset's last session with a bar, NaT when there is none."""
        import pandas as pd

        traded = np.flatnonzero(~np.isnan(self.panel.arrays["close"][: self.axis.before + self.seen_t + 1, column]))
        if traded.size:
            return self.axis.index[traded[-1]]
        last = self.panel.assets[column].last_session
        # What is listed has a price on the axis; what ended before it has its last bar in its last session.
        return pd.Timestamp(last).as_unit("ns") if last is not None and last < self.axis.first_day else pd.NaT
