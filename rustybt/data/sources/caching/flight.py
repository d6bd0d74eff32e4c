"""One fetch for many who want the same: tasks, threads and processes wait for the one that asks."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from filelock import FileLock, Timeout

from rustybt.logging import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

logger = get_logger(__name__)

#: Symbols are spread over so many locks: requests for other symbols seldom wait for each other.
STRIPES = 16
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.002, 0.1

_tasks: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, int], asyncio.Lock]] = WeakKeyDictionary()


def stripes_of(symbols: Iterable[str]) -> list[int]:
    """Return the locks of symbols, in the one order in which everybody takes them."""
    return sorted({zlib.crc32(symbol.encode()) % STRIPES for symbol in symbols})


@asynccontextmanager
async def flight(
    root: Path, dataset: str, symbols: Iterable[str], on_wait: Callable[[], None] | None = None
) -> AsyncIterator[None]:
    """Hold the right to fetch some symbols of a dataset; a process that dies gives it back.

    Where the folder cannot be written, only tasks and threads of this process wait for each other.

    Parameters
    ----------
    on_wait
        Called once if another one is at it.
    """
    wanted = stripes_of(symbols)
    mine = _tasks.setdefault(asyncio.get_running_loop(), {})
    taken: list[asyncio.Lock | FileLock] = []
    told = False

    def tell() -> None:
        nonlocal told
        if on_wait is not None and not told:
            on_wait()
        told = True

    try:
        for stripe in wanted:
            lock = mine.setdefault((f"{root}/{dataset}", stripe), asyncio.Lock())
            if lock.locked():
                tell()
            await lock.acquire()
            taken.append(lock)
        for stripe in wanted:
            file = await _file_lock(root / "locks" / f"{dataset}-{stripe:02d}.lock", tell)
            if file is None:
                break
            taken.append(file)
        yield
    finally:
        for held in reversed(taken):
            held.release()


async def _file_lock(path: Path, tell: Callable[[], Any]) -> FileLock | None:
    lock = FileLock(path, timeout=0, thread_local=False)
    wait = _FIRST_WAIT_SECONDS
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                lock.acquire()
            except Timeout:
                tell()
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
            else:
                return lock
    except OSError as error:
        # What cannot be locked cannot be written either: nobody else is kept from anything.
        logger.debug("cache_lock_unavailable", path=str(path), reason=str(error))
        return None
