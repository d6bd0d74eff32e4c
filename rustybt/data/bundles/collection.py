"""Garbage collection: rows first, files later, and never what someone may still need."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles import manifest as manifests
from rustybt.data.bundles.locks import bundle_lock
from rustybt.data.bundles.metadata_store import collection as sql
from rustybt.data.bundles.metadata_store import versions
from rustybt.data.bundles.metadata_store.database import INTERNAL_FOLDER
from rustybt.data.bundles.names import check_bundle_name
from rustybt.data.bundles.retired_assets import write_retired_assets
from rustybt.data.bundles.storage.local import sync_directory, translated
from rustybt.errors import BundleNameError, ConflictError, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rustybt.data.bundles.records import VersionInfo
    from rustybt.data.bundles.store import BundleStore

_TRASH = "trash"
#: What a commit writes before its manifest.
_STAGED = re.compile(r"(daily_bars|minute_bars|bars_\w+|blocks)/([0-9a-f]{32}\.parquet|\.tmp-[0-9a-f]{32})")


@dataclass(slots=True)
class GcReport:
    """What garbage collection did, or would do with `dry_run`.

    Parameters
    ----------
    collected
        ``name@version`` whose rows are gone; `kept` says why others beyond the limit stay.
    orphaned_results
        Folder of each saved result that can no longer be replayed, with the version it needs.
    files_deleted, bytes_freed
        Physically gone now.
    files_waiting
        Needed by no version, but younger than the grace period.
    """

    dry_run: bool = False
    collected: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    orphaned_results: dict[str, str] = field(default_factory=dict)
    files_deleted: int = 0
    bytes_freed: int = 0
    files_waiting: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def collect_garbage(
    store: BundleStore, name: str | None, keep_last: int | None, *, dry_run: bool, grace_seconds: float
) -> GcReport:
    """Collect one bundle, or all; see `BundleStore.gc`."""
    if keep_last is not None and keep_last < 1:
        raise RequestError(f"--keep-last {keep_last}: at least the latest version is kept", hint="--keep-last 1")
    report = GcReport(dry_run=dry_run)
    names = [info.name for info in store.list_bundles()] if name is None else [store.name_of(name)]
    if not names and not store.database.exists():
        return report
    for bundle in names:
        with bundle_lock(store.home, bundle, store.settings.bundle_lock_timeout_seconds):
            _collect_bundle(store, bundle, keep_last, report, grace_seconds)
    if name is None:
        for bundle in _stillborn(store, set(names)):
            with bundle_lock(store.home, bundle, store.settings.bundle_lock_timeout_seconds):
                _sweep_stillborn(store, bundle, report, store.clock() - grace_seconds)
        _empty_trash(store, report, grace_seconds)
    return report


def _collect_bundle(
    store: BundleStore, bundle: str, keep_last: int | None, report: GcReport, grace_seconds: float
) -> None:
    leased = store.leases.living()
    doomed = _choose(store.versions(bundle), keep_last, leased, report)
    numbers = {info.version for info in doomed}
    for path, version in store.saved_results(bundle):
        if version in numbers:
            # A result of several bundles may lose more than one of them.
            lost = [report.orphaned_results[path]] if path in report.orphaned_results else []
            report.orphaned_results[path] = ", ".join([*lost, f"{bundle}@{version}"])
    report.collected.extend(info.reference for info in doomed)
    now = store.clock()
    if doomed and not report.dry_run:
        for info in doomed:
            note = {"version": info.version, "content_hash": info.content_hash, "collected_at": int(now)}
            key = manifests.tombstone_of(bundle, info.version)
            # A run that died between this note and the rows below left it behind.
            with suppress(FileNotFoundError):
                store.storage.stamp(key)
                continue
            store.storage.put_new(key, json.dumps(note).encode())
        with store.database.write() as connection:
            sql.mark_collected(connection, bundle, sorted(numbers), int(now))
    # Looked at again: whoever took a lease before the rows were gone may have opened the version.
    leased = store.leases.living()
    open_ones = {info.version for info in store.versions(bundle) if info.reference in leased}
    with store.database.read(snapshot=True) as connection:
        # A dry run asks what would be free if the chosen versions were gone.
        free = sql.unneeded_files(connection, bundle, numbers if report.dry_run else set(), open_ones)
    due = [file for file in free if (now if file.released_at is None else file.released_at) <= now - grace_seconds]
    if due and not report.dry_run:
        with store.database.write() as connection:
            sql.delete_files(connection, [file.file_key for file in due])
        for file in due:
            store.storage.delete(file.file_key)
    report.files_deleted += len(due)
    report.bytes_freed += sum(file.size_bytes for file in due)
    report.files_waiting += len(free) - len(due)
    _sweep_strays(store, bundle, report, now - grace_seconds)


def _choose(
    known: list[VersionInfo], keep_last: int | None, leased: dict[str, list[int]], report: GcReport
) -> list[VersionInfo]:
    if keep_last is None:
        return []
    doomed = []
    for info in [v for v in known if not v.collected][:-keep_last]:
        if info.tags:
            report.kept[info.reference] = f"tagged {', '.join(info.tags)}"
        elif info.reference in leased:
            report.kept[info.reference] = f"open in process {', '.join(map(str, leased[info.reference]))}"
        else:
            doomed.append(info)
    return doomed


def _sweep_strays(store: BundleStore, bundle: str, report: GcReport, before: float) -> None:
    """Delete files that no row names: left behind by a crash, and older than the grace period."""
    with store.database.read(snapshot=True) as connection:
        named = sql.all_file_keys(connection, bundle)
        known = versions.load_versions(connection, bundle)
    chain = {info.manifest_key for info in known}
    beyond = manifests.later_manifests(store.storage, bundle, len(known))
    if any(number > len(known) + 1 for number in beyond.values()):
        # No crash leaves that behind: the database is older than the bundle, and what looks stray is not.
        report.kept[bundle] = "there are versions that the database does not know: rustybt bundle recover"
        return
    # Manifests first: one without its files must never be left for recovery to follow.
    for stored in sorted(store.storage.list(bundle), key=lambda file: file.key not in beyond):
        folder = PurePosixPath(stored.key).parent.name
        is_note = folder == "tags" or stored.key.endswith(".collected")
        if stored.key in named or stored.key in chain or is_note:
            continue
        if stored.modified_at > before and stored.key not in beyond:
            report.files_waiting += 1
            continue
        if not report.dry_run:
            store.storage.delete(stored.key)
        report.files_deleted += 1
        report.bytes_freed += stored.size_bytes


def _stillborn(store: BundleStore, known: set[str]) -> list[str]:
    """Return the folders of bundles whose first ingest died before anything named its files."""
    found = []
    for folder in sorted(path for path in store.home.iterdir() if path.is_dir() and path.name not in known):
        with suppress(BundleNameError):
            bundle = check_bundle_name(folder.name)
            files = [PurePosixPath(stored.key).relative_to(bundle).as_posix() for stored in store.storage.list(bundle)]
            # Whoever else keeps files in a home keeps them.
            if files and all(_STAGED.fullmatch(file) for file in files):
                found.append(bundle)
    return found


def _sweep_stillborn(store: BundleStore, bundle: str, report: GcReport, before: float) -> None:
    with store.database.read() as connection:
        if versions.load_head(connection, bundle) is not None:
            return
    _sweep_strays(store, bundle, report, before)


def remove_bundle(store: BundleStore, name: str) -> None:
    """Remove a bundle: its rows in one transaction, its folder to the trash in one rename, its bytes at the next gc."""
    bundle = store.name_of(name)
    with bundle_lock(store.home, bundle, store.settings.bundle_lock_timeout_seconds):
        holders = sorted(
            {pid for ref, pids in store.leases.living().items() if ref.partition("@")[0] == bundle for pid in pids}
        )
        if holders:
            raise ConflictError(
                f"bundle {bundle} is open in process {', '.join(map(str, holders))}",
                hint="close it there, then run the command again",
                bundle=bundle,
                processes=holders,
            )
        trash = store.home / INTERNAL_FOLDER / _TRASH
        folder = store.storage.local_path(bundle)
        with translated("remove", trash):
            trash.mkdir(exist_ok=True)
        with store.database.write() as connection:
            write_retired_assets(store.storage, sql.sids_of(connection, bundle))
            sql.delete_bundle(connection, bundle)
        if folder is None:
            for stored in list(store.storage.list(bundle)):
                store.storage.delete(stored.key)
            return
        with translated("remove", folder):
            if folder.exists():
                folder.rename(trash / f"{uuid.uuid4().hex}")
                sync_directory(store.home)


def _empty_trash(store: BundleStore, report: GcReport, grace_seconds: float) -> None:
    trash = store.home / INTERNAL_FOLDER / _TRASH
    if not trash.is_dir():
        return
    for folder in sorted(trash.iterdir()):
        files = list(_sizes(folder))
        if folder.stat().st_ctime > store.clock() - grace_seconds:
            report.files_waiting += len(files)
            continue
        report.files_deleted += len(files)
        report.bytes_freed += sum(files)
        if not report.dry_run:
            with translated("delete", folder):
                shutil.rmtree(folder)


def _sizes(folder: Path) -> Iterator[int]:
    for top, _, names in os.walk(folder):
        for name in names:
            yield Path(top, name).lstat().st_size
