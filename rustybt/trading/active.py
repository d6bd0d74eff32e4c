"""Which algorithm the functions of `rustybt.api` speak to."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

_active: ContextVar[Any] = ContextVar("rustybt_active_algorithm", default=None)


def active_algorithm(name: str) -> Any:
    """Return the algorithm that runs in this context.

    Raises
    ------
    RequestError
        None runs: `name` was called outside a strategy's functions.
    """
    algorithm = _active.get()
    if algorithm is None:
        raise RequestError(
            f"{name}() was called while no algorithm is running",
            hint="call it in initialize, handle_data or a scheduled function of a run",
        )
    return algorithm


@contextmanager
def activate(algorithm: Any) -> Iterator[None]:
    """Let the functions of `rustybt.api` speak to `algorithm` meanwhile."""
    token = _active.set(algorithm)
    try:
        yield
    finally:
        _active.reset(token)
