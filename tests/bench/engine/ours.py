"""One run of RustyBT in a process of its own: `python -m tests.bench.engine.ours JOB`.

The job names home, bundle, script and settings (see `Job`). Imports are done before the clock starts, by a run of a strategy that
does nothing on the bundle `warm`.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from tests.bench.engine.folder import home
from tests.bench.engine.scripts import load, outcome
from tests.bench.measure import in_process, peak_megabytes

if TYPE_CHECKING:
    from typing import NotRequired


class Job(TypedDict):
    """What is run; both engines are told the same."""

    folder: str
    bundle: str
    script: str
    settings: dict[str, Any]
    warm: NotRequired[str]
    end: NotRequired[str]
    data_frequency: NotRequired[str]


def run(job: Job) -> dict[str, Any]:
    """Return the time from the call of run_algorithm to its perf in hand, and what came out."""
    os.environ["RUSTYBT_HOME"] = str(home(Path(job["folder"])))
    import pandas as pd

    from rustybt import run_algorithm

    frequency = job.get("data_frequency", "daily")
    if "warm" in job:
        len(run_algorithm(bundle=job["warm"], handle_data=nothing, data_frequency=frequency).perf)
        gc.collect()
    space = load(job["script"], "rustybt", job["settings"])
    days = pd.bdate_range("2010-01-04", "2024-12-31")
    begin = time.perf_counter()
    perf = run_algorithm(
        end=job.get("end"),
        initialize=space["initialize"],
        handle_data=space.get("handle_data"),
        capital_base=1e6,
        bundle=job["bundle"],
        data_frequency=frequency,
        benchmark_returns=pd.Series(0.0, index=days),
    ).perf
    seconds = time.perf_counter() - begin
    return {**outcome(space, perf, seconds), "peak_mb": peak_megabytes()}


def nothing(context: Any, data: Any) -> None:
    """Do nothing in a bar."""


def measured(job: Job) -> dict[str, Any]:
    """Return what `run` returns, of a fresh process."""
    return in_process("tests.bench.engine.ours", json.dumps(job))


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
