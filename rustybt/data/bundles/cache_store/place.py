"""Where a cache keeps its files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rustybt.data.bundles.metadata_store.database import INTERNAL_FOLDER
from rustybt.data.bundles.storage import LocalStorage

if TYPE_CHECKING:
    from typing import Self

FOLDER = "cache"


@dataclass(frozen=True, slots=True)
class CachePlace:
    """One cache directory of a home.

    Parameters
    ----------
    text
        As the database holds it: empty for the one inside the home, else the absolute path.
    owner
        The home whose ledger knows the files, where they lie outside of it; empty inside, so that a home can be moved.
    """

    root: Path
    text: str
    owner: str = ""

    @classmethod
    def of(cls, home: Path, cache_dir: str | os.PathLike[str] | None) -> Self:
        """Return the place of a directory; None and an empty text are the one inside the home."""
        inside = home / INTERNAL_FOLDER / FOLDER
        if cache_dir is None or not os.fspath(cache_dir):
            return cls(inside, "")
        root = Path(os.path.abspath(Path(cache_dir).expanduser()))  # noqa: PTH100 - links stay as they are named
        return cls(inside, "") if root == inside else cls(root, str(root), str(home))

    @property
    def storage(self) -> LocalStorage:
        """The files."""
        return LocalStorage(self.root)

    def shown(self, file_key: str) -> str:
        """Return what the catalog shows as the path of a file: relative to the home where it lies in it."""
        return f"{INTERNAL_FOLDER}/{FOLDER}/{file_key}" if not self.text else (self.root / file_key).as_posix()
