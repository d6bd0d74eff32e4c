"""The shapes of old roots, one function each: it adds to an `OldStore` what makes the shape."""

import sqlite3
import unicodedata

from tests.migration.old_bars import days, minute_path, minutes, rows_of, sha256, write_bars
from tests.migration.old_tables import leave_in_log

ACCENTED = "Zürich Börse"
#: Composed, and the same letters decomposed; two bundles all the same.
COMPOSED, DECOMPOSED = (unicodedata.normalize(form, ACCENTED) for form in ("NFC", "NFD"))
ODD_NAMES = {
    "data": [
        "two words",
        "with-dashes-",
        "it's",
        'the "big" one',
        COMPOSED,
        DECOMPOSED,
        "東京証券",
        "US",
        "us",
        "Us",
        "con",
        "LPT1.bars",
        "x" * 140,
        ".hidden",
        "trailing.",
        "tab\tand\nline",
        "at@3",
        "_",
    ],
    "catalog": ["two words", "it's", COMPOSED, "US", "crypto/binance", "nul", "", "y" * 300, " spaced ", "..", "🚀"],
}


def bars(store):
    """Parquet files beside the databases; `build_old_store` writes those of ordinary bundles."""


def one_catalog_only(store):
    store.in_catalog("only-in-the-data-catalog")
    rows = store.parquet_rows(store.names())
    store.write_parquet_catalog(store.folder("only-in-the-parquet-catalog"), rows)


def foreign_tables(store):
    """The database is Zipline's as well, and the user's."""
    names = {1: "A", 2: "AA", **store.about.get("numbered", {})}
    store.foreign += [
        ("exchanges", [{"exchange": "NASDAQ", "canonical_name": "NASDAQ", "country_code": "US"}]),
        ("equities", [{"sid": sid, "asset_name": name, "exchange": "NASDAQ"} for sid, name in names.items()]),
        (
            "equity_symbol_mappings",
            [{"id": sid, "sid": sid, "symbol": name, "company_symbol": name} for sid, name in names.items()],
        ),
        ("version_info", [{"id": 1, "version": 8}]),
        ("my_notes", [{"id": 1, "note": "bought too late"}]),
    ]


def history(store):
    """Several checks of one bundle: out of order, at the same moment, one without a moment, one without a bundle."""
    store.in_catalog("checked-often", checks=3)
    latest = store.moment() + 400 * 86_400
    store.checked("checked-often", validation_timestamp=latest, row_count=111)
    store.checked("checked-often", validation_timestamp=latest, row_count=222)
    store.checked("checked-often", validation_timestamp=latest - 5, row_count=333)
    store.checked("checked-often", validation_timestamp=None, row_count=444)
    store.in_catalog("never-checked", checks=0)
    store.checked("no-such-bundle")


def odd_lists(store):
    """Text that should be a JSON list."""
    for number, text in enumerate(["null", None, "", "[2023-03-10", "{}", '["2023-03-10"]', "[]", "3", '["\\ud800"]']):
        store.in_catalog(f"list-{number}", checks=0)
        store.checked(f"list-{number}", missing_days_list=text)


def both_layouts(store):
    """One bundle name below data and below data/bundles, with different content."""
    for at, layout in enumerate(("data", "data/bundles")):
        names = [f"{name}{'XY'[at]}" for name in store.names()] + ["BOTH"]
        store.write_parquet_catalog(store.folder("twice", layout), store.parquet_rows(names, source=f"source-{at}"))
    store.in_catalog("twice")


def odd_names(store):
    for name in ODD_NAMES["data"]:
        folder = store.folder(name, "data" if len(name) % 2 else "data/bundles")
        if folder.exists():  # a file system that takes US and us for one
            continue
        store.write_parquet_catalog(folder, store.parquet_rows(store.names()))
    for name in ODD_NAMES["catalog"]:
        store.in_catalog(name)


def nulls(store):
    """NULL wherever the old tables permit it."""
    empty = ("source_type", "source_url", "api_version", "fetch_timestamp", "data_version", "checksum", "timezone")
    store.in_catalog("nulls", checks=0, **dict.fromkeys([*empty, "created_at", "updated_at"]))
    counts = ("row_count", "start_date", "end_date", "missing_days_count", "missing_days_list", "outlier_count")
    store.checked("nulls", **dict.fromkeys([*counts, "ohlcv_violations", "validation_passed"]))
    rows = {
        "datasets": [dict.fromkeys(["source", "resolution", "schema_version", "created_at", "updated_at"])],
        "symbols": [
            {"symbol_id": 1, "dataset_id": None, "symbol": "A", "asset_type": None, "exchange": None},
            {"symbol_id": 2, "dataset_id": 1, "symbol": None, "asset_type": None, "exchange": "NYSE"},
        ],
        "date_ranges": [{"id": 1, "dataset_id": None, "start_date": None, "end_date": None}],
        "checksums": [dict.fromkeys(["dataset_id", "parquet_path", "checksum", "last_updated"])],
        "cache_entries": [
            store.cache_row("null-times", "a.parquet", created_at=None, last_accessed=None, access_count=None),
            store.cache_row("null-size", "b.parquet", size_bytes=None, checksum=None, dataset_id=None),
            store.cache_row(None, "no key.parquet"),
        ],
        "backtest_cache_links": [dict.fromkeys(["backtest_id", "cache_key", "linked_at"])],
        "cache_statistics": [
            {"id": 1, "stat_date": None, "hit_count": 5, "miss_count": 5, "total_size_mb": 1.0},
            store.statistics_row(2) | {"hit_count": None},
            store.statistics_row(3, day=1) | {"miss_count": None, "total_size_mb": None},
        ],
    }
    store.write_parquet_catalog(store.folder("nulls"), rows)


def slash_symbols(store):
    """A market without a closed day."""
    folder, names = store.folder("coins"), ["BTC/USDT", "ETH/USDT"]
    rows = store.parquet_rows(names, source="ccxt", exchange="binance", asset_type="crypto")
    store.add_daily(folder, rows, names, every_day=True)
    store.write_parquet_catalog(folder, rows)
    store.in_catalog("coins", source_type="ccxt")


def two_datasets(store):
    """The same symbols by day and by minute."""
    folder, names = store.folder("both-frequencies", "data/bundles"), store.names()
    rows = store.parquet_rows(names)
    rows["datasets"].append(rows["datasets"][0] | {"dataset_id": 2, "resolution": "1m", "source": "alpaca"})
    more = [row | {"symbol_id": row["symbol_id"] + 100, "dataset_id": 2} for row in rows["symbols"]]
    rows["symbols"] += [more[0] | {"exchange": "NYSE"}, *more[1:]]
    rows["date_ranges"].append(store.range_row(2, dataset=2))
    store.add_daily(folder, rows, names)
    store.add_minutes(folder, rows, names, dataset=2)
    store.write_parquet_catalog(folder, rows)
    store.in_catalog("both-frequencies")


def by_sid(store):
    """Bars under asset numbers, which both the symbols here and Zipline's tables name."""
    folder, names = store.folder("numbered"), store.names("N")
    rows = store.parquet_rows(names)
    keys = [5_001 + at for at in range(len(names))]
    rows["symbols"] = [row | {"symbol_id": key} for key, row in zip(keys, rows["symbols"], strict=True)]
    store.add_daily(folder, rows, names, key="sid", keys=keys)
    store.write_parquet_catalog(folder, rows)
    store.in_catalog("numbered")
    store.about["numbered"] = dict(zip(keys, names, strict=True))


def gone_files(store):
    """What is recorded of files that are there no more, and who used them."""
    rows = store.parquet_rows(store.names())
    rows["cache_entries"] = [store.cache_row(f"gone-{at}", f"daily_bars/gone-{at}.parquet") for at in range(4)]
    rows["checksums"] = [store.checksum_row(1, "daily_bars/gone-0.parquet", "cd" * 32)]
    links = [("run-1", "gone-0"), ("run-1", "gone-1"), ("run-2", "gone-0"), ("run-2", "never-was")]
    rows["backtest_cache_links"] = [
        {"id": at, "backtest_id": run, "cache_key": key, "linked_at": store.moment()}
        for at, (run, key) in enumerate(links, 1)
    ]
    store.write_parquet_catalog(store.folder("gone"), rows)


def same_keys(store):
    """One cache key in two databases."""
    for name in ("first-of-two", "second-of-two"):
        rows = store.parquet_rows(store.names())
        rows["cache_entries"] = [store.cache_row("shared-key", f"{name}.parquet")]
        store.write_parquet_catalog(store.folder(name), rows)


def same_days(store):
    """Statistics of the same days in many databases, also of other seconds of the day."""
    for number in range(4):
        rows = store.parquet_rows(store.names())
        rows["cache_statistics"] = [store.statistics_row(day + 1, day) for day in range(5)]
        rows["cache_statistics"].append(store.statistics_row(9) | {"stat_date": 1_670_000_000 + number})
        store.write_parquet_catalog(store.folder(f"counted-{number}"), rows)


def bad_checksum(store):
    """One file is not the one that was recorded, the other is."""
    folder, names = store.folder("changed-file"), store.names()
    rows = store.parquet_rows(names)
    good = store.add_daily(folder, rows, names)
    if good is not None:
        bad = folder / "daily_bars/year=2023/month=05/data.parquet"
        write_bars(bad, rows_of(["OTHER"], days(), 1))
        rows["checksums"].append(store.checksum_row(2, bad.relative_to(folder).as_posix(), "ef" * 32))
        store.about["bad_checksum"] = bad
    store.write_parquet_catalog(folder, rows)
    store.in_catalog("changed-file")


def torn_files(store):
    """A file that ends too early, and one whose recorded checksum is that of bytes which are no Parquet."""
    for name in ("torn-after", "torn-before"):
        folder, names = store.folder(name), store.names()
        rows = store.parquet_rows(names)
        path = store.add_daily(folder, rows, names)
        if path is not None:
            path.write_bytes(path.read_bytes()[:-200])
            if name == "torn-before":
                rows["checksums"][0]["checksum"] = sha256(path)
        store.write_parquet_catalog(folder, rows)
        store.in_catalog(name)


def no_checksum(store):
    """Files that nobody recorded; a path that is absolute."""
    folder, names = store.folder("unrecorded"), store.names()
    rows = store.parquet_rows(names)
    path = store.add_daily(folder, rows, names)
    rows["checksums"].clear()
    if path is not None:
        minute = folder / minute_path()
        checksum = write_bars(minute, rows_of(names, minutes(days()[0], 10), 3), label="timestamp")
        rows["checksums"].append(store.checksum_row(1, str(minute.resolve()), checksum))
    store.write_parquet_catalog(folder, rows)


def write_ahead_log(store):
    """Rows that are only in the log; behind them a transaction that never ended, and commits of an earlier log."""
    say = "INSERT INTO symbols (symbol_id, dataset_id, symbol) VALUES ({}, 1, 'W{}')"
    path = store.write_parquet_catalog(store.folder("in-the-log"), store.parquet_rows(store.names()))
    leave_in_log(path, [say.format(number, number) for number in range(900, 910)])
    never = [say.format(number, "never " * 200) for number in range(2_000, 2_040)]
    path = store.write_parquet_catalog(store.folder("half-a-log"), store.parquet_rows(store.names()))
    leave_in_log(path, [say.format(900, 900)], uncommitted=never)
    path = store.write_parquet_catalog(store.folder("log-used-twice"), store.parquet_rows(store.names()))
    earlier = [say.format(number, number) for number in range(900, 930)]
    leave_in_log(path, ["DELETE FROM symbols WHERE symbol_id = 900", say.format(990, 990)], stale=earlier)
    path = store.write_parquet_catalog(store.folder("log-without-rows"), store.parquet_rows(store.names()))
    leave_in_log(path, ["PRAGMA user_version = 3"])


def later_schema(store):
    """Columns, tables and a version of the schema that we do not know."""
    rows = store.parquet_rows(store.names())
    rows["datasets"][0] |= {"owner": "anna", "weight": 0.25, "pinned": 1, "remark": None}
    rows["symbols"][0] |= {"isin": 'US0378331005 "A"'}
    more = {"datasets": ["owner TEXT", "weight REAL", "pinned INTEGER", "remark TEXT"], "symbols": ["isin TEXT"]}
    foreign = ["CREATE TABLE remarks (id INTEGER, remark TEXT)", "INSERT INTO remarks VALUES (1, 'mine')"]
    how = {"more": more, "foreign": foreign, "user_version": 7}
    store.write_parquet_catalog(store.folder("later-schema"), rows, **how)
    store.about["catalog_how"] = {"more": {"bundle_metadata": ["team TEXT"]}, "user_version": 8}
    store.in_catalog("with-a-team", team="quants")


def earlier_schema(store):
    """Columns and tables that are not there yet."""
    how = {"without": ("schema_version", "updated_at", "exchange", "last_updated", "access_count", "total_size_mb")}
    foreign = ["DROP TABLE backtest_cache_links", "DROP TABLE date_ranges"]
    rows = store.parquet_rows(store.names())
    rows["cache_entries"] = [store.cache_row("early", "early.parquet")]
    store.write_parquet_catalog(store.folder("earlier-schema"), rows, foreign=foreign, **how)


def odd_types(store):
    """SQLite takes any type in any column: text and fractions where integers belong, bytes, bytes that are no text."""
    store.in_catalog("odd-types", checks=0, checksum=b"\x00\xff\x01", fetch_timestamp="last Tuesday")
    store.checked("odd-types", row_count="many", outlier_count=1.5, validation_passed="yes")
    rows = store.parquet_rows(store.names())
    rows["datasets"][0] |= {"schema_version": "two", "created_at": 1_600_000_000.5}
    rows["checksums"] = [store.checksum_row(1, "x.parquet", b"\x01\x02") | {"last_updated": "2023-01-05"}]
    rows["cache_entries"] = [store.cache_row("odd", "odd.parquet", access_count="often", size_bytes=4_096.5)]
    rows["backtest_cache_links"] = [{"id": 1, "backtest_id": "run", "cache_key": "odd", "linked_at": "today"}]
    foreign = ["INSERT INTO checksums VALUES (2, 1, 'y.parquet', CAST(x'c328' AS TEXT), -1)"]
    store.write_parquet_catalog(store.folder("odd-types"), rows, foreign=foreign)


def no_catalogs(store):
    """What lies in the folders and is no catalog of ours."""
    empty = store.folder("empty-database")
    empty.mkdir(parents=True)
    (empty / "metadata.db").touch()
    other = store.folder("other-database")
    other.mkdir(parents=True)
    connection = sqlite3.connect(other / "metadata.db")
    connection.execute("CREATE TABLE photos (id INTEGER, name TEXT)")
    connection.commit()
    connection.close()
    store.folder("empty-folder").mkdir()
    store.folder("plain file").write_text("no folder\n")
    if store.has_bars:
        write_bars(store.folder("bars-alone") / "daily_bars/year=2023/month=03/data.parquet", rows_of(["A"], days(), 4))
    store.about["no_catalogs"] = [empty, other]


def linked_folder(store):
    target = store.root / "elsewhere" / "target"
    store.write_parquet_catalog(target, store.parquet_rows(store.names()))
    store.folder("linked").parent.mkdir(parents=True, exist_ok=True)
    store.folder("linked").symlink_to("../elsewhere/target", target_is_directory=True)
    store.databases[-1] = store.folder("linked") / "metadata.db"


SHAPES = {
    shape.__name__: shape
    for shape in (
        bad_checksum,
        bars,
        both_layouts,
        by_sid,
        earlier_schema,
        foreign_tables,
        gone_files,
        history,
        later_schema,
        linked_folder,
        no_catalogs,
        no_checksum,
        nulls,
        odd_lists,
        odd_names,
        odd_types,
        one_catalog_only,
        same_days,
        same_keys,
        slash_symbols,
        torn_files,
        two_datasets,
        write_ahead_log,
    )
}
ABOUT_BARS = frozenset({"bars", "bad_checksum", "torn_files", "no_checksum", "by_sid"})
