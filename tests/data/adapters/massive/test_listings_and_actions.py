"""Listings, splits and dividends."""

from datetime import date
from decimal import Decimal

import pytest

from rustybt.errors import (
    BadResponseError,
)
from tests.data.adapters.massive.asking import series
from tests.fakes import market


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
