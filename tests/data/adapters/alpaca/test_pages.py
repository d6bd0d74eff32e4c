"""Pages and symbols of one request, and answers that are not what was asked for."""

import base64
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from rustybt.errors import BadResponseError
from tests.data.adapters.alpaca.asking import fetch, rows_of
from tests.fakes import market
from tests.fakes.alpaca import AlpacaServer

#: A token of the fake's that always leads to the same page.
SAME_AGAIN = base64.urlsafe_b64encode(b'["AAPL", "2024-01-02T05:00:00Z"]').decode()


def traded(symbol, first, last):
    days = market.daily(symbol, date.fromisoformat(first), date.fromisoformat(last))
    return [(row.start, row.open, row.high, row.low, row.close, row.volume) for row in days]


def test_pages_go_through_symbols_and_cut_them_anywhere(make):
    # 4 weeks of 2024: 21, 20 sessions a month; pages of 7 never end where a symbol does.
    with AlpacaServer(page_size=7) as server:
        answers = fetch(make(server), ["AAPL", "BRK.B", "MSFT"], "2024-01-02", "2024-01-31")
        for symbol in ("AAPL", "BRK.B", "MSFT"):
            assert rows_of(answers[symbol]) == traded(symbol, "2024-01-02", "2024-01-31")
        # 3 times 21 bars: 9 full pages, and the fake knows after the ninth that no tenth follows.
        assert len(server.data_requests()) == 9


@pytest.mark.parametrize(("size", "requests"), [(20, 2), (21, 1), (22, 1)])
def test_a_page_that_is_just_full_is_the_last_one(make, size, requests):
    with AlpacaServer(page_size=size) as server:
        answers = fetch(make(server), ["AAPL"], "2024-01-02", "2024-01-31")
        assert len(rows_of(answers["AAPL"])) == 21
        assert len(server.data_requests()) == requests


def test_symbols_share_a_request_as_long_as_a_page_holds_them(server, make):
    symbols = ["AAPL", "BRK.B", "GE", "MSFT", "OLDCO", "SPY"]
    answers = fetch(make(server), symbols, "2014-01-02", "2023-12-29")
    assert list(answers) == symbols
    # About 2,610 weekdays: three symbols on a page of 10,000 bars.
    asked = sorted(request.query["symbols"] for request in server.data_requests())
    assert asked == ["AAPL,BRK.B,GE", "MSFT,OLDCO,SPY"]
    paths = [request.path for request in server.requests]
    assert paths.count("/v1/corporate-actions") == 1
    assert paths.count("/v2/assets") == 1
    assert len(paths) == 4


def test_a_short_range_of_many_symbols_is_one_request(server, make):
    fetch(make(server), ["AAPL", "BRK.B", "GE", "MSFT", "SPY"], "2024-11-01", "2024-11-22")
    assert len(server.data_requests()) == 1


def test_the_list_of_assets_is_asked_for_once(server, make):
    adapter = make(server)
    fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")
    fetch(adapter, ["MSFT"], "2024-01-02", "2024-01-05")
    assert [request.path for request in server.requests].count("/v2/assets") == 1


def spoiled(change):
    """Apply `change` to the rows of AAPL."""

    def spoil(answer):
        rows = answer["bars"].get("AAPL")
        if rows:
            change(rows)
        return answer

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda answer: {**answer, "next_page_token": SAME_AGAIN}, "pages do not end"),
        (lambda answer: {**answer, "next_page_token": ""}, "pages do not end"),
        (lambda answer: {"bars": answer["bars"]}, "no end"),
        (lambda answer: {"next_page_token": None}, "no bars"),
        (lambda answer: [answer], "no bars"),
        (lambda answer: {**answer, "bars": []} if answer["bars"] == [] else {**answer, "bars": [1]}, "no object"),
        (lambda answer: {**answer, "bars": {"AAPL": {}}}, "no list"),
        (lambda answer: {**answer, "bars": {"TSLA": []}}, "asked for AAPL, and got bars of 'TSLA'"),
        (spoiled(lambda rows: rows.append(rows[-1])), "comes twice"),
        (spoiled(lambda rows: rows.insert(0, rows.pop())), "comes out of order"),
        (spoiled(lambda rows: rows[1].pop("c")), "lacks"),
        (spoiled(lambda rows: rows.__setitem__(1, None)), "lacks"),
        (spoiled(lambda rows: rows[1].update(o=None)), "the open of bar 2 is missing"),
        (spoiled(lambda rows: rows[1].update(h="abc")), "the high of bar 2 is not a number"),
        (spoiled(lambda rows: rows[1].update(v=True)), "the volume of a bar is no number"),
        (spoiled(lambda rows: rows[1].update(l=[1])), "the low of a bar is no number"),
        (spoiled(lambda rows: rows[1].update(t="yesterday")), "'yesterday' is no time"),
        (spoiled(lambda rows: rows[1].update(t=17)), "'17' is no time"),
        (spoiled(lambda rows: rows[1].update(t=None)), "None"),
        (spoiled(lambda rows: rows[1].update(t="2024-01-03T14:30:00Z")), "midnight in New York"),
        (spoiled(lambda rows: rows[0].update(t="2023-12-29T05:00:00Z")), "was not asked for"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_an_error(server, make, spoil, words):
    server.spoil = spoil
    answer = fetch(make(server), ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"]
    assert isinstance(answer, BadResponseError)
    assert words in answer.message


def test_a_page_that_goes_bad_in_the_middle_is_no_shorter_answer(make):
    with AlpacaServer(page_size=10) as server:
        pages = []

        def spoil(answer):
            pages.append(answer)
            return {**answer, "next_page_token": pages[0]["next_page_token"]} if len(pages) == 2 else answer

        server.spoil = spoil
        answer = fetch(make(server), ["AAPL"], "2024-01-02", "2024-01-31")["AAPL"]
        assert isinstance(answer, BadResponseError)


def test_one_symbols_malformed_rows_leave_the_others(server, make):
    server.spoil = spoiled(lambda rows: rows[0].update(o="abc"))
    answers = fetch(make(server), ["AAPL", "MSFT"], "2024-01-02", "2024-01-05")
    assert isinstance(answers["AAPL"], BadResponseError)
    assert rows_of(answers["MSFT"]) == traded("MSFT", "2024-01-02", "2024-01-05")


def test_digits_that_no_double_holds_survive(server, make):
    exact = Decimal("0.100000000000000005")
    big = Decimal(9007199254740993)  # 2**53 + 1

    def change(rows):
        rows[0].update(o=exact, h=exact, l=exact, c=exact, v=int(big))

    server.spoil = spoiled(change)
    answer = fetch(make(server), ["AAPL"], "2024-01-02", "2024-01-02")["AAPL"]
    assert rows_of(answer) == [(datetime(2024, 1, 2, tzinfo=UTC), exact, exact, exact, exact, big)]
    assert answer.number_rule == "text"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_of_json_is_refused(server, make, number):
    server.fail("text", times=None, body=f'{{"bars": {{"AAPL": [{{"o": {number}}}]}}, "next_page_token": null}}')
    answer = fetch(make(server), ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"]
    assert isinstance(answer, BadResponseError)


def test_an_empty_body_is_an_error(server, make):
    server.fail("empty", times=None)
    assert isinstance(fetch(make(server), ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"], BadResponseError)


def test_pages_that_never_end_are_an_error(server, make):
    """The same page under a new token each time."""
    count = iter(range(10**9))

    def repeat(answer):
        token = base64.urlsafe_b64encode(json.dumps(["", f"{next(count)}"]).encode()).decode()
        return {**answer, "next_page_token": token}

    server.spoil = repeat
    answer = fetch(make(server), ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"]
    assert isinstance(answer, BadResponseError)
    assert len(server.data_requests()) < 10
