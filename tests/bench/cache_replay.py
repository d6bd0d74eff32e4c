"""The trace, replayed: through the cache and through the exact-key design, with what each asked of the vendor and each answer judged.

What is counted comes from the vendor's own log and from the cache's ledger, not from what the cache says of itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tests.bench.cache_market import SETTLEMENT_SECONDS, RestatingVendor, grid, series
from tests.bench.cache_promise import Match, judge, span
from tests.bench.exact_key import ExactKeyCache

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import polars as pl

    from rustybt.data.bundles.cache_store import CacheStore
    from tests.bench.cache_market import Asked
    from tests.bench.cache_trace import Request

#: Bars of one symbol and frequency.
Name: TypeAlias = "tuple[str, str]"
_MICRO = 1_000_000


@dataclass
class Outcome:
    """What came of a replay.

    Parameters
    ----------
    rows
        Bars that were answered, and those of them that the vendor sent: `rows_fetched` also counts bars sent once more.
    requests
        Sent to the vendor, one a symbol; `requests_uncached` is how many there would have been without any cache.
    false_invalidations
        Answers that asked the vendor although nothing that they hold had changed and nothing new was due.
    evicted_rows, evicted_too_early
        Bars that left to make room, and those of them that were asked for again.
    """

    answers: int = 0
    hits: int = 0
    rows: int = 0
    rows_fetched: int = 0
    requests: int = 0
    requests_uncached: int = 0
    false_invalidations: int = 0
    evicted_rows: int = 0
    evicted_too_early: int = 0
    size_bytes: int = 0
    matches: dict[Match, int] = field(default_factory=lambda: dict.fromkeys(Match, 0))
    problems: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)

    @property
    def rows_from_cache(self) -> float:
        """Share of the answered bars that the vendor did not have to send."""
        return 1 - self.rows_fetched / self.rows

    @property
    def falsely_invalidated(self) -> float:
        return self.false_invalidations / self.answers

    @property
    def prematurely_evicted(self) -> float:
        return self.evicted_too_early / self.evicted_rows if self.evicted_rows else 0.0

    def add(self, request: Request, bars: pl.DataFrame, asked: Sequence[Asked]) -> None:
        self.answers += 1
        self.hits += not asked
        self.rows += bars.height
        self.rows_fetched += sum(one.rows for one in asked)
        self.requests += len(asked)
        self.requests_uncached += len(set(request.symbols))
        verdict = judge(request, bars)
        self.matches[verdict.match] += 1
        self.problems += verdict.problems


class Told:
    """When each bar was last told to somebody, which says whether asking again could bring anything new."""

    def __init__(self) -> None:
        self._bars: dict[Name, np.ndarray] = {}
        self._sessions: dict[Name, np.ndarray] = {}

    def is_new(self, asked: Asked, start: int, end: int) -> bool:
        """Return whether anything between `start` and `end` can be new to who asks: a bar, another value, a session."""
        first, last = max(start, asked.start), min(end, asked.end)
        if first > last:
            return False
        name = asked.symbol, asked.frequency
        told = series(*name)
        rows = told.between(first, last, asked.at)
        known = self._bars.get(name, np.full(len(told.labels), -np.inf))[rows]
        if told.changed(rows, known, asked.at).any():
            return True
        sessions = self._sessions_of(name)
        return bool((_due_sessions(asked.frequency, first, last, asked.at) & ~sessions).any())

    def note(self, asked: Asked) -> None:
        name = asked.symbol, asked.frequency
        told = series(*name)
        known = self._bars.setdefault(name, np.full(len(told.labels), -np.inf))
        known[told.between(asked.start, asked.end, asked.at)] = asked.at
        self._sessions_of(name)[_due_sessions(asked.frequency, asked.start, asked.end, asked.at)] = True

    def _sessions_of(self, name: Name) -> np.ndarray:
        return self._sessions.setdefault(name, np.zeros(len(grid(name[1]).days), dtype=bool))


def _due_sessions(frequency: str, start: int, end: int, at: float) -> np.ndarray:
    """Return which sessions have a bar labelled between `start` and `end` that is told at `at`, if there is one."""
    cells = grid(frequency)
    due = (start <= cells.labels) & (cells.labels <= end) & (cells.ends / _MICRO + SETTLEMENT_SECONDS <= at)
    found = np.zeros(len(cells.days), dtype=bool)
    found[cells.sessions[due]] = True
    return found


def best_possible(requests: Iterable[Request]) -> float:
    """Return the share of rows from a cache that asks for each bar once and for nothing else."""
    answered = 0
    wanted: dict[Name, np.ndarray] = {}
    for request in requests:
        start, end = span(request)
        for symbol in set(request.symbols):
            told = series(symbol, request.frequency)
            rows = told.between(start, end, request.now)
            mask = wanted.setdefault((symbol, request.frequency), np.zeros(len(told.labels), dtype=bool))
            mask[rows] = True
            answered += rows.stop - rows.start
    return 1 - sum(int(mask.sum()) for mask in wanted.values()) / answered


def through_exact_keys(requests: Sequence[Request], max_size_bytes: int | None = None) -> Outcome:
    """Replay through the exact-key design."""
    outcome, now = Outcome(), [0.0]
    vendor = RestatingVendor(lambda: now[0])
    cache = ExactKeyCache(vendor, max_size_bytes)
    told = Told()
    for request in requests:
        now[0] = request.now
        before = len(vendor.asked)
        bars, _ = cache.fetch(request)
        asked = vendor.asked[before:]
        if cache.stale_since is not None and not _any_new(told, asked, request):
            outcome.false_invalidations += 1
        _note(told, asked)
        outcome.answers += 1
        outcome.hits += not asked
        outcome.rows += bars.height
        outcome.rows_fetched += sum(one.rows for one in asked)
        outcome.requests += len(asked)
        outcome.requests_uncached += len(set(request.symbols))
    outcome.size_bytes = cache.size_bytes
    for at, (key, entry) in cache.evictions:
        again = next((r for r in requests if r.now > at and cache.key(r) == key), None)
        outcome.evicted_rows += entry.bars.height
        if again is not None and cache.is_fresh(entry.fetched_at, again.now, again.frequency):
            outcome.evicted_too_early += entry.bars.height
    return outcome


def through_the_cache(requests: Sequence[Request], home: Path, max_size_bytes: int | None = None) -> Outcome:
    """Replay through `CachedDataSource` in an empty home; with a limit, evictions are watched as well."""
    from rustybt.config import load_settings
    from rustybt.data.bundles.cache_store import CacheStore
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.sources import CachedDataSource

    outcome, now = Outcome(), [0.0]
    vendor = RestatingVendor(lambda: now[0])
    settings = load_settings()
    if max_size_bytes is not None:
        settings = replace(settings, cache_max_size_bytes=max_size_bytes)
    told = Told()
    with BundleStore(home, settings=settings, clock=lambda: now[0]) as store:
        source = CachedDataSource(vendor, store=store, clock=lambda: now[0])
        held = CacheStore(store)
        watch = None if max_size_bytes is None else EvictionWatch(held)
        for request in requests:
            now[0] = request.now
            before = len(vendor.asked)
            bars = source.fetch_sync(list(request.symbols), request.start, request.end, request.frequency)
            asked = vendor.asked[before:]
            outcome.add(request, bars, asked)
            if asked and not _any_new(told, asked, request):
                outcome.false_invalidations += 1
                outcome.false.append(f"{request.at} {request.who} {_shown(asked)}")
            _note(told, asked)
            if watch is not None:
                watch.look(request)
        outcome.size_bytes = held.size_bytes()
        if watch is not None:
            outcome.evicted_rows, outcome.evicted_too_early = watch.evicted, watch.asked_again
    return outcome


def _any_new(told: Told, asked: Iterable[Asked], request: Request) -> bool:
    start, end = span(request)
    return any(told.is_new(one, start, end) for one in asked)


def _note(told: Told, asked: Iterable[Asked]) -> None:
    for one in asked:
        told.note(one)


def _shown(asked: Sequence[Asked]) -> str:
    one = asked[0]
    start, end = (datetime.fromtimestamp(at / _MICRO, UTC).strftime("%Y-%m-%d %H:%M") for at in (one.start, one.end))
    return f"asked for {len(asked)} symbols, {one.symbol} {one.frequency} {start} to {end}"


class EvictionWatch:
    """Sees in the ledger which bars left, and whether they are asked for again before they are back."""

    def __init__(self, cache: CacheStore) -> None:
        self._cache = cache
        self._held: dict[Name, np.ndarray] = {}
        self._gone: dict[Name, np.ndarray] = {}
        self.evicted = self.asked_again = 0

    def look(self, request: Request) -> None:
        """Take note of an answered request and of what left for it."""
        start, end = span(request)
        for symbol in set(request.symbols):
            gone = self._gone.get((symbol, request.frequency))
            if gone is not None:
                rows = series(symbol, request.frequency).between(start, end, request.now)
                self.asked_again += int(gone[rows].sum())
                gone[rows] = False
        held = self._covered()
        for name, before in self._held.items():
            left = before & ~held.get(name, np.zeros_like(before))
            if left.any():
                self.evicted += int(left.sum())
                gone = self._gone.setdefault(name, np.zeros_like(before))
                gone |= left
        for name, now in held.items():
            if name in self._gone:
                self._gone[name] &= ~now
        self._held = held

    def _covered(self) -> dict[Name, np.ndarray]:
        found: dict[Name, np.ndarray] = {}
        for item in self._cache.series():
            name = item.symbol, item.frequency
            labels = series(*name).labels
            mask = found.setdefault(name, np.zeros(len(labels), dtype=bool))
            for segment in item.segments:
                if segment.file_key:
                    first, last = np.searchsorted(labels, segment.start), np.searchsorted(labels, segment.end, "right")
                    mask[first:last] = True
        return found
