"""Intraday bars, page after page."""

from datetime import UTC, date, datetime, timedelta

import pytest

from rustybt.data.sources import bridge
from rustybt.errors import BadResponseError, NotCoveredError
from rustybt.market.frequency import FREQUENCIES
from tests.data.adapters.yahoo.asking import SATURDAY, ask, per_share_of_today, rows_of
from tests.fakes import market


@pytest.mark.parametrize(("frequency", "minutes"), [("1m", 1), ("5m", 5), ("15m", 15), ("1h", 60)])
def test_intraday_bars_are_those_of_the_market_also_on_a_half_day(connect, frequency, minutes):
    answer = ask(connect(now=SATURDAY), "SPY", "2024-11-26", "2024-11-30", frequency)
    expected = per_share_of_today("SPY", market.intraday("SPY", minutes, date(2024, 11, 26), date(2024, 11, 29)))
    assert rows_of(answer) == list(expected)
    assert answer.bars["timestamp"][-1] < datetime(2024, 11, 29, 18, tzinfo=UTC)


def test_pages_of_a_minute_join_without_a_hole_or_a_repetition(connect, server):
    answer = ask(connect(), "SPY", "2024-11-04", "2024-11-27", "1m")
    expected = per_share_of_today("SPY", market.intraday("SPY", 1, date(2024, 11, 4), date(2024, 11, 27)))
    assert rows_of(answer) == list(expected)
    days, *pages = [request.query for request in server.data_requests()]
    assert days["interval"] == "1d"
    assert [page["interval"] for page in pages] == ["1m"] * 4
    assert all(int(page["period2"]) - int(page["period1"]) <= 7 * 86_400 for page in pages)
    assert [page["period1"] for page in pages[1:]] == [page["period2"] for page in pages[:-1]]


@pytest.mark.parametrize(
    ("frequency", "days", "requests"), [("1m", 30, 6), ("5m", 59, 2), ("1h", 729, 2), ("1d", 3650, 1)]
)
def test_a_plan_counts_the_requests_that_are_made(connect, server, frequency, days, requests):
    adapter = connect()
    start = datetime.fromtimestamp(market.NOW, UTC) - timedelta(days=days)
    first, last = int(start.timestamp()) * 1_000_000, int(market.NOW) * 1_000_000
    assert adapter.pages(first, last, FREQUENCIES[frequency], 1_000) == requests
    bridge.run(adapter.fetch_series(["SPY"], first, last, FREQUENCIES[frequency]))
    assert len(server.data_requests()) == requests


def test_the_running_price_is_not_taken_for_a_minute(connect):
    answer = ask(connect(), "SPY", "2024-11-29", "2024-11-29", "1m")
    # The last trade was a second before 16:00, in the minute before.
    assert answer.bars["timestamp"][-1] == datetime(2024, 11, 29, 15, 59, tzinfo=UTC)
    assert answer.bars.height == 90


@pytest.mark.parametrize(("frequency", "start"), [("1m", "2024-10-20"), ("5m", "2024-09-01"), ("1h", "2022-11-01")])
def test_bars_that_yahoo_does_not_keep_are_refused_before_anything_is_asked(connect, server, frequency, start):
    found = ask(connect(), "AAPL", start, "2024-11-29", frequency)
    assert type(found) is NotCoveredError
    assert found.details["missing"] == ["AAPL"]
    assert server.requests == []


def test_yahoos_own_refusal_of_a_range_is_told_apart(connect, server):
    body = '{"chart":{"result":null,"error":{"code":"Unprocessable Entity","description":"1m data not available for startTime=1 and endTime=2. Only 8 days worth of 1m granularity data are allowed to be fetched per request."}}}'
    server.fail("text", body=body)
    assert type(ask(connect(), "AAPL", "2024-11-25", "2024-11-27", "1m")) is NotCoveredError


def test_a_page_without_the_bars_of_days_that_traded_is_an_error(connect, server):
    real = '{"chart":{"result":[{"meta":{"symbol":"SPY","exchangeTimezoneName":"America/New_York","dataGranularity":"1m"},"indicators":{"quote":[{}]}}],"error":null}}'
    server.fail("text", body=real, skip=1, times=1)
    found = ask(connect(), "SPY", "2024-11-04", "2024-11-20", "1m")
    assert type(found) is BadResponseError
    assert "3 sessions" in found.message
