"""N bars take as many requests as there are pages, and any range gives what the market traded."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustybt.data.sources.bridge import run
from tests.data.adapters.ccxt.asking import adapter_of, as_tuples, fetch, micros, paths, rows_of
from tests.fakes.binance import BinanceServer
from tests.fakes.market import candles


@pytest.mark.parametrize(("bars", "requests"), [(1, 1), (999, 1), (1000, 1), (1001, 2), (2000, 2), (2001, 3)])
def test_n_bars_take_as_many_requests_as_there_are_pages(server, adapter, bars, requests):
    start = datetime(2024, 3, 1, tzinfo=UTC)
    last = start + timedelta(hours=bars - 1)
    answer = fetch(adapter, "BTC/USDT", micros(2024, 3, 1), int(last.timestamp()) * 1_000_000)
    assert as_tuples(answer) == rows_of("binance", "BTC/USDT", 3_600, start, last)
    assert sorted(paths(server)) == ["/api/v3/exchangeInfo", *["/api/v3/klines"] * requests, "/api/v3/time"]


def test_markets_and_clock_are_asked_for_once_for_many_symbols(server, adapter):
    for symbol in ("BTC/USDT", "ETH/USDT", "SHIB/USDT"):
        fetch(adapter, symbol, micros(2024, 3, 1), micros(2024, 3, 2))
    assert paths(server).count("/api/v3/exchangeInfo") == 1
    assert paths(server).count("/api/v3/time") == 1


def test_only_the_bars_that_are_missing_are_asked_for(server, adapter):
    fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 1, 9))
    (request,) = server.data_requests()
    assert request.query["limit"] == "10"
    assert request.query["startTime"] == str(micros(2024, 3, 1) // 1_000)


def test_a_cap_below_the_one_that_ccxt_knows_makes_more_requests_and_no_hole(server, adapter):
    server.most = 300
    first, last = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 4, 10, tzinfo=UTC)
    answer = fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 4, 10))
    assert as_tuples(answer) == rows_of("binance", "BTC/USDT", 3_600, first, last)
    assert len(server.data_requests()) == 4  # 961 bars in pages of 300


def test_a_range_that_begins_between_two_bars_begins_with_the_next(adapter):
    answer = fetch(adapter, "BTC/USDT", micros(2024, 3, 1, 0, 30), micros(2024, 3, 1, 2, 30))
    assert [row[0].hour for row in as_tuples(answer)] == [1, 2]


def test_a_range_before_the_listing_is_empty_and_names_the_first_bar(server, adapter):
    answer = fetch(adapter, "SHIB/USDT", micros(2020, 1, 1), micros(2020, 2, 1))
    assert answer.bars.is_empty()
    assert answer.first_bar == date(2021, 5, 10)
    assert len(server.data_requests()) == 1


def test_a_range_over_the_listing_begins_with_the_first_bar(adapter):
    answer = fetch(adapter, "SHIB/USDT", micros(2021, 5, 1), micros(2021, 5, 11))
    assert as_tuples(answer) == rows_of(
        "binance", "SHIB/USDT", 3_600, datetime(2021, 5, 1, tzinfo=UTC), datetime(2021, 5, 11, tzinfo=UTC)
    )
    assert answer.first_bar == date(2021, 5, 10)


def test_a_market_that_was_closed_delivers_what_it_had_and_says_so(adapter):
    answer = fetch(adapter, "LUNA/USDT", micros(2022, 5, 1), micros(2022, 6, 30))
    assert as_tuples(answer)[-1][0] == datetime(2022, 5, 13, tzinfo=UTC)
    assert answer.notes == ("LUNA/USDT is not traded on binance now",)


def test_a_market_without_a_trade_is_empty(server, adapter):
    answer = fetch(adapter, "NEW/USDT", micros(2024, 11, 1), micros(2024, 11, 29))
    assert answer.bars.is_empty()
    assert len(server.data_requests()) == 1


def test_the_forming_bar_is_in_the_answer_for_the_base_to_drop(adapter):
    answer = fetch(adapter, "BTC/USDT", micros(2024, 11, 29, 14), micros(2024, 11, 30))
    assert [row[0].hour for row in as_tuples(answer)] == [14, 15, 16]
    whole = candles(
        "binance", "BTC/USDT", 3_600, datetime(2024, 11, 29, 16, tzinfo=UTC), datetime(2024, 11, 29, 16, tzinfo=UTC)
    )
    assert as_tuples(answer)[-1][5] == whole[0].volume / 2


def test_nothing_is_asked_about_the_future(server, adapter):
    answer = fetch(adapter, "BTC/USDT", micros(2025, 1, 1), micros(2025, 2, 1))
    assert answer.bars.is_empty()
    assert server.data_requests() == []


def test_weeks_begin_on_monday_and_months_on_the_first(adapter):
    weeks = fetch(adapter, "BTC/USDT", micros(2024, 1, 1), micros(2024, 12, 31), "1w").bars["timestamp"]
    months = fetch(adapter, "BTC/USDT", micros(2024, 1, 1), micros(2024, 12, 31), "1M").bars["timestamp"]
    assert set(weeks.dt.weekday()) == {1}
    assert (weeks[0].date(), weeks[-1].date()) == (date(2024, 1, 1), date(2024, 11, 25))
    assert [stamp.date() for stamp in months] == [date(2024, month, 1) for month in range(1, 12)]


@pytest.fixture(scope="module")
def small_pages():
    with BinanceServer() as running:
        running.most = 37
        made = adapter_of(running)
        yield made
        run(made.close())


@given(st.integers(-100, 400), st.integers(0, 300), st.sampled_from(["BTC/USDT", "SHIB/USDT", "LUNA/USDT"]))
@settings(max_examples=60)
def test_any_range_gives_exactly_what_the_market_traded(small_pages, first, length, symbol):
    """Around the listing of SHIB and the end of LUNA; pages of 37 where 1000 are asked for."""
    middle = datetime(2022, 5, 6, tzinfo=UTC) if symbol == "LUNA/USDT" else datetime(2021, 5, 9, tzinfo=UTC)
    start = middle + timedelta(hours=first, minutes=first % 3)
    end = start + timedelta(hours=length)
    answer = fetch(small_pages, symbol, int(start.timestamp()) * 1_000_000, int(end.timestamp()) * 1_000_000)
    assert as_tuples(answer) == rows_of("binance", symbol, 3_600, start, end)
