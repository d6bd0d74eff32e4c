"""Migration of the catalogs and bundles of the first design into bundles of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rustybt.data.migration.backup import Backups
    from rustybt.data.migration.report import BundleReport, MigrationReport
    from rustybt.data.migration.rollback import RollbackReport, roll_back
    from rustybt.data.migration.run import Migration, migrate_catalogs
    from rustybt.data.migration.validate import Difference, Validation, ValidationReport

_MODULES = {
    "Backups": "backup",
    "BundleReport": "report",
    "MigrationReport": "report",
    "RollbackReport": "rollback",
    "roll_back": "rollback",
    "Migration": "run",
    "migrate_catalogs": "run",
    "Difference": "validate",
    "Validation": "validate",
    "ValidationReport": "validate",
}

__all__ = [
    "Backups",
    "BundleReport",
    "Difference",
    "Migration",
    "MigrationReport",
    "RollbackReport",
    "Validation",
    "ValidationReport",
    "migrate_catalogs",
    "migrate_catalogs_to_bundle_metadata",
    "roll_back",
]


def migrate_catalogs_to_bundle_metadata() -> MigrationReport:
    """Bring the old catalogs of ``ZIPLINE_ROOT`` (``~/.zipline``) into the configured home; see `migrate_catalogs`."""
    from rustybt.data.migration.run import migrate_catalogs

    return migrate_catalogs()


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
