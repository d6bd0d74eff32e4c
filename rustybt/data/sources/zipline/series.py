"""What one asset has in a Zipline bundle: whole numbers, as they lie in the files, and the contract bars they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import polars as pl

from rustybt.market.bars import BAR_COLUMNS, DECIMAL, PRICE_COLUMNS, TIMESTAMP, VALUE_COLUMNS, empty_bars
from rustybt.market.decimals import MAX_SCALE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rustybt.market.decimals import IntegerArray

Flags: TypeAlias = "NDArray[np.bool_]"


@dataclass(frozen=True, slots=True)
class ZiplineSeries:
    """The bars of one asset, oldest first.

    Parameters
    ----------
    stamps
        Microseconds since 1970 UTC: a session's date at 00:00, or the instant at which a minute opens.
    values
        Of each column of bars, as stored; prices are divided by `divisor`, volumes are shares.
    divisor
        Such as 1000; it divides 10**18.
    padding
        Rows of zeros that stand for no trade; they are no bars.
    outside
        Rows with numbers in minutes when the market is closed. Zipline never reads them.
    """

    stamps: IntegerArray
    values: Mapping[str, IntegerArray]
    divisor: int
    padding: int = 0
    outside: int = 0


class ReadsZiplineBars(Protocol):
    """Daily or minute bars of one ingestion."""

    folder: Path
    calendar_name: str

    @property
    def sids(self) -> list[int]:
        """The assets that have bars, rising."""
        ...

    def read(self, sid: int) -> ZiplineSeries:
        """Return all bars of an asset."""
        ...

    def row_count(self, sid: int) -> int:
        """Return how many rows an asset has, padding included."""
        ...

    def rows_at(self, sid: int, stamps: IntegerArray) -> IntegerArray:
        """Return the row of each label, counted from the asset's first; -1 where there is none."""
        ...

    def raw(self, sid: int) -> tuple[Mapping[str, IntegerArray], int]:
        """Return the columns of bars as they are stored, padding included, and what prices are divided by."""
        ...


def is_bar(values: Mapping[str, IntegerArray]) -> Flags:
    """Return which rows hold any number but zero: all others are Zipline's way to say that nothing was traded."""
    found: Flags = values["volume"] != 0
    for name in PRICE_COLUMNS:
        found |= values[name] != 0
    return found


def decimal_factor(column: str, divisor: int) -> pl.Series:
    """Return what a stored number is multiplied by to become the unscaled integer of Decimal(38, 18)."""
    scale: int = 10**MAX_SCALE
    return pl.Series([scale if column == "volume" else scale // divisor], dtype=pl.Int128)


def to_bars(series: ZiplineSeries, symbol: str) -> pl.DataFrame:
    """Return contract bars of `symbol`; every digit is that of the stored integers, no float is on the way."""
    if not series.stamps.size:
        return empty_bars()
    columns = {"timestamp": pl.Series(series.stamps).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")}
    for name in VALUE_COLUMNS:
        unscaled = pl.Series(series.values[name]).cast(pl.Int128) * decimal_factor(name, series.divisor)
        columns[name] = unscaled.reinterpret(dtype=DECIMAL)
    frame = pl.DataFrame(columns).with_columns(pl.lit(symbol).alias("symbol"), pl.col("timestamp").cast(TIMESTAMP))
    return frame.select(BAR_COLUMNS)
