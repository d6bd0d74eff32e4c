"""Polygon's source, with its real client, against the local Massive."""

import pytest

from rustybt.data.sources.polygon import PolygonDataSource
from rustybt.testing.vendor_contract import VendorContract
from tests.fakes import market
from tests.fakes.held import held
from tests.fakes.massive import KEY, MassiveServer


class TestPolygon(VendorContract):
    symbols = ("AAPL", "BRK.B")
    start, end = "2024-01-02", "2024-06-28"
    empty_range = ("1950-01-02", "1950-01-31")
    unknown_symbol = "NOSUCH"
    now = market.NOW
    two_pages = ("AAPL", "2022-01-03", "2023-12-29", "1d")
    delisted = ("OLDCO", "2019-06-28")
    forming = ("AAPL", "1d")
    dst = ("AAPL", "2024-03-07", "2024-03-13", "30m")

    @pytest.fixture
    def server(self, monkeypatch):
        monkeypatch.setenv("MASSIVE_API_KEY", KEY)
        with MassiveServer(page_size=300) as running:
            yield running

    def build(self, server, **options):
        return PolygonDataSource(base_url=server.url, **options)

    def expected(self, symbol, start, end, frequency):
        return held(symbol, start, end, frequency)


class TestPolygonBehindAProxy(VendorContract):
    """The vendor's real address, over TLS."""

    symbols = ("MSFT", "SPY")
    frequency = "15m"
    start, end = "2024-10-31", "2024-11-05"
    unknown_symbol = "NOSUCH"
    now = market.NOW
    two_pages = ("SPY", "2024-11-04", "2024-11-08", "15m")
    forming = ("SPY", "15m")
    dst = ("MSFT", "2024-10-31", "2024-11-06", "15m")

    @pytest.fixture
    def server(self, monkeypatch):
        monkeypatch.setenv("POLYGON_API_KEY", KEY)
        # 5 sessions of 26 bars, and of 7 half-hourly ones around each, made of 15 minutes: 2,475 in all.
        with MassiveServer(tls=True, proxy=True, page_size=1_500) as running:
            yield running

    def build(self, server, **options):
        return PolygonDataSource(proxy=server.proxy_url, ca_bundle=server.ca_bundle, **options)

    def expected(self, symbol, start, end, frequency):
        return held(symbol, start, end, frequency)
