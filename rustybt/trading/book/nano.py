"""Money as integers of 1e-9: sums are exact, and a book that balances does so to the last digit.

Fill prices, marks and cash are quantized half-even to 1e-9 (architecture, section 7). Python's integers do not overflow;
the guard keeps amounts within what a Decimal(38, 9) column can store, so that a runaway strategy fails where it runs away.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

from rustybt.errors import RequestError

NANO = 10**9
#: Largest magnitude of the book, in units of 1e-9: 10^29 of currency.
LIMIT = 10**38

#: A product of a float below this with 10^9 has an error under half a unit, so that rounding it is right.
FLOAT_SAFE = 2.0e6
# Of the largest amount of money, less one.
_DIGITS = 29
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_ONE = Decimal(1)


def to_nano(value: float | Decimal) -> int:
    """Return `value` in units of 1e-9, rounded half-even.

    A float stands for the shortest decimal that reads back as it.

    Raises
    ------
    RequestError
        It is not finite, or beyond 10^29.
    """
    if isinstance(value, float) and -FLOAT_SAFE < value < FLOAT_SAFE:
        return round(value * 1e9)
    if isinstance(value, int):
        return guard(value * NANO)
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    if not exact.is_finite():
        raise RequestError(f"{value} is not an amount of money")
    if exact.adjusted() > _DIGITS:
        # More digits than are counted with below.
        return guard(int(exact) * NANO)
    return guard(int(_EXACT.quantize(exact.scaleb(9, _EXACT), _ONE)))


def from_nano(value: int) -> float:
    """Return the float nearest to `value` units of 1e-9."""
    return value / NANO


def times(units: int, price: int) -> int:
    """Return the product of two amounts in units of 1e-9, in the same unit, rounded half-even."""
    return guard(half_even(units * price, NANO))


def half_even(numerator: int, denominator: int) -> int:
    """Return the quotient of integers (`denominator` above 0) rounded to the nearest, ties to even."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def guard(value: int) -> int:
    """Return `value`.

    Raises
    ------
    RequestError
        It is beyond what the book keeps.
    """
    if -LIMIT < value < LIMIT:
        return value
    raise RequestError(
        f"the book reached {_EXACT.divide(Decimal(value), NANO):.3e}, beyond 1e29",
        hint="look for orders that grow without bound",
    )
