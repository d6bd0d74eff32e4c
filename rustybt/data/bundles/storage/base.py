"""What the store needs of a place that keeps files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Storage(Protocol):
    """Immutable files under home-relative POSIX keys (``us/daily_bars/0b5e….parquet``).

    Keys, not paths, so that a home can be moved and an object store can follow.
    """

    @property
    def location(self) -> str:
        """Where the files lie, for messages and as a key of caches."""
        ...

    def local_path(self, key: str) -> Path | None:
        """Return the path of a file on this machine's disk, None where there is no such thing."""
        ...

    def put_new(self, key: str, data: bytes) -> None:
        """Write a file that does not exist yet; durable (also after power loss) on return.

        Raises
        ------
        StorageError
            Disk full, read-only, not permitted; nothing is visible under `key`.
        """
        ...

    def open(self, key: str) -> bytes:
        """Read a whole file.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        StorageError
            The file cannot be read.
        """
        ...

    def list(self, prefix: str) -> Iterator[StoredFile]:
        """Yield every file under the folder `prefix`, temporary files included."""
        ...

    def delete(self, key: str) -> None:
        """Remove a file; no error when it is gone already."""
        ...

    def stamp(self, key: str) -> tuple[int, ...]:
        """Return a cheap identity of the file's present bytes; another value means that they may have changed.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        """
        ...


class StoredFile(Protocol):
    """One entry of `Storage.list`."""

    @property
    def key(self) -> str:
        """Home-relative POSIX key."""
        ...

    @property
    def size_bytes(self) -> int:
        """Length of the file."""
        ...

    @property
    def modified_at(self) -> float:
        """Unix seconds of the last change."""
        ...
