"""daily_equities.bcolz: a row for every session from an asset's first to its last, zeros where there is no bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.data.bundles.zipline_export.limits import DECIMALS, scaled
from rustybt.data.bundles.zipline_export.tables import GrowingTable
from rustybt.data.bundles.zipline_layout import DAILY_FOLDER
from rustybt.market.bars import PRICE_COLUMNS, VALUE_COLUMNS, series_starts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from rustybt.data.bundles.zipline_export.adjustments import ClosesBefore
    from rustybt.data.bundles.zipline_export.grid import SessionGrid


def write_daily(
    folder: Path,
    batches: Iterable[pl.DataFrame],
    sids: Mapping[str, int],
    grid: SessionGrid,
    closes: ClosesBefore,
    expected_rows: int,
) -> Path:
    """Write daily bars, which come by whole symbols, and return the table's folder.

    `closes` is shown the closes of each symbol on the way.
    """
    path = folder / DAILY_FOLDER
    table = GrowingTable(path, (*VALUE_COLUMNS, "day", "id"), expected_rows)
    first_row, last_row, offsets = dict[str, int](), dict[str, int](), dict[str, int]()
    days = grid.seconds.astype(np.uint32)
    earliest: int | None = None
    for bars in batches:
        kept = bars.filter(pl.col("position") >= 0)
        if not kept.height:
            continue
        starts = series_starts(kept["symbol"])
        rows = kept["row"].to_numpy()
        firsts, lasts = rows[starts], rows[np.append(starts[1:], kept.height) - 1]
        lengths = lasts - firsts + 1
        begins = np.cumsum(lengths) - lengths
        counts = np.diff(np.append(starts, kept.height))
        places = rows - np.repeat(firsts - begins, counts)
        columns = [np.zeros(int(lengths.sum()), dtype=np.uint32) for _ in VALUE_COLUMNS]
        for column, name in zip(columns, VALUE_COLUMNS, strict=True):
            column[places] = scaled(kept[name], DECIMALS if name in PRICE_COLUMNS else 0).to_numpy()
        names = kept["symbol"].gather(starts).to_list()
        sessions = np.arange(lengths.sum()) + np.repeat(firsts - begins, lengths)
        numbers = np.repeat(np.array([sids[name] for name in names], dtype=np.uint32), lengths)
        total = len(table)
        for name, first, begin, length in zip(names, firsts.tolist(), begins.tolist(), lengths.tolist(), strict=True):
            key = str(sids[name])
            first_row[key], last_row[key], offsets[key] = total + begin, total + begin + length - 1, first
            closes.note(name, first, columns[3][begin : begin + length])
        earliest = int(days[firsts.min()]) if earliest is None else min(earliest, int(days[firsts.min()]))
        table.append([*columns, days[sessions], numbers])
    table.finish(
        {
            "first_trading_day": earliest,
            "first_row": first_row,
            "last_row": last_row,
            "calendar_offset": offsets,
            "calendar_name": grid.calendar.name,
            "start_session_ns": int(grid.seconds[0]) * 10**9,
            "end_session_ns": int(grid.seconds[-1]) * 10**9,
        }
    )
    return path
