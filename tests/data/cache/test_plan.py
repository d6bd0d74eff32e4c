"""What is served and what is asked: days of January 2024, written by their number."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.data.cache.coverage import Reason, Segment
from rustybt.data.cache.freshness import TTL, AlwaysStale, MarketClose, NeverStale
from rustybt.data.cache.plan import Call, Hole, Terms, plan_calls, plan_series
from rustybt.data.cache.schedule import Schedule
from rustybt.data.cache.series import Series
from rustybt.market.frequency import FREQUENCIES

DAY = 86_400
US = 1_000_000
PRESENT, EMPTY, FAILED, OPEN = Reason.PRESENT, Reason.CONFIRMED_EMPTY, Reason.FAILED, Reason.NOT_FINAL
DAILY = FREQUENCIES["1d"]
CRYPTO = Schedule("24/7", DAILY)
NYSE = Schedule("XNYS", DAILY)


def unix(day, hour=0.0):
    return datetime(2024, 1, 1, tzinfo=UTC).timestamp() + (day - 1) * DAY + hour * 3_600


def us(day, hour=0.0):
    return int(unix(day, hour) * US)


def seg(first, last, reason=PRESENT, at=None, key="f"):
    """Return a segment over whole days, both included."""
    held = key if reason in (PRESENT, FAILED) else ""
    return Segment(us(first), us(last + 1) - 1, reason, unix(20, 12) if at is None else at, held)


def terms(now=None, policy=None, schedule=CRYPTO, **others):
    return Terms(unix(20, 12) if now is None else now, policy or MarketClose(), schedule, **others)


def plan(segments, first, last, found=None, told_until=None):
    """Plan the whole days from `first` to `last`."""
    return plan_series(Series("A", tuple(segments)), us(first), us(last + 1) - 1, found or terms(), told_until)


def days(holes):
    """Return holes as first and last day; fails for one that does not begin and end with a day."""
    found = []
    for hole in holes:
        assert hole.start % (DAY * US) == 0
        assert (hole.end + 1) % (DAY * US) == 0
        found.append(((hole.start - us(1)) // (DAY * US) + 1, (hole.end + 1 - us(1)) // (DAY * US)))
    return found


class TestUnknown:
    def test_of_an_unknown_series_everything_is_asked(self):
        found = plan_series(None, us(2), us(5), terms())
        assert (found.pieces, found.holes) == ((), (Hole(us(2), us(5), is_tail=True),))
        assert found.unknown == found.holes

    def test_a_series_of_which_nothing_is_left_is_unknown(self):
        assert days(plan([], 2, 5).holes) == [(2, 5)]

    def test_a_hole_in_the_middle_is_all_that_is_asked(self):
        found = plan([seg(1, 4), seg(9, 12, key="g")], 2, 11)
        assert found.pieces == (seg(2, 4), seg(9, 11, key="g"))
        assert days(found.holes) == [(5, 8)]

    def test_an_earlier_start_asks_for_what_is_before(self):
        found = plan([seg(5, 12)], 2, 8)
        assert (found.pieces, days(found.holes)) == ((seg(5, 8),), [(2, 4)])

    def test_a_subset_asks_for_nothing(self):
        found = plan([seg(1, 12)], 3, 3)
        assert (found.pieces, found.holes, found.unknown, found.stale_since) == ((seg(3, 3),), (), (), None)

    def test_to_the_microsecond(self):
        known = Series("A", (Segment(100, 200, PRESENT, 0.0, "f"),))
        # A bar of 24/7 is labelled at midnight: the epoch is one.
        assert plan_series(known, 0, 200, terms()).holes == (Hole(0, 99),)
        assert plan_series(known, 100, 200, terms()).holes == ()

    def test_failed_is_asked_again_also_where_all_else_lasts_for_ever(self):
        for policy in (MarketClose(), NeverStale()):
            found = plan([seg(1, 4), seg(5, 5, FAILED), seg(6, 9)], 1, 9, terms(policy=policy, revision_sessions=0))
            assert days(found.holes) == [(5, 5)]
            assert found.pieces == (seg(1, 4), seg(6, 9))

    def test_holes_that_touch_are_one(self):
        found = plan([seg(1, 4), seg(5, 5, FAILED), seg(9, 12)], 1, 12, terms(revision_sessions=0))
        assert days(found.holes) == [(5, 8)]


class TestEmpty:
    def test_confirmed_emptiness_is_believed_for_seven_days_and_no_longer(self):
        asked = unix(10)
        known = [seg(1, 4, at=asked), seg(5, 8, EMPTY, asked), seg(9, 9, at=asked)]
        assert plan(known, 1, 9, terms(now=unix(17) - 0.001)).holes == ()
        assert days(plan(known, 1, 9, terms(now=unix(17), revision_sessions=0)).holes) == [(5, 8)]

    def test_for_ever_where_the_policy_says_so(self):
        known = [seg(1, 4), seg(5, 8, EMPTY, unix(9)), seg(9, 9)]
        assert plan(known, 1, 9, terms(now=unix(400), policy=NeverStale())).holes == ()

    def test_before_the_listing_and_closed_time_never_expire(self):
        known = [seg(1, 4, Reason.BEFORE_LISTING, unix(9)), seg(5, 8, Reason.MARKET_CLOSED, unix(9)), seg(9, 9)]
        found = plan(known, 1, 9, terms(now=unix(400)))
        assert (found.holes, found.pieces) == ((), (seg(9, 9),))

    def test_a_gap_without_any_session_is_not_asked_for(self):
        # January 13 to 15, 2024: a weekend and Martin Luther King's day.
        known = [seg(8, 12), seg(16, 19)]
        assert plan(known, 8, 19, terms(schedule=NYSE)).holes == ()
        assert days(plan(known, 8, 19, terms(schedule=CRYPTO)).holes) == [(13, 15)]

    def test_a_session_that_is_missing_makes_its_closed_neighbours_part_of_the_hole(self):
        found = plan([seg(8, 11), seg(16, 19)], 8, 19, terms(schedule=NYSE))
        assert days(found.holes) == [(12, 15)]


class TestTail:
    """January 18, 2024 was a Thursday; New York closes at 21:00 UTC."""

    def test_a_tail_behind_the_newest_bar_waits_for_its_close(self):
        known = [seg(2, 18, at=unix(19, 1))]
        before = terms(now=unix(19, 20.99), schedule=NYSE, revision_sessions=0)
        after = terms(now=unix(19, 21), schedule=NYSE, revision_sessions=0)
        assert plan(known, 2, 19, before).holes == ()
        found = plan(known, 2, 19, after)
        assert (days(found.holes), found.holes[0].is_tail) == ([(19, 19)], True)

    def test_a_bar_that_was_not_final_is_served_until_the_next_close(self):
        tail = Segment(us(19), us(20) - 1, OPEN, unix(19, 15), "g")
        known = [seg(2, 18, at=unix(19, 15)), tail]
        before = plan(known, 2, 19, terms(now=unix(19, 20), schedule=NYSE))
        assert (before.holes, before.pieces[-1]) == ((), tail)
        after = plan(known, 2, 19, terms(now=unix(19, 21), schedule=NYSE, revision_sessions=0))
        assert days(after.holes) == [(19, 19)]

    def test_a_session_without_its_bar_yet_is_asked_again_an_hour_later(self):
        """Not at the next close: on a Friday that would be three days without its bar."""
        late = Segment(us(18), us(19) - 1, OPEN, unix(18, 22), "")
        known = [seg(2, 17, at=unix(18, 22)), late]
        found = terms(now=unix(18, 22.99), schedule=NYSE, revision_sessions=0)
        assert plan(known, 2, 18, found).holes == ()
        found = terms(now=unix(18, 23), schedule=NYSE, revision_sessions=0)
        assert days(plan(known, 2, 18, found).holes) == [(18, 18)]

    def test_what_was_asked_beyond_now_is_no_promise_for_later(self):
        known = [seg(2, 18, at=unix(18, 22)), Segment(us(19), us(27) - 1, OPEN, unix(18, 22), "")]
        found = plan(known, 2, 26, terms(now=unix(23, 22), schedule=NYSE, revision_sessions=0))
        assert days(found.holes) == [(19, 26)]

    def test_a_range_that_ends_later_than_the_last_question_waits_as_long(self):
        """A program that asks until now, again and again, asks the source once per hour."""
        known = [seg(2, 18, at=unix(19, 1)), Segment(us(19), us(19, 1), OPEN, unix(19, 1), "")]
        hourly = TTL(3_600)
        assert plan(known, 2, 19, terms(now=unix(19, 1.5), policy=hourly)).holes == ()
        # Still no daily bar of 24/7 is due before midnight.
        assert plan(known, 2, 19, terms(now=unix(19, 23), policy=hourly)).holes == ()
        found = plan(known, 2, 19, terms(now=unix(20, 0), policy=hourly, revision_sessions=0))
        # The end of the range holds no label of a bar.
        assert found.holes == (Hole(us(19), us(19, 1), is_tail=True),)

    def test_a_series_that_has_ended_is_not_late_every_hour(self):
        ended = [seg(2, 10, at=unix(19, 6)), Segment(us(11), us(20) - 1, OPEN, unix(19, 6))]
        assert plan(ended, 2, 19, terms(now=unix(19, 8))).holes == ()
        late = [seg(2, 18, at=unix(20, 6)), Segment(us(19), us(20) - 1, OPEN, unix(20, 6))]
        assert plan(late, 2, 19, terms(now=unix(20, 8))).holes != ()

    def test_what_never_goes_stale_is_not_asked_again_but_what_was_never_asked_for_is(self):
        known = [seg(2, 18), Segment(us(19), us(20) - 1, OPEN, unix(19, 15), "g")]
        found = terms(now=unix(300), policy=NeverStale())
        assert plan(known, 2, 19, found).holes == ()
        assert days(plan(known, 2, 25, found).holes) == [(20, 25)]

    def test_what_is_always_stale_is_asked_whole(self):
        found = plan([seg(1, 18)], 2, 5, terms(policy=AlwaysStale()))
        assert (found.pieces, days(found.holes)) == ((), [(2, 5)])


class TestRevisionWindow:
    def test_the_five_sessions_before_the_tail_are_asked_with_it(self):
        # Before Friday 19: Thursday 18, 17, 16, then Friday 12 and Thursday 11 (15 is a holiday).
        found = plan([seg(2, 18, at=unix(18, 22))], 2, 19, terms(now=unix(19, 22), schedule=NYSE))
        assert days(found.holes) == [(11, 19)]
        assert days(found.unknown) == [(19, 19)]
        assert found.pieces == (seg(2, 10, at=unix(18, 22)),)

    def test_once_per_close(self):
        known = [seg(2, 10, at=unix(11, 22)), seg(11, 19, at=unix(19, 22), key="g")]
        tail = Segment(us(20), us(22) - 1, OPEN, unix(19, 22), "")
        found = plan([*known, tail], 2, 22, terms(now=unix(22, 22), schedule=NYSE))
        assert days(found.holes)[0][0] == 12
        known = [seg(2, 11, at=unix(19, 22)), seg(12, 19, at=unix(22, 21.5), key="g")]
        found = plan(known, 2, 22, terms(now=unix(22, 22), schedule=NYSE))
        assert days(found.holes) == [(20, 22)]

    def test_a_hole_before_the_newest_bars_has_no_window(self):
        found = plan([seg(2, 8, at=unix(9)), seg(11, 18, at=unix(18, 22))], 2, 18, terms(schedule=NYSE))
        assert days(found.holes) == [(9, 10)]

    def test_only_as_far_as_there_is_anything_to_correct(self):
        found = plan([seg(17, 18, at=unix(18, 22))], 17, 19, terms(now=unix(19, 22), schedule=NYSE))
        assert days(found.holes) == [(17, 19)]

    def test_none_where_it_is_switched_off(self):
        off = terms(now=unix(19, 22), schedule=NYSE, revision_sessions=0)
        assert days(plan([seg(2, 18, at=unix(18, 22))], 2, 19, off).holes) == [(19, 19)]

    def test_the_window_may_reach_before_the_range_that_is_asked_for(self):
        found = plan([seg(2, 18, at=unix(18, 22))], 18, 19, terms(now=unix(19, 22), schedule=NYSE))
        assert days(found.holes) == [(11, 19)]
        assert found.pieces == ()


class TestEvents:
    def test_a_hole_reaches_back_to_where_events_are_known(self):
        known = [seg(2, 5, at=unix(6))]
        found = plan(known, 15, 18, terms(revision_sessions=0), told_until=unix(6))
        assert days(found.holes) == [(6, 18)]

    def test_a_hole_before_that_stays_as_it_is(self):
        found = plan([seg(8, 12)], 2, 12, terms(revision_sessions=0), told_until=unix(20))
        assert days(found.holes) == [(2, 7)]

    def test_holes_that_meet_by_reaching_back_are_one(self):
        known = [seg(2, 5, at=unix(6)), seg(10, 10, at=unix(6)), seg(14, 14, at=unix(6))]
        found = plan(known, 2, 18, terms(revision_sessions=0), told_until=unix(6))
        assert days(found.holes) == [(6, 18)]
        assert found.pieces == (seg(2, 5, at=unix(6)),)

    def test_also_where_nothing_cached_is_served(self):
        """What is covered may be served later under another policy, and must know of every split since."""
        found = plan([seg(2, 5, at=unix(6))], 15, 18, terms(policy=AlwaysStale()), told_until=unix(6))
        assert days(found.holes) == [(6, 18)]


class TestClocks:
    def test_what_was_fetched_in_the_future_is_asked_again(self):
        now = unix(10)
        assert plan([seg(1, 4, at=now + 61)], 2, 3, terms(now=now)).pieces == ()
        assert days(plan([seg(1, 4, at=now + 61)], 2, 3, terms(now=now, revision_sessions=0)).holes) == [(2, 3)]

    def test_a_minute_is_tolerated(self):
        now = unix(10)
        assert plan([seg(1, 4, at=now + 59)], 2, 3, terms(now=now)).holes == ()

    def test_in_a_later_segment_too(self):
        now = unix(10)
        found = plan([seg(1, 4, at=now), seg(5, 6, at=now + 3_600)], 2, 6, terms(now=now, revision_sessions=0))
        assert days(found.holes) == [(5, 6)]


class TestStale:
    def test_stale_is_served_up_to_the_age_that_is_allowed(self):
        tail = Segment(us(19), us(20) - 1, OPEN, unix(19, 15), "g")
        known = [seg(2, 18, at=unix(19, 15)), tail]
        allowed = terms(now=unix(19, 22), schedule=NYSE, max_stale_seconds=7 * 3_600.0)
        found = plan(known, 2, 19, allowed)
        assert (found.holes, found.stale_since, found.pieces[-1]) == ((), unix(19, 15), tail)
        too_old = terms(now=unix(19, 22) + 1, schedule=NYSE, max_stale_seconds=7 * 3_600.0, revision_sessions=0)
        assert days(plan(known, 2, 19, too_old).holes) == [(19, 19)]

    def test_what_was_never_known_is_not_served_as_stale(self):
        found = plan([seg(2, 5, at=unix(10))], 2, 9, terms(max_stale_seconds=1e9, revision_sessions=0))
        assert (days(found.holes), found.stale_since) == ([(6, 9)], None)

    def test_the_oldest_decides(self):
        known = [
            seg(2, 3, EMPTY, unix(4)),
            seg(4, 5, EMPTY, unix(6)),
            seg(6, 7),
        ]
        assert plan(known, 2, 7, terms(now=unix(30), max_stale_seconds=1e9)).stale_since == unix(4)

    def test_fresh_bars_are_not_marked(self):
        assert plan([seg(2, 5)], 2, 5, terms(max_stale_seconds=1e9)).stale_since is None


def one_request(start, end, symbols):
    del start, end, symbols
    return 1


def per_symbol(start, end, symbols):
    del start, end
    return symbols


def per_page(start, end, symbols):
    """Return one request for each ten microseconds of each symbol."""
    return symbols * -(-(end - start + 1) // 10)


class TestCalls:
    def test_symbols_with_the_same_hole_are_asked_at_once(self):
        wanted = {s: [Hole(10, 20)] for s in "ABC"}
        assert plan_calls(wanted, one_request) == [Call(20, {"A": 10, "B": 10, "C": 10})]

    def test_other_starts_do_not_divide_a_call(self):
        wanted = {"A": [Hole(10, 20)], "B": [Hole(0, 20)]}
        assert plan_calls(wanted, one_request) == [Call(20, {"A": 10, "B": 0})]

    def test_two_holes_of_one_symbol_are_joined_where_little_lies_between(self):
        assert plan_calls({"A": [Hole(0, 20), Hole(40, 60)]}, one_request) == [Call(60, {"A": 0})]

    def test_and_asked_apart_where_more_would_come_twice_than_is_new(self):
        assert plan_calls({"A": [Hole(0, 5), Hole(40, 45)]}, one_request) == [Call(45, {"A": 40}), Call(5, {"A": 0})]

    def test_nothing_is_joined_that_saves_no_request(self):
        wanted = {"A": [Hole(0, 9), Hole(20, 29)]}
        assert plan_calls(wanted, per_page) == [Call(29, {"A": 20}), Call(9, {"A": 0})]

    def test_symbols_that_end_a_little_earlier_are_asked_with_the_others(self):
        wanted = {"A": [Hole(0, 100)], "B": [Hole(0, 99)]}
        assert plan_calls(wanted, one_request) == [Call(100, {"A": 0, "B": 0})]

    def test_nothing_is_nothing(self):
        assert plan_calls({}, one_request) == []
        assert plan_calls({"A": []}, one_request) == []


@st.composite
def holes_by_symbol(draw):
    wanted = {}
    for symbol in "ABCD"[: draw(st.integers(1, 4))]:
        edges = sorted(draw(st.lists(st.integers(0, 60), unique=True, max_size=8)))
        pairs = zip(edges[::2], edges[1::2], strict=False)
        wanted[symbol] = [Hole(start, end) for start, end in pairs]
    return wanted


@pytest.mark.parametrize("requests", [one_request, per_symbol, per_page])
@given(wanted=holes_by_symbol())
def test_every_hole_is_filled(requests, wanted):
    calls = plan_calls(wanted, requests)
    for symbol, holes in wanted.items():
        asked = {at for call in calls if symbol in call.starts for at in range(call.starts[symbol], call.end + 1)}
        new = {at for hole in holes for at in range(hole.start, hole.end + 1)}
        assert new <= asked
    assert all(call.starts for call in calls)
    assert {s for call in calls for s in call.starts} == {s for s, holes in wanted.items() if holes}


@pytest.mark.parametrize("requests", [one_request, per_symbol])
@given(wanted=holes_by_symbol())
def test_it_takes_no_more_requests_than_one_by_one(requests, wanted):
    calls = plan_calls(wanted, requests)
    cost = sum(requests(min(call.starts.values()), call.end, len(call.starts)) for call in calls)
    assert cost <= sum(requests(hole.start, hole.end, 1) for holes in wanted.values() for hole in holes)


@given(wanted=holes_by_symbol())
def test_of_one_series_no_more_is_fetched_a_second_time_than_is_new(wanted):
    holes = wanted["A"]
    fetched = sum(call.end - call.starts["A"] + 1 for call in plan_calls({"A": holes}, one_request))
    assert fetched <= 2 * sum(hole.end - hole.start + 1 for hole in holes)
