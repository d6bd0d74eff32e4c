"""Bars of several venues under one clock: nothing is seen before it is complete, and nothing is lost.

In January 2020 New York closes at 21:00 UTC and trades on the 2nd, 3rd, 6th ... 10th, 13th ... 17th, 21st; Tokyo closes at
06:00 UTC and trades on the 6th ... 10th, 14th ... 17th, 20th, 21st. A day of 24/7 ends at 00:00 UTC of the next.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from rustybt.data.portal import CombinedBars, MemoryBars, PolarsDataPortal
from rustybt.errors import RequestError, SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.corporate_actions import CorporateAction
from rustybt.testing.bars import frame_of_bars

NAN = float("nan")
FIELDS = ("open", "high", "low", "close", "volume", "price")


def served(bars, calendar, start, end, frequency="1d"):
    return PolarsDataPortal(
        bars=bars, calendar=calendar, start=date.fromisoformat(start), end=date.fromisoformat(end), frequency=frequency
    )


def seen(portal, symbol, field, t, bar_count):
    """Return a history window as a strategy sees it at the end of session `t`."""
    portal.at_bar(t, 0)
    columns = portal.columns([portal.asset_finder.lookup_symbol(symbol)])
    return portal.window(columns, bar_count, field)[:, 0].tolist()


def current(portal, symbol, t):
    portal.at_bar(t, 0)
    column = portal.column(portal.asset_finder.lookup_symbol(symbol))
    return [float(portal.feed.spot[field][portal.feed.row, column]) for field in FIELDS]


@pytest.fixture
def stocks(make_bars):
    """A trades on the 2nd, 3rd, 6th and 7th."""
    return make_bars({"A": [10, 11, 12, 13]})


@pytest.fixture
def coins(make_bars):
    """BTC trades from the 2nd to the 7th, Saturday the 4th and Sunday the 5th too."""
    return make_bars({"BTC": [100, 101, 102, 103, 104, 105]}, calendar="24/7", volume=7)


class TestTheUnion:
    def test_symbols_assets_and_bars_of_all_parts_are_there(self, stocks, coins):
        both = CombinedBars([coins, stocks])
        assert both.symbols == ("A", "BTC")
        assert [(a.symbol, a.calendar_name) for a in both.assets.retrieve_all()] == [("BTC", "24/7"), ("A", "XNYS")]
        block = both.read_arrays(fields=("close",))
        assert block.symbols == ("A", "BTC")
        assert block.symbol_codes.tolist() == [0] * 4 + [1] * 6
        assert block.values["close"].tolist() == [10, 11, 12, 13, 100, 101, 102, 103, 104, 105]
        only = both.read_arrays(["BTC"], start=date(2020, 1, 4), end=date(2020, 1, 5), fields=("close",))
        assert (only.symbols, only.values["close"].tolist()) == (("BTC",), [102, 103])
        assert both.read_arrays(["A"], start=date(2020, 1, 4), end=date(2020, 1, 5)).timestamps.size == 0

    def test_sids_are_kept_where_they_are_unique_and_else_counted_on(self, make_bars):
        parts = [make_bars({"B": [1], "D": [1]}), make_bars({"A": [1], "C": [1], "E": [1]})]
        both = CombinedBars(parts)
        # B 0, D 1 of the first part; A 0 and C 1 of the second collide, E 2 does not; 3 is the first that nobody has.
        assert {a.symbol: a.sid for a in both.assets.retrieve_all()} == {"B": 0, "D": 1, "A": 3, "C": 4, "E": 2}
        assert both.assets.retrieve_asset(4).symbol == "C"

    def test_a_symbol_of_two_parts_is_refused(self, stocks, make_bars):
        with pytest.raises(RequestError, match=r"A is in part 1 \(bars in memory\) and in part 2 \(bars in memory\)"):
            CombinedBars([stocks, make_bars({"A": [1]}, calendar="24/7")])

    def test_unknown_symbols_name_near_ones_of_all_parts(self, make_bars):
        both = CombinedBars([make_bars({"AAPL": [1]}), make_bars({"BTC/USD": [1]}, calendar="24/7")])
        with pytest.raises(SymbolNotFoundError) as caught:
            both.assets.lookup_symbol("APPL")
        assert caught.value.hint == "did you mean AAPL?"
        with pytest.raises(SymbolNotFoundError) as caught:
            both.read_arrays(["BTC/USDT"])
        assert caught.value.hint == "did you mean BTC/USD?"
        with pytest.raises(SymbolNotFoundError):
            both.assets.retrieve_asset(77)

    def test_events_and_price_bases_are_those_of_each_part(self, make_bars):
        first = make_bars({"A": [1]}, actions=[CorporateAction.split("A", "2020-01-08", 2)], basis="split_adjusted")
        second = make_bars({"B": [1]}, actions=[CorporateAction.cash_dividend("B", "2020-01-07", "0.1")])
        both = CombinedBars([first, second])
        assert [(a.symbol, a.kind) for a in both.corporate_actions()] == [("B", "cash_dividend"), ("A", "split")]
        assert [a.symbol for a in both.corporate_actions(["A"])] == ["A"]
        assert (both.price_basis("A"), both.price_basis("B")) == ("split_adjusted", "raw")

    def test_no_parts_are_refused(self):
        with pytest.raises(RequestError, match="no bars to combine"):
            CombinedBars([])


class TestFrequenciesAndCalendars:
    def test_frequencies_are_those_that_every_part_can_serve(self, stocks):
        rows = [("BTC", f"2020-01-{day}T{hour}:30", price) for day, hour, price in (("02", "00", 1), ("02", "23", 5))]
        minutes = MemoryBars(frame_of_bars(rows), calendar_name="24/7", frequency="1m")
        both = CombinedBars([stocks, minutes])
        assert both.frequencies == ("1d", "1w", "1M")
        block = both.read_arrays(["BTC"], frequency="1d")
        assert [float(block.values[f][0]) for f in ("open", "high", "low", "close")] == [1, 5, 1, 5]

    def test_longer_bars_are_made_in_the_calendar_of_their_part(self, make_bars):
        coins = make_bars({"BTC": [100 + i for i in range(14)]}, calendar="24/7", start=date(2020, 1, 6))
        both = CombinedBars([coins, make_bars({"A": [10] * 10}, start=date(2020, 1, 6))])
        weeks = both.read_arrays(["BTC"], frequency="1w", fields=("close",))
        # Monday to Sunday: the 6th to the 12th, the 13th to the 19th.
        assert weeks.values["close"].tolist() == [106, 113]

    def test_parts_without_a_common_frequency_are_refused(self, stocks):
        weekly = MemoryBars(frame_of_bars([("W", "2020-01-06", 1)]), frequency="1w")
        monthly = MemoryBars(frame_of_bars([("M", "2020-01-02", 1)]), frequency="1M")
        with pytest.raises(RequestError, match=r"part 1 .* has 1w; part 2 .* has 1M"):
            CombinedBars([weekly, monthly])

    def test_the_calendar_must_be_said_where_there_are_several(self, stocks, coins, make_bars):
        with pytest.raises(RequestError, match="several calendars: XNYS, 24/7") as caught:
            served(CombinedBars([stocks, coins]), None, "2020-01-02", "2020-01-07")
        assert caught.value.hint == "trading_calendar='XNYS' (on the command line: --calendar XNYS)"
        # NASDAQ keeps the sessions of the NYSE.
        assert CombinedBars([stocks, make_bars({"Q": [1]}, calendar="XNAS")]).calendar_name == "XNYS"


class TestCryptoOnTheClockOfNewYork:
    def test_a_bar_is_seen_when_it_is_complete_and_a_weekend_is_one_bar(self, stocks, coins):
        portal = served(CombinedBars([stocks, coins]), "XNYS", "2020-01-02", "2020-01-07")
        # The bar of the 2nd ends at midnight, after the close of the 2nd.
        assert np.isnan(current(portal, "BTC", 0)[3])
        assert current(portal, "BTC", 1) == [100, 101, 99, 100, 7, 100]
        # Friday's bar ends on Saturday 00:00: it comes on Monday, with those of the weekend.
        assert current(portal, "BTC", 2) == [101, 104, 100, 103, 21, 103]
        assert current(portal, "BTC", 3) == [104, 105, 103, 104, 7, 104]
        assert current(portal, "A", 3) == [13, 14, 12, 13, 1_000_000, 13]

    def test_history_of_a_mixed_list_has_one_row_a_session_of_the_clock(self, stocks, coins):
        portal = served(CombinedBars([stocks, coins]), "XNYS", "2020-01-02", "2020-01-07")
        assets = [portal.asset_finder.lookup_symbol(s) for s in ("BTC", "A")]
        frame = portal.get_history_window(assets, "2020-01-07", 3, "1d", "close")
        assert [str(day.date()) for day in frame.index] == ["2020-01-03", "2020-01-06", "2020-01-07"]
        assert frame.to_numpy().tolist() == [[100, 11], [103, 12], [104, 13]]

    def test_weeks_are_seen_when_they_are_complete(self, make_bars):
        coins = make_bars({"BTC": [100 + i for i in range(21)]}, calendar="24/7", start=date(2020, 1, 6))
        stocks = make_bars({"A": [10] * 14}, start=date(2020, 1, 6))
        portal = served(CombinedBars([stocks, coins]), "XNYS", "2020-01-06", "2020-01-24", "1w")
        # The week of the 6th ends on Sunday the 12th at midnight, after New York's Friday.
        assert np.isnan(current(portal, "BTC", 0)[3])
        assert current(portal, "BTC", 1)[3] == 106
        assert current(portal, "BTC", 2)[3] == 113

    def test_an_asset_ends_after_its_last_bar_was_seen(self, make_bars):
        stocks = make_bars({"A": [10, 11, 12, 13, 14]})
        coins = make_bars({"GONE": [100, 101]}, calendar="24/7")
        portal = served(CombinedBars([stocks, coins]), "XNYS", "2020-01-02", "2020-01-08")
        # Its last bar, Friday's, is Monday's news.
        assert [current(portal, "GONE", t)[5] for t in (1, 2)] == [100, 101]
        assert np.isnan(current(portal, "GONE", 3)[5])
        assert {t: [a.symbol for a in gone] for t, gone in portal.panel.delisted.items() if t < 5} == {3: ["GONE"]}


class TestNewYorkOnAClockThatNeverStops:
    def test_prices_are_carried_over_the_weekend_and_nothing_trades(self, stocks, coins):
        portal = served(CombinedBars([stocks, coins]), "24/7", "2020-01-02", "2020-01-07")
        a = portal.asset_finder.lookup_symbol("A")
        assert current(portal, "A", 1) == [11, 12, 10, 11, 1_000_000, 11]
        assert portal.is_open(a)
        for weekend in (2, 3):
            assert current(portal, "A", weekend)[4:] == [0, 11]
            assert np.isnan(current(portal, "A", weekend)[3])
            assert not portal.is_open(a)
        assert current(portal, "A", 4) == [12, 13, 11, 12, 1_000_000, 12]
        assert portal.is_open(a)
        assert seen(portal, "BTC", "close", 3, 2) == [102, 103]

    def test_an_asset_is_held_until_the_first_session_that_it_lacks(self, make_bars, coins):
        portal = served(CombinedBars([make_bars({"A": [10, 11]}), coins]), "24/7", "2020-01-02", "2020-01-07")
        assert [current(portal, "A", t)[5] for t in (1, 2, 3)] == [11, 11, 11]
        assert np.isnan(current(portal, "A", 4)[5])
        assert [a.symbol for a in portal.panel.delisted[4]] == ["A"]

    def test_a_split_and_a_dividend_come_on_their_ex_dates(self, make_bars, coins):
        events = [CorporateAction.split("A", "2020-01-06", 2), CorporateAction.cash_dividend("A", "2020-01-07", "1")]
        stocks = make_bars({"A": [40, 40, 20, 19]}, actions=events)
        portal = served(CombinedBars([stocks, coins]), "24/7", "2020-01-02", "2020-01-07")
        assert seen(portal, "A", "price", 3, 3) == [40, 40, 40]
        assert seen(portal, "A", "price", 4, 3) == [20, 20, 20]
        # 1 of a price of 20: everything before is worth 19/20.
        assert seen(portal, "A", "price", 5, 3) == [19, 19, 19]
        assert [(t, type(e).__name__) for t, found in sorted(portal.panel.book.items()) for e in found] == [
            (4, "Split"),
            (5, "Dividend"),
        ]


class TestTokyoAndNewYork:
    def test_tokyo_on_the_clock_of_new_york(self, make_bars):
        """Tokyo rests on Monday the 13th, New York on Monday the 20th."""
        tokyo = make_bars({"T": [100 + i for i in range(12)]}, calendar="XTKS", start=date(2020, 1, 6))
        new_york = make_bars({"A": [10 + i for i in range(12)]}, start=date(2020, 1, 6))
        portal = served(CombinedBars([tokyo, new_york]), "XNYS", "2020-01-06", "2020-01-22")
        # Tokyo: 6th 100 ... 10th 104, 14th 105 ... 17th 108, 20th 109, 21st 110, 22nd 111.
        assert current(portal, "T", 0)[3] == 100
        assert current(portal, "T", 4)[3] == 104
        t = portal.asset_finder.lookup_symbol("T")
        assert current(portal, "T", 5)[4:] == [0, 104]
        assert not portal.is_open(t)
        assert current(portal, "T", 6)[3] == 105
        # The 21st of New York has both the 20th and the 21st of Tokyo.
        assert current(portal, "T", 10) == [109, 111, 108, 110, 2_000_000, 110]
        assert current(portal, "T", 11)[3] == 111

    def test_new_york_on_the_clock_of_tokyo_is_seen_the_morning_after(self, make_bars):
        new_york = make_bars({"A": [10, 11, 12, 13]})
        tokyo = make_bars({"T": [100, 101, 102]}, calendar="XTKS", start=date(2020, 1, 6))
        portal = served(CombinedBars([tokyo, new_york]), "XTKS", "2020-01-06", "2020-01-08")
        # The 2nd and the 3rd while Tokyo has new year's holidays; then one day late.
        assert [current(portal, "A", t)[3] for t in (0, 1, 2)] == [11, 12, 13]
        assert current(portal, "A", 0)[:3] == [10, 12, 9]

    @pytest.mark.parametrize("basis", ["raw", "split_adjusted"])
    def test_a_split_waits_for_the_session_that_shows_its_prices(self, make_bars, basis):
        stored = [40, 40, 40, 20] if basis == "raw" else [20, 20, 20, 20]
        new_york = make_bars({"A": stored}, actions=[CorporateAction.split("A", "2020-01-07", 2)], basis=basis)
        tokyo = make_bars({"T": [100, 101, 102]}, calendar="XTKS", start=date(2020, 1, 6))
        portal = served(CombinedBars([tokyo, new_york]), "XTKS", "2020-01-06", "2020-01-08")
        # On the 7th Tokyo knows New York's 6th, which is before the split.
        assert seen(portal, "A", "close", 1, 2) == [40, 40]
        assert seen(portal, "A", "close", 2, 3) == [20, 20, 20]
        assert list(portal.panel.book) == [2]

    @pytest.mark.parametrize("basis", ["raw", "split_adjusted"])
    def test_a_split_between_bars_that_are_joined_restates_those_before_it(self, make_bars, basis):
        """Tokyo rests on Monday the 13th: its Tuesday has New York's Friday, before a split, and Monday."""
        action = CorporateAction.split("A", "2020-01-13", 2)
        rows = [("A", "2020-01-09", 40, 41, 39, 40, 100), ("A", "2020-01-10", 42, 43, 40, 42, 100)]
        if basis == "split_adjusted":
            rows = [(s, d, *(f"{p / 2}" for p in prices), volume * 2) for s, d, *prices, volume in rows]
        rows.append(("A", "2020-01-13", 20, 21, 19, 20, 300))
        new_york = MemoryBars(frame_of_bars(rows), actions=[action], price_basis=basis)
        tokyo = make_bars({"T": [1] * 6}, calendar="XTKS", start=date(2020, 1, 8))
        portal = served(CombinedBars([tokyo, new_york]), "XTKS", "2020-01-10", "2020-01-15")
        assert current(portal, "A", 0) == [40, 41, 39, 40, 100, 40]
        # Friday restated: 21, 21.5, 20, 21 and 200 shares.
        assert current(portal, "A", 1) == [21, 21.5, 19, 20, 500, 20]
        assert seen(portal, "A", "close", 1, 2) == [20, 20]


class TestMinutes:
    @pytest.fixture
    def portal(self):
        """Friday 27 November 2020: New York trades from 14:30 to 18:00 UTC, a half day."""
        prices = {"14:30": 50, "14:31": 51, "17:59": 55}
        stock = [("A", f"2020-11-27T{at}", price) for at, price in prices.items()]
        stock.append(("A", "2020-11-25T20:59", 49))
        coin = [("BTC", f"2020-11-{day}T{at}", 9) for day, at in (("25", "00:00"), ("27", "00:00"), ("28", "23:59"))]
        us = MemoryBars(frame_of_bars(stock), frequency="1m")
        crypto = MemoryBars(
            frame_of_bars(coin),
            frequency="1m",
            calendar_name="24/7",
            attributes={"BTC": AssetAttributes(asset_type="crypto")},
        )
        return served(CombinedBars([us, crypto]), "24/7", "2020-11-27", "2020-11-28", "1m")

    def at(self, portal, hour, minute, day=0):
        """Return close, volume, price of A at the end of a minute, and whether New York is open."""
        portal.at_bar(day, hour * 60 + minute)
        asset = portal.asset_finder.lookup_symbol("A")
        column, feed = portal.column(asset), portal.feed
        close, volume, price = (float(feed.spot[f][feed.row, column]) for f in ("close", "volume", "price"))
        return [None if np.isnan(close) else close, volume, price, portal.is_open(asset)]

    def test_new_york_opens_trades_and_closes_early_within_the_day(self, portal):
        assert self.at(portal, 0, 0) == [None, 0, 49, False]
        assert self.at(portal, 14, 29) == [None, 0, 49, False]
        assert self.at(portal, 14, 30) == [50, 50, 50, True]
        assert self.at(portal, 14, 31) == [51, 51, 51, True]
        assert self.at(portal, 15, 0) == [None, 0, 51, True]
        assert self.at(portal, 17, 59) == [55, 55, 55, True]
        assert self.at(portal, 18, 0) == [None, 0, 55, False]
        assert self.at(portal, 12, 0, day=1) == [None, 0, 55, False]

    def test_days_of_both_are_made_of_their_minutes(self, portal):
        portal.at_bar(1, 0)
        assets = [portal.asset_finder.lookup_symbol(s) for s in ("A", "BTC")]
        view = portal.view("1d")
        values = view.window(view.columns(assets), 2, "close")
        assert values[0].tolist() == [55, 9]


def test_crypto_minutes_of_the_night_come_with_the_first_minute_of_new_york():
    coin = [("BTC", f"2020-01-{at}", price) for at, price in (("02T20:59", 1), ("02T21:00", 5), ("03T14:30", 3))]
    stock = [("A", "2020-01-02T14:30", 10), ("A", "2020-01-03T14:30", 11)]
    bars = CombinedBars(
        [
            MemoryBars(frame_of_bars(stock), frequency="1m"),
            MemoryBars(frame_of_bars(coin), frequency="1m", calendar_name="24/7"),
        ]
    )
    portal = served(bars, "XNYS", "2020-01-02", "2020-01-03", "1m")
    column = portal.column(portal.asset_finder.lookup_symbol("BTC"))
    portal.at_bar(0, 389)
    assert portal.feed.spot["close"][portal.feed.row, column] == 1
    # What ended after the close, 21:01, waits for the first minute of the 3rd, which ends at 14:31.
    portal.at_bar(1, 0)
    assert [float(portal.feed.spot[f][portal.feed.row, column]) for f in ("open", "high", "low", "close")] == [
        5,
        5,
        3,
        3,
    ]


def test_hourly_bars_of_another_venue_do_not_decide_where_those_of_the_clock_begin():
    """Crypto's hours begin on the hour, which must not be taken for a habit of New York's bars."""
    hours = [("A", f"2020-01-02T{hour}:30", 10 + hour) for hour in range(14, 21)]
    coin = [("A-COIN", f"2020-01-02T{hour:02d}:00", hour) for hour in range(24)]
    bars = CombinedBars(
        [
            MemoryBars(frame_of_bars(coin), frequency="1h", calendar_name="24/7"),
            MemoryBars(frame_of_bars(hours), frequency="1h"),
        ]
    )
    portal = served(bars, "XNYS", "2020-01-02", "2020-01-02", "1h")
    ends = portal.bar_ends(0)
    assert [str(end.time())[:5] for end in ends] == ["15:30", "16:30", "17:30", "18:30", "19:30", "20:30", "21:00"]
    column = portal.column(portal.asset_finder.lookup_symbol("A"))
    portal.at_bar(0, 0)
    assert portal.feed.spot["close"][portal.feed.row, column] == 24
