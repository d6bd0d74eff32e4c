"""The rows of one old database, and a digest that tells whether it says anything new."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.metadata_store.migrated_tables import DATA_CATALOG, PARQUET_CATALOG
from rustybt.data.bundles.metadata_store.old_catalogs import OldDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.migration.places import CatalogFile

#: How long a locked old database is waited for; a setting may shorten it.
_PATIENCE_SECONDS = 5.0
_SYMBOL_MAPPINGS = "equity_symbol_mappings"


@dataclass(frozen=True, slots=True)
class OldRows:
    """What one old database holds.

    Parameters
    ----------
    tables
        Table -> (its columns, its rows in order); only the catalogs' own tables.
    foreign
        Names of the other tables, such as Zipline's assets; they are left where they are.
    sids
        Sid -> symbol, where Zipline's assets are in the same file.
    """

    tables: dict[str, tuple[tuple[str, ...], list[tuple[Any, ...]]]] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    sids: dict[int, str] = field(default_factory=dict)

    @property
    def is_catalog(self) -> bool:
        """Whether the database has any table of the catalogs."""
        return bool(self.tables)

    @property
    def row_counts(self) -> dict[str, int]:
        """Number of rows by table."""
        return {name: len(rows) for name, (_, rows) in self.tables.items()}

    @property
    def digest(self) -> str:
        """SHA-256 over all rows, 64 hexadecimal digits."""
        hashed = hashlib.sha256()
        for name, (columns, rows) in sorted(self.tables.items()):
            hashed.update(repr((name, columns, len(rows))).encode())
            for row in rows:
                hashed.update(repr(row).encode())
        return hashed.hexdigest()

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table by column; columns that older releases lacked are absent."""
        columns, rows = self.tables.get(table, ((), []))
        for row in rows:
            yield dict(zip(columns, row, strict=True))


def patience_of(store: BundleStore, given: float | None) -> float:
    """Return how long to wait for a locked old database: seconds, never longer than for the home's own."""
    return min(_PATIENCE_SECONDS, store.settings.bundle_lock_timeout_seconds) if given is None else given


def read_old_rows(catalog: CatalogFile, patience_seconds: float = 5.0) -> OldRows:
    """Read one old database; nothing is written, not beside it either.

    Raises
    ------
    ConflictError
        Another program holds it.
    CorruptBundleError
        It is damaged.
    """
    wanted = DATA_CATALOG if catalog.kind == "data_catalog" else PARQUET_CATALOG
    with OldDatabase(catalog.path, patience_seconds=patience_seconds) as database:
        present = database.tables()
        tables = {name: (columns, list(database.values(name))) for name, columns in present.items() if name in wanted}
        sids: dict[int, str] = {}
        if {"sid", "symbol"} <= set(present.get(_SYMBOL_MAPPINGS, ())):
            # The newest mapping of a sid stands last.
            sids = {
                row["sid"]: row["symbol"]
                for row in sorted(database.rows(_SYMBOL_MAPPINGS), key=lambda row: str(row.get("end_date") or ""))
                if isinstance(row["sid"], int) and isinstance(row["symbol"], str)
            }
    return OldRows(tables, tuple(name for name in present if name not in wanted), sids)
