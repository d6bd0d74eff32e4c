"""A strategy that goes wrong in a run: an error that names bar and line, and the sessions before it."""

from __future__ import annotations

import pytest

from rustybt import api
from rustybt.algorithm import run_algorithm
from rustybt.errors import LookaheadError, StrategyError, SymbolNotFoundError


def test_an_unknown_symbol_names_near_ones(make_bars):
    with pytest.raises(SymbolNotFoundError, match="did you mean AAPL") as caught:
        run_algorithm(bundle=make_bars({"AAPL": [1]}), initialize=lambda context: api.symbol("APPL"))
    assert "in initialize" in str(caught.value)


def test_reading_past_the_clock_is_a_lookahead_error(make_bars):
    def handle_data(context, data):
        context.data_portal.get_spot_value(api.symbol("A"), "close", "2020-01-06")

    with pytest.raises(LookaheadError, match="in bar 1, the session 2020-01-02"):
        run_algorithm(bundle=make_bars({"A": [10, 11, 12]}), handle_data=handle_data)


def test_a_strategy_that_raises_leaves_the_sessions_before_it(make_bars):
    def handle_data(context, data):
        api.record(x=1)
        if data.current_session.day == 6:
            context.missing  # noqa: B018

    with pytest.raises(StrategyError, match=r"test_run_errors.py, line .*bar 3, the session 2020-01-06") as caught:
        run_algorithm(bundle=make_bars({"A": [10, 11, 12]}), handle_data=handle_data)
    assert "AttributeError" in caught.value.message
    partial = caught.value.partial_result
    assert not partial.is_complete
    assert list(partial.perf["x"]) == [1, 1]
    assert "error" in partial.summary()
    assert "incomplete" in repr(partial)


def test_a_strategy_that_fails_at_once_leaves_an_empty_result(make_bars):
    def initialize(context):
        return 1 / 0

    with pytest.raises(StrategyError, match=r"line \d+, in initialize: ZeroDivisionError: division by zero") as caught:
        run_algorithm(bundle=make_bars({"A": [10]}), initialize=initialize)
    assert caught.value.message.count("in initialize") == 1
    partial = caught.value.partial_result
    assert len(partial.perf) == 0
    assert partial.summary()["ending_value"] is None
    assert len(partial.transactions) == len(partial.orders) == len(partial.positions) == 0
