"""The folder of a bench run: its home, Zipline's root, and daily bundles of any number of assets in both."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.bench.data import PRICES, contract_bars, daily_cents

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

#: One asset with a bar in the first and in the last session: a run on it loads libraries and calendar.
WHOLE_RANGE = "warm-whole-range"
#: One asset with five bars: a run on it loads the libraries, and a calendar of other years.
FEW_BARS = "warm-few-bars"
_FRAME_ASSETS = 100


@contextmanager
def work_folder() -> Iterator[Path]:
    """Give $BENCH_FOLDER, where what was built before is used again, or else a folder that is removed at the end."""
    kept = os.environ.get("BENCH_FOLDER")
    if kept:
        folder = Path(kept).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="rustybt-bench-") as name:
        yield Path(name)


def home(folder: Path) -> Path:
    return folder / "engine-home"


def zipline_root(folder: Path) -> Path:
    return folder / "zipline"


def daily_bundle(folder: Path, assets: int, years: int) -> str:
    """Commit the first `assets` of the generated daily bars, unless that was done; return the bundle's name."""
    name = f"daily-{assets}-{years}"
    _commit(folder, name, _grouped(assets, years))
    return name


def warm_bundle(folder: Path, kind: str, years: int) -> str:
    name = f"{kind}-{years}"
    bars = contract_bars(next(daily_cents(1, years)))
    _commit(folder, name, [bars[[0, -1]] if kind == WHOLE_RANGE else bars.head(5)])
    return name


def daily_arrays(folder: Path, assets: int, years: int) -> Path:
    """Write the same bars for Zipline's environment, as arrays of shape (assets, sessions): cents, volumes and days."""
    path = folder / f"daily-{assets}-{years}.npz"
    if not path.exists():
        frames = list(daily_cents(assets, years))
        values = {name: np.stack([frame[name].to_numpy() for frame in frames]) for name in (*PRICES, "volume")}
        days = frames[0]["date"].to_numpy().astype("datetime64[D]")
        symbols = np.array([frame["symbol"][0] for frame in frames])
        with (folder / "arrays.part").open("wb") as out:
            np.savez(out, symbols=symbols, days=days, **values)
        (folder / "arrays.part").replace(path)
    return path


def into_page_cache(*folders: Path) -> None:
    """Read every file once, so that no run waits for the disk."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                path.read_bytes()


def _grouped(assets: int, years: int) -> Iterator[pl.DataFrame]:
    import polars as pl

    group: list[pl.DataFrame] = []
    for number, frame in enumerate(daily_cents(assets, years), start=1):
        group.append(frame)
        if number % _FRAME_ASSETS == 0 or number == assets:
            yield contract_bars(pl.concat(group))
            group.clear()


def _commit(folder: Path, name: str, frames: Iterator[pl.DataFrame] | list[pl.DataFrame]) -> None:
    from rustybt.data.bundles.store import BundleStore
    from rustybt.market.provenance import Provenance

    with BundleStore(home(folder)) as store:
        if name not in {info.name for info in store.list_bundles()}:
            store.commit(name, frames, Provenance("generated"), calendar="XNYS")
