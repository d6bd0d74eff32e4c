"""The fake Yahoo: what it prints, and that yfinance itself, as its users call it, is content with it."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest

from tests.fakes import market
from tests.fakes.yahoo import COOKIE, CRUMB, YahooServer

BROWSER = {"User-Agent": "Mozilla/5.0 (a test)"}
DAY = 86_400


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.fixture
def server():
    with YahooServer() as running:
        yield running


@pytest.fixture
def get(server):
    """Return a function that asks as a browser does; a path without a crumb gets the right one."""
    import httpx

    with httpx.Client(base_url=server.url, headers=BROWSER, trust_env=False) as client:

        def ask(path, crumb=CRUMB, **params):
            return client.get(path, params={**params, **({"crumb": crumb} if crumb else {})})

        yield ask


def chart(get, ticker, start, end, interval="1d", events="div,splits", **more):
    params = {"period1": at(start), "period2": at(end), "interval": interval, "events": events}
    return get(f"/v8/finance/chart/{ticker}", **params, **more)


def result(answer):
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["chart"]["result"]
    return found


# -- the way in ----------------------------------------------------------------------------------------------------------


def test_the_cookie_comes_with_a_404_and_opens_the_crumb(server, get):
    assert get("/v1/test/getcrumb", crumb=None).status_code == 401
    answer = get("/", crumb=None)
    assert (answer.status_code, answer.cookies["A3"]) == (404, COOKIE)
    assert get("/v1/test/getcrumb", crumb=None).text == CRUMB


@pytest.mark.parametrize("crumb", [None, "stale"])
def test_a_chart_needs_the_crumb(get, crumb):
    answer = chart(get, "AAPL", "2024-01-02", "2024-01-05", crumb=crumb)
    assert answer.status_code == 401
    assert answer.json()["finance"]["error"]["description"] == "Invalid Crumb"


def test_what_is_no_browser_is_refused(server):
    import httpx

    answer = httpx.get(f"{server.url}/v8/finance/chart/AAPL", params={"crumb": CRUMB}, trust_env=False)
    assert answer.status_code == 429


# -- numbers -------------------------------------------------------------------------------------------------------------


def test_prices_are_per_share_of_today_as_widened_float32(get):
    found = result(chart(get, "AAPL", "2013-01-02", "2013-01-05"))
    (raw, *_) = market.daily("AAPL", date(2013, 1, 2), date(2013, 1, 2))
    quote = found["indicators"]["quote"][0]
    assert quote["close"][0] == float(np.float32(raw.close / 28))
    assert quote["volume"][0] == int(raw.volume) * 28
    assert found["timestamp"][0] == at("2013-01-02 14:30")
    assert found["meta"]["exchangeName"] == "NMS"


def test_events_lie_within_the_period_only_and_are_per_share_of_today(get):
    found = result(chart(get, "AAPL", "2014-05-01", "2014-09-01"))["events"]
    assert list(found["splits"].values()) == [
        {"date": at("2014-06-09 13:30"), "numerator": 7.0, "denominator": 1.0, "splitRatio": "7:1"}
    ]
    assert [event["amount"] for event in found["dividends"].values()] == [0.008571, 0.06]
    assert "events" not in result(chart(get, "AAPL", "2014-06-10", "2014-06-20"))
    assert "events" not in result(chart(get, "AAPL", "2014-05-01", "2014-09-01", events=""))


def test_the_adjusted_close_falls_by_each_dividend(get):
    found = result(chart(get, "MSFT", "2024-08-05", "2024-08-15"))
    closes = found["indicators"]["quote"][0]["close"]
    adjusted = found["indicators"]["adjclose"][0]["adjclose"]
    ex = [datetime.fromtimestamp(stamp, UTC).day for stamp in found["timestamp"]].index(9)
    assert adjusted[ex:] == closes[ex:]
    assert all(one < other for one, other in zip(adjusted[:ex], closes[:ex], strict=True))


def test_the_running_session_comes_with_the_time_of_the_last_trade(get):
    found = result(chart(get, "SPY", "2024-11-25", "2024-12-01"))
    assert found["timestamp"][-1] == int(market.NOW) - 1 == found["meta"]["regularMarketTime"]
    assert len(found["timestamp"]) == 4


def test_the_running_session_is_missing_in_its_week_and_follows_it(get):
    found = result(chart(get, "SPY", "2024-11-18", "2024-12-01", "1wk"))
    assert found["timestamp"] == [at("2024-11-18 05:00"), at("2024-11-25 05:00"), int(market.NOW) - 1]
    (whole,) = (row for row in market.daily("SPY", date(2024, 11, 25), date(2024, 11, 25)))
    assert found["indicators"]["quote"][0]["open"][1] == float(np.float32(whole.open))


def test_a_half_day_goes_on_for_a_row_behind_its_close(server, get):
    server.now = at("2024-12-02 12:00")
    found = result(chart(get, "SPY", "2024-11-29", "2024-11-30", "1h"))
    assert [datetime.fromtimestamp(stamp, UTC).hour for stamp in found["timestamp"]] == [14, 15, 16, 17, 18]
    ((period,),) = (day for day in found["meta"]["tradingPeriods"] if day[0]["start"] == at("2024-11-29 14:30"))
    assert period["end"] == at("2024-11-29 18:00")


def test_days_of_nulls_and_a_repeated_close_come_on_demand(server, get):
    server.now = at("2024-11-30 12:00")
    server.null_days, server.repeats_last = {date(2024, 11, 26)}, True
    found = result(chart(get, "SPY", "2024-11-25", "2024-12-01"))
    quote = found["indicators"]["quote"][0]
    assert quote["close"][1] is None
    assert quote["close"][-1] == quote["close"][-2]
    assert quote["volume"][-1] == quote["volume"][-2] + 17


# -- refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ticker", "start", "end", "interval", "status", "text"),
    [
        ("NOSUCH", "2024-01-02", "2024-02-01", "1d", 404, "symbol may be delisted"),
        ("BRK.B", "2024-01-02", "2024-02-01", "1d", 404, "symbol may be delisted"),
        ("OLDCO", "2020-01-02", "2024-02-01", "1d", 400, "Data doesn't exist"),
        ("NEWCO", "2020-01-02", "2020-02-01", "1d", 400, "Data doesn't exist"),
        ("AAPL", "2024-02-02", "2024-02-01", "1d", 400, "cannot be after"),
        ("AAPL", "2024-02-01", "2024-02-05", "7m", 422, "not supported"),
        ("AAPL", "2024-11-10", "2024-11-19", "1m", 422, "Only 8 days worth"),
        ("AAPL", "2024-10-20", "2024-10-24", "1m", 422, "within the last 30 days"),
        ("AAPL", "2024-09-20", "2024-10-24", "15m", 422, "within the last 60 days"),
        ("AAPL", "2022-11-20", "2024-10-24", "1h", 422, "within the last 730 days"),
    ],
)
def test_each_refusal_has_yahoos_words(get, ticker, start, end, interval, status, text):
    answer = chart(get, ticker, start, end, interval)
    assert answer.status_code == status
    assert text in answer.json()["chart"]["error"]["description"]
    assert answer.json()["chart"]["result"] is None


def test_a_weekend_is_well_formed_and_empty(get):
    found = result(chart(get, "SPY", "2024-11-23", "2024-11-25"))
    assert "timestamp" not in found
    assert found["indicators"]["quote"] == [{}]


def test_a_range_by_name_ends_now(get):
    found = result(get("/v8/finance/chart/SPY", range="5d", interval="1d"))
    # Thursday was Thanksgiving.
    assert [datetime.fromtimestamp(stamp, UTC).day for stamp in found["timestamp"]] == [25, 26, 27, 29]


# -- yfinance as its users call it ---------------------------------------------------------------------------------------

SCRIPT = """
import json, sys, warnings
import yfinance as yf
from curl_cffi.requests import Session

proxy, ca, cache = sys.argv[1:]
yf.set_tz_cache_location(cache)
yf.config.network.proxy = proxy
yf.config.debug.hide_exceptions = False
session = Session(impersonate="chrome", verify=ca)

def frame(ticker, **how):
    found = yf.Ticker(ticker, session=session).history(auto_adjust=False, actions=True, **how)
    found.index = found.index.map(str)
    return found.reset_index().to_dict("list")

def error(ticker, **how):
    try:
        return frame(ticker, **how)
    except Exception as raised:
        return [type(raised).__name__, str(raised)]

print(json.dumps({
    "daily": frame("AAPL", start="2020-08-27", end="2020-09-02"),
    "class": frame("BRK-B", start="2024-11-04", end="2024-11-06"),
    "hours": frame("SPY", start="2024-11-26", end="2024-11-28", interval="1h"),
    "half_hours": frame("SPY", start="2024-11-26", end="2024-11-27", interval="30m"),
    "weeks": frame("SPY", start="2024-11-04", end="2024-11-18", interval="1wk"),
    "period": frame("VOD.L", period="5d"),
    "unknown": error("NOSUCH", start="2024-11-04", end="2024-11-06"),
    "too_long": error("SPY", start="2024-11-04", end="2024-11-20", interval="1m"),
}))
"""


@pytest.mark.timeout(120)
def test_yfinance_reads_it_as_its_users_call_it(tmp_path):
    with YahooServer(tls=True, proxy=True) as server:
        command = [sys.executable, "-c", SCRIPT, server.proxy_url, server.ca_bundle, str(tmp_path / "tz")]
        ran = subprocess.run(command, capture_output=True, text=True, env={"HOME": str(tmp_path), "PATH": ""})
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    daily = found["daily"]
    raw = market.daily("AAPL", date(2020, 8, 27), date(2020, 9, 1))
    factors = [4, 4, 1, 1]
    assert [stamp[:10] for stamp in daily["Date"]] == ["2020-08-27", "2020-08-28", "2020-08-31", "2020-09-01"]
    assert daily["Close"] == [float(np.float32(row.close / by)) for row, by in zip(raw, factors, strict=True)]
    assert daily["Stock Splits"] == [0, 0, 4, 0]
    assert len(found["class"]["Close"]) == 2
    assert len(found["hours"]["Close"]) == 14
    assert len(found["half_hours"]["Close"]) == 13
    assert [stamp[:10] for stamp in found["weeks"]["Date"]] == ["2024-11-04", "2024-11-11"]
    assert len(found["period"]["Close"]) >= 5
    assert found["unknown"][0] in ("HTTPError", "YFPricesMissingError", "YFTzMissingError")
    assert found["too_long"][0] == "YFPricesMissingError"
    assert "Only 8 days worth" in found["too_long"][1]
    assert Decimal(str(np.float32(raw[0].open / 4))) == Decimal(str(np.float32(daily["Open"][0])))
