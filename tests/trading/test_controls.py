"""Controls: each passes at its limit and fails just beyond it, for buys and sales, for one asset or for all."""

from __future__ import annotations

import logging
from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest

from rustybt import api
from rustybt.algorithm import run_algorithm
from rustybt.errors import (
    RequestError,
    StrategyError,
    TradingControlError,
    TradingControlViolation,
)
from rustybt.market.assets import AssetAttributes
from tests.trading.strategies import FREE

COIN = AssetAttributes(asset_type="crypto", currency="USD")


@pytest.fixture
def try_orders(make_bars):
    """Return a function that sets a rule and tries the calls of each session; it returns fills and refusals.

    A costs 10 in each session and B 20, unless `bars` are given; orders fill in the next session, without costs.
    """

    def build(rule, *sessions, bars=None):
        refused = []
        pending = list(sessions)

        def initialize(context):
            context.assets = api.symbols("A", "B")
            rule(*context.assets)

        def handle_data(context, data):
            for call in pending.pop(0) if pending else ():
                try:
                    call(*context.assets)
                except TradingControlError as error:
                    refused.append(error.message)

        if bars is None:
            length = len(sessions) + 1
            bars = make_bars({"A": [10] * length, "B": [20] * length})
        result = run_algorithm(bundle=bars, initialize=initialize, handle_data=handle_data, **FREE)
        fills = list(zip(result.transactions["symbol"], result.transactions["amount"], strict=True))
        return fills, refused

    return build


def buy(amount):
    return lambda a, b: api.order(a, amount)


def buy_b(amount):
    return lambda a, b: api.order(b, amount)


# The size of an order -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_an_order_of_max_shares_is_placed_and_one_of_a_share_more_is_not(try_orders, sign):
    fills, refused = try_orders(
        lambda a, b: api.set_max_order_size(max_shares=100), [buy(sign * 100), buy(sign * 101), buy_b(sign * 101)]
    )
    assert fills == [("A", sign * 100)]
    assert refused == [
        f"order of {sign * 101} {name} on 2020-01-02 breaks MaxOrderSize(max_shares=100): the order is 101, more than 100"
        for name in "AB"
    ]


@pytest.mark.parametrize("sign", [1, -1])
def test_an_order_worth_max_notional_is_placed_and_one_worth_more_is_not(try_orders, sign):
    # 50 of B at 20 are 1,000.
    fills, refused = try_orders(
        lambda a, b: api.set_max_order_size(max_notional=1000), [buy_b(sign * 50), buy_b(sign * 51), buy(sign * 100)]
    )
    assert fills == [("B", sign * 50), ("A", sign * 100)]
    assert len(refused) == 1
    assert refused[0].endswith("MaxOrderSize(max_notional=1000): the order is worth 1020, more than 1000")


def test_a_size_limit_for_one_asset_leaves_the_others_free(try_orders):
    fills, refused = try_orders(
        lambda a, b: api.set_max_order_size(b, max_shares=5), [buy(1000), buy_b(5), buy_b(6), buy_b(-6)]
    )
    assert fills == [("A", 1000), ("B", 5)]
    assert len(refused) == 2
    assert "MaxOrderSize(asset=B, max_shares=5)" in refused[0]


def test_several_limits_hold_together(try_orders):
    def rule(a, b):
        api.set_max_order_size(max_shares=100)
        api.set_max_order_size(b, max_shares=50, max_notional=500)

    fills, refused = try_orders(rule, [buy(100), buy_b(25), buy_b(26), buy_b(51), buy_b(101)])
    assert fills == [("A", 100), ("B", 25)]
    assert [message.split(" breaks ")[1] for message in refused] == [
        "MaxOrderSize(asset=B, max_shares=50, max_notional=500): the order is worth 520, more than 500",
        "MaxOrderSize(asset=B, max_shares=50, max_notional=500): the order is 51, more than 50",
        "MaxOrderSize(max_shares=100): the order is 101, more than 100",
    ]


def test_a_limit_of_0_allows_no_order(try_orders):
    fills, refused = try_orders(lambda a, b: api.set_max_order_size(max_shares=0), [buy(1), buy(0)])
    assert fills == []
    assert len(refused) == 1


def test_the_amount_is_judged_as_it_is_placed(try_orders):
    # 100.9 shares are cut to 100.
    fills, refused = try_orders(lambda a, b: api.set_max_order_size(max_shares=100), [buy(100.9), buy(100.99995)])
    assert fills == [("A", 100)]
    assert "order of 101 A" in refused[0]


def test_a_product_that_comes_to_the_limit_exactly_keeps_it(try_orders, make_bars):
    # 3 * 1.1 is 3.3000000000000003 in floats.
    bars = make_bars({"A": [1.1, 1.1], "B": [1, 1]})
    fills, refused = try_orders(lambda a, b: api.set_max_order_size(max_notional=3.3), [buy(3), buy(4)], bars=bars)
    assert fills == [("A", 3)]
    assert refused[0].endswith("the order is worth 4.4, more than 3.3")


def test_an_order_without_a_known_price_has_no_value_that_could_be_too_much(try_orders, make_bars):
    bars = make_bars({"A": [None, 10, 10], "B": [20, 20, 20]})
    fills, refused = try_orders(
        lambda a, b: api.set_max_order_size(max_shares=100, max_notional=1), [buy(100), buy(101)], bars=bars
    )
    assert fills == [("A", 100)]
    assert len(refused) == 1
    assert "the order is 101, more than 100" in refused[0]


@pytest.mark.parametrize(
    ("call", "placed"),
    [
        (lambda a, b: api.order_value(a, 1000), True),
        (lambda a, b: api.order_value(a, 1010), False),
        (lambda a, b: api.order_percent(a, 0.001), True),
        (lambda a, b: api.order_percent(a, -0.00102), False),
        (lambda a, b: api.order_target(a, -100), True),
        (lambda a, b: api.order_target(a, 101), False),
        (lambda a, b: api.order_target_value(a, 1000), True),
        (lambda a, b: api.order_target_value(a, -1010), False),
        (lambda a, b: api.order_target_percent(a, 0.001), True),
        (lambda a, b: api.order_target_percent(a, 0.00102), False),
        (lambda a, b: api.batch_market_order(pd.Series({a: -100, b: 7})), True),
        (lambda a, b: api.batch_market_order(pd.Series({a: 101, b: 7})), False),
        (lambda a, b: api.order(a, 100, limit_price=11), True),
        (lambda a, b: api.order(a, 101, stop_price=9), False),
    ],
)
def test_every_way_to_order_keeps_the_controls(try_orders, call, placed):
    # A million of capital: a thousandth of it is 100 A.
    fills, refused = try_orders(lambda a, b: api.set_max_order_size(a, max_shares=100), [call])
    assert [abs(amount) for name, amount in fills if name == "A"] == ([100] if placed else [])
    assert len(refused) == (not placed)


# What is held -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_a_holding_may_reach_max_shares_and_not_exceed_it(try_orders, sign):
    fills, refused = try_orders(
        lambda a, b: api.set_max_position_size(max_shares=100), [buy(sign * 60)], [buy(sign * 41), buy(sign * 40)]
    )
    assert fills == [("A", sign * 60), ("A", sign * 40)]
    assert len(refused) == 1
    assert refused[0].startswith(f"order of {sign * 41} A on 2020-01-03 breaks MaxPositionSize(max_shares=100)")
    assert refused[0].endswith("the holding after it is 101, more than 100")


@pytest.mark.parametrize("sign", [1, -1])
def test_a_holding_may_be_worth_max_notional_at_the_last_price_and_not_more(try_orders, make_bars, sign):
    # 60 held; at 12.5 a holding of 80 is worth 1,000.
    bars = make_bars({"A": [10, 12.5, 12.5], "B": [20] * 3})
    fills, refused = try_orders(
        lambda a, b: api.set_max_position_size(max_notional=1000),
        [buy(sign * 60)],
        [buy(sign * 21), buy(sign * 20)],
        bars=bars,
    )
    assert fills == [("A", sign * 60), ("A", sign * 20)]
    assert len(refused) == 1
    assert refused[0].endswith("the holding after it is worth 1012.5, more than 1000")


def test_a_sale_may_turn_a_holding_round_up_to_the_limit(try_orders):
    fills, refused = try_orders(
        lambda a, b: api.set_max_position_size(a, max_shares=100), [buy(100)], [buy(-201), buy(-200)], [buy_b(500)]
    )
    assert fills == [("A", 100), ("A", -200), ("B", 500)]
    assert len(refused) == 1


def test_open_orders_do_not_count_as_held(try_orders):
    fills, refused = try_orders(lambda a, b: api.set_max_position_size(max_shares=100), [buy(100), buy(100)])
    assert fills == [("A", 100), ("A", 100)]
    assert refused == []


def test_a_holding_that_grew_beyond_the_limit_is_not_sold_in_parts_that_leave_it_so(try_orders, make_bars):
    # 100 A grow from 1,000 to 2,000; 60 of them are still worth 1,200.
    bars = make_bars({"A": [10, 20, 20], "B": [20] * 3})
    fills, refused = try_orders(
        lambda a, b: api.set_max_position_size(max_notional=1000), [buy(100)], [buy(-40), buy(-50)], bars=bars
    )
    assert fills == [("A", 100), ("A", -50)]
    assert len(refused) == 1


def test_what_is_held_must_not_be_sold_twice_over_by_a_long_only_strategy(try_orders):
    fills, refused = try_orders(
        lambda a, b: api.set_long_only(), [buy(-1), buy(10)], [buy(-11), buy(-10), buy_b(-1), buy(0)], [buy(0), buy(-1)]
    )
    assert fills == [("A", 10), ("A", -10)]
    assert [message.split("LongOnly(): ")[1] for message in refused] == [
        "0 are held, and -1 would be",
        "10 are held, and -1 would be",
        "0 are held, and -1 would be",
        "0 are held, and -1 would be",
    ]


# The number of orders ---------------------------------------------------------------------------------------------------


def test_max_count_orders_are_placed_in_each_session(try_orders):
    three = [buy(1), buy_b(-2), buy(3)]
    fills, refused = try_orders(lambda a, b: api.set_max_order_count(2), three, three)
    assert fills == [("A", 1), ("B", -2)] * 2
    assert [message.split(": ", 1) for message in refused] == [
        [f"order of 3 A on {day} breaks MaxOrderCount(max_count=2)", "orders placed in this session: 2"]
        for day in ("2020-01-02", "2020-01-03")
    ]


def test_an_order_of_nothing_counts_as_in_zipline(try_orders):
    fills, refused = try_orders(lambda a, b: api.set_max_order_count(1), [buy(0), buy(1)])
    assert fills == []
    assert len(refused) == 1


def test_a_count_of_0_allows_no_order(try_orders):
    assert len(try_orders(lambda a, b: api.set_max_order_count(0), [buy(1)])[1]) == 1


def test_a_batch_counts_each_of_its_orders(try_orders):
    def batch(a, b):
        api.batch_market_order(pd.Series({a: 1, b: 2}))

    fills, refused = try_orders(lambda a, b: api.set_max_order_count(1), [batch])
    assert fills == [("A", 1)]
    assert "order of 2 B" in refused[0]


# What happens to an order that breaks a rule -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "control"),
    [
        (lambda: api.set_max_order_size(max_shares=9, on_error="log"), "MaxOrderSize"),
        (lambda: api.set_max_order_size(max_notional=90, on_error="log"), "MaxOrderSize"),
        (lambda: api.set_max_position_size(max_shares=9, on_error="log"), "MaxPositionSize"),
        (lambda: api.set_max_position_size(max_notional=90, on_error="log"), "MaxPositionSize"),
        (lambda: api.set_max_order_count(0, on_error="log"), "MaxOrderCount"),
        (lambda: api.set_long_only(on_error="log"), "LongOnly"),
        (lambda: api.set_do_not_order_list([api.symbol("A")], on_error="log"), "RestrictedListOrder"),
    ],
)
def test_an_order_beyond_a_limit_that_is_only_logged_is_placed(make_bars, caplog, rule, control):
    def initialize(context):
        context.ordered = False
        rule()

    def handle_data(context, data):
        if not context.ordered:
            api.order(api.symbol("A"), -10)
            context.ordered = True

    with caplog.at_level(logging.ERROR, "rustybt"):
        result = run_algorithm(
            bundle=make_bars({"A": [10] * 3}), initialize=initialize, handle_data=handle_data, **FREE
        )
    assert list(result.transactions["amount"]) == [-10]
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "order_breaks_control")
    assert (record.fields["symbol"], record.fields["amount"], record.fields["session"]) == ("A", -10, "2020-01-02")
    assert record.fields["control"].startswith(control)
    (note,) = result.notes
    assert note.startswith(f"orders that broke {control}(")
    assert "and were placed: 1, the first: order of -10 A on 2020-01-02 breaks" in note


def test_a_logged_count_goes_on_counting(make_bars, caplog):
    def handle_data(context, data):
        for _ in range(3):
            api.order(api.symbol("A"), 1)

    result = run_algorithm(
        bundle=make_bars({"A": [10] * 2}),
        initialize=lambda context: api.set_max_order_count(1, "log"),
        handle_data=handle_data,
        **FREE,
    )
    assert list(result.transactions["amount"]) == [1, 1, 1]
    whys = [record.fields["why"] for record in caplog.records if record.fields["session"] == "2020-01-02"]
    assert whys == ["orders placed in this session: 1", "orders placed in this session: 2"]
    assert result.notes[-1].startswith("orders that broke MaxOrderCount(max_count=1) and were placed: 4")


def test_a_run_that_breaks_a_rule_ends_with_the_sessions_before_it(make_bars):
    def initialize(context):
        api.set_max_order_size(api.symbol("A"), max_shares=100)
        context.amount = 99

    def handle_data(context, data):
        api.order(api.symbol("A"), context.amount)
        context.amount += 1

    with pytest.raises(TradingControlViolation) as caught:
        run_algorithm(bundle=make_bars({"A": [10] * 5}), initialize=initialize, handle_data=handle_data, **FREE)
    error = caught.value
    assert isinstance(error, TradingControlError)
    assert isinstance(error, StrategyError)
    assert "order of 101 A on 2020-01-06 breaks MaxOrderSize(asset=A, max_shares=100)" in error.message
    assert "test_controls.py, line" in error.message
    assert "in bar 3, the session 2020-01-06" in error.message
    assert "set_max_order_size() in initialize" in error.hint
    assert (error.symbol, error.amount, error.session) == ("A", 101, "2020-01-06")
    assert list(error.partial_result.transactions["amount"]) == [99]
    assert len(error.partial_result.perf) == 2


def test_a_refused_order_is_no_order(try_orders):
    found = []

    def ids(a, b):
        found.append(api.get_open_orders())

    try_orders(lambda a, b: api.set_max_order_size(max_shares=1), [buy(2), ids])
    assert found == [{}]


# Fractions of a coin -----------------------------------------------------------------------------------------------------


def test_fractions_of_a_coin_may_come_to_the_limit_exactly(try_orders, make_bars):
    # In floats 0.1 + 0.2 is more than 0.3, and 0.3 of 0.1 more than 0.03.
    bars = make_bars({s: [0.1] * 4 for s in "AB"}, calendar="24/7", attributes=dict.fromkeys("AB", COIN))
    fills, refused = try_orders(
        lambda a, b: api.set_max_position_size(max_shares=0.3, max_notional=Decimal("0.03")),
        [buy(0.1)],
        [buy(0.20000001), buy(Decimal("0.2"))],
        [buy(Decimal("0.00000001"))],
        bars=bars,
    )
    assert fills == [("A", 0.1), ("A", 0.2)]
    assert [message.split(": ")[1] for message in refused] == ["the holding after it is 0.30000001, more than 0.3"] * 2
    assert refused[1].startswith("order of 1e-08 A on 2020-01-04")


def test_all_of_a_coin_can_be_sold_by_a_long_only_strategy(try_orders, make_bars):
    bars = make_bars({s: [100] * 4 for s in "AB"}, calendar="24/7", attributes=dict.fromkeys("AB", COIN))
    fills, refused = try_orders(
        lambda a, b: api.set_long_only(), [buy(0.1), buy(0.2)], [buy(-0.30000001), buy(-0.3)], bars=bars
    )
    assert fills == [("A", 0.1), ("A", 0.2), ("A", -0.3)]
    assert len(refused) == 1


# What cannot be set ------------------------------------------------------------------------------------------------------

SETTERS = [
    lambda: api.set_max_order_size(max_shares=1),
    lambda: api.set_max_position_size(max_notional=1),
    lambda: api.set_max_order_count(1),
    api.set_long_only,
    lambda: api.set_do_not_order_list([]),
    lambda: api.set_asset_restrictions(api.NoRestrictions()),
    lambda: api.set_max_leverage(1),
    lambda: api.set_min_leverage(1, timedelta(days=1)),
]


@pytest.mark.parametrize("setter", SETTERS)
@pytest.mark.parametrize("where", ["handle_data", "before_trading_start"])
def test_rules_are_set_in_initialize_only(make_bars, setter, where):
    with pytest.raises(RequestError, match=r"^set_\w+\(\) can only be called in initialize"):
        run_algorithm(bundle=make_bars({"A": [10]}), **{where: lambda context, data: setter()})


@pytest.mark.parametrize("setter", SETTERS)
def test_rules_are_set_within_a_run_only(setter):
    with pytest.raises(RequestError, match="while no algorithm is running"):
        setter()


@pytest.mark.parametrize(
    ("setter", "message"),
    [
        (api.set_max_order_size, r"set_max_order_size\(\) takes max_shares, max_notional or both"),
        (api.set_max_position_size, r"set_max_position_size\(\) takes max_shares, max_notional or both"),
        (lambda: api.set_max_order_size(max_shares=-1), r"set_max_order_size\(max_shares=-1\): a finite number"),
        (lambda: api.set_max_order_size(max_notional=float("nan")), r"max_notional=nan"),
        (lambda: api.set_max_position_size(max_shares="ten"), r"max_shares='ten'"),
        (lambda: api.set_max_order_size("A", max_shares=1), "takes an asset, not str 'A'"),
        (lambda: api.set_max_order_count(None), r"max_count=None"),
        (lambda: api.set_long_only("warn"), r"set_long_only\(on_error='warn'\): it can fail or log"),
        (lambda: api.set_max_leverage(None), r"max_leverage=None"),
        (lambda: api.set_max_leverage(-0.1), r"max_leverage=-0.1"),
        (lambda: api.set_min_leverage(-1, timedelta(1)), r"min_leverage=-1"),
        (lambda: api.set_min_leverage(1, 5), r"grace_period=5\): a stretch of time"),
        (lambda: api.set_min_leverage(1, pd.NaT), r"grace_period=NaT"),
    ],
)
def test_impossible_rules_are_refused_when_they_are_set(make_bars, setter, message):
    with pytest.raises(RequestError, match=message):
        run_algorithm(bundle=make_bars({"A": [10]}), initialize=lambda context: setter())


# Names of Zipline's ------------------------------------------------------------------------------------------------------


def test_names_that_strategies_import_from_zipline_are_there():
    from rustybt.api import (
        RESTRICTION_STATES,
        FixedBasisPointsSlippage,
        FixedSlippage,
        VolumeShareSlippage,
        asset_restrictions,
    )

    assert asset_restrictions.StaticRestrictions is api.StaticRestrictions
    assert [(state.name, int(state)) for state in RESTRICTION_STATES] == [("ALLOWED", 0), ("FROZEN", 1)]
    assert FixedSlippage is api.slippage.FixedSlippage
    assert VolumeShareSlippage is api.slippage.VolumeShareSlippage
    assert FixedBasisPointsSlippage is api.slippage.FixedBasisPointsSlippage


@pytest.mark.parametrize("name", ["attach_pipeline", "pipeline_output", "future_symbol", "fetch_csv"])
def test_a_function_that_is_not_here_says_so_when_it_is_imported(name):
    with pytest.raises(RequestError, match=f"rustybt.api has no {name}: "):
        exec(f"from rustybt.api import {name}")
    with pytest.raises(ImportError):
        exec("from rustybt.api import something_else")
