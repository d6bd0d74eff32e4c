"""ccxt's real websocket client against a local exchange."""

import asyncio
import threading
import time
from decimal import Decimal

import pytest

from rustybt.data.adapters.ccxt.adapter import CCXTAdapter
from rustybt.data.adapters.ccxt.stream import FormingBars
from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.adapters.series import StreamedBar
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources.bridge import iterate, run
from rustybt.data.sources.vendor.stream import BarStream
from rustybt.errors import RequestError, SourceUnavailableError, SymbolNotFoundError
from rustybt.market.frequency import FREQUENCIES
from tests.fakes.binance import BinanceServer
from tests.fakes.market import NOW, PAIRS, candle

MINUTE = FREQUENCIES["1m"]
AT = int(NOW)


@pytest.fixture
def server():
    with BinanceServer() as running:
        running.greets = False
        yield running


@pytest.fixture
def adapter(server):
    made = adapter_of(Transport(base_url=server.url), server)
    yield made
    run(made.close())


def adapter_of(transport, server):
    return CCXTAdapter(
        Connection(transport, requests_per_minute=0, retry=RetryPolicy(max_attempts=1), clock=lambda: server.now)
    )


def short(bar):
    return bar.symbol, bar.timestamp // 1_000_000 - AT, bar.close, bar.is_final


class Listener:
    """Reads a subscription in the background, so that a test can push and look."""

    def __init__(self, server, adapter, symbols):
        self.bars, self.error, self._server, self._symbols = [], None, server, symbols
        self._task = run(self._start(adapter, symbols))

    async def _start(self, adapter, symbols):
        return asyncio.create_task(self._read(adapter.subscribe(symbols, MINUTE)))

    async def _read(self, subscription):
        try:
            async for bar in subscription:
                self.bars.append(bar)
        except Exception as error:  # noqa: BLE001  whatever ends the stream is looked at by the test
            self.error = error
        finally:
            await subscription.aclose()

    def __enter__(self):
        for symbol in self._symbols:
            self._server.wait_for_subscription(symbol)
        return self

    def __exit__(self, *_):
        async def stop():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

        run(stop())

    def wait(self, count=None):
        """Wait for so many bars, or for the end, and return the bars."""
        patience = time.monotonic() + 5
        while (len(self.bars) < count) if count is not None else (self.error is None):
            assert time.monotonic() < patience, self.bars
            assert count is None or self.error is None, self.error
            time.sleep(0.002)
        return [short(bar) for bar in self.bars]


def test_a_bar_is_final_when_the_next_one_begins(server, adapter):
    with Listener(server, adapter, ["BTC/USDT"]) as heard:
        server.push("BTC/USDT", "1m", AT, c="101")
        heard.wait(1)
        server.push("BTC/USDT", "1m", AT, c="102", closed=True)
        heard.wait(2)
        server.push("BTC/USDT", "1m", AT + 60, c="103")
        assert heard.wait(4) == [
            ("BTC/USDT", 0, Decimal(101), False),
            ("BTC/USDT", 0, Decimal(102), False),
            ("BTC/USDT", 0, Decimal(102), True),
            ("BTC/USDT", 60, Decimal(103), False),
        ]


def test_the_numbers_are_those_of_the_exchange(server, adapter):
    with Listener(server, adapter, ["SHIB/USDT"]) as heard:
        server.push(
            "SHIB/USDT", "1m", AT, o="0.00003443", h="0.00003450", l="0.00003440", c="0.00003449", v="987654.12"
        )
        heard.wait(1)
    (bar,) = heard.bars
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == tuple(
        map(Decimal, ("0.00003443", "0.0000345", "0.0000344", "0.00003449", "987654.12"))
    )


def test_a_repetition_is_said_once(server, adapter):
    with Listener(server, adapter, ["BTC/USDT"]) as heard:
        for _ in range(3):
            server.push("BTC/USDT", "1m", AT, c="101")
        server.push("BTC/USDT", "1m", AT, c="102")
        assert [close for _, _, close, _ in heard.wait(2)] == [101, 102]


def test_many_symbols_share_one_connection_and_do_not_mix(server, adapter):
    with Listener(server, adapter, ["BTC/USDT", "ETH/USDT"]) as heard:
        assert len(server.subscriptions) == 1
        server.push("BTC/USDT", "1m", AT, c="101")
        heard.wait(1)
        server.push("ETH/USDT", "1m", AT, c="7")
        heard.wait(2)
        server.push("BTC/USDT", "1m", AT + 60, c="102")
        assert heard.wait(4) == [
            ("BTC/USDT", 0, Decimal(101), False),
            ("ETH/USDT", 0, Decimal(7), False),
            ("BTC/USDT", 0, Decimal(101), True),
            ("BTC/USDT", 60, Decimal(102), False),
        ]


def test_a_burst_of_messages_loses_no_final_bar(server, adapter):
    """ccxt wakes once for several messages; what it kept must be all of them."""
    with Listener(server, adapter, ["BTC/USDT"]) as heard:
        for minute in range(20):
            server.push("BTC/USDT", "1m", AT + 60 * minute, closed=True)
        heard.wait(1)
        server.push("BTC/USDT", "1m", AT + 1_200, c="1")
        patience = time.monotonic() + 5
        while len([bar for bar in heard.bars if bar.is_final]) < 20 and time.monotonic() < patience:
            time.sleep(0.002)
    final = [bar for bar in heard.bars if bar.is_final]
    pair = PAIRS["binance", "BTC/USDT"]
    assert [bar.timestamp // 1_000_000 for bar in final] == [AT + 60 * minute for minute in range(20)]
    assert [bar.close for bar in final] == [candle(pair, 60, AT + 60 * minute).close for minute in range(20)]


def test_a_connection_that_breaks_is_unavailable_and_can_be_opened_again(server, adapter):
    with Listener(server, adapter, ["BTC/USDT"]) as heard:
        server.push("BTC/USDT", "1m", AT)
        heard.wait(1)
        server.close_websockets()
        heard.wait()
        assert isinstance(heard.error, SourceUnavailableError)
    with Listener(server, adapter, ["BTC/USDT"]) as heard:
        server.push("BTC/USDT", "1m", AT + 60)
        assert len(heard.wait(1)) == 1


def test_the_markets_are_asked_for_once_for_all_subscriptions(server, adapter):
    for _ in range(2):
        with Listener(server, adapter, ["BTC/USDT"]):
            pass
    assert [request.path for request in server.requests].count("/api/v3/exchangeInfo") == 1


def test_a_stream_goes_through_a_proxy_to_the_exchanges_own_address():
    with BinanceServer(tls=True, proxy=True) as server:
        adapter = adapter_of(Transport(proxy=server.proxy_url, ca_bundle=server.ca_bundle), server)
        with Listener(server, adapter, ["BTC/USDT"]) as heard:
            assert len(heard.wait(1)) == 1  # the exchange greets with the forming bar
        run(adapter.close())
        assert "stream.binance.com:9443" in {request.host for request in server.requests}


def test_a_client_of_the_callers_own_stays_open(server):
    import ccxt.pro

    client = ccxt.pro.binance({"timeout_on_exit": 0})
    client.options["fetchMarkets"]["types"] = ["spot"]
    client.urls["api"]["public"] = f"{server.url}/api/v3"
    client.urls["api"]["ws"]["spot"] = f"{server.websocket_url}/ws"
    adapter = CCXTAdapter(Connection(client=client, clock=lambda: server.now))
    with Listener(server, adapter, ["BTC/USDT"]) as heard:
        server.push("BTC/USDT", "1m", AT)
        heard.wait(1)
    assert client.session is not None
    run(adapter.close())
    run(client.close())


def test_nobody_at_the_address_is_unavailable(server, adapter):
    run(adapter._load_markets())
    adapter.connection = Connection(Transport(base_url="http://127.0.0.1:9"))
    with pytest.raises(SourceUnavailableError):
        list(iterate(adapter.subscribe(["BTC/USDT"], MINUTE)))


def test_an_unknown_symbol_is_refused(adapter):
    with pytest.raises(SymbolNotFoundError, match="NO/SUCH"):
        list(iterate(adapter.subscribe(["NO/SUCH"], MINUTE)))


def test_an_exchange_without_a_stream_is_refused_before_anything_is_asked():
    adapter = CCXTAdapter(Connection(), exchange="bithumb")
    assert not adapter.can_stream
    with pytest.raises(RequestError, match="bithumb"):
        adapter.subscribe(["BTC/KRW"], MINUTE)


def test_a_late_change_of_a_final_bar_is_passed_on_as_final():
    forming = FormingBars("A/B")
    forming.update([[1_000, 1.0, 1.0, 1.0, 1.0, 1.0]])
    forming.update([[2_000, 2.0, 2.0, 2.0, 2.0, 2.0]])
    late = forming.update([[1_000, 1.0, 1.5, 1.0, 1.0, 3.0]])
    assert late == [StreamedBar("A/B", 1_000_000, *map(Decimal, ("1.0", "1.5", "1.0", "1.0", "3.0")), is_final=True)]


def test_a_bar_without_prices_is_not_a_bar():
    forming = FormingBars("A/B")
    assert forming.update([[1_000, None, None, None, None, 0.0]]) == []
    assert [bar.volume for bar in forming.update([[1_000, 1.0, 1.0, 1.0, 1.0, None]])] == [0]


def test_bars_that_a_broken_connection_missed_are_fetched_before_the_next_one(server, adapter):
    """The whole way: ccxt's websocket, the break, the exchange's history, and no bar twice."""
    stream = BarStream(adapter, ["BTC/USDT"], MINUTE, clock=lambda: server.now, first_wait_seconds=0.01)
    got = []

    def read():
        for bar in iterate(stream.bars()):
            got.append(bar)
            if len(got) == 6:
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    server.wait_for_subscription("BTC/USDT")
    server.push("BTC/USDT", "1m", AT, closed=True)
    server.push("BTC/USDT", "1m", AT + 60)
    wait_until(lambda: len(got) == 1)
    server.now = NOW + 4 * 60 + 5
    server.close_websockets()
    wait_until(lambda: stream.connections == 2)
    server.wait_for_subscription("BTC/USDT")
    server.push("BTC/USDT", "1m", AT + 240, closed=True)
    server.push("BTC/USDT", "1m", AT + 300, closed=True)
    server.push("BTC/USDT", "1m", AT + 360)
    reader.join(10)
    pair = PAIRS["binance", "BTC/USDT"]
    assert [bar.timestamp // 1_000_000 - AT for bar in got] == [0, 60, 120, 180, 240, 300]
    assert [bar.close for bar in got] == [candle(pair, 60, AT + second).close for second in range(0, 360, 60)]
    assert all(bar.is_final for bar in got)


def wait_until(true):
    patience = time.monotonic() + 5
    while not true():
        assert time.monotonic() < patience
        time.sleep(0.002)
