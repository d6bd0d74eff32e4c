"""The cache that an ingest function is given: data frames by name, on disk."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


class FrameCache(MutableMapping[str, "pd.DataFrame"]):
    """Pandas frames in files of a folder; ``cache[:]`` is a dict of all.

    Parameters
    ----------
    folder
        Where the files are put; whoever made it removes it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}
        self._written = 0

    def __getitem__(self, key: Any) -> Any:
        import pandas as pd

        if isinstance(key, slice):
            return dict(self.items())
        return pd.read_pickle(self._files[key])  # noqa: S301  the file is this object's own

    def __setitem__(self, key: str, frame: pd.DataFrame) -> None:
        # Named by number: a key is data and no part of a path.
        path = self._folder / f"{self._written}.pickle"
        self._written += 1
        frame.to_pickle(path)
        self._forget(self._files.get(key))
        self._files[key] = path

    def __delitem__(self, key: str) -> None:
        self._forget(self._files.pop(key))

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._files))

    def __len__(self) -> int:
        return len(self._files)

    def _forget(self, path: Path | None) -> None:
        if path is not None:
            path.unlink(missing_ok=True)
