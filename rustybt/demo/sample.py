"""The demo's bars: from the package ``bokeh-sampledata``, or a seeded random walk that says so."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

REAL_SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
GENERATED_SYMBOLS = ("WALK1", "WALK2", "WALK3", "WALK4", "WALK5")
FIRST, LAST = date(2000, 3, 1), date(2013, 3, 1)
SEED = 20000301

Row = tuple[str, str, str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class SampleBars:
    """Daily bars as a file would print them, and the splits inside them.

    Parameters
    ----------
    description
        What the bars are, for people; generated bars say so.
    is_real
        False for generated bars.
    rows
        (symbol, date, open, high, low, close, volume), all text, sorted by symbol and date; prices unadjusted.
    splits
        (symbol, ex-date, ratio as ``new:old``).
    """

    description: str
    is_real: bool
    symbols: tuple[str, ...]
    rows: tuple[Row, ...]
    splits: tuple[tuple[str, str, str], ...]


def sample_bars() -> SampleBars:
    """Return real bars when ``bokeh-sampledata`` (extra ``demo``) is installed, else generated ones."""
    try:
        stocks = importlib.import_module("bokeh_sampledata.stocks")
    except (ImportError, RuntimeError):  # old releases of the package raise RuntimeError where their files are missing
        return generated_bars()
    return SampleBars(
        description=(
            "daily bars of AAPL, FB, GOOG, IBM and MSFT, 2000-03-01 to 2013-03-01, unadjusted, "
            "from the package bokeh-sampledata"
        ),
        is_real=True,
        symbols=REAL_SYMBOLS,
        rows=tuple(row for symbol in REAL_SYMBOLS for row in _real_rows(symbol, getattr(stocks, symbol))),
        splits=(
            ("AAPL", "2000-06-21", "2:1"),
            ("AAPL", "2005-02-28", "2:1"),
            ("MSFT", "2003-02-18", "2:1"),
        ),
    )


def _real_rows(symbol: str, columns: dict[str, list[object]]) -> Iterator[Row]:
    names = ("date", "open", "high", "low", "close", "volume")
    for values in sorted(zip(*(columns[name] for name in names), strict=True)):
        # The shortest text of a float is what the package's own file printed.
        day, opened, high, low, close, volume = (str(value) for value in values)
        yield symbol, day, opened, high, low, close, volume


def generated_bars(seed: int = SEED) -> SampleBars:
    """Return five seeded random walks on New York's sessions, one of them with a 2:1 split; no market made them."""
    from rustybt.market.calendars import get_calendar

    sessions = get_calendar("XNYS", FIRST, LAST).sessions_between(FIRST, LAST)
    days = [str(day) for day in sessions.astype("datetime64[D]")]
    split_at = len(days) // 3
    rows: list[Row] = []
    for number, symbol in enumerate(GENERATED_SYMBOLS):
        rows += _walk(np.random.default_rng([seed, number]), symbol, days, split_at if number == 0 else None)
    return SampleBars(
        description=(
            f"GENERATED bars of {', '.join(GENERATED_SYMBOLS)}: seeded random walks, no market made them "
            "(the extra rustybt[demo] brings real ones)"
        ),
        is_real=False,
        symbols=GENERATED_SYMBOLS,
        rows=tuple(rows),
        splits=((GENERATED_SYMBOLS[0], days[split_at], "2:1"),),
    )


def _walk(random: np.random.Generator, symbol: str, days: list[str], split_at: int | None) -> Iterator[Row]:
    count = len(days)
    steps = random.normal(0.00035, 0.015, count)
    closes = 40.0 * np.exp(np.cumsum(steps))
    opens = closes * np.exp(random.normal(0.0, 0.004, count))
    spread = np.abs(random.normal(0.0, 0.006, (2, count)))
    highs = np.maximum(opens, closes) * (1.0 + spread[0])
    lows = np.minimum(opens, closes) * (1.0 - spread[1])
    volumes = random.integers(500_000, 5_000_000, count)
    if split_at is not None:
        for prices in (opens, highs, lows, closes):
            prices[:split_at] *= 2.0  # before a 2:1 split one share cost twice as much
    for at, day in enumerate(days):
        opened, high, low, close = (_cents(prices[at]) for prices in (opens, highs, lows, closes))
        yield (
            symbol,
            day,
            str(opened),
            str(max(high, opened, close)),
            str(min(low, opened, close)),
            str(close),
            str(volumes[at]),
        )


def _cents(price: float) -> Decimal:
    return max(Decimal(repr(float(price))).quantize(Decimal("0.01")), Decimal("0.01"))
