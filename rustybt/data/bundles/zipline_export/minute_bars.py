"""minute_equities.bcolz: one table an asset, with as many rows a session as the longest session has minutes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.data.bundles.zipline_export.limits import DECIMALS, scaled
from rustybt.data.bundles.zipline_export.tables import GrowingTable
from rustybt.data.bundles.zipline_layout import MINUTE_FOLDER, MINUTE_METADATA_FILE, minute_table
from rustybt.market.bars import PRICE_COLUMNS, VALUE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from rustybt.data.bundles.zipline_export.grid import SessionGrid

_FORMAT = 3


def write_minutes(
    folder: Path,
    batches: Iterable[pl.DataFrame],
    sids: Mapping[str, int],
    decimals: Mapping[str, int],
    grid: SessionGrid,
) -> Path:
    """Write minute bars, which come by rising months, and return the folder of the tables.

    Every asset in `sids` gets a table, for Zipline fails on one that has none. Without any minutes there is only the
    description, from which Zipline takes the first session of every run.

    Parameters
    ----------
    decimals
        Of the prices of each symbol that has minutes.
    """
    path = folder / MINUTE_FOLDER
    path.mkdir(parents=True)
    expected = grid.sessions.size * grid.minutes_per_day
    for bars in batches:
        kept = bars.filter((pl.col("position") >= 0) & pl.col("symbol").is_in(list(sids)))
        for rows in kept.partition_by("symbol", maintain_order=True):
            symbol = rows["symbol"][0]
            table = GrowingTable(path / minute_table(sids[symbol]), VALUE_COLUMNS, expected)
            begin = len(table)
            at = rows["position"].to_numpy() - begin
            columns = []
            for name in VALUE_COLUMNS:
                column = np.zeros(int(at[-1]) + 1, dtype=np.uint32)
                column[at] = scaled(rows[name], decimals[symbol] if name in PRICE_COLUMNS else 0).to_numpy()
                columns.append(column)
            table.append(columns)
            table.finish()
    for sid in sids.values() if decimals else ():
        if not (path / minute_table(sid)).exists():
            GrowingTable(path / minute_table(sid), VALUE_COLUMNS, expected).finish()
    ratios = {str(sids[symbol]): 10**k for symbol, k in sorted(decimals.items()) if k != DECIMALS and symbol in sids}
    described = {
        "version": _FORMAT,
        "ohlc_ratio": 10**DECIMALS,
        "ohlc_ratios_per_sid": ratios or None,
        "minutes_per_day": grid.minutes_per_day,
        "calendar_name": grid.calendar.name,
        "start_session": str(grid.first),
        "end_session": str(grid.last),
    }
    (path / MINUTE_METADATA_FILE).write_text(json.dumps(described), encoding="utf-8")
    return path
