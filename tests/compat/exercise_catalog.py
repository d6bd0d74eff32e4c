"""`DataCatalog`, as code of its time used it, over the home's database."""

from rustybt.data.bundles.metadata import BundleMetadata
from rustybt.data.catalog import DataCatalog
from rustybt.data.sources.frame import ingest_frame
from rustybt.testing.bars import frame_of_bars
from tests.compat.exercises import exercise

CATALOG = "rustybt.data.catalog.DataCatalog"
JANUARY_2, JANUARY_3 = 1_704_153_600, 1_704_240_000


@exercise(CATALOG, f"{CATALOG}.store_metadata", f"{CATALOG}.get_bundle_metadata")
def metadata_that_is_stored_is_there(own_home):
    stored = {
        "bundle_name": "my bundle",
        "source_type": "yfinance",
        "source_url": None,
        "api_version": "v8",
        "fetch_timestamp": 1_700_000_000,
        "data_version": "2023-11",
        "checksum": "ab12",
        "timezone": "America/New_York",
    }
    catalog = DataCatalog()
    catalog.store_metadata(stored)
    found = catalog.get_bundle_metadata("my bundle")
    assert {key: found.pop(key) for key in stored} == stored
    assert set(found) == {"created_at", "updated_at"}
    assert BundleMetadata.get("my bundle")["file_checksum"] == "ab12"
    assert catalog.get_bundle_metadata("another") is None


@exercise(
    CATALOG,
    f"{CATALOG}.store_quality_metrics",
    f"{CATALOG}.get_quality_metrics",
    f"{CATALOG}.store_metadata",
)
def the_newest_quality_metrics_are_answered(own_home):
    catalog = DataCatalog()
    catalog.store_metadata({"bundle_name": "us", "source_type": "csv"})
    assert catalog.get_quality_metrics("us") is None
    metrics = {
        "bundle_name": "us",
        "row_count": 2,
        "start_date": JANUARY_2,
        "end_date": JANUARY_3,
        "missing_days_count": 1,
        "missing_days_list": '["2024-01-04"]',
        "outlier_count": 3,
        "ohlcv_violations": 4,
        "validation_timestamp": 1_710_000_000,
        "validation_passed": False,
    }
    catalog.store_quality_metrics({**metrics, "row_count": 1, "validation_timestamp": 1_700_000_000})
    catalog.store_quality_metrics(metrics)
    assert catalog.get_quality_metrics("us") == metrics


@exercise(CATALOG, f"{CATALOG}.list_bundles")
def bundles_are_listed_by_source_and_date(own_home):
    ingest_frame(frame_of_bars([("A", "2024-01-02", "1"), ("A", "2024-01-03", "2")]), bundle="b")
    ingest_frame(frame_of_bars([("A", "2020-01-02", "1")]), bundle="a")
    BundleMetadata.update("a", source_type="ccxt")
    catalog = DataCatalog()
    listed = catalog.list_bundles()
    assert [row["bundle_name"] for row in listed] == ["a", "b"]
    assert {key: listed[1][key] for key in ("source_type", "row_count", "start_date", "end_date")} == {
        "source_type": "frame",
        "row_count": 2,
        "start_date": JANUARY_2,
        "end_date": JANUARY_3,
    }
    assert [row["bundle_name"] for row in catalog.list_bundles(source_type="ccxt")] == ["a"]
    assert [row["bundle_name"] for row in catalog.list_bundles(start_date="2024-01-03")] == ["b"]
    assert [row["bundle_name"] for row in catalog.list_bundles(None, "2019-01-01", "2024-01-01")] == ["a"]
