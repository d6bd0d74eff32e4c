"""Calls of the first design's `ParquetWriter`."""

from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest

from rustybt.data.bundles.store import bundle
from rustybt.data.polars import ParquetWriter
from rustybt.data.sources import DataQualityWarning
from rustybt.errors import RequestError
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars
from tests.compat.exercises import exercise

WRITER = "rustybt.data.polars.parquet_writer.ParquetWriter"
DAY = [("A", "2024-01-02", "1.5", "2.5", "1", "2", "10")]
MINUTE = [("A", "2024-01-02T14:30", "1.5", "2.5", "1", "2", "10")]
PRICES = {"open": [1.5], "high": [2.5], "low": [1.0], "close": [2.0], "volume": [10]}


def exact(values):
    return pl.Series([Decimal(str(value)) for value in values], dtype=pl.Decimal(18, 8))


def of(method, *what):
    return tuple(f"{WRITER}.{method}({part})" for part in what)


@exercise(f"{WRITER}(enable_metadata_catalog=)", *of("write_daily_bars", "compression=", "dataset_id=", "bundle_name="))
def keywords_without_effect_do_no_harm_to_days(own_home):
    writer = ParquetWriter(own_home / "us", enable_metadata_catalog=True)
    bars = frame_of_bars(DAY)
    written = writer.write_daily_bars(bars, compression="zstd", dataset_id=None, bundle_name="us")
    assert (written.name, written.version, written.rows_added) == ("us", 1, 1)
    with bundle("us") as opened:
        assert opened.read().equals(bars)


@exercise(*of("write_minute_bars", "compression=", "dataset_id=", "bundle_name="))
def keywords_without_effect_do_no_harm_to_minutes(own_home):
    writer = ParquetWriter(own_home / "us")
    bars = frame_of_bars(MINUTE)
    writer.write_minute_bars(bars, compression="lz4", dataset_id=7, bundle_name="other")
    with bundle("us") as opened:
        assert opened.frequencies == ("1m",)
        assert opened.read().equals(bars)


@exercise(*of("write_daily_bars", "source_metadata="))
def source_metadata_becomes_the_provenance_of_days(own_home):
    told = {
        "source_type": "yfinance",
        "source_url": "https://example.org/v8",
        "api_version": "v8",
        "data_version": "2024-01",
        "timezone": "America/New_York",
        "fetch_timestamp": 1_700_000_000,
    }
    writer = ParquetWriter(own_home / "us")
    writer.write_daily_bars(frame_of_bars(DAY), source_metadata=told)
    with bundle("us") as opened:
        assert {key: opened.provenance[key] for key in told} == told
        assert (opened.provenance.symbols, opened.provenance.number_rule) == (("A",), "decimal")
    for refused, why in (({"colour": "red"}, "no 'colour'"), ({"source_url": "x"}, "no source_type")):
        with pytest.raises(RequestError, match=why):
            writer.write_daily_bars(frame_of_bars(DAY), source_metadata=refused)
    with pytest.raises(RequestError, match="mean the same"):
        writer.write_daily_bars(frame_of_bars(DAY), source_metadata=told, provenance=Provenance("csv"))


@exercise(*of("write_minute_bars", "source_metadata="))
def source_metadata_becomes_the_provenance_of_minutes(own_home):
    ParquetWriter(own_home / "us").write_minute_bars(frame_of_bars(MINUTE), source_metadata={"source_type": "ccxt"})
    with bundle("us") as opened:
        assert (opened.provenance.source_type, opened.provenance.frequency) == ("ccxt", "1m")


@exercise(*of("write_daily_bars", "frame of old columns"))
def days_in_the_old_columns_are_converted(own_home):
    day = {"date": [date(2024, 1, 2)]}
    exact_prices = {name: exact(values) for name, values in PRICES.items()}
    for name, symbol, old_columns in (
        ("floats", "A", pl.DataFrame({**day, "symbol": ["A"], **PRICES})),
        ("sids", "24", pl.DataFrame({**day, "sid": [24], **exact_prices})),
        ("stamps", "A", pl.DataFrame({"timestamp": [datetime(2024, 1, 2)], "symbol": ["A"], **exact_prices})),
    ):
        ParquetWriter(own_home / name).write_daily_bars(old_columns)
        with bundle(name) as opened:
            assert opened.read().equals(frame_of_bars([(symbol, *DAY[0][1:])]))
            rule = "float64" if name == "floats" else "decimal"
            assert (opened.provenance.source_type, opened.provenance.number_rule) == ("frame", rule)
    # What is no bar is left out, and told.
    two = {name: [*values, *values] for name, values in {**day, **PRICES}.items()}
    old_columns = pl.DataFrame({**two, "symbol": ["A", "B"], "high": [2.5, 0.5]})
    with pytest.warns(DataQualityWarning, match="1 rows: high below open"):
        ParquetWriter(own_home / "bad").write_daily_bars(old_columns)
    with bundle("bad") as opened:
        assert opened.symbols == ("A",)


@exercise(*of("write_minute_bars", "frame of old columns"))
def minutes_in_the_old_columns_are_converted(own_home):
    old_columns = pl.DataFrame({"timestamp": [datetime(2024, 1, 2, 14, 30)], "symbol": ["A"], **PRICES})
    ParquetWriter(own_home / "us").write_minute_bars(old_columns)
    with bundle("us") as opened:
        assert opened.frequencies == ("1m",)
        assert opened.read().equals(frame_of_bars(MINUTE))
