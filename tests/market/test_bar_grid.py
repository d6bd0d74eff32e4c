from datetime import UTC, date, datetime

import numpy as np
import pytest

from rustybt.market.bar_grid import BarGrid
from rustybt.market.calendars import get_calendar
from rustybt.market.frequency import Frequency
from rustybt.market.trading_calendar import TradingCalendar

H = Frequency.parse("1h")


def instant(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize("venue", ["XNYS", "XTKS", "XHKG", "24/7", "CMES", "XBOM"])
@pytest.mark.parametrize("frequency", ["1m", "5m", "30m", "1h", "1d", "1w", "1M"])
@pytest.mark.parametrize("anchor", ["open", "clock"])
def test_the_grid_numbers_exactly_the_bars_that_are_due(venue, frequency, anchor):
    calendar = get_calendar(venue, date(2020, 3, 1), date(2020, 9, 30))
    due = calendar.expected_bar_opens(calendar.covered_start, calendar.covered_end, frequency, anchor)
    grid = BarGrid.of(calendar, Frequency.parse(frequency), anchor)
    ordinals = grid.ordinals(due)
    assert ordinals.tolist() == list(range(len(due)))
    assert grid.size == len(due)
    assert grid.labels_at(ordinals).tolist() == due.tolist()


def test_what_is_not_due_has_no_ordinal():
    calendar = get_calendar("XNYS", date(2020, 1, 1), date(2020, 1, 31))
    grid = BarGrid.of(calendar, Frequency.parse("1m"))
    stamps = [
        instant("2020-01-06T14:29"),
        instant("2020-01-06T14:30:30"),
        instant("2020-01-04T15:00"),
        instant("2020-01-06T21:00"),
    ]
    assert grid.ordinals(np.array(stamps)).tolist() == [-1, -1, -1, -1]


def test_any_session_of_a_week_has_the_weeks_ordinal():
    calendar = get_calendar("XNYS", date(2020, 1, 1), date(2020, 1, 31))
    grid = BarGrid.of(calendar, Frequency.parse("1w"))
    week = grid.ordinals(
        np.array([instant("2020-01-06T00:00"), instant("2020-01-10T00:00"), instant("2020-01-13T00:00")])
    )
    assert week[1] == week[0]
    assert week[2] == week[0] + 1


def test_the_anchor_is_the_one_that_more_bars_lie_on():
    calendar = get_calendar("XNYS", date(2020, 1, 1), date(2020, 1, 31))
    on_the_hour = np.array([instant(f"2020-01-06T{hour}:00") for hour in range(14, 21)])
    assert (BarGrid.fitting(calendar, H, on_the_hour).ordinals(on_the_hour) >= 0).all()
    half_past = on_the_hour + 30 * 60_000_000
    assert (BarGrid.fitting(calendar, H, half_past).ordinals(half_past) >= 0).all()
    assert BarGrid.fitting(calendar, H, on_the_hour[:0]).size == BarGrid.of(calendar, H).size


def test_a_clock_bar_that_reaches_over_a_break_is_due_once():
    lunch = TradingCalendar(
        name="SHORT LUNCH",
        sessions=np.array(["2020-01-06"], dtype="datetime64[D]"),
        opens=np.array([instant("2020-01-06T09:00")]),
        closes=np.array([instant("2020-01-06T14:00")]),
        break_starts=np.array([instant("2020-01-06T11:15")]),
        break_ends=np.array([instant("2020-01-06T11:45")]),
        covered_start=date(2020, 1, 6),
        covered_end=date(2020, 1, 6),
    )
    due = lunch.expected_bar_opens(date(2020, 1, 6), date(2020, 1, 6), H, "clock")
    grid = BarGrid.of(lunch, H, "clock")
    assert len(due) == grid.size == 5
    assert grid.ordinals(due).tolist() == [0, 1, 2, 3, 4]
    assert grid.labels_at(np.arange(5)).tolist() == due.tolist()


def test_a_calendar_without_sessions_expects_nothing():
    empty = get_calendar("XSHG", date(1950, 1, 1), date(1951, 1, 1))
    for name in ("1m", "1d", "1w"):
        grid = BarGrid.of(empty, Frequency.parse(name), "clock")
        assert grid.size == 0
        assert grid.ordinals(np.array([0, 1])).tolist() == [-1, -1]
