"""Bars held in memory, served like a bundle: for frames, for sources without a bundle, and for tests."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rustybt.errors import RequestError, SymbolNotFoundError
from rustybt.market.assets import Asset, AssetAttributes
from rustybt.market.bars import VALUE_COLUMNS, check_bars
from rustybt.market.corporate_actions import CorporateAction, in_force
from rustybt.market.request import DAY_MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from rustybt.data.portal.bar_provider import Floats, Integers

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class MemoryBlock:
    """Bars as arrays; see `BarBlock`."""

    timestamps: Integers
    symbol_codes: npt.NDArray[np.int32]
    symbols: tuple[str, ...]
    values: dict[str, Floats]


class MemoryAssets:
    """Assets of bars in memory: sids count from 0 in the order of the sorted symbols."""

    def __init__(self, assets: Iterable[Asset]) -> None:
        self._by_sid = {asset.sid: asset for asset in assets}
        self._by_symbol = {asset.symbol: asset for asset in self._by_sid.values()}

    @property
    def sids(self) -> tuple[int, ...]:
        """All sids, rising."""
        return tuple(sorted(self._by_sid))

    def lookup_symbol(self, symbol: str, as_of_date: Any = None) -> Asset:  # noqa: ARG002 - one listing per symbol
        """Return the asset named `symbol`.

        Raises
        ------
        SymbolNotFoundError
            No such symbol; the hint lists near ones.
        """
        found = self._by_symbol.get(symbol) or self._by_symbol.get(symbol.upper())
        if found is None:
            near = difflib.get_close_matches(symbol.upper(), self._by_symbol, n=3)
            hint = f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(sorted(self._by_symbol)[:10])}"
            raise SymbolNotFoundError(f"no symbol {symbol!r} in these bars", hint=hint, symbol=symbol)
        return found

    def retrieve_asset(self, sid: int) -> Asset:
        """Return the asset of `sid`.

        Raises
        ------
        SymbolNotFoundError
            No such sid.
        """
        found = self._by_sid.get(sid)
        if found is None:
            raise SymbolNotFoundError(f"no asset has the sid {sid}", sid=sid)
        return found

    def retrieve_all(self, sids: Iterable[int]) -> list[Asset]:
        """Return the assets of `sids`, in that order."""
        return [self.retrieve_asset(sid) for sid in sids]


class MemoryBars:
    """A frame of the bar contract as a `BarProvider`.

    Parameters
    ----------
    bars
        Contract frame of one frequency.
    actions
        Corporate actions of its symbols.
    attributes
        Attributes by symbol; the default is an equity.
    """

    def __init__(
        self,
        bars: pl.DataFrame,
        *,
        actions: Sequence[CorporateAction] = (),
        price_basis: str = "raw",
        calendar_name: str = "XNYS",
        frequency: str = "1d",
        attributes: Mapping[str, AssetAttributes] | None = None,
    ) -> None:
        self._bars = check_bars(bars)
        self._actions = list(actions)
        self._price_basis = price_basis
        self.calendar_name = calendar_name
        self.frequencies = (frequency,)
        attributes = attributes or {}
        spans = bars.group_by("symbol").agg(
            pl.col("timestamp").min().alias("first"), pl.col("timestamp").max().alias("last")
        )
        spans = spans.sort("symbol")
        self.symbols: tuple[str, ...] = tuple(spans["symbol"])
        self.assets = MemoryAssets(
            Asset(sid, symbol, calendar_name, first.date(), last.date(), attributes.get(symbol, AssetAttributes()))
            for sid, (symbol, first, last) in enumerate(spans.iter_rows())
        )

    def read_arrays(
        self,
        symbols: Sequence[str] | None = None,
        start: date | None = None,
        end: date | None = None,
        fields: Sequence[str] = VALUE_COLUMNS,
        frequency: str | None = None,
    ) -> MemoryBlock:
        """Return the bars of `symbols` from `start` to `end`, both included.

        Raises
        ------
        RequestError
            The bars are of another frequency.
        """
        if frequency not in (None, *self.frequencies):
            raise RequestError(f"these bars are of frequency {self.frequencies[0]}, not {frequency}")
        chosen = self._bars
        if symbols is not None:
            chosen = chosen.filter(pl.col("symbol").is_in(list(symbols)))
        if start is not None:
            chosen = chosen.filter(pl.col("timestamp") >= _midnight(start))
        if end is not None:
            chosen = chosen.filter(pl.col("timestamp") < _midnight(date.fromordinal(end.toordinal() + 1)))
        names = tuple(chosen["symbol"].unique().sort())
        codes = chosen["symbol"].replace_strict({n: i for i, n in enumerate(names)}, return_dtype=pl.Int32)
        return MemoryBlock(
            timestamps=chosen["timestamp"].to_physical().to_numpy(),
            symbol_codes=codes.to_numpy().astype(np.int32),
            symbols=names,
            # Through the decimal's text: the one conversion that is sure to round correctly.
            values={f: chosen[f].cast(pl.String).cast(pl.Float64).to_numpy() for f in fields},
        )

    def corporate_actions(
        self, symbols: Sequence[str] | None = None, known_at: int | None = None
    ) -> list[CorporateAction]:
        """Return the events in force, sorted by ex-date."""
        held = in_force(self._actions, known_at)
        return held if symbols is None else [a for a in held if a.symbol in set(symbols)]

    def price_basis(self, symbol: str) -> str:  # noqa: ARG002 - one basis for all bars in memory
        """Return the price basis of the frame."""
        return self._price_basis


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def day_microseconds(day: date) -> int:
    """Return the label of `day`'s daily bar."""
    return (day - _EPOCH).days * DAY_MICROSECONDS
