"""How the returns of the sessions are spread, as inline SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rustybt.trading.report.axes import FOOT, LEFT, RIGHT, WIDTH, Scale, level, opening, upright
from rustybt.trading.report.figures import percent
from rustybt.trading.report.ticks import percent_labels, value_ticks

if TYPE_CHECKING:
    from rustybt.trading.report.curve import Floats

TOP, HEIGHT = 12, 190
_MANY = 200


def bins_of(returns: Floats, most: int = 40) -> tuple[Floats, list[int]]:
    """Return the edges of bins of a round width, zero among the edges where it lies inside, and the count in each.

    A return on an edge counts in the bin above it, the highest edge in the last bin; those that are not finite are left
    out. Of many returns, the outermost bins hold the hundredth part that lies farthest out, however far.
    """
    finite = returns[np.isfinite(returns)]
    if not finite.size:
        return np.array([0.0, 1.0]), [0]
    tail = 0.005 if finite.size >= _MANY else 0.0
    low, high = (float(edge) for edge in np.quantile(finite, [tail, 1 - tail]))
    if low == high:
        half = abs(low) / 2 or 0.005
        low, high = low - half, high + half
    edges = np.array(value_ticks(low, high, min(most, max(4, int(finite.size**0.5) * 2))))
    counts, _ = np.histogram(np.clip(finite, edges[0], edges[-1]), edges)
    return edges, counts.tolist()


def draw_returns(returns: Floats) -> str:
    """Return the ``<svg>`` of a histogram of session returns, given as fractions."""
    edges, counts = bins_of(returns)
    bottom = TOP + HEIGHT
    ticks = [tick for tick in value_ticks(0.0, float(max(*counts, 1)), 4) if tick.is_integer()]
    x = Scale(float(edges[0]), float(edges[-1]), LEFT, WIDTH - RIGHT)
    y = Scale(0.0, ticks[-1], bottom, TOP)
    finite = returns[np.isfinite(returns)]
    said = f"{finite.size:,} sessions, {int((finite > 0).sum()):,} up and {int((finite < 0).sum()):,} down"
    if finite.size:
        said += f"; from {percent(float(finite.min()))} to {percent(float(finite.max()))}, the outermost bars hold all beyond"
    parts = [opening("returns", "Distribution of session returns", f"{said}.", bottom + FOOT)]
    parts += [level(y.at(tick), f"{tick:,.0f}") for tick in ticks]
    for low, high, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts, strict=True):
        if count:
            left, right, top = x.at(low), x.at(high), y.at(count)
            style = "bar down" if high <= 1e-12 else "bar"
            parts.append(
                f'<rect class="{style}" x="{left + 0.5:.1f}" y="{top:.1f}" width="{max(right - left - 1, 1):.1f}" '
                f'height="{bottom - top:.1f}"/>'
            )
    shown = value_ticks(float(edges[0]), float(edges[-1]), 8)
    for tick, text in zip(shown, percent_labels(shown), strict=True):
        if edges[0] - 1e-12 <= tick <= edges[-1] + 1e-12:
            at = x.at(tick)
            parts.append(f'<text class="tick" x="{at:.1f}" y="{bottom + 20}" text-anchor="middle">{text}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="label" x="{middle:.0f}" y="{bottom + 42}" text-anchor="middle">return of a session (%)</text>'
    )
    return "\n".join([*parts, upright(TOP + HEIGHT / 2, "sessions"), "</svg>"])
