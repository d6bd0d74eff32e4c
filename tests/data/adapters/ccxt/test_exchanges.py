"""Every exchange, its limits and clock, and the clients that ask it."""

import gc
import traceback
import warnings

import pytest

from rustybt.data.adapters.ccxt.adapter import CCXTAdapter
from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources.bridge import run
from rustybt.errors import RequestError, SourceUnavailableError
from tests.data.adapters.ccxt.asking import HOUR, QUICK, adapter_of, fetch, micros, paths
from tests.fakes.binance import BinanceServer
from tests.fakes.market import NOW


def test_limits_are_known_without_a_request(server, adapter):
    limits = adapter.limits
    assert limits.frequencies == ("1m", "5m", "15m", "30m", "1h", "1d", "1w", "1M")
    assert limits.bars_per_page == 1_000
    assert CCXTAdapter(Connection()).limits.requests_per_minute == 1_200.0
    assert server.requests == []


def test_the_clock_is_the_exchanges(server, adapter):
    server.now = NOW - 90
    assert run(adapter.now()) == pytest.approx(NOW - 90)
    server.now = NOW
    assert run(adapter.now()) == pytest.approx(NOW - 90)  # asked for once a minute
    assert paths(server) == ["/api/v3/time"]


def test_the_exchange_is_part_of_what_the_bars_are(adapter, kraken_adapter):
    assert adapter.metadata().feed == "binance"
    assert adapter.metadata().source_url == "https://api.binance.com"
    assert kraken_adapter.metadata().feed == "kraken"
    assert kraken_adapter.metadata().source_url == "https://api.kraken.com"
    assert adapter.metadata().api_version.startswith("4.")


def test_every_exchange_of_ccxt_can_be_made_or_says_that_it_has_no_bars():
    import ccxt

    made, refused = {}, []
    for exchange in ccxt.exchanges:
        try:
            made[exchange] = CCXTAdapter(Connection(), exchange=exchange)
        except RequestError:
            refused.append(exchange)
    assert len(made) > 80
    assert {"bitflyer", "zaif"} <= set(refused)
    for exchange, adapter in made.items():
        assert adapter.limits.frequencies, exchange
        assert adapter.limits.bars_per_page >= 100, exchange
        assert adapter.metadata().source_url.startswith("https://"), exchange


def test_an_unknown_exchange_names_near_ones():
    with pytest.raises(RequestError, match="binanse") as caught:
        CCXTAdapter(Connection(), exchange="binanse")
    assert "binance" in caught.value.hint


def test_an_exchange_without_bars_is_refused():
    with pytest.raises(RequestError, match="no bars"):
        CCXTAdapter(Connection(), exchange="bitflyer")


def test_an_exchange_that_counts_by_the_second_is_asked_evenly():
    assert CCXTAdapter(Connection(), exchange="kraken")._client.enableRateLimit
    assert not CCXTAdapter(Connection(), exchange="binance")._client.enableRateLimit
    assert not CCXTAdapter(Connection(requests_per_minute=0), exchange="kraken")._client.enableRateLimit


def test_the_password_of_a_proxy_is_in_no_error():
    transport = Transport(proxy="http://somebody:canary@127.0.0.1:9")
    adapter = CCXTAdapter(Connection(transport, retry=RetryPolicy(max_attempts=1), clock=lambda: NOW))
    with pytest.raises(SourceUnavailableError) as caught:
        run(adapter.fetch_series(["BTC/USDT"], 0, 1, HOUR))
    run(adapter.close())
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    assert "canary" not in repr(adapter.connection)


def test_a_client_of_the_callers_own_is_used_and_stays_open(server):
    import ccxt.async_support

    client = ccxt.async_support.binance({"timeout_on_exit": 0})
    client.options["fetchMarkets"]["types"] = ["spot"]
    client.urls["api"]["public"] = f"{server.url}/api/v3"
    adapter = CCXTAdapter(Connection(client=client, retry=QUICK, clock=lambda: NOW))
    assert fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2)).bars.height == 25
    server.fail("malformed")
    assert fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2)).bars.height == 25
    run(adapter.close())
    assert client.session is not None
    run(client.close())


def test_a_client_of_another_exchange_is_refused():
    import ccxt

    with pytest.raises(RequestError, match="asynchronous"):
        CCXTAdapter(Connection(client=ccxt.async_support.kraken()), exchange="binance")


def test_an_adapter_that_was_closed_works_again_without_asking_for_markets(server, adapter):
    fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    run(adapter.close())
    answer = fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    assert answer.bars.height == 25
    assert answer.number_rule == "text"
    assert paths(server).count("/api/v3/exchangeInfo") == 1


def test_an_adapter_that_nobody_closed_leaves_no_connection_and_no_complaint(server, caplog):
    adapter = adapter_of(server)
    fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del adapter
        gc.collect()
    assert "release all resources" not in caplog.text


def test_a_proxy_and_its_certificates_reach_the_exchanges_own_addresses():
    with BinanceServer(tls=True, proxy=True) as server:
        transport = Transport(proxy=server.proxy_url, ca_bundle=server.ca_bundle)
        adapter = CCXTAdapter(Connection(transport, requests_per_minute=0, retry=QUICK, clock=lambda: NOW))
        assert fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2)).bars.height == 25
        run(adapter.close())
        assert {request.host for request in server.requests} == {"api.binance.com"}
