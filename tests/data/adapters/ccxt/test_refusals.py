"""Refusals of exchanges are named for what they are, and tried again where that helps."""

import pytest

from rustybt.data.adapters.ccxt.adapter import CCXTAdapter
from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources.bridge import run
from rustybt.errors import AuthenticationError, RateLimitedError, SourceUnavailableError
from tests.data.adapters.ccxt.asking import HOUR, adapter_of, fetch, micros
from tests.fakes.binance import BinanceServer
from tests.fakes.market import NOW


@pytest.mark.parametrize("status", ["418", "429"])
def test_too_fast_is_rate_limited_with_the_time_to_wait(server, status):
    adapter = adapter_of(server, retry=RetryPolicy(max_attempts=1))
    server.fail(status, retry_after=37)
    with pytest.raises(RateLimitedError) as caught:
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    run(adapter.close())
    assert caught.value.retry_after_seconds == 37.0
    assert "BTC/USDT" in caught.value.message


def test_a_ban_without_a_header_says_until_when_in_its_text(server):
    adapter = adapter_of(server, retry=RetryPolicy(max_attempts=1))
    server.fail("418")
    with pytest.raises(RateLimitedError) as caught:
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    run(adapter.close())
    assert caught.value.retry_after_seconds == pytest.approx(1_732_896_037 - NOW)


def test_a_location_that_is_refused_is_not_tried_again(server, adapter):
    server.fail("451", times=None)
    with pytest.raises(AuthenticationError, match=r"binance refuses this location \(HTTP 451\)"):
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    assert len(server.data_requests()) == 1


def test_a_server_that_is_slower_than_the_timeout_is_unavailable(server):
    adapter = adapter_of(server, timeout_seconds=0.2, retry=RetryPolicy(max_attempts=2, first_wait_seconds=0.01))
    server.fail("slow", times=None, seconds=1.0)
    with pytest.raises(SourceUnavailableError):
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    run(adapter.close())
    assert len(server.data_requests()) == 2


def test_nobody_at_the_address_is_unavailable():
    transport = Transport(base_url="http://127.0.0.1:9", timeout_seconds=1.0)
    adapter = CCXTAdapter(Connection(transport, retry=RetryPolicy(max_attempts=1), clock=lambda: NOW))
    with pytest.raises(SourceUnavailableError):
        run(adapter.fetch_series(["BTC/USDT"], 0, 1, HOUR))
    run(adapter.close())


def test_a_certificate_that_is_not_trusted_names_the_option_that_helps():
    with BinanceServer(tls=True) as server:
        adapter = adapter_of(server, retry=RetryPolicy(max_attempts=1))
        with pytest.raises(SourceUnavailableError) as caught:
            fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
        run(adapter.close())
    assert "--ca-bundle" in caught.value.hint


def test_a_client_that_retries_by_itself_is_not_used(server):
    """ccxt's maxRetriesOnFailure would multiply with our attempts."""
    adapter = adapter_of(server, retry=RetryPolicy(max_attempts=2, first_wait_seconds=0.01))
    server.fail("503", times=None)
    with pytest.raises(SourceUnavailableError):
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    run(adapter.close())
    assert len(server.data_requests()) == 2
