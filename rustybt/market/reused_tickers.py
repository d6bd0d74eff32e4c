"""Symbols of assets that had the same ticker one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date


@dataclass(frozen=True, slots=True)
class TickerOwner:
    """An asset that ended with a ticker; `listed` is its first day, None where nobody knows."""

    sid: int
    listed: date | None


def told_apart(
    ticker: str, owners: Sequence[TickerOwner], taken: Collection[str]
) -> tuple[dict[int, str], tuple[str, ...]]:
    """Return the symbol of each owner of a ticker by sid, and a note on each that has another one than the ticker.

    The last owner keeps it. The earlier ones get the year in which they were listed, ``ABC.1998``, the day where another has
    that, or their sid.

    Parameters
    ----------
    owners
        In the order in which they had the ticker; at least one.
    taken
        Symbols that others have.
    """
    *earlier, last = owners
    names, notes = {last.sid: ticker}, []
    for owner in earlier:
        day = owner.listed
        choices = [] if day is None else [f"{ticker}.{day.year}", f"{ticker}.{day}"]
        used = {*taken, *names.values()}
        own = next((choice for choice in choices if choice not in used), f"{ticker}.sid-{owner.sid}")
        names[owner.sid] = own
        notes.append(
            f"{ticker} was the ticker of several assets: {own} is the one that had the sid {owner.sid} there, {ticker} the one "
            f"with {last.sid}"
        )
    return names, tuple(notes)
