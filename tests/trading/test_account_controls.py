"""Controls of the account: a session may end with the limit, and not beyond it."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from rustybt import api
from rustybt.algorithm import run_algorithm
from rustybt.errors import AccountControlError, AccountControlViolation, StrategyError
from rustybt.trading.controls.controls import MaxLeverage, MinLeverage
from tests.trading.strategies import FREE


def leverages(make_bars, rule, amount, closes):
    """Run with 1,000 of capital and `amount` of A, bought in the first session."""

    def initialize(context):
        context.ordered = False
        rule()

    def handle_data(context, data):
        if not context.ordered:
            api.order(api.symbol("A"), amount)
            context.ordered = True
        api.record(leverage=context.account.leverage)

    return run_algorithm(
        bundle=make_bars({"A": closes}),
        capital_base=1000,
        initialize=initialize,
        handle_data=handle_data,
        **FREE,
    )


@pytest.mark.parametrize(("amount", "closes"), [(200, [10, 10, 10]), (-200, [10, 10, 10])])
def test_a_session_may_end_with_max_leverage(make_bars, amount, closes):
    result = leverages(make_bars, lambda: api.set_max_leverage(2), amount, closes)
    assert list(result["leverage"]) == [0, 2, 2]


@pytest.mark.parametrize(
    ("amount", "third"),
    # 200 held, cash -1,000: 1,998 / 998. 200 short, cash 3,000: 2,002 / 998.
    [(200, 9.99), (-200, 10.01)],
)
def test_a_session_that_ends_with_more_ends_the_run(make_bars, amount, third):
    with pytest.raises(AccountControlViolation) as caught:
        leverages(make_bars, lambda: api.set_max_leverage(2), amount, [10, 10, third, 10])
    error = caught.value
    assert isinstance(error, AccountControlError)
    assert isinstance(error, StrategyError)
    assert "the account breaks MaxLeverage(max_leverage=2) at the end of the session 2020-01-06" in error.message
    assert error.leverage == pytest.approx((1998 if amount > 0 else 2002) / 998)
    assert error.session == "2020-01-06"
    assert list(error.partial_result["leverage"]) == [0, 2]


def test_min_leverage_is_asked_for_when_the_grace_period_has_passed(make_bars):
    # The sessions are January 2, 3, 6 and 7; four days of grace end with January 5.
    rule = lambda: api.set_min_leverage(0.5, pd.Timedelta(days=4))  # noqa: E731
    assert list(leverages(make_bars, rule, 50, [10] * 4)["leverage"]) == [0, 0.5, 0.5, 0.5]
    with pytest.raises(
        AccountControlError, match=r"MinLeverage\(min_leverage=0.5, .*session 2020-01-06.* is 0.49\n"
    ) as c:
        leverages(make_bars, rule, 49, [10] * 4)
    assert len(c.value.partial_result.perf) == 2


def test_without_grace_the_first_session_must_have_leverage(make_bars):
    with pytest.raises(AccountControlError, match="session 2020-01-02"):
        leverages(make_bars, lambda: api.set_min_leverage(0.1, pd.Timedelta(0)), 50, [10] * 2)


def test_the_deadline_itself_is_still_within_the_grace_period():
    deadline = pd.Timestamp("2020-01-03", tz="UTC")
    rule = MinLeverage(1.0, deadline)
    assert rule.violation(SimpleNamespace(leverage=0.5), deadline) is None
    assert rule.violation(SimpleNamespace(leverage=0.5), deadline + pd.Timedelta(1, "ns")) == "its leverage is 0.5"
    assert rule.violation(SimpleNamespace(leverage=1.0), deadline + pd.Timedelta(1, "ns")) is None


def test_an_account_worth_nothing_has_infinite_leverage():
    assert MaxLeverage(100).violation(SimpleNamespace(leverage=float("inf")), None) == "its leverage is inf"
