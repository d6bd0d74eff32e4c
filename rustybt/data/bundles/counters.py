"""Hit and miss counters: kept in memory, written in batches.

A row update per read would cost hundreds of times the read itself. Counts are flushed every few seconds while counting goes on and at
normal exit; kill -9 loses at most what was counted since.
"""

from __future__ import annotations

import atexit
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from rustybt.data.bundles.metadata_store import catalog
from rustybt.errors import RustybtError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustybt.data.bundles.metadata_store.database import Database

FLUSH_SECONDS = 5.0
FLUSH_COUNT = 1_000
_SECONDS_PER_DAY = 86_400


class CacheCounters:
    """Counts hits, misses and cache accesses of one home.

    Parameters
    ----------
    database
        Where batches go.
    clock
        Seconds since 1970 (UTC); decides the day that is counted.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._mutex = threading.Lock()
        self._days: dict[int, list[int]] = {}
        self._accesses: dict[str, tuple[int, int]] = {}
        self._pending = 0
        self._flushed_at = time.monotonic()
        atexit.register(self.flush_quietly)

    def hit(self, count: int = 1) -> None:
        """Count hits of today."""
        self._add(count, 0)

    def miss(self, count: int = 1) -> None:
        """Count misses of today."""
        self._add(0, count)

    def accessed(self, cache_key: str) -> None:
        """Note that a cache entry was used now."""
        with self._mutex:
            count, _ = self._accesses.get(cache_key, (0, 0))
            self._accesses[cache_key] = (count + 1, int(self._clock()))
            self._pending += 1
        self._flush_if_due()

    def _add(self, hits: int, misses: int) -> None:
        day = int(self._clock()) // _SECONDS_PER_DAY * _SECONDS_PER_DAY
        with self._mutex:
            counted = self._days.setdefault(day, [0, 0])
            counted[0] += hits
            counted[1] += misses
            self._pending += hits + misses
        self._flush_if_due()

    def _flush_if_due(self) -> None:
        if self._pending >= FLUSH_COUNT or (self._pending and time.monotonic() - self._flushed_at > FLUSH_SECONDS):
            self.flush_quietly()

    def flush(self) -> None:
        """Write what was counted; on failure it stays counted."""
        with self._mutex:
            days, accesses, pending = self._days, self._accesses, self._pending
            self._days, self._accesses, self._pending = {}, {}, 0
            self._flushed_at = time.monotonic()
        if not pending:
            return
        try:
            with self._database.write() as connection:
                for day, (hits, misses) in sorted(days.items()):
                    catalog.add_counts(connection, day, hits, misses)
                catalog.touch_cache_entries(
                    connection, [{"key": key, "count": count, "at": at} for key, (count, at) in accesses.items()]
                )
        except BaseException:
            self._restore(days, accesses, pending)
            raise

    def _restore(self, days: dict[int, list[int]], accesses: dict[str, tuple[int, int]], pending: int) -> None:
        with self._mutex:
            for day, (hits, misses) in days.items():
                counted = self._days.setdefault(day, [0, 0])
                counted[0] += hits
                counted[1] += misses
            for key, (count, at) in accesses.items():
                more, later = self._accesses.get(key, (0, at))
                self._accesses[key] = (count + more, max(at, later))
            self._pending += pending

    def flush_quietly(self) -> None:
        """Write what was counted; a busy or read-only home is tried again later, since statistics must not stop work."""
        with suppress(RustybtError, OSError):
            self.flush()
