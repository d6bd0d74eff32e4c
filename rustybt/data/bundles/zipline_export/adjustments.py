"""Corporate actions as Zipline stores them: splits and dividends as factors of earlier prices, and what is paid out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from rustybt.data.bundles.metadata_store.zipline_output import (
    NO_DATE,
    PayoutRow,
    RatioRow,
    StockPayoutRow,
    write_adjustments,
)
from rustybt.data.bundles.zipline_export.outgoing import MINUTE
from rustybt.market.frequency import DAILY
from rustybt.market.wording import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.bundles.zipline_export.grid import SessionGrid
    from rustybt.market.corporate_actions import CorporateAction

#: Bases on which a backtest applies events; on others the prices hold them already, or nobody knows.
_APPLIED = ("raw", "split_adjusted")
_ADJUSTED = "split_adjusted"


@dataclass(frozen=True, slots=True)
class Events:
    """The corporate actions of a version, by what becomes of them.

    Parameters
    ----------
    booked
        Those that go over, by ex-date.
    restating
        By frequency and symbol, the splits over which split-adjusted bars are brought back to raw ones.
    adjusted
        Symbols whose dividends are told in shares of today.
    notes
        What does not go over, one sentence each.
    """

    booked: list[CorporateAction]
    restating: dict[str, dict[str, list[CorporateAction]]]
    adjusted: frozenset[str]
    notes: list[str]


def events_of(bundle: Bundle) -> Events:
    """Sort the events in force as a backtest on the bundle would."""
    by_symbol: dict[str, list[CorporateAction]] = {}
    for action in bundle.corporate_actions():
        by_symbol.setdefault(action.symbol, []).append(action)
    restating: dict[str, dict[str, list[CorporateAction]]] = {name: {} for name in bundle.frequencies}
    adjusted, unapplied, moved = set[str](), set[str](), set[str]()
    for symbol, record in bundle.description.assets.items():
        events = by_symbol.get(symbol, [])
        bases = {name: basis for name, basis in record.price_basis.items() if name in restating}
        if events and not all(basis in _APPLIED for basis in bases.values()):
            unapplied.add(symbol)
        splits = [action for action in events if action.price_factor != 1]
        if symbol not in unapplied and splits:
            for name in (name for name, basis in bases.items() if basis == _ADJUSTED):
                restating[name][symbol] = splits
                moved.add(symbol)
        if bases.get(DAILY.name, bases.get(MINUTE)) == _ADJUSTED:
            adjusted.add(symbol)
    told = [action for symbol in sorted(by_symbol) if symbol not in unapplied for action in by_symbol[symbol]]
    said = _said_of(told, moved, unapplied)
    booked = sorted(
        (action for action in told if action.kind != "spin_off"), key=lambda a: (a.ex_date, a.symbol, a.event_id)
    )
    return Events(booked, restating, frozenset(adjusted), said)


def _said_of(told: Sequence[CorporateAction], moved: set[str], unapplied: set[str]) -> list[str]:
    """Return a note on each kind of event that Zipline has no place for, and on prices that are not the stored ones."""
    said = []
    if moved:
        said.append(
            f"split-adjusted prices of {listed(sorted(moved))} were brought back to the shares of their own day"
        )
    if unapplied:
        said.append(
            f"corporate actions of {listed(sorted(unapplied))} were left out: their prices are adjusted for dividends "
            "already, or nobody said how"
        )
    spun = sorted({action.symbol for action in told if action.kind == "spin_off"})
    if spun:
        said.append(f"spin-offs of {listed(spun)} were left out: Zipline has no table for them")
    paid_in_shares = sorted({action.symbol for action in told if action.kind == "stock_dividend"})
    if paid_in_shares:
        said.append(
            f"Zipline pays the stock dividends of {listed(paid_in_shares)} but does not adjust earlier prices for them, as "
            "rustybt does"
        )
    return said


class ClosesBefore:
    """The closes of the sessions before ex-dates, noted while the daily bars are written.

    Parameters
    ----------
    booked
        Events; those that are no cash dividends are passed over.
    grid
        The sessions of the ingestion.
    """

    def __init__(self, booked: Iterable[CorporateAction], grid: SessionGrid) -> None:
        self._wanted: dict[str, dict[int, int]] = {}
        for action in booked:
            row = row_before(action.ex_date, grid)
            if action.kind == "cash_dividend" and row >= 0:
                self._wanted.setdefault(action.symbol, {})[row] = 0

    def note(self, symbol: str, first: int, closes: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> None:
        """Look at the closes, in thousandths, of a symbol from session `first` on."""
        for row in self._wanted.get(symbol, {}):
            if 0 <= row - first < closes.size:
                self._wanted[symbol][row] = int(closes[row - first])

    def close(self, symbol: str, row: int) -> int:
        """Return the close of a session in thousandths, 0 where there is none."""
        return self._wanted.get(symbol, {}).get(row, 0)


def row_before(day: date, grid: SessionGrid) -> int:
    """Return the number of the session before a day, -1 where the ingestion begins later."""
    return int(np.searchsorted(grid.sessions, np.datetime64(day))) - 1


def write_events(
    folder: Path, events: Events, sids: Mapping[str, int], closes: ClosesBefore, grid: SessionGrid
) -> tuple[Path, list[str]]:
    """Write the events of the assets in `sids`, and return the file with notes."""
    splits, ratios, payouts, stock_payouts = [], list[RatioRow](), list[PayoutRow](), list[StockPayoutRow]()
    without = []
    for action in events.booked:
        sid = sids.get(action.symbol)
        if sid is None:
            continue
        if action.kind == "split":
            ratio = float(Fraction(action.ratio_old or 1) / Fraction(action.ratio_new or 1))
            splits.append(RatioRow(_seconds(action.ex_date), ratio, sid))
        elif action.kind == "stock_dividend":
            ratio = float(Fraction(action.ratio_new or 1) / Fraction(action.ratio_old or 1))
            stock_payouts.append(StockPayoutRow(sid, *_dates(action), sid, ratio))
        else:
            amount = _amount(action, events)
            payouts.append(PayoutRow(sid, *_dates(action), amount))
            close = closes.close(action.symbol, row_before(action.ex_date, grid))
            # The factor as Zipline's own writer has it, to the last bit.
            ratio = 1.0 - amount / (close * 0.001) if close else 0.0
            if ratio > 0:
                ratios.append(RatioRow(_seconds(action.ex_date), ratio, sid))
            else:
                without.append(f"{action.symbol} on {action.ex_date}")
    file = write_adjustments(folder, splits, ratios, payouts, stock_payouts)
    if not without:
        return file, []
    return file, [
        "dividends that are paid but adjust no earlier price, since the session before has no close or a lower one: "
        + listed(without)
    ]


def _amount(action: CorporateAction, events: Events) -> float:
    """Return cash a share in shares of the ex-date."""
    amount = action.amount or 0
    if action.symbol not in events.adjusted:
        return float(amount)
    exact = Fraction(amount)
    for other in events.booked:
        if other.symbol == action.symbol and other.ex_date > action.ex_date:
            exact /= Fraction(other.price_factor)
    return float(exact)


def _dates(action: CorporateAction) -> tuple[int, int, int, int]:
    """Return ex-date, declared, record and pay date in seconds; paid on the ex-date where nobody said when."""
    declared, record = (NO_DATE if day is None else _seconds(day) for day in (action.declared_date, action.record_date))
    return _seconds(action.ex_date), declared, record, _seconds(action.pay_date or action.ex_date)


def _seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
