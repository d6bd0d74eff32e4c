"""Orders, their styles, and how they fill; by hand."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from types import SimpleNamespace

import pytest

from rustybt.errors import RequestError
from rustybt.market.assets import Asset, AssetAttributes
from rustybt.trading import commission, slippage
from rustybt.trading.book.transaction import Transaction
from rustybt.trading.orders.blotter import MAX_AMOUNT, Blotter
from rustybt.trading.orders.cancel_policy import EODCancel
from rustybt.trading.orders.execution import LimitOrder, MarketOrder, StopLimitOrder, StopOrder, round_to_tick, style_of
from rustybt.trading.orders.order import Order, OrderStatus

A = Asset(1, "A", last_session=date(2020, 12, 31))
COIN = Asset(2, "BTC", attributes=AssetAttributes(asset_type="crypto"))


class Bar:
    """Stands in for `data`: one bar."""

    def __init__(self, close, volume, dt=1):
        self._values = {"close": close, "volume": volume}
        self.current_dt = dt

    def current(self, _asset, field):
        return self._values[field]


def placed(amount, asset=A, **prices):
    return Order("1", 0, asset, amount, **prices)


def fills(model, bar, *orders):
    found = []
    for order, transaction in model.simulate(bar, orders[0].asset, orders):
        order.filled += transaction.amount
        found.append((transaction.amount, transaction.price))
    return found


# Styles


@pytest.mark.parametrize(
    ("price", "down", "expected"),
    [
        (10.0101, True, 10.01),
        (10.0194, True, 10.01),
        (10.0196, True, 10.02),
        (10.0104, False, 10.01),
        (10.0106, False, 10.02),
        (0.0001, True, 0.0),
    ],
)
def test_limits_are_rounded_in_the_orders_favour(price, down, expected):
    assert round_to_tick(price, 0.01, prefer_down=down) == pytest.approx(expected, abs=1e-12)


def test_a_stop_on_a_tick_is_reached_by_a_bar_on_it():
    order = placed(1, stop=StopOrder(28.49).get_stop_price(True))
    order.check_triggers(28.49, 1)
    assert order.triggered


def test_an_asset_whose_order_is_cancelled_and_placed_anew_keeps_its_turn():
    blotter = Blotter()
    first = blotter.place(A, 1, MarketOrder(), 0)
    blotter.place(COIN, 1, MarketOrder(), 0)
    blotter.cancel(first, 0)
    blotter.place(A, 2, MarketOrder(), 0)
    transactions, _ = blotter.fill(Bar(10.0, 1000))
    assert [t.asset for t in transactions] == [A, COIN]


def test_a_buy_rounds_its_limit_down_and_its_stop_up():
    style = StopLimitOrder(10.013, 9.013)
    assert style.get_limit_price(True) == pytest.approx(10.01)
    assert style.get_limit_price(False) == pytest.approx(10.02)
    assert style.get_stop_price(True) == pytest.approx(9.02)
    assert style.get_stop_price(False) == pytest.approx(9.01)
    assert MarketOrder().get_limit_price(True) is None
    assert MarketOrder().get_stop_price(True) is None
    assert LimitOrder(1).get_stop_price(True) is None
    assert StopOrder(1).get_limit_price(True) is None


def test_a_tick_of_the_asset_is_used_where_it_is_known():
    tick = Asset(3, "T", attributes=AssetAttributes.from_json({"tick_size": "0.25"}))
    assert LimitOrder(10.2, asset=tick).get_limit_price(True) == 10.0


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -1, "ten", None])
def test_a_price_must_be_a_finite_number(price):
    with pytest.raises(RequestError, match="limit price"):
        LimitOrder(price)


def test_prices_are_short_for_styles():
    assert isinstance(style_of(A, None, None, None), MarketOrder)
    assert isinstance(style_of(A, 1, None, None), LimitOrder)
    assert isinstance(style_of(A, None, 1, None), StopOrder)
    assert isinstance(style_of(A, 1, 1, None), StopLimitOrder)
    own = MarketOrder()
    assert style_of(A, None, None, own) is own
    with pytest.raises(RequestError, match="not both"):
        style_of(A, 1, None, own)


# Triggers


@pytest.mark.parametrize(
    ("amount", "stop", "limit", "price", "live"),
    [
        (1, None, None, 10, True),
        (1, None, 10, 10, True),
        (1, None, 10, 11, False),
        (-1, None, 10, 10, True),
        (-1, None, 10, 9, False),
        (1, 10, None, 10, True),
        (1, 10, None, 9, False),
        (-1, 10, None, 10, True),
        (-1, 10, None, 11, False),
        (1, 10, 12, 11, True),
        (1, 10, 12, 13, False),
        (1, 10, 12, 9, False),
        (-1, 10, 8, 9, True),
        (-1, 10, 8, 7, False),
    ],
)
def test_an_order_is_live_when_its_prices_are_reached(amount, stop, limit, price, live):
    order = placed(amount, stop=stop, limit=limit)
    order.check_triggers(price, 5)
    assert order.triggered is live


def test_a_stop_limit_becomes_a_limit_once_its_stop_is_reached():
    order = placed(1, stop=10, limit=12)
    order.check_triggers(13, 5)
    assert (order.stop, order.limit, order.triggered, order.dt) == (None, 12, False, 0)
    order.check_triggers(12, 6)
    assert order.triggered
    assert order.dt == 6


def test_a_split_restates_open_and_filled_parts_each_for_itself():
    order = placed(105, stop=9.99, limit=10.01)
    order.filled = 55
    order.split(Fraction(1, 10))
    assert (order.amount, order.filled, order.open_amount) == (10, 5, 5)
    assert (order.stop, order.limit) == (99.9, 100.1)


def test_half_a_cent_of_a_split_limit_falls_to_the_side_of_ziplines_floats():
    # 1195 * 0.01 is 11.950000000000001, and half of it above 5.975; Zipline, in a run over such a split, has 5.98, too.
    order = placed(10, limit=11.95)
    order.split(Fraction(2))
    assert order.limit == 5.98
    order = placed(10, limit=14.62)
    order.split(Fraction(2))
    order.split(Fraction(2))
    # Rounded once, it is 7.31, not 731 times 0.01.
    assert order.limit == 3.65
    order = placed(10, stop=12.03)
    order.split(Fraction(3, 2))
    assert order.stop == 8.02


def test_status_follows_what_is_filled():
    order = placed(10)
    assert order.status is OrderStatus.OPEN
    assert order.open
    order._status = OrderStatus.HELD
    assert order.open
    order.filled = 5
    assert order.status is OrderStatus.OPEN
    order.filled = 10
    assert order.status is OrderStatus.FILLED
    assert not order.open
    assert order.sid is A
    assert "amount" in repr(order)


# Slippage


def test_the_default_fills_a_tenth_of_the_volume_five_basis_points_away():
    model = slippage.FixedBasisPointsSlippage()
    assert fills(model, Bar(100.0, 1005), placed(500)) == [(100, 100.05)]
    assert fills(model, Bar(100.0, 1005), placed(-30)) == [(-30, 99.95)]


def test_orders_of_one_bar_share_its_volume():
    model = slippage.FixedBasisPointsSlippage(0, 0.1)
    assert fills(model, Bar(100.0, 1000), placed(60), placed(60), placed(60)) == [(60, 100.0), (40, 100.0)]


def test_nothing_fills_without_volume_or_price_or_before_the_trigger():
    model = slippage.FixedSlippage(0.5)
    assert fills(model, Bar(100.0, 0), placed(5)) == []
    assert fills(model, Bar(float("nan"), 10), placed(5)) == []
    assert fills(model, Bar(100.0, 10), placed(5, limit=99)) == []
    done = placed(5)
    done.filled = 5
    assert fills(model, Bar(100.0, 10), done, placed(-5)) == [(-5, 99.75)]


def test_fractions_of_a_coin_fill():
    model = slippage.FixedBasisPointsSlippage(0, 0.5)
    assert fills(model, Bar(100.0, 0.5), placed(0.4, COIN)) == [(0.25, 100.0)]
    assert fills(slippage.VolumeShareSlippage(0.5, 0.0), Bar(100.0, 0.5), placed(0.4, COIN)) == [(0.25, 100.0)]
    assert fills(slippage.VolumeShareSlippage(0.5, 0.0), Bar(100.0, 1e-9), placed(0.4, COIN)) == []


def test_volume_share_moves_the_price_by_the_square_of_the_share():
    model = slippage.VolumeShareSlippage(volume_limit=0.1, price_impact=0.5)
    # 100 of 1000: 0.1 ** 2 * 0.5 = 0.005
    assert fills(model, Bar(100.0, 1000), placed(100)) == [(100, 100.5)]
    assert fills(model, Bar(100.0, 1000), placed(-100)) == [(-100, 99.5)]
    assert fills(model, Bar(100.0, 5), placed(100)) == []


def test_volume_share_never_fills_worse_than_the_limit():
    model = slippage.VolumeShareSlippage(volume_limit=0.1, price_impact=0.5)
    assert fills(model, Bar(100.0, 1000), placed(100, limit=100.2)) == []
    assert fills(model, Bar(100.0, 1000), placed(-100, limit=99.8)) == []
    assert fills(model, Bar(100.0, 1000), placed(10, limit=100.2)) == [(10, 100.005)]


def test_no_slippage_fills_all_at_the_close():
    assert fills(slippage.NoSlippage(), Bar(100.0, 1), placed(1000)) == [(1000, 100.0)]


def test_a_model_that_fills_less_than_a_share_is_refused():
    class Half(slippage.SlippageModel):
        def process_order(self, data, order):
            return 10.0, 0.5

    with pytest.raises(RequestError, match=r"Half filled 0.5 of A"):
        fills(Half(), Bar(10.0, 100), placed(1))


@pytest.mark.parametrize("arguments", [{"basis_points": -1}, {"volume_limit": 0}, {"basis_points": float("nan")}])
def test_impossible_models_are_refused(arguments):
    with pytest.raises(RequestError, match="must"):
        slippage.FixedBasisPointsSlippage(**arguments)


def test_models_say_what_they_are():
    assert repr(slippage.FixedSlippage(0.1)) == "FixedSlippage(spread=0.1)"
    assert repr(commission.PerTrade(2)) == "PerTrade(cost=2.0)"


# Commission


def traded(amount, price=10.0):
    return Transaction(A, amount, 1, int(price * 10**9), "1")


def order_with(filled=0, paid=0.0):
    return SimpleNamespace(filled=filled, commission=paid)


def test_commission_by_the_share_has_a_minimum_for_the_order():
    model = commission.PerShare(cost=0.01, min_trade_cost=1.0)
    assert model.calculate(order_with(), traded(50)) == 1.0
    assert model.calculate(order_with(50, 1.0), traded(40)) == 0.0
    assert model.calculate(order_with(90, 1.0), traded(-60)) == pytest.approx(0.5)
    assert model.calculate(order_with(), traded(300)) == 3.0
    assert commission.PerShare(min_trade_cost=None).calculate(order_with(), traded(1000)) == 1.0


def test_commission_by_the_order_and_by_value():
    assert commission.PerTrade(5).calculate(order_with(), traded(1)) == 5.0
    assert commission.PerTrade(5).calculate(order_with(1, 5.0), traded(1)) == 0.0
    assert commission.PerDollar(0.002).calculate(order_with(), traded(-100)) == pytest.approx(2.0)
    assert commission.NoCommission().calculate(order_with(), traded(9)) == 0.0


# Blotter


def test_an_order_fills_over_several_bars_and_then_leaves_the_book():
    blotter = Blotter()
    order_id = blotter.place(A, 150, MarketOrder(), 0)
    assert order_id == f"{1:032x}"
    assert blotter.place(A, 0, MarketOrder(), 0) is None
    transactions, costs = blotter.fill(Bar(10.0, 1000))
    assert [(t.amount, t.price) for t in transactions] == [(100, 10.005)]
    assert [(o.id, cost) for o, cost in costs] == [(order_id, 100_000_000)]
    assert blotter.open_orders == {A: [blotter.orders[order_id]]}
    blotter.fill(Bar(10.0, 1000, dt=2))
    assert blotter.open_orders == {}
    assert blotter.orders[order_id].status is OrderStatus.FILLED
    assert blotter.orders[order_id].commission == pytest.approx(0.15)


def test_too_large_an_order_is_refused():
    with pytest.raises(RequestError, match="at most"):
        Blotter().place(A, -MAX_AMOUNT - 1, MarketOrder(), 0)


def test_cancelled_orders_stay_in_the_record_with_their_reason():
    blotter = Blotter()
    first, second = (blotter.place(A, n, MarketOrder(), 0) for n in (1, 2))
    blotter.clear_touched()
    blotter.cancel(first, 3)
    assert list(blotter.touched) == [first]
    assert blotter.orders[first].status is OrderStatus.CANCELLED
    blotter.cancel(first, 4)
    blotter.cancel("unknown", 4)
    assert blotter.orders[first].dt == 3
    assert blotter.open_orders == {A: [blotter.orders[second]]}
    blotter.cancel_all(A, 5, "delisted")
    assert blotter.orders[second].reason == "delisted"
    assert blotter.open_orders == {}


def test_end_of_day_cancels_what_had_a_bar_to_fill_in():
    blotter = Blotter()
    blotter.cancel_policy = EODCancel()
    old = blotter.place(A, 1, MarketOrder(), 1)
    new = blotter.place(A, 1, MarketOrder(), 2)
    with pytest.warns(UserWarning, match="ended with the session"):
        blotter.end_session(2, spares_new=True)
    assert [o.id for o in blotter.open_orders[A]] == [new]
    assert blotter.orders[old].reason == "end of session"
    blotter.cancel_policy = EODCancel(warn_on_cancel=False)
    blotter.end_session(3, spares_new=True)
    assert not any(blotter.open_orders.values())


def test_an_order_that_a_reverse_split_leaves_with_nothing_ends():
    blotter = Blotter()
    blotter.place(A, 5, MarketOrder(), 0)
    blotter.place(A, 25, MarketOrder(), 0)
    blotter.split(A, Fraction(1, 10))
    assert [o.amount for o in blotter.open_orders[A]] == [2]
    blotter.split(A, Fraction(1, 10))
    assert blotter.open_orders == {}


def test_a_transaction_says_what_it_is():
    transaction = traded(5)
    assert transaction.sid is A
    assert transaction.to_dict() == {
        "amount": 5,
        "dt": 1,
        "price": 10.0,
        "order_id": "1",
        "sid": A,
        "commission": None,
    }
    assert repr(transaction) == "Transaction(Equity(1 [A]), 5 at 10.0 on 1)"
