"""Answers of one call that wait to be stored together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rustybt.data.sources.caching.filling import Answer
from rustybt.data.sources.delivery import Delivery, split_by_symbol
from rustybt.errors import BadResponseError

if TYPE_CHECKING:
    from rustybt.data.cache.plan import Call
    from rustybt.errors import SourceError

#: A group is stored when it holds so many bars.
MOST_ROWS = 1_000_000


class AnswerGroup:
    """Takes the deliveries of one call apart and gives out what is to be stored.

    Parameters
    ----------
    fetched_at
        Unix seconds at which the call was made.
    is_whole
        It asks for whole series, because they moved.
    """

    def __init__(self, call: Call, fetched_at: float, *, is_whole: bool) -> None:
        self._call = call
        self._fetched_at = fetched_at
        self._is_whole = is_whole
        self._answers: list[Answer] = []
        self._rows = 0
        self._unanswered = set(call.starts)
        #: Letters and digits of a symbol that nobody asked for -> the symbol.
        self._strangers: dict[str, str] = {}

    def take(self, delivery: Delivery) -> dict[str, SourceError]:
        """Take what a delivery says, and return the symbols that failed."""
        failures = {s: e for s, e in delivery.failures.items() if s in self._unanswered}
        self._unanswered -= failures.keys()
        for symbol, part in split_by_symbol(delivery):
            if symbol in self._unanswered:
                self._unanswered.discard(symbol)
                self._add(symbol, _in_order(symbol, part))
            elif symbol not in self._call.starts and part.bars.height:
                self._strangers[_spelled(symbol)] = symbol
        return failures

    def finish(self) -> dict[str, SourceError]:
        """Take the end of a well-formed answer for the emptiness of every symbol that it had been asked for.

        Returns
        -------
        dict
            Symbols that are not empty: their bars came under another spelling.
        """
        failures: dict[str, SourceError] = {}
        for symbol in self.give_up():
            other = self._strangers.get(_spelled(symbol))
            if other is None:
                self._add(symbol, Delivery())
                continue
            failures[symbol] = BadResponseError(
                f"asked for {symbol}, the source answered with bars of {other}", hint=f"ask for {other}", symbol=symbol
            )
        return failures

    def give_up(self) -> list[str]:
        """Return the symbols of which nothing was said, and expect no more."""
        left, self._unanswered = sorted(self._unanswered), set()
        return left

    @property
    def is_full(self) -> bool:
        """Whether it is time to store."""
        return self._rows > MOST_ROWS

    def give(self) -> list[Answer]:
        """Return what came since the last time."""
        found, self._answers, self._rows = self._answers, [], 0
        return found

    def _add(self, symbol: str, part: Delivery) -> None:
        start, end = self._call.starts[symbol], self._call.end
        self._answers.append(Answer(symbol, part, start, end, self._fetched_at, self._is_whole))
        self._rows += part.bars.height


def _spelled(symbol: str) -> str:
    return "".join(filter(str.isalnum, symbol.casefold())) or symbol


def _in_order(symbol: str, part: Delivery) -> Delivery:
    """Return what was said of one symbol with rising bars; of bars with one timestamp the last counts, as in an ingest."""
    if bool((np.diff(part.bars["timestamp"].to_physical().to_numpy()) > 0).all()):
        return part
    flags = part.missing_volume
    rows = part.bars if flags is None else part.bars.with_columns(flags.alias("missing"))
    rows = rows.sort("timestamp", maintain_order=True)
    kept = rows.unique("timestamp", keep="last", maintain_order=True)
    others = rows.n_unique() - kept.height
    notes = (f"{symbol}: {others} bars came again with other values, and the last one counts",) if others else ()
    return replace(
        part,
        bars=kept.select(part.bars.columns),
        missing_volume=None if flags is None else kept["missing"],
        notes=(*part.notes, *notes),
    )
