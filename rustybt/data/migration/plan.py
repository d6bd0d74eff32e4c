"""What a migration has to do: the old side looked at, the new side asked what it has."""

from __future__ import annotations

import hashlib
import itertools
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rustybt.data.bundles.metadata_store import migrated, versions
from rustybt.data.bundles.metadata_store.traceless import read_without_trace
from rustybt.data.migration.bars import OldFile, find_files, infer_calendar
from rustybt.data.migration.merged import merge
from rustybt.data.migration.names import new_names
from rustybt.data.migration.old_rows import OldRows, read_old_rows
from rustybt.data.migration.places import CatalogFile, OldStore, find_old_store, storable
from rustybt.errors import BundleError, ConflictError
from rustybt.market.provenance import MIGRATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rustybt.data.bundles.metadata_store.migrated import MigratedBundle, MigratedSource
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.sources.base import Progress

BundleState = Literal["new", "changed", "unchanged", "left_out"]
CatalogState = Literal["new", "changed", "unchanged", "damaged", "no_catalog"]

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedCatalog:
    """One old database: what is in it and whether that is known already.

    `foreign` names tables of other programs, which stay where they are; `reason` is empty but for a damaged one.
    """

    file: CatalogFile
    state: CatalogState
    digest: str = ""
    row_counts: Mapping[str, int] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PlannedBundle:
    """One old bundle and what is to be done for it.

    Parameters
    ----------
    name
        In the home.
    files
        Its Parquet files; empty where bars are not asked for.
    facts_digest
        Over all that the old databases say of it.
    before
        What became of it earlier.
    has_new_bars
        Whether its files are others than those that were imported.
    symbol_count, cache_count
        Of the old catalogs.
    reason
        Why it is left out; empty for others.
    """

    old_name: str
    name: str
    state: BundleState
    catalogs: tuple[CatalogFile, ...]
    folders: tuple[Path, ...]
    files: tuple[OldFile, ...] = ()
    facts_digest: str = ""
    calendar_name: str = ""
    calendar_reason: str = ""
    source_type: str | None = None
    symbol_count: int = 0
    cache_count: int = 0
    before: MigratedBundle | None = None
    has_new_bars: bool = False
    reason: str = ""

    @property
    def usable(self) -> list[OldFile]:
        """Files whose bars are imported."""
        return [file for file in self.files if file.is_usable and file.frequency is not None]


@dataclass(slots=True)
class Plan:
    """All that a migration has to do.

    Parameters
    ----------
    provenance, quality
        Old bundle -> its rows in the catalogs of all bundles.
    sids
        Sid -> symbol, from Zipline's assets beside such a catalog.
    present
        Folded names of the bundles that the home had.
    """

    store: OldStore
    catalogs: list[PlannedCatalog] = field(default_factory=list)
    bundles: list[PlannedBundle] = field(default_factory=list)
    provenance: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    quality: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    sids: dict[int, str] = field(default_factory=dict)
    present: frozenset[str] = frozenset()

    @property
    def root_key(self) -> str:
        """The root, as the home remembers it."""
        return storable(str(self.store.root))

    @property
    def is_done(self) -> bool:
        """Whether the home has everything already that can be brought over."""
        # A catalog of one bundle comes with its bundle.
        own = [catalog for catalog in self.catalogs if catalog.file.old_name is None]
        return not self.to_do and all(catalog.state not in ("new", "changed") for catalog in own)

    @property
    def to_do(self) -> list[PlannedBundle]:
        """Bundles that are new or have changed."""
        return [bundle for bundle in self.bundles if bundle.state in ("new", "changed")]


class Planner:
    """Looks at the old side and the new, and writes nothing.

    Parameters
    ----------
    with_data
        Whether bars are brought over too.
    patience_seconds
        How long to wait for a program that has locked an old database.
    leave_no_trace
        Make no file in the home either, as SQLite does to read.
    """

    def __init__(
        self,
        store: BundleStore,
        root: Path,
        *,
        with_data: bool = True,
        patience_seconds: float = 5.0,
        progress: Progress | None = None,
        leave_no_trace: bool = False,
    ) -> None:
        self._store = store
        self._leave_no_trace = leave_no_trace
        self._with_data = with_data
        self._patience_seconds = patience_seconds
        self._progress = progress
        self._plan = Plan(find_old_store(root))
        self._damaged: dict[str, str] = {}
        self._known: dict[str, MigratedBundle] = {}
        self._sources: dict[str, MigratedSource] = {}
        self._adopted: dict[str, str] = {}
        self._taken: dict[str, str] = {}

    def plan(self) -> Plan:
        """Return what there is to do.

        Raises
        ------
        ConflictError
            Another program holds an old database.
        """
        self._ask_the_home()
        plan = self._plan
        own = [catalog for catalog in plan.store.catalogs if catalog.old_name is not None]
        for catalog in plan.store.catalogs:
            if catalog.old_name is None:
                self._read_catalog_of_all(catalog)
        names = self._old_names()
        known = {old: before.bundle_name for old, before in self._known.items()}
        renamed = new_names(names, {**self._adopted, **known}, self._taken)
        by_bundle: dict[str, list[CatalogFile]] = defaultdict(list)
        for catalog in own:
            by_bundle[catalog.old_name or ""].append(catalog)
        for number, old_name in enumerate(sorted(names), 1):
            planned = self._bundle(old_name, renamed[old_name], by_bundle.get(old_name, []))
            if planned is not None:
                plan.bundles.append(planned)
            self._tell("read", number, len(names))
        return plan

    def _ask_the_home(self) -> None:
        for folder in itertools.chain.from_iterable(self._plan.store.folders.values()):
            if folder.parent.resolve() == self._store.home.resolve():
                # The home is a folder of old bundles: to remove a bundle of that name would remove the old one.
                self._taken[folder.name.casefold()] = folder.name
        database = self._store.database
        if not database.exists():
            return
        with read_without_trace(database) if self._leave_no_trace else database.read(snapshot=True) as connection:
            present = migrated.known_names(connection)
            self._plan.present = frozenset(present)
            for bundle in migrated.load_bundles(connection, self._plan.root_key):
                if bundle.bundle_name in present.values():
                    self._known[bundle.old_name] = bundle
            self._sources = migrated.load_sources(connection, self._plan.root_key)
            ours = {bundle.bundle_name for bundle in self._known.values()}
            for folded, name in present.items():
                if name in ours:
                    continue
                info = versions.load_version(connection, name, 1)
                told = info.provenance if info is not None else None
                if told and told.source_type == MIGRATED and told.options.get("root") == self._plan.root_key:
                    # Brought over once, and known by its manifest alone since the database was rebuilt.
                    self._adopted[told.options["old_name"]] = name
                else:
                    self._taken[folded] = name

    # -- the old side --------------------------------------------------------------------------------------------------

    def _read(self, catalog: CatalogFile) -> OldRows | None:
        """Return the rows of a database and note in the plan what it is; None for one that says nothing."""
        try:
            rows = read_old_rows(catalog, self._patience_seconds)
        except ConflictError:
            raise
        except BundleError as error:
            self._plan.catalogs.append(PlannedCatalog(catalog, "damaged", reason=error.message))
            return None
        if not rows.is_catalog:
            self._plan.catalogs.append(PlannedCatalog(catalog, "no_catalog", foreign=rows.foreign))
            return rows
        digest = rows.digest
        before = self._sources.get(catalog.relative)
        state: CatalogState = "new"
        if before is not None:
            state = "unchanged" if before.rows_digest == digest else "changed"
        self._plan.catalogs.append(PlannedCatalog(catalog, state, digest, rows.row_counts, rows.foreign))
        return rows

    def _read_catalog_of_all(self, catalog: CatalogFile) -> None:
        rows = self._read(catalog)
        if rows is None:
            return
        self._plan.sids |= rows.sids
        for table, kept in (("bundle_metadata", self._plan.provenance), ("data_quality_metrics", self._plan.quality)):
            for row in rows.records(table):
                if row.get("bundle_name") is not None:
                    kept[self._folder_of(str(row["bundle_name"]))].append(row)

    def _folder_of(self, name: str) -> str:
        """Return the folder that a catalog's name means: file systems may have composed its letters in another way."""
        folders = self._plan.store.folders
        if name in folders:
            return name
        plain = unicodedata.normalize("NFC", name)
        alike = [folder for folder in folders if unicodedata.normalize("NFC", folder) == plain]
        return alike[0] if len(alike) == 1 else name

    def _old_names(self) -> set[str]:
        return {*self._plan.store.folders, *self._plan.provenance, *self._plan.quality}

    def _bundle(self, old_name: str, name: str, catalogs: Sequence[CatalogFile]) -> PlannedBundle | None:
        plan = self._plan
        folders = plan.store.folders.get(old_name, ())
        rows: list[OldRows] = []
        for catalog in catalogs:
            found = self._read(catalog)
            if found is None:
                reason = plan.catalogs[-1].reason
                return PlannedBundle(old_name, name, "left_out", tuple(catalogs), folders, reason=reason)
            rows.append(found)
        tables = [{table: list(found.records(table)) for table in found.tables} for found in rows]
        files = tuple(self._files(folders, catalogs, tables)) if self._with_data else ()
        merged = merge(plan.provenance.get(old_name, ()), plan.quality.get(old_name, ()), tables)
        if not (files or any(found.is_catalog for found in rows) or self._is_named(old_name)):
            return None  # a folder with an empty database in it
        before = self._known.get(old_name)
        digest = self._facts_digest(old_name, rows)
        has_new_bars = self._with_data and (
            before is None or [dict(file) for file in before.files] != [described(file) for file in files]
        )
        calendar = self._calendar(before, files, merged.symbols, is_new=before is None or has_new_bars)
        is_same = before is not None and before.facts_digest == digest and not has_new_bars
        return PlannedBundle(
            old_name=old_name,
            name=name,
            state="unchanged" if is_same else "new" if before is None else "changed",
            catalogs=tuple(catalogs),
            folders=folders,
            files=files,
            facts_digest=digest,
            calendar_name=calendar[0],
            calendar_reason=calendar[1],
            source_type=merged.columns.get("source_type"),
            symbol_count=len({symbol for symbol, _, _ in merged.symbols}),
            cache_count=len(merged.cache_entries),
            before=before,
            has_new_bars=has_new_bars and bool(files),
        )

    def _is_named(self, old_name: str) -> bool:
        return old_name in self._plan.provenance or old_name in self._plan.quality

    def _files(
        self, folders: Iterable[Path], catalogs: Sequence[CatalogFile], tables: Sequence[Mapping[str, list[Record]]]
    ) -> list[OldFile]:
        by_folder = {catalog.path.parent: own for catalog, own in zip(catalogs, tables, strict=True)}
        return [file for folder in folders for file in find_files(folder, *recorded_files(by_folder.get(folder, {})))]

    def _calendar(
        self,
        before: MigratedBundle | None,
        files: Sequence[OldFile],
        symbols: Sequence[tuple[str, Any, Any]],
        *,
        is_new: bool,
    ) -> tuple[str, str]:
        if before is not None and not is_new:
            return before.calendar_name, before.calendar_reason
        exchanges = {str(exchange) for _, _, exchange in symbols if exchange}
        asset_types = {str(kind) for _, kind, _ in symbols if kind}
        return infer_calendar([file for file in files if file.is_usable], exchanges, asset_types)

    def _facts_digest(self, old_name: str, rows: Iterable[OldRows]) -> str:
        hashed = hashlib.sha256()
        for kept in (self._plan.provenance, self._plan.quality):
            hashed.update(repr([sorted(row.items()) for row in kept.get(old_name, ())]).encode())
        for found in rows:
            hashed.update(found.digest.encode())
        return hashed.hexdigest()

    def _tell(self, stage: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(stage, done, total)


def recorded_files(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the checksum and the resolution of each path that a catalog names."""
    checksums: dict[str, str] = {}
    resolutions: dict[str, str] = {}
    by_dataset = {row.get("dataset_id"): row.get("resolution") for row in tables.get("datasets", ())}
    # What the table of checksums says counts more than what was noted when a file was cached.
    for table in ("checksums", "cache_entries"):
        for row in tables.get(table, ()):
            path, checksum = row.get("parquet_path"), row.get("checksum")
            if not isinstance(path, str) or (table == "cache_entries" and path in checksums):
                continue
            checksums[path] = checksum if isinstance(checksum, str) else ""
            resolution = by_dataset.get(row.get("dataset_id"))
            if isinstance(resolution, str):
                resolutions[path] = resolution
    return checksums, resolutions


def described(file: OldFile) -> dict[str, Any]:
    """Return the JSON values by which the home remembers an old file."""
    return {
        "path": file.relative,
        "frequency": file.frequency.name if file.frequency else None,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "recorded": file.recorded,
        "verdict": file.verdict,
        "reason": file.reason,
    }
