"""Ratios of splits and dividends in shares, which other programs keep as floats."""

from __future__ import annotations

import math
from fractions import Fraction

from rustybt.errors import RequestError

# A ratio that was divided once or twice is off by no more than this share of itself.
_ROUNDING = Fraction(1, 2**51)
# Among all fractions with a smaller product of their terms, hardly one in a thousand doubles has one so near by chance.
_MOST_TERMS = 2**40


def ratio_of_float(value: float) -> Fraction:
    """Return the ratio of whole numbers that a float stands for: 1/3 for 0.3333333333333333, 10/21 for 1.0 / 2.1.

    The simplest one within the rounding of a division; where that is none of small numbers, the decimal that the float prints as.

    Raises
    ------
    RequestError
        It is no positive finite number.
    """
    number = float(value)
    if not math.isfinite(number) or number <= 0:
        raise RequestError(f"the ratio {value!r} is not a positive number", hint="write 0.5 for two new shares for one")
    exact = Fraction(number)
    near = _simplest_between(exact * (1 - _ROUNDING), exact * (1 + _ROUNDING))
    return near if near.numerator * near.denominator <= _MOST_TERMS else Fraction(repr(number))


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """Return the fraction with the smallest denominator in [low, high], both positive.

    The continued fractions of both ends agree up to its last term.
    """
    whole = -(-low.numerator // low.denominator)
    if whole <= high:
        return Fraction(whole)
    floor = low.numerator // low.denominator
    return floor + 1 / _simplest_between(1 / (high - floor), 1 / (low - floor))
