"""Bad values in CSV files: a row set aside with its reason, or a typed error; symbols are data."""

import gzip
import os
import sys
import zlib
from pathlib import Path

import pytest

from rustybt.data.sources import CSVDataSource, DataQualityWarning
from rustybt.errors import (
    DataQualityError,
    RequestError,
    SymbolNotFoundError,
)

HEADER = "date,open,high,low,close,volume\n"
GOOD = "2020-01-02,10,11,9,10.5,100\n"
NEXT = "2020-01-03,10,11,9,10.5,100\n"


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "close is missing"),
        ("abc", "close is not a number"),
        ("1,5", "too many fields"),
        ("nan", "close is not finite"),
        ("NaN", "close is not finite"),
        ("inf", "close is not finite"),
        ("-Infinity", "close is not finite"),
        ("1e400", "close is not finite"),
        ("0.1234567890123456789", "close has more than 18 decimals"),
        ("123456789012345678901", "close has more than 20 integer digits"),
        ("0x1F", "close is not a number"),
    ],
)
def test_a_value_that_is_no_number_sets_its_row_aside(ingested, value, reason):
    report = ingested(HEADER + GOOD + f"2020-01-03,10,11,9,{value},100\n")
    assert report.rows == 1
    assert report.quarantined == {reason: 1}
    assert report.examples[0].location == "A.csv:3"


def test_an_empty_volume_is_zero_and_flagged(ingested):
    report = ingested(HEADER + "2020-01-02,10,11,9,10.5,\n" + NEXT)
    assert report.rows == 2
    assert report.quality.missing_volume_count == 1


def test_a_volume_that_is_no_number_sets_its_row_aside_beside_an_empty_one(ingested):
    report = ingested(HEADER + "2020-01-02,10,11,9,10.5,\n2020-01-03,10,11,9,10.5,many\n")
    assert report.quarantined == {"volume is not a number": 1}


def test_high_below_low_sets_the_row_aside(ingested):
    report = ingested(HEADER + GOOD + "2020-01-03,10,9,11,10,100\n")
    assert "high below low" in report.quarantined


def test_a_negative_price_sets_the_row_of_an_equity_aside(ingested):
    report = ingested(HEADER + GOOD + "2020-01-03,-10,-9,-11,-10,100\n")
    assert report.quarantined == {"negative price": 1}


@pytest.mark.parametrize("asset_type", ["future", "commodity"])
def test_a_negative_price_is_legal_for_futures_and_commodities(ingested, asset_type):
    report = ingested(HEADER + "2020-04-20,-10,-9,-40.32,-37.63,100\n", name="CL.csv", asset_type=asset_type)
    assert report.rows == 1
    assert report.quality.negative_price_count == 1


def test_duplicate_timestamps_keep_the_last_and_set_the_other_aside(ingested, store):
    report = ingested(HEADER + GOOD + "2020-01-02,10,11,9,10.75,100\n" + NEXT + NEXT)
    assert report.rows == 2
    assert report.quarantined == {"duplicate timestamp with other values": 1}
    assert report.quality.duplicates == 1
    with store.open("us") as bundle:
        assert str(bundle.read()["close"][0]).rstrip("0") == "10.75"


def test_unsorted_rows_are_sorted(ingested, store):
    assert ingested(HEADER + NEXT + GOOD).rows == 2
    with store.open("us") as bundle:
        assert bundle.read()["timestamp"].is_sorted()


@pytest.mark.parametrize("day", ["1677-09-21", "2300-01-01"])
def test_a_date_outside_the_supported_centuries_sets_its_row_aside(ingested, day):
    report = ingested(HEADER + GOOD + f"{day},10,11,9,10.5,100\n")
    assert report.rows == 1
    assert any("date out of range" in reason for reason in report.quarantined)


@pytest.mark.parametrize("day", ["2020-02-30", "2020-13-01", "tomorrow", "99999-01-01"])
def test_a_date_that_is_none_sets_its_row_aside(ingested, day):
    report = ingested(HEADER + GOOD + f"{day},10,11,9,10.5,100\n")
    assert report.quarantined == {"timestamp is not a date": 1}


def test_a_missing_date_sets_its_row_aside(ingested):
    assert ingested(HEADER + GOOD + ",10,11,9,10.5,100\n").quarantined == {"timestamp is missing": 1}


def test_an_end_before_the_start_is_refused(write, store):
    with pytest.raises(RequestError, match="before the start"):
        CSVDataSource(write("A.csv")).ingest_to_bundle("us", None, "2021-01-01", "2020-01-01", store=store)


def test_strict_aborts_on_the_first_kind_of_bad_row_and_leaves_nothing(write, store):
    source = CSVDataSource(write("A.csv", HEADER + GOOD + "2020-01-03,x,11,9,10.5,100\n"))
    with pytest.raises(DataQualityError, match="1 rows: open is not a number; first: A 2020-01-03"):
        source.ingest_to_bundle("us", store=store, strict=True)
    assert store.list_bundles() == []


def test_a_fetch_warns_of_rows_it_leaves_out(write):
    source = CSVDataSource(write("A.csv", HEADER + GOOD + "2020-01-03,x,11,9,10.5,100\n"))
    with pytest.warns(DataQualityWarning, match="1 rows: open is not a number; first: A 2020-01-03"):
        assert source.fetch_sync(["A"]).height == 1


def test_a_fetch_warns_of_symbols_it_leaves_out(write):
    source = CSVDataSource(write("A.csv"))
    with pytest.warns(DataQualityWarning, match="no symbol 'B'"):
        source.fetch_sync(["A", "B"])


def test_a_fetch_raises_when_every_symbol_fails(write):
    source = CSVDataSource(write("A.csv"))
    with pytest.raises(SymbolNotFoundError, match=r"'X'.*'Y'"):
        source.fetch_sync(["X", "Y"])


# -- symbols are data ------------------------------------------------------------------------------------------------

ODD_SYMBOLS = [
    "BTC/USDT",
    "BRK.B",
    "^GSPC",
    "ES=F",
    "=cmd|x",
    "🚀",
    "é",
    'A"; DROP TABLE assets; --',
    "../../etc/passwd",
]


def test_odd_symbols_in_a_column_are_data(ingested, store):
    quoted = ['"' + symbol.replace('"', '""') + '"' for symbol in ODD_SYMBOLS]
    report = ingested("symbol," + HEADER + "".join(f"{symbol},{GOOD}" for symbol in quoted), name="all.csv")
    assert report.symbols == tuple(sorted(ODD_SYMBOLS))
    assert not report.failures
    with store.open("us") as bundle:
        assert set(bundle.symbols) == set(ODD_SYMBOLS)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses most of these names")
def test_odd_symbols_as_file_names_are_data(write, store, tmp_path):
    names = [symbol for symbol in ODD_SYMBOLS if "/" not in symbol]
    for name in names:
        write(f"d/{name}.csv", HEADER + GOOD)
    report = CSVDataSource(tmp_path / "d").ingest_to_bundle("us", store=store)
    assert report.symbols == tuple(sorted(names))


def test_twins_in_unicode_are_two_symbols_each_kept_as_given(ingested):
    composed, decomposed = "\u00e9", "e\u0301"
    report = ingested("symbol," + HEADER + f"{decomposed},{GOOD}{composed},{GOOD}", name="all.csv")
    assert report.symbols == (decomposed, composed)
    assert not report.failures


def test_asking_for_the_other_twin_names_the_one_there_is(write):
    with pytest.raises(SymbolNotFoundError) as caught:
        CSVDataSource(write("A.csv", "symbol," + HEADER + f"\u00e9,{GOOD}")).fetch_sync(["e\u0301"])
    assert "did you mean \u00e9?" in caught.value.hint


def test_rows_without_a_usable_symbol_are_set_aside(ingested):
    content = "symbol," + HEADER + f"A,{GOOD},{GOOD}  ,{NEXT}B\x07,{GOOD}{'x' * 65},{GOOD}"
    report = ingested(content, name="all.csv")
    assert report.symbols == ("A",)
    assert report.quarantined == {"symbol is missing": 2, "symbol is not usable": 2}


def test_a_file_name_that_is_no_symbol_fails_alone(write, store, tmp_path):
    write("d/A.csv", HEADER + GOOD)
    write(f"d/{'x' * 65}.csv", HEADER + GOOD)
    report = CSVDataSource(tmp_path / "d").ingest_to_bundle("us", store=store)
    assert report.symbols == ("A",)
    assert "65 characters" in report.failures["x" * 65].message


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse the name")
def test_a_file_name_that_is_not_unicode_is_shown_readably(tmp_path, store):
    folder = os.fsencode(tmp_path / "d")
    (tmp_path / "d").mkdir()
    Path(os.fsdecode(folder + b"/A\xff.csv")).write_text(HEADER + GOOD)
    report = CSVDataSource(tmp_path / "d").ingest_to_bundle("us", store=store)
    assert report.symbols == ("A\\xff",)


# -- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"timezone": "Mars/Olympus"},
        {"date_format": "sometimes"},
        {"delimiter": "ab"},
        {"delimiter": '"'},
        {"encoding": "klingon"},
        {"encoding": "base64"},
        {"skip_lines": "many"},
        {"skip_lines": -1},
        {"bar_label": "middle"},
        {"asset_type": "painting"},
        {"price_basis": "guessed"},
        {"calendar": "MARS"},
        {"symbol": ""},
        {"column_map": {"a": "b"}},
        {"column_map": {"close": "x", "y": "close"}},
        {"actions": 7},
        {"actions": ["split"]},
        {"max_decompressed_bytes": "lots"},
    ],
)
def test_an_option_without_meaning_is_refused(write, options):
    with pytest.raises(RequestError):
        CSVDataSource(write("A.csv"), **options)


def test_a_mapped_column_that_is_not_there_is_refused(refused):
    error = refused(HEADER + GOOD, column_map={"close": "Last"})
    assert "no column 'Last', which is to be the close" in error.message


def test_a_mapped_column_that_is_there_twice_is_refused(refused):
    assert "twice" in refused("date,open,high,low,x,x\n2020-01-02,1,2,0,1,1\n", column_map={"close": "x"}).message


def test_a_damaged_deflate_stream_is_refused(refused):
    packed = bytearray(gzip.compress((HEADER + GOOD * 5_000).encode()))
    packed[60:90] = bytes(30)
    assert isinstance(refused(bytes(packed), name="A.csv.gz").__cause__, zlib.error | EOFError | OSError)
