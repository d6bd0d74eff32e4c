"""Massive's adapter against the local server, by way of the vendor's real client: what goes over the wire, and what comes of it."""

import base64
import json
import logging
import subprocess
import sys
import traceback
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import format_datetime

import pytest

from rustybt.data.adapters.massive import adapter as module
from rustybt.data.adapters.massive.adapter import MassiveAdapter
from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.sources import bridge
from rustybt.data.sources.polygon import PolygonDataSource
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    MissingDependencyError,
    NotCoveredError,
    RateLimitedError,
    RequestError,
    SourceError,
    SourceUnavailableError,
    SymbolNotFoundError,
)
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.request import to_microseconds
from tests.fakes import market
from tests.fakes.massive import KEY, REAL_BASE, MassiveServer, Printed

QUICK = RetryPolicy(max_attempts=3, first_wait_seconds=0.001, max_wait_seconds=0.3)
END = date(2024, 11, 27)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("MASSIVE_API_KEY", KEY)
    with MassiveServer() as running:
        yield running


@pytest.fixture
def make(server):
    made = []

    def build(**options):
        given = {"base_url": server.url, "clock": lambda: market.NOW, "requests_per_minute": 0, "retry": QUICK}
        made.append(PolygonDataSource(**{**given, **options}))
        return made[-1]

    yield build
    for source in made:
        source.close()


def series(source, symbol="AAPL", start=date(2024, 1, 2), end=END, frequency="1d"):
    """What the adapter answers of one symbol; its error is raised."""
    last = to_microseconds(end) + 86_400_000_000 - 1
    request = source.adapter.fetch_series([symbol], to_microseconds(start), last, FREQUENCIES[frequency])
    found = bridge.run(request)[symbol]
    if isinstance(found, Exception):
        raise found
    return found


def paths(server):
    return [request.path for request in server.requests]


def first_row(symbol, day):
    return market.daily(symbol, day, day)[0]


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


class TestAnswers:
    def test_digits_arrive_as_printed_volumes_with_an_exponent_too(self, make, server):
        def spoil(answer):
            row = answer["results"][0]
            row.update(o="0.123456789012345678", h=150, c="1e-05", v="7.0790813e+07")
            answer["results"][0] = {key: Printed(value) for key, value in row.items()}

        server.spoil = spoil
        row = series(make()).bars.row(0, named=True)
        assert row["open"] == Decimal("0.123456789012345678")
        assert row["high"] == 150
        assert row["close"] == Decimal("0.00001")
        assert row["volume"] == 70_790_813

    def test_raw_is_the_default_and_adjusted_another_basis(self, make):
        day = date(2014, 6, 6)
        raw = first_row("AAPL", day)
        answer = series(make(), start=day, end=day)
        assert answer.bars.row(0)[2] == raw.open
        assert make().adapter.price_basis == "raw"
        source = make(adjusted=True)
        assert source.adapter.price_basis == "split_adjusted"
        assert source.get_metadata().adjustment == "splits"
        # Before a 7:1 and a 4:1 split.
        assert series(source, start=day, end=day).bars.row(0)[2] == Decimal(repr(float(raw.open / 28)))

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"ticker": "MSFT"}, "was asked for AAPL"),
            ({"adjusted": True}, "adjusted"),
            ({"resultsCount": 300}, "300 bars"),
            ({"resultsCount": "many"}, "resultsCount"),
            ({"results": {}}, "no list"),
            ({"status": "ERROR", "error": "Something"}, "ERROR"),
            ({"status": None}, "status"),
        ],
    )
    def test_an_answer_to_another_question_is_refused(self, make, server, change, said):
        server.spoil = lambda answer: answer.update(change)
        with pytest.raises(BadResponseError, match=said):
            series(make())

    @pytest.mark.parametrize(
        "bar",
        [
            {"o": None},
            {"o": "abc"},
            {"c": True},
            {"h": [1]},
            {"l": 1e400},
            {"t": "soon"},
            {"t": 1.5},
            {"t": 1704171600001},
            {"t": 1486132200000},
        ],
    )
    def test_a_bar_that_cannot_be_one_fails_its_symbol(self, make, server, bar):
        server.spoil = lambda answer: answer["results"][0].update(bar)
        with pytest.raises(BadResponseError):
            series(make())

    def test_a_bar_without_a_price_fails_its_symbol(self, make, server):
        server.spoil = lambda answer: answer["results"][3].pop("c")
        with pytest.raises(BadResponseError, match="lacks a value"):
            series(make())

    def test_a_bar_without_a_volume_says_so(self, make, server):
        server.spoil = lambda answer: answer["results"][1].update(v=None)
        answer = series(make(), end=date(2024, 1, 5))
        assert answer.missing_volume.to_list() == [False, True, False, False]
        assert answer.bars["volume"][1] == 0

    def test_pages_without_volumes_are_told_from_those_with(self, make, server):
        server.page_size = 2
        server.spoil = lambda answer: answer["results"][0].update(v=None) if "next_url" in answer else None
        answer = series(make(), end=date(2024, 1, 4))
        assert answer.missing_volume.to_list() == [True, False, False]

    def test_bars_out_of_order_fail_their_symbol(self, make, server):
        server.spoil = lambda answer: answer["results"].reverse()
        with pytest.raises(BadResponseError, match="out of order"):
            series(make())

    def test_bars_from_outside_of_the_range_fail_their_symbol(self, make, server):
        # As happened to others: polygon-io/issues#65.
        server.spoil = lambda answer: answer["results"][0].update(t=1486098000000)
        with pytest.raises(BadResponseError, match="2017-02-03"):
            series(make())

    def test_a_delayed_answer_is_an_answer(self, make, server):
        server.delayed = True
        assert series(make()).bars.height == 230


class TestLabels:
    def test_days_keep_their_date_across_both_changes_of_the_clocks(self, make):
        spring = series(make(), start=date(2024, 3, 8), end=date(2024, 3, 12)).bars["timestamp"]
        assert [stamp.isoformat()[:16] for stamp in spring] == [
            "2024-03-08T00:00",
            "2024-03-11T00:00",
            "2024-03-12T00:00",
        ]
        autumn = series(make(), start=date(2024, 11, 1), end=date(2024, 11, 4)).bars["timestamp"]
        assert [stamp.date() for stamp in autumn] == [date(2024, 11, 1), date(2024, 11, 4)]

    def test_weeks_begin_on_monday_though_the_vendors_begin_on_sunday(self, make):
        answer = series(make(), start=date(2024, 3, 5), end=date(2024, 3, 20), frequency="1w")
        # The week of 4 March begins before the range.
        assert [stamp.date() for stamp in answer.bars["timestamp"]] == [date(2024, 3, 11), date(2024, 3, 18)]
        days = market.daily("AAPL", date(2024, 3, 11), date(2024, 3, 15))
        assert answer.bars["open"][0] == days[0].open
        assert answer.bars["volume"][0] == sum(day.volume for day in days)

    def test_months_begin_on_their_first_day(self, make):
        answer = series(make(), start=date(2024, 1, 1), end=date(2024, 3, 31), frequency="1M")
        assert [stamp.date() for stamp in answer.bars["timestamp"]] == [
            date(2024, 1, 1),
            date(2024, 2, 1),
            date(2024, 3, 1),
        ]

    def test_minutes_are_those_of_the_session(self, make):
        bars = series(make(), start=date(2024, 11, 26), end=date(2024, 11, 26), frequency="1m").bars
        rows = market.intraday("AAPL", 1, date(2024, 11, 26), date(2024, 11, 26))
        assert bars["timestamp"].to_list() == [row.start for row in rows]
        assert bars["close"].to_list() == [row.close for row in rows]
        assert bars.height == 390

    def test_a_half_day_ends_at_one(self, make):
        bars = series(make(), start=date(2023, 11, 24), end=date(2023, 11, 24), frequency="5m").bars
        assert bars.height == 42

    def test_hours_are_made_of_half_hours_from_the_open_on(self, make, server):
        bars = make().fetch_sync("AAPL", "2024-11-26", "2024-11-26", "1h")
        assert {request.path.split("/")[6:8][1] for request in server.data_requests()} == {"minute"}
        assert bars["timestamp"][0] == datetime(2024, 11, 26, 14, 30, tzinfo=UTC)
        halves = market.intraday("AAPL", 30, date(2024, 11, 26), date(2024, 11, 26))[:2]
        assert bars["open"][0] == halves[0].open
        assert bars["close"][0] == halves[1].close
        assert bars["volume"][0] == halves[0].volume + halves[1].volume

    def test_all_hours_are_kept_on_request_and_hours_are_the_vendors(self, make):
        source = make(extended_hours="true")
        day = date(2024, 11, 26)
        assert series(source, start=day, end=day, frequency="30m").bars["timestamp"][0].hour == 13
        assert series(source, start=day, end=day, frequency="1h").bars["timestamp"][0] == datetime(
            2024, 11, 26, 13, tzinfo=UTC
        )
        assert source.get_metadata().feed == "sip-extended"
        assert source.options()["extended_hours"] is True

    def test_a_range_within_one_bar_asks_for_no_bars(self, make, server):
        adapter = make().adapter
        start = to_microseconds(date(2024, 11, 26)) + 52_201_000_000
        answer = bridge.run(adapter.fetch_series(["AAPL"], start, start + 1_000_000, FREQUENCIES["1m"]))["AAPL"]
        assert answer.bars.is_empty()
        assert not server.data_requests()

    def test_what_lies_ahead_is_not_asked_for(self, make, server):
        # The vendor answers 403 to it: polygon-io/issues#313.
        assert series(make(), start=date(2024, 12, 2), end=date(2024, 12, 6)).bars.is_empty()
        assert not server.data_requests()
        series(make(), start=date(2024, 11, 25), end=date(2025, 2, 1))
        assert server.data_requests()[0].path.endswith("2024-11-25/2024-11-29")

    def test_what_was_before_the_vendor_is_not_asked_for(self, make, server):
        answer = series(make(), "MSFT", start=date(2003, 9, 1), end=date(2003, 9, 12))
        assert server.data_requests()[0].path.endswith("2003-09-10/2003-09-12")
        assert answer.notes == ("polygon has no bars from before 2003-09-10",)
        assert answer.first_bar == date(2003, 9, 10)


class TestListings:
    def test_venue_type_currency_and_name_come_from_the_listing(self, make):
        stock = series(make()).attributes
        assert (stock.venue, stock.asset_type, stock.currency, stock.name) == ("XNAS", "equity", "USD", "Apple Inc.")
        assert series(make(), "SPY").attributes.asset_type == "etf"
        assert series(make(), "NEWCO").first_bar == date(2024, 3, 4)

    def test_a_delisted_ticker_has_bars_a_venue_and_a_note(self, make):
        answer = series(make(), "OLDCO", start=date(2019, 1, 2), end=date(2019, 12, 31))
        assert answer.bars["timestamp"][-1].date() == date(2019, 6, 28)
        assert answer.attributes.venue == "XNYS"
        assert answer.notes == ("OLDCO left its exchange on 2019-07-01",)

    def test_a_delisted_ticker_without_bars_in_range_is_not_unknown(self, make):
        assert series(make(), "OLDCO", start=date(2020, 1, 2)).bars.is_empty()

    def test_bars_without_a_listing_are_delivered(self, make, server):
        server.fail("404", where=lambda request: request.path == "/v3/reference/tickers/AAPL")
        answer = series(make())
        assert answer.attributes is None
        assert "no listing" in answer.notes[0]

    def test_without_the_listing_unknown_is_only_empty(self, make):
        assert series(make(details=False), "NOSUCH").bars.is_empty()

    def test_symbols_are_listed_over_all_pages(self, make, server):
        listed = [item.symbol for item in market.EQUITIES.values() if item.calendar == "XNYS" and not item.delisted]
        server.page_size = len(listed) // 2 + 1
        assert make().list_symbols() == sorted(listed)
        assert len(server.requests) == 2

    def test_a_list_that_ends_in_a_broken_page_is_no_shorter_list(self, make, server):
        server.page_size = 4
        server.fail("malformed", times=None, skip=1, where=lambda request: request.path == "/v3/reference/tickers")
        with pytest.raises(BadResponseError):
            make().list_symbols()

    @pytest.mark.parametrize(
        ("typed", "symbol"),
        [("aapl", "AAPL"), ("brk-b", "BRK.B"), ("BRK/B", "BRK.B"), (" BRK.B ", "BRK.B"), ("BACpK", "BACpK")],
    )
    def test_symbols_are_written_the_vendors_way(self, make, typed, symbol):
        adapter = make().adapter
        assert adapter.canonical_symbol(typed) == symbol
        assert adapter.canonical_symbol(symbol) == symbol


class TestActions:
    def test_splits_and_dividends_come_with_the_bars_until_today(self, make):
        answer = series(make(), start=date(2020, 6, 1), end=date(2020, 6, 5))
        split, *_ = [action for action in answer.actions if action.kind == "split"]
        assert (split.ex_date, split.ratio_new, split.ratio_old) == (date(2020, 8, 31), 4, 1)
        paid = [action for action in answer.actions if action.kind == "cash_dividend"]
        assert (paid[0].amount, paid[0].currency, paid[0].ex_date) == (Decimal("0.24"), "USD", date(2020, 8, 10))
        assert (paid[0].declared_date, paid[0].record_date, paid[0].pay_date) == (
            date(2020, 7, 27),
            date(2020, 8, 11),
            date(2020, 8, 17),
        )
        assert paid[-1].ex_date == date(2024, 11, 11)
        assert {action.source for action in answer.actions} == {"polygon"}

    def test_a_reverse_split_and_odd_ratios_are_exact(self, make, server):
        server.more_splits["GE"] = [
            {"execution_date": "2023-01-04", "split_from": 1000, "split_to": 1281, "ticker": "GE"},
            {"execution_date": "2023-02-01", "split_from": 1, "split_to": 1.05, "ticker": "GE"},
        ]
        found = series(make(), "GE", start=date(2021, 1, 4), end=date(2021, 1, 8)).actions
        assert [(action.ratio_new, action.ratio_old) for action in found] == [
            (1, 8),
            (1281, 1000),
            (Decimal("1.05"), 1),
        ]

    def test_a_special_dividend_is_cash_and_one_without_an_amount_a_note(self, make, server):
        row = {"currency": "USD", "ticker": "SPY", "pay_date": None}
        server.more_dividends["SPY"] = [
            {**row, "cash_amount": 1.234567, "dividend_type": "SC", "ex_dividend_date": "2024-02-01"},
            {**row, "cash_amount": 0.0, "dividend_type": "CD", "ex_dividend_date": "2024-03-01"},
        ]
        answer = series(make(), "SPY")
        assert [(action.amount, action.pay_date) for action in answer.actions] == [(Decimal("1.234567"), None)]
        assert "2024-03-01" in answer.notes[0]

    @pytest.mark.parametrize(
        "row",
        [
            {"execution_date": "2023-01-04", "split_from": 0, "split_to": 2, "ticker": "GE"},
            {"execution_date": "2023-01-04", "split_to": 2, "ticker": "GE"},
            {"execution_date": "2023-01-04", "split_from": 1, "split_to": 2, "ticker": "AAPL"},
            {"execution_date": "2023-13-04", "split_from": 1, "split_to": 2, "ticker": "GE"},
            {"execution_date": "2023-01-04", "split_from": "x", "split_to": 2, "ticker": "GE"},
        ],
    )
    def test_an_event_that_is_none_fails_its_symbol(self, make, server, row):
        server.more_splits["GE"] = [row]
        with pytest.raises(BadResponseError):
            series(make(), "GE", start=date(2023, 1, 2))

    def test_a_malformed_answer_of_events_is_no_answer_without_events(self, make, server):
        server.fail("malformed", times=None, where=lambda request: request.path == "/v3/reference/splits")
        with pytest.raises(BadResponseError):
            series(make())


class TestRefusals:
    def test_an_unknown_key_names_the_variable(self, make, server):
        server.key = "another-invented-key"
        with pytest.raises(AuthenticationError, match="Unknown API Key") as caught:
            make().fetch_sync("AAPL", "2024-01-02", "2024-01-31")
        assert "MASSIVE_API_KEY" in caught.value.hint
        assert len(server.requests) == 1

    def test_without_a_key_limits_are_known_and_a_fetch_says_what_to_set(self, make, server, monkeypatch):
        monkeypatch.delenv("MASSIVE_API_KEY")
        source = make(requests_per_minute=None)
        assert source.limits().requests_per_minute == 5
        assert source.limits().needs_key
        with pytest.raises(AuthenticationError, match="MASSIVE_API_KEY"):
            source.fetch_sync("AAPL", "2024-01-02", "2024-01-31")
        assert not server.requests

    def test_a_key_that_came_after_the_clients_import_is_used(self, make, server, monkeypatch):
        import massive

        assert massive.RESTClient
        monkeypatch.delenv("MASSIVE_API_KEY")
        monkeypatch.setenv("POLYGON_API_KEY", KEY)
        assert series(make()).bars.height
        assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"

    def test_the_newer_variable_wins(self, make, monkeypatch):
        monkeypatch.setenv("POLYGON_API_KEY", "invented-and-wrong")
        assert series(make()).bars.height

    def test_a_range_beyond_the_plan_says_so(self, make, server):
        server.oldest = date(2022, 11, 29)
        with pytest.raises(AuthenticationError, match="plan") as caught:
            make().fetch_sync("AAPL", "2014-01-02", "2024-01-31")
        assert "history_years" in caught.value.hint

    def test_a_plan_that_leaves_out_old_bars_without_a_word_is_noticed(self, make, server):
        server.oldest, server.refuses_older = date(2022, 11, 29), False
        with pytest.raises(NotCoveredError, match="2 years") as caught:
            series(make(), start=date(2014, 1, 2))
        assert "2022-11-29" in caught.value.hint
        assert series(make(), start=date(2022, 11, 29)).bars.height == 503

    def test_a_ticker_that_began_late_for_its_own_reasons_is_no_plans_fault(self, make, server):
        server.oldest, server.refuses_older = date(2022, 6, 9), False
        answer = series(make(), start=date(2014, 1, 2))
        assert answer.first_bar == date(2003, 9, 10)

    def test_a_plan_that_is_known_refuses_before_anything_is_asked(self, make, server):
        with pytest.raises(NotCoveredError):
            make(history_years="2").fetch_sync("AAPL", "2014-01-02", "2024-01-31")
        assert not server.requests

    @pytest.mark.parametrize("years", [0, -1, "two", 1_000])
    def test_a_plan_of_no_years_is_refused(self, years):
        with pytest.raises(RequestError):
            PolygonDataSource(history_years=years)

    def test_options_are_yes_or_no(self):
        with pytest.raises(RequestError, match="adjusted"):
            PolygonDataSource(adjusted="perhaps")

    def test_the_limit_of_the_plan_says_how_long_to_wait(self, make, server):
        server.fail("429", times=None, retry_after=37)
        with pytest.raises(RateLimitedError, match="exceeded the maximum requests") as caught:
            series(make())
        assert caught.value.retry_after_seconds == 37
        assert len(server.requests) == 1

    def test_a_date_to_wait_for_is_understood(self, make, server):
        then = format_datetime(datetime(2100, 1, 1, tzinfo=UTC), usegmt=True)
        server.fail("429", times=None, headers={"Retry-After": then})
        with pytest.raises(RateLimitedError) as caught:
            series(make())
        assert caught.value.retry_after_seconds > 1e9

    def test_the_clients_own_attempts_do_not_multiply_ours(self, make, server):
        server.fail("503", times=None)
        with pytest.raises(SourceUnavailableError):
            series(make())
        assert len(server.requests) == 3

    def test_a_refusal_with_status_200_is_a_refusal(self, make, server):
        server.fail("text", body='{"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}')
        with pytest.raises(AuthenticationError, match="entitled"):
            series(make())

    def test_a_request_that_the_vendor_does_not_understand_is_made_once(self, make, server):
        from aiohttp import web

        server.error_response = lambda status, headers: web.json_response({"error": "no such span"}, status=400)
        server.fail("500")
        with pytest.raises(SourceError, match="400: no such span"):
            series(make())
        assert len(server.requests) == 1

    def test_a_key_that_can_be_none_is_told_when_it_is_used(self, make, monkeypatch):
        monkeypatch.setenv("MASSIVE_API_KEY", "two words")
        source = make()
        assert source.limits().bars_per_page == 50_000
        with pytest.raises(AuthenticationError, match="cannot be one"):
            series(source)

    def test_a_redirection_is_not_followed(self, make, server):
        from aiohttp import web

        def moved(status, headers):
            return web.Response(status=302, headers={"Location": f"{server.url}/v3/reference/tickers"})

        server.error_response = moved
        server.fail("500")
        with pytest.raises(SourceError, match="302"):
            series(make())
        assert len(server.requests) == 1

    def test_no_server_is_unavailable(self, make):
        with pytest.raises(SourceUnavailableError, match="could not be reached"):
            series(make(base_url="http://127.0.0.1:9"))

    def test_a_certificate_nobody_signed_is_refused(self, monkeypatch):
        monkeypatch.setenv("MASSIVE_API_KEY", KEY)
        with MassiveServer(tls=True) as server:
            source = PolygonDataSource(base_url=server.url, requests_per_minute=0, retry=QUICK)
            with pytest.raises(SourceUnavailableError, match="SSL"):
                series(source)
            source.close()
            assert not server.requests


class TestSecrets:
    CANARY = "canary-invented-key-4711-never-shown"

    @pytest.mark.parametrize("kind", ["401", "403", "404", "429", "500", "malformed", "cut", "reset", "slow", "echo"])
    def test_the_key_is_in_no_error_log_address_or_repr(self, server, make, monkeypatch, caplog, capfd, kind):
        monkeypatch.setenv("MASSIVE_API_KEY", self.CANARY)
        server.key = self.CANARY
        caplog.set_level(logging.DEBUG)
        source = make(timeout_seconds=0.2)
        if kind == "echo":
            said = '{"status": "ERROR", "error": "no: KEY at ?apiKey=KEY"}'
            server.fail("text", times=None, body=said.replace("KEY", self.CANARY))
        else:
            server.fail(kind, times=None, seconds=0.5)
        try:
            series(source)
            shown = ""
        except SourceError as error:
            shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
            shown += repr(error) + str(error) + repr(error.details)
        streams = capfd.readouterr()
        shown += caplog.text + repr(source) + repr(source.adapter) + repr(source.adapter.__dict__) + streams.out
        shown += streams.err + repr(source.get_metadata()) + repr(source.options()) + source.adapter.throttle.account
        assert server.requests
        assert self.CANARY not in shown
        assert not [request for request in server.requests if self.CANARY in f"{request.path}{request.query}"]

    def test_a_key_in_the_address_of_a_page_is_not_repeated(self, server, make):
        server.page_size = 100

        def spoil(answer):
            if "next_url" in answer:
                answer["next_url"] += f"&apiKey={KEY}"

        server.spoil = spoil
        assert series(make()).bars.height == 230
        assert not [request for request in server.requests if KEY in str(request.query)]

    def test_the_client_writes_nothing_to_standard_output(self, server, make, capfd):
        server.fail("malformed", times=None)
        with pytest.raises(BadResponseError):
            series(make())
        logging.getLogger("RESTClient").error("a complaint of the client")
        assert capfd.readouterr().out == ""


class TestDescription:
    def test_metadata_names_the_vendor_the_client_and_the_adjustment(self):
        found = PolygonDataSource().get_metadata()
        assert found.source_url == "https://api.massive.com"
        assert found.api_version.startswith("massive 2.")
        assert (found.adjustment, found.feed, found.supports_live) == ("none", "sip", True)

    def test_only_options_that_differ_are_written_down(self):
        assert PolygonDataSource().options() == {}
        assert PolygonDataSource(adjusted="yes", history_years=5, live=True).options() == {
            "adjusted": True,
            "history_years": 5,
            "live": True,
        }

    def test_a_live_plan_has_final_bars_earlier(self):
        assert PolygonDataSource().limits().settlement_delay_seconds == 900
        assert PolygonDataSource(live="true").limits().settlement_delay_seconds == 60

    def test_limits_are_json_with_the_frequencies_that_are_native(self):
        assert PolygonDataSource().limits().to_json()["frequencies"] == ["1m", "5m", "15m", "30m", "1d", "1w", "1M"]
        assert "1h" in PolygonDataSource(extended_hours=True).limits().frequencies
        assert PolygonDataSource(history_years=2).limits().depth_days["1d"] == 730

    def test_nothing_is_asked_and_nothing_imported_before_it_is_needed(self):
        code = (
            "import sys; from rustybt.data.sources.polygon import PolygonDataSource as P; s = P(); s.limits();"
            "print('massive' in sys.modules, 'urllib3' in sys.modules)"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert found.stdout.split() == ["False", "False"]

    def test_without_the_vendors_package_the_command_that_helps_is_named(self, make, monkeypatch):
        monkeypatch.setitem(sys.modules, "massive", None)
        with pytest.raises(MissingDependencyError) as caught:
            series(make())
        assert caught.value.hint == "pip install 'rustybt[polygon]'"

    def test_an_exception_that_is_a_bug_stays_one(self, make):
        adapter = make().adapter
        assert isinstance(adapter, MassiveAdapter)
        assert adapter.map_error(ZeroDivisionError()) is None


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
