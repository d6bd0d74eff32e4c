"""SQL of the cache: datasets, the coverage of their series, their files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, bindparam, case, delete, exists, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from rustybt.data.bundles.metadata_schema import (
    bundle_cache,
    bundle_files,
    bundle_metadata,
    cache_datasets,
    cache_files,
    cache_requests,
    cache_revisions,
    cache_series,
)
from rustybt.data.bundles.records import FileRecord
from rustybt.data.cache.eviction import CachedFile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

KIND = "cache"
_PARAMETERS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One dataset; `identity` is JSON text, `cache_dir` empty for the cache inside the home."""

    name: str
    cache_dir: str
    source: str
    frequency: str
    identity: str
    generation: int


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One stored series, still as text."""

    symbol: str
    facts: str
    segments: str
    seal: str


_DATASET = select(*(cache_datasets.c[name] for name in DatasetRow.__slots__))
_GENERATION = select(cache_datasets.c.generation).where(cache_datasets.c.name == bindparam("name"))
_STATE = select(cache_datasets.c.created_at, cache_datasets.c.generation).where(
    cache_datasets.c.name == bindparam("name")
)
_SERIES = select(*(cache_series.c[name] for name in SeriesRow.__slots__))
_CHANGED = _SERIES.where(
    cache_series.c.dataset == bindparam("name"), cache_series.c.generation > bindparam("generation")
)
_IS_SHARED = and_(
    cache_files.c.shared_key.is_not(None), exists().where(bundle_files.c.file_key == cache_files.c.shared_key)
)
#: Bytes that count against the limit: a bundle may have let go of the bytes that it shared since the row was written.
_COUNTED = case((_IS_SHARED, 0), else_=cache_files.c.size_bytes)


# -- datasets --------------------------------------------------------------------------------------------------------


def ensure_dataset(connection: Connection, row: DatasetRow, now: int) -> None:
    """Insert a dataset, with its hidden row in the catalog, if it is not there."""
    connection.execute(
        upsert(bundle_metadata)
        .values(
            bundle_name=row.name,
            folded_name=row.name.casefold(),
            kind=KIND,
            calendar_name="",
            start_session=0,
            end_session=0,
            source_type=row.source,
            created_at=now,
            updated_at=now,
        )
        .on_conflict_do_nothing()
    )
    values = {name: getattr(row, name) for name in DatasetRow.__slots__}
    connection.execute(upsert(cache_datasets).values(**values, created_at=now).on_conflict_do_nothing())


def list_datasets(connection: Connection, cache_dir: str | None = None) -> list[DatasetRow]:
    """Return the datasets of a cache directory, or all, by name."""
    query = _DATASET.order_by(cache_datasets.c.name)
    if cache_dir is not None:
        query = query.where(cache_datasets.c.cache_dir == cache_dir)
    return [DatasetRow(*row) for row in connection.execute(query)]


def state_of(connection: Connection, name: str) -> tuple[int, int] | None:
    """Return when a dataset was made (Unix seconds) and its generation, None if there is no such dataset."""
    row = connection.execute(_STATE, {"name": name}).one_or_none()
    return None if row is None else (row[0], row[1])


def next_generation(connection: Connection, name: str, now: int) -> int:
    """Raise the generation of a dataset and return it."""
    connection.execute(
        update(cache_datasets).where(cache_datasets.c.name == name).values(generation=cache_datasets.c.generation + 1)
    )
    connection.execute(
        update(bundle_metadata)
        .where(bundle_metadata.c.bundle_name == name)
        .values(updated_at=now, fetch_timestamp=now, row_count=_rows_of(name))
    )
    return int(connection.execute(_GENERATION, {"name": name}).scalar_one())


def _rows_of(name: str) -> Any:
    return (
        select(func.coalesce(func.sum(cache_files.c.row_count), 0))
        .where(cache_files.c.dataset == name)
        .scalar_subquery()
    )


# -- series ----------------------------------------------------------------------------------------------------------


def changed_series(connection: Connection, name: str, generation: int) -> list[SeriesRow]:
    """Return the series that changed after a generation."""
    return [SeriesRow(*row) for row in connection.execute(_CHANGED, {"name": name, "generation": generation})]


def load_series(connection: Connection, name: str, symbols: Sequence[str] | None = None) -> list[SeriesRow]:
    """Return series of a dataset, by symbol."""
    query = _SERIES.where(cache_series.c.dataset == name).order_by(cache_series.c.symbol)
    if symbols is None:
        return [SeriesRow(*row) for row in connection.execute(query)]
    found: list[SeriesRow] = []
    for at in range(0, len(symbols), _PARAMETERS_AT_ONCE):
        part = cache_series.c.symbol.in_(symbols[at : at + _PARAMETERS_AT_ONCE])
        found += (SeriesRow(*row) for row in connection.execute(query.where(part)))
    return found


def save_series(connection: Connection, name: str, generation: int, rows: Iterable[SeriesRow]) -> None:
    """Insert or replace series."""
    values = [
        {
            "dataset": name,
            "symbol": row.symbol,
            "generation": generation,
            "facts": row.facts,
            "segments": row.segments,
            "seal": row.seal,
        }
        for row in rows
    ]
    if not values:
        return
    statement = upsert(cache_series)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["dataset", "symbol"],
            set_={key: statement.excluded[key] for key in ("generation", "facts", "segments", "seal")},
        ),
        values,
    )


# -- files -----------------------------------------------------------------------------------------------------------


def load_files(connection: Connection, name: str) -> list[FileRecord]:
    """Return the files of a dataset."""
    columns = ("file_key", "sha256", "size_bytes", "row_count", "first_symbol", "last_symbol", "first_bar", "last_bar")
    query = select(*(cache_files.c[column] for column in columns)).where(cache_files.c.dataset == name)
    return [
        FileRecord(key, "bars", "", "", sha256, size, rows, first_symbol, last_symbol, first_bar, last_bar)
        for key, sha256, size, rows, first_symbol, last_symbol, first_bar, last_bar in connection.execute(query)
    ]


def add_files(
    connection: Connection,
    name: str,
    files: Iterable[FileRecord],
    paths: Mapping[str, str],
    now: int,
    shared: Mapping[str, str] | None = None,
    accessed: int | None = None,
) -> None:
    """Insert files of a dataset.

    Parameters
    ----------
    accessed
        Unix seconds of the last use of the bars; None is now.
    paths
        File key -> what the catalog shows as its path.
    shared
        File key -> key of the bundle's file with which it shares its bytes.
    """
    links = shared or {}
    for record in files:
        connection.execute(
            insert(bundle_cache).values(
                cache_key=record.file_key,
                bundle_name=name,
                parquet_path=paths[record.file_key],
                created_at=now,
                last_accessed=now if accessed is None else accessed,
                size_bytes=0 if record.file_key in links else record.size_bytes,
            )
        )
        connection.execute(
            insert(cache_files).values(
                file_key=record.file_key,
                dataset=name,
                sha256=record.sha256,
                size_bytes=record.size_bytes,
                row_count=record.row_count,
                first_symbol=record.first_symbol,
                last_symbol=record.last_symbol,
                first_bar=record.first_bar,
                last_bar=record.last_bar,
                shared_key=links.get(record.file_key),
            )
        )


def delete_files(connection: Connection, keys: Collection[str]) -> None:
    """Delete the rows of files; what their series say must be changed in the same transaction."""
    held = list(keys)
    for at in range(0, len(held), _PARAMETERS_AT_ONCE):
        part = held[at : at + _PARAMETERS_AT_ONCE]
        connection.execute(delete(cache_files).where(cache_files.c.file_key.in_(part)))
        connection.execute(delete(bundle_cache).where(bundle_cache.c.cache_key.in_(part)))


def files_in(connection: Connection, cache_dir: str) -> list[CachedFile]:
    """Return the files of all datasets of a cache directory, each with the bytes that count."""
    query = (
        select(cache_files.c.file_key, cache_files.c.dataset, _COUNTED, bundle_cache.c.last_accessed)
        .join(bundle_cache, bundle_cache.c.cache_key == cache_files.c.file_key)
        .join(cache_datasets, cache_datasets.c.name == cache_files.c.dataset)
        .where(cache_datasets.c.cache_dir == cache_dir)
    )
    return [CachedFile(key, dataset, size, at) for key, dataset, size, at in connection.execute(query)]


def file_in(connection: Connection, file_key: str) -> CachedFile | None:
    """Return one cached file with the bytes that count, None if there is no such file."""
    query = (
        select(cache_files.c.file_key, cache_files.c.dataset, _COUNTED, bundle_cache.c.last_accessed)
        .join(bundle_cache, bundle_cache.c.cache_key == cache_files.c.file_key)
        .where(cache_files.c.file_key == file_key)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else CachedFile(*row)


def directory_of(connection: Connection, name: str) -> str | None:
    """Return the cache directory of a dataset, empty for the one inside the home; None if there is no such dataset."""
    query = select(cache_datasets.c.cache_dir).where(cache_datasets.c.name == name)
    return connection.execute(query).scalar_one_or_none()


def counted_bytes(connection: Connection, cache_dir: str) -> int:
    """Return the bytes of a cache directory that count against its limit."""
    query = (
        select(func.coalesce(func.sum(_COUNTED), 0))
        .select_from(cache_files)
        .join(cache_datasets, cache_datasets.c.name == cache_files.c.dataset)
        .where(cache_datasets.c.cache_dir == cache_dir)
    )
    return int(connection.execute(query).scalar_one())


def shared_files(connection: Connection, name: str) -> dict[str, str]:
    """Return file key -> bundle's file key of the files of a dataset that share their bytes."""
    query = select(cache_files.c.file_key, cache_files.c.shared_key).where(cache_files.c.dataset == name, _IS_SHARED)
    return {str(key): str(shared) for key, shared in connection.execute(query)}


def count_abandoned(connection: Connection) -> None:
    """Count files again, in the catalog too, whose bundle has let go of the bytes that they shared."""
    gone = and_(cache_files.c.shared_key.is_not(None), ~_IS_SHARED)
    keys = [str(key) for (key,) in connection.execute(select(cache_files.c.file_key).where(gone))]
    for key in keys:
        size = select(cache_files.c.size_bytes).where(cache_files.c.file_key == key).scalar_subquery()
        connection.execute(update(bundle_cache).where(bundle_cache.c.cache_key == key).values(size_bytes=size))
        connection.execute(update(cache_files).where(cache_files.c.file_key == key).values(shared_key=None))


# -- beside ----------------------------------------------------------------------------------------------------------


def save_request(connection: Connection, key: str, name: str, now: int) -> None:
    """Note that a whole request was answered by a dataset."""
    statement = upsert(cache_requests).values(cache_key=key, dataset=name, requested_at=now)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["cache_key"], set_={"dataset": name, "requested_at": now})
    )


def delete_requests(connection: Connection, names: Iterable[str]) -> None:
    """Forget the requests that datasets answered: some of their bars are gone."""
    for name in names:
        connection.execute(delete(cache_requests).where(cache_requests.c.dataset == name))


def add_revisions(connection: Connection, name: str, revisions: Sequence[tuple[str, str, str]], now: int) -> None:
    """Append revisions: symbol, kind and JSON text of each."""
    if revisions:
        connection.execute(
            insert(cache_revisions),
            [
                {"dataset": name, "symbol": symbol, "kind": kind, "seen_at": now, "revision": text}
                for symbol, kind, text in revisions
            ],
        )


def load_revisions(connection: Connection, names: Sequence[str]) -> list[tuple[str, str, str, int, str]]:
    """Return dataset, symbol, kind, when it was seen (Unix seconds) and JSON text of each, oldest first."""
    columns = (cache_revisions.c[key] for key in ("dataset", "symbol", "kind", "seen_at", "revision"))
    query = select(*columns).where(cache_revisions.c.dataset.in_(names)).order_by(cache_revisions.c.id)
    return [(dataset, symbol, kind, at, text) for dataset, symbol, kind, at, text in connection.execute(query)]


def file_accesses(connection: Connection, cache_dir: str) -> dict[str, int]:
    """Return dataset -> Unix seconds of the last use of any of its files."""
    query = (
        select(bundle_cache.c.bundle_name, func.max(bundle_cache.c.last_accessed))
        .join(cache_datasets, cache_datasets.c.name == bundle_cache.c.bundle_name)
        .where(cache_datasets.c.cache_dir == cache_dir)
        .group_by(bundle_cache.c.bundle_name)
    )
    return {str(name): int(at) for name, at in connection.execute(query)}
