"""`BundleMetadata` under the names of the original design, over the original tables."""

import json
import sqlite3
from datetime import UTC, date, datetime

import pytest

from rustybt.data.bundles import metadata_schema
from rustybt.data.bundles.metadata import BundleMetadata
from rustybt.data.bundles.metadata_store.migrations import MIGRATIONS
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import BundleNameError, BundleNotFoundError, RequestError
from rustybt.market.provenance import Provenance
from rustybt.market.quality_report import QualityReport
from rustybt.testing.bars import frame_of_bars

# name, declared type, NOT NULL, default, primary key: as the original design's CREATE TABLE says.
SEED_TABLES = {
    "bundle_metadata": [
        ("bundle_name", "TEXT", None, 1), ("calendar_name", "TEXT", None, 0), ("start_session", "INTEGER", None, 0),
        ("end_session", "INTEGER", None, 0), ("source_type", "TEXT", None, 0), ("source_url", "TEXT", None, 0),
        ("api_version", "TEXT", None, 0), ("fetch_timestamp", "INTEGER", None, 0), ("data_version", "TEXT", None, 0),
        ("timezone", "TEXT", "'UTC'", 0), ("row_count", "INTEGER", None, 0), ("missing_days_count", "INTEGER", "0", 0),
        ("missing_days_list", "TEXT", "'[]'", 0), ("outlier_count", "INTEGER", "0", 0), ("ohlcv_violations", "INTEGER", "0", 0),
        ("validation_passed", "BOOLEAN", "1", 0), ("validation_timestamp", "INTEGER", None, 0), ("file_checksum", "TEXT", None, 0),
        ("file_size_bytes", "INTEGER", None, 0), ("created_at", "INTEGER", None, 0), ("updated_at", "INTEGER", None, 0),
    ],
    "bundle_symbols": [
        ("id", "INTEGER", None, 1), ("bundle_name", "TEXT", None, 0), ("symbol", "TEXT", None, 0), ("asset_type", "TEXT", None, 0),
        ("exchange", "TEXT", None, 0),
    ],
    "bundle_cache": [
        ("cache_key", "TEXT", None, 1), ("bundle_name", "TEXT", None, 0), ("parquet_path", "TEXT", None, 0),
        ("created_at", "INTEGER", None, 0), ("last_accessed", "INTEGER", None, 0), ("access_count", "INTEGER", "1", 0),
        ("size_bytes", "INTEGER", None, 0),
    ],
    "cache_statistics": [
        ("stat_date", "INTEGER", None, 1), ("hit_count", "INTEGER", "0", 0), ("miss_count", "INTEGER", "0", 0),
        ("total_size_mb", "FLOAT", "0.0", 0), ("avg_fetch_latency_ms", "FLOAT", "0.0", 0),
    ],
}  # fmt: skip
SEED_INDEXES = {
    "idx_bundle_symbols_bundle", "idx_bundle_symbols_symbol", "idx_bundle_cache_accessed", "idx_bundle_cache_bundle",
}  # fmt: skip


@pytest.fixture
def catalogue(store):
    BundleMetadata.use(store)
    yield BundleMetadata
    BundleMetadata.use(None)


def query(store, sql, *values):
    connection = sqlite3.connect(f"file:{store.database.path}?mode=ro", uri=True)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


class TestSchema:
    def test_the_four_tables_have_the_columns_of_the_original_design(self, catalogue, store):
        catalogue.update("us", calendar_name="XNYS")
        for table, expected in SEED_TABLES.items():
            columns = {row[1]: (row[2].upper(), row[4], row[5]) for row in query(store, f"PRAGMA table_info({table})")}
            for name, kind, default, key in expected:
                assert columns[name] == (kind, default, key), (table, name)
        indexes = {row[0] for row in query(store, "SELECT name FROM sqlite_master WHERE type = 'index'")}
        assert indexes >= SEED_INDEXES
        assert query(store, "PRAGMA user_version") == [(MIGRATIONS[-1].version,)]
        assert query(store, "SELECT version, description FROM schema_migrations")[0][0] == 1

    def test_the_module_names_every_table(self):
        tables = {name for name in metadata_schema.__all__ if name != "metadata"}
        assert tables == set(metadata_schema.metadata.tables)


class TestBundles:
    def test_columns_that_are_not_named_keep_their_values(self, catalogue, store):
        catalogue.update(
            bundle_name="us",
            source_type="yfinance",
            source_url="https://x",
            fetch_timestamp=datetime(2024, 1, 1, tzinfo=UTC),
        )
        catalogue.update(bundle_name="us", api_version="2", start_session=date(2024, 1, 2))
        row = catalogue.get("us")
        assert (row["source_type"], row["api_version"], row["fetch_timestamp"]) == ("yfinance", "2", 1_704_067_200)
        assert (row["calendar_name"], row["start_session"], row["timezone"], row["missing_days_list"]) == (
            "XNYS",
            1_704_153_600,
            "UTC",
            "[]",
        )
        assert "folded_name" not in row
        assert query(store, "SELECT source_type, validation_passed FROM bundle_metadata") == [("yfinance", 1)]

    def test_an_unknown_column_names_near_ones(self, catalogue):
        with pytest.raises(RequestError, match="did you mean source_type"):
            catalogue.update("us", sourcetype="x")
        with pytest.raises(RequestError, match="columns: api_version"):
            catalogue.update("us", qqqqqq=1)
        with pytest.raises(RequestError):
            catalogue.update("us", head_version=7)
        with pytest.raises(BundleNameError):
            catalogue.update("../x", source_type="x")
        assert catalogue.get("us") is None

    def test_names_are_unique_by_casefold(self, catalogue):
        catalogue.update("Us", source_type="csv")
        with pytest.raises(BundleNameError, match="upper and lower case"):
            catalogue.update("us", source_type="csv")

    def test_quality_is_stored_as_the_design_names_it(self, catalogue, store):
        catalogue.update("us")
        catalogue.update_quality(
            "us",
            row_count=10,
            missing_days_count=2,
            missing_days_list=[date(2024, 1, 3), "2024-01-04"],
            outlier_count=1,
            ohlcv_violations=3,
            validation_passed=False,
        )
        row = catalogue.get("us")
        assert json.loads(row["missing_days_list"]) == ["2024-01-03", "2024-01-04"]
        assert (row["row_count"], row["missing_days_count"], row["outlier_count"], row["ohlcv_violations"]) == (
            10,
            2,
            1,
            3,
        )
        assert not row["validation_passed"]
        assert row["validation_timestamp"] > 1_700_000_000
        catalogue.update_quality("us", missing_days_list='["x"]', validation_timestamp=5)
        assert (
            catalogue.get("us")["row_count"],
            catalogue.get("us")["missing_days_list"],
            catalogue.get("us")["validation_timestamp"],
        ) == (10, '["x"]', 5)
        catalogue.update("us", missing_days_list=["a"])
        assert catalogue.get("us")["missing_days_list"] == '["a"]'

    def test_a_commit_keeps_the_catalog_up_to_date(self, catalogue, store):
        report = QualityReport(
            row_count=2,
            missing_days_count=1,
            missing_days_list=({"symbol": "A", "date": "2024-01-03"},),
            validation_passed=False,
        )
        said = Provenance("csv", source_url="file.csv", fetch_timestamp=77, data_version="v", api_version="9")
        result = store.commit(
            "us", frame_of_bars([("A", "2024-01-02", 1), ("A", "2024-01-04", 1)]), said, quality=report
        )
        row = catalogue.get("us")
        assert (row["start_session"], row["end_session"], row["row_count"]) == (1_704_153_600, 1_704_326_400, 2)
        assert (row["source_type"], row["source_url"], row["fetch_timestamp"], row["file_checksum"]) == (
            "csv",
            "file.csv",
            77,
            result.content_hash,
        )
        assert json.loads(row["missing_days_list"]) == [{"symbol": "A", "date": "2024-01-03"}]
        assert row["file_size_bytes"] == sum(path.stat().st_size for path in (store.home / "us").glob("*/*.parquet"))
        assert catalogue.get_symbols("us") == [{"symbol": "A", "asset_type": "equity", "exchange": None}]

    def test_bundles_are_listed_by_source_and_range(self, catalogue, store):
        store.commit("a", frame_of_bars([("A", "2024-01-02", 1)]), Provenance("csv"))
        store.commit("b", frame_of_bars([("A", "2024-03-01", 1)]), Provenance("yfinance"))
        names = lambda **asked: [row["bundle_name"] for row in catalogue.list_bundles(**asked)]  # noqa: E731
        assert names() == ["a", "b"]
        assert names(source_type="csv") == ["a"]
        assert names(start_date="2024-01-03") == ["b"]
        assert names(end_date=date(2024, 2, 29)) == ["a"]
        assert names(start_date="2024-01-02", end_date="2024-01-02") == ["a"]
        assert names(start_date="2024-01-03", end_date="2024-02-28") == []
        for option in (
            {"start": "2024-01-03"},
            {"source_type": "yfinance"},
            {"start": "2024-03-01", "end": "2024-03-01"},
        ):
            assert [info.name for info in store.list_bundles(**option)] == ["b"]
        assert [info.name for info in store.list_bundles(end="2024-01-05")] == ["a"]
        listed = store.list_bundles()[0].to_json()
        assert (listed["first_session"], listed["frequencies"], listed["symbol_count"]) == ("2024-01-02", ["1d"], 1)

    def test_an_empty_home_is_empty(self, catalogue, store):
        assert catalogue.get("us") is None
        assert catalogue.list_bundles() == []
        assert catalogue.get_symbols("us") == []
        assert catalogue.find_cached("k") is None
        assert catalogue.get_cache_size() == 0
        assert catalogue.get_lru_cache_entries() == []
        assert catalogue.get_cache_statistics() == []
        assert not store.home.exists()


class TestSymbols:
    def test_a_symbol_is_added_once_and_updated(self, catalogue):
        catalogue.update("us")
        one = catalogue.add_symbol("us", "BTC/USDT", "crypto", "binance")
        assert catalogue.add_symbol("us", "BTC/USDT", "crypto", "kraken") == one
        assert catalogue.add_symbol("us", "'; DROP TABLE bundle_symbols; --") != one
        assert [row["exchange"] for row in catalogue.get_symbols("us")] == [None, "kraken"]

    def test_a_bundle_or_symbol_that_cannot_be_is_refused(self, catalogue):
        with pytest.raises(BundleNotFoundError, match="no bundle 'eu' in the catalog"):
            catalogue.add_symbol("eu", "A")
        with pytest.raises(RequestError):
            catalogue.add_symbol("us", "")


class TestCache:
    def test_entries_are_found_sized_listed_and_deleted(self, catalogue, store):
        catalogue.update("us")
        catalogue.add_cache_entry("k1", "us", store.home / "a.parquet", 100, created_at=5, last_accessed=50)
        catalogue.add_cache_entry("k2", "us", "b.parquet", 30, last_accessed=20)
        assert catalogue.find_cached("k1") == "us"
        assert catalogue.find_cached("k3") is None
        assert catalogue.get_cache_size() == 130
        assert [row["cache_key"] for row in catalogue.get_lru_cache_entries()] == ["k2", "k1"]
        catalogue.add_cache_entry("k2", "us", "c.parquet", 40, last_accessed=20)
        assert catalogue.get_cache_size() == 140
        assert catalogue.delete_cache_entry("k1")
        assert not catalogue.delete_cache_entry("k1")
        assert [row["parquet_path"] for row in catalogue.get_lru_cache_entries()] == ["c.parquet"]
        with pytest.raises(BundleNotFoundError):
            catalogue.add_cache_entry("k9", "eu", "x", 1)

    def test_an_access_is_counted_when_the_batch_is_written(self, catalogue, store):
        catalogue.update("us")
        catalogue.add_cache_entry("k", "us", "a", 1, last_accessed=10)
        for _ in range(3):
            catalogue.find_cached("k")
        assert query(store, "SELECT access_count, last_accessed FROM bundle_cache") == [(1, 10)]
        catalogue.flush()
        ((count, at),) = query(store, "SELECT access_count, last_accessed FROM bundle_cache")
        assert count == 4
        assert at > 1_700_000_000

    def test_hits_and_misses_are_written_in_batches(self, catalogue, store):
        catalogue.update("us")
        for _ in range(5):
            catalogue.increment_hit_count()
        catalogue.increment_miss_count(2)
        assert query(store, "SELECT count(*) FROM cache_statistics") == [(0,)]
        (today,) = catalogue.get_cache_statistics()
        assert (today["hit_count"], today["miss_count"], today["stat_date"] % 86_400) == (5, 2, 0)
        assert set(today) == {"stat_date", "hit_count", "miss_count", "total_size_mb", "avg_fetch_latency_ms"}


class TestWhichHome:
    def test_the_configured_home_is_used_and_followed(self, own_home, tmp_path, monkeypatch):
        BundleMetadata.use(None)
        BundleMetadata.update("here", source_type="csv")
        assert (own_home / ".rustybt" / "metadata.sqlite").exists()
        monkeypatch.setenv("RUSTYBT_HOME", str(tmp_path / "other"))
        assert BundleMetadata.get("here") is None
        monkeypatch.setenv("RUSTYBT_HOME", str(own_home))
        assert BundleMetadata.get("here")["source_type"] == "csv"

    def test_a_path_or_a_store_may_be_injected(self, tmp_path):
        with BundleStore(tmp_path / "one") as store:
            BundleMetadata.use(tmp_path / "one")
            BundleMetadata.update("x")
            BundleMetadata.use(store)
            assert BundleMetadata.get("x")["bundle_name"] == "x"
            BundleMetadata.use(None)
            assert BundleMetadata.get("x") is None
