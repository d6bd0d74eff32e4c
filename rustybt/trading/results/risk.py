"""Risk metrics: at the end through `empyrical`, bar by bar in one pass.

The library computes each metric over a whole series; asked again every bar that is quadratic in the bars. `running` gives the
same numbers in one pass (Welford's updates); a test holds it against the library.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rustybt.logging import without_warnings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustybt.data.portal.bar_provider import Floats

SESSIONS_PER_YEAR = 252
# empyrical takes a benchmark of less variance than this for constant.
_LEAST_VARIANCE = 1.0e-30


def running(returns: Floats, benchmark: Floats) -> dict[str, Floats]:
    """Return each metric as of each session, NaN where it is not defined.

    Returns
    -------
    dict of arrays
        ``algo_volatility, sharpe, sortino, max_drawdown, alpha, beta, benchmark_period_return, benchmark_volatility``;
        annualized with 252 sessions, and to be read as Zipline's columns of those names.
    """
    size = len(returns)
    out = {
        name: np.full(size, np.nan)
        for name in ("algo_volatility", "sharpe", "sortino", "alpha", "beta", "benchmark_volatility")
    }
    root = math.sqrt(SESSIONS_PER_YEAR)
    mean = squares = downside = b_mean = b_squares = co = 0.0
    for i, (r, b) in enumerate(zip(returns.tolist(), benchmark.tolist(), strict=True)):
        n = i + 1
        delta, b_delta = r - mean, b - b_mean
        mean += delta / n
        b_mean += b_delta / n
        squares += delta * (r - mean)
        b_squares += b_delta * (b - b_mean)
        co += delta * (b - b_mean)
        downside += min(r, 0.0) ** 2
        if n < 2:
            continue
        deviation = math.sqrt(squares / (n - 1))
        out["algo_volatility"][i] = deviation * root
        out["benchmark_volatility"][i] = math.sqrt(b_squares / (n - 1)) * root
        out["sharpe"][i] = mean / deviation * root if deviation else np.nan
        below = math.sqrt(downside / n)
        out["sortino"][i] = mean * SESSIONS_PER_YEAR / (below * root) if below else np.nan
        if b_squares / n >= _LEAST_VARIANCE:
            beta = co / b_squares
            out["beta"][i] = beta
            out["alpha"][i] = 1 + mean - beta * b_mean
    growth_of = np.cumprod(1 + returns)
    peaks = np.maximum.accumulate(np.maximum(growth_of, 1.0))
    with np.errstate(all="ignore"):
        out["alpha"] = np.power(out["alpha"], SESSIONS_PER_YEAR) - 1
        out["alpha"][~np.isfinite(out["alpha"])] = np.nan
        out["max_drawdown"] = np.minimum.accumulate(growth_of / peaks - 1)
    out["benchmark_period_return"] = np.cumprod(1 + benchmark) - 1
    return out


def summary(returns: Floats, benchmark: Floats | None = None) -> Mapping[str, float]:
    """Return the metrics of a whole series of session returns, computed by `empyrical`.

    Returns
    -------
    mapping
        ``total_return, annual_return, annual_volatility, sharpe, sortino, calmar, max_drawdown`` and, with a benchmark,
        ``alpha, beta, benchmark_return``. Fractions, not percent; NaN where a metric is not defined.
    """
    import empyrical

    with without_warnings(Warning), np.errstate(all="ignore"):
        found = {
            "total_return": empyrical.cum_returns_final(returns),
            "annual_return": empyrical.annual_return(returns),
            "annual_volatility": empyrical.annual_volatility(returns),
            "sharpe": empyrical.sharpe_ratio(returns),
            "sortino": empyrical.sortino_ratio(returns),
            "calmar": empyrical.calmar_ratio(returns),
            "max_drawdown": empyrical.max_drawdown(returns),
        }
        if benchmark is not None:
            alpha, beta = empyrical.alpha_beta_aligned(returns, benchmark)
            found |= {"alpha": alpha, "beta": beta, "benchmark_return": empyrical.cum_returns_final(benchmark)}
    return {name: float(value) for name, value in found.items()}
