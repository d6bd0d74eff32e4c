"""Alpha Vantage's source against the local Alpha Vantage."""

import pytest

from rustybt.data.sources.alphavantage import AlphaVantageDataSource
from rustybt.testing.vendor_contract import VendorContract
from tests.fakes import market
from tests.fakes.alphavantage import KEY, AlphaVantageServer
from tests.fakes.held import held


class TestAlphaVantage(VendorContract):
    symbols = ("AAPL", "BRK.B")
    start, end = "2024-01-02", "2024-06-28"
    too_early = ("1d", "1999-10-29")
    # A weekend.
    empty_range = ("2024-01-06", "2024-01-07")
    unknown_symbol = "NOSUCH"
    now = market.NOW
    # A month is a page.
    two_pages = ("AAPL", "2024-09-03", "2024-10-31", "30m")
    delisted = ("OLDCO", "2019-06-28")
    forming = ("AAPL", "1d")
    dst = ("AAPL", "2024-03-07", "2024-03-13", "30m")

    @pytest.fixture
    def server(self, monkeypatch):
        monkeypatch.setenv("ALPHAVANTAGE_API_KEY", KEY)
        with AlphaVantageServer() as running:
            yield running

    def build(self, server, **options):
        return AlphaVantageDataSource(base_url=server.url, **options)

    def expected(self, symbol, start, end, frequency):
        return held(symbol, start, end, frequency)


class TestAlphaVantageBehindAProxy(VendorContract):
    """The vendor's real address, over TLS, with splits and dividends."""

    symbols = ("MSFT", "SPY")
    start, end = "2024-10-31", "2024-11-05"
    # A weekend.
    empty_range = ("2024-01-06", "2024-01-07")
    unknown_symbol = "NOSUCH"
    now = market.NOW
    two_pages = ("SPY", "2024-10-31", "2024-11-04", "15m")
    forming = ("SPY", "1d")
    dst = ("MSFT", "2024-10-31", "2024-11-06", "15m")

    @pytest.fixture
    def server(self, monkeypatch):
        monkeypatch.setenv("ALPHA_VANTAGE_API_KEY", KEY)
        with AlphaVantageServer(tls=True, proxy=True) as running:
            yield running

    def build(self, server, **options):
        return AlphaVantageDataSource(proxy=server.proxy_url, ca_bundle=server.ca_bundle, **options)

    def expected(self, symbol, start, end, frequency):
        return held(symbol, start, end, frequency)
