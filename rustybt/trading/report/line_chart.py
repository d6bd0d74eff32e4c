"""A chart of lines over sessions, with marks where there are any, as inline SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rustybt.trading.report.axes import (
    FOOT,
    Scale,
    as_days,
    date_grid,
    finite_range,
    level,
    opening,
    polylines,
    time_scale,
    upright,
)
from rustybt.trading.report.figures import number
from rustybt.trading.report.ticks import percent_labels, short_amount, value_ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustybt.trading.report.curve import Days, Floats

TOP = 12


@dataclass(frozen=True, slots=True)
class Line:
    """Values by session; where one is not finite the line has a gap."""

    name: str
    values: Floats


@dataclass(frozen=True, slots=True)
class Marks:
    """Points on a chart, drawn as triangles: upwards for `style` ``buy``, downwards for ``sell``."""

    style: str
    sessions: Days
    values: Floats


@dataclass(frozen=True, slots=True)
class LineChart:
    """Lines over the same sessions.

    Parameters
    ----------
    key
        Unique on the page: names the chart for readers of the page's text.
    title, description
        For those who do not see the chart; the description says what is drawn and in which unit.
    label
        Name of the value axis, with its unit.
    from_zero
        Whether the axis shows zero.
    """

    key: str
    title: str
    description: str
    label: str
    sessions: Days
    lines: Sequence[Line]
    marks: Sequence[Marks] = ()
    is_percent: bool = False
    from_zero: bool = False
    height: int = 190

    def draw(self) -> str:
        """Return the ``<svg>``."""
        first, last = self.sessions[0].astype("datetime64[D]"), self.sessions[-1].astype("datetime64[D]")
        bottom = TOP + self.height
        x = time_scale(first, last)
        zero = [np.zeros(1)] if self.from_zero else []
        drawn = [*(line.values for line in self.lines), *(mark.values for mark in self.marks)]
        ticks = value_ticks(*finite_range([*drawn, *zero]), 4)
        y = Scale(ticks[0], ticks[-1], bottom, TOP)
        across = x.all(as_days(self.sessions))
        parts = [
            opening(self.key, self.title, f"{self.description} {self._ends(first, last)}", bottom + FOOT),
            *date_grid(first, last, x, TOP, bottom),
            *(level(y.at(value), text) for value, text in zip(ticks, self._labels(ticks), strict=True)),
            upright(TOP + self.height / 2, self.label),
        ]
        for place, line in reversed(list(enumerate(self.lines))):
            parts += polylines(across, y.all(line.values), f"line line{place % 4}")
        parts += [path for mark in self.marks if (path := _triangles(mark, x, y))]
        return "\n".join([*parts, "</svg>"])

    def _labels(self, ticks: list[float]) -> list[str]:
        return percent_labels(ticks) if self.is_percent else [short_amount(value) for value in ticks]

    def _ends(self, first: np.datetime64, last: np.datetime64) -> str:
        """Return what the lines come to, in words."""
        ends = [f"{line.name} ends at {number(float(line.values[-1]))}" for line in self.lines if len(line.values)]
        return f"{first} to {last}: {', '.join(ends)}."


def _triangles(marks: Marks, x: Scale, y: Scale) -> str:
    """Return all marks as one path; those that fall on the same pixel are drawn once."""
    shape = "l-4,8h8z" if marks.style == "buy" else "l-4,-8h8z"
    points = zip(x.all(as_days(marks.sessions)).tolist(), y.all(marks.values).tolist(), strict=True)
    places = dict.fromkeys((round(a), round(b)) for a, b in points if np.isfinite(b))
    return f'<path class="{marks.style}" d="{"".join(f"M{a},{b}{shape}" for a, b in places)}"/>' if places else ""
