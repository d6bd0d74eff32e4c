"""Generated daily bars for the benchmarks: seeded random walks, no real market data."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.market.calendars import get_calendar
from rustybt.market.frequency import DAILY
from rustybt.market.request import parse_range, to_date

if TYPE_CHECKING:
    from pathlib import Path

SYMBOLS, YEARS = 500, 10


def daily_text(symbols: int = SYMBOLS, years: int = YEARS) -> pl.DataFrame:
    """Return long bars as text columns: symbol, date, open, high, low, close, volume; prices with two decimals."""
    start, end = parse_range("2010-01-04", f"{2010 + years - 1}-12-31", DAILY)
    first, last = to_date(start), to_date(end)
    days = get_calendar("XNYS", first, last).sessions_between(first, last)
    rng = np.random.default_rng(7)
    n = len(days)
    frames = []
    for number in range(symbols):
        close = np.maximum(500, np.round(5_000 * np.exp(np.cumsum(rng.normal(0, 0.015, n))))).astype(np.int64)
        open_ = np.maximum(500, np.round(close * (1 + rng.normal(0, 0.004, n)))).astype(np.int64)
        high = np.maximum(open_, close) + rng.integers(0, 80, n)
        low = np.maximum(1, np.minimum(open_, close) - rng.integers(0, 80, n))
        frames.append(
            pl.DataFrame(
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
        )
    long = pl.concat(frames)
    cents = [
        pl.concat_str(pl.col(c) // 100, pl.lit("."), (pl.col(c) % 100).cast(pl.String).str.zfill(2)).alias(c)
        for c in ("open", "high", "low", "close")
    ]
    return long.with_columns(*cents, pl.col("date").dt.strftime("%Y-%m-%d"), pl.col("volume").cast(pl.String))


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
