"""Date rules against sessions picked by hand from the calendar of New York."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from rustybt.errors import RequestError
from rustybt.market.calendars import get_calendar
from rustybt.trading.schedule import DateRule, Schedule, TimeRule, check_rule, date_rules, time_rules

START, END = date(2019, 11, 18), date(2020, 1, 10)
#: Of a daily run: one bar a session.
ONE_BAR = np.array([0])


@pytest.fixture
def calendar():
    return get_calendar("XNYS", START, END)


def days(rule, calendar):
    sessions = calendar.sessions_between(START, END)
    return [str(s) for s in sessions[rule.chosen(sessions, calendar)]]


def test_every_day_is_every_session(calendar):
    assert len(days(date_rules.every_day(), calendar)) == len(calendar.sessions_between(START, END))


def test_weeks_begin_on_their_first_session(calendar):
    assert days(date_rules.week_start(), calendar) == [
        "2019-11-18",
        "2019-11-25",
        "2019-12-02",
        "2019-12-09",
        "2019-12-16",
        "2019-12-23",
        "2019-12-30",
        "2020-01-06",
    ]


def test_weeks_end_on_their_last_session_and_offsets_count_from_it(calendar):
    # Thanksgiving and Christmas take a day of their weeks; the first week of January ends after the run's end.
    assert days(date_rules.week_end(), calendar)[1:6] == [
        "2019-11-29",
        "2019-12-06",
        "2019-12-13",
        "2019-12-20",
        "2019-12-27",
    ]
    assert "2019-11-27" in days(date_rules.week_end(1), calendar)
    # The week of Thanksgiving has four sessions only.
    assert "2019-11-29" not in days(date_rules.week_start(4), calendar)
    assert "2019-12-06" in days(date_rules.week_start(4), calendar)


def test_months_are_whole_months_of_the_calendar(calendar):
    assert days(date_rules.month_start(), calendar) == ["2019-12-02", "2020-01-02"]
    assert days(date_rules.month_start(2), calendar) == ["2019-12-04", "2020-01-06"]
    assert days(date_rules.month_end(), calendar) == ["2019-11-29", "2019-12-31"]
    assert days(date_rules.month_end(3), calendar) == ["2019-11-25", "2019-12-26"]


def test_half_days_can_be_left_out(calendar):
    sessions = calendar.sessions_between(START, END)
    schedule = Schedule(sessions, calendar)
    called = object()
    schedule.add(lambda *_: called, date_rules.month_end(), half_days=False)
    schedule.add(lambda *_: called, date_rules.week_end())
    on = {str(s): len(schedule.due(t, ONE_BAR).get(0, ())) for t, s in enumerate(sessions)}
    # The day after Thanksgiving closes early.
    assert on["2019-11-29"] == 1
    assert on["2019-12-31"] == 1
    assert on["2019-12-30"] == 0


def test_functions_run_in_the_order_of_their_scheduling(calendar):
    schedule = Schedule(calendar.sessions_between(START, END), calendar)
    for name in "abc":
        schedule.add(name, date_rules.every_day())
    assert schedule.due(3, ONE_BAR) == {0: ["a", "b", "c"]}


def test_a_schedule_may_count_by_another_calendar(calendar):
    sessions = calendar.sessions_between(START, END)
    schedule = Schedule(sessions, calendar)
    schedule.add("x", date_rules.month_end(), calendar=get_calendar("XLON", START, END))
    due = [str(sessions[t]) for t in range(len(sessions)) if schedule.due(t, ONE_BAR)]
    assert due == ["2019-11-29", "2019-12-31"]


def test_time_rules_keep_their_offsets():
    assert time_rules.market_open() == TimeRule("open", timedelta(minutes=1))
    assert time_rules.market_close(hours=1, minutes=30) == TimeRule("close", timedelta(minutes=90))
    assert time_rules.market_open(offset=timedelta(minutes=7)).offset == timedelta(minutes=7)
    assert time_rules.every_minute() == TimeRule()


@pytest.mark.parametrize(
    "call",
    [
        lambda: date_rules.week_start(5),
        lambda: date_rules.month_end(-1),
        lambda: date_rules.month_start(1.5),
        lambda: time_rules.market_open(offset=timedelta(seconds=1)),
        lambda: time_rules.market_close(offset=timedelta(hours=1), hours=1),
        lambda: check_rule(date_rules.every_day, DateRule, "date_rules"),
        lambda: check_rule("daily", DateRule, "date_rules"),
    ],
)
def test_impossible_rules_are_refused(call):
    with pytest.raises(RequestError):
        call()


def test_a_rule_that_was_not_called_is_explained():
    with pytest.raises(RequestError, match="every_day\\(\\) with parentheses"):
        check_rule(date_rules.every_day, DateRule, "date_rules")
    check_rule(None, DateRule, "date_rules")


def test_sessions_of_a_rule_are_never_outside_the_run(calendar):
    sessions = calendar.sessions_between(START, END)
    chosen = DateRule("month", 0).chosen(sessions, calendar)
    assert chosen.shape == sessions.shape
    assert chosen.dtype == np.bool_
