"""From covered pieces to a delivery with all that is known beside the bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.data.sources.delivery import Delivery
from rustybt.market.request import to_date, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rustybt.data.cache.coverage import Segment
    from rustybt.data.cache.series import Series


def describe(
    bars: pl.DataFrame,
    series: Mapping[str, Series],
    ranges: Mapping[str, tuple[int, int]],
    pieces: Mapping[str, Sequence[Segment]],
) -> Delivery:
    """Return the delivery of some symbols.

    Parameters
    ----------
    ranges
        What was asked for of each, microseconds UTC, both included.
    pieces
        Where its bars lie.
    """
    facts = {symbol: item.facts for symbol, item in series.items()}
    with_bars = _present(bars, sorted(facts))
    shown = next((facts[symbol] for symbol in sorted(with_bars)), next(iter(facts.values()), None))
    if shown is None:
        return Delivery(bars=bars)
    return Delivery(
        bars=bars,
        missing_volume=_missing(bars, {symbol: found.missing_volume for symbol, found in facts.items()}),
        assets={symbol: found.attributes for symbol, found in facts.items() if found.attributes is not None},
        actions=tuple(
            action
            for symbol, found in facts.items()
            for action in found.actions
            if to_microseconds(action.ex_date) >= ranges[symbol][0] - ranges[symbol][0] % 86_400_000_000
        ),
        tells_all_events=all(
            found.told_from is not None and found.told_from <= ranges[symbol][0] for symbol, found in facts.items()
        ),
        price_basis=shown.price_basis,
        number_rule=shown.number_rule,
        aliases={symbol: found.alias for symbol, found in facts.items() if found.alias},
        skipped={symbol: _why_empty(*ranges[symbol], series[symbol]) for symbol in facts if symbol not in with_bars},
        resampled_from=shown.resampled_from,
        first_bars={symbol: found.first_bar for symbol, found in facts.items() if found.first_bar is not None},
        fetched_at=min((s.fetched_at for found in pieces.values() for s in found), default=None),
        notes=tuple(dict.fromkeys(note for found in facts.values() for note in found.notes)),
    )


def _present(bars: pl.DataFrame, symbols: Sequence[str]) -> set[str]:
    """Return those of sorted `symbols` that have a bar in sorted bars, by looking where each one would be."""
    if bars.is_empty() or not symbols:
        return set()
    names = pl.Series(symbols, dtype=pl.String)
    at = bars["symbol"].search_sorted(names, side="left")
    found = bars["symbol"].gather(at.clip(0, bars.height - 1))
    return set(names.filter(found == names).to_list())


def _why_empty(start: int, end: int, series: Series) -> str:
    text = f"no bars from {to_date(start)} to {to_date(end)}"
    first = series.facts.first_bar
    return f"{text}: its first bar is of {first}" if first is not None and first > to_date(end) else text


def _missing(bars: pl.DataFrame, runs: Mapping[str, Sequence[tuple[int, int]]]) -> pl.Series | None:
    """Return True for each bar whose volume was not delivered; None where all were."""
    if not any(runs.values()):
        return None
    stamps = bars["timestamp"].to_physical().to_numpy()
    symbols = bars["symbol"].to_numpy()
    flags = np.zeros(bars.height, dtype=bool)
    for symbol, found in runs.items():
        mine = symbols == symbol
        for first, last in found:
            flags |= mine & (stamps >= first) & (stamps <= last)
    return pl.Series(flags) if flags.any() else None
