"""Digits: what went in comes out, for us and for any other reader of Parquet."""

from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rustybt.market.bars import VALUE_COLUMNS
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

SAID = Provenance("test")
HARD = [
    "0.00000712", "12345678901234", "0.00000001", "123456789.123456789", "-37.63", "0",
    "99999999999999999999.999999999999999999", "-99999999999999999999.999999999999999999", "0.000000000000000001",
    "9223372036854775807", "9223372036854775808", "0.1", "1.005",
]  # fmt: skip


@pytest.mark.parametrize("text", HARD)
def test_every_digit_comes_back(store, text):
    store.commit("x", frame_of_bars([("A", "2024-01-02", text)]), SAID)
    with store.open("x") as bundle:
        row = bundle.read().row(0)
        assert [format(value, "f") for value in row[2:]] == [format(Decimal(text), ".18f")] * 5
        arrays = bundle.read_arrays()
    assert [arrays.values[name].tolist() for name in VALUE_COLUMNS] == [[float(text)]] * 5


def test_numbers_of_every_size_live_in_one_file(store):
    rows = [("A", f"2024-02-{day:02d}", *[text] * 4, "12345678901234") for day, text in enumerate(HARD, 1)]
    store.commit("x", frame_of_bars(rows), SAID)
    with store.open("x") as bundle:
        assert bundle.read()["close"].to_list() == [Decimal(text) for text in HARD]
        assert bundle.read_arrays().values["close"].tolist() == [float(text) for text in HARD]


def bar_files(store, name="x"):
    return sorted((store.home / name).glob("*bars*/*.parquet"))


def test_another_reader_sees_the_same_decimals(store):
    rows = [("A", f"2024-01-{day:02d}", text) for day, text in enumerate(HARD, 1)]
    store.commit("x", frame_of_bars(rows), SAID)
    (path,) = bar_files(store)
    table = pq.read_table(path)
    assert pa.types.is_decimal(table.schema.field("close").type)
    assert table["close"].to_pylist() == [Decimal(text) for text in HARD]
    assert table["symbol"].to_pylist() == ["A"] * len(HARD)
    assert [stamp.isoformat() for stamp in table["timestamp"].to_pylist()[:1]] == ["2024-01-01T00:00:00+00:00"]


def test_prices_are_64_bit_integers_on_disk_while_18_digits_suffice(store):
    store.commit("x", frame_of_bars([("A", "2024-01-02", "187.15", "188.44", "183.885", "185.64", "82488700")]), SAID)
    (path,) = bar_files(store)
    schema = pq.ParquetFile(path).schema
    types = {column.name: (column.physical_type, str(column.logical_type)) for column in map(schema.column, range(7))}
    assert types["open"] == ("INT64", "Decimal(precision=18, scale=2)")
    assert types["low"] == ("INT64", "Decimal(precision=18, scale=3)")
    assert types["volume"] == ("INT64", "Decimal(precision=18, scale=0)")
    assert types["timestamp"][0] == "INT64"


def test_wider_numbers_take_128_bits_and_only_their_column(store):
    wide = "123456789012.123456789"
    store.commit("x", frame_of_bars([("A", "2024-01-02", "1", wide, "1", "1", "100")]), SAID)
    schema = pq.ParquetFile(bar_files(store)[0]).schema
    physical = {column.name: column.physical_type for column in map(schema.column, range(7))}
    assert (physical["high"], physical["open"], physical["volume"]) == ("FIXED_LEN_BYTE_ARRAY", "INT64", "INT64")


def test_files_of_different_scales_join_without_losing_a_digit(store):
    store.commit("x", frame_of_bars([("A", "2024-01-02", "1.25")]), SAID)
    store.commit("x", frame_of_bars([("A", "2024-01-03", "0.00000712")]), SAID)
    assert len(bar_files(store)) == 2
    with store.open("x") as bundle:
        frame = bundle.read()
        assert frame["close"].to_list() == [Decimal("1.25"), Decimal("0.00000712")]
        assert frame.schema["close"] == pl.Decimal(38, 18)
        assert bundle.read_arrays(fields=["close"]).values["close"].tolist() == [1.25, 0.00000712]
        assert bundle.scan().select(pl.col("close").sum()).collect().item() == Decimal("1.25000712")


def test_floats_are_the_nearest_to_the_stored_decimal(store):
    texts = ["0.1", "2.675", "123456789.123456789", "9007199254740993", "0.3", "1e-7", "4.35"]
    store.commit("x", frame_of_bars([("A", f"2024-01-{day:02d}", text) for day, text in enumerate(texts, 1)]), SAID)
    with store.open("x") as bundle:
        found = bundle.read_arrays(fields=("volume", "open"))
    assert list(found.values) == ["volume", "open"]
    assert found.values["open"].dtype == np.float64
    assert found.values["open"].tolist() == [float(text) for text in texts]
