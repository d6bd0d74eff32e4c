"""Strategies and models that go wrong in odd ways: nothing is lost, nothing passes in silence."""

from __future__ import annotations

import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from rustybt import api
from rustybt.algorithm import run_algorithm
from rustybt.data.bundles import file_reader
from rustybt.data.bundles.store import BundleStore
from rustybt.data.portal import MemoryBars
from rustybt.data.portal.arrays import intraday_panel
from rustybt.errors import BundleError, RequestError, StrategyError
from rustybt.market.assets import AssetAttributes
from rustybt.market.provenance import Provenance
from rustybt.trading.results.result import Result
from tests.trading.strategies import FREE, buy_once

FIVE = {"A": [10, 11, 12, 13, 14], "B": [20, 21, 22, 23, 24]}


def on_the_sixth(act):
    """Return a function that does something in the third session."""

    def handle_data(context, data):
        if data.current_session.day == 6:
            act(context, data)

    return handle_data


# What ends a run ---------------------------------------------------------------------------------------------------


def test_a_strategy_that_leaves_the_program_is_an_error_with_what_was_run(make_bars):
    with pytest.raises(StrategyError, match=r"in the session 2020-01-06: SystemExit: 0") as caught:
        run_algorithm(bundle=make_bars(FIVE), handle_data=on_the_sixth(lambda *_: sys.exit(0)))
    assert len(caught.value.partial_result.perf) == 2
    assert not caught.value.partial_result.is_complete


@pytest.mark.parametrize(
    ("role", "when"),
    [("initialize", "in initialize"), ("before_trading_start", "in the session"), ("analyze", "in an")],
)
def test_leaving_the_program_is_told_from_every_function(make_bars, role, when):
    def leave(*_):
        raise SystemExit("bye")

    with pytest.raises(StrategyError, match=when) as caught:
        run_algorithm(bundle=make_bars(FIVE), **{role: leave})
    assert len(caught.value.partial_result.perf) == (5 if role == "analyze" else 0)


@pytest.mark.parametrize(("role", "sessions"), [("handle_data", 2), ("analyze", 5)])
def test_an_interrupt_keeps_what_was_run(make_bars, role, sessions):
    def interrupt(*given):
        if role == "analyze" or given[1].current_session.day == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        run_algorithm(bundle=make_bars(FIVE), **{role: interrupt})
    partial = caught.value.partial_result
    assert len(partial.perf) == sessions
    assert partial.error == (None if role == "analyze" else "interrupted in the session 2020-01-06")


class Model(api.slippage.SlippageModel):
    """Answers what it is told to."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def process_order(self, data, order):
        return self.answer()


def test_a_model_that_raises_is_the_strategys_fault_and_names_its_line(make_bars):
    with pytest.raises(
        StrategyError, match=r"test_run_faults.py, line \d+.*in the session 2020-01-03: ZeroDiv"
    ) as caught:
        run_algorithm(bundle=make_bars(FIVE), **buy_once(5), slippage=Model(lambda: 1 / 0))
    assert len(caught.value.partial_result.perf) == 1


def test_a_commission_that_raises_is_the_strategys_fault(make_bars):
    class Broken(api.commission.CommissionModel):
        def calculate(self, order, transaction):
            return {}["fee"]

    with pytest.raises(StrategyError, match="in calculate, in the session 2020-01-03: KeyError") as caught:
        run_algorithm(bundle=make_bars(FIVE), **buy_once(5), commission=Broken())
    assert len(caught.value.partial_result.perf) == 1


@pytest.mark.parametrize(
    "answer", [None, 5, (float("nan"), 5), (10, float("inf")), ("x", 5), (10, "y"), (10**400, 1)], ids=repr
)
def test_a_fill_that_is_no_price_and_amount_names_the_model(make_bars, answer):
    with pytest.raises(RequestError, match=r"Model answered .*order of A: not a finite") as caught:
        run_algorithm(bundle=make_bars(FIVE), **buy_once(5), slippage=Model(lambda: answer))
    assert caught.value.when == "in the session 2020-01-03"
    assert len(caught.value.partial_result.perf) == 1


def test_a_book_that_overflows_says_in_which_session(make_bars):
    with pytest.raises(RequestError, match=r"5\.000e\+300, beyond 1e29 \(in the session 2020-01-03\)") as caught:
        run_algorithm(bundle=make_bars(FIVE), **buy_once(5), slippage=Model(lambda: (5e300, 5)))
    assert len(caught.value.partial_result.perf) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: api.commission.PerShare(float("nan")),
        lambda: api.commission.PerShare(-1),
        lambda: api.commission.PerShare(0.01, -5),
        lambda: api.commission.PerTrade(float("inf")),
        lambda: api.commission.PerDollar("x"),
        lambda: api.slippage.FixedSlippage(float("nan")),
        lambda: api.slippage.FixedSlippage("x"),
        lambda: api.slippage.FixedBasisPointsSlippage(float("inf")),
        lambda: api.slippage.FixedBasisPointsSlippage(5, float("inf")),
        lambda: api.slippage.VolumeShareSlippage(-1),
        lambda: api.slippage.VolumeShareSlippage(0.1, float("nan")),
    ],
)
def test_rates_that_would_charge_nothing_or_nonsense_are_refused(make):
    with pytest.raises(RequestError, match="must"):
        make()


# Functions that would never run ------------------------------------------------------------------------------------


async def awaited(context, data):
    """Order nothing, for nobody awaits it."""


def yielding(context, data):
    yield api.order(api.symbol("A"), 1)


class Awaited:
    """An object that is called like a function."""

    async def __call__(self, context, data):
        """Do nothing."""


@pytest.mark.parametrize(
    ("function", "message"),
    [(awaited, "async def"), (Awaited(), "async def"), (yielding, "yield"), ("handle_data", "must be a function")],
)
def test_functions_of_which_no_line_would_run_are_refused(make_bars, function, message):
    with pytest.raises(RequestError, match=f"handle_data .*{message}"):
        run_algorithm(bundle=make_bars(FIVE), handle_data=function)
    with pytest.raises(RequestError, match=f"the function to schedule .*{message}"):
        run_algorithm(bundle=make_bars(FIVE), initialize=lambda context: api.schedule_function(function))


def test_a_script_with_an_async_function_or_that_leaves_is_refused(make_bars, tmp_path):
    script = tmp_path / "s.py"
    script.write_text("async def handle_data(context, data):\n    pass\n")
    with pytest.raises(RequestError, match="handle_data is declared with async def"):
        run_algorithm(bundle=make_bars(FIVE), script=script)
    script.write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(StrategyError, match=r"line 2, .*while it was loaded: SystemExit: 3"):
        run_algorithm(bundle=make_bars(FIVE), script=script)


# Arguments of the run ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"capital_base": True}, "the capital must be"),
        ({"capital_base": 1e-10}, "the capital must be"),
        ({"capital_base": 1e30}, r"from 1e-09 to 1e\+29"),
        ({"symbols": "AAPL"}, "takes a list of symbols"),
        ({"symbols": 5}, "takes a list of symbols"),
        ({"progress": 5}, "progress= takes a function"),
        ({"benchmark_returns": 5}, "must be a pandas Series"),
        (
            {"benchmark_returns": pd.Series([float("inf")], index=pd.to_datetime(["2020-01-03"]))},
            "finite numbers: that of 2020-01-03",
        ),
    ],
)
def test_arguments_that_cannot_be_are_refused_before_anything_is_run(make_bars, arguments, message):
    ran = []
    with pytest.raises(RequestError, match=message):
        run_algorithm(bundle=make_bars(FIVE), handle_data=lambda context, data: ran.append(1), **arguments)
    assert ran == []


def test_a_script_that_is_no_path_is_refused(make_bars):
    with pytest.raises(RequestError, match="takes the path of a strategy file, not int 5"):
        run_algorithm(bundle=make_bars(FIVE), script=5)


# What a strategy is handed -----------------------------------------------------------------------------------------


def test_what_a_strategy_does_to_what_it_is_handed_changes_nothing(make_bars):
    def handle_data(context, data):
        both = [api.symbol("A"), api.symbol("B")]
        for output in ("pandas", "numpy"):
            window = data.history(both, "price", 2, "1d", output=output)
            window[:] = -1
        now = data.current(both, "price")
        now[:] = -1
        if data.current_session.day == 2:
            api.order(both[0], 5)
        for order in api.get_open_orders(both[0]):
            order.amount, order.filled, order.limit = 1_000_000, 3, 0.01
            api.get_order(order.id).amount = 7
        for position in list(context.portfolio.positions.values()):
            for name in ("amount", "cost_basis", "last_sale_price"):
                with pytest.raises(AttributeError, match="read-only"):
                    setattr(position, name, 10**9)
        api.get_open_orders().clear()
        context.portfolio.positions.clear()

    def analyze(context, perf):
        for name in list(perf.columns):
            del perf[name]

    result = run_algorithm(bundle=make_bars(FIVE), capital_base=1_000, handle_data=handle_data, analyze=analyze, **FREE)
    assert list(result.transactions["amount"]) == [5]
    # 5 bought at 11: 1000 - 55 in cash.
    assert list(result.perf["portfolio_value"]) == [1000, 1000, 1005, 1010, 1015]
    assert list(result.perf["ending_cash"]) == [1000, 945, 945, 945, 945]


def test_an_asset_of_other_bars_cannot_be_ordered(make_bars):
    foreign = make_bars({"X": [1] * 5}).assets.lookup_symbol("X")

    def handle_data(context, data):
        data.current(api.symbol("A"), "price")
        api.order(foreign, 5)

    with pytest.raises(RequestError, match="X is not an asset of this run: its sid 0 is that of A here"):
        run_algorithm(bundle=make_bars(FIVE), handle_data=handle_data)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: api.order(api.symbol("A"), 1e300), r"order of 1000000000\d*\.\.\.\d* A: at most 100000000000"),
        (lambda: api.order(api.symbol("A"), 10**400), r"too large: 1000000000\d*\.\.\.0*"),
        (lambda: api.order(api.symbol("A"), 1, limit_price="10"), "limit price of an order must be a number, not '10'"),
        (lambda: api.order(api.symbol("A"), 1, stop_price=b"10"), "stop price of an order must be a number"),
        (lambda: api.order(api.symbol("A"), 1, limit_price=1e308), "must be finite and not negative, below 1e"),
        (lambda: api.order(api.symbol("A"), 1, stop_price=10**400), "must be finite and not negative, below 1e"),
        (lambda: api.order(api.symbol("A"), 1, style="limit"), "takes an order style, not 'limit'"),
        (lambda: api.order(api.symbol("A"), 1, style=api.LimitOrder), r"write LimitOrder\(\.\.\.\)"),
        (lambda: api.cancel_order([]), r"cancel_order\(\) takes the id of an order, not list \[\]"),
        (lambda: api.get_order(5), r"get_order\(\) takes the id of an order, not int 5"),
        (lambda: api.get_open_orders("A"), r"get_open_orders\(\) takes an asset, not str 'A'"),
        (lambda: api.set_symbol_lookup_date(float("nan")), "is not a date"),
    ],
)
def test_nonsense_in_calls_about_orders_is_explained(make_bars, call, message):
    with pytest.raises(RequestError, match=message) as caught:
        run_algorithm(bundle=make_bars(FIVE), handle_data=lambda context, data: call())
    assert len(str(caught.value)) < 600


def test_orders_of_nothing_known_are_none(make_bars):
    def handle_data(context, data):
        api.cancel_order("unknown")
        api.cancel_order(None)
        assert api.get_order("unknown") is None
        assert api.get_order(None) is None

    assert run_algorithm(bundle=make_bars(FIVE), handle_data=handle_data).is_complete


def test_a_truth_of_numpy_is_an_amount_as_pythons_is(make_bars):
    result = run_algorithm(bundle=make_bars(FIVE), **buy_once(np.bool_(True)), **FREE)
    assert list(result.transactions["amount"]) == [1]


COIN = {"C/USD": AssetAttributes(asset_type="crypto")}


def test_coins_worth_less_than_a_cent_are_bought_by_value_and_sold_at_their_limit(make_bars):
    def handle_data(context, data):
        coin = api.symbol("C/USD")
        if data.current_session.day == 2:
            api.order_value(coin, 40)
        elif data.current_session.day == 3:
            # Above all that trades: rounded to cents it would be 0, and sell at once.
            context.sale = api.order(coin, -10_000_000, limit_price=0.0000049)

    closes = ["0.0000008", "0.0000008", "0.0000008", "0.0000048", "0.0000049"]
    frame = make_bars({"C/USD": [1] * 5}, calendar="24/7", attributes=COIN)._bars
    prices = pl.Series([Decimal(c) for c in closes], dtype=frame.schema["close"])
    bars = MemoryBars(
        frame.with_columns(**dict.fromkeys(("open", "high", "low", "close"), prices)),
        calendar_name="24/7",
        attributes=COIN,
    )
    result = run_algorithm(bundle=bars, handle_data=handle_data, capital_base=100, commission=FREE["commission"],
                           slippage=FREE["slippage"])  # fmt: skip
    # 40 / 0.0000008 are 50 million; those that were sold brought 0.0000049 each.
    assert list(result.transactions["amount"]) == [50_000_000, -10_000_000]
    assert list(result.transactions["session"]) == ["2020-01-03", "2020-01-06"]
    assert list(result.books["cash"]) == [Decimal(n) for n in (100, 60, 60, 60, 109)]


# Data that goes bad while it is read -------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
def test_bars_that_go_bad_in_the_middle_of_a_run_leave_the_sessions_before(make_bars, tmp_path, monkeypatch, damage):
    """Hours, read session by session: their files are damaged after some."""
    days = make_bars({"A": [10] * 45, "B": [5] * 45}, calendar="24/7")._bars
    hours = pl.col("timestamp") + pl.duration(hours=pl.col("hour"))
    # From 2 January on, four bars a day.
    bars = (
        days.join(pl.DataFrame({"hour": [0, 6, 12, 18]}), how="cross")
        .with_columns(hours.cast(days.schema["timestamp"]).alias("timestamp"))
        .drop("hour")
        .sort("symbol", "timestamp")
    )
    monkeypatch.setattr(intraday_panel, "_STRETCH_BYTES", 1)
    with BundleStore(tmp_path / "home") as store:
        store.commit("c", bars, Provenance("csv"), calendar="24/7", frequency="1h")

        def handle_data(context, data):
            api.order(api.symbol("A"), 1)
            if str(data.current_session.date()) == "2020-01-20" and data.current_dt.hour == 12:
                monkeypatch.setattr(file_reader, "_verified", {})
                for file in (tmp_path / "home").rglob("*.parquet"):
                    file.chmod(0o644)
                    content = bytearray(file.read_bytes())
                    content[len(content) // 2] ^= 255
                    if damage == "delete":
                        file.unlink()
                    else:
                        file.write_bytes(content if damage == "flip" else content[: len(content) // 2])

        def initialize(context):
            api.set_benchmark(api.symbol("B"))

        with pytest.raises(BundleError, match=r"\(in the session 2020-01-21\)") as caught:
            run_algorithm(bundle="c", store=store, data_frequency="1h", initialize=initialize, handle_data=handle_data)
    partial = caught.value.partial_result
    # 2 to 20 January.
    assert len(partial.perf) == 19
    assert (partial.books["cash"] + partial.books["positions_value"] == partial.books["portfolio_value"]).all()
    with pytest.warns(UserWarning, match="without its script"):
        partial.save(tmp_path / "kept")
    assert not Result.load(tmp_path / "kept").is_complete
