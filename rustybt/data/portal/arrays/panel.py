"""Bars as (row x asset) arrays, a row a session, week or month: read once, grown when asked for more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import numpy as np

from rustybt.data.portal.arrays.adjustments import AssetEvents, HistoryEvent, lay_out, unadjust
from rustybt.data.portal.arrays.panel_assets import PanelAssets
from rustybt.data.portal.rows.placing import Rows, place_bars, side_by_side
from rustybt.data.portal.rows.venue_days import end_of_life, keeps_clock
from rustybt.market.bars import VALUE_COLUMNS
from rustybt.market.frequency import DAILY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from rustybt.data.portal.bar_provider import BarProvider, Floats
    from rustybt.data.portal.rows.session_axis import SessionAxis
    from rustybt.market.assets import Asset


#: Bars read in one go; the reader needs several times as much.
_READ_ROWS = 130_000


class BarPanel(PanelAssets):
    """Raw bars of the loaded assets on the rows of an axis of sessions, weeks or months.

    `arrays` holds open, high, low, close (NaN where no bar is), volume (0 there) and price: the close carried forward,
    adjusted when it crosses an ex-date, NaN before the first and after the last bar of the asset. `filled` is the close
    carried forward without adjustment, the base of adjusted prices in history.
    """

    def __init__(self, provider: BarProvider, axis: SessionAxis) -> None:
        super().__init__(provider, axis)
        self.arrays: dict[str, Floats] = {}
        self.filled: Floats = np.empty((0, 0))
        self.events: list[AssetEvents] = []

    def load(self, asset: Asset) -> int:
        """Return the column of `asset`, reading its bars and those of all expected assets if it is new."""
        found = self.columns.get(asset.sid)
        if found is not None:
            return found
        new = self._enlist(asset, len(self.axis.sessions) * 7 * 8)
        try:
            self._append(new)
        except BaseException:
            self._forget(new)
            raise
        self._reach_last_trades()
        return self.columns[asset.sid]

    def grow(self, before: int) -> bool:
        """Have at least `before` rows ahead of the simulation; return False when the calendar begins later."""
        held = self.axis.before
        enough = self.axis.grow(before)
        if self.axis.before != held:
            self.arrays, self.events, self.book, self.delisted = {}, [], {}, {}
            if self.assets:
                self._append(self.assets)
        return enough

    def _append(self, assets: Sequence[Asset]) -> None:
        """Read the bars of `assets` and set them as the next columns."""
        arrays = self._read(assets)
        actions = self.actions_of(assets)
        first = len(self.events)
        for i, asset in enumerate(assets):
            basis = self.basis(asset)
            if basis == "split_adjusted" and keeps_clock(asset, self.axis):
                column = unadjust({f: a[:, i] for f, a in arrays.items()}, self.axis.sessions, actions[asset.symbol])
                for name in VALUE_COLUMNS:
                    arrays[name][:, i] = column[name]
        close = arrays["close"]
        filled = _carry_forward(close)
        np.nan_to_num(arrays["volume"], copy=False, nan=0.0)
        price = filled.copy()
        for i, asset in enumerate(assets):
            events = lay_out(
                asset, first + i, actions[asset.symbol], self.basis(asset), self.axis, close[:, i], filled[:, i]
            )
            self.events.append(events)
            self._price_gaps(price[:, i], events.history)
            self.enter_in_book(asset, events.book)
            self._end_of_life(asset, filled[:, i], price[:, i])
        arrays["price"] = price
        if self.arrays and first:
            arrays = {f: np.concatenate((self.arrays[f], a), axis=1) for f, a in arrays.items()}
            filled = np.concatenate((self.filled, filled), axis=1)
        self.arrays, self.filled = arrays, filled

    def _read(self, assets: Sequence[Asset]) -> dict[str, Floats]:
        axis = self.axis
        first = axis.first_day
        if not all(keeps_clock(a, axis) for a in assets):
            # A bar of another venue may have ended after the close of the session before; a week began long before it.
            longer = axis.frequency.timedelta if axis.frequency != DAILY else timedelta(0)
            first = min(first, datetime.fromtimestamp(axis.begin / 1e6, tz=UTC).date() - longer)
        rows = Rows(axis.keys, axis.closes, axis.begin, axis.calendar.name, axis.frequency)
        arrays = {field: np.empty((len(axis.sessions), len(assets))) for field in VALUE_COLUMNS}
        # In the order of their symbols, as files are sorted, and never so many that reading needs far more than is kept.
        by_symbol = sorted(range(len(assets)), key=lambda i: assets[i].symbol)
        size = max(1, _READ_ROWS // len(axis.sessions))
        for at in range(0, len(assets), size):
            places = by_symbol[at : at + size]
            group = [assets[i] for i in places]
            block = self._provider.read_arrays(
                [a.symbol for a in group],
                start=first,
                end=_as_date(axis.sessions[-1]),
                fields=VALUE_COLUMNS,
                frequency=axis.frequency.name,
            )
            placed = place_bars(block, group, rows, self.restatings(group, lambda t: t + axis.before))
            columns = side_by_side(places)
            for field, values in placed.items():
                arrays[field][:, columns] = values
        return arrays

    def _price_gaps(self, price: Floats, events: Sequence[HistoryEvent]) -> None:
        """Adjust prices that are carried forward over an ex-date."""
        before = self.axis.before
        for event in events:
            if event.filled_stop > event.t:
                price[event.t + before : event.filled_stop + before] *= event.price_factor

    def _end_of_life(self, asset: Asset, *prices: Floats) -> None:
        if asset.last_session is not None:
            end = end_of_life(asset, asset.last_session, self.axis) + self.axis.before
            for price in prices:
                price[end:] = np.nan

    def _reach_last_trades(self) -> None:
        """Reach back until every asset that was listed has a last price in the first simulated session."""
        first = _as_date(self.axis.sessions[0])
        row = self.axis.before
        missing = [
            a
            for a in self.assets
            if a.first_session is not None
            and a.first_session < first
            and (a.last_session is None or a.last_session >= self.axis.start)
            and np.isnan(self.arrays["price"][row, self.columns[a.sid]])
        ]
        if missing and self.grow(2 * self.axis.before):
            self._reach_last_trades()


def _carry_forward(close: Floats) -> Floats:
    """Return `close` with each NaN replaced by the last value above it."""
    rows = np.arange(close.shape[0])[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(close), 0, rows), axis=0)
    filled: Floats = np.take_along_axis(close, last, axis=0)
    return filled


def _as_date(day: np.datetime64) -> date:
    return cast("date", day.item())
