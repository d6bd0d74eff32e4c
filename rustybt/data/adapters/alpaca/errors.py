"""What Alpaca's refusals, and what goes wrong on the way to it, stand for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rustybt.data.adapters.alpaca.client import AlpacaNonsense, AlpacaRefusal
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

_INVALID_SYMBOL = re.compile(r"invalid symbol:?\s*\"?([^\s\",]+)", re.IGNORECASE)


def map_alpaca_error(error: Exception, clock: Callable[[], float]) -> SourceError | None:
    """Return the error of our tree; None for a bug of ours.

    Parameters
    ----------
    clock
        Unix seconds, for limits that end at an instant.
    """
    from requests.exceptions import RequestException, SSLError
    from urllib3.exceptions import HTTPError

    if isinstance(error, AlpacaRefusal):
        return _refused(error, clock)
    if isinstance(error, AlpacaNonsense):
        return BadResponseError("alpaca answers with what is no JSON")
    if isinstance(error, SSLError):
        return SourceUnavailableError(
            "alpaca cannot be trusted: its certificate is not signed by anyone known here",
            hint="name the certificates to trust: --ca-bundle FILE",
        )
    if isinstance(error, RequestException | HTTPError | OSError):
        return SourceUnavailableError(f"alpaca cannot be reached: {type(error).__name__}")
    return None


def unknown_symbol(symbol: str) -> SymbolNotFoundError:
    """Return the error of a symbol that Alpaca does not have."""
    return SymbolNotFoundError(
        f"alpaca does not know {symbol}", hint="alpaca writes symbols as AAPL and BRK.B", symbol=symbol
    )


def _refused(error: AlpacaRefusal, clock: Callable[[], float]) -> SourceError:
    said = f": {error.message}" if error.message else ""
    if error.status == 429:
        return RateLimitedError("alpaca: too many requests", **_asked_to_wait(error, clock))
    if error.status in (401, 403):
        hint = "set APCA_API_KEY_ID and APCA_API_SECRET_KEY to a key that is valid"
        if "subscription" in error.message or "not permit" in error.message:
            hint = "this data needs another plan; feed=iex is in every plan"
        # Behind "key:" the masking of keys would take a word for one.
        return AuthenticationError(
            f"alpaca refuses the key (status {error.status}){said}", hint=hint, concerns_all=error.status == 401
        )
    if error.status in (408, 425) or error.status >= 500:
        return SourceUnavailableError(f"alpaca is down: status {error.status}{said}")
    invalid = _INVALID_SYMBOL.search(error.message)
    if error.status in (400, 422) and invalid:
        symbol = invalid.group(1)
        return SymbolNotFoundError(f"alpaca does not know {symbol}{said}", symbol=symbol)
    return BadResponseError(f"alpaca refuses the request with status {error.status}{said}")


def _asked_to_wait(error: AlpacaRefusal, clock: Callable[[], float]) -> dict[str, Any]:
    """Return how long the headers ask to wait: ``Retry-After``, or the second at which the limit begins anew."""
    headers = {name.lower(): value for name, value in error.headers.items()}
    asked = asked_seconds(headers.get("retry-after"), clock())
    if asked is None:
        begins = asked_seconds(headers.get("x-ratelimit-reset"), 0.0)
        asked = None if begins is None else max(0.0, begins - clock())
    return {} if asked is None else {"retry_after_seconds": asked}
