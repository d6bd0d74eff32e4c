"""What ccxt's exceptions mean."""

from datetime import UTC, datetime
from email.utils import format_datetime

import aiohttp
import ccxt
import pytest

from rustybt.data.adapters.ccxt.errors import map_ccxt_error
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    RateLimitedError,
    SourceError,
    SourceUnavailableError,
    SymbolNotFoundError,
)

NOW = 1_732_896_000.0


def mapped(error, status=None, retry_after=None, cause=None):
    error.http_status, error.retry_after, error.__cause__ = status, retry_after, cause
    return map_ccxt_error(error, "acme", lambda: NOW)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ccxt.BadSymbol("acme no such symbol"), 400, SymbolNotFoundError),
        (ccxt.DDoSProtection("acme slow down"), 418, RateLimitedError),
        (ccxt.RateLimitExceeded("acme slow down"), 429, RateLimitedError),
        (ccxt.ExchangeError("acme slow down"), 429, RateLimitedError),
        (ccxt.ExchangeNotAvailable("acme"), 503, SourceUnavailableError),
        (ccxt.ExchangeError("acme"), 500, SourceUnavailableError),
        (ccxt.OnMaintenance("acme"), None, SourceUnavailableError),
        (ccxt.RequestTimeout("acme"), None, SourceUnavailableError),
        (ccxt.ExchangeNotAvailable("acme"), 451, AuthenticationError),
        (ccxt.ExchangeNotAvailable("acme"), 403, AuthenticationError),
        (ccxt.AuthenticationError("acme"), None, AuthenticationError),
        (ccxt.PermissionDenied("acme"), None, AuthenticationError),
        (ccxt.ExchangeNotAvailable("acme"), 404, SourceError),
        (ccxt.BadRequest("acme"), 400, SourceError),
        (ccxt.NotSupported("acme"), None, SourceError),
    ],
)
def test_an_exception_is_named_for_what_to_do_about_it(error, status, kind):
    found = mapped(error, status)
    assert type(found) is kind
    assert "acme" in found.message


def test_a_body_that_broke_off_is_unavailable_though_ccxt_calls_it_an_error_of_the_exchange():
    found = mapped(ccxt.ExchangeError("acme GET https://api.acme.com/klines"), cause=aiohttp.ClientPayloadError())
    assert type(found) is SourceUnavailableError


def test_an_exception_that_is_not_ccxts_is_ours_to_mend():
    assert map_ccxt_error(ZeroDivisionError(), "acme", lambda: NOW) is None


def test_an_error_of_ours_stays_what_it_is():
    error = BadResponseError("acme answered nothing")
    assert map_ccxt_error(error, "acme", lambda: NOW) is error


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("37", 37.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True), 0.0),
        ("soon", None),
        (None, None),
    ],
)
def test_the_time_to_wait_is_read_as_seconds_or_as_a_date(header, seconds):
    assert mapped(ccxt.RateLimitExceeded("acme"), 429, header).retry_after_seconds == seconds


def test_a_ban_says_until_when():
    error = ccxt.DDoSProtection('acme 418 {"code":-1003,"msg":"IP banned until 1732896037000. Please"}')
    assert mapped(error, 418).retry_after_seconds == 37.0


def test_no_address_gets_into_a_message():
    error = ccxt.ExchangeNotAvailable("acme GET https://user:canary@127.0.0.1/klines?apiKey=canary 503 Down")
    assert "canary" not in mapped(error, 503).message
    assert "Down" in mapped(error, 503).message


def test_a_page_of_html_is_not_repeated():
    error = ccxt.ExchangeNotAvailable("acme " + "<html>" * 500)
    assert len(mapped(error, 503).message) < 300
