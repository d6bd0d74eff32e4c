"""Both sides of a migration read with plain sqlite3 and compared; nothing of rustybt is imported.

What must hold, by old table:

- every row of the nine tables, of every database, is a row of the migrated table of the same kind: each column with its
  value and its SQLite type, columns beyond the usual ones in the JSON object `extra`; and there are no other rows;
- bundles: one for each bundle of a data catalog and each folder with a Parquet catalog; the name is the old one in NFC
  wherever that is allowed and no other bundle has it in any case. A name of the data catalog means the folder of that
  name, else the only one whose name is the same letters, composed in another way;
- the columns of `SEED` in bundle_metadata are the data catalog's, the quality columns those of the newest check;
- bundle_symbols has every symbol of a bundle, each row with the type and exchange of one of its old rows, none twice;
- bundle_cache has every key once, with the row of one of the databases that hold it;
- cache_statistics has the sum over all databases by UTC day.

Leave is given in these cases only:

- a value that does not have the type of the seed's column (text in an integer column) may be NULL there, in a column
  that may not be NULL any value; so may a NULL in such a column. The migrated tables have it verbatim. A cache entry with
  such a value in a column that may not be NULL may be missing from bundle_cache;
- a bundle whose bars were imported may carry, in row_count and the quality columns, what its version 1 says instead. All
  of them are then the version's: no mixture. It may have symbols that only its files name;
- a day on which nothing was counted may be missing from cache_statistics;
- text that is no UTF-8 may be a BLOB of the same bytes;
- a folder with Parquet files but without a database, and a name that only a check of quality mentions, may be a bundle.
"""

import json
import math
import os
import shutil
import sqlite3
import tempfile
import unicodedata
from collections import Counter, defaultdict
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

CATALOG_PATHS = ("assets-8.db", "assets-8.sqlite", "data/catalog.db")
DATABASE = ".rustybt/metadata.sqlite"
DAY = 86_400

#: Old table -> (new table, its columns in the old design).
KEPT = {
    "bundle_metadata": (
        "migrated_provenance",
        (
            "id bundle_name source_type source_url api_version fetch_timestamp data_version checksum timezone created_at "
            "updated_at"
        ),
    ),
    "data_quality_metrics": (
        "migrated_quality",
        (
            "id bundle_name row_count start_date end_date missing_days_count missing_days_list outlier_count "
            "ohlcv_violations validation_timestamp validation_passed"
        ),
    ),
    "datasets": ("migrated_datasets", "dataset_id source resolution schema_version created_at updated_at"),
    "symbols": ("migrated_symbols", "symbol_id dataset_id symbol asset_type exchange"),
    "date_ranges": ("migrated_date_ranges", "id dataset_id start_date end_date"),
    "checksums": ("migrated_checksums", "id dataset_id parquet_path checksum last_updated"),
    "cache_entries": (
        "migrated_cache_entries",
        "cache_key dataset_id parquet_path checksum created_at last_accessed access_count size_bytes",
    ),
    "backtest_cache_links": ("migrated_backtest_links", "id backtest_id cache_key linked_at"),
    "cache_statistics": ("migrated_cache_statistics", "id stat_date hit_count miss_count total_size_mb"),
}
TABLES_OF = {
    "data_catalog": ("bundle_metadata", "data_quality_metrics"),
    "parquet_catalog": tuple(name for name in KEPT if name not in ("bundle_metadata", "data_quality_metrics")),
}
SEED = (
    "source_type", "source_url", "api_version", "fetch_timestamp", "data_version", "timezone", "created_at",
    "updated_at",
)  # fmt: skip
QUALITY = (
    "row_count", "missing_days_count", "missing_days_list", "outlier_count", "ohlcv_violations", "validation_passed",
    "validation_timestamp",
)  # fmt: skip
CACHE = ("parquet_path", "created_at", "last_accessed", "access_count", "size_bytes")
#: Type of a seed's column by the SQLite types that fit it.
FITTING = {"TEXT": {"text"}, "INTEGER": {"integer"}, "BOOLEAN": {"integer"}, "FLOAT": {"real", "integer"}}
NULL = ("null", None)


@dataclass(frozen=True)
class Source:
    """One old database: rows by table, each a dict of column to (SQLite type, value)."""

    kind: str
    path: str
    old_name: str | None
    tables: dict


@dataclass(frozen=True)
class OldFacts:
    sources: tuple
    #: Names that must be bundles, and those that may be.
    bundles: frozenset
    possible: frozenset
    #: Folders by their composed name.
    folders: dict

    def meant(self, name):
        """Return the bundle that a name of the data catalog means."""
        alike = self.folders.get(unicodedata.normalize("NFC", name), ())
        return next(iter(alike)) if name not in alike and len(alike) == 1 else name

    def rows(self, table, name=None):
        """Yield the rows of an old table, of one bundle's databases only if it is named."""
        for source in self.sources:
            if name is None or source.old_name == name:
                yield from source.tables.get(table, ())


@contextmanager
def opened(path):
    """Open a copy of a database and its logs, so that nothing changes beside it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        shutil.copyfile(path, copy)
        for ending in ("-wal", "-journal"):
            log = path.resolve().with_name(path.name + ending)
            if log.exists():
                shutil.copyfile(log, copy.with_name(f"copy.db{ending}"))
        with closing(sqlite3.connect(copy)) as connection:
            # Bytes that are no text stay what they are.
            connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            yield connection


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def read_tables(connection, wanted=None):
    """Return the rows of the tables by name."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {}
    for name in names:
        if name.startswith("sqlite_") or (wanted is not None and name not in wanted):
            continue
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({quoted(name)})")]
        asked = ", ".join(f"typeof({quoted(c)}), {quoted(c)}" for c in columns)
        rows = connection.execute(f"SELECT {asked} FROM {quoted(name)}").fetchall()
        found[name] = [{c: _cell(row[2 * at], row[2 * at + 1]) for at, c in enumerate(columns)} for row in rows]
    return found


def _cell(kind, value):
    if kind == "text" and any("\udc80" <= c <= "\udcff" for c in value):
        return "blob", value.encode("utf-8", "surrogateescape")
    return kind, value


# -- the old side --------------------------------------------------------------------------------------------------------


def old_facts(root):
    """Return what the old databases of a root say; those without a table of ours are none of them."""
    root = Path(root)
    sources = []
    for path in CATALOG_PATHS:
        if (root / path).is_file():
            sources += _source("data_catalog", root, path, None)
    for layout in ("data", "data/bundles"):
        folder = root / layout
        for entry in sorted(path.name for path in folder.iterdir()) if folder.is_dir() else ():
            path = f"{layout}/{entry}/metadata.db"
            if (root / path).is_file():
                sources += _source("parquet_catalog", root, path, entry)
    named = {row["bundle_name"][1] for s in sources for row in s.tables.get("bundle_metadata", ())} - {None}
    checked = {row["bundle_name"][1] for s in sources for row in s.tables.get("data_quality_metrics", ())} - {None}
    catalogs = {s.old_name for s in sources if s.old_name is not None}
    entries = [path for layout in ("data", "data/bundles") for path in (root / layout).glob("*")]
    parts = ("daily_bars", "minute_bars")
    alone = {path.name for path in entries if any(next((path / part).rglob("*.parquet"), None) for part in parts)}
    folders = defaultdict(set)
    for path in entries:
        if any((path / name).exists() for name in ("metadata.db", *parts)):
            folders[unicodedata.normalize("NFC", path.name)].add(path.name)
    plain = OldFacts(tuple(sources), frozenset(), frozenset(), dict(folders))
    must = frozenset(catalogs | {plain.meant(name) for name in named})
    return replace(plain, bundles=must, possible=frozenset(alone | {plain.meant(name) for name in checked}) - must)


def _source(kind, root, path, old_name):
    if not (root / path).stat().st_size:
        return []
    with opened(root / path) as connection:
        tables = read_tables(connection, TABLES_OF[kind])
    return [Source(kind, path, old_name, tables)] if tables else []


def newest_check(rows):
    """Return the row of data_quality_metrics with the greatest moment, then the greatest id; None without rows."""

    def rank(row):
        kind, moment = row.get("validation_timestamp", NULL)
        return (kind in ("integer", "real"), moment if kind in ("integer", "real") else 0, row["id"][1])

    return max(rows, key=rank, default=None)


# -- the new side --------------------------------------------------------------------------------------------------------


def new_facts(home):
    """Return all rows of the home's database by table, {} where there is none."""
    path = Path(home) / DATABASE
    if not path.exists() or not path.stat().st_size:
        return {}
    with opened(path) as connection:
        facts = read_tables(connection)
        # Declared types, for what the columns do to a value.
        facts["#columns"] = {
            table: {row[1]: (row[2].upper(), bool(row[3])) for row in connection.execute(f"PRAGMA table_info({table})")}
            for table in ("bundle_metadata", "bundle_symbols", "bundle_cache", "cache_statistics")
        }
    return facts


# -- the comparison ------------------------------------------------------------------------------------------------------


def assert_nothing_lost(root, home, native=None):
    """Raise AssertionError with every difference between the old side and the new one."""
    found = differences(root, home, native)
    assert not found, "\n".join([f"{len(found)} differences", *found[:50]])


def differences(root, home, native=None):
    """Return sentences, none if the new side says all that the old one does.

    Parameters
    ----------
    native
        `new_facts` of the home before the migration, if bundles were there.
    """
    old, new, native = old_facts(root), new_facts(home), native or {}
    if not new:
        return ["there is no metadata database"] if old.sources else []
    for table in ("migrated_sources", "migrated_bundles"):
        # A home may hold what came from several roots.
        new[table] = [row for row in new.get(table, ()) if row["root"][1] in (str(root), os.path.realpath(root))]
    problems = list(_compare_sources(old, new))
    ids = {row["path"][1]: row["id"] for row in new["migrated_sources"]}
    problems += _compare_kept(old, new, ids)
    names, found = _names(old, new, native)
    problems += found
    problems += _compare_bundles(old, new, names)
    problems += _compare_symbols(old, new, names, native)
    problems += _compare_cache(old, new, names, native)
    problems += _compare_statistics(old, new, native)
    return problems


def _compare_sources(old, new):
    told = Counter((row["kind"][1], row["path"][1], row["old_name"][1]) for row in new["migrated_sources"])
    expected = Counter((source.kind, source.path, source.old_name) for source in old.sources)
    yield from (f"migrated_sources lacks {source}" for source in (expected - told).elements())
    yield from (f"migrated_sources has {source}, which is none" for source in (told - expected).elements())


def _compare_kept(old, new, ids):
    """Every old row, with its type, in the migrated table of its kind, and no other."""
    for table, (kept, columns) in KEPT.items():
        expected, told = Counter(), Counter()
        for source in old.sources:
            if source.path not in ids:
                continue
            for row in source.tables.get(table, ()):
                plain = tuple(row.get(c, NULL) for c in columns.split())
                more = {c: cell[1] for c, cell in row.items() if c not in columns.split()}
                expected[ids[source.path], plain, _frozen(more)] += 1
        for row in new.get(kept, ()):
            if row["source_id"] not in ids.values():
                continue
            more = json.loads(row["extra"][1]) if row["extra"][1] else {}
            told[row["source_id"], tuple(row[c] for c in columns.split()), _frozen(more)] += 1
        yield from (f"{kept} lacks {row}" for row in (expected - told).elements())
        yield from (f"{kept} has {row} that no {table} has" for row in (told - expected).elements())


def _frozen(values):
    return json.dumps(values, sort_keys=True)


def is_allowed(name):
    """Return whether a name may be a bundle's, by the rules of the reference (docs: bundle names)."""
    plain = unicodedata.normalize("NFC", name)
    if not plain or len(name) > 100 or max(len(t.encode("utf-8", "replace")) for t in (name, name.casefold())) > 200:
        return False
    letters = all(c.isalnum() or unicodedata.category(c) in ("Mn", "Mc") or c in "-_. '" for c in plain)
    stem = plain.split(".")[0].strip().casefold()
    numbered = [port + n for port in ("com", "lpt") for n in "0123456789\u00b9\u00b2\u00b3"]
    of_cache = plain.casefold().startswith("cache-") and len(plain) == 30
    hidden = of_cache and all(c in "0123456789abcdef" for c in plain.casefold()[6:])
    ends = (plain[0].isalnum() or plain[0] == "_") and plain[-1] not in ". "
    return letters and ends and not hidden and stem not in {"con", "prn", "aux", "nul", *numbered}


def folded(name):
    return unicodedata.normalize("NFC", name).casefold()


def _names(old, new, native):
    """Return old name -> new name, and what is wrong with them."""
    problems, names = [], {}
    for row in new.get("migrated_bundles", ()):
        if row["old_name"][1] in names:
            problems.append(f"migrated_bundles names {row['old_name'][1]!r} twice")
        names[row["old_name"][1]] = row["bundle_name"][1]
        if not row["calendar_reason"][1]:
            problems.append(f"migrated_bundles does not say why {row['old_name'][1]!r} has its calendar")
    rows = {row["bundle_name"][1]: row for row in new["bundle_metadata"] if row["kind"][1] == "bundle"}
    before = {row["bundle_name"][1] for row in native.get("bundle_metadata", ()) if row["kind"][1] == "bundle"}
    problems += [f"the bundle {name!r} is not in migrated_bundles" for name in old.bundles - set(names)]
    for name in set(names) - old.bundles - old.possible:
        problems.append(f"migrated_bundles has {name!r}, which no old database names")
    problems += [f"bundle_metadata lacks {name!r}" for name in set(names.values()) - set(rows)]
    problems += [
        f"bundle_metadata has {name!r}, which nothing explains" for name in set(rows) - set(names.values()) - before
    ]
    problems += [f"the native bundle {name!r} is gone" for name in before - set(rows)]
    problems += _wrong_names(names, before)
    return names, problems


def _wrong_names(names, before):
    taken = {folded(name) for name in before}
    groups = defaultdict(list)
    for name in names:
        groups[folded(name)].append(name)
    for is_now, count in Counter(folded(name) for name in names.values()).items():
        if count > 1:
            yield f"{count} old bundles became {is_now!r}"
        if is_now in taken:
            yield f"an old bundle became the native bundle {is_now!r}"
    for was, is_now in names.items():
        if not is_allowed(is_now):
            yield f"{was!r} became {is_now!r}, which is no bundle name"
    for group, members in groups.items():
        good = [name for name in members if is_allowed(name)]
        kept = [name for name in good if names[name] == unicodedata.normalize("NFC", name)]
        if good and not kept and group not in taken:
            yield f"{good} could have kept a name and became {[names[name] for name in good]}"


def _coerced(declared, cell):
    """Return the cell as a column of that type holds it, asked of SQLite itself."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE t (c {declared})")
        connection.execute("INSERT INTO t VALUES (?)", (cell[1],))
        return connection.execute("SELECT typeof(c), c FROM t").fetchone()


def _agrees(columns, name, expected, told):
    """Compare one cell of a seed's table with the old one; see the module for the leave that is given."""
    declared, must_be = columns[name]
    if told == expected or told == _coerced(declared, expected):
        return True
    if expected == NULL:
        return must_be and told != NULL
    return not _fits(declared, expected) and (must_be or told == NULL)


def _fits(declared, cell):
    """Return whether a value is of the type of a column."""
    plain = declared.split("(")[0]
    is_flag = plain != "BOOLEAN" or cell[1] in (0, 1)
    return cell[0] in FITTING.get(plain, {cell[0]}) and is_flag


def _compare_bundles(old, new, names):
    columns = new["#columns"]["bundle_metadata"]
    rows = {row["bundle_name"][1]: row for row in new["bundle_metadata"]}
    first = {row["bundle_name"][1]: row for row in new.get("bundle_versions", ()) if row["version"][1] == 1}
    provenance, checks = defaultdict(list), defaultdict(list)
    for row in old.rows("bundle_metadata"):
        provenance[old.meant(row["bundle_name"][1] or "")].append(row)
    for row in old.rows("data_quality_metrics"):
        checks[old.meant(row["bundle_name"][1] or "")].append(row)
    for was, is_now in names.items():
        if is_now not in rows:
            continue
        row = rows[is_now]
        if not row["calendar_name"][1]:
            yield f"bundle_metadata: {is_now!r} has no calendar"
        wrong = [
            [c for c in SEED if not _agrees(columns, c, said.get(c, NULL), row[c])] for said in provenance.get(was, ())
        ]
        # Two data catalogs may name one bundle: the columns are those of one of them.
        if wrong and all(wrong):
            yield f"bundle_metadata: {is_now!r} differs from {was!r} in {min(wrong, key=len)}"
        newest = newest_check(checks.get(was, ()))
        wrong = [c for c in QUALITY if newest and not _agrees(columns, c, newest.get(c, NULL), row[c])]
        if wrong and not (is_now in first and _is_of_version(row, first[is_now])):
            yield f"bundle_metadata: {is_now!r} differs from the newest check of {was!r} in {wrong}"


def _is_of_version(row, version):
    """Return whether the quality columns are those of an imported version."""
    said = json.loads(version["quality"][1]) if version["quality"][1] else None
    if row["row_count"][1] != version["row_count"][1]:
        return False
    if said is None:
        return True
    counts = ("missing_days_count", "outlier_count", "ohlcv_violations", "validation_passed")
    same = all(row[name][1] == said[name] for name in counts)
    return same and json.loads(row["missing_days_list"][1]) == said["missing_days_list"]


def _compare_symbols(old, new, names, native):
    columns = new["#columns"]["bundle_symbols"]
    told, imported = defaultdict(list), defaultdict(set)
    for row in new["bundle_symbols"]:
        told[row["bundle_name"][1]].append(row)
    for row in new.get("bundle_assets", ()):
        imported[row["bundle_name"][1]].add(row["symbol"])
    for was, is_now in names.items():
        by_symbol = defaultdict(list)
        for row in old.rows("symbols", was):
            by_symbol[row["symbol"]].append(row)
        by_symbol.pop(NULL, None)
        got = defaultdict(list)
        for row in told[is_now]:
            got[row["symbol"]].append({c: row[c] for c in ("asset_type", "exchange")})
        yield from (f"bundle_symbols: {is_now!r} lacks {s[1]!r}" for s in set(by_symbol) - set(got))
        more = set(got) - set(by_symbol) - imported[is_now]
        yield from (f"bundle_symbols: {is_now!r} has {s[1]!r}, which it had not" for s in more)
        for symbol in set(got) & set(by_symbol):
            if len({tuple(row.values()) for row in got[symbol]}) < len(got[symbol]):
                yield f"bundle_symbols: {symbol[1]!r} of {is_now!r} is there twice"
            for said in got[symbol]:
                if not any(
                    all(_agrees(columns, c, row.get(c, NULL), said[c]) for c in said) for row in by_symbol[symbol]
                ):
                    yield f"bundle_symbols: type or exchange of {symbol[1]!r} in {is_now!r} are of no old row"
    yield from _unchanged(native, new, "bundle_symbols", lambda row: row["id"])


def _compare_cache(old, new, names, native):
    columns = new["#columns"]["bundle_cache"]
    by_key = defaultdict(list)
    for source in old.sources:
        for row in source.tables.get("cache_entries", ()):
            by_key[row["cache_key"]].append((source.old_name, row))
    by_key.pop(NULL, None)

    def is_whole(row):
        return all(_fits(columns[c][0], row.get(c, NULL)) for c in CACHE if columns[c][1] and c != "access_count")

    whole = {key for key, rows in by_key.items() if any(is_whole(row) for _, row in rows)}
    got = {row["cache_key"]: row for row in new["bundle_cache"]}
    before = {row["cache_key"] for row in native.get("bundle_cache", ())}
    yield from (f"bundle_cache lacks {key[1]!r}" for key in whole - set(got))
    yield from (f"bundle_cache has {key[1]!r}, which nobody had" for key in set(got) - set(by_key) - before)
    for key in (set(got) & set(by_key)) - before:
        row = got[key]
        if not any(
            row["bundle_name"][1] == names.get(was)
            and all(_agrees(columns, c, said.get(c, NULL), row[c]) for c in CACHE)
            for was, said in by_key[key]
        ):
            yield f"bundle_cache: {key[1]!r} is as in no old database"
    yield from _unchanged(native, new, "bundle_cache", lambda row: row["cache_key"])


def _compare_statistics(old, new, native):
    names = ("hit_count", "miss_count", "total_size_mb")
    sums = defaultdict(lambda: dict.fromkeys(names, 0))
    for row in [*old.rows("cache_statistics"), *native.get("cache_statistics", ())]:
        kind, moment = row.get("stat_date", NULL)
        if kind not in ("integer", "real"):
            continue
        for name in names:
            kind, value = row.get(name, NULL)
            sums[int(moment // DAY * DAY)][name] += value if kind in ("integer", "real") else 0
    got = {row["stat_date"][1]: row for row in new["cache_statistics"]}
    counted = {day for day, values in sums.items() if any(values.values())}
    yield from (f"cache_statistics lacks the day {day}" for day in counted - set(got))
    yield from (f"cache_statistics has the day {day}, which nobody had" for day in set(got) - set(sums))
    for day in set(got) & set(sums):
        for name, kind in zip(names, ("integer", "integer", "real"), strict=True):
            expected, told = sums[day][name], got[day][name]
            if told[0] != kind or not math.isclose(told[1], expected, rel_tol=1e-12, abs_tol=1e-12):
                yield f"cache_statistics: {name} of {day} is {told}, not {expected}"


def _unchanged(native, new, table, key):
    got = {key(row): row for row in new[table]}
    for row in native.get(table, ()):
        same = got.get(key(row)) == row
        if not same:
            yield f"{table}: the native row {row} was changed"
