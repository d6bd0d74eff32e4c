"""Numbers as people print them: with a decimal comma, or with marks between thousands.

What a mark means is never guessed: ``168,700`` is a price in Frankfurt and another one in New York.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import polars as pl

from rustybt.errors import RequestError
from rustybt.market.decimals import ParsedDecimals, parse_decimals

if TYPE_CHECKING:
    from collections.abc import Callable

DECIMAL_MARKS = (".", ",")

# A space, one that does not break, a narrow one, two apostrophes.
_THOUSANDS = (" ", "\u00a0", "\u202f", "'", "\u2019")
_COMMA_NUMBER = r"^[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+$"
# Reads as no number, whatever the marks.
_UNREADABLE = "?"


def check_decimal_mark(mark: str | None) -> str | None:
    """Return `mark` if it is one of `DECIMAL_MARKS`, or None.

    Raises
    ------
    RequestError
        It is another.
    """
    if mark is None or mark in DECIMAL_MARKS:
        return mark
    raise RequestError(f"unknown decimal mark {mark!r}", hint="use . or , as in --decimal ,")


def number_parser(mark: str | None) -> Callable[[pl.Series], ParsedDecimals]:
    """Return what reads a column of printed numbers.

    Parameters
    ----------
    mark
        The decimal mark; the other one, spaces and apostrophes may then stand between groups of three digits. None reads
        plain numbers with a point, and no marks between thousands.
    """
    return parse_decimals if mark is None else functools.partial(_parse_marked, mark=mark)


def comma_example(values: pl.Series) -> str | None:
    """Return the first value that looks like a number with a decimal comma, None if none does."""
    plain = values.drop_nulls().str.strip_chars()
    found = plain.filter(plain.str.contains(_COMMA_NUMBER)).head(1)
    return str(found.item()) if found.len() else None


def _parse_marked(text: pl.Series, mark: str) -> ParsedDecimals:
    separators = ("," if mark == "." else r"\.", *_THOUSANDS)
    grouped = "|".join(rf"\d{{1,3}}(?:{separator}\d{{3}})+" for separator in separators)
    legal = rf"^[+-]?(?:{grouped}|\d*)(?:[{mark}]\d*)?(?:[eE][+-]?\d+)?$"
    marks = rf"[.,{''.join(_THOUSANDS)}]"
    between = rf"[{''.join(separators)}]"
    plain = pl.col("text").str.strip_chars()
    # What holds no mark at all, such as an empty field or nan, is for the plain reader to judge.
    read = pl.DataFrame({"text": text}).select(
        text=pl.when(~plain.str.contains(marks))
        .then(plain)
        .when(plain.str.contains(legal))
        .then(plain.str.replace_all(between, "").str.replace(mark, ".", literal=True))
        .when(plain.is_not_null())
        .then(pl.lit(_UNREADABLE))
    )
    return parse_decimals(read["text"])
