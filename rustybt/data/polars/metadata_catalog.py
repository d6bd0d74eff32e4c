"""`ParquetMetadataCatalog`: the first design's catalog of one bundle, deprecated; `BundleMetadata` took its place."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.names import check_bundle_name
from rustybt.data.bundles.old_catalog_file import home_of, metadata_of, old_catalog_at
from rustybt.data.bundles.store import BundleStore
from rustybt.deprecations import warn_deprecated
from rustybt.errors import BundleNotFoundError, RequestError, VersionNotFoundError
from rustybt.market.frequency import DAILY, FREQUENCIES, Frequency
from rustybt.market.request import parse_range

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rustybt.data.bundles.bundle import Bundle

_NAME = "rustybt.data.polars.metadata_catalog.ParquetMetadataCatalog"
_SCHEMA_VERSION = 1
_DAY_SECONDS = 86_400


class ParquetMetadataCatalog:
    """Datasets, symbols and cache entries of one bundle, as dicts of the old tables' columns; times are Unix seconds (UTC).

    Deprecated: every call warns and names its successor. A bundle has one dataset for each frequency; its `dataset_id` is the
    frequency in seconds. What old datasets were told (range, checksums of files), a bundle knows of its own bars and files: such
    calls are accepted where they say the same, and refused where they do not.

    Parameters
    ----------
    db_path
        ``<home>/<bundle>/metadata.db``; the folder names the bundle. An old catalog that lies there is read and never written;
        otherwise the home's database is used, and nothing is written at the path.

    Raises
    ------
    RequestError
        `db_path` names something that is no database.
    BundleNameError
        Its folder is no bundle name, and there is no old catalog.
    """

    def __init__(self, db_path: str | os.PathLike[str]) -> None:
        warn_deprecated(_NAME)
        path = Path(db_path).expanduser().absolute()
        self._folder = path.parent
        self._old = old_catalog_at(path, _root_of(self._folder))
        self._bundle = path.parent.name if self._old is not None else check_bundle_name(path.parent.name)
        self._metadata = metadata_of(path.parent.parent)

    # -- datasets ----------------------------------------------------------------------------------------------------

    def create_dataset(self, source: str, resolution: str, schema_version: int = _SCHEMA_VERSION) -> int:
        """Record where the bundle's bars come from; return the id of its dataset of bars of `resolution`.

        Raises
        ------
        RequestError
            Unknown resolution, another schema version than 1, or the catalog is an old file.
        """
        warn_deprecated(f"{_NAME}.create_dataset")
        self._require_writable("create a dataset")
        frequency = Frequency.parse(resolution)
        if schema_version != _SCHEMA_VERSION:
            raise RequestError(f"a bundle's schema is not chosen: {schema_version!r}", hint="leave schema_version out")
        self._metadata.update(self._bundle, source_type=source)
        return frequency.seconds

    def get_dataset_info(self, dataset_id: int) -> dict[str, Any] | None:
        """Return a dataset, None where the bundle has none of that id."""
        warn_deprecated(f"{_NAME}.get_dataset_info")
        return next((dataset for dataset in self._datasets() if dataset["dataset_id"] == dataset_id), None)

    def find_dataset(self, source: str, resolution: str) -> int | None:
        """Return the id of the dataset of a source and a resolution, None where there is none."""
        warn_deprecated(f"{_NAME}.find_dataset")
        wanted = resolution if self._old is not None else Frequency.parse(resolution).name
        for dataset in self._datasets():
            if (dataset["source"], dataset["resolution"]) == (source, wanted):
                return int(dataset["dataset_id"])
        return None

    # -- symbols -----------------------------------------------------------------------------------------------------

    def add_symbol(
        self, dataset_id: int, symbol: str, asset_type: str | None = None, exchange: str | None = None
    ) -> int:
        """Add a symbol, or update its type and exchange; return its id.

        Raises
        ------
        RequestError
            There is no such dataset, or the catalog is an old file.
        """
        warn_deprecated(f"{_NAME}.add_symbol")
        self._require_writable("add a symbol")
        self._require_dataset(dataset_id)
        return self._metadata.add_symbol(self._bundle, symbol, asset_type, exchange)

    def get_all_symbols(self) -> list[dict[str, Any]]:
        """Return the symbols of all datasets: symbol, asset_type, exchange, and in an old catalog their ids."""
        warn_deprecated(f"{_NAME}.get_all_symbols")
        return self._symbols()

    def count_symbols(self, dataset_id: int | None = None) -> int:
        """Return how many symbols a dataset has, by default how many different ones all have."""
        warn_deprecated(f"{_NAME}.count_symbols")
        if dataset_id is None:
            return len({row["symbol"] for row in self._symbols()})
        if self._old is not None:
            return sum(row["dataset_id"] == dataset_id for row in self._symbols())
        self._require_dataset(dataset_id)
        with self._opened() as bundle:
            frequency = _frequency_of(dataset_id)
            return len(self._symbols()) if bundle is None else bundle.series(frequency).height

    # -- dates -------------------------------------------------------------------------------------------------------

    def add_date_range(self, dataset_id: int, start: Any, end: Any) -> None:
        """Record the first and the last date of a bundle that has no bars yet; with bars, they must be those of the bars.

        Raises
        ------
        RequestError
            The bars say otherwise, there is no such dataset, or the catalog is an old file.
        """
        warn_deprecated(f"{_NAME}.add_date_range")
        self._record_range(dataset_id, start, end)

    def set_date_range(self, dataset_id: int, start: Any, end: Any) -> None:
        """Do what `add_date_range` does; a bundle has one range."""
        warn_deprecated(f"{_NAME}.set_date_range")
        self._record_range(dataset_id, start, end)

    def get_date_range(self, dataset_id: int) -> dict[str, int] | None:
        """Return `start_date` and `end_date`, None where they are not known; those of an old catalog are of local time."""
        warn_deprecated(f"{_NAME}.get_date_range")
        if self._old is not None:
            rows = [row for row in self._old.rows("date_ranges") if row["dataset_id"] == dataset_id]
            return {column: rows[-1][column] for column in ("start_date", "end_date")} if rows else None
        self._require_dataset(dataset_id)
        found = self._range(dataset_id)
        return None if found is None else {"start_date": found[0], "end_date": found[1]}

    # -- files -------------------------------------------------------------------------------------------------------

    def add_checksum(self, dataset_id: int, parquet_path: str | os.PathLike[str], checksum: str) -> None:
        """Compare the SHA-256 of a file of the bundle with the one that the bundle keeps.

        Raises
        ------
        RequestError
            They differ, the bundle has no such file, there is no such dataset, or the catalog is an old file.
        """
        warn_deprecated(f"{_NAME}.add_checksum")
        self._require_writable("add a checksum")
        self._require_dataset(dataset_id)
        kept = self._checksum(parquet_path)
        if kept is None:
            raise RequestError(
                f"{parquet_path} is no file of bundle {self._bundle!r}, so its checksum has no place",
                hint="the files of a bundle are written by BundleStore.commit, with their checksums",
                bundle=self._bundle,
            )
        if kept != checksum.lower():
            raise RequestError(
                f"{parquet_path} of bundle {self._bundle!r} was written with SHA-256 {kept}, not {checksum}",
                hint=f"rustybt bundle verify {self._bundle}",
                bundle=self._bundle,
            )

    def get_checksum(self, parquet_path: str | os.PathLike[str]) -> str | None:
        """Return the SHA-256 that is kept of a file, None of one that is not known."""
        warn_deprecated(f"{_NAME}.get_checksum")
        if self._old is not None:
            named = os.fspath(parquet_path)
            rows = [row for row in self._old.rows("checksums") if row["parquet_path"] == named]
            return str(rows[-1]["checksum"]) if rows else None
        return self._checksum(parquet_path)

    # -- cache -------------------------------------------------------------------------------------------------------

    def add_cache_entry(
        self,
        cache_key: str,
        dataset_id: int,
        parquet_path: str | os.PathLike[str],
        checksum: str | None = None,
        size_bytes: int | None = None,
    ) -> None:
        """Add or replace a cache entry.

        Parameters
        ----------
        checksum
            SHA-256 of the file; it is compared, not kept.
        size_bytes
            By default that of the file.

        Raises
        ------
        RequestError
            The file is not there although its checksum or size is needed, or its checksum is another one; there is no such
            dataset, or the catalog is an old file.
        """
        warn_deprecated(f"{_NAME}.add_cache_entry")
        self._require_writable("add a cache entry")
        self._require_dataset(dataset_id)
        path = Path(parquet_path)
        if (checksum is not None or size_bytes is None) and not path.is_file():
            raise RequestError(
                f"cache entry {cache_key!r}: there is no file {path}", hint="write it first, or give size_bytes alone"
            )
        if checksum is not None and _sha256(path) != checksum.lower():
            raise RequestError(f"cache entry {cache_key!r}: the SHA-256 of {path} is not {checksum}")
        size = path.stat().st_size if size_bytes is None else size_bytes
        self._metadata.add_cache_entry(cache_key, self._bundle, path, size)

    def get_cache_entries(self) -> list[dict[str, Any]]:
        """Return the cache entries, the least recently used first; `checksum` is None where the file is gone."""
        warn_deprecated(f"{_NAME}.get_cache_entries")
        if self._old is not None:
            return sorted(self._old.rows("cache_entries"), key=lambda row: row["last_accessed"] or 0)
        datasets = self._datasets()
        only = datasets[0]["dataset_id"] if len(datasets) == 1 else None
        return [
            {
                "cache_key": row["cache_key"],
                "dataset_id": only,
                "parquet_path": row["parquet_path"],
                "checksum": _sha256(Path(row["parquet_path"])),
                "created_at": row["created_at"],
                "last_accessed": row["last_accessed"],
                "access_count": row["access_count"],
                "size_bytes": row["size_bytes"],
            }
            for row in self._metadata.get_lru_cache_entries()
            if row["bundle_name"] == self._bundle
        ]

    def get_cache_statistics(self) -> list[dict[str, Any]]:
        """Return hits, misses and size by day, oldest first; without an old catalog, of the whole home."""
        warn_deprecated(f"{_NAME}.get_cache_statistics")
        if self._old is not None:
            return sorted(self._old.rows("cache_statistics"), key=lambda row: row["stat_date"] or 0)
        return self._metadata.get_cache_statistics()

    # -- what is there -----------------------------------------------------------------------------------------------

    def _datasets(self) -> list[dict[str, Any]]:
        if self._old is not None:
            return self._old.rows("datasets")
        row = self._metadata.get(self._bundle)
        if row is None:
            return []
        with self._opened() as bundle:
            # A bundle that was only named has bars of no resolution yet, so of any that it may be given.
            held = FREQUENCIES if bundle is None else bundle.frequencies
        return [
            {
                "dataset_id": Frequency.parse(name).seconds,
                "source": row["source_type"],
                "resolution": name,
                "schema_version": _SCHEMA_VERSION,
                "created_at": row["created_at"],
                "updated_at": row["updated_at"],
            }
            for name in held
        ]

    def _symbols(self) -> list[dict[str, Any]]:
        return self._metadata.get_symbols(self._bundle) if self._old is None else self._old.rows("symbols")

    def _range(self, dataset_id: int) -> tuple[int, int] | None:
        """Return the first and the last session, Unix seconds of their midnights (UTC)."""
        with self._opened() as bundle:
            if bundle is not None:
                series = bundle.series(_frequency_of(dataset_id))
                if series.is_empty():
                    return None
                stamps = min(series["first"].to_list()), max(series["last"].to_list())
                first, last = (at // 10**6 // _DAY_SECONDS * _DAY_SECONDS for at in stamps)
                return first, last
        row = self._metadata.get(self._bundle)
        if row is None or not (row["start_session"] or row["end_session"]):
            return None
        return row["start_session"], row["end_session"]

    def _record_range(self, dataset_id: int, start: Any, end: Any) -> None:
        self._require_writable("record a range of dates")
        self._require_dataset(dataset_id)
        low, high = (_midnight(start), _midnight(end))
        with self._opened() as bundle:
            has_bars = bundle is not None
        if not has_bars:
            self._metadata.update(self._bundle, start_session=low, end_session=high)
        elif (low, high) != self._range(dataset_id):
            raise RequestError(
                f"the bars of bundle {self._bundle!r} do not begin and end at {start} and {end}",
                hint="leave the call out: the range is that of the bars",
                bundle=self._bundle,
            )

    def _checksum(self, parquet_path: str | os.PathLike[str]) -> str | None:
        given = Path(parquet_path).expanduser()
        with self._opened() as bundle:
            if bundle is not None:
                for record in bundle.files:
                    if given in (Path(record.file_key), bundle.home / record.file_key):
                        return record.sha256
        return None

    @contextmanager
    def _opened(self) -> Iterator[Bundle | None]:
        """Yield the bundle, None where no bars were written yet."""
        with BundleStore(home_of(self._metadata)) as store:
            try:
                bundle = store.open(self._bundle)
            except (BundleNotFoundError, VersionNotFoundError):
                yield None
                return
            with bundle:
                yield bundle

    def _require_writable(self, what: str) -> None:
        if self._old is not None:
            raise self._old.refuse_write(what)

    def _require_dataset(self, dataset_id: int) -> None:
        datasets = self._datasets()
        if dataset_id not in [dataset["dataset_id"] for dataset in datasets]:
            raise RequestError(
                f"bundle {self._bundle!r} has no dataset {dataset_id!r}",
                hint="create_dataset(source, resolution) returns its id",
                bundle=self._bundle,
            )


def _frequency_of(dataset_id: int) -> Frequency:
    return next(frequency for frequency in FREQUENCIES.values() if frequency.seconds == dataset_id)


def _midnight(value: Any) -> int:
    """Return the midnight (UTC) of a date, a time or Unix seconds."""
    if isinstance(value, (int, float)):
        return int(value) // _DAY_SECONDS * _DAY_SECONDS
    first, _ = parse_range(value, None, DAILY)
    if first is None:
        raise RequestError("a range of dates needs both sides", hint="give start and end")
    return first // 10**6 // _DAY_SECONDS * _DAY_SECONDS


def _sha256(path: Path) -> str | None:
    with suppress(OSError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _root_of(folder: Path) -> Path:
    """Return the root of an old store, whose bundles lie in ``data`` or in ``data/bundles``."""
    parts = [folder.parent, *folder.parents[1:3]]
    return next((part.parent for part in parts if part.name == "data"), folder.parent)
