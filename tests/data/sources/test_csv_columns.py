"""Columns of CSV files and the ways of writing them: names, separators, quotes, packing, digits."""

import bz2
import gzip
import lzma
from decimal import Decimal

import pyarrow as pa
import pytest

from rustybt.data.sources import CSVDataSource
from tests.data.sources.csv_texts import DAY2, HEADER, closes, fetched, stamps

# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "Date,Open,High,Low,Close,Volume",
        "DATETIME,OPEN,HIGH,LOW,CLOSE,VOL",
        "timestamp,open_price,high_price,low_price,close_price,volume",
        "<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
        " ts , o , h , l , c , v ",
        '"Open time","Open","High","Low","Close","Volume"',
        ",open,high,low,close,volume",
        "Date,Open,High,Low,Close/Last,Volume",
    ],
)
def test_usual_names_are_known(write, header):
    assert closes(fetched(write("A.csv", header + "\n" + DAY2), ["A"])) == [("A", "2020-01-02", "10.5")]


def test_columns_may_stand_in_any_order_and_further_ones_are_noted(write, store):
    path = write("A.csv", "Adj Close,Close,Low,High,Open,Date,Volume\n5,10.5,9,11,10,2020-01-02,100\n")
    report = CSVDataSource(path).ingest_to_bundle("us", store=store)
    assert report.rows == 1
    assert "columns not used: Adj Close" in report.notes


@pytest.mark.parametrize("column_map", [{"close": "Settle"}, {"Settle": "close"}, {"close": "SETTLE"}])
def test_columns_can_be_mapped_either_way_round(write, column_map):
    path = write("A.csv", "date,open,high,low,close,Settle,volume\n2020-01-02,10,11,9,1,10.25,100\n")
    assert closes(fetched(path, ["A"], column_map=column_map))[0][2] == "10.25"


def test_when_both_sides_of_a_map_are_fields_the_left_one_is_ours(write):
    path = write("A.csv", "date,open,high,low,close,volume\n2020-01-02,10,11,9,10.5,100\n")
    assert closes(fetched(path, ["A"], column_map={"close": "high"}))[0][2] == "11"


def test_date_and_time_in_two_columns_are_read_together(write):
    path = write("A.csv", "<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\n2020.01.02,14:30:00,10,11,9,10.5,1\n")
    assert stamps(fetched(path, ["A"], "1m")) == ["2020-01-02T14:30:00Z"]


# -- ways of writing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_separators_are_found(write, mark):
    assert fetched(write("A.csv", (HEADER + DAY2).replace(",", mark)), ["A"]).height == 1


def test_an_unusual_separator_can_be_named(write):
    assert fetched(write("A.csv", (HEADER + DAY2).replace(",", "~")), ["A"], delimiter="~").height == 1


def test_a_tab_can_be_spelled(write):
    assert fetched(write("A.csv", (HEADER + DAY2).replace(",", "\t")), ["A"], delimiter="\\t").height == 1


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + HEADER + DAY2,
        (HEADER + DAY2).replace("\n", "\r\n"),
        (HEADER + DAY2).replace("\n", "\r"),
        HEADER + DAY2.rstrip("\n"),
        HEADER + "\n" + DAY2 + "\n\n",
        HEADER + "\r\n" + DAY2 + "  \n",
        "# made by hand\n\n" + HEADER + DAY2,
        "\n".join('"' + line.replace(",", '","') + '"' for line in (HEADER + DAY2).splitlines()),
        "\n".join(line + "," for line in (HEADER + DAY2).splitlines()),
        HEADER + DAY2.replace("\n", ",\n"),
        "name," + HEADER + '"one\ntwo, ""three""",' + DAY2,
    ],
    ids=[
        "bom",
        "crlf",
        "cr",
        "no last end",
        "blank lines",
        "spaces",
        "comment",
        "quoted",
        "trailing",
        "trailing row",
        "quoted lines",
    ],
)
def test_ways_of_writing_the_same_row(write, content):
    assert closes(fetched(write("A.csv", content), ["A"])) == [("A", "2020-01-02", "10.5")]


def test_lines_before_the_header_can_be_skipped(write):
    assert fetched(write("A.csv", "https://example.com,x,y\n" + HEADER + DAY2), ["A"], skip_lines="1").height == 1


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        ("gz", gzip.compress),
        ("bz2", bz2.compress),
        ("xz", lzma.compress),
        ("zst", lambda data: pa.Codec("zstd").compress(data, asbytes=True)),
    ],
)
def test_packed_files_are_unpacked(write, suffix, pack):
    path = write(f"A.csv.{suffix}", pack((HEADER + DAY2).encode()))
    assert closes(fetched(path, ["A"])) == [("A", "2020-01-02", "10.5")]


# -- digits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("0.00000712", "0.00000712"),
        ("7.12e-06", "0.00000712"),
        ("7.12E-6", "0.00000712"),
        ("12345678901234", "12345678901234"),
        ("123456789.123456789", "123456789.123456789"),
        ("0.000000000000000001", "0.000000000000000001"),
        ("1.005", "1.005"),
        (" 10.50 ", "10.5"),
        ("+.5", "0.5"),
    ],
)
def test_numbers_come_back_digit_for_digit(write, store, printed, value):
    path = write("A.csv", HEADER + f"2020-01-02,{printed},{printed},{printed},{printed},{printed}\n")
    CSVDataSource(path).ingest_to_bundle("x", store=store)
    with store.open("x") as bundle:
        row = bundle.read().row(0, named=True)
    assert {row[name] for name in ("open", "high", "low", "close", "volume")} == {Decimal(value)}
