"""Prices that were float32 once, by arithmetic instead of by text: several times faster where nothing is doubtful."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rustybt.market.bars import DECIMAL

if TYPE_CHECKING:
    FloatArray = np.ndarray[Any, np.dtype[np.float64]]

_MOST_DECIMALS = 6
# Within these, a double is fine enough to tell on which side of two floats' middle a decimal lies.
_SMALLEST, _LARGEST = 1e-3, 1e7
_SAMPLE = 50
# The rule of `rustybt.market.decimals`: so many digits shorter must one of the numbers become.
_WIDENED_DIGITS = 5


def decode_widened(values: FloatArray) -> pl.Series | None:
    """Return what `decode_floats` returns for a column of widened float32, or None where only that can tell.

    A number of k decimals that reads back as a float32 is the only one, and the nearest, as long as neighbouring floats lie
    less than its last digit apart; with the smallest such k it is the shortest that reads back, which is the rule.
    """
    size = np.abs(values)
    if not values.size or not ((size >= _SMALLEST) & (size < _LARGEST)).all():
        return None
    narrow = values.astype(np.float32)
    if (narrow != values).any():
        return None
    decimals = np.full(values.size, -1)
    unscaled = np.zeros(values.size, dtype=np.int64)
    spacing = np.spacing(np.abs(narrow)).astype(np.float64)
    left = np.arange(values.size)
    for count in range(_MOST_DECIMALS + 1):
        power = 10.0**count
        if (spacing[left] * power >= 1).any():
            return None
        whole = np.rint(values[left] * power)
        fits = (whole / power).astype(np.float32) == narrow[left]
        decimals[left[fits]] = count
        unscaled[left[fits]] = whole[fits].astype(np.int64)
        left = left[~fits]
        if not left.size:
            break
    if left.size or not _was_widened(values, unscaled / 10.0**decimals):
        return None
    most = int(decimals.max())
    return _decimals(unscaled * 10 ** (most - decimals), most)


def _was_widened(values: FloatArray, shortest: FloatArray) -> bool:
    """Return whether one of the first numbers is at least five digits shorter as a float32."""
    candidates = values[values != shortest][:_SAMPLE]
    return any(len(repr(float(one))) - len(str(np.float32(one))) >= _WIDENED_DIGITS for one in candidates)


def _decimals(unscaled: np.ndarray[Any, np.dtype[np.int64]], scale: int) -> pl.Series:
    import pyarrow as pa

    # A decimal of 128 bits: the integer, and its sign in all bits of the upper half.
    words = np.stack([unscaled, unscaled >> 63], axis=1)
    kind = pa.decimal128(38, scale)
    array = pa.Array.from_buffers(kind, unscaled.size, [None, pa.py_buffer(words.tobytes())])
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)  # noqa: S101  an array is no table
    return series.cast(DECIMAL)
