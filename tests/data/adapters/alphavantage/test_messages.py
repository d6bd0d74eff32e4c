"""Messages that come where bars would, and statuses."""

import httpx
import pytest

from rustybt.data.adapters.alphavantage.messages import read_message
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources import bridge
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    RateLimitedError,
    SourceUnavailableError,
    SymbolNotFoundError,
)
from tests.data.adapters.alphavantage.asking import fetch
from tests.fakes import alphavantage as fake
from tests.fakes.alphavantage import KEY, AlphaVantageServer


@pytest.mark.parametrize(
    ("name", "text", "error", "seconds"),
    [
        ("Information", fake.DAY_LIMIT.format(key=KEY), RateLimitedError, 86_400.0),
        ("Note", fake.DAY_LIMIT.format(key=KEY), RateLimitedError, 86_400.0),
        ("Information", fake.BURST, RateLimitedError, None),
        ("Note", fake.MINUTE_LIMIT, RateLimitedError, 60.0),
        ("Information", fake.PREMIUM, AuthenticationError, None),
        (
            "Information",
            "The **outputsize=full** parameter value is a premium feature for the TIME_SERIES_DAILY endpoint.",
            AuthenticationError,
            None,
        ),
        ("Error Message", fake.BAD_KEY, AuthenticationError, None),
        (
            "Information",
            "The **demo** API key is for demo purposes only. Please claim your free API key.",
            AuthenticationError,
            None,
        ),
        ("Error Message", fake.UNKNOWN.format(function="TIME_SERIES_DAILY"), SymbolNotFoundError, None),
        ("Error Message", "Something new.", BadResponseError, None),
        ("Information", "Something new.", BadResponseError, None),
        ("Meta Data", "Something else.", BadResponseError, None),
    ],
)
def test_each_message_is_named_for_what_it_is(name, text, error, seconds):
    import json

    found = read_message(json.dumps({name: text}), "AAPL", {})
    assert type(found) is error
    assert found.details.get("retry_after_seconds") == seconds
    assert KEY not in str(found)


@pytest.mark.parametrize("text", ["{}", "[]", "{", "[1, 2]", '{"Note": ' + "[" * 50_000])
def test_other_json_is_malformed(text):
    assert type(read_message(text, "AAPL", {})) is BadResponseError


def test_the_limit_of_a_day_is_an_error_at_once(make):
    with AlphaVantageServer(day_limit=2) as server:
        adapter = make(server)
        assert fetch(adapter, "AAPL", "2024-11-01", "2024-11-27").bars.height > 0
        with pytest.raises(RateLimitedError) as caught:
            fetch(adapter, "MSFT", "2024-11-01", "2024-11-27")
        assert caught.value.retry_after_seconds == 86_400.0
        assert "tomorrow" in caught.value.hint
        # The list, AAPL, and one refusal.
        assert len(server.requests) == 3


def test_a_burst_is_tried_again(server, make):
    server.fail("429", times=2)
    assert fetch(make(server), "AAPL", "2024-11-01", "2024-11-27").bars.height > 0
    assert len(server.data_requests()) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, RateLimitedError), (401, AuthenticationError), (403, AuthenticationError), (503, SourceUnavailableError)],
)
def test_a_proxy_between_answers_with_a_status(make, status, error):
    def answer(request):
        return httpx.Response(status, headers={"Retry-After": "0"})

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    adapter = make(None, Transport(base_url="http://127.0.0.1:9"), client=client)
    with pytest.raises(error):
        fetch(adapter, "AAPL", "2024-11-01", "2024-11-27")
    bridge.run(client.aclose())


def test_what_is_no_text_is_malformed(make):
    client = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda request: httpx.Response(200, content=b"\xff\xfe\x00"))
    )
    adapter = make(None, Transport(base_url="http://127.0.0.1:9"), client=client)
    assert isinstance(fetch(adapter, "AAPL", "2024-11-01", "2024-11-27"), BadResponseError)
    bridge.run(client.aclose())
