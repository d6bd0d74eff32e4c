"""The chart as inline SVG, for the HTML page: needs no package, stays sharp, follows the reader's colour scheme."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from rustybt.trading.report.ticks import date_ticks, short_amount, value_label, value_ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustybt.trading.report.curve import Curve, Floats

WIDTH, LEFT, RIGHT = 1000, 74, 14
EQUITY_TOP, EQUITY_HEIGHT = 12, 330
DRAWDOWN_TOP, DRAWDOWN_HEIGHT = 372, 110
HEIGHT = 530


def draw(curves: Sequence[Curve], currency: str = "USD") -> str:
    """Return an ``<svg>`` of equity (all curves) above the drawdown of the first."""
    sessions = [curve.sessions for curve in curves]
    first = min(days[0] for days in sessions).astype("datetime64[D]")
    last = max(days[-1] for days in sessions).astype("datetime64[D]")
    x = _Scale(float(first.astype(np.int64)), float(last.astype(np.int64)), LEFT, WIDTH - RIGHT)
    ticks = value_ticks(
        min(min(curve.values.min(), curve.starting_value) for curve in curves),
        max(max(curve.values.max(), curve.starting_value) for curve in curves),
    )
    y = _Scale(ticks[0], ticks[-1], EQUITY_TOP + EQUITY_HEIGHT, EQUITY_TOP)
    depth = min(curves[0].max_drawdown, -0.01)
    loss_ticks = value_ticks(depth, 0.0, 3)
    down = _Scale(loss_ticks[0], 0.0, DRAWDOWN_TOP + DRAWDOWN_HEIGHT, DRAWDOWN_TOP)
    parts = [
        (
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="Portfolio value and drawdown, {first} to {last}">'
        )
    ]
    for day, label in date_ticks(first.item(), last.item()):
        at = x.at(float(np.datetime64(day, "D").astype(np.int64)))
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{EQUITY_TOP}" y2="{HEIGHT - 48}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{HEIGHT - 28}" text-anchor="middle">{label}</text>')
    parts += [_level(y.at(value), short_amount(value)) for value in ticks]
    parts += [_level(down.at(value), f"{value:.0%}") for value in loss_ticks]
    parts += [
        _upright(EQUITY_TOP + EQUITY_HEIGHT / 2, value_label(currency)),
        _upright(DRAWDOWN_TOP + DRAWDOWN_HEIGHT / 2, "drawdown (%)"),
        f'<text class="label" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">session</text>',
    ]
    for number, curve in reversed(list(enumerate(curves))):
        points = _points(x, y, curve, curve.values)
        parts.append(f'<polyline class="line line{number % 4}" points="{points}"/>')
    area = _points(x, down, curves[0], curves[0].drawdown)
    start, end = area.split(" ", 1)[0].split(",")[0], area.rsplit(" ", 1)[-1].split(",")[0]
    parts.append(f'<polygon class="loss" points="{start},{DRAWDOWN_TOP} {area} {end},{DRAWDOWN_TOP}"/>')
    parts.append(f'<polyline class="lossline" points="{area}"/></svg>')
    return "\n".join(parts)


def legend(curves: Sequence[Curve]) -> str:
    """Return the names and total returns of the curves, in their colours."""
    items = [
        f'<span class="key"><i class="swatch swatch{number % 4}"></i>{escape(curve.name)} '
        f"<b>{curve.total_return:+,.1%}</b></span>"
        for number, curve in enumerate(curves)
    ]
    return f'<p class="legend">{"".join(items)}</p>'


class _Scale:
    """A linear map of values to pixels."""

    def __init__(self, low: float, high: float, at_low: float, at_high: float) -> None:
        self._low, self._at_low = low, at_low
        self._factor = (at_high - at_low) / (high - low) if high > low else 0.0

    def at(self, value: float) -> float:
        """Return the pixel of one value."""
        return self._at_low + (value - self._low) * self._factor

    def all(self, values: Floats) -> Floats:
        """Return the pixels of an array."""
        return np.asarray(self._at_low + (values - self._low) * self._factor, dtype=np.float64)


def _points(x: _Scale, y: _Scale, curve: Curve, values: Floats) -> str:
    across = x.all(curve.sessions.astype("datetime64[D]").astype(np.float64))
    up = y.all(values)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across.tolist(), up.tolist(), strict=True))


def _level(at: float, label: str) -> str:
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{escape(label)}</text>'
    )


def _upright(at: float, label: str) -> str:
    return f'<text class="label" transform="translate(14 {at:.0f}) rotate(-90)" text-anchor="middle">{escape(label)}</text>'
