"""What every chart of the page is made of: scales, grid, labels, lines with gaps."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, cast

import numpy as np

from rustybt.trading.report.ticks import date_ticks

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from rustybt.trading.report.curve import Days, Floats

WIDTH, LEFT, RIGHT = 1000, 74, 14
#: Space below a plot for the dates.
FOOT = 48
# A line of more points is thinned to the lowest and the highest of each of so many stretches: narrower than a pixel or two.
_MOST_POINTS, _STRETCHES = 1_600, 600


class Scale:
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


def time_scale(first: np.datetime64, last: np.datetime64) -> Scale:
    """Return the map of days (as `as_days` counts them) to pixels."""
    low, high = as_days(np.array([first, last])).tolist()
    return Scale(low, high, LEFT, WIDTH - RIGHT)


def as_days(sessions: Days) -> Floats:
    """Return dates as days since 1970."""
    return np.asarray(sessions.astype("datetime64[D]").astype(np.float64))


def finite_range(arrays: Iterable[Floats]) -> tuple[float, float]:
    """Return the lowest and the highest finite value, 0 and 1 where there is none."""
    finite = [array[np.isfinite(array)] for array in arrays]
    found = [part for part in finite if part.size]
    if not found:
        return 0.0, 1.0
    return float(min(part.min() for part in found)), float(max(part.max() for part in found))


def opening(key: str, title: str, description: str, height: float) -> str:
    """Return the start of a chart, with its name and a sentence for those who do not see it.

    Parameters
    ----------
    key
        Unique on the page.
    """
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{escape(title)}</title><desc id="{key}-desc">{escape(description)}</desc>'
    )


def date_grid(first: np.datetime64, last: np.datetime64, x: Scale, top: float, bottom: float) -> list[str]:
    """Return upright lines from `top` to `bottom` at round dates, their labels and the name of the axis below."""
    parts = []
    for day, label in date_ticks(cast("date", first.item()), cast("date", last.item())):
        at = x.at(float(np.datetime64(day, "D").astype(np.int64)))
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{top:g}" y2="{bottom:g}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{bottom + 20:g}" text-anchor="middle">{label}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="label" x="{middle:.0f}" y="{bottom + 42:g}" text-anchor="middle">session</text>')
    return parts


def level(at: float, label: str) -> str:
    """Return a line across with its label at the left."""
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{escape(label)}</text>'
    )


def upright(at: float, label: str) -> str:
    """Return the name of a value axis, written upwards."""
    return f'<text class="label" transform="translate(14 {at:.0f}) rotate(-90)" text-anchor="middle">{escape(label)}</text>'


def polylines(across: Floats, up: Floats, style: str) -> list[str]:
    """Return the line through the points: broken where a value is not finite, a dot where one stands alone."""
    parts = []
    for stretch in stretches(up):
        points = joined(across[stretch], up[stretch])
        if stretch.stop - stretch.start == 1:
            at, height = points.split(",")
            parts.append(f'<circle class="{style}" cx="{at}" cy="{height}" r="2"/>')
        else:
            parts.append(f'<polyline class="{style}" points="{points}"/>')
    return parts


def stretches(values: Floats) -> list[slice]:
    """Return the rows of each run of finite values."""
    edges = np.diff(np.concatenate(([0], np.isfinite(values).astype(np.int8), [0])))
    return [slice(int(a), int(b)) for a, b in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)]


def joined(across: Floats, up: Floats) -> str:
    """Return points as SVG writes them, thinned where they are more than can be seen."""
    rows = _thinned(up)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across[rows].tolist(), up[rows].tolist(), strict=True))


def _thinned(values: Floats) -> slice | np.ndarray[tuple[int], np.dtype[np.int64]]:
    if len(values) <= _MOST_POINTS:
        return slice(None)
    edges = np.linspace(0, len(values), _STRETCHES + 1).astype(np.int64)
    rows = [0, len(values) - 1]
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[start:stop]
        rows += [start + int(part.argmin()), start + int(part.argmax())]
    return np.unique(np.array(rows, dtype=np.int64))
