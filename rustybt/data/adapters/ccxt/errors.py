"""What ccxt's exceptions mean, told by their class, the HTTP status and what broke underneath."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rustybt.data.adapters.ccxt.facts import other_exchange
from rustybt.data.adapters.retry_after import asked_seconds
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    RateLimitedError,
    SourceError,
    SourceUnavailableError,
    SymbolNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_TOO_FAST = frozenset({418, 429})
_REFUSED = frozenset({401, 403, 407, 451})
_NOT_HERE = frozenset({400, 404, 405, 409, 410, 422})
_URL = re.compile(r"\w+://\S+")
# How Binance ends the text of its code -1003; milliseconds.
_BANNED_UNTIL = re.compile(r"banned until (\d{13})")
_LONGEST_TEXT = 200


def map_ccxt_error(error: Exception, exchange: str, clock: Callable[[], float]) -> SourceError | None:
    """Return the error of our tree for one raised under a call of ccxt; None where it is none of ccxt's."""
    import ccxt

    if isinstance(error, SourceError):
        return error
    if not isinstance(error, ccxt.BaseError):
        return None
    return _told(error, exchange, clock) or _broken(error, exchange)


def _told(error: Exception, exchange: str, clock: Callable[[], float]) -> SourceError | None:
    """Return what the exchange said in so many words: no such symbol, too fast, no access, no such request."""
    import ccxt

    status: int | None = getattr(error, "http_status", None)
    text = _text(error, exchange)
    if isinstance(error, ccxt.BadSymbol):
        return SymbolNotFoundError(f"{exchange} does not know the symbol: {text}", exchange=exchange)
    if status in _TOO_FAST or isinstance(error, ccxt.DDoSProtection | ccxt.RateLimitExceeded):
        return RateLimitedError(
            f"{exchange} asks to wait: {text}",
            hint="give --requests-per-minute a smaller number, or try later",
            retry_after_seconds=_retry_after(error, str(error), clock),
        )
    if status in _REFUSED or isinstance(error, ccxt.AuthenticationError):
        return _refusal(status, exchange, text)
    if status in _NOT_HERE or isinstance(error, ccxt.BadRequest):
        return SourceError(f"{exchange} refuses the request: {text}", exchange=exchange)
    return None


def _broken(error: Exception, exchange: str) -> SourceError:
    """Return what came instead of an answer."""
    import ccxt

    text = _text(error, exchange)
    status: int | None = getattr(error, "http_status", None)
    # Binance's own codes of a failure inside make ccxt raise other classes than the status 503 beside them.
    if isinstance(error, ccxt.OperationFailed) or (status is not None and status >= 500):
        return SourceUnavailableError(
            f"{exchange} cannot be reached: {_cause(error) or text}", hint=_network_hint(error), exchange=exchange
        )
    if _broke_off(error):
        return SourceUnavailableError(f"the answer of {exchange} broke off: {_cause(error)}", exchange=exchange)
    if isinstance(error, ccxt.BadResponse):
        return BadResponseError(f"{exchange} answered what ccxt cannot read: {text}", exchange=exchange)
    return SourceError(f"{exchange} failed: {text}", exchange=exchange)


def _refusal(status: int | None, exchange: str, text: str) -> AuthenticationError:
    if status == 451:
        return AuthenticationError(
            f"{exchange} refuses this location (HTTP 451): {text}",
            hint=f"{exchange} serves no data where you are; another exchange may: {other_exchange(exchange)}",
            exchange=exchange,
        )
    return AuthenticationError(
        f"{exchange} refuses access{f' (HTTP {status})' if status else ''}: {text}",
        hint="prices are public at most exchanges: a firewall, a proxy or the exchange's country rules may be in the way",
        exchange=exchange,
    )


def _broke_off(error: BaseException) -> bool:
    """Return whether the connection failed in the middle of a body; ccxt calls that an ExchangeError like any other."""
    import aiohttp

    return isinstance(error.__cause__, aiohttp.ClientError)


def _network_hint(error: BaseException) -> str | None:
    import aiohttp

    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "a server or proxy with a certificate of its own needs --ca-bundle FILE"
    return None


def _cause(error: BaseException) -> str:
    """Return the class of what broke; its text may hold addresses."""
    cause = error.__cause__
    return "" if cause is None else type(cause).__name__


def _text(error: Exception, exchange: str) -> str:
    """Return what the exchange said, in one short line without addresses."""
    text = _URL.sub("", str(error)).removeprefix(exchange)
    text = " ".join(text.split()) or type(error).__name__
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


def _retry_after(error: Any, text: str, clock: Callable[[], float]) -> float | None:
    """Return how long the exchange asks to wait: its header, or the end of its ban."""
    asked = asked_seconds(getattr(error, "retry_after", None), clock())
    if asked is not None:
        return asked
    banned = _BANNED_UNTIL.search(text)
    return max(0.0, int(banned.group(1)) / 1_000 - clock()) if banned else None
