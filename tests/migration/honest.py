"""A new side made by hand for the checker's own test: no bars, and no more than the checker asks for."""

import json
import sqlite3
import unicodedata
from collections import Counter
from contextlib import closing

from rustybt.data.bundles.metadata_store.database import Database
from tests.migration.truth import CACHE, DATABASE, DAY, KEPT, QUALITY, SEED, is_allowed, newest_check, old_facts

_NOT_NULL = {"created_at": 1, "updated_at": 1, "last_accessed": 1, "access_count": 1, "size_bytes": 1}


def make_honest(root, home):
    """Fill a new home with all that the old root says."""
    database = Database(home)
    with database.write():
        pass
    database.close()
    old = old_facts(root)
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        _insert(connection, "migration_runs", id=1, finished_at=1, root=str(root), package_version="0")
        for number, source in enumerate(old.sources, 1):
            facts = {"rows_digest": "", "row_counts": "{}", "run_id": 1, "root": str(root), "old_name": source.old_name}
            _insert(connection, "migrated_sources", id=number, kind=source.kind, path=source.path, **facts)
            for table, rows in source.tables.items():
                for position, row in enumerate(rows):
                    _keep(connection, table, number, position, row)
        _fill(connection, old, root)
        connection.commit()


def _insert(connection, table, **values):
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    connection.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", list(values.values()))


def _keep(connection, table, number, position, row):
    name, columns = KEPT[table]
    plain = {c: cell[1] for c, cell in row.items() if c in columns.split()}
    more = {c: cell[1] for c, cell in row.items() if c not in columns.split()}
    extra = json.dumps(more) if more else None
    _insert(connection, name, source_id=number, position=position, extra=extra, **plain)


def _fill(connection, old, root):
    names, taken = {}, set()
    for at, name in enumerate(sorted(old.bundles)):
        plain = unicodedata.normalize("NFC", name)
        is_free = is_allowed(name) and plain.casefold() not in taken
        names[name] = plain if is_free else f"renamed-{at}"
        taken.add(names[name].casefold())
    for was, is_now in names.items():
        said = [row for row in old.rows("bundle_metadata") if row["bundle_name"][1] == was]
        newest = newest_check([row for row in old.rows("data_quality_metrics") if row["bundle_name"][1] == was])
        values = {c: _value(said[0], c) for c in SEED} if said else {"created_at": 1, "updated_at": 1}
        values |= {c: _value(newest, c) for c in QUALITY} if newest else {}
        sessions = {"calendar_name": "XNYS", "start_session": 0, "end_session": 0, "folded_name": is_now.casefold()}
        _insert(connection, "bundle_metadata", bundle_name=is_now, **values, **sessions)
        kept = {"run_id": 1, "facts_digest": "", "calendar_name": "XNYS", "calendar_reason": "inferred", "files": "[]"}
        _insert(connection, "migrated_bundles", root=str(root), old_name=was, bundle_name=is_now, **kept)
        symbols = {row["symbol"][1]: row for row in old.rows("symbols", was)}
        for symbol in symbols.keys() - {None}:
            kept = {c: _value(symbols[symbol], c) for c in ("asset_type", "exchange")}
            _insert(connection, "bundle_symbols", bundle_name=is_now, symbol=symbol, **kept)
        for row in old.rows("cache_entries", was):
            if row["cache_key"][1] is not None:
                kept = {c: _value(row, c) for c in CACHE}
                _insert(connection, "bundle_cache", cache_key=row["cache_key"][1], bundle_name=is_now, **kept)
    sums = {name: Counter() for name in ("hit_count", "miss_count", "total_size_mb")}
    for row in old.rows("cache_statistics"):
        if row["stat_date"][1] is not None:
            for name, counted in sums.items():
                counted[row["stat_date"][1] // DAY * DAY] += row.get(name, (0, 0))[1] or 0
    for day in sums["hit_count"]:
        _insert(connection, "cache_statistics", stat_date=day, **{name: counted[day] for name, counted in sums.items()})


def _value(row, column):
    value = row.get(column, (0, None))[1]
    return _NOT_NULL.get(column) if value is None else value
