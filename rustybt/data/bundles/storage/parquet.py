"""Bars to Parquet bytes and back: the smallest scale on disk, one dtype in frames."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.market.bars import BAR_SCHEMA, DECIMAL, VALUE_COLUMNS
from rustybt.market.decimals import MAX_SCALE, integers_to_floats, narrow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ROW_GROUP_ROWS = 125_000
_INT64_DIGITS = 18


def narrow_bars(bars: pl.DataFrame) -> pl.DataFrame:
    """Return contract bars with each number column at the smallest scale that holds its values."""
    # Polars casts a column on one thread; the columns are independent.
    with ThreadPoolExecutor(len(VALUE_COLUMNS), thread_name_prefix="rustybt-narrow") as pool:
        return bars.with_columns(pool.map(lambda name: narrow(bars[name]), VALUE_COLUMNS))


def encode_bars(bars: pl.DataFrame) -> bytes:
    """Return one Parquet file of bars that `narrow_bars` made.

    DECIMAL with INT64 physical type while 18 digits suffice, 128 bits beyond; LZ4, row groups of 125,000 rows.
    """
    return _to_bytes(bars.with_columns(_fit(bars[name]) for name in VALUE_COLUMNS))


def _fit(values: pl.Series) -> pl.Series:
    scale: int = values.dtype.scale  # type: ignore[attr-defined]
    fitting = values.cast(pl.Decimal(_INT64_DIGITS, scale), strict=False)
    return values if fitting.null_count() else fitting


def _to_bytes(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out, compression="lz4", row_group_size=ROW_GROUP_ROWS, statistics=True)
    return out.getvalue()


def decode_bars(data: bytes) -> pl.DataFrame:
    """Return all bars of a file, widened to the contract's dtypes."""
    return widen(pl.read_parquet(io.BytesIO(data)))


def widen(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with every number column as Decimal(38, 18); exact, since a wider scale loses nothing.

    The unscaled integers are multiplied and taken for decimals again: half the time of a cast between decimals. Nothing can
    overflow, since what is stored came from Decimal(38, 18).
    """
    return frame.select("timestamp", "symbol", *(_widened(name, frame.schema[name]) for name in VALUE_COLUMNS))


def _widened(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if not isinstance(dtype, pl.Decimal):
        return column.cast(DECIMAL)
    factor = pl.lit(10 ** (MAX_SCALE - dtype.scale), dtype=pl.Int128)
    return (column.reinterpret(dtype=pl.Int128) * factor).reinterpret(dtype=DECIMAL)


def scan_bars(
    source: Path | bytes, symbols: Sequence[str] | None = None, start: int | None = None, end: int | None = None
) -> pl.LazyFrame:
    """Return a lazy frame over a file or its bytes, narrow dtypes, restricted to symbols and to [start, end] in us UTC."""
    return restrict(pl.scan_parquet(io.BytesIO(source) if isinstance(source, bytes) else source), symbols, start, end)


def restrict(bars: pl.LazyFrame, symbols: Sequence[str] | None, start: int | None, end: int | None) -> pl.LazyFrame:
    """Restrict bars to what may hold `symbols` and to [start, end], microseconds UTC, both included; None restricts nothing.

    Of several symbols only the first and last are looked at, which lets whole row groups be passed over; a list of them would
    not. What lies between is for `only_symbols`.
    """
    if symbols is not None:
        name = pl.col("symbol")
        bars = bars.filter(
            name == symbols[0] if len(symbols) == 1 else name.is_between(pl.lit(min(symbols)), pl.lit(max(symbols)))
        )
    stamp = pl.col("timestamp")
    if start is not None:
        bars = bars.filter(stamp >= instant(start))
    if end is not None:
        bars = bars.filter(stamp <= instant(end))
    return bars


def only_symbols(bars: pl.DataFrame, symbols: Sequence[str]) -> pl.DataFrame:
    """Return the rows of `symbols` among bars sorted by symbol; nothing is copied where these are all."""
    wanted = pl.Series(sorted(set(symbols)), dtype=pl.String)
    first = bars["symbol"].search_sorted(wanted, side="left").to_numpy()
    after = bars["symbol"].search_sorted(wanted, side="right").to_numpy()
    lengths = (after - first).astype(np.int64)
    count = int(lengths.sum())
    if count == bars.height:
        return bars
    # Each run of rows behind the one before.
    rows = np.repeat(first - np.cumsum(lengths) + lengths, lengths) + np.arange(count)
    return bars[rows]


def instant(microseconds: int) -> pl.Expr:
    """Return a literal of the frame's timestamp dtype."""
    return pl.lit(microseconds, dtype=pl.Int64).cast(BAR_SCHEMA["timestamp"])


def column_floats(values: pl.Series) -> NDArray[np.float64]:
    """Return a stored decimal column as float64, converted once from its integers and correctly rounded."""
    dtype = values.dtype
    if not isinstance(dtype, pl.Decimal):  # pragma: no cover - every file is written by encode_bars
        return values.cast(pl.Float64).to_numpy()
    integers = values.to_physical().cast(pl.Int64, strict=False)
    if integers.null_count():
        # Beyond 64 bits: Python's own decimal -> float conversion rounds correctly.
        return np.array([float(value) for value in values], dtype=np.float64)
    return integers_to_floats(integers.to_numpy(), dtype.scale)


def encode_table(frame: pl.DataFrame) -> bytes:
    """Return a Parquet file of any other frame of the store."""
    return _to_bytes(frame)


def decode_table(data: bytes) -> pl.DataFrame:
    """Return the frame written by `encode_table`."""
    return pl.read_parquet(io.BytesIO(data))
