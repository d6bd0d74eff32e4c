"""`rustybt migrate` of 1,000 bundles x 500 symbols of metadata: seconds and peak memory; ``python -m tests.bench.migration``."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.measure import Figure, in_process, peak_megabytes
from tests.bench.table import print_table

BUNDLES, SYMBOLS = 1_000, 500


def run(*words: str) -> dict[str, float]:
    """Run the command in this process: its seconds with all imports, and this process's peak memory."""
    begin = time.perf_counter()
    from rustybt.cli.main import invoke

    with contextlib.redirect_stdout(io.StringIO()):
        status = invoke(["migrate", *words, "--json"])
    return {"status": status, "seconds": time.perf_counter() - begin, "peak_mb": peak_megabytes()}


def measure(folder: Path, bundles: int = BUNDLES, symbols: int = SYMBOLS) -> list[Figure]:
    """Build a root in `folder`; look at it dry, bring it over, bring it over again."""
    from tests.migration.old_store import build_large

    root, home = folder / "old", folder / "home"
    build_large(root, bundles, symbols)
    what = f"{bundles:,} bundles x {symbols} symbols"
    figures = []
    for label, words, seconds in (
        ("dry-run", ("--dry-run",), 15),
        ("migrate", (), 60),
        ("migrate again", (), 60),
        ("validate", ("--validate",), 60),
    ):
        taken = in_process("tests.bench.migration", "run", "--root", str(root), "--home", str(home), *words)
        if taken["status"] not in (0, 3):  # 3: files that the catalogs name are not there
            raise SystemExit(f"rustybt migrate {' '.join(words)}: exit status {taken['status']}")
        spent, peak = taken["seconds"], taken["peak_mb"]
        figures += [
            Figure(f"{label}, {what}", "-", 0, spent, "s", f"<= {seconds} s", spent <= seconds),
            Figure(f"{label}, {what}: peak", "-", 0, peak, "MB", "<= 500 MB", peak <= 500),
        ]
    return figures


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        print(json.dumps(run(*sys.argv[2:])))
    else:
        with tempfile.TemporaryDirectory(prefix="rustybt-bench-") as name:
            print_table(measure(Path(name), *map(int, sys.argv[1:])))
