"""Without asking: what is covered is served, what is not is named; stale bars come only when allowed, and marked."""

import warnings
from datetime import date

import pytest

from rustybt.data.sources import CachedDataSource, StaleDataWarning
from rustybt.errors import NotCoveredError, SourceUnavailableError
from tests.data.sources.invented import InventedVendor, Listing, at

START, END = date(2024, 1, 2), date(2024, 3, 8)
LATER = "2024-03-22T21:00"


@pytest.fixture
def vendor():
    return InventedVendor({"A": Listing(), "B": Listing(), "C": Listing()}, now=at("2024-03-14T21:00"))


@pytest.fixture
def offline(vendor, store):
    return CachedDataSource(vendor, store=store, offline=True)


# -- offline ---------------------------------------------------------------------------------------------------------------


def test_what_is_covered_is_served_offline(cached, offline, vendor):
    cached.fetch_sync(["A", "B"], START, END)
    vendor.failing = {"A": SourceUnavailableError("no network")}
    vendor.asked.clear()
    assert offline.fetch_sync(["B", "A"], date(2024, 2, 1), END).equals(
        vendor.frame(["A", "B"], date(2024, 2, 1), END, "1d")
    )
    assert vendor.asked == []


def test_what_is_not_is_named_exactly(cached, offline, vendor):
    cached.fetch_sync("A", date(2024, 2, 1), END)
    with pytest.raises(NotCoveredError, match="A 2024-01-02 to 2024-01-31, C 2024-01-02 to 2024-03-08") as caught:
        offline.fetch_sync(["C", "A"], START, END)
    assert caught.value.details["missing"] == {
        "A": [["2024-01-02", "2024-01-31"]],
        "C": [["2024-01-02", "2024-03-08"]],
    }
    assert "--offline" in caught.value.hint
    assert len(vendor.asked) == 1


def test_both_sides_of_what_is_known_are_named(cached, offline):
    cached.fetch_sync("A", date(2024, 2, 1), date(2024, 2, 9))
    with pytest.raises(NotCoveredError) as caught:
        offline.fetch_sync("A", START, END)
    # Saturday the 10th belongs to what follows.
    assert caught.value.details["missing"] == {"A": [["2024-01-02", "2024-01-31"], ["2024-02-10", "2024-03-08"]]}


def test_an_instant_is_named_as_one(cached, offline):
    cached.fetch_sync("A", date(2024, 2, 1), "2024-02-09T10:30")
    with pytest.raises(NotCoveredError) as caught:
        offline.fetch_sync("A", date(2024, 2, 1), "2024-02-20T12:00")
    assert caught.value.details["missing"] == {"A": [["2024-02-09T10:30:00.000001+00:00", "2024-02-20T12:00:00+00:00"]]}


def test_with_an_open_end_offline_serves_what_is_here_and_says_what_is_due(cached, offline, vendor):
    cached.fetch_sync("A", START)
    kept = vendor.frame("A", START, None, "1d")
    vendor.now = at(LATER)
    with pytest.warns(StaleDataWarning, match="A: offline, what is due from 2024-03-1"):
        assert offline.fetch_sync("A", START).equals(kept)
    with pytest.warns(StaleDataWarning):
        assert offline.fetch_with_events("A", START).notes
    with pytest.raises(NotCoveredError):
        offline.fetch_sync("A", START, date(2024, 3, 22))
    assert len(vendor.asked) == 1


def test_with_an_open_end_and_nothing_newer_due_nothing_is_marked(cached, offline, vendor):
    cached.fetch_sync("A", START)
    vendor.now = at("2024-03-15T12:00")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert offline.fetch_sync("A", START).equals(vendor.frame("A", START, None, "1d"))


def test_offline_nobody_is_asked_for_a_list_of_symbols(cached, offline, vendor):
    cached.fetch_sync(["A", "C"], START, END)
    assert set(offline.plan_fetch(None, START, END)) == {"A", "C"}
    assert len(vendor.asked) == 1


def test_an_empty_cache_offline_says_so_and_makes_no_home(offline, vendor, tmp_path):
    with pytest.raises(NotCoveredError):
        offline.fetch_sync("A", START, END)
    assert vendor.asked == []


# -- stale, when allowed -----------------------------------------------------------------------------------------------------


def test_stale_bars_are_served_when_allowed_and_marked(cached, vendor, store):
    cached.fetch_sync("A", START)
    kept = vendor.frame("A", START, None, "1d")
    vendor.now = at("2024-03-15T21:00")
    allowed = CachedDataSource(vendor, store=store, max_stale_seconds=2 * 86_400)
    with pytest.warns(StaleDataWarning, match="A: stale, as of 2024-03-14 21:00 UTC"):
        assert allowed.fetch_sync("A", START).equals(kept)
    assert allowed.last_use.stale_served == 1
    assert len(vendor.asked) == 1


def test_older_than_allowed_is_asked_for(cached, vendor, store):
    cached.fetch_sync("A", START)
    vendor.now = at(LATER)
    allowed = CachedDataSource(vendor, store=store, max_stale_seconds=2 * 86_400)
    assert allowed.fetch_sync("A", START).equals(vendor.frame("A", START, None, "1d"))
    assert allowed.last_use.stale_served == 0


def test_fresh_bars_are_not_marked(cached, vendor, store):
    cached.fetch_sync("A", START)
    allowed = CachedDataSource(vendor, store=store, max_stale_seconds=2 * 86_400)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        allowed.fetch_sync("A", START)
        allowed.fetch_sync("A", START, END)


def test_what_is_unknown_is_asked_for_however_stale_it_may_be(cached, vendor, store):
    allowed = CachedDataSource(vendor, store=store, max_stale_seconds=1e9)
    cached.fetch_sync("A", date(2024, 2, 1), END)
    assert allowed.fetch_sync("A", START, END).equals(vendor.frame("A", START, END, "1d"))


# -- the vendor is down --------------------------------------------------------------------------------------------------------


def test_a_vendor_that_is_down_is_no_reason_to_serve_stale_bars(cached, vendor):
    cached.fetch_sync("A", START)
    vendor.now, vendor.down_after = at(LATER), 0
    with pytest.raises(SourceUnavailableError, match="down; missing: A"):
        cached.fetch_sync("A", START)
    assert cached.fetch_sync("A", START, END).height == 47


def test_what_arrived_before_it_broke_down_is_kept_and_the_rest_is_named(cached, vendor):
    vendor.down_after = 1
    with pytest.raises(SourceUnavailableError) as caught:
        cached.fetch_sync(["C", "A", "B"], START, END)
    assert caught.value.details["missing"] == {s: [["2024-01-02", "2024-03-08"]] for s in ("B", "C")}
    vendor.down_after = None
    vendor.asked.clear()
    assert cached.fetch_sync(["A", "B", "C"], START, END).equals(vendor.frame(["A", "B", "C"], START, END, "1d"))
    assert vendor.asked[0][0] == ("B", "C")
    assert len(vendor.asked) == 1


def test_of_two_holes_the_one_that_was_filled_stays_filled(cached, vendor):
    cached.fetch_sync("A", date(2024, 1, 16), date(2024, 3, 1))
    answers, calls = vendor.answers, []

    def breaks_at_the_second_call(request, progress=None, *, starts=None):
        calls.append(request)
        vendor.down_after = 0 if len(calls) == 2 else None
        return answers(request, progress, starts=starts)

    vendor.answers = breaks_at_the_second_call
    with pytest.raises(SourceUnavailableError):
        cached.fetch_sync("A", START, END)
    vendor.answers, vendor.down_after = answers, None
    vendor.asked.clear()
    assert cached.fetch_sync("A", START, END).equals(vendor.frame("A", START, END, "1d"))
    assert len(vendor.asked) == 1
