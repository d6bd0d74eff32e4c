"""What changed between two versions, with the values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from rustybt.data.bundles.content_hash import BLOCK_KEY, months_of
from rustybt.market.bars import BAR_SCHEMA, DECIMAL, TIMESTAMP, VALUE_COLUMNS, empty_bars, join_frames

if TYPE_CHECKING:
    from rustybt.data.bundles.bundle import Bundle
    from rustybt.market.corporate_actions import CorporateAction

_KEY = ["frequency", "symbol", "timestamp"]
ROW_SCHEMA = pl.Schema([("frequency", pl.String), *BAR_SCHEMA.items()])
CHANGE_SCHEMA = pl.Schema(
    [
        ("frequency", pl.String),
        ("symbol", pl.String),
        ("timestamp", TIMESTAMP),
        ("field", pl.String),
        ("before", DECIMAL),
        ("after", DECIMAL),
    ]
)


@dataclass(frozen=True, slots=True)
class BundleDiff:
    """From version `before` to version `after`.

    Parameters
    ----------
    added, removed
        Whole bars, with their frequency.
    changed
        One row a value: frequency, symbol, timestamp, field, before, after.
    actions_added, actions_removed
        Corporate actions.
    assets_changed
        Symbols whose attributes, price basis or existence differ.
    """

    before: str
    after: str
    added: pl.DataFrame
    removed: pl.DataFrame
    changed: pl.DataFrame
    actions_added: tuple[CorporateAction, ...]
    actions_removed: tuple[CorporateAction, ...]
    assets_changed: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """True when both versions say the same."""
        frames = (self.added, self.removed, self.changed)
        return not (
            any(frame.height for frame in frames) or self.actions_added or self.actions_removed or self.assets_changed
        )

    @property
    def rows_changed(self) -> int:
        """Number of bars with at least one changed value."""
        return self.changed.select(_KEY).n_unique() if self.changed.height else 0

    def to_json(self, max_rows: int | None = None) -> dict[str, Any]:
        """Return plain JSON values, decimals as text; at most `max_rows` rows of each kind, the counts always whole."""
        return {
            "before": self.before,
            "after": self.after,
            "rows_added": self.added.height,
            "rows_removed": self.removed.height,
            "rows_changed": self.rows_changed,
            "added": _records(self.added, max_rows),
            "removed": _records(self.removed, max_rows),
            "changed": _records(self.changed, max_rows),
            "actions_added": [action.to_json() for action in self.actions_added],
            "actions_removed": [action.to_json() for action in self.actions_removed],
            "assets_changed": list(self.assets_changed),
        }


def diff_versions(before: Bundle, after: Bundle) -> BundleDiff:
    """Compare two versions, of one bundle or of two; only months whose digests differ are read."""
    added, removed, changed = [ROW_SCHEMA.to_frame()], [ROW_SCHEMA.to_frame()], [CHANGE_SCHEMA.to_frame()]
    differing = _differing_blocks(before.blocks, after.blocks)
    for frequency in differing["frequency"].unique().sort().to_list():
        blocks = differing.filter(pl.col("frequency") == frequency)
        old, new = (_rows(bundle, frequency, blocks) for bundle in (before, after))
        added.append(new.join(old, on=_KEY, how="anti", maintain_order="left"))
        removed.append(old.join(new, on=_KEY, how="anti", maintain_order="left"))
        changed.append(_changes(old, new))
    older, newer = before.description, after.description
    old_actions = {action.event_id: action for action in older.actions}
    new_actions = {action.event_id: action for action in newer.actions}
    described = [
        {s: (record.attributes, dict(record.price_basis)) for s, record in d.assets.items()} for d in (older, newer)
    ]
    return BundleDiff(
        before.reference,
        after.reference,
        join_frames(added),
        join_frames(removed),
        join_frames(changed),
        tuple(action for key, action in new_actions.items() if key not in old_actions),
        tuple(action for key, action in old_actions.items() if key not in new_actions),
        tuple(
            sorted(s for s in described[0].keys() | described[1].keys() if described[0].get(s) != described[1].get(s))
        ),
    )


def _differing_blocks(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    keys = [*BLOCK_KEY, "digest"]
    old, new = before.select(keys), after.select(keys)
    return (
        join_frames([old.join(new, on=keys, how="anti"), new.join(old, on=keys, how="anti")])
        .select(BLOCK_KEY)
        .unique()
        .sort(BLOCK_KEY)
    )


def _rows(bundle: Bundle, frequency: str, blocks: pl.DataFrame) -> pl.DataFrame:
    """Return the bars of the given (symbol, month) blocks."""
    known = set(bundle.symbols)
    symbols = [symbol for symbol in blocks["symbol"].unique().to_list() if symbol in known]
    bars = bundle.read(symbols, frequency=frequency) if symbols and frequency in bundle.frequencies else empty_bars()
    months = pl.Series("month", months_of(bars["timestamp"].to_physical().to_numpy()), dtype=pl.Int32)
    return (
        bars.with_columns(months, pl.lit(frequency).alias("frequency"))
        .join(blocks, on=list(BLOCK_KEY), how="semi", maintain_order="left")
        .select(list(ROW_SCHEMA))
    )


def _changes(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    both = old.join(new, on=_KEY, how="inner", suffix="_after", maintain_order="left")
    parts = [
        both.filter(pl.col(name) != pl.col(f"{name}_after")).select(
            *_KEY,
            pl.lit(name).alias("field"),
            pl.col(name).alias("before"),
            pl.col(f"{name}_after").alias("after"),
        )
        for name in VALUE_COLUMNS
    ]
    order = pl.Enum(VALUE_COLUMNS)
    joined = join_frames(parts).sort("symbol", "timestamp", pl.col("field").cast(order))
    return joined.select(list(CHANGE_SCHEMA))


def _records(frame: pl.DataFrame, max_rows: int | None) -> list[dict[str, Any]]:
    shown = frame if max_rows is None else frame.head(max_rows)
    return [
        {
            name: value.isoformat()
            if hasattr(value, "isoformat")
            else value
            if isinstance(value, str)
            else plain(value)
            for name, value in row.items()
        }
        for row in shown.to_dicts()
    ]


def plain(value: Any) -> str:
    """Return a decimal as people write it: no exponent, no trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
