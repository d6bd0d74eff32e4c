"""`BundleMetadata`: the catalog under the names of the original design, a thin face over the home's database."""

from __future__ import annotations

import difflib
import json
import os
import threading
import time
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rustybt.config import load_settings
from rustybt.data.bundles.cache_store.space import remove_file
from rustybt.data.bundles.counters import CacheCounters
from rustybt.data.bundles.metadata_store import catalog, migrated, versions
from rustybt.data.bundles.metadata_store.database import Database
from rustybt.data.bundles.names import check_bundle_name
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import BundleNameError, BundleNotFoundError, RequestError
from rustybt.market.frequency import DAILY
from rustybt.market.request import check_symbol, parse_range

if TYPE_CHECKING:
    from collections.abc import Iterable


class BundleMetadata:
    """Provenance, quality, symbols and cache entries of every bundle of a home.

    All methods are class methods on one injected store: by default the configured home's. Times are Unix seconds (UTC).
    Bundles themselves are written by `BundleStore.commit`, which keeps this catalog up to date.
    """

    _database: ClassVar[Database | None] = None
    _counters: ClassVar[CacheCounters | None] = None
    _injected: ClassVar[bool] = False
    _mutex: ClassVar[threading.RLock] = threading.RLock()

    @classmethod
    def use(cls, store: BundleStore | str | os.PathLike[str] | None) -> None:
        """Work on another store or home from now on; None returns to the configured home."""
        with cls._mutex:
            cls.flush()
            cls._injected = store is not None
            database = store.database if isinstance(store, BundleStore) else Database(Path(store)) if store else None
            cls._set(database)

    @classmethod
    def _set(cls, database: Database | None) -> None:
        cls._database = database
        cls._counters = CacheCounters.of(database) if database else None

    @classmethod
    def _db(cls) -> Database:
        if cls._injected and cls._database is not None:
            return cls._database
        settings = load_settings()
        with cls._mutex:
            if cls._database is None or cls._database.home != settings.home:
                cls._set(Database(settings.home, settings.bundle_lock_timeout_seconds))
        return cls._database  # type: ignore[return-value]

    # -- bundles -----------------------------------------------------------------------------------------------------

    @classmethod
    def update(cls, bundle_name: str, **columns: Any) -> None:
        """Insert or change a bundle's row; columns that are not named keep their values.

        Raises
        ------
        RequestError
            There is no such column; the hint lists near ones.
        """
        name = check_bundle_name(bundle_name)
        for column in columns:
            if column not in catalog.EDITABLE:
                near = difflib.get_close_matches(column, sorted(catalog.EDITABLE), n=3)
                raise RequestError(
                    f"bundle metadata has no column {column!r}",
                    hint=f"did you mean {', '.join(near)}?"
                    if near
                    else f"columns: {', '.join(sorted(catalog.EDITABLE))}",
                )
        values = {column: _plain(value) for column, value in columns.items()}
        with cls._db().write() as connection:
            head = versions.load_head(connection, name)
            if head is not None and head[0] != name:
                raise BundleNameError(
                    f"bundle {name!r} differs from {head[0]!r} only in upper and lower case", hint=f"use {head[0]}"
                )
            versions.save_bundle(connection, name, int(time.time()), values)

    @classmethod
    def update_quality(
        cls,
        bundle_name: str,
        *,
        row_count: int | None = None,
        missing_days_count: int = 0,
        missing_days_list: Iterable[Any] | str = (),
        outlier_count: int = 0,
        ohlcv_violations: int = 0,
        validation_passed: bool = True,
        validation_timestamp: int | None = None,
    ) -> None:
        """Store the quality metrics of a bundle; `missing_days_list` holds ISO dates, or is their JSON text."""
        days = missing_days_list if isinstance(missing_days_list, str) else json.dumps([*map(str, missing_days_list)])
        counted = {} if row_count is None else {"row_count": row_count}
        cls.update(
            bundle_name,
            missing_days_count=missing_days_count,
            missing_days_list=days,
            outlier_count=outlier_count,
            ohlcv_violations=ohlcv_violations,
            validation_passed=validation_passed,
            validation_timestamp=int(time.time()) if validation_timestamp is None else validation_timestamp,
            **counted,
        )

    @classmethod
    def get(cls, bundle_name: str) -> dict[str, Any] | None:
        """Return a bundle's row by column name, None when there is no such bundle.

        A bundle that came over from an old program under another name is found by its old one too.
        """
        database = cls._db()
        if not database.exists():
            return None
        with database.read() as connection:
            found = catalog.get_bundle(connection, bundle_name)
            if found is None:
                renamed = migrated.name_of_old(connection, bundle_name)
                found = None if renamed is None else catalog.get_bundle(connection, renamed)
            return found

    @classmethod
    def list_bundles(
        cls, source_type: str | None = None, start_date: Any = None, end_date: Any = None
    ) -> list[dict[str, Any]]:
        """Return the rows of bundles by name: those of a source, with bars inside [start_date, end_date], both included."""
        first, last = parse_range(start_date, end_date, DAILY)
        database = cls._db()
        if not database.exists():
            return []
        with database.read() as connection:
            return catalog.list_rows(
                connection,
                source_type,
                None if first is None else first // 10**6,
                None if last is None else last // 10**6,
            )

    # -- symbols -----------------------------------------------------------------------------------------------------

    @classmethod
    def add_symbol(
        cls, bundle_name: str, symbol: str, asset_type: str | None = None, exchange: str | None = None
    ) -> int:
        """Add a symbol to a bundle, or update its type and exchange; return its id.

        Raises
        ------
        BundleNotFoundError
            The bundle is not in the catalog.
        """
        check_symbol(symbol)
        with cls._db().write() as connection:
            if catalog.get_bundle(connection, bundle_name) is None:
                raise _unknown(bundle_name)
            return catalog.add_symbol(connection, bundle_name, symbol, asset_type, exchange)

    @classmethod
    def get_symbols(cls, bundle_name: str) -> list[dict[str, Any]]:
        """Return the symbols of a bundle: symbol, asset_type, exchange."""
        database = cls._db()
        if not database.exists():
            return []
        with database.read() as connection:
            return catalog.symbols_of(connection, bundle_name)

    # -- cache -------------------------------------------------------------------------------------------------------

    @classmethod
    def add_cache_entry(
        cls,
        cache_key: str,
        bundle_name: str,
        parquet_path: str | os.PathLike[str],
        size_bytes: int,
        *,
        created_at: int | None = None,
        last_accessed: int | None = None,
        access_count: int = 1,
    ) -> None:
        """Add or replace a cache entry.

        Raises
        ------
        BundleNotFoundError
            The bundle is not in the catalog.
        """
        now = int(time.time())
        with cls._db().write() as connection:
            if catalog.get_bundle(connection, bundle_name) is None:
                raise _unknown(bundle_name)
            catalog.save_cache_entry(
                connection,
                {
                    "cache_key": cache_key,
                    "bundle_name": bundle_name,
                    "parquet_path": os.fspath(parquet_path),
                    "created_at": now if created_at is None else created_at,
                    "last_accessed": now if last_accessed is None else last_accessed,
                    "access_count": access_count,
                    "size_bytes": size_bytes,
                },
            )

    @classmethod
    def find_cached(cls, cache_key: str) -> str | None:
        """Return the name of the bundle that holds `cache_key`, None when nothing does."""
        database = cls._db()
        if not database.exists():
            return None
        with database.read() as connection:
            found = catalog.find_cached(connection, cache_key)
        if found is not None and cls._counters is not None:
            cls._counters.accessed(cache_key)
        return found

    @classmethod
    def increment_hit_count(cls, count: int = 1) -> None:
        """Count cache hits; written in batches, see `flush`."""
        cls._db()
        if cls._counters is not None:
            cls._counters.hit(count)

    @classmethod
    def increment_miss_count(cls, count: int = 1) -> None:
        """Count cache misses; written in batches, see `flush`."""
        cls._db()
        if cls._counters is not None:
            cls._counters.miss(count)

    @classmethod
    def flush(cls) -> None:
        """Write the counters now."""
        if cls._counters is not None:
            cls._counters.flush()

    @classmethod
    def get_cache_statistics(cls) -> list[dict[str, Any]]:
        """Return hits and misses by day (`stat_date`: Unix seconds of UTC midnight), oldest first, counted ones included."""
        cls.flush()
        database = cls._db()
        if not database.exists():
            return []
        with database.read() as connection:
            return catalog.statistics(connection)

    @classmethod
    def get_cache_size(cls) -> int:
        """Return the bytes of all cache entries."""
        database = cls._db()
        if not database.exists():
            return 0
        with database.read() as connection:
            return catalog.cache_size(connection)

    @classmethod
    def get_lru_cache_entries(cls) -> list[dict[str, Any]]:
        """Return all cache entries, the least recently used first."""
        cls.flush()
        database = cls._db()
        if not database.exists():
            return []
        with database.read() as connection:
            return catalog.least_recent_entries(connection)

    @classmethod
    def delete_cache_entry(cls, cache_key: str) -> bool:
        """Delete a cache entry's row; return whether it was there.

        A file that the cache itself keeps goes with its row, and its bars are fetched again; any other belongs to garbage
        collection.
        """
        database = cls._db()
        if remove_file(database, cache_key, time.time()):
            return True
        with database.write() as connection:
            return catalog.delete_cache_entry(connection, cache_key)


def _plain(value: Any) -> Any:
    """Return a column value: dates and times become Unix seconds (naive is UTC), lists JSON."""
    if isinstance(value, (date, datetime)):
        first, _ = parse_range(value, None, DAILY)
        return None if first is None else first // 10**6
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value)
    return value


def _unknown(name: str) -> BundleNotFoundError:
    return BundleNotFoundError(
        f"there is no bundle {name!r} in the catalog",
        hint="BundleMetadata.update(bundle_name=...) adds it",
        bundle=name,
    )
