"""What a source hands over at a time: bars, the rows it could not use with the reason of each, and what it learned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from rustybt.market.bars import empty_bars

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustybt.errors import SourceError
    from rustybt.market.assets import AssetAttributes
    from rustybt.market.corporate_actions import CorporateAction

#: Rows that cannot be bars: `timestamp` and `text` as printed in the source, `location` such as ``AAPL.csv:17``.
QUARANTINE_SCHEMA = pl.Schema(
    {"symbol": pl.String, "timestamp": pl.String, "reason": pl.String, "location": pl.String, "text": pl.String}
)


class DataQualityWarning(UserWarning):
    """Rows or symbols were left out of an answer that has no report to list them in."""


def empty_quarantine() -> pl.DataFrame:
    """Return a quarantine frame with no rows."""
    return QUARANTINE_SCHEMA.to_frame()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One batch: every bar that the source has of some symbols.

    A symbol's bars are never split over two deliveries, and the symbols of a later delivery sort after those of an
    earlier one, so that the store can write while the source still reads.

    Parameters
    ----------
    bars
        Columns and dtypes of `rustybt.market.bars`, no nulls; order and uniqueness are not promised.
    quarantined
        Rows that could not become bars (`QUARANTINE_SCHEMA`).
    missing_volume
        True for each row of `bars` whose volume is 0 only because the source gave none; None for no such row.
    assets
        Attributes of the delivered symbols, where known.
    price_basis
        ``raw``, ``split_adjusted``, ``split_dividend_adjusted`` or ``unknown``.
    number_rule
        How numbers became decimals, see `rustybt.market.provenance.Provenance`.
    failures
        Symbols that could not be delivered at all, with the reason.
    files
        Base name and SHA-256 of each local file read.
    notes
        Sentences for the report, such as columns that were not used.
    """

    bars: pl.DataFrame = field(default_factory=empty_bars)
    quarantined: pl.DataFrame = field(default_factory=empty_quarantine)
    missing_volume: pl.Series | None = None
    assets: Mapping[str, AssetAttributes] = field(default_factory=dict)
    actions: tuple[CorporateAction, ...] = ()
    price_basis: str = "raw"
    number_rule: str = "text"
    failures: Mapping[str, SourceError] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
