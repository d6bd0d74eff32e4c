"""What the market holds, as contract bars: the expected values of every vendor's tests."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from rustybt.market.bars import BAR_SCHEMA
from tests.fakes import market

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MINUTES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60}


def frame_of(symbol: str, rows: Iterable[market.Row]) -> pl.DataFrame:
    """Rows of the market as contract bars."""
    values = [(row.start, symbol, row.open, row.high, row.low, row.close, row.volume) for row in rows]
    return pl.DataFrame(values, schema=BAR_SCHEMA, orient="row")


def rows_of(symbol: str, start: str, end: str, frequency: str) -> Sequence[market.Row]:
    """An equity's own trades from one date to another, both included, up to now; the bar that is forming included."""
    first, last = date.fromisoformat(start[:10]), date.fromisoformat(end[:10])
    if frequency == "1d":
        return market.daily(symbol, first, min(last, datetime.fromtimestamp(market.NOW, UTC).date()))
    rows = market.intraday(symbol, MINUTES[frequency], first - timedelta(days=1), last + timedelta(days=1))
    return [row for row in rows if first <= row.start.date() <= last and row.start.timestamp() <= market.NOW]


def held(symbol: str, start: str, end: str, frequency: str) -> pl.DataFrame:
    """The same as contract bars, as traded."""
    return frame_of(symbol, rows_of(symbol, start, end, frequency))
