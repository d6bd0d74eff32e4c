"""Dividends and splits of Yahoo's answers as corporate actions."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.errors import BadResponseError
from rustybt.market.corporate_actions import CorporateAction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rustybt.data.adapters.yahoo.chart import Chart

SOURCE = "yfinance"


def actions_of(chart: Chart, symbol: str) -> tuple[tuple[CorporateAction, ...], tuple[str, ...]]:
    """Return every dividend and split of an answer by ex-date, and notes on events that are none.

    Amounts stay as delivered: per share of today, as the prices are. Ratios are exact and in lowest terms.

    Raises
    ------
    BadResponseError
        The events have another form.
    """
    notes: list[str] = []
    try:
        dividends = list(_dividends(chart, symbol, notes))
        splits = list(_splits(chart, symbol, notes))
        gains = len(_events(chart, "capitalGains"))
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise BadResponseError(
            f"Yahoo's answer for {symbol} is not usable: its corporate actions are malformed ({type(error).__name__})",
            symbol=symbol,
        ) from None
    if gains:
        # Yahoo adds some of them to the dividends as well, and does not say which.
        notes.append(
            f"{symbol}: {gains} capital gains distributions are not booked; Yahoo counts some as dividends too"
        )
    return tuple(sorted([*splits, *dividends], key=lambda action: (action.ex_date, action.kind))), tuple(notes)


def _dividends(chart: Chart, symbol: str, notes: list[str]) -> Iterator[CorporateAction]:
    events = _events(chart, "dividends")
    if not events:
        return
    amounts = decode_amounts([float(event["amount"]) for event in events])
    for event, amount in zip(events, amounts, strict=True):
        day = chart.day_of(event["date"])
        if not (amount.is_finite() and amount > 0):
            notes.append(f"{symbol}: a dividend of {event['amount']} on {day} is left out")
            continue
        # Named only where it is not the price's: Vietnam, and companies that pay in another currency.
        currency = event.get("currency") or chart.meta.get("currency") or "USD"
        yield CorporateAction.cash_dividend(symbol, day, amount, currency, source=SOURCE)


def _splits(chart: Chart, symbol: str, notes: list[str]) -> Iterator[CorporateAction]:
    for event in _events(chart, "splits"):
        day = chart.day_of(event["date"])
        ratio = exact_ratio(event.get("numerator"), event.get("denominator")) or _printed_ratio(event.get("splitRatio"))
        if ratio is None:
            notes.append(f"{symbol}: a split on {day} without a ratio is left out")
        elif ratio[0] != ratio[1]:
            yield CorporateAction.split(symbol, day, *ratio, source=SOURCE)


def exact_ratio(numerator: Any, denominator: Any) -> tuple[Decimal, Decimal] | None:
    """Return new and old shares as whole numbers in lowest terms: 1.5 and 1 are 3 and 2; None unless both are positive."""
    if numerator is None or denominator is None:
        return None
    new, old = Decimal(str(numerator)), Decimal(str(denominator))
    if not (new.is_finite() and old.is_finite() and new > 0 and old > 0):
        return None
    decimals = max(-_exponent(new), -_exponent(old), 0)
    left, right = int(new.scaleb(decimals)), int(old.scaleb(decimals))
    common = gcd(left, right)
    return Decimal(left // common), Decimal(right // common)


def _printed_ratio(text: Any) -> tuple[Decimal, Decimal] | None:
    """Return the ratio of ``4:1`` or ``4/1``."""
    if not isinstance(text, str):
        return None
    new, _, old = text.replace("/", ":").partition(":")
    try:
        return exact_ratio(new.strip(), old.strip())
    except InvalidOperation:
        return None


def decode_amounts(amounts: Sequence[float]) -> list[Decimal]:
    """Return the shortest decimals that amounts stand for, by the rule of `decode_floats`, which costs more for so few."""
    wide = np.array(amounts, dtype=np.float64)
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    texts = [repr(float(one)) for one in wide]
    fraction = wide != np.rint(wide)
    if (narrow.astype(np.float64) == wide)[fraction].all():
        short = [str(one) for one in narrow]
        if any(len(text) - len(other) >= 5 for text, other in zip(texts, short, strict=True)):
            texts = [
                other if is_fraction else text for text, other, is_fraction in zip(texts, short, fraction, strict=True)
            ]
    return [Decimal(text.removesuffix(".0")) for text in texts]


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _events(chart: Chart, kind: str) -> list[Mapping[str, Any]]:
    return list((chart.events.get(kind) or {}).values())
