"""Tables of what the old catalogs knew: each of their rows as it was, and what became of each bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, String, Table, Text, UniqueConstraint
from sqlalchemy.types import UserDefinedType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

metadata = MetaData()

#: Tables of the two old catalogs and their columns, as their last release wrote them.
DATA_CATALOG: Mapping[str, tuple[str, ...]] = {
    "bundle_metadata": (
        "id",
        "bundle_name",
        "source_type",
        "source_url",
        "api_version",
        "fetch_timestamp",
        "data_version",
        "checksum",
        "timezone",
        "created_at",
        "updated_at",
    ),
    "data_quality_metrics": (
        "id",
        "bundle_name",
        "row_count",
        "start_date",
        "end_date",
        "missing_days_count",
        "missing_days_list",
        "outlier_count",
        "ohlcv_violations",
        "validation_timestamp",
        "validation_passed",
    ),
}
PARQUET_CATALOG: Mapping[str, tuple[str, ...]] = {
    "datasets": ("dataset_id", "source", "resolution", "schema_version", "created_at", "updated_at"),
    "symbols": ("symbol_id", "dataset_id", "symbol", "asset_type", "exchange"),
    "date_ranges": ("id", "dataset_id", "start_date", "end_date"),
    "checksums": ("id", "dataset_id", "parquet_path", "checksum", "last_updated"),
    "cache_entries": (
        "cache_key",
        "dataset_id",
        "parquet_path",
        "checksum",
        "created_at",
        "last_accessed",
        "access_count",
        "size_bytes",
    ),
    "backtest_cache_links": ("id", "backtest_id", "cache_key", "linked_at"),
    "cache_statistics": ("id", "stat_date", "hit_count", "miss_count", "total_size_mb"),
}


class Verbatim(UserDefinedType[Any]):
    """A column that converts nothing: SQLite keeps text as text and integers as integers."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the type's name in a CREATE TABLE."""
        return "BLOB"


migration_runs = Table(
    "migration_runs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("finished_at", Integer, nullable=False),
    Column("root", Text, nullable=False),
    # Name of its folder among the backups, None where none was wanted.
    Column("backup", Text),
    Column("package_version", Text, nullable=False),
    sqlite_autoincrement=True,
)

migrated_sources = Table(
    "migrated_sources",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", Integer, ForeignKey("migration_runs.id"), nullable=False),
    Column("root", Text, nullable=False),
    # Below the root, with forward slashes.
    Column("path", Text, nullable=False),
    # ``data_catalog`` or ``parquet_catalog``.
    Column("kind", Text, nullable=False),
    # Bundle of a catalog of one bundle, under its old name; None for the catalog of all.
    Column("old_name", Text),
    # Over all rows of its tables: tells whether the database says anything new.
    Column("rows_digest", String(64), nullable=False),
    # JSON: table -> number of rows.
    Column("row_counts", Text, nullable=False),
    UniqueConstraint("root", "path"),
    sqlite_autoincrement=True,
)

migrated_bundles = Table(
    "migrated_bundles",
    metadata,
    Column("root", Text, primary_key=True),
    Column("old_name", Text, primary_key=True),
    Column("bundle_name", Text, nullable=False),
    Column("run_id", Integer, ForeignKey("migration_runs.id"), nullable=False),
    # Over everything that the old catalogs and files say of the bundle.
    Column("facts_digest", String(64), nullable=False),
    # Old catalogs name no calendar: how this one was found.
    Column("calendar_name", Text, nullable=False),
    Column("calendar_reason", Text, nullable=False),
    # The version that holds the bundle's bars; None where none were imported.
    Column("version", Integer),
    Column("content_hash", String(64)),
    # JSON: each file with its checksum and whether it was used.
    Column("files", Text, nullable=False),
    Index("idx_migrated_bundles_name", "bundle_name"),
)


def _as_it_was(name: str, columns: Sequence[str]) -> Table:
    return Table(
        name,
        metadata,
        Column("source_id", Integer, ForeignKey("migrated_sources.id"), primary_key=True),
        Column("position", Integer, primary_key=True),
        *(Column(column, Verbatim) for column in columns),
        # JSON of columns that the last release did not have.
        Column("extra", Text),
        sqlite_with_rowid=False,
    )


_OLD_TABLES = {**DATA_CATALOG, **PARQUET_CATALOG}
#: Where the rows of each old table are now.
MIGRATED_TABLES: Mapping[str, Table] = {
    old: _as_it_was(name, _OLD_TABLES[old])
    for old, name in (
        ("bundle_metadata", "migrated_provenance"),
        ("data_quality_metrics", "migrated_quality"),
        ("datasets", "migrated_datasets"),
        ("symbols", "migrated_symbols"),
        ("date_ranges", "migrated_date_ranges"),
        ("checksums", "migrated_checksums"),
        ("cache_entries", "migrated_cache_entries"),
        ("backtest_cache_links", "migrated_backtest_links"),
        ("cache_statistics", "migrated_cache_statistics"),
    )
}
