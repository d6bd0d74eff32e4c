"""Integers of 1e-9, lots, and the amounts that orders mean."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.errors import RequestError
from rustybt.market.assets import Asset, AssetAttributes
from rustybt.trading.book.nano import LIMIT, from_nano, guard, half_even, times, to_nano
from rustybt.trading.orders.lots import lot_of, round_order, truncate

SHARE = Asset(1, "A")
COIN = Asset(2, "BTC/USDT", attributes=AssetAttributes(asset_type="crypto"))
TENTH = Asset(3, "T", attributes=AssetAttributes(lot_size=Decimal("0.1")))
ROUND_LOT = Asset(4, "R", attributes=AssetAttributes(lot_size=Decimal(100)))


@given(st.decimals(-(10**6), 10**6, places=9))
def test_nine_decimals_come_through_a_float_unchanged(value):
    assert to_nano(float(value)) == int(value.scaleb(9))


@given(st.floats(-1e25, 1e25).filter(lambda x: abs(x) >= 2e6))
def test_large_floats_are_their_shortest_decimal_rounded_half_even(value):
    exact = Decimal(repr(value)).scaleb(9).quantize(Decimal(1), rounding=ROUND_HALF_EVEN) if abs(value) < 1e15 else None
    if exact is not None:
        assert to_nano(value) == int(exact)
    else:
        assert to_nano(value) == int(Fraction(Decimal(repr(value))) * 10**9)


@pytest.mark.parametrize(
    ("value", "nano"),
    [
        (Decimal("0.0000000005"), 0),
        (Decimal("0.0000000015"), 2),
        (Decimal("-0.0000000025"), -2),
        (7, 7_000_000_000),
        (12_345_678.125, 12_345_678_125_000_000),
    ],
)
def test_ties_go_to_the_even_digit(value, nano):
    assert to_nano(value) == nano


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_no_money(value):
    with pytest.raises(RequestError, match="not an amount of money"):
        to_nano(value)


def test_the_book_has_a_limit():
    assert guard(LIMIT - 1) == LIMIT - 1
    with pytest.raises(RequestError, match="beyond 1e29"):
        guard(-LIMIT)
    with pytest.raises(RequestError, match="beyond 1e29"):
        to_nano(1e30)


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**12))
def test_half_even_is_the_decimal_rule(numerator, denominator):
    exact = Fraction(numerator, denominator)
    found = half_even(numerator, denominator)
    assert abs(exact - found) <= Fraction(1, 2)
    if abs(exact - found) == Fraction(1, 2):
        assert found % 2 == 0


def test_products_are_rounded_once():
    assert times(to_nano(1.5), to_nano(2.5)) == to_nano(3.75)
    assert times(1, 500_000_000) == 0
    assert times(3, 500_000_000) == 2
    assert from_nano(1_250_000_000) == 1.25


@pytest.mark.parametrize(
    ("amount", "meant"),
    [
        (3, 3),
        (3.99991, 4),
        (3.9998, 3),
        (3.99995, 4),
        (5.5, 5),
        (-5.5, -5),
        (-3.99995, -4),
        (0.2, 0),
        (Decimal("7.3"), 7),
    ],
)
def test_an_order_for_shares_is_cut_to_whole_ones_unless_it_is_one_but_for_noise(amount, meant):
    assert round_order(amount, SHARE) == meant
    assert type(round_order(amount, SHARE)) is int


def test_fractional_lots_are_cut_to_the_lot():
    assert lot_of(SHARE) is None
    assert lot_of(ROUND_LOT) is None
    assert lot_of(COIN) == Decimal("1e-8")
    assert round_order(0.123456789, COIN) == 0.12345678
    assert round_order(-0.29, TENTH) == -0.2
    assert truncate(0.30000000000000004, TENTH, near=True) == 0.3
    assert truncate(Fraction(1, 3), COIN) == 0.33333333
    assert truncate(7, COIN) == 7


def test_a_decimal_amount_is_exact_to_the_lot():
    assert round_order(Decimal("0.29"), COIN) == 0.29
    assert round_order(Decimal("12345678.12345678"), COIN) == 12345678.12345678
    assert round_order(Decimal("-0.000000019"), COIN) == -0.00000001
    assert type(round_order(Decimal(3), COIN)) is float
    # So many nines that 28 digits would be rounded up to the next lot.
    assert round_order(Decimal("0." + 40 * "9"), COIN) == 0.99999999
    assert truncate(Fraction(10**40 - 1, 10**40), COIN) == 0.99999999
    assert round_order(Decimal("99999999999.5"), SHARE) == 99_999_999_999
    assert round_order(Decimal("2.9999"), SHARE) == 3
    assert round_order(Decimal("2.99989999"), SHARE) == 2


def test_lots_do_not_depend_on_the_users_decimal_context():
    with localcontext() as context:
        context.prec = 3
        assert round_order(Decimal("1234.56789"), COIN) == 1234.56789
        assert truncate(Fraction(1, 3), COIN) == 0.33333333
