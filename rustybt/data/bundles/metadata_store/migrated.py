"""SQL of what was brought over from the old catalogs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update

from rustybt.data.bundles.metadata_schema import bundle_cache, bundle_metadata, bundle_symbols, bundle_versions
from rustybt.data.bundles.metadata_schema import cache_statistics as statistics_table
from rustybt.data.bundles.metadata_store.migrated_tables import (
    MIGRATED_TABLES,
    migrated_bundles,
    migrated_sources,
    migration_runs,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Table

#: A whole day in seconds; statistics are kept by day.
_DAY = 86_400
_FEW = 500


@dataclass(frozen=True, slots=True)
class MigratedBundle:
    """What became of one old bundle.

    `root` and `old_name` say which it was; `version` and `content_hash` are those of its imported bars, None without;
    `files` lists its Parquet files as JSON values.
    """

    root: str
    old_name: str
    bundle_name: str
    run_id: int
    facts_digest: str
    calendar_name: str
    calendar_reason: str
    version: int | None
    content_hash: str | None
    files: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class MigratedSource:
    """One old database whose rows are here; `row_counts` by table."""

    id: int
    run_id: int
    root: str
    path: str
    kind: str
    old_name: str | None
    rows_digest: str
    row_counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class MigrationRun:
    """One migration that ended; `backup` names its folder, None where none was made."""

    id: int
    finished_at: int
    root: str
    backup: str | None


# -- what is there --------------------------------------------------------------------------------------------------------


def load_runs(connection: Connection) -> list[MigrationRun]:
    """Return every migration, the oldest first."""
    rows = connection.execute(select(migration_runs).order_by(migration_runs.c.id))
    return [MigrationRun(row.id, row.finished_at, row.root, row.backup) for row in rows]


def load_bundles(connection: Connection, root: str | None = None) -> list[MigratedBundle]:
    """Return what became of the bundles of a root, of every root when None."""
    query = select(migrated_bundles).order_by(migrated_bundles.c.root, migrated_bundles.c.old_name)
    if root is not None:
        query = query.where(migrated_bundles.c.root == root)
    return [
        MigratedBundle(**{**row._asdict(), "files": tuple(json.loads(row.files))}) for row in connection.execute(query)
    ]


def load_sources(connection: Connection, root: str) -> dict[str, MigratedSource]:
    """Return the databases of a root whose rows are here, by path."""
    rows = connection.execute(select(migrated_sources).where(migrated_sources.c.root == root))
    return {row.path: MigratedSource(**{**row._asdict(), "row_counts": json.loads(row.row_counts)}) for row in rows}


def rows_of(connection: Connection, source_id: int, old_table: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of one old table as they were, in their order, further columns as JSON at the end."""
    table = MIGRATED_TABLES[old_table]
    columns = [column for column in table.c if column.name not in ("source_id", "position")]
    # The driver's own rows: the types of a model would convert what must stay as it was.
    query = str(select(*columns).where(table.c.source_id == text(":id")).order_by(table.c.position))
    yield from (tuple(row) for row in connection.execute(text(query), {"id": source_id}))


def known_names(connection: Connection) -> dict[str, str]:
    """Return the folded name of every bundle of the home, hidden ones too, with its name."""
    rows = connection.execute(select(bundle_metadata.c.folded_name, bundle_metadata.c.bundle_name))
    return {row[0]: row[1] for row in rows}


def head_of(connection: Connection, name: str) -> tuple[int, str | None]:
    """Return (latest version, its content hash) of a bundle; (0, None) for one without bars."""
    row = connection.execute(
        select(bundle_versions.c.version, bundle_versions.c.content_hash)
        .where(bundle_versions.c.bundle_name == name)
        .order_by(bundle_versions.c.version.desc())
        .limit(1)
    ).one_or_none()
    return (0, None) if row is None else (row[0], row[1])


def catalog_row(connection: Connection, name: str) -> dict[str, Any] | None:
    """Return the row of a bundle, values as they are stored."""
    query = text("SELECT * FROM bundle_metadata WHERE bundle_name = :name")
    row = connection.execute(query, {"name": name}).one_or_none()
    return None if row is None else row._asdict()


def symbols_of(connection: Connection, name: str) -> set[tuple[Any, Any, Any]]:
    """Return (symbol, asset type, exchange) of a bundle."""
    columns = (bundle_symbols.c.symbol, bundle_symbols.c.asset_type, bundle_symbols.c.exchange)
    return {tuple(row) for row in connection.execute(select(*columns).where(bundle_symbols.c.bundle_name == name))}


def cache_entries_of(connection: Connection, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the cache entries with these keys."""
    wanted = list(keys)
    found: dict[str, dict[str, Any]] = {}
    for at in range(0, len(wanted), _FEW):
        query = select(bundle_cache).where(bundle_cache.c.cache_key.in_(wanted[at : at + _FEW]))
        found |= {row.cache_key: row._asdict() for row in connection.execute(query)}
    return found


def migrated_statistics(connection: Connection) -> dict[int, tuple[int, int, float]]:
    """Return day (Unix seconds) -> hits, misses and MB, summed over all old databases."""
    table = MIGRATED_TABLES["cache_statistics"]
    query = (
        f"SELECT stat_date / {_DAY:d} * {_DAY:d}, "  # noqa: S608 - a number and a table of ours
        "SUM(CASE WHEN typeof(hit_count) = 'integer' THEN hit_count ELSE 0 END), "
        "SUM(CASE WHEN typeof(miss_count) = 'integer' THEN miss_count ELSE 0 END), "
        "SUM(CASE WHEN typeof(total_size_mb) IN ('integer', 'real') THEN total_size_mb ELSE 0 END) "
        f"FROM {table.name} WHERE typeof(stat_date) = 'integer' GROUP BY 1"
    )
    return {row[0]: (row[1], row[2], row[3]) for row in connection.execute(text(query))}


def statistics(connection: Connection) -> dict[int, tuple[int, int, float]]:
    """Return day (Unix seconds) -> hits, misses and MB of the home, what was brought over included."""
    table = statistics_table.c
    rows = connection.execute(select(table.stat_date, table.hit_count, table.miss_count, table.total_size_mb))
    return {row[0]: (row[1] or 0, row[2] or 0, row[3] or 0.0) for row in rows}


# -- what is brought over -------------------------------------------------------------------------------------------------


def insert_run(connection: Connection, root: str, backup: str | None, now: int, package_version: str) -> int:
    """Insert a migration and return its id."""
    values = {"finished_at": now, "root": root, "backup": backup, "package_version": package_version}
    made = connection.execute(insert(migration_runs).values(values))
    return int(made.inserted_primary_key[0])  # type: ignore[index]


def replace_source(
    connection: Connection,
    values: Mapping[str, Any],
    tables: Mapping[str, tuple[Sequence[str], Iterable[Sequence[Any]]]],
) -> None:
    """Store the rows of one old database as they are, instead of what was stored of it before.

    Parameters
    ----------
    values
        Columns of `migrated_sources`, without the id.
    tables
        Old table -> its columns, and its rows in order.
    """
    found = connection.execute(
        select(migrated_sources.c.id).where(
            migrated_sources.c.root == values["root"], migrated_sources.c.path == values["path"]
        )
    ).scalar()
    if found is None:
        made = connection.execute(insert(migrated_sources).values(**values))
        source_id = int(made.inserted_primary_key[0])  # type: ignore[index]
    else:
        source_id = int(found)
        connection.execute(update(migrated_sources).where(migrated_sources.c.id == source_id).values(**values))
        for table in MIGRATED_TABLES.values():
            connection.execute(delete(table).where(table.c.source_id == source_id))
    for name, (columns, rows) in tables.items():
        _insert_as_they_are(connection, MIGRATED_TABLES[name], source_id, columns, rows)


def _insert_as_they_are(
    connection: Connection, table: Table, source_id: int, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    given = list(columns)
    known = [column.name for column in table.c if column.name not in ("source_id", "position", "extra")]
    places = [given.index(name) if name in given else None for name in known]
    others = [(at, name) for at, name in enumerate(given) if name not in known]
    statement = (
        f"INSERT INTO {table.name} (source_id, position, {', '.join(known)}, extra) "  # noqa: S608 - names of ours
        f"VALUES ({', '.join('?' * (len(known) + 3))})"
    )
    values = [
        (
            source_id,
            position,
            *(None if place is None else row[place] for place in places),
            json.dumps({name: _jsonable(row[at]) for at, name in others}) if others else None,
        )
        for position, row in enumerate(rows)
    ]
    if values:
        connection.exec_driver_sql(statement, values)


def extra_of(columns: Sequence[str], known: Sequence[str], row: Sequence[Any]) -> str | None:
    """Return the JSON text under which the columns that `known` does not name are kept; None where there is none."""
    others = {name: _jsonable(row[at]) for at, name in enumerate(columns) if name not in known}
    return json.dumps(others) if others else None


def _jsonable(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def save_catalog_row(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Insert or change the row of a bundle, its times included."""
    found = connection.execute(update(bundle_metadata).where(bundle_metadata.c.bundle_name == name).values(**values))
    if found.rowcount == 0:
        row = {"bundle_name": name, "folded_name": name.casefold(), **values}
        connection.execute(insert(bundle_metadata).values(**row))


def save_symbols(connection: Connection, name: str, symbols: Iterable[tuple[Any, Any, Any]], *, replace: bool) -> None:
    """Insert (symbol, asset type, exchange) of a bundle.

    Parameters
    ----------
    replace
        Put them in the place of what is there of the same symbols; else such symbols are left as they are.
    """
    wanted = list(dict.fromkeys(symbols))
    present = {symbol for symbol, _, _ in symbols_of(connection, name)}
    both = [symbol for symbol in dict.fromkeys(symbol for symbol, _, _ in wanted) if symbol in present]
    if replace and both:
        connection.execute(
            delete(bundle_symbols).where(
                bundle_symbols.c.bundle_name == name, bundle_symbols.c.symbol == bindparam("old_symbol")
            ),
            [{"old_symbol": symbol} for symbol in both],
        )
        present.clear()
    rows = [(name, *row) for row in wanted if row[0] not in present]
    if rows:
        connection.exec_driver_sql(
            "INSERT INTO bundle_symbols (bundle_name, symbol, asset_type, exchange) VALUES (?, ?, ?, ?)", rows
        )


def add_cache_entries(connection: Connection, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Insert cache entries; return the keys that another bundle, or a later access, holds already: it keeps them."""
    present = cache_entries_of(connection, [entry["cache_key"] for entry in entries])
    taken: list[str] = []
    for entry in entries:
        before = present.get(entry["cache_key"])
        if before is None:
            connection.execute(insert(bundle_cache).values(**entry))
        elif before["bundle_name"] != entry["bundle_name"] or before["last_accessed"] > entry["last_accessed"]:
            taken.append(entry["cache_key"])
            continue
        elif before != entry:
            where = bundle_cache.c.cache_key == entry["cache_key"]
            connection.execute(update(bundle_cache).where(where).values(**entry))
        present[entry["cache_key"]] = dict(entry)
    return taken


def add_statistics(connection: Connection, days: Mapping[int, tuple[int, int, float]]) -> None:
    """Add hits, misses and MB to those of each day (Unix seconds)."""
    present = statistics(connection)
    table = statistics_table
    for day, (hits, misses, megabytes) in sorted(days.items()):
        before = present.get(day, (0, 0, 0.0))
        values = {
            "hit_count": before[0] + hits,
            "miss_count": before[1] + misses,
            "total_size_mb": before[2] + megabytes,
        }
        if day in present:
            connection.execute(update(table).where(table.c.stat_date == day).values(**values))
        else:
            connection.execute(insert(table).values(stat_date=day, **values))


def save_bundle(connection: Connection, bundle: MigratedBundle) -> None:
    """Store what became of an old bundle."""
    where = (migrated_bundles.c.root == bundle.root) & (migrated_bundles.c.old_name == bundle.old_name)
    connection.execute(delete(migrated_bundles).where(where))
    names = [column.name for column in migrated_bundles.c]
    values = {name: getattr(bundle, name) for name in names}
    connection.execute(insert(migrated_bundles).values({**values, "files": json.dumps(list(bundle.files))}))


def name_of_old(connection: Connection, old_name: str) -> str | None:
    """Return the bundle that an old name stands for, the one brought over last; None where there is none."""
    row = connection.execute(
        select(migrated_bundles.c.bundle_name, func.max(migrated_bundles.c.run_id)).where(
            migrated_bundles.c.old_name == bindparam("old")
        ),
        {"old": old_name},
    ).one()
    return None if row[0] is None else str(row[0])
