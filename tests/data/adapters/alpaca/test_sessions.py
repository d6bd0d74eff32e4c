"""Labels of bars, sessions and extended hours, and when a bar is at rest."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from rustybt.data.adapters.alpaca import bars as alpaca_bars
from rustybt.market.frequency import FREQUENCIES
from tests.data.adapters.alpaca.asking import fetch
from tests.fakes import market


def test_daily_labels_are_the_sessions_dates_in_winter_and_in_summer(server, make):
    # 2024-03-11 was the first session of summer time: midnight in New York moves from 05:00 to 04:00 UTC.
    answer = fetch(make(server), ["AAPL"], "2024-03-07", "2024-03-13")["AAPL"]
    assert [stamp.date().isoformat() for stamp in answer.bars["timestamp"]] == [
        "2024-03-07",
        "2024-03-08",
        "2024-03-11",
        "2024-03-12",
        "2024-03-13",
    ]
    asked = server.data_requests()[0].query
    assert (asked["start"], asked["end"]) == ("2024-03-07T05:00:00Z", "2024-03-14T03:59:59.999999Z")


def test_minutes_around_a_change_of_the_clocks_open_when_new_york_does(server, make):
    answer = fetch(make(server), ["AAPL"], "2024-03-08", "2024-03-11", "30m")["AAPL"]
    opens = [stamp for stamp in answer.bars["timestamp"] if stamp.minute == 30 and stamp.hour in (13, 14)]
    assert opens[0] == datetime(2024, 3, 8, 14, 30, tzinfo=UTC)
    assert datetime(2024, 3, 11, 13, 30, tzinfo=UTC) in opens
    assert answer.bars.height == 26


def test_extended_hours_are_left_out_unless_asked_for(server, make):
    # The day before Thanksgiving has 13 half hours, the day after 7; the fake prints 2 before and 3 after each session.
    closed = fetch(make(server, now=market.NOW + 86_400), ["AAPL"], "2024-11-27", "2024-11-29", "30m")["AAPL"]
    assert closed.bars.height == 0 + 13 + 4  # the server itself knows nothing after 16:00 UTC of its now
    opened = fetch(make(server, extended_hours=True), ["AAPL"], "2024-11-27", "2024-11-27", "30m")["AAPL"]
    assert opened.bars.height == 18
    assert opened.bars["timestamp"][0] == datetime(2024, 11, 27, 13, 30, tzinfo=UTC)


def test_hours_are_alpacas_own_only_with_extended_hours(server, make):
    assert "1h" not in make(server).limits.frequencies
    assert "1h" in make(server, extended_hours=True).limits.frequencies


def test_weeks_and_months_are_labelled_by_their_first_day(server, make):
    weeks = fetch(make(server), ["AAPL"], "2024-09-02", "2024-09-15", "1w")["AAPL"]
    # Monday the 2nd was Labor Day.
    assert [stamp.date() for stamp in weeks.bars["timestamp"]] == [date(2024, 9, 2), date(2024, 9, 9)]
    months = fetch(make(server), ["AAPL"], "2024-09-01", "2024-10-31", "1M")["AAPL"]
    assert [stamp.date() for stamp in months.bars["timestamp"]] == [date(2024, 9, 1), date(2024, 10, 1)]
    days = market.daily("AAPL", date(2024, 9, 3), date(2024, 9, 6))
    assert weeks.bars["volume"][0] == sum(row.volume for row in days)


@pytest.mark.parametrize(
    ("now", "last"),
    [
        ("2024-06-12T19:59:00+00:00", "2024-06-11"),  # the session is still open
        ("2024-06-12T20:30:00+00:00", "2024-06-11"),  # closed, but extended trading adds to its volume
        ("2024-06-13T00:14:00+00:00", "2024-06-11"),  # 20:14 in New York
        ("2024-06-13T00:15:00+00:00", "2024-06-12"),
        ("2024-01-11T01:14:00+00:00", "2024-01-09"),  # winter: an hour later in UTC
        ("2024-01-11T01:15:00+00:00", "2024-01-10"),
    ],
)
def test_a_day_rests_after_extended_trading(now, last):
    instant = datetime.fromisoformat(now).timestamp()
    assert alpaca_bars.last_day_at_rest(instant) == date.fromisoformat(last)


@pytest.mark.parametrize(
    ("now", "frequency", "kept"),
    [
        ("2024-06-14T23:00:00+00:00", "1w", 1),  # Friday 19:00
        ("2024-06-15T00:20:00+00:00", "1w", 2),  # Friday 20:20, and no session until Monday
        ("2024-06-28T23:00:00+00:00", "1M", 1),  # the last session of June
        ("2024-06-29T00:20:00+00:00", "1M", 2),
        ("2024-05-01T00:20:00+00:00", "1M", 1),  # before the newest month began
    ],
)
def test_a_week_or_month_rests_with_its_last_session(now, frequency, kept):
    labels = {"1w": [date(2024, 6, 3), date(2024, 6, 10)], "1M": [date(2024, 5, 1), date(2024, 6, 1)]}[frequency]
    bars = pl.DataFrame({"timestamp": labels}).with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))
    found = alpaca_bars.at_rest(bars, FREQUENCIES[frequency], datetime.fromisoformat(now).timestamp())
    assert found.height == kept


def test_a_range_of_the_future_asks_for_no_bars_of_all_exchanges(server, make):
    answer = fetch(make(server, feed="sip"), ["AAPL"], "2024-12-02", "2024-12-31", "1m")["AAPL"]
    assert answer.bars.is_empty()
    assert not server.data_requests()


def test_all_exchanges_are_not_asked_for_the_last_quarter_of_an_hour(server, make):
    answer = fetch(make(server, feed="sip"), ["AAPL"], "2024-11-29", "2024-11-29", "1m")["AAPL"]
    asked = server.data_requests()[0].query
    assert (asked["feed"], asked["end"]) == ("sip", "2024-11-29T15:45:00Z")
    assert answer.bars["timestamp"][-1] == datetime(2024, 11, 29, 15, 45, tzinfo=UTC)
