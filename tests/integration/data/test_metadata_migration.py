"""An old program's two catalogs and its bars: into the unified catalog, through a backtest, and back."""

import hashlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

import rustybt as rb
from rustybt.api import order, symbol
from rustybt.cli.main import invoke
from rustybt.data.bundles.metadata import BundleMetadata
from rustybt.data.bundles.store import BundleStore
from rustybt.data.migration import Validation, migrate_catalogs, roll_back
from rustybt.data.sources.ingest.update import update_bundle
from rustybt.errors import ConflictError, RequestError, VersionNotFoundError
from rustybt.trading.commission import NoCommission
from rustybt.trading.slippage import FixedSlippage

SCRIPT = Path(__file__).parents[3] / "scripts" / "migrate_catalog_to_bundle_metadata.py"
DAYS = [date(2024, 1, day) for day in (2, 3, 4, 5)]
CLOSES = ["10.25", "10.5", "11", "10.75"]
# 2024-01-02 05:00 and 2024-01-06 04:59:59 UTC: midnight and the last second of a day in New York.
NEW_YEAR, LAST_SECOND = 1_704_171_600, 1_704_517_199


def do_nothing(context):
    """Be a strategy."""


@pytest.fixture
def root(tmp_path):
    """Two bundles, one of them with bars; written with plain sqlite3 and polars."""
    root = tmp_path / "zipline"
    folder = root / "data" / "us"
    partition = folder / "daily_bars" / "year=2024" / "month=01"
    partition.mkdir(parents=True)
    bars = pl.DataFrame({"date": DAYS, "sid": [1] * 4}).with_columns(
        pl.Series(name, [Decimal(close) for close in CLOSES], dtype=pl.Decimal(18, 8))
        for name in ("open", "high", "low", "close")
    )
    bars.with_columns(volume=pl.lit(Decimal(100_000), dtype=pl.Decimal(18, 8))).write_parquet(
        partition / "data.parquet"
    )
    checksum = hashlib.sha256((partition / "data.parquet").read_bytes()).hexdigest()
    with closing(sqlite3.connect(root / "assets-8.db")) as catalog, catalog:
        catalog.executescript(f"""
            CREATE TABLE equities (sid INTEGER PRIMARY KEY, asset_name TEXT);
            CREATE TABLE bundle_metadata (id INTEGER PRIMARY KEY, bundle_name TEXT UNIQUE, source_type TEXT, source_url TEXT,
                api_version TEXT, fetch_timestamp INTEGER, data_version TEXT, checksum TEXT, timezone TEXT, created_at INTEGER,
                updated_at INTEGER);
            INSERT INTO bundle_metadata VALUES (1, 'us', 'yfinance', 'https://example.test/v8', 'v8', 1704600000, '2024', NULL,
                'America/New_York', 1704600001, 1704600002), (2, 'my "best" coins', 'ccxt', NULL, NULL, 1704700000, NULL, 'abc',
                'UTC', 1704700001, 1704700002);
            CREATE TABLE data_quality_metrics (id INTEGER PRIMARY KEY, bundle_name TEXT, row_count INTEGER, start_date INTEGER,
                end_date INTEGER, missing_days_count INTEGER, missing_days_list TEXT, outlier_count INTEGER,
                ohlcv_violations INTEGER, validation_timestamp INTEGER, validation_passed BOOLEAN);
            INSERT INTO data_quality_metrics VALUES (1, 'us', 3, 1704153600, 1704326400, 0, '[]', 0, 0, 1704600003, 1),
                (2, 'us', 4, 1704153600, 1704412800, 1, '["2024-01-08"]', 2, 0, 1704600009, 0);
        """)  # noqa: F541 - reads like the others
    with closing(sqlite3.connect(folder / "metadata.db")) as catalog, catalog:
        catalog.executescript(f"""
            CREATE TABLE datasets (dataset_id INTEGER PRIMARY KEY, source TEXT, resolution TEXT, schema_version INTEGER,
                created_at INTEGER, updated_at INTEGER);
            INSERT INTO datasets VALUES (1, 'yfinance', '1d', 1, 1704600001, 1704600002);
            CREATE TABLE symbols (symbol_id INTEGER PRIMARY KEY, dataset_id INTEGER, symbol TEXT, asset_type TEXT, exchange TEXT);
            INSERT INTO symbols VALUES (1, 1, 'AAPL', 'equity', 'NASDAQ');
            CREATE TABLE date_ranges (id INTEGER PRIMARY KEY, dataset_id INTEGER, start_date INTEGER, end_date INTEGER);
            INSERT INTO date_ranges VALUES (1, 1, {NEW_YEAR}, {LAST_SECOND});
            CREATE TABLE checksums (id INTEGER PRIMARY KEY, dataset_id INTEGER, parquet_path TEXT, checksum TEXT,
                last_updated INTEGER);
            INSERT INTO checksums VALUES (1, 1, 'daily_bars/year=2024/month=01/data.parquet', '{checksum}', 1704600002);
            CREATE TABLE cache_entries (cache_key TEXT PRIMARY KEY, dataset_id INTEGER, parquet_path TEXT, checksum TEXT,
                created_at INTEGER, last_accessed INTEGER, access_count INTEGER, size_bytes INTEGER);
            INSERT INTO cache_entries VALUES ('k1', 1, 'daily_bars/year=2024/month=01/data.parquet', '{checksum}', 1704600002,
                1704600005, 7, 2048);
            CREATE TABLE backtest_cache_links (id INTEGER PRIMARY KEY, backtest_id TEXT, cache_key TEXT, linked_at INTEGER);
            INSERT INTO backtest_cache_links VALUES (1, 'bt-1', 'k1', 1704600007);
            CREATE TABLE cache_statistics (id INTEGER PRIMARY KEY, stat_date INTEGER UNIQUE, hit_count INTEGER,
                miss_count INTEGER, total_size_mb REAL);
            INSERT INTO cache_statistics VALUES (1, 1704585600, 5, 2, 1.5);
        """)
    return root


@pytest.fixture
def store(tmp_path):
    with BundleStore(tmp_path / "home") as store:
        BundleMetadata.use(store)
        yield store
        BundleMetadata.use(None)


def test_both_catalogs_are_one_and_say_what_they_said(root, store):
    report = migrate_catalogs(root, store=store)
    assert [(b.old_name, b.name, b.state, b.rows) for b in report.bundles] == [
        ('my "best" coins', "my _best_ coins", "new", 0),
        ("us", "us", "new", 4),
    ]
    row = BundleMetadata.get("us")
    assert {
        name: row[name] for name in ("source_type", "source_url", "api_version", "fetch_timestamp", "data_version")
    } == {
        "source_type": "yfinance",
        "source_url": "https://example.test/v8",
        "api_version": "v8",
        "fetch_timestamp": 1_704_600_000,
        "data_version": "2024",
    }
    # The check of 1704600009 is the newer one.
    assert (row["row_count"], row["missing_days_count"], json.loads(row["missing_days_list"])) == (4, 1, ["2024-01-08"])
    assert (row["outlier_count"], row["ohlcv_violations"], row["validation_passed"]) == (2, 0, False)
    assert (row["validation_timestamp"], row["created_at"], row["updated_at"]) == (
        1_704_600_009,
        1_704_600_001,
        1_704_600_002,
    )
    # 2024-01-02 and 2024-01-05, 00:00 UTC.
    assert (row["start_session"], row["end_session"], row["calendar_name"]) == (1_704_153_600, 1_704_412_800, "XNYS")
    assert BundleMetadata.get_symbols("us") == [{"symbol": "AAPL", "asset_type": "equity", "exchange": "NASDAQ"}]
    assert store.open("us").asset("AAPL").exchange == "XNAS"
    assert BundleMetadata.get("my _best_ coins")["validation_passed"] is None  # nobody checked it
    assert [(e["cache_key"], e["access_count"], e["size_bytes"]) for e in BundleMetadata.get_lru_cache_entries()] == [
        ("k1", 7, 2048)
    ]
    assert BundleMetadata.find_cached("k1") == "us"
    (day,) = BundleMetadata.get_cache_statistics()
    assert (day["stat_date"], day["hit_count"], day["miss_count"], day["total_size_mb"]) == (1_704_585_600, 5, 2, 1.5)


def test_a_bundle_that_was_renamed_is_found_by_its_old_name(root, store):
    migrate_catalogs(root, store=store)
    assert BundleMetadata.get('my "best" coins')["bundle_name"] == "my _best_ coins"
    assert BundleMetadata.get('my "worst" coins') is None


def test_a_strategy_trades_on_the_migrated_bars(root, store):
    migrate_catalogs(root, store=store)

    def initialize(context):
        context.done = False

    def handle_data(context, data):
        if not context.done:
            context.done = order(symbol("AAPL"), 100)

    # The old catalogs do not say whether prices were adjusted.
    with pytest.warns(UserWarning, match="price basis 'unknown'"):
        result = rb.run_algorithm(
            start="2024-01-02", end="2024-01-05", initialize=initialize, handle_data=handle_data, bundle=store.open("us"),
            capital_base=10_000, commission=NoCommission(), slippage=FixedSlippage(spread=0.0),
        )  # fmt: skip
    (bought,) = result.transactions.to_dict("records")
    assert (bought["amount"], bought["price"]) == (100, 10.5)
    assert result.perf["portfolio_value"].iloc[-1] == 10_000 + 100 * (10.75 - 10.5)


def test_old_and_new_are_equal_and_a_second_migration_changes_nothing(root, store):
    migrate_catalogs(root, store=store)
    before = hashlib.sha256(store.database.path.read_bytes()).hexdigest()
    again = migrate_catalogs(root, store=store)
    assert [bundle.state for bundle in again.bundles] == ["unchanged", "unchanged"]
    assert not again.backup
    assert hashlib.sha256(store.database.path.read_bytes()).hexdigest() == before
    report = Validation(store, root).run()
    assert report.is_equal
    assert report.bars == 4
    assert report.row_counts["data_quality_metrics"] == 2


def test_what_came_after_a_migration_is_not_rolled_back_with_it(root, store):
    timestamp = migrate_catalogs(root, store=store).backup
    frame = pl.DataFrame({"symbol": "B", "timestamp": DAYS, "close": [1.0, 2.0, 3.0, 4.0], "volume": 1.0})
    prices = frame.with_columns(pl.col("close").alias(name) for name in ("open", "high", "low"))
    rb.ingest_frame(prices, bundle="later", store=store)
    with pytest.raises(ConflictError, match="later@1"):
        roll_back(timestamp, store=store)
    store.remove("later")
    assert roll_back(timestamp, store=store).bundles == ["my _best_ coins", "us"]
    assert not store.database.path.exists()
    assert not (store.home / "us").exists()


def test_bars_alone_can_be_brought_up_to_date_no_more_and_say_what_to_do(root, store):
    migrate_catalogs(root, store=store)
    with pytest.raises(RequestError, match="came over from an old program") as caught:
        update_bundle("us", store=store)
    assert "rustybt ingest yfinance" in caught.value.hint
    with pytest.raises(VersionNotFoundError, match="has no bars"):
        update_bundle("my _best_ coins", store=store)


def test_a_bundle_without_bars_is_named_as_such(root, store, capsys):
    migrate_catalogs(root, store=store, with_data=False)
    with pytest.raises(VersionNotFoundError, match="us is in the catalog, and has no bars"):
        store.open("us")
    assert invoke(["bundle", "list", "--home", str(store.home), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert (listed["bundles"], listed["without_bars"]) == ([], ["my _best_ coins", "us"])


def test_the_script_does_what_the_command_does(root, tmp_path):
    words = [sys.executable, str(SCRIPT), "--root", str(root), "--home", str(tmp_path / "elsewhere"), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert [bundle["name"] for bundle in json.loads(done.stdout)["bundles"]] == ["my _best_ coins", "us"]
    with BundleStore(tmp_path / "elsewhere") as store:
        assert store.open("us").read()["close"].to_list() == [Decimal(close) for close in CLOSES]


def test_a_result_that_was_saved_since_does_not_hinder_a_rollback_and_a_tag_does(root, store, tmp_path):
    timestamp = migrate_catalogs(root, store=store).backup
    # Nothing is read, so that nothing is said of the prices' basis.
    result = rb.run_algorithm(
        start="2024-01-02", end="2024-01-05", initialize=do_nothing, bundle=store.open("us"), capital_base=1_000
    )
    result.save(tmp_path / "result")
    store.tag("us", "paper")
    with pytest.raises(ConflictError, match="the tag paper of us") as caught:
        roll_back(timestamp, store=store)
    assert "untag" in caught.value.hint
    store.untag("us", "paper")
    assert roll_back(timestamp, store=store).results == [str(tmp_path / "result")]
    assert (tmp_path / "result").is_dir()
