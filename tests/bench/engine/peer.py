"""One ingest or one run of zipline-reloaded, in Zipline's own environment: only NumPy, pandas and Zipline are there.

    python -m tests.bench.engine.peer ingest BUNDLE BARS.npz
    python -m tests.bench.engine.peer run BUNDLE BARS.npz JOB

ZIPLINE_ROOT says where bundles lie. The job is that of `ours`.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from zipline import run_algorithm
from zipline.data.bundles import ingest, register
from zipline.utils.calendar_utils import get_calendar

from tests.bench.engine.scripts import load, outcome
from tests.bench.measure import peak_megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator

PRICES = ("open", "high", "low", "close")


def register_bundle(name: str, path: str) -> pd.DatetimeIndex:
    """Tell Zipline of the bundle and how its bars are written; return its sessions."""
    arrays = np.load(path)
    days = pd.DatetimeIndex(arrays["days"].astype("datetime64[ns]"))
    first, last = days[0], days[-1]

    def bars() -> Iterator[tuple[int, pd.DataFrame]]:
        prices, volumes = {field: arrays[field] for field in PRICES}, arrays["volume"]
        for sid in range(len(arrays["symbols"])):
            columns = {field: prices[field][sid] / 100 for field in PRICES}
            yield sid, pd.DataFrame({**columns, "volume": volumes[sid]}, index=days)

    def build(*arguments: Any) -> None:
        assets, daily, adjustments = arguments[1], arguments[3], arguments[4]
        listed = {"symbol": arrays["symbols"], "start_date": first, "end_date": last}
        assets.write(
            equities=pd.DataFrame({**listed, "auto_close_date": last + pd.Timedelta(days=1), "exchange": "NYSE"})
        )
        daily.write(bars())
        adjustments.write()

    register(name, build, calendar_name="XNYS", start_session=first, end_session=last)
    return days


def run(name: str, path: str, job: dict[str, Any]) -> dict[str, Any]:
    """Return the time from the call of run_algorithm to its perf in hand, and what came out."""
    days = register_bundle(name, path)
    get_calendar("XNYS")
    space = load(job["script"], "zipline", job["settings"])
    begin = time.perf_counter()
    perf = run_algorithm(
        start=days[0],
        end=pd.Timestamp(job.get("end", days[-1])),
        initialize=space["initialize"],
        handle_data=space.get("handle_data"),
        capital_base=1e6,
        bundle=name,
        data_frequency="daily",
        benchmark_returns=pd.Series(0.0, index=days),
    )
    seconds = time.perf_counter() - begin
    return {**outcome(space, perf, seconds), "peak_mb": peak_megabytes()}


if __name__ == "__main__":
    if sys.argv[1] == "ingest":
        register_bundle(sys.argv[2], sys.argv[3])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of pandas, about Zipline's own code
            ingest(sys.argv[2])
        print("{}")
    else:
        print(json.dumps(run(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))))
