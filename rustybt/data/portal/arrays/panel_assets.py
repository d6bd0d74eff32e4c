"""The assets of a panel: which column each one has, what happens to them, and how their prices are adjusted."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from rustybt.data.portal.arrays.adjustments import ADJUSTED_BASES, BookEvent
from rustybt.data.portal.rows.venue_days import Restating, end_of_life, keeps_clock, session_of_event
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rustybt.data.portal.bar_provider import BarProvider
    from rustybt.data.portal.rows.session_axis import SessionAxis
    from rustybt.market.assets import Asset
    from rustybt.market.corporate_actions import CorporateAction

#: A panel of so many bytes loads all assets of its provider once it was surprised twice by one that nobody had named.
LOAD_ALL_BYTES = 256 * 2**20
_WHY = {
    "split_dividend_adjusted": "their prices already hold splits and dividends, so none is booked",
    "unknown": "it is not known how their prices are adjusted, so no split or dividend is applied",
}


class PanelAssets:
    """What all panels know of their assets.

    Attributes
    ----------
    assets, columns
        Loaded assets in the order of their columns, and the column of each sid.
    book, delisted
        What changes the book, and which assets have had their last session, by session of the simulation.
    """

    def __init__(self, provider: BarProvider, axis: SessionAxis) -> None:
        self._provider = provider
        self.axis = axis
        self.assets: list[Asset] = []
        self.columns: dict[int, int] = {}
        self.book: dict[int, list[BookEvent]] = {}
        self.delisted: dict[int, list[Asset]] = {}
        self._bases: dict[int, str] = {}
        self._expected: dict[int, Asset] = {}
        self._surprises = 0
        self._warned: set[str] = set()

    def expect(self, asset: Asset) -> None:
        """Note that the asset will be asked for, so that it is read together with others."""
        self._expected.setdefault(asset.sid, asset)

    def _enlist(self, asset: Asset, bytes_per_asset: int) -> list[Asset]:
        """Give columns to `asset` and all others that are expected and have none; return them."""
        self.expect(asset)
        self._surprises += 1
        if self._surprises > 2 and len(self._provider.symbols) * bytes_per_asset <= LOAD_ALL_BYTES:
            lookup = self._provider.assets
            for symbol in self._provider.symbols:
                self.expect(lookup.lookup_symbol(symbol))
        new = [a for sid, a in self._expected.items() if sid not in self.columns]
        self.assets += new
        self.columns.update({a.sid: i for i, a in enumerate(self.assets)})
        return new

    def _forget(self, assets: Sequence[Asset]) -> None:
        """Take back the columns of the last assets, whose bars could not be read: an error must not look like no bars."""
        del self.assets[len(self.assets) - len(assets) :]
        for asset in assets:
            self.columns.pop(asset.sid, None)

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

    def actions_of(self, assets: Sequence[Asset]) -> dict[str, list[CorporateAction]]:
        """Return the events in force by symbol.

        Raises
        ------
        RequestError
            A dividend is paid in another currency than the asset trades in.
        """
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

    def enter_in_book(self, asset: Asset, events: Iterable[BookEvent]) -> None:
        """Note what changes the book of a holder of `asset`, and the session after its last."""
        for event in events:
            self.book.setdefault(event.t, []).append(event)
        if asset.last_session is not None:
            self.delisted.setdefault(end_of_life(asset, asset.last_session, self.axis), []).append(asset)

    def restatings(
        self, assets: Sequence[Asset], row_of: Callable[[int], int], *, in_bars: bool = False
    ) -> dict[str, Restating]:
        """Return how bars of other venues are brought to the shares of the rows that they are joined into, by symbol.

        Parameters
        ----------
        row_of
            Returns the first row of a session `t`.
        in_bars
            Whether rows are intraday bars.
        """
        foreign = [a for a in assets if self.basis(a) in ADJUSTED_BASES and not keeps_clock(a, self.axis)]
        actions = self.actions_of(foreign) if foreign else {}
        found = {}
        for asset in foreign:
            restated = [action for action in actions[asset.symbol] if action.price_factor != 1]
            sessions = [session_of_event(asset, action.ex_date, self.axis, in_bars=in_bars) for action in restated]
            if restated:
                is_adjusted = self.basis(asset) == "split_adjusted"
                found[asset.symbol] = Restating(restated, [row_of(t) for t in sessions], is_adjusted)
        return found

    def warn_of_bases(self) -> None:
        """Warn once of each price basis that lets no event be applied."""
        for basis, why in _WHY.items():
            names = [a.symbol for a in self.unadjustable if self.basis(a) == basis]
            if names and basis not in self._warned:
                self._warned.add(basis)
                more = ", ..." if len(names) > 5 else ""
                warnings.warn(f"{', '.join(names[:5])}{more}: price basis {basis!r}; {why}", UserWarning, stacklevel=2)
