"""Assets that had one ticker each get a symbol of their own."""

from datetime import date

from rustybt.market.reused_tickers import TickerOwner, told_apart


def test_the_last_owner_keeps_the_ticker_and_the_others_get_their_year():
    owners = [TickerOwner(7, date(1998, 2, 3)), TickerOwner(3, date(2012, 5, 18))]
    assert told_apart("FB", owners, {"FB", "OTHER"}) == (
        {7: "FB.1998", 3: "FB"},
        ("FB was the ticker of several assets: FB.1998 is the one that had the sid 7 there, FB the one with 3",),
    )


def test_a_year_that_another_has_becomes_a_day_and_a_day_a_sid():
    day = date(1998, 2, 3)
    owners = [TickerOwner(1, day), TickerOwner(2, day), TickerOwner(3, day), TickerOwner(4, None), TickerOwner(5, day)]
    names, notes = told_apart("FB", owners, {"FB"})
    assert names == {1: "FB.1998", 2: "FB.1998-02-03", 3: "FB.sid-3", 4: "FB.sid-4", 5: "FB"}
    assert len(notes) == 4


def test_a_symbol_that_is_taken_is_not_given_again():
    owners = [TickerOwner(1, date(1998, 2, 3)), TickerOwner(2, None)]
    assert told_apart("FB", owners, {"FB", "FB.1998"})[0] == {1: "FB.1998-02-03", 2: "FB"}


def test_one_owner_alone_has_the_ticker_and_there_is_nothing_to_tell():
    assert told_apart("FB", [TickerOwner(1, None)], {"FB"}) == ({1: "FB"}, ())
