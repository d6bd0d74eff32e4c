"""The tables of the two old catalogs, and databases that hold rows of them, with plain sqlite3."""

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

DATA_CATALOG = {
    "bundle_metadata": """id INTEGER PRIMARY KEY, bundle_name TEXT NOT NULL UNIQUE, source_type TEXT, source_url TEXT,
        api_version TEXT, fetch_timestamp INTEGER, data_version TEXT, checksum TEXT, timezone TEXT,
        created_at INTEGER, updated_at INTEGER""",
    "data_quality_metrics": """id INTEGER PRIMARY KEY, bundle_name TEXT NOT NULL, row_count INTEGER, start_date INTEGER,
        end_date INTEGER, missing_days_count INTEGER, missing_days_list TEXT, outlier_count INTEGER,
        ohlcv_violations INTEGER, validation_timestamp INTEGER, validation_passed BOOLEAN""",
}
PARQUET_CATALOG = {
    "datasets": """dataset_id INTEGER PRIMARY KEY, source TEXT, resolution TEXT, schema_version INTEGER,
        created_at INTEGER, updated_at INTEGER""",
    "symbols": "symbol_id INTEGER PRIMARY KEY, dataset_id INTEGER, symbol TEXT, asset_type TEXT, exchange TEXT",
    "date_ranges": "id INTEGER PRIMARY KEY, dataset_id INTEGER, start_date INTEGER, end_date INTEGER",
    "checksums": """id INTEGER PRIMARY KEY, dataset_id INTEGER, parquet_path TEXT, checksum TEXT,
        last_updated INTEGER""",
    "cache_entries": """cache_key TEXT PRIMARY KEY, dataset_id INTEGER, parquet_path TEXT, checksum TEXT,
        created_at INTEGER, last_accessed INTEGER, access_count INTEGER, size_bytes INTEGER""",
    "backtest_cache_links": "id INTEGER PRIMARY KEY, backtest_id TEXT, cache_key TEXT, linked_at INTEGER",
    "cache_statistics": """id INTEGER PRIMARY KEY, stat_date INTEGER UNIQUE, hit_count INTEGER, miss_count INTEGER,
        total_size_mb REAL""",
}
ZIPLINE = {
    "equities": "sid INTEGER PRIMARY KEY, asset_name TEXT, start_date INTEGER, end_date INTEGER, exchange TEXT",
    "equity_symbol_mappings": """id INTEGER PRIMARY KEY, sid INTEGER, symbol TEXT, company_symbol TEXT,
        share_class_symbol TEXT, start_date INTEGER, end_date INTEGER""",
    "exchanges": "exchange TEXT PRIMARY KEY, canonical_name TEXT, country_code TEXT",
    "version_info": "id INTEGER PRIMARY KEY, version INTEGER UNIQUE",
    "my_notes": "id INTEGER PRIMARY KEY, note TEXT",
}
KNOWN = {**DATA_CATALOG, **PARQUET_CATALOG, **ZIPLINE}


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def columns_of(body):
    return [part.split()[0] for part in body.split(",")]


def make_tables(connection, tables, more=None, without=()):
    """Create the tables; `more` is columns by table beside the usual ones, `without` usual ones to leave out."""
    for name, body in tables.items():
        kept = [part for part in body.split(",") if part.split()[0] not in without]
        columns = ",".join([*kept, *(more or {}).get(name, ())])
        connection.execute(f"CREATE TABLE {quoted(name)} ({columns})")


def insert(connection, table, rows):
    """Insert rows, each a dict; every row names the same columns as the first of its kind."""
    for row in rows:
        names = ", ".join(map(quoted, row))
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks})", list(row.values()))


def write_database(path, rows, tables, *, more=None, without=(), user_version=0, foreign=None):
    """Write a database: `rows` by table, `foreign` are further statements to run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        make_tables(connection, tables, more, without)
        for table, content in rows.items():
            insert(connection, table, [{k: v for k, v in row.items() if k not in without} for row in content])
        for statement in foreign or ():
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {user_version:d}")
        connection.commit()
    return path


def leave_in_log(path, statements, uncommitted=(), stale=()):
    """Run statements so that they stay in a write-ahead log beside the database, as a killed program leaves them.

    `stale` are commits of an earlier use of the log, which a checkpoint has long written into the database: their frames
    lie behind the new ones in the same file. Those of `uncommitted` reach the log without a commit, at its end.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        connection = sqlite3.connect(copy, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        if stale:
            for statement in stale:
                connection.execute(statement)
            connection.execute("PRAGMA wal_checkpoint(RESTART)")
        for statement in statements:
            connection.execute(statement)
        if uncommitted:
            # With a cache of one page SQLite has to write what is not committed yet.
            connection.execute("PRAGMA cache_size = 1")
            connection.execute("BEGIN")
            for statement in uncommitted:
                connection.execute(statement)
        log = copy.with_name(copy.name + "-wal")
        shutil.copyfile(copy, path)
        shutil.copyfile(log, path.with_name(path.name + "-wal"))
        if uncommitted:
            connection.execute("ROLLBACK")
        connection.close()


def json_list(*days):
    return json.dumps(list(days))
