"""What is shown of a bundle: sizes, dates, provenance and quality as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_HASH_DIGITS = 12


def size(count: int) -> str:
    """Return a number of bytes in the unit a person reads: 31.2 MB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def duration(seconds: float) -> str:
    """Return a time in the unit a person reads: 40 s, 12 min, 3.5 h, 2.0 days."""
    for length, unit in ((86_400, "days"), (3_600, "h")):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{max(1.0, seconds):.0f} s"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: 1 row, 12,154 rows."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def instant(unix_seconds: float | None) -> str:
    """Return an instant as ISO text in UTC, a dash for none."""
    if not unix_seconds:
        return "-"
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def short_hash(content_hash: str) -> str:
    """Return the first digits of a content hash, usable in a reference: ``sha256:3f9c2b7a01de``."""
    return f"sha256:{content_hash.removeprefix('sha256:')[:_HASH_DIGITS]}"


def passed(validation_passed: bool | None) -> str:  # noqa: FBT001 - three states, as the store records them
    """Return the quality verdict as one word."""
    return {True: "passed", False: "issues", None: "unknown"}[validation_passed]


def provenance_facts(provenance: Any) -> dict[str, Any]:
    """Return what a person asks of a provenance, empty entries left out."""
    values = dict(provenance.to_json())
    values["fetched_at"] = instant(values.pop("fetch_timestamp", 0))
    for side in ("start", "end"):
        values[side] = _to_the_second(values.get(side) or "")
    order = ("source_type", "source_url", "fetched_at", "number_rule", "timezone", "frequency", "symbols", "files")
    first = {key: values.pop(key) for key in order if key in values}
    return {key: value for key, value in {**first, **values}.items() if value not in ("", None, [], {}, ())}


def _to_the_second(text: str) -> str:
    """Return a date as it is, an instant without its fraction."""
    return f"{text[:19].replace('T', ' ')}Z" if "T" in text else text


def quality_facts(quality: Any) -> dict[str, Any] | None:
    """Return the counts and notes of a quality report; None when the version has none."""
    if quality is None:
        return None
    values = dict(quality.to_json())
    return {
        key: value
        for key, value in values.items()
        if not isinstance(value, (dict, list)) or (isinstance(value, dict) and key == "quarantined" and value)
    } | ({"notes": list(values["notes"])} if values.get("notes") else {})


def quality_sentence(quality: Mapping[str, Any] | None, row_count: int | None = None) -> str:
    """Return a quality report in one line; with how much it covers, where the version holds `row_count` others."""
    if quality is None:
        return "not checked"
    parts = [
        passed(quality["validation_passed"]),
        f"{counted(quality['quarantined_count'], 'row')} quarantined",
        f"{counted(quality['missing_days_count'], 'session')} missing",
        f"{counted(quality['outlier_count'], 'outlier')} flagged",
    ]
    if quality["missing_bars_count"]:
        parts.append(f"{counted(quality['missing_bars_count'], 'bar')} missing within sessions")
    if quality["off_session_count"] and quality["frequency"].endswith(("m", "h")):  # of days, those are quarantined
        parts.append(f"{counted(quality['off_session_count'], 'bar')} outside trading hours")
    if row_count not in (None, quality["row_count"]):
        parts.append(f"of the {quality['row_count']:,} rows in the last ingest")
    return ", ".join(parts)
