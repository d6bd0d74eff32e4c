"""Alpaca's source, with its real client, against the local Alpaca."""

import pytest

from rustybt.data.sources.alpaca import AlpacaDataSource
from rustybt.testing.vendor_contract import VendorContract
from tests.fakes import market
from tests.fakes.alpaca import KEY_ID, SECRET, AlpacaServer
from tests.fakes.held import held


class TestAlpaca(VendorContract):
    symbols = ("AAPL", "BRK.B")
    start, end = "2024-01-02", "2024-06-28"
    too_early = ("1d", "2015-12-31")
    # A weekend.
    empty_range = ("2024-01-06", "2024-01-07")
    unknown_symbol = "NOSUCH"
    is_asked_one_by_one = False
    now = market.NOW
    two_pages = ("AAPL", "2022-01-03", "2023-12-29", "1d")
    delisted = ("OLDCO", "2019-06-28")
    forming = ("AAPL", "1d")
    dst = ("AAPL", "2024-03-07", "2024-03-13", "30m")

    @pytest.fixture
    def server(self, monkeypatch):
        monkeypatch.setenv("APCA_API_KEY_ID", KEY_ID)
        monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET)
        with AlpacaServer(page_size=300) as running:
            yield running

    def build(self, server, **options):
        return AlpacaDataSource(base_url=server.url, **options)

    def expected(self, symbol, start, end, frequency):
        return held(symbol, start, end, frequency)


class TestAlpacaBehindAProxy(VendorContract):
    """The vendor's real addresses, over TLS; the feed of all exchanges, late as on the basic plan."""

    symbols = ("MSFT", "SPY")
    frequency = "15m"
    start, end = "2024-10-31", "2024-11-05"
    # A weekend.
    empty_range = ("2024-01-06", "2024-01-07")
    unknown_symbol = "NOSUCH"
    is_asked_one_by_one = False
    now = market.NOW
    # 5 sessions of 26 bars, and 5 before and after each.
    two_pages = ("SPY", "2024-11-04", "2024-11-08", "15m")
    forming = ("SPY", "15m")
    dst = ("MSFT", "2024-10-31", "2024-11-06", "15m")

    @pytest.fixture
    def server(self, monkeypatch):
        monkeypatch.setenv("APCA_API_KEY_ID", KEY_ID)
        monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET)
        with AlpacaServer(tls=True, proxy=True, page_size=130) as running:
            yield running

    def build(self, server, **options):
        return AlpacaDataSource(feed="sip", proxy=server.proxy_url, ca_bundle=server.ca_bundle, **options)

    def expected(self, symbol, start, end, frequency):
        return held(symbol, start, end, frequency)
