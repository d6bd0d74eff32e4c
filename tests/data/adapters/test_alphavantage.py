"""Alpha Vantage's adapter against the local Alpha Vantage: columns, months, messages that come as bars would."""

import logging
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from rustybt.data.adapters.alphavantage.adapter import AlphaVantageAdapter
from rustybt.data.adapters.alphavantage.messages import read_message
from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.limits import VendorLimits
from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.adapters.series import SeriesAnswer
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources import bridge
from rustybt.data.sources.alphavantage import AlphaVantageDataSource
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    NotCoveredError,
    RateLimitedError,
    RequestError,
    SourceUnavailableError,
    SymbolNotFoundError,
)
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.request import parse_range
from tests.fakes import alphavantage as fake
from tests.fakes import market
from tests.fakes.alphavantage import KEY, AlphaVantageServer

QUICK = RetryPolicy(max_attempts=3, first_wait_seconds=0.01, max_wait_seconds=0.05)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("ALPHAVANTAGE_API_KEY", KEY)


@pytest.fixture
def server():
    with AlphaVantageServer() as running:
        yield running


@pytest.fixture
def make():
    made = []

    def build(server, transport=None, client=None, now=market.NOW, **options):
        connection = Connection(
            transport or Transport(base_url=server.url, timeout_seconds=5.0),
            requests_per_minute=0,
            retry=QUICK,
            client=client,
            clock=lambda: now,
        )
        made.append(AlphaVantageAdapter(connection, **options))
        return made[-1]

    yield build
    for adapter in made:
        bridge.run(adapter.close())


def fetch(adapter, symbol, start, end, frequency="1d"):
    parsed = FREQUENCIES[frequency]
    return bridge.run(adapter.fetch_series([symbol], *parse_range(start, end, parsed), parsed))[symbol]


def rows_of(answer):
    assert isinstance(answer, SeriesAnswer), answer
    return [(row[0].replace(tzinfo=UTC), *row[2:]) for row in answer.bars.iter_rows()]


def traded(symbol, first, last):
    days = market.daily(symbol, date.fromisoformat(first), date.fromisoformat(last))
    return [(row.start, row.open, row.high, row.low, row.close, row.volume) for row in days]


def queries(server):
    return [dict(request.query) for request in server.data_requests()]


# -- daily -----------------------------------------------------------------------------------------------------------


def test_daily_bars_are_raw_and_take_one_request(server, make):
    answer = fetch(make(server), "AAPL", "2020-08-27", "2020-09-02")
    # Across a split of 4 for 1.
    assert rows_of(answer) == traded("AAPL", "2020-08-27", "2020-09-02")
    assert queries(server) == [
        {"function": "TIME_SERIES_DAILY", "outputsize": "full", "symbol": "AAPL", "datatype": "csv", "apikey": KEY}
    ]
    assert answer.number_rule == "text"
    assert "splits and dividends were not asked for" in answer.notes[0]
    assert not answer.actions


def test_the_last_hundred_sessions_are_had_with_a_free_key(make):
    with AlphaVantageServer(premium=False) as server:
        # From 2024-11-29 back, the 100th weekday is the 15th of July.
        answer = fetch(make(server), "AAPL", "2024-07-15", "2024-11-27")
        assert rows_of(answer) == traded("AAPL", "2024-07-15", "2024-11-27")
        assert queries(server)[0]["outputsize"] == "compact"


def test_older_days_need_premium_and_the_hint_names_the_first_day_that_does_not(make):
    with AlphaVantageServer(premium=False) as server:
        with pytest.raises(AuthenticationError) as caught:
            fetch(make(server), "AAPL", "2024-07-12", "2024-11-27")
        assert caught.value.hint == "--start 2024-07-15"
        assert fetch(make(server), "AAPL", "2024-07-15", "2024-11-27").bars.height > 90


def test_an_answer_cut_down_to_the_newest_rows_is_an_error(server, make):
    server.spoil = lambda text: "".join(text.splitlines(keepends=True)[:101])
    assert isinstance(fetch(make(server), "AAPL", "2020-01-02", "2020-12-31"), BadResponseError)


def test_a_listing_of_just_so_many_sessions_asked_for_from_its_first_day_is_whole(server, make):
    first = 101
    server.spoil = lambda text: "".join(text.splitlines(keepends=True)[:first])
    answer = fetch(make(server), "AAPL", "2024-07-11", "2024-11-27")
    # The 100th session from the newest on is 2024-07-11: two of the 102 weekdays were holidays.
    assert answer.bars["timestamp"][0].date() == date(2024, 7, 11)


def test_the_day_that_is_not_over_is_left_to_the_source(server):
    # It is in the answer (volume still counts), and the source drops it.
    source = AlphaVantageDataSource(base_url=server.url, clock=lambda: market.NOW, requests_per_minute=0)
    try:
        assert source.fetch_sync(["AAPL"], "2024-11-25")["timestamp"][-1].date() == date(2024, 11, 27)
    finally:
        source.close()


def test_a_day_is_final_when_extended_trading_is_over(server):
    # Tuesday 2024-06-11 closes at 20:00 UTC.
    for hours, last in ((4.0, date(2024, 6, 10)), (4.3, date(2024, 6, 11))):
        server.now = now = datetime(2024, 6, 11, 20, tzinfo=UTC).timestamp() + hours * 3_600
        source = AlphaVantageDataSource(base_url=server.url, clock=lambda now=now: now, requests_per_minute=0)
        try:
            assert source.fetch_sync(["AAPL"], "2024-06-03")["timestamp"][-1].date() == last
        finally:
            source.close()


# -- corporate actions -----------------------------------------------------------------------------------------------


def test_adjusted_brings_events_beside_raw_bars(server, make):
    answer = fetch(make(server, adjusted=True), "AAPL", "2014-06-02", "2014-06-10")
    assert rows_of(answer) == traded("AAPL", "2014-06-02", "2014-06-10")
    assert queries(server)[0]["function"] == "TIME_SERIES_DAILY_ADJUSTED"
    splits = [action for action in answer.actions if action.kind == "split"]
    # Until today, long after the last bar asked for.
    assert [(a.ex_date, a.ratio_new, a.ratio_old) for a in splits] == [
        (date(2014, 6, 9), Decimal(7), Decimal(1)),
        (date(2020, 8, 31), Decimal(4), Decimal(1)),
    ]
    paid = [action for action in answer.actions if action.kind == "cash_dividend"]
    assert {action.amount for action in paid} == {Decimal("0.24")}
    assert not answer.notes


def test_a_reverse_split_is_one_for_many(server, make):
    (split,) = fetch(make(server, adjusted=True), "GE", "2021-07-26", "2021-08-06").actions
    assert (split.ratio_new, split.ratio_old) == (Decimal(1), Decimal(8))


def test_a_coefficient_that_is_no_whole_fraction_stays_as_printed(server, make):
    server.spoil = lambda text: text.replace(",0.125\r\n", ",0.333333\r\n")
    (split,) = fetch(make(server, adjusted=True), "GE", "2021-07-26", "2021-08-06").actions
    assert (split.ratio_new, split.ratio_old) == (Decimal("0.333333"), Decimal(1))


@pytest.mark.parametrize("text", ["-1.0", "0.0", "x", "NaN"])
def test_a_split_that_cannot_be_is_an_error(server, make, text):
    server.spoil = lambda given: given.replace(",0.125\r\n", f",{text}\r\n")
    assert isinstance(fetch(make(server, adjusted=True), "GE", "2021-07-26", "2021-08-06"), BadResponseError)


def test_weeks_bring_events_with_a_second_request(server, make):
    answer = fetch(make(server, adjusted=True), "AAPL", "2020-08-03", "2020-09-13", "1w")
    assert [query["function"] for query in queries(server)] == ["TIME_SERIES_WEEKLY", "TIME_SERIES_DAILY_ADJUSTED"]
    assert [action.kind for action in answer.actions if action.ex_date == date(2020, 8, 31)] == ["split"]


# -- weeks and months ------------------------------------------------------------------------------------------------


def test_weeks_are_labelled_by_their_monday_and_months_by_their_first(server, make):
    weeks = fetch(make(server), "AAPL", "2024-09-02", "2024-09-15", "1w")
    # The vendor names them after Friday; Monday the 2nd was Labor Day.
    assert [stamp.date() for stamp in weeks.bars["timestamp"]] == [date(2024, 9, 2), date(2024, 9, 9)]
    days = market.daily("AAPL", date(2024, 9, 3), date(2024, 9, 6))
    assert weeks.bars["volume"][0] == sum(row.volume for row in days)
    months = fetch(make(server), "AAPL", "2024-09-01", "2024-10-31", "1M")
    assert [stamp.date() for stamp in months.bars["timestamp"]] == [date(2024, 9, 1), date(2024, 10, 1)]


def test_two_rows_of_a_week_are_an_error(server, make):
    server.spoil = lambda text: text.replace("2024-09-13", "2024-09-05", 1)
    assert isinstance(fetch(make(server), "AAPL", "2024-09-02", "2024-09-15", "1w"), BadResponseError)


# -- minutes ---------------------------------------------------------------------------------------------------------


def test_minutes_come_month_by_month_raw_and_of_the_session(server, make):
    answer = fetch(make(server), "AAPL", "2024-09-16", "2024-10-15", "30m")
    assert [query["month"] for query in queries(server)] == ["2024-09", "2024-10"]
    for query in queries(server):
        assert (query["adjusted"], query["extended_hours"], query["outputsize"]) == ("false", "false", "full")
        assert query["interval"] == "30min"
    rows = market.intraday("AAPL", 30, date(2024, 9, 16), date(2024, 10, 15))
    assert rows_of(answer) == [(row.start, row.open, row.high, row.low, row.close, row.volume) for row in rows]


def test_wall_clocks_of_new_york_become_instants_on_both_sides_of_a_change(server, make):
    answer = fetch(make(server), "AAPL", "2024-03-08", "2024-03-11", "30m")
    stamps = answer.bars["timestamp"].to_list()
    assert stamps[0] == datetime(2024, 3, 8, 14, 30, tzinfo=UTC)
    assert stamps[13] == datetime(2024, 3, 11, 13, 30, tzinfo=UTC)
    assert len(stamps) == 26


def test_extended_hours_are_kept_when_asked_for(server, make):
    answer = fetch(make(server, extended_hours=True), "AAPL", "2024-10-01", "2024-10-01", "30m")
    # The fake prints one bar before the session and two after it.
    assert answer.bars.height == 16
    assert queries(server)[0]["extended_hours"] == "true"


def test_a_bar_in_the_hour_that_the_clocks_repeat_is_an_error(server, make):
    server.spoil = lambda text: text.replace("2024-11-01 09:30:00", "2024-11-03 01:30:00").replace(
        text.splitlines(keepends=True)[1], ""
    )
    answer = fetch(make(server), "AAPL", "2024-11-01", "2024-11-29", "30m")
    assert isinstance(answer, BadResponseError)


def test_months_before_the_listing_are_none_and_no_unknown_symbol(server, make):
    # NEWCO was listed on 2024-03-04; the vendor refuses January and February as if nobody knew the symbol.
    answer = fetch(make(server), "NEWCO", "2024-01-02", "2024-03-05", "30m")
    assert answer.bars["timestamp"][0] == datetime(2024, 3, 4, 14, 30, tzinfo=UTC)
    assert answer.bars.height == 26
    assert len(queries(server)) == 3


def test_a_month_that_is_missing_between_others_is_an_error(server, make):
    unknown = '{"Error Message": "Invalid API call. Please retry."}'
    server.fail("text", times=1, body=unknown, where=lambda request: request.query.get("month") == "2024-09")
    answer = fetch(make(server), "AAPL", "2024-08-01", "2024-10-31", "30m")
    assert isinstance(answer, BadResponseError)
    assert "2024-09" in answer.message


def test_another_month_than_the_one_asked_for_is_an_error(server, make):
    # As a vendor that does not know the argument would answer.
    server.spoil = lambda text: text.replace("2024-09-", "2024-08-")
    answer = fetch(make(server), "AAPL", "2024-09-03", "2024-09-30", "30m")
    assert isinstance(answer, BadResponseError)


def test_hours_are_made_of_half_hours(server):
    source = AlphaVantageDataSource(base_url=server.url, clock=lambda: market.NOW, requests_per_minute=0)
    try:
        bars = source.fetch_sync(["AAPL"], "2024-10-01", "2024-10-01", "1h")
    finally:
        source.close()
    assert [f"{stamp:%H:%M}" for stamp in bars["timestamp"]] == [f"{hour}:30" for hour in range(13, 20)]
    assert queries(server)[0]["interval"] == "30min"


def test_minutes_of_other_countries_are_refused_without_asking(server, make):
    answer = fetch(make(server), "VOD.LON", "2024-10-01", "2024-10-01", "30m")
    assert isinstance(answer, NotCoveredError)
    assert not server.requests


# -- symbols ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "canonical", "vendors"),
    [
        ("brk-b", "BRK.B", "BRK-B"),
        ("BRK.B", "BRK.B", "BRK-B"),
        ("AAPL", "AAPL", "AAPL"),
        ("VOD.LON", "VOD.LON", "VOD.LON"),
        ("MOG-A", "MOG.A", "MOG-A"),
        ("BAC-P-K", "BAC.P.K", "BAC-P-K"),
        ("LON", "LON", "LON"),
    ],
)
def test_a_class_is_a_point_here_and_a_hyphen_there(server, make, given, canonical, vendors):
    adapter = make(server)
    assert adapter.canonical_symbol(given) == canonical
    assert adapter.canonical_symbol(canonical) == canonical
    assert adapter.vendor_symbol(canonical) == vendors


def test_the_vendors_spelling_is_asked_for_and_told(server, make):
    answer = fetch(make(server), "BRK.B", "2024-01-02", "2024-01-05")
    assert queries(server)[0]["symbol"] == answer.vendor_symbol == "BRK-B"
    assert set(answer.bars["symbol"]) == {"BRK.B"}


def test_the_list_of_symbols_says_venue_kind_and_first_day(server, make):
    adapter = make(server)
    spy = fetch(adapter, "SPY", "2024-01-02", "2024-01-05")
    assert (spy.attributes.venue, spy.attributes.asset_type, spy.first_bar) == ("ARCX", "etf", date(1993, 1, 29))
    general = fetch(adapter, "GE", "2024-01-02", "2024-01-05")
    # Its name holds a comma.
    assert (general.attributes.venue, general.attributes.name) == ("XNYS", "General Electric, Inc")
    assert [r.query["function"] for r in server.requests].count("LISTING_STATUS") == 1


def test_a_delisted_symbol_stands_in_the_other_list(server, make):
    answer = fetch(make(server), "OLDCO", "2019-06-03", "2019-12-31")
    assert answer.bars["timestamp"][-1].date() == date(2019, 6, 28)
    assert answer.attributes.venue == "XNYS"
    assert "OLDCO is delisted" in answer.notes


def test_a_symbol_of_another_country_has_the_venue_of_its_suffix(server, make):
    answer = fetch(make(server), "VOD.LON", "2024-01-02", "2024-01-05")
    assert (answer.attributes.venue, answer.attributes.currency) == ("XLON", "GBp")
    assert [r.query["function"] for r in server.requests] == ["TIME_SERIES_DAILY"]


def test_an_unknown_symbol_is_unknown_whatever_the_frequency(server, make):
    for frequency in ("1d", "1w", "1M", "30m"):
        answer = fetch(make(server), "NOSUCH", "2024-10-01", "2024-10-31", frequency)
        assert isinstance(answer, SymbolNotFoundError), frequency


def test_the_symbols_can_be_listed(server, make):
    listed = bridge.run(make(server).list_symbols())
    assert listed == sorted(listed)
    assert {"AAPL", "BRK.B", "SPY"} <= set(listed)
    assert "OLDCO" not in listed


@pytest.mark.parametrize(
    "body", ["symbol,name\r\nA,B\r\n", "symbol,name,exchange,assetType,ipoDate,delistingDate,status\r\n"]
)
def test_a_malformed_list_is_an_error(server, make, body):
    server.fail("text", times=None, body=body, where=lambda r: r.query["function"] == "LISTING_STATUS")
    assert isinstance(fetch(make(server), "AAPL", "2024-01-02", "2024-01-05"), BadResponseError)


# -- broken tables ---------------------------------------------------------------------------------------------------


def lines(change):
    def spoil(text):
        rows = text.splitlines(keepends=True)
        change(rows)
        return "".join(rows)

    return spoil


def swap(rows):
    rows[1], rows[2] = rows[2], rows[1]


def turn(rows):
    rows[1:] = rows[:0:-1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],  # cut in the middle of a line
        lambda text: text[:-2],  # the last line has no end: cut in the middle of a number
        lambda text: text.rpartition(",")[0] + "\r\n",  # a field is missing
        lambda text: text.replace("open,high", "high,open"),
        lambda text: text.partition("\n")[2],  # no header
        lambda text: "",
        lambda text: "<html>We are down for maintenance</html>\n",
        lines(lambda rows: rows.insert(2, rows[2])),
        lines(turn),
        lines(swap),
        lines(lambda rows: rows.__setitem__(3, rows[3].replace("2024-", "2024/"))),
        lines(lambda rows: rows.__setitem__(3, rows[3].replace("\r\n", ",1\r\n"))),
        lines(lambda rows: rows.__setitem__(3, rows[3].partition(",")[0] + ",a,b,c,d,e\r\n")),
        lines(lambda rows: rows.__setitem__(3, rows[3].partition(",")[0] + ",,,,,\r\n")),
        lines(lambda rows: rows.append("\r\n,,,,,\r\n")),
    ],
)
def test_a_broken_table_is_an_error_and_never_a_shorter_answer(server, make, spoil):
    server.spoil = spoil
    answer = fetch(make(server), "AAPL", "2024-01-02", "2024-01-05")
    assert isinstance(answer, BadResponseError)
    # Asked for again, for it may have come to harm on its way.
    assert len(server.data_requests()) == 3


def test_digits_that_no_double_holds_survive(server, make):
    def change(rows):
        rows[1] = "2024-11-29,1.100000000000000005,1.100000000000000005,1.1,1.1000,9007199254740993\r\n"

    server.spoil = lines(change)
    answer = fetch(make(server), "AAPL", "2024-11-29", "2024-11-29")
    assert rows_of(answer)[0][1] == Decimal("1.100000000000000005")
    assert rows_of(answer)[0][5] == Decimal(9007199254740993)


def test_a_table_without_rows_is_empty(server, make):
    server.spoil = lambda text: text.partition("\n")[0] + "\n"
    assert fetch(make(server), "AAPL", "2024-11-01", "2024-11-27").bars.is_empty()


# -- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "error", "seconds"),
    [
        ("Information", fake.DAY_LIMIT.format(key=KEY), RateLimitedError, 86_400.0),
        ("Note", fake.DAY_LIMIT.format(key=KEY), RateLimitedError, 86_400.0),
        ("Information", fake.BURST, RateLimitedError, None),
        ("Note", fake.MINUTE_LIMIT, RateLimitedError, 60.0),
        ("Information", fake.PREMIUM, AuthenticationError, None),
        (
            "Information",
            "The **outputsize=full** parameter value is a premium feature for the TIME_SERIES_DAILY endpoint.",
            AuthenticationError,
            None,
        ),
        ("Error Message", fake.BAD_KEY, AuthenticationError, None),
        (
            "Information",
            "The **demo** API key is for demo purposes only. Please claim your free API key.",
            AuthenticationError,
            None,
        ),
        ("Error Message", fake.UNKNOWN.format(function="TIME_SERIES_DAILY"), SymbolNotFoundError, None),
        ("Error Message", "Something new.", BadResponseError, None),
        ("Information", "Something new.", BadResponseError, None),
        ("Meta Data", "Something else.", BadResponseError, None),
    ],
)
def test_each_message_is_named_for_what_it_is(name, text, error, seconds):
    import json

    found = read_message(json.dumps({name: text}), "AAPL", {})
    assert type(found) is error
    assert found.details.get("retry_after_seconds") == seconds
    assert KEY not in str(found)


@pytest.mark.parametrize("text", ["{}", "[]", "{", "[1, 2]", '{"Note": ' + "[" * 50_000])
def test_other_json_is_malformed(text):
    assert type(read_message(text, "AAPL", {})) is BadResponseError


def test_the_limit_of_a_day_is_an_error_at_once(make):
    with AlphaVantageServer(day_limit=2) as server:
        adapter = make(server)
        assert fetch(adapter, "AAPL", "2024-11-01", "2024-11-27").bars.height > 0
        with pytest.raises(RateLimitedError) as caught:
            fetch(adapter, "MSFT", "2024-11-01", "2024-11-27")
        assert caught.value.retry_after_seconds == 86_400.0
        assert "tomorrow" in caught.value.hint
        # The list, AAPL, and one refusal.
        assert len(server.requests) == 3


def test_a_burst_is_tried_again(server, make):
    server.fail("429", times=2)
    assert fetch(make(server), "AAPL", "2024-11-01", "2024-11-27").bars.height > 0
    assert len(server.data_requests()) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, RateLimitedError), (401, AuthenticationError), (403, AuthenticationError), (503, SourceUnavailableError)],
)
def test_a_proxy_between_answers_with_a_status(make, status, error):
    def answer(request):
        return httpx.Response(status, headers={"Retry-After": "0"})

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    adapter = make(None, Transport(base_url="http://127.0.0.1:9"), client=client)
    with pytest.raises(error):
        fetch(adapter, "AAPL", "2024-11-01", "2024-11-27")
    bridge.run(client.aclose())


def test_what_is_no_text_is_malformed(make):
    client = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda request: httpx.Response(200, content=b"\xff\xfe\x00"))
    )
    adapter = make(None, Transport(base_url="http://127.0.0.1:9"), client=client)
    assert isinstance(fetch(adapter, "AAPL", "2024-11-01", "2024-11-27"), BadResponseError)
    bridge.run(client.aclose())


# -- the rest --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_function", [True, False])
def test_a_client_of_the_callers_is_used_and_its_log_shows_no_key(server, make, caplog, as_function):
    caplog.set_level(logging.DEBUG)
    client = httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0))
    adapter = make(server, client=(lambda: client) if as_function else client)
    assert fetch(adapter, "AAPL", "2024-11-01", "2024-11-27").bars.height > 0
    assert any(record.name == "httpx" for record in caplog.records)
    assert KEY not in caplog.text
    bridge.run(adapter.close())
    assert client.is_closed is as_function
    bridge.run(client.aclose())


def test_the_proxy_of_the_environment_is_used(make, monkeypatch):
    with AlphaVantageServer(tls=True, proxy=True) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.proxy_url)
        transport = Transport(ca_bundle=server.ca_bundle, timeout_seconds=5.0)
        assert fetch(make(server, transport), "AAPL", "2024-11-01", "2024-11-27").bars.height > 0
        assert {request.host for request in server.requests} == {"www.alphavantage.co"}


def test_limits_are_those_of_a_free_key_unless_one_has_another(monkeypatch):
    limits = AlphaVantageDataSource().limits()
    assert isinstance(limits, VendorLimits)
    assert (limits.requests_per_day, limits.requests_per_minute, limits.parallel_requests) == (25, 5, 1)
    paid = AlphaVantageDataSource(requests_per_minute=75).limits()
    assert (paid.requests_per_day, paid.requests_per_minute) == (None, 75)


def test_a_plan_counts_months_for_minutes_and_one_request_for_days(server, make):
    adapter = make(server)
    year = parse_range("2023-01-01", "2023-12-31", FREQUENCIES["1m"])
    assert adapter.pages(*year, FREQUENCIES["1d"], 252) == 1
    # New York's midnight is 05:00 UTC, so the year's first hours are of the December before.
    assert adapter.pages(year[0] + 5 * 3_600_000_000, year[1], FREQUENCIES["1m"], 98_000) == 12
    assert make(server, adjusted=True).pages(*year, FREQUENCIES["1w"], 52) == 2


def test_nothing_is_asked_for_before_the_year_2000(server, make):
    fetch(make(server), "MSFT", "1995-01-02", "2000-01-31", "30m")
    assert [query["month"] for query in queries(server)] == ["2000-01"]


def test_the_options_of_a_source_make_it_again():
    source = AlphaVantageDataSource(adjusted="yes", extended_hours=True)
    assert source.options() == {"adjusted": True, "extended_hours": True}
    assert AlphaVantageDataSource().options() == {}
    with pytest.raises(RequestError):
        AlphaVantageDataSource(adjusted="perhaps")
    assert not source.supports_live()


def test_there_is_no_stream(server, make):
    with pytest.raises(RequestError):
        make(server).subscribe(["AAPL"], FREQUENCIES["1m"])


def test_without_a_key_the_error_names_the_variable(server, make, monkeypatch):
    monkeypatch.delenv("ALPHAVANTAGE_API_KEY")
    with pytest.raises(AuthenticationError, match="ALPHAVANTAGE_API_KEY"):
        fetch(make(server), "AAPL", "2024-11-01", "2024-11-27")
    assert not server.requests


def test_a_bug_of_ours_is_no_failure_of_the_vendor(server, make):
    assert make(server).map_error(ZeroDivisionError()) is None
    assert isinstance(make(server).map_error(TimeoutError()), SourceUnavailableError)


def test_a_session_that_lasts_half_a_day_ends_at_its_close(server, make):
    # 2024-07-03 closed at 13:00 New York.
    answer = fetch(make(server), "AAPL", "2024-07-03", "2024-07-03", "30m")
    assert answer.bars["timestamp"][-1] + timedelta(minutes=30) == datetime(2024, 7, 3, 17, 0, tzinfo=UTC)


def test_minutes_after_the_end_of_a_listing_are_none_and_no_unknown_symbol(server):
    source = AlphaVantageDataSource(base_url=server.url, clock=lambda: market.NOW, requests_per_minute=0)
    assert source.fetch_sync(["OLDCO"], "2024-11-18", "2024-11-20", "30m").is_empty()
    assert source.fetch_sync(["NEWCO"], "2023-11-20", "2023-11-22", "30m").is_empty()
    source.close()
