"""The one bridge between the asynchronous sources and callers without a loop.

A thread of its own runs one event loop for the life of the process, so that a vendor client's connections outlive a call
and a caller inside a running loop (Jupyter, a web handler) can wait as well.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import wait
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_WAIT_SECONDS = 0.25
#: How long a cancelled coroutine may take to put in order what it was at.
_ENDING_SECONDS = 10.0

_lock = threading.Lock()
_bridge: _LoopThread | None = None


class _LoopThread:
    """A daemon thread that runs an event loop."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="rustybt-bridge", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while True:
            try:
                self.loop.run_forever()
            except (KeyboardInterrupt, SystemExit):
                # Polars raises Ctrl-C in whichever thread computes; the main thread is told as well and decides. A source that
                # calls `sys.exit` ends its caller, not everybody's bridge.
                continue
            return


def _loop_thread() -> _LoopThread:
    """Return the process's bridge; a forked child gets one of its own, for threads do not survive a fork."""
    global _bridge  # noqa: PLW0603  one loop per process is the point
    with _lock:
        if _bridge is None or _bridge.pid != os.getpid():
            _bridge = _LoopThread()
        return _bridge


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end and return its result, also when the calling thread runs an event loop.

    The caller waits; an interrupt (Ctrl-C) cancels the coroutine, which may still keep what it has before the caller goes on.
    """
    bridge = _loop_thread()
    if threading.current_thread() is bridge.thread:
        return _run_aside(coroutine)
    begun: list[asyncio.Task[Any]] = []
    future = asyncio.run_coroutine_threadsafe(_noted(coroutine, begun), bridge.loop)
    try:
        while not future.done():
            # In short waits: a wait without end cannot be interrupted everywhere (not on Windows).
            wait([future], timeout=_WAIT_SECONDS)
        return future.result()
    except BaseException:
        if future.cancel():
            asyncio.run_coroutine_threadsafe(_ended(coroutine, begun), bridge.loop).result()
        raise


async def _noted(coroutine: Coroutine[Any, Any, T], begun: list[asyncio.Task[Any]]) -> T:
    task = asyncio.current_task()
    if task is not None:
        begun.append(task)
    return await coroutine


async def _ended(coroutine: Coroutine[Any, Any, Any], begun: list[asyncio.Task[Any]]) -> None:
    """Wait for the end of a coroutine that was cancelled, but not for ever."""
    if begun:
        await asyncio.wait(begun, timeout=_ENDING_SECONDS)
    else:
        coroutine.close()


async def join(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` on the bridge and await it from any loop: a vendor's connections belong to one loop.

    A task that is cancelled here ends when the coroutine has put in order what it was at.
    """
    bridge = _loop_thread()
    if asyncio.get_running_loop() is bridge.loop:
        return await coroutine
    begun: list[asyncio.Task[Any]] = []
    future = asyncio.run_coroutine_threadsafe(_noted(coroutine, begun), bridge.loop)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_ended(coroutine, begun), bridge.loop))
        raise


def _run_aside(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run on a fresh thread: a coroutine on the bridge asked for a synchronous answer, waiting on itself would hang."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(asyncio.run(coroutine))
        except BaseException as error:  # noqa: BLE001  carried to the caller's thread and raised there
            failure.append(error)

    thread = threading.Thread(target=work, name="rustybt-bridge-aside")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def iterate(items: Iterator[T] | AsyncIterator[T]) -> Iterator[T]:
    """Yield the items of either kind of iterator; an asynchronous one is driven on the bridge and closed at the end."""
    if isinstance(items, Iterator):
        yield from items
        return
    driven = _Driven(items)
    try:
        while True:
            try:
                item = run(driven.next())
            except StopAsyncIteration:
                return
            yield item
    finally:
        run(driven.close())


class _Driven(Generic[T]):
    """An asynchronous iterator that is stepped from another thread."""

    def __init__(self, items: AsyncIterator[T]) -> None:
        self._items = items
        self._step: asyncio.Task[Any] | None = None

    async def next(self) -> T:
        self._step = asyncio.current_task()
        return await anext(self._items)

    async def close(self) -> None:
        """Close the iterator; a step that was interrupted ends first, for a generator that runs cannot be closed."""
        if self._step is not None and not self._step.done():
            self._step.cancel()
            await asyncio.wait([self._step])
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()
