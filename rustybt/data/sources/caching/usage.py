"""What one answer took from the cache: for statistics and the log."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from rustybt.data.bundles.counted import CacheUse
from rustybt.logging import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustybt.data.sources.caching.access import CacheAccess
    from rustybt.data.sources.caching.serving import Serving

logger = get_logger(__name__)

#: A timestamp and five numbers, as the statistics count them.
BYTES_PER_BAR = 48


def use_of(access: CacheAccess, serving: Serving, symbols: Sequence[str]) -> CacheUse:
    """Return what an answer took: a hit needed no call and lacks nothing, a miss got nothing from the cache."""
    request = serving.request
    made = access.count_requests() if serving.fetches else 0
    whole = 0
    if symbols and request.start is not None and request.end is not None:
        whole = access.source.requests_for(len(symbols), request.start, request.end, request.frequency)
    is_hit = not serving.fetches and not serving.is_lacking
    is_miss = not is_hit and not serving.rows_cached
    return CacheUse(
        source=access.source.name or type(access.source).__name__,
        hits=int(is_hit),
        partial_hits=int(not is_hit and not is_miss),
        misses=int(is_miss),
        rows_cached=serving.rows_cached,
        rows_fetched=serving.rows_fetched,
        bytes_cached=serving.rows_cached * BYTES_PER_BAR,
        requests_made=made,
        requests_saved=0 if is_miss else max(0, whole - made),
        fetch_seconds=serving.fetch_seconds,
        fetches=serving.fetches,
        stale_served=int(serving.stale_symbols > 0),
        revisions=serving.revised_rows,
    )


def add_uses(uses: Sequence[CacheUse]) -> CacheUse | None:
    """Return the sum of what several answers took; None of none."""
    if not uses:
        return None
    names = [field.name for field in fields(CacheUse) if field.name != "source"]
    return replace(uses[0], **{name: sum(getattr(use, name) for use in uses) for name in names})


def log_use(use: CacheUse, serving: Serving, cache_key: str, symbols: int) -> None:
    """Log how a request was answered, with what took how long."""
    event = "cache_hit" if use.hits else "cache_miss" if use.misses else "cache_partial"
    logger.info(
        event,
        source=use.source,
        frequency=serving.request.frequency.name,
        symbols=symbols,
        cache_key=cache_key,
        rows_cached=use.rows_cached,
        rows_fetched=use.rows_fetched,
        requests=use.requests_made,
        lookup_ms=round(serving.look_seconds * 1_000, 3),
        read_ms=round(serving.read_seconds * 1_000, 3),
        fetch_ms=round(serving.fetch_seconds * 1_000, 3),
    )
