"""What was counted since the last write: one frozen record an answer, and the sums of a batch of them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from rustybt.data.bundles.metadata_store import catalog

if TYPE_CHECKING:
    from rustybt.data.bundles.metadata_store.database import Connection


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What one answer took from the cache and what it fetched.

    Parameters
    ----------
    source
        Name of the source that was asked.
    hits, partial_hits, misses
        Answers that needed no request, that needed some, and of which nothing was there.
    rows_cached, rows_fetched
        Bars that came from the cache and from the source.
    bytes_cached
        Of the bars that came from the cache, 48 a bar.
    requests_made, requests_saved
        HTTP requests that were sent, and that a fetch of all of it would have taken beyond those.
    fetch_seconds, fetches
        Time that fetches took, and how many there were.
    stale_served
        Answers that hold stale bars, because that was allowed.
    evicted_files, evicted_bytes
        What went to make room.
    revisions
        Bars that the source delivered with other values than before.
    """

    source: str
    hits: int = 0
    partial_hits: int = 0
    misses: int = 0
    rows_cached: int = 0
    rows_fetched: int = 0
    bytes_cached: int = 0
    requests_made: int = 0
    requests_saved: int = 0
    fetch_seconds: float = 0.0
    fetches: int = 0
    stale_served: int = 0
    evicted_files: int = 0
    evicted_bytes: int = 0
    revisions: int = 0


_COUNTS = tuple(column.name for column in fields(CacheUse) if column.name != "source")


@dataclass(slots=True)
class Counted:
    """Sums by day (Unix seconds of its UTC midnight), by day and source, and by cache entry.

    Parameters
    ----------
    days
        Hits and misses.
    usage
        The counts of `CacheUse`, without those that are 0.
    accesses
        How often a cache entry was used, and when last.
    size
        How many things were counted.
    """

    days: dict[int, tuple[int, int]] = field(default_factory=dict)
    usage: dict[tuple[int, str], dict[str, float]] = field(default_factory=dict)
    accesses: dict[str, tuple[int, int]] = field(default_factory=dict)
    size: int = 0

    def add_answers(self, day: int, hits: int, misses: int) -> None:
        """Count hits and misses of a day."""
        before = self.days.get(day, (0, 0))
        self.days[day] = (before[0] + hits, before[1] + misses)
        self.size += hits + misses

    def add_access(self, cache_key: str, at: int) -> None:
        """Count one use of a cache entry."""
        count, last = self.accesses.get(cache_key, (0, at))
        self.accesses[cache_key] = (count + 1, max(last, at))
        self.size += 1

    def add_use(self, day: int, use: CacheUse) -> None:
        """Count an answer; where something was missing, the day's statistics call it a miss."""
        sums = self.usage.setdefault((day, use.source), {})
        for name in _COUNTS:
            if count := getattr(use, name):
                sums[name] = sums.get(name, 0) + count
        before = self.days.get(day, (0, 0))
        self.days[day] = (before[0] + use.hits, before[1] + use.misses + use.partial_hits)
        self.size += 1

    def add(self, other: Counted) -> None:
        """Count all that `other` counted."""
        for day, (hits, misses) in other.days.items():
            before = self.days.get(day, (0, 0))
            self.days[day] = (before[0] + hits, before[1] + misses)
        for key, counts in other.usage.items():
            sums = self.usage.setdefault(key, {})
            for name, count in counts.items():
                sums[name] = sums.get(name, 0) + count
        for cache_key, (count, at) in other.accesses.items():
            before_count, last = self.accesses.get(cache_key, (0, at))
            self.accesses[cache_key] = (before_count + count, max(last, at))
        self.size += other.size

    def write(self, connection: Connection) -> None:
        """Add everything to the tables, inside the caller's transaction."""
        for (day, source), counts in sorted(self.usage.items()):
            if counts:
                catalog.add_usage(connection, day, source, counts)
        for day, (hits, misses) in sorted(self.days.items()):
            catalog.add_counts(connection, day, hits, misses)
            catalog.note_size_and_latency(connection, day)
        catalog.touch_cache_entries(
            connection, [{"key": key, "count": count, "at": at} for key, (count, at) in self.accesses.items()]
        )
