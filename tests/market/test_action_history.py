"""Events are appended; what holds afterwards is what was delivered last, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rustybt.market.action_history import is_same_event, no_longer_told, reconcile
from rustybt.market.corporate_actions import CorporateAction, in_force

SPLIT = CorporateAction.split("AAPL", "2020-08-31", 4, 1, source="yfinance")
DIVIDEND = CorporateAction.cash_dividend("AAPL", "2020-08-07", "0.82", source="yfinance")


def hold(*batches: list[CorporateAction]) -> list[CorporateAction]:
    """What holds after each batch was delivered in turn."""
    known: list[CorporateAction] = []
    for batch in batches:
        known += reconcile(known, batch)
    return in_force(known)


def amounts(events):
    return [event.amount for event in events]


def test_new_events_are_added_and_known_ones_are_not():
    assert reconcile([], [SPLIT, DIVIDEND]) == [SPLIT, DIVIDEND]
    assert reconcile([SPLIT, DIVIDEND], [DIVIDEND, SPLIT]) == []
    assert reconcile([SPLIT], [replace(SPLIT, source="polygon", first_seen=99)]) == []


def test_a_split_written_with_other_numbers_is_the_same_split():
    assert reconcile([SPLIT], [CorporateAction.split("AAPL", "2020-08-31", 8, 2)]) == []


def test_an_amount_that_a_later_split_rebased_revises_the_dividend_instead_of_paying_it_twice():
    rebased = replace(DIVIDEND, amount=Decimal("0.205"))
    (added,) = reconcile([DIVIDEND], [rebased])
    assert added.supersedes == DIVIDEND.event_id
    assert amounts(hold([DIVIDEND], [rebased])) == [Decimal("0.205")]
    assert amounts(hold([DIVIDEND], [rebased], [rebased], [SPLIT, rebased])) == [Decimal("0.205"), None]


def test_an_amount_that_changes_and_changes_back_holds_once():
    other = replace(DIVIDEND, amount=Decimal("0.80"))
    assert amounts(hold([DIVIDEND], [other], [DIVIDEND], [DIVIDEND])) == [Decimal("0.82")]


def test_dates_that_become_known_revise_and_their_absence_takes_nothing_away():
    paid = replace(DIVIDEND, pay_date=date(2020, 8, 13))
    assert hold([DIVIDEND], [paid])[0].pay_date == date(2020, 8, 13)
    assert hold([DIVIDEND], [paid], [DIVIDEND])[0].pay_date == date(2020, 8, 13)


def test_two_dividends_of_one_day_are_two():
    special = replace(DIVIDEND, amount=Decimal(3))
    assert amounts(hold([DIVIDEND, special], [special, DIVIDEND])) == [Decimal("0.82"), Decimal(3)] or amounts(
        hold([DIVIDEND, special], [special, DIVIDEND])
    ) == [Decimal(3), Decimal("0.82")]
    corrected = replace(special, amount=Decimal("3.10"))
    assert sorted(amounts(hold([DIVIDEND, special], [DIVIDEND, corrected]))) == [Decimal("0.82"), Decimal("3.10")]


def test_one_of_two_that_is_not_delivered_any_more_is_cancelled():
    special = replace(DIVIDEND, amount=Decimal(3))
    assert amounts(hold([DIVIDEND, special], [DIVIDEND])) == [Decimal("0.82")]


def test_days_of_which_nothing_is_delivered_are_left_alone():
    assert hold([DIVIDEND], [SPLIT]) == [DIVIDEND, SPLIT]


def test_the_users_word_wins_over_a_vendors():
    mine = replace(DIVIDEND, amount=Decimal("0.90"), source="user")
    assert amounts(hold([mine], [DIVIDEND])) == [Decimal("0.90")]
    assert amounts(hold([DIVIDEND], [mine], [DIVIDEND])) == [Decimal("0.90")]
    assert amounts(hold([mine], [replace(mine, amount=Decimal("0.91"))])) == [Decimal("0.91")]


def ended(known, told, first=date(2020, 8, 1), last=date(2020, 8, 31), source="yfinance"):
    """What holds after an answer that names every event of the range."""
    gone = no_longer_told(in_force(known), told, symbol="AAPL", source=source, first=first, last=last, first_seen=7)
    return in_force([*known, *reconcile(known, [*told, *gone])])


def test_an_event_that_its_source_does_not_name_any_more_is_ended():
    assert ended([DIVIDEND, SPLIT], [SPLIT]) == [SPLIT]
    moved = replace(DIVIDEND, ex_date=date(2020, 8, 10))
    assert ended([DIVIDEND], [moved]) == [moved]
    assert ended([DIVIDEND], [replace(DIVIDEND, amount=Decimal("0.205"))])[0].amount == Decimal("0.205")


def test_what_the_answer_does_not_cover_and_what_others_said_is_not_ended():
    assert ended([DIVIDEND, SPLIT], [], first=date(2020, 8, 8)) == [DIVIDEND]
    assert ended([DIVIDEND, SPLIT], [], last=date(2020, 8, 30)) == [SPLIT]
    assert ended([DIVIDEND], [], source="polygon") == [DIVIDEND]
    other = replace(DIVIDEND, symbol="MSFT")
    assert ended([other], []) == [other]


def test_an_event_is_the_same_whoever_tells_it_and_when():
    assert is_same_event(SPLIT, replace(SPLIT, ratio_new=8, ratio_old=2, source="x", supersedes="abc", first_seen=9))
    assert not is_same_event(DIVIDEND, replace(DIVIDEND, amount=Decimal("0.83")))
    assert not is_same_event(DIVIDEND, SPLIT)


EVENTS = st.builds(
    lambda symbol, day, amount, paid: CorporateAction.cash_dividend(
        symbol, date(2020, 1, day), Decimal(amount) / 100, source="v", pay_date=date(2020, 2, paid) if paid else None
    ),
    st.sampled_from(["A", "B"]),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(0, 2),
)


@given(st.lists(st.lists(EVENTS, max_size=4), max_size=4), st.lists(EVENTS, max_size=4))
def test_what_is_delivered_last_holds_and_delivering_it_again_adds_nothing(history, last):
    known: list[CorporateAction] = []
    for batch in history:
        known += reconcile(known, batch)
    known += reconcile(known, last)
    assert reconcile(known, last) == []
    held = in_force(known)
    for day in {(event.symbol, event.ex_date) for event in last}:
        delivered = sorted({event for event in last if (event.symbol, event.ex_date) == day}, key=lambda e: e.event_id)
        holding = [event.amount for event in held if (event.symbol, event.ex_date) == day]
        # One entry for each delivered event, but that one with fewer dates is the same as one with more.
        assert set(holding) == {event.amount for event in delivered}
        assert len(holding) <= len(delivered)
