"""Numbers as a reader sees them; one that is not defined is a dash."""

from __future__ import annotations

import math

UNDEFINED = "-"


def percent(value: float, decimals: int = 2, *, sign: bool = False) -> str:
    """Return a fraction in percent: 0.125 as 12.50%."""
    if not math.isfinite(value):
        return UNDEFINED
    return f"{value:{'+' if sign else ''},.{decimals}%}"


def money(value: float, currency: str = "", decimals: int = 2) -> str:
    """Return an amount with its currency, where that is known."""
    if not math.isfinite(value):
        return UNDEFINED
    return f"{value:,.{decimals}f} {currency}".strip()


def number(value: float) -> str:
    """Return a number with four significant digits, a large one with two decimals, a whole one whole."""
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return UNDEFINED
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.2f}"


def amount(value: float) -> str:
    """Return a number of shares: whole where it is whole, else all its digits."""
    if not math.isfinite(value):
        return UNDEFINED
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.9f}".rstrip("0")
