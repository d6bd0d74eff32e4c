"""The adapters of the first design, against the vendors' local stand-ins."""

import asyncio
from datetime import UTC, datetime

import numpy as np
import pytest

from rustybt.errors import RequestError
from rustybt.testing.bars import frame_of_bars
from tests.compat.exercises import exercise
from tests.fakes import market
from tests.fakes.alpaca import AlpacaServer
from tests.fakes.alphavantage import AlphaVantageServer
from tests.fakes.binance import BinanceServer
from tests.fakes.held import frame_of, held, rows_of
from tests.fakes.massive import MassiveServer
from tests.fakes.yahoo import YahooServer

ADAPTERS = "rustybt.data.adapters"


def of(adapter):
    return f"{ADAPTERS}.{adapter}", f"{ADAPTERS}.{adapter}.fetch_ohlcv"


def reached(server):
    """Options that every source of a vendor takes: where it is, that it may be asked at once, and what time it is."""
    return {"base_url": server.url, "requests_per_minute": 0, "clock": lambda: market.NOW}


@exercise(*of("YFinanceAdapter"))
def yahoo_answers_its_old_adapter():
    from rustybt.data.adapters import YFinanceAdapter

    with YahooServer() as server:
        adapter = YFinanceAdapter(**reached(server))
        bars = adapter.fetch_ohlcv(["MSFT"], "2024-03-04", "2024-03-08", "1d")
        adapter.close()
    rows = []
    for row in rows_of("MSFT", "2024-03-04", "2024-03-08", "1d"):
        # Yahoo's numbers are float32.
        prices = [market.Decimal(str(np.float32(price))) for price in (row.open, row.high, row.low, row.close)]
        rows.append(market.Row(row.start, *prices, row.volume))
    assert bars.columns == ["timestamp", "symbol", "open", "high", "low", "close", "volume"]
    assert bars.equals(frame_of("MSFT", rows))
    assert bars.height == 5


@exercise(*of("CCXTAdapter"))
def an_exchange_answers_its_old_adapter():
    from rustybt.data.adapters import CCXTAdapter

    with BinanceServer() as server:
        adapter = CCXTAdapter("binance", **reached(server))
        bars = adapter.fetch_ohlcv("BTC/USDT", start_date="2024-11-01", end_date="2024-11-02", frequency="1h")
        adapter.close()
        renamed = CCXTAdapter(exchange_id="binance", **reached(server))
        assert renamed.fetch_ohlcv("BTC/USDT", "2024-11-01", "2024-11-02", "1h").equals(bars)
        renamed.close()
    first, last = datetime(2024, 11, 1, tzinfo=UTC), datetime(2024, 11, 2, 23, tzinfo=UTC)
    assert bars.equals(frame_of("BTC/USDT", market.candles("binance", "BTC/USDT", 3_600, first, last)))
    assert bars.height == 48


def let_in(server, monkeypatch):
    for variable, value in server.environment.items():
        monkeypatch.setenv(variable, value)


@exercise(*of("PolygonAdapter"))
def polygon_answers_its_old_adapter(monkeypatch):
    from rustybt.data.adapters import PolygonAdapter

    with MassiveServer() as server:
        let_in(server, monkeypatch)
        adapter = PolygonAdapter(details=False, **reached(server))
        bars = adapter.fetch_ohlcv(["MSFT", "AAPL"], "2024-03-04", "2024-03-08")
        adapter.close()
    assert bars.filter(symbol="AAPL").equals(held("AAPL", "2024-03-04", "2024-03-08", "1d"))
    assert bars.filter(symbol="MSFT").equals(held("MSFT", "2024-03-04", "2024-03-08", "1d"))
    assert bars.height == 10


@exercise(*of("AlpacaAdapter"))
def alpaca_answers_its_old_adapter_inside_a_running_loop(monkeypatch):
    from rustybt.data.adapters import AlpacaAdapter

    async def notebook():
        adapter = AlpacaAdapter(feed="sip", **reached(server))
        bars = adapter.fetch_ohlcv(["AAPL"], "2024-03-04", "2024-03-08", "1d")
        adapter.close()
        return bars

    with AlpacaServer() as server:
        let_in(server, monkeypatch)
        bars = asyncio.run(notebook())
    assert bars.equals(held("AAPL", "2024-03-04", "2024-03-08", "1d"))
    assert bars.height == 5


@exercise(*of("AlphaVantageAdapter"))
def alpha_vantage_answers_its_old_adapter(monkeypatch):
    from rustybt.data.adapters import AlphaVantageAdapter

    with AlphaVantageServer() as server:
        let_in(server, monkeypatch)
        adapter = AlphaVantageAdapter(**reached(server))
        bars = adapter.fetch_ohlcv(["AAPL"], "2024-03-04", "2024-03-08")
        adapter.close()
    assert bars.equals(held("AAPL", "2024-03-04", "2024-03-08", "1d"))
    assert bars.height == 5


@exercise(*of("CSVAdapter"))
def files_are_read_by_their_old_adapter(tmp_path):
    from rustybt.data.adapters import CSVAdapter

    (tmp_path / "A.csv").write_text("Day,O,H,L,C,V\n2024-01-02,1,3,0.5,2,10\n2024-01-03,2,3,1,2.25,20\n")
    adapter = CSVAdapter(tmp_path, column_map={"timestamp": "Day"})
    bars = adapter.fetch_ohlcv(["A"], "2024-01-03", "2024-01-03", "1d")
    assert bars.equals(frame_of_bars([("A", "2024-01-03", "2", "3", "1", "2.25", "20")]))
    assert CSVAdapter(file_path=tmp_path, column_map={"timestamp": "Day"}).fetch_ohlcv("A").height == 2
    with pytest.raises(RequestError, match="no option 'colour'"):
        CSVAdapter(tmp_path, colour="red")
    with pytest.raises(RequestError, match="by name"):
        CSVAdapter(tmp_path, "daily")
    with pytest.raises(RequestError, match="mean the same"):
        adapter.fetch_ohlcv(["A"], "2024-01-03", start_date="2024-01-03")
