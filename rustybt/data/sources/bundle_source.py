"""Bars of a bundle as a source: the same bars, events and assets, wherever a `DataSource` is asked for."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from rustybt.data.sources.base import DataSource, Progress, Symbols
from rustybt.data.sources.bundle_part import BundlePart, ReadsBars
from rustybt.data.sources.delivery import Delivery, join_deliveries
from rustybt.errors import RequestError, SymbolNotFoundError
from rustybt.market.bars import concat_bars
from rustybt.market.frequency import FREQUENCIES, Frequency
from rustybt.market.provenance import SourceMetadata
from rustybt.market.resample import base_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    import polars as pl

    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.bundles.store import BundleStore
    from rustybt.market.request import BarRequest


class OpensBundles(Protocol):
    """The part of a store that is used here."""

    def open(self, reference: str) -> Bundle:
        """Return the version that `reference` names."""
        ...


class BundleDataSource(DataSource):
    """Bars of a bundle, with its corporate actions, price bases and assets.

    Frequencies that are not stored are made of shorter bars. Give one or two readers, or name a bundle; `from_bundle` takes
    either. A run on such a source reads the bundle itself, so that its result is that of ``bundle=`` and carries the same pin.

    Parameters
    ----------
    daily_reader
        An opened bundle, or any object with ``read(symbols, start, end, frequency)`` that returns contract bars; daily and
        longer bars are its.
    minute_reader
        The same for intraday bars. Without one of the two readers, the other serves all that it has.
    bundle
        Reference instead of readers: ``us``, ``us@3``, ``us@TAG``, ``us@sha256:PREFIX``.
    home
        Home of the bundle; None is the configured one.
    store
        An opened store to look the bundle up in, instead of `home`; it is left open.

    Raises
    ------
    RequestError
        Neither a reader nor a bundle is given, or both.
    BundleNotFoundError, VersionNotFoundError
        There is no such bundle or version.
    """

    name: ClassVar[str] = "bundle"
    is_local: ClassVar[bool] = True

    def __init__(
        self,
        daily_reader: ReadsBars | None = None,
        minute_reader: ReadsBars | None = None,
        *,
        bundle: str | None = None,
        home: str | os.PathLike[str] | None = None,
        store: OpensBundles | None = None,
    ) -> None:
        readers = [reader for reader in (daily_reader, minute_reader) if reader is not None]
        if bool(readers) == (bundle is not None):
            raise RequestError(
                "a bundle source takes either readers or the name of a bundle",
                hint='BundleDataSource.from_bundle("us"), or get_source("bundle", bundle="us")',
            )
        self._daily, self._minute = daily_reader, minute_reader
        self._asked = bundle
        self._home, self._given_store = home, store
        self._store: BundleStore | None = None
        self._opened: Bundle | None = None
        #: The version that was opened first: it is served as long as the source lives.
        self._exact: str | None = None
        self._opening = threading.RLock()
        if bundle is not None:
            self._open()

    @classmethod
    def from_bundle(cls, reference_or_bundle: str | Bundle, store: OpensBundles | None = None) -> Self:
        """Return a source of an opened bundle, or of the one that a reference names.

        Parameters
        ----------
        store
            Where a reference is looked up; None is the configured home. It is left open.

        Raises
        ------
        BundleNotFoundError, VersionNotFoundError
            There is no such bundle or version.
        """
        if isinstance(reference_or_bundle, str):
            return cls(bundle=reference_or_bundle, store=store)
        return cls(reference_or_bundle)

    # -- what it says of itself --------------------------------------------------------------------------------------

    def get_metadata(self) -> SourceMetadata:
        """Return which version this is; `data_version` is its content hash, feed and adjustment are those of its ingest."""
        bundles = [part.bundle for part in self._parts() if part.bundle is not None]
        first = bundles[0].provenance if bundles else None
        return SourceMetadata(
            source_type=self.name,
            source_url="+".join(bundle.reference for bundle in bundles) or "reader",
            data_version="+".join(bundle.content_hash for bundle in bundles),
            feed="" if first is None else first.feed,
            adjustment="" if first is None else first.adjustment,
        )

    def supports_live(self) -> bool:
        """Return False: a bundle does not stream."""
        return False

    def options(self) -> dict[str, Any]:
        """Return the bundle as it was named, else its exact version; nothing for two readers, or one that is no bundle."""
        parts = self._parts()
        bundle = parts[0].bundle
        if len(parts) > 1 or bundle is None:
            return {}
        from rustybt.config import load_settings

        found: dict[str, Any] = {"bundle": self._asked or bundle.reference}
        if bundle.home != load_settings().home.expanduser().absolute():
            found["home"] = str(bundle.home)
        return found

    def calendar_name(self) -> str | None:
        """Return the calendar of the bundle, None where a reader has none."""
        return next((part.calendar_name for part in self._parts() if part.calendar_name is not None), None)

    def list_symbols(self) -> list[str]:
        """Return every symbol of the bundle, sorted.

        Raises
        ------
        RequestError
            A reader does not say which it has.
        """
        named = [part.symbols for part in self._parts()]
        if any(symbols is None for symbols in named):
            return super().list_symbols()
        return sorted({symbol for symbols in named for symbol in symbols or ()})

    def opened_bundle(self, frequency: str | Frequency = "1d") -> Bundle | None:
        """Return the bundle that a run on bars of `frequency` can read instead of asking this source; see `DataSource`."""
        parts = self._parts()
        if len(parts) == 1:
            return parts[0].bundle
        wanted = Frequency.parse(frequency)
        # Minutes of one bundle with days of another are no bundle's bars.
        return None if wanted.is_intraday else parts[0].bundle

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.get_metadata().source_url})"

    # -- bars --------------------------------------------------------------------------------------------------------

    def request(
        self, symbols: Symbols | None, start: Any = None, end: Any = None, frequency: str | Frequency = "1d"
    ) -> BarRequest:
        """Return the parsed request, with the canonical symbols of other names that hold today; see `DataSource.request`."""
        asked = super().request(symbols, start, end, frequency)
        part, _ = self._serving(asked.frequency)
        return replace(asked, symbols=tuple(dict.fromkeys(map(part.canonical_symbol, asked.symbols))))

    async def fetch(
        self, symbols: Symbols, start: Any = None, end: Any = None, frequency: str | Frequency = "1d"
    ) -> pl.DataFrame:
        """Read bars of `symbols` from `start` to `end`, both included, see `DataSource.fetch`.

        A frequency that is not stored is made of the longest stored one that divides it, of all bars which the bundle has of
        each period; a period that is not over yet is left out.
        """
        request = self.request(symbols or None, start, end, frequency)
        return await asyncio.to_thread(self._read, request)

    def _read(self, request: BarRequest) -> pl.DataFrame:
        part, base = self._serving(request.frequency)
        symbols, unknown = self._named(part, request)
        if unknown:
            raise part.not_found(unknown[0])
        return part.read(symbols, request, base, self.clock())

    def fetch_with_events(
        self,
        symbols: Symbols,
        start: Any = None,
        end: Any = None,
        frequency: str | Frequency = "1d",
        progress: Progress | None = None,
    ) -> Delivery:
        """Return what `fetch` returns, and beside it corporate actions, price basis and assets as the bundle holds them.

        Raises
        ------
        SymbolNotFoundError
            The bundle has no such symbol.
        RequestError
            The bundle holds these symbols on different price bases.
        """
        request = self.request(symbols or None, start, end, frequency)
        parts = list(self.deliver(request, progress))
        for delivery in parts:
            if delivery.failures:
                raise min(delivery.failures.items())[1]
        bases = {delivery.price_basis: delivery.bars["symbol"][0] for delivery in parts if delivery.bars.height}
        if len(bases) > 1:
            told = ", ".join(f"{symbol} {basis}" for basis, symbol in sorted(bases.items()))
            raise RequestError(
                f"the prices of these symbols are made differently: {told}",
                hint="ask for those of each price basis alone",
            )
        part, _ = self._serving(request.frequency)
        named = [symbols] if isinstance(symbols, str) else list(symbols or ())
        aliases = {part.canonical_symbol(name): name for name in named if part.canonical_symbol(name) != name}
        return replace(join_deliveries(parts), aliases=aliases)

    def deliver(self, request: BarRequest, progress: Progress | None = None) -> Iterator[Delivery]:
        """Yield everything in batches of whole symbols on one price basis; see `DataSource.deliver`."""
        part, base = self._serving(request.frequency)
        symbols, unknown = self._named(part, request)
        if unknown:
            yield Delivery(failures={symbol: part.not_found(symbol) for symbol in unknown})
        done, total = len(unknown), len(symbols) + len(unknown)
        for batch in part.batches(symbols, base):
            done += len(batch)
            yield self._batch(part, batch, request, base)
            if progress is not None:
                progress("read", done, total)

    def _named(self, part: BundlePart, request: BarRequest) -> tuple[list[str], list[str]]:
        """Return the symbols asked for, by default all of the reader, and those of them that it lacks, both sorted."""
        known = part.symbols
        if not request.symbols:
            return (self.list_symbols() if known is None else sorted(known)), []
        names = sorted(request.symbols)
        unknown = [] if known is None else [symbol for symbol in names if symbol not in known]
        return [symbol for symbol in names if symbol not in unknown], unknown

    def _batch(self, part: BundlePart, batch: Sequence[str], request: BarRequest, base: Frequency) -> Delivery:
        failures: dict[str, SymbolNotFoundError] = {}
        try:
            bars = part.read(batch, request, base, self.clock())
        except SymbolNotFoundError as error:
            # Only a reader that lists no symbols gets here with one that it lacks.
            if len(batch) == 1:
                return Delivery(failures={batch[0]: error})
            found = []
            for symbol in batch:
                try:
                    found.append(part.read([symbol], request, base, self.clock()))
                except SymbolNotFoundError as alone:
                    failures[symbol] = alone
            bars = concat_bars(found)
        held = set(bars["symbol"].unique())
        return Delivery(
            bars=bars,
            assets=part.attributes(batch),
            actions=part.actions(batch),
            price_basis=part.price_basis(batch[0], base),
            number_rule=part.number_rule,
            failures=failures,
            skipped={symbol: f"no bars{_range(request)}" for symbol in batch if symbol not in held | failures.keys()},
            resampled_from="" if base == request.frequency else base.name,
            notes=() if base == request.frequency else (f"{request.frequency} bars are made of {base} bars",),
        )

    # -- readers -----------------------------------------------------------------------------------------------------

    def _serving(self, frequency: Frequency) -> tuple[BundlePart, Frequency]:
        """Return who has bars of a frequency, and which of its bars they are or are made of."""
        parts = self._parts()
        if frequency.is_intraday:
            parts.reverse()
        for part in parts:
            if frequency.name in part.frequencies:
                return part, frequency
        for part in parts:
            base = base_of(frequency, part.frequencies)
            if base is not None:
                return part, base
        held = sorted({name for part in parts for name in part.frequencies}, key=lambda name: FREQUENCIES[name])
        raise RequestError(
            f"{self.get_metadata().source_url} has no {frequency} bars, and none that they could be made of",
            hint=f"it has {', '.join(held) or 'no bars'}",
            frequency=frequency.name,
        )

    def _parts(self) -> list[BundlePart]:
        """Return the daily reader before the other one; what was closed is opened again, at the same version."""
        if self._daily is None and self._minute is None:
            opened = self._open()
            return [BundlePart(opened, opened, ())]
        given = ((self._daily, ("1d",)), (self._minute, ("1m",)))
        return [BundlePart.of(reader, usual) for reader, usual in given if reader is not None]

    def _open(self) -> Bundle:
        with self._opening:
            if self._opened is None:
                from rustybt.data.bundles.store import BundleStore

                store = self._given_store
                if store is None:
                    store = self._store = BundleStore(self._home)
                self._opened = store.open(self._exact or str(self._asked))
                self._exact = self._opened.reference
            return self._opened

    def close(self) -> None:
        """Close a bundle that this source has opened; it is opened again, at the same version, when asked for."""
        with self._opening:
            if self._opened is not None:
                self._opened.close()
            if self._store is not None:
                self._store.close()
            self._opened = self._store = None


def _range(request: BarRequest) -> str:
    start = f" from {request.start_text}" if request.start_text else ""
    return f"{start} to {request.end_text}" if request.end_text else start
