"""The contract of vendors for Binance and Kraken: the real ccxt against local stand-ins."""

from datetime import UTC, datetime, time, timedelta

import pytest

from rustybt.data.sources.ccxt import CCXTDataSource
from rustybt.errors import AuthenticationError
from rustybt.market.bars import BAR_SCHEMA
from rustybt.testing.vendor_contract import VendorContract
from tests.fakes.binance import BinanceServer
from tests.fakes.kraken import KrakenServer
from tests.fakes.market import NOW, candles

SECONDS = {"1m": 60, "5m": 300, "1h": 3_600, "1d": 86_400}


def market_bars(exchange, symbol, start, end, frequency):
    """What the market holds, from the first to the last day, both included, formed or not."""
    first = datetime.combine(datetime.fromisoformat(start), time(), UTC)
    last = datetime.combine(datetime.fromisoformat(end), time(), UTC) + timedelta(days=1, microseconds=-1)
    last = min(last, datetime.fromtimestamp(NOW, UTC))
    rows = candles(exchange, symbol, SECONDS[frequency], first, last)
    columns = [(row.start, symbol, row.open, row.high, row.low, row.close, row.volume) for row in rows]
    import polars as pl

    return pl.DataFrame(columns, schema=BAR_SCHEMA, orient="row")


class ExchangeContract(VendorContract):
    """What both exchanges have in common."""

    exchange = ""
    now = NOW

    def build(self, server, **options):
        return CCXTDataSource(exchange=self.exchange, base_url=server.url, **options)

    def expected(self, symbol, start, end, frequency):
        return market_bars(self.exchange, symbol, start, end, frequency)

    def test_a_country_that_is_not_served_is_told_so_at_once(self, source, server):
        server.fail("451")
        with pytest.raises(AuthenticationError, match="location"):
            self._ask(source)
        assert len(server.data_requests()) == 1


class TestBinance(ExchangeContract):
    exchange = "binance"
    symbols = ("BTC/USDT", "SHIB/USDT")
    start, end = "2024-11-01", "2024-11-20"
    two_pages = ("ETH/USDT", "2024-08-01", "2024-10-12", "1h")  # 73 days: 1752 bars
    delisted = ("LUNA/USDT", "2022-05-13")
    forming = ("BTC/USDT", "1h")
    dst = ("BTC/USDT", "2024-03-09", "2024-03-11", "1h")

    @pytest.fixture
    def server(self):
        with BinanceServer() as running:
            yield running


class TestKraken(ExchangeContract):
    exchange = "kraken"
    symbols = ("BTC/USD", "BTC/USDT")
    start, end = "2024-11-01", "2024-11-20"
    forming = ("BTC/USD", "1h")
    too_early = ("1d", "2020-01-01")
    dst = ("BTC/USD", "2024-11-02", "2024-11-04", "1h")

    @pytest.fixture
    def server(self):
        with KrakenServer() as running:
            yield running


class TestBinanceThroughAProxy(ExchangeContract):
    """The exchange's own addresses, over TLS, through a proxy: as behind a company's firewall."""

    exchange = "binance"
    symbols = ("BTC/USDT", "SHIB/USDT")
    start, end = "2024-11-01", "2024-11-20"
    two_pages = ("ETH/USDT", "2024-08-01", "2024-10-12", "1h")

    @pytest.fixture
    def server(self):
        with BinanceServer(tls=True, proxy=True) as running:
            yield running

    def build(self, server, **options):
        return CCXTDataSource(exchange=self.exchange, proxy=server.proxy_url, ca_bundle=server.ca_bundle, **options)
