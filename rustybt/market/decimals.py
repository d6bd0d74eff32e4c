"""Numbers into exact decimals and back: no digit is ever lost without a word.

Every value of a bar is `Decimal(38, 18)` (see `rustybt.market.bars`). What does not fit into 20 integer digits and 18 decimals
is reported as bad, with a reason, and never rounded: polars itself rounds silently to the scale.
"""

from __future__ import annotations

import decimal
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from rustybt.errors import RequestError
from rustybt.market.bars import DECIMAL

MAX_SCALE = 18
MAX_INTEGER_DIGITS = 20

MISSING = "missing"
NOT_A_NUMBER = "not a number"
NOT_FINITE = "not finite"
TOO_MANY_DECIMALS = f"more than {MAX_SCALE} decimals"
TOO_MANY_DIGITS = f"more than {MAX_INTEGER_DIGITS} integer digits"

IntegerArray: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]
FloatArray: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]

# "0." and 17 digits, or a point and 18: whatever is no longer cannot hold more than 18 decimals or 19 integer digits.
_SAFE_LENGTH = 19
# How much shorter the decimal must be that a float32 stands for, to prove that a float64 was widened from one.
_WIDENED_DIGITS = 5
# A double needs 17 digits and 10**22 is the last power of ten that is exact in one.
_EXACT_INTEGER = 2**53
_EXACT_POWER = 22
_LARGEST_DOUBLE_EXPONENT = 308
_SAMPLE_ROWS = 1_000

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SPECIAL = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ParsedDecimals:
    """A column of exact values, and why some are absent.

    Parameters
    ----------
    values
        Decimal(38, 18), null where the input was bad.
    bad
        String, the reason per row and null where the value is good; None when all rows are good.
    """

    values: pl.Series
    bad: pl.Series | None = None

    @property
    def bad_count(self) -> int:
        """Number of rows without a value."""
        return self.values.null_count()


def parse_decimals(text: pl.Series) -> ParsedDecimals:
    """Convert a String series digit for digit; surrounding spaces are ignored, ``1e-5``, ``.5``, ``5.`` and ``+1`` are numbers.

    Reasons are ``missing`` (null or blank), ``not a number``, ``not finite`` (nan, inf, 1e400), ``more than 18 decimals``
    and ``more than 20 integer digits``. Zeros that say nothing, as in 1.50000000000000000000, do not count.
    """
    values = text.cast(DECIMAL, strict=False)
    if values.null_count() > text.null_count():
        text = text.str.strip_chars()
        values = text.cast(DECIMAL, strict=False)
    doubtful = _may_lose_digits(text)
    if values.null_count() == 0 and doubtful is None:
        return ParsedDecimals(values)
    # Polars agrees with Python on what a number is, so nulls and doubtful rows are all that is left to look at.
    missing = text.is_null() | (text == "").fill_null(value=False)
    again = (values.is_null() if doubtful is None else values.is_null() | doubtful) & ~missing
    rows = again.arg_true()
    reasons = pl.repeat(MISSING, text.len(), dtype=pl.String, eager=True).set(~missing, None)
    if not rows.is_empty():
        looked_at = [_parse_one(item) for item in text.gather(rows)]
        values = values.scatter(rows, pl.Series([value for value, _ in looked_at], dtype=DECIMAL))
        reasons = reasons.scatter(rows, pl.Series([reason for _, reason in looked_at], dtype=pl.String))
    return ParsedDecimals(values, reasons if reasons.null_count() < reasons.len() else None)


def _may_lose_digits(text: pl.Series) -> pl.Series | None:
    """Return which rows the cast may have rounded, or None if none can have been."""
    exponents = text.str.contains_any(["e", "E"])
    has_exponents = bool(exponents.any())
    if not has_exponents and (text.str.len_bytes().max() or 0) <= _SAFE_LENGTH:  # type: ignore[operator]
        return None
    mantissa, exponent = text, pl.Series([0], dtype=pl.Int64)
    if has_exponents:
        parts = text.str.to_lowercase().str.splitn("e", 2).struct.unnest()
        mantissa = parts["field_0"]
        # An exponent beyond any reason stays null here, and its row doubtful.
        exponent = pl.select(
            pl.when(parts["field_1"].is_null()).then(0).otherwise(parts["field_1"].cast(pl.Int32, strict=False))
        ).to_series()
    length = mantissa.str.len_bytes().cast(pl.Int64)
    point = mantissa.str.find(".", literal=True).cast(pl.Int64)
    decimals = (length - point - 1).fill_null(0)
    doubtful = ~(decimals - exponent <= MAX_SCALE).fill_null(value=False) & text.is_not_null()
    if not has_exponents and doubtful.any():
        # Padded with zeros, as databases print numbers: the digits that say something may be few.
        rows = doubtful.arg_true()
        length = mantissa.gather(rows).str.strip_chars_end("0").str.len_bytes().cast(pl.Int64)
        doubtful = doubtful.scatter(rows, length - point.gather(rows) - 1 > MAX_SCALE)
    return doubtful


def _parse_one(text: str) -> tuple[decimal.Decimal | None, str | None]:
    """Return the exact value of one text, or the reason why there is none."""
    if _SPECIAL.fullmatch(text):
        return None, NOT_FINITE
    if not _NUMBER.fullmatch(text):
        return None, NOT_A_NUMBER
    try:
        value = decimal.Decimal(text)
    except decimal.InvalidOperation:
        # The exponent alone has more digits than decimal can count.
        negative = text.lower().partition("e")[2].startswith("-")
        return None, TOO_MANY_DECIMALS if negative else NOT_FINITE
    return _fit(value)


def _fit(value: decimal.Decimal) -> tuple[decimal.Decimal | None, str | None]:
    """Return a finite value if it fits the contract, else the reason."""
    if not value:
        return decimal.Decimal(0), None
    if value.adjusted() > _LARGEST_DOUBLE_EXPONENT:
        return None, NOT_FINITE
    if value.adjusted() >= MAX_INTEGER_DIGITS:
        return None, TOO_MANY_DIGITS
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return None, NOT_FINITE
    significant = len(digits)
    while significant > 1 and digits[significant - 1] == 0 and exponent < -MAX_SCALE:
        significant -= 1
        exponent += 1
    if exponent < -MAX_SCALE:
        return None, TOO_MANY_DECIMALS
    return decimal.Decimal((sign, digits[:significant], exponent)), None


def decode_floats(values: pl.Series | np.ndarray[Any, Any]) -> tuple[ParsedDecimals, str]:
    """Return the decimals that binary floats stand for, and the rule used: ``float32`` or ``float64``.

    A float is decoded as the shortest decimal that reads back as the same float, what Python's `repr` shows. Vendors
    such as Yahoo deliver float32 prices in a float64 column: 150.13 arrives as 150.1300048828125, and means 150.13.

    The rule is chosen for the column as a whole, because a single float64 can be both (0.5, 1/1024):

    - a Float32 column is decoded as float32;
    - a Float64 column is decoded as float32 only if every fraction in it is exactly a float32 *and* at least one of them
      becomes at least five digits shorter that way. The second condition spares prices that are quoted in binary
      fractions: 119.0078125 (119 and 1/128, a Treasury future) is a float32 too, but 119.00781 is not shorter enough to be
      what was meant;
    - whole numbers in a Float64 column are always taken as they are: 123456784 shares are not 123456780.

    NaN and infinities are bad with the reason ``not finite``, nulls with ``missing``.
    """
    series = pl.Series(values) if isinstance(values, np.ndarray) else values
    if series.dtype == pl.Float32:
        return parse_decimals(series.cast(pl.String)), "float32"
    series = series.cast(pl.Float64)
    text = series.cast(pl.String)
    narrow = _narrow_text(series, text)
    if narrow is None:
        return parse_decimals(text), "float64"
    return parse_decimals(narrow), "float32"


def _narrow_text(series: pl.Series, text: pl.Series) -> pl.Series | None:
    """Return the texts of the float32 values that were widened into a Float64 column, None if they were not."""
    wide = series.drop_nulls().to_numpy()
    fractions = wide[np.isfinite(wide) & (wide != np.rint(wide))]
    if not fractions.size or np.abs(fractions).max() > np.finfo(np.float32).max:
        return None
    if not (fractions == fractions.astype(np.float32).astype(np.float64)).all():
        return None
    is_fraction = series.is_finite() & (series != series.round(0))
    narrow = series.cast(pl.Float32).cast(pl.String)
    shorter = text.str.len_bytes().cast(pl.Int32) - narrow.str.len_bytes().cast(pl.Int32)
    if not ((shorter >= _WIDENED_DIGITS) & is_fraction).any():
        return None
    return narrow.zip_with(is_fraction.fill_null(value=False), text)


def to_contract(series: pl.Series) -> tuple[ParsedDecimals, str]:
    """Convert a series of any numeric or text dtype to exact decimals.

    Returns
    -------
    ParsedDecimals, str
        The values and the rule used: ``text``, ``integer``, ``float32``, ``float64`` or ``decimal``.

    Raises
    ------
    RequestError
        The dtype holds no numbers (Boolean, dates, lists).
    """
    dtype = series.dtype
    if dtype.is_float():
        return decode_floats(series)
    if dtype.is_integer():
        return _checked(series, series.cast(DECIMAL, strict=False), TOO_MANY_DIGITS), "integer"
    if isinstance(dtype, pl.Decimal):
        return _from_decimals(series, dtype), "decimal"
    if dtype == pl.Object:
        return _from_objects(series), "decimal"
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Null):
        return parse_decimals(series.cast(pl.String)), "text"
    raise RequestError(
        f"column {series.name!r} holds {dtype}, which is no number",
        hint="deliver prices and volumes as numbers, decimals or text",
    )


def _checked(given: pl.Series, values: pl.Series, reason: str) -> ParsedDecimals:
    """Pair `values` with reasons: ``missing`` where nothing was given, `reason` where the value was lost."""
    if values.null_count() == 0:
        return ParsedDecimals(values)
    bad = pl.select(
        pl.when(given.is_null()).then(pl.lit(MISSING)).when(values.is_null()).then(pl.lit(reason)).alias("bad")
    ).to_series()
    return ParsedDecimals(values, bad)


def _from_decimals(series: pl.Series, dtype: pl.Decimal) -> ParsedDecimals:
    values = series.cast(DECIMAL, strict=False)
    parsed = _checked(series, values, TOO_MANY_DIGITS)
    if dtype.scale <= MAX_SCALE:
        return parsed
    # Polars rounds when it narrows a scale: what differs after the way back has lost digits.
    lost = (values.cast(dtype, strict=False) != series).fill_null(value=False)
    if not lost.any():
        return parsed
    bad = parsed.bad if parsed.bad is not None else pl.repeat(None, series.len(), dtype=pl.String, eager=True)
    reason = pl.repeat(TOO_MANY_DECIMALS, series.len(), dtype=pl.String, eager=True)
    nothing = pl.repeat(None, series.len(), dtype=DECIMAL, eager=True)
    return ParsedDecimals(nothing.zip_with(lost, values), reason.zip_with(lost, bad))


def _from_objects(series: pl.Series) -> ParsedDecimals:
    """Convert Python objects, such as a pandas column of Decimals, by their text."""
    missing = (None, "")
    return parse_decimals(
        pl.Series([None if item in missing else str(item) for item in series.to_list()], dtype=pl.String)
    )


def smallest_scale(series: pl.Series) -> int:
    """Return the smallest number of decimals, 0 to 18, that holds every value of a Decimal(38, 18) series exactly."""
    return _narrowed(series)[1]


def narrow(series: pl.Series) -> pl.Series:
    """Return a Decimal(38, 18) series as Decimal(38, s) with the smallest scale s that loses no digit."""
    return _narrowed(series)[0]


def _narrowed(series: pl.Series) -> tuple[pl.Series, int]:
    """Guess the scale from a sample, then prove it: cast there and back, and compare every value."""
    sample = series.drop_nulls().gather_every(max(1, series.len() // _SAMPLE_ROWS))
    scale = _scale_of(sample)
    while scale < MAX_SCALE:
        candidate = series.cast(pl.Decimal(38, scale))
        # Back by a multiplication of the unscaled integers, four times faster than a cast between decimals.
        factor = pl.Series([10 ** (MAX_SCALE - scale)], dtype=pl.Int128)
        losing = (candidate.to_physical() * factor != series.to_physical()).fill_null(value=False)
        if not losing.any():
            return candidate, scale
        scale = max(scale + 1, _scale_of(series.filter(losing).head(_SAMPLE_ROWS)))
    return series, MAX_SCALE


def _scale_of(series: pl.Series) -> int:
    """Return the smallest scale of a few values, by their integers."""
    scale = 0
    for unscaled in series.to_physical().to_list():
        while scale < MAX_SCALE and unscaled % 10 ** (MAX_SCALE - scale):
            scale += 1
    return scale


def to_integers(series: pl.Series, scale: int) -> IntegerArray | None:
    """Return the values of a Decimal(38, 18) series times 10**scale, or None if one of them does not fit into 63 bits.

    Parameters
    ----------
    series
        Without nulls.
    scale
        At least `smallest_scale(series)`: a smaller one would round.
    """
    narrow = series if scale == MAX_SCALE else series.cast(pl.Decimal(38, scale))
    integers = narrow.to_physical().cast(pl.Int64, strict=False)
    return None if integers.null_count() else np.asarray(integers.to_numpy(), dtype=np.int64)


def integers_to_floats(values: IntegerArray, scale: int) -> FloatArray:
    """Return `values` / 10**scale as correctly rounded doubles."""
    floats: FloatArray = values.astype(np.float64)
    if scale > 0:
        # Both sides are exact in a double, so the one division rounds once: IEEE 754 makes it correct.
        floats /= 10.0 ** min(scale, _EXACT_POWER)
    inexact = np.arange(values.size) if scale > _EXACT_POWER else np.flatnonzero(np.abs(values) > _EXACT_INTEGER)
    if inexact.size:
        # Python divides integers of any size with one correct rounding.
        power = 10**scale
        floats[inexact] = [int(values[at]) / power for at in inexact]
    return floats


def to_floats(series: pl.Series) -> FloatArray:
    """Return a Decimal(38, 18) series without nulls as correctly rounded doubles, however large its values."""
    scale = smallest_scale(series)
    integers = to_integers(series, scale)
    if integers is not None:
        return integers_to_floats(integers, scale)
    power = 10**MAX_SCALE
    return np.array([value / power for value in series.to_physical().to_list()], dtype=np.float64)
