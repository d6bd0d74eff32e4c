"""Alpaca's websocket through alpaca-py: minutes as they come, and no break that nobody sees."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from rustybt.data.adapters.alpaca.adapter import AlpacaAdapter
from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.series import StreamedBar
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources import bridge
from rustybt.data.sources.alpaca import AlpacaDataSource
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    RateLimitedError,
    RequestError,
    SourceUnavailableError,
)
from rustybt.market.frequency import FREQUENCIES
from tests.fakes import market
from tests.fakes.alpaca import KEY_ID, SECRET, AlpacaServer

OPEN = datetime(2024, 11, 29, 14, 30, tzinfo=UTC)
ROW = market.Row(OPEN, Decimal("187.15"), Decimal("187.44"), Decimal("186.9"), Decimal("187.3"), Decimal(12_345))


class Listener:
    """A subscription driven step by step from the test's thread."""

    def __init__(self, server, symbols=("AAPL",), **options):
        transport = options.pop("transport", None) or Transport(base_url=server.url, timeout_seconds=5.0)
        connection = Connection(transport, requests_per_minute=0, clock=lambda: market.NOW)
        self.adapter = AlpacaAdapter(connection, **options)
        self.bars = self.adapter.subscribe(symbols, FREQUENCIES["1m"])

    def take(self, count, meanwhile=lambda: None):
        """Return the next bars; `meanwhile` runs when the server has the subscription."""

        async def ask():
            return [await asyncio.wait_for(anext(self.bars), 5) for _ in range(count)]

        async def both():
            asking = asyncio.ensure_future(ask())
            await asyncio.get_running_loop().run_in_executor(None, meanwhile)
            return await asking

        return bridge.run(both())

    def close(self):
        bridge.run(self.bars.aclose())
        bridge.run(self.adapter.close())


@pytest.fixture
def listen(server):
    made = []

    def build(**options):
        made.append(Listener(options.pop("server", server), **options))
        return made[-1]

    yield build
    for listener in made:
        listener.close()


def wait_for(condition):
    import time

    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def pushing(server, *rows, symbol="AAPL"):
    def work():
        wait_for(lambda: server.listeners)
        for row in rows:
            server.push(symbol, row)

    return work


def test_a_minute_arrives_with_the_digits_that_were_printed(server, listen):
    (bar,) = listen().take(1, pushing(server, ROW))
    micros = int(OPEN.timestamp()) * 1_000_000
    assert bar == StreamedBar(
        "AAPL", micros, Decimal("187.15"), Decimal("187.44"), Decimal("186.9"), Decimal("187.3"), Decimal(12_345)
    )
    assert bar.is_final


def test_one_login_and_one_subscription_are_sent(server, listen):
    listen(symbols=("AAPL", "BRK.B")).take(1, pushing(server, ROW))
    assert [said["action"] for said in server.received] == ["auth", "subscribe"]
    assert sorted(server.received[1]["bars"]) == ["AAPL", "BRK.B"]
    assert set(server.received[1]) == {"action", "bars"}


def test_other_frames_are_no_bars(server, listen):
    def work():
        wait_for(lambda: server.listeners)
        server.push("AAPL", ROW, kind="u")
        server.push("AAPL", ROW, kind="d")
        server.say({"T": "q", "S": "AAPL", "bp": 1.0})
        server.say({"T": "b", "S": "TSLA", "o": 1.0})
        server.push("AAPL", replace(ROW, start=OPEN + timedelta(minutes=1)))

    (bar,) = listen().take(1, work)
    assert bar.timestamp == int(OPEN.timestamp() + 60) * 1_000_000


def test_minutes_outside_the_session_are_left_out_unless_asked_for(server, listen):
    early = replace(ROW, start=OPEN - timedelta(minutes=1))
    late = replace(ROW, start=OPEN + timedelta(hours=3, minutes=30))  # the half day closes at 18:00 UTC
    last = replace(ROW, start=OPEN + timedelta(hours=3, minutes=29))
    (bar, end) = listen().take(2, pushing(server, early, ROW, late, last))
    assert bar.timestamp == int(OPEN.timestamp()) * 1_000_000
    assert end.timestamp == int(last.start.timestamp()) * 1_000_000
    (bar,) = listen(extended_hours=True).take(
        1, lambda: [wait_for(lambda: len(server.listeners) == 2), pushing(server, early)()]
    )
    assert bar.timestamp == int(early.start.timestamp()) * 1_000_000


def test_a_break_ends_the_stream_and_is_not_hidden_by_the_clients_reconnecting(server, listen):
    listener = listen()
    listener.take(1, pushing(server, ROW))
    with pytest.raises(SourceUnavailableError):
        listener.take(1, server.close_websockets)
    # The client would have come back by itself.
    assert [said["action"] for said in server.received].count("auth") == 1


def test_a_wrong_key_is_refused(server, listen, monkeypatch):
    monkeypatch.setenv("APCA_API_SECRET_KEY", "another-invented-secret")
    with pytest.raises(AuthenticationError, match="auth failed"):
        listen().take(1)


def test_a_second_connection_is_refused_as_a_limit(server, listen):
    server.refuses_auth = (406, "connection limit exceeded")
    with pytest.raises(RateLimitedError):
        listen().take(1)


@pytest.mark.parametrize(
    ("code", "text", "error"),
    [
        (405, "symbol limit exceeded", AuthenticationError),
        (409, "insufficient subscription", AuthenticationError),
        (406, "connection limit exceeded", RateLimitedError),
        (500, "internal error", SourceUnavailableError),
    ],
)
def test_a_refused_subscription_is_not_only_logged(server, listen, code, text, error):
    server.refuses_subscription = (code, text)
    with pytest.raises(error, match=text):
        listen().take(1)


def test_a_subscription_that_leaves_out_a_symbol_is_an_error(server, listen):
    def work():
        wait_for(lambda: server.listeners)
        server.say({"T": "subscription", "bars": ["MSFT"]})

    with pytest.raises(SourceUnavailableError, match="AAPL"):
        listen().take(1, work)


@pytest.mark.parametrize(
    "change", [{"o": None}, {"c": "187"}, {"v": True}, {"h": float("nan")}, {"l": float("inf")}, {"t": 17}]
)
def test_a_malformed_bar_is_an_error(server, listen, change):
    import msgpack

    whole = {"T": "b", "S": "AAPL", "o": 1.0, "h": 1.0, "l": 1.0, "c": 1.0, "v": 1, "t": msgpack.Timestamp(0)}

    def work():
        wait_for(lambda: server.listeners)
        server.say({**whole, **change})

    with pytest.raises(BadResponseError):
        listen().take(1, work)


def test_a_server_that_is_not_there_is_unavailable(listen):
    with pytest.raises(SourceUnavailableError):
        listen(transport=Transport(base_url="http://127.0.0.1:9", timeout_seconds=1.0)).take(1)


def test_the_stream_goes_over_tls_with_the_certificates_given(listen):
    with AlpacaServer(tls=True) as server:
        transport = Transport(base_url=server.url, ca_bundle=server.ca_bundle, timeout_seconds=5.0)
        listener = listen(server=server, transport=transport)
        (bar,) = listener.take(1, pushing(server, ROW))
        assert bar.open == Decimal("187.15")
        listener.close()
        with pytest.raises(SourceUnavailableError):
            listen(server=server, transport=Transport(base_url=server.url, timeout_seconds=5.0)).take(1)


def test_a_stream_through_a_proxy_is_refused_and_not_made_past_it(server, listen):
    transport = Transport(base_url=server.url, proxy="http://127.0.0.1:9", timeout_seconds=1.0)
    with pytest.raises(RequestError, match="proxy"):
        listen(transport=transport).take(1)
    assert not server.requests


def test_only_minutes_are_streamed(server):
    adapter = Listener(server).adapter
    with pytest.raises(RequestError):
        adapter.subscribe(["AAPL"], FREQUENCIES["1d"])


def test_no_key_is_logged_even_at_the_lowest_level(server, listen, caplog):
    caplog.set_level(logging.DEBUG)
    listener = listen()
    listener.take(1, pushing(server, ROW))
    with pytest.raises(SourceUnavailableError):
        listener.take(1, server.close_websockets)
    # The frames are binary, and a log of websockets prints their first bytes in hexadecimal.
    for secret in (KEY_ID, SECRET):
        assert secret not in caplog.text
        assert secret.encode().hex(" ")[:40] not in caplog.text
        assert secret.encode()[:12].hex() not in caplog.text


def test_a_source_fills_what_a_break_left_out(server):
    """Through the source: the connection breaks, a minute passes, and both minutes arrive once and in order."""
    day = date(2024, 11, 29)
    minutes = market.intraday("AAPL", 1, day, day)
    # The bars that end at 16:00 UTC and later are still to come.
    server.now = minutes[90].start.timestamp()
    clock = {"now": server.now}
    source = AlpacaDataSource(base_url=server.url, clock=lambda: clock["now"], requests_per_minute=0)

    def move(step):
        server.now = clock["now"] = minutes[step].start.timestamp() + 1
        server.push("AAPL", minutes[step - 1])

    async def listen_to():
        loop = asyncio.get_running_loop()
        bars = source.stream(["AAPL"])
        taken = []

        async def take(meanwhile):
            asking = asyncio.ensure_future(anext(bars))
            await loop.run_in_executor(None, meanwhile)
            taken.append(await asyncio.wait_for(asking, 10))

        def again():
            server.close_websockets()
            wait_for(lambda: not server.listeners)
            server.now = clock["now"] = minutes[92].start.timestamp() + 1
            wait_for(lambda: server.listeners)
            move(93)

        await take(lambda: [wait_for(lambda: server.listeners), move(91)])
        await take(again)
        await take(lambda: None)
        await bars.aclose()
        return taken

    try:
        found = asyncio.run(listen_to())
    finally:
        source.close()
    expected = [minutes[step] for step in (90, 91, 92)]
    assert [(bar.timestamp, bar.close) for bar in found] == [
        (int(row.start.timestamp()) * 1_000_000, row.close) for row in expected
    ]
