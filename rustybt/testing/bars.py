"""Small frames of the contract, written by hand: for tests of sources, stores and strategies."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from rustybt.market.bars import BAR_SCHEMA, check_bars, sort_bars

if TYPE_CHECKING:
    from collections.abc import Iterable

#: symbol, timestamp (ISO text, UTC where it names no zone), then open, high, low, close, volume, or one number for all.
Row: TypeAlias = "tuple[str, str | datetime, *tuple[str | int | Decimal, ...]]"


def frame_of_bars(rows: Iterable[Row]) -> pl.DataFrame:
    """Return a checked contract frame of rows in any order; numbers are text, integers or decimals, never floats.

    ::

        frame_of_bars([("A", "2024-01-02", "10.5"), ("A", "2024-01-03", "10", "11", "9.5", "10.75", 1200)])
    """
    values = [
        (_instant(at), symbol, *map(Decimal, numbers * 5 if len(numbers) == 1 else numbers))
        for symbol, at, *numbers in rows
    ]
    return check_bars(sort_bars(pl.DataFrame(values, schema=BAR_SCHEMA, orient="row")))


def _instant(at: str | datetime) -> datetime:
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
