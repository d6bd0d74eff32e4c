"""Splits and dividends that come with bars."""

from datetime import date
from decimal import Decimal

from tests.data.adapters.yahoo.asking import ask
from tests.fakes import market


def test_a_range_in_the_past_brings_the_splits_and_dividends_up_to_now(connect):
    answer = ask(connect(), "AAPL", "2013-01-01", "2013-12-31")
    splits = [(a.ex_date, a.ratio_new, a.ratio_old) for a in answer.actions if a.kind == "split"]
    assert splits == [(date(2014, 6, 9), 7, 1), (date(2020, 8, 31), 4, 1)]
    dividends = {a.ex_date: a.amount for a in answer.actions if a.kind == "cash_dividend"}
    known = [d for d in market.EQUITIES["AAPL"].dividends if d.ex_date >= date(2013, 1, 1)]
    assert list(dividends) == [d.ex_date for d in known]
    # 0.24 before both splits is 0.24 / 28 per share of today, as Yahoo prints it.
    assert dividends[date(2013, 2, 11)] == Decimal("0.008571")
    assert dividends[date(2024, 8, 9)] == Decimal("0.24")


def test_a_reverse_split_keeps_its_ratio(connect):
    (split,) = ask(connect(), "GE", "2021-01-01", "2021-12-31").actions
    assert (split.ex_date, split.ratio_new, split.ratio_old) == (date(2021, 8, 2), 1, 8)


def test_events_before_the_range_are_not_delivered(connect):
    answer = ask(connect(), "AAPL", "2020-09-01", "2020-12-31")
    assert all(action.ex_date >= date(2020, 9, 1) for action in answer.actions)


def test_intraday_bars_bring_the_actions_too(connect, server):
    server.new_splits["SPY"] = market.Split(date(2024, 11, 20), 2, 1)
    answer = ask(connect(), "SPY", "2024-11-12", "2024-11-15", "15m")
    assert [(a.ex_date, a.ratio_new) for a in answer.actions] == [(date(2024, 11, 20), 2)]


def test_the_past_is_asked_for_again_and_never_answered_from_memory(connect, server):
    adapter = connect()
    before = ask(adapter, "SPY", "2023-01-03", "2023-03-31")
    server.new_splits["SPY"] = market.Split(date(2024, 11, 20), 2, 1)
    after = ask(adapter, "SPY", "2023-01-03", "2023-03-31")
    assert len(server.data_requests()) == 2
    assert [a.ex_date for a in after.actions] == [date(2024, 11, 20)]
    assert after.bars["volume"].to_list() == [2 * volume for volume in before.bars["volume"]]
