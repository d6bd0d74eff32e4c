from decimal import Decimal

import polars as pl
import pyarrow.dataset as ds
import pytest

from rustybt.data.bundles.store import BundleStore, bundle
from rustybt.data.polars.parquet_writer import ParquetWriter
from rustybt.errors import BundleNameError, DataQualityError
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

DAILY = frame_of_bars([("B", "2024-01-02", "1.5"), ("A", "2024-01-02", "0.00000712"), ("A", "2024-01-03", "2")])


def test_the_last_part_of_the_path_is_the_bundle_and_its_parent_the_home(tmp_path):
    writer = ParquetWriter(str(tmp_path / "home" / "us"))
    result = writer.write_daily_bars(DAILY.reverse())
    assert (result.name, result.version, result.rows_added) == ("us", 1, 3)
    assert writer.output_path == tmp_path / "home" / "us" / "daily_bars"
    table = ds.dataset(writer.output_path).to_table()
    assert sorted(table["close"].to_pylist()) == [Decimal("0.00000712"), Decimal("1.5"), Decimal(2)]
    with bundle("us", home=tmp_path / "home") as opened:
        assert opened.read().equals(DAILY)
        assert (opened.provenance.source_type, opened.provenance.symbols) == ("frame", ("A", "B"))


def test_minutes_lie_beside_days(tmp_path):
    writer = ParquetWriter(tmp_path / "us")
    assert writer.output_path.name == "daily_bars"
    writer.write_daily_bars(DAILY)
    writer.write_minute_bars(frame_of_bars([("A", "2024-01-02T14:30", "1")]), provenance=Provenance("mine"))
    assert writer.output_path == tmp_path / "us" / "minute_bars"
    assert writer.write_bars(frame_of_bars([("A", "2024-01-02T14:00", "1")]), "1h", price_basis="unknown").version == 3
    assert writer.output_path == tmp_path / "us" / "bars_1h"
    with BundleStore(tmp_path) as store, store.open("us@2") as opened:
        assert opened.frequencies == ("1m", "1d")
        assert opened.provenance.source_type == "mine"


def test_each_write_is_a_version_and_equal_bars_are_none(tmp_path):
    writer = ParquetWriter(tmp_path / "us")
    writer.write_daily_bars(DAILY)
    assert writer.write_daily_bars(DAILY).unchanged
    assert writer.write_daily_bars(DAILY.filter(symbol="A")[:1], replace=True).rows_removed == 1


def test_what_is_not_of_the_contract_is_refused(tmp_path):
    writer = ParquetWriter(tmp_path / "home" / "us")
    for frame in (
        pl.DataFrame({"a": [1]}),
        DAILY.with_columns(pl.col("open").cast(pl.Float64)),
        pl.concat([DAILY, DAILY]),
    ):
        with pytest.raises(DataQualityError):
            writer.write_daily_bars(frame)
    assert not (tmp_path / "home").exists()
    with pytest.raises(BundleNameError):
        ParquetWriter(tmp_path / "CON")


def test_the_configured_home_is_the_default(own_home):
    ParquetWriter(own_home / "us").write_daily_bars(DAILY)
    with bundle("us") as opened:
        assert opened.read("A", "2024-01-03", "2024-01-03")["close"].to_list() == [Decimal(2)]


DAY = frame_of_bars([("A", "2024-01-02", "2", "3", "1", "2", "5")])


@pytest.mark.parametrize("moment", [-62_135_424_000_000_000, 7_258_118_400_000_000, -2_208_988_800_000_001, 2**62])
def test_a_year_that_could_not_be_listed_is_refused(tmp_path, moment):
    stamp = pl.Series("timestamp", [moment]).cast(pl.Datetime("us", "UTC"))
    with pytest.raises(DataQualityError, match="date out of range"):
        ParquetWriter(tmp_path / "us").write_minute_bars(DAY.with_columns(stamp))
    assert not (tmp_path / "us").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"high": "1"}, "high below open"),
        ({"low": "2.5"}, "low above open"),
        ({"volume": "-1"}, "negative volume"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(tmp_path, change, reason):
    odd = DAY.with_columns(pl.lit(Decimal(text)).cast(pl.Decimal(38, 18)).alias(name) for name, text in change.items())
    with pytest.raises(DataQualityError, match=f"A 2024-01-02 .*: {reason}"):
        ParquetWriter(tmp_path / "us").write_daily_bars(odd)
    assert not (tmp_path / "us").exists()


def test_a_daily_bar_with_a_time_of_day_is_refused(tmp_path):
    with pytest.raises(DataQualityError, match="not labelled at 00:00 UTC"):
        ParquetWriter(tmp_path / "us").write_daily_bars(frame_of_bars([("A", "2024-01-02T16:00", "1")]))


@pytest.mark.parametrize("thing", [None, [1], DAY.to_pandas()])
def test_what_is_no_polars_frame_is_refused(tmp_path, thing):
    with pytest.raises(DataQualityError, match="bars are a polars DataFrame, not"):
        ParquetWriter(tmp_path / "us").write_daily_bars(thing)
