"""A week of a desk's requests through the cache: every answer is what the vendor tells, as old as allowed at most."""

import pytest

from tests.bench import cache_trace
from tests.bench.cache_market import SPLIT_AT, SPLIT_SYMBOL, answer, series
from tests.bench.cache_promise import Match, judge, promised_at, span
from tests.bench.cache_replay import best_possible, through_exact_keys, through_the_cache
from tests.bench.cache_trace import Request


@pytest.fixture(scope="module")
def week():
    return cache_trace.week_of_the_split()


@pytest.fixture(scope="module")
def outcome(week, tmp_path_factory):
    return through_the_cache(week, tmp_path_factory.mktemp("workload") / "home")


def test_the_committed_trace_is_what_its_generator_writes():
    assert cache_trace.FILE.read_text() == cache_trace.text(cache_trace.generate())


def test_the_week_holds_the_split_the_holiday_and_the_half_day(week):
    days = {request.at[:10] for request in week}
    assert {"2024-11-22", "2024-11-25", "2024-11-28", "2024-11-29"} <= days
    assert any(request.now < SPLIT_AT for request in week if SPLIT_SYMBOL in request.symbols)
    assert any(request.now > SPLIT_AT for request in week if SPLIT_SYMBOL in request.symbols)


def test_every_answer_is_what_the_vendor_tells_or_as_old_as_freshness_allows(outcome, week):
    assert outcome.problems == []
    assert outcome.matches[Match.WRONG] == 0
    assert outcome.matches[Match.SAME] + outcome.matches[Match.OLDER] == len(week)


def test_nearly_all_rows_that_can_come_from_the_cache_do(outcome, week):
    assert outcome.rows_from_cache > best_possible(week) - 0.02


def test_exact_keys_serve_less_than_half_of_the_rows_and_ask_more(outcome, week):
    exact = through_exact_keys(week)
    assert exact.rows_from_cache < 0.5 < outcome.rows_from_cache
    assert outcome.requests < exact.requests < exact.requests_uncached


def test_the_vendor_is_hardly_ever_asked_for_nothing(outcome):
    assert outcome.false == []


def test_with_half_the_room_every_answer_is_still_right(outcome, week, tmp_path):
    small = through_the_cache(week, tmp_path / "home", outcome.size_bytes // 2)
    assert small.problems == []
    assert small.evicted_rows > 0
    assert small.size_bytes <= outcome.size_bytes // 2


class TestTheJudge:
    """What judges the answers can tell right from wrong."""

    evening = Request("2024-11-26T21:30:00+00:00", "core", (SPLIT_SYMBOL, "S20"), "2024-11-01", "2024-11-26")
    morning = Request("2024-11-26T15:00:00+00:00", "core", (SPLIT_SYMBOL, "S20"), "2024-11-01", "2024-11-26")

    def told(self, request, at):
        return answer(request.symbols, *span(request), request.frequency, at)

    def test_what_the_vendor_tells_now_is_right(self):
        assert judge(self.evening, self.told(self.evening, self.evening.now)).match is Match.SAME

    def test_what_it_told_before_the_last_close_is_wrong(self):
        assert judge(self.evening, self.told(self.evening, self.morning.now)).match is Match.WRONG

    def test_what_it_told_after_the_last_close_is_older_at_most(self):
        since = promised_at("1d", self.morning.now)
        assert judge(self.morning, self.told(self.morning, since)).match is not Match.WRONG

    def test_daily_bars_are_promised_as_of_the_last_settled_close(self):
        # Half day: 13:00 in New York, settled 15 minutes later.
        before = Request("2024-11-29T18:05:00+00:00", "core", (SPLIT_SYMBOL,), "2024-11-01", "2024-11-29")
        after = Request("2024-11-29T18:20:00+00:00", "core", (SPLIT_SYMBOL,), "2024-11-01", "2024-11-29")
        assert promised_at("1d", before.now) == Request("2024-11-27T21:15:00+00:00", "", (), "", "").now
        assert promised_at("1d", after.now) == Request("2024-11-29T18:15:00+00:00", "", (), "", "").now

    def test_a_missing_bar_is_wrong(self):
        told = self.told(self.evening, self.evening.now)
        assert judge(self.evening, told[1:]).match is Match.WRONG

    def test_a_series_of_two_bases_is_wrong(self):
        old, new = series(SPLIT_SYMBOL, "1d").bases
        ended = Request("2024-11-26T21:30:00+00:00", "core", (SPLIT_SYMBOL,), "2024-01-02", "2024-10-31")
        rows = series(SPLIT_SYMBOL, "1d").between(*span(ended), ended.now)
        kept = self.told(ended, ended.now)
        assert judge(ended, kept).match is Match.SAME
        mixed = kept[:-1].extend(old[rows][-1:])
        assert not old[rows].equals(new[rows])
        assert judge(ended, mixed).match is Match.WRONG

    def test_a_range_that_ended_long_ago_may_be_of_the_old_basis(self):
        ended = Request("2024-11-26T21:30:00+00:00", "core", (SPLIT_SYMBOL,), "2024-01-02", "2024-10-31")
        assert judge(ended, self.told(ended, SPLIT_AT - 1)).match is Match.OLDER
