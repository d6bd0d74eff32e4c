"""What is asked of the source and what is not: any part, order and length of a range costs only what is new."""

from datetime import date, timedelta

import pandas as pd
import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources import CachedDataSource, CSVDataSource
from rustybt.errors import RequestError, SourceError, SymbolNotFoundError
from rustybt.market.bars import BAR_SCHEMA
from rustybt.market.frequency import Frequency
from tests.data.sources.invented import EPOCH, InventedVendor, Listing, at

SYMBOLS = ["A", "B", "C"]
START, END = date(2024, 1, 2), date(2024, 3, 1)


@pytest.fixture(params=["answers one by one", "has only fetch"])
def vendor(request):
    return InventedVendor(
        {"A": Listing(), "B": Listing(), "C": Listing(), "COIN": Listing("24/7"), "YOUNG": Listing(listed=date(2024, 3, 4))},
        answers_whole=request.param == "answers one by one",
    )  # fmt: skip


@pytest.fixture
def cached(vendor, tmp_path):
    with BundleStore(tmp_path / "home", clock=vendor.clock) as store:
        yield CachedDataSource(vendor, store=store)


@pytest.fixture
def filled(cached, vendor):
    cached.fetch_sync(SYMBOLS, START, END)
    vendor.asked.clear()
    return cached


def same(cached, vendor, symbols, start, end, frequency="1d"):
    """Whether the answer is what the vendor tells, and how many calls it took."""
    before = len(vendor.asked)
    found = cached.fetch_sync(symbols, start, end, frequency)
    assert found.schema == BAR_SCHEMA
    assert found.equals(vendor.frame(sorted(symbols), start, end, frequency))
    return len(vendor.asked) - before


def test_the_first_answer_takes_one_call_and_the_second_none(cached, vendor):
    assert same(cached, vendor, SYMBOLS, START, END) == 1
    assert same(cached, vendor, SYMBOLS, START, END) == 0
    assert cached.last_use.hits == 1
    # 21 sessions in January 2024, 20 in February, and the 1st of March.
    assert cached.last_use.rows_cached == 3 * 42


@pytest.mark.parametrize(
    ("symbols", "start", "end"),
    [
        (["C", "A"], START, END),
        (["B"], START, END),
        (["B", "B", "A"], START, END),
        (SYMBOLS, date(2024, 1, 20), date(2024, 1, 28)),
        (SYMBOLS, date(2024, 2, 3), date(2024, 2, 4)),  # a weekend
        (SYMBOLS, date(2024, 2, 19), date(2024, 2, 19)),  # Presidents' Day
        (SYMBOLS, date(2024, 1, 2), date(2024, 1, 2)),
        (["A"], date(2024, 3, 1), date(2024, 3, 1)),
    ],
)
def test_any_part_in_any_order_is_there(filled, vendor, symbols, start, end):
    assert same(filled, vendor, symbols, start, end) == 0


@pytest.mark.parametrize("moment", ["2024-01-10T00:00:00.000001", "2024-01-09T23:59:59.999999", "2024-01-10T14:30"])
def test_bounds_count_to_the_microsecond(filled, vendor, moment):
    assert same(filled, vendor, ["A"], moment, END) == 0
    assert same(filled, vendor, ["A"], START, moment) == 0
    first = filled.fetch_sync("A", moment, END)["timestamp"][0]
    assert first.date() == date(2024, 1, 11 if moment > "2024-01-10" else 10)


def test_a_longer_range_asks_for_what_is_new_only(filled, vendor):
    assert same(filled, vendor, ["A"], date(2023, 12, 1), date(2024, 2, 1)) == 1
    assert vendor.days_asked() == [("A", "2023-12-01", "2024-01-01")]


def test_a_later_end_asks_from_the_revision_window_on(filled, vendor):
    vendor.now = at("2024-03-20T22:00")
    assert same(filled, vendor, ["A"], START, date(2024, 3, 8)) == 1
    # Five sessions before Saturday the 2nd, that follows what is known: Monday the 26th to Friday the 1st.
    assert vendor.days_asked() == [("A", "2024-02-26", "2024-03-08")]


def test_a_hole_in_the_middle_is_all_that_is_asked_for(cached, vendor):
    cached.fetch_sync("A", date(2024, 1, 2), date(2024, 1, 10))
    cached.fetch_sync("A", date(2024, 2, 12), date(2024, 3, 1))
    vendor.asked.clear()
    assert same(cached, vendor, ["A"], START, END) == 1
    assert vendor.days_asked() == [("A", "2024-01-11", "2024-02-11")]
    assert cached.last_use.partial_hits == 1


def test_one_more_symbol_asks_for_that_one(filled, vendor):
    assert same(filled, vendor, ["A", "COIN", "B"], START, END) == 1
    assert vendor.days_asked() == [("COIN", "2024-01-02", "2024-03-01")]


def test_frequencies_are_kept_apart(filled, vendor):
    assert same(filled, vendor, ["A"], date(2024, 2, 28), END, "1h") == 1
    assert same(filled, vendor, ["A"], date(2024, 2, 29), date(2024, 2, 29), "1h") == 0
    assert same(filled, vendor, ["A"], "2024-02-29T15:30", "2024-02-29T17:00", "1h") == 0
    assert filled.fetch_sync("A", "2024-02-29T15:30", "2024-02-29T17:00", "1h").height == 2


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (date(2024, 3, 16), date(2024, 3, 17)),  # tomorrow and the day after: a weekend
        (date(2024, 3, 18), date(2024, 3, 22)),  # sessions to come
        (date(2024, 2, 3), date(2024, 2, 4)),
    ],
)
def test_where_no_bar_can_be_the_answer_is_empty_and_is_asked_for_once(cached, vendor, start, end):
    assert same(cached, vendor, ["A"], start, end) <= 1
    assert same(cached, vendor, ["A"], start, end) == 0
    assert cached.fetch_sync("A", start, end).is_empty()


def test_before_a_listing_there_is_nothing_and_it_is_asked_for_once(cached, vendor):
    vendor.tells_listing = vendor.answers_whole = True
    assert same(cached, vendor, ["YOUNG"], date(2024, 1, 2), date(2024, 3, 8)) == 1
    vendor.now += 30 * 86_400
    assert same(cached, vendor, ["YOUNG"], date(2024, 1, 2), date(2024, 3, 1)) == 0
    assert same(cached, vendor, ["YOUNG"], date(2024, 1, 2), date(2024, 3, 8)) == 0


def test_open_sides_mean_what_they_mean_to_the_source(cached, vendor):
    everything = cached.fetch_sync("A")
    assert everything["timestamp"][0].date() == date(2023, 1, 3)
    assert everything["timestamp"][-1].date() == date(2024, 3, 15)
    assert cached.fetch_sync("A", START).equals(
        everything.filter(everything["timestamp"] >= pd.Timestamp(START, tz="UTC"))
    )
    assert len(vendor.asked) == 1


def test_the_sources_own_spelling_of_a_symbol_is_the_same_series(tmp_path):
    vendor = InventedVendor({"BRK.B": Listing()}, spelling={"BRK-B": "BRK.B"})
    with BundleStore(tmp_path / "home", clock=vendor.clock) as store:
        cached = CachedDataSource(vendor, store=store)
        first = cached.fetch_sync("BRK-B", START, END)
        assert first["symbol"].unique().to_list() == ["BRK.B"]
        assert cached.fetch_sync(["BRK.B", "BRK-B"], START, END).equals(first)
        assert len(vendor.asked) == 1
        assert cached.fetch_with_events("BRK.B", START, END).aliases == {"BRK.B": "BRK-B"}


def test_two_sources_on_one_home_share_what_either_fetched(filled, vendor, tmp_path):
    with BundleStore(tmp_path / "home", clock=vendor.clock) as store:
        other = CachedDataSource(vendor, store=store)
        assert same(other, vendor, SYMBOLS, START, END) == 0


def test_another_cache_folder_knows_nothing_of_it(filled, vendor, tmp_path):
    with BundleStore(tmp_path / "home", clock=vendor.clock) as store:
        apart = CachedDataSource(vendor, tmp_path / "elsewhere", store=store)
        assert same(apart, vendor, ["A"], START, END) == 1
        assert list((tmp_path / "elsewhere").rglob("*.parquet"))
        assert same(filled, vendor, ["A"], START, END) == 0


# -- identity ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["feed", "exchange", "base_url", "adjusted"])
def test_what_changes_the_answer_keeps_series_apart(filled, vendor, option, tmp_path):
    vendor.identity = {option: "another"}
    with BundleStore(tmp_path / "home", clock=vendor.clock) as store:
        assert same(CachedDataSource(vendor, store=store), vendor, ["A"], START, END) == 1


@pytest.mark.parametrize(
    "option", ["proxy", "ca_bundle", "timeout_seconds", "requests_per_minute", "parallel_requests", "max_attempts"]
)
def test_how_the_source_is_reached_does_not(filled, vendor, option, tmp_path):
    vendor.identity = {option: "another"}
    with BundleStore(tmp_path / "home", clock=vendor.clock) as store:
        assert same(CachedDataSource(vendor, store=store), vendor, ["A"], START, END) == 0


def test_the_adjustment_of_prices_is_part_of_the_identity(filled, vendor, tmp_path):
    vendor.basis = "split_adjusted"
    with BundleStore(tmp_path / "home", clock=vendor.clock) as store:
        assert same(CachedDataSource(vendor, store=store), vendor, ["A"], START, END) == 1


# -- requests that fail ------------------------------------------------------------------------------------------------


def test_an_unknown_symbol_fails_by_name_and_the_others_are_kept(cached, vendor):
    with pytest.raises(SymbolNotFoundError, match="NOPE") as caught:
        cached.fetch_sync(["A", "NOPE", "B"], START, END)
    assert caught.value.details["missing"] == {"NOPE": [["2024-01-02", "2024-03-01"]]}
    assert same(cached, vendor, ["A", "B"], START, END) == 0


def test_a_request_that_no_source_could_answer_is_refused_before_anybody_is_asked(cached, vendor):
    with pytest.raises(RequestError, match="comes before the start"):
        cached.fetch_sync("A", END, START)
    with pytest.raises(RequestError, match="must not be empty"):
        cached.fetch_sync([" "], START, END)
    with pytest.raises(RequestError, match="frequency"):
        cached.fetch_sync("A", START, END, "7x")
    with pytest.raises(RequestError, match="cannot list its symbols"):
        cached.fetch_sync([], START, END)
    assert vendor.asked == []


def test_offline_and_stale_contradict_each_other(vendor):
    with pytest.raises(RequestError, match="offline"):
        CachedDataSource(vendor, offline=True, max_stale_seconds=60)


def test_the_name_of_a_source_is_refused_with_the_words_that_make_one():
    with pytest.raises(RequestError, match="not its name: 'yfinance'") as caught:
        CachedDataSource("yfinance")
    assert caught.value.hint == "CachedDataSource(rb.get_source('yfinance'))"


# -- what it says of itself --------------------------------------------------------------------------------------------


def test_the_plan_names_what_would_be_asked_for_and_asks_nothing(filled, vendor):
    plans = filled.plan_fetch(["A", "COIN"], date(2023, 12, 29), END)
    holes = {
        symbol: [(EPOCH + timedelta(microseconds=h.start)).date() for h in plan.holes] for symbol, plan in plans.items()
    }
    assert holes == {"A": [date(2023, 12, 29)], "COIN": [date(2023, 12, 29)]}
    assert [(EPOCH + timedelta(microseconds=h.end)).date() for h in plans["A"].holes] == [date(2024, 1, 1)]
    assert vendor.asked == []


def test_it_answers_for_the_source_behind(cached, vendor):
    assert cached.adapter is vendor
    assert cached.name == "invented"
    assert cached.get_metadata() == vendor.get_metadata()
    assert cached.limits() == vendor.limits()
    assert cached.supports_live() is False
    assert not cached.wants_cache()
    assert cached.requests_for(120, 0, 1, Frequency.parse("1d")) == vendor.requests_for(
        120, 0, 1, Frequency.parse("1d")
    )
    assert repr(cached).startswith("CachedDataSource(InventedVendor(")


def test_a_request_has_one_key_in_any_order_of_symbols(cached):
    key = cached.cache_key(["A", "B"], START, END)
    assert cached.cache_key(["B", "A"], START, END) == key
    assert len({key, cached.cache_key(["A"], START, END), cached.cache_key(["A", "B"], START, END, "1h"),
                cached.cache_key(["A", "B"], START, "2024-03-01T00:00:00.000001")}) == 4  # fmt: skip


def test_files_of_this_machine_are_read_from_where_they_are(tmp_path):
    (tmp_path / "A.csv").write_text("date,open,high,low,close,volume\n2020-01-02,10,11,9,10.5,100\n")
    source = CSVDataSource(tmp_path / "A.csv")
    with BundleStore(tmp_path / "home") as store:
        cached = CachedDataSource(source, store=store)
        report = cached.ingest_to_bundle("us", ["A"], store=store)
        assert report.rows == 1
        assert cached.cache.datasets() == []


def test_with_the_configured_home_and_settings_of_ones_own(vendor):
    cached = CachedDataSource(vendor, config={"cache.max_size_bytes": "3MB"})
    assert cached.cache.max_size_bytes == 3_000_000
    assert same(cached, vendor, ["A"], START, END) == 1
    cached.close()


def test_a_source_that_breaks_in_a_way_of_its_own_is_not_silenced(cached, vendor):
    vendor.failing = {"A": SourceError("the tape is torn")}
    with pytest.raises(SourceError, match="the tape is torn"):
        cached.fetch_sync(["A", "B"], START, END)
    vendor.failing = {}
    assert same(cached, vendor, ["A", "B"], START, END) == 1
    assert vendor.asked[-1][0] == ("A",)
