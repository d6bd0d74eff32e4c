"""The book by hand: fills, commissions, splits, dividends; and as a property, to the last digit."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.data.portal.arrays.adjustments import Dividend, Split, StockDividend
from rustybt.errors import RequestError
from rustybt.market.assets import Asset, AssetAttributes
from rustybt.trading.book.ledger import Ledger
from rustybt.trading.book.nano import NANO, to_nano
from rustybt.trading.book.portfolio import Account, Portfolio
from rustybt.trading.book.position import Positions
from rustybt.trading.book.transaction import Transaction

A, B = Asset(0, "A"), Asset(1, "B")
COIN = Asset(2, "BTC", attributes=AssetAttributes(asset_type="crypto"))


def trade(ledger, asset, amount, price, dt=1):
    ledger.execute(Transaction(asset, amount, dt, to_nano(price), "1"))


def money(value):
    return to_nano(Decimal(str(value)))


def mark(ledger, *prices, dt=9):
    ledger.mark(np.array(prices, dtype=float), lambda asset: asset.sid, dt)


def test_a_purchase_is_paid_and_held():
    ledger = Ledger(10_000)
    trade(ledger, A, 30, 100.05)
    ledger.charge(A, money("0.03"))
    mark(ledger, 101.0)
    position = ledger.positions[A]
    assert ledger.cash == money("6998.47")
    assert ledger.positions_value == money(3030)
    assert ledger.portfolio_value == money("10028.47")
    assert position.cost_basis == pytest.approx(100.051)
    assert (ledger.longs_count, ledger.shorts_count) == (1, 0)


def test_a_short_is_a_negative_holding():
    ledger = Ledger(1_000)
    trade(ledger, A, -10, 20)
    ledger.charge(A, money(1))
    mark(ledger, 25.0)
    assert ledger.cash == money(1199)
    assert ledger.short_value == money(-250)
    assert ledger.portfolio_value == money(949)
    assert ledger.positions[A].cost_basis == pytest.approx(19.9)
    assert ledger.shorts_count == 1


def test_the_cost_basis_averages_additions_and_restarts_when_the_side_changes():
    ledger = Ledger(10_000)
    trade(ledger, A, 10, 20)
    trade(ledger, A, 30, 24)
    assert ledger.positions[A].cost_basis == pytest.approx(23)
    trade(ledger, A, -15, 30)
    assert ledger.positions[A].cost_basis == pytest.approx(23)
    trade(ledger, A, -40, 26)
    assert ledger.positions[A].amount == -15
    assert ledger.positions[A].cost_basis == pytest.approx(26)
    trade(ledger, A, 15, 22)
    assert A not in ledger.positions
    assert A not in ledger.view
    ledger.charge(A, money(1))
    assert ledger.cash == money(10_000 - 200 - 720 + 450 + 1040 - 330 - 1)


def test_a_holding_without_a_price_keeps_its_last():
    ledger = Ledger(1_000)
    trade(ledger, A, 1, 20)
    trade(ledger, B, 2, 30)
    mark(ledger, 21.0, 31.0, dt=5)
    mark(ledger, float("nan"), 32.0, dt=6)
    assert ledger.positions[A].last_sale_price == 21.0
    assert ledger.positions[A].last_sale_date == 5
    assert ledger.positions[B].last_sale_date == 6
    assert ledger.positions_value == money(21 + 64)


def test_prices_too_large_for_64_bits_are_exact_too():
    ledger = Ledger(1e14)
    trade(ledger, A, 3, 2e10)
    mark(ledger, 25_000_000_000.25)
    assert ledger.positions_value == money("75000000000.75")


def test_a_book_beyond_its_limit_is_refused():
    ledger = Ledger(1_000)
    with pytest.raises(RequestError, match="beyond 1e29"):
        trade(ledger, A, 10**11, 1e19)


def test_a_split_multiplies_shares_and_pays_the_fraction_in_cash():
    ledger = Ledger(10_000)
    trade(ledger, A, 101, 30.30)
    mark(ledger, 31.0)
    ledger.split(Split(A, 1, Fraction(3, 2)))
    ledger.revalue()
    position = ledger.positions[A]
    # 151.5 shares at a cost of 20.20: 151 and 10.10 in cash.
    assert position.amount == 151
    assert position.cost_basis == 20.2
    assert ledger.cash == money(10_000) - 101 * money("30.30") + money("10.10")
    assert position.price_nano == 20_666_666_667


def test_a_short_pays_for_its_fraction_and_a_reverse_split_may_leave_nothing():
    ledger = Ledger(1_000)
    trade(ledger, A, -15, 2)
    ledger.split(Split(A, 1, Fraction(1, 10)))
    assert ledger.positions[A].amount == -1
    assert ledger.cash == money(1030 - 10)
    trade(ledger, B, 5, 1)
    ledger.split(Split(B, 1, Fraction(1, 10)))
    assert B not in ledger.positions
    assert ledger.cash == money(1020 - 5 + 5)
    ledger.split(Split(B, 1, Fraction(2)))


def test_a_dividend_is_earned_before_its_ex_date_and_paid_on_its_pay_date():
    ledger = Ledger(1_000)
    trade(ledger, A, 10, 20)
    trade(ledger, B, -4, 10)
    ledger.earn(
        [Dividend(A, 3, 5, Decimal("0.1234567891")), Dividend(B, 3, 5, Decimal(1)), Dividend(COIN, 3, 5, Decimal(1))]
    )
    cash = ledger.cash
    assert ledger.pay(4) == 0
    trade(ledger, A, -10, 20)
    assert ledger.pay(5) == money("-2.765432109")
    assert ledger.cash == cash + money(200) + money("-2.765432109")
    assert ledger.pay(5) == 0


def test_a_stock_dividend_delivers_whole_shares():
    ledger = Ledger(1_000)
    trade(ledger, A, 19, 10)
    ledger.earn([StockDividend(A, 3, 5, Fraction(1, 4)), StockDividend(B, 3, 5, Fraction(1, 4))])
    ledger.pay(5)
    assert ledger.positions[A].amount == 23
    trade(ledger, A, -20, 10)
    ledger.earn([StockDividend(A, 6, 7, Fraction(1, 4))])
    ledger.pay(7)
    assert ledger.positions[A].amount == 3


def test_stock_dividends_of_a_holding_that_was_sold_are_delivered_still():
    ledger = Ledger(1_000)
    trade(ledger, A, 8, 10)
    ledger.earn([StockDividend(A, 3, 5, Fraction(1, 2))])
    trade(ledger, A, -8, 10)
    ledger.pay(5)
    assert ledger.positions[A].amount == 4
    trade(ledger, B, -2, 10)
    ledger.earn([StockDividend(B, 6, 7, Fraction(1))])
    trade(ledger, B, 4, 10)
    ledger.pay(7)
    assert B not in ledger.positions


def test_a_delisted_holding_is_closed_at_the_last_known_price():
    ledger = Ledger(1_000)
    trade(ledger, A, 10, 20)
    mark(ledger, 21.0)
    closing = ledger.close_out(A, 7, float("nan"))
    assert (closing.amount, closing.price, closing.order_id) == (-10, 21.0, None)
    assert ledger.cash == money(1010)
    assert ledger.close_out(A, 7, 5.0) is None
    trade(ledger, A, 10, 20)
    assert ledger.close_out(A, 7, 19.5).price == 19.5


def test_fractions_of_a_coin_are_valued_to_the_last_digit():
    ledger = Ledger(1_000)
    trade(ledger, COIN, 0.3, 100.123456789)
    ledger.mark(np.array([100.5]), lambda _: 0, 1)
    assert ledger.cash == money("969.962962963")
    assert ledger.positions_value == money("30.15")
    ledger.earn([Dividend(COIN, 1, 2, Decimal("0.1"))])
    assert ledger.pay(2) == money("0.03")
    ledger.split(Split(COIN, 1, Fraction(1, 2)))
    assert ledger.positions[COIN].amount == 0.15


def test_portfolio_and_account_read_the_book():
    ledger = Ledger(1_000)
    trade(ledger, A, 10, 20)
    trade(ledger, B, -5, 10)
    mark(ledger, 22.0, 12.0)
    portfolio, account = Portfolio(ledger, "start"), Account(ledger)
    assert portfolio.cash == 850.0
    assert portfolio.portfolio_value == 1010.0
    assert portfolio.positions_value == portfolio.positions_exposure == 160.0
    assert (portfolio.pnl, portfolio.returns) == (10.0, 0.01)
    assert portfolio.cash_flow == portfolio.capital_used == -150.0
    assert portfolio.starting_cash == 1000.0
    assert portfolio.start_date == "start"
    assert portfolio.current_portfolio_weights.to_dict() == pytest.approx({A: 220 / 1010, B: -60 / 1010})
    assert portfolio.positions[A].sid is A
    assert portfolio.positions[COIN].amount == 0
    assert "amount=10" in repr(portfolio.positions[A])
    assert account.leverage == pytest.approx(280 / 1010)
    assert account.net_leverage == pytest.approx(160 / 1010)
    assert account.cushion == pytest.approx(850 / 1010)
    assert account.settled_cash == account.available_funds == 850.0
    assert account.net_liquidation == account.equity_with_loan == 1010.0
    assert account.total_positions_value == 160.0
    assert account.buying_power == float("inf")
    assert "1010" in repr(portfolio)
    assert "1010" in repr(account)
    for view in (portfolio, account):
        with pytest.raises(AttributeError, match="read-only"):
            view.cash = 1


def test_an_account_of_nothing_has_no_cushion():
    ledger = Ledger(1)
    trade(ledger, A, 1, 1)
    ledger.positions.clear()
    ledger.revalue()
    account = Account(ledger)
    assert np.isnan(account.cushion)
    assert account.leverage == float("inf")


def test_positions_are_found_by_asset_only():
    with pytest.raises(RequestError, match="found by asset"):
        Positions()["A"]


cents = st.integers(1, 5_000_000).map(lambda n: Decimal(n) / 10_000)
steps = st.one_of(
    st.tuples(st.just("trade"), st.sampled_from([A, B]), st.integers(-500, 500).filter(bool), cents),
    st.tuples(st.just("charge"), st.sampled_from([A, B]), st.integers(1, 10**12), st.none()),
    st.tuples(st.just("mark"), st.just(A), cents, cents),
    st.tuples(st.just("split"), st.sampled_from([A, B]), st.integers(1, 7), st.integers(1, 7)),
    st.tuples(st.just("dividend"), st.sampled_from([A, B]), cents, st.none()),
)


@given(st.lists(steps, max_size=40))
def test_cash_and_positions_are_the_portfolio_value_to_the_last_digit(taken):
    """The book against one kept with Decimals, from the same events."""
    ledger = Ledger(1_000_000)
    cash = Decimal(1_000_000)
    for t, (kind, asset, first, second) in enumerate(taken):
        if kind == "trade":
            trade(ledger, asset, first, second, dt=t)
            cash -= first * second
        elif kind == "charge":
            ledger.charge(asset, first)
            cash -= Decimal(first) / NANO
        elif kind == "mark":
            mark(ledger, float(first), float(second), dt=t)
            for held, price in ((A, first), (B, second)):
                if held in ledger.positions:
                    assert ledger.positions[held].price_nano == int(price * NANO)
        elif kind == "split":
            before = ledger.cash
            ledger.split(Split(asset, t, Fraction(first, second)))
            cash += Decimal(ledger.cash - before) / NANO
        else:
            owed = ledger.positions[asset].amount * first if asset in ledger.positions else Decimal(0)
            ledger.earn([Dividend(asset, t, t, first)])
            ledger.pay(t)
            cash += owed
        ledger.revalue()
        value = sum((p.amount * Decimal(p.price_nano) / NANO for p in ledger.positions.values()), Decimal(0))
        assert Decimal(ledger.cash) / NANO == cash
        assert Decimal(ledger.positions_value) / NANO == value
        assert Decimal(ledger.portfolio_value) / NANO == cash + value
        assert ledger.long_value + ledger.short_value == ledger.positions_value


@given(st.decimals(-100, 100, places=8), st.decimals("0.01", 100_000, places=6))
def test_fractional_amounts_are_booked_half_even(amount, price):
    ledger = Ledger(0)
    if amount:
        trade(ledger, COIN, float(amount), price)
    exact = (-amount * price).quantize(Decimal("1e-9"), rounding=ROUND_HALF_EVEN)
    assert Decimal(ledger.cash).scaleb(-9) == exact


def test_a_book_too_large_for_64_bits_is_summed_one_by_one():
    ledger = Ledger(1e14)
    trade(ledger, A, 10**10, 20)
    trade(ledger, B, -(10**10), 21)
    mark(ledger, 20.5, 21.5)
    assert ledger.long_value == 10**10 * money("20.5")
    assert ledger.short_value == -(10**10) * money("21.5")
    assert ledger.positions_value == -(10**10) * NANO
