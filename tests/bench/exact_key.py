"""The design that a coverage ledger replaces: one entry per request, found by its exact key, stale as a whole.

What the seed's section 3 says is done as it says: the key is made of symbols, start, end and frequency; a daily entry is fresh if it
was fetched after the last close, an hourly one for 3,600 s, a minute one for 300 s, any other never; above the limit the least
recently used entries go until the rest is below it. Where it is silent, the kinder reading is taken:

* symbols are sorted and start and end are dates, so that another order or another way to write a date is the same key;
* the last close is that of the exchange's calendar, with holidays and half days, and not 16:00;
* a miss asks the vendor once (the seed's code fetches, and `ingest_to_bundle` fetches again);
* an entry counts 48 bytes a row and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tests.bench.cache_market import session_times

if TYPE_CHECKING:
    import polars as pl

    from tests.bench.cache_market import RestatingVendor
    from tests.bench.cache_trace import Request

Key: TypeAlias = "tuple[tuple[str, ...], str, str, str]"
BYTES_PER_ROW = 48
_FRESH_SECONDS = {"1h": 3_600.0, "1m": 300.0}


def last_market_close(now: float) -> float:
    """Return the latest close of the exchange that is not after `now`, Unix seconds."""
    closes = session_times()[1]
    return float(closes[np.searchsorted(closes, now, "right") - 1])


@dataclass
class Entry:
    bars: pl.DataFrame
    fetched_at: float
    used: int

    @property
    def size_bytes(self) -> int:
        return self.bars.height * BYTES_PER_ROW


class ExactKeyCache:
    """Answers from entries by exact key.

    Parameters
    ----------
    max_size_bytes
        None is no limit.
    """

    def __init__(self, vendor: RestatingVendor, max_size_bytes: int | None = None) -> None:
        self._vendor = vendor
        self._limit = max_size_bytes
        self._entries: dict[Key, Entry] = {}
        self._uses = 0
        self.hits = 0
        #: When, which and what left.
        self.evictions: list[tuple[float, tuple[Key, Entry]]] = []
        #: Of the latest answer: when the entry that was found stale had been fetched; None where there was none.
        self.stale_since: float | None = None

    @staticmethod
    def key(request: Request) -> Key:
        return (tuple(sorted(set(request.symbols))), request.start, request.end, request.frequency)

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self._entries.values())

    @staticmethod
    def is_fresh(fetched_at: float, now: float, frequency: str) -> bool:
        if frequency == "1d":
            return fetched_at > last_market_close(now)
        return now - fetched_at < _FRESH_SECONDS.get(frequency, 0.0)

    def fetch(self, request: Request) -> tuple[pl.DataFrame, bool]:
        """Return the bars and whether they came from the cache."""
        key, self._uses, self.stale_since = self.key(request), self._uses + 1, None
        entry = self._entries.get(key)
        if entry is not None and self.is_fresh(entry.fetched_at, request.now, request.frequency):
            entry.used = self._uses
            self.hits += 1
            return entry.bars, True
        self.stale_since = None if entry is None else entry.fetched_at
        bars = self._vendor.fetch_sync(list(request.symbols), request.start, request.end, request.frequency)
        self._entries[key] = Entry(bars, request.now, self._uses)
        self._enforce_limit(request.now)
        return bars, False

    def _enforce_limit(self, now: float) -> None:
        if self._limit is None or self.size_bytes < self._limit:
            return
        for key in sorted(self._entries, key=lambda key: self._entries[key].used):
            if self.size_bytes < self._limit:
                return
            self.evictions.append((now, (key, self._entries.pop(key))))
