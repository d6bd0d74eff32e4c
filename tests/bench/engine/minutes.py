"""Minutes at scale: a year of 10 assets and of 500, 49 million bars, built once in the folder of the run."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from tests.bench.engine import ours
from tests.bench.engine.folder import home, into_page_cache
from tests.bench.engine.minute_runs import WARM, name_of
from tests.bench.engine.sizes import MINUTE_ASSETS, MINUTE_MONTHS
from tests.bench.measure import Figure, in_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.engine.ours import Job

FEW = 10
REPEATS = 3


def figures(folder: Path) -> tuple[list[Figure], list[str]]:
    """Return all lines; Zipline's answer to such a bundle takes hours, so nothing stands beside them."""
    few, many = (_run("build", folder, assets) for assets in (FEW, MINUTE_ASSETS))
    return [*_few(folder, few), *_many(folder, many), *_update(folder)], []


def _few(folder: Path, built: dict[str, Any]) -> list[Figure]:
    into_page_cache(home(folder) / name_of(FEW, MINUTE_MONTHS))
    runs = [ours.measured(_job(folder, "one_current", FEW)) for _ in range(REPEATS)]
    seconds, peak = statistics.median(one["seconds"] for one in runs), max(one["peak_mb"] for one in runs)
    minutes = built["rows"] // FEW
    what = f"{FEW} assets x {minutes:,} minutes, one current a bar"
    return [
        Figure(what, "-", 0, seconds, "s", "<= 6 s", seconds <= 6),
        Figure("the same: a bar", "-", 0, seconds / minutes * 1e6, "us", "-", holds=True),
        Figure("the same: peak", "-", 0, peak, "MB", "<= 400 MB", peak <= 400),
    ]


def _many(folder: Path, built: dict[str, Any]) -> list[Figure]:
    into_page_cache(home(folder) / name_of(MINUTE_ASSETS, MINUTE_MONTHS))
    rows, size = built["rows"], built["bytes"] / built["rows"]
    minutes = rows // MINUTE_ASSETS
    first = statistics.median(_run("first", folder, MINUTE_ASSETS)["seconds"] for _ in range(REPEATS))
    run = ours.measured(_job(folder, "all_current", MINUTE_ASSETS))
    what = f"{MINUTE_ASSETS} assets, {rows / 1e6:.3g}M minutes"
    # A folder that is used again has nothing to build.
    building = [
        Figure(f"{what}: build", "-", 0, rows / built["seconds"] / 1e6, "M rows/s", "-", holds=True),
        Figure(f"{what}: peak of the build", "-", 0, built["peak_mb"], "MB", "-", holds=True),
    ]
    return [
        *(building if built["months"] == MINUTE_MONTHS else []),
        Figure(f"{what}: on disk", "-", 0, size, "bytes/row", "<= 30", size <= 30),
        Figure(f"{what}: first bar", "-", 0, first, "s", "<= 3 s", first <= 3),
        Figure(f"{what}: all prices each bar, whole run", "-", 0, run["seconds"], "s", "-", holds=True),
        Figure("the same: a bar", "-", 0, run["seconds"] / minutes * 1e6, "us", "-", holds=True),
        Figure("the same: peak", "-", 0, run["peak_mb"], "MB", "<= 1,000 MB", run["peak_mb"] <= 1_000),
    ]


def _update(folder: Path) -> list[Figure]:
    runs = [_run("update", folder, MINUTE_ASSETS) for _ in range(REPEATS)]
    seconds = statistics.median(one["seconds"] for one in runs)
    written = max(one["bytes"] for one in runs) / 1e6
    what = f"one more session at the end of a month, {runs[0]['rows']:,} bars"
    return [
        Figure(what, "-", 0, seconds, "s", "<= 3 s", seconds <= 3),
        Figure("the same: written", "-", 0, written, "MB", "<= 150 MB", written <= 150),
        Figure("the same: peak", "-", 0, max(one["peak_mb"] for one in runs), "MB", "-", holds=True),
    ]


def _run(what: str, folder: Path, assets: int) -> dict[str, Any]:
    return in_process("tests.bench.engine.minute_runs", what, str(folder), str(assets), str(MINUTE_MONTHS))


def _job(folder: Path, script: str, assets: int) -> Job:
    return {
        "folder": str(folder),
        "bundle": name_of(assets, MINUTE_MONTHS),
        "script": script,
        "settings": {"ASSETS": assets},
        "warm": WARM,
        "data_frequency": "minute",
    }
