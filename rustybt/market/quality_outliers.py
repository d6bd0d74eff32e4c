"""Bars that look wrong although they keep every rule: flagged, never removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.market.request import to_microseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl

    from rustybt.market.corporate_actions import CorporateAction

#: A close that moves by less than a factor of 1.5 is never an outlier.
LEAST_CHANGE = float(np.log(1.5))
#: Nor one within ten robust standard deviations of the symbol's own returns, where it has enough of them.
LEAST_DEVIATIONS = 10.0
#: A high, or low, this many times beyond open and close alike.
WICK_FACTOR = 2.0
# Turns the median absolute value of normal returns into their standard deviation.
_MAD_TO_SIGMA = 1.4826
_ENOUGH_RETURNS = 20

_Rows = np.ndarray[tuple[int], np.dtype[np.int64]]
_Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


def find_outliers(
    bars: pl.DataFrame,
    starts: _Rows,
    symbols: Sequence[str],
    actions: Iterable[CorporateAction] = (),
) -> list[tuple[int, str, float]]:
    """Return (row, kind, change) of each suspicious bar, by row.

    Kinds are ``spike`` (the close jumps and comes back with the next bar), ``jump`` (it jumps and stays: often a split that
    nobody told of) and ``wick`` (only high or low is far off). `change` is the relative move, -0.5 for a half.

    Parameters
    ----------
    bars
        Clean bars, sorted by (symbol, timestamp).
    starts, symbols
        Row at which each symbol begins, and its name.
    actions
        Splits, stock dividends, spin-offs and dividends: the first bar from the ex-date on is no outlier.
    """
    opened, high, low, close = (_floats(bars[name]) for name in ("open", "high", "low", "close"))
    found = {row: ("wick", change) for row, change in _wicks(opened, high, low, close)}
    explained = _explained_rows(bars, starts, symbols, actions)
    for row, kind, change in _jumps(close, starts):
        if row not in explained:
            found[row] = (kind, change)
    return [(row, *found[row]) for row in sorted(found)]


def _floats(series: pl.Series) -> _Floats:
    """Return the unscaled integers as floats: their ratios are those of the prices, near enough to judge by."""
    import polars as pl

    return np.asarray(series.to_physical().cast(pl.Float64).to_numpy(), dtype=np.float64)


def _wicks(opened: _Floats, high: _Floats, low: _Floats, close: _Floats) -> list[tuple[int, float]]:
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    up = (high > WICK_FACTOR * top) & (top > 0)
    down = (low * WICK_FACTOR < bottom) & (low > 0)
    return [
        *((int(row), float(low[row] / bottom[row]) - 1) for row in np.flatnonzero(down)),
        *((int(row), float(high[row] / top[row]) - 1) for row in np.flatnonzero(up)),
    ]


def _jumps(close: _Floats, starts: _Rows) -> list[tuple[int, str, float]]:
    if close.size < 2:
        return []
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = np.diff(np.log(close), prepend=np.nan)
    moves[starts] = np.nan
    # Prices at or below zero have no logarithm; nothing is said about them.
    candidates = np.flatnonzero(np.isfinite(moves) & (np.abs(moves) > LEAST_CHANGE))
    found: list[tuple[int, str, float]] = []
    ends = np.append(starts, close.size)[1:]
    of_symbol = np.searchsorted(starts, candidates, side="right") - 1
    for code in np.unique(of_symbol):
        own = np.abs(moves[starts[code] : ends[code]])
        own = own[np.isfinite(own)]
        # In a short series the outliers would be their own measure.
        sigma = _MAD_TO_SIGMA * float(np.median(own)) if own.size >= _ENOUGH_RETURNS else 0.0
        limit = max(LEAST_CHANGE, LEAST_DEVIATIONS * sigma)
        returned = -1
        for row in candidates[of_symbol == code].tolist():
            if abs(moves[row]) <= limit or row == returned:
                continue
            follows = moves[row + 1] if row + 1 < ends[code] else np.nan
            is_spike = abs(moves[row] + follows) < abs(moves[row]) / 2
            # The way back belongs to the spike; it is not a second outlier.
            returned = row + 1 if is_spike else -1
            found.append((row, "spike" if is_spike else "jump", float(np.expm1(moves[row]))))
    return found


def _explained_rows(
    bars: pl.DataFrame, starts: _Rows, symbols: Sequence[str], actions: Iterable[CorporateAction]
) -> set[int]:
    """Return the first row from each action's ex-date on."""
    codes = {symbol: code for code, symbol in enumerate(symbols)}
    stamps = bars["timestamp"].to_physical().to_numpy()
    rows: set[int] = set()
    for action in actions:
        code: Any = codes.get(action.symbol)
        if code is not None:
            end = starts[code + 1] if code + 1 < len(starts) else len(stamps)
            rows.add(int(starts[code] + np.searchsorted(stamps[starts[code] : end], to_microseconds(action.ex_date))))
    return rows
