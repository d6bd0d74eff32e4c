"""Limits, cookies and crumbs, and refusals."""

import pytest

from rustybt.data.adapters.yahoo.adapter import LIMITS
from rustybt.data.sources.yfinance import YFinanceDataSource
from rustybt.errors import AuthenticationError, RateLimitedError, SourceUnavailableError
from tests.data.adapters.yahoo.asking import QUICK, ask, paths
from tests.fakes import market


def test_too_many_requests_are_one_request_each_and_the_wait_is_named(connect, server):
    server.fail("429", times=None, retry_after=120)
    with pytest.raises(RateLimitedError) as caught:
        ask(connect(), "AAPL", "2024-01-02", "2024-01-31")
    assert caught.value.retry_after_seconds == 120
    assert len(server.data_requests()) == 1


def test_a_crumb_that_went_stale_is_mended_by_the_client(connect, server):
    server.fail("401")
    assert ask(connect(), "AAPL", "2024-01-02", "2024-01-31").bars.height == 21
    assert paths(server).count("/v1/test/getcrumb") == 2


@pytest.mark.parametrize("status", ["401", "403"])
def test_a_refusal_that_stays_is_not_asked_for_ever(connect, server, status):
    server.fail(status, times=None)
    with pytest.raises(AuthenticationError, match=status):
        ask(connect(), "AAPL", "2024-01-02", "2024-01-31")
    assert len(server.data_requests()) == 2


def test_a_limited_crumb_does_not_stop_what_needs_none(connect, server):
    server.fail("429", where=lambda request: request.path == "/v1/test/getcrumb")
    # The first chart is refused for want of a crumb, which the client then fetches.
    assert ask(connect(), "AAPL", "2024-01-02", "2024-01-31").bars.height == 21


def test_one_cookie_and_one_crumb_serve_many_symbols_at_once(server):
    server.latency_seconds = 0.03
    source = YFinanceDataSource(
        base_url=server.url, clock=lambda: market.NOW, requests_per_minute=0, parallel_requests=8
    )
    source.fetch_sync(["AAPL", "MSFT", "BRK.B", "SPY", "GE", "NEWCO"], "2024-06-03", "2024-06-28")
    source.close()
    assert paths(server).count("/") == 1
    assert paths(server).count("/v1/test/getcrumb") == 1
    assert len(server.data_requests()) == 6
    assert server.most_parallel > 1


def test_limits_are_told_as_data():
    told = LIMITS.to_json()
    assert told["depth_days"] == {"1m": 30, "5m": 60, "15m": 60, "1h": 730}
    assert told["frequencies"] == ["1m", "5m", "15m", "1h", "1d", "1w", "1M"]
    assert told["settlement_delay_seconds"] == 1800


def test_the_clients_own_attempts_do_not_multiply_ours(connect, server):
    import yfinance

    server.fail("reset", times=None)
    yfinance.config.network.retries = 3
    try:
        with pytest.raises(SourceUnavailableError):
            ask(connect(), "AAPL", "2024-01-02", "2024-01-31")
    finally:
        yfinance.config.network.retries = 0
    # One more: libcurl repeats a request by itself whose kept connection turns out to be dead. With yfinance's it were 12.
    assert len(server.data_requests()) <= QUICK.max_attempts + 1


@pytest.mark.parametrize("frequency", ["1d", "1w", "1h"])
def test_a_range_to_come_is_empty_and_not_asked_for(connect, server, frequency):
    assert ask(connect(), "AAPL", "2025-01-02", "2025-01-31", frequency).bars.is_empty()
    assert server.requests == []
