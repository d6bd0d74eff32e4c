"""Yahoo's source, with yfinance's own client, against the local Yahoo."""

from decimal import Decimal

import numpy as np
import pytest

from rustybt.data.sources.yfinance import YFinanceDataSource
from rustybt.testing.vendor_contract import VendorContract
from tests.fakes import market
from tests.fakes.held import frame_of, rows_of
from tests.fakes.yahoo import YahooServer


def held(symbol, start, end, frequency):
    """The market's own trades per share of today, rounded to a float32 by numpy; the forming one included."""
    equity = market.EQUITIES[symbol]
    rows = []
    for row in rows_of(symbol, start, end, frequency):
        factor = market.raw_factor(equity, row.start.date())
        prices = [Decimal(str(np.float32(price / factor))) for price in (row.open, row.high, row.low, row.close)]
        rows.append(market.Row(row.start, *prices, row.volume * factor))
    return frame_of(symbol, rows)


class TestYahoo(VendorContract):
    symbols = ("AAPL", "BRK.B")
    start, end = "2019-01-02", "2021-06-30"
    unknown_symbol = "NOSUCH"
    now = market.NOW
    two_pages = ("AAPL", "2024-11-12", "2024-11-21", "1m")
    page_requests = 3
    delisted = ("OLDCO", "2019-06-28")
    forming = ("AAPL", "1d")
    dst = ("AAPL", "2024-03-07", "2024-03-13", "1h")
    too_early = ("1m", "2024-01-02")
    refusals = ()

    @pytest.fixture
    def server(self):
        with YahooServer() as running:
            yield running

    def build(self, server, **options):
        return YFinanceDataSource(base_url=server.url, **options)

    def expected(self, symbol, start, end, frequency):
        return held(symbol, start, end, frequency)


class TestYahooBehindAProxy(VendorContract):
    """Yahoo's real addresses, over TLS, with the cookie that its hosts share."""

    symbols = ("MSFT", "SPY")
    start, end = "2023-02-01", "2023-12-29"
    unknown_symbol = "NOSUCH"
    now = market.NOW
    two_pages = ("SPY", "2024-11-04", "2024-11-15", "1m")
    page_requests = 3
    forming = ("SPY", "15m")
    dst = ("MSFT", "2024-10-31", "2024-11-06", "15m")
    too_early = ("5m", "2024-01-02")
    refusals = ()

    @pytest.fixture
    def server(self):
        with YahooServer(tls=True, proxy=True) as running:
            yield running

    def build(self, server, **options):
        return YFinanceDataSource(proxy=server.proxy_url, ca_bundle=server.ca_bundle, **options)

    def expected(self, symbol, start, end, frequency):
        return held(symbol, start, end, frequency)
