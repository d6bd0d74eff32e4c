"""What the charts and tables of a report are drawn from: one value a session, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rustybt.errors import RequestError

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

Floats = NDArray[np.float64]
Days = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Curve:
    """The value of one portfolio at the close of each session.

    Parameters
    ----------
    name
        How the legend calls it.
    sessions
        Dates (datetime64[D]), rising.
    values
        Value at the session's close, in the account's currency.
    starting_value
        Capital before the first session.
    """

    name: str
    sessions: Days
    values: Floats
    starting_value: float

    def from_capital(self, capital: float) -> Curve:
        """Return the curve as if it had begun with `capital`, said in its name: beside another, only then it compares."""
        if self.starting_value in (capital, 0.0):
            return self
        values = self.values * (capital / self.starting_value)
        return Curve(f"{self.name}, scaled to {capital:,.0f}", self.sessions, values, capital)

    @property
    def drawdown(self) -> Floats:
        """Return value / highest value so far - 1, at most 0; the starting capital counts as a high.

        NaN where the value is not finite; such a value is no high.
        """
        values = np.where(np.isfinite(self.values), self.values, np.nan)
        peaks = np.fmax.accumulate(np.fmax(values, self.starting_value))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(values / peaks - 1.0, dtype=np.float64)

    @property
    def total_return(self) -> float:
        """Return the last value over the starting capital - 1, NaN when that is 0."""
        return float(self.values[-1] / self.starting_value - 1.0) if self.starting_value else math.nan

    @property
    def worst(self) -> tuple[float, date, date]:
        """Return the deepest drawdown, the session of the high before it, and the session of its low."""
        drawdown = np.nan_to_num(self.drawdown, nan=0.0)
        low = int(np.argmin(drawdown))
        before = np.nan_to_num(self.values[: low + 1], nan=-np.inf, posinf=-np.inf)
        high = int(np.argmax(before)) if before.max() >= self.starting_value else 0
        return float(drawdown[low]), self.sessions[high].item(), self.sessions[low].item()

    @property
    def max_drawdown(self) -> float:
        """Return the deepest drawdown, at most 0."""
        return float(np.nan_to_num(self.drawdown, nan=0.0).min())

    def monthly_returns(self) -> list[tuple[int, list[float | None], float]]:
        """Return (year, twelve monthly returns or None, the year's return), by year.

        A month's return is its last value over the last value before it - 1; the first month starts from the
        starting capital. NaN or infinite where a value is not finite or the one before is 0.
        """
        months = self.sessions.astype("datetime64[M]").astype(np.int64)
        last = np.append(np.nonzero(np.diff(months))[0], len(months) - 1)
        ends = self.values[last]
        starts = np.append(self.starting_value, ends[:-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            returns = dict(zip(months[last].tolist(), (ends / starts - 1.0).tolist(), strict=True))
        table = []
        for year in range(int(months[0]) // 12, int(months[-1]) // 12 + 1):
            row = [returns.get(year * 12 + month) for month in range(12)]
            growth = math.prod(1.0 + value for value in row if value is not None)
            table.append((1970 + year, row, growth - 1.0))
        return table


def curve_of(result: Any, name: str = "strategy") -> Curve:
    """Return the curve of a result's `perf`.

    Raises
    ------
    RequestError
        The result holds no session.
    """
    perf: pd.DataFrame = result.perf
    if len(perf) == 0:
        raise RequestError(f"the result {name!r} holds no session, so there is nothing to draw")
    values = perf["portfolio_value"].to_numpy(dtype=np.float64)
    return Curve(name, sessions_of(perf), values, float(perf["starting_cash"].iloc[0]))


def sessions_of(perf: pd.DataFrame) -> Days:
    """Return the dates of the sessions of a perf frame, whose index is their closes."""
    # A venue that never closes ends its day at the next midnight.
    closes: Any = perf.index
    stamps = closes.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]")
    return np.asarray((stamps - np.timedelta64(1, "us")).astype("datetime64[D]"))
