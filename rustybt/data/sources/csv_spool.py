"""Rows of long files, collected until the last file is read and handed out symbol by symbol.

A long file may be in any order, so a symbol's rows are whole only at the end. Up to `memory_bytes` they wait in memory; then
they go to temporary files, each sorted by symbol, from which a range of symbols is a slice.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Self

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

#: About 1.7M rows of daily bars; their frames then stay well below a gigabyte.
MEMORY_BYTES = 96 * 2**20
BATCH_ROWS = 1_300_000


class Spool:
    """A bounded collection of rows with a `symbol` column; use as a context manager.

    Parameters
    ----------
    memory_bytes
        How much text may wait in memory.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._memory_bytes = memory_bytes
        self._waiting: list[pl.DataFrame] = []
        self._waiting_bytes = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._spilled: list[tuple[Path, list[str], list[int]]] = []
        self._counts: Counter[str] = Counter()
        self._unnamed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.clear()
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def counts(self) -> dict[str, int]:
        """Rows by symbol; rows without one are under the empty text."""
        return dict(self._counts)

    def add(self, rows: pl.DataFrame, text_bytes: int) -> None:
        """Take rows that came from `text_bytes` of text."""
        if rows.is_empty():
            return
        counted = rows["symbol"].fill_null("").value_counts()
        self._counts.update(dict(zip(counted["symbol"], counted["count"], strict=True)))
        self._waiting.append(rows)
        self._waiting_bytes += text_bytes
        if self._waiting_bytes > self._memory_bytes:
            self._spill()

    def drain(self, batch_rows: int = BATCH_ROWS) -> Iterator[tuple[list[str], pl.DataFrame]]:
        """Yield the symbols of each batch and their rows, which are then no longer kept here."""
        batches = self.batches(batch_rows)
        for number, batch in enumerate(batches, start=1):
            yield batch, self.read(batch, is_last=number == len(batches))

    def batches(self, batch_rows: int = BATCH_ROWS) -> list[list[str]]:
        """Return the symbols in rising order, cut so that a batch has about `batch_rows` rows."""
        cut: list[list[str]] = []
        size = batch_rows
        for symbol in sorted(self._counts):
            if size + self._counts[symbol] > batch_rows:
                cut.append([])
                size = 0
            cut[-1].append(symbol)
            size += self._counts[symbol]
        return cut

    def read(self, symbols: list[str], *, is_last: bool = False) -> pl.DataFrame:
        """Return all rows of a run of neighbouring symbols, in the order they were added; after the last run, keep none."""
        if self._spilled:
            self._spill()
            parts = [
                part for spilled in self._spilled if (part := _slice(*spilled, symbols[0], symbols[-1])) is not None
            ]
        else:
            parts = [_joined(self._waiting)]
            if len(symbols) < len(self._counts):
                wanted = pl.col("symbol").fill_null("").is_between(pl.lit(symbols[0]), pl.lit(symbols[-1]))
                parts = [part.filter(wanted) for part in parts]
            if is_last:
                self._waiting.clear()
        return _joined(parts)

    def _spill(self) -> None:
        if not self._waiting:
            return
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="rustybt-csv-")
        rows = _joined(self._waiting).sort(pl.col("symbol").fill_null(""), maintain_order=True)
        path = Path(self._folder.name) / f"{len(self._spilled)}.arrow"
        rows.write_ipc(path, compression="lz4")
        runs = rows["symbol"].fill_null("").rle().struct.unnest()
        starts = [0, *runs["len"].cum_sum().to_list()]
        self._spilled.append((path, runs["value"].to_list(), starts))
        self._waiting, self._waiting_bytes = [], 0


def _slice(path: Path, symbols: list[str], starts: list[int], low: str, high: str) -> pl.DataFrame | None:
    from bisect import bisect_left, bisect_right

    first, last = bisect_left(symbols, low), bisect_right(symbols, high)
    if first == last:
        return None
    begin, end = starts[first], starts[last]
    return pl.scan_ipc(path).slice(begin, end - begin).collect()


def _joined(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of text one after the other."""
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.vstack(part)
    return whole
