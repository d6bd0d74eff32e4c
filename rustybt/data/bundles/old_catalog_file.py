"""An old catalog's database behind a deprecated name: read where it lies, never written."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rustybt.config import load_settings
from rustybt.data.bundles.metadata import BundleMetadata
from rustybt.data.bundles.metadata_store.database import Database
from rustybt.data.bundles.metadata_store.old_catalogs import OldDatabase
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path


class OldCatalogFile:
    """The database of an old catalog.

    Parameters
    ----------
    path
        The file; it is opened for each read, so that what its own program adds is seen.
    root
        What ``rustybt migrate --root`` takes to bring it over.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self._root = root

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table in the order in which they were written; none where there is no such table.

        Raises
        ------
        ConflictError
            Another program holds the file.
        CorruptBundleError
            It is damaged.
        """
        with OldDatabase(self.path) as database:
            return list(database.rows(table)) if table in database.tables() else []

    def refuse_write(self, what: str) -> RequestError:
        """Return the error of a call that would write to it."""
        return RequestError(
            f"cannot {what}: {self.path} is an old catalog, which is only read",
            hint=f"rustybt migrate --root {self._root} brings it over; then leave the path out",
            path=str(self.path),
        )


def old_catalog_at(path: Path, root: Path) -> OldCatalogFile | None:
    """Return the old catalog at `path`, None where there is none: no file, an empty one, or the database of a home.

    Raises
    ------
    RequestError
        Something else lies there.
    """
    if path == Database(path.parent.parent).path or not path.exists():
        return None
    if not path.is_file():
        raise RequestError(f"{path} is no file, so it is no catalog either", hint="name the database file itself")
    if OldDatabase.is_database(path):
        return OldCatalogFile(path, root)
    with suppress(OSError):
        if not path.stat().st_size:
            return None
    raise RequestError(f"{path} is no SQLite database, so it is no catalog either", hint="leave the path out")


def metadata_of(home: Path | None) -> type[BundleMetadata]:
    """Return the catalog of a home that has one, else that of the configured home."""
    if home is None or home == load_settings().home or not Database(home).exists():
        return BundleMetadata

    class HomeMetadata(BundleMetadata):
        """The catalog of one home, apart from the configured one."""

    HomeMetadata.use(home)
    return HomeMetadata


def home_of(metadata: type[BundleMetadata]) -> Path:
    """Return the home whose catalog this is."""
    return metadata._db().home  # noqa: SLF001  its bundles lie there
