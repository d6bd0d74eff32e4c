"""zipline-reloaded beside us: where its environment is, and its ingests and runs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.engine.folder import daily_arrays, zipline_root
from tests.bench.measure import in_process

if TYPE_CHECKING:
    from tests.bench.engine.ours import Job

ROOT = Path(__file__).resolve().parents[3]
LEFT_OUT = (
    "zipline-reloaded is not here, so everything beside it is left out: `make oracle` makes its environment, .venv-oracle; "
    "or let BENCH_ZIPLINE_PYTHON name the interpreter of another one with zipline-reloaded 3.2"
)


def find_python() -> str | None:
    """Return the interpreter that has Zipline, None where there is none.

    Raises FileNotFoundError when $BENCH_ZIPLINE_PYTHON names no program.
    """
    named = os.environ.get("BENCH_ZIPLINE_PYTHON")
    if named:
        if shutil.which(named) is None:
            raise FileNotFoundError(f"BENCH_ZIPLINE_PYTHON={named}: there is no such program")
        return named
    made = ROOT / ".venv-oracle" / "bin" / "python"
    return str(made) if made.exists() else None


class Zipline:
    """Zipline in a folder of the bench: each bundle is ingested once."""

    def __init__(self, python: str, folder: Path) -> None:
        self._python = python
        self._folder = folder

    def ingest(self, bundle: str, assets: int, years: int) -> None:
        """Write the bundle that we have under this name, from the same numbers."""
        path = daily_arrays(self._folder, assets, years)
        done = zipline_root(self._folder) / f"{bundle}.ingested"
        if not done.exists():
            self._call("ingest", bundle, str(path))
            done.touch()

    def measured(self, job: Job, assets: int, years: int) -> dict[str, Any]:
        """Return what `peer.run` returns, of a fresh process."""
        return self._call("run", job["bundle"], str(daily_arrays(self._folder, assets, years)), json.dumps(job))

    def _call(self, *arguments: str) -> dict[str, Any]:
        root = zipline_root(self._folder)
        root.mkdir(exist_ok=True)
        return in_process("tests.bench.engine.peer", *arguments, env={"ZIPLINE_ROOT": str(root)}, python=self._python)
