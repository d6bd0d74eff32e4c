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
    bars, corrected_bars
        CSV in long format; the second differs from the first in one close.
    actions
        CSV of the splits.
    strategy, buy_and_hold
        Strategy scripts.
    corrected
        Which bar differs: (symbol, date, close, corrected close).
    """

    bars: Path
    corrected_bars: Path
    actions: Path
    strategy: Path
    buy_and_hold: Path
    corrected: tuple[str, str, str, str]


def write_files(sample: SampleBars, directory: Path) -> DemoFiles:
    """Write bars, a copy with one bar changed, splits and scripts into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    rows, corrected = _correct(sample)
    return DemoFiles(
        bars=_write_csv(directory / "bars.csv", _HEADER, sample.rows),
        corrected_bars=_write_csv(directory / "bars-corrected.csv", _HEADER, rows),
        actions=_write_csv(
            directory / "actions.csv",
            ("symbol", "kind", "ex_date", "ratio"),
            [(symbol, "split", day, ratio) for symbol, day, ratio in sample.splits],
        ),
        strategy=_write_script(directory / "moving_average.py", sample.symbols),
        buy_and_hold=_write_script(directory / "buy_and_hold.py", sample.symbols),
        corrected=corrected,
    )


def _correct(sample: SampleBars) -> tuple[list[Sequence[str]], tuple[str, str, str, str]]:
    """Return the rows with one of them changed: the close of a day in the middle becomes that day's low."""
    last_symbol = sample.symbols[-1]
    own = [at for at, row in enumerate(sample.rows) if row[0] == last_symbol]
    # A day whose close is not its low already, so that there is something to change.
    at = next(at for at in own[len(own) // 2 :] if sample.rows[at][4] != sample.rows[at][5])
    symbol, day, opened, high, low, close, volume = sample.rows[at]
    rows: list[Sequence[str]] = list(sample.rows)
    rows[at] = (symbol, day, opened, high, low, low, volume)
    return rows, (symbol, day, close, low)


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
