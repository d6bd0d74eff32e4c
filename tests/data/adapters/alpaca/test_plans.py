"""How many requests a plan counts."""

from datetime import date

import numpy as np

from rustybt.data.adapters.alpaca import bars as alpaca_bars
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.request import parse_range
from tests.fakes import market


def test_a_plan_counts_bars_outside_the_session_too(server, make):
    adapter = make(server)
    # 100 sessions of 390 minutes arrive as up to 960 each; one request more is for corporate actions.
    assert adapter.pages(0, 0, FREQUENCIES["1m"], 39_000) == 10 + 1
    assert adapter.pages(0, 0, FREQUENCIES["1d"], 2_520) == 1 + 1


def test_a_plan_counts_the_groups_of_symbols_that_fit_on_a_page(server, make):
    adapter = make(server)
    start, end = parse_range("2020-01-01", "2023-12-31", FREQUENCIES["1d"])
    # 1,461 days are taken for 1,045 sessions at most, nine symbols a page: three full groups, one of three symbols.
    assert adapter.pages(start, end, FREQUENCIES["1d"], 30 * 1_006, 30) == 4 + 1


def test_more_bars_are_expected_than_can_be():
    start, end = parse_range("2014-01-01", "2023-12-31", FREQUENCIES["1d"])
    sessions = sum(date(2014, 1, 1) <= day <= date(2023, 12, 31) for day in market.sessions("XNYS"))
    assert sessions <= alpaca_bars.bars_due(start, end, FREQUENCIES["1d"]) < sessions * 1.05
    assert alpaca_bars.bars_due(*parse_range("2024-01-02", "2024-01-02", FREQUENCIES["1m"]), FREQUENCIES["1m"]) >= 960
    assert np.isclose(alpaca_bars.bars_due(start, end, FREQUENCIES["1w"]), 522, atol=2)
