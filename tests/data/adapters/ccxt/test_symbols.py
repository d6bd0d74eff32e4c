"""Symbols as people write them, and as the exchange lists them."""

from decimal import Decimal

import pytest

from rustybt.data.sources.bridge import run
from rustybt.errors import SymbolNotFoundError
from tests.data.adapters.ccxt.asking import HOUR, fetch, micros
from tests.fakes.market import PAIRS


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
