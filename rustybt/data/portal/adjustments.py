"""Corporate actions laid on the sessions: what changes history, and what changes the book.

With `now` the simulation's clock (architecture, section 4): bars of basis `raw` are adjusted by the events with an ex-date
up to now. `split_adjusted` bars are first brought back to raw by the splits after each bar, dividends too, and are then
raw bars. `split_dividend_adjusted` and `unknown` bars are left alone and their events are not booked.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from numpy.typing import NDArray

    from rustybt.data.portal.bar_provider import Booleans, Floats
    from rustybt.data.portal.session_axis import SessionAxis
    from rustybt.market.assets import Asset
    from rustybt.market.corporate_actions import CorporateAction

ADJUSTED_BASES = ("raw", "split_adjusted")


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """From session `t` on, all rows of `column` up to `last_row` (excluded) are multiplied."""

    t: int
    column: int
    #: First row, relative to the simulation's first, that is not adjusted for open, high, low, close and volume.
    stop: int
    #: The same for forward-filled prices: a price carried over the ex-date is adjusted until the next trade.
    filled_stop: int
    price_factor: float
    volume_factor: float


@dataclass(frozen=True, slots=True)
class Split:
    """Shares become `ratio` times as many from session `t` on."""

    asset: Asset
    t: int
    ratio: Fraction


@dataclass(frozen=True, slots=True)
class Dividend:
    """Cash of `amount` a share held before session `t`, paid in session `pay_t`."""

    asset: Asset
    t: int
    pay_t: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class StockDividend:
    """New shares, `ratio` for each one held before session `t`, delivered in session `pay_t`."""

    asset: Asset
    t: int
    pay_t: int
    ratio: Fraction


BookEvent = Split | Dividend | StockDividend


@dataclass(frozen=True, slots=True)
class AssetEvents:
    """All that happens to one asset, in the order of ex-dates."""

    history: tuple[HistoryEvent, ...]
    book: tuple[BookEvent, ...]


def unadjust(
    values: dict[str, Floats], days: NDArray[np.datetime64], actions: Sequence[CorporateAction]
) -> dict[str, Floats]:
    """Bring split-adjusted bars of one asset back to the shares of their own day.

    Each bar is multiplied (its volume divided) by the ratios of the splits whose ex-date lies after it.
    """
    factor = np.ones(len(days))
    for action in actions:
        if action.price_factor != 1:
            factor[np.asarray(days) < np.datetime64(action.ex_date)] /= float(action.price_factor)
    return {field: v / factor if field == "volume" else v * factor for field, v in values.items()}


def dividend_amount(action: CorporateAction, actions: Sequence[CorporateAction], basis: str) -> Decimal:
    """Return cash a share in the shares of the ex-date; split-adjusted amounts are brought back like their bars."""
    amount = action.amount or Decimal(0)
    if basis != "split_adjusted":
        return amount
    for other in actions:
        if other.ex_date > action.ex_date:
            amount /= other.price_factor
    return amount


def lay_out(
    asset: Asset,
    column: int,
    actions: Sequence[CorporateAction],
    basis: str,
    axis: SessionAxis,
    raw_close: Floats,
    filled_close: Floats,
) -> AssetEvents:
    """Return the events of `asset`, whose closes fill `column`.

    Parameters
    ----------
    raw_close, filled_close
        One value a row of `axis`, as traded and carried forward; both of basis raw.
    """
    history: list[HistoryEvent] = []
    book: list[BookEvent] = []
    traded: Booleans = ~np.isnan(raw_close)
    for action in actions if basis in ADJUSTED_BASES else ():
        t = axis.t_of(action.ex_date)
        row = t + axis.before
        if t >= axis.length:
            continue
        price, volume = float(action.price_factor), 1 / float(action.price_factor)
        if action.kind == "cash_dividend":
            amount = dividend_amount(action, actions, basis)
            previous = float(filled_close[row - 1]) if row > 0 else np.nan
            # Zipline's factor; a dividend above the price, or with no price before it, leaves history alone.
            price, volume = (1 - float(amount) / previous, 1.0) if previous > float(amount) else (1.0, 1.0)
            book.append(Dividend(asset, t, _pay_t(action, axis, t), amount))
        elif action.kind == "split":
            book.append(Split(asset, t, _ratio(action)))
        elif action.kind == "stock_dividend":
            book.append(StockDividend(asset, t, _pay_t(action, axis, t), _ratio(action)))
        if row > 0 and price != 1:
            filled_stop = t
            if not traded[row]:
                after = np.flatnonzero(traded[row:])
                filled_stop = t + int(after[0]) if after.size else axis.length
            history.append(HistoryEvent(t, column, t, filled_stop, price, volume))
    return AssetEvents(tuple(history), tuple(book))


def _ratio(action: CorporateAction) -> Fraction:
    return Fraction(action.ratio_new or 1) / Fraction(action.ratio_old or 1)


def _pay_t(action: CorporateAction, axis: SessionAxis, ex_t: int) -> int:
    """Return the session of payment: the first on or after the pay date, never before the ex-date."""
    pay: date = action.pay_date or action.ex_date
    return max(axis.t_of(pay), ex_t)
