"""The strategies, loaded in either environment: nothing but the standard library is imported here."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "strategies"


def load(name: str, package: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the names of a script that reads `package`.api, with `settings` (ASSETS ...) put in the place of its own."""
    path = FOLDER / f"{name}.py"
    text = path.read_text(encoding="utf-8").replace("from rustybt.api", f"from {package}.api")
    space: dict[str, Any] = {"__name__": "strategy"}
    exec(compile(text, str(path), "exec"), space)
    unknown = settings.keys() - space.keys()
    assert not unknown, f"{name} has no {unknown}"
    space.update(settings)
    return space


def outcome(space: dict[str, Any], perf: Any, seconds: float) -> dict[str, Any]:
    """Return what is compared of a run: its time, its end value, its transactions, and the medians that it noted."""
    noted = space.get("NANOSECONDS", {})
    return {
        "seconds": seconds,
        "bars": len(perf),
        "value": float(perf["portfolio_value"].iloc[-1]),
        "transactions": sum(len(cell) for cell in perf["transactions"]),
        "microseconds": {what: statistics.median(taken) / 1e3 for what, taken in noted.items()},
    }
