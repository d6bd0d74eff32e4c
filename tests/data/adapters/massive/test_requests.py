"""What is sent, and page after page until the end."""

import base64
import json
from datetime import date

import pytest

from rustybt.data.adapters.massive import adapter as module
from rustybt.errors import (
    BadResponseError,
    SymbolNotFoundError,
)
from rustybt.market.frequency import FREQUENCIES
from tests.data.adapters.massive.asking import paths, series
from tests.fakes.massive import KEY, REAL_BASE


class TestRequests:
    def test_ten_years_of_days_are_one_page_one_listing_one_request_each_for_splits_and_dividends(self, make, server):
        assert series(make(), start=date(2014, 12, 1)).bars.height == 2_516
        assert paths(server) == [
            "/v2/aggs/ticker/AAPL/range/1/day/2014-12-01/2024-11-27",
            "/v3/reference/tickers/AAPL",
            "/v3/reference/splits",
            "/v3/reference/dividends",
        ]

    def test_bars_are_asked_for_unadjusted_rising_and_as_many_as_there_may_be(self, make, server):
        series(make())
        assert server.requests[0].query == {"adjusted": "false", "sort": "asc", "limit": "50000"}

    def test_the_listing_can_be_left_out(self, make, server):
        answer = series(make(details=False))
        assert answer.attributes is None
        assert len(server.requests) == 3
        assert make(details="false").limits().requests_per_symbol == 2

    def test_an_unknown_ticker_costs_three_requests_and_no_events(self, make, server):
        with pytest.raises(SymbolNotFoundError):
            series(make(), "NOSUCH")
        assert paths(server)[1:] == ["/v3/reference/tickers/NOSUCH", "/v3/reference/tickers"]

    @pytest.mark.parametrize("symbol", ["../AAPL", "AAPL?x=1", "A B C", "X:BTCUSD", "5", "AAPL/range", "Ä"])
    def test_what_can_be_no_ticker_is_not_asked_for(self, make, server, symbol):
        with pytest.raises(SymbolNotFoundError):
            series(make(), symbol)
        assert not server.requests

    def test_events_are_read_over_all_pages(self, make, server):
        server.page_size = 20
        answer = series(make(), start=date(2024, 11, 1))
        before = len(server.requests)
        assert before == 4
        answer = series(make(), start=date(2014, 12, 1), end=date(2014, 12, 5))
        paid = [action for action in answer.actions if action.kind == "cash_dividend"]
        # February 2015 to November 2024, four a year.
        assert len(paid) == 40
        assert len(server.requests) - before == 5

    def test_the_wire_is_used_by_no_more_threads_than_allowed(self, make, server):
        server.latency_seconds = 0.05
        source = make(parallel_requests=2)
        source.fetch_sync(["AAPL", "MSFT", "GE", "SPY", "BRK.B"], "2024-11-01", "2024-11-08")
        assert server.most_parallel == 2

    def test_a_closed_source_opens_again(self, make):
        source = make()
        series(source)
        source.close()
        assert series(source).bars.height

    def test_a_client_of_ones_own_is_used(self, make, server):
        from massive import RESTClient

        given = RESTClient(api_key=KEY, base=server.url, retries=3)
        server.fail("429")
        assert series(make(client=lambda: given, base_url=None)).bars.height
        assert len(server.data_requests()) == 2


class TestPaging:
    def test_pages_named_by_the_real_address_are_asked_for_at_the_base_url(self, make, server):
        server.page_size = 100
        assert series(make()).bars.height == 230
        assert len(server.data_requests()) == 3
        assert all(request.host.startswith("127.0.0.1") for request in server.requests)

    @pytest.mark.parametrize(
        "elsewhere",
        ["http://127.0.0.2:9", "https://evil.example", "ftp://api.massive.com", "https://api.massive.com.evil.example"],
    )
    def test_a_page_elsewhere_is_never_asked_for(self, make, server, elsewhere):
        server.page_size, server.next_base = 100, elsewhere
        with pytest.raises(BadResponseError, match="next page"):
            series(make())

    def test_a_page_of_another_ticker_is_not_asked_for(self, make, server):
        server.page_size = 100
        server.spoil = lambda answer: answer.update(next_url="https://api.massive.com/v2/aggs/ticker/MSFT/range/1/day/")
        with pytest.raises(BadResponseError, match="next page"):
            series(make())
        assert not [path for path in paths(server) if "MSFT" in path]

    def test_a_malformed_second_page_is_asked_for_again_and_never_the_end(self, make, server):
        server.page_size = 100
        server.fail("malformed", skip=1, times=None)
        with pytest.raises(BadResponseError, match="no JSON"):
            series(make())
        assert len(server.data_requests()) == 4

    def test_pages_in_a_circle_are_an_error(self, make, server):
        server.page_size = 100
        first = []

        def spoil(answer):
            first.append(answer["next_url"]) if not first else answer.update(next_url=first[0], results=[])
            answer["resultsCount"] = len(answer["results"])

        server.spoil = spoil
        with pytest.raises(BadResponseError, match="circle"):
            series(make())
        assert len(server.data_requests()) == 2

    @pytest.mark.parametrize("named", [5, {}, [], "", "next", "https://[", "//api.massive.com/v2/aggs/ticker/AAPL/"])
    def test_a_next_page_that_is_no_address_is_an_error(self, make, server, named):
        server.spoil = lambda answer: answer.update(next_url=named)
        with pytest.raises(BadResponseError):
            series(make())

    def test_a_page_that_comes_twice_is_an_error(self, make, server):
        server.page_size = 100
        kept = []

        def spoil(answer):
            kept.append(answer["results"])
            answer.update(results=kept[0], resultsCount=len(kept[0]))

        server.spoil = spoil
        with pytest.raises(BadResponseError, match="twice"):
            series(make())

    def test_a_full_answer_without_a_next_page_is_gone_on_with(self, make, server, monkeypatch):
        monkeypatch.setattr(module, "AGGREGATES_LIMIT", 100)
        server.page_size = 100
        server.spoil = lambda answer: answer.pop("next_url", None)
        assert series(make()).bars.height == 230
        # The 100th session of the year is 23 May, the 200th 16 October.
        assert [path.rpartition("day/")[2] for path in paths(server)[:3]] == [
            "2024-01-02/2024-11-27",
            "2024-05-24/2024-11-27",
            "2024-10-17/2024-11-27",
        ]

    def test_a_plan_counts_the_minutes_that_bars_are_made_of(self, make):
        adapter = make().adapter
        assert adapter.pages(0, 0, FREQUENCIES["1d"], 2_520) == 1
        # 50,000 minutes are 52 days of 16 hours; 5-minute bars take as many.
        assert adapter.pages(0, 0, FREQUENCIES["1m"], 390 * 52) == 1
        assert adapter.pages(0, 0, FREQUENCIES["1m"], 390 * 53) == 2
        assert adapter.pages(0, 0, FREQUENCIES["5m"], 78 * 53) == 2


class TestEndlessPages:
    """A next page that is always there, under a name that is always new."""

    @pytest.mark.parametrize("rows", ["the same", "none"])
    def test_pages_that_lead_nowhere_are_an_error(self, make, server, rows):
        count = iter(range(10**9))

        def repeat(answer):
            cursor = json.dumps({"after": "0", "limit": "5000", "adjusted": "false", "n": next(count)})
            answer["next_url"] = f"{REAL_BASE}{path}?cursor={base64.urlsafe_b64encode(cursor.encode()).decode()}"
            if rows == "none":
                answer.update(results=[], resultsCount=0)

        path = "/v2/aggs/ticker/AAPL/range/1/day/2024-11-18/2024-11-20"
        server.spoil = repeat
        with pytest.raises(BadResponseError):
            series(make(), start=date(2024, 11, 18), end=date(2024, 11, 20))
        assert len(server.data_requests()) < 10
