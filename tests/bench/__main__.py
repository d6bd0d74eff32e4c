"""`make bench`: run every benchmark and print one table of ratios."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.cache import workload
from tests.bench.data import write_csv_files
from tests.bench.engine.beside import find_python
from tests.bench.engine.folder import work_folder
from tests.bench.engine.parts import measure as engine_figures
from tests.bench.measure import Figure, command_seconds, in_process
from tests.bench.migration import measure as migration_figures
from tests.bench.table import print_table
from tests.bench.vendor import SOURCES, measure


def start_up(repeats: int = 7) -> list[Figure]:
    """Start of the interpreter alone, of the import, and of commands."""
    python, command = sys.executable, str(Path(sys.executable).with_name("rustybt"))
    with tempfile.TemporaryDirectory() as home:
        runs = {
            "bare": [python, "-c", "pass"],
            "import": [python, "-c", "import rustybt"],
            "help": [command, "--help"],
            "list": [command, "bundle", "list"],
        }
        taken = {
            name: statistics.median(command_seconds(line, {"RUSTYBT_HOME": home}) for _ in range(repeats))
            for name, line in runs.items()
        }
    bare = taken["bare"]
    added = taken["import"] - bare
    return [
        Figure("import rustybt (added)", "python -c pass", bare, added, "s", "<= 0.1 s", added <= 0.1),
        Figure("rustybt --help", "python -c pass", bare, taken["help"], "s", "<= 0.25 s", taken["help"] <= 0.25),
        Figure("rustybt bundle list", "python -c pass", bare, taken["list"], "s", "<= 0.6 s", taken["list"] <= 0.6),
    ]


def ingest(folder: Path, repeats: int = 3) -> list[Figure]:
    """CSV of 500 symbols x 10 years, as one long file and as one file per symbol."""
    figures = []
    for label, path in zip(("one file", "500 files"), write_csv_files(folder), strict=True):
        rates: dict[str, list[float]] = {"polars": [], "ours": [], "cold": []}
        peak = 0.0
        for _ in range(repeats):
            for who, taken in rates.items():
                name, env = ("ours", {}) if who == "cold" else (who, {"BENCH_WARM": "1"})
                done = in_process("tests.bench.ingest", name, str(path), str(folder / f"home-{name}"), env=env)
                taken.append(done["rows"] / done["seconds"] / 1e6)
                peak = peak if who == "polars" else max(peak, done["peak_mb"])
        peer, mine, cold = (statistics.median(rates[who]) for who in ("polars", "ours", "cold"))
        figures += [
            Figure(f"CSV ingest, {label}", "polars alone", peer, mine, "M rows/s", ">= 0.7", mine >= 0.7),
            Figure(f"CSV ingest, {label}, first in process", "polars alone", peer, cold, "M rows/s", "-", True),
            Figure(f"CSV ingest, {label}: peak", "-", 0, peak, "MB", "< 1,000", peak < 1_000),
        ]
    return figures


def reading(folder: Path) -> list[Figure]:
    """The bundle that `ingest` left behind."""
    t = in_process("tests.bench.reading", str(folder / "home-ours"))
    bare = t["bare"]
    lookup = t["lookup_p50"]
    return [
        Figure(
            "read 1.26M rows, verified", "read_parquet", bare, t["verified"], "s", "<= 2 x", t["verified"] <= 2 * bare
        ),
        Figure(
            "read 1.26M rows, first open", "read_parquet", bare, t["first"], "s", "<= 2.5 x", t["first"] <= 2.5 * bare
        ),
        Figure("read as float64 arrays", "read_parquet", bare, t["arrays"], "s", "-", True),
        Figure("read one symbol of 500", "read_parquet", bare, t["one"], "s", "-", True),
        Figure("metadata lookup p50", "-", 0, lookup * 1e3, "ms", "<= 0.2 ms", lookup <= 0.2e-3),
        Figure("metadata lookup p99", "-", 0, t["lookup_p99"] * 1e3, "ms", "<= 2 ms", t["lookup_p99"] <= 2e-3),
        Figure("open a bundle p50", "-", 0, t["open_p50"] * 1e3, "ms", "<= 2 ms", t["open_p50"] <= 2e-3),
    ]


def vendors() -> list[Figure]:
    """A job of 200 symbols x 9 years from a local server of 50 ms, 20 requests at once, beside its answers alone."""
    figures = []
    for vendor in SOURCES:
        t = measure(vendor)
        figures.append(
            Figure(
                f"job of 200 symbols, {SOURCES[vendor]}",
                f"{t['requests']:.0f} answers alone",
                t["bare"],
                t["ours"],
                "s",
                "<= 1.5 x",
                t["ours"] <= 1.5 * t["bare"],
            )
        )
    return figures


def cache(folder: Path) -> list[Figure]:
    """Hits beside bare reads of the same files, a miss beside the vendor alone, and what must not be felt."""

    def run(part: str) -> dict[str, Any]:
        return in_process("tests.bench.cache_speed", part, str(folder))

    run("fill")
    t, looked, missed, flushed = run("hits"), run("lookups"), run("misses"), run("flushes")
    evicted = run("eviction")
    stored, evicting = evicted["alone"] * 1e3, evicted["evicting"] * 1e3
    bare, whole, first = t["bare"], t["whole"], t["first"]
    near, apart = t["near"] * 1e3, t["apart"] * 1e3
    p50, p99 = looked["paused_p50"] * 1e3, looked["paused_p99"] * 1e3
    alone_p50, alone_p99 = looked["alone_p50"] * 1e3, looked["alone_p99"] * 1e3
    pressed_p50, pressed_p99 = looked["pressed_p50"] * 1e3, looked["pressed_p99"] * 1e3
    figures = [
        Figure("lookup p50, 8 processes at once", "one alone", alone_p50, p50, "ms", "<= 0.2 ms", p50 <= 0.2),
        Figure("lookup p99, 8 processes at once", "one alone", alone_p99, p99, "ms", "<= 2 ms", p99 <= 2),
        Figure("lookup p50, without a pause", "one alone", alone_p50, pressed_p50, "ms", "-", True),
        Figure("lookup p99, without a pause", "one alone", alone_p99, pressed_p99, "ms", "-", True),
        Figure("hit of 50 symbols x 10 years", "-", 0, near, "ms", "<= 12 ms", near <= 12),
        Figure("the same, spread over 500", "-", 0, apart, "ms", "<= 25 ms", apart <= 25),
        Figure(
            "hit of 500 symbols x 10 years, verified", "read_parquet", bare, whole, "s", "<= 2 x", whole <= 2 * bare
        ),
        Figure("the same, first open", "read_parquet", bare, first, "s", "<= 2.5 x", first <= 2.5 * bare),
        Figure("the same, first in process", "read_parquet", bare, t["cold"], "s", "-", True),
    ]
    for name, what, most in (("large", "50 symbols x 10 years", 0.25), ("small", "1 symbol x 1 year", 0.1)):
        alone, ours = missed[f"{name}_bare"], missed[f"{name}_ours"]
        budget = f"<= vendor + {most * 1e3:.0f} ms"
        figures.append(Figure(f"miss of {what}", "vendor alone", alone, ours, "s", budget, ours <= alone + most))
    quiet, busy = flushed["quiet_p99"] * 1e3, flushed["p99"] * 1e3
    return [
        *figures,
        Figure(
            "eviction of 1,000 entries for a new one",
            "storing it",
            stored,
            evicting,
            "ms",
            "< peer + 50 ms",
            evicting < stored + 50,
        ),
        Figure("lookup p99 while counters flush", "without flushes", quiet, busy, "ms", "<= 2 ms", busy <= 2),
        Figure("the slowest of these", "-", 0, flushed["most"] * 1e3, "ms", "-", True),
    ]


def main() -> None:
    find_python()  # a wrong one is told of now, not after all that comes before it is needed
    with tempfile.TemporaryDirectory(prefix="rustybt-bench-") as name:
        folder = Path(name)
        worked, remarks = workload()
        data = [*start_up(), *ingest(folder), *reading(folder), *vendors(), *cache(folder), *worked]
        data += migration_figures(folder / "migration")
    # Only this part may use again what an earlier run built.
    with work_folder() as folder:
        engine, said = engine_figures(folder)
    print_table([*data, *engine], [*remarks, *said])


if __name__ == "__main__":
    main()
