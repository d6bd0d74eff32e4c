"""What all processes of a home know of an account: its last requests, and until when its vendor wants no more."""

from __future__ import annotations

import hashlib
import io
import math
import re
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from rustybt.data.adapters.throttle_window import RequestWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

#: Folder below the home.
FOLDER = ".rustybt/throttle"
_HOLD = struct.Struct("<dd")
_SAFE = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RequestLimit:
    """At most `requests` in any `period_seconds`; `text` is how a person says it: ``5/min``."""

    name: str
    requests: int
    period_seconds: float
    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no request may be made now, and for how long; `limit` is None when the vendor itself asked to wait."""

    seconds: float
    limit: RequestLimit | None = None


class AccountBusyError(Exception):
    """Another process is looking at the account this very moment; internal, try again at once."""


class SharedAccount:
    """The files of one account under one lock, or their like in memory where the home cannot be written.

    Nothing is synced to the disk: what a power cut loses is the memory of the last minute.

    Parameters
    ----------
    folder
        None keeps everything in memory.
    clock
        Unix seconds; read under the lock, for times must enter in their order.
    """

    def __init__(self, folder: Path | None, account: str, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._name = _file_name(account)
        self._memory: dict[str, io.BytesIO] = {}
        self._memory_lock = threading.Lock()

    def take(self, limits: Sequence[RequestLimit]) -> Refusal | None:
        """Record a request now if every limit allows it; else return why not, and record nothing.

        Raises
        ------
        AccountBusyError
            Another process has the lock; it holds it for microseconds.
        OSError
            The files cannot be used.
        """
        if not limits:
            # Nothing to record: the vendor's wish is two numbers, and needs no lock to be read.
            return self._hold(self._clock())
        with self._locked():
            now = self._clock()
            refusal = self._hold(now)
            for limit in limits:
                with self._open(limit.name) as file:
                    seconds = RequestWindow(file).seconds_until_free(limit.requests, limit.period_seconds, now)
                if seconds > 0 and (refusal is None or seconds > refusal.seconds):
                    refusal = Refusal(seconds, limit)
            if refusal is None:
                for limit in limits:
                    with self._open(limit.name) as file:
                        RequestWindow(file).add(limit.requests, now)
            return refusal

    def hold_back(self, seconds: float) -> None:
        """Refuse every request for `seconds` from now on, or longer if that was asked before.

        Raises
        ------
        AccountBusyError
            As `take`.
        OSError
            As `take`.
        """
        with self._locked():
            now = self._clock()
            before = self._hold(now)
            if before is None or before.seconds < seconds:
                with self._open("hold") as file:
                    file.seek(0)
                    file.write(_HOLD.pack(now, now + seconds))

    def _hold(self, now: float) -> Refusal | None:
        try:
            with self._open("hold", create=False) as file:
                file.seek(0)
                found = file.read(_HOLD.size)
        except FileNotFoundError:
            return None
        if len(found) < _HOLD.size:
            return None
        since, until = _HOLD.unpack(found)
        # Not a number, or a clock that was set back: as long as was asked for, at most, counts from what is known.
        if not (math.isfinite(since) and math.isfinite(until)) or until <= now:
            return None
        if since > now:
            self._shift_hold(now, until - since)
            return Refusal(until - since)
        return Refusal(until - now)

    def _shift_hold(self, now: float, seconds: float) -> None:
        with self._open("hold") as file:
            file.seek(0)
            file.write(_HOLD.pack(now, now + seconds))

    @contextmanager
    def _open(self, name: str, *, create: bool = True) -> Iterator[IO[bytes]]:
        if self._folder is None:
            if not create and name not in self._memory:
                raise FileNotFoundError
            yield self._memory.setdefault(name, io.BytesIO())
            return
        path = self._folder / f"{self._name}.{name}"
        try:
            file = path.open("r+b", buffering=0)
        except FileNotFoundError:
            if not create:
                raise
            self._folder.mkdir(parents=True, exist_ok=True)
            file = path.open("w+b", buffering=0)
        with file:
            yield file

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the account's lock, which dies with its process; never wait for it."""
        with self._memory_lock:
            if self._folder is None:
                yield
                return
            from filelock import FileLock, Timeout

            self._folder.mkdir(parents=True, exist_ok=True)
            # A lock object of its own each time: those of filelock count, and must not be shared by threads.
            lock = FileLock(self._folder / f"{self._name}.lock")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                raise AccountBusyError from None
            try:
                yield
            finally:
                lock.release()


def _file_name(account: str) -> str:
    """Return a name that every file system takes; accounts that differ get names that differ."""
    if _SAFE.fullmatch(account):
        return account
    plain = re.sub(r"[^a-z0-9._-]+", "-", account.lower())[:80].strip("-.") or "account"
    return f"{plain}-{hashlib.sha256(account.encode()).hexdigest()[:12]}"
