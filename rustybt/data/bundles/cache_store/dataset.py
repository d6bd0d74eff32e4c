"""One dataset of the cache: everything that one source delivers alike, by symbol and interval."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rustybt.data.bundles.cache_store import ledger as ledgers
from rustybt.data.bundles.cache_store.file_keys import keyed
from rustybt.data.bundles.cache_store.ledger import Ledger
from rustybt.data.bundles.cache_store.reading import read_frame, read_pieces
from rustybt.data.bundles.cache_store.space import TOUCHES, evictions, make_room, remove_rows, report_room
from rustybt.data.bundles.file_reader import FileReader
from rustybt.data.bundles.layout import MAX_FILE_ROWS, split_for_files
from rustybt.data.bundles.metadata_store import cache as sql
from rustybt.data.bundles.records import FileRecord
from rustybt.data.bundles.storage.parquet import encode_bars, narrow_bars
from rustybt.data.cache.coverage import Segment, join_settled, put
from rustybt.data.cache.eviction import CachedFile
from rustybt.data.cache.series import Series, SeriesFacts
from rustybt.errors import CorruptBundleError, RustybtError
from rustybt.logging import get_logger
from rustybt.market.bars import spans_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import polars as pl

    from rustybt.data.bundles.cache_store.place import CachePlace
    from rustybt.data.bundles.metadata_store.cache import DatasetRow
    from rustybt.data.bundles.metadata_store.database import Connection
    from rustybt.data.bundles.store import BundleStore
    from rustybt.market.revisions import BarRevision

logger = get_logger(__name__)

#: What was fetched so long ago was fetched before the latest close of every frequency: its age decides nothing any more.
SETTLED_SECONDS = 40 * 86_400.0
#: Stands in a segment for the file that is about to be written.
HERE = "*"
#: A file is at most such a share of the limit, so that what leaves together was used together.
_LIMIT_SHARE = 8
_BYTES_PER_ROW = 24


@dataclass(frozen=True, slots=True)
class Addition:
    """What is new of one series.

    Parameters
    ----------
    segments
        In the order in which they count; those with bars have `HERE` as their file.
    facts
        In place of those before.
    revisions
        What the new bars say otherwise than those before, each with the values as JSON text.
    """

    symbol: str
    segments: tuple[Segment, ...]
    facts: SeriesFacts
    revisions: tuple[tuple[BarRevision, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """One file with the first and last timestamp that it holds of each symbol."""

    record: FileRecord
    spans: Mapping[str, tuple[int, int]]


class CachedDataset:
    """One dataset; several processes may use it at once.

    Parameters
    ----------
    row
        Its name and identity; it is made in the database when something is saved.
    max_size_bytes
        Of the whole cache directory.
    """

    def __init__(self, store: BundleStore, place: CachePlace, row: DatasetRow, max_size_bytes: int) -> None:
        self._store = store
        self._database = store.database
        self.place = place
        self.row = row
        self.name = row.name
        self.max_size_bytes = max_size_bytes
        self._storage = place.storage
        self._reader = FileReader(self._storage, row.name)
        self.ledger = Ledger(store.database, row.name)
        #: File -> its symbols, where a read has shown them; files never change.
        self._symbols_of: dict[str, list[str]] = {}

    # -- reading -----------------------------------------------------------------------------------------------------

    def read(
        self,
        pieces: Mapping[str, Iterable[Segment]],
        held: Mapping[str, pl.DataFrame] | None = None,
        *,
        is_use: bool = True,
    ) -> pl.DataFrame:
        """Return the contract bars of pieces.

        Parameters
        ----------
        held
            Frames in memory by file key; a file that is here is not read.
        is_use
            Somebody wants the bars, so that their files are the last to leave.

        Raises
        ------
        CorruptBundleError
            A file is missing or not what was written; `file` names it.
        """
        used: set[str] = set()
        memory = held or {}

        def read_file(key: str, symbols: Sequence[str] | None, start: int | None, end: int | None) -> pl.DataFrame:
            if key in memory:
                return read_frame(memory[key], symbols, start, end)
            used.add(key)
            record = self.ledger.files.get(key)
            if record is None:
                raise CorruptBundleError(f"file {key} of the cache is gone", bundle=self.name, file=key, missing=True)
            if symbols is None or self._symbols_of.get(key) == symbols or _is_whole(record, symbols):
                return self._reader.bars(record, None, start, end)
            rows = self._reader.bars(record, symbols, start, end)
            if rows.height == record.row_count:
                # These are all of the file: the next time nothing has to be looked for in it.
                self._symbols_of[key] = list(symbols)
            return rows

        bars = read_pieces(pieces, read_file)
        if is_use:
            self.touch(used)
        return bars

    def rows_of(self, record: FileRecord, symbols: Sequence[str]) -> pl.DataFrame:
        """Return the bars of some symbols in a file that the ledger need not know yet."""
        return self._reader.bars(record, symbols)

    def touch(self, keys: Collection[str]) -> None:
        """Note that files were used."""
        if keys:
            TOUCHES.note(str(self.place.root), keys, self._store.clock())
            for key in keys:
                self._store.counters.accessed(key)

    # -- writing -----------------------------------------------------------------------------------------------------

    def save(self, additions: Sequence[Addition], bars: pl.DataFrame) -> tuple[dict[str, Series], list[str]]:
        """Store what is new and return the series as they are now, and the keys of the files that hold it.

        Durable when this returns, or not at all; and what had to leave for it is gone.

        Parameters
        ----------
        bars
            Contract bars of all additions.

        Raises
        ------
        StorageError, ConflictError
            Disk full, read-only, or another process was in the way for too long; nothing was stored.
        """
        now = int(self._store.clock())
        written = list(self._write(bars))
        try:
            with self._database.write() as connection:
                sql.ensure_dataset(connection, self.row, now)
                known = ledgers.load(connection, self.name, [a.symbol for a in additions])
                series = [self._joined(known.get(a.symbol), a, written) for a in additions]
                self._add_files(connection, written, now)
                ledgers.save(connection, self.name, series, now)
                told = [(a.symbol, r.kind, text) for a in additions for r, text in a.revisions]
                sql.add_revisions(connection, self.name, told, now)
                TOUCHES.note(str(self.place.root), [w.record.file_key for w in written], self._store.clock())
                victims = make_room(connection, self.place, self.max_size_bytes, now)
                evicted = evictions(connection, victims)
                size = sql.counted_bytes(connection, self.place.text)
        except BaseException:
            self.discard(written)
            raise
        self._delete(victims)
        for use in evicted:
            self._store.counters.record(use)
        report_room(victims, size, self.max_size_bytes, self.place)
        return {item.symbol: item for item in series}, [item.record.file_key for item in written]

    def compact(self) -> int:
        """Join small files where there are too many; return how many were joined."""
        from rustybt.data.bundles.cache_store.compaction import compact

        return compact(self, self._database)

    def _joined(self, known: Series | None, addition: Addition, written: Sequence[Written]) -> Series:
        before = known.segments if known is not None else ()
        added = [part for segment in addition.segments for part in placed(segment, addition.symbol, written)]
        return Series(addition.symbol, self._settled(put(before, added)), addition.facts)

    def _settled(self, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
        """Join neighbours whose fetch times matter no more, else a series would grow by a segment a day."""
        return join_settled(segments, self._store.clock() - SETTLED_SECONDS)

    def _write(self, bars: pl.DataFrame) -> Iterator[Written]:
        rows = min(MAX_FILE_ROWS, max(1_000, self.max_size_bytes // _LIMIT_SHARE // _BYTES_PER_ROW))
        written: list[Written] = []
        try:
            for wide in split_for_files(bars, rows):
                part = narrow_bars(wide)
                data = encode_bars(part)
                stamps = part["timestamp"].to_physical()
                record = keyed(
                    self.name,
                    FileRecord(
                        "",
                        "bars",
                        "",
                        "",
                        hashlib.sha256(data).hexdigest(),
                        len(data),
                        part.height,
                        part["symbol"][0],
                        part["symbol"][-1],
                        int(stamps.min()),  # type: ignore[arg-type]
                        int(stamps.max()),  # type: ignore[arg-type]
                    ),
                )
                self._storage.put_new(record.file_key, data)
                written.append(Written(record, {symbol: (first, last) for symbol, first, last in spans_of(wide)}))
        except BaseException:
            self.discard(written)
            raise
        yield from written

    def write_files(self, bars: pl.DataFrame) -> list[Written]:
        """Write bars into files that nothing refers to yet."""
        return list(self._write(bars))

    def _add_files(
        self,
        connection: Connection,
        written: Sequence[Written],
        now: int,
        shared: Mapping[str, str] | None = None,
        accessed: int | None = None,
    ) -> None:
        records = [item.record for item in written]
        paths = {record.file_key: self.place.shown(record.file_key) for record in records}
        sql.add_files(connection, self.name, records, paths, now, shared, accessed)

    def discard(self, written: Iterable[Written]) -> None:
        """Remove files that nothing came to refer to."""
        self._delete(CachedFile(item.record.file_key, self.name, 0, 0.0) for item in written)

    def replace_files(
        self, old: Collection[str], written: Sequence[Written], shared: Mapping[str, str] | None = None
    ) -> None:
        """Let other files that hold all bars of the `old` ones take their place, in one transaction; then delete these.

        A segment that was cut or dropped meanwhile stays so.

        Parameters
        ----------
        shared
            File key -> key of the bundle's file with which it shares its bytes.
        """
        now = int(self._store.clock())
        gone = set(old)
        root = str(self.place.root)
        try:
            with self._database.write() as connection:
                held = [file for file in sql.files_in(connection, self.place.text) if file.file_key in gone]
                accessed = max((file.last_accessed for file in TOUCHES.refined(root, held)), default=float(now))
                changed = []
                needed: set[str] = set()
                for series in ledgers.load(connection, self.name).values():
                    segments = self._settled(put((), self._moved(series, gone, written)))
                    needed.update(segment.file_key for segment in segments)
                    if segments != series.segments:
                        changed.append(replace(series, segments=segments))
                used = [item for item in written if item.record.file_key in needed]
                self._add_files(connection, used, now, shared, int(accessed))
                ledgers.save(connection, self.name, changed, now)
                sql.delete_files(connection, gone)
                # The bytes of the new files are not exactly those of the old ones.
                TOUCHES.inherit(root, [item.record.file_key for item in used], accessed)
                victims = make_room(connection, self.place, self.max_size_bytes, now)
                evicted = evictions(connection, victims)
                size = sql.counted_bytes(connection, self.place.text)
        except BaseException:
            self.discard(written)
            raise
        self.discard(item for item in written if item.record.file_key not in needed)
        self._delete([*held, *victims])
        for use in evicted:
            self._store.counters.record(use)
        report_room(victims, size, self.max_size_bytes, self.place)

    def _moved(self, series: Series, gone: set[str], written: Sequence[Written]) -> Iterator[Segment]:
        for segment in series.segments:
            if segment.file_key in gone:
                yield from placed(replace(segment, file_key=HERE), series.symbol, written)
            else:
                yield segment

    def drop_file(self, file_key: str, why: str) -> None:
        """Forget a file that is not what was written; its bars are fetched again.

        Nothing happens where another process has removed it meanwhile.
        """
        with self._database.write() as connection:
            victim = sql.file_in(connection, file_key)
            if victim is None:
                return
            remove_rows(connection, [victim], self._store.clock())
        logger.warning("cache_file_dropped", file=file_key, dataset=self.name, reason=why)
        self._delete([victim])

    def _delete(self, files: Iterable[CachedFile]) -> None:
        keys = [file.file_key for file in files]
        TOUCHES.forget(str(self.place.root), keys)
        for key in keys:
            # Its row is gone: what cannot be deleted now is a stray that `clean` sweeps.
            with suppress(OSError, RustybtError):
                self._storage.delete(key)


def placed(segment: Segment, symbol: str, written: Sequence[Written]) -> list[Segment]:
    """Return a segment with the file that holds its bars; one whose bars lie in several files is cut between them."""
    if segment.file_key != HERE:
        return [segment]
    holders = sorted(
        (
            (item.spans[symbol], item.record.file_key)
            for item in written
            if symbol in item.spans and item.spans[symbol][0] <= segment.end and segment.start <= item.spans[symbol][1]
        ),
    )
    if not holders:
        return [replace(segment, file_key="")]
    parts = []
    start = segment.start
    for at, ((_, last), key) in enumerate(holders):
        end = segment.end if at == len(holders) - 1 else last
        parts.append(replace(segment, start=start, end=end, file_key=key))
        start = end + 1
    return parts


def _is_whole(record: FileRecord, symbols: Sequence[str] | None) -> bool:
    return symbols is not None and len(symbols) == 1 and record.first_symbol == record.last_symbol == symbols[0]
