"""Bring the old catalogs over: everything in one transaction, or nothing."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rustybt.__about__ import __version__
from rustybt.data.bundles.manifest import Manifest
from rustybt.data.bundles.metadata_store import migrated, versions
from rustybt.data.bundles.metadata_store.migrated import MigratedBundle
from rustybt.data.bundles.staging import discard_staged, publish_staged
from rustybt.data.migration.backup import BackupWriter
from rustybt.data.migration.merged import Merged, merge
from rustybt.data.migration.old_rows import OldRows, patience_of, read_old_rows
from rustybt.data.migration.places import find_root
from rustybt.data.migration.plan import Plan, PlannedBundle, Planner, described
from rustybt.data.migration.report import BundleReport, MigrationReport
from rustybt.data.migration.staging import StagedBars, sids_of, stage_bars
from rustybt.errors import ConflictError, RequestError
from rustybt.market.provenance import MIGRATED

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rustybt.data.bundles.metadata_store.database import Connection
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.migration.places import CatalogFile
    from rustybt.data.sources.base import Progress

#: Columns that the bars themselves decide, where they are imported.
_OF_BARS = ("start_session", "end_session", "file_checksum", "file_size_bytes")


def _no_step(_: str) -> None:
    """Do nothing at a named step; fault tests put a crash here."""


@dataclass(slots=True)
class _StagedBundle:
    """What waits for the transaction: the report of the bars, and the version as the bytes of its manifest."""

    bars: StagedBars
    manifest: bytes = b""
    key: str = ""

    def load(self) -> Manifest | None:
        return Manifest.from_bytes(self.manifest, self.key) if self.manifest else None


class Migration:
    """One migration of the old catalogs below a root into a home.

    Parameters
    ----------
    store
        The home's.
    root
        Folder of the old programs; None takes ``ZIPLINE_ROOT``, else ``~/.zipline``.
    with_data
        Bring the bars over too.
    backup
        Copy the old databases and the home's first, so that it can be rolled back.
    patience_seconds
        How long to wait for a program that has locked an old database; None is 5 s, or the setting
        ``bundle.lock_timeout_seconds`` where that is less.
    progress
        Called with a stage, how much of it is done and how much there is.
    on_step
        Called with the name of each step that was completed: ``planned``, ``backed-up``, ``bars-staged``, ``sealed``,
        ``manifest-written``, ``rows-inserted``, ``bundle-written``, ``written``, ``committed``.
    """

    def __init__(
        self,
        store: BundleStore,
        root: str | os.PathLike[str] | None = None,
        *,
        with_data: bool = True,
        backup: bool = True,
        patience_seconds: float | None = None,
        progress: Progress | None = None,
        on_step: Callable[[str], None] = _no_step,
    ) -> None:
        self._store = store
        self._root = find_root(root)
        self._with_data = with_data
        self._wants_backup = backup
        self._patience_seconds = patience_of(store, patience_seconds)
        self._progress = progress
        self._on_step = on_step
        self._had_database = False
        self._staged: dict[str, _StagedBundle] = {}

    def plan(self, *, leave_no_trace: bool = False) -> Plan:
        """Return what there is to do; nothing is written."""
        planner = Planner(
            self._store,
            self._root,
            with_data=self._with_data,
            patience_seconds=self._patience_seconds,
            progress=self._progress,
            leave_no_trace=leave_no_trace,
        )
        return planner.plan()

    def dry_run(self) -> MigrationReport:
        """Return what `run` would do; no file is made or changed."""
        started = time.perf_counter()
        return self._report(self.plan(leave_no_trace=True), started, dry_run=True)

    def run(self) -> MigrationReport:
        """Do it; see `migrate_catalogs`."""
        started = time.perf_counter()
        plan = self.plan()
        self._on_step("planned")
        if plan.is_done:
            return self._report(plan, started)
        backup = None
        try:
            if self._wants_backup:
                backup = BackupWriter(self._store.home, self._root, int(self._store.clock()))
                backup.save_old(plan.store.catalogs, self._progress)
                self._on_step("backed-up")
            self._stage(plan)
            self._on_step("bars-staged")
            # A home's first database is there, and empty, before anything in the home refers to it.
            with self._store.database.write(before=self._look_for_database):
                pass
            with self._store.database.write(before=lambda: self._seal(backup)) as connection:
                self._write(connection, plan, backup.timestamp if backup else None)
                self._on_step("written")
        except BaseException:
            with suppress(OSError):
                discard_staged(self._store, [m for staged in self._staged.values() if (m := staged.load())])
                if backup is not None:
                    backup.discard()
            raise
        self._on_step("committed")
        return self._report(plan, started, backup=backup.timestamp if backup else "")

    def _look_for_database(self) -> None:
        self._had_database = self._store.database.path.exists()

    def _seal(self, backup: BackupWriter | None) -> None:
        if backup is None:
            return
        self._store.database.fold_log()
        backup.seal(self._store.database.path if self._had_database else None)
        self._on_step("sealed")

    # -- bars ----------------------------------------------------------------------------------------------------------

    def _stage(self, plan: Plan) -> None:
        waiting = [bundle for bundle in plan.to_do if bundle.has_new_bars and bundle.usable]
        for number, bundle in enumerate(waiting, 1):
            if self._has_moved_on(plan, bundle):
                note = "it has newer versions than the imported one: its old files were not read again"
                self._staged[bundle.old_name] = _StagedBundle(StagedBars(notes=[note]))
                continue
            tables = [read_old_rows(catalog, self._patience_seconds) for catalog in bundle.catalogs]
            merged = self._merged(plan, bundle, tables)
            rows = [row for found in tables for row in found.records("symbols")]
            try:
                bars = stage_bars(
                    self._store,
                    bundle,
                    merged.symbols,
                    sids_of(rows, plan.sids, merged.symbols),
                    merged.columns,
                    root=plan.root_key,
                    progress=self._progress,
                )
            except RequestError:
                with self._store.database.read() as connection:
                    _check_names(connection, plan)
                raise
            staged = _StagedBundle(bars)
            if bars.manifest is not None:
                # As bytes: the manifests of thousands of bundles are many objects.
                staged.manifest, staged.key = bars.manifest.to_bytes(), bars.manifest.info.manifest_key
                bars.manifest = None
            self._staged[bundle.old_name] = staged
            if self._progress is not None:
                self._progress("import bars", number, len(waiting))

    def _has_moved_on(self, plan: Plan, bundle: PlannedBundle) -> bool:
        """Return whether the bundle's latest version is not the imported one."""
        if bundle.before is None and bundle.name.casefold() not in plan.present:
            return False
        with self._store.database.read() as connection:
            head = migrated.head_of(connection, bundle.name)
            return head[0] > 0 and head != _imported_before(connection, bundle, head)

    # -- the transaction -----------------------------------------------------------------------------------------------

    def _write(self, connection: Connection, plan: Plan, backup: str | None) -> None:
        _check_names(connection, plan)
        now = int(self._store.clock())
        run_id = migrated.insert_run(connection, plan.root_key, backup, now, __version__)
        before = migrated.migrated_statistics(connection)
        changed = {catalog.file.relative: catalog for catalog in plan.catalogs if catalog.state in ("new", "changed")}
        for catalog in changed.values():
            if catalog.file.old_name is None:
                self._write_catalog(connection, plan, run_id, catalog.file, catalog.digest)
        waiting = plan.to_do
        digests = {catalog.file.relative: catalog.digest for catalog in plan.catalogs if catalog.state != "no_catalog"}
        for number, bundle in enumerate(waiting, 1):
            self._write_bundle(connection, plan, run_id, bundle, digests, now)
            self._on_step("bundle-written")
            if self._progress is not None:
                self._progress("write", number, len(waiting))
        after = migrated.migrated_statistics(connection)
        nothing = (0, 0, 0.0)
        difference = {
            day: tuple(new - old for new, old in zip(after.get(day, nothing), before.get(day, nothing), strict=True))
            for day in after.keys() | before.keys()
        }
        migrated.add_statistics(
            connection,
            {day: (int(h), int(m), size) for day, (h, m, size) in difference.items() if (h, m, size) != nothing},
        )

    def _write_catalog(
        self, connection: Connection, plan: Plan, run_id: int, catalog: CatalogFile, digest: str
    ) -> OldRows:
        """Store the rows of an old database and return them; they are read again, so that memory holds one at a time."""
        rows = read_old_rows(catalog, self._patience_seconds)
        if rows.digest != digest:
            raise ConflictError(
                f"the old database {catalog.path} was changed while it was brought over",
                hint="end the program that uses it, and run the command again; nothing was changed here",
                file=str(catalog.path),
            )
        values = {
            "run_id": run_id,
            "root": plan.root_key,
            "path": catalog.relative,
            "kind": catalog.kind,
            "old_name": catalog.old_name,
            "rows_digest": digest,
            "row_counts": _json(rows.row_counts),
        }
        migrated.replace_source(connection, values, rows.tables)
        return rows

    def _write_bundle(
        self,
        connection: Connection,
        plan: Plan,
        run_id: int,
        bundle: PlannedBundle,
        digests: Mapping[str, str],
        now: int,
    ) -> None:
        tables = [
            self._write_catalog(connection, plan, run_id, catalog, digests[catalog.relative])
            for catalog in bundle.catalogs
            if catalog.relative in digests
        ]
        merged = self._merged(plan, bundle, tables)
        staged = self._staged.get(bundle.old_name)
        manifest = staged.load() if staged else None
        if manifest is not None:
            publish_staged(connection, self._store, manifest, now, self._on_step)
        head = migrated.head_of(connection, bundle.name)
        version, content_hash = head if manifest is not None else _imported_before(connection, bundle, head)
        is_latest = (version, content_hash) == head  # else the catalog describes a later version
        if is_latest:
            self._save_columns(connection, bundle, merged, has_bars=version > 0, now=now)
        migrated.save_symbols(connection, bundle.name, merged.symbols, replace=is_latest)
        entries = [{**entry, "bundle_name": bundle.name} for entry in merged.cache_entries]
        migrated.add_cache_entries(connection, entries)
        old = bundle.before
        files = tuple(described(file) for file in bundle.files) if self._with_data else (old.files if old else ())
        migrated.save_bundle(
            connection,
            MigratedBundle(
                root=plan.root_key,
                old_name=bundle.old_name,
                bundle_name=bundle.name,
                run_id=run_id,
                facts_digest=bundle.facts_digest,
                calendar_name=bundle.calendar_name,
                calendar_reason=bundle.calendar_reason,
                version=version or None,
                content_hash=content_hash,
                files=files,
            ),
        )

    def _save_columns(
        self, connection: Connection, bundle: PlannedBundle, merged: Merged, *, has_bars: bool, now: int
    ) -> None:
        values = {name: value for name, value in merged.columns.items() if not (has_bars and name in _OF_BARS)}
        for name in ("created_at", "updated_at"):
            if values.get(name) is None:
                values[name] = now
        if not has_bars:
            # The column's default would say that a check was passed.
            values.setdefault("validation_passed", None)
            values |= {
                "calendar_name": bundle.calendar_name,
                "start_session": values.get("start_session") or 0,
                "end_session": values.get("end_session") or 0,
                "file_size_bytes": sum(file.size_bytes for file in bundle.files) or None,
            }
        migrated.save_catalog_row(connection, bundle.name, values)

    def _merged(self, plan: Plan, bundle: PlannedBundle, tables: Sequence[OldRows]) -> Merged:
        own = [{table: list(found.records(table)) for table in found.tables} for found in tables]
        return merge(plan.provenance.get(bundle.old_name, ()), plan.quality.get(bundle.old_name, ()), own)

    # -- the report ----------------------------------------------------------------------------------------------------

    def _report(self, plan: Plan, started: float, *, backup: str = "", dry_run: bool = False) -> MigrationReport:
        report = MigrationReport(plan.root_key, str(self._store.home), dry_run, backup=backup)
        report.zipline_bundles = list(plan.store.zipline_bundles)
        for catalog in plan.catalogs:
            if catalog.state == "damaged":
                report.damaged[catalog.file.relative] = catalog.reason
                continue
            report.catalogs += catalog.state != "no_catalog"
            if catalog.foreign:
                report.foreign_tables[catalog.file.relative] = list(catalog.foreign)
            for table, count in catalog.row_counts.items() if catalog.state != "unchanged" else ():
                report.row_counts[table] = report.row_counts.get(table, 0) + count
        report.bundles = [self._bundle_report(bundle) for bundle in plan.bundles]
        if not report.bundles and not report.damaged:
            report.notes.append(f"there is no old catalog and no old bundle below {plan.root_key}")
        report.seconds = round(time.perf_counter() - started, 3)
        return report

    def _bundle_report(self, bundle: PlannedBundle) -> BundleReport:
        report = BundleReport(
            bundle.old_name,
            bundle.name,
            bundle.state,
            source_type=bundle.source_type,
            calendar_name=bundle.calendar_name,
            calendar_reason=bundle.calendar_reason,
            symbols=bundle.symbol_count,
            cache_entries=bundle.cache_count,
            version=bundle.before.version if bundle.before else None,
            files_used=len(bundle.usable),
            files_left_out={
                file.relative: file.reason or f"{file.relative} has no frequency that could be told"
                for file in bundle.files
                if file not in bundle.usable and file.verdict != "missing"
            },
            files_missing=[file.relative for file in bundle.files if file.verdict == "missing"],
            reason=bundle.reason,
        )
        staged = self._staged.get(bundle.old_name)
        if staged is not None:
            report.rows, report.rows_quarantined = staged.bars.rows, staged.bars.rows_quarantined
            report.failures, report.notes = staged.bars.failures, staged.bars.notes
            report.version = self._version_of(bundle.name)
        return report

    def _version_of(self, name: str) -> int | None:
        with self._store.database.read() as connection:
            return migrated.head_of(connection, name)[0] or None


def _imported_before(
    connection: Connection, bundle: PlannedBundle, head: tuple[int, str | None]
) -> tuple[int, str | None]:
    """Return (version, content hash) of the bars that came over earlier; (0, None) where none did."""
    if bundle.before is not None:
        return bundle.before.version or 0, bundle.before.content_hash
    for version in range(head[0], 0, -1):
        info = versions.load_version(connection, bundle.name, version)
        if info is not None and info.provenance.source_type == MIGRATED:
            return version, info.content_hash
    return 0, None


def _check_names(connection: Connection, plan: Plan) -> None:
    """Raise where a bundle came meanwhile under a name that was free when the migration was planned."""
    came = migrated.known_names(connection).keys() - plan.present
    for bundle in plan.to_do:
        if bundle.before is None and bundle.name.casefold() in came:
            raise ConflictError(
                f"another process made bundle {bundle.name} while the old one of that name was brought over",
                hint="run the command again; nothing was changed here",
                bundle=bundle.name,
            )


def _json(value: Any) -> str:
    import json

    return json.dumps(value)


def migrate_catalogs(
    root: str | os.PathLike[str] | None = None,
    *,
    store: BundleStore | None = None,
    home: Path | str | None = None,
    dry_run: bool = False,
    backup: bool = True,
    with_data: bool = True,
    progress: Progress | None = None,
) -> MigrationReport:
    """Bring the two old catalogs below `root`, and the bars of their bundles, into a home: all of it, or nothing.

    The old files stay as they are. What was brought over before and has not changed is left alone.

    Parameters
    ----------
    root
        None takes ``ZIPLINE_ROOT``, else ``~/.zipline``.
    store, home
        Where to; None is the configured home.
    dry_run
        Say what would be done; no file is made.
    backup
        Copy every database first, so that `roll_back` can restore the state before.
    with_data
        Read, check and store the Parquet files of the bundles too.

    Raises
    ------
    RequestError
        There is no such root.
    ConflictError
        Another program holds an old database or the home; nothing was changed.
    StorageError
        Disk full, not permitted; nothing was changed.
    """
    from rustybt.data.bundles.store import BundleStore

    own = BundleStore(home) if store is None else None
    try:
        migration = Migration(
            store or own,  # type: ignore[arg-type]
            root,
            with_data=with_data,
            backup=backup,
            progress=progress,
        )
        return migration.dry_run() if dry_run else migration.run()
    finally:
        if own is not None:
            own.close()
