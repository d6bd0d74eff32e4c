"""Massive's websocket, by way of the vendor's real client, against the local server."""

import asyncio
import logging
import time
import traceback
from datetime import date, timedelta
from decimal import Decimal

import pytest

from rustybt.data.adapters.credentials import Secret
from rustybt.data.adapters.massive.stream import DELAYED_HOST, LIVE_HOST, MassiveStream
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources import bridge
from rustybt.data.sources.polygon import PolygonDataSource
from rustybt.errors import AuthenticationError, BadResponseError, RequestError, SourceUnavailableError
from rustybt.market.frequency import FREQUENCIES
from tests.fakes import market
from tests.fakes.massive import KEY, MassiveServer

MINUTE = FREQUENCIES["1m"]
DAY = date(2024, 11, 26)
ROWS = market.intraday("AAPL", 1, DAY, DAY)


class Listener:
    """Listens on the bridge's loop while the test does something else."""

    def __init__(self, bars):
        self.received = []
        self._bars = bars
        self._task = None
        bridge.run(self._start())

    async def _start(self):
        self._task = asyncio.create_task(self._listen())

    async def _listen(self):
        async for bar in self._bars:
            self.received.append(bar)

    def error(self):
        """Wait for the end, and return why."""

        async def wait():
            return (await asyncio.wait_for(asyncio.gather(self._task, return_exceptions=True), 5))[0]

        return bridge.run(wait())

    def stop(self):
        async def cancel():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

        bridge.run(cancel())


@pytest.fixture
def listen(server):
    listeners = []

    def start(*symbols, frequency=MINUTE, **options):
        source = PolygonDataSource(**{"base_url": server.url, "timeout_seconds": 2, **options})
        listeners.append(Listener(source.adapter.subscribe(symbols, frequency)))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.stop()


def until(condition):
    """Wait until something is so, for at most five seconds."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def push(server, *rows, ticker="AAPL"):
    until(lambda: server.listeners)
    for row in rows:
        assert server.push(ticker, row) == 1


class TestBars:
    def test_minutes_arrive_with_all_their_digits_and_are_final(self, server, listen):
        heard = listen("AAPL", "BRK.B")
        push(server, ROWS[0], ROWS[1])
        until(lambda: len(heard.received) == 2)
        bar, row = heard.received[0], ROWS[0]
        assert (bar.symbol, bar.timestamp, bar.is_final) == ("AAPL", int(row.start.timestamp()) * 1_000_000, True)
        assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (
            row.open,
            row.high,
            row.low,
            row.close,
            row.volume,
        )
        assert [type(value) for value in (bar.open, bar.volume)] == [Decimal, Decimal]
        push(server, ROWS[0], ticker="BRK.B")
        until(lambda: len(heard.received) == 3)
        assert heard.received[2].symbol == "BRK.B"

    def test_only_bars_of_the_session_arrive(self, server, listen):
        early = market.Row(ROWS[0].start - timedelta(minutes=1), *[Decimal(1)] * 5)
        late = market.Row(ROWS[-1].start + timedelta(minutes=1), *[Decimal(1)] * 5)
        heard = listen("AAPL")
        push(server, early, ROWS[0], late, ROWS[1])
        until(lambda: len(heard.received) == 2)
        assert [bar.timestamp // 1_000_000 for bar in heard.received] == [
            row.start.timestamp() for row in (ROWS[0], ROWS[1])
        ]

    def test_all_hours_arrive_on_request(self, server, listen):
        early = market.Row(ROWS[0].start - timedelta(minutes=1), *[Decimal(1)] * 5)
        heard = listen("AAPL", extended_hours=True)
        push(server, early)
        until(lambda: len(heard.received) == 1)

    def test_messages_of_other_kinds_are_passed_over(self, server, listen):
        heard = listen("AAPL")
        until(lambda: server.listeners)
        server.push_text('[{"ev": "T", "sym": "AAPL", "p": 1}, {"ev": "AM", "sym": "MSFT", "s": 1}]')
        server.push_text('[{"ev": "status", "status": "success", "message": "all is well"}]')
        push(server, ROWS[0])
        until(lambda: len(heard.received) == 1)

    def test_the_websocket_is_reached_over_tls(self, monkeypatch):
        monkeypatch.setenv("MASSIVE_API_KEY", KEY)
        with MassiveServer(tls=True) as server:
            source = PolygonDataSource(base_url=server.url, ca_bundle=server.ca_bundle, timeout_seconds=2)
            heard = Listener(source.adapter.subscribe(["AAPL"], MINUTE))
            push(server, ROWS[0])
            until(lambda: heard.received)
            heard.stop()

    def test_the_vendors_address_is_reached_through_the_proxy(self, monkeypatch):
        monkeypatch.setenv("MASSIVE_API_KEY", KEY)
        with MassiveServer(tls=True, proxy=True) as server:
            source = PolygonDataSource(proxy=server.proxy_url, ca_bundle=server.ca_bundle, timeout_seconds=2)
            heard = Listener(source.adapter.subscribe(["AAPL"], MINUTE))
            push(server, ROWS[0])
            until(lambda: heard.received)
            heard.stop()
            assert server.requests[0].host == "delayed.massive.com"

    def test_live_is_another_address_than_delayed(self):
        hosts = [
            MassiveStream(Transport(), Secret(KEY), live=live, extended_hours=False)._client({"AAPL": "AAPL"}).url
            for live in (True, False)
        ]
        assert hosts == [f"wss://{LIVE_HOST}/stocks", f"wss://{DELAYED_HOST}/stocks"]


class TestEnds:
    @pytest.mark.parametrize("code", [1000, 1011, 1012])
    def test_a_connection_that_breaks_is_unavailable_after_what_had_arrived(self, server, listen, code):
        heard = listen("AAPL")
        push(server, ROWS[0], ROWS[1])
        server.close_websockets(code)
        assert isinstance(heard.error(), SourceUnavailableError)
        assert len(heard.received) == 2

    def test_it_is_not_opened_again_by_the_client(self, server, listen):
        heard = listen("AAPL")
        until(lambda: server.listeners)
        server.close_websockets(1012)
        heard.error()
        time.sleep(0.05)
        assert len(server.requests) == 1

    def test_a_key_that_is_refused_says_so(self, server, listen):
        server.key = "another-invented-key"
        found = listen("AAPL").error()
        assert isinstance(found, AuthenticationError)
        assert "MASSIVE_API_KEY" in found.hint

    def test_a_server_that_is_not_there_is_given_up(self, listen):
        began = time.monotonic()
        found = listen("AAPL", base_url="http://127.0.0.1:9", timeout_seconds=0.1).error()
        assert isinstance(found, SourceUnavailableError)
        assert time.monotonic() - began < 3

    def test_a_plan_without_the_stream_says_so(self, server, listen):
        heard = listen("AAPL")
        until(lambda: server.listeners)
        server.push_text('[{"ev": "status", "status": "error", "message": "not authorized to subscribe: AM.AAPL"}]')
        assert isinstance(heard.error(), AuthenticationError)

    def test_a_listener_that_is_too_slow_is_unavailable(self, server, listen):
        heard = listen("AAPL")
        until(lambda: server.listeners)
        server.push_text('[{"ev": "status", "status": "slow_consumer", "message": "too slow"}]')
        assert "slow_consumer" in heard.error().message

    @pytest.mark.parametrize(
        "text",
        [
            "[{",
            '["AM"]',
            '[{"ev": "AM", "sym": "AAPL"}]',
            '[{"ev": "AM", "sym": "AAPL", "s": 1, "o": "x", "h": 1, "l": 1, "c": 1, "v": 1}]',
            '[{"ev": "AM", "sym": "AAPL", "s": 1, "o": NaN, "h": 1, "l": 1, "c": 1, "v": 1}]',
        ],
    )
    def test_a_malformed_message_is_an_error(self, server, listen, text):
        heard = listen("AAPL")
        until(lambda: server.listeners)
        server.push_text(text)
        assert isinstance(heard.error(), BadResponseError)
        assert not heard.received

    def test_only_minutes_are_streamed(self, listen):
        assert isinstance(listen("AAPL", frequency=FREQUENCIES["5m"]).error(), RequestError)

    def test_a_listener_that_leaves_closes_the_connection(self, server, listen):
        heard = listen("AAPL")
        until(lambda: server.listeners)
        heard.stop()
        until(lambda: not server.subscriptions)


class TestSecrets:
    CANARY = "canary-invented-key-4711-never-shown"

    def test_the_key_is_in_no_log_and_no_error(self, server, listen, monkeypatch, caplog, capfd):
        monkeypatch.setenv("MASSIVE_API_KEY", self.CANARY)
        server.key = self.CANARY
        caplog.set_level(logging.DEBUG)
        heard = listen("AAPL")
        push(server, ROWS[0])
        server.close_websockets(1011)
        found = heard.error()
        shown = "".join(traceback.TracebackException.from_exception(found, capture_locals=True).format())
        streams = capfd.readouterr()
        assert self.CANARY not in shown + caplog.text + streams.out + streams.err
        assert streams.out == ""
        assert not [request for request in server.requests if self.CANARY in f"{request.path}{request.query}"]
