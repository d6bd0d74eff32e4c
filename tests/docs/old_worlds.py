"""What a machine of Zipline's and of the first rustybt may hold, small: the folder that docs/coming-over.md migrates from."""

from datetime import UTC, date, datetime, timedelta

from tests.migration.old_bars import daily_path, rows_of, write_bars
from tests.migration.old_tables import DATA_CATALOG, PARQUET_CATALOG, json_list, write_database
from tests.oracle import zipline_bundle

FIRST, LAST = date(2023, 3, 1), date(2023, 3, 31)
DAY = 86_400


def build(user):
    """Write ``.zipline`` below a home directory: three bundles of the first rustybt, and one that Zipline ingested."""
    zipline_bundle.unpack(user)
    root = (user / "zipline").rename(user / ".zipline")
    ingested = root / "data"
    (ingested / zipline_bundle.NAME).rename(ingested / "quandl")
    bundles = [
        _bundle(root, 1, "stocks", "yfinance", ["AAPL", "MSFT"], "equity", "NASDAQ"),
        _bundle(root, 2, "coins", "ccxt", ["BTC/USDT"], "crypto", "binance"),
        _bundle(root, 3, "R&D stocks", "csv", ["ACME"], "equity", None),
    ]
    # Written once more after its checksum was taken.
    write_bars(root / "data" / "coins" / daily_path(), rows_of(["BTC/USDT"], [FIRST], 4))
    checks = [
        {"id": at, "bundle_name": name, "row_count": rows, "start_date": seconds(FIRST), "end_date": seconds(LAST)}
        | {"missing_days_count": 0, "missing_days_list": json_list(), "outlier_count": 0, "ohlcv_violations": 0}
        | {"validation_timestamp": seconds(LAST) + at * DAY, "validation_passed": 1}
        for at, name, rows in ((1, "stocks", 40), (2, "stocks", 44), (3, "coins", 31))
    ]
    rows = {"bundle_metadata": bundles, "data_quality_metrics": checks}
    write_database(root / "assets-8.db", rows, DATA_CATALOG)


def seconds(day):
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _bundle(root, number, name, source, symbols, asset_type, exchange):
    """Write a bundle's folder with its database; return its row in the catalog of all."""
    folder, made, path = root / "data" / name, seconds(LAST), daily_path(FIRST)
    days = [FIRST + timedelta(days=at) for at in range((LAST - FIRST).days + 1)]
    traded = [day for day in days if asset_type == "crypto" or day.weekday() < 5]
    checksum = write_bars(folder / path, rows_of(symbols, traded, number))
    entry = {"cache_key": f"key-{number}", "dataset_id": 1, "parquet_path": path, "checksum": checksum}
    rows = {
        "datasets": [{"dataset_id": 1, "source": source, "resolution": "1d", "schema_version": 1, "created_at": made}],
        "symbols": [
            {"symbol_id": at, "dataset_id": 1, "symbol": symbol, "asset_type": asset_type, "exchange": exchange}
            for at, symbol in enumerate(symbols, 1)
        ],
        "date_ranges": [{"id": 1, "dataset_id": 1, "start_date": seconds(FIRST), "end_date": seconds(LAST) + DAY - 1}],
        "checksums": [
            {"id": 1, "dataset_id": 1, "parquet_path": path, "checksum": checksum, "last_updated": made},
        ],
        "cache_entries": [
            entry | {"created_at": made, "last_accessed": made, "access_count": 3, "size_bytes": 4_096},
        ],
        "backtest_cache_links": [
            {"id": 1, "backtest_id": f"run-{number}", "cache_key": f"key-{number}", "linked_at": made},
        ],
        "cache_statistics": [
            {"id": 1, "stat_date": made, "hit_count": number, "miss_count": 1, "total_size_mb": 0.5},
        ],
    }
    write_database(folder / "metadata.db", rows, PARQUET_CATALOG)
    return {
        "id": number,
        "bundle_name": name,
        "source_type": source,
        "source_url": None,
        "api_version": "v8",
        "fetch_timestamp": made,
        "data_version": "2023.3",
        "checksum": checksum,
        "timezone": "UTC",
        "created_at": made,
        "updated_at": made,
    }
