"""Timing: medians of repeated runs, peers taken in turns so that a slow moment hits both."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Figure:
    """One line of the table: `ours` against `peer`, in `unit`; `budget` is the goal as text, `holds` whether it is met."""

    what: str
    peer_name: str
    peer: float
    ours: float
    unit: str
    budget: str
    holds: bool

    @property
    def ratio(self) -> float:
        return self.ours / self.peer if self.peer else float("nan")


def medians(repeats: int, *runs: Callable[[], Any]) -> list[float]:
    """Return the median seconds of each function; they run in turns, `repeats` times."""
    taken: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for times, run in zip(taken, runs, strict=True):
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
    return [statistics.median(times) for times in taken]


def each(repeats: int, run: Callable[[], Any]) -> list[float]:
    """Return the seconds of every repetition, sorted."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return sorted(times)


def command_seconds(command: Sequence[str], env: dict[str, str] | None = None) -> float:
    """Return the seconds of a command from start to end; raises if it fails."""
    begin = time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **(env or {})}
    )
    return time.perf_counter() - begin


def in_process(
    module: str, *arguments: str, env: dict[str, str] | None = None, python: str = sys.executable
) -> dict[str, Any]:
    """Run ``python -m module`` and return the JSON object that it prints last."""
    command = [python, "-m", module, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
    return json.loads(done.stdout.splitlines()[-1])


def peak_megabytes() -> float:
    """Return this process's peak resident memory in MB.

    Where Linux keeps it for the program itself: a process's `ru_maxrss` begins with what its parent held when it started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1_024 / 1e6
    in_bytes = sys.platform == "darwin"
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if in_bytes else 1_024) / 1e6
