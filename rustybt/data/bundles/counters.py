"""Counters of what the cache is used for: kept in memory, written in batches by a thread of their own.

A row update per read would cost hundreds of times the read itself. Counts are written some seconds after the first one and at normal
exit; kill -9 loses at most `FLUSH_SECONDS` worth of them, or what was counted while another process kept the home locked.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from rustybt.data.bundles.counted import CacheUse, Counted
from rustybt.errors import RustybtError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustybt.data.bundles.metadata_store.database import Database

FLUSH_SECONDS = 5.0
FLUSH_COUNT = 1_000
#: How long a write in the background waits for another writer; what it could not write stays counted.
_LOCK_SECONDS = 1.0
#: At exit there is no later: other writers of the catalog need milliseconds.
_EXIT_LOCK_SECONDS = 10.0
_SECONDS_PER_DAY = 86_400


class CacheCounters:
    """Counts what the cache of one home is used for; counting never waits for the database.

    Parameters
    ----------
    database
        Where batches go.
    clock
        Seconds since 1970 (UTC); decides the day that is counted.
    flush_seconds
        How long a count may wait in memory before it is written.
    """

    _shared: ClassVar[dict[str, CacheCounters]] = {}

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.time, flush_seconds: float = FLUSH_SECONDS
    ) -> None:
        self._database = database
        self._clock = clock
        self._flush_seconds = flush_seconds
        # By process: a forked child starts with nothing, for what its parent counted the parent writes; nor may it wait for
        # locks that a thread of the parent held.
        self._batches: dict[int, _Batch] = {}

    @classmethod
    def of(cls, database: Database) -> CacheCounters:
        """Return the counters of the home of `database`, the same ones for everybody in this process."""
        home = os.path.realpath(database.home)
        return cls._shared.get(home) or cls._shared.setdefault(home, cls(database, database.clock))

    # -- counting ----------------------------------------------------------------------------------------------------

    def hit(self, count: int = 1) -> None:
        """Count hits of today."""
        self._count(lambda counted: counted.add_answers(self._day(), count, 0))

    def miss(self, count: int = 1) -> None:
        """Count misses of today."""
        self._count(lambda counted: counted.add_answers(self._day(), 0, count))

    def accessed(self, cache_key: str) -> None:
        """Note that a cache entry was used now."""
        self._count(lambda counted: counted.add_access(cache_key, int(self._clock())))

    def record(self, use: CacheUse) -> None:
        """Count an answer of today."""
        self._count(lambda counted: counted.add_use(self._day(), use))

    def _day(self) -> int:
        return int(self._clock()) // _SECONDS_PER_DAY * _SECONDS_PER_DAY

    def _count(self, add: Callable[[Counted], None]) -> None:
        batch = self._batch()
        with batch.mutex:
            if not batch.counted.size:
                batch.had_database = self._has_database()
            add(batch.counted)
            if batch.counted.size - batch.tried_at >= FLUSH_COUNT:
                batch.is_due.set()
            if batch.counted.size and not batch.is_watched:
                batch.is_watched = self._watch(batch)

    def _has_database(self) -> bool:
        try:
            return self._database.path.exists()
        except OSError:  # a home that may not be looked into
            return False

    def _batch(self) -> _Batch:
        process = os.getpid()
        found = self._batches.get(process)
        if found is not None:
            return found
        made = _Batch()
        batch = self._batches.setdefault(process, made)
        if batch is made:
            self._write_at_exit()
        return batch

    # -- writing -----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what was counted; on failure it stays counted.

        Raises
        ------
        ConflictError
            Another process held the writer's lock for longer than the timeout.
        StorageError
            The home cannot be written.
        """
        self._write(self._batch(), None)

    def flush_quietly(self, lock_seconds: float = _LOCK_SECONDS) -> None:
        """Write what was counted; a busy or read-only home is tried again later, since statistics must not stop work.

        A home that was deleted since is not made again.
        """
        batch = self._batch()
        if batch.had_database and not self._has_database():
            with batch.mutex:
                batch.counted, batch.tried_at = Counted(), 0
            return
        with suppress(RustybtError, OSError):
            self._write(batch, lock_seconds)

    def _write(self, batch: _Batch, lock_seconds: float | None) -> None:
        # One at a time: who flushes sees in the database what was counted before, also where another thread was at it.
        with batch.writing:
            with batch.mutex:
                taken, batch.counted = batch.counted, Counted()
                batch.tried_at = 0
                batch.is_due.clear()
            if not taken.size:
                return
            try:
                with self._database.write(lock_timeout_seconds=lock_seconds) as connection:
                    taken.write(connection)
            except BaseException:
                with batch.mutex:
                    batch.counted.add(taken)
                    batch.tried_at = batch.counted.size
                raise

    def _watch(self, batch: _Batch) -> bool:
        """Start the thread that writes the batch; False where the interpreter is shutting down and starts none."""
        thread = threading.Thread(target=self._write_until_empty, args=(batch,), name="cache-counters", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        return True

    def _write_until_empty(self, batch: _Batch) -> None:
        while True:
            batch.is_due.wait(self._flush_seconds)
            self.flush_quietly()
            with batch.mutex:
                if not batch.counted.size:
                    batch.is_watched = False
                    return

    def _write_at_exit(self) -> None:
        atexit.register(self.flush_quietly, _EXIT_LOCK_SECONDS)
        if "multiprocessing.process" not in sys.modules:
            return
        from multiprocessing import parent_process, util

        if parent_process() is not None:
            # A process that multiprocessing forked ends without what atexit knows.
            util.Finalize(None, self.flush_quietly, (_EXIT_LOCK_SECONDS,), exitpriority=1)


class _Batch:
    """What one process counts until it is written."""

    __slots__ = ("counted", "had_database", "is_due", "is_watched", "mutex", "tried_at", "writing")

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.writing = threading.Lock()
        self.is_due = threading.Event()
        self.is_watched = False
        self.counted = Counted()
        #: Size of what could not be written when it was tried last.
        self.tried_at = 0
        #: Whether the home had a database when the first of it was counted.
        self.had_database = False


__all__ = ["FLUSH_COUNT", "FLUSH_SECONDS", "CacheCounters", "CacheUse"]
