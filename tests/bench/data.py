"""Generated daily bars for the benchmarks: seeded random walks, no real market data."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.market.bars import BAR_SCHEMA, DECIMAL
from rustybt.market.calendars import get_calendar
from rustybt.market.frequency import DAILY
from rustybt.market.request import parse_range, to_date

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SYMBOLS, YEARS = 500, 10
PRICES = ("open", "high", "low", "close")


def daily_cents(symbols: int = SYMBOLS, years: int = YEARS) -> Iterator[pl.DataFrame]:
    """Yield one frame a symbol, in order: symbol, date, open, high, low, close in cents, volume; from 2010 on."""
    start, end = parse_range("2010-01-04", f"{2010 + years - 1}-12-31", DAILY)
    first, last = to_date(start), to_date(end)
    days = get_calendar("XNYS", first, last).sessions_between(first, last)
    rng = np.random.default_rng(7)
    n = len(days)
    for number in range(symbols):
        close = np.maximum(500, np.round(5_000 * np.exp(np.cumsum(rng.normal(0, 0.015, n))))).astype(np.int64)
        open_ = np.maximum(500, np.round(close * (1 + rng.normal(0, 0.004, n)))).astype(np.int64)
        high = np.maximum(open_, close) + rng.integers(0, 80, n)
        low = np.maximum(1, np.minimum(open_, close) - rng.integers(0, 80, n))
        yield pl.DataFrame(
            {
                "symbol": [f"SYM{number:04d}"] * n,
                "date": days.astype("datetime64[ms]"),
                "open": open_,
                "high": high,
                "low": low,
                "close": close,
                "volume": rng.integers(1_000, 90_000_000, n),
            }
        )


def daily_text(symbols: int = SYMBOLS, years: int = YEARS) -> pl.DataFrame:
    """Return long bars as text columns: symbol, date, open, high, low, close, volume; prices with two decimals."""
    cents = [
        pl.concat_str(pl.col(c) // 100, pl.lit("."), (pl.col(c) % 100).cast(pl.String).str.zfill(2)).alias(c)
        for c in PRICES
    ]
    return pl.concat(daily_cents(symbols, years)).with_columns(
        *cents, pl.col("date").dt.strftime("%Y-%m-%d"), pl.col("volume").cast(pl.String)
    )


def contract_bars(cents: pl.DataFrame) -> pl.DataFrame:
    """Return bars of the contract: integers for prices in cents and for volumes, and a `timestamp` or a `date`."""
    stamp = pl.col("timestamp") if "timestamp" in cents.columns else pl.col("date").alias("timestamp")
    return cents.select(
        stamp.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        "symbol",
        *(_decimals(name, 16) for name in PRICES),
        _decimals("volume", 18),
    ).cast(dict(BAR_SCHEMA))


def _decimals(name: str, digits: int) -> pl.Expr:
    """Take integers for the decimals that they are once `digits` zeros are put behind: several times as fast as a cast."""
    zeros = pl.lit(10**digits, dtype=pl.Int128)
    return (pl.col(name).cast(pl.Int128) * zeros).reinterpret(dtype=DECIMAL)


def write_csv_files(folder: Path, symbols: int = SYMBOLS, years: int = YEARS) -> tuple[Path, Path]:
    """Write the bars as one long file and as one file per symbol; return both places."""
    folder.mkdir(parents=True, exist_ok=True)
    long = daily_text(symbols, years)
    one, many = folder / "long.csv", folder / "by-symbol"
    if not one.exists():
        many.mkdir(exist_ok=True)
        for (symbol,), rows in long.partition_by("symbol", as_dict=True, include_key=False).items():
            (many / f"{symbol}.csv").write_bytes(_csv(rows))
        one.write_bytes(_csv(long))
    return one, many


def _csv(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_csv(out)
    return out.getvalue()
