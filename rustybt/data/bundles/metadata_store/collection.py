"""SQL of what goes away: collected versions, unneeded files, removed bundles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, delete, select, update

from rustybt.data.bundles.metadata_schema import (
    assets,
    bundle_aliases,
    bundle_assets,
    bundle_cache,
    bundle_files,
    bundle_metadata,
    bundle_symbols,
    bundle_tags,
    bundle_versions,
    corporate_actions,
    coverage,
    saved_results,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


@dataclass(frozen=True, slots=True)
class FreeFile:
    """A file that no version needs; `released_at` in Unix seconds, None while a living version still needs it."""

    file_key: str
    size_bytes: int
    released_at: int | None


def mark_collected(connection: Connection, name: str, numbers: Sequence[int], now: int) -> None:
    """Mark versions as collected, and release the files that no remaining version needs."""
    connection.execute(
        update(bundle_versions)
        .where(bundle_versions.c.bundle_name == name, bundle_versions.c.version.in_(numbers))
        .values(collected_at=now)
    )
    free = [file.file_key for file in unneeded_files(connection, name)]
    if free:
        connection.execute(
            update(bundle_files)
            .where(bundle_files.c.file_key == bindparam("key"), bundle_files.c.released_at.is_(None))
            .values(released_at=now),
            [{"key": key} for key in free],
        )


def unneeded_files(
    connection: Connection, name: str, also_without: Collection[int] = (), still_with: Collection[int] = ()
) -> list[FreeFile]:
    """Return the files that no version needs, taking those of `also_without` for collected, of `still_with` for living."""
    rows = connection.execute(
        select(bundle_versions.c.version)
        .where(bundle_versions.c.bundle_name == name, bundle_versions.c.collected_at.is_(None))
        .order_by(bundle_versions.c.version)
    )
    living = [row[0] for row in rows if row[0] not in also_without]
    living += still_with
    files = connection.execute(
        select(
            bundle_files.c.file_key,
            bundle_files.c.size_bytes,
            bundle_files.c.added_version,
            bundle_files.c.removed_version,
            bundle_files.c.released_at,
        ).where(bundle_files.c.bundle_name == name)
    )
    return [
        FreeFile(row.file_key, row.size_bytes, row.released_at)
        for row in files
        if not any(
            row.added_version <= version and (row.removed_version is None or version < row.removed_version)
            for version in living
        )
    ]


def delete_files(connection: Connection, file_keys: Sequence[str]) -> None:
    """Forget files; their bytes are deleted after this is durable."""
    connection.execute(
        delete(bundle_files).where(bundle_files.c.file_key == bindparam("key")), [{"key": key} for key in file_keys]
    )


def all_file_keys(connection: Connection, name: str) -> set[str]:
    """Return the keys of every file that a row names."""
    rows = connection.execute(select(bundle_files.c.file_key).where(bundle_files.c.bundle_name == name))
    return {row[0] for row in rows}


def sids_of(connection: Connection, name: str) -> dict[tuple[str, str, str], int]:
    """Return (venue, symbol, listing epoch) -> sid of every asset that a version of the bundle ever held."""
    rows = connection.execute(
        select(assets.c.venue, assets.c.symbol, assets.c.listing_epoch, assets.c.sid)
        .join(bundle_assets, bundle_assets.c.sid == assets.c.sid)
        .where(bundle_assets.c.bundle_name == name)
        .distinct()
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def delete_bundle(connection: Connection, name: str) -> None:
    """Forget a bundle and everything that hangs on it; sids stay taken."""
    for table in (
        bundle_files,
        bundle_assets,
        bundle_aliases,
        bundle_symbols,
        bundle_cache,
        bundle_tags,
        corporate_actions,
        coverage,
        saved_results,
        bundle_versions,
        bundle_metadata,
    ):
        connection.execute(delete(table).where(table.c.bundle_name == name))
