"""The local Massive answers as the vendor does: tried with plain requests, without its client."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from tests.fakes import market
from tests.fakes.massive import KEY, MassiveServer

BARS = "/v2/aggs/ticker/{}/range/{}/{}/{}/{}"


@pytest.fixture
def server():
    with MassiveServer() as running:
        yield running


@pytest.fixture
def get(server):
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False) as client:
        yield client.get


def bars(get, ticker, multiplier, span, start, end, **query):
    return get(BARS.format(ticker, multiplier, span, start, end), params={"adjusted": "false", **query}).json()


class TestAggregates:
    def test_a_day_is_labelled_by_midnight_in_new_york(self, get):
        winter, summer = (
            bars(get, "AAPL", 1, "day", day, day)["results"][0]["t"] for day in ("2024-01-02", "2024-07-01")
        )
        assert datetime.fromtimestamp(winter / 1000, UTC) == datetime(2024, 1, 2, 5, tzinfo=UTC)
        assert datetime.fromtimestamp(summer / 1000, UTC) == datetime(2024, 7, 1, 4, tzinfo=UTC)

    def test_a_week_begins_on_sunday_and_a_range_is_widened_to_it(self, get):
        (week,) = bars(get, "AAPL", 1, "week", "2024-03-13", "2024-03-14")["results"]
        # The clocks had been put forward on that Sunday at two.
        assert datetime.fromtimestamp(week["t"] / 1000, UTC) == datetime(2024, 3, 10, 5, tzinfo=UTC)
        days = bars(get, "AAPL", 1, "day", "2024-03-11", "2024-03-15")["results"]
        assert week["o"] == days[0]["o"]
        assert week["v"] == sum(day["v"] for day in days)

    def test_hours_are_cut_on_the_clock(self, get):
        found = bars(get, "AAPL", 1, "hour", "2024-11-26", "2024-11-26")["results"]
        assert {row["t"] % 3_600_000 for row in found} == {0}

    def test_minutes_before_and_after_the_session_are_included(self, get):
        found = bars(get, "AAPL", 30, "minute", "2024-11-26", "2024-11-26")["results"]
        hours = [datetime.fromtimestamp(row["t"] / 1000, UTC).hour for row in found]
        assert (min(hours), max(hours)) == (13, 22)

    def test_prices_are_adjusted_unless_one_says_otherwise(self, get):
        raw = bars(get, "AAPL", 1, "day", "2014-06-06", "2014-06-06")
        usual = get(BARS.format("AAPL", 1, "day", "2014-06-06", "2014-06-06")).json()
        assert (raw["adjusted"], usual["adjusted"]) == (False, True)
        assert usual["results"][0]["o"] == pytest.approx(raw["results"][0]["o"] / 28)

    def test_large_volumes_have_an_exponent_and_whole_prices_no_point(self, get):
        text = get(BARS.format("AAPL", 1, "week", "2024-11-18", "2024-11-22"), params={"adjusted": "false"}).text
        volume = json.loads(text, parse_float=str, parse_int=str)["results"][0]["v"]
        days = market.daily("AAPL", datetime(2024, 11, 18).date(), datetime(2024, 11, 22).date())
        assert "e+07" in volume
        assert Decimal(volume) == sum(day.volume for day in days)

    def test_pages_are_limited_by_what_bars_are_made_of(self, get, server):
        first = bars(get, "AAPL", 5, "minute", "2024-11-26", "2024-11-26", limit=100)
        assert (first["resultsCount"], first["queryCount"]) == (20, 100)
        assert first["next_url"].startswith("https://api.massive.com/v2/aggs/ticker/AAPL/")
        assert KEY not in first["next_url"]
        second = get(first["next_url"].removeprefix("https://api.massive.com")).json()
        assert second["results"][0]["t"] > first["results"][-1]["t"]
        assert second["adjusted"] is False

    def test_an_empty_answer_and_an_unknown_ticker_have_no_results_at_all(self, get):
        for answer in (
            bars(get, "NEWCO", 1, "day", "2020-01-02", "2020-01-31"),
            bars(get, "NOSUCH", 1, "day", "2024-01-02", "2024-01-31"),
        ):
            assert answer["resultsCount"] == 0
            assert answer["status"] == "OK"
            assert "results" not in answer

    def test_a_plan_refuses_older_days_or_leaves_them_out(self, get, server):
        server.oldest = datetime(2024, 2, 1).date()
        refused = get(BARS.format("AAPL", 1, "day", "2024-01-02", "2024-02-29"))
        assert (refused.status_code, refused.json()["status"]) == (403, "NOT_AUTHORIZED")
        server.refuses_older = False
        assert bars(get, "AAPL", 1, "day", "2024-01-02", "2024-02-29")["resultsCount"] == 20

    def test_days_ahead_are_refused(self, get):
        assert get(BARS.format("AAPL", 1, "day", "2024-12-31", "2024-12-31")).status_code == 403

    def test_the_bar_of_today_is_shown_while_it_forms(self, get):
        found = bars(get, "AAPL", 1, "day", "2024-11-27", "2024-11-29")["results"]
        assert [datetime.fromtimestamp(row["t"] / 1000, UTC).day for row in found] == [27, 29]


class TestReference:
    def test_events_are_paged(self, get, server):
        server.page_size = 10
        query = {"ticker": "AAPL", "ex_dividend_date.gte": "2020-01-01", "order": "asc", "limit": 1000}
        first = get("/v3/reference/dividends", params=query).json()
        assert len(first["results"]) == 10
        second = get(first["next_url"].removeprefix("https://api.massive.com")).json()
        assert second["results"][0]["ex_dividend_date"] > first["results"][-1]["ex_dividend_date"]

    def test_splits_are_old_shares_for_new_ones(self, get):
        (split,) = get("/v3/reference/splits", params={"ticker": "GE"}).json()["results"]
        assert (split["split_from"], split["split_to"], split["execution_date"]) == (8, 1, "2021-08-02")

    def test_details_of_a_delisted_ticker_are_not_found_but_the_list_knows_it(self, get):
        assert get("/v3/reference/tickers/OLDCO").status_code == 404
        (found,) = get("/v3/reference/tickers", params={"ticker": "OLDCO", "active": "false"}).json()["results"]
        assert found["delisted_utc"].startswith("2019-07-01")
        assert get("/v3/reference/tickers/AAPL").json()["results"]["primary_exchange"] == "XNAS"

    def test_the_list_has_new_yorks_tickers_only(self, get):
        found = [row["ticker"] for row in get("/v3/reference/tickers?limit=1000").json()["results"]]
        assert found == sorted(found)
        assert {"AAPL", "BRK.B", "GE", "SPY"} <= set(found)
        assert not {"OLDCO", "VOD.L", "7203.T"} & set(found)


class TestRefusals:
    @pytest.mark.parametrize("headers", [{"Authorization": "Bearer wrong"}, {"Authorization": ""}])
    def test_an_unknown_key_is_refused_everywhere(self, get, headers):
        for path in (
            BARS.format("AAPL", 1, "day", "2024-01-02", "2024-01-03"),
            "/v3/reference/splits",
            "/v3/reference/tickers/AAPL",
        ):
            answer = get(path, headers=headers)
            assert (answer.status_code, answer.json()["status"]) == (401, "ERROR")

    def test_too_many_requests_say_what_the_vendor_says(self, get, server):
        server.fail("429", retry_after=7)
        answer = get(BARS.format("AAPL", 1, "day", "2024-01-02", "2024-01-03"))
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
        assert "maximum requests per minute" in answer.json()["error"]
