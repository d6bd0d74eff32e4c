"""Back to the state before a migration."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.metadata_store import migrated, rolled_back
from rustybt.data.bundles.metadata_store.traceless import read_without_trace
from rustybt.data.bundles.names import check_bundle_name
from rustybt.data.bundles.storage.local import sync_directory, translated
from rustybt.data.migration.backup import Backup, Backups, SavedFile, damaged_copy
from rustybt.errors import ConflictError
from rustybt.market.wording import listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustybt.data.bundles.metadata_store.database import Database
    from rustybt.data.bundles.storage import LocalStorage
    from rustybt.data.bundles.store import BundleStore

_MOST_NAMED = 5
#: Beside a backup while it is being rolled back.
_LEFTOVERS = "leftovers.json"


@dataclass(slots=True)
class RollbackReport:
    """What a rollback did.

    Parameters
    ----------
    bundles
        Those that are gone again.
    restored
        Old databases that had changed or were gone; `kept_aside` is where their newer files are now.
    results
        Folders of results that were saved since: they stay, but the home no longer knows of them, and their bars may be gone.
    was_done
        Whether everything was as before already.
    """

    timestamp: str
    root: str
    bundles: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    kept_aside: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    was_done: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def _no_step(_: str) -> None:
    """Do nothing at a named step; fault tests put a crash here."""


def roll_back(timestamp: str, *, store: BundleStore, on_step: Callable[[str], None] = _no_step) -> RollbackReport:
    """Restore the state before the migration that made backup `timestamp`, byte for byte.

    The home's database and the old ones are compared with what was saved, and put back where they differ. What the migration
    wrote is removed. A rollback that was killed is finished by the next one.

    Raises
    ------
    RequestError
        There is no such backup.
    CorruptBundleError
        A copy is not any more what was saved; nothing was changed.
    ConflictError
        Versions or tags were made since, and would be lost; or a later migration has to be rolled back first.
    """
    backups = Backups(store.home)
    backup = backups.load(timestamp)
    report = RollbackReport(timestamp, backup.root)
    with store.database.locked():
        if _is_in_force(store.database, timestamp):
            leftovers = _Leftovers.of(store, backup, report)
            leftovers.save(backups.place(timestamp))
            _restore_home(store, backups, backup, leftovers, on_step)
            report.was_done = False
        else:
            # What a rollback did not come to that was killed after it had restored the database.
            leftovers = _Leftovers.load(backups.place(timestamp))
        report.bundles = leftovers.bundles
        leftovers.remove(store)
        leftovers.forget(backups.place(timestamp))
    on_step("home-restored")
    for saved in backup.old_files:
        _restore_old(backups, backup, saved, report)
        on_step("old-restored")
    _remove_later_companions(backup, report)
    report.was_done = report.was_done and not report.restored
    return report


# -- the home -------------------------------------------------------------------------------------------------------------


def _is_in_force(database: Database, timestamp: str) -> bool:
    """Return whether the home is in the state after that migration, and not in one before it or rolled back already."""
    if not database.exists():
        return False
    # An older database would be upgraded by a look at it.
    with read_without_trace(database) as connection:
        return timestamp in [run.backup for run in migrated.load_runs(connection)]


@dataclass(frozen=True, slots=True)
class _Leftovers:
    """What a migration brought and nobody refers to any more after its rollback: bundles, and the keys of their files."""

    bundles: list[str]
    files: list[str]

    @classmethod
    def of(cls, store: BundleStore, backup: Backup, report: RollbackReport) -> _Leftovers:
        """Look at what came later, and list what is to go; only under the writer's lock.

        Raises
        ------
        ConflictError
            Something came since.
        """
        bundles, files = _brought(store, backup, report)
        return cls(bundles, files)

    def save(self, place: LocalStorage) -> None:
        self.forget(place)
        place.put_new(_LEFTOVERS, json.dumps(asdict(self)).encode())

    @classmethod
    def load(cls, place: LocalStorage) -> _Leftovers:
        """Return what an earlier rollback noted and did not come to; nothing where there is no note.

        Raises
        ------
        CorruptBundleError
            There is a note that cannot be read: written whole or not at all, it was damaged since.
        """
        try:
            said = json.loads(place.open(_LEFTOVERS))
            return cls([check_bundle_name(name) for name in said["bundles"]], [str(key) for key in said["files"]])
        except FileNotFoundError:
            return cls([], [])
        except (ValueError, KeyError, TypeError) as error:
            raise damaged_copy(place, _LEFTOVERS, str(error)) from error

    @staticmethod
    def forget(place: LocalStorage) -> None:
        place.delete(_LEFTOVERS)

    def remove(self, store: BundleStore) -> None:
        """Remove the files that the present database does not know either, and folders that are empty then."""
        known: set[str] = set()
        if self.files and store.database.exists():
            with read_without_trace(store.database) as connection:
                known = rolled_back.known_files(connection)
        for key in self.files:
            if key not in known:
                store.storage.delete(key)
        for name in self.bundles:
            _remove_empty(store.home / name)


def _brought(store: BundleStore, backup: Backup, report: RollbackReport) -> tuple[list[str], list[str]]:
    """Return the bundles that the migration brought and the keys of their files, after a look at what came later."""
    store.database.fold_log()
    before = Backups(store.home).place(backup.timestamp).path(backup.database.key) if backup.database else None
    with store.database.read() as connection:
        runs = migrated.load_runs(connection)
        run = next(run for run in runs if run.backup == backup.timestamp)
        later = [other for other in runs if other.id > run.id]
        if later:
            raise ConflictError(
                f"there was another migration since, on {_moment(later[-1].finished_at)}",
                hint=f"roll that one back first: rustybt migrate --rollback {later[-1].backup}"
                if later[-1].backup
                else "it has no backup: what it brought cannot be taken back",
            )
        brought = {
            bundle.bundle_name: bundle for bundle in migrated.load_bundles(connection) if bundle.run_id == run.id
        }
        lost = rolled_back.made_since(connection, before, {(b.bundle_name, b.version) for b in brought.values()})
        if lost:
            hint = (
                "rustybt bundle export keeps a bundle as files; then remove it with rustybt bundle rm B, and roll back"
            )
            if all(what.startswith("the tag ") for what in lost):
                hint = "rustybt bundle untag B NAME takes a tag away; then roll back"
            raise ConflictError(
                f"since the migration of {_moment(run.finished_at)} there came {listed(lost, _MOST_NAMED)}: "
                "rolling back would lose it",
                hint=hint,
            )
        report.results = rolled_back.results_since(connection, before)
        gone = sorted(brought.keys() - rolled_back.bundles_of(before))
        return gone, rolled_back.files_brought(connection, before, brought)


def _restore_home(
    store: BundleStore, backups: Backups, backup: Backup, leftovers: _Leftovers, on_step: Callable[[str], None]
) -> None:
    """Put the home's database back, and remove what only the newer one refers to.

    The manifests go first: without them the newer state still works, and a database that lacks their bundles is complete.
    """
    storage = store.storage
    for key in leftovers.files:
        if "/manifests/" in key:
            storage.delete(key)
    on_step("manifests-removed")
    database = store.database
    database.close()
    if backup.database is not None:
        _put_back(database.path, backups.read(backup, backup.database))
    else:
        with translated("remove", database.path):
            database.path.unlink()
            sync_directory(database.folder)
    on_step("database-restored")
    for ending in ("-wal", "-shm"):
        # The log was folded in before: there is nothing in it.
        with suppress(FileNotFoundError):
            database.path.with_name(database.path.name + ending).unlink()


def _put_back(path: Path, data: bytes) -> None:
    """Replace a file by other bytes: durable, and at no moment half of it."""
    if path.exists() and path.read_bytes() == data:
        return
    with translated("restore", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.restored")
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)


def _remove_empty(folder: Path) -> None:
    """Remove a bundle's folder, if nothing is left in it but folders."""
    if folder.is_dir() and not any(path.is_file() for path in folder.rglob("*")):
        shutil.rmtree(folder, ignore_errors=True)


# -- the old side ---------------------------------------------------------------------------------------------------------


def _restore_old(backups: Backups, backup: Backup, saved: SavedFile, report: RollbackReport) -> None:
    """Put an old database back where it is not what it was; a newer one is kept beside it."""
    path = Path(saved.path)
    data = backups.read(backup, saved)
    with translated("read", path):
        if path.exists():
            if path.read_bytes() == data:
                return
            aside = path.with_name(f"{path.name}.before-rollback-{int(time.time()):d}")
            shutil.copy2(path, aside)
            report.kept_aside.append(str(aside))
    _put_back(path, data)
    report.restored.append(str(path))


def _remove_later_companions(backup: Backup, report: RollbackReport) -> None:
    """Put aside a log that came later: laid over the restored database it would undo the restoring."""
    saved = {file.path for file in backup.old_files}
    for path in list(report.restored):
        for ending in ("-wal", "-journal", "-shm"):
            companion = Path(path + ending)
            if str(companion) not in saved and companion.exists():
                aside = companion.with_name(f"{companion.name}.before-rollback-{int(time.time()):d}")
                companion.rename(aside)
                report.kept_aside.append(str(aside))


def _moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
