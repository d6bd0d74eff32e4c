"""The times a portfolio spent below its highest value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datetime import date

    from rustybt.trading.report.curve import Curve


@dataclass(frozen=True, slots=True)
class Drawdown:
    """One fall below a high.

    Parameters
    ----------
    start
        Session of the high; None where the starting capital is the high.
    bottom
        Session of the lowest value.
    recovered
        First session at or above the high again; None when the run ends below it.
    depth
        Lowest value / high - 1, below 0.
    sessions
        Number of sessions below the high.
    """

    start: date | None
    bottom: date
    recovered: date | None
    depth: float
    sessions: int


def worst_drawdowns(curve: Curve, most: int = 10) -> list[Drawdown]:
    """Return the deepest drawdowns, deepest first; equal ones in their order."""
    # Where a value is not known, nobody can say that it was below the high.
    depth = np.nan_to_num(curve.drawdown, nan=0.0)
    below = np.concatenate(([0], (depth < 0).astype(np.int8), [0]))
    edges = np.diff(below)
    found = []
    for first, end in zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True):
        low = first + int(np.argmin(depth[first:end]))
        found.append(
            Drawdown(
                start=curve.sessions[first - 1].item() if first else None,
                bottom=curve.sessions[low].item(),
                recovered=curve.sessions[end].item() if end < len(depth) else None,
                depth=float(depth[low]),
                sessions=end - first,
            )
        )
    return sorted(found, key=lambda drawdown: drawdown.depth)[:most]
