"""The cache filled before somebody waits for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rustybt.data.cache.series import SeriesFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustybt.data.bundles.counted import CacheUse
    from rustybt.data.sources.caching.access import CacheAccess
    from rustybt.errors import SourceError
    from rustybt.market.request import BarRequest

_SOONEST_SECONDS, _LATEST_SECONDS = 1.0, 86_400.0


@dataclass(frozen=True, slots=True)
class WarmReport:
    """What warming did.

    Parameters
    ----------
    rows_fetched
        Bars that came.
    failures
        Symbols that failed, with the reason.
    use
        As the statistics count it.
    is_kept
        False where the cache could not be written: what came is gone again.
    """

    symbols: tuple[str, ...]
    rows_fetched: int
    failures: Mapping[str, SourceError]
    use: CacheUse
    is_kept: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "symbols": list(self.symbols),
            "rows_fetched": self.rows_fetched,
            "requests_made": self.use.requests_made,
            "is_kept": self.is_kept,
            "failures": {symbol: error.message for symbol, error in self.failures.items()},
        }


def next_warming(access: CacheAccess, request: BarRequest) -> float:
    """Return in how many seconds newer bars of any symbol are due, at most a day."""
    ledger = access.dataset(request.frequency).ledger
    ledger.refresh()
    now = access.clock()
    facts = [series.facts for series in ledger.series(request.symbols or ledger.symbols).values()]
    times = []
    for found in facts or [SeriesFacts()]:
        terms = access.terms(found, request.frequency, now)
        times.append(terms.policy.next_refresh_time(now, terms.schedule))
    wait = min(times) - now
    return min(max(wait, _SOONEST_SECONDS), _LATEST_SECONDS) if math.isfinite(wait) else _LATEST_SECONDS
