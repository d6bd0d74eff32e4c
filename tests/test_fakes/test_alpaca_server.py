"""The local Alpaca behaves as the vendor does, by plain HTTP and by the vendor's own client."""

import json
from datetime import UTC, datetime

import httpx
import pytest

from rustybt.data.adapters.alpaca.client import import_alpaca
from tests.fakes import market
from tests.fakes.alpaca import KEY_ID, RECENT_TEXT, SECRET, AlpacaServer

HEADERS = {"APCA-API-KEY-ID": KEY_ID, "APCA-API-SECRET-KEY": SECRET}
BARS = "/v2/stocks/bars"


@pytest.fixture
def server():
    with AlpacaServer() as running:
        yield running


def get(server, path, headers=HEADERS, **params):
    return httpx.get(f"{server.url}{path}", params=params, headers=headers, timeout=5.0)


def asked(**more):
    return {"symbols": "AAPL", "timeframe": "1Day", "start": "2024-01-02", "end": "2024-01-05", "feed": "iex", **more}


def test_a_page_counts_the_bars_of_all_symbols(server):
    first = get(server, BARS, **asked(symbols="MSFT,AAPL", limit="5")).json()
    assert {symbol: len(rows) for symbol, rows in first["bars"].items()} == {"AAPL": 4, "MSFT": 1}
    second = get(server, BARS, **asked(symbols="MSFT,AAPL", limit="5", page_token=first["next_page_token"])).json()
    assert {symbol: len(rows) for symbol, rows in second["bars"].items()} == {"MSFT": 3}
    assert second["next_page_token"] is None


def test_days_are_midnight_in_new_york(server):
    rows = get(server, BARS, **asked(start="2024-03-08", end="2024-03-11")).json()["bars"]["AAPL"]
    assert [row["t"] for row in rows] == ["2024-03-08T05:00:00Z", "2024-03-11T04:00:00Z"]


def test_prices_are_numbers_with_the_digits_of_the_market(server):
    text = get(server, BARS, **asked(end="2024-01-02")).text
    (row,) = market.daily("AAPL", datetime(2024, 1, 2, tzinfo=UTC).date(), datetime(2024, 1, 2, tzinfo=UTC).date())
    assert json.loads(text, parse_float=str)["bars"]["AAPL"][0]["o"] == f"{row.open.normalize():f}"


def test_the_forming_day_is_shown(server):
    rows = get(server, BARS, **asked(start="2024-11-25", end="2024-11-30")).json()["bars"]["AAPL"]
    assert rows[-1]["t"] == "2024-11-29T05:00:00Z"


@pytest.mark.parametrize(
    ("params", "status", "words"),
    [
        (asked(symbols=""), 400, "symbols"),
        (asked(symbols="AAPL,W*RSE"), 400, "invalid symbol: W*RSE"),
        (asked(timeframe="7Min"), 422, "timeframe"),
        (asked(adjustment="some"), 400, "adjustment"),
        (asked(end="2023-01-01"), 400, "end"),
        (asked(page_token="bm9uc2Vuc2U="), 400, "page token"),
        (asked(feed="sip", end="2024-11-29T15:59:00Z"), 403, RECENT_TEXT),
    ],
)
def test_what_cannot_be_asked_is_refused(server, params, status, words):
    answer = get(server, BARS, **params)
    assert answer.status_code == status
    assert words in answer.json()["message"]


def test_a_paid_plan_has_all_exchanges_at_once():
    with AlpacaServer(basic=False) as server:
        assert get(server, BARS, **asked(feed="sip", end="2024-11-29T15:59:00Z")).status_code == 200


@pytest.mark.parametrize("path", [BARS, "/v1/corporate-actions", "/v2/assets", "/v2/assets/AAPL"])
def test_a_wrong_key_is_refused_everywhere(server, path):
    assert get(server, path, headers={**HEADERS, "APCA-API-SECRET-KEY": "another"}).status_code == 401


def test_assets_can_be_listed_and_looked_up(server):
    active = get(server, "/v2/assets", status="active").json()
    assert {"SPY", "AAPL"} <= {asset["symbol"] for asset in active}
    assert not [asset for asset in active if asset["symbol"] == "OLDCO"]
    assert get(server, "/v2/assets/OLDCO").json()["status"] == "inactive"
    assert get(server, "/v2/assets/NOSUCH").status_code == 404


def test_too_many_requests_come_without_a_body(server):
    server.fail("429", retry_after=3)
    answer = get(server, BARS, **asked())
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (429, "", "3")


def test_the_vendors_client_reads_bars_and_events(server):
    import_alpaca()
    from alpaca.data.enums import Adjustment, DataFeed
    from alpaca.data.historical import StockHistoricalDataClient
    from alpaca.data.historical.corporate_actions import CorporateActionsClient
    from alpaca.data.requests import CorporateActionsRequest, StockBarsRequest
    from alpaca.data.timeframe import TimeFrame

    bars = StockHistoricalDataClient(KEY_ID, SECRET, url_override=server.url)
    request = StockBarsRequest(
        symbol_or_symbols=["AAPL", "MSFT"],
        timeframe=TimeFrame.Day,
        start=datetime(2024, 1, 2, tzinfo=UTC),
        end=datetime(2024, 1, 31, tzinfo=UTC),
        adjustment=Adjustment.RAW,
        feed=DataFeed.IEX,
    )
    found = bars.get_stock_bars(request).data
    assert {symbol: len(rows) for symbol, rows in found.items()} == {"AAPL": 20, "MSFT": 20}
    events = CorporateActionsClient(KEY_ID, SECRET, url_override=server.url)
    wanted = CorporateActionsRequest(
        symbols=["AAPL"], start=datetime(2020, 8, 1, tzinfo=UTC).date(), end=datetime(2020, 9, 30, tzinfo=UTC).date()
    )
    (split,) = events.get_corporate_actions(wanted).data["forward_splits"]
    assert (split.new_rate, split.old_rate) == (4.0, 1.0)
    for client in (bars, events):
        client._session.close()
