"""Refusals are named for what they are, and tried again where that helps."""

import time

import pytest

from rustybt.data.adapters.alpaca.client import AlpacaRefusal
from rustybt.data.adapters.transport import Transport
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    RateLimitedError,
    SourceUnavailableError,
    SymbolNotFoundError,
)
from tests.data.adapters.alpaca.asking import fetch, rows_of
from tests.fakes import market
from tests.fakes.alpaca import RECENT_TEXT, AlpacaServer


@pytest.mark.parametrize("status", ["429", "503", "500"])
def test_the_clients_own_retries_never_sleep(server, make, status):
    server.fail(status, times=2)
    began = time.monotonic()
    assert len(rows_of(fetch(make(server), ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"])) == 4
    # alpaca-py waits 3 s before each of its own attempts.
    assert time.monotonic() - began < 2.5
    assert len(server.data_requests()) == 3


@pytest.mark.parametrize(
    ("refusal", "error", "words"),
    [
        (AlpacaRefusal(401, {}, '{"message": "unauthorized."}'), AuthenticationError, "APCA_API_KEY_ID"),
        (AlpacaRefusal(403, {}, '{"message": "forbidden."}'), AuthenticationError, "APCA_API_SECRET_KEY"),
        (AlpacaRefusal(403, {}, f'{{"message": "{RECENT_TEXT}"}}'), AuthenticationError, "feed=iex"),
        (AlpacaRefusal(422, {}, '{"message": "invalid timeframe: 7Min"}'), BadResponseError, "7Min"),
        (AlpacaRefusal(400, {}, '{"message": "invalid symbol: A!"}'), SymbolNotFoundError, "A!"),
        (AlpacaRefusal(404, {}, "not found"), BadResponseError, "404"),
        (AlpacaRefusal(302, {}, ""), BadResponseError, "302"),
        (AlpacaRefusal(504, {}, ""), SourceUnavailableError, "504"),
        (AlpacaRefusal(500, {}, '["odd"]'), SourceUnavailableError, "500"),
        (AlpacaRefusal(429, {}, ""), RateLimitedError, "too many"),
    ],
)
def test_each_refusal_is_named_for_what_it_is(server, make, refusal, error, words):
    found = make(server).map_error(refusal)
    assert type(found) is error
    assert words in str(found)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"X-RateLimit-Reset": str(int(market.NOW) + 30)}, 30.0),
        ({"x-ratelimit-reset": "1"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_what_the_headers_ask_for_is_told(server, make, headers, seconds):
    found = make(server).map_error(AlpacaRefusal(429, headers, ""))
    assert found.details.get("retry_after_seconds") == seconds


def test_a_bug_of_ours_is_no_failure_of_the_vendor(server, make):
    assert make(server).map_error(ZeroDivisionError()) is None


def test_a_server_whose_certificate_nobody_signed_is_not_trusted(make):
    with AlpacaServer(tls=True) as server:
        adapter = make(server, Transport(base_url=server.url, timeout_seconds=5.0))
        with pytest.raises(SourceUnavailableError, match="certificate"):
            fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")


def test_without_keys_the_error_names_the_variables(server, make, monkeypatch):
    monkeypatch.delenv("APCA_API_SECRET_KEY")
    adapter = make(server)
    with pytest.raises(AuthenticationError, match="APCA_API_SECRET_KEY"):
        fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")
    assert not server.requests
