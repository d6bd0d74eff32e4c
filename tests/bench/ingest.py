"""CSV ingest: ours (parse, validate, hash, fsync, commit) beside Polars alone (parse, sort, write)."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import polars as pl

from tests.bench.measure import peak_megabytes

VALUES = ("open", "high", "low", "close", "volume")


def ours(path: str, home: str) -> dict[str, float]:
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.sources import CSVDataSource

    shutil.rmtree(home, ignore_errors=True)
    if os.environ.get("BENCH_WARM"):
        # Libraries and calendar loaded, as in a process that ingests more than once.
        from rustybt.data.sources import ingest_frame

        with BundleStore(home + "-warm") as store:
            row = {"timestamp": ["2010-01-04", "2019-12-31"], "symbol": "A"}
            ingest_frame(pl.DataFrame({**row, **dict.fromkeys(VALUES, 1)}), "warm", store=store)
    with BundleStore(home) as store:
        begin = time.perf_counter()
        report = CSVDataSource(path).ingest_to_bundle("bench", None, None, None, "1d", store=store)
        return {"seconds": time.perf_counter() - begin, "rows": report.rows_added}


def polars_alone(path: str, home: str) -> dict[str, float]:
    """Read as text, cast to decimals, sort, write Parquet: no calendar, no check, no hash, no fsync, no commit."""
    Path(home).mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    source = Path(path)
    if source.is_dir():
        lazy = pl.scan_csv(source / "*.csv", infer_schema=False, include_file_paths="file").with_columns(
            pl.col("file").str.extract(r"([^/]+)\.csv$").alias("symbol")
        )
    else:
        lazy = pl.scan_csv(source, infer_schema=False)
    frame = lazy.select(
        pl.col("date").str.to_datetime("%Y-%m-%d", time_unit="us", time_zone="UTC").alias("timestamp"),
        "symbol",
        *(pl.col(name).cast(pl.Decimal(38, 18)) for name in VALUES),
    ).collect()
    frame.sort("symbol", "timestamp").write_parquet(Path(home) / "alone.parquet", compression="lz4")
    return {"seconds": time.perf_counter() - begin, "rows": frame.height}


if __name__ == "__main__":
    result = {"ours": ours, "polars": polars_alone}[sys.argv[1]](sys.argv[2], sys.argv[3])
    print(json.dumps({**result, "peak_mb": peak_megabytes()}))
