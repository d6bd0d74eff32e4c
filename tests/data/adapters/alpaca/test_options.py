"""Feeds and adjustments, and what a source remembers of its options."""

from datetime import date

import pytest

from rustybt.data.sources.alpaca import AlpacaDataSource
from rustybt.errors import RequestError
from tests.data.adapters.alpaca.asking import fetch, rows_of
from tests.fakes import market


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
