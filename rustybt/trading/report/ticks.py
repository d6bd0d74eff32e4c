"""Round numbers and calendar dates for the axes of a chart."""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def value_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round values that span `low` to `high`: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def percent_labels(ticks: Sequence[float]) -> list[str]:
    """Return fractions, as of `value_ticks`, in percent, with as many decimals as tell one from the next."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 0.01
    decimals = max(0, math.ceil(-math.log10(step * 100) - 1e-9))
    return [f"{tick:.{decimals}%}" for tick in ticks]


def date_ticks(first: date, last: date, count: int = 8) -> list[tuple[date, str]]:
    """Return about `count` dates between `first` and `last` with their labels: years, months or days."""
    days = (last - first).days
    if days > 3 * 365:
        step = max(1, math.ceil(days / 365.25 / count))
        years = range(first.year + (first != date(first.year, 1, 1)), last.year + 1)
        return [(date(year, 1, 1), str(year)) for year in years if year % step == 0]
    if days > 62:
        months = range(first.year * 12 + first.month - (first.day == 1), last.year * 12 + last.month)
        step = max(1, math.ceil(len(months) / count))
        return [
            (date(month // 12, month % 12 + 1, 1), f"{date(month // 12, month % 12 + 1, 1):%b %Y}")
            for month in months
            if month % step == 0
        ]
    step = max(1, math.ceil((days + 1) / count))
    return [
        (day := date.fromordinal(first.toordinal() + offset), f"{day:%d %b}") for offset in range(0, days + 1, step)
    ]


def short_amount(value: float) -> str:
    """Return `value` as a short axis label: 1.5M, 250k, 0.02."""
    for size, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


def value_label(currency: str) -> str:
    """Return the name of the value axis with its unit, where the unit is known."""
    return f"portfolio value ({currency})" if currency else "portfolio value"
