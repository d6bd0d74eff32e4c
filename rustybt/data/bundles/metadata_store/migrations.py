"""Schema versions of the metadata database; a new database is made at the newest, an old one walks the steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert

from rustybt.data.bundles import metadata_schema as schema
from rustybt.data.bundles.metadata_store import migrated_tables
from rustybt.errors import SchemaVersionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: `apply` turns a database of `version` - 1 into one of `version`, inside the caller's transaction."""

    version: int
    description: str
    apply: Callable[[Connection], None]


#: What the second step brought; every other table is as old as the first, where it has its present shape from the start.
_CACHE_TABLES = {
    "cache_usage",
    "cache_datasets",
    "cache_files",
    "cache_segments",
    "cache_series",
    "cache_revisions",
    "cache_requests",
}


def _create_first_tables(connection: Connection) -> None:
    tables = [table for name, table in schema.metadata.tables.items() if name not in _CACHE_TABLES]
    schema.metadata.create_all(connection, tables=tables)


def _create_cache_tables(connection: Connection) -> None:
    """Create what is missing: rows of a table that is there already stay."""
    tables = [table for name, table in schema.metadata.tables.items() if name in _CACHE_TABLES]
    schema.metadata.create_all(connection, tables=tables, checkfirst=True)


def _let_results_have_several_bundles(connection: Connection) -> None:
    """Make the table of saved results anew, for SQLite cannot change a primary key; its rows stay."""
    connection.exec_driver_sql("DROP INDEX IF EXISTS idx_saved_results_bundle")
    connection.exec_driver_sql("ALTER TABLE saved_results RENAME TO saved_results_before")
    schema.metadata.create_all(connection, tables=[schema.saved_results])
    connection.exec_driver_sql(
        "INSERT INTO saved_results (path, bundle_name, version, content_hash, saved_at) "
        "SELECT path, bundle_name, version, content_hash, saved_at FROM saved_results_before"
    )
    connection.exec_driver_sql("DROP TABLE saved_results_before")


def _create_migrated_tables(connection: Connection) -> None:
    migrated_tables.metadata.create_all(connection, checkfirst=True)


MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "bundles, versions, files, assets, actions, coverage, cache", _create_first_tables),
    Migration(2, "what is cached, until when, and how often it was used", _create_cache_tables),
    Migration(3, "saved results of several bundles", _let_results_have_several_bundles),
    Migration(4, "what the catalogs of earlier programs knew", _create_migrated_tables),
)


def schema_version(connection: Connection) -> int:
    """Return the version of the database, 0 for an empty one."""
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def check_not_newer(found: int, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Raise for a database of a later release.

    Raises
    ------
    SchemaVersionError
        The database is newer than this package.
    """
    newest = migrations[-1].version
    if found > newest:
        raise SchemaVersionError(
            f"the metadata database has schema version {found}, this rustybt knows up to {newest}",
            hint="pip install --upgrade rustybt",
            found=found,
            supported=newest,
        )


def migrate(connection: Connection, now: int, migrations: Sequence[Migration] = MIGRATIONS) -> list[int]:
    """Bring the database to the newest version inside the open transaction; return the versions applied.

    Raises
    ------
    SchemaVersionError
        The database is newer than this package.
    """
    found = schema_version(connection)
    check_not_newer(found, migrations)
    steps = [step for step in migrations if step.version > found]
    for step in steps:
        step.apply(connection)
        row = {"version": step.version, "description": step.description, "applied_at": now}
        connection.execute(insert(schema.schema_migrations).values(row))
    if steps:
        connection.exec_driver_sql(f"PRAGMA user_version = {steps[-1].version:d}")
    return [step.version for step in steps]
