"""The home's database, read without a trace: for a look that may not make a file."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from rustybt.data.bundles.metadata_store.memory_copy import in_memory_copy
from rustybt.data.bundles.metadata_store.migrations import migrate
from rustybt.errors import ConflictError, CorruptBundleError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rustybt.data.bundles.metadata_store.database import Connection, Database


@contextmanager
def read_without_trace(database: Database) -> Iterator[Connection]:
    """Yield a connection to a copy in memory, at the newest schema; what is written to it is forgotten.

    Raises
    ------
    ConflictError
        Another process writes to the home all the time.
    CorruptBundleError
        The database is damaged.
    SchemaVersionError
        A newer rustybt wrote it.
    """
    copy = in_memory_copy(database.path)
    if copy is None:
        raise ConflictError(f"another process writes to {database.home} all the time", hint="run the command again")
    engine = create_engine("sqlite://", creator=lambda: copy, poolclass=StaticPool)
    with closing(copy):
        try:
            with engine.connect() as connection:
                migrate(connection, int(database.clock()))
                yield connection
        except sqlite3.DatabaseError as error:
            raise CorruptBundleError(
                f"cannot read {database.path}: {error}",
                hint="rustybt bundle recover rebuilds the database from the manifests",
                file=str(database.path),
            ) from error
