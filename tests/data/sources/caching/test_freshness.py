"""When the newest bars are asked for again: by the exchange's clock, by a time to live, never or always.

XNYS closes at 20:00 UTC from 10 March 2024 on; the vendor settles 15 minutes later. 2024-03-15 was a Friday, 2024-03-29 Good Friday.
"""

from datetime import UTC, date, datetime

import pytest

from rustybt.data.cache.freshness import TTL, AlwaysStale, Hybrid, MarketClose, NeverStale
from rustybt.data.sources import CachedDataSource
from rustybt.errors import RequestError
from tests.data.sources.invented import InventedVendor, Listing, at, midnight

START = date(2024, 3, 1)
DAY_SECONDS = 86_400


@pytest.fixture
def vendor():
    return InventedVendor({"A": Listing(), "COIN": Listing("24/7")}, now=at("2024-03-14T21:00"))


@pytest.fixture
def ask(vendor, store):
    """Ask at moments; return for each how many calls it took."""

    def _ask(moments, policy=None, symbol="A", frequency="1d", start=START, end=None):
        cached = CachedDataSource(vendor, store=store, freshness_policy=policy)
        calls = []
        for moment in moments:
            vendor.now = at(moment)
            before = len(vendor.asked)
            cached.fetch_sync(symbol, start, end, frequency)
            calls.append(len(vendor.asked) - before)
        return calls

    return _ask


def last_day(bars):
    return bars["timestamp"].max().date()


# -- daily bars by the close ---------------------------------------------------------------------------------------------


def test_daily_bars_are_asked_for_again_once_each_settled_close(ask):
    moments = ["2024-03-14T21:00", "2024-03-15T09:00", "2024-03-15T19:59", "2024-03-15T20:14:59", "2024-03-15T20:15",
               "2024-03-15T23:00", "2024-03-17T12:00", "2024-03-18T20:14", "2024-03-18T20:15"]  # fmt: skip
    assert ask(moments) == [1, 0, 0, 0, 1, 0, 0, 0, 1]


def test_right_after_the_settled_close_the_days_bar_is_there(cached, vendor):
    cached.fetch_sync("A", START)
    vendor.now = at("2024-03-15T20:15")
    assert last_day(cached.fetch_sync("A", START)) == date(2024, 3, 15)


def test_holidays_and_half_days_count(ask):
    # Good Friday has no close; the eve's is the last until Monday's.
    assert ask(["2024-03-28T21:00", "2024-03-29T23:00", "2024-04-01T20:14", "2024-04-01T20:15"]) == [1, 0, 0, 1]
    # 2024-07-03 closes at 17:00 UTC.
    assert ask(["2024-07-02T21:00", "2024-07-03T17:14", "2024-07-03T17:15", "2024-07-05T20:14"]) == [1, 0, 1, 0]


def test_a_year_later_everything_final_is_still_there(ask, vendor):
    assert ask(["2024-03-14T21:00", "2024-12-20T12:00"], end=date(2024, 3, 14)) == [1, 0]


def test_a_bar_that_was_not_final_is_asked_for_when_it_is(ask):
    # The end lies in a session that trades: nothing of it is known for good.
    assert ask(["2024-03-14T15:00", "2024-03-14T20:14", "2024-03-14T20:15", "2024-09-01T00:00"], end=date(2024, 3, 14)) == [
        1, 0, 1, 0,
    ]  # fmt: skip


def test_bars_of_a_source_that_shows_forming_ones_are_replaced_by_final_ones(cached, vendor):
    vendor.shows_forming = True
    vendor.now = at("2024-03-15T15:00")
    assert last_day(cached.fetch_sync("A", START)) == date(2024, 3, 15)
    forming = cached.fetch_sync("A", START)
    vendor.now = at("2024-03-15T20:15")
    final = cached.fetch_sync("A", START)
    assert final.equals(vendor.frame("A", START, None, "1d"))
    assert final["volume"][-1] != forming["volume"][-1]
    assert len(vendor.asked) == 2


def test_forming_bars_that_nobody_asked_for_again_are_not_taken_for_final_ones(cached, vendor):
    vendor.shows_forming = True
    vendor.now = at("2024-03-15T15:00")
    cached.fetch_sync("A", START)
    vendor.now = at("2024-09-15T15:00")
    assert cached.fetch_sync("A", START, date(2024, 3, 15)).equals(vendor.frame("A", START, date(2024, 3, 15), "1d"))


def test_the_settlement_delay_is_the_sources(vendor, ask):
    vendor.settlement = 4 * 3_600.0
    assert ask(["2024-03-14T21:00", "2024-03-15T00:00", "2024-03-15T23:59", "2024-03-16T00:00"]) == [1, 1, 0, 1]


def test_a_session_that_is_missing_is_asked_for_again_for_five_sessions_only(vendor, ask, cached):
    vendor.listings["A"].halts.add(date(2024, 3, 14))
    moments = [f"2024-03-{day}T21:00" for day in ("14", "15", "18", "19", "20", "21", "22", "25", "26")]
    # On the 22nd it lies more than five sessions back: what is said then is believed.
    assert ask(moments, end=date(2024, 3, 14)) == [1, 1, 1, 1, 1, 1, 1, 0, 0]
    assert cached.fetch_sync("A", START, date(2024, 3, 14)).height == 9


def test_a_bar_that_comes_late_is_in_the_answer_after_the_next_close(vendor, cached):
    vendor.listings["A"].late["1d", midnight(date(2024, 3, 14))] = at("2024-03-15T08:00")
    assert last_day(cached.fetch_sync("A", START)) == date(2024, 3, 13)
    vendor.now = at("2024-03-15T20:15")
    assert cached.fetch_sync("A", START).equals(vendor.frame("A", START, None, "1d"))


# -- what was confirmed empty ---------------------------------------------------------------------------------------------


def test_an_emptiness_is_believed_for_a_week(vendor, ask):
    vendor.listings["A"].listed = date(2024, 3, 1)
    span = {"start": date(2024, 1, 2), "end": date(2024, 2, 15)}
    moments = ["2024-03-14T21:00", "2024-03-15T21:00", "2024-03-21T20:59", "2024-03-21T21:00", "2024-03-28T20:59"]
    assert ask(moments, **span) == [1, 0, 0, 1, 0]


def test_bars_that_turn_up_in_an_empty_stretch_are_found_after_a_week(vendor, cached):
    vendor.listings["A"].listed = date(2024, 3, 1)
    span = (date(2024, 1, 2), date(2024, 3, 8))
    cached.fetch_sync("A", *span)
    vendor.listings["A"].listed = date(2023, 1, 3)
    vendor.now += 7 * DAY_SECONDS
    assert cached.fetch_sync("A", *span).equals(vendor.frame("A", *span, "1d"))


# -- other policies -------------------------------------------------------------------------------------------------------


def test_crypto_lives_for_an_hour(ask):
    moments = ["2024-03-14T21:00", "2024-03-15T00:10", "2024-03-15T00:15", "2024-03-15T01:00", "2024-03-16T00:14",
               "2024-03-16T00:15"]  # fmt: skip
    # Nothing is due before the day has ended and settled, however old the answer is.
    assert ask(moments, symbol="COIN") == [1, 0, 1, 0, 0, 1]


def test_hourly_bars_are_asked_for_each_hour_while_the_market_trades(ask):
    moments = ["2024-03-15T14:50", "2024-03-15T15:40", "2024-03-15T15:50", "2024-03-15T20:15", "2024-03-15T22:00",
               "2024-03-17T12:00", "2024-03-18T14:14", "2024-03-18T14:45"]  # fmt: skip
    assert ask(moments, frequency="1h", start=date(2024, 3, 13)) == [1, 0, 1, 1, 0, 0, 0, 1]


def test_a_policy_of_ones_own_wins(ask):
    moments = ["2024-03-15T20:15", "2024-03-18T20:10", "2024-03-18T20:15"]
    assert ask(moments, policy=Hybrid(600)) == [1, 0, 1]
    assert ask(moments, policy=MarketClose(), frequency="1h") == [1, 0, 1]


def test_a_policy_may_be_spelled_as_in_the_settings(ask):
    moments = ["2024-03-15T20:15", "2024-03-18T20:10", "2024-03-18T20:15"]
    assert ask(moments, policy="hybrid:10m") == [1, 0, 1]
    with pytest.raises(RequestError, match="'sometimes' is not a freshness"):
        ask(moments, policy="sometimes")


def test_never_stale_keeps_what_was_answered_once(ask, vendor):
    vendor.now = at("2024-03-14T15:00")
    end = date(2024, 3, 14)
    assert ask(["2024-03-14T15:00", "2024-03-14T21:00", "2024-06-01T00:00"], policy=NeverStale(), end=end) == [1, 0, 0]


def test_always_stale_asks_each_time_for_all_of_it(ask, vendor):
    assert ask(["2024-03-14T21:00", "2024-03-14T21:00", "2024-09-01T00:00"], policy=AlwaysStale(), end=START) == [
        1,
        1,
        1,
    ]
    assert vendor.days_asked() == [("A", "2024-03-01", "2024-03-01")] * 3


def test_a_time_to_live_of_nothing_asks_for_the_tail_each_time_and_never_for_final_bars(ask, vendor):
    assert ask(["2024-03-14T21:00", "2024-03-14T21:00"], policy=TTL(0), end=date(2024, 3, 13)) == [1, 0]
    vendor.shows_forming = True
    moments = ["2024-03-15T15:00", "2024-03-15T15:00", "2024-03-15T15:01"]
    assert ask(moments, policy=TTL(0)) == [1, 1, 1]


def test_a_policy_comes_from_the_settings(vendor):
    config = {"sources.invented.freshness": "never"}
    cached = CachedDataSource(vendor, config=config)
    vendor.now = at("2024-03-14T15:00")
    cached.fetch_sync("A", START, date(2024, 3, 14))
    vendor.now = at("2024-03-20T15:00")
    cached.fetch_sync("A", START, date(2024, 3, 14))
    assert len(vendor.asked) == 1
    cached.close()


# -- clocks ---------------------------------------------------------------------------------------------------------------


def test_a_clock_that_was_set_back_does_not_make_tomorrow_known(vendor, ask):
    vendor.shows_forming = True
    assert ask(["2024-03-20T15:00", "2024-03-14T15:00"]) == [1, 1]


def test_an_end_in_the_future_is_asked_for_as_time_comes_to_it(ask):
    moments = ["2024-03-14T21:00", "2024-03-15T12:00", "2024-03-15T20:15", "2024-03-16T12:00", "2024-03-18T20:15"]
    assert ask(moments, end=date(2024, 6, 28)) == [1, 0, 1, 0, 1]


def test_an_instant_inside_a_day_is_an_end_like_any_other(ask, vendor):
    end = datetime(2024, 3, 14, 10, tzinfo=UTC)
    assert ask(["2024-03-14T15:00", "2024-03-14T21:00", "2024-03-14T21:00"], end=end) == [1, 1, 0]
    hours = datetime(2024, 3, 14, 15, tzinfo=UTC)
    assert ask(["2024-03-14T21:00", "2024-03-20T21:00"], end=hours, frequency="1h", start=date(2024, 3, 13)) == [1, 0]


# -- bars outside the calendar ---------------------------------------------------------------------------------------------


def test_a_source_whose_bars_lie_outside_its_calendar_is_cached_all_the_same(vendor, store):
    class Sunday(Listing):
        """Named XNYS, traded every day."""

        @property
        def attributes(self):
            return Listing().attributes

    vendor.listings["ODD"] = Sunday("24/7")
    vendor.now = at("2024-03-17T12:00")  # a Sunday
    cached = CachedDataSource(vendor, store=store)
    assert last_day(cached.fetch_sync("ODD", START)) == date(2024, 3, 16)
    assert cached.fetch_sync("ODD", START, date(2024, 3, 16)).height == 16
    assert len(vendor.asked) == 1
    vendor.now = at("2024-03-18T00:15")
    assert last_day(cached.fetch_sync("ODD", START)) == date(2024, 3, 17)
    assert len(vendor.asked) == 2


def test_a_weekend_that_was_never_asked_for_is_asked_for_where_nobody_told_the_calendar(vendor, store):
    vendor.answers_whole = False
    cached = CachedDataSource(vendor, store=store)
    for start in (date(2024, 3, 4), date(2024, 3, 2), date(2024, 2, 29)):  # from Monday, Saturday, Thursday
        assert cached.fetch_sync("COIN", start, date(2024, 3, 8)).equals(
            vendor.frame("COIN", start, date(2024, 3, 8), "1d")
        )


def test_hours_off_the_guessed_calendar_are_no_pre_market(vendor, store):
    vendor.answers_whole = False
    cached = CachedDataSource(vendor, store=store)
    for start in (date(2024, 3, 7), date(2024, 3, 3), date(2024, 3, 1)):
        assert cached.fetch_sync("COIN", start, date(2024, 3, 8), "1h").equals(
            vendor.frame("COIN", start, date(2024, 3, 8), "1h")
        )


def test_todays_close_counts_where_the_calendar_is_a_guess(vendor, store):
    vendor.answers_whole = False
    cached = CachedDataSource(vendor, store=store)
    cached.fetch_sync("A", START, date(2024, 3, 8))
    assert last_day(cached.fetch_sync("A", date(2024, 3, 14))) == date(2024, 3, 14)
