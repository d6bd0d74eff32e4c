"""Which files leave when the cache is over its limit; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Share of the limit at which a user is warned.
WARNING_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class CachedFile:
    """One file of a cache directory.

    Parameters
    ----------
    size_bytes
        That count against the limit: 0 for a file that a bundle refers to.
    last_accessed
        Unix seconds.
    """

    file_key: str
    dataset: str
    size_bytes: int
    last_accessed: float


def choose_victims(files: Iterable[CachedFile], max_size_bytes: int) -> list[CachedFile]:
    """Return the files to remove, least recently used first, until what counts is within `max_size_bytes`.

    What turned out not to be needed stays: where a large file has to leave, the small ones before it often need not. A file
    that a bundle shares frees nothing and stays.
    """
    held = sorted(files, key=lambda file: (file.last_accessed, file.file_key))
    size = sum(file.size_bytes for file in held)
    victims = []
    for file in held:
        if size <= max_size_bytes:
            break
        if file.size_bytes:
            victims.append(file)
            size -= file.size_bytes
    needed = []
    for file in reversed(victims):
        if size + file.size_bytes <= max_size_bytes:
            size += file.size_bytes
        else:
            needed.append(file)
    return needed[::-1]
