"""Reading stored files: each one's checksum is checked at its first open, on the very bytes that are parsed."""

from __future__ import annotations

import hashlib
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import polars as pl

from rustybt.data.bundles.storage.parquet import decode_table, only_symbols, scan_bars, widen
from rustybt.errors import CorruptBundleError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rustybt.data.bundles.records import FileRecord
    from rustybt.data.bundles.storage import Storage

#: Files of this process whose bytes were checked, with the identity that they had then.
_verified: dict[tuple[str, str], tuple[int, ...]] = {}
_mutex = threading.Lock()


class FileReader:
    """Reads the files of one bundle.

    Parameters
    ----------
    storage
        Where the files lie.
    bundle
        Named in errors.
    """

    def __init__(self, storage: Storage, bundle: str) -> None:
        self._storage = storage
        self._bundle = bundle

    def bars(
        self,
        record: FileRecord,
        symbols: Sequence[str] | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> pl.DataFrame:
        """Return a file's bars as a contract frame, restricted to `symbols` and [start, end] in us UTC.

        Raises
        ------
        CorruptBundleError
            The file is missing (`missing` is True then) or its bytes are not those that were written.
        """
        return widen(self.stored_bars(record, symbols, start, end))

    def stored_bars(
        self,
        record: FileRecord,
        symbols: Sequence[str] | None = None,
        start: int | None = None,
        end: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return a file's bars with the narrow decimals that it stores."""
        path = self._storage.local_path(record.file_key) if self.is_verified(record) else None
        if path is not None:
            with suppress(CorruptBundleError):
                rows = self._collected(record, path, symbols, start, end, columns)
                # Between the look at its stamp and its opening the file may have been exchanged.
                if self.is_verified(record):
                    return rows
        return self._collected(record, self.checked_bytes(record), symbols, start, end, columns)

    def _collected(
        self,
        record: FileRecord,
        source: Path | bytes,
        symbols: Sequence[str] | None,
        start: int | None,
        end: int | None,
        columns: Sequence[str] | None,
    ) -> pl.DataFrame:
        wanted_start = start if start is not None and start > record.first_bar else None
        wanted_end = end if end is not None and end < record.last_bar else None
        lazy = scan_bars(source, symbols, wanted_start, wanted_end)
        if columns is not None:
            lazy = lazy.select("timestamp", "symbol", *columns)
        try:
            rows = lazy.collect()
            return rows if symbols is None or len(symbols) == 1 else only_symbols(rows, symbols)
        # A panic is not an Exception: a file that is cut while it is read ends in one.
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise self._corrupt(record, f"cannot be parsed ({error})") from error

    def table(self, record: FileRecord) -> pl.DataFrame:
        """Return a file that is not bars."""
        return decode_table(self.checked_bytes(record))

    def checked_bytes(self, record: FileRecord) -> bytes:
        """Return a file's bytes after their SHA-256 was compared with the one recorded.

        Raises
        ------
        CorruptBundleError
            Missing, or other bytes than were written.
        """
        try:
            stamp = self._storage.stamp(record.file_key)
            data = self._storage.open(record.file_key)
        except FileNotFoundError as error:
            raise self._missing(record) from error
        found = hashlib.sha256(data).hexdigest()
        if found != record.sha256:
            raise self._corrupt(record, f"has SHA-256 {found[:12]}… instead of {record.sha256[:12]}…")
        with _mutex:
            _verified[self._identity(record)] = stamp
        return data

    def is_verified(self, record: FileRecord) -> bool:
        """Return whether this process has checked the file's bytes and they have not been touched since."""
        stamp = _verified.get(self._identity(record))
        if stamp is None:
            return False
        try:
            return self._storage.stamp(record.file_key) == stamp
        except FileNotFoundError as error:
            raise self._missing(record) from error

    def _identity(self, record: FileRecord) -> tuple[str, str]:
        return (self._storage.location, record.file_key)

    def _missing(self, record: FileRecord) -> CorruptBundleError:
        return self._corrupt(record, "is missing", missing=True)

    def _corrupt(self, record: FileRecord, what: str, *, missing: bool = False) -> CorruptBundleError:
        return CorruptBundleError(
            f"file {record.file_key} of bundle {self._bundle} {what}",
            hint=f"rustybt bundle verify {self._bundle} lists the damage; restore the file from a backup or ingest again",
            bundle=self._bundle,
            file=record.file_key,
            missing=missing,
        )


def forget_verified() -> None:
    """Forget which files were checked: each is checked again at its next read."""
    with _mutex:
        _verified.clear()
