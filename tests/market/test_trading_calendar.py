from datetime import UTC, date, datetime

import numpy as np
import pytest

from rustybt.errors import RequestError
from rustybt.market.calendars import get_calendar
from rustybt.market.frequency import Frequency
from rustybt.market.trading_calendar import TradingCalendar, period_numbers

HOUR = 3_600_000_000


def instant(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def texts(stamps):
    return [str(stamp)[:16] for stamp in np.asarray(stamps).astype("datetime64[us]")]


def days(*names):
    return np.array(names, dtype="datetime64[D]")


@pytest.fixture
def tiny():
    """Friday with a lunch break, Monday without, Tuesday a half day."""
    no_break = np.iinfo(np.int64).min
    return TradingCalendar(
        name="TINY",
        sessions=days("2020-01-03", "2020-01-06", "2020-01-07"),
        opens=np.array([instant(f"{d}T09:30") for d in ("2020-01-03", "2020-01-06", "2020-01-07")]),
        closes=np.array([instant("2020-01-03T15:00"), instant("2020-01-06T15:00"), instant("2020-01-07T12:00")]),
        break_starts=np.array([instant("2020-01-03T11:30"), no_break, no_break]),
        break_ends=np.array([instant("2020-01-03T12:30"), no_break, no_break]),
        covered_start=date(2020, 1, 1),
        covered_end=date(2020, 1, 8),
    )


def test_sessions_between_include_both_ends(tiny):
    assert tiny.sessions_between(date(2020, 1, 3), date(2020, 1, 6)).tolist() == [date(2020, 1, 3), date(2020, 1, 6)]
    assert tiny.sessions_between(date(2020, 1, 4), date(2020, 1, 5)).size == 0
    assert tiny.sessions_between(date(2020, 1, 7), date(2020, 1, 3)).size == 0
    assert tiny.sessions_between(date.min, date.max).size == 3


def test_positions_of_dates_are_minus_one_off_session(tiny):
    assert tiny.session_index(days("2020-01-02", "2020-01-03", "2020-01-04", "2020-01-07", "2030-01-01")).tolist() == [
        -1,
        0,
        -1,
        2,
        -1,
    ]


def test_an_instant_belongs_to_the_session_that_trades_then(tiny):
    asked = [
        "2020-01-03T09:29",
        "2020-01-03T09:30",
        "2020-01-03T11:30",
        "2020-01-03T12:30",
        "2020-01-03T15:00",
        "2020-01-07T11:59",
    ]
    stamps = np.array([instant(text) for text in asked])
    assert tiny.session_of_instants(stamps).tolist() == [-1, 0, -1, 0, -1, 2]


def test_a_day_is_closed_only_where_the_calendar_knows(tiny):
    assert tiny.is_closed(days("2019-12-31", "2020-01-01", "2020-01-03", "2020-01-08", "2020-01-09")).tolist() == [
        False,
        True,
        False,
        True,
        False,
    ]


def test_neighbours_skip_closed_days_and_stop_at_the_edge(tiny):
    assert tiny.next_session(date(2020, 1, 3)) == date(2020, 1, 6)
    assert tiny.next_session(date(2020, 1, 4)) == date(2020, 1, 6)
    assert tiny.previous_session(date(2020, 1, 6)) == date(2020, 1, 3)
    with pytest.raises(RequestError, match="no session after 2020-01-07"):
        tiny.next_session(date(2020, 1, 7))
    with pytest.raises(RequestError, match="no session before 2020-01-03"):
        tiny.previous_session(date(2020, 1, 3))


def test_hours_count_from_each_open_and_the_last_may_be_short(tiny):
    assert texts(tiny.expected_bar_opens(date(2020, 1, 3), date(2020, 1, 3), "1h")) == [
        "2020-01-03T09:30",
        "2020-01-03T10:30",
        "2020-01-03T12:30",
        "2020-01-03T13:30",
        "2020-01-03T14:30",
    ]


def test_hours_on_the_clock_do_not_repeat_over_a_break(tiny):
    assert texts(tiny.expected_bar_opens(date(2020, 1, 3), date(2020, 1, 3), "1h", anchor="clock")) == [
        "2020-01-03T09:00",
        "2020-01-03T10:00",
        "2020-01-03T11:00",
        "2020-01-03T12:00",
        "2020-01-03T13:00",
        "2020-01-03T14:00",
    ]


def test_a_half_day_is_due_fewer_bars(tiny):
    assert len(tiny.expected_bar_opens(date(2020, 1, 7), date(2020, 1, 7), "5m")) == 30


def test_daily_labels_are_the_sessions(tiny):
    assert texts(tiny.expected_bar_opens(date(2020, 1, 1), date(2020, 1, 31), "1d")) == [
        "2020-01-03T00:00",
        "2020-01-06T00:00",
        "2020-01-07T00:00",
    ]


def test_weeks_and_months_are_labelled_by_their_first_session(tiny):
    assert texts(tiny.expected_bar_opens(date(2020, 1, 1), date(2020, 1, 31), "1w")) == [
        "2020-01-03T00:00",
        "2020-01-06T00:00",
    ]
    assert texts(tiny.expected_bar_opens(date(2020, 1, 1), date(2020, 1, 31), "1M")) == ["2020-01-03T00:00"]


@pytest.mark.parametrize("name", ["1w", "1M", "1d"])
def test_periods_are_numbered_without_gaps(name):
    frequency = Frequency.parse(name)
    every = np.arange(np.datetime64("1969-01-01"), np.datetime64("1972-01-01"))
    numbers = period_numbers(every, frequency)
    assert set(np.diff(numbers).tolist()) <= {0, 1}
    if name == "1w":
        mondays = every[1:][np.diff(numbers) == 1]
        assert {day.weekday() for day in mondays.tolist()} == {0}


def test_the_hash_covers_hours_and_breaks_of_the_range_alone(tiny):
    whole = tiny.sessions_hash(date(2020, 1, 1), date(2020, 1, 31))
    assert len(whole) == 64
    assert whole == tiny.sessions_hash(date(2020, 1, 3), date(2020, 1, 7))
    assert whole != tiny.sessions_hash(date(2020, 1, 3), date(2020, 1, 6))
    later = TradingCalendar(
        name="OTHER NAME",
        sessions=tiny.sessions,
        opens=tiny.opens,
        closes=tiny.closes + np.array([0, 0, HOUR]),
        covered_start=tiny.covered_start,
        covered_end=tiny.covered_end,
    )
    assert later.sessions_hash(date(2020, 1, 6), date(2020, 1, 6)) == tiny.sessions_hash(
        date(2020, 1, 6), date(2020, 1, 6)
    )
    assert later.sessions_hash(date(2020, 1, 7), date(2020, 1, 7)) != tiny.sessions_hash(
        date(2020, 1, 7), date(2020, 1, 7)
    )
    # The lunch break counts, although opens and closes agree.
    assert later.sessions_hash(date(2020, 1, 3), date(2020, 1, 3)) != tiny.sessions_hash(
        date(2020, 1, 3), date(2020, 1, 3)
    )


def test_the_hash_does_not_depend_on_the_range_that_was_built():
    day = date(2020, 6, 1)
    short = get_calendar("XNYS", day, day)
    long = get_calendar("XNYS", date(2005, 1, 1), date(2025, 1, 1))
    assert short is not long
    assert short.sessions_hash(day, date(2020, 6, 30)) == long.sessions_hash(day, date(2020, 6, 30))


def test_shared_arrays_cannot_be_written(tiny):
    with pytest.raises(ValueError, match="read-only"):
        tiny.opens[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        get_calendar("XHKG", date(2020, 1, 1), date(2020, 1, 2)).break_starts[0] = 0


def test_dates_stand_for_utc_days_unless_the_session_opens_on_the_eve(tiny):
    first, last = tiny.instants_between(date(2020, 1, 3), date(2020, 1, 4))
    assert (first, last) == (instant("2020-01-03T00:00"), instant("2020-01-05T00:00") - 1)
    futures = get_calendar("CMES", date(2020, 1, 1), date(2020, 1, 31))
    first, last = futures.instants_between(date(2020, 1, 7), date(2020, 1, 7))
    # 17:00 in Chicago on the eve, UTC-6.
    assert (first, last) == (instant("2020-01-06T23:00"), instant("2020-01-07T23:00") - 1)
    beyond = tiny.instants_between(date(2020, 2, 1), date(2020, 2, 1))
    assert beyond == (instant("2020-02-01T00:00"), instant("2020-02-02T00:00") - 1)
