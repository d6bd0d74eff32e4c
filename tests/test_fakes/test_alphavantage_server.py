"""The local Alpha Vantage behaves as the vendor does: status 200 for everything."""

import csv
import io

import httpx
import pytest

from tests.fakes.alphavantage import KEY, AlphaVantageServer


@pytest.fixture
def server():
    with AlphaVantageServer() as running:
        yield running


def get(server, function, key=KEY, **params):
    answer = httpx.get(f"{server.url}/query", params={"function": function, "apikey": key, **params}, timeout=5.0)
    assert answer.status_code == 200
    return answer


def table(answer):
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_the_newest_hundred_rows_are_the_usual_answer(server):
    rows = table(get(server, "TIME_SERIES_DAILY", symbol="AAPL", datatype="csv"))
    assert len(rows) == 100
    assert [rows[0]["timestamp"], rows[1]["timestamp"]] == ["2024-11-29", "2024-11-27"]
    assert len(table(get(server, "TIME_SERIES_DAILY", symbol="AAPL", datatype="csv", outputsize="full"))) > 5_000


def test_json_has_the_same_rows(server):
    rows = table(get(server, "TIME_SERIES_DAILY", symbol="AAPL", datatype="csv"))
    series = get(server, "TIME_SERIES_DAILY", symbol="AAPL").json()["Time Series (TIME_SERIES_DAILY)"]
    assert list(series) == [row["timestamp"] for row in rows]
    assert series["2024-11-27"]["4. close"] == rows[1]["close"]


def test_events_stand_in_the_adjusted_rows(server):
    rows = table(get(server, "TIME_SERIES_DAILY_ADJUSTED", symbol="AAPL", datatype="csv", outputsize="full"))
    found = {row["timestamp"]: row for row in rows}
    assert found["2020-08-31"]["split_coefficient"] == "4.0"
    assert found["2024-02-09"]["dividend_amount"] == "0.2400"
    assert found["2024-02-12"]["dividend_amount"] == "0.0000"


def test_weeks_are_named_after_their_last_session_and_the_running_one_is_shown(server):
    rows = table(get(server, "TIME_SERIES_WEEKLY", symbol="AAPL", datatype="csv"))
    assert [row["timestamp"] for row in rows[:3]] == ["2024-11-29", "2024-11-22", "2024-11-15"]


def test_minutes_are_new_yorks_wall_clock_with_extended_hours_unless_told_otherwise(server):
    params = {"symbol": "AAPL", "interval": "30min", "month": "2024-10", "outputsize": "full", "datatype": "csv"}
    stamps = [row["timestamp"] for row in table(get(server, "TIME_SERIES_INTRADAY", **params))]
    assert stamps[-1] == "2024-10-01 09:00:00"
    params["extended_hours"] = "false"
    stamps = [row["timestamp"] for row in table(get(server, "TIME_SERIES_INTRADAY", **params))]
    assert (stamps[-1], stamps[0]) == ("2024-10-01 09:30:00", "2024-10-31 15:30:00")


@pytest.mark.parametrize(
    ("function", "params", "words"),
    [
        ("TIME_SERIES_DAILY", {"symbol": "NOSUCH"}, "Invalid API call"),
        ("NO_SUCH_FUNCTION", {"symbol": "AAPL"}, "Invalid API call"),
        ("TIME_SERIES_INTRADAY", {"symbol": "AAPL", "interval": "7min"}, "Invalid API call"),
        ("TIME_SERIES_DAILY", {"symbol": "AAPL", "key": "wrong"}, "apikey is invalid"),
    ],
)
def test_refusals_are_json_even_where_csv_was_asked_for(server, function, params, words):
    assert words in get(server, function, datatype="csv", **params).json()["Error Message"]


def test_a_free_key_has_no_premium_data_and_few_requests():
    with AlphaVantageServer(premium=False, day_limit=3) as server:
        for function, more in (("TIME_SERIES_DAILY", {"outputsize": "full"}), ("TIME_SERIES_DAILY_ADJUSTED", {})):
            assert "premium endpoint" in get(server, function, symbol="AAPL", **more).json()["Information"]
        assert "Meta Data" in get(server, "TIME_SERIES_DAILY", symbol="AAPL").json()
        said = get(server, "TIME_SERIES_DAILY", symbol="AAPL").json()["Information"]
        # As the vendor does, to the adapter's peril.
        assert KEY in said
        assert "25 requests per day" in said


def test_symbols_can_be_listed_and_searched(server):
    listed = {row["symbol"]: row for row in table(get(server, "LISTING_STATUS"))}
    assert listed["BRK-B"]["exchange"] == "NYSE"
    assert listed["SPY"]["assetType"] == "ETF"
    assert "OLDCO" not in listed
    (gone,) = table(get(server, "LISTING_STATUS", state="delisted"))
    assert (gone["symbol"], gone["delistingDate"]) == ("OLDCO", "2019-07-01")
    (match,) = get(server, "SYMBOL_SEARCH", keywords="vodafone").json()["bestMatches"]
    assert match["1. symbol"] == "VOD.LON"
    assert table(get(server, "SYMBOL_SEARCH", keywords="apple", datatype="csv"))[0]["symbol"] == "AAPL"


def test_lists_are_no_requests_for_bars(server):
    server.fail("503", times=None)
    get(server, "LISTING_STATUS")
    assert not server.data_requests()
