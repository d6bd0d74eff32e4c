"""Symbols, and the list of assets that tells what they are."""

import pytest

from rustybt.data.sources import bridge
from rustybt.errors import AuthenticationError, BadResponseError, SourceUnavailableError, SymbolNotFoundError
from tests.data.adapters.alpaca.asking import fetch, rows_of
from tests.fakes.alpaca import AlpacaServer


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
