"""ccxt's real clients against local exchanges: every way known in which they lose or spoil bars without a word."""

import gc
import traceback
import warnings
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustybt.data.adapters.ccxt.adapter import CCXTAdapter
from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources.bridge import run
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    NotCoveredError,
    RateLimitedError,
    RequestError,
    SourceError,
    SourceUnavailableError,
    SymbolNotFoundError,
)
from rustybt.market.frequency import FREQUENCIES
from tests.fakes.binance import BinanceServer
from tests.fakes.kraken import KrakenServer
from tests.fakes.market import NOW, PAIRS, candles

QUICK = RetryPolicy(max_attempts=3, first_wait_seconds=0.01, max_wait_seconds=1.0)
HOUR = FREQUENCIES["1h"]


def micros(year, month, day, hour=0, minute=0):
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) * 1_000_000


def adapter_of(server, exchange="binance", *, retry=QUICK, client=None, timeout_seconds=5.0):
    transport = Transport(base_url=server.url, timeout_seconds=timeout_seconds)
    connection = Connection(transport, requests_per_minute=0, retry=retry, client=client, clock=lambda: NOW)
    return CCXTAdapter(connection, exchange=exchange)


@pytest.fixture
def server():
    with BinanceServer() as running:
        yield running


@pytest.fixture
def kraken():
    with KrakenServer() as running:
        yield running


@pytest.fixture
def adapter(server):
    made = adapter_of(server)
    yield made
    run(made.close())


@pytest.fixture
def kraken_adapter(kraken):
    made = adapter_of(kraken, "kraken")
    yield made
    run(made.close())


def fetch(adapter, symbol, start, end, frequency="1h"):
    """Return the one answer; an error of the symbol is raised."""
    answer = run(adapter.fetch_series([symbol], start, end, FREQUENCIES[frequency]))[symbol]
    if isinstance(answer, SourceError):
        raise answer
    return answer


def rows_of(exchange, symbol, seconds, first, last):
    """What the market traded, as tuples."""
    return [
        (row.start, row.open, row.high, row.low, row.close, row.volume)
        for row in candles(exchange, symbol, seconds, first, last)
    ]


def as_tuples(answer):
    return list(answer.bars.drop("symbol").iter_rows())


def paths(server):
    return [request.path for request in server.requests]


# -- paging ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bars", "requests"), [(1, 1), (999, 1), (1000, 1), (1001, 2), (2000, 2), (2001, 3)])
def test_n_bars_take_as_many_requests_as_there_are_pages(server, adapter, bars, requests):
    start = datetime(2024, 3, 1, tzinfo=UTC)
    last = start + timedelta(hours=bars - 1)
    answer = fetch(adapter, "BTC/USDT", micros(2024, 3, 1), int(last.timestamp()) * 1_000_000)
    assert as_tuples(answer) == rows_of("binance", "BTC/USDT", 3_600, start, last)
    assert sorted(paths(server)) == ["/api/v3/exchangeInfo", *["/api/v3/klines"] * requests, "/api/v3/time"]


def test_markets_and_clock_are_asked_for_once_for_many_symbols(server, adapter):
    for symbol in ("BTC/USDT", "ETH/USDT", "SHIB/USDT"):
        fetch(adapter, symbol, micros(2024, 3, 1), micros(2024, 3, 2))
    assert paths(server).count("/api/v3/exchangeInfo") == 1
    assert paths(server).count("/api/v3/time") == 1


def test_only_the_bars_that_are_missing_are_asked_for(server, adapter):
    fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 1, 9))
    (request,) = server.data_requests()
    assert request.query["limit"] == "10"
    assert request.query["startTime"] == str(micros(2024, 3, 1) // 1_000)


def test_a_cap_below_the_one_that_ccxt_knows_makes_more_requests_and_no_hole(server, adapter):
    server.most = 300
    first, last = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 4, 10, tzinfo=UTC)
    answer = fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 4, 10))
    assert as_tuples(answer) == rows_of("binance", "BTC/USDT", 3_600, first, last)
    assert len(server.data_requests()) == 4  # 961 bars in pages of 300


def test_a_range_that_begins_between_two_bars_begins_with_the_next(adapter):
    answer = fetch(adapter, "BTC/USDT", micros(2024, 3, 1, 0, 30), micros(2024, 3, 1, 2, 30))
    assert [row[0].hour for row in as_tuples(answer)] == [1, 2]


def test_a_range_before_the_listing_is_empty_and_names_the_first_bar(server, adapter):
    answer = fetch(adapter, "SHIB/USDT", micros(2020, 1, 1), micros(2020, 2, 1))
    assert answer.bars.is_empty()
    assert answer.first_bar == date(2021, 5, 10)
    assert len(server.data_requests()) == 1


def test_a_range_over_the_listing_begins_with_the_first_bar(adapter):
    answer = fetch(adapter, "SHIB/USDT", micros(2021, 5, 1), micros(2021, 5, 11))
    assert as_tuples(answer) == rows_of(
        "binance", "SHIB/USDT", 3_600, datetime(2021, 5, 1, tzinfo=UTC), datetime(2021, 5, 11, tzinfo=UTC)
    )
    assert answer.first_bar == date(2021, 5, 10)


def test_a_market_that_was_closed_delivers_what_it_had_and_says_so(adapter):
    answer = fetch(adapter, "LUNA/USDT", micros(2022, 5, 1), micros(2022, 6, 30))
    assert as_tuples(answer)[-1][0] == datetime(2022, 5, 13, tzinfo=UTC)
    assert answer.notes == ("LUNA/USDT is not traded on binance now",)


def test_a_market_without_a_trade_is_empty(server, adapter):
    answer = fetch(adapter, "NEW/USDT", micros(2024, 11, 1), micros(2024, 11, 29))
    assert answer.bars.is_empty()
    assert len(server.data_requests()) == 1


def test_the_forming_bar_is_in_the_answer_for_the_base_to_drop(adapter):
    answer = fetch(adapter, "BTC/USDT", micros(2024, 11, 29, 14), micros(2024, 11, 30))
    assert [row[0].hour for row in as_tuples(answer)] == [14, 15, 16]
    whole = candles(
        "binance", "BTC/USDT", 3_600, datetime(2024, 11, 29, 16, tzinfo=UTC), datetime(2024, 11, 29, 16, tzinfo=UTC)
    )
    assert as_tuples(answer)[-1][5] == whole[0].volume / 2


def test_nothing_is_asked_about_the_future(server, adapter):
    answer = fetch(adapter, "BTC/USDT", micros(2025, 1, 1), micros(2025, 2, 1))
    assert answer.bars.is_empty()
    assert server.data_requests() == []


def test_weeks_begin_on_monday_and_months_on_the_first(adapter):
    weeks = fetch(adapter, "BTC/USDT", micros(2024, 1, 1), micros(2024, 12, 31), "1w").bars["timestamp"]
    months = fetch(adapter, "BTC/USDT", micros(2024, 1, 1), micros(2024, 12, 31), "1M").bars["timestamp"]
    assert set(weeks.dt.weekday()) == {1}
    assert (weeks[0].date(), weeks[-1].date()) == (date(2024, 1, 1), date(2024, 11, 25))
    assert [stamp.date() for stamp in months] == [date(2024, month, 1) for month in range(1, 12)]


@pytest.fixture(scope="module")
def small_pages():
    with BinanceServer() as running:
        running.most = 37
        made = adapter_of(running)
        yield made
        run(made.close())


@given(st.integers(-100, 400), st.integers(0, 300), st.sampled_from(["BTC/USDT", "SHIB/USDT", "LUNA/USDT"]))
@settings(max_examples=60)
def test_any_range_gives_exactly_what_the_market_traded(small_pages, first, length, symbol):
    """Around the listing of SHIB and the end of LUNA; pages of 37 where 1000 are asked for."""
    middle = datetime(2022, 5, 6, tzinfo=UTC) if symbol == "LUNA/USDT" else datetime(2021, 5, 9, tzinfo=UTC)
    start = middle + timedelta(hours=first, minutes=first % 3)
    end = start + timedelta(hours=length)
    answer = fetch(small_pages, symbol, int(start.timestamp()) * 1_000_000, int(end.timestamp()) * 1_000_000)
    assert as_tuples(answer) == rows_of("binance", symbol, 3_600, start, end)


# -- exact numbers ---------------------------------------------------------------------------------------------------


def test_every_digit_of_a_tiny_price_arrives(server, adapter):
    server.fail("text", body='[[1709251200000,"0.00003443","0.00003450","0.00003440","0.00003449","123456789012.12345678"'
                ',1709254799999,"0","1","0","0","0"]]')  # fmt: skip
    answer = fetch(adapter, "SHIB/USDT", micros(2024, 3, 1), micros(2024, 3, 1))
    assert as_tuples(answer)[0][1:] == (
        Decimal("0.00003443"), Decimal("0.00003450"), Decimal("0.00003440"), Decimal("0.00003449"),
        Decimal("123456789012.12345678"),
    )  # fmt: skip
    assert answer.number_rule == "text"


def test_json_numbers_keep_digits_that_no_float_holds(server, adapter):
    run(adapter._load_markets())
    server.fail("text", body="[[1709251200000,0.100000000000000001,0.3,1e-8,0.2,12345678901234.123456,0,0,0,0,0,0]]")
    row = as_tuples(fetch(adapter, "SHIB/USDT", micros(2024, 3, 1), micros(2024, 3, 1)))[0]
    assert row[1] == Decimal("0.100000000000000001")
    assert row[3] == Decimal("0.00000001")
    assert row[5] == Decimal("12345678901234.123456")


def test_a_number_that_cannot_be_stored_is_refused_with_its_place(server, adapter):
    server.fail(
        "text", times=None, body='[[1709251200000,"1","1","0.0000000000000000001","1","5",0,"0",1,"0","0","0"]]'
    )
    with pytest.raises(BadResponseError, match="BTC/USDT: the low of bar 1 is more than 18 decimals"):
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 1))


def test_a_missing_volume_is_marked_and_counts_as_none(server, adapter):
    server.fail("text", body='[[1709251200000,"1","2","1","2",null,0,"0",1,"0","0","0"]]')
    answer = fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 1))
    assert answer.missing_volume.to_list() == [True]
    assert as_tuples(answer)[0][5] == 0


# -- answers that are none -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("since", "rows"), [(None, 18), (1_709_251_200_000, 0)])
def test_ccxt_itself_makes_nothing_of_a_broken_answer_without_a_word(server, since, rows):
    """The trap: were this ever mended in ccxt, the checks could go."""
    import ccxt.async_support

    async def ask():
        client = ccxt.async_support.binance({"timeout_on_exit": 0})
        client.options["fetchMarkets"]["types"] = ["spot"]
        client.urls["api"]["public"] = f"{server.url}/api/v3"
        server.fail("text", body="[half, an, answer,")
        try:
            return await client.fetch_ohlcv("BTC/USDT", "1h", since)
        finally:
            await client.close()

    assert run(ask()) == [[None] * 6] * rows


@pytest.mark.parametrize(
    "body",
    ["not json", "", "{}", '{"rows": []}', '"text"', "[[]]", "[1, 2]", "[[null,null,null,null,null,null]]",
     '[[1709251200000,null,"1","1","1","1"]]', '[["then","1","1","1","1","1"]]', '[[1709251200000,"1","1","1"]]',
     '[[1709251200001,"1","1","1","1","1"]]', '[[1709251200000,"a","1","1","1","1"]]',
     '[[1709251200000,"1","1","1","1","1"],[1709251200000,"2","2","2","2","2"]]', "[[1709251200000,NaN,1,1,1,1]]"],
)  # fmt: skip
def test_what_is_no_list_of_bars_is_an_error_and_never_fewer_bars(server, adapter, body):
    server.fail("text", body=body, times=None)
    with pytest.raises(BadResponseError, match="BTC/USDT"):
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 1, 5))


@pytest.mark.parametrize("kind", ["malformed", "cut", "reset", "503", "429", "empty"])
def test_a_fault_on_the_second_page_is_asked_again(server, adapter, kind):
    first, last = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 4, 20, tzinfo=UTC)
    server.fail(kind, skip=1)
    answer = fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 4, 20))
    assert as_tuples(answer) == rows_of("binance", "BTC/USDT", 3_600, first, last)
    assert len(server.data_requests()) == 3


def test_the_same_bar_twice_in_one_answer_is_one_bar(server, adapter):
    row = '[1709251200000,"1","1","1","1","1",0,"0",1,"0","0","0"]'
    server.fail("text", body=f"[{row},{row}]")
    assert fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 1)).bars.height == 1


def test_an_answer_that_is_cut_short_is_unavailable_and_not_a_refusal(server, adapter):
    server.fail("cut", times=None)
    with pytest.raises(SourceUnavailableError, match="broke off"):
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    assert len(server.data_requests()) == QUICK.max_attempts


def test_a_list_of_markets_that_is_none_is_an_error(server, adapter):
    server.fail("text", body='{"symbols": []}', times=None, where=lambda request: "exchangeInfo" in request.path)
    with pytest.raises(BadResponseError, match="market"):
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    server.heal()
    assert fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2)).bars.height == 25


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["418", "429"])
def test_too_fast_is_rate_limited_with_the_time_to_wait(server, status):
    adapter = adapter_of(server, retry=RetryPolicy(max_attempts=1))
    server.fail(status, retry_after=37)
    with pytest.raises(RateLimitedError) as caught:
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    run(adapter.close())
    assert caught.value.retry_after_seconds == 37.0
    assert "BTC/USDT" in caught.value.message


def test_a_ban_without_a_header_says_until_when_in_its_text(server):
    adapter = adapter_of(server, retry=RetryPolicy(max_attempts=1))
    server.fail("418")
    with pytest.raises(RateLimitedError) as caught:
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    run(adapter.close())
    assert caught.value.retry_after_seconds == pytest.approx(1_732_896_037 - NOW)


def test_a_location_that_is_refused_is_not_tried_again(server, adapter):
    server.fail("451", times=None)
    with pytest.raises(AuthenticationError, match=r"binance refuses this location \(HTTP 451\)"):
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    assert len(server.data_requests()) == 1


def test_a_server_that_is_slower_than_the_timeout_is_unavailable(server):
    adapter = adapter_of(server, timeout_seconds=0.2, retry=RetryPolicy(max_attempts=2, first_wait_seconds=0.01))
    server.fail("slow", times=None, seconds=1.0)
    with pytest.raises(SourceUnavailableError):
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    run(adapter.close())
    assert len(server.data_requests()) == 2


def test_nobody_at_the_address_is_unavailable():
    transport = Transport(base_url="http://127.0.0.1:9", timeout_seconds=1.0)
    adapter = CCXTAdapter(Connection(transport, retry=RetryPolicy(max_attempts=1), clock=lambda: NOW))
    with pytest.raises(SourceUnavailableError):
        run(adapter.fetch_series(["BTC/USDT"], 0, 1, HOUR))
    run(adapter.close())


def test_a_certificate_that_is_not_trusted_names_the_option_that_helps():
    with BinanceServer(tls=True) as server:
        adapter = adapter_of(server, retry=RetryPolicy(max_attempts=1))
        with pytest.raises(SourceUnavailableError) as caught:
            fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
        run(adapter.close())
    assert "--ca-bundle" in caught.value.hint


def test_a_client_that_retries_by_itself_is_not_used(server):
    """ccxt's maxRetriesOnFailure would multiply with our attempts."""
    adapter = adapter_of(server, retry=RetryPolicy(max_attempts=2, first_wait_seconds=0.01))
    server.fail("503", times=None)
    with pytest.raises(SourceUnavailableError):
        fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    run(adapter.close())
    assert len(server.data_requests()) == 2


# -- symbols ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [("BTC/USDT", "BTC/USDT"), ("btc/usdt", "BTC/USDT"), ("BTC-USDT", "BTC/USDT"), ("btc_usdt", "BTC/USDT"),
     (" BTC/USDT ", "BTC/USDT"), ("kPEPE/USDC", "kPEPE/USDC"), ("BTC/USDT:USDT", "BTC/USDT:USDT"),
     ("BTCUSDT", "BTCUSDT"), ("BTC-USD-PERP", "BTC-USD-PERP")],
)  # fmt: skip
def test_symbols_are_read_as_people_write_them(adapter, typed, canonical):
    assert adapter.canonical_symbol(typed) == canonical
    assert adapter.canonical_symbol(canonical) == canonical


@pytest.mark.parametrize(
    ("symbol", "near"), [("BTCUSDT", "BTC/USDT"), ("BTC/USDTT", "BTC/USDT"), ("SHIB/USD", "SHIB/USDT")]
)
def test_an_unknown_symbol_is_refused_without_a_request_and_with_the_likely_one(server, adapter, symbol, near):
    with pytest.raises(SymbolNotFoundError, match=symbol) as caught:
        fetch(adapter, symbol, micros(2024, 3, 1), micros(2024, 3, 2))
    assert near in caught.value.hint
    assert server.data_requests() == []


def test_an_unknown_symbol_does_not_fail_the_others(adapter):
    answers = run(adapter.fetch_series(["NO/SUCH", "BTC/USDT"], micros(2024, 3, 1), micros(2024, 3, 2), HOUR))
    assert isinstance(answers["NO/SUCH"], SymbolNotFoundError)
    assert answers["BTC/USDT"].bars.height == 25


def test_a_symbol_that_the_exchange_forgot_meanwhile_is_not_found(server, adapter, monkeypatch):
    run(adapter._load_markets())
    monkeypatch.delitem(PAIRS, ("binance", "SHIB/USDT"))
    with pytest.raises(SymbolNotFoundError, match="SHIB/USDT"):
        fetch(adapter, "SHIB/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    assert len(server.data_requests()) == 1


def test_the_exchange_lists_what_is_traded_now(adapter):
    assert run(adapter.list_symbols()) == ["BTC/USDT", "ETH/USDT", "NEW/USDT", "SHIB/USDT"]


def test_the_exchange_is_the_venue_and_its_name_of_the_symbol_travels(adapter, kraken_adapter):
    here = fetch(adapter, "BTC/USDT", micros(2024, 11, 20), micros(2024, 11, 21))
    there = fetch(kraken_adapter, "BTC/USDT", micros(2024, 11, 20), micros(2024, 11, 21))
    assert (here.attributes.venue, there.attributes.venue) == ("binance", "kraken")
    assert (here.vendor_symbol, there.vendor_symbol) == ("BTCUSDT", "XBTUSDT")
    assert here.attributes.asset_type == "crypto"
    assert here.attributes.currency == "USDT"
    assert here.attributes.tick_size == Decimal("0.00000001")
    assert here.attributes.lot_size == Decimal("0.00001")
    assert not here.bars.equals(there.bars)


# -- Kraken ----------------------------------------------------------------------------------------------------------


def test_kraken_has_the_newest_720_bars_and_says_so_for_more(kraken, kraken_adapter):
    with pytest.raises(
        NotCoveredError, match=r"kraken gives the newest 720 bars of 1h only.*2024-10-30T17:00:00Z"
    ) as caught:
        fetch(kraken_adapter, "BTC/USD", micros(2024, 1, 1), micros(2024, 11, 29))
    assert "--start 2024-10-30T18:00:00Z" in caught.value.hint
    assert caught.value.missing == ["BTC/USD"]
    assert len(kraken.data_requests()) == 1


def test_kraken_refuses_a_range_that_lies_before_all_it_has(kraken_adapter):
    with pytest.raises(NotCoveredError):
        fetch(kraken_adapter, "BTC/USD", micros(2024, 1, 1), micros(2024, 1, 2))


def test_kraken_gives_all_of_its_720_bars(kraken, kraken_adapter):
    first, last = datetime(2024, 10, 30, 17, tzinfo=UTC), datetime(2024, 11, 29, 16, tzinfo=UTC)
    answer = fetch(kraken_adapter, "BTC/USD", micros(2024, 10, 30, 17), micros(2024, 11, 29, 16))
    assert as_tuples(answer) == rows_of("kraken", "BTC/USD", 3_600, first, last)
    assert answer.bars.height == 720
    assert sorted(paths(kraken)) == ["/0/public/AssetPairs", "/0/public/OHLC", "/0/public/Time"]


def test_kraken_a_refusal_under_the_status_200_is_rate_limited(kraken):
    adapter = adapter_of(kraken, "kraken", retry=RetryPolicy(max_attempts=1))
    kraken.fail("429")
    with pytest.raises(RateLimitedError, match="Too many requests"):
        fetch(adapter, "BTC/USD", micros(2024, 11, 20), micros(2024, 11, 21))
    run(adapter.close())


@pytest.mark.parametrize("body", ["half of an ans", "{}", '{"error": [], "result": {}}', '{"error": []}'])
def test_kraken_an_answer_without_bars_is_an_error_and_never_an_empty_range(kraken, kraken_adapter, body):
    kraken.fail("text", body=body, times=None)
    with pytest.raises(BadResponseError):
        fetch(kraken_adapter, "BTC/USD", micros(2024, 11, 20), micros(2024, 11, 21))


def test_kraken_weeks_are_made_of_days_for_its_own_begin_on_thursday(kraken_adapter):
    assert "1w" not in kraken_adapter.limits.frequencies
    assert "1d" in kraken_adapter.limits.frequencies


# -- the exchange ----------------------------------------------------------------------------------------------------


def test_limits_are_known_without_a_request(server, adapter):
    limits = adapter.limits
    assert limits.frequencies == ("1m", "5m", "15m", "30m", "1h", "1d", "1w", "1M")
    assert limits.bars_per_page == 1_000
    assert CCXTAdapter(Connection()).limits.requests_per_minute == 1_200.0
    assert server.requests == []


def test_the_clock_is_the_exchanges(server, adapter):
    server.now = NOW - 90
    assert run(adapter.now()) == pytest.approx(NOW - 90)
    server.now = NOW
    assert run(adapter.now()) == pytest.approx(NOW - 90)  # asked for once a minute
    assert paths(server) == ["/api/v3/time"]


def test_the_exchange_is_part_of_what_the_bars_are(adapter, kraken_adapter):
    assert adapter.metadata().feed == "binance"
    assert adapter.metadata().source_url == "https://api.binance.com"
    assert kraken_adapter.metadata().feed == "kraken"
    assert kraken_adapter.metadata().source_url == "https://api.kraken.com"
    assert adapter.metadata().api_version.startswith("4.")


def test_every_exchange_of_ccxt_can_be_made_or_says_that_it_has_no_bars():
    import ccxt

    made, refused = {}, []
    for exchange in ccxt.exchanges:
        try:
            made[exchange] = CCXTAdapter(Connection(), exchange=exchange)
        except RequestError:
            refused.append(exchange)
    assert len(made) > 80
    assert {"bitflyer", "zaif"} <= set(refused)
    for exchange, adapter in made.items():
        assert adapter.limits.frequencies, exchange
        assert adapter.limits.bars_per_page >= 100, exchange
        assert adapter.metadata().source_url.startswith("https://"), exchange


def test_an_unknown_exchange_names_near_ones():
    with pytest.raises(RequestError, match="binanse") as caught:
        CCXTAdapter(Connection(), exchange="binanse")
    assert "binance" in caught.value.hint


def test_an_exchange_without_bars_is_refused():
    with pytest.raises(RequestError, match="no bars"):
        CCXTAdapter(Connection(), exchange="bitflyer")


def test_an_exchange_that_counts_by_the_second_is_asked_evenly():
    assert CCXTAdapter(Connection(), exchange="kraken")._client.enableRateLimit
    assert not CCXTAdapter(Connection(), exchange="binance")._client.enableRateLimit
    assert not CCXTAdapter(Connection(requests_per_minute=0), exchange="kraken")._client.enableRateLimit


def test_the_password_of_a_proxy_is_in_no_error():
    transport = Transport(proxy="http://somebody:canary@127.0.0.1:9")
    adapter = CCXTAdapter(Connection(transport, retry=RetryPolicy(max_attempts=1), clock=lambda: NOW))
    with pytest.raises(SourceUnavailableError) as caught:
        run(adapter.fetch_series(["BTC/USDT"], 0, 1, HOUR))
    run(adapter.close())
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    assert "canary" not in repr(adapter.connection)


def test_a_client_of_the_callers_own_is_used_and_stays_open(server):
    import ccxt.async_support

    client = ccxt.async_support.binance({"timeout_on_exit": 0})
    client.options["fetchMarkets"]["types"] = ["spot"]
    client.urls["api"]["public"] = f"{server.url}/api/v3"
    adapter = CCXTAdapter(Connection(client=client, retry=QUICK, clock=lambda: NOW))
    assert fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2)).bars.height == 25
    server.fail("malformed")
    assert fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2)).bars.height == 25
    run(adapter.close())
    assert client.session is not None
    run(client.close())


def test_a_client_of_another_exchange_is_refused():
    import ccxt

    with pytest.raises(RequestError, match="asynchronous"):
        CCXTAdapter(Connection(client=ccxt.async_support.kraken()), exchange="binance")


def test_an_adapter_that_was_closed_works_again_without_asking_for_markets(server, adapter):
    fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    run(adapter.close())
    answer = fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    assert answer.bars.height == 25
    assert answer.number_rule == "text"
    assert paths(server).count("/api/v3/exchangeInfo") == 1


def test_an_adapter_that_nobody_closed_leaves_no_connection_and_no_complaint(server, caplog):
    adapter = adapter_of(server)
    fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del adapter
        gc.collect()
    assert "release all resources" not in caplog.text


def test_a_proxy_and_its_certificates_reach_the_exchanges_own_addresses():
    with BinanceServer(tls=True, proxy=True) as server:
        transport = Transport(proxy=server.proxy_url, ca_bundle=server.ca_bundle)
        adapter = CCXTAdapter(Connection(transport, requests_per_minute=0, retry=QUICK, clock=lambda: NOW))
        assert fetch(adapter, "BTC/USDT", micros(2024, 3, 1), micros(2024, 3, 2)).bars.height == 25
        run(adapter.close())
        assert {request.host for request in server.requests} == {"api.binance.com"}
