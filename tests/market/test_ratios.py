"""The ratio that a float was divided from."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.errors import RequestError
from rustybt.market.ratios import ratio_of_float


@pytest.mark.parametrize(
    ("value", "ratio"),
    [
        (0.5, Fraction(1, 2)),
        (1 / 3, Fraction(1, 3)),
        (2 / 3, Fraction(2, 3)),
        (10.0, Fraction(10)),
        (0.05, Fraction(1, 20)),
        (1e-4, Fraction(1, 10_000)),
        (1 / 1.05, Fraction(20, 21)),
        (1 / 1.4882, Fraction(5_000, 7_441)),
        (1.0 / (1.0 / 15), Fraction(15)),
        (1000 / 1001, Fraction(1_000, 1_001)),
        (0.142857, Fraction(142_857, 1_000_000)),
        (7 / 98_765, Fraction(7, 98_765)),
        (1 / 3_000_000, Fraction(1, 3_000_000)),
        (2.0**-40, Fraction(1, 2**40)),
    ],
)
def test_a_float_stands_for_the_small_ratio_that_was_divided(value, ratio):
    assert ratio_of_float(value) == ratio


def test_a_float_of_no_small_ratio_is_the_decimal_that_it_prints_as():
    assert ratio_of_float(0.98765432109876543) == Fraction("0.9876543210987654")
    assert ratio_of_float(1.2345678901) == Fraction("1.2345678901")


@given(new=st.integers(1, 100_000), old=st.integers(1, 100_000))
def test_every_split_comes_back_from_its_quotient_and_from_the_quotient_of_that(new, old):
    assert ratio_of_float(old / new) == Fraction(old, new)
    assert ratio_of_float(1.0 / (new / old)) == Fraction(old, new)


@pytest.mark.parametrize("value", [0.0, -0.5, float("inf"), float("nan")])
def test_what_is_no_positive_number_is_no_ratio(value):
    with pytest.raises(RequestError, match="is not a positive number"):
        ratio_of_float(value)
