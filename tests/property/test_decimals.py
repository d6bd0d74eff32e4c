import decimal
import re
from decimal import Decimal

import numpy as np
import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rustybt.market.bars import DECIMAL
from rustybt.market.decimals import (
    decode_floats,
    integers_to_floats,
    parse_decimals,
    smallest_scale,
    to_contract,
    to_floats,
    to_integers,
)

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

fitting = st.builds(
    lambda unscaled, scale: Decimal(unscaled).scaleb(-scale),
    st.integers(-(10**20) + 1, 10**20 - 1),
    st.integers(0, 18),
)
any_number = st.from_regex(r"\A[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?\Z")
noise = st.text(alphabet="0123456789.eE+- _,naif\u0661x", max_size=24)


def fits(value):
    """The contract's own words: at most 20 integer digits and 18 decimals."""
    return abs(value) < 10**20 and value * 10**18 == (value * 10**18).to_integral_value()


@given(st.lists(st.one_of(any_number, noise), max_size=8))
@example(["1e-18", "1e19", "1e20", "0e-400"])
@example(["0" * 30 + "." + "0" * 30])
@settings(max_examples=400)
def test_text_is_read_exactly_or_refused(texts):
    parsed = parse_decimals(pl.Series(texts, dtype=pl.String))
    bad = [None] * len(texts) if parsed.bad is None else parsed.bad.to_list()
    with decimal.localcontext(prec=2_000, Emax=10**6, Emin=-(10**6)):
        for text, value, reason in zip(texts, parsed.values.to_list(), bad, strict=True):
            assert (value is None) == (reason is not None)
            stripped = text.strip()
            if not NUMBER.fullmatch(stripped):
                assert value is None
            elif fits(Decimal(stripped)):
                assert value == Decimal(stripped)
            else:
                assert value is None
                assert reason.startswith(("more than", "not finite"))


@given(st.lists(fitting, min_size=1, max_size=20))
def test_decimals_go_to_integers_and_floats_without_loss(values):
    column = pl.Series(values, dtype=DECIMAL)
    scale = smallest_scale(column)
    with decimal.localcontext(prec=100):
        assert all((v.scaleb(scale)) % 1 == 0 for v in values)
        assert scale == 0 or any((v.scaleb(scale - 1)) % 1 != 0 for v in values)
        expected = [int(v.scaleb(scale)) for v in values]
    integers = to_integers(column, scale)
    if max(abs(v) for v in expected) < 2**63:
        assert integers.tolist() == expected
    else:
        assert integers is None
    assert to_floats(column).tolist() == [float(v) for v in values]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=10), st.integers(0, 30))
@example([-(2**63)], 0)
@example([-(2**63), 2**53, 2**53 + 1], 3)
def test_integers_become_correctly_rounded_floats(values, scale):
    floats = integers_to_floats(np.array(values, dtype=np.int64), scale)
    # Python's float of a decimal text is correctly rounded.
    assert floats.tolist() == [float(f"{v}e-{scale}") for v in values]


@given(st.lists(st.floats(width=64), max_size=10))
def test_a_float64_is_what_python_prints_of_it_unless_it_was_widened(values):
    parsed, rule = decode_floats(np.array(values, dtype=np.float64))
    if rule == "float64":
        for value, found in zip(values, parsed.values.to_list(), strict=True):
            if found is not None:
                assert found == Decimal(repr(value))
            else:
                assert not np.isfinite(value) or abs(value) >= 1e20 or not fits(Decimal(repr(value)))


@given(st.lists(st.decimals("0.01", "9999.99", places=2), min_size=3, max_size=50))
def test_prices_in_cents_survive_float32_and_back(prices):
    widened = np.array([float(p) for p in prices], dtype=np.float32).astype(np.float64)
    parsed, rule = decode_floats(widened)
    if rule == "float32":
        assert parsed.values.to_list() == prices
    else:
        # Nothing in the column needed rounding to look like cents.
        assert parsed.values.to_list() == [Decimal(float(w)) for w in widened]
        assert all(len(repr(float(w))) < len(str(np.float32(w))) + 5 for w in widened)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=10))
def test_a_float32_is_what_numpy_prints_of_it(values):
    parsed, rule = to_contract(pl.Series(values, dtype=pl.Float32))
    assert rule == "float32"
    for value, found in zip(np.array(values, dtype=np.float32), parsed.values.to_list(), strict=True):
        if found is not None:
            assert found == Decimal(str(value))
            assert np.float32(found) == value
