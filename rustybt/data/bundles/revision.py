"""The bars of a version in the making: batches are merged into files that nobody sees yet."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.data.bundles import layout
from rustybt.data.bundles.content_hash import BLOCK_SCHEMA, hash_blocks, merge_blocks, months_of
from rustybt.data.bundles.layout import (
    BASE,
    MAX_TAIL_SESSIONS,
    TAIL,
    assign_symbols,
    cluster_files,
    folder_of,
    partitions_of,
    sessions_in,
    split_for_files,
)
from rustybt.data.bundles.merge import Merged, Scope, join_touched, merge_bars
from rustybt.data.bundles.records import FileRecord
from rustybt.data.bundles.storage.parquet import encode_bars, encode_table, narrow_bars, widen
from rustybt.market.bars import concat_bars, empty_bars, join_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rustybt.data.bundles.file_reader import FileReader
    from rustybt.data.bundles.storage import Storage
    from rustybt.market.frequency import Frequency

#: So many difference files of block digests before they are joined to one.
_MAX_BLOCK_FILES = 8


class Revision:
    """Turns the files of a parent version into those of the next, batch by batch and in bounded memory.

    Nothing that it writes is referenced until the store commits; `discard` removes it again.

    Parameters
    ----------
    files
        The parent's files, of all frequencies.
    """

    def __init__(
        self, bundle: str, frequency: Frequency, storage: Storage, reader: FileReader, files: Sequence[FileRecord]
    ) -> None:
        self._bundle = bundle
        self._frequency = frequency
        self._storage = storage
        self._reader = reader
        self._parent = {record.file_key: record for record in files}
        self._live = dict(self._parent)
        self._base_last = layout.base_end(self._bars())
        self._touched: list[pl.DataFrame] = []
        self._recent: dict[str, pl.DataFrame] = {}
        self.rows_added = self.rows_changed = self.rows_removed = self.rows_unchanged = 0
        self.bytes_written = self.files_written = 0

    # -- what the store asks -----------------------------------------------------------------------------------------

    def upsert(self, bars: pl.DataFrame, scope: Scope | None = None) -> None:
        """Merge a batch of contract bars; with `scope`, remove old rows inside it that the batch does not hold."""
        parts = dict(partitions_of(bars, self._frequency, self._base_last))
        names = list(parts)
        if scope is not None:
            names += [name for name in self._partitions_holding(scope) if name not in parts]
        for name in names:
            self._merge_partition(name, parts.get(name, empty_bars()), scope)

    def finish(self) -> pl.DataFrame:
        """Fold a full tail, hash what was touched, write the digests; return all blocks of the new version."""
        self._fold_full_tail()
        blocks = self.known_blocks()
        touched = join_touched(self._touched)
        if touched.is_empty():
            return blocks
        fresh = self._hash_touched(touched)
        gone = touched.join(fresh, on=["symbol", "month"], how="anti").select(
            pl.lit(self._frequency.name).alias("frequency"),
            "symbol",
            "month",
            *(pl.lit(0, dtype=pl.Int64).alias(name) for name in ("rows", "first", "last")),
            pl.lit(b"").alias("digest"),
        )
        difference = join_frames([fresh, gone])
        merged = merge_blocks(blocks, difference)
        self._write_blocks(merged, difference)
        return merged

    @property
    def files(self) -> list[FileRecord]:
        """Every file of the new version."""
        return list(self._live.values())

    @property
    def added(self) -> list[FileRecord]:
        """Files that the parent does not have."""
        return [record for key, record in self._live.items() if key not in self._parent]

    @property
    def removed(self) -> list[str]:
        """Keys of the parent's files that the new version no longer has."""
        return [key for key in self._parent if key not in self._live]

    def discard(self) -> None:
        """Remove what was written; only for a revision that was never committed."""
        for record in self.added:
            self._storage.delete(record.file_key)

    def last_bars(self) -> dict[str, int]:
        """Return the timestamp of each symbol's last bar in the parent, microseconds UTC."""
        blocks = read_blocks(self._reader, self._parent.values()).filter(pl.col("frequency") == self._frequency.name)
        return dict(blocks.group_by("symbol").agg(pl.col("last").max()).rows())

    def known_blocks(self) -> pl.DataFrame:
        """Return the parent's blocks, of all frequencies."""
        return read_blocks(self._reader, self._live.values())

    # -- merging -----------------------------------------------------------------------------------------------------

    def _bars(self, partition: str | None = None) -> list[FileRecord]:
        return [
            record
            for record in self._live.values()
            if record.kind == "bars"
            and record.frequency == self._frequency.name
            and partition in (None, record.partition)
        ]

    def _partitions_holding(self, scope: Scope) -> list[str]:
        held: dict[str, None] = {}
        for record in self._bars():
            if any(
                record.first_symbol <= symbol <= record.last_symbol
                and record.first_bar <= end
                and start <= record.last_bar
                for symbol, (start, end) in scope.spans.items()
            ):
                held[record.partition] = None
        return list(held)

    def _merge_partition(self, partition: str, bars: pl.DataFrame, scope: Scope | None) -> None:
        symbols = set(bars["symbol"].unique().to_list())
        if scope is not None:
            symbols |= scope.spans.keys()
        for files, members in assign_symbols(self._bars(partition), sorted(symbols)):
            new = bars if len(members) == len(symbols) else bars.filter(pl.col("symbol").is_in(members))
            if not files:
                if new.height:
                    self._count(merge_bars(empty_bars(), new))
                    self._write_bars(partition, new)
                continue
            old = concat_bars(self._load(record) for record in files)
            merged = merge_bars(old, new, scope)
            self._count(merged)
            if merged.is_same:
                continue
            for record in files:
                self._drop(record)
            self._write_bars(partition, merged.bars)

    def _count(self, merged: Merged) -> None:
        self.rows_added += merged.rows_added
        self.rows_changed += merged.rows_changed
        self.rows_removed += merged.rows_removed
        self.rows_unchanged += merged.rows_unchanged
        self._touched.append(merged.touched)

    def _fold_full_tail(self) -> None:
        """Fold the tail into the base when it holds too many sessions; content and blocks stay as they are."""
        tail = self._bars(TAIL)
        if not tail:
            return
        rows = concat_bars(self._load(record) for record in tail)
        if sessions_in(rows) <= MAX_TAIL_SESSIONS:
            return
        for files, members in assign_symbols(self._bars(BASE), sorted(rows["symbol"].unique().to_list())):
            new = rows.filter(pl.col("symbol").is_in(members))
            old = concat_bars(self._load(record) for record in files)
            for record in files:
                self._drop(record)
            self._write_bars(BASE, merge_bars(old, new).bars)
        for record in tail:
            self._drop(record)

    # -- hashing -----------------------------------------------------------------------------------------------------

    def _hash_touched(self, touched: pl.DataFrame) -> pl.DataFrame:
        """Hash every touched block again; a block may lie in a base file and in the tail."""
        wanted = set(touched["symbol"].unique().to_list())
        hashed: list[pl.DataFrame] = []
        for group in self._block_groups():
            held = [r for r in group if any(r.first_symbol <= symbol <= r.last_symbol for symbol in wanted)]
            if not held:
                continue
            # Only where one file is the whole group is a block that nobody touched whole in what is read here.
            rows = self._touched_rows(held, touched, may_hold_more=len(group) == 1)
            if rows.height:
                hashed.append(hash_blocks(rows, self._frequency.name))
        return join_frames([BLOCK_SCHEMA.to_frame(), *hashed])

    def _block_groups(self) -> list[list[FileRecord]]:
        """Return files in groups so that no block lies in two groups, each group small."""
        if not self._frequency.is_intraday:
            tail = self._bars(TAIL)
            if tail:
                # Tail rows may belong to any base file's blocks: one group; only months in the tail are read from the base.
                return [self._bars()]
        groups: dict[str, list[FileRecord]] = {}
        for record in self._bars():
            groups.setdefault(record.partition, []).append(record)
        return [cluster for files in groups.values() for cluster in cluster_files(files)]

    def _touched_rows(self, files: Sequence[FileRecord], touched: pl.DataFrame, *, may_hold_more: bool) -> pl.DataFrame:
        """Return the rows of touched blocks, whole blocks, narrow where they come from one file."""
        first, last = int(touched["month"].min()), int(touched["month"].max())  # type: ignore[arg-type]
        parts: list[pl.DataFrame] = []
        for record in files:
            low, high = months_of(np.array([record.first_bar, record.last_bar], dtype=np.int64)).tolist()
            if first <= high and low <= last:
                rows = self._rows_of_months(record, max(first, low), min(last, high))
                if rows.height:
                    parts.append(_only_touched(rows, touched, may_hold_more=may_hold_more))
        return parts[0] if len(parts) == 1 else concat_bars(widen(part) for part in parts)

    def _rows_of_months(self, record: FileRecord, first: int, last: int) -> pl.DataFrame:
        start, end = _month_start(first), _month_start(last + 1) - 1
        recent = self._recent.get(record.file_key)
        if recent is None:
            return self._reader.stored_bars(record, None, start, end)
        if start <= record.first_bar and record.last_bar <= end:
            return recent
        stamp = pl.col("timestamp").to_physical()
        return recent.filter(stamp.is_between(start, end))

    def _write_blocks(self, merged: pl.DataFrame, difference: pl.DataFrame) -> None:
        present = [record for record in self._live.values() if record.kind == "blocks"]
        whole = not present or len(present) >= _MAX_BLOCK_FILES or difference.height * 4 > merged.height
        if whole:
            for record in present:
                self._drop(record)
        table = merged if whole else difference
        self._write("blocks", f"{self._bundle}/blocks", "", encode_table(table), table.height, ("", ""), (0, 0))

    # -- files -------------------------------------------------------------------------------------------------------

    def _load(self, record: FileRecord) -> pl.DataFrame:
        recent = self._recent.get(record.file_key)
        return self._reader.bars(record) if recent is None else widen(recent)

    def _drop(self, record: FileRecord) -> None:
        del self._live[record.file_key]
        self._recent.pop(record.file_key, None)
        if record.file_key not in self._parent:
            self._storage.delete(record.file_key)
            self.files_written -= 1

    def _write_bars(self, partition: str, bars: pl.DataFrame) -> None:
        for wide in split_for_files(bars):
            part = narrow_bars(wide)
            stamps = part["timestamp"].to_physical()
            record = self._write(
                "bars",
                folder_of(self._bundle, self._frequency),
                partition,
                encode_bars(part),
                part.height,
                (part["symbol"][0], part["symbol"][-1]),
                (int(stamps.min()), int(stamps.max())),  # type: ignore[arg-type]
            )
            self._remember(record, part)

    def _remember(self, record: FileRecord, bars: pl.DataFrame) -> None:
        """Keep what was just written, to hash it without reading it back; at most one file's worth."""
        self._recent[record.file_key] = bars
        while len(self._recent) > 1 and sum(frame.height for frame in self._recent.values()) > layout.MAX_FILE_ROWS:
            del self._recent[next(iter(self._recent))]

    def _write(
        self,
        kind: str,
        folder: str,
        partition: str,
        data: bytes,
        row_count: int,
        symbols: tuple[str, str],
        stamps: tuple[int, int],
    ) -> FileRecord:
        key = f"{folder}/{uuid.uuid4().hex}.parquet"
        self._storage.put_new(key, data)
        frequency = self._frequency.name if kind == "bars" else ""
        checksum = hashlib.sha256(data).hexdigest()
        record = FileRecord(key, kind, frequency, partition, checksum, len(data), row_count, *symbols, *stamps)
        self._live[key] = record
        self.files_written += 1
        self.bytes_written += len(data)
        return record


def _month_start(month: int) -> int:
    """Return the first instant of a month, counted from January 1970, in microseconds UTC."""
    return int(np.datetime64(month, "M").astype("datetime64[us]").astype(np.int64))


def _only_touched(rows: pl.DataFrame, touched: pl.DataFrame, *, may_hold_more: bool) -> pl.DataFrame:
    """Return the rows of touched blocks; with `may_hold_more` all rows where most are touched, which is faster.

    Hashing a block again changes nothing, as long as it is whole.
    """
    months = pl.Series("month", months_of(rows["timestamp"].to_physical().to_numpy()), dtype=pl.Int32)
    starts = (rows["symbol"] != rows["symbol"].shift(1)) | (months != months.shift(1))
    if may_hold_more and touched.height * 2 > int(starts.sum() or 0):
        return rows
    return (
        rows.with_columns(months).join(touched, on=["symbol", "month"], how="semi", maintain_order="left").drop("month")
    )


def read_blocks(reader: FileReader, files: Iterable[FileRecord]) -> pl.DataFrame:
    """Return the block table of a version: its block files, applied in the order in which they were added."""
    return merge_blocks(*(reader.table(record) for record in files if record.kind == "blocks"))
