"""How a bar's time grows with assets and years: it should grow with the assets at most, and not with the years."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from tests.bench.engine import ours
from tests.bench.engine.folder import WHOLE_RANGE, daily_bundle, home, into_page_cache, warm_bundle
from tests.bench.engine.sizes import SCALED_ASSETS, SCALED_YEARS
from tests.bench.measure import Figure

if TYPE_CHECKING:
    from pathlib import Path

#: A script, what it is called, and how often it runs: with 2,000 assets the second one takes the better part of a minute.
SCRIPTS = (("nothing", "doing nothing", 3), ("average_cross", "averages 20/50", 1))


def figures(folder: Path) -> tuple[list[Figure], list[str]]:
    """Return a bar's time beside that of the fewest years, and its time per asset beside that of the fewest assets."""
    lines = []
    for script, what, repeats in SCRIPTS:
        bars = {(n, y): _bar(folder, script, n, y, repeats) for n in SCALED_ASSETS for y in SCALED_YEARS}
        least, shortest = SCALED_ASSETS[0], SCALED_YEARS[0]
        for (assets, years), taken in bars.items():
            name = f"{what}, {assets:,} assets x {years} y"
            short = bars[assets, shortest]
            few = bars[least, years] / least
            each = taken / assets
            lines += [
                Figure(f"{name}: a bar", f"{shortest} y", short, taken, "us", "-", holds=True),
                Figure("the same, per asset", f"{least} assets", few, each, "us", "-", holds=True),
            ]
    return lines, []


def _bar(folder: Path, script: str, assets: int, years: int, repeats: int) -> float:
    """Return the microseconds of a bar: the whole run from call to perf, through its number of bars."""
    bundle = daily_bundle(folder, assets, years)
    warm = warm_bundle(folder, WHOLE_RANGE, years)
    into_page_cache(home(folder) / bundle)
    job: ours.Job = {
        "folder": str(folder),
        "bundle": bundle,
        "script": script,
        "settings": {"ASSETS": assets},
        "warm": warm,
        "end": f"{2010 + years - 1}-12-31",
    }
    runs = [ours.measured(job) for _ in range(repeats)]
    return statistics.median(one["seconds"] for one in runs) / runs[0]["bars"] * 1e6
