"""Yahoo's tickers and codes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.data.adapters.yahoo.symbols import VENUES, attributes_of, canonical_symbol, vendor_symbol
from rustybt.market.calendars import calendar_for

letters = st.text("ABCFLTVZ", min_size=1, max_size=6)
tickers = st.one_of(
    st.builds(lambda a, dash, b: f"{a}{dash}{b}", letters, st.sampled_from("-."), letters),
    st.text("ABLTV19-.^=/& ", min_size=1, max_size=12).filter(str.strip),
)


@pytest.mark.parametrize(
    ("typed", "canonical", "ticker"),
    [
        ("BRK-B", "BRK.B", "BRK-B"),
        ("BRK.B", "BRK.B", "BRK-B"),
        (" brk.b ", "BRK.B", "BRK-B"),
        ("aapl", "AAPL", "AAPL"),
        ("VOD.L", "VOD.L", "VOD.L"),
        ("7203.T", "7203.T", "7203.T"),
        ("SAP.F", "SAP.F", "SAP.F"),
        ("MKC-V", "MKC-V", "MKC-V"),
        ("MKC.V", "MKC.V", "MKC.V"),
        ("BTC-USD", "BTC-USD", "BTC-USD"),
        ("BAC-PL", "BAC-PL", "BAC-PL"),
        ("^GSPC", "^GSPC", "^GSPC"),
        ("EURUSD=X", "EURUSD=X", "EURUSD=X"),
        ("SAP.DE", "SAP.DE", "SAP.DE"),
    ],
)
def test_a_class_of_shares_has_a_dot_and_all_else_stays_as_typed(typed, canonical, ticker):
    assert canonical_symbol(typed) == canonical
    assert vendor_symbol(canonical) == ticker


@given(tickers)
def test_canonical_symbols_are_idempotent_and_lead_back_to_one_ticker(text):
    canonical = canonical_symbol(text)
    assert canonical_symbol(canonical) == canonical
    assert canonical_symbol(vendor_symbol(canonical)) == canonical


@given(tickers)
def test_a_ticker_is_asked_for_as_typed_or_with_the_dash_of_its_class(text):
    typed = text.strip().upper()
    asked = vendor_symbol(canonical_symbol(text))
    assert asked in (typed, typed.replace(".", "-"))


def test_a_listing_has_its_venue_type_currency_and_name():
    found = attributes_of(
        {"exchangeName": "LSE", "instrumentType": "EQUITY", "currency": "GBp", "longName": "Vodafone Group Plc"}
    )
    assert (found.venue, found.asset_type, found.currency) == ("XLON", "equity", "GBp")
    assert found.name == "Vodafone Group Plc"


@pytest.mark.parametrize(
    ("kind", "code", "asset_type", "venue", "calendar"),
    [
        ("EQUITY", "NMS", "equity", "XNAS", "XNYS"),
        ("ETF", "PCX", "etf", "ARCX", "XNYS"),
        ("CRYPTOCURRENCY", "CCC", "crypto", "yahoo", "24/7"),
        ("CURRENCY", "CCY", "forex", "yahoo", "24/5"),
        ("FUTURE", "CME", "future", "XCME", "CMES"),
        ("INDEX", "SNP", "index", None, "XNYS"),
        ("MUTUALFUND", "NAS", "unknown", "XNAS", "XNYS"),
        ("ALTSYMBOL", "???", "unknown", None, "XNYS"),
    ],
)
def test_kinds_of_assets_are_told_apart_and_meet_their_calendar(kind, code, asset_type, venue, calendar):
    found = attributes_of({"exchangeName": code, "instrumentType": kind})
    assert (found.asset_type, found.venue) == (asset_type, venue)
    assert calendar_for(found.venue, found.asset_type) == calendar


def test_an_answer_without_words_is_still_an_asset():
    found = attributes_of({"exchangeName": None, "currency": None})
    assert (found.venue, found.asset_type, found.currency, found.name) == (None, "unknown", "USD", "")


def test_venues_are_mics_of_four_capitals_or_yahoo_itself():
    assert all(venue == "yahoo" or (len(venue) == 4 and venue.isupper()) for venue in VENUES.values())
