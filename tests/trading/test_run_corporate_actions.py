"""What happens to holdings in a run: splits, dividends, spin-offs, delistings."""

from __future__ import annotations

from datetime import date

import pytest

from rustybt import api
from rustybt.algorithm import run_algorithm
from rustybt.market.corporate_actions import CorporateAction
from tests.trading.strategies import FREE, buy_once


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


def test_delisted_holdings_are_closed_in_the_order_in_which_they_were_bought(make_bars):
    def handle_data(context, data):
        if data.current_session.day == 2:
            api.order(api.symbol("B"), 1)
            api.order(api.symbol("A"), 1)

    bars = make_bars({"A": [1, 1, None], "B": [1, 1, None], "C": [1, 1, 1]})
    result = run_algorithm(bundle=bars, capital_base=1_000, handle_data=handle_data, **FREE)
    assert list(result.transactions["symbol"]) == ["B", "A", "B", "A"]


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
