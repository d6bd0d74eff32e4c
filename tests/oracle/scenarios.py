"""What is compared: a strategy on a dataset; read by the generator and by the tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
GOLDENS = HERE / "goldens"

#: Columns of `perf` held against Zipline's.
MONEY = ("portfolio_value", "ending_cash")
SCALARS = (
    *MONEY,
    "starting_cash",
    "starting_value",
    "ending_value",
    "starting_exposure",
    "ending_exposure",
    "capital_used",
    "pnl",
    "returns",
    "algorithm_period_return",
    "long_value",
    "short_value",
    "long_exposure",
    "short_exposure",
    "longs_count",
    "shorts_count",
    "gross_leverage",
    "net_leverage",
    "max_leverage",
    "algo_volatility",
    "sharpe",
    "sortino",
    "max_drawdown",
    "alpha",
    "beta",
    "benchmark_period_return",
    "benchmark_volatility",
    "excess_return",
    "treasury_period_return",
    "trading_days",
    "period_label",
)


@dataclass(frozen=True)
class Scenario:
    """A strategy of `strategies/`, the bars it runs on, and the columns kept of its result."""

    name: str
    dataset: str
    capital: float
    columns: tuple[str, ...]
    recorded: tuple[str, ...] = ()

    @property
    def script(self) -> Path:
        return HERE / "strategies" / f"{self.name}.py"


SCENARIOS = (
    Scenario("buy_and_hold", "demo", 1_000_000.0, MONEY, ("held",)),
    Scenario("moving_average", "demo", 1_000_000.0, MONEY, ("leverage",)),
    Scenario("rebalance", "generated", 250_000.0, SCALARS, ("days", "value", "leverage")),
    Scenario("partial_fills", "generated", 10_000_000.0, SCALARS, ("open", "ddd")),
    Scenario("styles", "generated", 500_000.0, SCALARS, ("done", "open")),
    Scenario("histories", "generated", 50_000.0, MONEY, ("current", "price", "volume", "ohlc")),
)


def benchmark(sessions: pd.DatetimeIndex) -> pd.Series:
    """Return benchmark returns drawn by arithmetic on the session's number."""
    numbers = np.arange(len(sessions))
    return pd.Series(((numbers * 7919) % 401 - 198) / 20000.0, index=sessions)


def held(positions: list[dict], *, with_prices: bool) -> str:
    """Return a positions cell as text: symbol, amount and cost basis; last prices only of generated bars."""
    rows = sorted((p["sid"].symbol, p["amount"], p["cost_basis"], p["last_sale_price"]) for p in positions)
    return ";".join(
        f"{symbol}:{float(amount)!r}:{float(cost)!r}" + (f":{float(price)!r}" if with_prices else "")
        for symbol, amount, cost, price in rows
    )
