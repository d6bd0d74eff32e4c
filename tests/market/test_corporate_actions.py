import json
from datetime import date, datetime
from decimal import Decimal

import pytest

from rustybt.errors import RequestError
from rustybt.market.corporate_actions import CorporateAction, in_force

SPLIT = CorporateAction.split("AAPL", date(2000, 6, 21), 2, 1)


def test_a_split_divides_earlier_prices():
    assert SPLIT.price_factor == Decimal("0.5")
    assert CorporateAction.split("A", date(2020, 1, 2), 1, 10).price_factor == 10


def test_a_stock_dividend_dilutes_and_cash_does_not():
    stock = CorporateAction("A", "stock_dividend", date(2020, 1, 2), ratio_new=Decimal(1), ratio_old=Decimal(4))
    assert stock.price_factor == Decimal("0.8")
    assert CorporateAction.cash_dividend("A", date(2020, 1, 2), "0.5").price_factor == 1


@pytest.mark.parametrize("day", ["2000-06-21", datetime(2000, 6, 21, 9, 30), date(2000, 6, 21)])
def test_dates_may_be_text_or_timestamps(day):
    assert CorporateAction.split("AAPL", day, 2).event_id == SPLIT.event_id


@pytest.mark.parametrize("amount", [0.22, "0.22", Decimal("0.220")])
def test_an_amount_is_the_number_it_prints_as(amount):
    assert CorporateAction.cash_dividend("A", date(2020, 1, 2), amount).to_json()["amount"] == "0.22"


def test_long_numbers_keep_their_digits():
    long = Decimal("1.0000000000000000000000000000000000001")
    action = CorporateAction.split("A", date(2020, 1, 2), long, Decimal("1E+2"))
    assert action.to_json()["ratio_new"] == str(long)
    assert action.to_json()["ratio_old"] == "100"


@pytest.mark.parametrize(
    "make",
    [
        lambda: CorporateAction("A", "merger", date(2020, 1, 2)),
        lambda: CorporateAction("A", "split", date(2020, 1, 2)),
        lambda: CorporateAction.split("A", date(2020, 1, 2), 0),
        lambda: CorporateAction.split("A", date(2020, 1, 2), 2, -1),
        lambda: CorporateAction.split("A", date(2020, 1, 2), "NaN"),
        lambda: CorporateAction.split("A", date(2020, 1, 2), "two"),
        lambda: CorporateAction.split("A", "soon", 2),
        lambda: CorporateAction.split("A", None, 2),
        lambda: CorporateAction.split("A", 5, 2),
        lambda: CorporateAction.cash_dividend("A", date(2020, 1, 2), 0),
        lambda: CorporateAction("A", "cash_dividend", date(2020, 1, 2)),
        lambda: CorporateAction.cash_dividend("A", date(2020, 1, 2), "inf"),
        lambda: CorporateAction("A", "cancellation", date(2020, 1, 2)),
    ],
)
def test_what_cannot_be_an_event_is_refused(make):
    with pytest.raises(RequestError):
        make()


def test_an_event_survives_json():
    event = CorporateAction.cash_dividend(
        "A", date(2020, 1, 2), "0.22", pay_date=date(2020, 1, 10), source="csv", first_seen=5
    )
    assert CorporateAction.from_json(json.loads(json.dumps(event.to_json()))) == event
    assert CorporateAction.from_json({**SPLIT.to_json(), "from_the_future": 1}) == SPLIT


def test_the_id_is_that_of_the_announcement_not_of_the_messenger():
    other = CorporateAction.split("AAPL", date(2000, 6, 21), Decimal("2.0"), source="yfinance", first_seen=99)
    assert other.event_id == SPLIT.event_id
    assert CorporateAction.split("AAPL", date(2000, 6, 22), 2).event_id != SPLIT.event_id


def test_events_in_force_are_those_not_superseded_and_already_known():
    revised = CorporateAction.split("AAPL", date(2000, 6, 22), 2, supersedes=SPLIT.event_id, first_seen=100)
    cancelled = CorporateAction("AAPL", "cancellation", date(2000, 6, 22), supersedes=revised.event_id, first_seen=200)
    earlier = CorporateAction.split("MSFT", date(1999, 3, 29), 2)
    events = [cancelled, revised, SPLIT, earlier]
    assert in_force(events, known_at=50) == [earlier, SPLIT]
    assert in_force(events, known_at=150) == [earlier, revised]
    assert in_force(events) == [earlier]
