"""One request, tried again where that may help."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from rustybt.data.adapters.redaction import mask_error, redact
from rustybt.data.adapters.throttle import duration_text
from rustybt.errors import BadResponseError, RateLimitedError, RustybtError, SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rustybt.data.adapters.base import BaseDataAdapter

T = TypeVar("T")

#: A body cut short or mangled on its way comes whole the next time; one that is malformed thrice is the vendor's answer.
BAD_RESPONSE_ATTEMPTS = 3
#: A vendor that asks for longer is tried again after this, for nobody can take its wish back.
LONGEST_HOLD_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a request is tried.

    Parameters
    ----------
    max_attempts
        Requests in all, the first included; a malformed answer is asked for at most 3 times.
    first_wait_seconds, max_wait_seconds
        The wait doubles from the first on, with jitter; a vendor that asks (``Retry-After``) for longer than the largest
        is not waited for, the error says how long it asked.
    max_total_seconds
        No further attempt begins later than this after the first; waiting for one's turn under the account's limits
        does not count.
    """

    max_attempts: int = 5
    first_wait_seconds: float = 0.5
    max_wait_seconds: float = 60.0
    max_total_seconds: float = 300.0

    def wait_seconds(self, attempt: int) -> float:
        """Return how long to wait after the failed `attempt`, counted from 1; a little different each time."""
        longest: float = min(self.max_wait_seconds, self.first_wait_seconds * 2.0 ** min(attempt - 1, 60))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  spreads waits, guards nothing


async def call_with_retries(adapter: BaseDataAdapter, what: str, request: Callable[[], Awaitable[T]]) -> T:
    """Make one request of `adapter` under its account's limits; see `BaseDataAdapter.call`."""
    policy = adapter.connection.retry
    spent = 0.0
    for attempt in count(1):
        # A refusal of the throttle itself is final: it waits for all that is worth waiting for.
        async with adapter.throttle.slot(policy.max_wait_seconds):
            started = time.monotonic()
            adapter.count_attempt()
            try:
                return await request()
            except Exception as error:
                if isinstance(error, RustybtError) and not isinstance(error, SourceError):
                    raise
                found = error if isinstance(error, SourceError) else adapter.map_error(error)
                if found is None:
                    raise
            spent += time.monotonic() - started
        # Outside of the handler: what the client raised holds the address, and would be shown as the context.
        failure = mask_error(found)
        _log(adapter, what, attempt, failure)
        asked = _asked_seconds(failure)
        # Asked for no time at all, or until an instant that is over: still not at once.
        wait = asked or policy.wait_seconds(attempt)
        spent += wait
        if not _may_try_again(policy, failure, attempt, wait, spent):
            if asked is not None and isinstance(failure, RateLimitedError):
                # The others need not find out for themselves.
                await adapter.throttle.hold_back(min(asked, LONGEST_HOLD_SECONDS))
            raise _final(failure, attempt, asked, wait)
        if asked is not None or isinstance(failure, RateLimitedError):
            # For all of the account; the next slot waits for it.
            await adapter.throttle.hold_back(wait)
        else:
            adapter.throttle.show_wait(wait, f" does not answer {what}, attempt {attempt + 1} of {policy.max_attempts}")
            await asyncio.sleep(wait)
    raise AssertionError  # pragma: no cover - count() does not end


def _may_try_again(policy: RetryPolicy, failure: SourceError, attempt: int, wait: float, spent: float) -> bool:
    if isinstance(failure, BadResponseError):
        allowed = min(policy.max_attempts, BAD_RESPONSE_ATTEMPTS)
    elif isinstance(failure, SourceUnavailableError | RateLimitedError):
        allowed = policy.max_attempts
    else:
        return False
    return attempt < allowed and wait <= policy.max_wait_seconds and spent <= policy.max_total_seconds


def _asked_seconds(failure: SourceError) -> float | None:
    """Return for how long the vendor asked to wait; None where it did not say."""
    asked = failure.details.get("retry_after_seconds")
    return float(asked) if isinstance(asked, int | float) and 0 <= asked < float("inf") else None


def _final(failure: SourceError, attempts: int, asked: float | None, wait: float) -> SourceError:
    """Say how often it was tried and for how long the vendor asked to wait."""
    notes = [f"after {attempts} attempts"] if attempts > 1 else []
    if asked:
        notes.append(f"it asks to wait {duration_text(asked)}")
    if notes:
        failure.message = f"{failure.message} ({', '.join(notes)})"
        failure.args = (failure.message,)
    failure.details["attempts"] = attempts
    if isinstance(failure, SourceUnavailableError) and failure.hint is None:
        failure.hint = (
            "check the network, and --proxy or --base-url where given; the same command goes on from what it has"
        )
    if isinstance(failure, RateLimitedError) and asked is None:
        failure.details["retry_after_seconds"] = round(wait, 1)
    return failure


def _log(adapter: BaseDataAdapter, what: str, attempt: int, failure: SourceError) -> None:
    from rustybt.logging import get_logger

    get_logger(__name__).debug(
        "request_failed",
        source=adapter.name,
        what=redact(what),
        attempt=attempt,
        code=failure.code,
        reason=failure.message,
    )
