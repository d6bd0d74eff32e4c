"""Where the old catalogs and their bundles lie below a root."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rustybt.data.bundles.storage.local import translated
from rustybt.data.bundles.zipline_layout import ingestion_moment, zipline_root
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CatalogKind = Literal["data_catalog", "parquet_catalog"]

_METADATA_FILE = "metadata.db"
_BAR_FOLDERS = ("daily_bars", "minute_bars")
# The bars of this program's bundles.
_OWN_FILE = re.compile(r"[0-9a-f]{32}\.parquet")


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """One old database.

    Parameters
    ----------
    relative
        Its path below the root, with forward slashes.
    old_name
        Bundle of a catalog of one bundle; None for the catalog of all.
    """

    path: Path
    relative: str
    kind: CatalogKind
    old_name: str | None = None


@dataclass(frozen=True, slots=True)
class OldStore:
    """What lies below a root.

    Parameters
    ----------
    folders
        Old bundle -> its folders; two where it lies in both places.
    zipline_bundles
        Bundles in Zipline's own format, which another command reads.
    """

    root: Path
    catalogs: tuple[CatalogFile, ...] = ()
    folders: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    zipline_bundles: tuple[str, ...] = ()


def find_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the old programs: the one given, else ``ZIPLINE_ROOT``, else ``~/.zipline``.

    Raises
    ------
    RequestError
        It is not there.
    """
    path = zipline_root(root)
    if not path.is_dir():
        raise RequestError(
            f"there is no folder {path}",
            hint="name the one of the old program: --root DIR, or ZIPLINE_ROOT",
            root=str(path),
        )
    # By one name only: what came over from it is remembered under that.
    return path.resolve()


def find_old_store(root: Path) -> OldStore:
    """Return the old databases and bundle folders below `root`; nothing is opened.

    Raises
    ------
    StorageError
        A folder may not be read.
    """
    with translated("read", root):
        catalogs = [
            CatalogFile(path, storable(path.relative_to(root).as_posix()), "data_catalog")
            for path in _data_catalogs(root)
        ]
        folders: dict[str, list[Path]] = {}
        zipline: list[str] = []
        for folder in _bundle_folders(root):
            name = storable(folder.name)
            if _is_zipline(folder):
                zipline.append(name)
            database = folder / _METADATA_FILE
            if database.is_file():
                relative = storable(database.relative_to(root).as_posix())
                catalogs.append(CatalogFile(database, relative, "parquet_catalog", name))
            elif not any((folder / bars).is_dir() for bars in _BAR_FOLDERS):
                continue
            folders.setdefault(name, []).append(folder)
    return OldStore(root, tuple(catalogs), {name: tuple(found) for name, found in folders.items()}, tuple(zipline))


def _data_catalogs(root: Path) -> Iterator[Path]:
    for pattern in ("assets-*.db", "assets-*.sqlite"):
        yield from sorted(path for path in root.glob(pattern) if path.is_file())
    for path in (root / "data" / "catalog.db", root / "catalog.db"):
        if path.is_file():
            yield path


def _bundle_folders(root: Path) -> Iterator[Path]:
    for base in (root / "data", root / "data" / "bundles"):
        if base.is_dir():
            yield from sorted(path for path in base.iterdir() if path.is_dir() and not _is_of_a_home(path))


def _is_of_a_home(folder: Path) -> bool:
    """Return whether a folder is a bundle of this program, whose home may lie here too, or what a killed commit left of one."""
    if (folder / _METADATA_FILE).exists():
        return False
    if (folder / "manifests").is_dir():
        return True
    files = list(folder.rglob("*.parquet"))
    return bool(files) and all(_OWN_FILE.fullmatch(file.name) for file in files)


def _is_zipline(folder: Path) -> bool:
    return any(
        ingestion_moment(child.name) is not None and any(child.glob("*_equities.bcolz"))
        for child in folder.iterdir()
        if child.is_dir()
    )


def storable(name: str) -> str:
    """Return a name as text; bytes in it that are none are spelled out."""
    return os.fsencode(name).decode(errors="backslashreplace")
