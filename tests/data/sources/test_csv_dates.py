"""Dates and times in CSV files: how they are printed, their zone, and the range asked for."""

from datetime import UTC, datetime

import pytest

from rustybt.data.sources import CSVDataSource
from rustybt.errors import RequestError
from tests.data.sources.csv_texts import DAY2, DAY3, DAY6, HEADER, MINUTE, closes, fetched, stamps

# -- dates ------------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    "printed", ["2-Jan-20", "Jan 2 2020", "Jan 2, 2020", "2 Jan 20", "02-Jan-2020", "January 2 2020"]
)
def test_months_by_name_leave_nothing_to_guess(write, printed):
    path = write("A.csv", HEADER + f'"{printed}",10,11,9,10.5,100\n3-Jan-2020,10,11,9,10.6,100\n')
    assert [day for _, day, _ in closes(fetched(path, ["A"]))] == ["2020-01-02", "2020-01-03"]


def test_the_midnight_beside_a_daily_date_is_no_time(write):
    path = write("A.csv", "<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>\n20200102,000000,10,11,9,10.5\n")
    assert stamps(fetched(path, ["A"])) == ["2020-01-02T00:00:00Z"]


# -- day or month first -----------------------------------------------------------------------------------------------


def test_dates_that_may_be_day_or_month_first_are_not_guessed(write):
    with pytest.raises(RequestError, match="can be read day first or month first") as caught:
        fetched(write("A.csv", HEADER + "01/02/2020,10,11,9,10.5,1\n"), ["A"])
    assert "--date-format dmy" in caught.value.hint


def test_dates_that_are_not_guessed_are_shown_as_printed(write):
    path = write("A.csv", HEADER + "03.02.2020,10,11,9,10.5,100\n")
    with pytest.raises(RequestError, match=r"such as 03\.02\.2020 in A\.csv"):
        fetched(path, ["A"])


def test_one_date_anywhere_decides_for_the_whole_column_and_the_other_files(write, tmp_path):
    row = ",10,11,9,10.5,1\n"
    write("d/A.csv", HEADER + f"02/01/2020{row}03/01/2020{row}")
    write("d/B.csv", HEADER + f"03/01/2020{row}13/01/2020{row}")
    assert stamps(fetched(tmp_path / "d", None)) == [
        "2020-01-02T00:00:00Z", "2020-01-03T00:00:00Z", "2020-01-03T00:00:00Z", "2020-01-13T00:00:00Z",
    ]  # fmt: skip


def test_the_order_is_found_in_long_files_as_well(write):
    row = ",10,11,9,10.5,1\n"
    found = fetched(write("all.csv", f"symbol,{HEADER}A,01/02/2020{row}B,01/13/2020{row}"), None)
    assert stamps(found) == ["2020-01-02T00:00:00Z", "2020-01-13T00:00:00Z"]


def test_files_that_disagree_on_the_order_are_refused(write, tmp_path):
    write("d/A.csv", HEADER + "01/13/2020,10,11,9,10.5,1\n")
    write("d/B.csv", HEADER + "13/01/2020,10,11,9,10.5,1\n")
    with pytest.raises(RequestError, match=r"B.csv has days first, A.csv months first"):
        fetched(tmp_path / "d", None)


# -- times and zones --------------------------------------------------------------------------------------------------


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


# -- ranges -----------------------------------------------------------------------------------------------------------


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
