from datetime import date
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from rustybt.errors import RequestError
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


def series(*values):
    return pl.Series([Decimal(value) for value in values], dtype=DECIMAL)


def parse(*texts):
    parsed = parse_decimals(pl.Series(texts, dtype=pl.String))
    assert parsed.values.dtype == DECIMAL
    return parsed


@pytest.mark.parametrize(
    "text",
    [
        "0.00000712",
        "12345678901234",
        "0.00000001",
        "123456789.123456789",
        "99999999999999999999.999999999999999999",
        "-37.63",
        "0.000000000000000001",
        "12345678901234567890",
    ],
)
def test_numbers_survive_digit_for_digit(text):
    parsed = parse(text)
    assert parsed.bad is None
    assert parsed.values.item() == Decimal(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+1", "1"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e5", "100000"),
        ("1E-5", "0.00001"),
        ("7.12e-6", "0.00000712"),
        ("1.5e+2", "150"),
        ("0012.50", "12.5"),
        ("-0.0", "0"),
        ("  1.25  ", "1.25"),
        ("\t2\n", "2"),
        ("1." + "0" * 60, "1"),
        ("1.250" + "0" * 60, "1.25"),
        ("0" * 60 + "1.5", "1.5"),
        ("100000000000000000000e-1", "10000000000000000000"),
        ("0e999", "0"),
        ("0e-999", "0"),
        ("1230000000000000000000e-21", "1.23"),
    ],
)
def test_every_spelling_of_a_number_is_read_exactly(text, value):
    parsed = parse(text)
    assert parsed.bad is None
    assert parsed.values.item() == Decimal(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        ("   ", "missing"),
        ("abc", "not a number"),
        ("1,000", "not a number"),
        ("1_000", "not a number"),
        ("12.3.4", "not a number"),
        ("1e", "not a number"),
        ("\uff11\uff12", "not a number"),
        ("0x10", "not a number"),
        ("1\x00", "not a number"),
        ("nan", "not finite"),
        ("NaN", "not finite"),
        ("inf", "not finite"),
        ("-Infinity", "not finite"),
        ("1e400", "not finite"),
        ("1e99999999999999999999", "not finite"),
        ("1e-99999999999999999999", "more than 18 decimals"),
        ("0.0000000000000000005", "more than 18 decimals"),
        ("1.0000000000000000001", "more than 18 decimals"),
        ("1e-19", "more than 18 decimals"),
        ("1.5e-18", "more than 18 decimals"),
        ("123456789.1234567891234567891", "more than 18 decimals"),
        ("100000000000000000000", "more than 20 integer digits"),
        ("1e20", "more than 20 integer digits"),
    ],
)
def test_what_cannot_be_kept_exactly_is_bad_with_its_reason(text, reason):
    parsed = parse("1.5", text, "2.5")
    assert parsed.values.to_list() == [Decimal("1.5"), None, Decimal("2.5")]
    assert parsed.bad.to_list() == [None, reason, None]
    assert parsed.bad_count == 1


def test_an_empty_column_parses_to_nothing():
    parsed = parse_decimals(pl.Series([], dtype=pl.String))
    assert parsed.values.len() == 0
    assert parsed.bad is None


def test_long_and_short_texts_mix_in_one_column():
    texts = ["1.5", "2.25000000000000000000000", "3e0", "0.1234567890123456789"]
    parsed = parse(*texts)
    assert parsed.values.to_list() == [Decimal("1.5"), Decimal("2.25"), Decimal(3), None]
    assert parsed.bad.to_list() == [None, None, None, "more than 18 decimals"]


def test_widened_float32_prices_are_read_as_what_they_were():
    prices = ["150.13", "0.07", "72.71607", "1234.5", "99.99", "0.00000712"]
    column = np.array([float(p) for p in prices], dtype=np.float32).astype(np.float64)
    assert column[0] == 150.1300048828125
    parsed, rule = decode_floats(column)
    assert rule == "float32"
    assert parsed.values.to_list() == [Decimal(p) for p in prices]


def test_one_widened_price_is_enough_to_tell():
    parsed, rule = decode_floats(np.array([150.1300048828125]))
    assert (rule, parsed.values.item()) == ("float32", Decimal("150.13"))


def test_a_float64_column_with_some_float32_values_is_not_mangled():
    column = pl.Series([0.1, 0.0009765625, 150.1300048828125])
    parsed, rule = decode_floats(column)
    assert rule == "float64"
    assert parsed.values.to_list() == [Decimal("0.1"), Decimal("0.0009765625"), Decimal("150.1300048828125")]


@pytest.mark.parametrize(
    "prices", [[119.0078125, 118.984375, 119.5], [0.5, 0.25], [0.0009765625], [5000.015625], [1200.125]]
)
def test_prices_quoted_in_binary_fractions_are_taken_as_they_are(prices):
    parsed, rule = decode_floats(np.array(prices))
    assert rule == "float64"
    assert parsed.values.to_list() == [Decimal(p) for p in prices]


def test_whole_numbers_are_taken_as_they_are_even_in_a_widened_column():
    parsed, rule = decode_floats(np.array([150.1300048828125, 123456784.0]))
    assert rule == "float32"
    assert parsed.values.to_list() == [Decimal("150.13"), Decimal(123456784)]


def test_a_float32_column_is_decoded_as_float32():
    parsed, rule = decode_floats(pl.Series([150.13, 0.1], dtype=pl.Float32))
    assert rule == "float32"
    assert parsed.values.to_list() == [Decimal("150.13"), Decimal("0.1")]


def test_floats_that_are_not_finite_or_missing_are_bad():
    parsed, rule = decode_floats(pl.Series([1.1, float("nan"), float("inf"), float("-inf"), None]))
    assert rule == "float64"
    assert parsed.bad.to_list() == [None, "not finite", "not finite", "not finite", "missing"]
    widened = pl.Series([150.1300048828125, float("nan"), None])
    parsed, rule = decode_floats(widened)
    assert rule == "float32"
    assert parsed.values.to_list() == [Decimal("150.13"), None, None]
    assert parsed.bad.to_list() == [None, "not finite", "missing"]


def test_floats_beyond_what_is_stored_are_bad():
    parsed, _ = decode_floats(np.array([1e300, 1e20, 1e-19, 1e-7]))
    assert parsed.bad.to_list() == [
        "more than 20 integer digits",
        "more than 20 integer digits",
        "more than 18 decimals",
        None,
    ]


@pytest.mark.parametrize(
    ("column", "rule", "values"),
    [
        (pl.Series(["1.50", "2"]), "text", ["1.5", "2"]),
        (pl.Series(["a", "1"], dtype=pl.Categorical), "text", [None, "1"]),
        (pl.Series(["1", "2"], dtype=pl.Enum(["1", "2"])), "text", ["1", "2"]),
        (pl.Series([None, None]), "text", [None, None]),
        (pl.Series([1, -2], dtype=pl.Int8), "integer", ["1", "-2"]),
        (pl.Series([2**64 - 1], dtype=pl.UInt64), "integer", ["18446744073709551615"]),
        (pl.Series([10**20, 5, None], dtype=pl.Int128), "integer", [None, "5", None]),
        (pl.Series([0.1], dtype=pl.Float64), "float64", ["0.1"]),
        (pl.Series([0.1], dtype=pl.Float32), "float32", ["0.1"]),
        (pl.Series([Decimal("1.25"), None], dtype=pl.Decimal(10, 2)), "decimal", ["1.25", None]),
        (pl.Series([Decimal("1.5")], dtype=pl.Decimal(38, 25)), "decimal", ["1.5"]),
        (pl.Series([Decimal(10) ** 25], dtype=pl.Decimal(38, 2)), "decimal", [None]),
        (pl.Series([Decimal("1.1"), None, "x", 2, 0.1], dtype=pl.Object), "decimal", ["1.1", None, None, "2", "0.1"]),
    ],
)
def test_any_column_of_numbers_becomes_the_contracts_decimals(column, rule, values):
    parsed, used = to_contract(column)
    assert used == rule
    assert parsed.values.dtype == DECIMAL
    assert parsed.values.to_list() == [None if value is None else Decimal(value) for value in values]
    assert (parsed.bad is None) == (None not in values)


def test_reasons_follow_the_column_kind():
    parsed, _ = to_contract(pl.Series([10**20, None], dtype=pl.Int128))
    assert parsed.bad.to_list() == ["more than 20 integer digits", "missing"]
    lost = pl.Series([Decimal("1.5"), Decimal("1E-20"), None], dtype=pl.Decimal(38, 20))
    parsed, _ = to_contract(lost)
    assert parsed.values.to_list() == [Decimal("1.5"), None, None]
    assert parsed.bad.to_list() == [None, "more than 18 decimals", "missing"]
    parsed, _ = to_contract(lost.head(2))
    assert parsed.bad.to_list() == [None, "more than 18 decimals"]


@pytest.mark.parametrize(
    "column", [pl.Series("open", [True, False]), pl.Series("open", [date(2020, 1, 1)]), pl.Series("open", [[1]])]
)
def test_columns_that_hold_no_numbers_are_refused(column):
    with pytest.raises(RequestError, match="open"):
        to_contract(column)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (["1", "200", "-3"], 0),
        (["1.5", "2.25"], 2),
        (["0.00000712"], 8),
        (["0.000000000000000001"], 18),
        (["99999999999999999999.999999999999999999"], 18),
        ([], 0),
    ],
)
def test_the_smallest_scale_keeps_every_digit(values, scale):
    assert smallest_scale(series(*values)) == scale


def test_the_smallest_scale_is_found_although_a_sample_misses_it():
    values = ["1.5"] * 5_000
    values[4_321], values[1_234] = "1.000007", "1.25"
    assert smallest_scale(series(*values)) == 6


def test_nulls_do_not_matter_for_the_scale():
    assert smallest_scale(pl.Series([None, Decimal("0.125")], dtype=DECIMAL)) == 3


def test_integers_at_a_scale_are_exact_or_refused():
    assert to_integers(series("1.5", "-2.25"), 2).tolist() == [150, -225]
    assert to_integers(series("9.223372036854775807"), 18).tolist() == [2**63 - 1]
    assert to_integers(series("9.223372036854775808"), 18) is None
    assert to_integers(series("12345678901234"), 0).tolist() == [12345678901234]


def test_floats_are_rounded_correctly_beyond_the_53_bits_of_a_double():
    values = np.array([2**53 + 1, 9_007_199_254_740_993, 10**18 + 1, -(10**18) - 1, 123], dtype=np.int64)
    for scale in (0, 2, 18, 25):
        assert integers_to_floats(values, scale).tolist() == [int(v) / 10**scale for v in values]


def test_decimals_too_large_for_integers_become_correct_floats():
    values = ["99999999999999999999.999999999999999999", "0.000000000000000001"]
    assert to_floats(series(*values)).tolist() == [float(value) for value in values]
    assert to_floats(series("150.13")).tolist() == [150.13]
