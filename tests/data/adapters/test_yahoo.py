"""The adapter, with yfinance's own client, against the local Yahoo: every habit of both."""

import subprocess
import sys
import traceback
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.adapters.transport import Transport
from rustybt.data.adapters.yahoo.adapter import LIMITS, YahooAdapter
from rustybt.data.sources import bridge
from rustybt.data.sources.yfinance import YFinanceDataSource
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    MissingDependencyError,
    NotCoveredError,
    RateLimitedError,
    RequestError,
    SourceUnavailableError,
    SymbolNotFoundError,
)
from rustybt.market.frequency import FREQUENCIES
from tests.fakes import market
from tests.fakes.yahoo import YahooServer

QUICK = RetryPolicy(max_attempts=3, first_wait_seconds=0.01, max_wait_seconds=0.2)
SATURDAY = datetime(2024, 11, 30, 12, tzinfo=UTC).timestamp()


def micros(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def end_of(text):
    return micros(text) + 86_400_000_000 - 1


def rounded(value):
    """What a price is after Yahoo's float32, by numpy."""
    return Decimal(str(np.float32(value)))


def per_share_of_today(symbol, rows):
    """(label, open, high, low, close, volume) of each raw row of the market."""
    equity = market.EQUITIES[symbol]
    for row in rows:
        factor = market.raw_factor(equity, row.start.date())
        prices = (row.open, row.high, row.low, row.close)
        yield row.start, *(rounded(price / factor) for price in prices), int(row.volume * factor)


def rows_of(answer):
    return [(row[0], *row[2:]) for row in answer.bars.rows()]


@pytest.fixture
def server():
    with YahooServer() as running:
        yield running


@pytest.fixture
def connect(server):
    """Return a maker of adapters; each is closed at the end."""
    made = []

    def build(base_url=server.url, now=None, client=None, policy=QUICK, **options):
        server.now = market.NOW if now is None else now
        connection = Connection(
            Transport.create(base_url=base_url, timeout_seconds=5, **options),
            requests_per_minute=0,
            retry=policy,
            client=client,
            clock=lambda: server.now,
        )
        made.append(YahooAdapter(connection))
        return made[-1]

    yield build
    for adapter in made:
        bridge.run(adapter.close())


def ask(adapter, symbol, start, end, frequency="1d"):
    return bridge.run(adapter.fetch_series([symbol], micros(start), end_of(end), FREQUENCIES[frequency]))[symbol]


def paths(server):
    return [request.path for request in server.requests]


# -- bars ----------------------------------------------------------------------------------------------------------------


def test_daily_bars_are_those_of_the_market_per_share_of_today(connect):
    answer = ask(connect(), "GE", "2021-07-01", "2021-08-31")
    expected = per_share_of_today("GE", market.daily("GE", date(2021, 7, 1), date(2021, 8, 31)))
    assert rows_of(answer) == list(expected)
    assert answer.number_rule == "float32"
    assert answer.vendor_symbol == "GE"
    assert (answer.attributes.venue, answer.attributes.asset_type) == ("XNYS", "equity")
    assert answer.missing_volume is None


def test_a_class_of_shares_is_asked_for_with_a_dash(connect, server):
    answer = ask(connect(), "BRK.B", "2024-11-01", "2024-11-08")
    assert paths(server)[-1] == "/v8/finance/chart/BRK-B"
    assert set(answer.bars["symbol"]) == {"BRK.B"}
    assert answer.vendor_symbol == "BRK-B"


@pytest.mark.parametrize("symbol", ["VOD.L", "7203.T"])
def test_days_are_the_exchanges_own_all_through_the_year(connect, symbol):
    answer = ask(connect(), symbol, "2024-01-01", "2024-11-28")
    days = [row.start for row in market.daily(symbol, date(2024, 1, 1), date(2024, 11, 28))]
    assert answer.bars["timestamp"].to_list() == days


def test_pence_are_named(connect):
    assert ask(connect(), "VOD.L", "2024-11-01", "2024-11-08").attributes.currency == "GBp"


def test_a_coin_never_closes_and_belongs_to_no_exchange(connect):
    answer = ask(connect(), "BTC-USD", "2024-11-01", "2024-11-28")
    assert answer.bars.height == 28
    assert (answer.attributes.asset_type, answer.attributes.venue) == ("crypto", "yahoo")


def test_the_running_session_is_shown_and_not_delivered(connect, server):
    answer = ask(connect(), "AAPL", "2024-11-25", "2024-11-29")
    assert answer.bars["timestamp"][-1] == datetime(2024, 11, 29, tzinfo=UTC)
    source = YFinanceDataSource(base_url=server.url, clock=lambda: market.NOW)
    assert source.fetch_sync(["AAPL"], "2024-11-25", "2024-11-29")["timestamp"][-1] == datetime(
        2024, 11, 27, tzinfo=UTC
    )
    source.close()


def test_a_close_that_is_repeated_replaces_the_day(connect, server):
    server.repeats_last = True
    answer = ask(connect(now=SATURDAY), "SPY", "2024-11-25", "2024-11-30")
    expected = list(per_share_of_today("SPY", market.daily("SPY", date(2024, 11, 25), date(2024, 11, 29))))
    expected[-1] = (*expected[-1][:-1], expected[-1][-1] + 17)
    assert rows_of(answer) == expected


def test_days_of_nulls_are_left_out_with_a_note(connect, server):
    server.null_days = {date(2024, 11, 6), date(2024, 11, 7)}
    answer = ask(connect(), "SPY", "2024-11-04", "2024-11-08")
    assert [stamp.day for stamp in answer.bars["timestamp"]] == [4, 5, 8]
    assert answer.notes == ("SPY: 2 rows that are no bars, or without usable prices, are left out",)


def grouped(symbol, first, last, label):
    """Weeks or months by hand."""
    groups = {}
    for row in market.daily(symbol, first, last):
        groups.setdefault(label(row.start.date()), []).append(row)
    for day, rows in groups.items():
        yield (
            datetime(day.year, day.month, day.day, tzinfo=UTC),
            rounded(rows[0].open),
            rounded(max(row.high for row in rows)),
            rounded(min(row.low for row in rows)),
            rounded(rows[-1].close),
            sum(row.volume for row in rows),
        )


@pytest.mark.parametrize("symbol", ["SPY", "VOD.L", "7203.T"])
def test_weeks_begin_on_monday_and_hold_the_last_day_too(connect, symbol):
    answer = ask(connect(now=SATURDAY), symbol, "2024-09-30", "2024-12-01", "1w")
    expected = grouped(symbol, date(2024, 9, 30), date(2024, 11, 29), lambda day: day - timedelta(days=day.weekday()))
    assert rows_of(answer) == list(expected)


@pytest.mark.parametrize("symbol", ["SPY", "VOD.L", "7203.T"])
def test_months_begin_on_the_first(connect, symbol):
    answer = ask(connect(now=SATURDAY), symbol, "2024-03-01", "2024-11-30", "1M")
    expected = grouped(symbol, date(2024, 3, 1), date(2024, 11, 29), lambda day: day.replace(day=1))
    assert rows_of(answer) == list(expected)


def test_the_running_day_is_part_of_its_week(connect):
    answer = ask(connect(), "SPY", "2024-11-18", "2024-12-01", "1w")
    week = market.daily("SPY", date(2024, 11, 25), date(2024, 11, 29))
    *_, volume = rows_of(answer)[-1]
    assert answer.bars.height == 2
    assert volume == sum(row.volume for row in week[:-1]) + int(week[-1].volume) // 2


# -- intraday ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("frequency", "minutes"), [("1m", 1), ("5m", 5), ("15m", 15), ("1h", 60)])
def test_intraday_bars_are_those_of_the_market_also_on_a_half_day(connect, frequency, minutes):
    answer = ask(connect(now=SATURDAY), "SPY", "2024-11-26", "2024-11-30", frequency)
    expected = per_share_of_today("SPY", market.intraday("SPY", minutes, date(2024, 11, 26), date(2024, 11, 29)))
    assert rows_of(answer) == list(expected)
    assert answer.bars["timestamp"][-1] < datetime(2024, 11, 29, 18, tzinfo=UTC)


def test_pages_of_a_minute_join_without_a_hole_or_a_repetition(connect, server):
    answer = ask(connect(), "SPY", "2024-11-04", "2024-11-27", "1m")
    expected = per_share_of_today("SPY", market.intraday("SPY", 1, date(2024, 11, 4), date(2024, 11, 27)))
    assert rows_of(answer) == list(expected)
    days, *pages = [request.query for request in server.data_requests()]
    assert days["interval"] == "1d"
    assert [page["interval"] for page in pages] == ["1m"] * 4
    assert all(int(page["period2"]) - int(page["period1"]) <= 7 * 86_400 for page in pages)
    assert [page["period1"] for page in pages[1:]] == [page["period2"] for page in pages[:-1]]


@pytest.mark.parametrize(
    ("frequency", "days", "requests"), [("1m", 30, 6), ("5m", 59, 2), ("1h", 729, 2), ("1d", 3650, 1)]
)
def test_a_plan_counts_the_requests_that_are_made(connect, server, frequency, days, requests):
    adapter = connect()
    start = datetime.fromtimestamp(market.NOW, UTC) - timedelta(days=days)
    first, last = int(start.timestamp()) * 1_000_000, int(market.NOW) * 1_000_000
    assert adapter.pages(first, last, FREQUENCIES[frequency], 1_000) == requests
    bridge.run(adapter.fetch_series(["SPY"], first, last, FREQUENCIES[frequency]))
    assert len(server.data_requests()) == requests


def test_the_running_price_is_not_taken_for_a_minute(connect):
    answer = ask(connect(), "SPY", "2024-11-29", "2024-11-29", "1m")
    # The last trade was a second before 16:00, in the minute before.
    assert answer.bars["timestamp"][-1] == datetime(2024, 11, 29, 15, 59, tzinfo=UTC)
    assert answer.bars.height == 90


@pytest.mark.parametrize(("frequency", "start"), [("1m", "2024-10-20"), ("5m", "2024-09-01"), ("1h", "2022-11-01")])
def test_bars_that_yahoo_does_not_keep_are_refused_before_anything_is_asked(connect, server, frequency, start):
    found = ask(connect(), "AAPL", start, "2024-11-29", frequency)
    assert type(found) is NotCoveredError
    assert found.details["missing"] == ["AAPL"]
    assert server.requests == []


def test_yahoos_own_refusal_of_a_range_is_told_apart(connect, server):
    body = '{"chart":{"result":null,"error":{"code":"Unprocessable Entity","description":"1m data not available for startTime=1 and endTime=2. Only 8 days worth of 1m granularity data are allowed to be fetched per request."}}}'
    server.fail("text", body=body)
    assert type(ask(connect(), "AAPL", "2024-11-25", "2024-11-27", "1m")) is NotCoveredError


def test_a_page_without_the_bars_of_days_that_traded_is_an_error(connect, server):
    real = '{"chart":{"result":[{"meta":{"symbol":"SPY","exchangeTimezoneName":"America/New_York","dataGranularity":"1m"},"indicators":{"quote":[{}]}}],"error":null}}'
    server.fail("text", body=real, skip=1, times=1)
    found = ask(connect(), "SPY", "2024-11-04", "2024-11-20", "1m")
    assert type(found) is BadResponseError
    assert "3 sessions" in found.message


# -- corporate actions ---------------------------------------------------------------------------------------------------


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


# -- absent --------------------------------------------------------------------------------------------------------------


def test_an_unknown_symbol_costs_one_request_and_is_not_tried_with_other_cookies(connect, server):
    assert type(ask(connect(), "NOSUCH", "2024-01-02", "2024-01-31")) is SymbolNotFoundError
    assert paths(server) == ["/", "/v1/test/getcrumb", "/v8/finance/chart/NOSUCH"]


def test_yahoo_being_down_is_never_taken_for_a_delisting(connect, server):
    server.fail("503", times=None)
    with pytest.raises(SourceUnavailableError):
        ask(connect(), "AAPL", "2024-01-02", "2024-01-31")
    assert len(server.data_requests()) == QUICK.max_attempts


def test_yahoos_page_of_regret_is_not_taken_for_a_broken_answer(connect, server):
    server.fail("text", body="<html><h1>Will be right back...</h1></html>", times=None)
    with pytest.raises(SourceUnavailableError):
        ask(connect(), "AAPL", "2024-01-02", "2024-01-31")


def test_an_empty_body_is_a_broken_answer(connect, server):
    server.fail("empty", times=None)
    assert type(ask(connect(), "AAPL", "2024-01-02", "2024-01-31")) is BadResponseError


@pytest.mark.parametrize("frequency", ["1d", "1w", "1h"])
def test_a_symbol_that_left_before_the_range_is_known_but_empty(connect, frequency):
    answer = ask(connect(), "OLDCO", "2024-01-02", "2024-11-01", frequency)
    assert answer.bars.is_empty()
    assert "may be delisted" in answer.notes[0]


def test_a_delisted_symbol_delivers_its_last_days(connect):
    answer = ask(connect(), "OLDCO", "2019-06-03", "2019-12-31")
    assert answer.bars["timestamp"][-1] == datetime(2019, 6, 28, tzinfo=UTC)
    assert answer.first_bar == date(1999, 6, 1)


def test_a_range_before_the_listing_is_empty_and_says_when_it_began(connect):
    answer = ask(connect(), "NEWCO", "2020-01-02", "2020-12-31")
    assert answer.bars.is_empty()
    assert answer.first_bar == date(2024, 3, 4)


def test_a_range_without_sessions_is_empty(connect):
    answer = ask(connect(), "SPY", "2024-11-23", "2024-11-24")
    assert answer.bars.is_empty()
    assert answer.first_bar == date(1993, 1, 29)


def test_an_answer_cut_off_at_its_beginning_is_refused(connect, server):
    body = '{"chart":{"result":[{"meta":{"symbol":"SPY","exchangeTimezoneName":"America/New_York","firstTradeDate":728317800,"regularMarketTime":1732741200},"timestamp":[1732631400],"indicators":{"quote":[{"open":[1.5],"high":[1.5],"low":[1.5],"close":[1.5],"volume":[9]}]}}],"error":null}}'
    server.fail("text", body=body, times=None)
    found = ask(connect(), "SPY", "2024-01-02", "2024-11-29")
    assert type(found) is BadResponseError
    assert "begins on 2024-11-26 instead of 2024-01-02" in found.message


# -- limits and refusals -------------------------------------------------------------------------------------------------


def test_too_many_requests_are_one_request_each_and_the_wait_is_named(connect, server):
    server.fail("429", times=None, retry_after=120)
    with pytest.raises(RateLimitedError) as caught:
        ask(connect(), "AAPL", "2024-01-02", "2024-01-31")
    assert caught.value.retry_after_seconds == 120
    assert len(server.data_requests()) == 1


def test_a_crumb_that_went_stale_is_mended_by_the_client(connect, server):
    server.fail("401")
    assert ask(connect(), "AAPL", "2024-01-02", "2024-01-31").bars.height == 21
    assert paths(server).count("/v1/test/getcrumb") == 2


@pytest.mark.parametrize("status", ["401", "403"])
def test_a_refusal_that_stays_is_not_asked_for_ever(connect, server, status):
    server.fail(status, times=None)
    with pytest.raises(AuthenticationError, match=status):
        ask(connect(), "AAPL", "2024-01-02", "2024-01-31")
    assert len(server.data_requests()) == 2


def test_a_limited_crumb_does_not_stop_what_needs_none(connect, server):
    server.fail("429", where=lambda request: request.path == "/v1/test/getcrumb")
    # The first chart is refused for want of a crumb, which the client then fetches.
    assert ask(connect(), "AAPL", "2024-01-02", "2024-01-31").bars.height == 21


def test_one_cookie_and_one_crumb_serve_many_symbols_at_once(server):
    server.latency_seconds = 0.03
    source = YFinanceDataSource(
        base_url=server.url, clock=lambda: market.NOW, requests_per_minute=0, parallel_requests=8
    )
    source.fetch_sync(["AAPL", "MSFT", "BRK.B", "SPY", "GE", "NEWCO"], "2024-06-03", "2024-06-28")
    source.close()
    assert paths(server).count("/") == 1
    assert paths(server).count("/v1/test/getcrumb") == 1
    assert len(server.data_requests()) == 6
    assert server.most_parallel > 1


def test_limits_are_told_as_data():
    told = LIMITS.to_json()
    assert told["depth_days"] == {"1m": 30, "5m": 60, "15m": 60, "1h": 730}
    assert told["frequencies"] == ["1m", "5m", "15m", "1h", "1d", "1w", "1M"]
    assert told["settlement_delay_seconds"] == 1800


def test_the_clients_own_attempts_do_not_multiply_ours(connect, server):
    import yfinance

    server.fail("reset", times=None)
    yfinance.config.network.retries = 3
    try:
        with pytest.raises(SourceUnavailableError):
            ask(connect(), "AAPL", "2024-01-02", "2024-01-31")
    finally:
        yfinance.config.network.retries = 0
    # One more: libcurl repeats a request by itself whose kept connection turns out to be dead. With yfinance's it were 12.
    assert len(server.data_requests()) <= QUICK.max_attempts + 1


@pytest.mark.parametrize("frequency", ["1d", "1w", "1h"])
def test_a_range_to_come_is_empty_and_not_asked_for(connect, server, frequency):
    assert ask(connect(), "AAPL", "2025-01-02", "2025-01-31", frequency).bars.is_empty()
    assert server.requests == []


# -- clients -------------------------------------------------------------------------------------------------------------


def test_two_sources_go_through_two_proxies_and_leave_yfinances_own_alone():
    import yfinance

    before = yfinance.config.network.proxy
    yfinance.config.network.proxy = "http://127.0.0.1:9"  # nobody listens there
    try:
        with YahooServer(tls=True, proxy=True) as one, YahooServer(tls=True, proxy=True) as two:
            for server, symbol in ((one, "AAPL"), (two, "MSFT"), (one, "SPY")):
                source = YFinanceDataSource(
                    proxy=server.proxy_url, ca_bundle=server.ca_bundle, clock=lambda: market.NOW
                )
                assert source.fetch_sync([symbol], "2024-11-04", "2024-11-08").height == 5
                source.close()
            assert [request.path[-4:] for request in one.data_requests()] == ["AAPL", "/SPY"]
            assert [request.path[-4:] for request in two.data_requests()] == ["MSFT"]
            hosts = {request.host for request in one.requests}
            assert hosts == {"fc.yahoo.com", "query1.finance.yahoo.com", "query2.finance.yahoo.com"}
            # The cookie of one host reaches the others, and both need what it leads to.
            assert "A3=" in one.data_requests()[0].headers["Cookie"]
        assert yfinance.config.network.proxy == "http://127.0.0.1:9"
    finally:
        yfinance.config.network.proxy = before


def test_a_session_of_ones_own_is_used_and_not_closed(connect, server):
    from curl_cffi.requests import Session

    with YahooServer(tls=True, proxy=True) as real:
        proxies = {"http": real.proxy_url, "https": real.proxy_url}
        with Session(impersonate="chrome", verify=real.ca_bundle, proxies=proxies) as session:
            adapter = connect(base_url=None, client=lambda: session)
            assert ask(adapter, "AAPL", "2024-11-04", "2024-11-08").bars.height == 5
            assert type(ask(adapter, "NOSUCH", "2024-11-04", "2024-11-08")) is SymbolNotFoundError
            real.fail("503", times=None)
            with pytest.raises(SourceUnavailableError):
                ask(adapter, "AAPL", "2024-11-04", "2024-11-08")
            bridge.run(adapter.close())
            real.heal()
            assert session.get("https://query2.finance.yahoo.com/v1/test/getcrumb").status_code == 200


def test_what_is_no_session_is_refused(connect):
    with pytest.raises(RequestError, match="session"):
        ask(connect(client=object()), "AAPL", "2024-11-04", "2024-11-08")


def test_a_closed_adapter_opens_again(connect, server):
    adapter = connect()
    ask(adapter, "AAPL", "2024-11-04", "2024-11-08")
    bridge.run(adapter.close())
    bridge.run(adapter.close())
    assert ask(adapter, "AAPL", "2024-11-04", "2024-11-08").bars.height == 5
    assert paths(server).count("/v1/test/getcrumb") == 2


def test_a_missing_yfinance_names_the_command(connect, monkeypatch):
    monkeypatch.setitem(sys.modules, "yfinance.data", None)
    with pytest.raises(MissingDependencyError) as caught:
        ask(connect(), "AAPL", "2024-11-04", "2024-11-08")
    assert 'pip install "rustybt[yfinance]"' in caught.value.hint


def test_a_certificate_that_is_not_trusted_names_the_option(connect):
    with YahooServer(tls=True) as other, pytest.raises(SourceUnavailableError) as caught:
        ask(connect(base_url=other.url), "AAPL", "2024-11-04", "2024-11-08")
    assert "--ca-bundle" in caught.value.hint


def test_a_proxy_that_is_not_there_is_not_shown_with_its_password(connect):
    adapter = connect(base_url=None, proxy="http://user:invented-canary@127.0.0.1:9")
    with pytest.raises(SourceUnavailableError) as caught:
        ask(adapter, "AAPL", "2024-11-04", "2024-11-08")
    shown = "".join(traceback.format_exception(caught.value))
    assert "invented-canary" not in shown
    assert "invented-canary" not in repr(adapter.connection)


def test_what_is_recorded_names_the_client_and_the_basis(connect, server):
    found = connect().metadata()
    assert found.source_type == "yfinance"
    assert found.source_url == server.url
    assert found.adjustment == "split_adjusted"
    assert found.api_version.startswith("v8 (yfinance 1.")


@pytest.mark.timeout(120)
def test_nothing_is_imported_before_it_is_used_and_nothing_is_left_in_the_users_cache(server, tmp_path):
    script = f"""
import sys
from rustybt.data.sources.yfinance import YFinanceDataSource
source = YFinanceDataSource(base_url={server.url!r}, clock=lambda: {market.NOW})
assert source.get_metadata().source_type == "yfinance"
assert not {{"yfinance", "curl_cffi", "requests"}} & set(sys.modules)
assert source.fetch_sync(["AAPL"], "2024-11-04", "2024-11-08").height == 5
assert "yfinance" in sys.modules
source.close()
"""
    folders = {name: str(tmp_path / name) for name in ("HOME", "XDG_CACHE_HOME", "RUSTYBT_HOME")}
    ran = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", script],
        env={"PATH": "", **folders},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    left = [path for name in ("HOME", "XDG_CACHE_HOME") for path in (tmp_path / name).rglob("*") if path.is_file()]
    assert left == []


@pytest.mark.parametrize("symbol", ["^GSPC", "EURUSD=X", "M&M.NS", "A/B", "A?B=C", "A#B", "A B", "100%", "ÅÄ.ST"])
def test_whatever_is_typed_is_asked_for_as_one_ticker(connect, server, symbol):
    assert type(ask(connect(), symbol, "2024-11-04", "2024-11-08")) is SymbolNotFoundError
    # The path arrives decoded; a ticker with a slash is no ticker of Yahoo's, and must not reach another address.
    assert server.data_requests()[-1].path == f"/v8/finance/chart/{symbol}"
    assert server.data_requests()[-1].query["interval"] == "1d"


@pytest.mark.parametrize(
    "zone", ["Pacific/Honolulu", "America/New_York", "Europe/London", "Asia/Tokyo", "Pacific/Auckland"]
)
@pytest.mark.parametrize("month", [1, 7])
def test_weeks_and_months_are_asked_for_from_a_monday_and_a_first_everywhere(connect, server, zone, month):
    adapter = connect()
    asked = {}
    for frequency in ("1w", "1M"):
        ask(adapter, "SPY", f"2024-0{month}-17", "2024-09-30", frequency)
        stamp = int(server.data_requests()[-1].query["period1"])
        asked[frequency] = datetime.fromtimestamp(stamp, ZoneInfo(zone)).date()
    assert asked["1w"].weekday() == 0
    assert asked["1M"].day == 1
    # One earlier than the first that is wanted, which is whole then.
    assert 7 <= (date(2024, month, 17) - asked["1w"]).days < 14
    assert (date(2024, month, 1) - asked["1M"]).days >= 28


def test_warnings_of_the_client_go_nowhere_when_nobody_asked_for_them():
    # A port where nobody listens: yfinance warns that it goes on without a cookie, we say the same as an error.
    code = (
        "import rustybt as rb\n"
        "source = rb.get_source('yfinance', proxy='http://127.0.0.1:9', max_attempts=1)\n"
        "try: source.fetch_sync('AAPL', '2024-01-02', '2024-01-05')\n"
        "except rb.errors.SourceUnavailableError as error: print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("check the network, and --proxy or --base-url")
