"""Whatever is typed for a symbol is one symbol to the vendor: no other address, no other symbol, no header, no other host."""

from urllib.parse import parse_qs, urlsplit

import pytest

from rustybt.data.sources.alpaca import AlpacaDataSource
from rustybt.data.sources.alphavantage import AlphaVantageDataSource
from rustybt.data.sources.bridge import iterate
from rustybt.data.sources.ccxt import CCXTDataSource
from rustybt.data.sources.polygon import PolygonDataSource
from rustybt.data.sources.yfinance import YFinanceDataSource
from rustybt.errors import RequestError, SymbolNotFoundError
from rustybt.testing.vendor_contract import QUICK
from tests.fakes import alpaca, alphavantage, binance, market, massive, yahoo

STRANGE = (
    "..", ".", "../../etc/passwd", "AAPL/../MSFT", "%2e%2e", "a%2Fb", "AAPL?apikey=x", "AAPL&symbol=MSFT", "AAPL#x", "AAPL;x",
    "AAPL,MSFT", "AAPL MSFT", 'AAPL"MSFT', "//evil.example/x", "http://evil.example/", "@evil.example", "\\..\\x",
    "AAPL%0d%0aX: y", "ÄÖ", "日本", "\u0663", "*", "$(id)", "A" * 64,
)  # fmt: skip
VENDORS = {
    "yahoo": (yahoo.YahooServer, YFinanceDataSource, ("/v8/finance/chart/", "/v1/test/getcrumb", "/")),
    "binance": (binance.BinanceServer, CCXTDataSource, ("/api/v3/time", "/api/v3/exchangeInfo")),
    "polygon": (massive.MassiveServer, PolygonDataSource, ("/v2/aggs/ticker/", "/v3/reference/")),
    "alpaca": (alpaca.AlpacaServer, AlpacaDataSource, ("/v2/stocks/bars", "/v2/assets", "/v1/corporate-actions")),
    "alphavantage": (alphavantage.AlphaVantageServer, AlphaVantageDataSource, ("/query",)),
}


@pytest.fixture(params=list(VENDORS))
def connected(request, monkeypatch):
    monkeypatch.setenv("MASSIVE_API_KEY", massive.KEY)
    monkeypatch.setenv("ALPHAVANTAGE_API_KEY", alphavantage.KEY)
    monkeypatch.setenv("APCA_API_KEY_ID", alpaca.KEY_ID)
    monkeypatch.setenv("APCA_API_SECRET_KEY", alpaca.SECRET)
    make_server, make_source, paths = VENDORS[request.param]
    with make_server() as server:
        source = make_source(base_url=server.url, retry=QUICK, clock=lambda: market.NOW, requests_per_minute=0)
        yield source, server, paths
        source.close()


@pytest.mark.parametrize("symbol", STRANGE)
def test_a_strange_symbol_is_unknown_and_reaches_no_other_address(connected, symbol):
    source, server, paths = connected
    with pytest.raises(SymbolNotFoundError):
        source.fetch_sync([symbol], "2024-11-18", "2024-11-20")
    for request in server.requests:
        parts = urlsplit(request.path_qs)
        assert any(
            parts.path == path or (path.endswith("/") and path != "/" and parts.path.startswith(path)) for path in paths
        )
        # What was typed is one value of the query, or one step of the path.
        for name, values in parse_qs(parts.query).items():
            assert name in {"symbol", "symbols", "ticker"} or symbol not in values
        assert ".." not in parts.path.split("/")
        assert request.host == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("symbol", ["", " ", "AAPL\r\nX-Evil: 1", "A\x00B", "A" * 65, "A\u2028B"])
def test_what_is_no_symbol_is_refused_without_a_request(connected, symbol):
    source, server, _ = connected
    with pytest.raises(RequestError):
        source.fetch_sync([symbol], "2024-11-18", "2024-11-20")
    assert server.requests == []


def test_strange_symbols_do_not_fail_the_others(connected):
    source, server, _ = connected
    good = "BTC/USDT" if isinstance(server, binance.BinanceServer) else "AAPL"
    deliveries = list(iterate(source.deliver(source.request([*STRANGE, good], "2024-11-18", "2024-11-20"))))
    failures = {name: error for delivery in deliveries for name, error in delivery.failures.items()}
    assert {type(error) for error in failures.values()} == {SymbolNotFoundError}
    assert sum(delivery.bars.height for delivery in deliveries) == 3


@pytest.mark.parametrize("connected", ["alpaca"], indirect=True)  # the others are asked for one symbol at a time
def test_two_thousand_symbols_are_asked_for_in_addresses_that_servers_take(connected):
    source, server, _ = connected
    names = [f"{'Z' * 50}{number}" for number in range(2_000)]
    deliveries = list(iterate(source.deliver(source.request(names, "2024-11-18", "2024-11-20"))))
    assert sum(len(delivery.failures) for delivery in deliveries) == 2_000
    assert max(len(request.path_qs) for request in server.requests) < 4_096
