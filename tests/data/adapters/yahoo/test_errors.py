"""What Yahoo's refusals, and the exceptions of its clients, stand for."""

import json

import pytest

from rustybt.data.adapters.yahoo.client import YahooRefusal, rebase
from rustybt.data.adapters.yahoo.errors import client_error, refusal_to_error
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    NotCoveredError,
    RateLimitedError,
    SourceUnavailableError,
    SymbolNotFoundError,
)


def refusal(status, code="Bad Request", description="", **more):
    error = {"chart": {"result": None, "error": {"code": code, "description": description}}}
    return YahooRefusal(status, json.dumps(error).encode(), **more)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (refusal(429), RateLimitedError),
        (refusal(999), RateLimitedError),
        (refusal(401), AuthenticationError),
        (refusal(403), AuthenticationError),
        (refusal(500), SourceUnavailableError),
        (refusal(502), SourceUnavailableError),
        (refusal(503, "Not Found", "No data found, symbol may be delisted"), SourceUnavailableError),
        (refusal(404, "Not Found", "No data found, symbol may be delisted"), SymbolNotFoundError),
        (YahooRefusal(404, b"<html>nginx</html>"), BadResponseError),
        (refusal(400, "Bad Request", "Invalid input - interval=7d is not supported"), BadResponseError),
        (refusal(422, "Unprocessable Entity", "The requested range must be within the last 30 days."), NotCoveredError),
        (
            refusal(422, "", "Only 8 days worth of 1m granularity data are allowed to be fetched per request."),
            NotCoveredError,
        ),
    ],
)
def test_each_refusal_is_its_own_error(given, error):
    assert type(refusal_to_error(given, "AAPL")) is error


def test_a_range_without_data_is_no_error():
    assert (
        refusal_to_error(refusal(400, "Bad Request", "Data doesn't exist for startDate = 1, endDate = 2"), "A") is None
    )


def test_what_cannot_be_understood_says_that_the_address_may_be_wrong():
    assert "base_url" in refusal_to_error(YahooRefusal(404, b"<html>nginx</html>"), "AAPL").hint


def test_a_long_description_is_cut():
    assert len(refusal_to_error(refusal(400, "Bad Request", "x" * 10_000), "AAPL").message) < 300


def test_the_time_to_wait_is_told():
    assert refusal_to_error(refusal(429, retry_after="2")).details["retry_after_seconds"] == 2
    assert refusal_to_error(refusal(429, retry_after="soon")).details["retry_after_seconds"] is None


def exceptions():
    import requests
    from curl_cffi.requests import exceptions as curl
    from yfinance.exceptions import YFDataException, YFRateLimitError

    secret = "http://user:canary@proxy"  # invented
    return [
        (curl.Timeout(secret), SourceUnavailableError, "in time"),
        (curl.ConnectTimeout(secret), SourceUnavailableError, "in time"),
        (curl.CertificateVerifyError(secret), SourceUnavailableError, "not trusted"),
        (curl.SSLError(secret), SourceUnavailableError, "secure"),
        (curl.ProxyError(secret), SourceUnavailableError, "proxy"),
        (curl.DNSError(secret), SourceUnavailableError, "DNSError"),
        (curl.ConnectionError(secret), SourceUnavailableError, "ConnectionError"),
        (curl.IncompleteRead(secret), SourceUnavailableError, "IncompleteRead"),
        (requests.exceptions.ReadTimeout(secret), SourceUnavailableError, "in time"),
        (requests.exceptions.JSONDecodeError("no", "doc", 0), BadResponseError, "no JSON"),
        (json.JSONDecodeError("no", "doc", 0), BadResponseError, "no JSON"),
        (YFRateLimitError(), RateLimitedError, "too many"),
        (YFDataException(secret), BadResponseError, "YFDataException"),
        (YahooRefusal(503, b""), SourceUnavailableError, "503"),
    ]


@pytest.mark.parametrize("number", range(14))
def test_each_exception_of_a_client_is_an_error_of_ours_without_its_text(number):
    given, error, word = exceptions()[number]
    found = client_error(given)
    assert type(found) is error
    assert word in str(found)
    assert "canary" not in str(found)


def test_a_bug_of_ours_stays_one():
    assert client_error(KeyError("meta")) is None


@pytest.mark.parametrize(
    ("url", "base", "expected"),
    [
        ("https://fc.yahoo.com", "http://127.0.0.1:80", "http://127.0.0.1:80/"),
        (
            "https://query2.finance.yahoo.com/v8/finance/chart/A?x=1",
            "https://gate/yahoo",
            "https://gate/yahoo/v8/finance/chart/A?x=1",
        ),
    ],
)
def test_a_base_address_takes_the_place_of_every_host(url, base, expected):
    assert rebase(url, base) == expected
