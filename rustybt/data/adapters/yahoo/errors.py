"""What Yahoo's refusals mean; a vendor that is down is never taken for a delisting."""

from __future__ import annotations

import json
import time

from rustybt.data.adapters.retry_after import asked_seconds
from rustybt.data.adapters.yahoo.client import YahooRefusal, YahooUnreachable
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    NotCoveredError,
    RateLimitedError,
    SourceError,
    SourceUnavailableError,
    SymbolNotFoundError,
)

# Yahoo's own number for an address that asked too often.
_TOO_MANY = (429, 999)
_LONGEST_DESCRIPTION = 200
# Words in the names of the exceptions of curl_cffi and requests alike.
_CONNECTION = (
    ("Timeout", "Yahoo did not answer in time", "try again, or give it longer: --timeout 60"),
    (
        "Certificate",
        "the certificate that Yahoo's address shows is not trusted",
        "behind a company's proxy, name its certificates: --ca-bundle",
    ),
    (
        "SSL",
        "no secure connection to Yahoo's address was made",
        "behind a company's proxy, name its certificates: --ca-bundle",
    ),
    ("Proxy", "the proxy does not let the request through", "check --proxy"),
)


def refusal_to_error(refusal: YahooRefusal, symbol: str | None = None) -> SourceError | None:
    """Return the error that an HTTP error stands for; None where Yahoo says that it has nothing in the range."""
    status = refusal.status
    if status in _TOO_MANY:
        return _too_many(asked_seconds(refusal.retry_after, time.time()))
    if status in (401, 403):
        return AuthenticationError(
            f"source yfinance: Yahoo refuses this computer (HTTP {status}); it knows no keys",
            hint="it refuses some networks: try --proxy, or another network",
        )
    if status >= 500:
        return SourceUnavailableError(f"source yfinance: Yahoo is down (HTTP {status})", hint="try again later")
    return _of_description(refusal, symbol)


def unknown_symbol(name: str, symbol: str | None) -> SymbolNotFoundError:
    """Return the error of a ticker that Yahoo has nothing of."""
    return SymbolNotFoundError(
        f"Yahoo has no data of {name}: it is unknown, or was delisted and removed",
        hint="check the ticker on finance.yahoo.com: BRK.B, VOD.L, BTC-USD, EURUSD=X, ^GSPC",
        symbol=symbol,
    )


def _of_description(refusal: YahooRefusal, symbol: str | None) -> SourceError | None:
    code, description = chart_error(refusal.payload)
    name = symbol or "the request"
    if "Data doesn't exist for startDate" in description:
        return None
    if refusal.status == 404 and code == "Not Found":
        return unknown_symbol(name, symbol)
    if "must be within the last" in description or "allowed to be fetched per request" in description:
        return NotCoveredError(
            f"Yahoo does not keep these bars of {name}: {description}",
            hint="ask for a later start, or a longer frequency",
            missing=[symbol],
        )
    return BadResponseError(
        f"Yahoo refuses {name} (HTTP {refusal.status}){': ' + description if description else ''}",
        hint=None if description else "is base_url right?",
        symbol=symbol,
    )


def client_error(error: Exception) -> SourceError | None:
    """Return the error that an exception of the client or its session stands for; None for a bug of ours."""
    if isinstance(error, YahooRefusal):
        return refusal_to_error(error)
    if isinstance(error, YahooUnreachable):
        return _unreachable(str(error))
    kind = type(error).__name__
    if kind == "YFRateLimitError":
        return _too_many(None)
    if type(error).__module__.partition(".")[0] == "yfinance":
        return BadResponseError(f"source yfinance: its client gave up ({kind})")
    # That of requests is an OSError as well.
    if isinstance(error, OSError) and "JSON" not in kind:
        return _unreachable(kind)
    return BadResponseError("source yfinance: Yahoo's answer is no JSON") if isinstance(error, ValueError) else None


def _unreachable(kind: str) -> SourceUnavailableError:
    """Say why by the name of the exception, not by its text, which may hold the proxy's password."""
    for word, message, hint in _CONNECTION:
        if word in kind:
            return SourceUnavailableError(f"source yfinance: {message}", hint=hint)
    return SourceUnavailableError(f"source yfinance: Yahoo cannot be reached ({kind})")


def _too_many(seconds: float | None) -> RateLimitedError:
    return RateLimitedError(
        "source yfinance: Yahoo asks to wait, there were too many requests", retry_after_seconds=seconds
    )


def chart_error(payload: bytes) -> tuple[str, str]:
    """Return code and description of an error in Yahoo's form; empty texts where the body has none."""
    try:
        error = json.loads(payload)["chart"]["error"]
        return str(error["code"]), str(error["description"])[:_LONGEST_DESCRIPTION]
    except (ValueError, KeyError, TypeError):
        return "", ""
