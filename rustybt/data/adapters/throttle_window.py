"""So many requests in any period of so many seconds, exactly: the times of the last ones, as a ring in a file."""

from __future__ import annotations

import math
import struct
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEADER = struct.Struct("<8sQQ")
_STAMP = struct.Struct("<d")
_MAGIC = b"RBTRING1"
MAX_STAMPS = 1_000_000


class RequestWindow:
    """The newest requests of an account; reading and adding one costs the same however many are kept.

    Times are Unix seconds, for they are compared across processes and, for a day's limit, across restarts of the machine.
    A clock that is set back shifts what is stored by the same amount, so that nobody waits longer than one period.

    Parameters
    ----------
    file
        Open for reading and writing, unbuffered, or bytes in memory; whoever calls holds the lock. Anything but a ring is
        taken for an empty one.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        file.seek(0)
        header = file.read(_HEADER.size)
        self._capacity = self._count = 0
        if len(header) == _HEADER.size:
            magic, capacity, count = _HEADER.unpack(header)
            size = file.seek(0, 2)
            if magic == _MAGIC and 0 < capacity <= MAX_STAMPS and size >= _HEADER.size + capacity * _STAMP.size:
                self._capacity, self._count = capacity, count

    def seconds_until_free(self, requests: int, period_seconds: float, now: float) -> float:
        """Return how long to wait until one more request makes at most `requests` in `period_seconds`; 0 for not at all."""
        if self._count == 0:
            return 0.0
        newest = self._stamp(1)
        if not math.isfinite(newest):
            self._rewrite(max(self._capacity, 1), [])
            return 0.0
        if newest > now:
            self._rewrite(self._capacity, [stamp - (newest - now) for stamp in self._stamps()])
        if min(self._count, self._capacity) < requests:
            return 0.0
        return max(0.0, self._stamp(requests) + period_seconds - now)

    def add(self, requests: int, now: float) -> None:
        """Record a request at `now`, keeping at least the last `requests`."""
        if requests > self._capacity:
            self._rewrite(min(requests, MAX_STAMPS), list(self._stamps()))
        # The count first: a process that is killed between the two makes no request, and leaves an old time behind.
        self._file.seek(0)
        self._file.write(_HEADER.pack(_MAGIC, self._capacity, self._count + 1))
        self._file.seek(_HEADER.size + (self._count % self._capacity) * _STAMP.size)
        self._file.write(_STAMP.pack(now))
        self._count += 1

    def _stamp(self, back: int) -> float:
        """Return the time of the request that is `back` before the next one."""
        self._file.seek(_HEADER.size + ((self._count - back) % self._capacity) * _STAMP.size)
        found = self._file.read(_STAMP.size)
        return float(_STAMP.unpack(found)[0]) if len(found) == _STAMP.size else math.nan

    def _stamps(self) -> Iterable[float]:
        """Return the kept times, oldest first."""
        return [self._stamp(back) for back in range(min(self._count, self._capacity), 0, -1)]

    def _rewrite(self, capacity: int, stamps: list[float]) -> None:
        """Lay out `stamps` anew; a process killed at any point leaves a readable ring of the same times."""
        kept = stamps[-capacity:]
        end = _HEADER.size + capacity * _STAMP.size
        if self._file.seek(0, 2) < end:
            self._file.seek(end - 1)
            self._file.write(b"\0")
        self._file.seek(_HEADER.size)
        self._file.write(struct.pack(f"<{len(kept)}d", *kept))
        self._file.seek(0)
        self._file.write(_HEADER.pack(_MAGIC, capacity, len(kept)))
        self._capacity, self._count = capacity, len(kept)
