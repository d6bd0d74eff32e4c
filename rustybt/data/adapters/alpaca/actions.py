"""Alpaca's corporate actions as events; https://docs.alpaca.markets/reference/corporateactions-1."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from rustybt.errors import BadResponseError, RequestError
from rustybt.market.corporate_actions import CorporateAction

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

#: What is asked for; mergers, redemptions and changes of name end or rename a listing and are no events of its prices.
TYPES = ("forward_split", "reverse_split", "stock_dividend", "cash_dividend", "spin_off")


def read_actions(answer: Mapping[str, Any], first: date, last: date) -> dict[str, list[CorporateAction]]:
    """Return the events of one page with an ex-date from `first` to `last`, by Alpaca's symbol.

    Raises
    ------
    BadResponseError
        The page has another shape, or an event that cannot be.
    """
    groups = answer.get("corporate_actions")
    if groups is None:
        groups = {}
    if not isinstance(groups, dict):
        raise BadResponseError("alpaca: the corporate actions are no object")
    found: dict[str, list[CorporateAction]] = defaultdict(list)
    for group, events in groups.items():
        if group.removesuffix("s") not in TYPES:
            continue
        if not isinstance(events, list | None):
            raise BadResponseError(f"alpaca: the {group} are no list")
        for event in events or ():
            action = _read_one(group, event)
            if action is not None and first <= action.ex_date <= last and action not in found[action.symbol]:
                found[action.symbol].append(action)
    return found


def _read_one(group: str, event: Any) -> CorporateAction | None:
    """Return the event, or None for a dividend of nothing."""
    try:
        symbol = event["source_symbol" if group == "spin_offs" else "symbol"]
        if not isinstance(symbol, str):
            raise TypeError
        more = {
            "record_date": event.get("record_date") or None,
            "pay_date": event.get("payable_date") or None,
            "source": "alpaca",
        }
        ex_date = event["ex_date"]
        match group:
            case "forward_splits" | "reverse_splits":
                return CorporateAction.split(symbol, ex_date, event["new_rate"], event["old_rate"], **more)
            case "stock_dividends":
                # The rate is new shares for each share held.
                return _shares(symbol, "stock_dividend", ex_date, event["rate"], "1", more)
            case "spin_offs":
                return _shares(symbol, "spin_off", ex_date, event["new_rate"], event["source_rate"], more)
        if Decimal(event["rate"]) == 0:
            return None
        return CorporateAction.cash_dividend(symbol, ex_date, event["rate"], "USD", **more)
    except (KeyError, TypeError, AttributeError, InvalidOperation, RequestError) as error:
        raise BadResponseError(f"alpaca: one of the {group} is malformed: {str(event)[:200]}") from error


def _shares(symbol: str, kind: str, ex_date: Any, new: str, old: str, more: dict[str, Any]) -> CorporateAction:
    return CorporateAction(symbol, kind, ex_date, ratio_new=Decimal(new), ratio_old=Decimal(old), **more)
