"""Answers of one call that wait to be stored together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustybt.data.sources.caching.filling import Answer
from rustybt.data.sources.delivery import Delivery, split_by_symbol

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

    def take(self, delivery: Delivery) -> dict[str, SourceError]:
        """Take what a delivery says, and return the symbols that failed."""
        failures = {s: e for s, e in delivery.failures.items() if s in self._unanswered}
        self._unanswered -= failures.keys()
        for symbol, part in split_by_symbol(delivery):
            if symbol in self._unanswered:
                self._unanswered.discard(symbol)
                self._add(symbol, part)
        return failures

    def finish(self) -> None:
        """Take the end of a well-formed answer for the emptiness of every symbol that it had been asked for."""
        for symbol in self.give_up():
            self._add(symbol, Delivery())

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
