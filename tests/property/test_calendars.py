from datetime import date, timedelta

import exchange_calendars
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustybt.market.bar_grid import BarGrid
from rustybt.market.calendars import get_calendar
from rustybt.market.frequency import FREQUENCIES

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

LOW, HIGH = date(2010, 1, 1), date(2020, 12, 31)
VENUES = ("XNYS", "XHKG", "XTKS", "XLON", "XASX", "CMES", "24/7")
days = st.dates(LOW, HIGH - timedelta(days=40))
venues = st.sampled_from(VENUES)


@pytest.fixture(scope="module")
def oracles():
    return {name: exchange_calendars.get_calendar(name, start="2009-06-01", end="2021-06-30") for name in VENUES}


@given(venues, days, st.integers(0, 40))
@settings(deadline=None)
def test_sessions_between_any_dates_are_the_librarys(oracles, venue, start, length):
    end = start + timedelta(days=length)
    ours = get_calendar(venue, LOW, HIGH).sessions_between(start, end)
    theirs = oracles[venue].sessions_in_range(start.isoformat(), end.isoformat())
    assert [str(day) for day in ours] == [str(day.date()) for day in theirs]


@given(venues, days, st.integers(0, 86_399))
@settings(deadline=None)
def test_an_instant_trades_when_the_library_says_so(oracles, venue, day, second):
    instant = np.datetime64(day, "us") + np.timedelta64(second, "s")
    ours = get_calendar(venue, LOW, HIGH).session_of_instants(np.array([instant.astype(np.int64)]))[0] >= 0
    minute = instant.astype("datetime64[m]")
    assert ours == oracles[venue].is_trading_minute(str(minute))


@given(venues, days, st.sampled_from(sorted(FREQUENCIES)), st.sampled_from(["open", "clock"]))
@settings(deadline=None)
def test_due_bars_rise_lie_on_the_grid_and_trade(venue, day, name, anchor):
    calendar = get_calendar(venue, LOW, HIGH)
    frequency = FREQUENCIES[name]
    due = calendar.expected_bar_opens(day, day + timedelta(days=20), name, anchor)
    assert (np.diff(due) > 0).all()
    ordinals = BarGrid.of(calendar, frequency, anchor).ordinals(due)
    assert (ordinals >= 0).all()
    assert (np.diff(ordinals) == 1).all()
    if frequency.is_intraday and anchor == "open":
        assert (calendar.session_of_instants(due) >= 0).all()


@given(venues, days, days)
@settings(deadline=None)
def test_the_hash_is_equal_exactly_for_equal_sessions(venue, one, other):
    calendar = get_calendar(venue, LOW, HIGH)
    first = calendar.sessions_between(one, one + timedelta(days=20))
    second = calendar.sessions_between(other, other + timedelta(days=20))
    same = calendar.sessions_hash(one, one + timedelta(days=20)) == calendar.sessions_hash(
        other, other + timedelta(days=20)
    )
    assert same == np.array_equal(first, second)
