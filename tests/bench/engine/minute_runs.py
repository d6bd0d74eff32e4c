"""What is done with minutes, each in a process of its own: `python -m tests.bench.engine.minute_runs WHAT FOLDER ...`.

build FOLDER ASSETS MONTHS    commit month by month, without the last session
first FOLDER ASSETS MONTHS    time from the call of run_algorithm until the first bar's prices are read
update FOLDER ASSETS MONTHS   add the last session to a copy of the home
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.engine.folder import home
from tests.bench.engine.minute_bars import last_session, month_frames, session_frame, trading_calendar
from tests.bench.engine.scripts import load
from tests.bench.measure import peak_megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    import polars as pl

#: One asset, a bar in the first and one in the last month: a run on it loads libraries and calendar.
WARM = "warm-minutes"


def name_of(assets: int, months: int) -> str:
    return f"minutes-{assets}-{months}"


def build(folder: str, assets: str, months: str) -> dict[str, Any]:
    """Commit a month at a time, each in frames of bounded size, unless it was done before."""
    from rustybt.data.bundles.store import BundleStore
    from rustybt.market.provenance import Provenance

    name, left_out = name_of(int(assets), int(months)), last_session(int(months))
    began = time.perf_counter()
    with BundleStore(home(Path(folder))) as store:
        held = {info.name: info for info in store.list_bundles()}
        if WARM not in held:
            ends = [next(month_frames(month, 1)) for month in (1, int(months))]
            store.commit(WARM, [ends[0].head(1), ends[1].tail(1)], Provenance("generated"), frequency="1m")
        done = held[name].version if name in held else 0
        for month in range(done + 1, int(months) + 1):
            frames = _without(left_out, month_frames(month, int(assets)))
            store.commit(name, frames, Provenance("generated"), frequency="1m", calendar="XNYS")
        with store.open(name) as bundle:
            rows = sum(record.row_count for record in bundle.files if record.kind == "bars")
            size = sum(record.size_bytes for record in bundle.files)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "months": int(months) - done, "rows": rows, "bytes": size, "peak_mb": peak_megabytes()}


def _without(day: date, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    import polars as pl

    for frame in frames:
        yield frame.filter(pl.col("timestamp").dt.date() != day)


def first(folder: str, assets: str, months: str) -> dict[str, Any]:
    """Return the seconds until the strategy has read the prices of its first bar."""
    os.environ["RUSTYBT_HOME"] = str(home(Path(folder)))
    taken = [_until_first(WARM, 1), _until_first(name_of(int(assets), int(months)), int(assets))]
    return {"seconds": taken[1], "peak_mb": peak_megabytes()}


def _until_first(bundle: str, assets: int) -> float:
    from rustybt import run_algorithm
    from rustybt.errors import StrategyError

    space = load("all_current", "rustybt", {"ASSETS": assets, "STOP_AT_FIRST": True})
    begin = time.perf_counter()
    try:
        run_algorithm(
            bundle=bundle,
            initialize=space["initialize"],
            handle_data=space["handle_data"],
            data_frequency="minute",
        )
    except StrategyError as error:
        # Anything else than the strategy's own end has to be seen.
        if not space["FIRST"]:
            raise AssertionError(bundle) from error
    return space["FIRST"][0] - begin


def update(folder: str, assets: str, months: str) -> dict[str, Any]:
    """Add one session through the door that users take, to a copy of the home whose data files are the same files."""
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.sources import ingest_frame

    trading_calendar()
    copy = Path(folder) / "updated-home"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(home(Path(folder)), copy, copy_function=_link)
    bars = session_frame(last_session(int(months)), int(assets))
    with BundleStore(copy) as store:
        ingest_frame(bars.head(2), "warm-ingest", "1m", store=store)
        before = _sizes(copy)
        begin = time.perf_counter()
        report = ingest_frame(bars, name_of(int(assets), int(months)), "1m", store=store)
        seconds = time.perf_counter() - begin
    written = sum(max(0, size - before.get(path, 0)) for path, size in _sizes(copy).items())
    shutil.rmtree(copy)
    assert report.rows_added == bars.height, report
    return {"seconds": seconds, "rows": bars.height, "bytes": written, "peak_mb": peak_megabytes()}


def _link(source: str, target: str) -> None:
    """Data files never change: a second name will do. All else is copied."""
    if source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _sizes(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    print(json.dumps({"build": build, "first": first, "update": update}[sys.argv[1]](*sys.argv[2:])))
