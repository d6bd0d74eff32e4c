"""The stand-in for Kraken does what Kraken documents; no client of ours is involved."""

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest

from tests.fakes.kraken import KrakenServer
from tests.fakes.market import NOW, candles


@pytest.fixture
def server():
    with KrakenServer() as running:
        yield running


def get(server, path, **query):
    text = "&".join(f"{key}={value}" for key, value in query.items())
    try:
        with urllib.request.urlopen(f"{server.url}/0/public/{path}?{text}") as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_newest_720_bars_come_whatever_is_asked_for(server):
    for since in (0, 1_600_000_000):
        result = get(server, "OHLC", pair="XXBTZUSD", interval=60, since=since)[1]["result"]
        rows = result["XXBTZUSD"]
        assert len(rows) == 720
        assert rows[-1][0] == NOW
        assert result["last"] == NOW - 3_600


def test_bars_after_since_come_where_they_are_among_the_newest(server):
    rows = get(server, "OHLC", pair="XBTUSDT", interval=1, since=int(NOW) - 120)[1]["result"]["XBTUSDT"]
    moment = datetime.fromtimestamp(NOW - 60, UTC)
    (held,) = candles("kraken", "BTC/USDT", 60, moment, moment)
    assert [row[0] for row in rows] == [NOW - 60, NOW]
    assert rows[0][1:5] == [f"{value:.8f}" for value in (held.open, held.high, held.low, held.close)]
    assert rows[0][6] == f"{held.volume:.8f}"


def test_a_pair_is_known_by_its_id_and_its_other_name(server):
    assert get(server, "OHLC", pair="XBTUSD", interval=1)[1]["error"] == []
    assert get(server, "OHLC", pair="XXBTZUSD", interval=1)[1]["error"] == []


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"pair": "NOSUCH", "interval": 1}, "EQuery:Unknown asset pair"),
        ({"pair": "XBTUSD", "interval": 7}, "EGeneral:Invalid arguments"),
        ({"pair": "XBTUSD", "interval": "one"}, "EGeneral:Invalid arguments"),
    ],
)
def test_errors_come_under_the_status_200(server, query, text):
    assert get(server, "OHLC", **query) == (200, {"error": [text]})


def test_too_many_requests_come_under_the_status_200_but_from_its_front_server(server):
    server.fail("429")
    assert get(server, "OHLC", pair="XBTUSD") == (200, {"error": ["EGeneral:Too many requests"]})
    server.fail("429", retry_after=3)
    assert get(server, "OHLC", pair="XBTUSD")[0] == 429
    server.fail("503")
    assert get(server, "OHLC", pair="XBTUSD")[0] == 503


def test_pairs_assets_and_clock(server):
    pairs = get(server, "AssetPairs")[1]["result"]
    assert pairs["XXBTZUSD"]["wsname"] == "XBT/USD"
    assert set(pairs) == {"XXBTZUSD", "XBTUSDT"}
    assert get(server, "Assets")[1]["result"]["XXBT"]["altname"] == "XBT"
    assert get(server, "Time")[1]["result"]["unixtime"] == NOW
