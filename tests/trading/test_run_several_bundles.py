"""A run on several bundles: orders, books, the pin, and the replay of it all."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from rustybt import api
from rustybt.algorithm import replay, run_algorithm
from rustybt.data.portal import MemoryBars
from rustybt.errors import BundleError, RequestError
from rustybt.market.assets import AssetAttributes
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.pin import Pin
from rustybt.market.provenance import Provenance
from rustybt.market.quality_report import QualityReport
from rustybt.sweeps import sweep
from rustybt.testing.bars import frame_of_bars
from rustybt.trading.results.result import Result
from tests.trading.strategies import FREE, buy_once

COIN = {"BTC": AssetAttributes(asset_type="crypto", lot_size=Decimal("0.001"))}
SCRIPT = """from rustybt.api import order, record, set_commission, set_slippage, commission, slippage, symbols

def initialize(context):
    set_commission(commission.NoCommission())
    set_slippage(slippage.NoSlippage())
    context.assets = symbols("A", "BTC")

def handle_data(context, data):
    prices = data.current(context.assets, "price")
    record(a=float(prices.iloc[0]), btc=float(prices.iloc[1]))
    for asset in context.assets:
        if data.can_trade(asset) and not context.portfolio.positions[asset].amount:
            order(asset, 1)
"""


@pytest.fixture
def bundles(store, make_bars):
    """us@1: A on the 2nd, 3rd, 6th and 7th of January 2020; crypto@1: BTC from the 2nd to the 7th, every day."""
    us = make_bars({"A": [10, 11, 12, 13]})
    crypto = make_bars({"BTC": [100, 101, 102, 103, 104, 105]}, calendar="24/7")
    store.commit("us", us._bars, Provenance("test"), calendar="XNYS")
    store.commit("crypto", crypto._bars, Provenance("test"), calendar="24/7", assets=COIN)
    return ["us@1", "crypto"]


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "both.py"
    path.write_text(SCRIPT)
    return path


def fills(result):
    rows = result.transactions
    return list(zip(rows["session"], rows["symbol"], rows["amount"].astype(float), rows["price"], strict=True))


class TestTheRun:
    def test_stocks_and_coins_on_the_clock_of_new_york(self, bundles, store, script):
        result = run_algorithm(bundle=bundles, store=store, script=script, trading_calendar="XNYS", capital_base=1000)
        assert list(result.books["session"]) == ["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07"]
        # BTC has no price yet on the 2nd, when A is ordered; its order of the 3rd meets the weekend's bar on Monday.
        assert fills(result) == [("2020-01-03", "A", 1, 11), ("2020-01-06", "BTC", 1, 103)]
        assert result.perf["btc"].tolist()[1:] == [100, 103, 104]
        # 1000 - 11 - 103 and one of each: 13 and 104.
        assert result.perf["portfolio_value"].tolist() == [1000, 1000, 1001, 1003]

    def test_stocks_and_coins_on_a_clock_that_never_stops(self, bundles, store, script):
        result = run_algorithm(bundle=bundles, store=store, script=script, trading_calendar="24/7", capital_base=1000)
        assert len(result.books) == 6
        assert result.perf["a"].tolist() == [10, 11, 11, 11, 12, 13]
        assert result.perf["btc"].tolist() == [100, 101, 102, 103, 104, 105]
        assert result.perf["portfolio_value"].tolist() == [1000, 1000, 1001, 1002, 1004, 1006]

    def test_an_order_of_the_weekend_waits_for_monday(self, bundles, store):
        states = []

        def handle_data(context, data):
            asset = api.symbol("A")
            states.append((data.can_trade(asset), bool(data.is_stale(asset)), len(api.get_open_orders(asset))))
            if len(states) == 3:
                api.order(asset, 2)

        result = run_algorithm(bundle=bundles, store=store, trading_calendar="24/7", handle_data=handle_data, **FREE)
        assert states == [
            *[(True, False, 0)] * 2,
            (False, True, 0),
            (False, True, 1),
            (True, False, 0),
            (True, False, 0),
        ]
        assert fills(result) == [("2020-01-06", "A", 2, 12)]

    def test_on_minutes_an_order_waits_until_the_venue_opens(self):
        stock = [("A", f"2020-11-{at}", price) for at, price in (("25T20:59", 49), ("27T14:30", 50), ("27T17:59", 55))]
        coin = [("BTC", "2020-11-27T00:00", 9), ("BTC", "2020-11-27T23:59", 9)]
        bars = [
            MemoryBars(frame_of_bars(stock), frequency="1m"),
            MemoryBars(frame_of_bars(coin), frequency="1m", calendar_name="24/7", attributes=COIN),
        ]
        open_minutes = []

        def initialize(context):
            context.ordered = 0

        def handle_data(context, data):
            now = api.get_datetime()
            if data.can_trade(api.symbol("A")):
                open_minutes.append(now)
            if (now.hour, now.minute) in ((0, 1), (18, 1)):
                api.order(api.symbol("A"), 1)

        result = run_algorithm(
            "2020-11-27", "2020-11-27", bundle=bars, trading_calendar="24/7", data_frequency="minute",
            initialize=initialize, handle_data=handle_data, **FREE,
        )  # fmt: skip
        # A half day: 14:30 to 18:00 UTC, shown by the ends of the minutes.
        assert [str(open_minutes[i])[11:16] for i in (0, -1)] == ["14:31", "18:00"]
        assert len(open_minutes) == 210
        rows = result.transactions
        assert [(str(dt)[11:16], price) for dt, price in zip(rows["dt"], rows["price"], strict=True)] == [("14:31", 50)]
        assert list(result.orders["status"]) == ["filled", "open"]

    def test_a_split_of_the_other_venue_leaves_the_holding_worth_what_it_was(self, make_bars):
        """Tokyo sees New York's 7th, the ex-date, on its 8th: shares and price change there together."""
        split = CorporateAction.split("A", date(2020, 1, 7), 2)
        new_york = make_bars({"A": [40, 40, 40, 20, 20]}, actions=[split])
        tokyo = make_bars({"T": [1, 1, 1, 1]}, calendar="XTKS", start=date(2020, 1, 6))
        result = run_algorithm(
            "2020-01-06", bundle=[tokyo, new_york], trading_calendar="XTKS", capital_base=1000, **FREE, **buy_once(10)
        )
        assert list(result.books["session"]) == ["2020-01-06", "2020-01-07", "2020-01-08", "2020-01-09"]
        assert result.perf["portfolio_value"].tolist() == [1000] * 4
        assert [cell[0]["amount"] for cell in result.perf["positions"].iloc[1:]] == [10, 20, 20]

    def test_two_currencies_are_refused_where_both_are_traded(self, make_bars):
        tokyo = make_bars({"T": [1] * 4}, calendar="XTKS", start=date(2020, 1, 6),
                          attributes={"T": AssetAttributes(currency="JPY")})  # fmt: skip
        usd = make_bars({"A": [10] * 4}, start=date(2020, 1, 6))

        def handle_data(context, data):
            api.order(api.symbol("A"), 1)
            api.order(api.symbol("T"), 1)

        with pytest.raises(RequestError, match="T trades in JPY, this run in USD"):
            run_algorithm(bundle=[usd, tokyo], trading_calendar="XNYS", handle_data=handle_data)


class TestWhatIsRefused:
    def test_several_calendars_without_a_word_which(self, bundles, store):
        with pytest.raises(RequestError, match="XNYS, 24/7") as caught:
            run_algorithm(bundle=bundles, store=store)
        assert "trading_calendar='XNYS'" in caught.value.hint

    def test_no_bundle_and_what_is_none(self, store):
        with pytest.raises(RequestError, match="list of bundles is empty"):
            run_algorithm(bundle=[])
        with pytest.raises(RequestError, match="an opened bundle, not int"):
            run_algorithm(bundle=[3])

    def test_a_sweep_on_several(self, bundles, store, script):
        script.write_text(f"X = 0\n{SCRIPT}")
        with pytest.raises(RequestError, match="takes a reference or a bundle opened from a store, not list"):
            sweep(script, {"X": [1]}, bundle=bundles, store=store)

    def test_a_list_of_one_is_that_one(self, bundles, store):
        assert run_algorithm(bundle=["us"], store=store).pin.reference == "us@1"


class TestThePin:
    @pytest.fixture
    def saved(self, bundles, store, script, tmp_path):
        result = run_algorithm(bundle=bundles, store=store, script=script, trading_calendar="24/7", capital_base=1000)
        return result, result.save(tmp_path / "result")

    def test_it_names_every_part_and_the_calendar_of_the_run(self, saved, store):
        pin = saved[0].pin
        assert (pin.reference, pin.bundle, pin.version) == ("us@1+crypto@1", "us+crypto", 0)
        assert [part.content_hash for part in pin.parts] == [store.open(n).content_hash for n in ("us", "crypto")]
        assert pin.content_hash == Pin.joined([store.open("us").pin, store.open("crypto").pin]).content_hash
        assert (pin.calendar, [part.calendar for part in pin.parts]) == ("24/7", ["XNYS", "24/7"])
        assert (pin.start, pin.end) == ("2020-01-02", "2020-01-07")

    def test_a_saved_result_keeps_it(self, saved):
        assert Result.load(saved[1]).pin == saved[0].pin

    def test_a_replay_finds_every_part_by_its_content(self, saved, store):
        store.commit("us", frame_of_bars([("A", "2020-01-08", 99)]), Provenance("test"))
        report = replay(saved[1], store=store)
        assert report.is_same
        assert report.reference == "us@1+crypto@1"
        assert (report.sessions, report.transactions) == (6, 2)
        assert report.circumstances == ()

    def test_a_replay_names_the_part_that_is_gone(self, saved, store):
        store.remove("crypto")
        with pytest.raises(BundleError, match="crypto@1 with content sha256"):
            replay(saved[1], store=store)

    def test_equal_content_under_another_number_is_a_circumstance(self, saved, store, make_bars):
        store.remove("us")
        store.commit("us", frame_of_bars([("A", "2020-01-02", 1)]), Provenance("test"), calendar="XNYS")
        store.commit("us", make_bars({"A": [10, 11, 12, 13]})._bars, Provenance("test"))
        report = replay(saved[1], store=store)
        assert report.is_same
        assert report.circumstances == ("us: the same data is version 2 now, it was 1",)

    def test_the_store_knows_the_result_of_each_bundle(self, saved, store, script):
        where = str(saved[1])
        assert store.saved_results("us") == [(where, 1)]
        assert store.saved_results("crypto") == [(where, 1)]
        for name, symbol in (("us", "A"), ("crypto", "BTC")):
            store.commit(name, frame_of_bars([(symbol, "2020-01-08", 99)]), Provenance("test"))
        report = store.gc(keep_last=1, dry_run=True)
        assert report.orphaned_results == {where: "crypto@1, us@1"}
        # Saved again from one bundle, it depends on that one only.
        script.write_text(SCRIPT.replace('symbols("A", "BTC")', 'symbols("A", "A")'))
        run_algorithm(bundle="us", store=store, script=script).save(where)
        assert (store.saved_results("us"), store.saved_results("crypto")) == ([(where, 2)], [])

    def test_quality_tells_which_parts_were_never_checked(self, store, make_bars, script):
        checked = {
            "rows": 4,
            "first": "2020-01-02",
            "last": "2020-01-07",
            "missing": 0,
            "quarantined": 0,
            "outliers": 1,
        }
        spike = {"symbol": "A", "timestamp": "2020-01-06", "kind": "spike", "change": 9.0}
        report = QualityReport(row_count=4, symbols={"A": checked}, outlier_count=1, outliers=(spike,))
        store.commit("us", make_bars({"A": [10, 11, 99, 13]})._bars, Provenance("test"), quality=report)
        crypto = make_bars({"BTC": [100] * 6}, calendar="24/7")
        store.commit("crypto", crypto._bars, Provenance("test"), calendar="24/7")
        result = run_algorithm(bundle=["crypto", "us"], store=store, script=script, trading_calendar="24/7")
        assert result.quality.by_rule == {"spike": 1}
        assert result.quality.unchecked == ("BTC",)
        assert result.data.currency == "USD"
