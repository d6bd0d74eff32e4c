"""Numbers with a decimal comma or marks between thousands."""

from decimal import Decimal

import polars as pl
import pytest

from rustybt.data.sources.reading.printed_numbers import check_decimal_mark, comma_example, number_parser
from rustybt.errors import RequestError


def read(text, mark):
    parsed = number_parser(mark)(pl.Series([text], dtype=pl.String))
    return parsed.values.item(), None if parsed.bad is None else parsed.bad.item()


@pytest.mark.parametrize(
    ("text", "mark", "value"),
    [
        ("168,70", ",", "168.70"),
        ("16.828,70", ",", "16828.70"),
        ("58.220.000", ",", "58220000"),
        ("1.234", ",", "1234"),
        ("1 234,5", ",", "1234.5"),
        ("1\u00a0234,5", ",", "1234.5"),
        ("1'234,5", ",", "1234.5"),
        (",5", ",", "0.5"),
        ("-37,63", ",", "-37.63"),
        ("1,5e3", ",", "1500"),
        ("42", ",", "42"),
        (" 42 ", ",", "42"),
        ("0,000000000000000001", ",", "0.000000000000000001"),
        ("82,488,700", ".", "82488700"),
        ("1,234.50", ".", "1234.50"),
        ("187.15", ".", "187.15"),
        ("187.15", None, "187.15"),
    ],
)
def test_a_number_is_read_by_its_marks(text, mark, value):
    number, bad = read(text, mark)
    assert (number, bad) == (Decimal(value), None)


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        *[
            ("168.70", ","),
            ("1,234,5", ","),
            ("1.23.456,7", ","),
            ("1.2345,6", ","),
            ("1.234'567,8", ","),
            ("x,5", ","),
        ],
        *[("168,70", "."), ("1,23.5", "."), ("1.2.3", "."), (",", ","), ("1.5", ",")],
        *[("168,70", None), ("82,488,700", None)],
    ],
)
def test_a_number_whose_marks_do_not_fit_is_none(text, mark):
    assert read(text, mark) == (None, "not a number")


def test_empty_fields_stay_missing_and_nan_not_finite():
    parsed = number_parser(",")(pl.Series(["", None, "nan", "1,5"]))
    assert parsed.bad.to_list() == ["missing", "missing", "not finite", None]


def test_only_a_decimal_comma_is_taken_for_one():
    assert comma_example(pl.Series(["1.5", None, "1.234,50"])) == "1.234,50"
    assert comma_example(pl.Series(["1,234,500", "1.5", "x"])) is None


def test_another_mark_is_refused():
    assert check_decimal_mark(None) is None
    with pytest.raises(RequestError, match="unknown decimal mark"):
        check_decimal_mark("'")
