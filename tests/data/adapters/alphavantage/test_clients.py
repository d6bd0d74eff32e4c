"""Keys, limits, clients and proxies, and what a plan counts."""

import logging

import httpx
import pytest

from rustybt.data.adapters.limits import VendorLimits
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources import bridge
from rustybt.data.sources.alphavantage import AlphaVantageDataSource
from rustybt.errors import AuthenticationError, RequestError, SourceUnavailableError
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.request import parse_range
from tests.data.adapters.alphavantage.asking import fetch
from tests.fakes.alphavantage import KEY, AlphaVantageServer


@pytest.mark.parametrize("as_function", [True, False])
def test_a_client_of_the_callers_is_used_and_its_log_shows_no_key(server, make, caplog, as_function):
    caplog.set_level(logging.DEBUG)
    client = httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0))
    adapter = make(server, client=(lambda: client) if as_function else client)
    assert fetch(adapter, "AAPL", "2024-11-01", "2024-11-27").bars.height > 0
    assert any(record.name == "httpx" for record in caplog.records)
    assert KEY not in caplog.text
    bridge.run(adapter.close())
    assert client.is_closed is as_function
    bridge.run(client.aclose())


def test_the_proxy_of_the_environment_is_used(make, monkeypatch):
    with AlphaVantageServer(tls=True, proxy=True) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.proxy_url)
        transport = Transport(ca_bundle=server.ca_bundle, timeout_seconds=5.0)
        assert fetch(make(server, transport), "AAPL", "2024-11-01", "2024-11-27").bars.height > 0
        assert {request.host for request in server.requests} == {"www.alphavantage.co"}


def test_limits_are_those_of_a_free_key_unless_one_has_another(monkeypatch):
    limits = AlphaVantageDataSource().limits()
    assert isinstance(limits, VendorLimits)
    assert (limits.requests_per_day, limits.requests_per_minute, limits.parallel_requests) == (25, 5, 1)
    paid = AlphaVantageDataSource(requests_per_minute=75).limits()
    assert (paid.requests_per_day, paid.requests_per_minute) == (None, 75)


def test_a_plan_counts_months_for_minutes_and_one_request_for_days(server, make):
    adapter = make(server)
    year = parse_range("2023-01-01", "2023-12-31", FREQUENCIES["1m"])
    assert adapter.pages(*year, FREQUENCIES["1d"], 252) == 1
    # New York's midnight is 05:00 UTC, so the year's first hours are of the December before.
    assert adapter.pages(year[0] + 5 * 3_600_000_000, year[1], FREQUENCIES["1m"], 98_000) == 12
    assert make(server, adjusted=True).pages(*year, FREQUENCIES["1w"], 52) == 2


def test_the_options_of_a_source_make_it_again():
    source = AlphaVantageDataSource(adjusted="yes", extended_hours=True)
    assert source.options() == {"adjusted": True, "extended_hours": True}
    assert AlphaVantageDataSource().options() == {}
    with pytest.raises(RequestError):
        AlphaVantageDataSource(adjusted="perhaps")
    assert not source.supports_live()


def test_there_is_no_stream(server, make):
    with pytest.raises(RequestError):
        make(server).subscribe(["AAPL"], FREQUENCIES["1m"])


def test_without_a_key_the_error_names_the_variable(server, make, monkeypatch):
    monkeypatch.delenv("ALPHAVANTAGE_API_KEY")
    with pytest.raises(AuthenticationError, match="ALPHAVANTAGE_API_KEY"):
        fetch(make(server), "AAPL", "2024-11-01", "2024-11-27")
    assert not server.requests


def test_a_bug_of_ours_is_no_failure_of_the_vendor(server, make):
    assert make(server).map_error(ZeroDivisionError()) is None
    assert isinstance(make(server).map_error(TimeoutError()), SourceUnavailableError)
