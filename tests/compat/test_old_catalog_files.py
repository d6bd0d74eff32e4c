"""The catalogs' deprecated names over databases that the first design left: read where they lie, never written."""

import sqlite3

import pytest

from rustybt.data.bundles.metadata import BundleMetadata
from rustybt.data.catalog import DataCatalog
from rustybt.data.polars import ParquetMetadataCatalog
from rustybt.data.sources.frame import ingest_frame
from rustybt.errors import BundleNameError, RequestError
from rustybt.testing.bars import frame_of_bars

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

JANUARY_2, JANUARY_3 = 1_704_153_600, 1_704_240_000

DATA_CATALOG = """
CREATE TABLE bundle_metadata (id INTEGER PRIMARY KEY AUTOINCREMENT, bundle_name TEXT UNIQUE, source_type TEXT, source_url TEXT,
    api_version TEXT, fetch_timestamp INTEGER, data_version TEXT, checksum TEXT, timezone TEXT, created_at INTEGER,
    updated_at INTEGER);
CREATE TABLE data_quality_metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, bundle_name TEXT, row_count INTEGER,
    start_date INTEGER, end_date INTEGER, missing_days_count INTEGER, missing_days_list TEXT, outlier_count INTEGER,
    ohlcv_violations INTEGER, validation_timestamp INTEGER, validation_passed INTEGER);
INSERT INTO bundle_metadata VALUES (1, 'it''s "äöü"', 'yfinance', NULL, 'v8', 100, NULL, 'ab12', 'UTC', 1, 2);
INSERT INTO bundle_metadata VALUES (2, 'crypto', 'ccxt', 'https://example.org', NULL, 200, 'x', NULL, 'UTC', 3, 4);
INSERT INTO data_quality_metrics VALUES (1, 'crypto', 9, 1704153600, 1704240000, 0, '[]', 0, 0, 50, 1);
INSERT INTO data_quality_metrics VALUES (2, 'crypto', 7, 1704153600, 1704153600, 1, '["2024-01-03"]', 2, 3, 40, 0);
"""

PARQUET_CATALOG = """
CREATE TABLE datasets (dataset_id INTEGER PRIMARY KEY, source TEXT, resolution TEXT, schema_version INTEGER, created_at INTEGER,
    updated_at INTEGER);
CREATE TABLE symbols (symbol_id INTEGER PRIMARY KEY, dataset_id INTEGER, symbol TEXT, asset_type TEXT, exchange TEXT);
CREATE TABLE date_ranges (id INTEGER PRIMARY KEY, dataset_id INTEGER, start_date INTEGER, end_date INTEGER);
CREATE TABLE checksums (id INTEGER PRIMARY KEY, dataset_id INTEGER, parquet_path TEXT, checksum TEXT, last_updated INTEGER);
CREATE TABLE cache_entries (cache_key TEXT PRIMARY KEY, dataset_id INTEGER, parquet_path TEXT, checksum TEXT, created_at INTEGER,
    last_accessed INTEGER, access_count INTEGER, size_bytes INTEGER);
CREATE TABLE cache_statistics (id INTEGER PRIMARY KEY, stat_date INTEGER UNIQUE, hit_count INTEGER, miss_count INTEGER,
    total_size_mb REAL);
INSERT INTO datasets VALUES (1, 'ccxt', '1d', 1, 10, 20), (2, 'ccxt', '1h', 1, 11, 21);
INSERT INTO symbols VALUES (1, 1, 'BTC/USDT', 'crypto', 'binance'), (2, 2, 'BTC/USDT', 'crypto', NULL), (3, 2, 'ETH/USDT', NULL, NULL);
INSERT INTO date_ranges VALUES (1, 1, 5, 6), (2, 1, 5, 7);
INSERT INTO checksums VALUES (1, 1, 'a.parquet', 'aa', 30), (2, 1, 'a.parquet', 'bb', 31);
INSERT INTO cache_entries VALUES ('late', 1, 'l.parquet', 'cc', 1, 900, 3, 10), ('early', 2, 'e.parquet', 'dd', 1, 100, 4, 20);
INSERT INTO cache_statistics VALUES (1, 86400, 5, 6, 1.5), (2, 0, 1, 2, 0.5);
"""


def write(path, script):
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


@pytest.fixture
def old_catalog(tmp_path):
    return write(tmp_path / "zipline" / "assets-8.db", DATA_CATALOG)


@pytest.fixture
def old_bundle(tmp_path):
    return write(tmp_path / "zipline" / "data" / "crypto pairs" / "metadata.db", PARQUET_CATALOG)


@pytest.fixture(autouse=True)
def untouched(tmp_path):
    """Whatever a test does: no byte of an old file changes, and nothing appears beside it."""
    yield
    for path, script in (("assets-8.db", DATA_CATALOG), ("data/crypto pairs/metadata.db", PARQUET_CATALOG)):
        file = tmp_path / "zipline" / path
        if file.exists():
            same = write(tmp_path / "again" / path, script)
            assert file.read_bytes() == same.read_bytes()
            assert [entry.name for entry in file.parent.iterdir() if entry.is_file()] == [file.name]


def test_the_first_catalog_is_read(old_catalog, own_home):
    catalog = DataCatalog(str(old_catalog))
    assert catalog.get_bundle_metadata('it\'s "äöü"') == {
        "id": 1,
        "bundle_name": 'it\'s "äöü"',
        "source_type": "yfinance",
        "source_url": None,
        "api_version": "v8",
        "fetch_timestamp": 100,
        "data_version": None,
        "checksum": "ab12",
        "timezone": "UTC",
        "created_at": 1,
        "updated_at": 2,
    }
    assert catalog.get_bundle_metadata("nothing") is None
    # The newest validation, not the row written last.
    assert catalog.get_quality_metrics("crypto")["row_count"] == 9
    assert catalog.get_quality_metrics('it\'s "äöü"') is None
    assert not own_home.exists()


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["crypto", 'it\'s "äöü"']),
        ({"source_type": "yfinance"}, ['it\'s "äöü"']),
        ({"start_date": "2024-01-03"}, ["crypto"]),
        ({"start_date": "2024-01-04"}, []),
        ({"end_date": "2024-01-02"}, ["crypto"]),
        ({"end_date": "2024-01-01"}, []),
    ],
)
def test_bundles_of_the_first_catalog_are_listed(old_catalog, asked, names):
    assert [row["bundle_name"] for row in DataCatalog(old_catalog).list_bundles(**asked)] == names


def test_a_listed_bundle_has_its_newest_range(old_catalog):
    crypto = DataCatalog(old_catalog).list_bundles()[0]
    assert (crypto["row_count"], crypto["start_date"], crypto["end_date"]) == (9, JANUARY_2, JANUARY_3)
    assert crypto["source_url"] == "https://example.org"


@pytest.mark.parametrize("method", ["store_metadata", "store_quality_metrics"])
def test_nothing_is_written_to_the_first_catalog(old_catalog, method):
    with pytest.raises(RequestError, match="only read") as caught:
        getattr(DataCatalog(old_catalog), method)({"bundle_name": "us"})
    assert f"rustybt migrate --root {old_catalog.parent}" in caught.value.hint


def test_a_catalog_in_the_folder_data_belongs_to_the_root_above(tmp_path):
    path = write(tmp_path / "root" / "data" / "catalog.db", DATA_CATALOG)
    with pytest.raises(RequestError) as caught:
        DataCatalog(path).store_metadata({"bundle_name": "us"})
    assert f"--root {tmp_path / 'root'} " in caught.value.hint


def test_a_database_of_assets_alone_has_no_bundles(tmp_path):
    path = write(tmp_path / "assets-8.sqlite", "CREATE TABLE equities (sid INTEGER)")
    catalog = DataCatalog(path)
    assert catalog.list_bundles() == []
    assert catalog.get_bundle_metadata("us") is None
    assert catalog.get_quality_metrics("us") is None


def test_no_file_or_an_empty_one_means_the_home(tmp_path, own_home):
    (tmp_path / "empty.db").touch()
    for number, path in enumerate((tmp_path / "none.db", tmp_path / "empty.db")):
        DataCatalog(path).store_metadata({"bundle_name": f"b{number}", "source_type": "csv"})
        assert BundleMetadata.get(f"b{number}")["source_type"] == "csv"
    assert not (tmp_path / "none.db").exists()
    assert not (tmp_path / "empty.db").stat().st_size


def test_the_database_of_a_home_means_that_home(tmp_path, store):
    ingest_frame(frame_of_bars([("A", "2024-01-02", "1")]), bundle="there", store=store)
    catalog = DataCatalog(store.database.path)
    catalog.store_metadata({"bundle_name": "there", "source_url": "x"})
    assert [(row["bundle_name"], row["source_url"]) for row in catalog.list_bundles()] == [("there", "x")]
    assert BundleMetadata.get("there") is None


def test_what_is_no_database_is_no_catalog(tmp_path):
    (tmp_path / "notes.db").write_text("not a database")
    with pytest.raises(RequestError, match="no SQLite database"):
        DataCatalog(tmp_path / "notes.db")
    with pytest.raises(RequestError, match="no file"):
        DataCatalog(tmp_path)


def test_a_row_that_was_read_may_be_stored_again(own_home):
    catalog = DataCatalog()
    catalog.store_metadata({"bundle_name": "us", "source_type": "csv"})
    row = catalog.get_bundle_metadata("us")
    catalog.store_metadata({**row, "source_type": "ccxt"})
    assert catalog.get_bundle_metadata("us")["source_type"] == "ccxt"
    # The database dates its rows itself.
    catalog.store_metadata({**row, "id": 7, "created_at": 5})
    found = catalog.get_bundle_metadata("us")
    assert (found["source_type"], found["created_at"]) == ("csv", row["created_at"])


@pytest.mark.parametrize(
    ("method", "given", "why"),
    [
        ("store_metadata", {"source_type": "csv"}, "name no bundle"),
        ("store_metadata", {"bundle_name": "us", "colour": 1}, "no column 'colour'"),
        ("store_metadata", {"bundle_name": "a/b"}, "bundle name"),
        ("store_quality_metrics", {"row_count": 1}, "name no bundle"),
        ("store_quality_metrics", {"bundle_name": "us", "source_type": "csv"}, "no column 'source_type'"),
    ],
)
def test_what_has_no_place_is_refused(own_home, method, given, why):
    with pytest.raises(RequestError, match=why):
        getattr(DataCatalog(), method)(given)


def test_older_metrics_than_those_stored_have_no_effect_as_they_were_never_answered(own_home):
    catalog = DataCatalog()
    catalog.store_quality_metrics({"bundle_name": "us", "row_count": 10, "validation_timestamp": 200})
    catalog.store_quality_metrics({"bundle_name": "us", "row_count": 99, "validation_timestamp": 100})
    assert catalog.get_quality_metrics("us")["row_count"] == 10
    catalog.store_quality_metrics({"bundle_name": "us", "row_count": 11, "validation_timestamp": 200})
    assert catalog.get_quality_metrics("us")["row_count"] == 11
    catalog.store_quality_metrics({"bundle_name": "us", "row_count": 3, "start_date": None, "missing_days_list": ["2024-01-04"]})  # fmt: skip
    found = catalog.get_quality_metrics("us")
    assert (found["row_count"], found["start_date"], found["end_date"]) == (3, None, None)
    assert found["missing_days_list"] == '["2024-01-04"]'
    assert found["validation_timestamp"] > 200


def test_the_catalog_of_a_bundle_is_read(old_bundle, own_home):
    catalog = ParquetMetadataCatalog(str(old_bundle))
    assert catalog.get_all_symbols()[0] == {
        "symbol_id": 1,
        "dataset_id": 1,
        "symbol": "BTC/USDT",
        "asset_type": "crypto",
        "exchange": "binance",
    }
    assert [row["symbol"] for row in catalog.get_all_symbols()] == ["BTC/USDT", "BTC/USDT", "ETH/USDT"]
    assert (catalog.count_symbols(), catalog.count_symbols(1), catalog.count_symbols(2)) == (2, 1, 2)
    assert [entry["cache_key"] for entry in catalog.get_cache_entries()] == ["early", "late"]
    assert catalog.get_cache_entries()[0]["checksum"] == "dd"
    assert [row["hit_count"] for row in catalog.get_cache_statistics()] == [1, 5]
    assert (catalog.find_dataset("ccxt", "1h"), catalog.find_dataset("yfinance", "1h")) == (2, None)
    assert catalog.get_dataset_info(2)["resolution"] == "1h"
    assert catalog.get_dataset_info(3) is None
    assert (catalog.get_date_range(1), catalog.get_date_range(2)) == ({"start_date": 5, "end_date": 7}, None)
    assert (catalog.get_checksum("a.parquet"), catalog.get_checksum("b.parquet")) == ("bb", None)
    assert not own_home.exists()


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("create_dataset", ("ccxt", "1d")),
        ("add_symbol", (1, "BTC/USDT")),
        ("add_date_range", (1, JANUARY_2, JANUARY_3)),
        ("set_date_range", (1, JANUARY_2, JANUARY_3)),
        ("add_checksum", (1, "a.parquet", "aa")),
        ("add_cache_entry", ("key", 1, "a.parquet", None, 5)),
    ],
)
def test_nothing_is_written_to_the_catalog_of_a_bundle(old_bundle, method, given):
    with pytest.raises(RequestError, match="only read") as caught:
        getattr(ParquetMetadataCatalog(old_bundle), method)(*given)
    assert f"rustybt migrate --root {old_bundle.parents[2]} " in caught.value.hint


def test_bundles_below_data_bundles_belong_to_the_root_above_as_well(tmp_path):
    path = write(tmp_path / "root" / "data" / "bundles" / "us" / "metadata.db", PARQUET_CATALOG)
    with pytest.raises(RequestError) as caught:
        ParquetMetadataCatalog(path).create_dataset("csv", "1d")
    assert f"--root {tmp_path / 'root'} " in caught.value.hint


def test_a_path_in_another_home_means_that_home(store):
    ingest_frame(frame_of_bars([("A", "2024-01-02", "1")]), bundle="there", store=store)
    catalog = ParquetMetadataCatalog(store.home / "there" / "metadata.db")
    assert [row["symbol"] for row in catalog.get_all_symbols()] == ["A"]
    assert catalog.get_date_range(86_400) == {"start_date": JANUARY_2, "end_date": JANUARY_2}
    assert BundleMetadata.get("there") is None


def test_what_the_catalog_of_a_bundle_has_no_place_for_is_refused(own_home, tmp_path):
    catalog = ParquetMetadataCatalog(tmp_path / "data" / "us" / "metadata.db")
    with pytest.raises(RequestError, match="unknown frequency"):
        catalog.create_dataset("csv", "fortnight")
    with pytest.raises(RequestError, match="schema is not chosen"):
        catalog.create_dataset("csv", "1d", 2)
    dataset = catalog.create_dataset("csv", "1d")
    with pytest.raises(RequestError, match="needs both sides"):
        catalog.set_date_range(dataset, "2024-01-02", None)
    with pytest.raises(BundleNameError):
        ParquetMetadataCatalog(tmp_path / "con" / "metadata.db")
    assert not (tmp_path / "data").exists()
