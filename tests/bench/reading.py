"""Reading a bundle beside a bare `polars.read_parquet` of the same file, and metadata look-ups."""

from __future__ import annotations

import json
import sys

import polars as pl

from tests.bench.measure import each, medians, peak_megabytes


def main(home: str) -> dict[str, float]:
    from rustybt.data.bundles import file_reader
    from rustybt.data.bundles.metadata import BundleMetadata
    from rustybt.data.bundles.store import BundleStore

    store = BundleStore(home)
    bundle = store.open("bench")
    (record,) = [r for r in bundle.files if r.kind == "bars"]
    path = store.storage.local_path(record.file_key)

    def first_open() -> None:
        file_reader.forget_verified()
        bundle.read()

    bundle.read()
    bare, verified, first, arrays = medians(
        15, lambda: pl.read_parquet(path), bundle.read, first_open, bundle.read_arrays
    )
    bundle.read()
    symbol = bundle.symbols[len(bundle.symbols) // 2]
    (one,) = medians(30, lambda: bundle.read(symbol))
    BundleMetadata.use(store)
    BundleMetadata.get("bench")
    lookups = each(5_000, lambda: BundleMetadata.get("bench"))
    opens = each(300, lambda: store.open("bench").close())
    return {
        "bare": bare,
        "verified": verified,
        "first": first,
        "arrays": arrays,
        "one": one,
        "lookup_p50": lookups[len(lookups) // 2],
        "lookup_p99": lookups[int(len(lookups) * 0.99)],
        "open_p50": opens[len(opens) // 2],
        "peak_mb": peak_megabytes(),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
