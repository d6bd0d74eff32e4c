"""Backtests on daily bars, beside zipline-reloaded; the engine's own time; and single reads inside a strategy."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.bench.engine import ours
from tests.bench.engine.beside import LEFT_OUT, Zipline, find_python
from tests.bench.engine.folder import (
    FEW_BARS,
    WHOLE_RANGE,
    daily_bundle,
    home,
    into_page_cache,
    warm_bundle,
    zipline_root,
)
from tests.bench.engine.sizes import MANY, REPEATS, YEARS
from tests.bench.measure import Figure, in_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.engine.ours import Job

#: End values may differ by so much of themselves.
SAME = 1e-9


@dataclass(frozen=True)
class Scenario:
    """A strategy on so many assets, how many times faster than Zipline it should be, and how often Zipline runs it.

    Those without a goal ask for the portfolio once where the others do so for every asset: Zipline computes it each time.
    """

    what: str
    script: str
    assets: int
    times_faster: float | None = None
    peer_runs: int = 1
    most_megabytes: float | None = None


SCENARIOS = (
    Scenario("buy and hold", "buy_and_hold", 10, 75, peer_runs=2),
    Scenario("buy once", "buy_once", 10, peer_runs=2),
    Scenario("averages 20/50", "average_cross", 50, 30, most_megabytes=250),
    Scenario("averages 20/50, sparing", "average_cross_sparing", 50),
    Scenario("monthly momentum", "momentum", MANY, 75),
)
READS = (
    ("current of 1", "data.current, 1 asset", 2.0),
    ("current of all", f"data.current, {MANY} assets", 100.0),
    ("history of all x 20", f"data.history, {MANY} x 20, DataFrame", 80.0),
    ("history of all x 20, array", f"data.history, {MANY} x 20, array", 10.0),
    ("history of 1 x 200", "data.history, 1 x 200, Series", 80.0),
    ("history of 1 x 200, array", "data.history, 1 x 200, array", 10.0),
)


def figures(folder: Path) -> tuple[list[Figure], list[str]]:
    """Return all lines, and what has to be said about them."""
    python = find_python()
    zipline = None if python is None else Zipline(python, folder)
    lines = [line for scenario in SCENARIOS for line in compare(scenario, folder, zipline)]
    return [*lines, own_pandas(), *own_time(folder), *reads(folder, zipline)], [] if zipline else [LEFT_OUT]


def compare(scenario: Scenario, folder: Path, zipline: Zipline | None) -> list[Figure]:
    """Run a script in turns through both engines."""
    job = _job(folder, scenario.script, scenario.assets)
    cold: Job = {**job, "warm": warm_bundle(folder, FEW_BARS, YEARS)}
    if zipline:
        zipline.ingest(job["bundle"], scenario.assets, YEARS)
    into_page_cache(home(folder) / job["bundle"], zipline_root(folder) / "data" / job["bundle"])
    mine, first, theirs = [], [], []
    for number in range(max(REPEATS, scenario.peer_runs)):
        if zipline and number < scenario.peer_runs:
            theirs.append(zipline.measured(job, scenario.assets, YEARS))
        mine.append(ours.measured(job))
        first.append(ours.measured(cold))
    what = f"{scenario.what}, {scenario.assets} assets x {YEARS} y"
    seconds, peak = _median(mine), max(one["peak_mb"] for one in mine)
    bound = scenario.most_megabytes
    budget, holds = ("-", True) if bound is None else (f"<= {bound:.0f} MB", peak <= bound)
    if not theirs:
        return [
            Figure(what, "-", 0, seconds, "s", "-", holds=True),
            Figure("the same, first in process", "-", 0, _median(first), "s", "-", holds=True),
            Figure("the same: peak", "-", 0, peak, "MB", budget, holds),
        ]
    peer = _median(theirs)
    faster, least = peer / seconds, scenario.times_faster or 0
    apart = max(abs(one["value"] / theirs[0]["value"] - 1) for one in mine)
    same = apart <= SAME and {one["transactions"] for one in mine} == {one["transactions"] for one in theirs}
    return [
        Figure(what, "zipline-reloaded", peer, seconds, "s", "-", holds=True),
        Figure("the same: times faster", "-", 0, faster, "x", f">= {least:.0f} x" if least else "-", faster >= least),
        Figure("the same, first in process", "zipline-reloaded", peer, _median(first), "s", "-", holds=True),
        Figure("the same: peak", "zipline-reloaded", theirs[0]["peak_mb"], peak, "MB", budget, holds),
        Figure(f"the same: {mine[0]['transactions']} fills, end value apart", "-", 0, apart, "", f"<= {SAME}", same),
    ]


def own_pandas() -> Figure:
    """Measure what pandas takes of the run of `average_cross` in any engine."""
    bars = 252 * YEARS
    runs = [in_process("tests.bench.engine.own_pandas", "50", str(bars)) for _ in range(REPEATS)]
    return Figure(f"averages 20/50, {bars:,} bars: its own pandas alone", "-", 0, _median(runs), "s", "-", holds=True)


def own_time(folder: Path) -> list[Figure]:
    """Measure a strategy that does nothing, and what a transaction adds to it."""
    jobs = [_job(folder, "nothing", 10), _job(folder, "many_orders", 10)]
    taken: list[list[dict[str, Any]]] = [[], []]
    into_page_cache(home(folder) / jobs[0]["bundle"])
    for _ in range(REPEATS):
        for runs, job in zip(taken, jobs, strict=True):
            runs.append(ours.measured(job))
    idle, busy = map(_median, taken)
    bars, fills = taken[0][0]["bars"], taken[1][0]["transactions"]
    bar, fill = idle / bars * 1e6, (busy - idle) / fills * 1e6
    return [
        Figure(f"doing nothing, whole run of {bars} bars: a bar", "-", 0, bar, "us", "<= 40 us", bar <= 40),
        Figure(f"what each of {fills} transactions adds", "-", 0, fill, "us", "<= 20 us", fill <= 20),
    ]


def reads(folder: Path, zipline: Zipline | None) -> list[Figure]:
    """Time single calls inside a strategy, in the bars after the first 252; of Zipline in two years only."""
    job = _job(folder, "reads", MANY)
    if zipline:
        zipline.ingest(job["bundle"], MANY, YEARS)
    into_page_cache(home(folder) / job["bundle"])
    alone = [ours.measured(job)["microseconds"] for _ in range(min(REPEATS, 3))]
    theirs: dict[str, float] = {}
    if zipline:
        brief: Job = {**job, "settings": {**job["settings"], "HAS_ARRAYS": False}, "end": "2011-06-30"}
        theirs = zipline.measured(brief, MANY, YEARS)["microseconds"]
    lines = []
    for key, what, most in READS:
        mine = statistics.median(one[key] for one in alone)
        # Beside an array of ours is Zipline's only answer, its DataFrame or Series.
        peer = theirs.get(key.removesuffix(", array"), 0.0)
        name = "zipline-reloaded" if peer else "-"
        lines.append(Figure(what, name, peer, mine, "us", f"<= {most:.0f} us", mine <= most))
    return lines


def _job(folder: Path, script: str, assets: int) -> Job:
    return {
        "folder": str(folder),
        "bundle": daily_bundle(folder, assets, YEARS),
        "script": script,
        "settings": {"ASSETS": assets},
        "warm": warm_bundle(folder, WHOLE_RANGE, YEARS),
        "end": f"{2010 + YEARS - 1}-12-31",
    }


def _median(runs: list[dict[str, Any]]) -> float:
    return statistics.median(one["seconds"] for one in runs)
