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
    """A strategy of `strategies/`, the bars it runs on, and what is kept of its result.

    `recorded` are numbers, `texts` are texts of numbers and words, `histories` texts of prices, which Zipline rounds to
    three decimals when it adjusts them. `start` and `end` are by default those of the bars.
    """

    name: str
    dataset: str
    capital: float
    columns: tuple[str, ...]
    recorded: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    histories: tuple[str, ...] = ()
    start: str | None = None
    end: str | None = None
    data_frequency: str = "daily"

    @property
    def script(self) -> Path:
        return HERE / "strategies" / f"{self.name}.py"


SCENARIOS = (
    Scenario("buy_and_hold", "demo", 1_000_000.0, MONEY, ("held",)),
    Scenario("moving_average", "demo", 1_000_000.0, MONEY, ("leverage",)),
    Scenario("rebalance", "generated", 250_000.0, SCALARS, ("days", "value", "leverage")),
    Scenario("partial_fills", "generated", 10_000_000.0, SCALARS, ("open", "ddd")),
    Scenario("styles", "generated", 500_000.0, SCALARS, ("done", "open")),
    Scenario("histories", "generated", 50_000.0, MONEY, histories=("current", "price", "volume", "ohlc")),
    # What Zipline's documentation teaches, on real prices.
    Scenario("crossing_averages", "demo", 100_000.0, MONEY, ("above",), start="2004-06-01", end="2006-06-30"),
    Scenario("momentum", "demo", 500_000.0, MONEY, ("leverage",), ("picked",), start="2011-03-01", end="2013-02-28"),
    Scenario("olmar", "demo", 300_000.0, MONEY, ("leverage",), ("weights",), start="2012-03-01", end="2013-02-28"),
    # Rules, models, orders and controls on daily bars.
    Scenario("schedules", "generated", 10_000.0, MONEY, (), ("ran",), start="2016-11-01", end="2017-07-14"),
    Scenario("day_orders", "generated", 400_000.0, MONEY, ("open",), start="2016-02-01", end="2016-04-29"),
    Scenario("targets", "generated", 750_000.0, MONEY, (), ("waiting",), start="2016-07-15", end="2017-03-31"),
    Scenario("fees_by_trade", "generated", 5_000_000.0, MONEY, (), ("followed",), start="2016-06-15", end="2016-11-30"),
    Scenario("shorts", "generated", 2_000_000.0, SCALARS, ("leverage",), start="2016-08-01", end="2017-08-31"),
    Scenario("controls", "generated", 200_000.0, MONEY, (), ("refused",), start="2016-08-01", end="2016-12-30"),
    Scenario("restrictions", "generated", 200_000.0, MONEY, (), ("tradable",), start="2016-08-01", end="2016-12-30"),
    # Minutes.
    Scenario(
        "minute_reads",
        "minutes",
        100_000.0,
        MONEY,
        (),
        ("now", "words", "labels"),
        ("minute_windows", "daily_windows"),
        start="2016-11-16",
        data_frequency="minute",
    ),
    Scenario(
        "minute_before_open",
        "minutes",
        100_000.0,
        MONEY,
        (),
        ("times", "now", "words"),
        ("windows",),
        start="2016-11-17",
        data_frequency="minute",
    ),
    Scenario("minute_schedules", "minutes", 100_000.0, MONEY, ("bars",), ("ran",), data_frequency="minute"),
    Scenario("minute_orders", "minutes", 3_000_000.0, SCALARS, ("open",), ("seen",), data_frequency="minute"),
    Scenario("minute_day_orders", "minutes", 800_000.0, SCALARS, ("open",), ("seen",), data_frequency="minute"),
    Scenario("minute_rebalance", "minutes", 1_000_000.0, SCALARS, ("leverage",), ("seen",), data_frequency="minute"),
)


def run_dates(scenario: Scenario, bars: pd.DataFrame) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the first and last session of the run."""
    first, last = bars["date"].min().normalize(), bars["date"].max().normalize()
    return pd.Timestamp(scenario.start or first), pd.Timestamp(scenario.end or last)


def moment(scenario: Scenario, dt: pd.Timestamp) -> str:
    """Return the session of an instant, or its minute if the run is by minutes."""
    return str(dt.date()) if scenario.data_frequency == "daily" else dt.strftime("%Y-%m-%d %H:%M")


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
