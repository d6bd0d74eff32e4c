"""The bars of several bundles in one run, each with its own calendar."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rustybt.data.portal.providers.memory_bars import MemoryAssets, MemoryBlock, join_blocks
from rustybt.data.portal.providers.resampled_bars import ResampledBars
from rustybt.errors import RequestError, SymbolNotFoundError
from rustybt.market.bars import VALUE_COLUMNS
from rustybt.market.calendars import canonical_name
from rustybt.market.frequency import DAILY, FREQUENCIES
from rustybt.market.pin import Pin
from rustybt.market.quality_report import merge_reports
from rustybt.market.resample import base_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from rustybt.data.portal.bar_provider import BarProvider
    from rustybt.market.assets import Asset
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.quality_report import QualityReport


class CombinedBars:
    """Several providers of bars as one `BarProvider`: opened bundles, or bars in memory.

    Each asset keeps the calendar of its part, and longer bars are made in that calendar. The first part in which a sid occurs
    keeps it; other assets of the same sid get the next free ones, in the order of the parts and their symbols.

    Parameters
    ----------
    parts
        In the order that decides sids and the pin.

    Raises
    ------
    RequestError
        There is no part, a symbol is in two of them, or no frequency is common to all.
    """

    def __init__(self, parts: Sequence[BarProvider]) -> None:
        if not parts:
            raise RequestError("there are no bars to combine", hint="bundle=['us', 'crypto']")
        #: As they were given.
        self.parts: tuple[BarProvider, ...] = tuple(parts)
        self._names = [_name_of(part, at) for at, part in enumerate(self.parts, 1)]
        self._part_of = self._owners()
        #: All symbols, sorted.
        self.symbols: tuple[str, ...] = tuple(sorted(self._part_of))
        #: Those that every part has, or can be made into in every part; shortest first.
        self.frequencies: tuple[str, ...] = self._common_frequencies()
        self.assets = CombinedAssets(self.parts, self._names)
        # A part's longer bars are made of its sessions, not of those of the run's clock.
        self._readers = [ResampledBars(part, part.calendar_name) for part in self.parts]

    def _owners(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for at, part in enumerate(self.parts):
            for symbol in part.symbols:
                if symbol in found:
                    raise RequestError(
                        f"{symbol} is in {self._names[found[symbol]]} and in {self._names[at]}: it is not clear which is meant",
                        hint="a run takes each symbol from one bundle; ingest one of them without it",
                        symbol=symbol,
                    )
                found[symbol] = at
        return found

    def _common_frequencies(self) -> tuple[str, ...]:
        common = tuple(
            name
            for name, frequency in FREQUENCIES.items()
            if all(name in part.frequencies or base_of(frequency, part.frequencies) for part in self.parts)
        )
        if not common and any(part.frequencies for part in self.parts):
            held = "; ".join(
                f"{name} has {', '.join(part.frequencies) or 'none'}"
                for name, part in zip(self._names, self.parts, strict=True)
            )
            raise RequestError(
                f"no bars of one frequency can be made of all of these: {held}",
                hint="ingest bars of the same frequency, or finer ones",
            )
        return common

    @property
    def calendar_names(self) -> tuple[str, ...]:
        """The calendars of the parts by their own names, each once, in the order of the parts."""
        return tuple(dict.fromkeys(canonical_name(part.calendar_name) for part in self.parts))

    @property
    def calendar_name(self) -> str:
        """The one calendar of all parts.

        Raises
        ------
        RequestError
            They have several: which one drives a run has to be said.
        """
        names = self.calendar_names
        if len(names) > 1:
            raise RequestError(
                f"these bars follow several calendars: {', '.join(names)}; one of them, or another, must drive the run",
                hint=f"trading_calendar={names[0]!r} (on the command line: --calendar {names[0]})",
                calendars=list(names),
            )
        return self.parts[0].calendar_name

    @property
    def home(self) -> Path | None:
        """The home that holds all parts; None when some are in memory, or in another home."""
        homes = {getattr(part, "home", None) for part in self.parts}
        return homes.pop() if len(homes) == 1 else None

    @property
    def pin(self) -> Pin | None:
        """The pins of all parts as one; None when a part has none."""
        pins = [getattr(part, "pin", None) for part in self.parts]
        known = [pin for pin in pins if isinstance(pin, Pin)]
        return Pin.joined(known) if len(known) == len(pins) else None

    def quality(self) -> QualityReport | None:
        """Return the quality reports of the parts as one, None when no part has one."""
        found = [part.quality() for part in self.parts if callable(getattr(part, "quality", None))]  # type: ignore[attr-defined]
        reports = [report for report in found if report is not None]
        return merge_reports(reports) if reports else None

    def read_arrays(
        self,
        symbols: Sequence[str] | None = None,
        start: date | None = None,
        end: date | None = None,
        fields: Sequence[str] = VALUE_COLUMNS,
        frequency: str | None = None,
    ) -> MemoryBlock:
        """Return the bars of `symbols` from `start` to `end`, both included, whatever parts they are in.

        Parameters
        ----------
        frequency
            None is daily where all parts have it, or else the shortest that they have in common.

        Raises
        ------
        SymbolNotFoundError
            No part has such a symbol.
        """
        chosen = frequency or (DAILY.name if DAILY.name in self.frequencies else self.frequencies[0])
        blocks = [
            self._readers[at].read_arrays(group, start=start, end=end, fields=fields, frequency=chosen)
            for at, group in self._by_part(self.symbols if symbols is None else symbols).items()
        ]
        return join_blocks(blocks, fields)

    def _by_part(self, symbols: Iterable[str]) -> dict[int, list[str]]:
        groups: dict[int, list[str]] = {}
        for symbol in dict.fromkeys(symbols):
            at = self._part_of.get(symbol)
            if at is None:
                raise _not_found(symbol, self.symbols, self._names)
            groups.setdefault(at, []).append(symbol)
        return groups

    def corporate_actions(
        self, symbols: Sequence[str] | None = None, known_at: int | None = None
    ) -> list[CorporateAction]:
        """Return the events in force of all parts, sorted by ex-date."""
        groups = self._by_part(self.symbols if symbols is None else symbols)
        found = [a for at, group in groups.items() for a in self.parts[at].corporate_actions(group, known_at=known_at)]
        return sorted(found, key=lambda action: action.ex_date)

    def price_basis(self, symbol: str) -> str:
        """Return how the prices that a symbol's part stores are adjusted."""
        (at,) = self._by_part([symbol])
        return self.parts[at].price_basis(symbol)


class CombinedAssets:
    """Finds the assets of several providers.

    Parameters
    ----------
    parts
        The providers; no two of them have a symbol in common.
    names
        What messages call them.
    """

    def __init__(self, parts: Sequence[BarProvider], names: Sequence[str]) -> None:
        self._parts = parts
        self._names = names
        self._by_symbol = _numbered([_assets_of(part) for part in parts])
        self._by_sid = MemoryAssets(self._by_symbol.values())

    @property
    def sids(self) -> tuple[int, ...]:
        """All sids, rising."""
        return self._by_sid.sids

    def lookup_symbol(self, symbol: str, as_of_date: Any = None) -> Asset:
        """Return the asset that bore `symbol` on the date, in whatever part.

        Raises
        ------
        SymbolNotFoundError
            No part knows it; the hint lists near ones of all parts.
        RequestError
            Two parts know it, for it is another name of an asset in one of them.
        """
        found: dict[str, str] = {}
        for part, name in zip(self._parts, self._names, strict=True):
            try:
                found[part.assets.lookup_symbol(symbol, as_of_date).symbol] = name
            except SymbolNotFoundError:
                continue
        if not found:
            raise _not_found(symbol, sorted(self._by_symbol), self._names)
        if len(found) > 1:
            said = " and ".join(f"{canonical} in {name}" for canonical, name in found.items())
            raise RequestError(
                f"{symbol} is {said}: it is not clear which is meant",
                hint=f"write {' or '.join(sorted(set(found) - {symbol}) or found)}",
                symbol=symbol,
            )
        return self._by_symbol[next(iter(found))]

    def lookup_symbols(self, symbols: Sequence[str], as_of_date: Any = None) -> list[Asset]:
        """Return the asset of each symbol, in the same order."""
        return [self.lookup_symbol(symbol, as_of_date) for symbol in symbols]

    def retrieve_asset(self, sid: int) -> Asset:
        """Return the asset of `sid`.

        Raises
        ------
        SymbolNotFoundError
            No such sid.
        """
        return self._by_sid.retrieve_asset(sid)

    def retrieve_all(self, sids: Iterable[int] | None = None) -> list[Asset]:
        """Return the assets of `sids` in that order, all of them by sid when None."""
        return self._by_sid.retrieve_all(self.sids if sids is None else sids)


def _name_of(part: BarProvider, number: int) -> str:
    return str(getattr(part, "reference", f"part {number} (bars in memory)"))


def _assets_of(part: BarProvider) -> dict[str, Asset]:
    sids = getattr(part.assets, "sids", None)
    # By sid where they can be listed: a symbol may be another asset's former name.
    if sids is None:
        return {symbol: part.assets.lookup_symbol(symbol) for symbol in part.symbols}
    return {asset.symbol: asset for asset in part.assets.retrieve_all(sids)}


def _numbered(parts: Sequence[Mapping[str, Asset]]) -> dict[str, Asset]:
    """Return the assets of all parts by symbol, each with a sid of its own."""
    free = max((asset.sid for part in parts for asset in part.values()), default=-1) + 1
    taken: set[int] = set()
    found: dict[str, Asset] = {}
    for part in parts:
        for symbol, asset in sorted(part.items()):
            kept = asset
            if asset.sid in taken:
                kept = replace(asset, sid=free)
                free += 1
            taken.add(kept.sid)
            found[symbol] = kept
    return found


def _not_found(symbol: str, known: Sequence[str], names: Sequence[str]) -> SymbolNotFoundError:
    near = difflib.get_close_matches(str(symbol).upper(), known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"they have {', '.join(known[:10])}"
    return SymbolNotFoundError(f"no symbol {symbol!r} in {', '.join(names)}", hint=hint, symbol=symbol, similar=near)
