"""One request to a cached source, from the look at what is there to the answer.

The order is the promise: what is covered is looked up, who wants the same waits for the one that asks, what arrives is stored before
it is handed over, and an answer that is not whole is an error that names what is missing.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from rustybt.data.bundles.cache_store import inside_ranges
from rustybt.data.cache.coverage import Segment, inside, put
from rustybt.data.cache.plan import Call, Hole, SeriesPlan, plan_calls, plan_series
from rustybt.data.cache.series import Series
from rustybt.data.sources.caching.answer import describe
from rustybt.data.sources.caching.asking import asked, paced
from rustybt.data.sources.caching.filling import Filling
from rustybt.data.sources.caching.flight import flight
from rustybt.data.sources.caching.group import MOST_ROWS, AnswerGroup
from rustybt.data.sources.caching.missing import not_covered, with_missing
from rustybt.data.sources.delivery import Delivery
from rustybt.errors import ConflictError, CorruptBundleError, SchemaVersionError, SourceError
from rustybt.logging import get_logger
from rustybt.market.request import to_date

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    import polars as pl

    from rustybt.data.bundles.cache_store import Addition
    from rustybt.data.sources.base import Progress
    from rustybt.data.sources.caching.access import CacheAccess
    from rustybt.data.sources.caching.filling import Answer
    from rustybt.market.request import BarRequest

logger = get_logger(__name__)

#: A crash loses at most what arrived in so many seconds, or so many bars, whichever is less.
GROUP_SECONDS = 1.0
#: Damaged or evicted files are met at most so often in one request before it is answered past the cache.
_ROUNDS = 5
_MEMORY = "memory:"
#: What keeps files or ledger from being read or written; `StorageError` is an `OSError`.
_TROUBLE = (CorruptBundleError, SchemaVersionError, ConflictError, OSError)


class Serving:
    """One request; used once.

    Parameters
    ----------
    request
        Resolved: canonical symbols, both sides closed.
    starts
        Where single symbols begin instead of ``request.start``.
    is_open
        The end was left open: what is due beyond what is covered may be missing where nothing may be asked for.
    """

    def __init__(
        self,
        access: CacheAccess,
        request: BarRequest,
        *,
        starts: Mapping[str, int] | None = None,
        is_open: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._access = access
        self._source = access.source
        self._dataset = access.dataset(request.frequency)
        self.request = request
        self._starts = starts or {}
        self._is_open = is_open
        self._progress = progress
        self._filling = Filling(request.frequency, access.settlement_seconds, self._read_old, access.calendar_name)
        self._series: dict[str, Series] = {}
        self._held: dict[str, pl.DataFrame] = {}
        self._plans: dict[str, SeriesPlan] = {}
        #: Nothing can be stored.
        self.is_broken = False
        #: Nothing of what is stored can be used either.
        self._is_past = False
        self._notes: dict[str, str] = {}
        #: Whether answers hold bars; warming only fills.
        self.hands_over = True
        # What the statistics are made of.
        self.rows_cached = self.rows_fetched = self.revised_rows = self.fetches = 0
        self.fetch_seconds = self.read_seconds = self.look_seconds = 0.0
        self.stale_symbols = 0
        #: Whether something was missing that nothing could be asked for.
        self.is_lacking = False
        #: Stretches that nothing was asked for though it may be due, by symbol: offline, with an open end.
        self.left_open: dict[str, tuple[Hole, ...]] = {}

    # -- looking -----------------------------------------------------------------------------------------------------

    def look(self, symbols: Sequence[str]) -> dict[str, SeriesPlan]:
        """Return what each symbol needs, by what the cache covers now."""
        started = time.perf_counter()
        self._series = {} if self._is_past else self._covered(symbols)
        now = self._access.clock()
        plans = {symbol: self._plan(symbol, now) for symbol in symbols}
        self._plans.update(plans)
        self.look_seconds += time.perf_counter() - started
        return plans

    def _covered(self, symbols: Sequence[str]) -> dict[str, Series]:
        try:
            self._dataset.ledger.refresh()
            return self._dataset.ledger.series(symbols)
        except _TROUBLE as error:
            self._pass_by(error)
            return {}

    def _plan(self, symbol: str, now: float) -> SeriesPlan:
        series = self._series.get(symbol)
        start, end = self._range(symbol)
        facts = None if series is None else series.facts
        newer_than = self._access.newer_than.get(symbol)
        if series is not None and newer_than is not None and (series.oldest_fetch or now) < newer_than:
            # A split that is known elsewhere moved what is here.
            span = series.span() or (start, end)
            hole = Hole(min(start, span[0]), max(end, span[1]), is_tail=True)
            return SeriesPlan(holes=(hole,), unknown=(hole,))
        terms = self._access.terms(facts, self.request.frequency, now)
        return plan_series(series, start, end, terms, None if facts is None else facts.told_until)

    def _range(self, symbol: str) -> tuple[int, int]:
        request = self.request
        start = self._starts.get(symbol, request.start)
        if start is None or request.end is None:
            raise AssertionError("a resolved request has both sides")
        return start, request.end

    def calls(self, wanted: Mapping[str, Sequence[Hole]]) -> list[Call]:
        """Return the calls that fill holes."""
        return plan_calls(wanted, self._requests)

    # -- answering ---------------------------------------------------------------------------------------------------

    def from_cache(self, symbols: Sequence[str]) -> Delivery | None:
        """Return the whole answer where nothing has to be asked for, else None; no network, no waiting."""
        plans = self.look(symbols)
        if any(plan.holes for plan in plans.values()) or self.is_broken:
            return None
        try:
            return self._deliver(list(symbols))
        except _TROUBLE as error:
            self._drop(error)
            return None

    async def answers(self, symbols: Sequence[str]) -> AsyncIterator[Delivery]:
        """Yield deliveries of whole symbols, those that need nothing first; a symbol that fails is a failure of its delivery."""
        todo = list(symbols)
        for _ in range(_ROUNDS):
            plans = await asyncio.to_thread(self.look, todo)
            ready = [symbol for symbol in todo if not plans[symbol].holes]
            again: list[str] = []
            for batch in self._batches(ready):
                delivery = await self._delivered(batch, again)
                if delivery is not None:
                    yield delivery
            wanted = [symbol for symbol in todo if plans[symbol].holes]
            if self._access.offline:
                async for delivery in self._offline(wanted, again):
                    yield delivery
            elif wanted:
                async for delivery in self._fetched(wanted, again):
                    yield delivery
            todo = again
            if not todo:
                return
        self._pass_by(CorruptBundleError("its files vanish faster than they can be read"))
        await asyncio.to_thread(self.look, todo)
        async for delivery in self._offline(todo, []) if self._access.offline else self._fetched(todo, []):
            yield delivery

    def _batches(self, symbols: Sequence[str]) -> list[list[str]]:
        """Return symbols in groups that fit into memory."""
        request = self.request
        span = (request.end or 0) - min((self._range(symbol)[0] for symbol in symbols), default=0)
        bars = max(1, span // request.frequency.microseconds)
        most = max(1, 2 * MOST_ROWS // bars)
        return [list(symbols[at : at + most]) for at in range(0, len(symbols), most)]

    async def _delivered(self, symbols: list[str], again: list[str]) -> Delivery | None:
        """Return a delivery, or None and the symbols in `again` where a file turned out to be damaged."""
        try:
            return await asyncio.to_thread(self._deliver, symbols)
        except _TROUBLE as error:
            await asyncio.to_thread(self._drop, error)
            again += symbols
            return None

    async def _offline(self, symbols: Sequence[str], again: list[str]) -> AsyncIterator[Delivery]:
        missing = {}
        for symbol in symbols:
            unknown = self._plans[symbol].unknown
            series = self._series.get(symbol)
            if self._is_open and series is not None and series.span() is not None and all(h.is_tail for h in unknown):
                self.left_open[symbol] = unknown
                first = to_date(unknown[0].start)
                self._notes[symbol] = f"{symbol}: offline, what is due from {first} on is not here"
                delivery = await self._delivered([symbol], again)
                if delivery is not None:
                    yield delivery
            else:
                missing[symbol] = unknown
        if missing:
            self.is_lacking = True
            failures = {s: not_covered(self._source.name, {s: holes}) for s, holes in missing.items()}
            yield Delivery(failures=failures)

    # -- fetching ----------------------------------------------------------------------------------------------------

    async def _fetched(self, symbols: Sequence[str], again: list[str]) -> AsyncIterator[Delivery]:
        """Ask for holes and yield each symbol when it is whole."""
        root = self._dataset.place.root
        async with flight(root, self._dataset.name, symbols, self._show_wait):
            # Whoever held the right before may have asked for the same.
            plans = await asyncio.to_thread(self.look, symbols)
            ready = [symbol for symbol in symbols if not plans[symbol].holes]
            for batch in self._batches(ready):
                delivery = await self._delivered(batch, again)
                if delivery is not None:
                    yield delivery
            wanted = {symbol: list(plan.holes) for symbol, plan in plans.items() if plan.holes}
            async for whole, failures in self._fill(wanted):
                if failures:
                    yield Delivery(failures=failures)
                for batch in self._batches(whole):
                    delivery = await self._delivered(batch, again)
                    if delivery is not None:
                        yield delivery
                self._let_go(whole)
        if wanted and not self.is_broken:
            await asyncio.to_thread(self._tidy)

    async def _fill(self, wanted: dict[str, list[Hole]]) -> AsyncIterator[tuple[list[str], dict[str, SourceError]]]:
        """Ask for holes; yield the symbols that are whole now, and those that failed."""
        calls = self.calls(wanted)
        left = {symbol: sum(symbol in call.starts for call in calls) for symbol in wanted}
        failed: dict[str, SourceError] = {}
        moved: dict[str, str] = {}
        for call in calls:
            starts = {s: start for s, start in call.starts.items() if s not in failed and s not in moved}
            async for whole, failures in self._one_call(replace(call, starts=starts), left, moved, is_whole=False):
                failed.update(failures)
                yield whole, self._named(failures, wanted)
        if moved:
            async for item in self._anew(moved, wanted):
                yield item

    async def _anew(
        self, moved: Mapping[str, str], wanted: Mapping[str, Sequence[Hole]]
    ) -> AsyncIterator[tuple[list[str], dict[str, SourceError]]]:
        """Fetch whole series whose earlier bars moved: old and new ones do not go together."""
        starts, end = {}, self.request.end or 0
        for symbol in moved:
            span = self._series[symbol].span() or self._range(symbol)
            starts[symbol] = min(span[0], self._range(symbol)[0])
            end = max(end, span[1])
            logger.info("cache_series_moved", source=self._source.name, symbol=symbol, reason=moved[symbol])
        left = dict.fromkeys(starts, 1)
        async for whole, failures in self._one_call(Call(end, starts), left, {}, is_whole=True):
            told = {
                symbol: type(error)(
                    f"{symbol}: {moved[symbol]}, and the whole series could not be fetched: {error.message}",
                    hint=error.hint,
                    **error.details,
                )
                for symbol, error in failures.items()
            }
            yield whole, self._named(told, wanted)

    async def _one_call(
        self, call: Call, left: dict[str, int], moved: dict[str, str], *, is_whole: bool
    ) -> AsyncIterator[tuple[list[str], dict[str, SourceError]]]:
        """Ask once; what arrives is stored in groups, also when this is cancelled."""
        if not call.starts:
            return
        group = AnswerGroup(call, self._access.clock(), is_whole=is_whole)
        started = time.perf_counter()
        self.fetches += 1
        try:
            async with aclosing(
                paced(asked(self._source, self.request, call, self._progress), GROUP_SECONDS)
            ) as coming:
                async for delivery in coming:
                    failures = {} if delivery is None else group.take(delivery)
                    if failures:
                        yield [], failures
                    if delivery is None or group.is_full:
                        yield await self._stored(group.give(), left, moved), {}
            failures = group.finish()
            if failures:
                yield [], failures
        except SourceError as error:
            yield [], dict.fromkeys(group.give_up(), error)
        finally:
            self.fetch_seconds += time.perf_counter() - started
            whole = await self._stored(group.give(), left, moved)
        yield whole, {}

    async def _stored(self, group: list[Answer], left: dict[str, int], moved: dict[str, str]) -> list[str]:
        """Store a group of answers and return the symbols that are whole now."""
        if group:
            await asyncio.to_thread(self._store, group, moved)
        whole = []
        for answer in group:
            if answer.symbol in moved and not answer.is_whole:
                continue
            left[answer.symbol] -= 1
            if not left[answer.symbol]:
                whole.append(answer.symbol)
        return whole

    def _store(self, group: Sequence[Answer], moved: dict[str, str]) -> None:
        filled = self._filling.fill(group, self._series)
        moved.update(filled.stale)
        self.rows_fetched += sum(answer.part.bars.height for answer in group)
        self.revised_rows += filled.revised_rows
        if not filled.additions:
            return
        if not self.is_broken:
            try:
                saved, keys = self._dataset.save(filled.additions, filled.bars)
            except _TROUBLE as error:
                self._break(error)
            else:
                self._series.update((a.symbol, self._seen(a, saved[a.symbol])) for a in filled.additions)
                self._held.update(dict.fromkeys(keys, filled.bars))
                return
        self._keep_in_memory(filled.additions, filled.bars)

    def _seen(self, addition: Addition, saved: Series) -> Series:
        """Return a series as this request sees it: what left meanwhile to make room is missed when it is read, not passed over."""
        before = self._series.get(addition.symbol)
        added = [part for s in addition.segments for part in inside(saved.segments, s.start, s.end)]
        return Series(saved.symbol, put(() if before is None else before.segments, added), saved.facts)

    def _keep_in_memory(self, additions: Iterable[Addition], bars: pl.DataFrame) -> None:
        """Hold for this answer what cannot be stored."""
        key = f"{_MEMORY}{len(self._held)}"
        self._held[key] = bars
        for addition in additions:
            before = self._series.get(addition.symbol)
            added = [replace(s, file_key=key) if s.file_key else s for s in addition.segments]
            segments = put(() if before is None else before.segments, added)
            self._series[addition.symbol] = Series(addition.symbol, segments, addition.facts)

    def _named(
        self, failures: Mapping[str, SourceError], wanted: Mapping[str, Sequence[Hole]]
    ) -> dict[str, SourceError]:
        return {symbol: with_missing(error, {symbol: wanted[symbol]}) for symbol, error in failures.items()}

    def _requests(self, start: int, end: int, symbols: int) -> int:
        return self._source.requests_for(symbols, start, end, self.request.frequency)

    def _let_go(self, symbols: Iterable[str]) -> None:
        """Forget bars in memory that nobody needs any more."""
        for symbol in symbols:
            series = self._series.get(symbol)
            if series is not None:
                self._series[symbol] = replace(series, segments=())
        needed = {segment.file_key for series in self._series.values() for segment in series.segments}
        for key in [key for key in self._held if key not in needed]:
            del self._held[key]

    # -- handing over ------------------------------------------------------------------------------------------------

    def _deliver(self, symbols: Sequence[str]) -> Delivery:
        """Return the answer for symbols that need nothing any more."""
        if not self.hands_over:
            return Delivery()
        started = time.perf_counter()
        pieces: dict[str, list[Segment]] = {}
        for symbol in symbols:
            series = self._series.get(symbol)
            start, end = self._range(symbol)
            segments = () if series is None else series.segments
            pieces[symbol] = [s for s in inside(segments, start, end) if s.file_key]
        bars = self._dataset.read(pieces, self._held)
        self.read_seconds += time.perf_counter() - started
        known = {symbol: self._series.get(symbol) or Series(symbol) for symbol in symbols}
        delivery = describe(bars, known, {symbol: self._range(symbol) for symbol in symbols}, pieces)
        fresh = set(self._held)
        self.rows_cached += self._cached_rows(bars, pieces, fresh)
        stale = [s for s in symbols if (plan := self._plans.get(s)) is not None and plan.stale_since is not None]
        self.stale_symbols += len(stale)
        notes = [self._notes[s] for s in symbols if s in self._notes]
        notes += [
            f"{s}: stale, as of {time.strftime('%Y-%m-%d %H:%M', time.gmtime(self._plans[s].stale_since))} UTC"
            for s in stale
        ]
        return replace(delivery, notes=(*delivery.notes, *notes)) if notes else delivery

    def _cached_rows(self, bars: pl.DataFrame, pieces: Mapping[str, Sequence[Segment]], fresh: set[str]) -> int:
        """Return how many bars of an answer were not fetched for it."""
        if not fresh:
            return bars.height
        held = [(s, x.start, x.end) for s, found in pieces.items() for x in found if x.file_key in fresh]
        if not held:
            return bars.height
        return bars.height - inside_ranges(bars, held).height

    def _read_old(self, pieces: Mapping[str, Iterable[Segment]]) -> pl.DataFrame | None:
        """Return cached bars to compare new ones with; None where a file of theirs is damaged or gone."""
        try:
            return self._dataset.read(pieces, self._held)
        except _TROUBLE as error:
            self._drop(error)
            return None

    # -- trouble -----------------------------------------------------------------------------------------------------

    def _drop(self, error: Exception) -> None:
        """Forget a file that is not what was written; one that left meanwhile needs no forgetting."""
        if not isinstance(error, CorruptBundleError):
            self._pass_by(error)
            return
        key = str(error.details.get("file", ""))
        try:
            self._dataset.ledger.refresh()
            if not error.details.get("missing") or key in self._dataset.ledger.files:
                self._dataset.drop_file(key, error.message)
        except _TROUBLE as refused:
            self._pass_by(refused)

    def _pass_by(self, error: Exception) -> None:
        """Go on as if nothing were cached."""
        self._break(error)
        self._is_past = True

    def _break(self, error: Exception) -> None:
        """Go on without the cache; it must never keep anybody from an answer."""
        if not self.is_broken:
            logger.warning(
                "cache_unavailable",
                source=self._source.name,
                folder=str(self._dataset.place.root),
                reason=getattr(error, "message", str(error)),
            )
        self.is_broken = True

    def _tidy(self) -> None:
        try:
            self._dataset.compact()
        except CorruptBundleError as error:
            self._drop(error)
        except _TROUBLE as error:
            self._break(error)

    def _show_wait(self) -> None:
        if self._progress is not None:
            self._progress("fetch waiting: another one fetches the same", 0, 0)
