"""Bars written by Zipline's methods: what arrives in the bundle, digit for digit."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from rustybt.data.sources.registered import written_bars
from rustybt.errors import BadResponseError, RequestError
from tests.data.sources.registered.conftest import DAYS, bars_of, equities

OPEN = datetime(2020, 1, 2, 14, 30, tzinfo=UTC)


def test_daily_bars_become_the_decimals_that_their_floats_print(define, store):
    def function(daily_bar_writer, asset_db_writer):
        frame = bars_of([10.1, 0.3 - 0.1])
        frame.loc[DAYS[1], ["open", "high", "low"]] = [0.15, 0.2, 0.1]
        daily_bar_writer.write([(0, frame)])
        asset_db_writer.write(equities=equities({0: "AAA"}))

    report = define(function).ingest_to_bundle("mine", store=store)
    assert (report.rows, report.symbols, report.version) == (2, ("AAA",), 1)
    with store.open("mine") as bundle:
        bars = bundle.read(["AAA"])
        assert bundle.provenance.number_rule == "float64"
    assert bars["open"].to_list() == [Decimal("10.1"), Decimal("0.15")]
    # 0.3 - 0.1 is 0.19999999999999998 in binary, and neither rounded nor dressed up.
    assert bars["close"].to_list() == [Decimal("10.1"), Decimal("0.19999999999999998")]


def test_daily_bars_keep_the_date_that_is_printed_also_behind_an_offset(define):
    def function(daily_bar_writer, asset_db_writer):
        tokyo = bars_of([10, 11], DAYS.tz_localize("Asia/Tokyo"))
        utc = bars_of([10, 11], DAYS.tz_localize("UTC"))
        daily_bar_writer.write(iter([(0, tokyo), (1, utc)]), assets={0, 1})
        asset_db_writer.write(equities=equities({0: "T", 1: "U"}))

    found = define(function).fetch_sync(["T", "U"])
    assert [stamp.date() for stamp in found["timestamp"]] == [date(2020, 1, 2), date(2020, 1, 3)] * 2


def test_rows_of_zeros_are_no_bars_and_are_counted(define, store):
    def function(daily_bar_writer, asset_db_writer):
        frame = bars_of([10, 11, 12])
        frame.iloc[1] = 0.0
        empty = bars_of([10, 11])
        empty.loc[DAYS[0], ["open", "high", "low", "close"]] = np.nan
        daily_bar_writer.write([(0, frame), (1, empty)])
        asset_db_writer.write(equities=equities({0: "AAA", 1: "BBB"}))

    report = define(function).ingest_to_bundle("mine", store=store)
    assert (report.rows, report.rows_quarantined) == (3, 0)
    assert "2 rows without a price left out: Zipline's filler for times without a trade" in report.notes


def test_a_row_that_lacks_one_price_is_set_aside_with_its_reason(define, store):
    def function(daily_bar_writer, asset_db_writer):
        frame = bars_of([10, 11])
        frame.loc[DAYS[1], "open"] = np.nan
        daily_bar_writer.write([(0, frame)])
        asset_db_writer.write(equities=equities({0: "AAA"}))

    report = define(function).ingest_to_bundle("mine", store=store)
    assert report.quarantined == {"open is missing": 1}
    assert report.examples[0].symbol == "AAA"


def test_a_second_write_of_daily_bars_replaces_the_first_as_in_zipline(define, store):
    def function(daily_bar_writer, asset_db_writer):
        daily_bar_writer.write(())
        daily_bar_writer.write([(0, bars_of([10, 11]))])
        daily_bar_writer.write([(1, bars_of([20]))])
        asset_db_writer.write(equities=equities({0: "AAA", 1: "BBB"}))

    report = define(function).ingest_to_bundle("mine", store=store)
    assert (report.symbols, report.rows) == (("BBB",), 1)
    assert report.notes[0].startswith("daily_bar_writer was called again: 2 rows that it took before were replaced")
    assert report.skipped == {"AAA": "no bars were written"}


def test_a_sid_that_is_not_among_the_assets_is_refused(define, store):
    def function(daily_bar_writer):
        daily_bar_writer.write([(3, bars_of([10]))], assets=[0])

    with pytest.raises(ValueError, match="unknown asset id 3"):
        define(function).ingest_to_bundle("mine", store=store)
    assert store.list_bundles() == []


def test_invalid_data_raises_where_the_function_asks_for_it(define, store):
    def function(daily_bar_writer):
        frame = bars_of([10, 11])
        frame.loc[DAYS[0], "close"] = np.nan
        frame.loc[DAYS[1], "low"] = -1.0
        daily_bar_writer.write([(0, frame)], invalid_data_behavior="raise")

    with pytest.raises(RequestError, match="2 values of sid 0 are missing or negative"):
        define(function).ingest_to_bundle("mine", store=store)


def test_an_unknown_behavior_is_refused(define):
    def function(minute_bar_writer):
        minute_bar_writer.write_sid(0, bars_of([1]), invalid_data_behavior="shout")

    with pytest.raises(RequestError, match="unknown invalid_data_behavior 'shout'"):
        define(function).fetch_sync(["A"], frequency="1m")


def test_a_frame_without_a_column_fails_its_own_sid_alone(define, store):
    def function(daily_bar_writer, asset_db_writer):
        daily_bar_writer.write([(0, bars_of([10]).drop(columns="volume")), (1, bars_of([20])), (2, [1, 2])])
        asset_db_writer.write(equities=equities({0: "AAA", 1: "BBB", 2: "CCC"}))

    report = define(function).ingest_to_bundle("mine", store=store)
    assert report.symbols == ("BBB",)
    assert report.failures["AAA"].message == "the frame of sid 0 has no column volume"
    assert isinstance(report.failures["CCC"], BadResponseError)
    assert report.exit_code == 3


def test_csvs_are_taken_digit_for_digit(define, store, write):
    path = write("7.csv", "day,open,high,low,close,volume\n2020-01-02,10.10,11,9,10.123456789012345678,100\n")

    def function(daily_bar_writer, asset_db_writer):
        daily_bar_writer.write_csvs({7: path})
        asset_db_writer.write(equities=equities({7: "AAA"}))

    report = define(function).ingest_to_bundle("mine", store=store)
    with store.open("mine") as bundle:
        assert bundle.read(["AAA"])["close"].to_list() == [Decimal("10.123456789012345678")]
        assert bundle.provenance.number_rule == "text"
        assert list(bundle.provenance.files) == ["7.csv"]
    assert report.failures == {}


def test_minutes_move_from_their_end_to_their_open(define):
    stamps = pd.DatetimeIndex(["2020-01-02 14:31", "2020-01-02 14:32"])

    def function(minute_bar_writer, asset_db_writer):
        minute_bar_writer.write([(0, bars_of([10, 11], stamps)), (1, bars_of([20], stamps.tz_localize("UTC")))])
        minute_bar_writer.write([(0, bars_of([12], stamps[1:] + pd.Timedelta(minutes=1)))])
        columns = {name: np.array([5.0]) for name in ("open", "high", "low", "close", "volume")}
        minute_bar_writer.write_cols(2, stamps.to_numpy()[:1], columns)
        local = stamps[:1].tz_localize("UTC").tz_convert("America/New_York")
        minute_bar_writer.write_sid(3, bars_of([30], local))
        asset_db_writer.write(equities=equities({0: "A", 1: "B", 2: "C", 3: "D"}))

    found = define(function).fetch_sync(["A", "B", "C", "D"], frequency="1m")
    assert [(row["symbol"], row["timestamp"].strftime("%H:%M"), row["close"]) for row in found.to_dicts()] == [
        ("A", "14:30", 10),
        ("A", "14:31", 11),
        ("A", "14:32", 12),
        ("B", "14:30", 20),
        ("C", "14:30", 5),
        ("D", "14:30", 30),
    ]


def test_columns_of_another_length_than_the_times_are_refused(define):
    def function(minute_bar_writer):
        minute_bar_writer.write_cols(0, DAYS.to_numpy(), {"open": [1.0]})

    with pytest.raises(RequestError, match="sid 0: 5 times, but values: open 1"):
        define(function).fetch_sync(["A"], frequency="1m")


@pytest.mark.parametrize("sid", ["AAPL", -1, 1.5, None])
def test_what_is_no_sid_is_refused(define, sid):
    def function(daily_bar_writer):
        daily_bar_writer.write([(sid, bars_of([10]))])

    with pytest.raises(RequestError, match="is no sid"):
        define(function).fetch_sync(["A"])


def test_daily_bars_and_minutes_are_two_versions_and_one_report(define, store):
    def function(daily_bar_writer, minute_bar_writer, asset_db_writer):
        # Bars before their assets, minutes of one of the two.
        daily_bar_writer.write([(0, bars_of([10, 11])), (1, bars_of([20, 21]))])
        minute_bar_writer.write_sid(1, bars_of([20], pd.DatetimeIndex(["2020-01-02 14:31"])))
        asset_db_writer.write(equities=equities({0: "AAA", 1: "BBB"}))

    report = define(function).ingest_to_bundle("mine", store=store)
    assert (report.version, report.rows, report.rows_added, report.symbols) == (2, 5, 5, ("AAA", "BBB"))
    assert report.notes[0] == "daily bars are in version 1, minutes came with version 2"
    assert report.skipped == {}
    with store.open("mine") as bundle:
        assert bundle.read(["AAA"]).height == 2
        assert bundle.read(["BBB"], frequency="1m")["timestamp"].to_list() == [OPEN]


def test_a_repeated_operation_stores_both_frequencies_once(define, store):
    def function(daily_bar_writer, minute_bar_writer, asset_db_writer):
        daily_bar_writer.write([(0, bars_of([10]))])
        minute_bar_writer.write_sid(0, bars_of([10], pd.DatetimeIndex(["2020-01-02 14:31"])))
        asset_db_writer.write(equities=equities({0: "AAA"}))

    source = define(function)
    for _ in range(2):
        assert source.ingest_to_bundle("mine", store=store, op_id="nightly").version == 2
    assert len(store.versions("mine")) == 2


def test_bars_beyond_memory_arrive_in_order_of_symbols(define, store, monkeypatch):
    monkeypatch.setattr(written_bars, "_WAITING_ROWS", 3)
    monkeypatch.setattr("rustybt.data.sources.csv.spool.MEMORY_BYTES", 1)
    monkeypatch.setattr("rustybt.data.sources.csv.spool.Spool.__init__.__defaults__", (1,))
    symbols = {sid: f"S{9 - sid}" for sid in range(9)}

    def function(daily_bar_writer, asset_db_writer):
        daily_bar_writer.write((sid, bars_of([10 + sid, 11 + sid])) for sid in symbols)
        asset_db_writer.write(equities=equities(symbols))

    report = define(function).ingest_to_bundle("mine", store=store)
    assert report.rows == 18
    with store.open("mine") as bundle:
        assert bundle.read(["S9"])["close"].to_list() == [10, 11]
        assert bundle.read(["S1"])["close"].to_list() == [18, 19]


def test_a_range_and_symbols_can_be_asked_for(define, store):
    def function(daily_bar_writer, asset_db_writer):
        daily_bar_writer.write([(0, bars_of([10, 11, 12])), (1, bars_of([20, 21, 22]))])
        asset_db_writer.write(equities=equities({0: "AAA", 1: "BBB"}))

    report = define(function).ingest_to_bundle("mine", ["BBB", "ZZZ"], "2020-01-03", "2020-01-03", store=store)
    assert (report.symbols, report.rows) == (("BBB",), 1)
    assert report.failures["ZZZ"].message == "the ingest function of mine wrote no 1d bars of 'ZZZ'"
