"""How many requests an adapter has sent."""

from __future__ import annotations

import threading


class RequestCount:
    """Counts requests from any thread; apart from the adapter, so that a client which counts does not keep it alive."""

    __slots__ = ("_mutex", "_sent")

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._sent = 0

    def add(self) -> None:
        """Count one request."""
        with self._mutex:
            self._sent += 1

    @property
    def sent(self) -> int:
        """Requests so far."""
        return self._sent
