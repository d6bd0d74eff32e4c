"""Back to the state before a migration."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.metadata_store import migrated, rolled_back
from rustybt.data.bundles.storage.local import sync_directory, translated
from rustybt.data.migration.backup import Backup, Backups, SavedFile
from rustybt.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from rustybt.data.bundles.metadata_store.database import Database
    from rustybt.data.bundles.store import BundleStore

_MOST_NAMED = 5


@dataclass(slots=True)
class RollbackReport:
    """What a rollback did.

    Parameters
    ----------
    bundles
        Those that are gone again.
    restored
        Old databases that had changed or were gone; `kept_aside` is where their newer files are now.
    was_done
        Whether everything was as before already.
    """

    timestamp: str
    root: str
    bundles: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    kept_aside: list[str] = field(default_factory=list)
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
        Versions, tags or results were made since, and would be lost; or a later migration has to be rolled back first.
    """
    backups = Backups(store.home)
    backup = backups.load(timestamp)
    report = RollbackReport(timestamp, backup.root)
    with store.database.locked():
        if store.database.exists() and _is_in_force(store.database, timestamp):
            files = _bundle_files(store, backup, report)
            _restore_home(store, backups, backup, files, on_step)
            for name in report.bundles:
                _remove_empty(store.home / name)
            report.was_done = False
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
    with database.read() as connection:
        return timestamp in [run.backup for run in migrated.load_runs(connection)]


def _bundle_files(store: BundleStore, backup: Backup, report: RollbackReport) -> list[str]:
    """Return the keys of the files that the migration brought, manifests first, after a look at what came later.

    Only under the writer's lock.
    """
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
            raise ConflictError(
                f"since the migration of {_moment(run.finished_at)} there came {', '.join(lost[:_MOST_NAMED])}"
                + (f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else "")
                + ": rolling back would lose it",
                hint="rustybt bundle export keeps a bundle as files; then remove it with rustybt bundle rm B, and roll back",
            )
        report.bundles = sorted(brought)
        return rolled_back.files_brought(connection, before, brought)


def _restore_home(
    store: BundleStore, backups: Backups, backup: Backup, files: Collection[str], on_step: Callable[[str], None]
) -> None:
    """Put the home's database back, and remove what only the newer one refers to.

    The manifests go first: without them the newer state still works, and a database that lacks their bundles is complete.
    """
    storage = store.storage
    for key in files:
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
    for key in files:
        storage.delete(key)


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
