"""What a sweep returns: a table, and the way from a row to its saved result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.errors import RequestError
from rustybt.sweeps.task import Outcome, folder_of
from rustybt.trading.results.result import Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from rustybt.market.pin import Pin

#: Figures of every run, in this order; those of a benchmark only where there is one.
METRICS = (
    "total_return",
    "annual_return",
    "annual_volatility",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "alpha",
    "beta",
    "benchmark_return",
    "ending_value",
    "sessions",
    "transactions",
    "orders",
    "commissions",
)
_OF_A_BENCHMARK = ("alpha", "beta", "benchmark_return")
_COUNTS = ("sessions", "transactions", "orders")
#: Columns that no parameter can be called.
RESERVED = (*METRICS, "seconds", "error")
#: The table of a saved sweep.
TABLE = "sweep.csv"


@dataclass(frozen=True, slots=True, eq=False)
class SweepResult:
    """The figures of every combination, with the pin of the data that all of them were computed from.

    Parameters
    ----------
    frame
        pandas, one row a combination in the grid's order, labelled 1, 2, 3 ...: the parameters, the figures of
        `Result.summary` (rates as fractions, money in currency), `seconds`, and `error`, None where the run succeeded.
    parameters
        The columns of `frame` that are parameters.
    pin
        The version that every run read.
    output
        Where the results are saved; None when they are not.
    """

    frame: pd.DataFrame
    parameters: tuple[str, ...]
    pin: Pin
    output: Path | None = None

    @property
    def failures(self) -> pd.DataFrame:
        """The rows with an error."""
        return self.frame[self.frame["error"].notna()]

    def best(self, metric: str = "sharpe", *, lowest: bool = False) -> pd.Series[Any]:
        """Return the row with the highest `metric`, or the lowest; the first of several. Its `name` is the row's label.

        Raises
        ------
        RequestError
            There is no such column, or no run has a value in it.
        """
        if metric not in self.frame or metric not in (*METRICS, "seconds"):
            known = [name for name in self.frame if name in METRICS]
            raise RequestError(f"the sweep has no metric {metric!r}", hint=f"one of {', '.join(known)}")
        column = self.frame[metric].to_numpy(dtype=float, na_value=np.nan)
        if np.isnan(column).all():
            raise RequestError(f"no run has a value of {metric!r}", hint="sweep.frame['error'] says why")
        return self.frame.iloc[int(np.nanargmin(column) if lowest else np.nanargmax(column))]

    def result(self, number: int) -> Result:
        """Return the saved result of a row, by its label.

        Raises
        ------
        RequestError
            Results were not saved, or this run failed.
        """
        if self.output is None:
            raise RequestError("the results of this sweep were not saved", hint="sweep(..., output='results/sweep')")
        if number not in self.frame.index:
            raise RequestError(f"the sweep has no run {number!r}", hint=f"runs count from 1 to {len(self.frame)}")
        error = self.frame["error"][number]
        if error is not None:
            raise RequestError(f"run {number} has no result: {error}")
        return Result.load(folder_of(self.output, int(number)))

    def __repr__(self) -> str:
        failed = len(self.failures)
        runs = f"{len(self.frame)} runs" + (f", {failed} failed" if failed else "")
        return f"SweepResult({runs} over {', '.join(self.parameters)} on {self.pin.reference})"


def build_frame(
    parameters: Sequence[Mapping[str, Any]], names: Sequence[str], outcomes: Sequence[Outcome]
) -> pd.DataFrame:
    """Return one row a combination, as `SweepResult.frame` describes it."""
    import pandas as pd

    index = pd.RangeIndex(1, len(parameters) + 1, name="run")
    columns: dict[str, pd.Series[Any]] = {}
    for name in names:
        column = pd.Series([given.get(name) for given in parameters], index, dtype=object)
        # What was not given stays None, which a column of text or numbers could not hold.
        columns[name] = column if column.isna().any() else column.infer_objects()
    for name in METRICS:
        values = [outcome.figures.get(name) for outcome in outcomes]
        if name not in _OF_A_BENCHMARK or any(value is not None for value in values):
            columns[name] = pd.Series(values, index, dtype="Int64" if name in _COUNTS else "float64")
    columns["seconds"] = pd.Series([outcome.seconds for outcome in outcomes], index, dtype="float64")
    columns["error"] = pd.Series([outcome.error for outcome in outcomes], index, dtype=object)
    return pd.DataFrame(columns)
