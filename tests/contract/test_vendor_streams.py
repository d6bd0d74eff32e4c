"""Streams from end to end: each vendor's own websocket client, its history over REST, and a connection that breaks anyhow."""

import threading
import time
from datetime import UTC, date, datetime, timedelta

import pytest

from rustybt.data.sources.alpaca import AlpacaDataSource
from rustybt.data.sources.bridge import iterate
from rustybt.data.sources.ccxt import CCXTDataSource
from rustybt.data.sources.polygon import PolygonDataSource
from rustybt.data.sources.vendor.stream import BarStream
from rustybt.errors import SourceError
from rustybt.market.frequency import FREQUENCIES
from rustybt.testing.vendor_contract import QUICK
from tests.fakes import alpaca, binance, market, massive

MINUTE = FREQUENCIES["1m"]
DAY = date(2024, 11, 27)
FIRST = 60  # minutes after the open


class Exchange:
    """A vendor, and minutes that pass on it: `pass_minute` ends one, and pushes it if anybody listens."""

    def __init__(self, server, source, symbol, path):
        self.server, self.source, self.symbol, self.path = server, source, symbol, path
        self.opened = market.sessions("XNYS")[DAY][0]
        self.step = FIRST
        #: What this machine's clock is ahead of the vendor's.
        self.fast = 0.0
        server.now = self.at(FIRST)

    def at(self, step):
        return (self.opened + timedelta(minutes=step)).timestamp()

    def row(self, step):
        if isinstance(self.server, binance.BinanceServer):
            return market.candle(market.PAIRS["binance", self.symbol], 60, int(self.at(step)))
        return market.intraday(self.symbol, 1, DAY, DAY)[step]

    def pass_minute(self, *, heard=True):
        self.step += 1
        self.server.now = self.at(self.step) + 1
        if heard:
            self.push(self.step - 1)

    def push(self, step):
        if isinstance(self.server, binance.BinanceServer):
            self.server.push(self.symbol, "1m", int(self.at(step)), closed=True)
            self.server.push(self.symbol, "1m", int(self.at(step + 1)))
        else:
            self.server.push(self.symbol, self.row(step))

    def is_heard(self):
        if isinstance(self.server, binance.BinanceServer):
            return any(self.server.subscriptions.values())
        listeners = self.server.subscriptions if hasattr(self.server, "subscriptions") else self.server.listeners
        return any(listeners.values())

    def tear(self):
        """Break off in the middle of a frame."""

        async def cut():
            for opened in list(self.server._sockets):
                transport = opened._req.transport if opened._req is not None else None
                if transport is not None:
                    transport.write(b"\x82\x7e\x40\x00half of a message")
                    transport.abort()

        self.server.run(cut())


@pytest.fixture(params=["alpaca", "polygon", "binance"])
def exchange(request, monkeypatch):
    monkeypatch.setenv("MASSIVE_API_KEY", massive.KEY)
    monkeypatch.setenv("APCA_API_KEY_ID", alpaca.KEY_ID)
    monkeypatch.setenv("APCA_API_SECRET_KEY", alpaca.SECRET)
    make_server, make_source, symbol, path = {
        "alpaca": (alpaca.AlpacaServer, AlpacaDataSource, "AAPL", "/v2/iex"),
        "polygon": (massive.MassiveServer, PolygonDataSource, "AAPL", "/stocks"),
        "binance": (binance.BinanceServer, CCXTDataSource, "BTC/USDT", "/ws"),
    }[request.param]
    with make_server() as server:
        made = Exchange(server, None, symbol, path)
        made.source = make_source(
            base_url=server.url,
            retry=QUICK,
            requests_per_minute=0,
            timeout_seconds=1.0,
            clock=lambda: server.now + made.fast,
        )
        yield made
        made.source.close()


def until(condition, what=""):
    patience = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < patience, what
        time.sleep(0.005)


class Listener:
    """Takes bars in a thread, up to `count`."""

    def __init__(self, exchange, count, **options):
        self.stream = BarStream(
            exchange.source.adapter,
            [exchange.symbol],
            MINUTE,
            clock=exchange.source.clock,
            first_wait_seconds=0.01,
            **options,
        )
        self.bars, self.error, self.count = [], None, count
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self):
        try:
            for bar in iterate(self.stream.bars()):
                self.bars.append(bar)
                if len(self.bars) == self.count:
                    return
        except SourceError as error:
            self.error = error

    def wait(self):
        self.thread.join(timeout=15)
        assert not self.thread.is_alive(), [datetime.fromtimestamp(bar.timestamp / 1e6, UTC) for bar in self.bars]
        return self.bars


def check(exchange, bars, count):
    """Each minute once, in order, with its own numbers."""
    rows = [exchange.row(FIRST + n) for n in range(count)]
    assert [bar.timestamp for bar in bars] == [int(row.start.timestamp()) * 1_000_000 for row in rows]
    assert [(bar.open, bar.high, bar.low, bar.close) for bar in bars] == [
        (row.open, row.high, row.low, row.close) for row in rows
    ]
    assert all(bar.is_final for bar in bars)


def test_a_break_in_the_middle_of_a_message_and_a_server_that_stays_away_leave_no_hole(exchange):
    listener = Listener(exchange, 8)
    until(exchange.is_heard)
    for _ in range(2):
        exchange.pass_minute()
    until(lambda: len(listener.bars) == 2)
    exchange.server.fail("503", times=3, where=lambda request: request.path.startswith(exchange.path))
    exchange.tear()
    until(lambda: not exchange.is_heard())
    for _ in range(4):
        exchange.pass_minute(heard=False)
    until(exchange.is_heard)
    # A minute is pushed that the history has too: whichever comes first, it is handed over once.
    exchange.push(exchange.step - 1)
    for _ in range(3):
        exchange.pass_minute()
    check(exchange, listener.wait(), 8)
    assert listener.stream.connections >= 2


def test_old_and_repeated_bars_and_those_of_others_are_left_out(exchange):
    listener = Listener(exchange, 4)
    until(exchange.is_heard)
    exchange.pass_minute()
    exchange.pass_minute()
    until(lambda: len(listener.bars) == 2)
    exchange.push(FIRST)
    exchange.push(FIRST + 1)
    exchange.push(FIRST - 5)
    if isinstance(exchange.server, massive.MassiveServer):
        exchange.server.push_text(
            '[{"ev": "AM", "sym": "MSFT", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "s": 1, "e": 2}]'
        )
    if isinstance(exchange.server, alpaca.AlpacaServer):
        exchange.server.say({"T": "b", "S": "MSFT", "o": 1.0})
    exchange.pass_minute()
    exchange.pass_minute()
    check(exchange, listener.wait(), 4)
    assert listener.stream.late


@pytest.mark.parametrize("exchange", ["binance"], indirect=True)  # the others push final bars only, and tell no time
def test_a_clock_that_is_a_day_fast_makes_no_forming_bar_final(exchange):
    exchange.fast = 86_400.0
    listener = Listener(exchange, 3)
    until(exchange.is_heard)
    # The forming bar, several times, with numbers that it will not keep; at the third the first two are dealt with.
    for heard in (1, 2, 3):
        exchange.server.push(exchange.symbol, "1m", int(exchange.at(FIRST)), c=f"1.{heard}")
        until(lambda heard=heard: listener.stream.heard >= heard)
    assert listener.bars == []
    exchange.pass_minute()
    exchange.tear()
    until(lambda: not exchange.is_heard())
    exchange.pass_minute(heard=False)
    until(exchange.is_heard)
    exchange.pass_minute()
    check(exchange, listener.wait(), 3)


def test_a_server_that_is_away_for_good_ends_the_stream(exchange):
    exchange.server.fail("503", times=None, where=lambda request: request.path.startswith(exchange.path))
    listener = Listener(exchange, 1, max_reconnects=2)
    assert listener.wait() == []
    assert listener.error is not None


def test_a_closed_market_is_silent_for_as_long_as_it_likes(exchange):
    exchange.server.greets = False
    listener = Listener(exchange, 1, silence_seconds=0.05, max_reconnects=2)
    until(lambda: listener.stream.connections >= 6, "opened again after each silence")
    assert listener.error is None
    until(exchange.is_heard)
    until(lambda: exchange.pass_minute() or listener.bars)
    assert listener.wait()[0].timestamp == int(exchange.at(FIRST)) * 1_000_000
