"""A strategy's functions in a run: when each is called, what it sees and what it may set."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pandas as pd
import pytest

from rustybt import api
from rustybt.algorithm import TradingAlgorithm, run_algorithm
from rustybt.errors import RequestError, StrategyError
from rustybt.trading.results.perf import PERF_COLUMNS
from tests.trading.strategies import buy_once


def test_before_trading_start_sees_the_session_before_and_may_not_order(make_bars):
    seen = []

    def before_trading_start(context, data):
        seen.append((api.get_datetime(), data.current(api.symbol("A"), "close"), data.current_session))

    result = run_algorithm(bundle=make_bars({"A": [10, 11, 12]}), before_trading_start=before_trading_start)
    assert seen[0][0] == pd.Timestamp("2020-01-02 13:45", tz="UTC")
    assert math.isnan(seen[0][1])
    assert [value for _, value, _ in seen[1:]] == [10.0, 11.0]
    assert seen[2][2] == pd.Timestamp("2020-01-06")
    assert len(result.perf) == 3

    def orders(context, data):
        api.order(api.symbol("A"), 1)

    with pytest.raises(RequestError, match="in before_trading_start"):
        run_algorithm(bundle=make_bars({"A": [10, 11]}), before_trading_start=orders)


def test_the_context_has_the_functions_of_the_api_too(make_bars):
    def initialize(context):
        context.asset = context.symbol("A")
        context.set_commission(api.commission.PerTrade(1))
        context.set_slippage(api.slippage.FixedSlippage(0))
        context.schedule_function(monthly, context_rules.month_start())

    def monthly(context, data):
        context.order(context.asset, 2)
        context.record(now=context.get_datetime())

    context_rules = api.date_rules
    result = run_algorithm(bundle=make_bars({"A": [10, 11, 12]}), capital_base=100, initialize=initialize)
    assert list(result.perf["ending_cash"]) == [100, 77, 77]  # two at 11, and 1 for the trade
    assert result.perf["now"].iloc[0] == pd.Timestamp("2020-01-02 21:00", tz="UTC")


def test_what_the_context_lacks_says_how_to_set_it(make_bars):
    def handle_data(context, data):
        assert not hasattr(context, "weight")
        assert getattr(context, "LimitOrder", None) is None  # no function: it is imported, as in Zipline
        context.weight += 1

    with pytest.raises(StrategyError, match=r"no attribute 'weight': write context.weight = ... in initialize first"):
        run_algorithm(bundle=make_bars({"A": [10, 11]}), handle_data=handle_data)
    with pytest.raises(RequestError, match="while no algorithm is running"):
        TradingAlgorithm(bundle=make_bars({"A": [10, 11]})).order(None, 1)


def test_scheduled_functions_run_after_handle_data(make_bars):
    calls = []

    def initialize(context):
        api.schedule_function(
            lambda c, d: calls.append("weekly"), api.date_rules.week_start(), api.time_rules.market_open()
        )
        api.schedule_function(lambda c, d: calls.append("daily"), api.time_rules.market_close())
        api.schedule_function(lambda c, d: calls.append("london"), api.date_rules.week_end(), calendar="XLON")

    def handle_data(context, data):
        calls.append(data.current_session.day)

    run_algorithm(bundle=make_bars({"A": [1] * 4}), initialize=initialize, handle_data=handle_data)
    assert calls == [2, "daily", 3, "daily", "london", 6, "weekly", "daily", 7, "daily"]


def test_recorded_values_stay_until_recorded_anew(make_bars):
    def handle_data(context, data):
        if data.current_session.day == 3:
            api.record("pair", 1, price=data.current(api.symbol("A"), "price"))
        if data.current_session.day == 7:
            api.record(price=-1.0)
            assert context.recorded_vars == {"pair": 1, "price": -1.0}

    result = run_algorithm(bundle=make_bars({"A": [10, 11, 12, 13]}), handle_data=handle_data)
    np.testing.assert_array_equal(result.perf["price"], [np.nan, 11, 11, -1])
    assert list(result.recorded.columns) == ["pair", "price"]
    with pytest.raises(RequestError, match="in pairs"):
        run_algorithm(bundle=make_bars({"A": [10]}), handle_data=lambda c, d: api.record("x"))


@pytest.mark.parametrize("name", sorted(PERF_COLUMNS))
def test_the_names_of_the_results_own_columns_are_not_recorded(make_bars, name):
    def handle_data(context, data):
        api.record(**{name: 1})

    with pytest.raises(RequestError, match=f"a column {name} of its own"):
        run_algorithm(bundle=make_bars({"A": [10]}), handle_data=handle_data)


def test_these_are_all_columns_of_a_result(make_bars):
    perf = run_algorithm(bundle=make_bars({"A": [10]}), handle_data=lambda c, d: None).perf
    assert set(perf.columns) == PERF_COLUMNS


def test_the_strategys_context_is_its_own(make_bars):
    def initialize(context, size=1):
        context.symbols = ["mine"]
        context.size = size
        assert context.portfolio.portfolio_value == 5_000
        assert context.account.net_liquidation == 5_000
        assert context.data_portal is not None
        assert context.blotter.open_orders == {}

    def handle_data(context, data):
        assert context.symbols == ["mine"]
        assert api.get_datetime("America/New_York").hour == 16
        assert api.get_datetime() == context.datetime == data.current_dt
        assert api.sid(0) == api.symbol("a")
        assert api.get_environment() == "rustybt"
        assert api.get_environment("*")["capital_base"] == 5_000
        with pytest.raises(RequestError, match="no field 'mood'"):
            api.get_environment("mood")
        api.set_symbol_lookup_date("2020-01-02")
        with pytest.raises(RequestError, match="not a date"):
            api.set_symbol_lookup_date("soon")
        with pytest.raises(RequestError, match="takes text"):
            api.symbol(7)
        api.record(size=context.size)

    result = TradingAlgorithm(
        bundle=make_bars({"A": [10, 11]}), capital_base=5_000, initialize=initialize, handle_data=handle_data, size=3
    ).run()
    assert list(result.perf["size"]) == [3, 3]
    assert result.parameters["initialize"] == ["size"]


def test_the_environment_and_the_minutes_of_a_session_are_ziplines(make_bars):
    seen = []

    def handle_data(context, data):
        seen.append(data.current_session_minutes)

    def initialize(context):
        assert api.get_environment("start") == pd.Timestamp("2020-11-25 14:31", tz="UTC")
        # A half day.
        assert api.get_environment("end") == pd.Timestamp("2020-11-27 18:00", tz="UTC")

    bars = make_bars({"A": [10, 11]}, start=date(2020, 11, 25))
    run_algorithm(bundle=bars, initialize=initialize, handle_data=handle_data)
    assert [len(minutes) for minutes in seen] == [390, 210]
    assert [str(minutes[-1]) for minutes in seen] == ["2020-11-25 21:00:00+00:00", "2020-11-27 18:00:00+00:00"]
    assert str(seen[1][0]) == "2020-11-27 14:31:00+00:00"


def test_the_highest_leverage_of_an_account_below_nothing_is_0(make_bars):
    # 1000 of cash, less 1000 for the shares and 3000 for the trade: -3000 + 1000.
    costs = {"commission": api.commission.PerTrade(3_000), "slippage": api.slippage.NoSlippage()}
    perf = run_algorithm(bundle=make_bars({"A": [10, 10]}), capital_base=1_000, **buy_once(100), **costs).perf
    assert list(perf["gross_leverage"]) == [0, -0.5]
    assert list(perf["max_leverage"]) == [0, 0]


def test_analyze_gets_context_and_perf(make_bars):
    got = {}

    def analyze(context, perf):
        got["columns"] = list(perf.columns)
        got["cash"] = context.portfolio.cash

    result = run_algorithm(bundle=make_bars({"A": [10]}), analyze=analyze)
    assert got == {"columns": list(result.perf.columns), "cash": 1e6}
    with pytest.raises(StrategyError, match="in analyze: ZeroDivisionError") as caught:
        run_algorithm(bundle=make_bars({"A": [10]}), analyze=lambda c, p: 1 / 0)
    assert caught.value.partial_result.is_complete


def test_models_are_set_in_initialize_only(make_bars):
    def initialize(context):
        api.set_commission(api.commission.PerTrade(5))
        api.set_slippage(us_equities=api.slippage.FixedSlippage(1.0))
        api.set_cancel_policy(api.EODCancel(warn_on_cancel=False))

    strategy = buy_once(10)

    def both(context):
        strategy["initialize"](context)
        initialize(context)

    result = run_algorithm(
        bundle=make_bars({"A": [10, 20, 20]}), initialize=both, handle_data=strategy["handle_data"], capital_base=1_000
    )
    assert result.perf["ending_cash"].iloc[-1] == 1_000 - 205 - 5
    for name, value in (
        ("set_commission", api.commission.PerTrade(1)),
        ("set_slippage", api.slippage.NoSlippage()),
        ("set_cancel_policy", api.NeverCancel()),
        ("set_benchmark", None),
    ):
        with pytest.raises(RequestError, match=f"{name}\\(\\) can only be called in initialize"):
            run_algorithm(bundle=make_bars({"A": [1]}), handle_data=lambda c, d, n=name, v=value: getattr(api, n)(v))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: api.set_commission(api.commission.PerTrade), "PerTrade\\(\\) with parentheses"),
        (lambda: api.set_slippage("none"), "takes a SlippageModel"),
        (lambda: api.set_slippage(us_futures=1), "futures are not traded"),
        (lambda: api.set_cancel_policy("eod"), "EODCancel"),
        (lambda: api.schedule_function(None, api.date_rules.every_day), "with parentheses"),
        (lambda: api.order(api.symbol("A"), 1), "in initialize"),
    ],
)
def test_wrong_settings_in_initialize_are_explained(make_bars, call, message):
    with pytest.raises(RequestError, match=message):
        run_algorithm(bundle=make_bars({"A": [1]}), initialize=lambda context: call())


def test_api_functions_need_a_running_algorithm():
    with pytest.raises(RequestError, match="order\\(\\) was called while no algorithm is running"):
        api.order(None, 1)
