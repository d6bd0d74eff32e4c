"""Every digit arrives, and what is no list of bars is an error."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rustybt.data.sources.bridge import run
from rustybt.errors import BadResponseError, SourceUnavailableError
from tests.data.adapters.ccxt.asking import QUICK, as_tuples, fetch, micros, rows_of


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
