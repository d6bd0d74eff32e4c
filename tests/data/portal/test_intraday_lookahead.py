"""One bar of look-ahead hides here: when each intraday bar is first seen; by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from rustybt.data.portal import BarData, MemoryBars, PolarsDataPortal
from rustybt.errors import LookaheadError, RequestError
from rustybt.testing.bars import frame_of_bars

#: Monday to Wednesday before Thanksgiving 2016, and the half day after it; New York trades 14:30 to 21:00 UTC.
WEEK = (date(2016, 11, 21), date(2016, 11, 25))


def utc(text):
    return pd.Timestamp(text, tz="UTC")


def opened(rows, frequency, start, end, *, calendar="XNYS", run=None, **more):
    """Return a portal of bars that hold one number each, `data`, and the asset."""
    bars = MemoryBars(frame_of_bars(rows), frequency=frequency, calendar_name=calendar, **more)
    portal = PolarsDataPortal(bars=bars, start=start, end=end, frequency=run or frequency)
    return portal, BarData(portal, lambda: None), bars.assets.lookup_symbol("A")


def history(data, asset, *asked):
    found = data.history(asset, *asked)
    return [str(label) for label in found.index], list(found)


def walk(portal, data, asset, sessions=1):
    """Return what `data.current` shows as `close` before the open and at the end of each bar, by that end."""
    seen = {}
    for t in range(sessions):
        portal.before_open(t)
        seen[f"before {portal.session}"] = data.current(asset, "close")
        for number, end in enumerate(portal.bar_ends(t)):
            portal.at_bar(t, number)
            seen[end.strftime("%d %H:%M")] = data.current(asset, "close")
    return {when: value for when, value in seen.items() if not np.isnan(value)}


@pytest.mark.parametrize("window", [False, True])
def test_a_minute_is_first_seen_at_its_end(window):
    rows = [("A", "2016-11-21 14:30", "10"), ("A", "2016-11-21 20:59", "11"), ("A", "2016-11-22 14:31", "12")]
    portal, data, asset = opened(rows, "1m", date(2016, 11, 21), date(2016, 11, 22))
    if window:
        data.history(asset, "close", 500, "1m")
    assert walk(portal, data, asset, 2) == {
        "21 14:31": 10,
        "21 21:00": 11,
        # Before the open the last minute of the session before is the present one.
        "before 2016-11-22": 11,
        "22 14:32": 12,
    }


@pytest.mark.parametrize("looks_before_the_open", [True, False])
def test_minutes_outside_trading_hours_are_never_seen(looks_before_the_open):
    rows = [
        ("A", "2016-11-18 20:00", "10"),
        ("A", "2016-11-18 22:00", "99"),
        ("A", "2016-11-21 14:29", "98"),
        ("A", "2016-11-21 21:00", "97"),
        ("A", "2016-11-22 14:00", "96"),
    ]
    portal, data, asset = opened(rows, "1m", date(2016, 11, 21), date(2016, 11, 22))
    for t in (0, 1):
        if looks_before_the_open:
            portal.before_open(t)
            assert data.current(asset, "price") == 10
        portal.at_bar(t, 0)
        assert data.current(asset, "last_traded") == utc("2016-11-18 20:01")
        assert data.current(asset, "price") == 10
        assert history(data, asset, "price", 2, "1d")[1] == [10, 10]


def test_the_stored_daily_bar_of_the_running_session_is_never_read():
    minutes = [("A", f"2016-11-{day} {at}", str(day)) for day in (21, 22) for at in ("14:30", "20:59")]
    days = frame_of_bars([("A", f"2016-11-{day}", str(day * 100)) for day in (18, 21, 22, 23)])
    portal, data, asset = opened(minutes, "1m", date(2016, 11, 21), date(2016, 11, 22), more={"1d": days})
    expected = {
        (0, None): [np.nan, np.nan, 1800],
        (0, 0): [np.nan, 1800, 21],
        (0, 389): [np.nan, 1800, 21],
        (1, None): [np.nan, 1800, 2100],
        (1, 0): [1800, 2100, 22],
        (1, 389): [1800, 2100, 22],
    }
    for (t, number), values in expected.items():
        portal.before_open(t) if number is None else portal.at_bar(t, number)
        for field in ("open", "high", "low", "close"):
            np.testing.assert_array_equal(data.history(asset, field, 3, "1d"), values)
        last = values[-1]
        assert data.history(asset, "high", 1, "1w").iloc[-1] == (
            1800 if (t, number) == (0, None) else max(value for value in ([2100] if t else []) + [last])
        )
    assert data.history(asset, "volume", 1, "1d").iloc[-1] == 44
    assert portal.get_spot_value(asset, "close", "2016-11-21", "1d") == 21


def test_windows_reach_over_nights_weekends_and_half_days():
    rows = [
        ("A", "2016-11-23 20:59", "1"),
        ("A", "2016-11-25 14:30", "2"),
        ("A", "2016-11-25 17:59", "3"),
        ("A", "2016-11-28 14:30", "4"),
    ]
    portal, data, asset = opened(rows, "1m", date(2016, 11, 25), date(2016, 11, 28))
    assert len(portal.bar_ends(0)) == 210
    portal.before_open(0)
    assert history(data, asset, "close", 1, "1m") == (["2016-11-23 21:00:00+00:00"], [1])
    portal.at_bar(0, 0)
    assert history(data, asset, "close", 2, "1m") == (
        ["2016-11-23 21:00:00+00:00", "2016-11-25 14:31:00+00:00"],
        [1, 2],
    )
    portal.at_bar(0, 209)
    assert history(data, asset, "close", 1, "1h") == (["2016-11-25 18:00:00+00:00"], [3])
    portal.at_bar(1, 0)
    assert history(data, asset, "price", 2, "1m") == (
        ["2016-11-25 18:00:00+00:00", "2016-11-28 14:31:00+00:00"],
        [3, 4],
    )
    assert history(data, asset, "open", 3, "1h") == (
        ["2016-11-25 17:30:00+00:00", "2016-11-25 18:00:00+00:00", "2016-11-28 15:30:00+00:00"],
        [pytest.approx(np.nan, nan_ok=True), 3, 4],
    )
    assert history(data, asset, "open", 2, "1d") == (["2016-11-25 00:00:00", "2016-11-28 00:00:00"], [2, 4])


def test_hours_are_not_seen_over_lunch_before_they_end():
    # Hong Kong trades 09:30 to 12:00 and 13:00 to 16:00, that is 01:30 to 04:00 and 05:00 to 08:00 UTC.
    rows = [("A", f"2016-11-21 {at}", str(i)) for i, at in enumerate(["03:59", "05:00", "07:59"], 1)]
    portal, data, asset = opened(rows, "1m", date(2016, 11, 21), date(2016, 11, 21), calendar="XHKG")
    assert len(portal.bar_ends(0)) == 330
    assert walk(portal, data, asset) == {"21 04:00": 1, "21 05:01": 2, "21 08:00": 3}
    portal.at_bar(0, 150)
    # The hour from 11:30 is cut by lunch; the next one begins with the afternoon.
    assert history(data, asset, "close", 2, "1h") == (
        ["2016-11-21 04:00:00+00:00", "2016-11-21 06:00:00+00:00"],
        [1, 2],
    )


def test_stored_hours_with_a_lunch_break():
    rows = [("A", f"2016-11-21 {at}", str(i)) for i, at in enumerate(["01:30", "03:30", "05:00", "07:00"], 1)]
    portal, data, asset = opened(rows, "1h", date(2016, 11, 21), date(2016, 11, 21), calendar="XHKG")
    seen = walk(portal, data, asset)
    assert list(seen.values()) == [1, 2, 3, 4]
    assert seen["21 02:30"] == 1
    assert seen["21 08:00"] == 4
    assert history(data, asset, "volume", 1, "1d")[1] == [10]


def test_a_session_that_opens_on_the_eve_begins_with_the_eve():
    # Chicago's Monday opens on Sunday at 17:00, 23:00 UTC in winter.
    rows = [("A", "2016-11-18 22:00", "1"), ("A", "2016-11-20 23:00", "2"), ("A", "2016-11-21 20:00", "3")]
    portal, data, asset = opened(rows, "1h", date(2016, 11, 21), date(2016, 11, 21), calendar="CMES")
    portal.before_open(0)
    assert data.current(asset, "price") == 1
    assert portal.bar_ends(0)[0] == utc("2016-11-21 00:00")
    portal.at_bar(0, 0)
    assert data.current(asset, "close") == 2
    assert history(data, asset, "open", 2, "1d") == (["2016-11-18 00:00:00", "2016-11-21 00:00:00"], [1, 2])
    portal.at_bar(0, len(portal.bar_ends(0)) - 1)
    assert history(data, asset, "close", 2, "1d")[1] == [1, 3]


def test_where_trading_never_stops_a_day_ends_at_midnight():
    rows = [("A", "2016-11-19 23:00", "1"), ("A", "2016-11-20 00:00", "2"), ("A", "2016-11-20 23:00", "3")]
    portal, data, asset = opened(rows, "1h", date(2016, 11, 20), date(2016, 11, 21), calendar="24/7")
    assert len(portal.bar_ends(0)) == 24
    assert walk(portal, data, asset, 2) == {
        "before 2016-11-20": 1,
        "20 01:00": 2,
        "21 00:00": 3,
        "before 2016-11-21": 3,
    }
    portal.at_bar(0, 23)
    assert history(data, asset, "open", 2, "1d")[1] == [1, 2]


@pytest.mark.parametrize("first", ["14:00", "14:30"])
def test_stored_hours_of_the_clock_are_seen_at_full_hours(first):
    """A vendor's first hour of New York is labelled 09:00, or 09:30 as it begins, the others 10:00, 11:00 ..."""
    hours = [first, "15:00", "16:00", "17:00", "18:00", "19:00", "20:00"]
    rows = [("A", f"2016-11-{day} {at}", f"{day}{i}") for day in (18, 21) for i, at in enumerate(hours)]
    portal, data, asset = opened(rows, "1h", date(2016, 11, 21), date(2016, 11, 21))
    assert [end.strftime("%H:%M") for end in portal.bar_ends(0)] == [f"{hour}:00" for hour in range(15, 22)]
    assert list(walk(portal, data, asset).values()) == [186, *range(210, 217)]
    # Days are made of all of them, the first included.
    assert history(data, asset, "open", 2, "1d")[1] == [180, 210]
    assert history(data, asset, "volume", 2, "1d")[1] == [sum(range(180, 187)), sum(range(210, 217))]
    days, data, asset = opened(rows, "1h", date(2016, 11, 21), date(2016, 11, 21), run="1d")
    days.at_bar(0, 0)
    assert history(data, asset, "open", 2, "1d")[1] == [180, 210]


def test_hours_from_the_open_end_at_half_hours_and_the_last_one_with_the_session():
    hours = ["14:30", "15:30", "16:30", "17:30", "18:30", "19:30", "20:30"]
    rows = [("A", f"2016-11-21 {at}", str(i + 1)) for i, at in enumerate(hours)]
    rows += [("A", f"2016-11-25 {at}", str(i + 11)) for i, at in enumerate(hours[:4])]
    portal, data, asset = opened(rows, "1h", *WEEK)
    seen = walk(portal, data, asset, 4)
    assert {when: value for when, value in seen.items() if when[:2] == "21"} == {
        **{f"21 {hour}:30": hour - 14 for hour in range(15, 21)},
        "21 21:00": 7,
    }
    assert [when for when in seen if when.startswith("25")] == ["25 15:30", "25 16:30", "25 17:30", "25 18:00"]


def test_clocks_that_go_back_move_the_open_in_utc():
    rows = [("A", "2016-11-04 13:30", "1"), ("A", "2016-11-04 14:30", "2"), ("A", "2016-11-07 14:30", "3")]
    portal, data, asset = opened(rows, "1m", date(2016, 11, 4), date(2016, 11, 7))
    assert walk(portal, data, asset, 2) == {"04 13:31": 1, "04 14:31": 2, "07 14:31": 3}
    portal.at_bar(1, 59)
    assert history(data, asset, "open", 1, "1h") == (["2016-11-07 15:30:00+00:00"], [3])


@pytest.mark.parametrize("label", ["2016-11-21", "2016-11-25"])
def test_a_stored_week_is_seen_when_its_last_session_has_closed(label):
    rows = [("A", "2016-11-14", "1"), ("A", label, "2"), ("A", "2016-11-28", "3")]
    portal, data, asset = opened(rows, "1w", date(2016, 11, 21), date(2016, 12, 2))
    portal.before_open(0)
    assert data.current(asset, "price") == 1
    portal.at_bar(0, 0)
    assert portal.bar_ends(0)[0] == utc("2016-11-25 18:00")
    assert history(data, asset, "close", 2, "1w") == (["2016-11-18 00:00:00", "2016-11-25 00:00:00"], [1, 2])
    with pytest.raises(LookaheadError):
        portal.get_spot_value(asset, "close", "2016-12-02")
    with pytest.raises(RequestError, match="cannot be made"):
        data.history(asset, "close", 2, "1d")


def test_a_stored_month_is_seen_when_its_last_session_has_closed():
    rows = [("A", "2016-10-03", "1"), ("A", "2016-11-01", "2")]
    portal, data, asset = opened(rows, "1M", date(2016, 11, 1), date(2016, 11, 30))
    portal.before_open(0)
    assert data.current(asset, "price") == 1
    portal.at_bar(0, 0)
    assert history(data, asset, "close", 2, "1M") == (["2016-10-31 00:00:00", "2016-11-30 00:00:00"], [1, 2])


def test_weeks_and_months_are_labelled_by_the_last_session_due_wherever_the_run_ends():
    rows = [("A", "2016-11-21 14:30", "1")]
    for run, end in (("1m", 21), ("1d", 21), ("1m", 30), ("1d", 30)):
        portal, data, asset = opened(rows, "1m", date(2016, 11, 21), date(2016, 11, end), run=run)
        portal.at_bar(0, 0)
        assert history(data, asset, "close", 1, "1w") == (["2016-11-25 00:00:00"], [1])
        assert history(data, asset, "close", 1, "1M") == (["2016-11-30 00:00:00"], [1])


def test_reads_from_outside_stop_at_the_clock_and_leave_it_where_it_is():
    rows = [("A", f"2016-11-{day} {at}", f"{day}.{at[:2]}") for day in (21, 22) for at in ("14:30", "20:59")]
    portal, data, asset = opened(rows, "1m", date(2016, 11, 21), date(2016, 11, 22))
    portal.at_bar(1, 0)
    for late in ("2016-11-22 14:32", utc("2016-11-22 21:00"), "2016-11-22", date(2016, 11, 22)):
        with pytest.raises(LookaheadError):
            portal.get_spot_value(asset, "close", late)
        with pytest.raises(LookaheadError):
            portal.get_history_window([asset], late, 2, "1d", "close")
        assert data.current(asset, "close") == 22.14
    # Not complete yet, so the minute before is the last one that is.
    assert np.isnan(portal.get_spot_value(asset, "close", utc("2016-11-21 14:32")))
    assert portal.get_spot_value(asset, "close", utc("2016-11-21 14:31:59")) == 21.14
    assert portal.get_spot_value(asset, "close", date(2016, 11, 21)) == 21.2
    assert portal.get_spot_value([asset], "high", "2016-11-21 14:31", "1d") == [21.14]
    found = portal.get_history_window([asset], "2016-11-21", 2, "1d", "close")
    assert found.iloc[-1, 0] == 21.2
    for wrong in (("close", "2016-11-21", "7m"), ("vwap", "2016-11-21", None)):
        with pytest.raises(RequestError):
            portal.get_spot_value(asset, *wrong)
    with pytest.raises(RequestError):
        portal.get_history_window([asset], "2016-11-21", 0, "1m", "close")
    with pytest.raises(RequestError, match="expected an asset"):
        portal.get_history_window(["A"], "2016-11-21", 1, "1m", "close")
    assert (data.current(asset, "close"), portal.session) == (22.14, date(2016, 11, 22))
    assert history(data, asset, "close", 2, "1d") == (["2016-11-21 00:00:00", "2016-11-22 00:00:00"], [21.2, 22.14])


def test_a_minute_of_long_before_the_run_is_read_from_outside():
    rows = [("A", "2016-03-01 14:30", "5"), ("A", "2016-11-21 14:30", "10")]
    portal, _, asset = opened(rows, "1m", date(2016, 11, 21), date(2016, 11, 22))
    assert portal.get_spot_value(asset, "close", "2016-03-01 14:31") == 5
    portal, _, asset = opened(rows, "1m", date(2016, 11, 21), date(2016, 11, 22))
    assert portal.get_spot_value(asset, "price", date(2016, 3, 1)) == 5


@pytest.mark.parametrize("frequency", ["1h", "1d"])
def test_nothing_is_known_before_the_first_session_of_a_calendar(frequency):
    """Riyadh's calendar begins on 2021-01-03: no session lies before the run's first."""
    hours = ["" if frequency == "1d" else " 07:00"]
    rows = [("A", f"2021-01-0{day}{at}", str(day)) for day in (3, 4, 5) for at in hours]
    portal, data, asset = opened(rows, frequency, date(2021, 1, 3), date(2021, 1, 5), calendar="XSAU")
    portal.before_open(0)
    assert np.isnan(data.current(asset, "price"))
    assert data.current(asset, "volume") == 0
    assert data.current(asset, "last_traded") is pd.NaT
    for asked in {"1d", frequency}:
        with pytest.raises(RequestError, match="begins 2021-01-03"):
            data.history(asset, "close", 1, asked)
    portal.at_bar(0, 0)
    assert data.current(asset, "close") == 3
    earlier = datetime(2021, 1, 3, tzinfo=UTC) - timedelta(days=30)
    with pytest.raises(RequestError):
        portal.get_spot_value(asset, "close", earlier)
