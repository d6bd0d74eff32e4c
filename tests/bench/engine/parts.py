"""The parts of the engine's benchmarks by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.engine import daily, minutes, scaling

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.bench.measure import Figure

PARTS = {"daily": daily.figures, "minutes": minutes.figures, "scaling": scaling.figures}


def measure(folder: Path, parts: Iterable[str] = tuple(PARTS)) -> tuple[list[Figure], list[str]]:
    """Return the figures of the parts and what has to be said about them."""
    figures, remarks = [], []
    for part in parts:
        measured, said = PARTS[part](folder)
        figures += measured
        remarks += said
    return figures, remarks
