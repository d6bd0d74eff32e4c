"""The stand-in for Binance does what Binance documents; no client of ours is involved."""

import asyncio
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
import pytest

from tests.fakes.binance import BinanceServer
from tests.fakes.market import NOW, candles

HOUR = 3_600_000
MARCH = 1_709_251_200_000  # 2024-03-01


@pytest.fixture
def server():
    with BinanceServer() as running:
        yield running


def get(server, path, **query):
    text = "&".join(f"{key}={value}" for key, value in query.items())
    try:
        with urllib.request.urlopen(f"{server.url}{path}?{text}") as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


def klines(server, **query):
    return get(server, "/api/v3/klines", **{"symbol": "BTCUSDT", "interval": "1h", **query})[1]


def test_a_limit_above_the_cap_is_the_cap_without_a_word(server):
    assert len(klines(server, startTime=MARCH, limit=5_000)) == 1_000
    assert len(klines(server, startTime=MARCH)) == 500


def test_numbers_are_text_with_eight_decimals(server):
    (row,) = klines(server, startTime=MARCH, limit=1)
    moment = datetime(2024, 3, 1, tzinfo=UTC)
    (held,) = candles("binance", "BTC/USDT", 3_600, moment, moment)
    assert row[0] == MARCH
    assert row[6] == MARCH + HOUR - 1
    assert [Decimal(text) for text in row[1:6]] == [held.open, held.high, held.low, held.close, held.volume]
    assert all(len(text.partition(".")[2]) == 8 for text in row[1:6])


def test_an_answer_begins_with_the_first_bar_at_or_after_the_start_however_late(server):
    assert klines(server, startTime=MARCH + 1, limit=1)[0][0] == MARCH + HOUR
    assert klines(server, startTime=0, limit=1)[0][0] == 1_502_942_400_000  # 2017-08-17 04:00


def test_the_end_is_included(server):
    assert [row[0] for row in klines(server, startTime=MARCH, endTime=MARCH + HOUR)] == [MARCH, MARCH + HOUR]


def test_without_a_start_the_newest_bars_come_and_the_last_is_forming(server):
    rows = klines(server, limit=2)
    assert [row[0] for row in rows] == [NOW * 1_000 - HOUR, NOW * 1_000]
    before = klines(server, limit=1)[0][5]
    server.now = NOW + 3_600
    assert Decimal(klines(server, startTime=int(NOW * 1_000), limit=1)[0][5]) == Decimal(before) * 2


def test_weeks_begin_on_monday_and_months_on_the_first(server):
    week = klines(server, interval="1w", startTime=MARCH, limit=1)[0][0]
    month = klines(server, interval="1M", startTime=MARCH - 1, limit=2)
    assert datetime.fromtimestamp(week / 1_000, UTC) == datetime(2024, 3, 4, tzinfo=UTC)
    assert [row[0] for row in month] == [MARCH, 1_711_929_600_000]


def test_a_market_that_was_closed_has_no_bar_after_and_says_break(server):
    assert klines(server, symbol="LUNAUSDT", startTime=MARCH) == []
    listed = {market["symbol"]: market["status"] for market in get(server, "/api/v3/exchangeInfo")[1]["symbols"]}
    assert listed["LUNAUSDT"] == "BREAK"
    assert listed["BTCUSDT"] == "TRADING"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"symbol": "NOSUCH"}, -1121),
        ({"interval": "7m"}, -1120),
        ({"symbol": ""}, -1102),
        ({"limit": "many"}, -1100),
    ],
)
def test_a_wrong_request_gets_binances_code(server, query, code):
    status, body, _ = get(server, "/api/v3/klines", **{"symbol": "BTCUSDT", "interval": "1h", **query})
    assert status == 400
    assert body["code"] == code


def test_faults_look_as_binances_do(server):
    server.fail("429", retry_after=3)
    status, body, headers = get(server, "/api/v3/klines", symbol="BTCUSDT", interval="1h")
    assert (status, body["code"], headers["Retry-After"]) == (429, -1003, "3")
    server.fail("418")
    assert get(server, "/api/v3/klines", symbol="BTCUSDT", interval="1h")[0] == 418
    server.fail("451")
    assert "restricted location" in get(server, "/api/v3/klines", symbol="BTCUSDT", interval="1h")[1]["msg"]


def test_faults_leave_markets_and_clock_alone(server):
    server.fail("503", times=None)
    assert get(server, "/api/v3/time")[1] == {"serverTime": NOW * 1_000}
    assert get(server, "/api/v3/klines", symbol="BTCUSDT", interval="1h")[0] == 503


def test_a_websocket_answers_a_subscription_and_pushes_what_it_is_told(server):
    async def listen():
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{server.websocket_url}/ws/0") as socket:
            await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m"], "id": 4})
            first, greeting = await socket.receive_json(), await socket.receive_json()
            await asyncio.to_thread(server.push, "BTC/USDT", "1m", int(NOW), closed=True, c="5")
            await asyncio.to_thread(server.push, "ETH/USDT", "1m", int(NOW))
            pushed = await socket.receive_json()
            await socket.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@kline_1m"], "id": 5})
            last = await socket.receive_json()
            return first, greeting, pushed, last, server.push("BTC/USDT", "1m", int(NOW))

    first, greeting, pushed, last, heard = asyncio.run(listen())
    assert first == {"result": None, "id": 4}
    assert (greeting["e"], greeting["s"], greeting["k"]["x"]) == ("kline", "BTCUSDT", False)
    assert (pushed["k"]["c"], pushed["k"]["x"], pushed["k"]["t"]) == ("5.00000000", True, NOW * 1_000)
    assert last == {"result": None, "id": 5}
    assert heard == 0
