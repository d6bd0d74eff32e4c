"""Where bars lie: big sorted files, never one per symbol.

Daily and longer bars: base files plus a tail of at most `MAX_TAIL_SESSIONS` sessions that is folded in when full, so that a
daily append writes little. Intraday bars: files by month (by year from 5-minute bars on: months would be tiny), each holding a
contiguous range of symbols. Every file is sorted by (symbol, timestamp) and stays below 64 MB.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.market.bars import series_starts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rustybt.data.bundles.records import FileRecord
    from rustybt.market.frequency import Frequency

MAX_TAIL_SESSIONS = 20
MAX_FILE_BYTES = 64 * 2**20
#: A row is at most a timestamp and five 16-byte decimals before compression; symbols are dictionary-encoded.
MAX_FILE_ROWS = MAX_FILE_BYTES // 48
BASE, TAIL = "base", "tail"


def folder_of(bundle: str, frequency: Frequency) -> str:
    """Return the home-relative folder of a bundle's bars of one frequency."""
    named = {"1d": "daily_bars", "1m": "minute_bars"}
    return f"{bundle}/{named.get(frequency.name, f'bars_{frequency.name}')}"


def partitions_of(
    bars: pl.DataFrame, frequency: Frequency, base_last: int | None
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Split bars by partition.

    Parameters
    ----------
    base_last
        Last timestamp (us UTC) that the base of a daily layout holds; None when there is no base yet.
    """
    if bars.is_empty():
        return
    stamps = bars["timestamp"].to_physical().to_numpy()
    if not frequency.is_intraday:
        in_tail = np.zeros(len(stamps), dtype=bool) if base_last is None else stamps > base_last
        for name, mask in ((BASE, ~in_tail), (TAIL, in_tail)):
            if mask.all():
                yield name, bars
            elif mask.any():
                yield name, bars.filter(pl.Series(mask))
        return
    unit = "M" if frequency.seconds < 300 else "Y"
    periods = stamps.view("datetime64[us]").astype(f"datetime64[{unit}]")
    for period in np.unique(periods):
        mask = periods == period
        yield str(period), bars if mask.all() else bars.filter(pl.Series(mask))


def base_end(files: Iterable[FileRecord]) -> int | None:
    """Return the last timestamp that belongs to the base; None before there is one. Every bar of the tail lies behind it."""
    held = [record for record in files if record.kind == "bars"]
    last = max((record.last_bar for record in held if record.partition == BASE), default=None)
    if last is not None:
        return last
    # All of the base was removed: what comes between must not meet the tail there.
    first = min((record.first_bar for record in held if record.partition == TAIL), default=None)
    return None if first is None else first - 1


def sessions_in(bars: pl.DataFrame) -> int:
    """Return how many distinct timestamps the bars hold."""
    return bars["timestamp"].n_unique()


def split_for_files(bars: pl.DataFrame, max_rows: int | None = None) -> Iterator[pl.DataFrame]:
    """Cut sorted bars into frames of at most `max_rows` rows (`MAX_FILE_ROWS` when None), between symbols if possible."""
    max_rows = max_rows or MAX_FILE_ROWS
    if bars.height <= max_rows:
        if bars.height:
            yield bars
        return
    parts = -(-bars.height // max_rows)
    target = -(-bars.height // parts)
    starts = [int(row) for row in series_starts(bars["symbol"])[1:]]
    begin = 0
    for start, after in pairwise([*starts, bars.height]):
        # Close the file before this symbol if the symbol would overfill it, or it has reached its even share.
        if start - begin >= target or after - begin > max_rows:
            yield from _chopped(bars.slice(begin, start - begin), max_rows)
            begin = start
    yield from _chopped(bars.slice(begin), max_rows)


def _chopped(bars: pl.DataFrame, max_rows: int) -> Iterator[pl.DataFrame]:
    """Cut by time the bars of one symbol that is longer than a file; the reader puts them together."""
    for at in range(0, bars.height, max_rows):
        yield bars.slice(at, max_rows)


def assign_symbols(
    files: Sequence[FileRecord], symbols: Sequence[str]
) -> list[tuple[tuple[FileRecord, ...], list[str]]]:
    """Return which present files each group of new symbols has to be merged with, none for a new file.

    A symbol belongs to the files whose range of symbols holds it; between two files it joins the one before, unless that is
    at least half full. Files that share a symbol are merged together.
    """
    clusters = cluster_files(files)
    bounds = [(cluster[0].first_symbol, max(r.last_symbol for r in cluster)) for cluster in clusters]
    room = [sum(r.row_count for r in cluster) < MAX_FILE_ROWS // 2 for cluster in clusters]
    groups: dict[tuple[int, bool], list[str]] = {}
    at = -1
    for symbol in sorted(symbols):
        while at + 1 < len(bounds) and bounds[at + 1][0] <= symbol:
            at += 1
        inside = at >= 0 and symbol <= bounds[at][1]
        if not inside and at < 0 and bounds and room[0]:
            groups.setdefault((0, True), []).append(symbol)
            continue
        groups.setdefault((at, inside or (at >= 0 and room[at])), []).append(symbol)
    return [(tuple(clusters[index]) if merge else (), members) for (index, merge), members in groups.items()]


def cluster_files(files: Sequence[FileRecord]) -> list[list[FileRecord]]:
    """Return files of one partition in order of symbol, those that share a symbol together."""
    clusters: list[list[FileRecord]] = []
    for record in sorted(files, key=lambda r: (r.first_symbol, r.last_symbol, r.first_bar)):
        if clusters and record.first_symbol <= max(r.last_symbol for r in clusters[-1]):
            clusters[-1].append(record)
        else:
            clusters.append([record])
    return clusters
