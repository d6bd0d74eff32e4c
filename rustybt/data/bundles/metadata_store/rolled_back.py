"""SQL of a rollback: what came after a backup of the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import Connection, select

from rustybt.data.bundles.metadata_schema import (
    bundle_files,
    bundle_metadata,
    bundle_tags,
    bundle_versions,
    saved_results,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_VERSIONS = "SELECT bundle_name, version, op_id FROM bundle_versions WHERE collected_at IS NULL"
_BUNDLES = "SELECT bundle_name FROM bundle_metadata WHERE kind = 'bundle'"
_TAGS = "SELECT bundle_name, tag, version FROM bundle_tags"
_RESULTS = "SELECT path FROM saved_results"
_FILES = "SELECT file_key FROM bundle_files"
_MANIFESTS = "SELECT manifest_key FROM bundle_versions"
_NAMES = select(bundle_metadata.c.bundle_name).where(bundle_metadata.c.kind == "bundle")


def made_since(connection: Connection, before: Path | None, brought: Collection[tuple[str, int | None]]) -> list[str]:
    """Return what a return to an earlier database would lose or could not bring back, in words.

    Parameters
    ----------
    before
        The earlier database; None where there was none.
    brought
        (bundle, version) that are to go.
    """
    found: list[str] = []
    present = {
        tuple(row)
        for row in connection.execute(
            select(bundle_versions.c.bundle_name, bundle_versions.c.version, bundle_versions.c.op_id).where(
                bundle_versions.c.collected_at.is_(None)
            )
        )
    }
    earlier = set(_rows(before, _VERSIONS))
    found += [f"{name}@{version}" for name, version, _ in sorted(present - earlier) if (name, version) not in brought]
    found += [f"the removal of {name}@{version}" for name, version, _ in sorted(earlier - present)]
    tags = {
        tuple(row)
        for row in connection.execute(select(bundle_tags.c.bundle_name, bundle_tags.c.tag, bundle_tags.c.version))
    }
    found += [f"the tag {tag} of {name}" for name, tag, _ in sorted(tags - set(_rows(before, _TAGS)))]
    return found


def results_since(connection: Connection, before: Path | None) -> list[str]:
    """Return the folders of results that were saved since: they stay, and what they were made of may not."""
    results = {tuple(row) for row in connection.execute(select(saved_results.c.path))}
    return [path for (path,) in sorted(results - set(_rows(before, _RESULTS)))]


def bundles_of(database: Path | None) -> set[str]:
    """Return the names of the bundles that an earlier database knows."""
    return {str(name) for (name,) in _rows(database, _BUNDLES)}


def files_brought(connection: Connection, before: Path | None, bundles: Collection[str]) -> list[str]:
    """Return the keys of the files of `bundles` that an earlier database does not know, manifests among them."""
    known = {key for (key,) in (*_rows(before, _FILES), *_rows(before, _MANIFESTS))}
    files = connection.execute(select(bundle_files.c.bundle_name, bundle_files.c.file_key)).all()
    manifests = connection.execute(select(bundle_versions.c.bundle_name, bundle_versions.c.manifest_key)).all()
    return [key for name, key in (*manifests, *files) if name in bundles and key not in known]


def known_files(connection: Connection) -> set[str]:
    """Return the keys of all files and manifests that a database refers to."""
    return {
        *connection.execute(select(bundle_files.c.file_key)).scalars(),
        *connection.execute(select(bundle_versions.c.manifest_key)).scalars(),
    }


def _rows(database: Path | None, query: str) -> list[tuple[object, ...]]:
    if database is None:
        return []
    uri = f"file:{quote(database.absolute().as_posix())}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        return [tuple(row) for row in connection.execute(query)]
