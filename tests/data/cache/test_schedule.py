import math
from datetime import UTC, date, datetime

import numpy as np
import pytest

from rustybt.data.cache import schedule as schedule_module
from rustybt.data.cache import session_table
from rustybt.data.cache.schedule import Schedule
from rustybt.errors import RequestError
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.trading_calendar import TradingCalendar

END_OF_DAY = 86_400_000_000 - 1


def us(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


def unix(text):
    return us(text) / 1e6


def stamps(*texts):
    return np.array([us(text) for text in texts], dtype=np.int64)


def schedule(calendar="XNYS", frequency="1d", delay=0.0, hours="regular"):
    return Schedule(calendar, FREQUENCIES[frequency], delay, hours)


# Calendar, date of a session, its open and its close in UTC; by hand from the venues' own hours.
SESSIONS = {
    "Thanksgiving's Friday ends at 13:00 in New York": ("XNYS", "2024-11-29", "2024-11-29T14:30", "2024-11-29T18:00"),
    "the Friday before clocks go forward": ("XNYS", "2024-03-08", "2024-03-08T14:30", "2024-03-08T21:00"),
    "the Monday after clocks went forward": ("XNYS", "2024-03-11", "2024-03-11T13:30", "2024-03-11T20:00"),
    "the Friday before clocks go back": ("XNYS", "2024-11-01", "2024-11-01T13:30", "2024-11-01T20:00"),
    "the Monday after clocks went back": ("XNYS", "2024-11-04", "2024-11-04T14:30", "2024-11-04T21:00"),
    "Tokyo until 15:00": ("XTKS", "2024-06-03", "2024-06-03T00:00", "2024-06-03T06:00"),
    "Tokyo until 15:30, as since November 2024": ("XTKS", "2024-12-02", "2024-12-02T00:00", "2024-12-02T06:30"),
    "Sydney in summer opens on the eve": ("XASX", "2024-02-05", "2024-02-04T23:00", "2024-02-05T05:00"),
    "Sydney in winter": ("XASX", "2024-06-03", "2024-06-03T00:00", "2024-06-03T06:00"),
    "Chicago's futures from Sunday evening": ("CMES", "2024-01-08", "2024-01-07T23:00", "2024-01-08T23:00"),
    "Hong Kong's New Year's eve, morning only": ("XHKG", "2024-02-09", "2024-02-09T01:30", "2024-02-09T04:00"),
    "London's Christmas eve": ("XLON", "2024-12-24", "2024-12-24T08:00", "2024-12-24T12:30"),
    "a Sunday on a venue that never closes": ("24/7", "2024-06-02", "2024-06-02T00:00", "2024-06-03T00:00"),
    "a Monday of currencies": ("24/5", "2024-01-08", "2024-01-08T00:00", "2024-01-09T00:00"),
}


@pytest.mark.parametrize(("calendar", "day", "opened", "closed"), SESSIONS.values(), ids=SESSIONS)
class TestASession:
    def test_its_daily_bar_is_due_at_its_close_and_not_a_microsecond_before(self, calendar, day, opened, closed):
        daily, label = schedule(calendar), us(day)
        close = us(closed)
        assert not daily.has_due(label, label + END_OF_DAY, (close - 1) / 1e6)
        assert daily.first_unfinished(label, label + END_OF_DAY, (close - 1) / 1e6) == label
        assert daily.has_due(label, label + END_OF_DAY, close / 1e6)
        assert daily.first_unfinished(label, label + END_OF_DAY, close / 1e6) is None

    def test_its_daily_bar_waits_for_the_settlement(self, calendar, day, opened, closed):
        daily, label = schedule(calendar, delay=900.5), us(day)
        settled = us(closed) + 900_500_000
        assert not daily.has_due(label, label, (settled - 1) / 1e6)
        assert daily.has_due(label, label, settled / 1e6)

    def test_its_first_minute_is_due_a_minute_after_the_open(self, calendar, day, opened, closed):
        minutes, first = schedule(calendar, "1m"), us(opened)
        assert not minutes.has_due(first, us(closed) - 1, (first + 59_999_999) / 1e6)
        assert minutes.has_due(first, us(closed) - 1, (first + 60_000_000) / 1e6)

    def test_its_last_minute_is_final_at_the_close(self, calendar, day, opened, closed):
        minutes, close = schedule(calendar, "1m"), us(closed)
        assert minutes.first_unfinished(us(opened), close - 1, (close - 1) / 1e6) == close - 60_000_000
        assert minutes.first_unfinished(us(opened), close - 1, close / 1e6) is None

    def test_closes_are_found_from_both_sides(self, calendar, day, opened, closed):
        daily, close = schedule(calendar, delay=60), us(closed)
        settled = (close + 60_000_000) / 1e6
        assert daily.next_close(settled - 0.5) == settled
        assert daily.last_close(settled - 0.5) < settled
        assert daily.last_close(settled) == settled
        assert daily.next_close(settled) > settled

    def test_it_trades_from_its_open_on(self, calendar, day, opened, closed):
        minutes = schedule(calendar, "1m")
        assert minutes.is_open(unix(opened))
        assert minutes.is_open(unix(closed) - 1)

    def test_without_a_bar_it_is_a_run_and_with_one_it_is_none(self, calendar, day, opened, closed):
        minutes, first, last = schedule(calendar, "1m"), us(opened), us(closed) - 1
        assert minutes.empty_runs(first, last, stamps()) == [(first, last)]
        assert minutes.empty_runs(first, last, np.array([last - 59_999_999])) == []
        assert schedule(calendar).empty_runs(us(day), us(day) + END_OF_DAY, stamps()) == [
            (us(day), us(day) + END_OF_DAY)
        ]


CLOSED = {
    "Thanksgiving": ("XNYS", "2024-11-28"),
    "Good Friday": ("XNYS", "2024-03-29"),
    "a Saturday": ("XNYS", "2024-11-30"),
    "New Year": ("XNYS", "2024-01-01"),
    "Easter Monday in London": ("XLON", "2024-04-01"),
    "New Year's third day in Tokyo": ("XTKS", "2024-01-03"),
    "a Sunday of currencies": ("24/5", "2024-01-07"),
}


@pytest.mark.parametrize(("calendar", "day"), CLOSED.values(), ids=CLOSED)
def test_on_a_day_without_a_session_nothing_is_ever_due(calendar, day):
    start, end, later = us(day), us(day) + END_OF_DAY, unix("2025-06-01")
    for frequency in ("1m", "1h", "1d"):
        asked = schedule(calendar, frequency)
        assert not asked.has_due(start, end, later)
        assert asked.first_unfinished(start, end, unix(day)) is None
        assert asked.empty_runs(start, end, stamps()) == []
        assert not asked.has_session(start, end)
        assert not asked.is_open(unix(day) + 12 * 3_600)
        assert asked.off_session(stamps(f"{day}T00:00"))
        assert not schedule(calendar, frequency, hours="always").off_session(stamps(f"{day}T00:00"))


def test_a_session_that_is_still_to_come_is_one_but_nothing_of_it_is_due():
    daily = schedule()
    start, end, now = us("2024-12-02"), us("2024-12-02") + END_OF_DAY, unix("2024-11-30T12:00")
    assert daily.has_session(start, end)
    assert not daily.has_due(start, end, now)
    assert daily.first_unfinished(start, us("2030-01-01"), now) == us("2024-12-02")


def test_ten_years_are_unfinished_from_today_on():
    daily, now = schedule(), unix("2024-11-29T17:59")
    assert daily.first_unfinished(us("2014-12-01"), us("2024-12-31"), now) == us("2024-11-29")
    assert daily.first_unfinished(us("2014-12-01"), us("2024-11-28"), now) is None
    assert daily.has_due(us("2014-12-01"), us("2024-12-31"), now)


def test_a_range_that_begins_between_two_labels_holds_the_next_one_only():
    daily = schedule()
    assert not daily.has_due(us("2024-11-27T00:00:01"), us("2024-11-28"), unix("2025-01-01"))
    assert daily.has_due(us("2024-11-27T00:00:01"), us("2024-11-29"), unix("2025-01-01"))


def test_minutes_pause_at_lunch_in_tokyo():
    minutes = schedule("XTKS", "1m")
    assert minutes.first_unfinished(us("2024-06-03"), us("2024-06-04"), unix("2024-06-03T02:45")) == us(
        "2024-06-03T03:30"
    )
    assert not minutes.has_due(us("2024-06-03T02:30"), us("2024-06-03T03:29"), unix("2024-06-10"))
    assert not minutes.is_open(unix("2024-06-03T03:00"))
    assert minutes.off_session(stamps("2024-06-03T03:00"))
    assert not minutes.off_session(stamps("2024-06-03T02:29", "2024-06-03T03:30"))
    # Lunch is no session, and does not make the day two.
    assert minutes.empty_runs(us("2024-06-03"), us("2024-06-03") + END_OF_DAY, stamps("2024-06-03T04:00")) == []


def test_hours_may_be_counted_from_the_open_or_lie_on_the_clock():
    hours, friday = schedule(frequency="1h"), us("2024-11-29")
    # 14:00 on the clock holds the open at 14:30, and ends at 15:00.
    assert hours.first_unfinished(friday, friday + END_OF_DAY, unix("2024-11-29T14:59")) == us("2024-11-29T14:00")
    assert hours.first_unfinished(friday, friday + END_OF_DAY, unix("2024-11-29T15:00")) == us("2024-11-29T14:30")
    assert hours.first_unfinished(friday, friday + END_OF_DAY, unix("2024-11-29T15:30")) == us("2024-11-29T15:00")
    assert hours.has_due(us("2024-11-29T17:00"), friday + END_OF_DAY, unix("2024-11-29T18:00"))
    assert hours.empty_runs(friday, friday + END_OF_DAY, stamps("2024-11-29T14:00")) == []
    # From 17:30 on the bar counted from the open ends with the half day.
    assert not hours.has_due(us("2024-11-29T17:30"), friday + END_OF_DAY, unix("2024-11-29T17:59"))
    assert hours.has_due(us("2024-11-29T17:30"), friday + END_OF_DAY, unix("2024-11-29T18:00"))
    assert hours.first_unfinished(friday, friday + END_OF_DAY, unix("2024-11-29T18:00")) is None
    assert not hours.off_session(stamps("2024-11-29T14:00", "2024-11-29T14:30"))
    assert hours.off_session(stamps("2024-11-29T13:00"))
    assert hours.off_session(stamps("2024-11-29T18:00"))


def test_empty_sessions_join_over_holidays_and_a_bar_parts_them():
    minutes = schedule(frequency="1m")
    found = minutes.empty_runs(
        us("2024-11-27"), us("2024-12-05") + END_OF_DAY, stamps("2024-11-27T15:00", "2024-12-03T15:00")
    )
    assert found == [
        (us("2024-11-29T14:30"), us("2024-12-02T21:00") - 1),
        (us("2024-12-04T14:30"), us("2024-12-05T21:00") - 1),
    ]


def test_empty_days_join_over_a_weekend():
    found = schedule().empty_runs(us("2024-11-25"), us("2024-12-08") + END_OF_DAY, stamps("2024-11-26", "2024-12-03"))
    assert found == [
        (us("2024-11-25"), us("2024-11-25") + END_OF_DAY),
        (us("2024-11-27"), us("2024-12-02") + END_OF_DAY),
        (us("2024-12-04"), us("2024-12-06") + END_OF_DAY),
    ]


def test_a_session_that_the_range_cuts_is_not_empty():
    minutes = schedule(frequency="1m")
    assert minutes.empty_runs(us("2024-11-27T15:00"), us("2024-11-27T20:00"), stamps()) == []
    assert minutes.empty_runs(us("2024-11-27T14:31"), us("2024-11-29T17:58"), stamps()) == []
    # Its last minute is 17:59.
    assert minutes.empty_runs(us("2024-11-27T14:31"), us("2024-11-29T17:59"), stamps()) == [
        (us("2024-11-29T14:30"), us("2024-11-29T17:59"))
    ]


def test_a_week_is_labelled_by_its_first_session_and_final_at_the_close_of_its_last():
    weekly = schedule(frequency="1w")
    # Monday 2024-05-27 is Memorial Day; Friday ends at 20:00 UTC.
    start, end, label = us("2024-05-27"), us("2024-06-02") + END_OF_DAY, us("2024-05-28")
    assert weekly.first_unfinished(start, end, unix("2024-05-31T19:59")) == label
    assert weekly.first_unfinished(start, end, unix("2024-05-31T20:00")) is None
    assert not weekly.has_due(start, end, unix("2024-05-31T19:59"))
    assert weekly.has_due(start, end, unix("2024-05-31T20:00"))
    assert not weekly.has_due(us("2024-05-29"), end, unix("2025-01-01"))
    assert weekly.empty_runs(start, end, stamps()) == [(label, us("2024-05-31") + END_OF_DAY)]
    assert weekly.empty_runs(start, end, stamps("2024-05-28")) == []
    assert weekly.empty_runs(start, end, stamps("2024-05-27")) == []
    assert not weekly.off_session(stamps("2024-05-27", "2024-06-03"))


def test_good_friday_ends_its_week_on_thursday():
    weekly = schedule(frequency="1w")
    assert weekly.first_unfinished(us("2024-03-25"), us("2024-03-29"), unix("2024-03-28T20:00")) is None
    assert weekly.first_unfinished(us("2024-03-25"), us("2024-03-29"), unix("2024-03-28T19:59")) == us("2024-03-25")


def test_a_month_is_final_at_the_close_of_its_last_session():
    monthly = schedule(frequency="1M")
    start, end = us("2024-11-01"), us("2024-12-31")
    assert monthly.first_unfinished(start, end, unix("2024-11-29T17:59")) == us("2024-11-01")
    assert monthly.first_unfinished(start, end, unix("2024-11-29T18:00")) == us("2024-12-02")


def test_a_week_over_the_turn_of_a_decade_is_one():
    weekly = schedule(frequency="1w")
    # Monday 2019-12-30 to Friday 2020-01-03.
    assert weekly.first_unfinished(us("2019-12-30"), us("2020-01-05"), unix("2020-01-03T20:59")) == us("2019-12-30")
    assert not weekly.has_due(us("2019-12-31"), us("2020-01-05"), unix("2021-01-01"))


@pytest.mark.parametrize(
    ("frequency", "before", "sessions", "start"),
    [
        ("1d", "2024-12-02", 0, "2024-12-02"),
        ("1d", "2024-12-02T12:00", 1, "2024-11-29"),
        # Saturday is followed by Monday.
        ("1d", "2024-11-30", 5, "2024-11-22"),
        ("1m", "2024-12-02T15:00", 1, "2024-11-29T14:30"),
        ("1m", "2024-12-02T21:00", 1, "2024-12-02T14:30"),
        ("1w", "2024-12-04", 1, "2024-11-25"),
        ("1M", "2024-12-04", 12, "2023-12-01"),
        # Ten years and ten months; the first of February 2014 was a Saturday.
        ("1M", "2024-12-04", 130, "2014-02-03"),
        # 1990 had 253 sessions, and 1991 began on Wednesday the 2nd.
        ("1d", "1991-01-02", 253, "1990-01-02"),
    ],
)
def test_a_window_begins_with_a_session(frequency, before, sessions, start):
    assert schedule(frequency=frequency).window_start(us(before), sessions) == us(start)


def test_a_window_in_sydney_begins_on_the_eve_and_in_extended_hours_with_the_date():
    assert schedule("XASX", "1m").window_start(us("2024-02-06T01:00"), 1) == us("2024-02-04T23:00")
    assert schedule(frequency="1m", hours="extended").window_start(us("2024-12-03T10:00"), 1) == us("2024-12-02")
    assert schedule(frequency="1m", hours="always").window_start(us("2024-12-02T10:00"), 1) == us("2024-12-01")
    assert schedule(frequency="1d", hours="always").window_start(us("2024-12-02T10:00"), 1) == us("2024-12-01")


class TestExtendedHours:
    minutes = schedule(frequency="1m", hours="extended")

    def test_bars_lie_before_the_open_and_after_the_close(self):
        assert not self.minutes.off_session(stamps("2024-12-02T09:00", "2024-12-02T23:59"))
        assert self.minutes.off_session(stamps("2024-11-30T12:00"))

    def test_after_hours_of_a_friday_in_winter_end_at_one_on_saturday_in_utc(self):
        assert not self.minutes.off_session(stamps("2024-12-07T00:59"))
        assert self.minutes.off_session(stamps("2024-12-07T01:00"))

    def test_a_session_that_opens_on_the_eve_brings_its_eve_along(self):
        sydney = schedule("XASX", "1m", hours="extended")
        assert not sydney.off_session(stamps("2024-02-04T23:00", "2024-02-05T12:00"))
        assert sydney.off_session(stamps("2024-02-04T22:59"))

    def test_bars_are_due_all_day(self):
        assert self.minutes.has_due(us("2024-12-02"), us("2024-12-02T00:05"), unix("2024-12-02T00:01"))
        assert self.minutes.first_unfinished(us("2024-12-06"), us("2024-12-08"), unix("2024-12-07T00:30")) == us(
            "2024-12-07T00:30"
        )
        assert self.minutes.first_unfinished(us("2024-12-06"), us("2024-12-08"), unix("2024-12-07T01:00")) is None

    def test_a_session_is_whole_if_the_range_holds_its_regular_hours(self):
        assert self.minutes.empty_runs(us("2024-12-02T14:30"), us("2024-12-02T20:59"), stamps()) == [
            (us("2024-12-02T14:30"), us("2024-12-02T20:59"))
        ]
        assert (
            self.minutes.empty_runs(us("2024-12-02"), us("2024-12-02") + END_OF_DAY, stamps("2024-12-02T10:00")) == []
        )

    def test_the_venue_trades_in_its_regular_hours(self):
        assert not self.minutes.is_open(unix("2024-12-02T14:29"))
        assert self.minutes.is_open(unix("2024-12-02T14:30"))

    def test_daily_bars_keep_their_close(self):
        daily = schedule(hours="extended")
        assert daily.first_unfinished(us("2024-12-02"), us("2024-12-02"), unix("2024-12-02T21:00")) is None
        assert daily.next_close(unix("2024-12-02T12:00")) == unix("2024-12-02T21:00")
        assert daily.off_session(stamps("2024-11-30"))


def test_always_makes_every_day_a_session():
    daily = schedule(hours="always")
    assert daily.has_due(us("2024-11-30"), us("2024-11-30"), unix("2024-12-01"))
    assert not daily.has_due(us("2024-11-30"), us("2024-11-30"), unix("2024-11-30T23:59"))
    assert daily.empty_runs(us("2024-11-29"), us("2024-12-01") + END_OF_DAY, stamps("2024-11-29")) == [
        (us("2024-11-30"), us("2024-12-01") + END_OF_DAY)
    ]
    assert daily.is_open(unix("2024-12-01T03:00"))
    assert daily.last_close(unix("2024-12-01T03:00")) == unix("2024-12-01")


class TestWhatTheCalendarDoesNotKnow:
    """Shanghai is known from 1990-12-03, a Monday, on; Athens not at all."""

    def test_every_day_before_is_a_session(self):
        shanghai = schedule("XSHG")
        assert shanghai.has_due(us("1990-12-01"), us("1990-12-01"), unix("1990-12-02"))
        assert not shanghai.has_due(us("1990-12-08"), us("1990-12-08"), unix("2000-01-01"))
        assert not shanghai.off_session(stamps("1990-12-02", "1990-12-03"))
        assert shanghai.off_session(stamps("1990-12-08"))

    def test_a_calendar_that_cannot_be_built_is_always_open(self):
        athens = schedule("ASEX")
        assert athens.has_session(us("2024-11-30"), us("2024-11-30"))
        assert athens.next_close(unix("2024-11-30T10:00")) == unix("2024-12-01")
        assert athens.is_open(unix("2024-11-30T10:00"))
        assert not athens.off_session(stamps("2024-11-30"))

    def test_a_day_before_gives_its_evening_to_a_session_that_opens_on_it(self, monkeypatch):
        opens, closes = stamps("2020-01-05T23:00"), stamps("2020-01-06T05:00")
        sessions = np.array(["2020-01-06"], dtype="datetime64[D]")
        known = TradingCalendar("XASX", sessions, opens, closes, date(2020, 1, 6), date(2020, 1, 6))
        monkeypatch.setattr(session_table, "get_calendar", lambda *_: known)
        for cached in (session_table.session_table, session_table.period_table, session_table._decade):
            monkeypatch.setattr(session_table, cached.__name__, cached.__wrapped__)
        monkeypatch.setattr(schedule_module, "session_table", session_table.session_table)
        minutes = schedule("XASX", "1m")
        assert minutes.last_close(unix("2020-01-05T23:00")) == unix("2020-01-05T23:00")
        assert minutes.next_close(unix("2020-01-05T23:00")) == unix("2020-01-06T05:00")
        assert minutes.next_close(unix("2020-01-06T05:00")) == unix("2020-01-08T00:00")

    def test_beyond_all_dates_there_is_no_session(self):
        daily = schedule()
        assert daily.last_close(unix("1899-01-01")) == -math.inf
        assert daily.next_close(unix("2300-01-01")) == math.inf
        assert daily.quiet_until(unix("2300-01-01")) == math.inf
        assert daily.next_close(math.inf) == math.inf
        assert not daily.has_session(us("2300-01-01"), us("2400-01-01"))
        assert daily.first_unfinished(us("2024-01-01"), us("2024-12-31"), unix("2300-01-01")) is None
        assert not daily.has_due(us("2300-01-01"), us("2400-01-01"), math.inf)
        assert schedule(frequency="1m").first_unfinished(us("2024-01-01"), us("2024-12-31"), unix("2300-01-01")) is None
        assert not schedule(frequency="1m").has_due(us("2300-01-01"), us("2400-01-01"), math.inf)
        assert schedule(frequency="1m").off_session(stamps("2300-01-01"))


@pytest.mark.parametrize(
    ("calendar", "frequency", "moment", "until"),
    [
        # While it trades, and until the last bar is settled.
        ("XNYS", "5m", "2024-11-29T15:00", "2024-11-29T15:00"),
        ("XNYS", "5m", "2024-11-29T18:09", "2024-11-29T18:09"),
        # Then until Monday's first five minutes are settled, 14:30 + 5 + 10.
        ("XNYS", "5m", "2024-11-29T18:10", "2024-12-02T14:45"),
        # The hour on the clock begins at 14:00.
        ("XNYS", "1h", "2024-11-29T18:10", "2024-12-02T15:10"),
        ("XNYS", "1d", "2024-11-29T18:10", "2024-12-02T14:30"),
        ("24/7", "5m", "2024-11-30T12:00", "2024-11-30T12:00"),
        ("24/7", "5m", "2024-11-30T00:05", "2024-11-30T00:05"),
        ("CMES", "5m", "2024-01-06T12:00", "2024-01-07T23:15"),
    ],
)
def test_nothing_comes_from_the_settlement_of_a_session_to_the_next_ones_first_bar(calendar, frequency, moment, until):
    assert schedule(calendar, frequency, delay=600).quiet_until(unix(moment)) == unix(until)


def test_no_bars_are_off_no_session():
    assert not schedule().off_session(stamps())


def test_schedules_are_values():
    assert schedule() == schedule()
    assert len({schedule(), schedule(), schedule("XLON")}) == 2


@pytest.mark.parametrize("wrong", [{"hours": "all"}, {"delay": -1.0}, {"delay": math.nan}, {"delay": math.inf}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(RequestError):
        schedule(**wrong)


def test_an_unknown_calendar_is_refused_when_it_is_asked():
    with pytest.raises(RequestError, match="XNYZ"):
        schedule("XNYZ").is_open(0.0)
