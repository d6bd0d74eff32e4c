"""Minutes, asked for month by month."""

from datetime import UTC, date, datetime, timedelta

from rustybt.data.sources.alphavantage import AlphaVantageDataSource
from rustybt.errors import BadResponseError, NotCoveredError
from tests.data.adapters.alphavantage.asking import fetch, queries, rows_of
from tests.fakes import market


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


def test_nothing_is_asked_for_before_the_year_2000(server, make):
    fetch(make(server), "MSFT", "1995-01-02", "2000-01-31", "30m")
    assert [query["month"] for query in queries(server)] == ["2000-01"]


def test_a_session_that_lasts_half_a_day_ends_at_its_close(server, make):
    # 2024-07-03 closed at 13:00 New York.
    answer = fetch(make(server), "AAPL", "2024-07-03", "2024-07-03", "30m")
    assert answer.bars["timestamp"][-1] + timedelta(minutes=30) == datetime(2024, 7, 3, 17, 0, tzinfo=UTC)


def test_minutes_after_the_end_of_a_listing_are_none_and_no_unknown_symbol(server):
    source = AlphaVantageDataSource(base_url=server.url, clock=lambda: market.NOW, requests_per_minute=0)
    assert source.fetch_sync(["OLDCO"], "2024-11-18", "2024-11-20", "30m").is_empty()
    assert source.fetch_sync(["NEWCO"], "2023-11-20", "2023-11-22", "30m").is_empty()
    source.close()
