"""What an ingest function is handed beside its writers, and what becomes of its errors."""

from pathlib import Path

import pandas as pd
import pytest

from rustybt.data import bundles
from rustybt.data.sources import get_source
from rustybt.data.sources.registered.calendars import zipline_calendar
from rustybt.data.sources.registered.frame_cache import FrameCache
from rustybt.errors import RequestError, StorageError
from tests.data.sources.registered.conftest import DAYS, bars_of, equities


def test_the_function_is_called_by_position_with_eleven_arguments(store):
    taken = []

    def function(*arguments):
        taken.append(arguments)
        arguments[3].write([(0, bars_of([10]))])
        arguments[1].write(equities=equities({0: "AAA"}))

    bundles.register("eleven", function, calendar_name="XETR")
    try:
        get_source("registered", bundle="eleven", environ={"KEY": "x"}).ingest_to_bundle("e", store=store)
    finally:
        bundles.unregister("eleven")
    ((environ, assets, minutes, daily, adjustments, calendar, start, end, cache, progress, folder),) = taken
    assert environ == {"KEY": "x"}
    assert [type(item).__name__ for item in (assets, minutes, daily, adjustments)] == [
        "AssetWriter",
        "MinuteBarWriter",
        "DailyBarWriter",
        "AdjustmentWriter",
    ]
    assert (calendar.name, calendar.side) == ("XETR", "right")
    assert (start, end) == (calendar.first_session, calendar.last_session)
    assert start.tzinfo is None
    assert progress is False
    assert not Path(folder).exists()
    with store.open("e") as bundle:
        assert bundle.calendar_name == "XETR"
    del cache


@pytest.mark.parametrize(
    ("registered", "expected"),
    [
        (("2015-01-05", "2016-01-04"), ("2015-01-05", "2016-01-04")),
        (("1900-01-01", "2999-01-01"), ("1990-01-02", None)),
        ((None, None), ("1990-01-02", None)),
    ],
)
def test_sessions_are_those_registered_within_the_calendar(define, registered, expected):
    seen = {}

    def function(calendar, start_session, end_session, daily_bar_writer, asset_db_writer):
        seen.update(start=start_session, end=end_session, last=calendar.last_session)
        daily_bar_writer.write([(0, bars_of([10]))])
        asset_db_writer.write(equities=equities({0: "AAA"}))

    start, end = (None if value is None else pd.Timestamp(value, tz="utc") for value in registered)
    define(function, start_session=start, end_session=end).fetch_sync(["AAA"])
    assert seen["start"] == pd.Timestamp(expected[0])
    assert seen["end"] == (pd.Timestamp(expected[1]) if expected[1] else seen["last"])


# The calendar library uses what a coming pandas deprecates.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_minutes_of_the_calendar_are_labelled_by_their_end_as_in_zipline(define):
    def function(calendar, minute_bar_writer, asset_db_writer):
        stamps = calendar.session_minutes("2020-01-02")
        minute_bar_writer.write_sid(0, bars_of([10.0] * len(stamps), stamps))
        asset_db_writer.write(equities=equities({0: "AAA"}))

    found = define(function).fetch_sync(["AAA"], frequency="1m")
    times = [stamp.strftime("%H:%M") for stamp in found["timestamp"]]
    assert (len(times), times[0], times[-1]) == (390, "14:30", "20:59")


def test_without_writers_the_function_gets_none_and_is_told_what_is_missing(define, store):
    seen = []

    def function(daily_bar_writer, asset_db_writer, minute_bar_writer, adjustment_writer, output_dir):
        seen.extend([daily_bar_writer, asset_db_writer, minute_bar_writer, adjustment_writer])
        Path(output_dir, "data").write_text("x")

    with pytest.raises(RequestError, match="the ingest function of mine wrote no bars") as caught:
        define(function, create_writers=False).ingest_to_bundle("mine", store=store)
    assert seen == [None] * 4
    assert "output_dir is not read" in caught.value.hint


def test_an_error_of_the_function_names_file_and_line(define, store):
    def function(cache):
        cache["absent"]

    with pytest.raises(RequestError) as caught:
        define(function).ingest_to_bundle("mine", store=store)
    assert "the ingest function of mine failed at" in caught.value.message
    assert "KeyError: 'absent'" in caught.value.message
    assert store.list_bundles() == []


def test_errors_of_the_store_pass_as_they_are(define):
    def function():
        raise StorageError("disk full")

    with pytest.raises(StorageError, match="disk full"):
        define(function).fetch_sync(["A"])


def test_a_function_that_leaves_the_program_does_not(define):
    def function():
        raise SystemExit(1)

    with pytest.raises(RequestError, match="SystemExit"):
        define(function).fetch_sync(["A"])


def test_prints_of_the_function_can_go_elsewhere(define, store, tmp_path, capsys):
    def function(daily_bar_writer, asset_db_writer):
        print("loading")  # noqa: T201
        daily_bar_writer.write([(0, bars_of([10]))])
        asset_db_writer.write(equities=equities({0: "AAA"}))

    with (tmp_path / "printed").open("w") as output:
        define(function, source_options={"output": output}).ingest_to_bundle("mine", store=store)
    assert (tmp_path / "printed").read_text() == "loading\n"
    assert capsys.readouterr().out == ""


def test_a_calendar_that_nobody_knows_is_refused_before_the_function_runs(define, store):
    def function():
        raise AssertionError

    with pytest.raises(RequestError, match="a bundle cannot be kept on the calendar 'XXXX'") as caught:
        define(function, calendar_name="XXXX").ingest_to_bundle("mine", store=store)
    assert "--calendar" in caught.value.hint
    with pytest.raises(RequestError, match="unknown calendar 'XXXX'"):
        zipline_calendar("XXXX")


def test_an_alias_that_a_definition_registered_is_followed(define, store):
    import exchange_calendars

    def function(daily_bar_writer, asset_db_writer):
        daily_bar_writer.write([(0, bars_of([10]))])
        asset_db_writer.write(equities=equities({0: "AAA"}))

    exchange_calendars.register_calendar_alias("MINE", "XLON")
    try:
        define(function, calendar_name="MINE").ingest_to_bundle("mine", store=store)
    finally:
        exchange_calendars.deregister_calendar("MINE")
    with store.open("mine") as bundle:
        assert bundle.calendar_name == "XLON"


def test_a_calendar_of_the_definitions_own_serves_the_function_and_another_one_the_bundle(define, store):
    import exchange_calendars

    own = zipline_calendar("XETR", start="2019-01-01", end="2021-01-01")
    seen = []

    def function(calendar, daily_bar_writer, asset_db_writer):
        seen.append(calendar)
        daily_bar_writer.write([(0, bars_of([10]))])
        asset_db_writer.write(equities=equities({0: "AAA"}))

    exchange_calendars.register_calendar("OWN", own)
    try:
        source = define(function, calendar_name="OWN", source_options={"calendar": "24/7"})
        source.ingest_to_bundle("mine", store=store)
    finally:
        exchange_calendars.deregister_calendar("OWN")
    assert seen == [own]
    assert source.options() == {"bundle": "mine", "calendar": "24/7"}
    with store.open("mine") as bundle:
        assert bundle.calendar_name == "24/7"


def test_other_frequencies_are_refused(define):
    with pytest.raises(RequestError, match="daily and minute bars, none of 1h"):
        define(lambda: None).fetch_sync(["A"], frequency="1h")


def test_a_plan_runs_nothing(define):
    def function():
        raise AssertionError

    plan = define(function, start_session=DAYS[0]).plan()
    assert plan.source == "registered"
    assert plan.notes[0] == "a function writes mine: its symbols are known when it has run"


def test_symbols_can_be_listed(define):
    def function(daily_bar_writer, asset_db_writer):
        daily_bar_writer.write([(1, bars_of([10])), (0, bars_of([10]))])
        asset_db_writer.write(equities=equities({0: "BBB", 1: "AAA", 2: "CCC"}))

    source = define(function)
    assert source.list_symbols() == ["AAA", "BBB"]
    assert source.supports_live() is False


def test_the_function_is_called_once_for_an_ingest_and_again_for_the_next(define, store):
    calls = []

    def function(daily_bar_writer, asset_db_writer):
        calls.append(1)
        daily_bar_writer.write([(0, bars_of([10]))])
        asset_db_writer.write(equities=equities({0: "AAA"}))

    source = define(function)
    assert source.ingest_to_bundle("mine", store=store).unchanged is False
    assert len(calls) == 1
    assert source.ingest_to_bundle("mine", store=store).unchanged is True
    assert len(calls) == 2


def test_frames_of_the_cache_are_copies_on_disk_and_go_with_it(tmp_path):
    cache = FrameCache(tmp_path)
    frame = pd.DataFrame({"a": [1]})
    cache["A/B"] = frame
    cache["A/B"] = frame + 1
    cache["C"] = frame
    frame.loc[0, "a"] = 9
    assert cache["A/B"].loc[0, "a"] == 2
    assert sorted(cache) == ["A/B", "C"]
    assert list(cache[:]) == ["A/B", "C"]
    del cache["C"]
    assert "C" not in cache
    with pytest.raises(KeyError):
        del cache["C"]
    assert len(list(tmp_path.iterdir())) == len(cache) == 1


def test_a_range_without_minutes_stores_the_days_and_says_so(define, store):
    minutes = pd.date_range("2020-01-02 14:31", periods=3, freq="min")

    def function(daily_bar_writer, minute_bar_writer, asset_db_writer):
        daily_bar_writer.write([(0, bars_of([10, 11, 12, 13, 14]))])
        minute_bar_writer.write([(0, bars_of([10, 11, 12], minutes))])
        asset_db_writer.write(equities=equities({0: "AAA"}))

    report = define(function).ingest_to_bundle("part", start="2020-01-06", store=store)
    assert (report.rows, report.version) == (3, 1)
    assert any("has no bars from 2020-01-06" in note for note in report.notes)


def test_a_date_that_is_none_is_refused_before_the_function_runs(define, store):
    ran = []

    def function(environ):
        ran.append(environ)

    source = define(function)
    with pytest.raises(RequestError):
        source.ingest_to_bundle("part", end="extension.py", store=store)
    assert ran == []
