from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import polars as pl
import pytest

from rustybt.errors import RequestError
from rustybt.market.calendars import get_calendar
from rustybt.market.request import BarRequest, check_symbol, check_symbols, to_date, to_microseconds

DAY = 86_400_000_000
JAN_2 = 1_577_923_200_000_000  # 2020-01-02T00:00Z, from `date -d 2020-01-02 +%s`


def sides(start, end, frequency="1d"):
    request = BarRequest.create(["A"], start, end, frequency)
    return request.start, request.end


@pytest.mark.parametrize(
    "value",
    [
        "2020-01-02",
        " 2020-01-02 ",
        date(2020, 1, 2),
        np.datetime64("2020-01-02"),
    ],
)
@pytest.mark.parametrize("frequency", ["1d", "1m"])
def test_a_date_means_the_whole_day_on_any_frequency(value, frequency):
    assert sides(value, value, frequency) == (JAN_2, JAN_2 + DAY - 1)


@pytest.mark.parametrize(
    "value",
    [
        datetime(2020, 1, 2),
        datetime(2020, 1, 2, tzinfo=UTC),
        pd.Timestamp("2020-01-02"),
        pd.Timestamp("2020-01-02", tz="America/New_York"),
        np.datetime64("2020-01-02T00:00:00.000"),
        "2020-01-02T00:00:00Z",
    ],
)
def test_a_normalized_timestamp_means_the_whole_session_on_daily_bars(value):
    assert sides(value, value) == (JAN_2, JAN_2 + DAY - 1)


def test_a_normalized_timestamp_is_an_instant_on_intraday_bars():
    assert sides(pd.Timestamp("2020-01-02"), pd.Timestamp("2020-01-02"), "1m") == (JAN_2, JAN_2)
    eastern = pd.Timestamp("2020-01-02", tz="America/New_York")
    assert sides(eastern, None, "1m") == (JAN_2 + 5 * 3_600_000_000, None)


@pytest.mark.parametrize(
    "value",
    [
        "2020-01-02T14:30",
        "2020-01-02 09:30:00-05:00",
        datetime(2020, 1, 2, 14, 30),
        datetime(2020, 1, 2, 9, 30, tzinfo=timezone(timedelta(hours=-5))),
        pd.Timestamp("2020-01-02 14:30", tz="UTC"),
        np.datetime64("2020-01-02T14:30"),
    ],
)
def test_any_other_timestamp_is_an_instant_and_naive_means_utc(value):
    instant = JAN_2 + (14 * 60 + 30) * 60_000_000
    for frequency in ("1d", "1h"):
        assert sides(value, value, frequency) == (instant, instant)


def test_none_leaves_a_side_open():
    request = BarRequest.create("AAPL")
    assert (request.start, request.end, request.start_date, request.end_date) == (None, None, None, None)
    assert (request.start_text, request.end_text) == ("", "")


@pytest.mark.parametrize(
    "value", ["", "2020", "yesterday", "2020-02-30", 20200102, True, 1.5, pd.NaT, np.datetime64("NaT", "ns")]
)
def test_what_is_no_date_is_refused(value):
    with pytest.raises(RequestError):
        BarRequest.create(["A"], value)


def test_a_numpy_date_beyond_the_calendar_of_python_is_refused():
    with pytest.raises(RequestError, match="out of range"):
        BarRequest.create(["A"], np.datetime64("30000-01-01"))


def test_an_end_before_the_start_is_refused():
    with pytest.raises(RequestError, match="before the start"):
        BarRequest.create(["A"], "2020-01-03", "2020-01-02")


def test_the_text_of_a_range_says_dates_for_days_and_instants_else():
    request = BarRequest.create(["A"], "2020-01-02", "2020-01-03T12:00", "1m")
    assert (request.start_text, request.end_text) == ("2020-01-02", "2020-01-03T12:00:00+00:00")
    request = BarRequest.create(["A"], "2020-01-02T01:00", "2020-01-03", "1m")
    assert (request.start_text, request.end_text) == ("2020-01-02T01:00:00+00:00", "2020-01-03")
    assert (request.start_date, request.end_date) == (date(2020, 1, 2), date(2020, 1, 3))


def test_the_widest_dates_have_text():
    request = BarRequest.create(["A"], date.min, date.max)
    assert (request.start_text, request.end_text) == ("0001-01-01", "9999-12-31")
    beyond = BarRequest(("A",), 1 - 10**17 * 7, 10**18 + 1, request.frequency)
    assert beyond.start_text.startswith("0001-01-01")
    assert beyond.end_text.startswith("9999-12-31")


def test_the_range_filters_labels_with_both_ends_included():
    stamps = pl.Series("timestamp", [JAN_2 - 1, JAN_2, JAN_2 + DAY - 1, JAN_2 + DAY]).cast(pl.Datetime("us", "UTC"))
    frame = stamps.to_frame()
    request = BarRequest.create(["A"], "2020-01-02", "2020-01-02")
    assert frame.filter(request.in_range())["timestamp"].to_physical().to_list() == [JAN_2, JAN_2 + DAY - 1]
    assert frame.filter(BarRequest.create(["A"]).in_range()).height == 4


def test_dates_on_intraday_bars_mean_sessions_where_these_open_on_the_eve():
    sydney = get_calendar("XASX", date(2020, 1, 1), date(2020, 1, 31))
    request = BarRequest.create(["BHP"], "2020-01-07", "2020-01-07", "1m").on_calendar(sydney)
    # 10:00 in Sydney (UTC+11) on 2020-01-07 is 23:00 UTC on the 6th; the next session opens a day later.
    assert request.start_text == "2020-01-06T23:00:00+00:00"
    assert request.end == to_microseconds(date(2020, 1, 7)) + 23 * 3_600_000_000 - 1


def test_dates_on_intraday_bars_keep_extended_hours_in_new_york():
    calendar = get_calendar("XNYS", date(2020, 1, 1), date(2020, 1, 31))
    request = BarRequest.create(["A"], "2020-01-02", "2020-01-02", "1m")
    assert request.on_calendar(calendar) == request
    daily = BarRequest.create(["A"], "2020-01-02", "2020-01-02")
    assert daily.on_calendar(calendar) is daily


@pytest.mark.parametrize(
    "symbol",
    [
        "BTC/USDT",
        "BRK.B",
        "^GSPC",
        "ES=F",
        "=cmd|x",
        "🚀",
        "👩‍🚀",
        "'; DROP TABLE bars;--",
        "../../x",
        "x" * 64,
        "BRK B",
    ],
)
def test_symbols_are_data_and_kept_as_given(symbol):
    assert check_symbol(symbol) == symbol
    assert BarRequest.create([symbol]).symbols == (symbol,)


@pytest.mark.parametrize("symbol", ["", "  ", "A\x00B", "A\nB", "A\x1b[31m", "x" * 65, "A\u202eB", "A\ud800", None, 5])
def test_symbols_that_cannot_be_shown_or_stored_are_refused(symbol):
    with pytest.raises(RequestError):
        check_symbol(symbol)


def test_symbols_are_stripped_and_repetitions_dropped_in_order():
    assert check_symbols([" B", "A", "B ", "A"]) == ("B", "A")


def test_one_string_is_one_symbol():
    assert BarRequest.create("AAPL").symbols == ("AAPL",)


def test_symbols_that_differ_only_in_unicode_composition_are_two_symbols_each_kept_as_given():
    assert check_symbols(["caf\u00e9", "cafe\u0301"]) == ("caf\u00e9", "cafe\u0301")


@pytest.mark.parametrize("symbols", [[], (), 5, [None]])
def test_a_request_needs_symbols(symbols):
    with pytest.raises(RequestError):
        BarRequest.create(symbols)


def test_an_unknown_frequency_is_refused():
    with pytest.raises(RequestError, match="unknown frequency"):
        BarRequest.create(["A"], frequency="2d")


@pytest.mark.parametrize(
    "day", [date(1, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31)]
)
def test_days_and_microseconds_convert_both_ways(day):
    assert to_date(to_microseconds(day)) == day
    assert to_date(to_microseconds(day) + DAY - 1) == day
