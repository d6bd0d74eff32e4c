"""Days, weeks and months, with the corporate actions among them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from rustybt.data.sources.alphavantage import AlphaVantageDataSource
from rustybt.errors import AuthenticationError, BadResponseError
from tests.data.adapters.alphavantage.asking import fetch, queries, rows_of
from tests.fakes import market
from tests.fakes.alphavantage import KEY, AlphaVantageServer


def traded(symbol, first, last):
    days = market.daily(symbol, date.fromisoformat(first), date.fromisoformat(last))
    return [(row.start, row.open, row.high, row.low, row.close, row.volume) for row in days]


def test_daily_bars_are_raw_and_take_one_request(server, make):
    answer = fetch(make(server), "AAPL", "2020-08-27", "2020-09-02")
    # Across a split of 4 for 1.
    assert rows_of(answer) == traded("AAPL", "2020-08-27", "2020-09-02")
    assert queries(server) == [
        {"function": "TIME_SERIES_DAILY", "outputsize": "full", "symbol": "AAPL", "datatype": "csv", "apikey": KEY}
    ]
    assert answer.number_rule == "text"
    assert "splits and dividends were not asked for" in answer.notes[0]
    assert not answer.actions


def test_the_last_hundred_sessions_are_had_with_a_free_key(make):
    with AlphaVantageServer(premium=False) as server:
        # From 2024-11-29 back, the 100th weekday is the 15th of July.
        answer = fetch(make(server), "AAPL", "2024-07-15", "2024-11-27")
        assert rows_of(answer) == traded("AAPL", "2024-07-15", "2024-11-27")
        assert queries(server)[0]["outputsize"] == "compact"


def test_older_days_need_premium_and_the_hint_names_the_first_day_that_does_not(make):
    with AlphaVantageServer(premium=False) as server:
        with pytest.raises(AuthenticationError) as caught:
            fetch(make(server), "AAPL", "2024-07-12", "2024-11-27")
        assert caught.value.hint == "--start 2024-07-15"
        assert fetch(make(server), "AAPL", "2024-07-15", "2024-11-27").bars.height > 90


def test_an_answer_cut_down_to_the_newest_rows_is_an_error(server, make):
    server.spoil = lambda text: "".join(text.splitlines(keepends=True)[:101])
    assert isinstance(fetch(make(server), "AAPL", "2020-01-02", "2020-12-31"), BadResponseError)


def test_a_listing_of_just_so_many_sessions_asked_for_from_its_first_day_is_whole(server, make):
    first = 101
    server.spoil = lambda text: "".join(text.splitlines(keepends=True)[:first])
    answer = fetch(make(server), "AAPL", "2024-07-11", "2024-11-27")
    # The 100th session from the newest on is 2024-07-11: two of the 102 weekdays were holidays.
    assert answer.bars["timestamp"][0].date() == date(2024, 7, 11)


def test_the_day_that_is_not_over_is_left_to_the_source(server):
    # It is in the answer (volume still counts), and the source drops it.
    source = AlphaVantageDataSource(base_url=server.url, clock=lambda: market.NOW, requests_per_minute=0)
    try:
        assert source.fetch_sync(["AAPL"], "2024-11-25")["timestamp"][-1].date() == date(2024, 11, 27)
    finally:
        source.close()


def test_a_day_is_final_when_extended_trading_is_over(server):
    # Tuesday 2024-06-11 closes at 20:00 UTC.
    for hours, last in ((4.0, date(2024, 6, 10)), (4.3, date(2024, 6, 11))):
        server.now = now = datetime(2024, 6, 11, 20, tzinfo=UTC).timestamp() + hours * 3_600
        source = AlphaVantageDataSource(base_url=server.url, clock=lambda now=now: now, requests_per_minute=0)
        try:
            assert source.fetch_sync(["AAPL"], "2024-06-03")["timestamp"][-1].date() == last
        finally:
            source.close()


def test_adjusted_brings_events_beside_raw_bars(server, make):
    answer = fetch(make(server, adjusted=True), "AAPL", "2014-06-02", "2014-06-10")
    assert rows_of(answer) == traded("AAPL", "2014-06-02", "2014-06-10")
    assert queries(server)[0]["function"] == "TIME_SERIES_DAILY_ADJUSTED"
    splits = [action for action in answer.actions if action.kind == "split"]
    # Until today, long after the last bar asked for.
    assert [(a.ex_date, a.ratio_new, a.ratio_old) for a in splits] == [
        (date(2014, 6, 9), Decimal(7), Decimal(1)),
        (date(2020, 8, 31), Decimal(4), Decimal(1)),
    ]
    paid = [action for action in answer.actions if action.kind == "cash_dividend"]
    assert {action.amount for action in paid} == {Decimal("0.24")}
    assert not answer.notes


def test_a_reverse_split_is_one_for_many(server, make):
    (split,) = fetch(make(server, adjusted=True), "GE", "2021-07-26", "2021-08-06").actions
    assert (split.ratio_new, split.ratio_old) == (Decimal(1), Decimal(8))


def test_a_coefficient_that_is_no_whole_fraction_stays_as_printed(server, make):
    server.spoil = lambda text: text.replace(",0.125\r\n", ",0.333333\r\n")
    (split,) = fetch(make(server, adjusted=True), "GE", "2021-07-26", "2021-08-06").actions
    assert (split.ratio_new, split.ratio_old) == (Decimal("0.333333"), Decimal(1))


@pytest.mark.parametrize("text", ["-1.0", "0.0", "x", "NaN"])
def test_a_split_that_cannot_be_is_an_error(server, make, text):
    server.spoil = lambda given: given.replace(",0.125\r\n", f",{text}\r\n")
    assert isinstance(fetch(make(server, adjusted=True), "GE", "2021-07-26", "2021-08-06"), BadResponseError)


def test_weeks_bring_events_with_a_second_request(server, make):
    answer = fetch(make(server, adjusted=True), "AAPL", "2020-08-03", "2020-09-13", "1w")
    assert [query["function"] for query in queries(server)] == ["TIME_SERIES_WEEKLY", "TIME_SERIES_DAILY_ADJUSTED"]
    assert [action.kind for action in answer.actions if action.ex_date == date(2020, 8, 31)] == ["split"]


def test_weeks_are_labelled_by_their_monday_and_months_by_their_first(server, make):
    weeks = fetch(make(server), "AAPL", "2024-09-02", "2024-09-15", "1w")
    # The vendor names them after Friday; Monday the 2nd was Labor Day.
    assert [stamp.date() for stamp in weeks.bars["timestamp"]] == [date(2024, 9, 2), date(2024, 9, 9)]
    days = market.daily("AAPL", date(2024, 9, 3), date(2024, 9, 6))
    assert weeks.bars["volume"][0] == sum(row.volume for row in days)
    months = fetch(make(server), "AAPL", "2024-09-01", "2024-10-31", "1M")
    assert [stamp.date() for stamp in months.bars["timestamp"]] == [date(2024, 9, 1), date(2024, 10, 1)]


def test_two_rows_of_a_week_are_an_error(server, make):
    server.spoil = lambda text: text.replace("2024-09-13", "2024-09-05", 1)
    assert isinstance(fetch(make(server), "AAPL", "2024-09-02", "2024-09-15", "1w"), BadResponseError)
