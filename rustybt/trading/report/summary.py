"""The figures of `Result.summary` as text."""

from __future__ import annotations

from math import isfinite
from typing import Any

_PERCENT = ("return", "drawdown", "volatility", "cagr")
_MONEY = ("value", "capital", "cash", "commission", "pnl")


def summary_lines(summary: dict[str, Any], currency: str = "") -> list[tuple[str, str]]:
    """Return names and values: ratios of capital in percent, money with two decimals, what is not defined as a dash."""
    unit = f" {currency}" if currency else ""
    lines = []
    for name, value in summary.items():
        if value is None or (isinstance(value, float) and not isfinite(value)):
            text = "-"
        elif isinstance(value, float):
            percent = any(word in name for word in _PERCENT)
            money = any(word in name for word in _MONEY)
            text = f"{value:+.2%}" if percent else f"{value:,.2f}{unit}" if money else f"{value:,.3f}"
        else:
            text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
        lines.append((name.replace("_", " "), text))
    return lines
