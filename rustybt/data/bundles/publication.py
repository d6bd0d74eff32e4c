"""A manifest into the database: used by a commit, and again by recovery."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rustybt.data.bundles import manifest as manifests
from rustybt.data.bundles.coverage import merge_coverage
from rustybt.data.bundles.metadata_store import contents, seals, versions
from rustybt.errors import CorruptBundleError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rustybt.data.bundles.manifest import Manifest
    from rustybt.data.bundles.metadata_store.database import Connection
    from rustybt.data.bundles.records import CoverageRecord
    from rustybt.data.bundles.storage import Storage

_US_PER_DAY, _SECONDS_PER_DAY = 86_400_000_000, 86_400


def publish_manifest(
    connection: Connection, storage: Storage, draft: Manifest, now: int, on_step: Callable[[str], None]
) -> None:
    """Write a manifest and insert what it says; the version is visible when the transaction commits.

    Raises
    ------
    CorruptBundleError
        There are manifests of later versions, which no crash leaves behind: the database is older than the bundle.
    """
    _drop_stale_manifests(storage, draft)
    storage.put_new(draft.info.manifest_key, draft.to_bytes())
    on_step("manifest-written")
    insert_manifest(connection, draft, now)
    on_step("rows-inserted")


def _drop_stale_manifests(storage: Storage, draft: Manifest) -> None:
    """Remove a manifest of this version that a crash left behind: recovery must find at most one to follow.

    Safe under the writer's lock: the database was just seen to end before this version.
    """
    name, version = draft.info.bundle_name, draft.info.version
    stale = manifests.later_manifests(storage, name, version - 1)
    if max(stale.values(), default=0) > version:
        raise CorruptBundleError(
            f"the metadata database knows bundle {name} up to version {version - 1}, "
            f"but there are manifests up to version {max(stale.values())}",
            hint="rustybt bundle recover brings the later versions back",
            bundle=name,
            file=max(stale, key=lambda key: stale[key]),
        )
    for key in stale:
        storage.delete(key)


def insert_manifest(connection: Connection, draft: Manifest, now: int, collected_at: int | None = None) -> None:
    """Insert everything that a manifest says; the version is visible when the transaction commits."""
    info = draft.info
    name, version = info.bundle_name, info.version
    versions.save_bundle(connection, name, now, {"calendar_name": info.calendar_name})
    versions.insert_version(connection, info, collected_at)
    versions.remove_files(connection, version, draft.files_removed)
    versions.add_files(connection, name, version, draft.files_added)
    contents.add_assets(connection, name, version, draft.assets)
    contents.add_actions(connection, name, version, draft.actions)
    contents.add_aliases(connection, name, version, draft.aliases)
    save_coverage(connection, name, draft.coverage)
    seals.seal_version(connection, name, version)
    versions.save_bundle(connection, name, now, _catalog_row(connection, draft))


def _catalog_row(connection: Connection, draft: Manifest) -> dict[str, object]:
    info, quality = draft.info, draft.info.quality
    spans = [
        (r.first_bar, r.last_bar)
        for r in versions.load_files(connection, info.bundle_name, info.version)
        if r.kind == "bars"
    ]
    values: dict[str, object] = {
        "calendar_name": info.calendar_name,
        "head_version": info.version,
        "start_session": min((first for first, _ in spans), default=0) // _US_PER_DAY * _SECONDS_PER_DAY,
        "end_session": max((last for _, last in spans), default=0) // _US_PER_DAY * _SECONDS_PER_DAY,
        "source_type": info.provenance.source_type,
        "source_url": info.provenance.source_url,
        "api_version": info.provenance.api_version,
        "fetch_timestamp": info.provenance.fetch_timestamp or info.created_at,
        "data_version": info.provenance.data_version,
        "timezone": info.provenance.timezone,
        "row_count": info.row_count,
        "file_checksum": info.content_hash,
        "file_size_bytes": info.size_bytes,
    }
    if quality is not None:
        values |= {
            "missing_days_count": quality.missing_days_count,
            "missing_days_list": json.dumps(list(quality.missing_days_list)),
            "outlier_count": quality.outlier_count,
            "ohlcv_violations": quality.ohlcv_violations,
            "validation_passed": quality.validation_passed,
            "validation_timestamp": info.created_at,
        }
    return values


def save_coverage(connection: Connection, name: str, added: Sequence[CoverageRecord]) -> None:
    """Join what was asked for now with what was asked for before."""
    if not added:
        return
    before = contents.load_coverage(connection, name)
    for frequency in dict.fromkeys(record.frequency for record in added):
        fresh = [record for record in added if record.frequency == frequency]
        known: dict[str, list[CoverageRecord]] = {record.symbol: [] for record in fresh}
        for record in before:
            if record.frequency == frequency and record.symbol in known:
                known[record.symbol].append(record)
        merged = [record for new in fresh for record in merge_coverage(known[new.symbol], [new])]
        contents.replace_coverage(connection, name, frequency, list(known), merged)
