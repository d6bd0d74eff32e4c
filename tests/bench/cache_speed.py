"""How fast the cache is, beside bare reads of the same bytes and the vendor's own time; each part in a process of its own.

`python -m tests.bench.cache_speed PART FOLDER` prints one part as JSON; `fill` has to run first.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from rustybt.data.sources import DataSource
from rustybt.errors import SourceUnavailableError
from rustybt.market.bars import BAR_COLUMNS, DECIMAL, TIMESTAMP, VALUE_COLUMNS, sort_bars
from rustybt.market.provenance import SourceMetadata
from tests.bench.data import daily_text
from tests.bench.measure import each, medians

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustybt.data.bundles.store import BundleStore

SYMBOLS = tuple(f"SYM{n:04d}" for n in range(500))
RANGE = ("2010-01-04", "2019-12-31")
PROCESSES, LOOKUPS = 8, 1_000
#: Between two look-ups of a process: it reads its bars and works with them.
PAUSE_SECONDS = 0.005
VENDOR_SECONDS = 0.2
ENTRIES = 1_000


class WideVendor(DataSource):
    """Hands over bars that it holds after a fixed time; one that holds none must not be asked."""

    name = "wide"

    def __init__(self, bars: pl.DataFrame | None = None, delay_seconds: float = 0.0) -> None:
        self._bars = bars
        self._delay = delay_seconds

    async def fetch(self, symbols: Any, start: Any = None, end: Any = None, frequency: Any = "1d") -> pl.DataFrame:
        if self._bars is None:
            raise SourceUnavailableError("a hit asked the vendor")
        await asyncio.sleep(self._delay)
        request = self.request(symbols, start, end, frequency)
        return self._bars.filter(pl.col("symbol").is_in(request.symbols) & request.in_range())

    def get_metadata(self) -> SourceMetadata:
        return SourceMetadata(self.name)

    def supports_live(self) -> bool:
        return False


def cached(store: BundleStore, vendor: DataSource | None = None) -> Any:
    from rustybt.data.sources import CachedDataSource

    return CachedDataSource(vendor or WideVendor(), store=store)


def wide_bars(symbols: int, years: int = 10) -> pl.DataFrame:
    text = daily_text(symbols, years)
    stamps = pl.col("date").str.to_datetime("%Y-%m-%d", time_unit="us").dt.replace_time_zone("UTC").cast(TIMESTAMP)
    bars = text.select(stamps.alias("timestamp"), "symbol", *(pl.col(name).cast(DECIMAL) for name in VALUE_COLUMNS))
    return sort_bars(bars.select(BAR_COLUMNS))


def fill(folder: Path) -> dict[str, float]:
    """Make the cache that the other parts read: 500 symbols x 10 years."""
    from rustybt.data.bundles.store import BundleStore

    with BundleStore(folder / "wide") as store:
        rows = cached(store, WideVendor(wide_bars(len(SYMBOLS)))).fetch_sync(list(SYMBOLS), *RANGE).height
    return {"rows": rows}


def hits(folder: Path) -> dict[str, float]:
    """Return medians of hits, verified before and at first open, beside `read_parquet` of the same files."""
    from rustybt.data.bundles import file_reader
    from rustybt.data.bundles.cache_store import CacheStore
    from rustybt.data.bundles.store import BundleStore

    with BundleStore(folder / "wide") as store:
        source, place = cached(store), CacheStore(store).place
        begin = time.perf_counter()
        rows = source.fetch_sync(list(SYMBOLS), *RANGE).height
        cold = time.perf_counter() - begin
        paths = sorted(place.root.rglob("*.parquet"))

        def hit(symbols: tuple[str, ...]) -> Callable[[], pl.DataFrame]:
            return lambda: source.fetch_sync(list(symbols), *RANGE)

        def bare() -> None:
            for path in paths:
                pl.read_parquet(path)

        def first_open() -> None:
            file_reader.forget_verified()
            source.fetch_sync(list(SYMBOLS), *RANGE)

        alone, whole, first = medians(15, bare, hit(SYMBOLS), first_open)
        near, apart = medians(30, hit(SYMBOLS[100:150]), hit(SYMBOLS[::10]))
    return {
        "rows": rows,
        "files": len(paths),
        "bare": alone,
        "whole": whole,
        "first": first,
        "cold": cold,
        "near": near,
        "apart": apart,
    }


def look(source: Any) -> None:
    """Plan a hit of 50 symbols x 10 years, which is all but the reading of bars."""
    plan = source.plan_fetch(list(SYMBOLS[100:150]), *RANGE, "1d")
    del plan


def lookup_worker(folder: Path, begin: float, pause_seconds: float) -> list[float]:
    """Look up from an agreed moment on; return seconds of each."""
    from rustybt.data.bundles.store import BundleStore

    taken = []
    with BundleStore(folder / "wide") as store:
        source = cached(store)
        look(source)
        while time.time() < begin:
            time.sleep(0.001)
        for _ in range(LOOKUPS):
            taken += each(1, lambda: look(source))
            if pause_seconds:
                time.sleep(pause_seconds)
    return sorted(taken)


def lookups(folder: Path) -> dict[str, float]:
    """Return percentiles of look-ups by one process alone, by eight that do something else in between, and by eight that do not.

    Without a pause eight processes fill all cores, and what is measured is how long the system lets a process wait for one.
    """
    alone = lookup_worker(folder, 0.0, PAUSE_SECONDS)
    found = {"alone_p50": percentile(alone, 0.5), "alone_p99": percentile(alone, 0.99)}
    for name, pause in (("paused", PAUSE_SECONDS), ("pressed", 0.0)):
        # So much later, all of them have loaded their libraries.
        options = [str(folder), str(time.time() + 8), str(pause)]
        command = [sys.executable, "-m", "tests.bench.cache_speed", "lookup_worker", *options]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
        together = sorted(taken for one in running for taken in json.loads(one.communicate()[0].splitlines()[-1]))
        assert len(together) == PROCESSES * LOOKUPS
        found |= {f"{name}_p50": percentile(together, 0.5), f"{name}_p99": percentile(together, 0.99)}
    return found


def percentile(sorted_seconds: list[float], share: float) -> float:
    return sorted_seconds[int(len(sorted_seconds) * share)]


def misses(folder: Path, repeats: int = 5) -> dict[str, float]:
    """Return what a miss takes beyond the vendor's own time: 50 symbols x 10 years, and one symbol x 1 year."""
    import statistics

    from rustybt.data.bundles.store import BundleStore

    vendor = WideVendor(wide_bars(50), VENDOR_SECONDS)
    found: dict[str, float] = {}
    jobs = {"large": (list(SYMBOLS[:50]), *RANGE), "small": ([SYMBOLS[0]], "2019-01-02", "2019-12-31")}
    with BundleStore(folder / "warm") as store:
        # Calendar and libraries loaded.
        cached(store, vendor).fetch_sync([SYMBOLS[1]], *RANGE)
    for name, job in jobs.items():
        bare, ours = [], []
        for number in range(repeats):
            bare += each(1, lambda job=job: vendor.fetch_sync(*job))
            with BundleStore(folder / f"miss-{name}-{number}") as store:
                source = cached(store, vendor)
                ours += each(1, lambda source=source, job=job: source.fetch_sync(*job))
        found |= {f"{name}_bare": statistics.median(bare), f"{name}_ours": statistics.median(ours)}
    return found


def eviction(folder: Path, repeats: int = 5) -> dict[str, float]:
    """Return what storing one more entry takes, where there is room and where 1,000 others, a file each, have to leave for it."""
    import statistics

    from rustybt.data.bundles.cache_store import CacheStore
    from rustybt.data.bundles.store import BundleStore

    filled = folder / "entries"
    with BundleStore(filled) as store:
        for number in range(ENTRIES):
            save_entry(store, f"ENTRY{number:04d}")
        size = CacheStore(store).size_bytes()
    taken: dict[str, list[float]] = {"alone": [], "evicting": []}
    for number in range(repeats):
        for name, limit in (("alone", None), ("evicting", 2 * size // ENTRIES)):
            copy = folder / f"entries-{name}-{number}"
            shutil.copytree(filled, copy)
            with BundleStore(copy) as store:
                cache = CacheStore(store)
                # What is timed begins in a process that has read the ledger.
                cache.series(symbols=["ENTRY0000"])
                begin = time.perf_counter()
                save_entry(store, "NEWEST", limit)
                taken[name].append(time.perf_counter() - begin)
                left = [item.symbol for item in cache.series()]
                assert len(left) == ENTRIES + 1 if limit is None else left[-1] == "NEWEST" and len(left) <= 2, left
            shutil.rmtree(copy)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def save_entry(store: BundleStore, symbol: str, max_size_bytes: int | None = None) -> None:
    """Store a year of one symbol in a file of its own."""
    from rustybt.data.bundles.cache_store import HERE, Addition, CacheStore
    from rustybt.data.bundles.metadata_store.cache import DatasetRow
    from rustybt.data.cache.coverage import Reason, Segment
    from rustybt.data.cache.series import SeriesFacts

    bars = one_year().with_columns(pl.lit(symbol).alias("symbol"))
    start, end = (int(bars["timestamp"].to_physical()[at]) for at in (0, -1))
    cache = CacheStore(store, max_size_bytes=max_size_bytes)
    dataset = cache.dataset(DatasetRow("cache-entries", cache.place.text, "wide", "1d", "{}", 0))
    dataset.save([Addition(symbol, (Segment(start, end, Reason.PRESENT, store.clock(), HERE),), SeriesFacts())], bars)


@cache
def one_year() -> pl.DataFrame:
    return wide_bars(1, 1)


def flushes(folder: Path) -> dict[str, float]:
    """Return percentiles of look-ups while nothing is written, and while another thread flushes counters all the time."""
    from rustybt.data.bundles.counters import CacheUse
    from rustybt.data.bundles.store import BundleStore

    home = folder / "flushed"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(folder / "wide", home)
    with BundleStore(home) as store:
        source = cached(store)

        def read() -> None:
            look(source)
            store.counters.record(CacheUse("wide", hits=1))

        read()
        quiet = each(3 * LOOKUPS, read)
        done = threading.Event()
        flushed = [0]

        def flush() -> None:
            while not done.is_set():
                store.counters.flush()
                flushed[0] += 1
                time.sleep(0.005)

        writer = threading.Thread(target=flush)
        writer.start()
        busy = each(3 * LOOKUPS, read)
        done.set()
        writer.join()
    return {
        "flushes": flushed[0],
        "quiet_p99": percentile(quiet, 0.99),
        "p99": percentile(busy, 0.99),
        "most": busy[-1],
    }


PARTS = {
    "fill": fill,
    "hits": hits,
    "lookups": lookups,
    "misses": misses,
    "eviction": eviction,
    "flushes": flushes,
}

if __name__ == "__main__":
    part, where = sys.argv[1], Path(sys.argv[2])
    if part == "lookup_worker":
        print(json.dumps(lookup_worker(where, *map(float, sys.argv[3:5]))))
    else:
        print(json.dumps(PARTS[part](where)))
