"""What an ingest function tells of splits and dividends, as corporate actions."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import polars as pl

from rustybt.data.sources.delivery import QUARANTINE_SCHEMA
from rustybt.data.sources.registered.cells import check_frame, day_of, rows_of
from rustybt.data.sources.registered.written_bars import check_sid
from rustybt.errors import RequestError, RustybtError
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.ratios import ratio_of_float
from rustybt.market.wording import listed

if TYPE_CHECKING:
    from datetime import date

    from rustybt.data.sources.registered.asset_writer import SidNames

_NEEDED = {
    "splits": ("effective_date", "ratio"),
    "mergers": ("effective_date", "ratio"),
    "dividends": ("ex_date", "amount"),
    "stock_dividends": ("ex_date", "ratio"),
}
_DATES = ("declared_date", "record_date", "pay_date")
_SOURCE = "registered"


class AdjustmentWriter:
    """Takes the place of Zipline's SQLiteAdjustmentWriter: the frames are read when the function has ended.

    A split's ratio is what earlier prices are multiplied by, 0.5 for two new shares for one. Ratios of dividends are not asked
    for: the engine derives them. Mergers, which change prices and not volumes, cannot be stored and are told in the report.
    """

    def __init__(self) -> None:
        self._rows: list[tuple[str, dict[str, Any]]] = []

    def write(
        self, splits: Any = None, mergers: Any = None, dividends: Any = None, stock_dividends: Any = None
    ) -> None:
        """Take events; a further call adds to what is there.

        Parameters
        ----------
        splits, mergers
            Pandas frames with sid, effective_date (dates, or seconds since 1970) and ratio.
        dividends
            sid, ex_date, declared_date, record_date, pay_date, amount.
        stock_dividends
            sid, ex_date, the other dates, payment_sid, ratio (new shares for each one held).

        Raises
        ------
        RequestError
            A frame is none, or lacks a column.
        """
        frames = {"splits": splits, "mergers": mergers, "dividends": dividends, "stock_dividends": stock_dividends}
        for what, frame in frames.items():
            if frame is None or not len(check_frame(frame, what)):
                continue
            missing = [name for name in ("sid", *_NEEDED[what]) if name not in frame.columns]
            if missing:
                raise RequestError(
                    f"adjustment_writer.write: the frame {what} has no column {', '.join(missing)}",
                    hint=f"its columns are {', '.join(map(str, frame.columns))}",
                )
            self._rows += [(what, row) for row in rows_of(frame, "sid")]

    @property
    def is_empty(self) -> bool:
        """True if no event was written."""
        return not self._rows

    def events(self, names: SidNames) -> tuple[list[CorporateAction], pl.DataFrame, list[str]]:
        """Return the events, the rows that are none with their reasons, and notes."""
        events: dict[str, CorporateAction] = {}
        bad: list[tuple[str, str, str, str, str]] = []
        merged: dict[str, int] = {}
        for what, row in self._rows:
            symbol = names.symbols.get(row["sid"], "")
            told = str(row.get("effective_date") or row.get("ex_date"))
            if what == "mergers":
                shown = symbol or f"sid {row['sid']}"
                merged[shown] = merged.get(shown, 0) + 1
                continue
            try:
                event = _event(what, row, symbol, names)
            except (RustybtError, ValueError, TypeError, OverflowError, InvalidOperation) as error:
                reason = f"{what[:-1]} cannot be read" if symbol else "event of a sid without an asset"
                bad.append((symbol, told, reason, what, f"{_shown(row)} ({error})"[:200]))
                continue
            if event is not None:
                events.setdefault(event.event_id, event)
        notes = []
        if merged:
            count = sum(merged.values())
            notes.append(f"{count:,} mergers are not stored, the bundle has no such event: {listed(sorted(merged))}")
        return list(events.values()), pl.DataFrame(bad, schema=QUARANTINE_SCHEMA, orient="row"), notes


def _event(what: str, row: dict[str, Any], symbol: str, names: SidNames) -> CorporateAction | None:
    if not symbol:
        raise RequestError(f"sid {check_sid(row['sid'])} has no asset")
    day = _day(row["effective_date" if what == "splits" else "ex_date"])
    if what == "splits":
        old_for_new = ratio_of_float(row["ratio"])
        if old_for_new == 1:
            return None
        new, old = Decimal(old_for_new.denominator), Decimal(old_for_new.numerator)
        return CorporateAction.split(symbol, day, new, old, source=_SOURCE)
    dates: dict[str, Any] = {name: day_of(row.get(name)) for name in _DATES}
    if what == "dividends":
        amount = Decimal(str(row["amount"]))
        if amount == 0:
            return None
        return CorporateAction.cash_dividend(symbol, day, amount, source=_SOURCE, **dates)
    ratio = ratio_of_float(row["ratio"])
    # Shares of another company are a spin-off; `payment_sid` itself has no place in an event.
    paid = row.get("payment_sid", row["sid"])
    kind = "stock_dividend" if paid is None or names.symbols.get(paid) == symbol else "spin_off"
    new, old = Decimal(ratio.numerator), Decimal(ratio.denominator)
    return CorporateAction(symbol, kind, day, ratio_new=new, ratio_old=old, source=_SOURCE, **dates)


def _day(value: Any) -> date:
    found = day_of(value)
    if found is None:
        raise RequestError("the date is missing")
    return found


def _shown(row: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in row.items() if value is not None)
