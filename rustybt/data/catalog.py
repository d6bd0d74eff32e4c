"""`DataCatalog`: the first design's catalog of all bundles, deprecated; `BundleMetadata` took its place."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.metadata_store.database import Database
from rustybt.data.bundles.old_catalog_file import metadata_of, old_catalog_at
from rustybt.deprecations import warn_deprecated
from rustybt.errors import RequestError
from rustybt.market.frequency import DAILY
from rustybt.market.request import parse_range

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from rustybt.data.bundles.old_catalog_file import OldCatalogFile

_NAME = "rustybt.data.catalog.DataCatalog"
#: Columns of the old tables -> columns of `BundleMetadata`.
_PROVENANCE = {
    "source_type": "source_type",
    "source_url": "source_url",
    "api_version": "api_version",
    "fetch_timestamp": "fetch_timestamp",
    "data_version": "data_version",
    "checksum": "file_checksum",
    "timezone": "timezone",
}
_QUALITY = {
    "row_count": "row_count",
    "start_date": "start_session",
    "end_date": "end_session",
    "missing_days_count": "missing_days_count",
    "missing_days_list": "missing_days_list",
    "outlier_count": "outlier_count",
    "ohlcv_violations": "ohlcv_violations",
    "validation_timestamp": "validation_timestamp",
    "validation_passed": "validation_passed",
}
#: Columns that the database fills itself.
_KEPT = ("created_at", "updated_at")
_RANGE = ("row_count", "start_date", "end_date")


class DataCatalog:
    """Provenance and quality metrics of every bundle, as dicts of the old tables' columns; times are Unix seconds (UTC).

    Deprecated: every call warns and names its successor.

    Parameters
    ----------
    db_path
        Database of an old catalog: it is read where it lies and never written. None, or a file that is not there: the catalog
        of the configured home.

    Raises
    ------
    RequestError
        `db_path` names something that is no database.
    """

    def __init__(self, db_path: str | os.PathLike[str] | None = None) -> None:
        warn_deprecated(_NAME)
        path = None if db_path is None else Path(db_path).expanduser().absolute()
        self._old = None if path is None else old_catalog_at(path, _root_of(path))
        self._metadata = metadata_of(_home_of(path))

    def store_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Store where a bundle came from: `bundle_name`, and any of the old table's columns; others keep their values.

        The database counts and dates its rows itself: `id`, `created_at` and `updated_at` may be given and have no effect.

        Raises
        ------
        RequestError
            No bundle is named, there is no such column, or the catalog is an old file.
        """
        warn_deprecated(f"{_NAME}.store_metadata")
        if self._old is not None:
            raise self._old.refuse_write("store metadata")
        name, values = _taken(metadata, _PROVENANCE)
        self._metadata.update(name, **{_PROVENANCE[column]: value for column, value in values.items()})

    def get_bundle_metadata(self, bundle_name: str) -> dict[str, Any] | None:
        """Return where a bundle came from, None when the catalog does not have it."""
        warn_deprecated(f"{_NAME}.get_bundle_metadata")
        if self._old is not None:
            rows = [row for row in self._old.rows("bundle_metadata") if row.get("bundle_name") == bundle_name]
            return rows[-1] if rows else None
        row = self._metadata.get(bundle_name)
        return None if row is None else _provenance_of(row)

    def store_quality_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Store the quality metrics of a bundle: `bundle_name`, and any of the old table's columns.

        The newest validation is kept, as the one that was always answered; an older one has no effect.

        Raises
        ------
        RequestError
            No bundle is named, there is no such column, or the catalog is an old file.
        """
        warn_deprecated(f"{_NAME}.store_quality_metrics")
        if self._old is not None:
            raise self._old.refuse_write("store quality metrics")
        name, values = _taken(metrics, _QUALITY)
        at = _seconds(values.get("validation_timestamp"))
        values["validation_timestamp"] = int(time.time()) if at is None else at
        stored = self._metadata.get(name)
        newest = None if stored is None else stored["validation_timestamp"]
        if newest is not None and newest > values["validation_timestamp"]:
            return  # the old catalog kept it too, and never answered with it
        # An unknown date is no date; a bundle's own stays.
        self._metadata.update(
            name,
            **{
                _QUALITY[column]: value
                for column, value in values.items()
                if value is not None or column not in ("start_date", "end_date")
            },
        )

    def get_quality_metrics(self, bundle_name: str) -> dict[str, Any] | None:
        """Return the newest quality metrics of a bundle, None when it has none; `missing_days_list` is JSON text."""
        warn_deprecated(f"{_NAME}.get_quality_metrics")
        if self._old is not None:
            return _newest(self._old.rows("data_quality_metrics")).get(bundle_name)
        row = self._metadata.get(bundle_name)
        if row is None or row["validation_timestamp"] is None:
            return None
        return _quality_of(row)

    def list_bundles(
        self, source_type: str | None = None, start_date: Any = None, end_date: Any = None
    ) -> list[dict[str, Any]]:
        """Return the metadata of bundles by name, each with its `row_count`, `start_date` and `end_date`.

        Parameters
        ----------
        source_type
            Only bundles of this source.
        start_date, end_date
            Only bundles with bars between them, both included; a bundle of an old catalog without metrics has no dates and is
            left out.
        """
        warn_deprecated(f"{_NAME}.list_bundles")
        if self._old is not None:
            return _listed_of(self._old, source_type, start_date, end_date)
        rows = self._metadata.list_bundles(source_type, start_date, end_date)
        return [{**_provenance_of(row), **{column: _quality_of(row)[column] for column in _RANGE}} for row in rows]


def _listed_of(old: OldCatalogFile, source_type: str | None, start_date: Any, end_date: Any) -> list[dict[str, Any]]:
    low, high = parse_range(start_date, end_date, DAILY)
    metrics = _newest(old.rows("data_quality_metrics"))
    found = []
    for row in sorted(old.rows("bundle_metadata"), key=lambda row: str(row.get("bundle_name"))):
        known = metrics.get(str(row.get("bundle_name")), {})
        listed = {**row, **{column: known.get(column) for column in _RANGE}}
        first, last = listed["start_date"], listed["end_date"]
        if source_type is not None and row.get("source_type") != source_type:
            continue
        if low is not None and (last is None or last < low // 10**6):
            continue
        if high is not None and (first is None or first > high // 10**6):
            continue
        found.append(listed)
    return found


def _taken(given: Mapping[str, Any], columns: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the bundle's name and the other values."""
    values = dict(given)
    name = values.pop("bundle_name", None)
    if not isinstance(name, str) or not name:
        raise RequestError("these values name no bundle", hint="give bundle_name")
    for column in ("id", *_KEPT):
        values.pop(column, None)
    for column in values:
        if column not in columns:
            raise RequestError(
                f"the old catalog has no column {column!r} here", hint=f"its columns: bundle_name, {', '.join(columns)}"
            )
    return name, values


def _provenance_of(row: Mapping[str, Any]) -> dict[str, Any]:
    old = {column: row[now] for column, now in _PROVENANCE.items()}
    return {"bundle_name": row["bundle_name"], **old, **{column: row[column] for column in _KEPT}}


def _quality_of(row: Mapping[str, Any]) -> dict[str, Any]:
    found = {"bundle_name": row["bundle_name"], **{column: row[now] for column, now in _QUALITY.items()}}
    if not found["start_date"] and not found["end_date"]:
        # The database's word for a bundle whose dates nobody knows.
        found["start_date"] = found["end_date"] = None
    return found


def _newest(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the newest metrics of each bundle; of two of one second, the one written last."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = str(row.get("bundle_name"))
        known = found.get(name)
        if known is None or (row.get("validation_timestamp") or 0) >= (known.get("validation_timestamp") or 0):
            found[name] = row
    return found


def _seconds(value: Any) -> int | None:
    """Return Unix seconds as they are, and those of a date or time."""
    if value is None or isinstance(value, (int, float)):
        return None if value is None else int(value)
    first, _ = parse_range(value, None, DAILY)
    return None if first is None else first // 10**6


def _home_of(path: Path | None) -> Path | None:
    """Return the home whose database `path` is, None where it is none."""
    if path is None or path != Database(path.parent.parent).path:
        return None
    return path.parent.parent


def _root_of(path: Path) -> Path:
    """Return the root of the old store: some installations kept the catalog in its folder ``data``."""
    return path.parent.parent if path.parent.name == "data" else path.parent
