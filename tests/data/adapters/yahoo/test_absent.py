"""What is not there: unknown, delisted, not listed yet, no session."""

from datetime import UTC, date, datetime

import pytest

from rustybt.errors import BadResponseError, SourceUnavailableError, SymbolNotFoundError
from tests.data.adapters.yahoo.asking import QUICK, ask, paths


def test_an_unknown_symbol_costs_one_request_and_is_not_tried_with_other_cookies(connect, server):
    assert type(ask(connect(), "NOSUCH", "2024-01-02", "2024-01-31")) is SymbolNotFoundError
    assert paths(server) == ["/", "/v1/test/getcrumb", "/v8/finance/chart/NOSUCH"]


def test_yahoo_being_down_is_never_taken_for_a_delisting(connect, server):
    server.fail("503", times=None)
    with pytest.raises(SourceUnavailableError):
        ask(connect(), "AAPL", "2024-01-02", "2024-01-31")
    assert len(server.data_requests()) == QUICK.max_attempts


def test_yahoos_page_of_regret_is_not_taken_for_a_broken_answer(connect, server):
    server.fail("text", body="<html><h1>Will be right back...</h1></html>", times=None)
    with pytest.raises(SourceUnavailableError):
        ask(connect(), "AAPL", "2024-01-02", "2024-01-31")


def test_an_empty_body_is_a_broken_answer(connect, server):
    server.fail("empty", times=None)
    assert type(ask(connect(), "AAPL", "2024-01-02", "2024-01-31")) is BadResponseError


@pytest.mark.parametrize("frequency", ["1d", "1w", "1h"])
def test_a_symbol_that_left_before_the_range_is_known_but_empty(connect, frequency):
    answer = ask(connect(), "OLDCO", "2024-01-02", "2024-11-01", frequency)
    assert answer.bars.is_empty()
    assert "may be delisted" in answer.notes[0]


def test_a_delisted_symbol_delivers_its_last_days(connect):
    answer = ask(connect(), "OLDCO", "2019-06-03", "2019-12-31")
    assert answer.bars["timestamp"][-1] == datetime(2019, 6, 28, tzinfo=UTC)
    assert answer.first_bar == date(1999, 6, 1)


def test_a_range_before_the_listing_is_empty_and_says_when_it_began(connect):
    answer = ask(connect(), "NEWCO", "2020-01-02", "2020-12-31")
    assert answer.bars.is_empty()
    assert answer.first_bar == date(2024, 3, 4)


def test_a_range_without_sessions_is_empty(connect):
    answer = ask(connect(), "SPY", "2024-11-23", "2024-11-24")
    assert answer.bars.is_empty()
    assert answer.first_bar == date(1993, 1, 29)


def test_an_answer_cut_off_at_its_beginning_is_refused(connect, server):
    body = '{"chart":{"result":[{"meta":{"symbol":"SPY","exchangeTimezoneName":"America/New_York","firstTradeDate":728317800,"regularMarketTime":1732741200},"timestamp":[1732631400],"indicators":{"quote":[{"open":[1.5],"high":[1.5],"low":[1.5],"close":[1.5],"volume":[9]}]}}],"error":null}}'
    server.fail("text", body=body, times=None)
    found = ask(connect(), "SPY", "2024-01-02", "2024-11-29")
    assert type(found) is BadResponseError
    assert "begins on 2024-11-26 instead of 2024-01-02" in found.message
