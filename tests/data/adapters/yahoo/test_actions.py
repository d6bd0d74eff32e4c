"""Dividends and splits as Yahoo prints them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.data.adapters.yahoo.actions import actions_of, decode_amounts, exact_ratio
from rustybt.data.adapters.yahoo.chart import read_chart
from rustybt.errors import BadResponseError
from rustybt.market.decimals import decode_floats


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def found(events, currency="USD"):
    meta = {"symbol": "AAPL", "exchangeTimezoneName": "America/New_York", "currency": currency}
    payload = {"chart": {"result": [{"meta": meta, "events": events}]}}
    return actions_of(read_chart(payload, "AAPL", "1d"), "AAPL")


def split(day="2020-08-31 13:30", **event):
    return {"splits": {"1": {"date": at(day), **event}}}


def dividends(*pairs, **more):
    return {"dividends": {str(at(day)): {"date": at(day), "amount": amount, **more} for day, amount in pairs}}


@pytest.mark.parametrize(
    ("numerator", "denominator", "new", "old"),
    [
        (4.0, 1.0, 4, 1),
        (1.0, 8.0, 1, 8),
        (3.0, 2.0, 3, 2),
        (1.5, 1.0, 3, 2),
        (1.05, 1.0, 21, 20),
        (105.0, 100.0, 21, 20),
        (1281.0, 1000.0, 1281, 1000),
        (10000.0, 10607.0, 10000, 10607),
        (1, 1e-05, 100_000, 1),
        (10000000.0, 1.0, 10_000_000, 1),
    ],
)
def test_a_ratio_is_exact_and_in_lowest_terms(numerator, denominator, new, old):
    (action,), notes = found(split(numerator=numerator, denominator=denominator, splitRatio="9:9"))
    assert (action.kind, action.ex_date, action.source) == ("split", date(2020, 8, 31), "yfinance")
    assert (action.ratio_new, action.ratio_old) == (new, old)
    assert notes == ()


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_ratio_is_the_fraction_of_its_numbers(new, old):
    left, right = exact_ratio(float(new), float(old))
    assert Fraction(int(left), int(right)) == Fraction(new, old)


@pytest.mark.parametrize("text", ["7:1", "7/1", " 7 : 1 "])
def test_a_ratio_that_is_only_printed_is_read(text):
    (action,), _ = found(split(numerator=0.0, denominator=0.0, splitRatio=text))
    assert (action.ratio_new, action.ratio_old) == (7, 1)


@pytest.mark.parametrize("text", [None, "", "0:0", "one:two", "-1:1"])
def test_a_split_without_a_ratio_is_left_out_with_a_note(text):
    actions, (note,) = found(split(numerator=0.0, denominator=1.0, splitRatio=text))
    assert actions == ()
    assert "split on 2020-08-31" in note


def test_a_split_of_one_for_one_is_none():
    assert found(split(numerator=1.0, denominator=1.0)) == ((), ())


def test_dividends_keep_the_amount_that_was_delivered():
    actions, notes = found(
        dividends(("2012-08-09 13:30", 0.094643), ("2024-02-09 14:30", 0.24), ("2024-05-10 13:30", 10.0))
    )
    assert [action.amount for action in actions] == [Decimal("0.094643"), Decimal("0.24"), Decimal(10)]
    assert [str(action.amount) for action in actions] == ["0.094643", "0.24", "10"]
    assert [action.ex_date for action in actions] == [date(2012, 8, 9), date(2024, 2, 9), date(2024, 5, 10)]
    assert {action.currency for action in actions} == {"USD"}
    assert notes == ()


def test_amounts_that_were_widened_from_float32_are_what_they_stand_for():
    actions, _ = found(dividends(("2024-02-09 14:30", 0.23999999463558197), ("2024-05-10 13:30", 0.25)))
    assert [action.amount for action in actions] == [Decimal("0.24"), Decimal("0.25")]


@given(
    st.lists(st.integers(1, 10**7), min_size=1, max_size=20),
    st.sampled_from([1, 7, 100, 10_000, 10**6]),
    st.sampled_from([np.float32, np.float64]),
)
def test_amounts_are_decoded_as_columns_of_prices_are(numbers, scale, kind):
    column = np.array([number / scale for number in numbers], dtype=kind).astype(np.float64)
    assert decode_amounts(column.tolist()) == decode_floats(column)[0].values.to_list()


def test_pence_stay_pence_and_a_named_currency_wins():
    assert found(dividends(("2024-06-06 07:00", 3.5)), currency="GBp")[0][0].currency == "GBp"
    assert found(dividends(("2024-06-06 07:00", 3.5), currency="EUR"), currency="GBp")[0][0].currency == "EUR"


@pytest.mark.parametrize("amount", [0.0, -0.1, float("nan"), float("inf")])
def test_a_dividend_of_nothing_is_left_out_with_a_note(amount):
    actions, (note,) = found(dividends(("2024-02-09 14:30", amount)))
    assert actions == ()
    assert "2024-02-09" in note


def test_capital_gains_are_named_and_not_booked():
    actions, (note,) = found({"capitalGains": {"1": {"date": at("2023-12-15 14:30"), "amount": 1.25}}})
    assert actions == ()
    assert "1 capital gains distributions" in note


def test_events_come_by_date():
    events = {
        **dividends(("2024-02-09 14:30", 0.24), ("2014-02-06 14:30", 0.1)),
        **split(numerator=4.0, denominator=1.0),
    }
    assert [action.ex_date.year for action in found(events)[0]] == [2014, 2020, 2024]


@pytest.mark.parametrize(
    "events",
    [
        {"dividends": {"1": {"date": 1}}},
        {"dividends": {"1": {"amount": 1.0}}},
        {"dividends": [1]},
        {"dividends": {"1": {"date": 1, "amount": "much"}}},
        {"splits": {"1": {"date": "yesterday", "numerator": 2.0, "denominator": 1.0}}},
        {"splits": {"1": {"date": 1, "numerator": "two", "denominator": 1.0}}},
    ],
)
def test_events_of_another_form_are_refused(events):
    with pytest.raises(BadResponseError, match="AAPL is not usable"):
        found(events)
