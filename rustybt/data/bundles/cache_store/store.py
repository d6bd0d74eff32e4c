"""The cache of a home as a whole: what it holds, how large it is, and how it is made smaller."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.cache_store import ledger as ledgers
from rustybt.data.bundles.cache_store.dataset import CachedDataset
from rustybt.data.bundles.cache_store.file_keys import checked
from rustybt.data.bundles.cache_store.place import CachePlace
from rustybt.data.bundles.cache_store.space import TOUCHES, remove_rows
from rustybt.data.bundles.metadata_store import cache as sql
from rustybt.data.bundles.names import is_cache_name
from rustybt.data.cache.eviction import choose_victims
from rustybt.errors import RequestError, RustybtError
from rustybt.logging import get_logger

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from rustybt.data.bundles.metadata_store.cache import DatasetRow
    from rustybt.data.bundles.metadata_store.database import Connection
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.cache.coverage import Segment
    from rustybt.data.cache.eviction import CachedFile

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CacheDataset:
    """One dataset, as ``rustybt cache list`` shows it.

    Parameters
    ----------
    size_bytes
        That count against the limit; `shared_bytes` are a bundle's as well and do not.
    first_bar, last_bar
        Microseconds UTC; None without bars.
    last_accessed
        Unix seconds.
    reasons
        How many intervals there are of each reason.
    """

    name: str
    source: str
    frequency: str
    identity: Mapping[str, Any]
    cache_dir: str
    symbols: int
    rows: int
    files: int
    size_bytes: int
    shared_bytes: int
    first_bar: int | None
    last_bar: int | None
    last_accessed: int | None
    reasons: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "identity": dict(self.identity), "reasons": dict(self.reasons)}


@dataclass(frozen=True, slots=True)
class CachedSeries:
    """What is covered of one symbol of one dataset."""

    dataset: str
    source: str
    frequency: str
    symbol: str
    segments: tuple[Segment, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; times as in `Segment`."""
        return {
            "dataset": self.dataset,
            "source": self.source,
            "frequency": self.frequency,
            "symbol": self.symbol,
            "segments": [
                {"start": s.start, "end": s.end, "reason": s.reason.value, "fetched_at": s.fetched_at}
                for s in self.segments
            ],
        }


@dataclass(frozen=True, slots=True)
class CleanReport:
    """What was removed, and how large the cache is now."""

    files: int
    bytes_freed: int
    series: int
    size_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


class CacheStore:
    """The cached datasets of one cache directory.

    Parameters
    ----------
    store
        Of the home that the cache belongs to.
    cache_dir
        None is the configured one (`cache.dir`), by default inside the home.
    max_size_bytes
        None is the configured limit (`cache.max_size_bytes`).
    """

    def __init__(
        self,
        store: BundleStore,
        cache_dir: str | os.PathLike[str] | None = None,
        max_size_bytes: int | None = None,
    ) -> None:
        self._store = store
        self.settings = store.settings
        self._database = store.database
        self.place = CachePlace.of(store.home, cache_dir if cache_dir is not None else store.settings.cache_dir)
        self.max_size_bytes = store.settings.cache_max_size_bytes if max_size_bytes is None else max_size_bytes

    def dataset(self, row: DatasetRow) -> CachedDataset:
        """Return one dataset, which need not be there yet."""
        return CachedDataset(self._store, self.place, row, self.max_size_bytes)

    def size_bytes(self) -> int:
        """Return the bytes that count against the limit: those that no bundle holds as well."""
        if not self._database.exists():
            return 0
        with self._database.read() as connection:
            return sql.counted_bytes(connection, self.place.text)

    def datasets(self, source: str | None = None) -> list[CacheDataset]:
        """Return every dataset, by source and frequency."""
        if not self._database.exists():
            return []
        with self._database.read(snapshot=True) as connection:
            accesses = sql.file_accesses(connection, self.place.text)
            counted = sql.files_in(connection, self.place.text)
            rows = [r for r in sql.list_datasets(connection, self.place.text) if source in (None, r.source)]
            return sorted(
                (self._describe(connection, row, counted, accesses.get(row.name)) for row in rows),
                key=lambda found: (found.source, found.frequency, found.name),
            )

    def _describe(
        self, connection: Connection, row: DatasetRow, counted: Sequence[CachedFile], accessed: int | None
    ) -> CacheDataset:
        files = [checked(row.name, record) for record in sql.load_files(connection, row.name)]
        size = sum(file.size_bytes for file in counted if file.dataset == row.name)
        series = [item for item in ledgers.load(connection, row.name).values() if item.segments]
        spans = [span for item in series if (span := item.span()) is not None]
        shared = set(sql.shared_files(connection, row.name))
        return CacheDataset(
            name=row.name,
            source=row.source,
            frequency=row.frequency,
            identity=json.loads(row.identity),
            cache_dir=str(self.place.root),
            symbols=len(series),
            rows=sum(record.row_count for record in files),
            files=len(files),
            size_bytes=size,
            shared_bytes=sum(record.size_bytes for record in files if record.file_key in shared),
            first_bar=min((first for first, _ in spans), default=None),
            last_bar=max((last for _, last in spans), default=None),
            last_accessed=accessed,
            reasons=dict(Counter(segment.reason.value for item in series for segment in item.segments)),
        )

    def series(self, source: str | None = None, symbols: Collection[str] | None = None) -> list[CachedSeries]:
        """Return what is covered, by source, frequency and symbol."""
        if not self._database.exists():
            return []
        found: list[CachedSeries] = []
        with self._database.read(snapshot=True) as connection:
            for row in sql.list_datasets(connection, self.place.text):
                if source not in (None, row.source):
                    continue
                held = ledgers.load(connection, row.name, None if symbols is None else sorted(symbols))
                found += (
                    CachedSeries(row.name, row.source, row.frequency, symbol, item.segments)
                    for symbol, item in held.items()
                    if item.segments
                )
        return sorted(found, key=lambda item: (item.source, item.frequency, item.dataset, item.symbol))

    def revisions(self, source: str | None = None, symbols: Collection[str] | None = None) -> list[dict[str, Any]]:
        """Return what later answers said otherwise than earlier ones, oldest first.

        Each has `source`, `frequency`, `symbol`, `kind`, `seen_at` (Unix seconds), `rows`, `first`, `last`, and `values`: of up
        to 20 bars the timestamp (ISO, UTC) and the changed fields, each with the value before and after as text.
        """
        if not self._database.exists():
            return []
        with self._database.read(snapshot=True) as connection:
            rows = {
                row.name: row for row in sql.list_datasets(connection, self.place.text) if source in (None, row.source)
            }
            told = sql.load_revisions(connection, sorted(rows))
        return [
            {
                "source": rows[name].source,
                "frequency": rows[name].frequency,
                "symbol": symbol,
                "kind": kind,
                "seen_at": at,
                **json.loads(text),
            }
            for name, symbol, kind, at, text in told
            if symbols is None or symbol in symbols
        ]

    # -- removing ----------------------------------------------------------------------------------------------------

    def clean(
        self,
        *,
        max_size_bytes: int | None = None,
        everything: bool = False,
        symbols: Collection[str] | None = None,
        source: str | None = None,
    ) -> CleanReport:
        """Remove what was used least recently until the cache is no larger, or some symbols, or all; and what crashes left.

        Bundles keep their bytes. Name one of the ways; `source` restricts it to one source.

        Raises
        ------
        RequestError
            No way is named, or several.
        """
        if sum((max_size_bytes is not None, everything, symbols is not None)) != 1:
            raise RequestError(
                "say what to remove from the cache: a size, symbols, or all of it",
                hint="rustybt cache clean --max-size 5GB, --symbols AAPL,MSFT or --all",
            )
        if not self._database.exists():
            return CleanReport(0, 0, 0, 0)
        self._store.counters.flush()
        now = self._store.clock()
        with self._database.write() as connection:
            sql.count_abandoned(connection)
            rows = [r for r in sql.list_datasets(connection, self.place.text) if source in (None, r.source)]
            names = {row.name for row in rows}
            files = [file for file in sql.files_in(connection, self.place.text) if file.dataset in names]
            series = 0
            if symbols is not None:
                series, victims = self._forget_symbols(connection, rows, set(symbols), files)
            else:
                limit = max_size_bytes if max_size_bytes is not None else 0
                refined = TOUCHES.refined(str(self.place.root), files)
                victims = files if everything else choose_victims(refined, limit)
                if everything:
                    series = self._forget_all(connection, rows)
                    sql.delete_requests(connection, names)
                remove_rows(connection, victims, now)
            size = sql.counted_bytes(connection, self.place.text)
        TOUCHES.forget(str(self.place.root), [file.file_key for file in victims])
        for file in victims:
            with suppress(OSError, RustybtError):
                self.place.storage.delete(file.file_key)
        swept = self._sweep()
        return CleanReport(len(victims) + len(swept), sum(f.size_bytes for f in victims) + sum(swept), series, size)

    def _forget_all(self, connection: Connection, rows: Sequence[DatasetRow]) -> int:
        count = 0
        for row in rows:
            held = [item for item in ledgers.load(connection, row.name).values() if item.segments]
            ledgers.save(connection, row.name, [item.left_with(()) for item in held], int(self._store.clock()))
            count += len(held)
        return count

    def _forget_symbols(
        self, connection: Connection, rows: Sequence[DatasetRow], symbols: set[str], files: Sequence[CachedFile]
    ) -> tuple[int, list[CachedFile]]:
        """Forget series, and the files that nothing else needs."""
        count = 0
        victims: list[CachedFile] = []
        for row in rows:
            held = ledgers.load(connection, row.name)
            gone = [item for item in held.values() if item.symbol in symbols and item.segments]
            if not gone:
                continue
            count += len(gone)
            kept = {s.file_key for item in held.values() if item.symbol not in symbols for s in item.segments}
            touched = {s.file_key for item in gone for s in item.segments if s.file_key} - kept
            dead = [file for file in files if file.dataset == row.name and file.file_key in touched]
            sql.delete_files(connection, [file.file_key for file in dead])
            sql.delete_requests(connection, [row.name])
            ledgers.save(connection, row.name, [item.left_with(()) for item in gone], int(self._store.clock()))
            victims += dead
        return count, victims

    def _sweep(self) -> list[int]:
        """Delete files that no row names, left behind by a crash and older than the grace period; return their sizes."""
        storage = self.place.storage
        if not self.place.root.is_dir():
            return []
        before = self._store.clock() - self._store.settings.bundle_gc_grace_seconds
        with self._database.read(snapshot=True) as connection:
            known = {file.file_key for file in sql.files_in(connection, self.place.text)}
            everywhere = {row.name: row.cache_dir for row in sql.list_datasets(connection)}
        names = {name for name, folder in everywhere.items() if folder == self.place.text}
        if not self.place.text:
            # Of a dataset whose first write died, or whose database was lost, no row tells; a folder elsewhere may have other users.
            found = {path.name for path in self.place.root.iterdir() if is_cache_name(path.name)}
            names |= found - everywhere.keys()
        swept = []
        for name in sorted(names):
            for stored in storage.list(name):
                if stored.key in known or _last_changed(storage.path(stored.key), stored.modified_at) >= before:
                    continue
                with suppress(OSError, RustybtError):
                    storage.delete(stored.key)
                    swept.append(stored.size_bytes)
        return swept


def _last_changed(path: Path, modified_at: float) -> float:
    """Return when a file came here: a second name of a bundle's file is as old as that one by its bytes."""
    try:
        return max(modified_at, path.lstat().st_ctime)
    except FileNotFoundError:
        return modified_at
