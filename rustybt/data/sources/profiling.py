"""Bundles of a known size, to measure with: what ``rustybt ingest yfinance-profiling`` and its like fetch."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Profile:
    """One such bundle.

    Parameters
    ----------
    days
        How far back it reaches.
    """

    name: str
    source: str
    symbols: tuple[str, ...]
    days: int
    frequency: str
    text: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def start(self, now: float) -> date:
        """Return the first day, by the clock in Unix seconds."""
        return datetime.fromtimestamp(now, UTC).date() - timedelta(days=self.days)


_STOCK_NAMES = (
    "AAPL MSFT AMZN GOOGL META NVDA TSLA BRK.B JPM V JNJ WMT PG MA UNH HD BAC XOM PFE DIS KO PEP CSCO ADBE CRM NFLX INTC CMCSA "
    "VZ T ABT NKE MRK CVX MCD COST WFC LLY TXN QCOM NEE PM UPS LOW IBM GS CAT BA GE MMM"
)
_COINS = "BTC ETH BNB XRP ADA SOL DOGE DOT LTC LINK AVAX ATOM UNI ETC XLM FIL TRX NEAR ALGO BCH"
_STOCKS = tuple(_STOCK_NAMES.split())
_PAIRS = tuple(f"{coin}/USDT" for coin in _COINS.split())
_GENERATED = tuple(f"GEN{number:02d}" for number in range(1, 51))

#: By name of command and bundle.
PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("yfinance-profiling", "yfinance", _STOCKS, 730, "1d", "50 stocks of Yahoo Finance, 2 years, daily"),
        Profile(
            "ccxt-hourly-profiling",
            "ccxt",
            _PAIRS,
            183,
            "1h",
            "20 pairs of Binance, 6 months, hourly",
            {"exchange": "binance"},
        ),
        Profile(
            "ccxt-minute-profiling",
            "ccxt",
            _PAIRS[:10],
            30,
            "1m",
            "10 pairs of Binance, 1 month, by the minute",
            {"exchange": "binance"},
        ),
        Profile("csv-profiling", "csv", _GENERATED, 730, "1d", "50 GENERATED symbols, 2 years, daily, from a CSV file"),
    )
}


def write_generated_csv(profile: Profile, path: Path, now: float) -> None:
    """Write the bars of a local profile: seeded random walks on New York's sessions, no market made them.

    Parameters
    ----------
    now
        Unix seconds; the last session lies before its day.
    """
    from rustybt.market.calendars import get_calendar

    first = profile.start(now)
    last = datetime.fromtimestamp(now, UTC).date() - timedelta(days=1)
    days = [str(day) for day in get_calendar("XNYS", first, last).sessions_between(first, last)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("symbol", "date", "open", "high", "low", "close", "volume"))
        for number, symbol in enumerate(profile.symbols):
            random = np.random.default_rng([20_240_102, number])
            steps = random.integers(-150, 151, len(days)).cumsum()
            closes = 20_000 + steps - min(0, int(steps.min()))  # whole cents, never below 200 dollars
            opens = closes + random.integers(-100, 101, len(days))
            reach = random.integers(0, 200, (2, len(days)))
            volumes = random.integers(500_000, 5_000_000, len(days))
            for at, day in enumerate(days):
                low, high = sorted((int(opens[at]), int(closes[at])))
                cents = (opens[at], high + reach[0][at], low - reach[1][at], closes[at])
                prices = (f"{int(price) // 100}.{int(price) % 100:02d}" for price in cents)
                writer.writerow((symbol, day, *prices, int(volumes[at])))
