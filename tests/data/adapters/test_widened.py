"""Fast decoding against the slow one, and against numpy's own shortest text."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.data.adapters.yahoo.widened import decode_widened
from rustybt.market.decimals import decode_floats

prices = st.one_of(
    st.integers(1, 10**8).map(lambda cents: np.float32(cents / 100)),
    st.integers(1, 10**9).map(lambda tiny: np.float32(tiny / 28 / 100)),
    st.floats(min_value=0.0009765625, max_value=9_999_999, width=32).map(np.float32),
    st.integers(1, 10**7).map(np.float32),
    st.integers(1, 2**20).map(lambda part: np.float32(part / 128)),
    st.integers(-9, 22).map(lambda power: np.float32(2.0**power)),
)


def widened(*numbers):
    return np.array([np.float32(number) for number in numbers], dtype=np.float32).astype(np.float64)


@given(st.lists(prices, min_size=1, max_size=30))
def test_what_it_decodes_is_what_the_text_says(numbers):
    column = widened(*numbers)
    fast = decode_widened(column)
    if fast is not None:
        slow, rule = decode_floats(column)
        assert rule == "float32"
        assert fast.to_list() == slow.values.to_list()


@given(st.lists(st.integers(1, 9_999_999), min_size=1, max_size=30), st.sampled_from([10, 100, 1_000]))
def test_plain_prices_are_decoded_to_the_cent(cents, scale):
    column = widened(150.13, *(number / scale for number in cents if number / scale >= 0.002))
    fast = decode_widened(column)
    if fast is not None:
        assert fast.to_list() == [Decimal(str(np.float32(number))) for number in column]


def test_a_column_of_cents_is_not_left_to_the_slow_way():
    cents = np.arange(500, 200_000, 7)
    fast = decode_widened(widened(*(cents / 100)))
    assert fast.to_list() == [Decimal(int(number)) / 100 for number in cents]


def test_negative_prices_keep_their_sign():
    assert decode_widened(widened(-37.63, 12.1)).to_list() == [Decimal("-37.63"), Decimal("12.1")]


@pytest.mark.parametrize(
    "column",
    [
        np.array([]),
        np.array([150.13, 150.14]),  # doubles of their own
        np.array([119.0078125, 119.5]),  # binary fractions
        np.array([1.0, 2.0]),  # whole: nothing to tell by
        widened(150.13, 0.0),
        widened(150.13, 1e-5),
        widened(150.13, 3e8),
        np.array([np.nan, 1.5]),
        np.array([np.inf, 1.5]),
        widened(150.13, 1 / 3),
    ],
)
def test_what_is_doubtful_is_left_to_the_slow_way(column):
    assert decode_widened(column) is None
