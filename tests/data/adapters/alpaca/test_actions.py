"""Alpaca's corporate actions as events."""

from datetime import date
from decimal import Decimal

import pytest

from rustybt.data.adapters.alpaca.actions import read_actions
from rustybt.data.adapters.alpaca.adapter import AlpacaAdapter
from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources import bridge
from rustybt.errors import BadResponseError
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.frequency import DAILY
from rustybt.market.request import parse_range
from tests.fakes import market
from tests.fakes.alpaca import AlpacaServer


def actions(server, symbol, start, end=None):
    """The events known with bars of one day."""
    transport = Transport(base_url=server.url, timeout_seconds=5.0)
    adapter = AlpacaAdapter(Connection(transport, requests_per_minute=0, clock=lambda: market.NOW))

    async def ask():
        try:
            return (await adapter.fetch_series([symbol], *parse_range(start, end or start, DAILY), DAILY))[symbol]
        finally:
            await adapter.close()

    return bridge.run(ask()).actions


def test_splits_are_new_shares_for_old_ones(server):
    found = [action for action in actions(server, "AAPL", "2014-01-02") if action.kind == "split"]
    assert [(a.ex_date, a.ratio_new, a.ratio_old) for a in found] == [
        (date(2014, 6, 9), Decimal(7), Decimal(1)),
        (date(2020, 8, 31), Decimal(4), Decimal(1)),
    ]


def test_a_reverse_split_is_one_for_many(server):
    (found,) = actions(server, "GE", "2020-01-02")
    assert (found.kind, found.ratio_new, found.ratio_old) == ("split", Decimal(1), Decimal(8))


def test_dividends_have_their_amount_and_dates(server):
    found = actions(server, "MSFT", "2024-08-01")
    assert found[0] == CorporateAction(
        "MSFT",
        "cash_dividend",
        date(2024, 8, 9),
        amount=Decimal("0.75"),
        currency="USD",
        record_date=date(2024, 8, 10),
        pay_date=date(2024, 8, 16),
        source="alpaca",
    )


def test_events_after_the_end_of_the_bars_are_known_until_today(server):
    # Bars until January, and the dividends of February to November.
    found = actions(server, "MSFT", "2024-01-02")
    assert [action.ex_date.month for action in found] == [2, 5, 8, 11]


def test_events_before_the_first_bar_are_left_out(server):
    assert not [a for a in actions(server, "AAPL", "2014-06-10") if a.ex_date == date(2014, 6, 9)]


def cash(ex_date, process_date, rate="0.5", **more):
    return {"symbol": "GE", "rate": Decimal(rate), "ex_date": ex_date, "process_date": process_date, **more}


def test_a_dividend_that_is_paid_later_than_today_is_known_from_its_ex_date(server):
    # Alpaca selects by the day of payment.
    server.more_actions = {"cash_dividends": [cash("2024-11-25", "2025-03-03", special=True)]}
    assert [action.ex_date for action in actions(server, "GE", "2024-11-01")] == [date(2024, 11, 25)]


def test_an_event_of_the_future_is_not_known_yet(server):
    server.more_actions = {"cash_dividends": [cash("2024-12-02", "2024-12-09")]}
    assert not actions(server, "GE", "2024-11-01")


def test_two_dividends_of_a_day_are_two_and_the_same_one_twice_is_one(server):
    twice = cash("2024-11-25", "2024-11-26")
    server.more_actions = {"cash_dividends": [twice, {**twice, "id": "other"}, cash("2024-11-25", "2024-11-26", "2")]}
    assert [action.amount for action in actions(server, "GE", "2024-11-01")] == [Decimal("0.5"), Decimal(2)]


def test_a_dividend_of_nothing_is_none(server):
    server.more_actions = {"cash_dividends": [cash("2024-11-25", "2024-11-26", "0.0")]}
    assert not actions(server, "GE", "2024-11-01")


def test_digits_of_an_amount_survive(server):
    server.more_actions = {"cash_dividends": [cash("2024-11-25", "2024-11-26", "0.123456789012345678")]}
    assert actions(server, "GE", "2024-11-01")[0].amount == Decimal("0.123456789012345678")


def test_stock_dividends_and_spin_offs_are_shares_for_shares_held(server):
    dates = {"ex_date": "2024-11-25", "process_date": "2024-11-25", "record_date": None}
    server.more_actions = {
        "stock_dividends": [{"symbol": "GE", "rate": Decimal("0.05"), **dates}],
        "spin_offs": [
            {"source_symbol": "GE", "source_rate": 4, "new_symbol": "GEV", "new_rate": 1, **dates},
        ],
    }
    found = sorted(actions(server, "GE", "2024-11-01"), key=lambda action: action.kind)
    assert [(a.kind, a.ratio_new, a.ratio_old) for a in found] == [
        ("spin_off", Decimal(1), Decimal(4)),
        ("stock_dividend", Decimal("0.05"), Decimal(1)),
    ]


def test_pages_of_events_are_followed_to_the_end():
    with AlpacaServer(page_size=7) as server:
        # 49 dividends from August 2012 on, and two splits.
        assert len(actions(server, "AAPL", "2012-01-03", "2012-01-05")) == 52
        asked = [request for request in server.requests if request.path == "/v1/corporate-actions"]
        assert len(asked) == 8


@pytest.mark.parametrize(
    "event",
    [
        {"symbol": "GE", "rate": "much", "ex_date": "2024-11-25"},
        {"symbol": "GE", "rate": "-1", "ex_date": "2024-11-25"},
        {"symbol": "GE", "ex_date": "2024-11-25"},
        {"symbol": "GE", "rate": "1", "ex_date": "someday"},
        {"symbol": "GE", "rate": "1"},
        {"symbol": 7, "rate": "1", "ex_date": "2024-11-25"},
        {"symbol": "GE", "rate": None, "ex_date": "2024-11-25"},
        None,
        "a dividend",
    ],
)
def test_an_event_that_cannot_be_is_an_error(event):
    with pytest.raises(BadResponseError):
        read_actions({"corporate_actions": {"cash_dividends": [event]}}, date(2024, 1, 1), date(2024, 12, 31))


@pytest.mark.parametrize("rates", [("0", "1"), ("1", "0"), ("-2", "1"), ("1", "1e30"), ("x", "1")])
def test_a_split_that_cannot_be_is_an_error(rates):
    event = {"symbol": "GE", "new_rate": rates[0], "old_rate": rates[1], "ex_date": "2024-11-25"}
    with pytest.raises(BadResponseError):
        read_actions({"corporate_actions": {"forward_splits": [event]}}, date(2024, 1, 1), date(2024, 12, 31))


def test_groups_that_were_not_asked_for_say_nothing():
    page = {"corporate_actions": {"name_changes": [{"old_symbol": "FB"}]}}
    assert not read_actions(page, date(2024, 1, 1), date(2024, 12, 31))
    assert not read_actions({"corporate_actions": None}, date(2024, 1, 1), date(2024, 12, 31))
    with pytest.raises(BadResponseError):
        read_actions({"corporate_actions": []}, date(2024, 1, 1), date(2024, 12, 31))
