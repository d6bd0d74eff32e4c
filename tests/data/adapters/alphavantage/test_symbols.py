"""Symbols, and the list that tells what they are."""

from datetime import date

import pytest

from rustybt.data.sources import bridge
from rustybt.errors import BadResponseError, SymbolNotFoundError
from tests.data.adapters.alphavantage.asking import fetch, queries


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
