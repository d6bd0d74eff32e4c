"""Old against new, row by row."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.metadata_store import migrated
from rustybt.data.bundles.metadata_store.migrated_tables import DATA_CATALOG, PARQUET_CATALOG
from rustybt.data.migration.merged import Merged, merge
from rustybt.data.migration.old_rows import OldRows, patience_of, read_old_rows
from rustybt.data.migration.plan import Plan, PlannedBundle, Planner
from rustybt.data.migration.staging import checked_bars, sids_of
from rustybt.errors import VersionNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rustybt.data.bundles.metadata_store.database import Connection
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.sources.base import Progress

_KNOWN = {**DATA_CATALOG, **PARQUET_CATALOG}
#: Differences that are told one by one; the others are counted.
MOST_TOLD = 100
#: Columns that the bars of a version decide.
_OF_BARS = {"start_session", "end_session", "file_checksum", "created_at", "updated_at"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the old side says and the new one does not, or the other way round.

    `table` is one of the old tables, of the new catalog, or ``bars``; `row` counts from 1.
    """

    where: str
    table: str
    row: int | None
    column: str
    old: Any
    new: Any

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "old": _shown(self.old), "new": _shown(self.new)}

    def __str__(self) -> str:
        at = f" row {self.row}" if self.row is not None else ""
        column = f" {self.column}" if self.column else ""
        return f"{self.where}: {self.table}{at}{column}: old {_shown(self.old)!r}, new {_shown(self.new)!r}"


@dataclass(slots=True)
class ValidationReport:
    """What a comparison found.

    Parameters
    ----------
    row_counts
        Old table -> rows compared.
    bars
        Bars compared.
    difference_count
        Of all differences; `differences` holds the first of them.
    damaged
        Old database -> why it could not be read.
    """

    root: str
    bundles: int = 0
    row_counts: dict[str, int] = field(default_factory=dict)
    bars: int = 0
    difference_count: int = 0
    differences: list[Difference] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether both sides say the same."""
        return not self.difference_count

    def add(self, difference: Difference) -> None:
        """Count a difference, and keep it if there are few so far."""
        self.difference_count += 1
        if len(self.differences) < MOST_TOLD:
            self.differences.append(difference)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = asdict(self)
        return {
            **plain,
            "differences": [difference.to_json() for difference in self.differences],
            "equal": self.is_equal,
        }


class Validation:
    """Compares what lies below a root with what a home says of it; nothing is written.

    Parameters
    ----------
    with_data
        Compare the bars too: the old files are read and checked again.
    """

    def __init__(
        self,
        store: BundleStore,
        root: Path,
        *,
        with_data: bool = True,
        patience_seconds: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._store = store
        self._with_data = with_data
        self._patience_seconds = patience_of(store, patience_seconds)
        self._progress = progress
        self._planner = Planner(store, root, with_data=with_data, patience_seconds=self._patience_seconds)
        self._report = ValidationReport(str(root))
        self._days: dict[int, tuple[int, int, float]] = {}

    def run(self) -> ValidationReport:
        """Return what differs.

        Raises
        ------
        ConflictError
            Another program holds an old database.
        """
        plan = self._planner.plan()
        report = self._report
        report.damaged = {c.file.relative: c.reason for c in plan.catalogs if c.state == "damaged"}
        if not self._store.database.exists():
            for bundle in plan.bundles:
                report.add(Difference(bundle.old_name, "bundle_metadata", None, "", bundle.old_name, None))
            return report
        with self._store.database.read(snapshot=True) as connection:
            sources = migrated.load_sources(connection, plan.root_key)
            for catalog in plan.catalogs:
                if catalog.state in ("damaged", "no_catalog"):
                    continue
                rows = read_old_rows(catalog.file, self._patience_seconds)
                source = sources.get(catalog.file.relative)
                self._compare_rows(connection, catalog.file.relative, rows, source.id if source else None)
            for gone in sources.keys() - {catalog.file.relative for catalog in plan.catalogs}:
                report.add(Difference(gone, "database", None, "", None, gone))
            self._compare_statistics(connection)
            for number, bundle in enumerate(plan.bundles, 1):
                self._compare_bundle(connection, plan, bundle)
                if self._progress is not None:
                    self._progress("compare", number, len(plan.bundles))
        return report

    # -- the rows as they were ------------------------------------------------------------------------------------------

    def _compare_rows(self, connection: Connection, path: str, rows: OldRows, source_id: int | None) -> None:
        counts = self._report.row_counts
        for table, (columns, old) in rows.tables.items():
            known = _KNOWN[table]
            places = [columns.index(name) if name in columns else None for name in known]
            kept: Iterable[tuple[Any, ...]] = (
                () if source_id is None else migrated.rows_of(connection, source_id, table)
            )
            for number, (was, now) in enumerate(zip_longest(old, kept), 1):
                counts[table] = counts.get(table, 0) + (was is not None)
                if was is None or now is None:
                    self._report.add(Difference(path, table, number, "", was, now))
                    continue
                expected = (
                    *(None if place is None else was[place] for place in places),
                    migrated.extra_of(columns, known, was),
                )
                for name, before, after in zip((*known, "extra"), expected, now, strict=True):
                    if not _is_same(before, after):
                        self._report.add(Difference(path, table, number, name, before, after))
        if source_id is not None:
            for table in _KNOWN.keys() - rows.tables.keys():
                for number, now in enumerate(migrated.rows_of(connection, source_id, table), 1):
                    self._report.add(Difference(path, table, number, "", None, now))

    def _compare_statistics(self, connection: Connection) -> None:
        """Note days of which the home says less than the old databases together; it counts on by itself."""
        told = migrated.statistics(connection)
        for day, old in migrated.migrated_statistics(connection).items():
            new = told.get(day, (0, 0, 0.0))
            for name, before, after in zip(("hit_count", "miss_count", "total_size_mb"), old, new, strict=True):
                if after < before - 1e-9 * abs(before):
                    self._report.add(Difference(_day(day), "cache_statistics", None, name, before, after))

    # -- what became of each bundle -------------------------------------------------------------------------------------

    def _compare_bundle(self, connection: Connection, plan: Plan, bundle: PlannedBundle) -> None:
        report = self._report
        report.bundles += 1
        row = migrated.catalog_row(connection, bundle.name)
        if bundle.state == "left_out":
            return
        if bundle.before is None or row is None:
            report.add(Difference(bundle.old_name, "bundle_metadata", None, "", bundle.old_name, None))
            return
        rows = [read_old_rows(catalog, self._patience_seconds) for catalog in bundle.catalogs]
        own = [{table: list(found.records(table)) for table in found.tables} for found in rows]
        merged = merge(plan.provenance.get(bundle.old_name, ()), plan.quality.get(bundle.old_name, ()), own)
        head = migrated.head_of(connection, bundle.name)
        is_as_brought = head in ((0, None), (bundle.before.version, bundle.before.content_hash))
        if is_as_brought:
            self._compare_columns(bundle, merged, row, has_bars=head[0] > 0)
        present = migrated.symbols_of(connection, bundle.name)
        named = {symbol for symbol, _, _ in present}
        for symbol in merged.symbols:
            # Later versions may know another exchange.
            if symbol not in present if is_as_brought else symbol[0] not in named:
                report.add(Difference(bundle.name, "bundle_symbols", None, symbol[0], symbol, None))
        self._compare_entries(connection, bundle, merged)
        if self._with_data and bundle.before.version:
            self._compare_bars(plan, bundle, merged, [row for found in rows for row in found.records("symbols")])

    def _compare_columns(
        self, bundle: PlannedBundle, merged: Merged, row: Mapping[str, Any], *, has_bars: bool
    ) -> None:
        for name, old in merged.columns.items():
            is_given = old is not None or name not in _OF_BARS
            if (has_bars and name in _OF_BARS - {"created_at", "updated_at"}) or not is_given:
                continue
            expected = int(old) if isinstance(old, bool) else old
            if not _is_same(expected, row[name]):
                self._report.add(Difference(bundle.name, "bundle_metadata", None, name, expected, row[name]))
        if not has_bars and bundle.before and row["calendar_name"] != bundle.before.calendar_name:
            self._report.add(
                Difference(
                    bundle.name,
                    "bundle_metadata",
                    None,
                    "calendar_name",
                    bundle.before.calendar_name,
                    row["calendar_name"],
                )
            )

    def _compare_entries(self, connection: Connection, bundle: PlannedBundle, merged: Merged) -> None:
        entries = {entry["cache_key"]: entry for entry in merged.cache_entries}
        present = migrated.cache_entries_of(connection, entries)
        for key, entry in entries.items():
            now = present.get(key)
            if now is None:
                self._report.add(Difference(bundle.name, "bundle_cache", None, key, key, None))
                continue
            if now["bundle_name"] != bundle.name:
                continue  # one key in two bundles: the one that came first keeps it
            for name in entry.keys() - {"last_accessed", "access_count"}:
                if now[name] != entry[name]:
                    self._report.add(
                        Difference(bundle.name, "bundle_cache", None, f"{key} {name}", entry[name], now[name])
                    )
            for name in ("last_accessed", "access_count"):
                if now[name] < entry[name]:
                    self._report.add(
                        Difference(bundle.name, "bundle_cache", None, f"{key} {name}", entry[name], now[name])
                    )

    def _compare_bars(
        self, plan: Plan, bundle: PlannedBundle, merged: Merged, symbol_rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Read the old files again and compare each bar with the version that was made of them."""
        report = self._report
        sids = sids_of(symbol_rows, plan.sids, merged.symbols)
        try:
            opened = self._store.open(f"{bundle.name}@{bundle.before.version}")  # type: ignore[union-attr]
        except VersionNotFoundError as error:
            report.notes.append(f"the bars of {bundle.name} were not compared: {error.message}")
            return
        with opened as version:
            told = 0
            for frequency in {file.frequency for file in bundle.usable if file.frequency}:
                frames, _ = checked_bars(bundle, frequency, merged.symbols, sids, self._store.clock())
                for frame in frames:
                    symbols = frame["symbol"].unique().sort().to_list()
                    kept = version.read(symbols, frequency=frequency.name)
                    told += frame.height
                    if not frame.equals(kept):
                        report.add(
                            Difference(bundle.name, f"bars {frequency}", None, symbols[0], frame.height, kept.height)
                        )
            report.bars += told
            if told != version.info.row_count:
                report.add(Difference(bundle.name, "bars", None, "rows", told, version.info.row_count))


def _is_same(old: Any, new: Any) -> bool:
    """Return whether two stored values are one: text is not the number that it spells."""
    return type(old) is type(new) and (old == new or (old != old and new != new))  # noqa: PLR0124 - NaN


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return json.loads(json.dumps(value, default=str))


def _day(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, tz=UTC).date().isoformat()
