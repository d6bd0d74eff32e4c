"""Figures of the last so many sessions, session by session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rustybt.trading.results.risk import SESSIONS_PER_YEAR

if TYPE_CHECKING:
    from rustybt.trading.report.curve import Floats

#: Windows in sessions, half a year first; a run has at least two of its window.
_WINDOWS = (126, 63, 21)


def window_for(sessions: int) -> int | None:
    """Return the longest window that fits twice into `sessions`, None where none does."""
    return next((window for window in _WINDOWS if 2 * window <= sessions), None)


def rolling_volatility(returns: Floats, window: int) -> Floats:
    """Return the standard deviation of the last `window` returns, a year's; NaN in the first ``window - 1`` sessions."""
    return _padded(_deviations(returns, window) * np.sqrt(SESSIONS_PER_YEAR), window, len(returns))


def rolling_sharpe(returns: Floats, window: int) -> Floats:
    """Return mean over standard deviation of the last `window` returns, a year's; NaN where the returns do not vary."""
    means = np.lib.stride_tricks.sliding_window_view(returns, window).mean(axis=1)
    deviations = _deviations(returns, window)
    # Equal returns have no deviation but for the rounding of their mean.
    varies = deviations > 1e-14
    ratio = np.divide(means, deviations, out=np.full(len(means), np.nan), where=varies)
    return _padded(ratio * np.sqrt(SESSIONS_PER_YEAR), window, len(returns))


def _deviations(returns: Floats, window: int) -> Floats:
    found: Floats = np.lib.stride_tricks.sliding_window_view(returns, window).std(axis=1, ddof=1)
    return found


def _padded(values: Floats, window: int, size: int) -> Floats:
    out = np.full(size, np.nan)
    out[window - 1 :] = values
    return out
