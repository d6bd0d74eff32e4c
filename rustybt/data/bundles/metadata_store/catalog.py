"""SQL of the catalog as the original design names it: bundles, their symbols, cache entries and statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from rustybt.data.bundles.metadata_schema import (
    bundle_cache,
    bundle_metadata,
    bundle_symbols,
    cache_requests,
    cache_statistics,
)
from rustybt.data.bundles.metadata_schema import (
    cache_usage as _usage,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Columns of the store's own; the catalog's face neither shows nor changes them.
_INTERNAL = {"kind", "folded_name", "head_version"}
_VISIBLE = [column for column in bundle_metadata.c if column.name not in _INTERNAL]
EDITABLE = frozenset(c.name for c in _VISIBLE) - {"bundle_name", "created_at", "updated_at"}

_GET = select(*_VISIBLE).where(bundle_metadata.c.bundle_name == bindparam("name"))
_CACHED = (
    select(bundle_cache.c.bundle_name)
    .where(bundle_cache.c.cache_key == bindparam("key"))
    .union(select(cache_requests.c.dataset).where(cache_requests.c.cache_key == bindparam("key")))
    .limit(1)
)


def get_bundle(connection: Connection, name: str) -> dict[str, Any] | None:
    """Return a bundle's row by column name, or None."""
    row = connection.execute(_GET, {"name": name}).one_or_none()
    return None if row is None else row._asdict()


def list_rows(
    connection: Connection, source_type: str | None, start: int | None, end: int | None
) -> list[dict[str, Any]]:
    """Return visible bundles by name, those with bars inside [start, end] (Unix seconds)."""
    query = select(*_VISIBLE).where(bundle_metadata.c.kind == "bundle").order_by(bundle_metadata.c.bundle_name)
    if source_type is not None:
        query = query.where(bundle_metadata.c.source_type == source_type)
    if start is not None:
        query = query.where(bundle_metadata.c.end_session >= start)
    if end is not None:
        query = query.where(bundle_metadata.c.start_session <= end)
    return [row._asdict() for row in connection.execute(query)]


def add_symbol(connection: Connection, name: str, symbol: str, asset_type: str | None, exchange: str | None) -> int:
    """Insert a symbol of a bundle, or update the one that is there; return its id."""
    where = (bundle_symbols.c.bundle_name == name) & (bundle_symbols.c.symbol == symbol)
    known = connection.execute(select(bundle_symbols.c.id).where(where)).scalar()
    values = {"asset_type": asset_type, "exchange": exchange}
    if known is not None:
        connection.execute(update(bundle_symbols).where(where).values(**values))
        return int(known)
    made = connection.execute(insert(bundle_symbols).values(bundle_name=name, symbol=symbol, **values))
    return int(made.inserted_primary_key[0])  # type: ignore[index]


def symbols_of(connection: Connection, name: str) -> list[dict[str, Any]]:
    """Return the symbols of a bundle by symbol: symbol, asset_type, exchange."""
    columns = (bundle_symbols.c.symbol, bundle_symbols.c.asset_type, bundle_symbols.c.exchange)
    rows = connection.execute(
        select(*columns).where(bundle_symbols.c.bundle_name == name).order_by(bundle_symbols.c.symbol)
    )
    return [row._asdict() for row in rows]


def save_cache_entry(connection: Connection, values: Mapping[str, Any]) -> None:
    """Insert or replace a cache entry."""
    statement = upsert(bundle_cache).values(**values)
    others = {name: statement.excluded[name] for name in values if name != "cache_key"}
    connection.execute(statement.on_conflict_do_update(index_elements=["cache_key"], set_=others))


def find_cached(connection: Connection, cache_key: str) -> str | None:
    """Return the bundle behind the key of a cached file or of a whole request, or None."""
    return connection.execute(_CACHED, {"key": cache_key}).scalar_one_or_none()


def cache_size(connection: Connection) -> int:
    """Return the bytes of all cache entries."""
    return int(connection.execute(select(func.coalesce(func.sum(bundle_cache.c.size_bytes), 0))).scalar_one())


def least_recent_entries(connection: Connection) -> list[dict[str, Any]]:
    """Return all cache entries, the least recently used first."""
    rows = connection.execute(select(bundle_cache).order_by(bundle_cache.c.last_accessed, bundle_cache.c.cache_key))
    return [row._asdict() for row in rows]


def delete_cache_entry(connection: Connection, cache_key: str) -> bool:
    """Delete a cache entry, or the note of a whole request; return whether it was there."""
    entries = connection.execute(delete(bundle_cache).where(bundle_cache.c.cache_key == cache_key)).rowcount
    requests = connection.execute(delete(cache_requests).where(cache_requests.c.cache_key == cache_key)).rowcount
    return entries + requests > 0


def add_counts(connection: Connection, day: int, hits: int, misses: int) -> None:
    """Add to the statistics of a day (Unix seconds of its UTC midnight)."""
    statement = upsert(cache_statistics).values(stat_date=day, hit_count=hits, miss_count=misses)
    table = cache_statistics.c
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["stat_date"],
            set_={"hit_count": table.hit_count + hits, "miss_count": table.miss_count + misses},
        )
    )


def add_usage(connection: Connection, day: int, source: str, counts: Mapping[str, float]) -> None:
    """Add `counts` by column to what `source` was used for on a day (Unix seconds of its UTC midnight)."""
    statement = upsert(_usage).values(stat_date=day, source=source, **counts)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["stat_date", "source"],
            set_={column: _usage.c[column] + count for column, count in counts.items()},
        )
    )


def note_size_and_latency(connection: Connection, day: int) -> None:
    """Set the cache's size now (MiB) and the day's mean time of a fetch, weighted by fetches, in the day's statistics."""
    fetched = select(func.sum(_usage.c.fetch_seconds), func.sum(_usage.c.fetches)).where(_usage.c.stat_date == day)
    seconds, fetches = connection.execute(fetched).one()
    values = {"total_size_mb": cache_size(connection) / 1024**2}
    if fetches:
        values["avg_fetch_latency_ms"] = seconds * 1_000 / fetches
    connection.execute(update(cache_statistics).where(cache_statistics.c.stat_date == day).values(**values))


def cache_usage(connection: Connection, since_day: int | None = None) -> list[dict[str, Any]]:
    """Return what the cache was used for by day and source, oldest first.

    Parameters
    ----------
    since_day
        Unix seconds of the first UTC midnight to return; None returns every day.
    """
    query = select(_usage).order_by(_usage.c.stat_date, _usage.c.source)
    if since_day is not None:
        query = query.where(_usage.c.stat_date >= since_day)
    return [row._asdict() for row in connection.execute(query)]


def touch_cache_entries(connection: Connection, touched: Sequence[Mapping[str, Any]]) -> None:
    """Add `count` accesses, the last at `at` (Unix seconds), to the cache entry `key` of each mapping."""
    if touched:
        connection.execute(
            update(bundle_cache)
            .where(bundle_cache.c.cache_key == bindparam("key"))
            .values(access_count=bundle_cache.c.access_count + bindparam("count"), last_accessed=bindparam("at")),
            [dict(entry) for entry in touched],
        )


def statistics(connection: Connection) -> list[dict[str, Any]]:
    """Return the daily statistics, oldest first."""
    rows = connection.execute(select(cache_statistics).order_by(cache_statistics.c.stat_date))
    return [row._asdict() for row in rows]
