"""Corporate actions: append-only events that explain why a price jumps."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, Self, get_args

from rustybt.errors import RequestError

ActionKind = Literal["split", "cash_dividend", "stock_dividend", "spin_off", "cancellation"]
ACTION_KINDS: tuple[str, ...] = get_args(ActionKind)

PriceBasis = Literal["raw", "split_adjusted", "split_dividend_adjusted", "unknown"]
PRICE_BASES: tuple[str, ...] = get_args(PriceBasis)

# Beyond these, a number is a slip of the keyboard and no announcement; the books would overflow with it.
_SMALLEST, _LARGEST = Decimal("1e-12"), Decimal("1e12")


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """One event, as a vendor or a user announced it.

    Parameters
    ----------
    symbol
        Canonical symbol in the bundle.
    kind
        One of `ACTION_KINDS`. A ``cancellation`` only ends the event named in `supersedes`; any other kind that names
        one revises it.
    ex_date
        First session that trades without the right: bars before it are adjusted.
    ratio_new, ratio_old
        Shares after and before: 2 and 1 for a 2:1 split; for a stock dividend or spin-off the new and held shares.
    amount, currency
        Cash per share, for a cash dividend.
    declared_date, record_date, pay_date
        Where known; a dividend without pay date is paid on its ex-date.
    source
        Who said so: ``user``, ``csv``, ``yfinance`` ...
    first_seen
        Unix seconds (UTC) when this store first learned of it; 0 when unknown. Outside the content hash.
    supersedes
        `event_id` of the event that this one cancels or revises.
    """

    symbol: str
    kind: str
    ex_date: date
    ratio_new: Decimal | None = None
    ratio_old: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None
    declared_date: date | None = None
    record_date: date | None = None
    pay_date: date | None = None
    source: str = "user"
    first_seen: int = 0
    supersedes: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in ACTION_KINDS:
            raise RequestError(f"unknown corporate action {self.kind!r}", hint=f"use one of {', '.join(ACTION_KINDS)}")
        for name in ("ex_date", "declared_date", "record_date", "pay_date"):
            object.__setattr__(self, name, _to_date(getattr(self, name), name))
        if self.ex_date is None:
            raise RequestError(f"{self.kind} of {self.symbol}: the ex-date is missing")
        for name in ("ratio_new", "ratio_old", "amount"):
            object.__setattr__(self, name, _to_decimal(getattr(self, name), name))
        where = f"{self.kind} of {self.symbol} on {self.ex_date}"
        if self.kind in ("split", "stock_dividend", "spin_off"):
            _check_ratio(self.ratio_new, self.ratio_old, where)
        if self.kind == "cash_dividend":
            _check_amount(self.amount, where)
        if self.kind == "cancellation" and not self.supersedes:
            raise RequestError(f"{where}: name the event it ends in `supersedes`")

    @classmethod
    def split(
        cls, symbol: str, ex_date: date | str, new: Decimal | str | float, old: Decimal | str | float = 1, **more: Any
    ) -> Self:
        """Return a split of `new` shares for `old` (2, 1 for a 2:1 split; 1, 10 for a reverse 1:10)."""
        ratio = {"ratio_new": _to_decimal(new, "new"), "ratio_old": _to_decimal(old, "old")}
        return cls(symbol, "split", _to_date(ex_date, "ex_date"), **ratio, **more)

    @classmethod
    def cash_dividend(
        cls, symbol: str, ex_date: date | str, amount: Decimal | str | float, currency: str = "USD", **more: Any
    ) -> Self:
        """Return a dividend of `amount` `currency` a share."""
        day, paid = _to_date(ex_date, "ex_date"), _to_decimal(amount, "amount")
        return cls(symbol, "cash_dividend", day, amount=paid, currency=currency, **more)

    @property
    def price_factor(self) -> Decimal:
        """What earlier prices are multiplied by: old / new for a split, 1 for a cash dividend."""
        if self.kind == "split" and self.ratio_new and self.ratio_old:
            return self.ratio_old / self.ratio_new
        if self.kind == "stock_dividend" and self.ratio_new and self.ratio_old:
            return self.ratio_old / (self.ratio_old + self.ratio_new)
        return Decimal(1)

    @property
    def event_id(self) -> str:
        """Stable id of the event's content: the same announcement has the same id, whoever fetched it and when."""
        content = {k: v for k, v in self.to_json().items() if k not in ("source", "first_seen")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; decimals without trailing zeros and dates as text."""
        out: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Decimal):
                # Not `normalize`, which rounds to the context's precision.
                value = format(value, "f")
                value = value.rstrip("0").rstrip(".") if "." in value else value
            out[f.name] = value.isoformat() if isinstance(value, date) else value
        return out

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from `to_json`; unknown keys of a newer version are ignored."""
        known = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in data.items() if k in known})


def _check_ratio(new: Decimal | None, old: Decimal | None, where: str) -> None:
    for value in (new, old):
        if value is None or not value.is_finite() or value <= 0:
            raise RequestError(f"{where}: the ratio needs two positive numbers", hint="write it as 2:1")
        if not _SMALLEST <= value <= _LARGEST:
            raise RequestError(f"{where}: the ratio {value} is out of all bounds", hint="write it as 2:1")


def _check_amount(amount: Decimal | None, where: str) -> None:
    if amount is None or not amount.is_finite() or amount <= 0:
        raise RequestError(f"{where}: the amount must be positive, not {amount}")
    if not _SMALLEST <= amount <= _LARGEST:
        raise RequestError(f"{where}: the amount {amount} is out of all bounds")


def _to_date(value: Any, name: str) -> Any:
    """Return a date for a date, a datetime or ISO text."""
    if value is None or type(value) is date:
        return value
    if isinstance(value, datetime):
        return value.date()
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise RequestError(f"corporate action: {name}={value!r} is not a date", hint="write 2020-01-31") from None


def _to_decimal(value: Any, name: str) -> Any:
    """Return an exact number; a float is what it prints as, 0.22 and not 0.2200000000000000011."""
    if value is None or isinstance(value, Decimal):
        return value
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise RequestError(f"corporate action: {name}={value!r} is not a number") from None


def in_force(actions: list[CorporateAction], known_at: int | None = None) -> list[CorporateAction]:
    """Return the events that hold, sorted by ex-date: superseded ones removed, and those unknown at `known_at`.

    Parameters
    ----------
    known_at
        Unix seconds; events first seen later are left out. None takes all.
    """
    known = [a for a in actions if known_at is None or a.first_seen <= known_at]
    ended = {a.supersedes for a in known if a.supersedes}
    holding = [a for a in known if a.event_id not in ended and a.kind != "cancellation"]
    return sorted(holding, key=lambda a: (a.ex_date, a.symbol, a.kind, a.event_id))
