"""The account's speed limit, shared by every task, thread and process of the home."""

from __future__ import annotations

import asyncio
import re
import threading
import time
import weakref
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rustybt.data.adapters.throttle_account import FOLDER, AccountBusyError, Refusal, RequestLimit, SharedAccount
from rustybt.errors import RateLimitedError

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Awaitable, Callable

T = TypeVar("T")

#: Requests leave here in order and arrive at the vendor's in any: a period lasts a little longer than the vendor's.
MARGIN_SECONDS = 1.0
#: Waits from this length on are shown, and shown again every so often.
SHOWN_SECONDS, SHOW_AGAIN_SECONDS = 1.0, 5.0
#: A lock is held for microseconds; who holds it this long has been stopped, and the others go on without it.
LOCK_PATIENCE_SECONDS = 5.0
_DIGEST = re.compile(r"-[0-9a-f]{12}$")


class Throttle:
    """How many requests an account may make, and how many of them at once.

    ``requests_per_minute`` and ``requests_per_day`` bound every minute and every 24 hours, wherever they begin; so as many
    requests as a minute allows may go at once, and then none for the rest of it. The last requests are remembered in the
    home, so that all its processes share one limit, also one after the other. Where the home cannot be written the limit
    holds within this object.

    Parameters
    ----------
    account
        Vendor and, where there is a key, ``-`` and its `digest`: never the key.
    requests_per_minute, requests_per_day
        None for no limit. Less than one a minute means one in a longer period.
    parallel_requests
        How many slots one event loop hands out at a time.
    home
        The folder; None for that of the settings, read at the first request.
    on_wait
        Called with seconds and a sentence before a wait of a second or more, and every few seconds of a longer one.
    clock, sleep
        Unix seconds, and what waits.
    """

    def __init__(
        self,
        account: str,
        *,
        requests_per_minute: float | None = None,
        requests_per_day: int | None = None,
        parallel_requests: int = 4,
        home: str | os.PathLike[str] | None = None,
        on_wait: Callable[[float, str], None] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.account = account
        self.on_wait = on_wait
        self._limits = list(_limits(requests_per_minute, requests_per_day))
        self._parallel_requests = max(1, parallel_requests)
        self._home = home
        self._clock = clock
        self._sleep = sleep
        self._shared: SharedAccount | None = None
        self._lock = threading.Lock()
        self._gates: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[asyncio.Semaphore, asyncio.Lock]] = (
            weakref.WeakKeyDictionary()
        )

    @asynccontextmanager
    async def slot(self, max_hold_seconds: float = 60.0) -> AsyncIterator[None]:
        """Wait for a place among the parallel requests and for the account's limits, and hold the place meanwhile.

        Parameters
        ----------
        max_hold_seconds
            How long to wait for a vendor that asked to be left alone, or for a new day.

        Raises
        ------
        RateLimitedError
            The vendor asked for longer than that, or the day's requests are used up; at once, not after the wait.
        """
        places, turn = self._gate()
        async with places:
            # One of us looks at the account at a time, the first that came; other processes have one as well.
            async with turn:
                await self._take(max_hold_seconds)
            yield

    async def hold_back(self, seconds: float) -> None:
        """Let nobody of this account begin a request for `seconds`: the vendor asked for it."""
        if seconds > 0:
            await self._tell(lambda account: account.hold_back(seconds))

    def show_wait(self, seconds: float, reason: str) -> None:
        """Tell whoever listens that a request waits for `seconds`, if that is worth telling."""
        if self.on_wait is not None and seconds >= SHOWN_SECONDS:
            self.on_wait(seconds, f"waiting {seconds:.0f} s: {self.vendor}{reason}")

    @property
    def vendor(self) -> str:
        """The account without the digest of its key."""
        return _DIGEST.sub("", self.account)

    async def _take(self, max_hold_seconds: float) -> None:
        while (refusal := await self._tell(lambda account: account.take(self._limits))) is not None:
            self._check_patience(refusal, max_hold_seconds)
            self.show_wait(refusal.seconds, f", {refusal.limit.text}" if refusal.limit else " asked for it")
            # In steps: meanwhile the vendor may ask another process for more.
            await self._sleep(min(refusal.seconds, SHOW_AGAIN_SECONDS))

    async def _tell(self, say: Callable[[SharedAccount], T]) -> T:
        """Return what the account answers, as soon as nobody else is at it; the loop goes on meanwhile."""
        began = time.monotonic()
        while True:
            try:
                return say(self._account())
            except AccountBusyError:
                if time.monotonic() - began > LOCK_PATIENCE_SECONDS:
                    self._go_alone("another process holds its lock")
            except OSError as error:
                self._go_alone(error.strerror or type(error).__name__)
            await asyncio.sleep(0.001)

    def _check_patience(self, refusal: Refusal, max_hold_seconds: float) -> None:
        """Refuse to wait for hours in silence; the minute's limit is always waited for."""
        limit = refusal.limit
        if refusal.seconds <= max_hold_seconds or (limit is not None and limit.name == "minute"):
            return
        reason = "asked to be left alone" if limit is None else f"allows {limit.text}, and they are used up"
        raise RateLimitedError(
            f"{self.vendor} {reason}; the next request may go in {duration_text(refusal.seconds)}",
            hint="run the same command again then: what is finished is kept",
            retry_after_seconds=round(refusal.seconds, 1),
        )

    def _gate(self) -> tuple[asyncio.Semaphore, asyncio.Lock]:
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._gates:
                self._gates[loop] = (asyncio.Semaphore(self._parallel_requests), asyncio.Lock())
            return self._gates[loop]

    def _account(self) -> SharedAccount:
        with self._lock:
            if self._shared is None:
                self._shared = SharedAccount(self._folder(), self.account, self._clock)
            return self._shared

    def _folder(self) -> Path:
        if self._home is not None:
            return Path(self._home) / FOLDER
        from rustybt.config import load_settings

        return load_settings().home / FOLDER

    def _go_alone(self, reason: str) -> None:
        """Count in memory from now on: a home that cannot be written is no reason not to read a vendor."""
        from rustybt.logging import get_logger

        get_logger(__name__).debug("throttle_not_shared", account=self.account, reason=reason)
        with self._lock:
            self._shared = SharedAccount(None, self.account, self._clock)


def duration_text(seconds: float) -> str:
    """Return a duration as a person says it: ``40 s``, ``12 min``, ``5.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def _limits(requests_per_minute: float | None, requests_per_day: int | None) -> list[RequestLimit]:
    limits = []
    if requests_per_minute:
        requests = max(1, int(requests_per_minute))
        seconds = 60.0 * requests / requests_per_minute + MARGIN_SECONDS
        limits.append(RequestLimit("minute", requests, seconds, f"{requests_per_minute:g}/min"))
    if requests_per_day:
        limits.append(RequestLimit("day", requests_per_day, 86_400.0 + MARGIN_SECONDS, f"{requests_per_day}/day"))
    return limits
