"""Room in a cache directory: what leaves, rows before files."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from rustybt.data.bundles.cache_store import ledger
from rustybt.data.bundles.cache_store.place import CachePlace
from rustybt.data.bundles.counted import CacheUse
from rustybt.data.bundles.metadata_store import cache as sql
from rustybt.data.cache.eviction import WARNING_SHARE, choose_victims
from rustybt.errors import RustybtError
from rustybt.logging import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from rustybt.data.bundles.metadata_store.database import Connection, Database
    from rustybt.data.cache.eviction import CachedFile

logger = get_logger(__name__)

_MEGABYTE = 2**20


class Touches:
    """When this process last used each file, finer than the seconds of the database; shared by all of a process."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._sequence = itertools.count()
        self._at: dict[tuple[str, str], float] = {}

    def note(self, root: str, keys: Iterable[str], now: float) -> None:
        """Note that files were used now; of one instant, the later note counts as later."""
        with self._mutex:
            for key in keys:
                self._at[root, key] = now + next(self._sequence) * 1e-6

    def inherit(self, root: str, keys: Iterable[str], at: float) -> None:
        """Note that files hold what was last used at `at`, as `refined` says it."""
        with self._mutex:
            self._at.update(((root, key), at) for key in keys)

    def forget(self, root: str, keys: Iterable[str]) -> None:
        """Forget files that are gone."""
        with self._mutex:
            for key in keys:
                self._at.pop((root, key), None)

    def refined(self, root: str, files: Iterable[CachedFile]) -> list[CachedFile]:
        """Return files with the later of what the database and this process know."""
        with self._mutex:
            known = self._at
            return [
                file
                if (at := known.get((root, file.file_key), 0.0)) <= file.last_accessed
                else replace(file, last_accessed=at)
                for file in files
            ]


TOUCHES = Touches()


def make_room(connection: Connection, place: CachePlace, max_size_bytes: int, now: float) -> list[CachedFile]:
    """Remove the rows of what has to leave, inside the caller's transaction, and return the files to delete after it."""
    sql.count_abandoned(connection)
    if sql.counted_bytes(connection, place.text) <= max_size_bytes:
        return []
    files = TOUCHES.refined(str(place.root), sql.files_in(connection, place.text))
    victims = choose_victims(files, max_size_bytes)
    remove_rows(connection, victims, now)
    return victims


def evictions(connection: Connection, victims: Collection[CachedFile]) -> list[CacheUse]:
    """Return by source what went to make room, as the statistics count it."""
    if not victims:
        return []
    sources = {row.name: row.source for row in sql.list_datasets(connection)}
    sizes: dict[str, list[int]] = defaultdict(list)
    for file in victims:
        sizes[sources[file.dataset]].append(file.size_bytes)
    return [
        CacheUse(source, evicted_files=len(gone), evicted_bytes=sum(gone)) for source, gone in sorted(sizes.items())
    ]


def remove_rows(connection: Connection, files: Collection[CachedFile], now: float) -> None:
    """Forget files and what series say of them."""
    by_dataset: dict[str, set[str]] = defaultdict(set)
    for file in files:
        by_dataset[file.dataset].add(file.file_key)
    for name, keys in by_dataset.items():
        sql.delete_files(connection, keys)
        ledger.forget_files(connection, name, keys, int(now))
    sql.delete_requests(connection, by_dataset)


def remove_file(database: Database, file_key: str, now: float) -> bool:
    """Remove one file of whichever cache, and what series say of it; return whether there was one."""
    with database.write() as connection:
        file = sql.file_in(connection, file_key)
        if file is None:
            return False
        folder = sql.directory_of(connection, file.dataset)
        remove_rows(connection, [file], now)
    place = CachePlace.of(database.home, folder or None)
    TOUCHES.forget(str(place.root), [file_key])
    with suppress(OSError, RustybtError):
        place.storage.delete(file_key)
    return True


def report_room(victims: Collection[CachedFile], size_bytes: int, max_size_bytes: int, place: CachePlace) -> None:
    """Log what was evicted, and warn before it comes to that."""
    if victims:
        logger.info(
            "cache_eviction",
            evicted_count=len(victims),
            evicted_bytes=sum(file.size_bytes for file in victims),
            new_size_mb=round(size_bytes / _MEGABYTE, 3),
        )
    elif size_bytes > WARNING_SHARE * max_size_bytes:
        logger.warning(
            "cache_nearly_full",
            size_mb=round(size_bytes / _MEGABYTE, 1),
            limit_mb=round(max_size_bytes / _MEGABYTE, 1),
            folder=str(place.root),
            hint="rustybt config set cache.max_size_bytes 20GB, or rustybt cache clean --max-size 5GB",
        )
