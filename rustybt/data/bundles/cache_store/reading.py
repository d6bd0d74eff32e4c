"""Bars of covered pieces out of the files that hold them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import polars as pl

from rustybt.data.bundles.storage.parquet import only_symbols, restrict
from rustybt.market.bars import concat_bars, empty_bars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rustybt.data.cache.coverage import Segment

    #: Reads one file: key, symbols, first and last microsecond.
    ReadFile = Callable[[str, Sequence[str] | None, int | None, int | None], pl.DataFrame]

#: Pieces of one file with so many different ranges are read in one go and cut afterwards.
_RANGES_READ_APART = 4


def read_pieces(pieces: Mapping[str, Iterable[Segment]], read_file: ReadFile) -> pl.DataFrame:
    """Return the contract bars of pieces, by symbol; a piece without a file has none.

    Parameters
    ----------
    read_file
        Returns the contract bars of one file, restricted.
    """
    by_file: dict[str, dict[tuple[int, int], list[str]]] = defaultdict(lambda: defaultdict(list))
    for symbol, segments in pieces.items():
        for segment in segments:
            if segment.file_key:
                by_file[segment.file_key][segment.start, segment.end].append(symbol)
    parts: list[pl.DataFrame] = []
    for file_key, ranges in sorted(by_file.items()):
        if len(ranges) <= _RANGES_READ_APART:
            parts += (read_file(file_key, sorted(symbols), *span) for span, symbols in ranges.items())
        else:
            parts.append(_cut(ranges, file_key, read_file))
    found = [part for part in parts if part.height]
    if not found:
        return empty_bars()
    return found[0] if len(found) == 1 else concat_bars(found)


def _cut(ranges: Mapping[tuple[int, int], list[str]], file_key: str, read_file: ReadFile) -> pl.DataFrame:
    """Read a file once for pieces of many ranges."""
    symbols = sorted({symbol for names in ranges.values() for symbol in names})
    rows = read_file(file_key, symbols, min(start for start, _ in ranges), max(end for _, end in ranges))
    pairs = [(symbol, start, end) for (start, end), names in ranges.items() for symbol in names]
    return inside_ranges(rows, pairs)


def inside_ranges(bars: pl.DataFrame, ranges: Sequence[tuple[str, int, int]]) -> pl.DataFrame:
    """Return the bars that lie in ranges, in the order in which they are.

    Parameters
    ----------
    ranges
        Symbol, first and last microsecond, both included; those of one symbol do not overlap.
    """
    schema = {"symbol": pl.String, "low": pl.Int64, "high": pl.Int64}
    bounds = pl.DataFrame(sorted(ranges), schema=schema, orient="row")
    stamps = bars.select("symbol", pl.col("timestamp").to_physical().alias("stamp"))
    found = stamps.join_asof(
        bounds, left_on="stamp", right_on="low", by="symbol", strategy="backward", check_sortedness=False
    )
    return bars.filter((found["stamp"] <= found["high"]).fill_null(value=False))


def read_frame(frame: pl.DataFrame, symbols: Sequence[str] | None, start: int | None, end: int | None) -> pl.DataFrame:
    """Return the rows of a frame in memory, restricted as a file's would be."""
    rows = restrict(frame.lazy(), symbols, start, end).collect()
    return rows if symbols is None or len(symbols) == 1 else only_symbols(rows, symbols)
