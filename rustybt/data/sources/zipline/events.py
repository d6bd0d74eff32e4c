"""Adjustments of an ingestion as corporate actions; what has no kind here is told, not dropped."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.ratios import ratio_of_float
from rustybt.market.wording import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rustybt.data.bundles.metadata_store.zipline_files import ZiplineEvents

_SOURCE = "zipline"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATES = ("declared_date", "record_date", "pay_date")


def actions_of(
    events: ZiplineEvents, symbol_of: Mapping[int, str]
) -> tuple[dict[str, list[CorporateAction]], tuple[str, ...]]:
    """Return the corporate actions by symbol, and sentences about what could not become one.

    A ratio is stored as a float; what it stands for is the business of `ratio_of_float`: 0.3333333333333333 is three new shares
    for one. Zipline's ratio of a split multiplies earlier prices, so it is old to new.
    """
    found: dict[str, list[CorporateAction]] = {}
    problems: dict[str, list[str]] = {}

    def take(kind: str, row: Mapping[str, Any], made: Callable[[str, date], CorporateAction | None]) -> None:
        sid = row["sid"]
        day = day_of(row.get("ex_date", row.get("effective_date")))
        label = f"{symbol_of.get(sid, f'sid {sid}')} {day or 'without a day'}"
        if sid not in symbol_of or day is None:
            problems.setdefault(f"{kind} of no asset here, or without a day", []).append(label)
            return
        try:
            action = made(symbol_of[sid], day)
        except (RequestError, ValueError, TypeError, OverflowError, ZeroDivisionError):
            problems.setdefault(f"{kind} that cannot be read", []).append(label)
            return
        if action is not None and action not in found.setdefault(action.symbol, []):
            found[action.symbol].append(action)

    for row in events.splits:
        take("splits", row, lambda symbol, day, row=row: _split(symbol, day, row))  # type: ignore[misc]
    for row in events.dividends:
        take("dividends", row, lambda symbol, day, row=row: _dividend(symbol, day, row))  # type: ignore[misc]
    for row in events.stock_dividends:
        take("stock dividends", row, lambda symbol, day, row=row: _stock_dividend(symbol, day, row))  # type: ignore[misc]
        if row["payment_sid"] not in (None, row["sid"]) and row["sid"] in symbol_of:
            paid = symbol_of.get(row["payment_sid"], f"sid {row['payment_sid']}")
            text = f"{symbol_of[row['sid']]} {day_of(row['ex_date'])} paid in {paid}"
            problems.setdefault("stock dividends kept as spin-offs, without the name of the shares", []).append(text)
    if events.mergers:
        labels = [
            f"{symbol_of.get(row['sid'], row['sid'])} {day_of(row['effective_date'])} x {row['ratio']}"
            for row in events.mergers
        ]
        problems["mergers not imported, there is no such corporate action: prices stay as they were traded"] = labels
    return found, tuple(_told(what, labels) for what, labels in problems.items())


def day_of(seconds: Any) -> date | None:
    """Return the UTC day of Unix seconds, None for a missing one: Zipline writes NaT as the smallest of 64 bits."""
    if seconds is None or not -(2**40) < seconds < 2**40:
        return None
    try:
        return (_EPOCH + timedelta(seconds=seconds)).date()
    except OverflowError:
        return None


def _split(symbol: str, day: date, row: Mapping[str, Any]) -> CorporateAction | None:
    ratio = ratio_of_float(row["ratio"])
    return (
        None if ratio == 1 else CorporateAction.split(symbol, day, ratio.denominator, ratio.numerator, source=_SOURCE)
    )


def _dividend(symbol: str, day: date, row: Mapping[str, Any]) -> CorporateAction | None:
    if row["amount"] == 0:
        return None
    return CorporateAction.cash_dividend(symbol, day, row["amount"], source=_SOURCE, **_known_days(row))


def _stock_dividend(symbol: str, day: date, row: Mapping[str, Any]) -> CorporateAction:
    ratio = ratio_of_float(row["ratio"])
    return CorporateAction(
        symbol,
        "stock_dividend" if row["payment_sid"] in (None, row["sid"]) else "spin_off",
        day,
        ratio_new=Decimal(ratio.numerator),
        ratio_old=Decimal(ratio.denominator),
        source=_SOURCE,
        **_known_days(row),
    )


def _known_days(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: day_of(row[name]) for name in _DATES}


def _told(what: str, labels: list[str]) -> str:
    return f"{what} ({len(labels):,}): {listed(labels)}"
