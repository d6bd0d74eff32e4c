"""The databases of the old catalogs, read without a byte written beside them.

SQLite makes files of its own as soon as it opens a database with a write-ahead log, also to read. Such a database is
therefore read into memory, see `in_memory_copy`.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from rustybt.data.bundles.metadata_store.memory_copy import in_memory_copy
from rustybt.data.bundles.storage.local import translated
from rustybt.errors import ConflictError, CorruptBundleError, RustybtError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAGIC = b"SQLite format 3\x00"
_WAL_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
_FRAME_HEADER, _WAL_HEADER = 24, 32
#: What SQLite keeps beside a database and reads before it.
_COMPANIONS = ("-wal", "-journal")
#: So often is a database read again that its program changed meanwhile.
_ATTEMPTS = 5

Row = tuple[Any, ...]


class OldDatabase:
    """One old SQLite database, opened for reading; all reads see one moment.

    Parameters
    ----------
    path
        The file.
    patience_seconds
        How long to wait for a program that has locked it.

    Raises
    ------
    ConflictError
        Another program holds it, or changes it all the time.
    CorruptBundleError
        It is no database, or damaged.
    StorageError
        It may not be read.
    """

    def __init__(self, path: Path, *, patience_seconds: float = 5.0) -> None:
        # Beside the file itself lies its log, not beside a link to it.
        self._path = path.resolve()
        self._patience_seconds = patience_seconds
        self._connection: sqlite3.Connection | None = None

    @staticmethod
    def is_database(path: Path) -> bool:
        """Return whether a file begins as SQLite's do."""
        with suppress(OSError), path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
        return False

    def __enter__(self) -> Self:
        try:
            with self._explained():
                self._connection = self._open()
                self._connection.text_factory = _text
                # Held until the end: no table is read from another moment than the one before.
                self._connection.execute("BEGIN")
                verdict = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                if verdict != "ok":
                    raise self._damaged(verdict)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of every table, without SQLite's own."""
        with self._explained():
            names = [row[0] for row in self._run("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")]
            return {
                name: tuple(row[1] for row in self._run(f"PRAGMA table_info({_quoted(name)})"))
                for name in names
                if not name.startswith("sqlite_")
            }

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table by column, in the order in which they were written."""
        columns = self.tables()[table]
        for row in self.values(table):
            yield dict(zip(columns, row, strict=True))

    def values(self, table: str) -> Iterator[Row]:
        """Yield the rows of a table as tuples, in the order in which they were written."""
        with self._explained():
            try:
                found = self._run(f"SELECT * FROM {_quoted(table)} ORDER BY rowid")  # noqa: S608 - a quoted name
            except sqlite3.OperationalError as error:
                if "rowid" not in str(error):
                    raise
                found = self._run(f"SELECT * FROM {_quoted(table)}")  # noqa: S608 - as above
            yield from found

    def _run(self, statement: str) -> sqlite3.Cursor:
        if self._connection is None:
            raise RustybtError(f"{self._path} is not open")
        return self._connection.execute(statement)

    # -- opening -----------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        with translated("read", self._path), self._path.open("rb") as file:
            header = file.read(20)
        if not header:
            return sqlite3.connect(":memory:", isolation_level=None)
        if not header.startswith(_MAGIC):
            raise self._damaged("it does not begin as SQLite's files do")
        for ending in _COMPANIONS:
            companion = self._path.with_name(self._path.name + ending)
            if companion.exists() and not companion.is_file():
                # SQLite would open it, and wait for the other end of a pipe.
                raise self._damaged(f"{companion.name} beside it is no file")
        if header[18:20] == b"\x02\x02":
            return self._in_memory()
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(self._path.absolute()))}?mode=ro", uri=True, isolation_level=None
        )
        connection.execute(f"PRAGMA busy_timeout = {int(self._patience_seconds * 1000):d}")
        return connection

    def _in_memory(self) -> sqlite3.Connection:
        connection = in_memory_copy(self._path)
        if connection is None:
            raise self._busy("is being written to all the time")
        return connection

    # -- failures ----------------------------------------------------------------------------------------------------

    def _explained(self) -> _Explained:
        return _Explained(self)

    def explain(self, error: sqlite3.Error) -> RustybtError:
        """Return what an error of SQLite's means for the user."""
        text = str(error)
        if "locked" in text or "busy" in text:
            return self._busy("is locked by another program")
        if "readonly" in text or "unable to open" in text:
            return self._busy("was left in the middle of a write")
        return self._damaged(text)

    def _busy(self, what: str) -> ConflictError:
        return ConflictError(
            f"the old database {self._path} {what}",
            hint="end the program that uses it (or open and close it once with that program), and run the command again",
            file=str(self._path),
        )

    def _damaged(self, why: str) -> CorruptBundleError:
        return CorruptBundleError(
            f"the old database {self._path} cannot be read: {why}",
            hint="restore it from a backup of your own; the other databases are not concerned",
            file=str(self._path),
        )


class _Explained:
    """Turns SQLite's errors into ours; a class, because a generator may leave it half-way."""

    def __init__(self, database: OldDatabase) -> None:
        self._database = database

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise self._database.explain(error) from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(data: bytes) -> str | bytes:
    """Return text; bytes that are none stay bytes, so that nothing is lost."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
