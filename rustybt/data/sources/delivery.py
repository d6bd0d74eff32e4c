"""What a source hands over at a time: bars, the rows it could not use with the reason of each, and what it learned."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from rustybt.market.bars import empty_bars, interleaved_order, join_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from rustybt.data.bundles.records import Alias
    from rustybt.errors import SourceError
    from rustybt.market.assets import AssetAttributes
    from rustybt.market.corporate_actions import CorporateAction

#: Rows that cannot be bars: `timestamp` and `text` as printed in the source, `location` such as ``AAPL.csv:17``.
QUARANTINE_SCHEMA = pl.Schema(
    {"symbol": pl.String, "timestamp": pl.String, "reason": pl.String, "location": pl.String, "text": pl.String}
)


class DataQualityWarning(UserWarning):
    """Rows or symbols were left out of an answer that has no report to list them in."""


class StaleDataWarning(UserWarning):
    """An answer may lack newer bars, because the caller allowed that or nothing may be asked for."""


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
    tells_all_events
        `actions` names every event of these symbols from the start asked for until today: what the source told before and
        does not name any more has been taken back.
    price_basis
        ``raw``, ``split_adjusted``, ``split_dividend_adjusted`` or ``unknown``.
    number_rule
        How numbers became decimals, see `rustybt.market.provenance.Provenance`.
    aliases
        What the source calls a symbol, where that differs from its canonical name.
    former_names
        Names that delivered symbols had on some days, or shared with others.
    failures
        Symbols that could not be delivered at all, with the reason.
    skipped
        Symbols that the source knows, without a bar in the range, with the reason.
    resampled_from
        Frequency that the bars were made of, where the source lacks the one asked for.
    first_bars
        First day that the source has bars of, by symbol, where it says.
    as_of
        Unix seconds by the source's clock: later bars were not final when it was asked. None where it does not say.
    fetched_at
        Unix seconds at which the oldest of these bars were fetched; None for just now.
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
    tells_all_events: bool = False
    price_basis: str = "raw"
    number_rule: str = "text"
    aliases: Mapping[str, str] = field(default_factory=dict)
    former_names: tuple[Alias, ...] = ()
    failures: Mapping[str, SourceError] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    resampled_from: str = ""
    first_bars: Mapping[str, date] = field(default_factory=dict)
    as_of: float | None = None
    fetched_at: float | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def join_deliveries(deliveries: Iterable[Delivery]) -> Delivery:
    """Return several deliveries of one source, each of other symbols, as one in rising order of symbols; without files."""
    parts = sorted(deliveries, key=lambda part: part.bars["symbol"][0] if part.bars.height else "")
    if len(parts) == 1:
        return parts[0]
    with_bars = [part for part in parts if part.bars.height]
    first = (with_bars or parts or [Delivery()])[0]
    bars = join_frames([empty_bars(), *(part.bars for part in with_bars)])
    missing = join_missing((part.bars.height, part.missing_volume) for part in with_bars)
    # A and C of one part, B of another.
    order = interleaved_order([part.bars for part in with_bars]) if len(with_bars) > 1 else None
    if order is not None:
        bars, missing = bars[order], None if missing is None else missing[order]
    return replace(
        first,
        bars=bars,
        quarantined=join_frames([empty_quarantine(), *(part.quarantined for part in parts)]),
        missing_volume=missing,
        assets={symbol: value for part in parts for symbol, value in part.assets.items()},
        actions=tuple(action for part in parts for action in part.actions),
        tells_all_events=all(part.tells_all_events for part in parts),
        aliases={symbol: value for part in parts for symbol, value in part.aliases.items()},
        former_names=tuple(name for part in parts for name in part.former_names),
        failures={symbol: value for part in parts for symbol, value in part.failures.items()},
        skipped={symbol: value for part in parts for symbol, value in part.skipped.items()},
        resampled_from=next((part.resampled_from for part in parts if part.resampled_from), ""),
        first_bars={symbol: value for part in parts for symbol, value in part.first_bars.items()},
        as_of=min((part.as_of for part in parts if part.as_of is not None), default=None),
        fetched_at=min((part.fetched_at for part in parts if part.fetched_at is not None), default=None),
        files={},
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def split_by_symbol(delivery: Delivery) -> Iterator[tuple[str, Delivery]]:
    """Yield what a delivery says of each symbol that is finished; one that failed is not."""
    named = {*delivery.skipped, *delivery.assets, *delivery.aliases}
    held = delivery.bars["symbol"].unique().to_list() if delivery.bars.height else []
    symbols = sorted({*held, *named, *delivery.quarantined["symbol"].unique().drop_nulls()} - set(delivery.failures))
    for at, symbol in enumerate(symbols):
        alone = len(symbols) == 1
        mask = delivery.bars["symbol"] == symbol
        missing = delivery.missing_volume
        yield (
            symbol,
            Delivery(
                bars=delivery.bars if alone else delivery.bars.filter(mask),
                quarantined=delivery.quarantined if alone else delivery.quarantined.filter(pl.col("symbol") == symbol),
                missing_volume=missing if alone or missing is None else missing.filter(mask),
                assets={symbol: delivery.assets[symbol]} if symbol in delivery.assets else {},
                actions=tuple(action for action in delivery.actions if action.symbol == symbol),
                tells_all_events=delivery.tells_all_events,
                price_basis=delivery.price_basis,
                number_rule=delivery.number_rule,
                aliases={symbol: delivery.aliases[symbol]} if symbol in delivery.aliases else {},
                former_names=tuple(name for name in delivery.former_names if name.symbol == symbol),
                skipped={symbol: delivery.skipped[symbol]} if symbol in delivery.skipped else {},
                resampled_from=delivery.resampled_from,
                first_bars={symbol: delivery.first_bars[symbol]} if symbol in delivery.first_bars else {},
                as_of=delivery.as_of,
                fetched_at=delivery.fetched_at,
                notes=delivery.notes if at == 0 else (),
            ),
        )


def join_missing(parts: Iterable[tuple[int, pl.Series | None]]) -> pl.Series | None:
    """Return the flags of joined frames from each one's number of rows and flags; None where no volume is missing."""
    counted = list(parts)
    if all(flags is None for _, flags in counted):
        return None
    flagged = [
        pl.repeat(value=False, n=height, dtype=pl.Boolean, eager=True) if flags is None else flags
        for height, flags in counted
    ]
    return join_frames(flags.alias("missing").to_frame() for flags in flagged)["missing"]
