"""What the portal needs of a store of bars: a bundle keeps this protocol, and so do bars in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from rustybt.market.assets import Asset
    from rustybt.market.corporate_actions import CorporateAction

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


class BarBlock(Protocol):
    """Bars as arrays, one row a bar, sorted by (symbol, timestamp)."""

    @property
    def timestamps(self) -> Integers:
        """Labels, microseconds since 1970 UTC: the session's date at 00:00 for daily bars."""
        ...

    @property
    def symbol_codes(self) -> npt.NDArray[np.int32]:
        """Positions in `symbols`."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """Sorted symbols."""
        ...

    @property
    def values(self) -> Mapping[str, Floats]:
        """Field to values, correctly rounded."""
        ...


class AssetLookup(Protocol):
    """Finds assets by symbol and by sid."""

    def lookup_symbol(self, symbol: str, as_of_date: Any = None) -> Asset:
        """Return the asset that bore `symbol` on the date; SymbolNotFoundError with near matches otherwise."""
        ...

    def retrieve_asset(self, sid: int) -> Asset:
        """Return the asset of `sid`."""
        ...

    def retrieve_all(self, sids: Iterable[int]) -> list[Asset]:
        """Return the assets of `sids`, in that order."""
        ...


class BarProvider(Protocol):
    """One immutable version of bars with its assets and corporate actions."""

    @property
    def calendar_name(self) -> str:
        """Calendar whose sessions the bars follow."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, sorted."""
        ...

    @property
    def frequencies(self) -> tuple[str, ...]:
        """Frequencies of the stored bars."""
        ...

    @property
    def assets(self) -> AssetLookup:
        """The asset finder."""
        ...

    def read_arrays(
        self,
        symbols: Sequence[str] | None = None,
        start: date | None = None,
        end: date | None = None,
        fields: Sequence[str] = (),
        frequency: str | None = None,
    ) -> BarBlock:
        """Return the bars of `symbols` from `start` to `end`, whole sessions, both included."""
        ...

    def corporate_actions(
        self, symbols: Sequence[str] | None = None, known_at: int | None = None
    ) -> list[CorporateAction]:
        """Return the events in force."""
        ...

    def price_basis(self, symbol: str) -> str:
        """Return how the stored prices are adjusted, one of `PRICE_BASES`."""
        ...
