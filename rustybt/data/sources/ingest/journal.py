"""Finished symbols of an ingest, durable before the ingest is: what a crash or Ctrl-C leaves for the same command.

It lives for one ingest and is deleted when the version is committed.
"""

from __future__ import annotations

import queue
import shutil
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.storage import LocalStorage
from rustybt.data.sources.delivery import Delivery, join_deliveries, split_by_symbol
from rustybt.data.sources.ingest.journal_file import (
    JournalEntry,
    encode_entry,
    encode_file,
    read_index,
)
from rustybt.errors import RustybtError
from rustybt.logging import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

logger = get_logger(__name__)

#: A crash loses at most what finished in so many seconds, or so many symbols, whichever is less.
GROUP_SECONDS = 1.0
GROUP_SYMBOLS = 32
_GROUP_BYTES = 64 * 2**20
#: Rows that stay in memory beside the files, so that a small ingest reads nothing back; about 100 bytes each.
_MAX_HELD_ROWS = 1_000_000
#: Rows in one delivery that is read back: half a file of the store, which then starts the next one.
_BATCH_ROWS = 700_000
#: Deliveries that wait to be written before the fetch has to wait for the disk.
_QUEUE_LENGTH = 64
_SUFFIX = ".group"


class Journal:
    """Finished symbols in files of one folder, written by a thread of its own.

    A file is written aside, fsynced and renamed: what has its name is whole, and its SHA-256 says so again when it is read.
    A damaged file is dropped, and its symbols are fetched again. Where the disk refuses, the journal keeps in memory what
    it could not write and says so in `problem`; nothing of the ingest is lost then but the way back after a crash.

    Parameters
    ----------
    root, folder
        The home and the folder's key in it.
    """

    def __init__(self, root: Path, folder: str) -> None:
        self._storage = LocalStorage(root)
        self._folder = folder
        self._path = self._storage.path(folder)
        self._entries: dict[str, JournalEntry] = {}
        self._held: dict[str, Delivery] = {}
        self._held_rows = 0
        self._whole: set[str] = set()
        self._kept: set[str] = set()
        self._number = 0
        self._lock = threading.Lock()
        self._queue: queue.Queue[tuple[str, Delivery, bool] | None] = queue.Queue(_QUEUE_LENGTH)
        self._writer: threading.Thread | None = None
        self._problem: RustybtError | None = None
        self._open()

    # -- writing -----------------------------------------------------------------------------------------------------

    def add(self, delivery: Delivery, *, is_whole: bool = False) -> list[str]:
        """Take the finished symbols of a delivery and return them; on disk within `GROUP_SECONDS`.

        Parameters
        ----------
        is_whole
            These are whole series, fetched anew.
        """
        names = []
        for symbol, part in split_by_symbol(delivery):
            with self._lock:
                self._hold(symbol, part)
                self._whole.discard(symbol)
                if is_whole:
                    self._whole.add(symbol)
            self._queue.put((symbol, part, is_whole))
            names.append(symbol)
        if self._writer is None and names:
            self._writer = threading.Thread(target=self._write, name="rustybt-journal", daemon=True)
            self._writer.start()
        return names

    def forget(self, symbols: Iterable[str]) -> None:
        """Let finished symbols be unfinished again; what is added of them later counts."""
        with self._lock:
            for symbol in symbols:
                self._entries.pop(symbol, None)
                held = self._held.pop(symbol, None)
                self._held_rows -= 0 if held is None else held.bars.height
                self._whole.discard(symbol)
                self._kept.discard(symbol)

    def settle(self) -> None:
        """Wait until everything that was added is durable, or refused by the disk."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
            self._writer = None

    def delete(self) -> None:
        """Remove the files: the version is committed."""
        self.settle()
        shutil.rmtree(self._path, ignore_errors=True)  # one that is in the way is put aside by the next run

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def symbols(self) -> frozenset[str]:
        """Finished symbols."""
        with self._lock:
            return frozenset({*self._entries, *self._held})

    @property
    def whole(self) -> frozenset[str]:
        """Symbols whose whole series was fetched anew."""
        with self._lock:
            return frozenset(self._whole)

    @property
    def kept_count(self) -> int:
        """How many finished symbols are on disk."""
        with self._lock:
            return len(self._kept)

    @property
    def problem(self) -> str:
        """Why finished symbols could not be written; empty when all is well."""
        return "" if self._problem is None else self._problem.message

    def load(self, symbol: str) -> Delivery:
        """Return what was delivered of a finished symbol."""
        with self._lock:
            held = self._held.get(symbol)
            if held is not None:
                return held
            entry = self._entries[symbol]
        return entry.load()

    def deliveries(self, symbols: Collection[str] | None = None, *, max_rows: int = _BATCH_ROWS) -> Iterator[Delivery]:
        """Yield finished symbols (of `symbols`, or all) in rising order, several in one delivery of at most `max_rows`."""
        batch: list[Delivery] = []
        rows = 0
        for symbol in sorted(self.symbols if symbols is None else self.symbols & set(symbols)):
            part = self.load(symbol)
            if batch and (rows + part.bars.height > max_rows or part.price_basis != batch[0].price_basis):
                yield join_deliveries(batch)
                batch, rows = [], 0
            batch.append(part)
            rows += part.bars.height
        if batch:
            yield join_deliveries(batch)

    # -- files -------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Find the finished symbols of an earlier run; of two entries of a symbol the later one counts."""
        if not self._path.is_dir():
            return
        for path in sorted(self._path.glob(f"*{_SUFFIX}")):
            if not path.stem.isdecimal():
                continue  # not ours
            self._number = max(self._number, int(path.stem) + 1)
            entries = None
            with suppress(OSError):  # a file that cannot be read is as good as none
                entries = read_index(path)
            if entries is None:
                logger.warning("journal_file_dropped", file=path.name, reason="not the bytes that were written")
                with suppress(OSError):
                    path.unlink()
                continue
            for entry in entries:
                self._kept.add(entry.symbol)
                self._entries[entry.symbol] = entry
                self._whole.discard(entry.symbol)
                if entry.is_whole:
                    self._whole.add(entry.symbol)

    def _hold(self, symbol: str, part: Delivery) -> None:
        """Keep it in memory until it is on disk, and longer where there is room; the lock is held."""
        before = self._held.pop(symbol, None)
        self._held_rows += part.bars.height - (before.bars.height if before else 0)
        self._held[symbol] = part

    def _write(self) -> None:
        is_open = True
        while is_open:
            group: list[tuple[str, Delivery, bool]] = []
            encoded = []
            size = 0
            deadline: float | None = None
            while len(group) < GROUP_SYMBOLS and size < _GROUP_BYTES:
                try:
                    wait = None if deadline is None else max(0.0, deadline - time.monotonic())
                    item = self._queue.get(timeout=wait)
                except queue.Empty:
                    break
                if item is None:
                    is_open = False
                    break
                deadline = deadline or time.monotonic() + GROUP_SECONDS
                group.append(item)
                if self._problem is None:
                    try:
                        encoded.append(_encode(*item))
                        size += len(encoded[-1][1])
                    except Exception as error:  # noqa: BLE001 - the ingest goes on from memory, whatever it was
                        self._refused(error)
            if encoded and self._problem is None:
                self._put(group, encoded)

    def _refused(self, error: Exception) -> None:
        """Go on without files; a writer that died would let the fetch wait for ever."""
        self._problem = error if isinstance(error, RustybtError) else RustybtError(f"{type(error).__name__}: {error}")
        logger.warning("journal_not_written", reason=self._problem.message)

    def _put(self, group: list[tuple[str, Delivery, bool]], encoded: list[tuple[dict[str, Any], bytes]]) -> None:
        key = f"{self._folder}/{self._number:06d}{_SUFFIX}"
        self._number += 1
        try:
            self._storage.put_new(key, encode_file(encoded))
            written = read_index(self._storage.path(key)) if self._is_full() else None
        except Exception as error:  # noqa: BLE001 - as above
            self._refused(error)
            return
        with self._lock:
            self._kept.update(symbol for symbol, _, _ in group)
            for entry in written or ():
                # A later delivery of the symbol may have come meanwhile.
                held = self._held.get(entry.symbol)
                if held is not None and any(held is part for symbol, part, _ in group if symbol == entry.symbol):
                    self._entries[entry.symbol] = entry
                    self._held_rows -= self._held.pop(entry.symbol).bars.height

    def _is_full(self) -> bool:
        with self._lock:
            return self._held_rows > _MAX_HELD_ROWS


def _encode(symbol: str, delivery: Delivery, is_whole: bool) -> tuple[dict[str, Any], bytes]:  # noqa: FBT001 - an item of the queue
    while True:
        try:
            return encode_entry(symbol, delivery, is_whole=is_whole)
        except KeyboardInterrupt:
            # Polars raises Ctrl-C in whichever thread computes; the main thread is told as well and decides.
            continue
