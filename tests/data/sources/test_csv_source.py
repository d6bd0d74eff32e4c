"""CSV files that are well: layouts, columns, orders, dates, zones, digits."""

import bz2
import gzip
import hashlib
import json
import lzma
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest

from rustybt.data.sources import CSVDataSource, csv_delivery, csv_reading, csv_spool, get_source, source_from_provenance
from rustybt.errors import BadResponseError, NotCoveredError, RequestError

HEADER = "date,open,high,low,close,volume\n"
DAY2 = "2020-01-02,10,11,9,10.5,100\n"
DAY3 = "2020-01-03,10,11,9,10.6,100\n"
DAY6 = "2020-01-06,10,11,9,10.7,100\n"
MINUTE = "2020-01-02 14:30,10,11,9,10.5,100\n2020-01-02 14:31,10,11,9,10.6,100\n"


def closes(frame):
    return [
        (row["symbol"], row["timestamp"].date().isoformat(), str(row["close"].normalize()))
        for row in frame.iter_rows(named=True)
    ]


def fetched(path, symbols, frequency="1d", start=None, end=None, **options):
    return CSVDataSource(path, **options).fetch_sync(symbols, start, end, frequency)


def stamps(frame):
    return [stamp.isoformat().replace("+00:00", "Z") for stamp in frame["timestamp"]]


# -- layouts ---------------------------------------------------------------------------------------------------------


def test_a_file_is_the_symbol_it_is_named_after(write):
    assert closes(fetched(write("BRK.B.csv", HEADER + DAY2), ["BRK.B"])) == [("BRK.B", "2020-01-02", "10.5")]


def test_the_symbol_of_a_file_may_be_given(write):
    path = write("download (1).csv", HEADER + DAY2)
    assert closes(fetched(path, ["BTC/USDT"], symbol="BTC/USDT", asset_type="crypto"))[0][0] == "BTC/USDT"


def test_a_directory_holds_one_symbol_a_file(write, tmp_path):
    write("d/B.csv", HEADER + DAY2)
    write("d/A.csv", HEADER + DAY3)
    write("d/.hidden.csv", "")
    write("d/notes.md", "")
    assert closes(fetched(tmp_path / "d", None)) == [("A", "2020-01-03", "10.6"), ("B", "2020-01-02", "10.5")]


def test_a_glob_reaches_below(write, tmp_path):
    write("d/x/A.csv", HEADER + DAY2)
    write("d/y/B.csv", HEADER + DAY2)
    assert CSVDataSource(tmp_path / "d" / "**" / "*.csv").list_symbols() == ["A", "B"]


def test_a_file_whose_name_looks_like_a_glob_is_itself(write):
    assert CSVDataSource(write("A[1].csv")).list_symbols() == ["A[1]"]


def test_only_the_symbols_asked_for_are_delivered(write, tmp_path):
    write("d/A.csv", HEADER + DAY2)
    write("d/B.csv", "broken")
    assert closes(fetched(tmp_path / "d", ["A"])) == [("A", "2020-01-02", "10.5")]


@pytest.mark.parametrize(
    "order",
    [
        ["A," + DAY2, "A," + DAY3, "B," + DAY2, "B," + DAY3],
        ["A," + DAY2, "B," + DAY2, "A," + DAY3, "B," + DAY3],
        ["B," + DAY3, "A," + DAY3, "B," + DAY2, "A," + DAY2],
    ],
    ids=["by symbol", "by date", "backwards"],
)
def test_a_long_file_may_be_in_any_order(write, order):
    found = fetched(write("all.csv", "Ticker," + HEADER + "".join(order)), None)
    assert [row[:2] for row in closes(found)] == [
        ("A", "2020-01-02"), ("A", "2020-01-03"), ("B", "2020-01-02"), ("B", "2020-01-03"),
    ]  # fmt: skip


def test_long_files_that_are_split_by_date_are_joined(write, tmp_path):
    write("d/2020-01-02.csv", "symbol," + HEADER + "A," + DAY2 + "B," + DAY2)
    write("d/2020-01-03.csv", "symbol," + HEADER + "B," + DAY3 + "A," + DAY3)
    write("d/2020-01-06.csv", "symbol," + HEADER)
    assert fetched(tmp_path / "d", None).height == 4


def test_a_file_without_symbol_column_among_long_ones_is_its_own_symbol(write, tmp_path):
    write("d/all.csv", "symbol," + HEADER + "A," + DAY2)
    write("d/B.csv", HEADER + DAY2)
    assert [row[0] for row in closes(fetched(tmp_path / "d", None))] == ["A", "B"]


def test_files_of_different_layouts_are_read_together(write, tmp_path):
    write("d/A.csv", HEADER + DAY2)
    write("d/B.csv", "Close;Open;High;Low;Time\n10,5;1;1;1;x\n".replace("10,5", "1").replace(";x", ";1577923200"))
    write("d/C.tsv", "date\topen\thigh\tlow\tclose\tvolume\n20200102\t10\t11\t9\t10.5\t1\n")
    assert [row[:2] for row in closes(fetched(tmp_path / "d", None))] == [(s, "2020-01-02") for s in "ABC"]


def test_two_files_of_one_symbol_are_joined(write, tmp_path):
    write("2019/A.csv", HEADER + DAY2)
    write("2020/A.csv", HEADER + DAY3)
    assert fetched(tmp_path / "*" / "A.csv", ["A"]).height == 2


# -- columns ---------------------------------------------------------------------------------------------------------


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


# -- digits ----------------------------------------------------------------------------------------------------------


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


# -- dates and zones -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "printed",
    [
        "2020-01-13", "2020/01/13", "2020.1.13", "20200113", "13/01/2020", "1/13/2020", "13.01.2020", "13-01-2020",
        "2020-01-13T00:00:00Z", "2020-01-13 00:00:00-05:00", "2020-01-13T23:59:59+14:00", "2020-01-13 16:00",
        "1578873600", "1578873600000", "1578873600000000", "1578873600000000000", "1578873600.0",
        "13-Jan-2020", '"Jan 13, 2020"', "13 January 2020", "20200113000000",
    ],
)  # fmt: skip
def test_the_date_as_printed_is_the_session(write, printed):
    found = fetched(write("A.csv", HEADER + f"{printed},10,11,9,10.5,1\n"), ["A"])
    assert stamps(found) == ["2020-01-13T00:00:00Z"]


@pytest.mark.parametrize(
    ("printed", "date_format"),
    [
        ("01/02/2020", "dmy"),
        ("02/01/2020", "mdy"),
        ("2020*02*01", "%Y*%m*%d"),
        ("1580515200", "unix_s"),
        ("1580515200.25", "unix_s"),
    ],
)
def test_a_date_format_can_be_named(write, printed, date_format):
    path = write("A.csv", HEADER + f"{printed},10,11,9,10.5,1\n")
    found = fetched(path, ["A"], date_format=date_format, calendar="24/7")
    assert stamps(found) == ["2020-02-01T00:00:00Z"]


def test_dates_that_may_be_day_or_month_first_are_not_guessed(write):
    with pytest.raises(RequestError, match="can be read day first or month first") as caught:
        fetched(write("A.csv", HEADER + "01/02/2020,10,11,9,10.5,1\n"), ["A"])
    assert "--date-format dmy" in caught.value.hint


def test_one_date_anywhere_decides_for_the_whole_column_and_the_other_files(write, tmp_path):
    row = ",10,11,9,10.5,1\n"
    write("d/A.csv", HEADER + f"02/01/2020{row}03/01/2020{row}")
    write("d/B.csv", HEADER + f"03/01/2020{row}13/01/2020{row}")
    assert stamps(fetched(tmp_path / "d", None)) == [
        "2020-01-02T00:00:00Z", "2020-01-03T00:00:00Z", "2020-01-03T00:00:00Z", "2020-01-13T00:00:00Z",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "printed", ["2-Jan-20", "Jan 2 2020", "Jan 2, 2020", "2 Jan 20", "02-Jan-2020", "January 2 2020"]
)
def test_months_by_name_leave_nothing_to_guess(write, printed):
    path = write("A.csv", HEADER + f'"{printed}",10,11,9,10.5,100\n3-Jan-2020,10,11,9,10.6,100\n')
    assert [day for _, day, _ in closes(fetched(path, ["A"]))] == ["2020-01-02", "2020-01-03"]


def test_dates_that_are_not_guessed_are_shown_as_printed(write):
    path = write("A.csv", HEADER + "03.02.2020,10,11,9,10.5,100\n")
    with pytest.raises(RequestError, match=r"such as 03\.02\.2020 in A\.csv"):
        fetched(path, ["A"])


@pytest.mark.parametrize(
    ("date", "time", "utc"),
    [
        ("20200102", "143000", "2020-01-02T14:30:00Z"),
        ("20200102", "93000", "2020-01-02T09:30:00Z"),
        ("2020-01-02", "1430", "2020-01-02T14:30:00Z"),
        ("20200102", "14:30", "2020-01-02T14:30:00Z"),
    ],
)
def test_a_date_and_a_time_of_digits_alone_are_read_together(write, date, time, utc):
    path = write("A.csv", f"<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\n{date},{time},10,11,9,10.5,100\n")
    assert stamps(fetched(path, ["A"], "1m")) == [utc]


def test_the_midnight_beside_a_daily_date_is_no_time(write):
    path = write("A.csv", "<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>\n20200102,000000,10,11,9,10.5\n")
    assert stamps(fetched(path, ["A"])) == ["2020-01-02T00:00:00Z"]


def test_a_source_shows_its_options():
    assert repr(CSVDataSource("/prices", currency="EUR")).endswith("currency='EUR')")


def test_the_order_is_found_in_long_files_as_well(write):
    row = ",10,11,9,10.5,1\n"
    found = fetched(write("all.csv", f"symbol,{HEADER}A,01/02/2020{row}B,01/13/2020{row}"), None)
    assert stamps(found) == ["2020-01-02T00:00:00Z", "2020-01-13T00:00:00Z"]


def test_files_that_disagree_on_the_order_are_refused(write, tmp_path):
    write("d/A.csv", HEADER + "01/13/2020,10,11,9,10.5,1\n")
    write("d/B.csv", HEADER + "13/01/2020,10,11,9,10.5,1\n")
    with pytest.raises(RequestError, match=r"B.csv has days first, A.csv months first"):
        fetched(tmp_path / "d", None)


@pytest.mark.parametrize(
    ("printed", "utc"),
    [
        ("2020-01-02 09:30:00", "2020-01-02T14:30:00Z"),
        ("2020-07-01T09:30", "2020-07-01T13:30:00Z"),
        ("2020-01-02T14:30:00Z", "2020-01-02T14:30:00Z"),
        ("2020-01-02 15:30:00+01:00", "2020-01-02T14:30:00Z"),
        ("2020-01-02T09:30:00.000-0500", "2020-01-02T14:30:00Z"),
        ("1/13/2020 9:30 AM", "2020-01-13T14:30:00Z"),
        ("1/13/2020 12:30 pm", "2020-01-13T17:30:00Z"),
        ("1577975400", "2020-01-02T14:30:00Z"),
        ("1577975400000", "2020-01-02T14:30:00Z"),
        ("202001020930", "2020-01-02T14:30:00Z"),
        ("20200102093000", "2020-01-02T14:30:00Z"),
    ],
)
def test_intraday_times_without_offset_are_of_the_zone_given(write, printed, utc):
    path = write("A.csv", HEADER + f"{printed},10,11,9,10.5,1\n")
    assert stamps(fetched(path, ["A"], "1m", timezone="America/New_York")) == [utc]


def test_intraday_times_without_offset_are_utc_by_default(write):
    assert stamps(fetched(write("A.csv", HEADER + MINUTE), ["A"], "1m")) == [
        "2020-01-02T14:30:00Z",
        "2020-01-02T14:31:00Z",
    ]


def test_times_in_the_hour_that_does_not_exist_or_exists_twice_are_set_aside(write, store):
    row = ",10,11,9,10.5,1\n"
    content = HEADER + f"2020-03-08 02:30{row}2020-11-01 01:30{row}2020-11-01 03:30{row}"
    source = CSVDataSource(write("A.csv", content), timezone="America/New_York", calendar="24/7")
    report = source.ingest_to_bundle("x", frequency="1m", store=store)
    assert report.quarantined == {
        "timestamp does not exist in America/New_York (clocks go forward)": 1,
        "timestamp occurs twice in America/New_York (clocks go back)": 1,
    }
    with store.open("x") as bundle:
        assert bundle.read(frequency="1m")["timestamp"].to_list() == [datetime(2020, 11, 1, 8, 30, tzinfo=UTC)]


def test_a_unix_time_means_the_date_in_the_zone_given(write):
    """16:00 UTC is midnight of the next day in Shanghai."""
    path = write("A.csv", HEADER + "1577980800,10,11,9,10.5,1\n")
    assert stamps(fetched(path, ["A"], timezone="Asia/Shanghai", calendar="XSHG")) == ["2020-01-03T00:00:00Z"]


def test_the_zone_never_shifts_a_printed_date(write):
    assert stamps(fetched(write("A.csv", HEADER + DAY2), ["A"], timezone="Asia/Tokyo")) == ["2020-01-02T00:00:00Z"]


def test_times_that_name_the_end_of_the_bar_move_back_by_one(write):
    found = fetched(write("A.csv", HEADER + MINUTE), ["A"], "5m", bar_label="close")
    assert stamps(found) == ["2020-01-02T14:25:00Z", "2020-01-02T14:26:00Z"]


def test_dates_without_time_are_no_intraday_bars(write):
    with pytest.raises(RequestError, match="dates without a time, which cannot be bars of 1m"):
        fetched(write("A.csv"), ["A"], "1m")


def test_several_times_a_day_are_no_daily_bars(write):
    rows = "".join(f"2020-01-02 14:{minute},10,11,9,10.5,1\n" for minute in range(30, 40))
    with pytest.raises(RequestError, match="several bars a day") as caught:
        fetched(write("A.csv", HEADER + rows), ["A"])
    assert "--frequency 1m" in caught.value.hint


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2020-01-03", "2020-01-03", ["10.6"]),
        (None, "2020-01-03", ["10.5", "10.6"]),
        ("2020-01-03", None, ["10.6", "10.7"]),
        ("2020-01-04", "2020-01-05", []),
    ],
)
def test_ranges_include_both_ends(write, start, end, expected):
    found = fetched(write("A.csv", HEADER + DAY2 + DAY3 + DAY6), ["A"], start=start, end=end)
    assert [row[2] for row in closes(found)] == expected


def test_bad_rows_outside_the_range_are_not_reported(write, store):
    path = write("A.csv", HEADER + "2019-01-02,x,1,1,1,1\n" + DAY2)
    report = CSVDataSource(path).ingest_to_bundle("us", None, "2020-01-01", store=store)
    assert report.rows_quarantined == 0


# -- what is recorded ------------------------------------------------------------------------------------------------


def test_the_provenance_names_the_file_with_its_hash_and_is_enough_to_run_again(write, store):
    path = write("A.csv", "Day,open,high,low,close,volume\n02/01/2020,10,11,9,10.5,100\n")
    actions = write("actions.csv", "symbol,kind,ex_date,ratio\nA,split,2020-01-02,2:1\n")
    source = CSVDataSource(
        path, column_map={"timestamp": "Day"}, date_format="dmy", timezone="Europe/Berlin", actions=actions
    )
    source.ingest_to_bundle("us", store=store)
    with store.open("us") as bundle:
        provenance = bundle.provenance
    assert provenance.number_rule == "text"
    assert provenance.source_url == str(path)
    assert provenance.timezone == "Europe/Berlin"
    assert provenance.files == {"A.csv": hashlib.sha256(path.read_bytes()).hexdigest()}
    again = source_from_provenance(provenance)
    assert again.options() == source.options()
    assert again.ingest_to_bundle("us", store=store).unchanged


def test_options_that_were_not_given_are_not_recorded(write):
    path = write("A.csv")
    assert CSVDataSource(path).options() == {"path": str(path)}
    assert json.dumps(CSVDataSource(path, asset_type="crypto", skip_lines="0").options())


def test_a_relative_path_is_recorded_whole(write, tmp_path, monkeypatch):
    write("A.csv")
    monkeypatch.chdir(tmp_path)
    assert CSVDataSource("A.csv").options()["path"] == str(tmp_path / "A.csv")


def test_the_hash_of_a_packed_file_is_of_its_own_bytes(write, store):
    path = write("all.csv.gz", gzip.compress(("symbol," + HEADER + "A," + DAY2).encode()) + b"\0" * 64)
    CSVDataSource(path).ingest_to_bundle("us", store=store)
    with store.open("us") as bundle:
        assert bundle.provenance.files == {"all.csv.gz": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_plan_names_files_symbols_and_what_will_fail(write, tmp_path):
    write("d/A.csv", HEADER + DAY2)
    write("d/B.csv", "")
    plan = get_source("csv", path=str(tmp_path / "d")).plan(None, "2020-01-01", "2020-01-31")
    assert plan.symbols == ("A",)
    assert plan.files == ("A.csv", "B.csv")
    assert dict(plan.failures) == {"B": "B.csv is empty"}
    assert plan.size_bytes == len(HEADER + DAY2)
    assert plan.to_json()["failures"] == {"B": "B.csv is empty"}


def test_a_plan_reads_the_symbols_of_a_column(write):
    path = write("all.csv", "symbol," + HEADER + "A," + DAY2 + "B," + DAY2)
    assert CSVDataSource(path).plan(["B", "C"]).symbols == ("B",)


def test_progress_tells_the_bytes_read(write, store):
    seen = []
    path = write("A.csv")
    CSVDataSource(path).ingest_to_bundle("us", store=store, progress=lambda *step: seen.append(step))
    assert seen[-1] == ("read", path.stat().st_size, path.stat().st_size)


# -- large inputs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_pieces(monkeypatch):
    """Make every limit so small that a few rows fill blocks, batches and memory."""
    monkeypatch.setattr(csv_reading, "BLOCK_BYTES", 200)
    monkeypatch.setattr(csv_reading.CsvBytes.__init__, "__defaults__", (None, 200))
    monkeypatch.setattr(csv_delivery, "BATCH_BYTES", 300)
    monkeypatch.setattr(csv_spool.Spool.__init__, "__defaults__", (2_000,))
    monkeypatch.setattr(csv_spool.Spool.drain, "__defaults__", (12,))


DAYS = ["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07", "2020-01-08"]
SYMBOLS = [f"S{n:02d}" for n in range(12)]


def expected_rows():
    return [
        (symbol, day, str(Decimal(f"10.{n + 1}{symbol[1:]}").normalize()))
        for symbol in SYMBOLS
        for n, day in enumerate(DAYS)
    ]


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("packed", [False, True])
def test_a_long_file_larger_than_memory_is_spilled_and_read_in_batches(write, packed):
    lines = [f"{symbol},{day},10,11,9,10.{n + 1}{symbol[1:]},100\n" for n, day in enumerate(DAYS) for symbol in SYMBOLS]
    text = ("symbol," + HEADER + "".join(lines)).encode()
    source = CSVDataSource(write("all.csv.gz", gzip.compress(text)) if packed else write("all.csv", text))
    deliveries = list(source.deliver(source.request(None)))
    assert len(deliveries) == 6
    assert [sorted(d.bars["symbol"].unique()) for d in deliveries] == [SYMBOLS[n : n + 2] for n in range(0, 12, 2)]
    assert closes(source.fetch_sync(None)) == expected_rows()
    assert closes(source.fetch_sync(["S03"])) == [row for row in expected_rows() if row[0] == "S03"]


@pytest.mark.usefixtures("small_pieces")
def test_many_files_are_read_in_batches(write, tmp_path):
    for symbol in SYMBOLS:
        rows = "".join(f'"{day}",10,11,9,10.{n + 1}{symbol[1:]},100\n' for n, day in enumerate(DAYS))
        write(f"d/{symbol}.csv", HEADER + rows)
    source = CSVDataSource(tmp_path / "d")
    assert len(list(source.deliver(source.request(None)))) == 12
    assert closes(source.fetch_sync(None)) == expected_rows()


@pytest.mark.usefixtures("small_pieces")
def test_line_numbers_hold_across_blocks(write, store):
    rows = [f"A,2020-01-{day:02d},10,11,9,10.5,100\n" for day in range(1, 29)]
    rows[20] = "A,2020-01-21,oops,11,9,10.5,100\n"
    rows[25] = "A,2020-01-26\n"
    report = CSVDataSource(write("all.csv", "symbol," + HEADER + "".join(rows)), calendar="24/7").ingest_to_bundle(
        "x", store=store
    )
    assert {row.location: row.reason for row in report.examples} == {
        "all.csv:22": "open is not a number",
        "all.csv:27": "too few fields",
    }


@pytest.mark.usefixtures("small_pieces")
def test_errors_in_later_blocks_name_their_line(write):
    text = (HEADER + DAY2 * 50).encode()
    with pytest.raises(BadResponseError, match="line 52 is not UTF-8"):
        fetched(write("A.csv", text + b"2020-01-03,\xe9\n" + DAY6.encode() * 20), ["A"])
    with pytest.raises(BadResponseError, match="line 52 holds a NUL byte"):
        fetched(write("A.csv", text + b"2020-01-03,\x00\n" + DAY6.encode() * 20), ["A"])


def test_a_range_of_a_long_file_without_bars_is_not_covered(write, store):
    path = write("all.csv", "symbol," + HEADER + "A," + DAY2)
    with pytest.raises(NotCoveredError):
        CSVDataSource(path).ingest_to_bundle("us", None, "2021-01-01", store=store)


def test_a_long_file_of_other_symbols_names_what_is_not_found(write):
    path = write("all.csv", "symbol," + HEADER + "AAPL," + DAY2)
    with pytest.raises(Exception, match="no symbol 'AAPPL'") as caught:
        fetched(path, ["AAPPL"])
    assert "AAPL" in caught.value.hint


def test_the_twin_of_a_symbol_is_not_read_with_it(write):
    path = write("all.csv", "symbol," + HEADER + f"e\u0301,{DAY2}\u00e9,{DAY3}")
    source = CSVDataSource(path)
    assert source.fetch_sync("\u00e9")["symbol"].to_list() == ["\u00e9"]
    assert source.fetch_sync("e\u0301")["symbol"].to_list() == ["e\u0301"]


def test_a_source_reads_through_the_registry_with_text_options(write):
    source = get_source("csv", path=str(write("A.csv", "x\n" + HEADER + DAY2)), skip_lines="1", max_field_bytes="1000")
    assert isinstance(source.fetch_sync("A"), pl.DataFrame)
    assert not source.supports_live()
