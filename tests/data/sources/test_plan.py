"""What an ingest will cost, by the calendar and the vendor's limits; expected numbers counted by hand."""

import pytest

from rustybt.data.adapters.limits import VendorLimits
from rustybt.data.sources.ingest.plan import bars_due, estimate, limits_text
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.request import BarRequest, parse_range

DAILY, HOURLY, MINUTE = FREQUENCIES["1d"], FREQUENCIES["1h"], FREQUENCIES["1m"]


def pages_of(size):
    return lambda start, end, frequency, bars, symbols: max(1, -(-bars // size))


def request(symbols, start, end, frequency="1d"):
    return BarRequest.create(symbols, start, end, frequency)


@pytest.mark.parametrize(
    ("calendar", "start", "end", "frequency", "bars"),
    [
        ("XNYS", "2024-01-01", "2024-01-07", "1d", 4),  # New Year's Day, then four sessions
        ("24/7", "2024-01-01", "2024-01-07", "1d", 7),
        ("24/7", "2024-01-01", "2024-01-02", "1h", 48),
        ("XNYS", "2024-01-02", "2024-01-02", "1m", 390),
        ("XNYS", "2024-11-29", "2024-11-29", "1m", 210),  # a half day
        ("XNYS", "2024-01-02", "2024-01-12", "1w", 2),
        ("24/7", "2024-01-15", "2024-03-02", "1M", 3),
    ],
)
def test_bars_are_counted_by_the_calendar(calendar, start, end, frequency, bars):
    first, last = parse_range(start, end, FREQUENCIES[frequency])
    assert bars_due(calendar, first, last, FREQUENCIES[frequency]) == bars


def test_requests_are_pages_of_each_symbol():
    found = estimate(
        request(["BTC/USDT", "ETH/USDT"], "2024-01-01", "2024-01-10", "1h"),
        HOURLY,
        VendorLimits(("1h",), parallel_requests=2),
        pages_of(100),
        latency_seconds=0.5,
    )
    # 240 bars each: three pages.
    assert (found.rows, found.requests, found.seconds) == (480, 6, 1.5)


def test_stocks_and_pairs_have_their_own_calendars():
    found = estimate(
        request(["AAPL", "BTC/USDT"], "2024-01-01", "2024-01-07"), DAILY, VendorLimits(("1d",)), pages_of(1000)
    )
    assert found.rows == 4 + 7


def test_one_request_may_name_several_symbols_and_more_may_be_due_for_each():
    limits = VendorLimits(("1d",), symbols_per_request=2, requests_per_symbol=1)
    found = estimate(request(["A", "B", "C"], "2024-01-02", "2024-01-05"), DAILY, limits, pages_of(5))
    # Two symbols: eight bars, two pages; one symbol: one page; one request more for each.
    assert found.requests == 2 + 1 + 3


def test_the_rate_limit_is_what_takes_the_time():
    limits = VendorLimits(("1d",), requests_per_minute=5, parallel_requests=5)
    names = [f"S{n}" for n in range(12)]
    found = estimate(request(names, "2024-01-02", "2024-01-05"), DAILY, limits, pages_of(100))
    # Five at once, five a minute later, two after another one.
    assert found.seconds == 120


def test_a_daily_limit_takes_days():
    limits = VendorLimits(("1d",), requests_per_day=25)
    names = [f"S{n}" for n in range(60)]
    found = estimate(request(names, "2024-01-02", "2024-01-05"), DAILY, limits, pages_of(100))
    assert found.seconds == 2 * 86_400


def test_bars_made_of_others_cost_those_others():
    found = estimate(request(["A"], "2024-01-02", "2024-01-02", "1h"), MINUTE, VendorLimits(("1m",)), pages_of(100))
    # Days around it are asked for as well: nothing on New Year's Day, two sessions of 390 minutes.
    assert (found.rows, found.rows_asked, found.requests) == (7, 780, 8)


def test_limits_are_told_in_words():
    limits = VendorLimits(("1m",), {"1m": 30}, depth_bars=720, requests_per_minute=5, requests_per_day=25)
    assert limits_text(limits, MINUTE) == (
        "5 requests a minute, 25 a day, 4 at once, 1m bars of the last 30 days, the newest 720 bars"
    )
