"""The cache before real vendor clients, against servers that count: what is asked twice is fetched once."""

import io
import json
import logging
from datetime import date

import polars as pl
import pytest

from rustybt import logging as rustybt_logging
from rustybt.data.bundles.metadata import BundleMetadata
from rustybt.data.bundles.metadata_store import catalog
from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources import CachedDataSource, get_source
from rustybt.errors import NotCoveredError, SourceUnavailableError, SymbolNotFoundError
from tests.data.sources.invented import at
from tests.fakes import market, massive
from tests.fakes.binance import BinanceServer
from tests.fakes.massive import MassiveServer
from tests.fakes.yahoo import YahooServer

SYMBOLS = ["AAPL", "BRK.B", "MSFT"]
START, END = date(2024, 1, 2), date(2024, 10, 31)
VENDORS = {
    "yfinance": (YahooServer, {}, SYMBOLS, "1d"),
    "polygon": (MassiveServer, {}, SYMBOLS, "1d"),
    "ccxt": (BinanceServer, {"exchange": "binance"}, ["BTC/USDT", "ETH/USDT"], "1d"),
}


class Desk:
    """One vendor's server, a home, and one clock for all of them."""

    def __init__(self, name, server, home, options, *, attempts=None):
        self.name, self.server, self.options = name, server, options
        self.store = BundleStore(home, clock=self.clock)
        more = {} if attempts is None else {"max_attempts": attempts}
        self.source = get_source(name, base_url=server.url, requests_per_minute=0, clock=self.clock, **options, **more)
        self.cached = CachedDataSource(self.source, store=self.store)

    def clock(self):
        return self.server.now

    def requests(self):
        """Requests for bars since the last time."""
        found = len(self.server.data_requests())
        self.server.requests.clear()
        return found

    def close(self):
        self.source.close()
        self.store.close()


@pytest.fixture(params=VENDORS)
def desk(request, tmp_path, monkeypatch):
    monkeypatch.setenv("MASSIVE_API_KEY", massive.KEY)
    server_class, options, symbols, frequency = VENDORS[request.param]
    with server_class() as server:
        opened = Desk(request.param, server, tmp_path / "home", options)
        opened.symbols, opened.frequency = symbols, frequency
        yield opened
        opened.close()


@pytest.fixture
def yahoo(tmp_path):
    with YahooServer() as server:
        opened = Desk("yfinance", server, tmp_path / "home", {}, attempts=1)
        yield opened
        opened.close()


@pytest.fixture
def events():
    """The log as JSON objects."""
    root = logging.getLogger(rustybt_logging.ROOT)
    before = (list(root.handlers), root.level, root.propagate)
    stream = io.StringIO()
    rustybt_logging.configure("INFO", "json", stream)
    yield lambda name: [line for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == name]
    root.handlers[:], root.propagate = before[0], before[2]
    root.setLevel(before[1])


# -- each vendor -----------------------------------------------------------------------------------------------------------


def test_the_second_fetch_makes_no_request_and_is_the_same_to_the_last_digit(desk):
    first = desk.cached.fetch_sync(desk.symbols, START, END)
    assert desk.requests() > 0
    again = desk.cached.fetch_sync(list(reversed(desk.symbols)), START, END)
    part = desk.cached.fetch_sync(desk.symbols[:1], date(2024, 5, 1), date(2024, 5, 31))
    assert desk.requests() == 0
    assert again.equals(first)
    in_may = pl.col("timestamp").dt.date().is_between(date(2024, 5, 1), date(2024, 5, 31))
    assert part.equals(first.filter(pl.col("symbol") == desk.symbols[0], in_may))


def test_the_answer_is_that_of_the_source_without_a_cache(desk):
    uncached = desk.source.fetch_with_events(desk.symbols, START, END)
    for _ in range(2):
        found = desk.cached.fetch_with_events(desk.symbols, START, END)
        assert found.bars.equals(uncached.bars)
        assert found.price_basis == uncached.price_basis
        assert found.number_rule == uncached.number_rule
        assert dict(found.assets) == dict(uncached.assets)
        assert {(a.symbol, a.kind, a.ex_date, a.amount, a.ratio_new) for a in found.actions} == {
            (a.symbol, a.kind, a.ex_date, a.amount, a.ratio_new) for a in uncached.actions
        }


def test_an_ingest_fills_the_cache(desk):
    report = desk.source.ingest_to_bundle("us", desk.symbols, START, END, store=desk.store, clock=desk.clock)
    assert report.exit_code == 0
    assert desk.requests() > 0
    bars = desk.cached.fetch_sync(desk.symbols, START, END)
    assert desk.requests() == 0
    with desk.store.open("us") as bundle:
        assert bundle.read(desk.symbols).height == bars.height


def test_a_fetch_fills_a_bundle(desk):
    desk.cached.fetch_sync(desk.symbols, START, END)
    desk.requests()
    report = desk.source.ingest_to_bundle("us", desk.symbols, START, END, store=desk.store, clock=desk.clock)
    assert desk.requests() == 0
    past = desk.source.ingest_to_bundle(
        "other", desk.symbols, START, END, store=desk.store, clock=desk.clock, use_cache=False
    )
    assert desk.requests() > 0
    # A bundle is the same whichever way its bars took.
    assert report.content_hash == past.content_hash


def test_statistics_are_what_the_server_counted(desk):
    desk.cached.fetch_sync(desk.symbols, START, END)
    desk.cached.fetch_sync(desk.symbols, date(2023, 11, 1), END)
    desk.cached.fetch_sync(desk.symbols[:1], START, END)
    made = len(desk.server.requests)
    desk.store.counters.flush()
    with desk.store.database.read() as connection:
        (usage,) = catalog.cache_usage(connection)
    assert (usage["source"], usage["hits"], usage["misses"], usage["partial_hits"]) == (desk.name, 1, 1, 1)
    assert usage["requests_made"] == made == desk.source.requests_made
    assert usage["requests_saved"] > 0
    assert usage["bytes_cached"] == 48 * usage["rows_cached"]
    BundleMetadata.use(desk.store)
    try:
        (day,) = BundleMetadata.get_cache_statistics()
    finally:
        BundleMetadata.use(None)
    assert (day["hit_count"], day["miss_count"]) == (1, 2)


# -- one vendor --------------------------------------------------------------------------------------------------------------


def test_a_daily_re_run_asks_for_the_new_bar_of_each_close_only(yahoo):
    rows = []
    # Thanksgiving week: a holiday on the 28th, a half day on the 29th.
    for day in ("25", "26", "27", "28", "29"):
        yahoo.server.now = at(f"2024-11-{day}T23:00")
        bars = yahoo.cached.fetch_sync(["AAPL", "MSFT"], START)
        expected = yahoo.source.fetch_sync(["AAPL", "MSFT"], START)
        assert bars.equals(expected)
        rows.append((yahoo.cached.last_use.fetches, yahoo.cached.last_use.rows_fetched))
        yahoo.cached.fetch_sync(["AAPL", "MSFT"], START)
        assert yahoo.cached.last_use.hits == 1
    assert [fetches for fetches, _ in rows] == [1, 1, 1, 0, 1]
    # The new bar and the five before it, of two symbols.
    assert {count for fetches, count in rows[1:] if fetches} <= {12, 14}


def test_a_split_that_the_vendor_works_into_its_past_changes_all_of_the_series(yahoo):
    yahoo.server.now = at("2024-11-19T23:00")
    old = yahoo.cached.fetch_sync(["AAPL", "MSFT"], START)
    yahoo.server.new_splits["MSFT"] = market.Split(date(2024, 11, 20), 4, 1)
    yahoo.server.now = at("2024-11-20T23:00")
    new = yahoo.cached.fetch_sync(["AAPL", "MSFT"], START)
    assert new.equals(yahoo.source.fetch_sync(["AAPL", "MSFT"], START))
    ratio = float(new.filter(symbol="MSFT")["close"][0]) / float(old.filter(symbol="MSFT")["close"][0])
    assert ratio == pytest.approx(0.25, rel=1e-6)
    assert new.filter(symbol="AAPL")[:200].equals(old.filter(symbol="AAPL")[:200])
    yahoo.requests()
    assert yahoo.cached.fetch_sync(["AAPL", "MSFT"], START).equals(new)
    assert yahoo.requests() == 0


def test_hours_of_a_half_day_come_once(yahoo):
    yahoo.server.now = at("2024-11-30T12:00")
    first = yahoo.cached.fetch_sync("AAPL", date(2024, 11, 25), date(2024, 11, 29), "1h")
    yahoo.requests()
    assert yahoo.cached.fetch_sync("AAPL", date(2024, 11, 25), date(2024, 11, 29), "1h").equals(first)
    assert yahoo.cached.fetch_sync("AAPL", date(2024, 11, 29), date(2024, 11, 29), "1h").height == 4
    assert yahoo.requests() == 0


def test_an_unknown_symbol_and_a_vendor_that_is_down(yahoo):
    with pytest.raises(SymbolNotFoundError) as caught:
        yahoo.cached.fetch_sync(["AAPL", "NOSUCH"], START, END)
    assert list(caught.value.details["missing"]) == ["NOSUCH"]
    yahoo.server.fail("503", times=None)
    with pytest.raises(SourceUnavailableError) as down:
        yahoo.cached.fetch_sync(["AAPL", "MSFT"], START, END)
    assert down.value.details["missing"] == {"MSFT": [["2024-01-02", "2024-10-31"]]}
    offline = CachedDataSource(yahoo.source, store=yahoo.store, offline=True)
    assert offline.fetch_sync("AAPL", START, END).height == 211
    with pytest.raises(NotCoveredError):
        offline.fetch_sync("MSFT", START, END)


def test_events_of_the_log_tell_what_was_served_and_what_it_cost(yahoo, events):
    yahoo.cached.fetch_sync("AAPL", START, END)
    yahoo.cached.fetch_sync("AAPL", START, END)
    yahoo.cached.fetch_sync(["AAPL", "MSFT"], START, END)
    (miss,), (hit,), (partial,) = events("cache_miss"), events("cache_hit"), events("cache_partial")
    for event in (miss, hit, partial):
        assert (event["source"], event["frequency"]) == ("yfinance", "1d")
        assert min(event["lookup_ms"], event["read_ms"], event["fetch_ms"]) >= 0
    assert (miss["rows_cached"], miss["rows_fetched"], miss["symbols"]) == (0, 211, 1)
    assert miss["requests"] >= 1
    assert miss["fetch_ms"] > 0
    assert (hit["rows_cached"], hit["rows_fetched"], hit["requests"], hit["fetch_ms"]) == (211, 0, 0, 0)
    assert (partial["rows_cached"], partial["rows_fetched"], partial["symbols"]) == (211, 211, 2)
    assert miss["cache_key"] == hit["cache_key"] == yahoo.cached.cache_key("AAPL", START, END)
    assert partial["cache_key"] != hit["cache_key"]


def test_eviction_says_what_left(yahoo, events):
    small = CachedDataSource(yahoo.source, config={"cache.max_size_bytes": 12_000}, store=yahoo.store)
    for symbol in market.CROWD[:6]:
        small.fetch_sync(symbol, START, END)
    told = events("cache_eviction")
    assert told
    assert sum(event["evicted_count"] for event in told) >= 3
    assert all(event["evicted_bytes"] > 0 and event["new_size_mb"] * 2**20 <= 12_000 + 600 for event in told)
    assert small.cache.size_bytes() <= 12_000


def test_the_original_key_of_a_request_finds_its_dataset(yahoo):
    BundleMetadata.use(yahoo.store)
    try:
        key = yahoo.cached.cache_key(SYMBOLS, START, END)
        assert BundleMetadata.find_cached(key) is None
        yahoo.cached.fetch_sync(SYMBOLS, START, END)
        (dataset,) = yahoo.cached.cache.datasets()
        assert BundleMetadata.find_cached(key) == dataset.name
        assert yahoo.store.list_bundles() == []
    finally:
        BundleMetadata.use(None)


def test_the_address_of_the_vendor_is_part_of_what_is_cached_and_the_way_there_is_not(yahoo, tmp_path):
    yahoo.cached.fetch_sync("AAPL", START, END)
    other_way = get_source("yfinance", base_url=yahoo.server.url, timeout_seconds=5, clock=yahoo.clock)
    yahoo.requests()
    CachedDataSource(other_way, store=yahoo.store).fetch_sync("AAPL", START, END)
    assert yahoo.requests() == 0
    with YahooServer() as another:
        elsewhere = get_source("yfinance", base_url=another.url, requests_per_minute=0, clock=yahoo.clock)
        CachedDataSource(elsewhere, store=yahoo.store).fetch_sync("AAPL", START, END)
        assert another.data_requests()
        elsewhere.close()
    other_way.close()
