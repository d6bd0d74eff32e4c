"""What ``--plan`` promises is what the fakes then count."""

import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources import get_source
from tests.fakes import alphavantage, market, massive
from tests.fakes.alphavantage import AlphaVantageServer
from tests.fakes.binance import BinanceServer
from tests.fakes.massive import MassiveServer
from tests.fakes.yahoo import YahooServer

PAIRS = ["BTC/USDT", "ETH/USDT"]


@pytest.mark.parametrize(
    ("name", "server_class", "symbols", "start", "end", "frequency", "options"),
    [
        ("yfinance", YahooServer, market.CROWD[:4], "2022-01-03", "2024-11-27", "1d", {}),
        ("yfinance", YahooServer, market.CROWD[:2], "2024-11-05", "2024-11-22", "1m", {}),
        ("polygon", MassiveServer, market.CROWD[:4], "2022-01-03", "2024-11-27", "1d", {}),
        ("alphavantage", AlphaVantageServer, market.CROWD[:4], "2022-01-03", "2024-11-27", "1d", {"adjusted": True}),
        ("ccxt", BinanceServer, PAIRS, "2019-01-01", "2024-11-20", "1d", {"exchange": "binance"}),
        ("ccxt", BinanceServer, PAIRS, "2024-08-01", "2024-11-20", "1h", {"exchange": "binance"}),
    ],
)
def test_a_plan_counts_what_comes(name, server_class, symbols, start, end, frequency, options, tmp_path, monkeypatch):
    monkeypatch.setenv("MASSIVE_API_KEY", massive.KEY)
    monkeypatch.setenv("ALPHAVANTAGE_API_KEY", alphavantage.KEY)
    clock = {"clock": lambda: market.NOW}
    with server_class() as server, BundleStore(tmp_path / "home") as store:
        source = get_source(name, base_url=server.url, requests_per_minute=0, **clock, **options)
        plan = source.plan(symbols, start, end, frequency)
        before = len(server.requests)
        report = source.ingest_to_bundle("b", list(symbols), start, end, frequency, store=store, **clock)
        source.close()
        asked = len(server.requests) - before
    assert report.rows == plan.rows
    # Signing in and lists of markets come once, whatever is asked for.
    assert plan.requests <= asked <= plan.requests * 1.1 + 2
