"""Names of exchanges: which MIC they mean, and which calendar is kept there."""

import pytest

from rustybt.market.venues import calendar_of_exchange, calendar_of_type, mic_of_exchange


@pytest.mark.parametrize(
    ("name", "mic", "calendar"),
    [
        ("NYSE", "XNYS", "XNYS"),
        ("New York Stock Exchange", "XNYS", "XNYS"),
        ("Nasdaq", "XNAS", "XNYS"),
        ("XNAS", "XNAS", "XNYS"),
        ("AMEX", "XASE", "XNYS"),
        ("NYSE MKT", "XASE", "XNYS"),
        ("xase", "XASE", "XNYS"),
        ("NYSE Arca", "ARCX", "XNYS"),
        ("NYSEARCA", "ARCX", "XNYS"),
        ("ARCX", "ARCX", "XNYS"),
        ("BATS", "BATS", "XNYS"),
        ("LSE", "XLON", "XLON"),
        ("TSX", "XTSE", "XTSE"),
        ("CME", "XCME", "CMES"),
        ("XCME", "XCME", "CMES"),
        ("XFRA", "XFRA", "XFRA"),
        ("XQQQ", "XQQQ", None),
    ],
)
def test_a_usual_name_or_a_mic_tells_both(name, mic, calendar):
    assert mic_of_exchange(name) == mic
    assert calendar_of_exchange(name) == calendar


@pytest.mark.parametrize(
    ("name", "calendar"), [("NMS", "XNYS"), ("OTC", "XNYS"), ("NSE", "XBOM"), ("binance", "24/7"), ("oanda", "24/5")]
)
def test_a_vendors_code_or_a_word_tells_a_calendar_and_no_mic(name, calendar):
    assert mic_of_exchange(name) is None
    assert calendar_of_exchange(name) == calendar


@pytest.mark.parametrize("name", ["", "QUANDL", "MY EXCHANGE", "X1YZ", "XÄTR"])
def test_a_name_that_nobody_knows_tells_nothing(name):
    assert mic_of_exchange(name) is None
    assert calendar_of_exchange(name) is None


def test_a_type_tells_a_calendar_where_all_its_assets_keep_one():
    assert [calendar_of_type(kind) for kind in ("Coin", "fx", "futures", "equity", "")] == [
        "24/7",
        "24/5",
        "CMES",
        None,
        None,
    ]
