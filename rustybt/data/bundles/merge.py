"""Old bars and new bars to one frame, counting what changed; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.data.bundles.content_hash import months_of
from rustybt.market.bars import BAR_COLUMNS, VALUE_COLUMNS, join_frames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: A (symbol, month) that a merge touched, so that its block has to be hashed again.
TOUCHED_SCHEMA = pl.Schema({"symbol": pl.String, "month": pl.Int32})


@dataclass(frozen=True, slots=True)
class Scope:
    """Where old rows that were not delivered again are removed: symbol -> range in microseconds UTC, both included."""

    spans: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Merged:
    """The frame after the merge, and what the merge did to the old one."""

    bars: pl.DataFrame
    rows_added: int
    rows_changed: int
    rows_removed: int
    rows_unchanged: int
    touched: pl.DataFrame

    @property
    def is_same(self) -> bool:
        """True when the new frame equals the old one."""
        return not (self.rows_added or self.rows_changed or self.rows_removed)


def merge_bars(old: pl.DataFrame, new: pl.DataFrame, scope: Scope | None = None) -> Merged:
    """Upsert `new` into `old`, both contract frames: new rows replace old ones of the same (symbol, timestamp).

    Parameters
    ----------
    scope
        Old rows inside it that `new` does not hold are removed; None removes nothing.
    """
    if old.is_empty():
        return Merged(new, new.height, 0, 0, 0, _touched(new))
    both = join_frames([old, new])
    is_new = np.zeros(both.height, dtype=bool)
    is_new[old.height :] = True
    order = both.with_row_index("__row").sort("symbol", "timestamp", "__row")
    is_new = is_new[order["__row"].to_numpy()]
    both = order.select(BAR_COLUMNS)

    symbol, stamp = both["symbol"], both["timestamp"].to_physical().to_numpy()
    same_symbol = (symbol == symbol.shift(-1)).fill_null(value=False).to_numpy()
    superseded = np.zeros(both.height, dtype=bool)  # old rows whose key comes again, right behind, from the new frame
    superseded[:-1] = same_symbol[:-1] & (stamp[:-1] == stamp[1:])
    equal = superseded & _equal_to_next(both)
    replaces = np.zeros_like(superseded)
    replaces[1:] = superseded[:-1]
    replaces_equal = np.zeros_like(superseded)
    replaces_equal[1:] = equal[:-1]

    removed = np.zeros_like(superseded)
    if scope is not None:
        removed = ~is_new & ~superseded & _inside(both, stamp, scope)
    added = is_new & ~replaces
    changed = replaces & ~replaces_equal
    return Merged(
        both.filter(pl.Series(~superseded & ~removed)),
        int(added.sum()),
        int(changed.sum()),
        int(removed.sum()),
        int(replaces_equal.sum()),
        _touched(both.filter(pl.Series(added | changed | removed))),
    )


def _equal_to_next(bars: pl.DataFrame) -> NDArray[np.bool_]:
    equal = bars.select(pl.all_horizontal(pl.col(name) == pl.col(name).shift(-1) for name in VALUE_COLUMNS))
    return equal.to_series().fill_null(value=False).to_numpy()


def _inside(bars: pl.DataFrame, stamp: NDArray[np.int64], scope: Scope) -> NDArray[np.bool_]:
    bounds = pl.DataFrame(
        [(symbol, *span) for symbol, span in scope.spans.items()],
        schema={"symbol": pl.String, "start": pl.Int64, "end": pl.Int64},
        orient="row",
    )
    held = bars.select("symbol").join(bounds, on="symbol", how="left", maintain_order="left")
    inside = pl.Series(stamp).is_between(held["start"], held["end"])
    return inside.fill_null(value=False).to_numpy()


def _touched(bars: pl.DataFrame) -> pl.DataFrame:
    """Return each distinct (symbol, month) of sorted bars."""
    months = months_of(bars["timestamp"].to_physical().to_numpy())
    frame = pl.DataFrame([bars["symbol"], pl.Series("month", months, dtype=pl.Int32)])
    if frame.is_empty():
        return TOUCHED_SCHEMA.to_frame()
    is_first = (frame["symbol"] != frame["symbol"].shift(1)).fill_null(value=True) | (
        frame["month"] != frame["month"].shift(1)
    ).fill_null(value=True)
    return frame.filter(is_first)


def join_touched(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return each distinct (symbol, month) of several merges, sorted."""
    return join_frames([TOUCHED_SCHEMA.to_frame(), *parts]).unique().sort("symbol", "month")
