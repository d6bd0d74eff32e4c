"""The files that ``rustybt demo`` writes into its output directory, so that every step can be repeated by hand."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rustybt.demo.sample import SampleBars

_HEADER = ("symbol", "date", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """Where the demo's inputs lie.

    Parameters
    ----------
    bars
        CSV in long format.
    actions
        CSV of the splits.
    strategy, buy_and_hold
        Strategy scripts.
    """

    bars: Path
    actions: Path
    strategy: Path
    buy_and_hold: Path


@dataclass(frozen=True, slots=True)
class Correction:
    """A copy of the bars, `path`, in which one close is another: `before` became `after`."""

    path: Path
    symbol: str
    day: str
    before: str
    after: str


def write_files(sample: SampleBars, directory: Path) -> DemoFiles:
    """Write bars, splits and scripts into `directory`, made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    actions = [(symbol, "split", day, ratio) for symbol, day, ratio in sample.splits]
    return DemoFiles(
        bars=_write_csv(directory / "bars.csv", _HEADER, sample.rows),
        actions=_write_csv(directory / "actions.csv", ("symbol", "kind", "ex_date", "ratio"), actions),
        strategy=_write_script(directory / "moving_average.py", sample.symbols),
        buy_and_hold=_write_script(directory / "buy_and_hold.py", sample.symbols),
    )


def write_correction(sample: SampleBars, directory: Path, symbol: str, day: str) -> Correction:
    """Write ``bars-corrected.csv``: the close of `symbol` on `day` becomes that day's low, or its high if it was the low."""
    at = next(at for at, row in enumerate(sample.rows) if row[:2] == (symbol, day))
    _, _, opened, high, low, before, volume = sample.rows[at]
    after = low if before != low else high
    rows: list[Sequence[str]] = list(sample.rows)
    rows[at] = (symbol, day, opened, high, low, after, volume)
    return Correction(_write_csv(directory / "bars-corrected.csv", _HEADER, rows), symbol, day, before, after)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def _write_script(path: Path, symbols: Sequence[str]) -> Path:
    script = files("rustybt.demo").joinpath("strategies", f"{path.name}.txt").read_text(encoding="utf-8")
    listed = ", ".join(f'"{symbol}"' for symbol in symbols)
    path.write_text(script.replace("SYMBOLS = ()", f"SYMBOLS = ({listed})"), encoding="utf-8")
    return path
