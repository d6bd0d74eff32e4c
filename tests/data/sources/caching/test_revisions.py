"""Bars that the source says otherwise later: corrections near the newest bar, splits, and values that cannot be."""

from datetime import date, timedelta

import polars as pl
import pytest

from rustybt.data.sources import CachedDataSource
from rustybt.errors import SourceError, SourceUnavailableError
from tests.data.sources.invented import Change, InventedVendor, Listing, at, midnight

START = date(2024, 1, 2)
FRIDAY, MONDAY = "2024-03-15T21:00", "2024-03-18T21:00"


@pytest.fixture
def vendor():
    return InventedVendor({"A": Listing(), "B": Listing()}, now=at(FRIDAY))


@pytest.fixture
def adjusting(vendor):
    vendor.basis = "split_adjusted"
    return vendor


def is_uncached(cached, vendor, symbols="A", start=START, end=None, frequency="1d"):
    return cached.fetch_sync(symbols, start, end, frequency).equals(vendor.frame(symbols, start, end, frequency))


# -- corrections -----------------------------------------------------------------------------------------------------------


def test_a_correction_in_the_window_comes_with_the_next_close_and_is_recorded(cached, vendor):
    cached.fetch_sync("A", START)
    vendor.listings["A"].changes = [
        Change(at("2024-03-16T08:00"), "1d", midnight(date(2024, 3, 15)), "volume"),
        Change(at("2024-03-16T08:00"), "1d", midnight(date(2024, 3, 14)), "price"),
    ]
    old = cached.fetch_sync("A", START)
    vendor.now = at(MONDAY)
    assert is_uncached(cached, vendor)
    late, corrected = sorted(cached.cache.revisions(), key=lambda found: found["kind"], reverse=True)
    assert (late["kind"], late["first"], late["rows"], late["source"]) == ("late volume", "2024-03-15", 1, "invented")
    assert (corrected["kind"], corrected["first"], corrected["seen_at"]) == ("correction", "2024-03-14", at(MONDAY))
    before, after = old.row(-1, named=True)["volume"], cached.fetch_sync("A", START).row(-2, named=True)["volume"]
    assert late["values"] == [{"timestamp": "2024-03-15T00:00:00+00:00", "volume": [f"{before:.0f}", f"{after:.0f}"]}]
    assert cached.last_use.revisions == 0
    assert after - before == 400


def test_the_window_is_asked_for_once_a_close_and_counts_sessions(cached, vendor):
    cached.fetch_sync("A", START)
    vendor.asked.clear()
    vendor.now = at(MONDAY)
    cached.fetch_sync("A", START)
    cached.fetch_sync("A", START)
    # The tail was known until Friday 21:00; the five sessions before: Friday 8 to Thursday 14, and Friday itself.
    ((names, first, _),) = vendor.days_asked()
    assert (names, first) == ("A", "2024-03-08")


def test_how_far_it_reaches_is_ones_own_choice(vendor, store):
    none = CachedDataSource(vendor, store=store, revision_sessions=0)
    none.fetch_sync("A", START, date(2024, 3, 15))
    vendor.asked.clear()
    vendor.now = at(MONDAY)
    none.fetch_sync("A", START, date(2024, 3, 18))
    assert vendor.days_asked() == [("A", "2024-03-16", "2024-03-18")]
    vendor.now = at("2024-03-19T21:00")
    CachedDataSource(vendor, store=store, revision_sessions=20).fetch_sync("A", START, date(2024, 3, 19))
    # Twenty sessions before the 18th's evening; the half of it that is younger than the last close is not asked again.
    assert vendor.days_asked()[0][1] < "2024-02-21"


def test_bars_older_than_the_window_are_not_asked_for_again(cached, vendor):
    cached.fetch_sync("A", START)
    vendor.listings["A"].changes = [Change(at("2024-03-16T08:00"), "1d", midnight(date(2024, 1, 5)), "volume")]
    vendor.now = at(MONDAY)
    old = cached.fetch_sync("A", START, date(2024, 1, 5))
    assert not old.equals(vendor.frame("A", START, date(2024, 1, 5), "1d"))
    assert old.equals(vendor.frame("A", START, date(2024, 1, 5), "1d", at(FRIDAY)))


def test_a_bar_that_is_taken_back_is_gone_and_recorded(cached, vendor):
    cached.fetch_sync("A", START)
    vendor.listings["A"].halts.add(date(2024, 3, 13))
    vendor.now = at(MONDAY)
    assert is_uncached(cached, vendor)
    assert [(found["kind"], found["first"]) for found in cached.cache.revisions()] == [("deletion", "2024-03-13")]


# -- splits ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tells", [True, False], ids=["told", "not told"])
def test_after_a_split_the_whole_series_is_asked_for_again(cached, adjusting, tells):
    adjusting.tells_events = tells
    cached.fetch_sync(["A", "B"], START)
    adjusting.listings["A"].splits = {date(2024, 3, 18): (4, 1)}
    adjusting.asked.clear()
    adjusting.now = at(MONDAY)
    assert is_uncached(cached, adjusting, ["A", "B"])
    asked = adjusting.days_asked()
    assert asked[-1][:2] == ("A", "2024-01-02")
    # B did not move.
    assert [first for names, first, _ in asked if "B" in names] == ["2024-03-08"]
    assert is_uncached(cached, adjusting, ["B", "A"])
    assert adjusting.asked == []


def test_a_short_question_after_a_split_moves_all_that_is_kept(cached, adjusting):
    cached.fetch_sync("A", START)
    adjusting.listings["A"].splits = {date(2024, 3, 18): (4, 1)}
    adjusting.now = at(MONDAY)
    assert is_uncached(cached, adjusting, start=date(2024, 3, 18))
    assert is_uncached(cached, adjusting)


def test_while_the_whole_series_cannot_be_had_the_old_one_is_kept_and_nothing_is_mixed(cached, adjusting):
    cached.fetch_sync("A", START)
    adjusting.listings["A"].splits = {date(2024, 3, 18): (4, 1)}
    adjusting.now = at(MONDAY)
    asked = []
    answer = adjusting._one

    def fails_when_asked_for_all(symbol, request, start):
        asked.append(start)
        if len(asked) == 2:
            adjusting.failing = {"A": SourceUnavailableError("invented is down")}
        return answer(symbol, request, start)

    adjusting._one = fails_when_asked_for_all
    with pytest.raises(
        SourceUnavailableError, match="split on 2024-03-18 changed its earlier prices, and the whole series"
    ):
        cached.fetch_sync("A", START)
    old = cached.fetch_sync("A", START, date(2024, 3, 14))
    assert old.equals(adjusting.frame("A", START, date(2024, 3, 14), "1d", at(FRIDAY)))
    adjusting.failing = {}
    assert is_uncached(cached, adjusting)


def test_a_split_that_is_announced_before_it_happens_moves_prices_on_its_day(cached, adjusting):
    adjusting.listings["A"].splits = {date(2024, 3, 18): (2, 1)}
    cached.fetch_sync("A", START)
    for day in (18, 19, 20):
        adjusting.now = at(f"2024-03-{day}T21:00")
        assert is_uncached(cached, adjusting)


def test_two_splits_between_two_questions(cached, adjusting):
    cached.fetch_sync("A", START)
    adjusting.listings["A"].splits = {date(2024, 3, 20): (2, 1), date(2024, 4, 3): (1, 4)}
    adjusting.now = at("2024-04-10T21:00")
    assert is_uncached(cached, adjusting)


def test_raw_prices_do_not_move(cached, vendor):
    cached.fetch_sync("A", START)
    vendor.listings["A"].splits = {date(2024, 3, 18): (4, 1)}
    vendor.asked.clear()
    vendor.now = at(MONDAY)
    assert is_uncached(cached, vendor)
    assert len(vendor.asked) == 1


def test_events_and_basis_come_with_bars_out_of_the_cache(cached, adjusting):
    adjusting.listings["A"].splits = {date(2024, 2, 5): (4, 1)}
    fetched = cached.fetch_with_events("A", START)
    again = cached.fetch_with_events("A", START)
    assert len(adjusting.asked) == 1
    assert [(e.kind, e.ex_date, e.ratio_new) for e in again.actions] == [("split", date(2024, 2, 5), 4)]
    assert [(e.kind, e.ex_date) for e in fetched.actions] == [(e.kind, e.ex_date) for e in again.actions]
    assert (again.price_basis, again.assets["A"].venue, again.tells_all_events) == ("split_adjusted", "XNYS", True)
    assert again.fetched_at == adjusting.now
    assert cached.fetch_with_events("A", date(2024, 2, 6)).actions == ()


# -- what cannot be ---------------------------------------------------------------------------------------------------------


def test_a_bar_whose_high_lies_below_its_low_is_asked_for_again_and_healed(cached, vendor):
    label = midnight(date(2024, 2, 1))
    vendor.listings["A"].broken = {("1d", label): at("2024-03-16T00:00")}
    first = cached.fetch_sync("A", START, date(2024, 3, 14)).filter(pl.col("timestamp") == label)
    assert first["high"][0] < first["low"][0]
    vendor.now = at("2024-03-16T10:00")
    vendor.asked.clear()
    assert is_uncached(cached, vendor, end=date(2024, 3, 14))
    assert vendor.days_asked() == [("A", "2024-02-01", "2024-02-01")]
    assert is_uncached(cached, vendor, end=date(2024, 3, 14))
    assert vendor.asked == []


def test_what_is_delivered_alike_twice_stays(cached, vendor):
    vendor.listings["A"].broken = {("1d", midnight(date(2024, 2, 1))): at("2030-01-01T00:00")}
    for calls in (1, 1, 0, 0):
        vendor.asked.clear()
        assert is_uncached(cached, vendor, end=date(2024, 3, 14))
        assert len(vendor.asked) == calls


def test_a_question_that_leaves_the_bad_bar_out_asks_nothing(cached, vendor):
    vendor.listings["A"].broken = {("1d", midnight(date(2024, 2, 1))): at("2030-01-01T00:00")}
    cached.fetch_sync("A", START, date(2024, 3, 14))
    vendor.asked.clear()
    assert is_uncached(cached, vendor, start=date(2024, 2, 2), end=date(2024, 3, 14))
    assert vendor.asked == []


def test_a_source_that_raises_its_own_error_for_one_hole_keeps_the_rest(cached, vendor):
    cached.fetch_sync("A", START, date(2024, 2, 1))
    vendor.failing = {"A": SourceError("torn")}
    with pytest.raises(SourceError, match="torn") as caught:
        cached.fetch_sync("A", START, date(2024, 3, 1))
    (((_, last),),) = caught.value.details["missing"].values()
    assert last == "2024-03-01"
    assert is_uncached(cached, vendor, end=date(2024, 2, 1))


def test_bars_that_were_not_asked_for_are_left_out(cached, vendor):
    told = vendor.told
    vendor.told = lambda symbol, start, end, frequency, moment: told(
        symbol, start - int(timedelta(days=10) / timedelta(microseconds=1)), end, frequency, moment
    )
    bars = cached.fetch_sync("A", date(2024, 2, 1), date(2024, 2, 29))
    assert bars["timestamp"].min().date() == date(2024, 2, 1)
    assert bars.height == 20


def test_where_the_old_bars_cannot_be_compared_an_adjusted_series_is_asked_for_whole(cached, adjusting, tmp_path):
    adjusting.tells_events = False
    cached.fetch_sync("A", START, date(2024, 3, 1))
    cached.fetch_sync("A", START)
    newest = max((tmp_path / "home").rglob("cache-*/*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(b"not what was written")
    adjusting.listings["A"].splits = {date(2024, 3, 18): (4, 1)}
    adjusting.now = at(MONDAY)
    # Only the overlap could tell of the split.
    assert is_uncached(cached, adjusting, start=date(2024, 3, 18))
    assert is_uncached(cached, adjusting)
