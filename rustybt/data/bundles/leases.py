"""Leases: which versions are open in which living process.

A lease is one OS-locked file per process and opened version. The operating system frees the lock when the process ends, however
it ends; garbage collection takes a lock that it can get for a dead process's.
"""

from __future__ import annotations

import os
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEPARATOR = "~"
_ATTEMPTS = 10


class LeaseRegistry:
    """The leases of this process in one home, and a look at everyone's.

    Parameters
    ----------
    folder
        Where lease files lie; made on the first lease.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mutex = threading.Lock()
        self._held: dict[str, tuple[FileLock, int]] = {}

    def acquire(self, bundle: str, version: int) -> str | None:
        """Hold a version until `release`; None in a home that cannot be written (nobody can collect there either)."""
        reference = f"{bundle}@{version}"
        with self._mutex:
            lock, count = self._held.get(reference, (None, 0))
            if lock is None:
                lock = self._lock(reference)
                if lock is None:
                    return None
            self._held[reference] = (lock, count + 1)
        return reference

    def _lock(self, reference: str) -> FileLock | None:
        for _ in range(_ATTEMPTS):
            path = self._folder / f"{reference}{_SEPARATOR}{os.getpid()}-{uuid.uuid4().hex[:8]}"
            lock = FileLock(path, timeout=0, thread_local=False)
            try:
                self._folder.mkdir(exist_ok=True)
                lock.acquire()
            except Timeout:
                continue  # a sweep took the new file for a dead process's
            except OSError:
                return None
            if path.exists():
                return lock
            lock.release()
        return None

    def release(self, reference: str | None) -> None:
        """Give a lease back; the last one of this process removes the file."""
        if reference is None:
            return
        with self._mutex:
            lock, count = self._held.get(reference, (None, 0))
            if lock is None:
                return
            if count > 1:
                self._held[reference] = (lock, count - 1)
                return
            del self._held[reference]
            with suppress(OSError):
                Path(lock.lock_file).unlink()
            lock.release()

    def living(self) -> dict[str, list[int]]:
        """Return ``bundle@version`` -> process ids that hold it, and sweep the files of dead processes away."""
        found: dict[str, list[int]] = {}
        for path, reference, process in self._files():
            if process == os.getpid() and self._is_own(path):
                found.setdefault(reference, []).append(process)
                continue
            probe = FileLock(path, timeout=0, thread_local=False)
            try:
                probe.acquire()
            except (Timeout, OSError):
                found.setdefault(reference, []).append(process)
                continue
            with suppress(OSError):
                path.unlink()
            probe.release()
        return found

    def _is_own(self, path: Path) -> bool:
        with self._mutex:
            return any(Path(lock.lock_file) == path for lock, _ in self._held.values())

    def _files(self) -> Iterator[tuple[Path, str, int]]:
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.iterdir()):
            reference, _, process = path.name.rpartition(_SEPARATOR)
            number = process.partition("-")[0]
            if reference and number.isdigit():
                yield path, reference, int(number)
