"""The frame that crosses every border: its columns, its dtypes, its check.

Long format, one row a bar: `timestamp` (UTC, microseconds), `symbol`, `open`, `high`, `low`, `close`, `volume`, all five
numbers `Decimal(38, 18)`. Sorted by, and unique on, (symbol, timestamp); no nulls. One dtype everywhere, on purpose: Polars
joins decimals of different scale by silently cutting digits.

A daily (or longer) bar carries its session's date at 00:00 UTC, an intraday bar the instant of its open.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.errors import DataQualityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PRICE_COLUMNS = ("open", "high", "low", "close")
VALUE_COLUMNS = (*PRICE_COLUMNS, "volume")
BAR_COLUMNS = ("timestamp", "symbol", *VALUE_COLUMNS)

TIMESTAMP = pl.Datetime("us", "UTC")
DECIMAL = pl.Decimal(38, 18)
BAR_SCHEMA = pl.Schema(
    [("timestamp", TIMESTAMP), ("symbol", pl.String()), *((name, DECIMAL) for name in VALUE_COLUMNS)]
)
# 1900 and 2200 in microseconds, the bounds of `rustybt.market.calendars`; the last is excluded.
_EARLIEST, _LATEST = -2_208_988_800_000_000, 7_258_118_400_000_000
_CONVERT = "rb.ingest_frame(df, bundle=...) converts any polars or pandas frame"


def empty_bars() -> pl.DataFrame:
    """Return a frame of the contract's schema with no rows."""
    return BAR_SCHEMA.to_frame()


def check_bars(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` if it keeps the contract; a frame is checked once, where it enters.

    Raises
    ------
    DataQualityError
        Columns, dtypes, nulls, order or uniqueness differ; the message names the first offence.
    """
    if not isinstance(frame, pl.DataFrame):
        raise DataQualityError(f"bars are a polars DataFrame, not {type(frame).__name__}", hint=_CONVERT)
    if frame.schema != BAR_SCHEMA:
        differing = {
            name: str(frame.schema.get(name, "missing"))
            for name, dtype in BAR_SCHEMA.items()
            if frame.schema.get(name) != dtype
        }
        raise DataQualityError(
            f"bars need the columns {', '.join(BAR_COLUMNS)} in this order; got {', '.join(frame.columns)}"
            + (f"; differing: {differing}" if differing else ""),
            hint=_CONVERT,
        )
    nulls = {name: count for name, count in zip(frame.columns, frame.null_count().row(0), strict=True) if count}
    if nulls:
        raise DataQualityError(f"bars must not hold nulls; found {nulls}")
    _check_order(frame)
    _check_years(frame)
    return frame


def _check_years(frame: pl.DataFrame) -> None:
    """Raise unless all timestamps lie in the years that are stored; others could not even be printed."""
    stamps = frame["timestamp"].to_physical()
    if frame.height and not (stamps.min() >= _EARLIEST and stamps.max() < _LATEST):  # type: ignore[operator]
        at = int(((stamps < _EARLIEST) | (stamps >= _LATEST)).arg_max() or 0)
        raise DataQualityError(
            f"{frame['symbol'][at]} has a bar {stamps[at]:,} microseconds from 1970: date out of range",
            hint="bars lie between 1900 and 2199; is the unit right?",
            symbol=frame["symbol"][at],
        )


def _check_order(frame: pl.DataFrame) -> None:
    """Raise unless rows rise strictly by (symbol, timestamp)."""
    if frame.height < 2:
        return
    stamps = frame["timestamp"].to_physical().to_numpy()
    symbol = frame["symbol"]
    starts = series_starts(symbol)
    rising = np.diff(stamps) > 0
    rising[starts[1:] - 1] = True
    if not rising.all():
        at = int(np.argmin(rising))
        first, second = frame.row(at, named=True), frame.row(at + 1, named=True)
        what = "twice" if first["timestamp"] == second["timestamp"] else "out of order"
        raise DataQualityError(
            f"bar {second['timestamp']} of {second['symbol']} comes {what}; bars rise by (symbol, timestamp)",
            symbol=second["symbol"],
        )
    heads = symbol.gather(starts)
    if not (heads.n_unique() == heads.len() and heads.is_sorted()):
        raise DataQualityError("bars must be sorted by (symbol, timestamp): a symbol's rows lie apart or out of order")


def series_starts(symbol: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the row numbers at which another symbol begins, the first row included."""
    if symbol.is_empty():
        return np.empty(0, dtype=np.int64)
    changes = (symbol != symbol.shift(1)).fill_null(value=True).arg_true()
    return changes.to_numpy().astype(np.int64)


def sort_bars(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows sorted by (symbol, timestamp), the order of the contract."""
    return frame.sort("symbol", "timestamp", maintain_order=True)


def join_frames(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all frames, one behind the other; there must be at least one.

    The one way to join frames: Polars takes decimals of different scale together by cutting digits without a word.

    Raises
    ------
    DataQualityError
        Two frames have different columns or dtypes.
    """
    parts = list(frames)
    for part in parts[1:]:
        if part.schema != parts[0].schema:
            raise DataQualityError(f"cannot join frames of different schemas: {parts[0].schema} and {part.schema}")
    return pl.concat(parts)


def concat_bars(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return all rows of contract frames, sorted; the only place where bars are joined.

    Each frame is taken to be sorted and unique, as the contract says.

    Raises
    ------
    DataQualityError
        A part is not of the contract's schema (a silent cut of digits otherwise), or a bar occurs twice.
    """
    parts = list(frames)
    for part in parts:
        if part.schema != BAR_SCHEMA:
            raise DataQualityError(f"cannot join bars of another schema: {dict(part.schema)}")
    parts = sorted((part for part in parts if part.height), key=_first_bar)
    if len(parts) <= 1:
        return parts[0] if parts else empty_bars()
    joined = join_frames(parts)
    if all(_last_bar(part) < _first_bar(after) for part, after in pairwise(parts)):
        return joined  # one behind the other already, and nothing is copied
    order = interleaved_order(parts)
    return check_bars(sort_bars(joined)) if order is None else joined[order]


def _first_bar(part: pl.DataFrame) -> tuple[str, int]:
    return part["symbol"][0], part["timestamp"].to_physical()[0]


def _last_bar(part: pl.DataFrame) -> tuple[str, int]:
    return part["symbol"][-1], part["timestamp"].to_physical()[-1]


def interleaved_order(parts: Sequence[pl.DataFrame]) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
    """Return the rows of the joined `parts` in order of (symbol, timestamp), or None where that needs a real sort.

    Each part is sorted by (symbol, timestamp). Where no two parts overlap in the time of a symbol, as with a base and its
    tail, whole runs are put one behind the other, which is many times faster than sorting.
    """
    runs = join_frames(_runs(part) for part in parts).with_columns(offset=pl.col("length").cum_sum() - pl.col("length"))
    runs = runs.sort("symbol", "first")
    overlapping = (pl.col("symbol") == pl.col("symbol").shift(1)) & (pl.col("first") <= pl.col("last").shift(1))
    if runs.select(overlapping.any()).item():
        return None
    lengths, offsets = runs["length"].to_numpy(), runs["offset"].to_numpy()
    ends = np.cumsum(lengths)
    return np.repeat(offsets - ends + lengths, lengths) + np.arange(int(ends[-1]), dtype=np.int64)


def _runs(part: pl.DataFrame) -> pl.DataFrame:
    """Return each symbol of a sorted frame with its first and last timestamp and its number of rows."""
    starts = series_starts(part["symbol"])
    ends = np.append(starts[1:], part.height) if len(starts) else starts
    stamps = part["timestamp"].to_physical()
    return pl.DataFrame(
        {
            "symbol": part["symbol"].gather(starts),
            "first": stamps.gather(starts),
            "last": stamps.gather(ends - 1),
            "length": pl.Series(ends - starts, dtype=pl.Int64),
        }
    )


def spans_of(frame: pl.DataFrame) -> list[tuple[str, int, int]]:
    """Return (symbol, first, last timestamp in us UTC) of each symbol of a sorted frame."""
    return _runs(frame).select("symbol", "first", "last").rows()
