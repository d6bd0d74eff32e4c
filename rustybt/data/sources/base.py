"""The promise every source makes: bars of one shape, and one way into a bundle."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from rustybt.data.sources import bridge
from rustybt.data.sources.delivery import Delivery
from rustybt.errors import (
    CONCERNS_ALL,
    RequestError,
    SourceError,
)
from rustybt.market.bars import concat_bars
from rustybt.market.frequency import Frequency
from rustybt.market.request import BarRequest, parse_range

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from rustybt.data.adapters.limits import VendorLimits
    from rustybt.data.adapters.series import StreamedBar
    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.bundles.counted import CacheUse
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.sources.ingest.plan import IngestPlan
    from rustybt.data.sources.ingest.report import IngestReport
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.provenance import SourceMetadata

#: Called with a stage, how much of it is done and how much there is (0: unknown).
Progress: TypeAlias = Callable[[str, int, int], None]
Symbols: TypeAlias = str | Sequence[str]


class DataSource(ABC):
    """Where bars come from: a vendor, a file, a frame, another bundle.

    A source implements `fetch`, `get_metadata` and `supports_live`; one that can hand its bars over in batches, or that
    learns more than bars (corporate actions, assets, bad rows), overrides `deliver` as well. Everything else is here, once.

    Attributes
    ----------
    name
        Registry name, such as ``csv``.
    symbols_per_fetch
        How many symbols `deliver` asks `fetch` for at once.
    is_local
        Whether the bars lie on this machine already: nothing is gained by a cache.
    """

    name: ClassVar[str] = ""
    symbols_per_fetch: ClassVar[int] = 50
    is_local: ClassVar[bool] = False

    @abstractmethod
    async def fetch(self, symbols: Symbols, start: Any, end: Any, frequency: str | Frequency = "1d") -> pl.DataFrame:
        """Fetch bars for `symbols` from `start` to `end`, both included.

        Parameters
        ----------
        start, end
            A date or date-only text means that whole session; any other timestamp is an instant, UTC if naive; None
            leaves the side open.

        Returns
        -------
        DataFrame, shape (n_bars, 7)
            Sorted by, and unique on, (symbol, timestamp); no nulls; the columns and dtypes of `rustybt.market.bars`.
            Empty, same schema, if there are no bars in the range.

        Raises
        ------
        RequestError
            The call cannot be answered by any source: unknown frequency, end before start.
        SymbolNotFoundError
            The source does not know a symbol.
        SourceError
            The source did not deliver; the class says what to do.
        """

    @abstractmethod
    def get_metadata(self) -> SourceMetadata:
        """Return what the source says of itself; never a key."""

    @abstractmethod
    def supports_live(self) -> bool:
        """Return whether the source can stream bars as they form."""

    def options(self) -> dict[str, Any]:
        """Return the JSON values with which ``get_source(name, **options)`` makes this source again; never a key."""
        return {}

    def list_symbols(self) -> list[str]:
        """Return every symbol of the source, sorted.

        Raises
        ------
        RequestError
            This source cannot list them; the caller names them.
        """
        raise RequestError(f"source {self.name} cannot list its symbols", hint="name them: --symbols AAPL,MSFT")

    def calendar_name(self) -> str | None:
        """Return the trading calendar of the delivered symbols where the caller chose one; None otherwise."""
        return None

    def opened_bundle(self, frequency: str | Frequency = "1d") -> Bundle | None:
        """Return the bundle whose bars of `frequency` are this source's, for a run to read and to pin; None where none is."""
        del frequency
        return None

    def fetch_sync(
        self, symbols: Symbols, start: Any = None, end: Any = None, frequency: str | Frequency = "1d"
    ) -> pl.DataFrame:
        """Return what `fetch` returns; works with and without a running event loop."""
        return bridge.run(self.fetch(symbols, start, end, frequency))

    def fetch_with_events(
        self,
        symbols: Symbols,
        start: Any = None,
        end: Any = None,
        frequency: str | Frequency = "1d",
        progress: Progress | None = None,
    ) -> Delivery:
        """Return what `fetch` returns, and beside it what the source knows of corporate actions, price basis and assets."""
        del progress  # a source that takes long says how far it is
        return Delivery(self.fetch_sync(symbols, start, end, frequency))

    def deliver(
        self, request: BarRequest, progress: Progress | None = None
    ) -> Iterator[Delivery] | AsyncIterator[Delivery]:
        """Yield everything the source has for `request`, in batches of whole symbols in rising order.

        A request without symbols asks for all that `list_symbols` names. A symbol that fails is a failure of its batch,
        unless no other symbol could fare better (wrong key, rate limit, vendor down).

        Raises
        ------
        SourceError
            Nothing can be delivered.
        """
        return self._deliver(request, progress)

    def answers(
        self, request: BarRequest, progress: Progress | None = None, *, starts: Mapping[str, int] | None = None
    ) -> AsyncIterator[Delivery] | None:
        """Return what `deliver` yields in the order of completion, each finished symbol as soon as it is there.

        None for a source whose bars lie on this machine: nothing is gained by keeping them before the ingest is done.

        Parameters
        ----------
        starts
            Where single symbols begin instead of ``request.start``, microseconds since 1970 UTC.
        """
        del request, progress, starts
        return None

    def resolve(self, request: BarRequest) -> BarRequest:
        """Return `request` in the source's own terms: canonical symbols, and open sides closed where it has limits.

        Raises
        ------
        NotCoveredError
            It begins before anything that the source keeps.
        """
        return request

    def stream(self, symbols: Symbols, frequency: str | Frequency = "1m") -> AsyncIterator[StreamedBar]:
        """Yield each bar of `symbols` when it is final, without a gap, a repetition or a step back.

        Raises
        ------
        RequestError
            The source cannot stream; `supports_live` says so.
        """
        raise RequestError(
            f"source {self.name} cannot stream {frequency} bars of {symbols}",
            hint="rustybt sources list shows which can",
        )

    @property
    def requests_made(self) -> int:
        """HTTP requests that this source has sent so far, failed ones and repetitions included; 0 where it sends none."""
        return 0

    def requests_for(self, symbols: int, start: int, end: int, frequency: Frequency) -> int:
        """Return about how many requests bars of so many symbols take where nothing of them is cached.

        Parameters
        ----------
        start, end
            Microseconds since 1970 UTC, both included.
        """
        del start, end, frequency
        return -(-symbols // self.symbols_per_fetch)

    def wants_cache(self) -> bool:
        """Return whether a cache before it would save requests."""
        return not self.is_local

    def cache_identity(self) -> Mapping[str, Any]:
        """Return the JSON values that tell this source's answers from those of another one of its name; by default its options.

        What only says how the source is reached makes no difference and is left out by the cache.
        """
        return self.options()

    def take_use(self) -> CacheUse | None:
        """Return what answers since the last call took from a cache; None where there is none."""
        return None

    def require_newer(self, newer_than: Mapping[str, float]) -> None:  # noqa: B027  nothing is kept here
        """Do not answer with bars of a symbol that were fetched before a moment, Unix seconds."""

    def was_ingested(  # noqa: B027  as above
        self, store: BundleStore, reference: str, symbols: Sequence[str], frequency: Frequency
    ) -> None:
        """Take note that a bundle holds what was delivered of some symbols."""

    @property
    def clock(self) -> Callable[[], float]:
        """Tells the time, Unix seconds."""
        return time.time

    def limits(self) -> VendorLimits | None:
        """Return what the vendor allows; None for a source without limits."""
        return None

    def close(self) -> None:  # noqa: B027  a file needs no closing
        """Close connections; a source can be used again after it."""

    async def _deliver(self, request: BarRequest, progress: Progress | None) -> AsyncIterator[Delivery]:
        symbols = sorted(request.symbols or self.list_symbols())
        start, end = _bound(request.start), _bound(request.end)
        for first in range(0, len(symbols), self.symbols_per_fetch):
            batch = symbols[first : first + self.symbols_per_fetch]
            try:
                yield Delivery(await self.fetch(batch, start, end, request.frequency))
            except CONCERNS_ALL:
                raise
            except SourceError as error:
                yield await self._one_by_one(batch, start, end, request.frequency, error)
            if progress is not None:
                progress("fetch", min(first + len(batch), len(symbols)), len(symbols))

    async def _one_by_one(
        self, batch: list[str], start: Any, end: Any, frequency: Frequency, error: SourceError
    ) -> Delivery:
        """Ask for each symbol of a batch that failed, so that one bad symbol does not fail the others."""
        if len(batch) == 1:
            return Delivery(failures={batch[0]: error})
        parts: list[pl.DataFrame] = []
        failures: dict[str, SourceError] = {}
        for symbol in batch:
            try:
                parts.append(await self.fetch([symbol], start, end, frequency))
            except CONCERNS_ALL:
                raise
            except SourceError as alone:
                failures[symbol] = alone
        return Delivery(concat_bars(parts), failures=failures)

    def request(
        self, symbols: Symbols | None, start: Any = None, end: Any = None, frequency: str | Frequency = "1d"
    ) -> BarRequest:
        """Return the parsed request; no symbols means all of the source.

        Raises
        ------
        RequestError
            See `BarRequest.create`.
        """
        if symbols is None or len(symbols) == 0:
            parsed = Frequency.parse(frequency)
            return BarRequest((), *parse_range(start, end, parsed), parsed)
        return BarRequest.create(symbols, start, end, frequency)

    def plan(
        self,
        symbols: Symbols | None = None,
        start: Any = None,
        end: Any = None,
        frequency: str | Frequency = "1d",
    ) -> IngestPlan:
        """Return what an ingest would read, without reading or writing bars."""
        from rustybt.data.sources.ingest.plan import IngestPlan

        request = self.request(symbols, start, end, frequency)
        return IngestPlan.of(self, request, request.symbols or tuple(self.list_symbols()))

    def ingest_to_bundle(
        self,
        bundle_name: str,
        symbols: Symbols | None = None,
        start: Any = None,
        end: Any = None,
        frequency: str | Frequency = "1d",
        *,
        store: BundleStore | None = None,
        strict: bool = False,
        replace: bool = False,
        progress: Progress | None = None,
        actions: Sequence[CorporateAction] = (),
        calendar: str | None = None,
        op_id: str | None = None,
        clock: Callable[[], float] = time.time,
        use_cache: bool = True,
    ) -> IngestReport:
        """Fetch, check and store bars as one new version of a bundle; nothing is visible until all of it is.

        Bad rows are set aside with their reason and counted; a symbol that fails does not fail the others.

        Parameters
        ----------
        symbols
            None takes every symbol that the source can list.
        store
            Where the bundle lives; None is the configured home.
        strict
            Abort on the first ingest that would set a row aside, miss a session or fail a symbol.
        replace
            Also remove stored rows inside the range that the source no longer delivers.
        actions
            Corporate actions to store with the bars.
        calendar
            Trading calendar of the bundle; None is the source's, the bundle's own, or the one of venue and asset type.
        clock
            Unix seconds; bars that end later are not final and set aside.
        use_cache
            Where the source is a vendor: take from the cache of the store's home what it has, and keep what comes.

        Raises
        ------
        RequestError
            The request cannot be answered.
        SourceError
            No symbol could be delivered.
        DataQualityError
            `strict`, and not all is well; `report` says what. No version was made.
        BundleError
            The store refused; nothing is visible.
        """
        from rustybt.data.bundles.store import BundleStore
        from rustybt.data.sources.ingest.ingest import Ingest

        request = self.request(symbols, start, end, frequency)
        if use_cache and self.wants_cache() and self.answers(request) is not None:
            from rustybt.data.sources.cached_source import CachedDataSource

            with nullcontext(store) if store is not None else BundleStore() as target:
                source = CachedDataSource(self, store=target)
                ingest = Ingest(source, request, strict=strict, progress=progress, actions=tuple(actions), clock=clock)
                return ingest.into(bundle_name, target, calendar=calendar, replace=replace, op_id=op_id)
        ingest = Ingest(self, request, strict=strict, progress=progress, actions=tuple(actions), clock=clock)
        return ingest.into(bundle_name, store, calendar=calendar, replace=replace, op_id=op_id)


def _bound(micros: int | None) -> pd.Timestamp | None:
    """Return a bound of a parsed request as the timestamp that `fetch` reads back as the same instant."""
    import pandas as pd

    return None if micros is None else pd.Timestamp(micros, unit="us", tz="UTC")
