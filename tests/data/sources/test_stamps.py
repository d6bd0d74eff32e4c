"""Printed timestamps, column by column; expected values by hand."""

import polars as pl
import pytest

from rustybt.data.sources.reading.stamp_formats import check_date_format, family_of, leading_numbers
from rustybt.data.sources.reading.stamps import StampRules
from rustybt.errors import RequestError
from rustybt.market.frequency import DAILY, MINUTE


def labels(texts, frequency=DAILY, order=None, **rules):
    found = StampRules(frequency, **rules).read(pl.Series(texts, dtype=pl.String), order)
    return [
        None if label is None else label.strftime("%Y-%m-%d %H:%M:%S.%f")[:23].removesuffix(".000")
        for label in found.labels
    ]


def reasons(texts, frequency=DAILY, **rules):
    found = StampRules(frequency, **rules).read(pl.Series(texts, dtype=pl.String))
    return [None] * len(texts) if found.bad is None else found.bad.to_list()


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("2020-01-02", "iso"), ("2020/1/2 09:30", "iso"), ("01/02/2020", "slashed"), ("1.2.2020", "slashed"),
        ("20200102", "digits"), ("1577923200", "digits"), ("1577923200.5", "digits"), ("2-Jan-2020", "named"),
        ("January 2, 2020", "named"), ("tomorrow", None), ("", None), (None, None), ("10.5", None), ("1234567", None),
    ],
)  # fmt: skip
def test_the_family_of_a_stamp_is_seen_at_once(text, family):
    assert family_of(text) == family


def test_a_column_may_mix_iso_spellings():
    texts = [
        "2020-01-02 09:30:00",
        "2020-01-02T09:31",
        "2020-01-02 09:32:00.25",
        "2020-01-02T09:33:00Z",
        "2020/1/2 10:34:00+01:00",
    ]
    assert labels(texts, MINUTE) == [
        "2020-01-02 09:30:00", "2020-01-02 09:31:00", "2020-01-02 09:32:00.250", "2020-01-02 09:33:00", "2020-01-02 09:34:00",
    ]  # fmt: skip


def test_a_column_may_mix_offsets():
    texts = [
        "2020-01-02T09:30:00-05:00",
        "2020-07-02T09:30:00-04:00",
        "2020-07-02T09:30:00z",
        "2020-07-02T09:30:00.5+0530",
        None,
    ]
    assert labels(texts, MINUTE) == [
        "2020-01-02 14:30:00", "2020-07-02 13:30:00", "2020-07-02 09:30:00", "2020-07-02 04:00:00.500", None,
    ]  # fmt: skip


def test_many_fractions_with_offset_are_read():
    texts = [f"2020-01-02T09:30:00.{n:03d}Z" for n in range(1, 30)]
    assert labels(texts, MINUTE)[28] == "2020-01-02 09:30:00.029"


@pytest.mark.parametrize(
    "text",
    ["2020-02-30", "2020-00-01", "2020-01-02 25:00", "2020-01-02 09:61", "2020-01-02x", "x2020-01-02", "13/13/2020"],
)
def test_impossible_dates_and_times_are_none(text):
    assert reasons(["2020-01-02 09:30", text], MINUTE) == [None, "timestamp is not a date"]


@pytest.mark.parametrize("text", ["1/13/2020 13:30 PM", "1/13/2020 0:30 AM"])
def test_impossible_halves_of_the_day_are_none(text):
    assert labels([text], MINUTE, "mdy") == [None]


@pytest.mark.parametrize(
    ("text", "hour"), [("12:05 AM", "00"), ("1:05 am", "01"), ("12:05 PM", "12"), ("11:05 pm", "23")]
)
def test_the_twelve_hour_clock_is_read(text, hour):
    assert labels([f"1/13/2020 {text}"], MINUTE, "mdy") == [f"2020-01-13 {hour}:05:00"]


def test_the_order_of_day_and_month_is_told_from_outside():
    assert labels(["01/02/2020"], order="dmy") == ["2020-02-01 00:00:00"]
    assert labels(["01/02/2020"], order="mdy") == ["2020-01-02 00:00:00"]


def test_the_largest_leading_numbers_decide_which_is_the_day():
    assert leading_numbers(pl.Series(["01/02/2020", None, "7/31/2020", "x"])) == (7, 31)
    assert leading_numbers(pl.Series([None], dtype=pl.String)) == (0, 0)


@pytest.mark.parametrize(
    ("digits", "shown"),
    [
        ("20200102", "2020-01-02 00:00:00"),
        ("946684800", "2000-01-01 00:00:00"),
        ("1577975400", "2020-01-02 14:30:00"),
        ("946684800000", "2000-01-01 00:00:00"),
        ("1577975400123", "2020-01-02 14:30:00.123"),
        ("1577975400123000", "2020-01-02 14:30:00.123"),
        ("1577975400123000000", "2020-01-02 14:30:00.123"),
        ("1577975400.0", "2020-01-02 14:30:00"),
        ("20200102143000", "2020-01-02 14:30:00"),
        ("202001021430", "2020-01-02 14:30:00"),
        ("-946684800", "1940-01-02 00:00:00"),
        ("20201302", None),
        ("12345678901234567890", None),
    ],
)
def test_digits_are_told_apart_by_their_number(digits, shown):
    assert labels([digits], MINUTE) == [shown]


def test_twelve_digits_are_milliseconds_unless_all_of_them_read_as_dates():
    assert labels(["202001021430", "946684800000"], MINUTE) == ["1976-05-26 23:23:41.430", "2000-01-01 00:00:00"]


@pytest.mark.parametrize(
    ("date_format", "text", "shown"),
    [
        ("unix_s", "1577975400.5", "2020-01-02 14:30:00.500"),
        ("unix_s", "86400", "1970-01-02 00:00:00"),
        ("unix_ms", "86400000", "1970-01-02 00:00:00"),
        ("unix_us", "86400000000", "1970-01-02 00:00:00"),
        ("unix_ns", "86400000000000", "1970-01-02 00:00:00"),
        ("unix_s", "99999999999999999", None),
        ("unix_s", "soon", None),
        ("%d.%m.%Y %H%M", "02.01.2020 1430", "2020-01-02 14:30:00"),
        ("%d.%m.%y", "02.01.20", "2020-01-02 00:00:00"),
        ("%Y-%m-%d %H:%M:%S%z", "2020-01-02 09:30:00-0500", "2020-01-02 14:30:00"),
        ("iso", "2020-01-02T14:30:00Z", "2020-01-02 14:30:00"),
        ("dmy", "02/01/2020", "2020-01-02 00:00:00"),
    ],
)
def test_a_named_format_is_followed(date_format, text, shown):
    assert labels([text], MINUTE, date_format=date_format) == [shown]


@pytest.mark.parametrize("pattern", ["%Q %Y", "%", "%H:%M", "yyyy-mm-dd", "%Y"])
def test_a_pattern_that_names_no_whole_date_is_refused(pattern):
    with pytest.raises(RequestError, match="unknown date format"):
        check_date_format(pattern)


@pytest.mark.parametrize("pattern", ["%d/%m/%Y", "%Y-%j", "%d.%m.%y %H%M", "%b %d, %Y", "%s", "%Y-%m-%d %H:%M:%S%z"])
def test_a_pattern_of_a_whole_date_is_accepted(pattern):
    assert check_date_format(pattern) == pattern


def test_month_names_are_read_in_the_spelling_that_fits_most():
    assert labels(["02-Jan-2020", "03-feb-2020", "?"]) == ["2020-01-02 00:00:00", "2020-02-03 00:00:00", None]


def test_the_family_is_what_most_of_the_first_rows_look_like():
    assert labels(["n/a", "20200102", "20200103"]) == [None, "2020-01-02 00:00:00", "2020-01-03 00:00:00"]


def test_a_column_of_nothing_has_no_labels():
    assert reasons([None, "?"]) == ["timestamp is missing", "timestamp is not a date"]


def test_naive_rows_beside_rows_with_offset_are_of_the_zone():
    texts = ["2020-01-02 09:30:00", "2020-01-02 14:31:00Z"]
    assert labels(texts, MINUTE, timezone="America/New_York") == ["2020-01-02 14:30:00", "2020-01-02 14:31:00"]


def test_utc_as_a_zone_changes_nothing():
    assert labels(["2020-01-02 09:30:00"], MINUTE, timezone="UTC") == ["2020-01-02 09:30:00"]


@pytest.mark.parametrize("rules", [{"timezone": "Nowhere"}, {"timezone": "../etc"}, {"bar_label": "middle"}])
def test_rules_without_meaning_are_refused(rules):
    with pytest.raises(RequestError):
        StampRules(DAILY, **rules)
