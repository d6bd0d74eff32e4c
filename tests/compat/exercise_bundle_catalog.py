"""`ParquetMetadataCatalog`, as code of its time used it, over the home's database."""

import hashlib

import pytest

from rustybt.data.bundles.metadata import BundleMetadata
from rustybt.data.polars import ParquetMetadataCatalog
from rustybt.data.sources.frame import ingest_frame
from rustybt.errors import RequestError
from rustybt.testing.bars import frame_of_bars
from tests.compat.exercises import exercise

CATALOG = "rustybt.data.polars.metadata_catalog.ParquetMetadataCatalog"
DAY = 86_400
JANUARY_2, JANUARY_3 = 1_704_153_600, 1_704_240_000


def of(*methods):
    return (CATALOG, *(f"{CATALOG}.{method}" for method in methods))


def ingested():
    bars = frame_of_bars([("A", "2024-01-02", "1"), ("A", "2024-01-03", "2"), ("B", "2024-01-03", "3")])
    ingest_frame(bars, bundle="us")


@exercise(*of("create_dataset", "find_dataset", "get_dataset_info"))
def a_dataset_is_a_frequency_of_the_bundle(own_home):
    catalog = ParquetMetadataCatalog(own_home / "us" / "metadata.db")
    assert catalog.find_dataset("yfinance", "1d") is None
    created = catalog.create_dataset("yfinance", "1d", schema_version=1)
    assert catalog.find_dataset("yfinance", "1d") == created
    assert catalog.find_dataset("ccxt", "1d") is None
    info = catalog.get_dataset_info(created)
    assert (info["source"], info["resolution"], info["schema_version"]) == ("yfinance", "1d", 1)
    ingested()
    assert catalog.get_dataset_info(60) is None
    assert catalog.find_dataset("frame", "1d") == created
    assert not (own_home / "us" / "metadata.db").exists()


@exercise(*of("create_dataset", "add_symbol", "get_all_symbols", "count_symbols"))
def symbols_are_those_of_the_bundle(own_home):
    catalog = ParquetMetadataCatalog(own_home / "crypto" / "metadata.db")
    dataset = catalog.create_dataset("ccxt", "1h")
    catalog.add_symbol(dataset, "ETH/USDT")
    first = catalog.add_symbol(dataset, "BTC/USDT", "crypto", "binance")
    assert catalog.add_symbol(dataset, "BTC/USDT", "crypto", "kraken") == first
    assert catalog.get_all_symbols() == [
        {"symbol": "BTC/USDT", "asset_type": "crypto", "exchange": "kraken"},
        {"symbol": "ETH/USDT", "asset_type": None, "exchange": None},
    ]
    assert BundleMetadata.get_symbols("crypto")[0]["exchange"] == "kraken"
    assert catalog.count_symbols() == 2
    assert catalog.count_symbols(dataset) == 2
    ingested()
    us = ParquetMetadataCatalog(own_home / "us" / "metadata.db")
    assert us.count_symbols(DAY) == 2
    with pytest.raises(RequestError, match="no dataset 60"):
        us.add_symbol(60, "A")


@exercise(*of("create_dataset", "add_date_range", "set_date_range", "get_date_range"))
def dates_are_recorded_for_a_bundle_without_bars_and_known_of_one_with(own_home):
    catalog = ParquetMetadataCatalog(own_home / "new" / "metadata.db")
    dataset = catalog.create_dataset("csv", "1d")
    assert catalog.get_date_range(dataset) is None
    catalog.add_date_range(dataset, "2024-01-02", "2024-01-05")
    catalog.set_date_range(dataset, JANUARY_2, JANUARY_3 + DAY - 1)
    assert catalog.get_date_range(dataset) == {"start_date": JANUARY_2, "end_date": JANUARY_3}
    ingested()
    us = ParquetMetadataCatalog(own_home / "us" / "metadata.db")
    assert us.get_date_range(DAY) == {"start_date": JANUARY_2, "end_date": JANUARY_3}
    us.add_date_range(DAY, "2024-01-02", "2024-01-03")
    with pytest.raises(RequestError, match="do not begin and end"):
        us.set_date_range(DAY, "2024-01-02", "2024-01-04")


@exercise(*of("add_checksum", "get_checksum"))
def checksums_are_those_of_the_files(own_home):
    ingested()
    (path,) = (own_home / "us" / "daily_bars").iterdir()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    catalog = ParquetMetadataCatalog(own_home / "us" / "metadata.db")
    assert catalog.get_checksum(path) == sha256
    assert catalog.get_checksum("us/daily_bars/other.parquet") is None
    catalog.add_checksum(DAY, str(path), sha256)
    with pytest.raises(RequestError, match="was written with SHA-256"):
        catalog.add_checksum(DAY, str(path), "0" * 64)
    with pytest.raises(RequestError, match="no file of bundle"):
        catalog.add_checksum(DAY, "other.parquet", "0" * 64)


@exercise(*of("add_cache_entry", "get_cache_entries", "get_cache_statistics"))
def cache_entries_are_those_of_the_bundle(own_home, tmp_path):
    ingested()
    file = tmp_path / "part.parquet"
    file.write_bytes(b"12345")
    sha256 = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"  # printf 12345 | sha256sum
    catalog = ParquetMetadataCatalog(own_home / "us" / "metadata.db")
    catalog.add_cache_entry("key", DAY, file, sha256)
    catalog.add_cache_entry("gone", DAY, tmp_path / "gone.parquet", size_bytes=7)
    with pytest.raises(RequestError, match="is not 00"):
        catalog.add_cache_entry("bad", DAY, file, "00")
    with pytest.raises(RequestError, match="there is no file"):
        catalog.add_cache_entry("bad", DAY, tmp_path / "gone.parquet", sha256)
    found = {entry["cache_key"]: entry for entry in catalog.get_cache_entries()}
    assert sorted(found) == ["gone", "key"]
    assert (found["key"]["checksum"], found["key"]["size_bytes"], found["key"]["dataset_id"]) == (sha256, 5, DAY)
    assert (found["gone"]["checksum"], found["gone"]["size_bytes"]) == (None, 7)
    assert found["key"]["parquet_path"] == str(file)
    BundleMetadata.increment_hit_count(3)
    BundleMetadata.increment_miss_count()
    (day,) = catalog.get_cache_statistics()
    assert (day["hit_count"], day["miss_count"]) == (3, 1)
