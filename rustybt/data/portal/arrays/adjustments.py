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

from rustybt.data.portal.rows.venue_days import session_of_event

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from numpy.typing import NDArray

    from rustybt.data.portal.bar_provider import Booleans, Floats
    from rustybt.data.portal.rows.session_axis import SessionAxis
    from rustybt.market.assets import Asset
    from rustybt.market.corporate_actions import CorporateAction

ADJUSTED_BASES = ("raw", "split_adjusted")


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """From session `t` on, all rows of `column` before it are multiplied."""

    t: int
    column: int
    #: First session whose forward-filled price is not: one carried over the ex-date is adjusted until the next trade.
    filled_stop: int
    price_factor: float
    volume_factor: float


@dataclass(frozen=True, slots=True)
class Split:
    """Shares become `ratio` times as many from session `t` on."""

    asset: Asset
    t: int
    ratio: Fraction

    @property
    def price_factor(self) -> float:
        """What prices before the ex-date are multiplied by."""
        return self.ratio.denominator / self.ratio.numerator


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

    @property
    def price_factor(self) -> float:
        """What prices before the ex-date are multiplied by."""
        return self.ratio.denominator / (self.ratio.denominator + self.ratio.numerator)


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


def book_events(
    asset: Asset, actions: Sequence[CorporateAction], basis: str, axis: SessionAxis, *, in_bars: bool = False
) -> list[BookEvent]:
    """Return what changes the book of a holder of `asset` up to the end of `axis`, in the order of ex-dates.

    Parameters
    ----------
    in_bars
        Whether the run is on intraday bars; see `session_of_event`.
    """
    book: list[BookEvent] = []
    for action in actions if basis in ADJUSTED_BASES else ():
        t = session_of_event(asset, action.ex_date, axis, in_bars=in_bars)
        if t >= axis.length:
            continue
        if action.kind == "cash_dividend":
            book.append(Dividend(asset, t, _pay_t(action, axis, t), dividend_amount(action, actions, basis)))
        elif action.kind == "split":
            book.append(Split(asset, t, _ratio(action)))
        elif action.kind == "stock_dividend":
            book.append(StockDividend(asset, t, _pay_t(action, axis, t), _ratio(action)))
    return book


def dividend_factor(amount: float, previous: float) -> float:
    """Return what prices before an ex-date are multiplied by: Zipline's factor, of the last price before it.

    A dividend above that price, or with no price before it, leaves history alone.
    """
    return 1 - amount / previous if previous > amount else 1.0


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
    book = book_events(asset, actions, basis, axis)
    traded: Booleans = ~np.isnan(raw_close)
    for event in book:
        row = event.t + axis.before
        if row <= 0:
            continue
        if isinstance(event, Dividend):
            base = float(filled_close[row - 1])
            for earlier in history:
                # A price that was carried over other ex-dates stands as they left it.
                if earlier.t < event.t <= earlier.filled_stop:
                    base *= earlier.price_factor
            price, volume = dividend_factor(float(event.amount), base), 1.0
        else:
            price, volume = event.price_factor, 1 / event.price_factor
        if price != 1:
            filled_stop = event.t
            if not traded[row]:
                after = np.flatnonzero(traded[row:])
                filled_stop = event.t + int(after[0]) if after.size else axis.length
            history.append(HistoryEvent(event.t, column, filled_stop, price, volume))
    return AssetEvents(tuple(history), tuple(book))


def _ratio(action: CorporateAction) -> Fraction:
    return Fraction(action.ratio_new or 1) / Fraction(action.ratio_old or 1)


def _pay_t(action: CorporateAction, axis: SessionAxis, ex_t: int) -> int:
    """Return the session of payment: the first on or after the pay date, never before the ex-date."""
    pay: date = action.pay_date or action.ex_date
    return max(axis.t_of(pay), ex_t)
