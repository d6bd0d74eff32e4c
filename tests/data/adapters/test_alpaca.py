"""Alpaca's adapter against the local Alpaca: pages, digits, symbols, sessions, refusals."""

import base64
import json
import time
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from rustybt.data.adapters.alpaca import bars as alpaca_bars
from rustybt.data.adapters.alpaca import client as alpaca_client
from rustybt.data.adapters.alpaca.adapter import AlpacaAdapter
from rustybt.data.adapters.alpaca.client import AlpacaRefusal
from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.adapters.series import SeriesAnswer
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources import bridge
from rustybt.data.sources.alpaca import AlpacaDataSource
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    RateLimitedError,
    RequestError,
    SourceUnavailableError,
    SymbolNotFoundError,
)
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.request import parse_range
from tests.fakes import market
from tests.fakes.alpaca import KEY_ID, RECENT_TEXT, SECRET, AlpacaServer

QUICK = RetryPolicy(max_attempts=3, first_wait_seconds=0.01, max_wait_seconds=0.05)
#: A token of the fake's that always leads to the same page.
SAME_AGAIN = base64.urlsafe_b64encode(b'["AAPL", "2024-01-02T05:00:00Z"]').decode()


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("APCA_API_KEY_ID", KEY_ID)
    monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET)


@pytest.fixture
def server():
    with AlpacaServer() as running:
        yield running


@pytest.fixture
def make(request):
    """Return a maker of adapters, all closed at the end."""
    made = []

    def build(server, transport=None, client=None, now=market.NOW, **options):
        connection = Connection(
            transport or Transport(base_url=server.url, timeout_seconds=5.0),
            requests_per_minute=0,
            retry=QUICK,
            client=client,
            clock=lambda: now,
        )
        made.append(AlpacaAdapter(connection, **options))
        return made[-1]

    yield build
    for adapter in made:
        bridge.run(adapter.close())


def fetch(adapter, symbols, start, end, frequency="1d"):
    parsed = FREQUENCIES[frequency]
    return bridge.run(adapter.fetch_series(symbols, *parse_range(start, end, parsed), parsed))


def rows_of(answer):
    assert isinstance(answer, SeriesAnswer), answer
    return [(row[0].replace(tzinfo=UTC), *row[2:]) for row in answer.bars.iter_rows()]


def traded(symbol, first, last):
    days = market.daily(symbol, date.fromisoformat(first), date.fromisoformat(last))
    return [(row.start, row.open, row.high, row.low, row.close, row.volume) for row in days]


# -- pages -----------------------------------------------------------------------------------------------------------


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


# -- digits ----------------------------------------------------------------------------------------------------------


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


# -- labels and sessions ---------------------------------------------------------------------------------------------


def test_daily_labels_are_the_sessions_dates_in_winter_and_in_summer(server, make):
    # 2024-03-11 was the first session of summer time: midnight in New York moves from 05:00 to 04:00 UTC.
    answer = fetch(make(server), ["AAPL"], "2024-03-07", "2024-03-13")["AAPL"]
    assert [stamp.date().isoformat() for stamp in answer.bars["timestamp"]] == [
        "2024-03-07",
        "2024-03-08",
        "2024-03-11",
        "2024-03-12",
        "2024-03-13",
    ]
    asked = server.data_requests()[0].query
    assert (asked["start"], asked["end"]) == ("2024-03-07T05:00:00Z", "2024-03-14T03:59:59.999999Z")


def test_minutes_around_a_change_of_the_clocks_open_when_new_york_does(server, make):
    answer = fetch(make(server), ["AAPL"], "2024-03-08", "2024-03-11", "30m")["AAPL"]
    opens = [stamp for stamp in answer.bars["timestamp"] if stamp.minute == 30 and stamp.hour in (13, 14)]
    assert opens[0] == datetime(2024, 3, 8, 14, 30, tzinfo=UTC)
    assert datetime(2024, 3, 11, 13, 30, tzinfo=UTC) in opens
    assert answer.bars.height == 26


def test_extended_hours_are_left_out_unless_asked_for(server, make):
    # The day before Thanksgiving has 13 half hours, the day after 7; the fake prints 2 before and 3 after each session.
    closed = fetch(make(server, now=market.NOW + 86_400), ["AAPL"], "2024-11-27", "2024-11-29", "30m")["AAPL"]
    assert closed.bars.height == 0 + 13 + 4  # the server itself knows nothing after 16:00 UTC of its now
    opened = fetch(make(server, extended_hours=True), ["AAPL"], "2024-11-27", "2024-11-27", "30m")["AAPL"]
    assert opened.bars.height == 18
    assert opened.bars["timestamp"][0] == datetime(2024, 11, 27, 13, 30, tzinfo=UTC)


def test_hours_are_alpacas_own_only_with_extended_hours(server, make):
    assert "1h" not in make(server).limits.frequencies
    assert "1h" in make(server, extended_hours=True).limits.frequencies


def test_weeks_and_months_are_labelled_by_their_first_day(server, make):
    weeks = fetch(make(server), ["AAPL"], "2024-09-02", "2024-09-15", "1w")["AAPL"]
    # Monday the 2nd was Labor Day.
    assert [stamp.date() for stamp in weeks.bars["timestamp"]] == [date(2024, 9, 2), date(2024, 9, 9)]
    months = fetch(make(server), ["AAPL"], "2024-09-01", "2024-10-31", "1M")["AAPL"]
    assert [stamp.date() for stamp in months.bars["timestamp"]] == [date(2024, 9, 1), date(2024, 10, 1)]
    days = market.daily("AAPL", date(2024, 9, 3), date(2024, 9, 6))
    assert weeks.bars["volume"][0] == sum(row.volume for row in days)


@pytest.mark.parametrize(
    ("now", "last"),
    [
        ("2024-06-12T19:59:00+00:00", "2024-06-11"),  # the session is still open
        ("2024-06-12T20:30:00+00:00", "2024-06-11"),  # closed, but extended trading adds to its volume
        ("2024-06-13T00:14:00+00:00", "2024-06-11"),  # 20:14 in New York
        ("2024-06-13T00:15:00+00:00", "2024-06-12"),
        ("2024-01-11T01:14:00+00:00", "2024-01-09"),  # winter: an hour later in UTC
        ("2024-01-11T01:15:00+00:00", "2024-01-10"),
    ],
)
def test_a_day_rests_after_extended_trading(now, last):
    instant = datetime.fromisoformat(now).timestamp()
    assert alpaca_bars.last_day_at_rest(instant) == date.fromisoformat(last)


@pytest.mark.parametrize(
    ("now", "frequency", "kept"),
    [
        ("2024-06-14T23:00:00+00:00", "1w", 1),  # Friday 19:00
        ("2024-06-15T00:20:00+00:00", "1w", 2),  # Friday 20:20, and no session until Monday
        ("2024-06-28T23:00:00+00:00", "1M", 1),  # the last session of June
        ("2024-06-29T00:20:00+00:00", "1M", 2),
        ("2024-05-01T00:20:00+00:00", "1M", 1),  # before the newest month began
    ],
)
def test_a_week_or_month_rests_with_its_last_session(now, frequency, kept):
    labels = {"1w": [date(2024, 6, 3), date(2024, 6, 10)], "1M": [date(2024, 5, 1), date(2024, 6, 1)]}[frequency]
    bars = pl.DataFrame({"timestamp": labels}).with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))
    found = alpaca_bars.at_rest(bars, FREQUENCIES[frequency], datetime.fromisoformat(now).timestamp())
    assert found.height == kept


def test_a_range_of_the_future_asks_for_no_bars_of_all_exchanges(server, make):
    answer = fetch(make(server, feed="sip"), ["AAPL"], "2024-12-02", "2024-12-31", "1m")["AAPL"]
    assert answer.bars.is_empty()
    assert not server.data_requests()


def test_all_exchanges_are_not_asked_for_the_last_quarter_of_an_hour(server, make):
    answer = fetch(make(server, feed="sip"), ["AAPL"], "2024-11-29", "2024-11-29", "1m")["AAPL"]
    asked = server.data_requests()[0].query
    assert (asked["feed"], asked["end"]) == ("sip", "2024-11-29T15:45:00Z")
    assert answer.bars["timestamp"][-1] == datetime(2024, 11, 29, 15, 45, tzinfo=UTC)


# -- symbols ---------------------------------------------------------------------------------------------------------


def test_a_symbol_nobody_knows_is_found_out_by_the_list(server, make):
    answers = fetch(make(server), ["AAPL", "NOSUCH"], "2024-01-02", "2024-01-05")
    assert isinstance(answers["NOSUCH"], SymbolNotFoundError)
    assert len(rows_of(answers["AAPL"])) == 4


def test_a_name_that_cannot_be_does_not_fail_the_others(server, make):
    answers = fetch(make(server), ["AAPL", "BAD!", "MSFT", "W*RSE"], "2024-01-02", "2024-01-05")
    assert isinstance(answers["BAD!"], SymbolNotFoundError)
    assert isinstance(answers["W*RSE"], SymbolNotFoundError)
    assert len(rows_of(answers["AAPL"])) == len(rows_of(answers["MSFT"])) == 4
    assert len(server.data_requests()) == 3


def test_a_known_symbol_without_bars_is_empty_and_not_unknown(server, make):
    answer = fetch(make(server), ["NEWCO"], "2020-01-02", "2020-01-31")["NEWCO"]
    assert answer.bars.is_empty()


def test_a_delisted_symbol_is_called_so(server, make):
    answer = fetch(make(server), ["OLDCO"], "2020-01-02", "2020-01-31")["OLDCO"]
    assert answer.bars.is_empty()
    assert "delisted" in answer.notes[0]
    assert answer.attributes.venue == "XNYS"


@pytest.mark.parametrize(
    ("given", "canonical"),
    [("brk-b", "BRK.B"), ("BRK/B", "BRK.B"), ("BRK.B", "BRK.B"), (" aapl ", "AAPL"), ("BAC.PRK", "BAC.PRK")],
)
def test_symbols_are_alpacas_own_spelling(server, make, given, canonical):
    adapter = make(server)
    assert adapter.canonical_symbol(given) == canonical
    assert adapter.canonical_symbol(canonical) == canonical


def test_venues_come_from_the_list_where_an_active_listing_wins(server, make):
    answers = fetch(make(server), ["AAPL", "BRK.B", "SPY"], "2024-01-02", "2024-01-05")
    assert [answers[name].attributes.venue for name in ("AAPL", "BRK.B", "SPY")] == ["XNAS", "XNYS", "ARCX"]
    assert answers["SPY"].attributes.name == "SPDR S&P 500 ETF Trust"
    assert not answers["SPY"].notes


def test_a_key_that_may_not_see_the_list_gets_bars_without_venues(make):
    with AlpacaServer(shows_assets=False) as server:
        adapter = make(server)
        answers = fetch(adapter, ["AAPL", "NOSUCH"], "2024-01-02", "2024-01-05")
        assert answers["AAPL"].attributes is None
        assert "venues are unknown" in answers["AAPL"].notes[0]
        assert len(rows_of(answers["AAPL"])) == 4
        # Without the list nobody can say whether it exists.
        assert answers["NOSUCH"].bars.is_empty()
        fetch(adapter, ["MSFT"], "2024-01-02", "2024-01-05")
        assert [request.path for request in server.requests].count("/v2/assets") == 1
        with pytest.raises(AuthenticationError):
            bridge.run(adapter.list_symbols())


def test_a_list_that_cannot_be_had_now_fails_the_fetch(server, make):
    server.fail("503", times=None, where=lambda request: request.path == "/v2/assets")
    with pytest.raises(SourceUnavailableError):
        fetch(make(server), ["AAPL"], "2024-01-02", "2024-01-05")


@pytest.mark.parametrize("body", ["[]", '[{"symbol": "AAPL"}]', '{"message": "nothing"}', "7", "null"])
def test_a_malformed_list_is_an_error(server, make, body):
    server.fail("text", times=None, body=body, where=lambda request: request.path == "/v2/assets")
    with pytest.raises(BadResponseError):
        fetch(make(server), ["AAPL"], "2024-01-02", "2024-01-05")


def test_the_list_of_symbols_has_the_active_ones(server, make):
    listed = bridge.run(make(server).list_symbols())
    assert listed == sorted(listed)
    assert {"AAPL", "BRK.B", "GE", "MSFT", "NEWCO", "SPY"} <= set(listed)
    # Delisted, and listed elsewhere.
    assert not {"OLDCO", "VOD.L", "7203.T"} & set(listed)


# -- feeds and adjustments -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("adjustment", "basis"),
    [
        ("raw", "raw"),
        ("split", "split_adjusted"),
        ("dividend", "unknown"),
        ("all", "split_dividend_adjusted"),
    ],
)
def test_the_adjustment_says_what_prices_are(server, make, adjustment, basis):
    adapter = make(server, adjustment=adjustment)
    fetch(adapter, ["AAPL"], "2020-08-27", "2020-08-28")
    assert server.data_requests()[0].query["adjustment"] == adjustment
    assert adapter.price_basis == basis
    assert adapter.metadata().adjustment == adjustment


def test_raw_is_what_is_asked_for_and_is_as_traded(server, make):
    # The day before the 4:1 split, in the shares of that day.
    answer = fetch(make(server), ["AAPL"], "2020-08-28", "2020-08-28")["AAPL"]
    (row,) = market.daily("AAPL", date(2020, 8, 28), date(2020, 8, 28))
    assert rows_of(answer) == [(row.start, row.open, row.high, row.low, row.close, row.volume)]
    assert server.data_requests()[0].query["adjustment"] == "raw"


def test_the_feed_is_part_of_what_is_recorded(server, make):
    assert make(server, feed="sip").metadata().feed == "sip"
    assert make(server).metadata().feed == "iex"


@pytest.mark.parametrize("options", [{"feed": "otc"}, {"adjustment": "some"}])
def test_an_option_without_such_a_value_is_refused(server, make, options):
    with pytest.raises(RequestError):
        make(server, **options)


def test_an_open_start_is_no_older_than_the_vendors_history(server):
    source = AlpacaDataSource(base_url=server.url, clock=lambda: market.NOW, requests_per_minute=0)
    try:
        assert source.fetch_sync(["MSFT"], None, "2016-02-01")["timestamp"][0].date() == date(2016, 1, 4)
    finally:
        source.close()


def test_the_options_of_a_source_make_it_again():
    source = AlpacaDataSource(feed="SIP", adjustment="split", extended_hours="true")
    assert source.options() == {"feed": "sip", "adjustment": "split", "extended_hours": True}
    assert AlpacaDataSource(**source.options()).options() == source.options()
    assert AlpacaDataSource().options() == {}
    for wrong in ({"feed": "otc"}, {"adjustment": 3}, {"extended_hours": "maybe"}):
        with pytest.raises(RequestError):
            AlpacaDataSource(**wrong)


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["429", "503", "500"])
def test_the_clients_own_retries_never_sleep(server, make, status):
    server.fail(status, times=2)
    began = time.monotonic()
    assert len(rows_of(fetch(make(server), ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"])) == 4
    # alpaca-py waits 3 s before each of its own attempts.
    assert time.monotonic() - began < 2.5
    assert len(server.data_requests()) == 3


@pytest.mark.parametrize(
    ("refusal", "error", "words"),
    [
        (AlpacaRefusal(401, {}, '{"message": "unauthorized."}'), AuthenticationError, "APCA_API_KEY_ID"),
        (AlpacaRefusal(403, {}, '{"message": "forbidden."}'), AuthenticationError, "APCA_API_SECRET_KEY"),
        (AlpacaRefusal(403, {}, f'{{"message": "{RECENT_TEXT}"}}'), AuthenticationError, "feed=iex"),
        (AlpacaRefusal(422, {}, '{"message": "invalid timeframe: 7Min"}'), BadResponseError, "7Min"),
        (AlpacaRefusal(400, {}, '{"message": "invalid symbol: A!"}'), SymbolNotFoundError, "A!"),
        (AlpacaRefusal(404, {}, "not found"), BadResponseError, "404"),
        (AlpacaRefusal(302, {}, ""), BadResponseError, "302"),
        (AlpacaRefusal(504, {}, ""), SourceUnavailableError, "504"),
        (AlpacaRefusal(500, {}, '["odd"]'), SourceUnavailableError, "500"),
        (AlpacaRefusal(429, {}, ""), RateLimitedError, "too many"),
    ],
)
def test_each_refusal_is_named_for_what_it_is(server, make, refusal, error, words):
    found = make(server).map_error(refusal)
    assert type(found) is error
    assert words in str(found)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"X-RateLimit-Reset": str(int(market.NOW) + 30)}, 30.0),
        ({"x-ratelimit-reset": "1"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_what_the_headers_ask_for_is_told(server, make, headers, seconds):
    found = make(server).map_error(AlpacaRefusal(429, headers, ""))
    assert found.details.get("retry_after_seconds") == seconds


def test_a_bug_of_ours_is_no_failure_of_the_vendor(server, make):
    assert make(server).map_error(ZeroDivisionError()) is None


def test_a_server_whose_certificate_nobody_signed_is_not_trusted(make):
    with AlpacaServer(tls=True) as server:
        adapter = make(server, Transport(base_url=server.url, timeout_seconds=5.0))
        with pytest.raises(SourceUnavailableError, match="certificate"):
            fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")


def test_without_keys_the_error_names_the_variables(server, make, monkeypatch):
    monkeypatch.delenv("APCA_API_SECRET_KEY")
    adapter = make(server)
    with pytest.raises(AuthenticationError, match="APCA_API_SECRET_KEY"):
        fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")
    assert not server.requests


# -- transport -------------------------------------------------------------------------------------------------------


def test_the_options_win_over_the_environment(make, monkeypatch, tmp_path):
    # requests would take these for every call.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with AlpacaServer(tls=True, proxy=True) as server:
        adapter = make(server, Transport(proxy=server.proxy_url, ca_bundle=server.ca_bundle, timeout_seconds=5.0))
        assert len(rows_of(fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"])) == 4


@pytest.mark.parametrize(
    ("key", "host"), [("PKINVENTED", "paper-api.alpaca.markets"), ("AKINVENTED", "api.alpaca.markets")]
)
def test_keys_of_paper_accounts_ask_the_paper_host_for_the_list(make, monkeypatch, key, host):
    monkeypatch.setenv("APCA_API_KEY_ID", key)
    with AlpacaServer(tls=True, proxy=True, key_id=key) as server:
        adapter = make(server, Transport(proxy=server.proxy_url, ca_bundle=server.ca_bundle, timeout_seconds=5.0))
        assert fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"].attributes.venue == "XNAS"
        hosts = {request.path: request.host for request in server.requests}
        assert hosts == {
            "/v2/stocks/bars": "data.alpaca.markets",
            "/v1/corporate-actions": "data.alpaca.markets",
            "/v2/assets": host,
        }


@pytest.mark.parametrize("as_function", [True, False])
def test_a_client_of_the_callers_is_used(server, make, as_function):
    alpaca_client.import_alpaca()
    from alpaca.data.historical import StockHistoricalDataClient

    client = StockHistoricalDataClient(KEY_ID, SECRET, url_override=server.url)
    adapter = make(server, client=(lambda: client) if as_function else client)
    assert len(rows_of(fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"])) == 4
    client._session.close()


def test_an_adapter_can_be_used_after_it_was_closed(server, make):
    adapter = make(server)
    fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")
    bridge.run(adapter.close())
    assert len(rows_of(fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"])) == 4


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
