"""Closes of the assets that a run traded most, kept with its result so that its trades can be drawn without the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rustybt.data.portal.arrays.adjustments import unadjust
from rustybt.data.portal.providers.resampled_bars import ResampledBars
from rustybt.data.portal.rows.placing import Rows, place_bars
from rustybt.market.frequency import DAILY
from rustybt.market.request import DAY_MICROSECONDS
from rustybt.market.resample import base_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rustybt.data.portal.bar_provider import BarProvider, Floats, Integers
    from rustybt.market.assets import Asset
    from rustybt.trading.book.transaction import Transaction

#: So many assets have their closes kept: memory and files stay small whatever a strategy trades.
MOST_ASSETS = 8


@dataclass(frozen=True, slots=True)
class TradedPrices:
    """One close a session for each of the assets traded most, by turnover.

    Parameters
    ----------
    sids, symbols
        The assets, the one of the highest turnover first.
    closes
        Shape (n_sessions, n_assets), one row for each row of `Result.perf`: prices as they were in that session, adjusted
        for nothing that came later; NaN where no bar is.
    left_out
        How many further assets were traded.
    """

    sids: tuple[int, ...]
    symbols: tuple[str, ...]
    closes: Floats
    left_out: int = 0


def most_traded(transactions: Iterable[Transaction], most: int = MOST_ASSETS) -> tuple[list[Asset], int]:
    """Return the assets of the highest turnover, equal ones by symbol, and the number of the others."""
    turnover: dict[Asset, float] = {}
    for fill in transactions:
        turnover[fill.asset] = turnover.get(fill.asset, 0.0) + abs(float(fill.amount)) * fill.price
    ranked = sorted(turnover, key=lambda asset: (-turnover[asset], asset.symbol))
    return ranked[:most], max(0, len(ranked) - most)


def read_traded(
    bars: BarProvider,
    transactions: Iterable[Transaction],
    sessions: Integers,
    closes: Integers,
    frequency: str,
    calendar_name: str,
) -> TradedPrices:
    """Return the closes of the assets that were traded most.

    Parameters
    ----------
    sessions
        Dates of the sessions that were run, days since 1970.
    closes
        When each of them closed, microseconds since 1970 UTC.
    frequency
        Of the run: read where there are no daily bars and none can be made.
    calendar_name
        Of the run's clock: a bar of another venue is of the session in which it is complete.
    """
    assets, left_out = most_traded(transactions)
    found = np.full((len(sessions), len(assets)), np.nan)
    if assets and len(sessions):
        if DAILY.name in bars.frequencies:
            frequency = DAILY.name
        elif base_of(DAILY, bars.frequencies) is not None:
            bars, frequency = ResampledBars(bars, bars.calendar_name), DAILY.name
        _fill(found, bars, assets, sessions, closes, frequency, calendar_name)
    return TradedPrices(tuple(a.sid for a in assets), tuple(a.symbol for a in assets), found, left_out)


def _fill(
    found: Floats,
    bars: BarProvider,
    assets: list[Asset],
    sessions: Integers,
    closes: Integers,
    frequency: str,
    calendar_name: str,
) -> None:
    days = sessions.astype("datetime64[D]")
    names = [asset.symbol for asset in assets]
    block = bars.read_arrays(names, start=days[0].item(), end=days[-1].item(), fields=("close",), frequency=frequency)
    if frequency == DAILY.name:
        labels = days.astype("datetime64[us]").astype(np.int64)
        begin = int(closes[0]) - DAY_MICROSECONDS
        found[:] = place_bars(block, assets, Rows(labels, closes, begin, calendar_name, DAILY))["close"]
    else:
        # A bar that opens before a session closes, and after the one before did, is of that session; its last one counts.
        rows = np.searchsorted(closes, block.timestamps, side="right")
        held = rows < len(closes)
        place = {symbol: column for column, symbol in enumerate(names)}
        columns = np.array([place[symbol] for symbol in block.symbols], dtype=np.int64)[block.symbol_codes]
        found[rows[held], columns[held]] = block.values["close"][held]
    for column, asset in enumerate(assets):
        if bars.price_basis(asset.symbol) == "split_adjusted":
            actions = bars.corporate_actions([asset.symbol])
            found[:, column] = unadjust({"close": found[:, column]}, days, actions)["close"]
