"""Orders in a run from end to end: sizes, fills, costs, the book they leave, and what cannot be ordered."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal

import pandas as pd
import pytest

from rustybt import api
from rustybt.algorithm import run_algorithm
from rustybt.errors import RequestError
from rustybt.market.assets import AssetAttributes
from tests.trading.strategies import FREE, buy_once

COIN = AssetAttributes(asset_type="crypto")


def test_an_order_fills_at_the_next_close_with_ziplines_costs(make_bars):
    result = run_algorithm(bundle=make_bars({"A": [100, 102, 104]}), capital_base=10_000, **buy_once(10))
    perf = result.perf
    # 102 and five basis points, a tenth of a cent a share.
    assert perf["transactions"].iloc[0] == []
    fill = perf["transactions"].iloc[1][0]
    assert (fill["amount"], fill["price"], fill["commission"]) == (10, 102.051, None)
    assert fill["dt"] == pd.Timestamp("2020-01-03 21:00", tz="UTC")
    assert perf["ending_cash"].iloc[1] == 10_000 - 1020.51 - 0.01
    assert perf["portfolio_value"].iloc[2] == pytest.approx(10_000 - 1020.52 + 1040, abs=1e-12)
    assert list(perf.index) == list(perf["period_close"])
    assert perf["period_open"].iloc[0] == pd.Timestamp("2020-01-02 14:31", tz="UTC")
    assert perf["positions"].iloc[2][0]["last_sale_price"] == 104.0


def test_the_book_adds_up_to_the_last_digit_in_the_result(make_bars):
    closes = [round(10 + 3 * math.sin(i / 3), 4) for i in range(60)]

    def handle_data(context, data):
        api.order_target_percent(api.symbol("A"), 0.5 + 0.4 * math.cos(data.current(api.symbol("A"), "price")))

    result = run_algorithm(bundle=make_bars({"A": closes}), capital_base=123_456.789, handle_data=handle_data)
    books = result.books
    assert len(result.transactions) > 50
    assert all(isinstance(value, Decimal) for value in books["cash"])
    for row, perf in zip(books.itertuples(), result.perf.itertuples(), strict=True):
        assert row.cash + row.positions_value == row.portfolio_value
        assert float(row.portfolio_value) == perf.portfolio_value
        held = sum(Decimal(str(p["last_sale_price"])) * p["amount"] for p in perf.positions)
        assert held == row.positions_value
    spent = sum(
        Decimal(str(p)) * a for p, a in zip(result.transactions["price"], result.transactions["amount"], strict=True)
    )
    commissions = sum(Decimal(repr(c)).quantize(Decimal("1e-9")) for c in result.orders["commission"])
    assert Decimal("123456.789") - spent - commissions == books["cash"].iloc[-1]


def test_every_way_of_sizing_an_order(make_bars):
    bars = make_bars({s: [50, 50, 50] for s in "ABCDEFG"})
    ids = {}

    def handle_data(context, data):
        if ids:
            return
        a, b, c, d, e, f, g = api.symbols(*"ABCDEFG")
        ids["order"] = api.order(a, 7.5)
        ids["value"] = api.order_value(b, 1010)
        ids["percent"] = api.order_percent(c, -0.1)
        ids["target"] = api.order_target(d, 30)
        ids["target_value"] = api.order_target_value(e, 500)
        ids["target_percent"] = api.order_target_percent(f, 0.2)
        ids["batch"] = api.batch_market_order(pd.Series({g: 3, a: 0}))

    result = run_algorithm(bundle=bars, capital_base=10_000, handle_data=handle_data, **FREE)
    assert dict(zip(result.transactions["symbol"], result.transactions["amount"], strict=True)) == {
        "A": 7,
        "B": 20,
        "C": -20,
        "D": 30,
        "E": 10,
        "F": 40,
        "G": 3,
    }
    assert len(ids["batch"]) == 1
    assert all(ids.values())


def test_targets_count_what_is_held(make_bars):
    def handle_data(context, data):
        asset = api.symbol("A")
        t = data.current_session.day
        if t == 2:
            api.order(asset, 10)
        if t == 3:
            api.order_target(asset, 4)
        if t == 6:
            assert api.order_target(asset, 4) is None
            api.order_target_value(asset, -100)

    result = run_algorithm(bundle=make_bars({"A": [20] * 6}), handle_data=handle_data, **FREE)
    assert list(result.transactions["amount"]) == [10, -6, -9]


def test_orders_can_be_looked_at_and_cancelled(make_bars):
    seen = {}

    def handle_data(context, data):
        asset = api.symbol("A")
        if "id" not in seen:
            seen["id"] = api.order(asset, 10, limit_price=1)
            seen["other"] = api.order(asset, 5, stop_price=1000)
            seen["open"] = api.get_open_orders()
            assert [o.id for o in api.get_open_orders(asset)] == [seen["id"], seen["other"]]
            return
        api.cancel_order(seen["id"])
        api.cancel_order(api.get_order(seen["other"]))
        assert api.get_open_orders(asset) == []
        assert api.get_order("nothing") is None

    result = run_algorithm(bundle=make_bars({"A": [20] * 3}), handle_data=handle_data)
    assert next(iter(seen["open"].values()))[0].amount == 10
    assert list(result.orders["status"]) == ["cancelled", "cancelled"]
    assert len(result.transactions) == 0


def test_fractions_of_a_coin_are_traded_every_day_of_the_week(make_bars):
    coin = {"BTC/USDT": AssetAttributes(asset_type="crypto", currency="USDT")}
    bars = make_bars({"BTC/USDT": [100.5] * 6}, volume=3.0, calendar="24/7", attributes=coin)
    strategy = buy_once(0.45, "BTC/USDT")
    result = run_algorithm(
        bundle=bars,
        capital_base=1_000,
        **strategy,
        commission=api.commission.NoCommission(),
        slippage=api.slippage.FixedBasisPointsSlippage(0, 0.1),
    )
    assert list(result.transactions["amount"]) == [0.3, 0.15]
    assert list(result.books["cash"])[-1] == Decimal("954.775000000")
    # The session of January 2 closes at midnight, and is still that of January 2.
    assert result.perf.index[0] == pd.Timestamp("2020-01-03", tz="UTC")
    assert next(iter(result.books["session"])) == result.summary()["start"] == "2020-01-02"
    assert list(result.transactions["session"]) == ["2020-01-03", "2020-01-04"]


def test_amounts_may_be_decimals_and_are_exact_to_the_lot(make_bars):
    bars = make_bars({s: [0.1] * 3 for s in "ABCDEF"}, attributes=dict.fromkeys("ABCDEF", COIN))

    def handle_data(context, data):
        a, b, c, d, e, f = api.symbols(*"ABCDEF")
        if data.current_session.day == 2:
            api.order(a, Decimal("0.123456789"))
            # In floats 0.3 / 0.1 is less than 3.
            api.order_value(b, Decimal("0.3"))
            api.order_percent(c, Decimal("0.00003"))
            api.order_target(d, Decimal("-0.1"))
            api.order(e, Decimal("0.1"))
            api.order_target_value(f, Decimal("0.3"))
        if data.current_session.day == 3:
            api.order_target(a, Decimal("0.3"))
            api.order_target(d, Decimal("0.2"))
            api.order_target(e, 0.3)
            api.order_target_percent(f, Decimal("0.00001"))

    result = run_algorithm(bundle=bars, capital_base=10_000, handle_data=handle_data, **FREE)
    fills = result.transactions
    assert {name: list(own) for name, own in fills.groupby("symbol")["amount"]} == {
        "A": [0.12345678, 0.17654322],
        "B": [3],
        "C": [3],
        "D": [-0.1, 0.3],
        "E": [0.1, 0.2],
        "F": [3, -2],
    }


def test_decimal_amounts_of_shares_are_whole(make_bars):
    def handle_data(context, data):
        asset = api.symbol("A")
        if data.current_session.day == 2:
            api.order(asset, Decimal("7.5"))
            with pytest.raises(RequestError, match="amount of A to order is NaN"):
                api.order(asset, Decimal("NaN"))
        if data.current_session.day == 3:
            api.order_target(asset, Decimal("4.99995"))

    result = run_algorithm(bundle=make_bars({"A": [20] * 3}), handle_data=handle_data, **FREE)
    assert list(result.transactions["amount"]) == [7, -2]
    assert all(type(amount) is int for amount in result.transactions["amount"].tolist())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, b: api.order(a, float("nan")), "amount of A to order is nan"),
        (lambda a, b: api.order(a, float("inf")), "amount of A to order is inf"),
        (lambda a, b: api.order(a, "ten"), "must be a number, not 'ten'"),
        (lambda a, b: api.order_target_percent(a, float("nan")), "the fraction to order is nan"),
        (lambda a, b: api.order_value(a, None), "must be a number, not None"),
        (lambda a, b: api.order("A", 1), "takes an asset, not str 'A'"),
        (lambda a, b: api.order_value(b, 100), "first traded on 2020-01-06"),
        (lambda a, b: api.order(a, 1, limit_price=-1), "finite and not negative"),
    ],
)
def test_impossible_orders_name_asset_session_and_line(make_bars, call, message):
    def handle_data(context, data):
        call(*api.symbols("A", "B"))

    bars = make_bars({"A": [10, 11, 12], "B": [None, None, 5]})
    with pytest.raises(RequestError, match=message) as caught:
        run_algorithm(bundle=bars, handle_data=handle_data)
    assert "in bar 1, the session 2020-01-02" in str(caught.value)
    assert "test_run_orders.py, line" in str(caught.value)


def test_an_asset_whose_price_is_0_is_not_bought_by_value(make_bars):
    def handle_data(context, data):
        assert api.order_value(api.symbol("A"), 100) is None

    run_algorithm(bundle=make_bars({"A": [0, 0]}, attributes={"A": AssetAttributes()}), handle_data=handle_data)


def test_an_asset_without_any_price_is_not_bought_by_value(make_bars):
    bars = make_bars({"A": [10, 11], "B": [1, 1]}, start=date(2020, 1, 3))
    asset = bars.assets.lookup_symbol("A").with_sessions(date(2019, 1, 1), date(2021, 1, 1))
    bars.assets._by_sid[0] = bars.assets._by_symbol["A"] = asset
    found = []

    def handle_data(context, data):
        if data.current_session.day == 2:
            with pytest.raises(RequestError, match="no last price"):
                api.order_value(asset, 100)
            found.append(1)

    run_algorithm(bundle=bars, start="2020-01-02", end="2020-01-03", handle_data=handle_data)
    assert found == [1]


def test_one_run_trades_one_currency(make_bars):
    bars = make_bars({"A": [10, 11], "B": [1, 1]}, attributes={"B": AssetAttributes(currency="EUR")})

    def handle_data(context, data):
        api.order(api.symbol("A"), 1)
        api.order(api.symbol("B"), 1)

    with pytest.raises(RequestError, match="B trades in EUR, this run in USD"):
        run_algorithm(bundle=bars, handle_data=handle_data)
