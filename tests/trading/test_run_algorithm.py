"""Runs from end to end on small markets, by hand."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from rustybt import api
from rustybt.algorithm import TradingAlgorithm, run_algorithm
from rustybt.data.sources.registry import get_source
from rustybt.errors import LookaheadError, RequestError, StrategyError, SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.corporate_actions import CorporateAction

FREE = {"commission": api.commission.NoCommission(), "slippage": api.slippage.NoSlippage()}


def buy_once(amount, symbol="A", t=0):
    """Return a strategy that orders once, in session `t`."""

    def initialize(context):
        context.asset = api.symbol(symbol)
        context.t = 0

    def handle_data(context, data):
        if context.t == t:
            context.order_id = api.order(context.asset, amount)
        context.t += 1

    return {"initialize": initialize, "handle_data": handle_data}


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


def test_splits_and_dividends_are_booked(make_bars):
    actions = [
        CorporateAction.split("A", date(2020, 1, 7), 2, 1),
        CorporateAction.cash_dividend("A", date(2020, 1, 8), "0.5", pay_date=date(2020, 1, 11)),
        CorporateAction("A", "stock_dividend", date(2020, 1, 14), ratio_new=1, ratio_old=4),
        CorporateAction("A", "spin_off", date(2020, 1, 15), ratio_new=1, ratio_old=4),
    ]
    closes = [40, 40, 40, 20, 20, 20, 20, 20, 16, 16]
    result = run_algorithm(bundle=make_bars({"A": closes}, actions=actions), capital_base=1_000, **buy_once(10), **FREE)
    perf = result.perf
    amounts = [sum(p["amount"] for p in cell) for cell in perf["positions"]]
    assert amounts == [0, 10, 10, 20, 20, 20, 20, 20, 25, 25]
    # Paid on Saturday the 11th: booked on Monday the 13th.
    assert list(perf["ending_cash"]) == [1000, 600, 600, 600, 600, 600, 600, 610, 610, 610]
    assert list(perf["portfolio_value"]) == [1000, 1000, 1000, 1000, 1000, 1000, 1000, 1010, 1010, 1010]
    # Zipline's starting cash holds the dividend of the day already, so its profit does not.
    assert perf["starting_cash"].iloc[7] == 610
    assert perf["pnl"].iloc[7] == 0
    assert perf["returns"].iloc[7] == pytest.approx(0.01)
    assert perf["capital_used"].iloc[7] == 10


def test_a_delisted_holding_is_closed_and_its_orders_cancelled(make_bars):
    def handle_data(context, data):
        asset = api.symbol("A")
        if data.current_session.day == 2:
            api.order(asset, 10)
        if data.current_session.day == 6:
            api.order(asset, 5)
        if data.current_session.day == 8:
            with pytest.warns(UserWarning, match="last traded on 2020-01-06"):
                assert api.order(asset, 1) is None
            with pytest.warns(UserWarning, match="last traded on 2020-01-06"):
                assert api.order_target_percent(asset, 1) is None

    bars = make_bars({"A": [10, 11, 12, None, None], "B": [1, 1, 1, 1, 1]})
    result = run_algorithm(bundle=bars, capital_base=1_000, handle_data=handle_data, **FREE)
    assert list(result.transactions["amount"]) == [10, -10]
    assert list(result.transactions["session"]) == ["2020-01-03", "2020-01-07"]
    assert result.transactions["price"].iloc[1] == 12.0
    assert list(result.orders["status"]) == ["filled", "cancelled"]
    assert list(result.orders["reason"])[1] == "delisted"
    assert result.perf["portfolio_value"].iloc[-1] == 1_010


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


def test_benchmarks_by_series_and_by_asset(make_bars):
    days = pd.to_datetime(["2020-01-03", "2020-01-06"])
    series = pd.Series([0.1, -0.1], index=days.tz_localize("UTC"))
    result = run_algorithm(bundle=make_bars({"A": [10, 11, 12]}), benchmark_returns=series)
    np.testing.assert_allclose(result.perf["benchmark_period_return"], [0, 0.1, -0.01], atol=1e-15)
    assert result.summary()["benchmark_return"] == pytest.approx(-0.01)

    def initialize(context):
        api.set_benchmark(api.symbol("A"))

    action = CorporateAction.split("A", date(2020, 1, 6), 2, 1)
    bars = make_bars({"A": [10, 11, 6]}, actions=[action])
    result = run_algorithm(bundle=bars, initialize=initialize)
    np.testing.assert_allclose(result.perf["benchmark_period_return"], [0, 0.1, 0.2])
    for wrong in ([0.1], pd.Series([0.1], index=["x"])):
        with pytest.raises(RequestError, match="benchmark_returns"):
            run_algorithm(bundle=bars, benchmark_returns=wrong)


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
    assert "test_run_algorithm.py, line" in str(caught.value)


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


def test_an_unknown_symbol_names_near_ones(make_bars):
    with pytest.raises(SymbolNotFoundError, match="did you mean AAPL") as caught:
        run_algorithm(bundle=make_bars({"AAPL": [1]}), initialize=lambda context: api.symbol("APPL"))
    assert "in initialize" in str(caught.value)


def test_reading_past_the_clock_is_a_lookahead_error(make_bars):
    def handle_data(context, data):
        context.data_portal.get_spot_value(api.symbol("A"), "close", "2020-01-06")

    with pytest.raises(LookaheadError, match="in bar 1, the session 2020-01-02"):
        run_algorithm(bundle=make_bars({"A": [10, 11, 12]}), handle_data=handle_data)


def test_a_strategy_that_raises_leaves_the_sessions_before_it(make_bars):
    def handle_data(context, data):
        api.record(x=1)
        if data.current_session.day == 6:
            context.missing  # noqa: B018

    with pytest.raises(StrategyError, match=r"test_run_algorithm.py, line .*bar 3, the session 2020-01-06") as caught:
        run_algorithm(bundle=make_bars({"A": [10, 11, 12]}), handle_data=handle_data)
    assert "AttributeError" in caught.value.message
    partial = caught.value.partial_result
    assert not partial.is_complete
    assert list(partial.perf["x"]) == [1, 1]
    assert "error" in partial.summary()
    assert "incomplete" in repr(partial)


def test_a_strategy_that_fails_at_once_leaves_an_empty_result(make_bars):
    def initialize(context):
        return 1 / 0

    with pytest.raises(StrategyError, match=r"line \d+, in initialize: ZeroDivisionError: division by zero") as caught:
        run_algorithm(bundle=make_bars({"A": [10]}), initialize=initialize)
    assert caught.value.message.count("in initialize") == 1
    partial = caught.value.partial_result
    assert len(partial.perf) == 0
    assert partial.summary()["ending_value"] is None
    assert len(partial.transactions) == len(partial.orders) == len(partial.positions) == 0


def test_dates_beyond_the_bars_are_cut_and_said(make_bars):
    bars = make_bars({"A": [10, 11, 12]})
    result = run_algorithm("2019-06-01", pd.Timestamp("2020-12-31", tz="UTC"), bundle=bars)
    assert len(result.perf) == 3
    assert result.notes == (
        "started on 2020-01-02, the first bar, not on 2019-06-01",
        "ended on 2020-01-06, the last bar, not on 2020-12-31",
    )
    part = run_algorithm(date(2020, 1, 3), date(2020, 1, 5), bundle=bars)
    assert list(part.books["session"]) == ["2020-01-03"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": "2020-01-06", "end": "2020-01-02"}, "comes before the start"),
        ({"start": "2021-01-01"}, "nothing lies"),
        ({"start": "2020-01-04", "end": "2020-01-05"}, "no session"),
        ({"start": "yesterday or so"}, "not a date"),
        ({"end": "NaT"}, "not a date"),
        ({"capital_base": 0}, "above 0"),
        ({"capital_base": float("nan")}, "above 0"),
        ({"data_frequency": "minute"}, "not yet on 1m"),
        ({"data_frequency": "hourish"}, "unknown frequency"),
        ({"bundel": "us"}, "no argument 'bundel'.*\n.*did you mean bundle"),
        ({"quux_zzz": 1}, "no argument 'quux_zzz'"),
        ({"bundle_timestamp": 1}, "versions, not timestamps"),
        ({"data_source": object()}, "either bundle= or data_source="),
        ({"trading_calendar": "NOWHERE"}, "unknown calendar"),
    ],
)
def test_what_cannot_be_run_is_refused(make_bars, arguments, message):
    with pytest.raises(RequestError, match=message):
        run_algorithm(**{"bundle": make_bars({"A": [1, 2, 3]}), **arguments})


def test_bars_are_required():
    with pytest.raises(RequestError, match="a run needs bars"):
        run_algorithm()
    with pytest.raises(RequestError, match="call run"):
        TradingAlgorithm(bundle="us").portfolio  # noqa: B018


def test_ziplines_other_arguments_have_no_effect(make_bars):
    run_algorithm(bundle=make_bars({"A": [1]}), metrics_set="default", extensions=(), environ={}, blotter="default")


def test_api_functions_need_a_running_algorithm():
    with pytest.raises(RequestError, match="order\\(\\) was called while no algorithm is running"):
        api.order(None, 1)


def test_a_run_on_a_data_source_needs_no_bundle(make_bars):
    bars = make_bars({"A": [float(i) for i in range(1, 400)]})._bars

    class Source:
        def fetch_sync(self, symbols, start, end, frequency):
            days = bars["timestamp"].dt.date()
            return bars.filter(bars["symbol"].is_in(list(symbols)) & (days >= start) & (days <= end))

    result = run_algorithm("2021-01-04", "2021-01-08", data_source=Source(), symbols=["A"], **buy_once(1))
    assert len(result.perf) == 5
    assert result.pin is None
    assert "bars in memory" in repr(result)
    assert len(result.transactions) == 1


def test_a_run_on_a_data_source_without_dates_is_as_long_as_its_bars(tmp_path):
    rows = [f"2020-01-0{day},A,10,11,9,10,1000" for day in (2, 3, 6)]
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(["timestamp,symbol,open,high,low,close,volume", *rows]) + "\n")
    for named in ({}, {"symbols": ["A"]}):
        result = run_algorithm(data_source=get_source("csv", path=path), **named, **buy_once(1))
        assert list(result.books["session"]) == ["2020-01-02", "2020-01-03", "2020-01-06"]
        assert result.notes == ()
    late = run_algorithm("2020-01-01", data_source=get_source("csv", path=path), symbols=["A"])
    assert late.notes == ("started on 2020-01-02, the first bar, not on 2020-01-01",)


def test_the_hint_for_missing_bars_names_a_source_that_works():
    with pytest.raises(RequestError, match=r"get_source\('csv', path='bars.csv'\)"):
        run_algorithm()


def test_spin_offs_are_not_applied_and_the_result_says_so(make_bars):
    def spin_off(symbol, day):
        return CorporateAction(symbol, "spin_off", day, ratio_new=1, ratio_old=4)

    actions = [
        spin_off("A", date(2020, 1, 6)),
        spin_off("B", date(2020, 1, 7)),
        CorporateAction("A", "stock_dividend", date(2020, 1, 7), ratio_new=1, ratio_old=4),
        spin_off("A", date(2021, 1, 6)),  # after the run
    ]
    bars = make_bars({"A": [40, 40, 30, 24], "B": [1, 1, 1, 1]}, actions=actions)
    result = run_algorithm(bundle=bars, capital_base=1_000, **buy_once(10), **FREE)
    # B was never asked for. 10 shares at 40, worth 30 after the spin-off: 600 + 300; then 2 new shares: 600 + 12 * 24.
    assert result.notes == ("spin-offs are stored but not applied, neither to prices nor to holdings: A on 2020-01-06",)
    assert list(result.perf["portfolio_value"]) == [1000, 1000, 900, 888]


def test_progress_is_told(make_bars):
    told = []
    run_algorithm(bundle=make_bars({"A": [1, 2, 3]}), progress=lambda *step: told.append(step))
    assert told[-1] == ("backtest 2020-01-06", 3, 3)
