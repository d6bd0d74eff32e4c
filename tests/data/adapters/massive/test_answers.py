"""Answers become bars with the right labels, digit for digit."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from rustybt.data.sources import bridge
from rustybt.errors import (
    BadResponseError,
)
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.request import to_microseconds
from tests.data.adapters.massive.asking import first_row, series
from tests.fakes import market
from tests.fakes.massive import Printed


class TestAnswers:
    def test_digits_arrive_as_printed_volumes_with_an_exponent_too(self, make, server):
        def spoil(answer):
            row = answer["results"][0]
            row.update(o="0.123456789012345678", h=150, c="1e-05", v="7.0790813e+07")
            answer["results"][0] = {key: Printed(value) for key, value in row.items()}

        server.spoil = spoil
        row = series(make()).bars.row(0, named=True)
        assert row["open"] == Decimal("0.123456789012345678")
        assert row["high"] == 150
        assert row["close"] == Decimal("0.00001")
        assert row["volume"] == 70_790_813

    def test_raw_is_the_default_and_adjusted_another_basis(self, make):
        day = date(2014, 6, 6)
        raw = first_row("AAPL", day)
        answer = series(make(), start=day, end=day)
        assert answer.bars.row(0)[2] == raw.open
        assert make().adapter.price_basis == "raw"
        source = make(adjusted=True)
        assert source.adapter.price_basis == "split_adjusted"
        assert source.get_metadata().adjustment == "splits"
        # Before a 7:1 and a 4:1 split.
        assert series(source, start=day, end=day).bars.row(0)[2] == Decimal(repr(float(raw.open / 28)))

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"ticker": "MSFT"}, "was asked for AAPL"),
            ({"adjusted": True}, "adjusted"),
            ({"resultsCount": 300}, "300 bars"),
            ({"resultsCount": "many"}, "resultsCount"),
            ({"results": {}}, "no list"),
            ({"status": "ERROR", "error": "Something"}, "ERROR"),
            ({"status": None}, "status"),
        ],
    )
    def test_an_answer_to_another_question_is_refused(self, make, server, change, said):
        server.spoil = lambda answer: answer.update(change)
        with pytest.raises(BadResponseError, match=said):
            series(make())

    @pytest.mark.parametrize(
        "bar",
        [
            {"o": None},
            {"o": "abc"},
            {"c": True},
            {"h": [1]},
            {"l": 1e400},
            {"t": "soon"},
            {"t": 1.5},
            {"t": 1704171600001},
            {"t": 1486132200000},
        ],
    )
    def test_a_bar_that_cannot_be_one_fails_its_symbol(self, make, server, bar):
        server.spoil = lambda answer: answer["results"][0].update(bar)
        with pytest.raises(BadResponseError):
            series(make())

    def test_a_bar_without_a_price_fails_its_symbol(self, make, server):
        server.spoil = lambda answer: answer["results"][3].pop("c")
        with pytest.raises(BadResponseError, match="lacks a value"):
            series(make())

    def test_a_bar_without_a_volume_says_so(self, make, server):
        server.spoil = lambda answer: answer["results"][1].update(v=None)
        answer = series(make(), end=date(2024, 1, 5))
        assert answer.missing_volume.to_list() == [False, True, False, False]
        assert answer.bars["volume"][1] == 0

    def test_pages_without_volumes_are_told_from_those_with(self, make, server):
        server.page_size = 2
        server.spoil = lambda answer: answer["results"][0].update(v=None) if "next_url" in answer else None
        answer = series(make(), end=date(2024, 1, 4))
        assert answer.missing_volume.to_list() == [True, False, False]

    def test_bars_out_of_order_fail_their_symbol(self, make, server):
        server.spoil = lambda answer: answer["results"].reverse()
        with pytest.raises(BadResponseError, match="out of order"):
            series(make())

    def test_bars_from_outside_of_the_range_fail_their_symbol(self, make, server):
        # As happened to others: polygon-io/issues#65.
        server.spoil = lambda answer: answer["results"][0].update(t=1486098000000)
        with pytest.raises(BadResponseError, match="2017-02-03"):
            series(make())

    def test_a_delayed_answer_is_an_answer(self, make, server):
        server.delayed = True
        assert series(make()).bars.height == 230


class TestLabels:
    def test_days_keep_their_date_across_both_changes_of_the_clocks(self, make):
        spring = series(make(), start=date(2024, 3, 8), end=date(2024, 3, 12)).bars["timestamp"]
        assert [stamp.isoformat()[:16] for stamp in spring] == [
            "2024-03-08T00:00",
            "2024-03-11T00:00",
            "2024-03-12T00:00",
        ]
        autumn = series(make(), start=date(2024, 11, 1), end=date(2024, 11, 4)).bars["timestamp"]
        assert [stamp.date() for stamp in autumn] == [date(2024, 11, 1), date(2024, 11, 4)]

    def test_weeks_begin_on_monday_though_the_vendors_begin_on_sunday(self, make):
        answer = series(make(), start=date(2024, 3, 5), end=date(2024, 3, 20), frequency="1w")
        # The week of 4 March begins before the range.
        assert [stamp.date() for stamp in answer.bars["timestamp"]] == [date(2024, 3, 11), date(2024, 3, 18)]
        days = market.daily("AAPL", date(2024, 3, 11), date(2024, 3, 15))
        assert answer.bars["open"][0] == days[0].open
        assert answer.bars["volume"][0] == sum(day.volume for day in days)

    def test_months_begin_on_their_first_day(self, make):
        answer = series(make(), start=date(2024, 1, 1), end=date(2024, 3, 31), frequency="1M")
        assert [stamp.date() for stamp in answer.bars["timestamp"]] == [
            date(2024, 1, 1),
            date(2024, 2, 1),
            date(2024, 3, 1),
        ]

    def test_minutes_are_those_of_the_session(self, make):
        bars = series(make(), start=date(2024, 11, 26), end=date(2024, 11, 26), frequency="1m").bars
        rows = market.intraday("AAPL", 1, date(2024, 11, 26), date(2024, 11, 26))
        assert bars["timestamp"].to_list() == [row.start for row in rows]
        assert bars["close"].to_list() == [row.close for row in rows]
        assert bars.height == 390

    def test_a_half_day_ends_at_one(self, make):
        bars = series(make(), start=date(2023, 11, 24), end=date(2023, 11, 24), frequency="5m").bars
        assert bars.height == 42

    def test_hours_are_made_of_half_hours_from_the_open_on(self, make, server):
        bars = make().fetch_sync("AAPL", "2024-11-26", "2024-11-26", "1h")
        assert {request.path.split("/")[6:8][1] for request in server.data_requests()} == {"minute"}
        assert bars["timestamp"][0] == datetime(2024, 11, 26, 14, 30, tzinfo=UTC)
        halves = market.intraday("AAPL", 30, date(2024, 11, 26), date(2024, 11, 26))[:2]
        assert bars["open"][0] == halves[0].open
        assert bars["close"][0] == halves[1].close
        assert bars["volume"][0] == halves[0].volume + halves[1].volume

    def test_all_hours_are_kept_on_request_and_hours_are_the_vendors(self, make):
        source = make(extended_hours="true")
        day = date(2024, 11, 26)
        assert series(source, start=day, end=day, frequency="30m").bars["timestamp"][0].hour == 13
        assert series(source, start=day, end=day, frequency="1h").bars["timestamp"][0] == datetime(
            2024, 11, 26, 13, tzinfo=UTC
        )
        assert source.get_metadata().feed == "sip-extended"
        assert source.options()["extended_hours"] is True

    def test_a_range_within_one_bar_asks_for_no_bars(self, make, server):
        adapter = make().adapter
        start = to_microseconds(date(2024, 11, 26)) + 52_201_000_000
        answer = bridge.run(adapter.fetch_series(["AAPL"], start, start + 1_000_000, FREQUENCIES["1m"]))["AAPL"]
        assert answer.bars.is_empty()
        assert not server.data_requests()

    def test_what_lies_ahead_is_not_asked_for(self, make, server):
        # The vendor answers 403 to it: polygon-io/issues#313.
        assert series(make(), start=date(2024, 12, 2), end=date(2024, 12, 6)).bars.is_empty()
        assert not server.data_requests()
        series(make(), start=date(2024, 11, 25), end=date(2025, 2, 1))
        assert server.data_requests()[0].path.endswith("2024-11-25/2024-11-29")

    def test_what_was_before_the_vendor_is_not_asked_for(self, make, server):
        answer = series(make(), "MSFT", start=date(2003, 9, 1), end=date(2003, 9, 12))
        assert server.data_requests()[0].path.endswith("2003-09-10/2003-09-12")
        assert answer.notes == ("polygon has no bars from before 2003-09-10",)
        assert answer.first_bar == date(2003, 9, 10)
