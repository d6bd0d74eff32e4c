"""The perf frame: a run in Zipline's columns."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.trading.book.nano import NANO
from rustybt.trading.results.risk import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from rustybt.data.portal.bar_provider import Floats
    from rustybt.trading.results.session_log import SessionLog

#: Columns that hold lists of dicts.
CELL_COLUMNS = ("transactions", "orders", "positions")
#: Columns that every run has: recorded values bear other names.
PERF_COLUMNS = frozenset(
    (
        *("period_open", "period_close", "period_label", "trading_days"),
        *("starting_cash", "ending_cash", "starting_value", "ending_value", "starting_exposure", "ending_exposure"),
        *("portfolio_value", "capital_used", "pnl", "returns", "algorithm_period_return"),
        *("long_value", "short_value", "long_exposure", "short_exposure", "longs_count", "shorts_count"),
        *("gross_leverage", "net_leverage", "max_leverage"),
        *("algo_volatility", "sharpe", "sortino", "max_drawdown", "alpha", "beta"),
        *("benchmark_period_return", "benchmark_volatility", "excess_return", "treasury_period_return"),
        *CELL_COLUMNS,
    )
)


def session_dates(closes: Any) -> list[str]:
    """Return ISO dates of sessions by their closes; one that closes at midnight UTC is the day before."""
    return [str((close - timedelta(microseconds=1)).date()) for close in closes]


def session_returns(log: SessionLog) -> Floats:
    """Return the return of each session, as a fraction of the value before it."""
    values = np.array([log.capital_base, *(r.cash + r.positions_value for r in log.records)], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(values[:-1] != 0, values[1:] / values[:-1] - 1, 0.0)
    return found


def build_perf(log: SessionLog, opens: Any, closes: Any, benchmark: Floats) -> pd.DataFrame:
    """Return the frame of a run, one row a session.

    Parameters
    ----------
    opens, closes
        Instants of the run's sessions, microseconds since 1970 UTC.
    benchmark
        Return of the benchmark in each session.

    Returns
    -------
    DataFrame
        Labelled by the sessions' closes in UTC; money in currency, rates as fractions. `transactions`, `orders` and
        `positions` hold lists of dicts with Zipline's keys. Values recorded by the strategy follow by their names.
    """
    with _without_collections():
        return _build(log, opens, closes, benchmark)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Let the garbage collector rest: it would look for cycles among a hundred thousand cells again and again, for nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _build(log: SessionLog, opens: Any, closes: Any, benchmark: Floats) -> pd.DataFrame:
    import pandas as pd

    records = log.records
    label = (
        pd.DatetimeIndex(np.asarray(closes)[: len(records)].astype("datetime64[us]")).as_unit("ns").tz_localize("UTC")
    )
    # Zipline labels a session's first minute by its end.
    opened = np.asarray(opens)[: len(records)] + 60_000_000
    first_minutes = pd.DatetimeIndex(opened.astype("datetime64[us]")).as_unit("ns").tz_localize("UTC")

    def money(values: list[int]) -> Floats:
        return np.array([v / NANO for v in values], dtype=np.float64)

    value = money([r.cash + r.positions_value for r in records])
    ending_value = money([r.positions_value for r in records])
    starting_value = money([r.start_value for r in records])
    ending_cash = money([r.cash for r in records])
    long_value, short_value = money([r.long_value for r in records]), money([r.short_value for r in records])
    flows = money([now - before for now, before in zip(_cash(log)[1:], _cash(log)[:-1], strict=True)])
    returns = session_returns(log)
    risk = running(returns, benchmark[: len(records)])
    with np.errstate(divide="ignore", invalid="ignore"):
        gross = np.where(value != 0, (long_value - short_value) / value, np.inf)
        net = np.where(value != 0, (long_value + short_value) / value, np.inf)
    columns: dict[str, Any] = {
        "period_open": first_minutes,
        "period_close": label,
        "period_label": [day[:7] for day in session_dates(label)],
        "trading_days": np.arange(1, len(records) + 1),
        "starting_cash": money([r.start_cash for r in records]),
        "ending_cash": ending_cash,
        "starting_value": starting_value,
        "ending_value": ending_value,
        "starting_exposure": starting_value,
        "ending_exposure": ending_value,
        "portfolio_value": value,
        "capital_used": flows,
        "pnl": money([r.cash + r.positions_value - r.start_cash - r.start_value for r in records]),
        "returns": returns,
        "algorithm_period_return": value / (log.capital_base / NANO) - 1,
        "long_value": long_value,
        "short_value": short_value,
        "long_exposure": long_value,
        "short_exposure": short_value,
        "longs_count": np.array([r.longs_count for r in records], dtype=np.int64),
        "shorts_count": np.array([r.shorts_count for r in records], dtype=np.int64),
        "gross_leverage": gross,
        "net_leverage": net,
        # From 0 on, as in Zipline: the leverage of an account below nothing is negative.
        "max_leverage": np.maximum.accumulate(np.maximum(gross, 0.0)) if len(records) else gross,
        **risk,
        "excess_return": np.zeros(len(records)),
        "treasury_period_return": np.zeros(len(records)),
        "transactions": [[t.to_dict() for t in r.transactions] for r in records],
        "orders": [r.orders for r in records],
        "positions": [r.positions.to_dicts() for r in records],
    }
    names: dict[str, None] = {name: None for r in records for name in r.recorded}
    for name in names:
        columns[name] = [r.recorded.get(name, np.nan) for r in records]
    return pd.DataFrame(columns, index=label)


def _cash(log: SessionLog) -> list[int]:
    return [log.capital_base, *(r.cash for r in log.records)]
