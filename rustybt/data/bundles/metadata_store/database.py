"""One SQLite database per home: who may write, how a commit becomes durable, what each failure means."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import NullPool, QueuePool

from rustybt.data.bundles.metadata_store.migrations import (
    MIGRATIONS,
    Migration,
    check_not_newer,
    migrate,
    schema_version,
)
from rustybt.data.bundles.storage.local import refuse_network_home, sync_directory, translated
from rustybt.errors import ConflictError, CorruptBundleError, RustybtError, SchemaVersionError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

INTERNAL_FOLDER = ".rustybt"
_BUSY_TIMEOUT_MS = 10_000
_RECOVER = "rustybt bundle recover rebuilds the database from the manifests"


class Database:
    """The metadata database of a home.

    Readers open it read-only and never hold a transaction open. A writer takes the lock file first, opens a connection
    of its own, and closes it again before the lock is given back: so every write transaction, checkpoint and close of a
    writable connection happens under one lock (SQLite before 3.51.3 could lose a WAL reset otherwise).

    Parameters
    ----------
    home
        Folder of the home; created on the first write.
    lock_timeout_seconds
        How long a writer waits for another.
    clock
        Seconds since 1970 (UTC).
    """

    def __init__(
        self,
        home: Path,
        lock_timeout_seconds: float = 60.0,
        clock: Callable[[], float] = time.time,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> None:
        self.home = home
        self.folder = home / INTERNAL_FOLDER
        self.path = self.folder / "metadata.sqlite"
        self._lock_timeout_seconds = lock_timeout_seconds
        self.clock = clock
        self._migrations = migrations
        self._reader: Engine | None = None
        self._writer: Engine | None = None
        self._reader_stamp: tuple[int, ...] = ()
        self._readers_opened = 0
        self._pulse: Any = None
        self._snapshot_folder: tempfile.TemporaryDirectory[str] | None = None
        self._is_local = False
        self._mutex = threading.RLock()

    def exists(self) -> bool:
        """Return whether the home has a database; a home that lost it but has manifests raises.

        Raises
        ------
        CorruptBundleError
            Bundles are here, but their database is gone.
        StorageError
            The home cannot be looked into.
        """
        with translated("read", self.path):
            if self.path.exists():
                return True
        self._refuse_lost_bundles("is missing")
        return False

    def _refuse_lost_bundles(self, what: str) -> None:
        """Raise if there are manifests: the first one of a home was written after the database was made and filled."""
        manifest = next(self.home.glob("*/manifests/*.json"), None)
        if manifest is not None:
            raise CorruptBundleError(
                f"the metadata database {self.path} {what}, but there are bundles in {self.home}",
                hint=_RECOVER,
                bundle=manifest.parent.parent.name,
                file=str(self.path),
            )

    def is_writable(self) -> bool:
        """Return whether this process may write to the home; a folder that is yet to come counts by its parent."""
        folder = self.folder
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return os.access(folder, os.W_OK | os.X_OK)

    # -- reading -----------------------------------------------------------------------------------------------------

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """Yield a read-only connection; with `snapshot`, all its reads see one moment.

        Raises
        ------
        CorruptBundleError
            The database is damaged.
        StorageError
            There is none, or it cannot be opened.
        SchemaVersionError
            A newer rustybt wrote it.
        """
        with self._translated("read"), self._reading_engine().connect() as connection:
            if not snapshot:
                yield connection
                return
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("COMMIT")

    def pulse(self) -> tuple[int, int]:
        """Return a value that differs from the one before if anything was committed since, by whomever; microseconds to get.

        Raises
        ------
        CorruptBundleError, StorageError, SchemaVersionError
            As `read`.
        """
        with self._translated("read"):
            engine = self._reading_engine()
            with self._mutex:
                if self._pulse is None:
                    # One connection of its own: the number compares what one connection has seen.
                    self._pulse = engine.raw_connection()
                number = self._pulse.driver_connection.execute("PRAGMA data_version").fetchone()[0]
                return self._readers_opened, int(number)

    def _reading_engine(self) -> Engine:
        try:
            with translated("read", self.path):
                status = self.path.stat()
        except FileNotFoundError as error:
            self.exists()
            raise StorageError(
                f"there is no metadata database in {self.home}", hint="rustybt ingest makes one"
            ) from error
        frozen = not self.is_writable() if self._reader is None else bool(self._reader_stamp[3:])
        # A connection must not be carried across a fork: the child opens its own.
        stamp: tuple[int, ...] = (os.getpid(), status.st_dev, status.st_ino)
        if frozen:
            stamp += (status.st_size, status.st_mtime_ns)
        if self._reader is not None and stamp == self._reader_stamp:
            return self._reader
        with self._mutex:
            if self._reader is None or stamp != self._reader_stamp:
                self._dispose_reader()
                self._reader = self._open_reader(frozen=frozen)
                self._reader_stamp = stamp
                self._readers_opened += 1
            return self._reader

    def _open_reader(self, *, frozen: bool) -> Engine:
        self._refuse_network_home()
        path, mode = self.path, "mode=ro"
        if frozen:
            path, mode = self._frozen_copy(), "mode=ro&immutable=1"
        uri = f"file:{quote(path.as_posix())}?{mode}"

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS:d}")
            return connection

        engine = create_engine(
            "sqlite://",
            creator=connect,
            poolclass=QueuePool,
            pool_size=16,
            max_overflow=64,
            isolation_level="AUTOCOMMIT",
        )
        with self._translated("open"), engine.connect() as connection:
            found = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        check_not_newer(found, self._migrations)
        if found < self._migrations[-1].version:
            engine.dispose()
            if not found:
                self._refuse_lost_bundles("is empty")
            if frozen:
                raise SchemaVersionError(
                    f"the database in {self.home} has the older schema version {found} and the home is read-only",
                    hint="open it once from where it can be written",
                    found=found,
                )
            with self.write():
                pass
            return self._open_reader(frozen=False)
        return engine

    def _frozen_copy(self) -> Path:
        """Return a database file that can be read without writing beside it."""
        log = self.path.with_name(self.path.name + "-wal")
        if not (log.exists() and log.stat().st_size):
            return self.path
        # The last commits are still in the log of a home that we may not write: read a copy with its log folded in.
        with translated("copy", self.path):
            self._snapshot_folder = tempfile.TemporaryDirectory(prefix="rustybt-")
            copy = Path(self._snapshot_folder.name) / self.path.name
            shutil.copyfile(self.path, copy)
            shutil.copyfile(log, copy.with_name(log.name))
        with sqlite3.connect(copy) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode = DELETE")
        connection.close()
        return copy

    # -- writing -----------------------------------------------------------------------------------------------------

    @contextmanager
    def write(
        self,
        *,
        allow_new: bool = False,
        lock_timeout_seconds: float | None = None,
        before: Callable[[], object] | None = None,
    ) -> Iterator[Connection]:
        """Yield a connection inside one IMMEDIATE transaction under the writer's lock; COMMIT is durable on return.

        Parameters
        ----------
        allow_new
            Make a new database even where bundles without one are here: recovery fills it.
        lock_timeout_seconds
            How long to wait for another writer; None waits as long as the database was told to.
        before
            Called under the lock before the transaction begins: what it sees, nobody changes until the end.

        Raises
        ------
        ConflictError
            Another process held the lock for longer than the timeout.
        StorageError
            The home cannot be written, or the disk is full; nothing was changed.
        """
        with self.locked(lock_timeout_seconds):
            if before is not None:
                before()
            is_new = not (self.path.exists() if allow_new else self.exists())
            # Its pool keeps nothing: the connection is really closed when this block is left, still under the lock.
            with (
                self._translated("write"),
                self._writing_engine().connect() as connection,
                connection.begin(),
            ):
                if not allow_new and not schema_version(connection):
                    self._refuse_lost_bundles("is empty")
                migrate(connection, int(self.clock()), self._migrations)
                yield connection
            if is_new:
                sync_directory(self.folder)
                sync_directory(self.home)

    @contextmanager
    def locked(self, timeout_seconds: float | None = None) -> Iterator[None]:
        """Hold the writer's lock of the home; a process that dies gives it back."""
        self.prepare()
        patience = self._lock_timeout_seconds if timeout_seconds is None else timeout_seconds
        lock = FileLock(self.folder / "metadata.lock", timeout=patience)
        try:
            with translated("lock", self.folder):
                lock.acquire()
        except Timeout as error:
            raise ConflictError(
                f"another process has been writing to {self.home} for more than {patience:g} s",
                hint="run the command again, or raise bundle.lock_timeout_seconds",
            ) from error
        try:
            yield
        finally:
            lock.release()

    def prepare(self) -> None:
        """Create the home's folders.

        Raises
        ------
        StorageError
            Not permitted, or the home lies on a network file system.
        """
        self._refuse_network_home()
        if self.folder.exists():
            if not os.access(self.folder, os.W_OK):
                raise StorageError(
                    f"the home {self.home} is read-only",
                    hint="choose another home: rustybt config set home PATH, or RUSTYBT_HOME",
                    path=str(self.home),
                )
            return
        with translated("create", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def _refuse_network_home(self) -> None:
        """Look once: file locks and the log's shared memory are not safe on a network, for readers neither."""
        if not self._is_local:
            refuse_network_home(self.home)
            self._is_local = True

    def _writing_engine(self) -> Engine:
        """Return one engine for all writes, so that statements are compiled once."""
        if self._writer is not None:
            return self._writer
        with self._mutex:
            if self._writer is None:
                engine = create_engine("sqlite://", creator=self._connect_for_writing, poolclass=NullPool)

                @event.listens_for(engine, "begin")
                def begin(connection: Connection) -> None:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")

                self._writer = engine
            return self._writer

    def _connect_for_writing(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        for pragma in (
            f"busy_timeout = {_BUSY_TIMEOUT_MS:d}",
            "journal_mode = WAL",  # readers go on reading while a writer commits
            "synchronous = FULL",  # NORMAL lost 240 of 2,078 acknowledged commits at power loss
            "fullfsync = ON",  # macOS: only F_FULLFSYNC reaches the platter
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def fold_log(self) -> None:
        """Write the whole log into the database file, so that the one file holds everything; only under the lock.

        Raises
        ------
        ConflictError
            A reader kept the log busy for too long.
        """
        with self._translated("fold the log into"):
            connection = self._connect_for_writing()
            try:
                is_busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                connection.close()
        if is_busy:
            raise ConflictError(
                f"another process is reading the database of {self.home} all the time", hint="run the command again"
            )

    # -- recovery ----------------------------------------------------------------------------------------------------

    def sound_heads(self) -> dict[str, int]:
        """Return name -> latest version of all bundles after the whole database was checked.

        Raises
        ------
        CorruptBundleError
            The database is damaged.
        """
        from rustybt.data.bundles.metadata_store.versions import checked_heads

        with self.read() as connection:
            verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if verdict != "ok":
                raise self._explain("check", verdict)
            return checked_heads(connection)

    def put_aside(self, now: int) -> Path:
        """Rename a damaged database, with its log, so that a new one can take its place; return where it is now."""
        with self.locked():
            self.close()
            aside = self.path.with_name(f"{self.path.name}.damaged-{now:d}")
            with translated("rename", self.path):
                self.path.rename(aside)
                for ending in ("-wal", "-shm"):
                    log = self.path.with_name(self.path.name + ending)
                    if log.exists():
                        log.rename(aside.with_name(aside.name + ending))
        return aside

    # -- failures and end --------------------------------------------------------------------------------------------

    @contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            raise self._explain(action, error.orig) from error
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._explain(action, error) from error

    def _explain(self, action: str, error: Any) -> RustybtError:
        text = str(error)
        facts = {"file": str(self.path), "home": str(self.home)}
        if "locked" in text:
            return ConflictError(f"the database of {self.home} is busy", hint="run the command again", **facts)
        if any(sign in text for sign in ("full", "disk I/O", "readonly", "unable to open")):
            return StorageError(
                f"cannot {action} {self.path}: {text}", hint="free some space or choose another home", **facts
            )
        return CorruptBundleError(f"cannot {action} {self.path}: {text}", hint=_RECOVER, **facts)

    def _dispose_reader(self) -> None:
        is_own = self._reader_stamp[:1] in ((), (os.getpid(),))
        if self._pulse is not None and is_own:
            self._pulse.close()
        self._pulse = None
        if self._reader is not None:
            # To close what a parent opened is to give up the parent's locks.
            self._reader.dispose(close=is_own)
            self._reader = None
        if self._snapshot_folder is not None and is_own:
            with suppress(OSError):
                self._snapshot_folder.cleanup()
            self._snapshot_folder = None

    def close(self) -> None:
        """Close all reading connections; the next read opens new ones."""
        with self._mutex:
            self._dispose_reader()
            self._reader_stamp = ()


__all__ = ["INTERNAL_FOLDER", "Connection", "Database"]
