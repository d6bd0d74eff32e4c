"""The portal itself: instants, look-ahead, loading, what it is built from."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from rustybt.data.polars.data_portal import PolarsDataPortal as SeedPortal
from rustybt.data.portal import MemoryBars, PolarsDataPortal, SourceBars
from rustybt.errors import LookaheadError, RequestError, SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.bars import empty_bars
from rustybt.market.corporate_actions import CorporateAction


class Counting:
    """Passes reads on and writes them down."""

    def __init__(self, bars):
        self._bars = bars
        self.reads = []

    def __getattr__(self, name):
        return getattr(self._bars, name)

    def read_arrays(self, symbols=None, **more):
        self.reads.append(tuple(symbols))
        return self._bars.read_arrays(symbols, **more)


class Source:
    """A source of prepared bars that counts its calls."""

    def __init__(self, bars):
        self._bars = bars._bars
        self.calls = []

    def fetch_sync(self, symbols, start, end, frequency):
        self.calls.append((tuple(symbols), start, end, frequency))
        stamps = self._bars["timestamp"].dt.date()
        wanted = self._bars["symbol"].is_in(list(symbols))
        wanted = wanted if start is None else wanted & (stamps >= start)
        wanted = wanted if end is None else wanted & (stamps <= end)
        return self._bars.filter(wanted)


def test_the_seeds_path_is_the_same_portal():
    assert SeedPortal is PolarsDataPortal


def test_it_needs_bars_and_those_of_the_frequency_or_finer(make_bars):
    with pytest.raises(RequestError, match="needs bars"):
        PolarsDataPortal()
    with pytest.raises(RequestError, match="no bars of 1h can be made"):
        PolarsDataPortal(bars=make_bars({"A": [1]}), frequency="1h")
    with pytest.raises(RequestError, match="empty"):
        PolarsDataPortal(bars=MemoryBars(empty_bars()))
    with pytest.raises(RequestError, match="of frequency 1d: no bars of 1m"):
        PolarsDataPortal(bars=make_bars({"A": [1]}), frequency="minute")


def test_no_session_between_the_dates_is_refused(make_bars):
    with pytest.raises(RequestError, match="no session from 2020-01-04 to 2020-01-05"):
        PolarsDataPortal(bars=make_bars({"A": [1, 2, 3]}), start=date(2020, 1, 4), end=date(2020, 1, 5))


def test_spot_values_are_those_of_the_last_complete_session(make_bars):
    bars = make_bars({"A": [10, 11, 12], "B": [20, 21, 22]}, volume=7)
    portal = PolarsDataPortal(bars=bars)
    a, b = (bars.assets.lookup_symbol(s) for s in "AB")
    assert portal.get_spot_value(a, "close", "2020-01-03") == 11.0
    assert portal.get_spot_value([b, a], "price", date(2020, 1, 2)) == [20.0, 10.0]
    assert portal.get_spot_value(a, "volume", pd.Timestamp("2020-01-03")) == 7
    assert portal.get_spot_value(a, "last_traded", "2020-01-05") == pd.Timestamp("2020-01-03")
    # New York closes at 21:00 UTC: a minute before, the session is not complete.
    assert portal.get_spot_value(a, "close", pd.Timestamp("2020-01-03 20:59", tz="UTC")) == 10.0
    assert portal.get_spot_value(a, "close", pd.Timestamp("2020-01-03 16:00", tz="America/New_York")) == 11.0
    with pytest.raises(RequestError, match="no field"):
        portal.get_spot_value(a, "vwap", "2020-01-03")
    with pytest.raises(RequestError, match="1m bars cannot be made"):
        portal.get_spot_value(a, "close", "2020-01-03", "minute")


def test_a_value_from_before_the_range_is_read_too(make_bars):
    bars = make_bars({"A": list(range(100, 300))})
    portal = PolarsDataPortal(bars=bars, start=date(2020, 9, 1), end=date(2020, 9, 30))
    asset = bars.assets.lookup_symbol("A")
    assert portal.get_spot_value(asset, "close", "2020-01-02") == 100.0


def test_history_windows_end_where_they_are_told(make_bars):
    action = CorporateAction.split("A", date(2020, 1, 7), 2, 1)
    bars = make_bars({"A": [10, 11, 12, 6, 7]}, actions=[action])
    portal = PolarsDataPortal(bars=bars)
    asset = bars.assets.lookup_symbol("A")
    found = portal.get_history_window([asset], "2020-01-06", 2, "1d", "close")
    assert list(found[asset]) == [11.0, 12.0]
    assert list(portal.get_history_window([asset], "2020-01-08", 5, "1d", "close")[asset]) == [5.0, 5.5, 6.0, 6.0, 7.0]


def test_nothing_past_the_clock_is_read_from_anywhere(make_bars):
    bars = make_bars({"A": [10, 11, 12, 13]})
    portal = PolarsDataPortal(bars=bars)
    asset = bars.assets.lookup_symbol("A")
    portal.set_clock(1, 1)
    assert portal.get_spot_value(asset, "close", "2020-01-03") == 11.0
    with pytest.raises(LookaheadError, match="last known session is 2020-01-03") as caught:
        portal.get_spot_value(asset, "close", "2020-01-06")
    assert caught.value.seen == "2020-01-03"
    with pytest.raises(LookaheadError):
        portal.get_history_window([asset], pd.Timestamp("2020-01-07", tz="UTC"), 2, "1d", "close")
    portal.set_clock(1, 0)
    with pytest.raises(LookaheadError):
        portal.get_spot_value(asset, "close", "2020-01-03")


def test_one_asset_has_a_window_too_and_text_is_refused_whole(make_bars):
    bars = make_bars({"A": [10, 11, 12]})
    portal, asset = PolarsDataPortal(bars=bars), bars.assets.lookup_symbol("A")
    assert portal.get_history_window(asset, date(2020, 1, 6), 2, "1d", "close")[asset].to_list() == [11, 12]
    with pytest.raises(RequestError, match="not str 'AAPL'"):
        portal.get_spot_value("AAPL", "close", date(2020, 1, 6))
    with pytest.raises(RequestError, match="not str 'AAPL'"):
        portal.get_history_window("AAPL", date(2020, 1, 6), 2, "1d", "close")


def test_a_name_is_no_bars():
    with pytest.raises(RequestError, match=r"not str\n  hint: bars=rb.bundle\('us'\)"):
        PolarsDataPortal(bars="us")


def test_the_hint_for_history_names_what_can_be_made(make_bars):
    bars = make_bars({"A": [float(n) for n in range(1, 60)]})
    with pytest.raises(RequestError, match="ask for 1d, 1w, 1M, or run on data_frequency='1h'"):
        PolarsDataPortal(bars=bars).view("1h")
    with pytest.raises(RequestError, match="ask for 1w, or run on data_frequency='1d'"):
        PolarsDataPortal(bars=bars, frequency="1w").view("1M")


def test_the_async_forms_answer_the_same(make_bars):
    bars = make_bars({"A": [10, 11, 12]})
    portal = PolarsDataPortal(bars=bars)
    asset = bars.assets.lookup_symbol("A")

    async def ask():
        spot = await portal.async_get_spot_value(asset, "close", "2020-01-03")
        window = await portal.async_get_history_window([asset], "2020-01-03", 2, "1d", "close")
        return spot, list(window[asset])

    assert asyncio.run(ask()) == (11.0, [10.0, 11.0])


def test_expected_assets_are_read_in_one_go(make_bars):
    bars = Counting(make_bars({s: [1, 2, 3] for s in "ABCDEF"}))
    portal = PolarsDataPortal(bars=bars)
    assets = [bars.assets.lookup_symbol(s) for s in "ABC"]
    for asset in assets:
        portal.panel.expect(asset)
    portal.set_clock(2, 2)
    assert [portal.get_spot_value(a, "close", "2020-01-06") for a in assets] == [3.0, 3.0, 3.0]
    assert bars.reads == [("A", "B", "C")]


def test_after_two_surprises_all_assets_are_read(make_bars):
    bars = Counting(make_bars({s: [ord(s), ord(s) + 1] for s in "ABCDEF"}))
    portal = PolarsDataPortal(bars=bars)
    found = [portal.get_spot_value(bars.assets.lookup_symbol(s), "close", "2020-01-03") for s in "FADBCE"]
    assert found == [float(ord(s) + 1) for s in "FADBCE"]
    assert [len(read) for read in bars.reads] == [1, 1, 4]


def test_a_last_trade_long_before_the_start_is_found(make_bars):
    closes = [7.5] + [None] * 250 + [8.0]
    bars = make_bars({"A": closes, "B": [1.0] * 252})
    portal = PolarsDataPortal(bars=bars, start=date(2020, 12, 1), end=date(2020, 12, 15))
    assert portal.get_spot_value(bars.assets.lookup_symbol("A"), "price", "2020-12-01") == 7.5


def test_a_dividend_in_another_currency_is_refused(make_bars):
    action = CorporateAction.cash_dividend("A", date(2020, 1, 3), "1", currency="EUR")
    portal = PolarsDataPortal(bars=make_bars({"A": [10, 11]}, actions=[action]))
    with pytest.raises(RequestError, match="trades in USD but pays EUR"):
        portal.column(portal.asset_finder.lookup_symbol("A"))


def test_a_bar_of_another_venue_is_seen_when_it_is_complete_and_not_before(make_bars):
    # Seven days of a 24/7 market, each complete at midnight UTC, on the closes of New York at 21:00: Thursday's bar is known
    # on Friday, those of Friday to Sunday on Monday, as one.
    bars = make_bars({"A": [1, 2, 3, 4, 5, 6, 7]}, calendar="24/7")
    portal = PolarsDataPortal(calendar="XNYS", bars=bars, start=date(2020, 1, 2), end=date(2020, 1, 8))
    asset = bars.assets.lookup_symbol("A")

    def window(field):
        return portal.get_history_window([asset], "2020-01-08", 5, "1d", field)[asset].tolist()

    assert window("close")[1:] == [1.0, 4.0, 5.0, 6.0]
    assert np.isnan(window("close")[0])
    assert window("open")[1:] == [1.0, 2.0, 5.0, 6.0]
    volumes = window("volume")
    assert volumes[2] == 3 * volumes[1]


def test_bars_in_memory_answer_like_a_bundle(make_bars):
    bars = make_bars({"AB": [1.25, 2], "C": [3, 4]}, attributes={"C": AssetAttributes(asset_type="etf")})
    assert bars.symbols == ("AB", "C")
    block = bars.read_arrays(["C"], date(2020, 1, 3), date(2020, 1, 3), ("close",))
    closes = block.values["close"]  # noqa: PD011 - not a pandas object
    assert list(closes) == [4.0]
    assert list(block.timestamps) == [1_578_009_600_000_000]  # 2020-01-03 00:00 UTC
    assert list(bars.read_arrays().symbol_codes) == [0, 0, 1, 1]
    assert bars.assets.lookup_symbol("c").asset_type == "etf"
    assert bars.assets.sids == (0, 1)
    assert [a.symbol for a in bars.assets.retrieve_all([1, 0])] == ["C", "AB"]
    with pytest.raises(SymbolNotFoundError, match="did you mean AB"):
        bars.assets.lookup_symbol("ABB")
    with pytest.raises(SymbolNotFoundError, match="it has AB, C"):
        bars.assets.lookup_symbol("zzzzzz")
    with pytest.raises(SymbolNotFoundError, match="sid 7"):
        bars.assets.retrieve_asset(7)
    with pytest.raises(RequestError, match="not 1h"):
        bars.read_arrays(frequency="1h")


def test_a_source_is_fetched_once_for_its_symbols_and_again_for_longer_history(make_bars):
    source = Source(make_bars({"A": [1.0 + i for i in range(600)], "B": [5.0] * 600}, start=date(2019, 1, 2)))
    bars = SourceBars(source, ["A", "B"], date(2021, 1, 4), date(2021, 1, 29))
    portal = PolarsDataPortal(bars=bars)
    a = bars.assets.lookup_symbol("A")
    assert bars.assets.lookup_symbol("B").sid == 1
    assert bars.assets.retrieve_all([1, 0])[1] == a
    assert source.calls == [(("A", "B"), date(2021, 1, 4) - timedelta(days=400), date(2021, 1, 29), "1d")]
    portal.set_clock(0, 0)
    last = portal.get_spot_value(a, "close", "2021-01-04")
    found = portal.window(portal.columns([a]), 400, "close")[:, 0]
    np.testing.assert_array_equal(found, np.arange(last - 399, last + 1))
    assert len(source.calls) == 2
    assert a.last_session is None
    assert bars.corporate_actions() == []
    with pytest.raises(SymbolNotFoundError, match="no bars of 'X'"):
        bars.assets.lookup_symbol("X")


def test_the_seeds_arguments_serve_a_source(make_bars):
    source = Source(make_bars({"A": [1.0 + i for i in range(300)]}))
    finder = SourceBars(source, [], date(2020, 6, 1), date(2020, 6, 30)).assets
    portal = PolarsDataPortal(finder, "XNYS", source, use_cache=False, start=date(2020, 6, 1), end=date(2020, 6, 30))
    assert portal.get_spot_value(finder.lookup_symbol("A"), "close", "2020-01-03") == 2.0


def test_a_source_without_dates_serves_what_it_delivers_fetched_once(make_bars):
    source = Source(make_bars({"A": [1, 2, 3], "B": [None, 2, 3, 4]}))
    bars = SourceBars(source, ["A", "B"], None, None)
    # Thursday January 2 to Tuesday January 7, 2020.
    assert bars.simulated() == (date(2020, 1, 2), date(2020, 1, 7))
    portal = PolarsDataPortal(bars=bars)
    assert portal.axis.length == 4
    portal.columns([bars.assets.lookup_symbol("A"), bars.assets.lookup_symbol("B")])
    assert source.calls == [(("A", "B"), None, None, "1d")]
    assert bars.calendar_name == "XNYS"
    assert bars.assets.lookup_symbol("A").last_session is None


def test_the_one_date_that_a_source_is_not_given_is_that_of_its_bars(make_bars):
    def simulated(start, end):
        return SourceBars(Source(make_bars({"A": [1, 2, 3]})), ["A"], start, end).simulated()

    assert simulated(None, date(2020, 1, 3)) == (date(2020, 1, 2), date(2020, 1, 3))
    assert simulated(date(2020, 1, 3), None) == (date(2020, 1, 2), date(2020, 1, 6))
    assert simulated(date(2020, 1, 3), date(2021, 1, 1)) == (date(2020, 1, 3), date(2021, 1, 1))


def test_a_source_that_lists_its_symbols_is_asked_for_them(make_bars):
    class Listing(Source):
        def list_symbols(self):
            return ["A", "B"]

    source = Listing(make_bars({"A": [1, 2], "B": [1, 2, 3]}))
    assert SourceBars(source, [], None, None).simulated() == (date(2020, 1, 2), date(2020, 1, 6))
    assert source.calls[0][0] == ("A", "B")


def test_a_source_without_dates_symbols_or_bars_says_what_is_missing(make_bars):
    source = Source(make_bars({"A": [1, 2]}))
    with pytest.raises(RequestError, match=r"the symbols must be known before the run(.|\n)*symbols=\['AAPL'\]"):
        SourceBars(source, [], None, None).simulated()
    with pytest.raises(RequestError, match="the source has no bars of X, Y: nothing can be simulated"):
        SourceBars(source, ["X", "Y"], None, None).simulated()
    with pytest.raises(RequestError, match="no bars of A from 2023-11-28: nothing can be simulated"):
        SourceBars(source, ["A"], date(2025, 1, 1), None).simulated()
    start, end = SourceBars(source, [], date(2020, 1, 2), None).simulated()
    assert start == date(2020, 1, 2)
    assert end >= date(2025, 1, 1)


def test_an_asset_of_a_source_that_ended_long_ago_is_delisted(make_bars):
    bars = SourceBars(Source(make_bars({"A": [1, 2, 3]})), ["A"], date(2020, 1, 2), date(2020, 3, 1))
    assert bars.assets.lookup_symbol("A").last_session == date(2020, 1, 6)


def test_a_week_that_ends_after_the_end_is_not_served(make_bars):
    # Thursday 2 January 2020 on; the second week ends on Friday the 10th.
    bars = make_bars({"A": list(range(1, 12))})
    week = PolarsDataPortal(bars=bars, start=date(2020, 1, 2), end=date(2020, 1, 9), frequency="1w")
    assert week.axis.sessions.astype(str).tolist()[-1] == "2020-01-03"
    whole = PolarsDataPortal(bars=bars, frequency="1w")
    assert whole.axis.sessions.astype(str).tolist()[-3:] == ["2020-01-03", "2020-01-10", "2020-01-17"]
    with pytest.raises(RequestError, match="no week that ends from 2020-01-06 to 2020-01-09"):
        PolarsDataPortal(bars=bars, start=date(2020, 1, 6), end=date(2020, 1, 9), frequency="1w")
