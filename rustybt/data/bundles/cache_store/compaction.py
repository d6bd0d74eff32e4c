"""Many small files of a dataset into few: every fill leaves one, and a read should open few."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from rustybt.data.bundles.layout import MAX_FILE_BYTES
from rustybt.data.bundles.metadata_store import cache as sql
from rustybt.data.bundles.storage.local import translated
from rustybt.logging import get_logger

if TYPE_CHECKING:
    from rustybt.data.bundles.cache_store.dataset import CachedDataset
    from rustybt.data.bundles.metadata_store.database import Database
    from rustybt.data.cache.coverage import Segment

logger = get_logger(__name__)

#: So many small files are joined.
MOST_SMALL_FILES = 8
#: A file that fills less than such a share of what a file may hold is small.
_SMALL_SHARE = 4
#: In a small cache less is joined: what was used at different times should be able to leave apart.
_LIMIT_SHARE = 32


def compact(dataset: CachedDataset, database: Database) -> int:
    """Join the small files of a dataset when there are too many, and let go of those of which nothing is left to read.

    Files that a bundle shares are not joined. One process at a time does it; another one that would has nothing to do.

    Returns
    -------
    int
        How many files were joined or let go.
    """
    dataset.ledger.refresh()
    if not _due(dataset, frozenset()):
        return 0
    path = dataset.place.root / f"{dataset.name}.compact.lock"
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        with translated("lock", path):
            lock.acquire()
    except Timeout:
        return 0
    try:
        dataset.ledger.refresh()
        with database.read() as connection:
            shared = frozenset(sql.shared_files(connection, dataset.name))
        old = _due(dataset, shared)
        if not old:
            return 0
        pieces: dict[str, list[Segment]] = defaultdict(list)
        for symbol, series in dataset.ledger.series(dataset.ledger.symbols).items():
            held = [segment for segment in series.segments if segment.file_key in old]
            if held:
                pieces[symbol] = held
        written = dataset.write_files(dataset.read(pieces, is_use=False))
        dataset.replace_files(old, written)
    finally:
        lock.release()
    logger.debug("cache_compacted", dataset=dataset.name, files_before=len(old), files_after=len(written))
    return len(old)


def _due(dataset: CachedDataset, shared: frozenset[str]) -> set[str]:
    """Return the small files if there are too many, and all whose bars were fetched again since."""
    files = dataset.ledger.files
    series = dataset.ledger.series(dataset.ledger.symbols)
    dead = files.keys() - {segment.file_key for item in series.values() for segment in item.segments}
    target = min(MAX_FILE_BYTES, max(1, dataset.max_size_bytes // _LIMIT_SHARE))
    small = {key for key, record in files.items() if key not in shared and record.size_bytes < target // _SMALL_SHARE}
    # What is dead and small leaves with the next joining; a look at it here would cost a write after every fetch.
    return small | dead if len(small) >= MOST_SMALL_FILES else dead - small
