"""Which file of a bundle's folder a path in its catalog means.

The catalog may have been written on another machine, before the root was moved, relative to the root or to the bundle, or with
backslashes. What is left of all of these is the end of the path.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

# Of a path of another place: the folder of the frequency, the partition and the file.
_SHOWN_PARTS = 4


@dataclass(frozen=True, slots=True)
class PathInFolder:
    """Where a recorded path leads.

    Parameters
    ----------
    relative
        The file of the folder that is meant; empty where none is.
    expected
        Where the file would lie, POSIX, relative to the bundle's folder.
    is_outside
        The path leads out of the folder.
    """

    relative: str = ""
    expected: str = ""
    is_outside: bool = False


class RecordedPaths:
    """Finds the files that recorded paths mean.

    Parameters
    ----------
    folder
        The bundle's, absolute.
    files
        What lies in it, POSIX and relative to it.
    """

    def __init__(self, folder: Path, files: Iterable[str]) -> None:
        self._folder = folder
        self._files: Mapping[tuple[str, ...], str] = {_parts(name): name for name in files}
        roots = (folder, folder.resolve())
        self._roots = tuple(dict.fromkeys(_parts(root.as_posix()) for root in roots))
        self._names = {root[-1] for root in self._roots if root}

    def find(self, recorded: str) -> PathInFolder:
        """Return where `recorded` leads."""
        plain = posixpath.normpath(re.sub(r"^[A-Za-z]:", "", recorded.strip().replace("\\", "/")))
        parts = _parts(plain)
        inside = self._within(plain, parts)
        if inside is not None:
            return self._at(inside)
        climbs = ".." in re.split(r"[/\\]", recorded)
        if climbs and (plain.startswith("/") or parts[:1] == ("..",)):
            return PathInFolder(expected=plain, is_outside=True)
        # Behind the folder's own name, wherever the root was.
        behind = [parts[at + 1 :] for at in range(len(parts) - 2, -1, -1) if parts[at] in self._names]
        there = next((rest for rest in behind if rest in self._files), None)
        if there is None and recorded.startswith("/") and os.path.lexists(recorded.strip()):
            return PathInFolder(expected=plain, is_outside=True)
        if there is None and not behind:
            # The folder has another name now: the longest end that is a whole path in it.
            there = next((parts[at:] for at in range(len(parts)) if parts[at:] in self._files), None)
        return self._at(there if there is not None else behind[0] if behind else parts[-_SHOWN_PARTS:])

    def _within(self, plain: str, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return the path below the folder as it stands here; None for one that means another place, or none here."""
        if not plain.startswith("/"):
            return parts if parts in self._files else None
        below = (parts[len(root) :] for root in self._roots if parts[: len(root)] == root and len(parts) > len(root))
        return next(below, None)

    def _at(self, parts: tuple[str, ...]) -> PathInFolder:
        name = "/".join(parts)
        return PathInFolder(self._files.get(parts, ""), name)


def _parts(text: str) -> tuple[str, ...]:
    """Return the parts of a path, composed: one file system hands names out decomposed, another as they were written."""
    return tuple(unicodedata.normalize("NFC", part) for part in text.split("/") if part not in ("", "."))
