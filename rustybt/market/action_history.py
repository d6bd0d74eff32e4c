"""What newly delivered corporate actions add to those already known: events are appended, never overwritten."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from rustybt.market.corporate_actions import CorporateAction, in_force

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

_DATES = ("declared_date", "record_date", "pay_date")
#: Who gave events by hand: a vendor does not overrule them.
_BY_HAND = frozenset({"user"})


def reconcile(known: Sequence[CorporateAction], delivered: Iterable[CorporateAction]) -> list[CorporateAction]:
    """Return what to append to `known` so that the `delivered` events hold, each once.

    Events of one symbol, kind and ex-date tell of the same day, whoever tells it. What is delivered again unchanged, or with
    fewer details, adds nothing. What is delivered with another ratio or amount, or with dates that were not known, revises
    the event known before it (a split rebases the amounts of all earlier dividends of a vendor that adjusts them). A
    further event of that day that is not delivered any more is cancelled. An event that names what it revises does so. Days of which nothing is delivered are left
    alone, and events given by hand win over a vendor's.
    """
    held = _by_day(in_force(list(known)))
    ids = {event.event_id for event in known}
    told = list(delivered)
    # What names the event that it revises or ends is meant so.
    added = [event for event in dict.fromkeys(told) if event.supersedes and event.event_id not in ids]
    for day, events in _by_day(event for event in told if not event.supersedes).items():
        before = held.get(day, [])
        if any(event.source in _BY_HAND for event in before) and not all(e.source in _BY_HAND for e in events):
            continue
        left = list(before)
        new = []
        # The most detailed first: one with fewer details could be any of several.
        for event in _distinct(events):
            same = next((old for old in left if _says_no_more(event, old)), None)
            if same is None:
                new.append(event)
            else:
                left.remove(same)
        # Nearest first, so that a corrected amount revises its own event where a day has several.
        for event in new:
            nearest = min(left, key=lambda old, event=event: _distance(event, old), default=None)  # type: ignore[misc]
            if nearest is None:
                # One that was ended once holds again: told apart from its former life by what it follows.
                while event.event_id in ids:
                    event = replace(event, supersedes=event.event_id)  # noqa: PLW2901
                ids.add(event.event_id)
                added.append(event)
                continue
            left.remove(nearest)
            added.append(replace(event, supersedes=nearest.event_id))
        added += [_cancellation(old, events[0]) for old in left]
    return added


def no_longer_told(
    known: Iterable[CorporateAction],
    told: Iterable[CorporateAction],
    *,
    symbol: str,
    source: str,
    first: date,
    last: date,
    first_seen: int = 0,
) -> list[CorporateAction]:
    """Return what ends those events of `source` that an answer, which names every event of the range, does not name.

    An event that was moved to another day is told on that day and ended on its old one, so that it is never booked twice.
    What other vendors or the user said stays.

    Parameters
    ----------
    known
        Events in force.
    told
        All that `source` says of `symbol` now.
    first, last
        Ex-dates that the answer covers, both included.
    first_seen
        Unix seconds of the answer.
    """
    days = {(event.kind, event.ex_date) for event in told if event.symbol == symbol}
    return [
        CorporateAction(
            symbol, "cancellation", old.ex_date, source=source, first_seen=first_seen, supersedes=old.event_id
        )
        for old in known
        if old.symbol == symbol
        and old.source == source
        and first <= old.ex_date <= last
        and (old.kind, old.ex_date) not in days
    ]


def is_same_event(event: CorporateAction, other: CorporateAction) -> bool:
    """Return whether two events are of one symbol, kind and day, and of the same ratio and amount."""
    return (event.symbol, event.kind, event.ex_date) == (other.symbol, other.kind, other.ex_date) and _value(
        event
    ) == _value(other)


def _distinct(events: list[CorporateAction]) -> list[CorporateAction]:
    """Return events of one day, the most detailed first, without those that only repeat another with fewer details."""
    kept: list[CorporateAction] = []
    for event in sorted(dict.fromkeys(events), key=_details, reverse=True):
        if not any(_says_no_more(event, other) for other in kept):
            kept.append(event)
    return kept


def _by_day(events: Iterable[CorporateAction]) -> dict[tuple[str, str, object], list[CorporateAction]]:
    days: dict[tuple[str, str, object], list[CorporateAction]] = defaultdict(list)
    for event in events:
        days[event.symbol, event.kind, event.ex_date].append(event)
    return days


def _says_no_more(event: CorporateAction, old: CorporateAction) -> bool:
    """Return whether `event` is `old` again, perhaps with fewer details."""
    if _value(event) != _value(old):
        return False
    if event.currency is not None and event.currency != old.currency:
        return False
    return all(getattr(event, name) in (None, getattr(old, name)) for name in _DATES)


def _details(event: CorporateAction) -> int:
    return sum(getattr(event, name) is not None for name in _DATES)


def _value(event: CorporateAction) -> tuple[Fraction | None, Fraction | None]:
    ratio = None
    if event.ratio_new is not None and event.ratio_old:
        ratio = Fraction(event.ratio_new) / Fraction(event.ratio_old)
    return ratio, None if event.amount is None else Fraction(event.amount)


def _distance(event: CorporateAction, old: CorporateAction) -> Fraction:
    return sum(
        (abs((a or Fraction(0)) - (b or Fraction(0))) for a, b in zip(_value(event), _value(old), strict=True)),
        start=Fraction(0),
    )


def _cancellation(old: CorporateAction, told_by: CorporateAction) -> CorporateAction:
    return CorporateAction(
        old.symbol,
        "cancellation",
        old.ex_date,
        source=told_by.source,
        first_seen=told_by.first_seen,
        supersedes=old.event_id,
    )
