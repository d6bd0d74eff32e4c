"""Bars as (session x asset) arrays: read once, grown when asked for more."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from rustybt.data.portal.adjustments import ADJUSTED_BASES, AssetEvents, BookEvent, HistoryEvent, lay_out, unadjust
from rustybt.errors import RequestError
from rustybt.market.bars import VALUE_COLUMNS
from rustybt.market.request import DAY_MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from rustybt.data.portal.bar_provider import BarProvider, Floats, Integers
    from rustybt.data.portal.session_axis import SessionAxis
    from rustybt.market.assets import Asset
    from rustybt.market.corporate_actions import CorporateAction

#: Above this many bytes a panel loads only the assets that were asked for, else all once it was surprised twice.
_LOAD_ALL_BYTES = 256 * 2**20


class BarPanel:
    """Raw bars of the loaded assets on the rows of an axis.

    `arrays` holds open, high, low, close (NaN where no bar is), volume (0 there) and price: the close carried forward,
    adjusted when it crosses an ex-date, NaN before the first and after the last bar of the asset. `filled` is the close
    carried forward without adjustment, the base of adjusted prices in history.
    """

    def __init__(self, provider: BarProvider, axis: SessionAxis, frequency: str = "1d") -> None:
        self._provider = provider
        self._frequency = frequency
        self.axis = axis
        self.assets: list[Asset] = []
        self.columns: dict[int, int] = {}
        self.arrays: dict[str, Floats] = {}
        self.filled: Floats = np.empty((0, 0))
        self.events: list[AssetEvents] = []
        #: What changes the book, and which assets have had their last session, by session of the simulation.
        self.book: dict[int, list[BookEvent]] = {}
        self.delisted: dict[int, list[Asset]] = {}
        self._bases: dict[int, str] = {}
        self._expected: dict[int, Asset] = {}
        self._surprises = 0

    def expect(self, asset: Asset) -> None:
        """Note that the asset will be asked for, so that it is read together with others."""
        self._expected.setdefault(asset.sid, asset)

    def load(self, asset: Asset) -> int:
        """Return the column of `asset`, reading its bars and those of all expected assets if it is new."""
        found = self.columns.get(asset.sid)
        if found is not None:
            return found
        self.expect(asset)
        self._surprises += 1
        if self._surprises > 2 and self._size_of_all() <= _LOAD_ALL_BYTES:
            lookup = self._provider.assets
            for symbol in self._provider.symbols:
                self.expect(lookup.lookup_symbol(symbol))
        new = [a for sid, a in self._expected.items() if sid not in self.columns]
        self.assets += new
        self.columns.update({a.sid: i for i, a in enumerate(self.assets)})
        self._append(new)
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

    def _size_of_all(self) -> int:
        return len(self._provider.symbols) * len(self.axis.sessions) * 7 * 8

    def _append(self, assets: Sequence[Asset]) -> None:
        """Read the bars of `assets` and set them as the next columns."""
        arrays = self._read(assets)
        actions = self._actions_of(assets)
        first = len(self.events)
        for i, asset in enumerate(assets):
            basis = self.basis(asset)
            if basis == "split_adjusted":
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
            for event in events.book:
                self.book.setdefault(event.t, []).append(event)
            self._end_of_life(asset, filled[:, i], price[:, i])
        arrays["price"] = price
        if self.arrays and first:
            arrays = {f: np.concatenate((self.arrays[f], a), axis=1) for f, a in arrays.items()}
            filled = np.concatenate((self.filled, filled), axis=1)
        self.arrays, self.filled = arrays, filled

    def _read(self, assets: Sequence[Asset]) -> dict[str, Floats]:
        sessions = self.axis.sessions
        shape = (len(sessions), len(assets))
        arrays = {field: np.full(shape, np.nan) for field in VALUE_COLUMNS}
        block = self._provider.read_arrays(
            [a.symbol for a in assets],
            start=_as_date(sessions[0]),
            end=_as_date(sessions[-1]),
            fields=VALUE_COLUMNS,
            frequency=self._frequency,
        )
        labels: Integers = sessions.astype(np.int64) * DAY_MICROSECONDS
        rows = np.minimum(np.searchsorted(labels, block.timestamps), len(labels) - 1)
        place = {a.symbol: i for i, a in enumerate(assets)}
        columns = np.array([place[s] for s in block.symbols], dtype=np.int64)[block.symbol_codes]
        # Bars off the calendar's sessions have no row: ingest has reported them.
        held = labels[rows] == block.timestamps
        rows, columns = rows[held], columns[held]
        for field, array in arrays.items():
            array[rows, columns] = block.values[field][held]
        return arrays

    def _actions_of(self, assets: Sequence[Asset]) -> dict[str, list[CorporateAction]]:
        by_symbol: dict[str, list[CorporateAction]] = {a.symbol: [] for a in assets}
        currency = {a.symbol: a.currency for a in assets}
        for action in self._provider.corporate_actions(list(by_symbol)):
            if action.kind == "cash_dividend" and action.currency not in (None, currency[action.symbol]):
                raise RequestError(
                    f"{action.symbol} trades in {currency[action.symbol]} but pays {action.currency} on {action.ex_date}",
                    hint="one run trades one currency: convert the dividend before ingest",
                    symbol=action.symbol,
                )
            by_symbol[action.symbol].append(action)
        return by_symbol

    def basis(self, asset: Asset) -> str:
        """Return how the asset's stored prices are adjusted."""
        if asset.sid not in self._bases:
            self._bases[asset.sid] = self._provider.price_basis(asset.symbol)
        return self._bases[asset.sid]

    @property
    def unadjustable(self) -> list[Asset]:
        """Loaded assets whose corporate actions are not applied, because their basis already holds them or is unknown."""
        return [a for a in self.assets if self.basis(a) not in ADJUSTED_BASES]

    @property
    def unapplied(self) -> list[CorporateAction]:
        """Events of the loaded assets, on the rows read, that change neither prices nor the book: spin-offs.

        Those of `unadjustable` assets are not among them.
        """
        names = [a.symbol for a in self.assets if self.basis(a) in ADJUSTED_BASES]
        events = self._provider.corporate_actions(names) if names else []
        spin_offs = [a for a in events if a.kind == "spin_off"]
        return [a for a in spin_offs if -self.axis.before < self.axis.t_of(a.ex_date) < self.axis.length]

    def _price_gaps(self, price: Floats, events: Sequence[HistoryEvent]) -> None:
        """Adjust prices that are carried forward over an ex-date."""
        before = self.axis.before
        for event in events:
            if event.filled_stop > event.t:
                price[event.t + before : event.filled_stop + before] *= event.price_factor

    def _end_of_life(self, asset: Asset, *prices: Floats) -> None:
        if asset.last_session is not None:
            end = self.axis.row_of_day(asset.last_session) + 1
            self.delisted.setdefault(end - self.axis.before, []).append(asset)
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
