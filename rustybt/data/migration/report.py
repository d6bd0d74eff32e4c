"""What a migration did, by bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class BundleReport:
    """One old bundle.

    Parameters
    ----------
    state
        ``new`` (brought over now, or in a dry run: would be), ``changed`` (brought over again), ``unchanged``, or ``left_out``.
    version
        That holds its bars; None without bars.
    rows, rows_quarantined
        Bars imported, and rows that could not be.
    files_used, files_left_out, files_missing
        Parquet files: used; there and not used, with the reason; named by the catalog and not there.
    failures
        Symbol -> why it has no bars.
    """

    old_name: str
    name: str
    state: str
    source_type: str | None = None
    calendar_name: str = ""
    calendar_reason: str = ""
    symbols: int = 0
    cache_entries: int = 0
    version: int | None = None
    rows: int = 0
    rows_quarantined: int = 0
    files_used: int = 0
    files_left_out: dict[str, str] = field(default_factory=dict)
    files_missing: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    reason: str = ""


@dataclass(slots=True)
class MigrationReport:
    """What a migration did, or in a dry run would do.

    Parameters
    ----------
    backup
        Timestamp of its backup, for ``--rollback``; empty where none was made.
    row_counts
        Old table -> rows brought over; those of databases that say nothing new are not counted.
    catalogs
        Old databases with rows.
    damaged
        Old database -> why it could not be read; nothing of it was brought over.
    foreign_tables
        Old database -> its tables of other programs, which stay where they are.
    zipline_bundles
        Bundles in Zipline's own format: ``rustybt import zipline NAME`` reads them.
    """

    root: str
    home: str
    dry_run: bool
    bundles: list[BundleReport] = field(default_factory=list)
    backup: str = ""
    row_counts: dict[str, int] = field(default_factory=dict)
    catalogs: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    foreign_tables: dict[str, list[str]] = field(default_factory=dict)
    zipline_bundles: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def changed(self) -> list[BundleReport]:
        """Bundles that were brought over now."""
        return [bundle for bundle in self.bundles if bundle.state in ("new", "changed")]

    @property
    def is_complete(self) -> bool:
        """Whether nothing had to be left out; what was gone before is not counted."""
        return not self.damaged and not any(
            bundle.state == "left_out" or bundle.files_left_out or bundle.failures or bundle.rows_quarantined
            for bundle in self.bundles
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "complete": self.is_complete}
