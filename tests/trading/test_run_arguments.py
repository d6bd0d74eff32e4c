"""What a run is given and cannot use: refused with a reason before the first bar."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest

from rustybt.algorithm import run_algorithm
from rustybt.api import order, symbol
from rustybt.errors import RequestError
from rustybt.market.corporate_actions import CorporateAction
from rustybt.trading import commission, slippage


def nothing(_: object) -> None:
    pass


@pytest.mark.parametrize("capital", [0, -1, None, "100", "abc", float("nan"), float("inf"), 10**400, Decimal("NaN")])
def test_capital_that_is_no_number_above_zero_is_refused(make_bars, capital):
    with pytest.raises(RequestError, match="the capital must be a number above 0"):
        run_algorithm(bundle=make_bars({"A": [1, 2]}), initialize=nothing, capital_base=capital)


def test_capital_may_be_a_decimal(make_bars):
    result = run_algorithm(bundle=make_bars({"A": [1, 2]}), initialize=nothing, capital_base=Decimal("1000.25"))
    assert result.books["cash"].iloc[-1] == Decimal("1000.25")


@pytest.mark.parametrize("bundle", [5, object(), [5], pd.DataFrame()])
def test_what_is_no_bundle_is_refused(bundle):
    with pytest.raises(RequestError, match="takes a name or an opened bundle"):
        run_algorithm(bundle=bundle, initialize=nothing, capital_base=1)


@pytest.mark.parametrize("start", [5, 20200102, 1.5, True])
def test_a_number_is_no_date(make_bars, start):
    with pytest.raises(RequestError, match="is not a date"):
        run_algorithm(bundle=make_bars({"A": [1, 2]}), initialize=nothing, capital_base=1, start=start)


def test_a_benchmark_with_a_day_twice_or_with_words_is_refused(make_bars):
    days = pd.to_datetime(["2020-01-02", "2020-01-02"])
    for values, words in (([0.1, 0.2], "2020-01-02 twice"), (["a", "b"], "must hold numbers")):
        with pytest.raises(RequestError, match=words):
            run_algorithm(
                bundle=make_bars({"A": [1, 2]}),
                initialize=nothing,
                capital_base=1,
                benchmark_returns=pd.Series(values, index=days),
            )


@pytest.mark.parametrize("ratio", [("1e30", 1), (1, "1e30"), ("1e-13", 1), ("1e400", 1)])
def test_a_ratio_beyond_all_bounds_is_refused(ratio):
    with pytest.raises(RequestError, match="out of all bounds"):
        CorporateAction.split("A", "2020-01-03", *ratio)
    with pytest.raises(RequestError, match="out of all bounds"):
        CorporateAction.cash_dividend("A", "2020-01-03", "1e13")


def test_a_holding_beyond_64_bits_is_valued_exactly(make_bars):
    """10 shares, 1:10^12 and then 1:10^9: 10^22 shares of 100 each beside what is left of the cash."""
    actions = [
        CorporateAction.split("A", "2020-01-06", "1e12", 1),
        CorporateAction.split("A", "2020-01-07", "1e9", 1),
    ]

    def initialize(context: object) -> None:
        context.done = False  # type: ignore[attr-defined]
        commission_free, no_spread = commission.PerTrade(0), slippage.FixedSlippage(spread=0)
        from rustybt.api import set_commission, set_slippage

        set_commission(commission_free)
        set_slippage(no_spread)

    def handle_data(context: object, _: object) -> None:
        if not context.done:  # type: ignore[attr-defined]
            order(symbol("A"), 10)
            context.done = True  # type: ignore[attr-defined]

    result = run_algorithm(
        bundle=make_bars({"A": [100, 100, 100, 100]}, actions=actions),
        initialize=initialize,
        handle_data=handle_data,
        capital_base=10_000,
    )
    last = result.books.iloc[-1]
    assert last["cash"] == 9_000
    assert last["positions_value"] == 10**24
    assert last["portfolio_value"] == 10**24 + 9_000


@pytest.mark.parametrize("thing", ["AAPL", "A", None, 5, float("nan"), symbol])
@pytest.mark.parametrize("call", ["current", "history", "can_trade", "is_stale"])
def test_what_is_no_asset_is_named_whole(make_bars, thing, call):
    more = {"current": ("price",), "history": ("price", 2, "1d")}.get(call, ())

    def handle_data(_: object, data: object) -> None:
        getattr(data, call)(thing, *more)

    with pytest.raises(RequestError) as caught:
        run_algorithm(bundle=make_bars({"A": [1, 2]}), initialize=nothing, handle_data=handle_data, capital_base=1)
    assert f"expected an asset, not {type(thing).__name__} {thing!r}" in str(caught.value)


def test_the_name_of_a_source_is_refused_with_the_words_that_make_one():
    with pytest.raises(RequestError, match="not its name: 'yfinance'") as caught:
        run_algorithm(data_source="yfinance", initialize=lambda context: None)
    assert caught.value.hint == "data_source=rb.get_source('yfinance')"
