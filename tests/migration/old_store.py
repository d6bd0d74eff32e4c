"""Generated roots of the old catalogs: every shape that was met, from a seed, with plain sqlite3 and pyarrow.

What depends on chance depends on `seed` alone, so that a root can be built again to the same rows.
"""

import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.migration import old_shapes
from tests.migration.old_bars import FIRST, LAST, daily_path, days, minute_path, minutes, rows_of, write_bars
from tests.migration.old_tables import DATA_CATALOG, PARQUET_CATALOG, ZIPLINE, json_list, write_database

#: Name of a shape -> what builds it; see `old_shapes`.
SHAPES = old_shapes.SHAPES
ALL = frozenset(SHAPES)
#: Those that are about tables only.
WITHOUT_BARS = ALL - old_shapes.ABOUT_BARS
CATALOGS = ("assets-8.db", "assets-8.sqlite", "data/catalog.db")
DAY = 86_400
#: 1 June 2023, noon UTC.
NOW = 1_685_620_800


@dataclass
class OldStore:
    """What was built, and what a shape needs to add its own.

    `about` holds what a test may ask of a shape: a folder, a file, a name.
    """

    root: Path
    zone: ZoneInfo
    symbols: int
    chance: random.Random
    has_bars: bool
    bundle_rows: list = field(default_factory=list)
    quality_rows: list = field(default_factory=list)
    foreign: list = field(default_factory=list)
    catalogs: list = field(default_factory=list)
    databases: list = field(default_factory=list)
    about: dict = field(default_factory=dict)

    def folder(self, name, layout="data"):
        return self.root / layout / name

    def names(self, prefix="S"):
        return [f"{prefix}{at:02d}" for at in range(self.symbols)]

    # -- rows --------------------------------------------------------------------------------------------------------

    def moment(self):
        return NOW - self.chance.randrange(300 * DAY)

    def range_row(self, number=1, dataset=1):
        """Of local time: from the first midnight to the last second of the last day."""
        start = datetime.combine(FIRST, time(), self.zone)
        end = datetime.combine(LAST, time(23, 59, 59), self.zone)
        ends = {"start_date": int(start.timestamp()), "end_date": int(end.timestamp())}
        return {"id": number, "dataset_id": dataset, **ends}

    def in_catalog(self, name, *, checks=1, **values):
        """Add a bundle to the data catalog, with as many quality rows."""
        row = {
            "id": len(self.bundle_rows) + 1,
            "bundle_name": name,
            "source_type": self.chance.choice(["yfinance", "ccxt", "csv"]),
            "source_url": f"https://prices.example/{len(self.bundle_rows)}",
            "api_version": "v8",
            "fetch_timestamp": self.moment(),
            "data_version": f"2023.{self.chance.randrange(12)}",
            "checksum": f"{self.chance.getrandbits(256):064x}",
            "timezone": "UTC",
            "created_at": self.moment(),
            "updated_at": self.moment(),
        }
        self.bundle_rows.append(row | values)
        for _ in range(checks):
            self.checked(name)

    def checked(self, name, **values):
        """Add a row of quality metrics."""
        missing = self.chance.randrange(3)
        row = {
            "id": len(self.quality_rows) + 1,
            "bundle_name": name,
            "row_count": self.chance.randrange(1, 90_000),
            "start_date": int(datetime.combine(FIRST, time(), UTC).timestamp()),
            "end_date": int(datetime.combine(LAST, time(), UTC).timestamp()),
            "missing_days_count": missing,
            "missing_days_list": json_list(*[f"2023-03-{day + 10:02d}" for day in range(missing)]),
            "outlier_count": self.chance.randrange(9),
            "ohlcv_violations": self.chance.randrange(9),
            "validation_timestamp": self.moment(),
            "validation_passed": self.chance.randrange(2),
        }
        self.quality_rows.append(row | values)

    def parquet_rows(self, names, *, source="yfinance", exchange="NASDAQ", asset_type="equity", resolution="1d"):
        """Return the rows by table of a bundle with one dataset."""
        made = self.moment()
        return {
            "datasets": [
                {"dataset_id": 1, "source": source, "resolution": resolution, "schema_version": 1}
                | {"created_at": made, "updated_at": made + 60}
            ],
            "symbols": [
                {"symbol_id": at, "dataset_id": 1, "symbol": name, "asset_type": asset_type, "exchange": exchange}
                for at, name in enumerate(names, 1)
            ],
            "date_ranges": [self.range_row()],
            "checksums": [],
            "cache_entries": [],
            "backtest_cache_links": [],
            "cache_statistics": [self.statistics_row()],
        }

    def statistics_row(self, number=1, day=0):
        """A day that all databases share; sizes are exact in binary, so that their sum is in any order."""
        counts = {"hit_count": self.chance.randrange(50), "miss_count": self.chance.randrange(50)}
        size = self.chance.randrange(6_400) / 64
        return {"id": number, "stat_date": NOW // DAY * DAY - day * DAY, **counts, "total_size_mb": size}

    def cache_row(self, key, path, **values):
        row = {"cache_key": key, "dataset_id": 1, "parquet_path": path, "checksum": "ab" * 32}
        times = {"created_at": self.moment(), "last_accessed": self.moment()}
        return row | times | {"access_count": self.chance.randrange(1, 40), "size_bytes": 4_096} | values

    def checksum_row(self, number, path, checksum, dataset=1):
        row = {"id": number, "dataset_id": dataset, "parquet_path": path, "checksum": checksum}
        return row | {"last_updated": self.moment()}

    # -- files -------------------------------------------------------------------------------------------------------

    def write_parquet_catalog(self, folder, rows, **how):
        path = write_database(folder / "metadata.db", rows, PARQUET_CATALOG, **how)
        self.databases.append(path)
        return path

    def add_daily(self, folder, rows, names, *, every_day=False, key="symbol", keys=None):
        """Write a bundle's daily bars, all into the first month's partition, and record their checksum."""
        if not self.has_bars:
            return None
        bars = rows_of(keys or names, days(every_day), self.chance.random())
        path = daily_path()
        checksum = write_bars(folder / path, bars, key=key)
        rows["checksums"].append(self.checksum_row(len(rows["checksums"]) + 1, path, checksum))
        return folder / path

    def add_minutes(self, folder, rows, names, *, dataset=1):
        """Write 30 minutes of two days."""
        if not self.has_bars:
            return None
        stamps = [stamp for day in days()[:2] for stamp in minutes(day, 30)]
        path = minute_path()
        bars = rows_of(names, stamps, self.chance.random())
        checksum = write_bars(folder / path, bars, label="timestamp")
        rows["checksums"].append(self.checksum_row(len(rows["checksums"]) + 1, path, checksum, dataset))
        return folder / path

    def plain_bundle(self, name, layout="data", **how):
        """Write a bundle of both catalogs with daily bars; return its folder."""
        folder, names = self.folder(name, layout), self.names()
        rows = self.parquet_rows(names, **how)
        self.add_daily(folder, rows, names, every_day=how.get("asset_type") == "crypto")
        self.write_parquet_catalog(folder, rows)
        self.in_catalog(name)
        return folder


def build_old_store(
    root, *, bundles=3, symbols=3, seed=0, shapes=ALL, catalogs=("assets-8.db",), zone="America/New_York"
):
    """Build a root: `bundles` ordinary ones called us-0, us-1 ... and those of each shape.

    With several `catalogs` the bundles are dealt out to them in turn. Without the shape `bars` no bundle has Parquet files.
    `zone` is that of the machine which wrote the ranges of dates. Logs of databases hold numbers that SQLite chose, and one
    row holds an absolute path; all else is the same in every root of one seed.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    store = OldStore(root, ZoneInfo(zone), symbols, random.Random(seed), "bars" in shapes)
    for number in range(bundles):
        store.plain_bundle(f"us-{number}", "data/bundles" if number % 2 else "data")
    for name in sorted(shapes):
        SHAPES[name](store)
    _write_catalogs(store, catalogs)
    return store


def _write_catalogs(store, catalogs):
    home_of = {row["bundle_name"]: at % len(catalogs) for at, row in enumerate(store.bundle_rows)}
    for number, catalog in enumerate(catalogs):
        rows = {
            "bundle_metadata": [row for row in store.bundle_rows if home_of[row["bundle_name"]] == number],
            "data_quality_metrics": [row for row in store.quality_rows if home_of.get(row["bundle_name"], 0) == number],
        }
        tables, how = DATA_CATALOG, store.about.get("catalog_how", {})
        if store.foreign:
            tables, rows = {**ZIPLINE, **tables}, rows | dict(store.foreign)
        store.catalogs.append(write_database(store.root / catalog, rows, tables, **how))


def build_large(root, bundles=1_000, symbols=500, seed=0):
    """Build a root of many bundles without Parquet files; every database is a copy of one, and changed a little."""
    root = Path(root)
    store = OldStore(root, ZoneInfo("America/New_York"), symbols, random.Random(seed), has_bars=False)
    names = [f"SYM{at:04d}" for at in range(symbols)]
    rows = store.parquet_rows(names)
    rows["cache_entries"] = [store.cache_row(f"key-{at}", f"daily_bars/{at}.parquet") for at in range(5)]
    rows["checksums"] = [store.checksum_row(at, f"daily_bars/{at}.parquet", f"{at:064x}") for at in range(1, 6)]
    rows["backtest_cache_links"] = [
        {"id": at, "backtest_id": f"run-{at}", "cache_key": f"key-{at % 5}", "linked_at": NOW} for at in range(1, 6)
    ]
    model = write_database(root / "model.db", rows, PARQUET_CATALOG)
    for number in range(bundles):
        folder = store.folder(f"bundle-{number:04d}")
        folder.mkdir(parents=True)
        path = folder / "metadata.db"
        shutil.copyfile(model, path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("UPDATE cache_entries SET cache_key = ? || cache_key", (f"{number}-",))
            connection.execute("UPDATE backtest_cache_links SET cache_key = ? || cache_key", (f"{number}-",))
            connection.execute("UPDATE cache_statistics SET hit_count = ?", (number,))
            connection.execute("UPDATE symbols SET symbol = symbol || ?", (f".{number % 7}",))
            connection.commit()
        store.databases.append(path)
        store.in_catalog(folder.name, checks=2)
    model.unlink()
    _write_catalogs(store, ("assets-8.db",))
    return store
