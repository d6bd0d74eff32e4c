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

from rustybt.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

#: About 1.5M rows of daily bars; what is made of them then stays well below a gigabyte.
MEMORY_BYTES = 256 * 2**20
BATCH_ROWS = 600_000
_VIEW_BYTES = 16


class Spool:
    """A bounded collection of rows with a `symbol` column; use as a context manager.

    Parameters
    ----------
    memory_bytes
        How much may wait in memory; so much is handed out at once.
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

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows; they count as part of what was added, in this order."""
        if rows.is_empty():
            return
        counted = rows["symbol"].fill_null("").value_counts()
        self._counts.update(dict(zip(counted["symbol"], counted["count"], strict=True)))
        self._waiting.append(rows)
        # Polars counts the text alone, not the 16 bytes that each field takes beside it.
        self._waiting_bytes += int(rows.estimated_size()) + _VIEW_BYTES * rows.width * rows.height
        if self._spilled or self._waiting_bytes > self._memory_bytes:
            try:
                self._spill()
            except OSError as error:
                raise StorageError(
                    f"cannot write temporary files in {tempfile.gettempdir()}: {error}",
                    hint="free some space there, or name another directory in TMPDIR",
                ) from error

    def drain(self, batch_rows: int = BATCH_ROWS) -> Iterator[tuple[list[str], pl.DataFrame]]:
        """Yield runs of symbols in rising order, each with all its rows in the order they were added.

        What fitted into memory comes at once and is no longer kept here; else a run has about `batch_rows` rows.
        """
        if self._spilled:
            for symbols in self._runs(batch_rows):
                slices = (_slice(*spilled, symbols[0], symbols[-1]) for spilled in self._spilled)
                yield symbols, _joined([part for part in slices if part is not None])
        elif self._waiting:
            whole = _joined(self._waiting)
            self._waiting.clear()
            yield sorted(self._counts), whole

    def _runs(self, batch_rows: int) -> list[list[str]]:
        runs: list[list[str]] = []
        size = batch_rows
        for symbol in sorted(self._counts):
            if size + self._counts[symbol] > batch_rows:
                runs.append([])
                size = 0
            runs[-1].append(symbol)
            size += self._counts[symbol]
        return runs

    def _spill(self) -> None:
        """Write each waiting part to a file of its own, sorted by symbol."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="rustybt-csv-")
        for part in self._waiting:
            rows = part.sort(pl.col("symbol").fill_null(""), maintain_order=True)
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
