"""A copy in memory of an SQLite database, with the committed part of its write-ahead log laid over it.

SQLite makes files of its own as soon as it opens a database with such a log, also to read; nothing is written for a copy.
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from rustybt.data.bundles.storage.local import translated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: So often is a database read again that its program changed meanwhile.
_ATTEMPTS = 5
_WAL_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
_FRAME_HEADER, _WAL_HEADER = 24, 32
_PAGE_SIZES = frozenset(2**power for power in range(9, 17))
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")


def log_of(path: Path) -> Path:
    """Return where the write-ahead log of a database lies, if it has one."""
    return path.with_name(path.name + "-wal")


def is_half_written(path: Path) -> bool:
    """Return whether a transaction on the database was cut off: its journal holds what it was before.

    SQLite takes such a write back at the next opening, which changes the file.
    """
    with suppress(FileNotFoundError), path.with_name(path.name + "-journal").open("rb") as file:
        return file.read(len(_JOURNAL_MAGIC)) == _JOURNAL_MAGIC
    return False


def in_memory_copy(path: Path) -> sqlite3.Connection | None:
    """Return a database in memory with what was committed to the one at `path`; None if that changes all the time.

    Nothing is written beside the file.

    Raises
    ------
    StorageError
        It may not be read.
    sqlite3.Error
        It is no database, where SQLite sees that at once.
    """
    log = log_of(path)
    for _ in range(_ATTEMPTS):
        before = _stamps(path, log)
        with translated("read", path):
            data = bytearray(path.read_bytes())
            # To read a pipe would wait for its other end.
            frames = log.read_bytes() if log.is_file() else b""
        if _stamps(path, log) == before:
            _lay_over(data, frames)
            # A database in memory has no log.
            data[18:20] = b"\x01\x01"
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            try:
                connection.deserialize(bytes(data))
            except BaseException:
                connection.close()
                raise
            return connection
    return None


def _stamps(*paths: Path) -> tuple[tuple[int, int] | None, ...]:
    found: list[tuple[int, int] | None] = []
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((status.st_size, status.st_mtime_ns))
    return tuple(found)


# -- the log -------------------------------------------------------------------------------------------------------------
# Layout and checksums: https://www.sqlite.org/fileformat2.html, section 4.


def _lay_over(data: bytearray, log: bytes) -> None:
    """Write the committed pages of a write-ahead log into the bytes of its database."""
    if len(log) < _WAL_HEADER:
        return
    magic, _, page_size, _, salt_1, salt_2, sum_1, sum_2 = struct.unpack(">8I", log[:_WAL_HEADER])
    order = _WAL_MAGIC.get(magic)
    if order is None or page_size not in _PAGE_SIZES:
        return
    if _checksum(order, log[: _WAL_HEADER - 8], (0, 0)) != (sum_1, sum_2):
        return
    running = (sum_1, sum_2)
    pending: dict[int, bytes] = {}
    for at in range(_WAL_HEADER, len(log) - _FRAME_HEADER - page_size + 1, _FRAME_HEADER + page_size):
        header = log[at : at + _FRAME_HEADER]
        page, size_after, frame_salt_1, frame_salt_2, *told = struct.unpack(">6I", header)
        content = log[at + _FRAME_HEADER : at + _FRAME_HEADER + page_size]
        running = _checksum(order, content, _checksum(order, header[:8], running))
        if (frame_salt_1, frame_salt_2) != (salt_1, salt_2) or tuple(told) != running:
            return  # what follows is of an earlier use of the log
        pending[page] = content
        if size_after:
            _write_pages(data, pending, page_size, size_after)
            pending = {}


def _write_pages(data: bytearray, pages: Mapping[int, bytes], page_size: int, size_after: int) -> None:
    wanted = size_after * page_size
    if len(data) < wanted:
        data.extend(bytes(wanted - len(data)))
    for page, content in pages.items():
        data[(page - 1) * page_size : page * page_size] = content
    del data[wanted:]


def _checksum(order: str, data: bytes, start: tuple[int, int]) -> tuple[int, int]:
    first, second = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
