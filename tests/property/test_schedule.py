"""When bars are due, against exchange_calendars and against every bar of a range written out."""

from datetime import UTC, date, datetime, timedelta

import exchange_calendars
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.data.cache.freshness import TTL, AlwaysStale, Hybrid, MarketClose, NeverStale, parse_policy
from rustybt.data.cache.schedule import Schedule
from rustybt.market.calendars import get_calendar
from rustybt.market.frequency import FREQUENCIES

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SECOND, DAY = 1_000_000, 86_400_000_000
LOW, HIGH = date(2008, 1, 1), date(2021, 12, 31)
VENUES = ("XNYS", "XHKG", "XTKS", "XLON", "XASX", "CMES", "24/7", "24/5")
venues = st.sampled_from(VENUES)
names = st.sampled_from(sorted(FREQUENCIES))
delays = st.sampled_from([0, 1, 900, 15_300])
days = st.dates(date(2009, 6, 1), date(2020, 12, 1))


@pytest.fixture(scope="module")
def oracles():
    return {name: exchange_calendars.get_calendar(name, start="2008-01-01", end="2021-12-31") for name in VENUES}


def us(day, seconds=0):
    return (int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) + seconds) * SECOND


def micros(stamp):
    return stamp.value // 1_000


@st.composite
def ranges(draw):
    """Return a range of up to 40 days, and a moment before, in or after it; all at seconds."""
    start = us(draw(days), draw(st.sampled_from([0, 0, 52_200]) | st.integers(0, 86_399)))
    end = start + draw(st.integers(0, 40 * 86_400)) * SECOND
    now = start // SECOND + draw(st.integers(-3 * 86_400, 60 * 86_400))
    return start, end, float(now)


def every_bar(venue, frequency, start, end):
    """Return the labels that any vendor may give, and when each of them ends."""
    calendar = get_calendar(venue, LOW, HIGH)
    first, last = (datetime.fromtimestamp(side / SECOND, UTC).date() for side in (start, end))
    around = first - timedelta(days=40), last + timedelta(days=40)
    labels = np.union1d(
        calendar.expected_bar_opens(*around, frequency), calendar.expected_bar_opens(*around, frequency, "clock")
    )
    if not frequency.is_intraday:
        # The first week or month of the list may be cut.
        labels = labels[1:]
    labels = labels[(labels >= start) & (labels <= end)]
    return labels, calendar.bar_ends(labels, frequency)


@given(venues, names, delays, ranges())
def test_what_is_due_and_what_is_unfinished_agree_with_every_bar_written_out(venue, name, delay, asked):
    frequency, (start, end, now) = FREQUENCIES[name], asked
    labels, ends = every_bar(venue, frequency, start, end)
    is_final = ends + delay * SECOND <= now * SECOND
    schedule = Schedule(venue, frequency, delay)
    assert schedule.has_due(start, end, now) == is_final.any()
    unfinished = labels[~is_final]
    assert schedule.first_unfinished(start, end, now) == (unfinished[0] if unfinished.size else None)


@given(venues, names, ranges())
def test_bars_that_are_expected_are_on_session_in_all_hours(venue, name, asked):
    frequency, (start, end, _) = FREQUENCIES[name], asked
    labels, _ = every_bar(venue, frequency, start, end)
    for hours in ("regular", "extended", "always"):
        assert not Schedule(venue, frequency, hours=hours).off_session(labels)


@given(venues, days, st.integers(0, 1_439))
def test_a_minute_is_off_session_where_the_library_does_not_trade(oracles, venue, day, minute):
    label = us(day, minute * 60)
    trades = oracles[venue].is_trading_minute(f"{day} {minute // 60:02d}:{minute % 60:02d}")
    schedule = Schedule(venue, FREQUENCIES["1m"])
    assert schedule.off_session(np.array([label])) == (not trades)
    assert schedule.is_open(label / SECOND) == trades
    assert schedule.has_due(label, label, label / SECOND + 60) == trades


@given(venues, days)
def test_a_day_has_a_session_where_the_library_has_one(oracles, venue, day):
    is_session = oracles[venue].is_session(str(day))
    daily = Schedule(venue, FREQUENCIES["1d"])
    assert daily.has_session(us(day), us(day) + DAY - 1) == is_session
    assert daily.off_session(np.array([us(day)])) == (not is_session)


@given(venues, delays, ranges())
def test_closes_are_the_librarys(oracles, venue, delay, asked):
    now = asked[2]
    settled = [micros(close) / SECOND + delay for close in oracles[venue].closes]
    schedule = Schedule(venue, FREQUENCIES["1d"], delay)
    assert schedule.last_close(now) == max(close for close in settled if close <= now)
    assert schedule.next_close(now) == min(close for close in settled if close > now)


@given(venues, days, st.integers(0, 300))
def test_a_daily_window_begins_as_many_sessions_earlier(oracles, venue, day, sessions):
    dates = [session.date() for session in oracles[venue].sessions]
    at = next(position for position, session in enumerate(dates) if session >= day)
    assert Schedule(venue, FREQUENCIES["1d"]).window_start(us(day), sessions) == us(dates[at - sessions])


@given(venues, st.sampled_from(["1m", "1h", "1d"]), ranges(), st.sets(st.integers(0, 40)))
def test_empty_runs_are_the_whole_sessions_without_a_bar(oracles, venue, name, asked, filled):
    oracle, (start, end, _) = oracles[venue], asked
    spans, bars, all_sessions = [], [], []
    near = oracle.sessions_in_range(
        *(str(datetime.fromtimestamp(side / SECOND, UTC).date()) for side in (start - 3 * DAY, end + 3 * DAY))
    )
    for number, session in enumerate(near):
        if name == "1d":
            opened, label, closed = us(session.date()), us(session.date()), us(session.date()) + DAY
            is_whole = start <= label <= end
        else:
            opened, closed = micros(oracle.session_open(session)), micros(oracle.session_close(session))
            label = closed - FREQUENCIES[name].seconds * SECOND
            is_whole = start <= opened and label <= end
        has_bar = number in filled and start <= label <= end
        bars += [label] if has_bar else []
        all_sessions.append((opened, closed, is_whole and not has_bar))
    for before, (opened, closed, is_empty) in zip([(0, 0, False), *all_sessions], all_sessions, strict=False):
        if is_empty and before[2]:
            spans[-1] = (spans[-1][0], min(end, closed - 1))
        elif is_empty:
            spans.append((max(start, opened), min(end, closed - 1)))
    assert Schedule(venue, FREQUENCIES[name]).empty_runs(start, end, np.array(bars, dtype=np.int64)) == spans


@given(venues, names, st.sampled_from(["regular", "extended", "always"]), delays, ranges())
def test_a_range_is_due_until_its_first_unfinished_bar_and_not_from_there_on(venue, name, hours, delay, asked):
    start, end, now = asked
    schedule = Schedule(venue, FREQUENCIES[name], delay, hours)
    unfinished = schedule.first_unfinished(start, end, now)
    if unfinished is not None:
        assert start <= unfinished <= end
        assert not schedule.has_due(unfinished, end, now)
        assert schedule.has_session(start, end)
    else:
        assert schedule.first_unfinished(start, end, now + 86_400) is None


durations = st.floats(0, 1e9, allow_nan=False) | st.integers(0, 10**7).map(float)
policies = st.sampled_from([MarketClose(), NeverStale(), AlwaysStale()]) | durations.map(TTL) | durations.map(Hybrid)


@given(policies)
def test_a_policy_is_read_from_its_own_text(policy):
    assert parse_policy(str(policy)) == policy
    assert hash(parse_policy(str(policy))) == hash(policy)


@given(policies, venues, names, delays, ranges(), st.integers(0, 10**7))
def test_what_is_stale_stays_stale_and_turns_so_when_it_was_said(policy, venue, name, delay, asked, later):
    schedule, fetched = Schedule(venue, FREQUENCIES[name], delay), asked[2]
    refresh = policy.next_refresh_time(fetched, schedule)
    assert policy.is_fresh(fetched, fetched + later, schedule) == (fetched + later < refresh)
    if isinstance(policy, MarketClose | NeverStale):
        assert refresh > fetched


@given(venues, st.sampled_from(["1m", "5m", "15m", "30m", "1h"]), delays, ranges(), st.integers(0, 86_400))
def test_after_a_close_hybrid_asks_again_only_when_something_new_can_be_final(venue, name, delay, asked, seconds):
    frequency, now = FREQUENCIES[name], asked[2]
    refresh = Hybrid(seconds).next_refresh_time(now, Schedule(venue, frequency, delay))
    if refresh != now + seconds:
        ends = every_bar(venue, frequency, int(now) * SECOND - 3 * DAY, int(refresh) * SECOND)[1]
        final = ends / SECOND + delay
        assert not ((final > now) & (final < refresh)).any()
        assert (final == refresh).any()
