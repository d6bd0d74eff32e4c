"""Equity and drawdown as inline SVG, for the HTML page: needs no package, stays sharp, follows the reader's colours."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from rustybt.trading.report.axes import (
    FOOT,
    Scale,
    as_days,
    date_grid,
    finite_range,
    joined,
    level,
    opening,
    polylines,
    stretches,
    time_scale,
    upright,
)
from rustybt.trading.report.figures import percent
from rustybt.trading.report.ticks import percent_labels, short_amount, value_label, value_ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustybt.trading.report.curve import Curve

EQUITY_TOP, EQUITY_HEIGHT = 12, 330
DRAWDOWN_TOP, DRAWDOWN_HEIGHT = 372, 110
HEIGHT = DRAWDOWN_TOP + DRAWDOWN_HEIGHT + FOOT


def draw(curves: Sequence[Curve], currency: str = "USD") -> str:
    """Return an ``<svg>`` of equity (all curves) above the drawdown of the first."""
    sessions = [curve.sessions for curve in curves]
    first = min(days[0] for days in sessions).astype("datetime64[D]")
    last = max(days[-1] for days in sessions).astype("datetime64[D]")
    x = time_scale(first, last)
    starts = np.array([curve.starting_value for curve in curves])
    ticks = value_ticks(*finite_range([starts, *(curve.values for curve in curves)]))
    y = Scale(ticks[0], ticks[-1], EQUITY_TOP + EQUITY_HEIGHT, EQUITY_TOP)
    loss_ticks = value_ticks(min(curves[0].max_drawdown, -0.01), 0.0, 3)
    down = Scale(loss_ticks[0], 0.0, DRAWDOWN_TOP + DRAWDOWN_HEIGHT, DRAWDOWN_TOP)
    parts = [
        opening("equity", "Portfolio value and drawdown", _description(curves, first, last), HEIGHT),
        *date_grid(first, last, x, EQUITY_TOP, DRAWDOWN_TOP + DRAWDOWN_HEIGHT),
        *(level(y.at(value), short_amount(value)) for value in ticks),
        *(level(down.at(value), text) for value, text in zip(loss_ticks, percent_labels(loss_ticks), strict=True)),
        upright(EQUITY_TOP + EQUITY_HEIGHT / 2, value_label(currency)),
        upright(DRAWDOWN_TOP + DRAWDOWN_HEIGHT / 2, "drawdown (%)"),
    ]
    for number, curve in reversed(list(enumerate(curves))):
        parts += polylines(x.all(as_days(curve.sessions)), y.all(curve.values), f"line line{number % 4}")
    across, depth = x.all(as_days(curves[0].sessions)), down.all(curves[0].drawdown)
    for stretch in stretches(depth):
        area = joined(across[stretch], depth[stretch])
        start, end = area.split(" ", 1)[0].split(",")[0], area.rsplit(" ", 1)[-1].split(",")[0]
        parts.append(f'<polygon class="loss" points="{start},{DRAWDOWN_TOP} {area} {end},{DRAWDOWN_TOP}"/>')
    parts += polylines(across, depth, "lossline")
    return "\n".join([*parts, "</svg>"])


def _description(curves: Sequence[Curve], first: np.datetime64, last: np.datetime64) -> str:
    ends = ", ".join(f"{curve.name} {percent(curve.total_return, 1, sign=True)}" for curve in curves)
    return (
        f"At the close of each session, {first} to {last}: {ends}; deepest drawdown {percent(curves[0].max_drawdown)}."
    )


def legend(curves: Sequence[Curve]) -> str:
    """Return the names and total returns of the curves, in their colours."""
    return keys([(curve.name, percent(curve.total_return, 1, sign=True)) for curve in curves])


def keys(names: Sequence[tuple[str, str]]) -> str:
    """Return names with a figure each, in the colours of the lines of a chart."""
    items = [
        f'<span class="key"><i class="swatch swatch{number % 4}"></i>{escape(name)} <b>{escape(figure)}</b></span>'
        for number, (name, figure) in enumerate(names)
    ]
    return f'<p class="legend">{"".join(items)}</p>'
