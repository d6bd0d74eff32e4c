"""A source with a cache before it: what was fetched once is not fetched again."""

from __future__ import annotations

import asyncio
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rustybt.config import Settings, load_settings
from rustybt.data.bundles.cache_store import CacheStore
from rustybt.data.bundles.metadata_store import cache as sql
from rustybt.data.cache.freshness import parse_policy
from rustybt.data.sources import bridge
from rustybt.data.sources.base import DataSource, Progress, Symbols
from rustybt.data.sources.caching.access import CacheAccess
from rustybt.data.sources.caching.identity import request_key
from rustybt.data.sources.caching.missing import joined
from rustybt.data.sources.caching.serving import Serving
from rustybt.data.sources.caching.usage import add_uses, log_use, use_of
from rustybt.data.sources.caching.warming import WarmReport, next_warming
from rustybt.data.sources.delivery import Delivery, StaleDataWarning, join_deliveries
from rustybt.errors import (
    NotCoveredError,
    RateLimitedError,
    RequestError,
    RustybtError,
    SourceError,
    SourceUnavailableError,
)
from rustybt.logging import get_logger
from rustybt.market.calendars import EARLIEST_DATE
from rustybt.market.request import to_microseconds

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    import polars as pl

    from rustybt.data.adapters.limits import VendorLimits
    from rustybt.data.adapters.series import StreamedBar
    from rustybt.data.bundles.counted import CacheUse
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.cache.freshness import FreshnessPolicy
    from rustybt.data.cache.plan import SeriesPlan
    from rustybt.data.sources.ingest.plan import IngestPlan
    from rustybt.market.frequency import Frequency
    from rustybt.market.provenance import SourceMetadata
    from rustybt.market.request import BarRequest

logger = get_logger(__name__)


class CachedDataSource(DataSource):
    """Answers like the source behind it, and asks it only for what is not in the cache.

    What has been fetched is known by symbol and interval, so that any part of it, any other list or order of symbols and any
    longer range costs only what is new. Several threads, tasks and processes may share a cache; who wants what is being fetched
    waits for it. A final bar is never asked for again but for a few sessions before the newest one, which vendors still correct.
    Where the cache cannot be read or written, answers come from the source, with a warning in the log.

    Parameters
    ----------
    adapter
        The source behind; kept as the attribute of that name.
    cache_dir
        Folder of the cached files; None is the configured one, by default inside the home. Caches of several folders do not know
        each other.
    config
        Settings, or a mapping of them by key such as ``{"cache.max_size_bytes": "2GB"}``; None loads the configured ones.
    freshness_policy
        When the newest bars have to be asked for again, or its name as in the settings (``"ttl:1m"``); None is what the settings
        say for this source and each frequency.
    store
        The home whose database holds the ledger; None is the configured one.
    offline
        Never ask the source; what is not covered raises `NotCoveredError`.
    max_stale_seconds
        Serve bars of which newer ones may exist without asking, if they were fetched no longer ago than this; such an answer is
        marked by a `StaleDataWarning`, and in a report by a note. None asks.
    revision_sessions
        How many sessions before the newest bars are asked for again with newer ones, at most once per close; None is the
        configured number (`cache.revision_sessions`).
    clock
        Unix seconds; None is the source's own.

    Attributes
    ----------
    adapter
        The source behind.
    last_use
        What the latest answer took from the cache and what it fetched; None before the first.

    Raises
    ------
    RequestError
        `adapter` is a name, no policy is spelled so, or `offline` and `max_stale_seconds` are both given.
    """

    def __init__(
        self,
        adapter: DataSource,
        cache_dir: str | os.PathLike[str] | None = None,
        config: Settings | Mapping[str, Any] | None = None,
        freshness_policy: FreshnessPolicy | str | None = None,
        *,
        store: BundleStore | None = None,
        offline: bool = False,
        max_stale_seconds: float | None = None,
        revision_sessions: int | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if isinstance(adapter, str):
            raise RequestError(
                f"CachedDataSource takes a source, not its name: {adapter!r}",
                hint=f"CachedDataSource(rb.get_source({adapter!r}))",
            )
        if offline and max_stale_seconds is not None:
            raise RequestError("offline nothing is asked for, however stale it is", hint="give one of the two")
        self.adapter = adapter
        self.name = adapter.name  # type: ignore[misc]  # that of the source behind, for this one object
        self._owns_store = store is None
        self._clock = clock or adapter.clock
        self._store = store or _open_store(config, self._clock)
        limit = _settings_of(config).cache_max_size_bytes if config is not None else None
        cache = CacheStore(self._store, cache_dir, limit)
        source = adapter
        while isinstance(source, CachedDataSource) and source.cache.place == cache.place:
            # It is this very cache: who holds the right to fetch would wait for itself.
            freshness_policy = freshness_policy or source._access.policy  # noqa: SLF001  of the same class
            offline = offline or source._access.offline  # noqa: SLF001
            source = source.adapter
        policy = parse_policy(freshness_policy) if isinstance(freshness_policy, str) else freshness_policy
        self._access: CacheAccess = CacheAccess(
            source,
            cache,
            self._clock,
            policy,
            offline=offline,
            max_stale_seconds=max_stale_seconds,
            revision_sessions=revision_sessions,
        )
        self.last_use: CacheUse | None = None
        self._untaken: list[CacheUse] = []

    # -- bars --------------------------------------------------------------------------------------------------------

    async def fetch(
        self, symbols: Symbols, start: Any = None, end: Any = None, frequency: str | Frequency = "1d"
    ) -> pl.DataFrame:
        """Return what the source behind would, from the cache as far as it goes; see `DataSource.fetch`.

        Raises
        ------
        SourceError
            The source did not deliver what is missing; what arrived before is kept, and ``details["missing"]`` names the rest by
            symbol. `NotCoveredError` where nothing may be asked for.
        """
        request = self.request(symbols, start, end, frequency)
        serving, names = await asyncio.to_thread(self._serving, request)
        delivery = await asyncio.to_thread(serving.from_cache, names)
        if delivery is None:
            delivery = await bridge.join(self._whole(serving, names))
        await asyncio.to_thread(self._record, serving, names)
        self._warn_if_stale(serving, delivery)
        return delivery.bars

    def fetch_sync(
        self, symbols: Symbols, start: Any = None, end: Any = None, frequency: str | Frequency = "1d"
    ) -> pl.DataFrame:
        """Return what `fetch` returns; works with and without a running event loop."""
        return self.fetch_with_events(symbols, start, end, frequency).bars

    def fetch_with_events(
        self,
        symbols: Symbols,
        start: Any = None,
        end: Any = None,
        frequency: str | Frequency = "1d",
        progress: Progress | None = None,
    ) -> Delivery:
        """Return what `fetch` returns, with corporate actions, price basis and assets beside it."""
        serving, names = self._serving(self.request(symbols, start, end, frequency), progress=progress)
        delivery = serving.from_cache(names)
        if delivery is None:
            delivery = bridge.run(self._whole(serving, names))
        self._record(serving, names)
        self._warn_if_stale(serving, delivery)
        return delivery

    def answers(
        self, request: BarRequest, progress: Progress | None = None, *, starts: Mapping[str, int] | None = None
    ) -> AsyncIterator[Delivery] | None:
        """Yield symbols as they become whole, those that are in the cache first; None for a source on this machine."""
        if self.adapter.is_local:
            return None
        return self._answers(request, progress, starts)

    def deliver(
        self, request: BarRequest, progress: Progress | None = None
    ) -> Iterator[Delivery] | AsyncIterator[Delivery]:
        """Yield everything in rising order of symbols; files of this machine are read from where they are."""
        return self.adapter.deliver(request, progress) if self.adapter.is_local else super().deliver(request, progress)

    def plan_fetch(
        self, symbols: Symbols, start: Any = None, end: Any = None, frequency: str | Frequency = "1d"
    ) -> dict[str, SeriesPlan]:
        """Return by symbol what would be served from the cache and what would be asked for, without asking."""
        serving, names = self._serving(self.request(symbols, start, end, frequency))
        return serving.look(names)

    async def _answers(
        self, asked: BarRequest, progress: Progress | None, starts: Mapping[str, int] | None
    ) -> AsyncIterator[Delivery]:
        serving, names = await asyncio.to_thread(self._serving, asked, starts, progress)
        async for delivery in serving.answers(names):
            yield delivery
        await asyncio.to_thread(self._record, serving, names)

    async def _whole(self, serving: Serving, names: Sequence[str]) -> Delivery:
        parts: list[Delivery] = []
        failures: dict[str, SourceError] = {}
        try:
            async for delivery in serving.answers(names):
                failures.update(delivery.failures)
                if not delivery.failures:
                    parts.append(delivery)
        finally:
            if failures:
                await asyncio.to_thread(self._record, serving, names)
        if failures:
            raise joined(failures)
        return join_deliveries(parts)

    def _warn_if_stale(self, serving: Serving, delivery: Delivery) -> None:
        if serving.stale_symbols or serving.left_open:
            marked = [note for note in delivery.notes if "stale" in note or "offline" in note]
            warnings.warn("; ".join(marked[:5]), StaleDataWarning, stacklevel=3)

    def _serving(
        self,
        asked: BarRequest,
        starts: Mapping[str, int] | None = None,
        progress: Progress | None = None,
    ) -> tuple[Serving, list[str]]:
        """Return a fresh use of the cache for a request, and its symbols."""
        request = self.resolve(asked)
        names = list(dict.fromkeys(request.symbols or self._listed(request.frequency)))
        serving = Serving(self._access, request, starts=starts, is_open=asked.end is None, progress=progress)
        return serving, names

    def _listed(self, frequency: Frequency) -> Sequence[str]:
        if not self._access.offline:
            return self.adapter.list_symbols()
        ledger = self._access.dataset(frequency).ledger
        ledger.refresh()
        return ledger.symbols

    def resolve(self, request: BarRequest) -> BarRequest:
        """Return `request` in the source's own terms, with both sides closed.

        What lies before all that the source still keeps is no error where the cache has it.
        """
        try:
            found = self.adapter.resolve(request)
        except NotCoveredError:
            recent = self.adapter.resolve(replace(request, start=None))
            found = replace(recent, start=request.start)
            plans = Serving(self._access, found).look(found.symbols)
            if any(hole.start < (recent.start or 0) for plan in plans.values() for hole in plan.holes):
                raise
        if found.start is None:
            found = replace(found, start=to_microseconds(EARLIEST_DATE))
        if found.end is None:
            found = replace(found, end=max(int(self._clock() * 1_000_000), found.start or 0))
        return found

    def plan(
        self, symbols: Symbols | None = None, start: Any = None, end: Any = None, frequency: str | Frequency = "1d"
    ) -> IngestPlan:
        """Return what an ingest would ask for beyond what the cache has, without asking; of files, what it would read."""
        whole = self.adapter.plan(symbols, start, end, frequency)
        if self.adapter.is_local or not whole.requests:
            return whole
        serving, names = self._serving(self.request(symbols, start, end, frequency))
        plans = serving.look(names)
        needed = sum(
            self.requests_for(len(call.starts), min(call.starts.values()), call.end, serving.request.frequency)
            for call in serving.calls({symbol: plan.holes for symbol, plan in plans.items() if plan.holes})
        )
        share = needed / whole.requests
        return replace(
            whole,
            requests=needed,
            size_bytes=round(whole.size_bytes * share),
            seconds=None if whole.seconds is None else round(whole.seconds * share, 1),
            covered=tuple(sorted(symbol for symbol, plan in plans.items() if not plan.holes)),
        )

    # -- warming -----------------------------------------------------------------------------------------------------

    def warm_cache(
        self,
        symbols: Symbols,
        start: Any = None,
        end: Any = None,
        frequency: str | Frequency = "1d",
        progress: Progress | None = None,
    ) -> WarmReport:
        """Fetch what the cache lacks of a range, without reading the rest.

        Returns
        -------
        WarmReport
            What came, and which symbols failed and why; one failure does not stop the others.
        """
        return bridge.run(self._warm(symbols, start, end, frequency, progress))

    async def keep_warm(
        self,
        symbols: Symbols,
        frequency: str | Frequency = "1d",
        *,
        start: Any = None,
        sleep: Callable[[float], Any] = asyncio.sleep,
        on_report: Callable[[WarmReport], None] | None = None,
    ) -> None:
        """Warm the cache now and again each time that newer bars are due; runs until it is cancelled.

        For programs that run for long: ``asyncio.create_task(cached.keep_warm(symbols))``. A source that is down is asked again at
        the next time.

        Parameters
        ----------
        sleep
            Awaited with seconds.
        on_report
            Called after each round.
        """
        while True:
            try:
                report = await bridge.join(self._warm(symbols, start, None, frequency, None))
            except (SourceUnavailableError, RateLimitedError) as error:
                # It could not even say which symbols it has.
                logger.warning("cache_warming_failed", source=self.name, reason=error.message)
            else:
                if on_report is not None:
                    on_report(report)
            asked = self.request(symbols, start, None, frequency)
            await sleep(await asyncio.to_thread(next_warming, self._access, asked))

    async def _warm(
        self, symbols: Symbols, start: Any, end: Any, frequency: str | Frequency, progress: Progress | None
    ) -> WarmReport:
        asked = self.request(symbols, start, end, frequency)
        serving, names = await asyncio.to_thread(self._serving, asked, None, progress)
        serving.hands_over = False
        failures: dict[str, SourceError] = {}
        async for delivery in serving.answers(names):
            failures.update(delivery.failures)
        use = await asyncio.to_thread(self._record, serving, names)
        return WarmReport(tuple(names), serving.rows_fetched, failures, use, is_kept=not serving.is_broken)

    # -- what it says of itself --------------------------------------------------------------------------------------

    def cache_key(self, symbols: Symbols, start: Any = None, end: Any = None, frequency: str | Frequency = "1d") -> str:
        """Return the key of one whole request; `BundleMetadata.find_cached` knows it after it was answered."""
        request = self.request(symbols, start, end, frequency)
        row = self._access.dataset(request.frequency).row
        return request_key(row, request.symbols, request.start, request.end, request.frequency)

    @property
    def cache(self) -> CacheStore:
        """The cache as a whole: what it holds, and how large it is."""
        return self._access.store

    def take_use(self) -> CacheUse | None:
        """Return what all answers since the last call took from the cache and fetched; None without any."""
        found, self._untaken = self._untaken, []
        return add_uses(found)

    def require_newer(self, newer_than: Mapping[str, float]) -> None:
        """Ask whole for symbols whose bars were fetched before a moment, Unix seconds: they moved since."""
        self._access.newer_than.update(newer_than)

    def was_ingested(self, store: BundleStore, reference: str, symbols: Sequence[str], frequency: Frequency) -> None:
        """Share the bytes that a bundle holds now as well."""
        from rustybt.data.bundles.cache_store.sharing import share_with_bundle

        if store.home != self._store.home or not symbols:
            return
        try:
            with store.open(reference) as bundle:
                share_with_bundle(self._access.dataset(frequency), store, bundle, symbols, frequency.name)
        except RustybtError as error:
            # Two copies are no harm.
            logger.debug("cache_not_shared", bundle=reference, reason=error.message)

    def get_metadata(self) -> SourceMetadata:
        """Return what the source behind says of itself."""
        return self.adapter.get_metadata()

    def supports_live(self) -> bool:
        """Return whether the source behind can stream."""
        return self.adapter.supports_live()

    def options(self) -> dict[str, Any]:
        """Return the options of the source behind."""
        return self.adapter.options()

    def cache_identity(self) -> Mapping[str, Any]:
        """Return what tells the answers of the source behind from others."""
        return self.adapter.cache_identity()

    def list_symbols(self) -> list[str]:
        """Return every symbol of the source behind."""
        return self.adapter.list_symbols()

    def calendar_name(self) -> str | None:
        """Return the calendar that the source behind names."""
        return self.adapter.calendar_name()

    def wants_cache(self) -> bool:
        """Return False: it has one."""
        return False

    def stream(self, symbols: Symbols, frequency: str | Frequency = "1m") -> AsyncIterator[StreamedBar]:
        """Yield bars of the source behind as they become final; they are not cached."""
        return self.adapter.stream(symbols, frequency)

    def limits(self) -> VendorLimits | None:
        """Return what the vendor behind allows."""
        return self.adapter.limits()

    @property
    def requests_made(self) -> int:
        """HTTP requests that the source behind has sent so far."""
        return self.adapter.requests_made

    def requests_for(self, symbols: int, start: int, end: int, frequency: Frequency) -> int:
        """Return about how many requests it takes where nothing is cached."""
        return self.adapter.requests_for(symbols, start, end, frequency)

    @property
    def clock(self) -> Callable[[], float]:
        """Tells the time, Unix seconds."""
        return self._clock

    def close(self) -> None:
        """Close the source behind, and write the statistics."""
        self.adapter.close()
        self._store.counters.flush_quietly()
        if self._owns_store:
            self._store.close()

    def __repr__(self) -> str:
        return f"CachedDataSource({self.adapter!r})"

    # -- statistics --------------------------------------------------------------------------------------------------

    def _record(self, serving: Serving, names: Sequence[str]) -> CacheUse:
        use = use_of(self._access, serving, names)
        self.last_use = use
        self._untaken.append(use)
        self._store.counters.record(use)
        row = self._access.dataset(serving.request.frequency).row
        asked = serving.request
        key = request_key(row, asked.symbols, asked.start, asked.end, asked.frequency)
        log_use(use, serving, key, len(names))
        if serving.fetches and not serving.is_broken:
            self._note_request(key, row.name)
        return use

    def _note_request(self, key: str, dataset: str) -> None:
        try:
            with self._store.database.write() as connection:
                sql.save_request(connection, key, dataset, int(self._clock()))
        except RustybtError as error:
            logger.debug("cache_request_not_noted", reason=error.message)


def with_cache(source: Any, store: BundleStore | None = None) -> Any:
    """Return `source` behind the cache of a home, or as it is where a cache would save nothing."""
    wants_cache = getattr(source, "wants_cache", None)
    return CachedDataSource(source, store=store) if wants_cache is not None and wants_cache() else source


def _settings_of(config: Settings | Mapping[str, Any] | None) -> Settings:
    return config if isinstance(config, Settings) else load_settings(config)


def _open_store(config: Settings | Mapping[str, Any] | None, clock: Callable[[], float]) -> BundleStore:
    from rustybt.data.bundles.store import BundleStore

    return BundleStore(settings=_settings_of(config), clock=clock)
