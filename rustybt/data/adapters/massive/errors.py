"""What Massive's refusals, and connections that break, mean in our tree of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustybt.errors import (
    AuthenticationError,
    RateLimitedError,
    SourceError,
    SourceUnavailableError,
    SymbolNotFoundError,
)

if TYPE_CHECKING:
    from rustybt.data.adapters.massive.client import StatusError


def broken(error: Exception) -> SourceUnavailableError:
    """Return the error of a connection that broke; the client's text may hold addresses, so its class says what happened."""
    return SourceUnavailableError(
        f"polygon could not be reached, or broke off: {type(error).__name__}",
        hint="try again later; behind a proxy of your company set proxy= and ca_bundle=",
    )


def refusal(error: StatusError) -> SourceError:
    """Return what a status means to the caller."""
    said = f": {error.text}" if error.text else ""
    if error.status == 401:
        return AuthenticationError(
            f"polygon does not know the key (status 401){said}",
            hint="export MASSIVE_API_KEY=... with a key of massive.com",
            concerns_all=True,
        )
    if error.status == 403:
        return AuthenticationError(
            f"the plan of the polygon key does not include this{said}",
            hint="ask for less: a later --start, or --history-years 2 (history_years=2) on the free plan",
        )
    if error.status == 404:
        return SymbolNotFoundError(f"polygon knows nothing of that name{said}")
    if error.status == 429:
        return RateLimitedError(
            f"polygon asks to wait{said}",
            hint="the free plan has 5 requests a minute; requests_per_minute= of the source keeps to another limit",
            retry_after_seconds=error.retry_after_seconds,
        )
    if error.status >= 500 or error.status in (408, 413, 499):
        return SourceUnavailableError(f"polygon answers with status {error.status}{said}", status=error.status)
    return SourceError(f"polygon refused the request with status {error.status}{said}", status=error.status)


def unknown_symbol(symbol: str) -> SymbolNotFoundError:
    """Return the error of a ticker that the vendor does not have."""
    return SymbolNotFoundError(
        f"polygon knows no US stock or fund {symbol}",
        hint="write tickers as AAPL or BRK.B",
        symbol=symbol,
    )
