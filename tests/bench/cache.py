"""The cache at work: the month of `cache_trace` through `CachedDataSource` and through the exact-key design it replaces.

A first pass has room for everything; a second one for half of what the first one kept, each design for half of its own.
`python -m tests.bench.cache` prints the figures alone.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.cache_promise import Match
from tests.bench.cache_replay import best_possible, through_exact_keys, through_the_cache
from tests.bench.cache_trace import load
from tests.bench.measure import Figure, in_process

#: So many answers that break the promise are listed.
MOST_LISTED = 10


def main(folder: str) -> dict[str, Any]:
    """Return both designs' figures over the committed trace."""
    requests = load()
    exact = through_exact_keys(requests)
    exact_small = through_exact_keys(requests, exact.size_bytes // 2)
    ours = through_the_cache(requests, Path(folder) / "roomy")
    small = through_the_cache(requests, Path(folder) / "tight", ours.size_bytes // 2)
    return {
        "answers": ours.answers,
        "rows": ours.rows,
        "best": best_possible(requests),
        "uncached_requests": ours.requests_uncached,
        "ours": _figures(ours.rows_from_cache, ours.requests, ours.falsely_invalidated, small.prematurely_evicted),
        "exact": _figures(
            exact.rows_from_cache, exact.requests, exact.falsely_invalidated, exact_small.prematurely_evicted
        ),
        "tight_rows": small.rows_from_cache,
        "tight_exact_rows": exact_small.rows_from_cache,
        "evicted": small.evicted_rows,
        "same": ours.matches[Match.SAME] + small.matches[Match.SAME],
        "older": ours.matches[Match.OLDER] + small.matches[Match.OLDER],
        "wrong": ours.matches[Match.WRONG] + small.matches[Match.WRONG],
        "problems": (ours.problems + small.problems)[:MOST_LISTED],
        "false": ours.false[:MOST_LISTED],
    }


def _figures(rows: float, requests: int, falsely_invalidated: float, prematurely_evicted: float) -> dict[str, float]:
    return {
        "rows": rows,
        "requests": requests,
        "falsely_invalidated": falsely_invalidated,
        "prematurely_evicted": prematurely_evicted,
    }


def workload() -> tuple[list[Figure], list[str]]:
    """Return the lines of the table and, in words, what is wrong, if anything."""
    with tempfile.TemporaryDirectory(prefix="rustybt-bench-") as folder:
        t = in_process("tests.bench.cache", folder)
    ours, exact = t["ours"], t["exact"]
    what = f"month of {t['answers']} requests"

    def line(
        name: str, mine: float, others: float, unit: str, budget: str, *, holds: bool, peer: str = "exact keys"
    ) -> Figure:
        return Figure(f"{what}: {name}", peer, others, mine, unit, budget, holds)

    answers = 2 * t["answers"]
    figures = [
        line(
            "rows from cache", ours["rows"] * 100, exact["rows"] * 100, "%", ">= 95 %, < 60 %",
            holds=ours["rows"] >= 0.95 and exact["rows"] < 0.6,
        ),
        line("the same", ours["rows"] * 100, t["best"] * 100, "%", "-", holds=True, peer="the most there is"),
        line("vendor requests", ours["requests"], exact["requests"], "", "-", holds=True),
        line("the same", ours["requests"], t["uncached_requests"], "", "-", holds=True, peer="no cache"),
        line(
            "false invalidations", ours["falsely_invalidated"] * 100, exact["falsely_invalidated"] * 100, "%", "< 1 %",
            holds=ours["falsely_invalidated"] < 0.01,
        ),
        line(
            "half the room: premature evictions", ours["prematurely_evicted"] * 100, exact["prematurely_evicted"] * 100,
            "%", "< 2 %", holds=ours["prematurely_evicted"] < 0.02,
        ),
        line("half the room: rows from cache", t["tight_rows"] * 100, t["tight_exact_rows"] * 100, "%", "-", holds=True),
        line(
            f"of {answers} answers, not as promised", t["wrong"], 0, "", "0", holds=not t["wrong"], peer="the vendor then"
        ),
        line("older than the vendor then, as allowed", t["older"], 0, "", "-", holds=True, peer="the vendor then"),
    ]  # fmt: skip
    told = [f"not as promised: {problem}" for problem in t["problems"]]
    return figures, told + [f"asked though nothing was new: {one}" for one in t["false"]]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(main(sys.argv[1])))
    else:
        lines, words = workload()
        for figure in lines:
            print(
                f"{figure.what}: {figure.ours:.4g} {figure.unit} ({figure.peer_name} {figure.peer:.4g})", figure.budget
            )
        print("\n".join(words))
