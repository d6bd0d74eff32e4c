"""The chart as a PNG, by matplotlib (extra ``plot`` or ``demo``)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rustybt.errors import MissingDependencyError
from rustybt.trading.report.ticks import short_amount, value_label
from rustybt.trading.report.writing import write_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    from rustybt.trading.report.curve import Curve

INK, GRID = "#1f2933", "#d9dee4"
COLOURS = ("#1261a0", "#8a94a0", "#c2571a", "#3f7d3a")
LOSS = "#b3372f"


def write_chart(
    curves: Sequence[Curve],
    path: str | os.PathLike[str],
    *,
    title: str = "Equity",
    currency: str = "USD",
    note: str = "",
) -> Path:
    """Draw equity above and drawdown below, and write a PNG to `path`.

    Parameters
    ----------
    curves
        The first is the strategy; further ones are drawn thinner, for comparison.
    currency
        Unit of the value axis; empty when it is not known.
    note
        One small line below the chart: which data, which version.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    MissingDependencyError
        matplotlib is not installed.
    StorageError
        The file system refuses.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "a PNG chart needs matplotlib, which is not installed", hint='pip install "rustybt[plot]"'
        ) from error
    figure = Figure(figsize=(11, 6.6), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    equity, drawdown = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.15))
    _draw_equity(equity, curves, currency)
    _draw_drawdown(drawdown, curves[0])
    figure.suptitle(_cut(title), x=0.012, ha="left", fontsize=14, fontweight="bold", color=INK, parse_math=False)
    if note:
        figure.supxlabel(_cut(note), x=0.012, ha="left", fontsize=8, color="#616e7c", parse_math=False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return write_whole(path, drawn.getvalue())


def _cut(text: str, most: int = 160) -> str:
    """Return one line of `text` that leaves room for the chart."""
    line = " ".join(text.splitlines())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _draw_equity(axes: Any, curves: Sequence[Curve], currency: str) -> None:
    from matplotlib.ticker import FuncFormatter

    for number, curve in reversed(list(enumerate(curves))):
        label = f"{_cut(curve.name, 60)}  {curve.total_return:+,.1%}"
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(
            curve.sessions,
            curve.values,
            color=colour,
            linewidth=1.7 if number == 0 else 1.1,
            label=label,
            zorder=9 - number,
        )
    axes.axhline(curves[0].starting_value, color=GRID, linewidth=1, zorder=0)
    axes.set_ylabel(value_label(currency), color=INK)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_amount(value)))
    handles, labels = axes.get_legend_handles_labels()
    drawn = axes.legend(handles[::-1], labels[::-1], loc="upper left", frameon=False, fontsize=10)
    for text in drawn.get_texts():
        # A dollar sign in a name begins no formula.
        text.set_parse_math(False)
    _dress(axes)


def _draw_drawdown(axes: Any, curve: Curve) -> None:
    from matplotlib.ticker import PercentFormatter

    drawdown = curve.drawdown
    axes.fill_between(curve.sessions, drawdown, 0.0, color=LOSS, alpha=0.22, linewidth=0)
    axes.plot(curve.sessions, drawdown, color=LOSS, linewidth=0.9)
    depth, _, low = curve.worst
    if depth < 0:
        axes.annotate(
            f"{depth:.1%} on {low}",
            (low, depth),
            xytext=(0, -4),
            textcoords="offset points",
            ha=_anchor(curve, low),
            va="top",
            fontsize=8,
            color=LOSS,
        )
    axes.set_ylim(min(depth * 1.35, -0.01), 0.0)
    if len(curve.sessions) > 1:
        axes.set_xlim(curve.sessions[0], curve.sessions[-1])
    axes.set_ylabel("drawdown (%)", color=INK)
    axes.set_xlabel("session", color=INK)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if depth < -0.05 else 1))
    _dress(axes)


def _anchor(curve: Curve, day: date) -> str:
    """Return how a label at `day` is aligned so that it stays inside the axes."""
    first, last = curve.sessions[0].item(), curve.sessions[-1].item()
    across = (day - first).days / max((last - first).days, 1)
    return "left" if across < 0.12 else "right" if across > 0.88 else "center"


def _dress(axes: Any) -> None:
    axes.grid(visible=True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#9aa5b1")
