"""What the new catalog says of a bundle, from the rows of both old ones.

A value that has no meaning in its new column (text where a number belongs) is left empty there; the row itself is kept as it
was, see `rustybt.data.bundles.metadata_store.migrated_tables`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

_DAY = 86_400
_HOUR = 3_600
#: Markets' clocks are at most 10 hours behind UTC (Honolulu) and 13 before it (Auckland in summer).
_FURTHEST_BEHIND = 10 * _HOUR
_PROVENANCE = ("source_type", "source_url", "api_version", "data_version", "timezone")
_QUALITY_COUNTS = ("row_count", "missing_days_count", "outlier_count", "ohlcv_violations", "validation_timestamp")
#: Unix seconds of the years 1 to 9999; what lies beyond is no time.
_TIMES = range(-62_135_596_800, 253_402_300_800)

Record = Mapping[str, Any]
Symbol = tuple[str, Any, Any]


@dataclass(frozen=True, slots=True)
class Merged:
    """The new rows of one bundle.

    Parameters
    ----------
    columns
        Columns of `bundle_metadata`, but for those that bars or the moment of the migration give.
    symbols
        (symbol, asset type, exchange), each once.
    cache_entries
        Rows of `bundle_cache` without the bundle's name.
    """

    columns: dict[str, Any]
    symbols: tuple[Symbol, ...]
    cache_entries: tuple[dict[str, Any], ...]


def merge(
    provenance: Sequence[Record], quality: Sequence[Record], parquet: Sequence[Mapping[str, Sequence[Record]]]
) -> Merged:
    """Return what becomes of a bundle.

    Parameters
    ----------
    provenance, quality
        Its rows in catalogs of all bundles; the newest wins: by `updated_at`, by `validation_timestamp`, then by id.
    parquet
        The tables of each catalog of its own.
    """
    datasets = [row for tables in parquet for row in tables.get("datasets", ())]
    ranges = [row for tables in parquet for row in tables.get("date_ranges", ())]
    columns: dict[str, Any] = {"created_at": None, "updated_at": None, "fetch_timestamp": None}
    if provenance:
        newest = max(provenance, key=lambda row: (whole(row.get("updated_at")) or 0, whole(row.get("id")) or 0))
        columns |= {name: newest.get(name) for name in _PROVENANCE}
        columns |= {name: whole(newest.get(name)) for name in ("fetch_timestamp", "created_at", "updated_at")}
        columns["file_checksum"] = newest.get("checksum")
    else:
        sources = dict.fromkeys(row["source"] for row in datasets if row.get("source"))
        columns["source_type"] = next(iter(sources), None)
    if columns["created_at"] is None:
        columns["created_at"] = min(_wholes(datasets, "created_at"), default=None)
    if columns["updated_at"] is None:
        columns["updated_at"] = max(_wholes(datasets, "updated_at"), default=columns["created_at"])
    columns |= _quality_columns(quality)
    columns |= _sessions(quality, ranges)
    symbols = tuple(
        dict.fromkeys(
            (row["symbol"], row.get("asset_type"), row.get("exchange"))
            for tables in parquet
            for row in tables.get("symbols", ())
            if isinstance(row.get("symbol"), str)
        )
    )
    entries = [entry for tables in parquet for row in tables.get("cache_entries", ()) if (entry := _cache_entry(row))]
    return Merged(columns, symbols, tuple(entries))


def newest_quality(rows: Sequence[Record]) -> Record | None:
    """Return the metrics that count: those validated last."""
    return max(
        rows,
        key=lambda row: (whole(row.get("validation_timestamp")) or 0, whole(row.get("id")) or 0),
        default=None,
    )


def _quality_columns(rows: Sequence[Record]) -> dict[str, Any]:
    newest = newest_quality(rows)
    if newest is None:
        return {}
    days = newest.get("missing_days_list")
    return {
        **{name: whole(newest.get(name)) for name in _QUALITY_COUNTS},
        "missing_days_list": days if isinstance(days, str | None) else None,
        "validation_passed": flag(newest.get("validation_passed")),
    }


def _sessions(quality: Sequence[Record], ranges: Iterable[Record]) -> dict[str, int | None]:
    """Return the first and last session, Unix seconds of 00:00 UTC; the newest validation knows them best."""
    newest = newest_quality(quality) or {}
    told = [when(newest.get("start_date")), when(newest.get("end_date"))]
    ranges = list(ranges)
    first = [seconds for row in ranges if (seconds := when(row.get("start_date"))) is not None]
    last = [seconds for row in ranges if (seconds := when(row.get("end_date"))) is not None]
    start = told[0] // _DAY * _DAY if told[0] is not None else None
    end = told[1] // _DAY * _DAY if told[1] is not None else None
    if start is None and first:
        start = _midnight(local_date(min(first)))
    if end is None and last:
        end = _midnight(local_date(max(last), is_end=True))
    return {"start_session": start, "end_session": end}


def _cache_entry(row: Record) -> dict[str, Any] | None:
    """Return a row of `bundle_cache`, None where a column that it needs has no meaning."""
    counts = {name: whole(row.get(name)) for name in ("created_at", "last_accessed", "size_bytes")}
    key, path = row.get("cache_key"), row.get("parquet_path")
    if None in counts.values() or not isinstance(key, str) or not isinstance(path, str):
        return None
    count = whole(row.get("access_count"))
    return {"cache_key": key, "parquet_path": path, **counts, "access_count": 1 if count is None else count}


# -- values ---------------------------------------------------------------------------------------------------------------


def whole(value: Any) -> int | None:
    """Return a whole number, None for anything else; the old databases kept what they were given."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, int) else None


def flag(value: Any) -> bool | None:
    """Return a truth value stored as 0 or 1, None for anything else."""
    return bool(value) if whole(value) in (0, 1) else None


def when(value: Any) -> int | None:
    """Return Unix seconds of a year that there is, None for anything else."""
    seconds = whole(value)
    return seconds if seconds is not None and seconds in _TIMES else None


def _wholes(rows: Iterable[Record], name: str) -> list[int]:
    return [found for row in rows if (found := whole(row.get(name))) is not None]


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def local_date(seconds: int, *, is_end: bool = False) -> date:
    """Return the day whose local midnight is at `seconds`, or with `is_end` the day that ends one second later.

    The old program wrote 00:00:00 and 23:59:59 of its machine's clock as Unix seconds, and not which clock that was. Where it
    was midnight by this machine's clock, that one is taken. Else the distance to UTC's midnight tells the day, as far as clocks
    are between 10 hours behind UTC and less than 14 before it.
    """
    midnight = seconds + 1 if is_end else seconds
    here = datetime.fromtimestamp(midnight).astimezone()
    if (here.hour, here.minute, here.second) == (0, 0, 0):
        day = here.date()
    else:
        late = midnight % _DAY
        # Midnight there is `late` seconds after UTC's: so far is the clock behind, or the rest of a day before it.
        start = midnight - late if late <= _FURTHEST_BEHIND else midnight - late + _DAY
        day = datetime.fromtimestamp(start, tz=UTC).date()
    return date.fromordinal(day.toordinal() - 1) if is_end else day
