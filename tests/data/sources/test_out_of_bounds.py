"""Timestamps, zones and shapes beyond what anybody means: set aside or refused with a reason, never a crash."""

import bz2
import gzip
import lzma
from datetime import UTC, date, datetime, timedelta, timezone

import pandas as pd
import polars as pl
import pytest

import rustybt as rb
from rustybt.data.sources import CSVDataSource
from rustybt.data.sources.csv.reading import Block, CsvBytes
from rustybt.data.sources.csv.table import parse_rows, read_header
from rustybt.errors import BadResponseError, RequestError, SymbolNotFoundError

HEADER = "date,open,high,low,close,volume\n"
VALUES = {"open": [1.0, 1.0], "high": [2.0, 2.0], "low": [0.5, 0.5], "close": [1.5, 1.5], "volume": [100, 200]}


def ingest(write, store, stamps, frequency="1d", **options):
    path = write("T.csv", HEADER + "".join(f"{stamp},1,2,0.5,1.5,100\n" for stamp in stamps))
    options = {"calendar": "24/7", "asset_type": "crypto", **options}
    return CSVDataSource(path, **options).ingest_to_bundle("us", frequency=frequency, store=store)


@pytest.mark.parametrize(
    "stamp",
    [
        "0000-01-01",
        "-0001-01-01",
        "0001-01-01",
        "9999-12-31",
        "+12024-01-01",
        "+262000-01-01",
        "1677-09-21",
        "2300-01-01",
    ],
)
def test_a_year_nobody_stores_is_set_aside_with_its_reason(write, store, stamp):
    report = ingest(write, store, ["2024-01-02", stamp])
    assert report.rows_quarantined == 1
    assert report.quality.quarantined["date out of range"] == 1
    assert store.open("us").read()["timestamp"].to_list() == [datetime(2024, 1, 2, tzinfo=UTC)]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", None])
def test_the_ends_of_the_calendar_survive_a_change_of_zone(write, store, zone):
    report = ingest(
        write, store, ["2024-01-02 00:00", "0001-01-01 00:00", "9999-12-31 23:59"], frequency="1m", timezone=zone
    )
    assert report.quality.quarantined["date out of range"] == 2


@pytest.mark.parametrize("count", ["8999999999999", "-8999999999999", "253402300800", "-62135596801"])
def test_unix_seconds_of_another_age_are_set_aside(write, store, count):
    report = ingest(
        write, store, ["1704153600", count], frequency="1m", date_format="unix_s", timezone="America/New_York"
    )
    assert report.quality.quarantined == {"date out of range": 1}


@pytest.mark.parametrize("offset", ["+25:00", "-25:00", "+16:01", "-00:60", "+05:99", "+9900"])
@pytest.mark.parametrize("good", ["2024-01-02T10:00:00Z", "2024-01-02T10:00Z"])
def test_an_offset_that_no_place_has_is_no_time(write, store, offset, good):
    report = ingest(write, store, [good, good.replace("10:00", "10:01").replace("Z", offset)], frequency="1m")
    assert report.quality.quarantined == {"timestamp is not a date": 1}


def test_offsets_at_the_edge_of_the_world_are_times(write, store):
    ingest(write, store, ["2024-01-02T10:00:00+14:00", "2024-01-02T10:00:00-12:00"], frequency="1m")
    found = store.open("us").read(frequency="1m")["timestamp"].to_list()
    assert found == [datetime(2024, 1, 1, 20, tzinfo=UTC), datetime(2024, 1, 2, 22, tzinfo=UTC)]


@pytest.mark.parametrize("zone", ["localtime", "posixrules", "Factory", "right/UTC"])
def test_a_zone_of_this_machine_alone_is_refused(write, zone):
    with pytest.raises(RequestError, match="unknown time zone"):
        CSVDataSource(write("T.csv", HEADER), timezone=zone)


# -- files that grow when they are unpacked ---------------------------------------------------------------------------

PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("kind", sorted(PACKERS))
def test_a_file_that_unpacks_to_hundreds_of_times_its_size_is_refused(write, store, kind, monkeypatch):
    monkeypatch.setattr("rustybt.data.sources.csv.reading._BOMB_BYTES", 2**20)
    text = HEADER + "2020-01-02,1,2,0.5,1.5,100\n" + "\n" * (8 * 2**20)
    with pytest.raises(BadResponseError, match=r"A\.csv\.\w+ unpacks to more than 200 times its size"):
        CSVDataSource(write(f"A.csv.{kind}", PACKERS[kind](text.encode()))).ingest_to_bundle("us", store=store)
    assert store.list_bundles() == []


@pytest.mark.parametrize("name", ["A.csv", "A.csv.gz"])
def test_blank_lines_take_no_memory_and_rows_keep_their_lines(write, store, name):
    rows = "2020-01-02,1,2,0.5,1.5,100\n" + "\n" * 3_000 + "2020-01-03,x,2,0.5,1.5,100\n" + "\r\n" * 3_000
    text = (HEADER + rows + "2020-01-06,1,2\n2020-01-07,1,2,0.5,1.5,7\n").encode()
    report = CSVDataSource(write(name, PACKERS["gz"](text) if name.endswith("gz") else text)).ingest_to_bundle(
        "us", store=store
    )
    assert report.rows_quarantined == 2
    assert store.open("us").read()["volume"].to_list() == [100, 7]


def test_lines_are_counted_over_blank_ones():
    data = b"\n" * 2_000 + b"1,2\n" + b"\r\n \n" * 1_000 + b"3\n4,5\n"
    header = read_header(Block(b"a,b\n", 1), "x.csv")
    table = parse_rows(data, header, {"a": 0, "b": 1}, "x.csv", 1)
    assert table.rows.rows() == [("1", "2", 2_000), ("4", "5", 4_002)]
    assert table.ragged == ((4_001, "too few fields", "3"),)
    assert table.line_count == 4_003


def test_a_large_file_is_read_in_blocks_as_it_would_be_at_once(write, store, monkeypatch):
    day = date(2010, 1, 1)
    rows = "".join(f"{day + timedelta(i)},{i + 1},{i + 2},{i + 0.5},{i + 1},{i}\n" for i in range(2_000))
    for name in ("A.csv", "B.csv"):
        write(f"prices/{name}", HEADER + rows)
    source = {"path": write("prices/C.csv", HEADER + rows + "2020-01-01,1\n").parent, "calendar": "24/7"}
    whole = CSVDataSource(**source).ingest_to_bundle("whole", store=store)
    monkeypatch.setattr("rustybt.data.sources.csv.input._JOINED_BYTES", 1_000)
    monkeypatch.setattr(CsvBytes.__init__, "__defaults__", (None, 4_096))
    blocks = CSVDataSource(**source).ingest_to_bundle("blocks", store=store)
    assert blocks.content_hash == whole.content_hash
    assert blocks.rows_quarantined == whole.rows_quarantined == 1


# -- quotes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("field", ['"1"2', '"1"00', '"1""2"3', '"1" 2'])
@pytest.mark.parametrize("other", ["", '"plain"', '"two\nlines"', '"a{0}"', '"say ""so"""', '6"x4" board'])
def test_what_stands_behind_a_closing_quote_is_not_joined_to_what_stands_before(write, store, field, other, separator):
    """A lenient reader makes 12 of "1"2: a number that nobody printed."""
    lines = [
        "date,open,high,low,close,volume,note",
        f"2020-01-02,1,2,0.5,1.5,{field},x",
        f"2020-01-03,1,2,0.5,1.5,7,{other.format(separator)}",
    ]
    text = "\n".join(line.replace(",", separator) if '"a' not in line else line for line in lines)
    if separator == ";" and '"a' in text:
        text = text.replace("2020-01-03,1,2,0.5,1.5,7,", "2020-01-03;1;2;0.5;1.5;7;")
    report = CSVDataSource(write("A.csv", text + "\n")).ingest_to_bundle("us", store=store)
    assert report.rows_quarantined == 1
    assert store.open("us").read()["volume"].to_list() == [7]


def test_well_formed_quotes_are_as_good_as_none(write, store):
    plain = HEADER + "2020-01-02,1,2,0.5,1.5,100\n2020-01-03,1,2,0.5,1.5,7\n"
    quoted = '"' + plain.replace(",", '","').replace("\n", '"\n"').removesuffix('"')
    spaced = plain.replace("100\n", '"100" \n')
    hashes = {
        CSVDataSource(write(f"{n}/A.csv", text)).ingest_to_bundle(f"b{n}", store=store).content_hash
        for n, text in enumerate((plain, quoted, quoted.replace("\n", "\r\n"), quoted.rstrip("\n"), spaced))
    }
    assert len(hashes) == 1


# -- frames -----------------------------------------------------------------------------------------------------------


def test_a_pandas_frame_with_a_fixed_offset_keeps_the_days_it_shows(store):
    zone = timezone(timedelta(hours=5, minutes=30))
    stamps = [datetime(2024, 1, 2, tzinfo=zone), datetime(2024, 1, 3, tzinfo=zone)]
    rb.ingest_frame(pd.DataFrame({"date": stamps, "symbol": "A", **VALUES}), "us", store=store)
    assert [t.day for t in store.open("us").read()["timestamp"]] == [2, 3]


def test_a_pandas_column_of_mixed_offsets_keeps_the_days_it_shows(store):
    stamps = [datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=h))) for h in (9, -9)]
    frame = pd.DataFrame({"date": pd.Series(stamps, dtype=object), "symbol": ["A", "B"], **VALUES})
    rb.ingest_frame(frame, "us", store=store)
    assert [t.day for t in store.open("us").read()["timestamp"]] == [2, 2]


def test_row_numbers_left_by_a_filter_or_a_concat_are_no_symbols(store):
    one = pd.DataFrame({"date": ["2024-01-02", "2024-01-03"], "symbol": "A", **VALUES})
    rb.ingest_frame(pd.concat([one, one.assign(symbol="B")]), "joined", store=store)
    assert store.open("joined").symbols == ("A", "B")
    filtered = one.drop(columns="symbol")[one["volume"] > 100]
    rb.ingest_frame(filtered, "filtered", symbol="A", store=store)
    assert store.open("filtered").symbols == ("A",)
    with pytest.raises(RequestError, match="no symbol column"):
        rb.ingest_frame(filtered, "nobody", store=store)


def test_a_pandas_column_that_comes_twice_is_refused():
    frame = pd.DataFrame([[1, 2]], columns=["close", "close"])
    with pytest.raises(RequestError, match="the column 'close' twice"):
        rb.ingest_frame(frame, "us")


@pytest.mark.parametrize("thing", [pd.Series([1, 2]), pl.Series([1, 2])])
def test_a_series_is_no_frame(thing):
    with pytest.raises(RequestError, match="Series is no frame"):
        rb.ingest_frame(thing, "us")


def test_an_empty_frame_among_others_fails_alone(store):
    good = pd.DataFrame({"date": ["2024-01-02", "2024-01-03"], **VALUES})
    report = rb.ingest_frame({"A": good, "B": pd.DataFrame()}, "us", store=store)
    assert store.open("us").symbols == ("A",)
    assert isinstance(report.failures["B"], SymbolNotFoundError)
    assert report.exit_code == 3


def test_a_broken_frame_among_others_is_named():
    with pytest.raises(BadResponseError, match="the frame of 'B' has no column for"):
        rb.ingest_frame({"B": pd.DataFrame({"x": [1]})}, "us")
