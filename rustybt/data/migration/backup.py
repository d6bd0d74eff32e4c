"""Copies of what a migration starts from, with their checksums, and the way back to them."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rustybt.__about__ import __version__
from rustybt.data.bundles.metadata_store.database import INTERNAL_FOLDER
from rustybt.data.bundles.storage import LocalStorage
from rustybt.data.bundles.storage.local import translated
from rustybt.errors import ConflictError, CorruptBundleError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rustybt.data.migration.places import CatalogFile

FOLDER = "backups"
_MANIFEST = "manifest.json"
_FORMAT = 1
#: What SQLite keeps beside a database and needs to read it.
_COMPANIONS = ("", "-wal", "-journal")
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class SavedFile:
    """One copy: `path` is where the original lies, `key` where the copy does, below the backup."""

    path: str
    key: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Backup:
    """The state before one migration.

    Parameters
    ----------
    timestamp
        Its name, UTC: ``20261122T204338Z``.
    database
        Copy of the home's database; None where there was none.
    old_files
        Copies of the old databases.
    """

    timestamp: str
    root: str
    database: SavedFile | None
    old_files: tuple[SavedFile, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"format": _FORMAT, "package_version": __version__, **asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from `to_json`."""
        return cls(
            data["timestamp"],
            data["root"],
            SavedFile(**data["database"]) if data["database"] else None,
            tuple(SavedFile(**file) for file in data["old_files"]),
        )


class Backups:
    """All backups of a home.

    Parameters
    ----------
    home
        They lie in its ``.rustybt/backups``.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / INTERNAL_FOLDER / FOLDER

    def list(self) -> list[str]:
        """Return the timestamps of the whole ones, the oldest first."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{_MANIFEST}"))

    def place(self, timestamp: str) -> LocalStorage:
        """Return where the copies of one backup lie."""
        return LocalStorage(self.folder / timestamp)

    def load(self, timestamp: str) -> Backup:
        """Return a backup after every copy was compared with its checksum.

        Raises
        ------
        RequestError
            There is no backup of that name.
        CorruptBundleError
            A copy is gone or is not any more what was saved.
        """
        known = self.list()
        if timestamp not in known:
            raise RequestError(
                f"there is no backup {timestamp!r} in {self.folder}",
                hint=f"there are: {', '.join(known)}" if known else "no migration of this home made one",
            )
        storage = self.place(timestamp)
        try:
            said = json.loads(storage.open(_MANIFEST))
            digest = said.pop("checksum")
            if digest != _sha256(_canonical(said)):
                raise ValueError("its checksum disagrees")
            backup = Backup.from_json(said)
        except (ValueError, KeyError, TypeError) as error:
            raise damaged_copy(storage, _MANIFEST, str(error)) from error
        for saved in (*backup.old_files, *((backup.database,) if backup.database else ())):
            self.read(backup, saved)
        return backup

    def read(self, backup: Backup, saved: SavedFile) -> bytes:
        """Return the bytes of one copy.

        Raises
        ------
        CorruptBundleError
            It is gone or is not any more what was saved.
        """
        storage = self.place(backup.timestamp)
        try:
            data = storage.open(saved.key)
        except FileNotFoundError as error:
            raise damaged_copy(storage, saved.key, "it is gone") from error
        if _sha256(data) != saved.sha256:
            raise damaged_copy(storage, saved.key, "its checksum disagrees")
        return data


class BackupWriter:
    """Makes one backup: the old databases first, the home's own under its lock, then the manifest that makes it whole.

    Parameters
    ----------
    now
        Unix seconds (UTC).
    """

    def __init__(self, home: Path, root: Path, now: int) -> None:
        backups = Backups(home)
        stem = datetime.fromtimestamp(now, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
        self.timestamp, number = stem, 1
        # Made at once: another migration of the same second must find it taken, and discard only its own.
        while not _is_made(backups.folder / self.timestamp):
            number += 1
            self.timestamp = f"{stem}-{number}"
        self._root = root
        self._storage = backups.place(self.timestamp)
        self._old_files: list[SavedFile] = []

    def save_old(
        self, catalogs: Sequence[CatalogFile], progress: Callable[[str, int, int], None] | None = None
    ) -> None:
        """Copy the old databases as they are, with what SQLite keeps beside them.

        Raises
        ------
        ConflictError
            One is being written to all the time.
        """
        for number, catalog in enumerate(catalogs, 1):
            for path, data in _consistent(catalog.path):
                # Numbered: old names may hold what a key may not.
                ending = path.name[len(catalog.path.name) :]
                self._old_files.append(self._save(str(path), f"old/{number:05d}.db{ending}", data))
            if progress is not None:
                progress("back up", number, len(catalogs))

    def seal(self, database: Path | None) -> None:
        """Copy the home's database, None where there was none, and write the manifest; only under the writer's lock."""
        saved = None
        if database is not None:
            with translated("read", database):
                data = database.read_bytes()
            saved = self._save(str(database), f"home/{database.name}", data)
        backup = Backup(self.timestamp, str(self._root), saved, tuple(self._old_files))
        said = backup.to_json()
        text = json.dumps({**said, "checksum": _sha256(_canonical(said))}, indent=1)
        self._storage.put_new(_MANIFEST, text.encode())

    def discard(self) -> None:
        """Remove what was copied; for a migration that was not carried out."""
        shutil.rmtree(self._storage.root, ignore_errors=True)

    def _save(self, path: str, key: str, data: bytes) -> SavedFile:
        self._storage.put_new(key, data)
        return SavedFile(path, key, _sha256(data), len(data))


def _is_made(folder: Path) -> bool:
    """Make a folder; return whether it was not there."""
    with translated("write", folder):
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            if folder.parent.is_dir():
                return False
            raise
    return True


def _consistent(path: Path) -> list[tuple[Path, bytes]]:
    """Return a database and its companions as they were at one moment."""
    files = [path.with_name(path.name + ending) for ending in _COMPANIONS]
    for _ in range(_ATTEMPTS):
        with translated("read", path):
            before = [_stamp(file) for file in files]
            found = [(file, file.read_bytes()) for file in files if file.is_file()]
            if [_stamp(file) for file in files] == before:
                return found
    raise ConflictError(
        f"the old database {path} is being written to all the time",
        hint="end the program that uses it, and run the command again",
        file=str(path),
    )


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def _canonical(said: dict[str, Any]) -> bytes:
    return json.dumps(said, sort_keys=True).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def damaged_copy(storage: LocalStorage, key: str, why: str) -> CorruptBundleError:
    """Return the error of a file of a backup that is not what was written."""
    file = str(Path(storage.location) / key)
    return CorruptBundleError(
        f"the backup cannot be used: {file}: {why}", hint="restore the file from a backup of your own", file=file
    )
