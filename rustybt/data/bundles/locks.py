"""One writer at a time for each bundle."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from rustybt.data.bundles.metadata_store.database import INTERNAL_FOLDER
from rustybt.data.bundles.storage.local import translated
from rustybt.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def bundle_lock(home: Path, name: str, timeout_seconds: float) -> Iterator[None]:
    """Hold the right to change a bundle; a process that dies gives it back.

    Raises
    ------
    ConflictError
        Another process held it for longer than `timeout_seconds`.
    StorageError
        The home cannot be written.
    """
    folder = home / INTERNAL_FOLDER / "locks"
    lock = FileLock(folder / f"{name.casefold()}.lock", timeout=timeout_seconds)
    try:
        with translated("lock", folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
    except Timeout as error:
        raise ConflictError(
            f"another process has been changing bundle {name} for more than {timeout_seconds:g} s",
            hint="run the command again, or raise bundle.lock_timeout_seconds",
            bundle=name,
        ) from error
    try:
        yield
    finally:
        lock.release()
