"""What Alpha Vantage says instead of data: a limit, a plan, a key, a symbol; with status 200, and in words that change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rustybt.data.adapters.redaction import redact
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    RateLimitedError,
    SourceError,
    SourceUnavailableError,
    SymbolNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_HINT = "set ALPHAVANTAGE_API_KEY; a free key: https://www.alphavantage.co/support/#api-key"
PREMIUM_HINT = "without premium: daily bars of the last 100 sessions, weekly and monthly bars"
_LIMIT_WORDS = ("rate limit", "call frequency", "per day", "per minute", "per second")
#: The free day is used up: nobody waits for the next one.
DAY_SECONDS = 86_400.0


def read_message(text: str, symbol: str, waits: Mapping[str, Any]) -> SourceError:
    """Return the error that a message stands for.

    Alpha Vantage has three members for them, ``Note``, ``Information`` and ``Error Message``, and changes their words from
    time to time; limits have been seen in the first two.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return BadResponseError("alphavantage answers with what is neither CSV nor one of its messages")
    messages = {name: str(found[name]) for name in ("Error Message", "Information", "Note") if name in found}
    said = " ".join(messages.values())
    # The message about the day's limit repeats the key.
    shown = redact(said)[:200]
    lower = said.lower()
    if "demo" in lower or ("apikey" in lower and "invalid or missing" in lower):
        return AuthenticationError("alphavantage refuses the key", hint=KEY_HINT, concerns_all=True)
    # Not "premium endpoints", which the messages about limits praise.
    if "is a premium" in lower:
        return AuthenticationError("alphavantage gives this to premium keys only", hint=PREMIUM_HINT, is_premium=True)
    if any(words in lower for words in _LIMIT_WORDS):
        return _limited(lower, waits)
    if "invalid api call" in lower and symbol:
        return SymbolNotFoundError(
            f"alphavantage does not know {symbol}, or has nothing of what was asked",
            hint="it writes symbols as AAPL, BRK-B and TSCO.LON",
            symbol=symbol,
        )
    return BadResponseError(
        f"alphavantage refuses: {shown}" if said else "alphavantage answers with JSON that says nothing"
    )


def _limited(lower: str, waits: Mapping[str, Any]) -> RateLimitedError:
    """Return how long the limit lasts: a burst is over soon, a day is not waited for."""
    if waits:
        return RateLimitedError("alphavantage: too many requests", **waits)
    if "per second" in lower or "burst" in lower or "sparingly" in lower:
        return RateLimitedError("alphavantage: too many requests in a second")
    if "per minute" in lower:
        return RateLimitedError("alphavantage: too many requests in a minute", retry_after_seconds=60.0)
    return RateLimitedError(
        "alphavantage: the requests of the day are used up",
        hint="a free key has 25 a day; run the same command again tomorrow: what is finished is kept",
        retry_after_seconds=DAY_SECONDS,
    )


def read_status(status: int, waits: Mapping[str, Any]) -> SourceError:
    """Return the error that an HTTP status other than 200 stands for; Alpha Vantage itself has hardly any."""
    if status == 429:
        return RateLimitedError("alphavantage: too many requests", **waits)
    if status in (401, 403):
        return AuthenticationError(f"alphavantage refuses the key, status {status}", hint=KEY_HINT)
    if status in (408, 425) or status >= 500:
        return SourceUnavailableError(f"alphavantage is down: status {status}")
    return BadResponseError(f"alphavantage refuses the request with status {status}")
