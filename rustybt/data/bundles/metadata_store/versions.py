"""SQL of bundles, their versions and their files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from rustybt.data.bundles.metadata_schema import (
    bundle_files,
    bundle_metadata,
    bundle_tags,
    bundle_versions,
    saved_results,
)
from rustybt.data.bundles.metadata_store.seals import check_row, description_of, files_of
from rustybt.data.bundles.records import BundleInfo, FileRecord, VersionInfo
from rustybt.errors import CorruptBundleError
from rustybt.market.frequency import Frequency
from rustybt.market.provenance import Provenance
from rustybt.market.quality_report import QualityReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HEAD = select(
    bundle_metadata.c.bundle_name,
    bundle_metadata.c.head_version,
    bundle_metadata.c.calendar_name,
    select(func.coalesce(func.max(bundle_versions.c.version), 0))
    .where(bundle_versions.c.bundle_name == bundle_metadata.c.bundle_name)
    .scalar_subquery(),
).where(bundle_metadata.c.folded_name == bindparam("folded"))
_VERSION = select(bundle_versions).where(
    bundle_versions.c.bundle_name == bindparam("name"), bundle_versions.c.version == bindparam("version")
)
_TAGGED = (
    select(bundle_tags.c.version, bundle_tags.c.content_hash, bundle_versions.c.content_hash)
    .outerjoin(
        bundle_versions,
        (bundle_versions.c.bundle_name == bundle_tags.c.bundle_name)
        & (bundle_versions.c.version == bundle_tags.c.version),
    )
    .where(bundle_tags.c.bundle_name == bindparam("name"), bundle_tags.c.tag == bindparam("tag"))
)
_FILE_FIELDS = (
    "file_key",
    "kind",
    "frequency",
    "partition",
    "sha256",
    "size_bytes",
    "row_count",
    "first_symbol",
    "last_symbol",
    "first_bar",
    "last_bar",
)


def load_head(connection: Connection, name: str) -> tuple[str, int, str] | None:
    """Return (name as created, latest version, calendar) of a bundle; names are unique by casefold.

    Raises
    ------
    CorruptBundleError
        The bundle's row and those of its versions disagree.
    """
    row = connection.execute(_HEAD, {"folded": name.casefold()}).one_or_none()
    if row is None:
        return None
    if row[1] != row[3]:
        raise CorruptBundleError(
            f"the metadata database says that {row[0]} has version {row[1]}, and holds versions up to {row[3]}",
            hint="rustybt bundle recover rebuilds the database from the manifests",
            bundle=name,
            file="metadata.sqlite",
        )
    return (row[0], row[1], row[2])


def checked_heads(connection: Connection) -> dict[str, int]:
    """Return name -> latest version of every bundle, hidden ones included, after all that is sealed was checked.

    Raises
    ------
    CorruptBundleError
        Some rows are not the ones that were written.
    """
    found: dict[str, int] = {}
    for name in connection.execute(select(bundle_metadata.c.bundle_name)).scalars().all():
        head = load_head(connection, name)
        found[name] = head[1] if head else 0
        for info in load_versions(connection, name):
            if not info.collected:
                files_of(connection, name, info.version)
                description_of(connection, name, info.version)
        for tag in tags_of(connection, name):
            tagged_version(connection, name, tag)
    return found


def load_version(connection: Connection, name: str, version: int) -> VersionInfo | None:
    """Return one version, or None.

    Raises
    ------
    CorruptBundleError
        Its row is not the one that was written.
    """
    row = connection.execute(_VERSION, {"name": name, "version": version}).one_or_none()
    return None if row is None else _version_info(row, tags_of(connection, name))


def load_versions(connection: Connection, name: str) -> list[VersionInfo]:
    """Return every version of a bundle, oldest first, collected ones included."""
    rows = connection.execute(
        select(bundle_versions).where(bundle_versions.c.bundle_name == name).order_by(bundle_versions.c.version)
    )
    tags = tags_of(connection, name)
    return [_version_info(row, tags) for row in rows]


def versions_by_hash(connection: Connection, name: str, prefix: str) -> list[tuple[int, str]]:
    """Return (version, content hash) of the versions whose content hash begins with `prefix`: newest first, collected last."""
    rows = connection.execute(
        select(bundle_versions.c.version, bundle_versions.c.content_hash)
        .where(bundle_versions.c.bundle_name == name, bundle_versions.c.content_hash.startswith(prefix))
        .order_by(bundle_versions.c.collected_at.is_not(None), bundle_versions.c.version.desc())
    )
    return [(row[0], row[1]) for row in rows]


def _version_info(row: Row[Any], tags: dict[str, int]) -> VersionInfo:
    check_row(row)
    return VersionInfo(
        bundle_name=row.bundle_name,
        version=row.version,
        op_id=row.op_id,
        parent_op_id=row.parent_op_id,
        content_hash=row.content_hash,
        manifest_key=row.manifest_key,
        created_at=row.created_at,
        row_count=row.row_count,
        size_bytes=row.size_bytes,
        summary=row.summary,
        provenance=Provenance.from_json(json.loads(row.provenance)),
        quality=QualityReport.from_json(json.loads(row.quality)) if row.quality else None,
        calendar_name=row.calendar_name,
        collected=row.collected_at is not None,
        tags=tuple(sorted(tag for tag, version in tags.items() if version == row.version)),
    )


def has_operation(connection: Connection, name: str, op_id: str) -> int | None:
    """Return the version that operation `op_id` made, or None."""
    found = connection.execute(
        select(bundle_versions.c.version).where(bundle_versions.c.bundle_name == name, bundle_versions.c.op_id == op_id)
    ).scalar_one_or_none()
    return None if found is None else int(found)


def load_files(connection: Connection, name: str, version: int) -> list[FileRecord]:
    """Return the files of one version, in the order in which they were added.

    Raises
    ------
    CorruptBundleError
        They are not the ones that were written.
    """
    return [FileRecord(*(getattr(row, field) for field in _FILE_FIELDS)) for row in files_of(connection, name, version)]


def insert_version(connection: Connection, info: VersionInfo, collected_at: int | None = None) -> None:
    """Insert the row of a new version."""
    connection.execute(
        insert(bundle_versions).values(
            bundle_name=info.bundle_name,
            version=info.version,
            op_id=info.op_id,
            parent_op_id=info.parent_op_id,
            content_hash=info.content_hash,
            manifest_key=info.manifest_key,
            created_at=info.created_at,
            row_count=info.row_count,
            size_bytes=info.size_bytes,
            summary=info.summary,
            provenance=json.dumps(info.provenance.to_json()),
            quality=json.dumps(info.quality.to_json()) if info.quality else None,
            calendar_name=info.calendar_name,
            collected_at=collected_at,
        )
    )


def add_files(connection: Connection, name: str, version: int, files: Iterable[FileRecord]) -> None:
    """Insert the files that `version` adds."""
    rows = [{**record.to_json(), "bundle_name": name, "added_version": version} for record in files]
    if rows:
        connection.execute(insert(bundle_files), rows)


def remove_files(connection: Connection, version: int, file_keys: Sequence[str]) -> None:
    """Mark files as no longer part of `version` and later ones; older versions keep them."""
    if file_keys:
        statement = (
            update(bundle_files)
            .where(bundle_files.c.file_key == bindparam("key"))
            .values(removed_version=bindparam("version"))
        )
        connection.execute(statement, [{"key": key, "version": version} for key in file_keys])


def save_bundle(connection: Connection, name: str, now: int, values: dict[str, Any]) -> None:
    """Insert or update a bundle's row; `values` are columns of `bundle_metadata`."""
    found = connection.execute(
        update(bundle_metadata).where(bundle_metadata.c.bundle_name == name).values(updated_at=now, **values)
    )
    if found.rowcount == 0:
        needed = {"calendar_name": "XNYS", "start_session": 0, "end_session": 0, **values}
        connection.execute(
            insert(bundle_metadata).values(
                bundle_name=name, folded_name=name.casefold(), created_at=now, updated_at=now, **needed
            )
        )


def list_bundles(connection: Connection) -> list[BundleInfo]:
    """Return every visible bundle that has a version, by name."""
    latest = bundle_versions.alias()
    frequencies = (
        select(func.group_concat(func.distinct(bundle_files.c.frequency)))
        .where(
            bundle_files.c.bundle_name == bundle_metadata.c.bundle_name,
            bundle_files.c.removed_version.is_(None),
            bundle_files.c.kind == "bars",
        )
        .scalar_subquery()
    )
    from rustybt.data.bundles.metadata_schema import bundle_assets

    symbols = (
        select(func.count())
        .where(bundle_assets.c.bundle_name == bundle_metadata.c.bundle_name, bundle_assets.c.removed_version.is_(None))
        .scalar_subquery()
    )
    rows = connection.execute(
        select(
            bundle_metadata,
            latest.c.content_hash,
            latest.c.size_bytes,
            # What the version itself holds and passed: the catalog's columns may tell of an older check.
            latest.c.row_count.label("rows"),
            func.json_extract(latest.c.quality, "$.validation_passed").label("passed"),
            frequencies.label("f"),
            symbols.label("s"),
        )
        .join(
            latest,
            (latest.c.bundle_name == bundle_metadata.c.bundle_name)
            & (latest.c.version == bundle_metadata.c.head_version),
        )
        .where(bundle_metadata.c.kind == "bundle")
        .order_by(bundle_metadata.c.bundle_name)
    )
    return [
        BundleInfo(
            name=row.bundle_name,
            version=row.head_version,
            content_hash=row.content_hash,
            calendar_name=row.calendar_name,
            frequencies=tuple(sorted(row.f.split(","), key=Frequency.parse)) if row.f else (),
            symbol_count=row.s,
            row_count=row.rows,
            first_session=_day(row.start_session) if row.rows else None,
            last_session=_day(row.end_session) if row.rows else None,
            source_type=row.source_type or "",
            size_bytes=row.size_bytes,
            created_at=row.created_at,
            updated_at=row.updated_at,
            validation_passed=None if row.passed is None else bool(row.passed),
        )
        for row in rows
    ]


def names_without_versions(connection: Connection) -> list[str]:
    """Return the visible bundles that have a row and no version, by name."""
    query = select(bundle_metadata.c.bundle_name).where(
        bundle_metadata.c.kind == "bundle", bundle_metadata.c.head_version == 0
    )
    return list(connection.execute(query.order_by(bundle_metadata.c.bundle_name)).scalars())


def _day(seconds: int) -> Any:
    return datetime.fromtimestamp(seconds, tz=UTC).date()


# -- tags and saved results ----------------------------------------------------------------------------------------------


def tags_of(connection: Connection, name: str) -> dict[str, int]:
    """Return each tag of a bundle and the version that it names."""
    rows = connection.execute(select(bundle_tags.c.tag, bundle_tags.c.version).where(bundle_tags.c.bundle_name == name))
    return {row[0]: row[1] for row in rows}


def save_tag(connection: Connection, name: str, tag: str, version: int, now: int) -> None:
    """Let `tag` name `version`, also when it named another before."""
    remove_tag(connection, name, tag)
    content_hash = select(bundle_versions.c.content_hash).where(
        bundle_versions.c.bundle_name == name, bundle_versions.c.version == version
    )
    connection.execute(
        insert(bundle_tags).values(
            bundle_name=name, tag=tag, version=version, content_hash=content_hash.scalar_subquery(), created_at=now
        )
    )


def tagged_version(connection: Connection, name: str, tag: str) -> int | None:
    """Return the version that a tag names, or None.

    Raises
    ------
    CorruptBundleError
        The tag was given to a version of another content.
    """
    row = connection.execute(_TAGGED, {"name": name, "tag": tag}).one_or_none()
    if row is None:
        return None
    if row[1] != row[2]:
        raise CorruptBundleError(
            f"the metadata database no longer holds the tag {tag} of {name} as it was written",
            hint="rustybt bundle recover rebuilds the database from the manifests",
            bundle=name,
            file="metadata.sqlite",
        )
    return int(row[0])


def remove_tag(connection: Connection, name: str, tag: str) -> bool:
    """Remove a tag; return whether it was there."""
    found = connection.execute(delete(bundle_tags).where(bundle_tags.c.bundle_name == name, bundle_tags.c.tag == tag))
    return found.rowcount > 0


def save_result(connection: Connection, path: str, depends_on: Iterable[tuple[str, int, str]], now: int) -> None:
    """Remember that a saved result depends on versions (bundle, version, content hash), and on no others any more."""
    connection.execute(delete(saved_results).where(saved_results.c.path == path))
    rows = [
        {"path": path, "bundle_name": name, "version": version, "content_hash": content_hash, "saved_at": now}
        for name, version, content_hash in depends_on
    ]
    connection.execute(insert(saved_results), rows)


def results_of(connection: Connection, name: str) -> list[tuple[str, int]]:
    """Return (path, version) of the saved results that depend on a bundle."""
    rows = connection.execute(
        select(saved_results.c.path, saved_results.c.version)
        .where(saved_results.c.bundle_name == name)
        .order_by(saved_results.c.path)
    )
    return [(row[0], row[1]) for row in rows]
