"""JSON that can be read in one way only, and answers of no shape that anybody foresaw."""

import logging

import polars as pl
import pytest

from rustybt.data.adapters.exact_json import read_doubles, read_exactly
from rustybt.data.adapters.reading import EARLIEST, LATEST, is_time, reading
from rustybt.errors import BadResponseError, MissingDependencyError


def test_digits_stay_as_printed():
    text = '{"a": 1.10, "b": 12345678901234567890.123456789, "c": [7, 1e400], "d": null}'
    assert read_exactly(text) == {"a": "1.10", "b": "12345678901234567890.123456789", "c": ["7", "1e400"], "d": None}
    assert read_exactly("[7, 7.0]", whole=int) == [7, "7.0"]
    assert read_doubles("[7, 0.5]") == [7, 0.5]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '[{"a": {"b": 1, "b": 1}}]',
        "NaN",
        "[Infinity]",
        "[-Infinity]",
        "",
        "{",
        "[1,]",
        "[" * 100_000,
    ],
)
@pytest.mark.parametrize("read", [read_exactly, read_doubles])
def test_what_can_be_read_in_two_ways_or_none_is_an_error(read, text):
    with pytest.raises(ValueError):
        read(text)


def test_a_number_of_thousands_of_digits_is_an_error_where_numbers_are_made_of_it():
    with pytest.raises(ValueError, match=r"digits|infinity"):
        read_doubles("9" * 5_000)


@pytest.mark.parametrize(
    "stumble",
    [
        lambda: {}["key"],
        [].pop,
        lambda: int("x"),
        lambda: None + 1,
        lambda: "".nothing,
        lambda: 2.0**10_000,
        lambda: 1 / 0,
        lambda: pl.Series(["x"]).cast(pl.Int64),
    ],
)
def test_whatever_the_reading_stumbles_over_is_the_answers_fault(stumble, caplog):
    caplog.set_level(logging.DEBUG)
    with (
        pytest.raises(BadResponseError, match="acme: the answer for AAPL 1d") as caught,
        reading("acme", "AAPL 1d", "AAPL"),
    ):
        stumble()
    assert caught.value.details["symbol"] == "AAPL"
    assert caught.value.__cause__ is None
    # For whoever has to find out whether the reading is to blame.
    assert "unreadable_answer" in caplog.text


def test_errors_of_ours_pass():
    with pytest.raises(MissingDependencyError), reading("acme", "AAPL"):
        raise MissingDependencyError("acme is not installed")


def test_instants_of_markets_are_told_from_nonsense():
    assert is_time(0)
    assert is_time(EARLIEST)
    assert is_time(LATEST)
    assert not is_time(LATEST + 1)
    assert not is_time(10**19)
