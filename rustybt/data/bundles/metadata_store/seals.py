"""Seals: what SQLite does not promise, that the rows of a version are the ones that were written.

A flipped bit in the database would else go unseen: SQLite keeps no checksums, and a changed file key, ratio or version number is as
good as any other. Each version carries digests over its files, over what it holds beside its bars, and over its own row.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, bindparam, select, update

from rustybt.data.bundles.metadata_schema import (
    bundle_aliases,
    bundle_assets,
    bundle_files,
    bundle_versions,
    corporate_actions,
)
from rustybt.errors import CorruptBundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import BindParameter, Select, Table

_DIGESTS = select(bundle_versions.c.files_digest, bundle_versions.c.description_digest).where(
    bundle_versions.c.bundle_name == bindparam("name"), bundle_versions.c.version == bindparam("version")
)
_SEALED = [c for c in bundle_versions.c if c.name not in ("seal", "collected_at")]


def _rows_of(table: Table, order: Sequence[str], columns: Sequence[str] = ()) -> Select[Any]:
    """Return the query of a table's rows that are part of the version ``:version`` of the bundle ``:name``."""
    held = table.c
    skipped = ("id", "bundle_name", "added_version", "removed_version", "released_at")
    wanted = [held[name] for name in columns] or [column for column in held if column.name not in skipped]
    version: BindParameter[int] = bindparam("version")
    return (
        select(*wanted)
        .where(
            held.bundle_name == bindparam("name"),
            held.added_version <= version,
            held.removed_version.is_(None) | (held.removed_version > version),
        )
        .order_by(*(held[name] for name in order))
    )


_FILES = _rows_of(bundle_files, ("added_version", "file_key"))
_ASSETS = _rows_of(bundle_assets, ("symbol",))
_ACTIONS = _rows_of(corporate_actions, ("id",), ("event",))
_ALIASES = _rows_of(bundle_aliases, ("id",))


def files_of(connection: Connection, name: str, version: int) -> Sequence[Row[Any]]:
    """Return the rows of a version's files, in the order in which they were added.

    Raises
    ------
    CorruptBundleError
        They are not the ones that were written.
    """
    rows = connection.execute(_FILES, {"name": name, "version": version}).all()
    if _digest([rows]) != _digests(connection, name, version)[0]:
        raise _broken(name, version, "files")
    return rows


def description_of(
    connection: Connection, name: str, version: int
) -> tuple[Sequence[Row[Any]], Sequence[Row[Any]], Sequence[Row[Any]]]:
    """Return the rows of a version's assets, corporate actions and aliases.

    Raises
    ------
    CorruptBundleError
        They are not the ones that were written.
    """
    found = _description(connection, name, version)
    if _digest(found) != _digests(connection, name, version)[1]:
        raise _broken(name, version, "assets or corporate actions")
    return found


def check_row(row: Row[Any]) -> None:
    """Raise unless the row of a version is the one that was written.

    Raises
    ------
    CorruptBundleError
        It is another.
    """
    if row.seal != _digest([[tuple(row._mapping[column] for column in _SEALED)]]):  # noqa: SLF001 (its public name)
        raise _broken(str(row.bundle_name), row.version, "facts")


def seal_version(connection: Connection, name: str, version: int) -> None:
    """Put the digests into the row of a version whose rows are all inserted."""
    key = {"name": name, "version": version}
    where = (bundle_versions.c.bundle_name == name) & (bundle_versions.c.version == version)
    digests = {
        "files_digest": _digest([connection.execute(_FILES, key).all()]),
        "description_digest": _digest(_description(connection, name, version)),
    }
    connection.execute(update(bundle_versions).where(where).values(**digests))
    row = connection.execute(select(*_SEALED).where(where)).one()
    connection.execute(update(bundle_versions).where(where).values(seal=_digest([[tuple(row)]])))


def _description(
    connection: Connection, name: str, version: int
) -> tuple[Sequence[Row[Any]], Sequence[Row[Any]], Sequence[Row[Any]]]:
    key = {"name": name, "version": version}
    assets, actions, aliases = (connection.execute(query, key).all() for query in (_ASSETS, _ACTIONS, _ALIASES))
    return assets, actions, aliases


def _digests(connection: Connection, name: str, version: int) -> tuple[Any, Any]:
    row = connection.execute(_DIGESTS, {"name": name, "version": version}).one_or_none()
    return (None, None) if row is None else (row[0], row[1])


def _digest(tables: Iterable[Iterable[Sequence[Any]]]) -> str:
    text = json.dumps([[list(row) for row in rows] for rows in tables], default=repr, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _broken(name: str, version: Any, what: str) -> CorruptBundleError:
    return CorruptBundleError(
        f"the metadata database no longer holds the {what} of {name}@{version} as they were written",
        hint="rustybt bundle recover rebuilds the database from the manifests",
        bundle=name,
        file="metadata.sqlite",
    )
