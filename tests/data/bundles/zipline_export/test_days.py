"""daily_equities.bcolz."""

import pytest

from rustybt.data.bundles import layout
from rustybt.errors import RequestError

NOTHING = [0, 0, 0, 0, 0]


def test_a_price_is_stored_in_thousandths_and_sessions_without_a_bar_are_rows_of_zeros(commit, export):
    commit([("A", "2024-01-02", "1.5", "2.001", "1.25", "1.75", 1200), ("A", "2024-01-05", "2")])
    assert export().days("A") == {
        "2024-01-02": [1500, 2001, 1250, 1750, 1200],
        "2024-01-03": NOTHING,
        "2024-01-04": NOTHING,
        "2024-01-05": [2000, 2000, 2000, 2000, 2],
    }


def test_assets_lie_one_behind_the_other_whatever_file_they_came_from(commit, export, monkeypatch):
    monkeypatch.setattr(layout, "MAX_FILE_ROWS", 2)
    commit([(symbol, f"2024-01-0{day}", str(day)) for symbol in "ABC" for day in (2, 3, 4)])
    done = export()
    for symbol in "ABC":
        assert done.days(symbol) == {f"2024-01-0{day}": [day * 1000] * 4 + [day] for day in (2, 3, 4)}
    sids = done.sids
    assert done.attributes["first_row"] == {str(sids["A"]): 0, str(sids["B"]): 3, str(sids["C"]): 6}


def test_offsets_count_sessions_from_the_first_which_lies_a_year_before_the_bars(commit, export):
    commit([("A", "2024-01-02", "1"), ("B", "2024-01-04", "1")])
    done = export()
    said, sids = done.attributes, done.sids
    # 252 sessions before 2024-01-02: the year 2023 has 250, and two more.
    assert said["start_session_ns"] == 1_672_272_000 * 10**9  # 2022-12-29
    assert said["end_session_ns"] == 1_704_326_400 * 10**9  # 2024-01-04
    assert said["calendar_offset"] == {str(sids["A"]): 252, str(sids["B"]): 254}
    assert said["first_trading_day"] == 1_704_153_600  # 2024-01-02
    assert said["calendar_name"] == "XNYS"


def test_bars_on_days_that_are_no_sessions_are_left_out_and_told(commit, export):
    commit([("A", "2024-01-05", "1"), ("A", "2024-01-06", "2"), ("A", "2024-01-08", "3")])
    done = export()
    assert list(done.days("A")) == ["2024-01-05", "2024-01-08"]
    assert done.done.left_out_bars == 1
    assert "1 daily bars of A lie outside the sessions of Zipline's calendar and were left out" in done.notes


def test_where_trading_never_stops_every_day_is_a_session(commit, export):
    commit([("BTC", "2024-01-05", "1"), ("BTC", "2024-01-07", "3")], calendar="24/7")
    done = export()
    assert list(done.days("BTC")) == ["2024-01-05", "2024-01-06", "2024-01-07"]
    assert done.attributes["calendar_name"] == "24/7"
    assert "--trading-calendar 24/7" in done.done.next_step


def test_what_comes_before_ziplines_calendar_is_left_out_and_told(commit, export):
    commit([("A", "1989-12-28", "1"), ("A", "1990-01-02", "2"), ("OLD", "1989-12-28", "1")])
    done = export()
    assert list(done.days("A")) == ["1990-01-02"]
    assert done.attributes["calendar_offset"] == {str(done.sids["A"]): 0}
    assert "2 daily bars of A, OLD lie outside" in done.notes
    assert "OLD have no daily or minute bars that go over and were left out" in done.notes


def test_most_calendars_of_zipline_begin_twenty_years_before_today(commit, export):
    commit([("A", "2004-05-27", "1"), ("A", "2004-07-01", "2")], calendar="XLON")
    assert list(export().days("A")) == ["2004-07-01"]


def test_a_bundle_older_than_the_calendar_has_nothing_to_write(commit, export):
    commit([("A", "1980-01-02", "1")])
    with pytest.raises(
        RequestError, match="no bar in a session that Zipline's calendar XNYS knows: it begins on 1990-01-01"
    ):
        export()


def test_weekly_bars_are_named_as_left_out(commit, export):
    commit([("A", "2024-01-02", "1"), ("B", "2024-01-02", "1")])
    commit([("A", "2024-01-02", "9"), ("W", "2024-01-02", "9")], "1w")
    done = export()
    assert done.days("A") == {"2024-01-02": [1000] * 4 + [1]}
    assert "bars of 1w were left out" in done.notes
    assert "W have no daily or minute bars" in done.notes


def test_a_bundle_of_weekly_bars_alone_is_refused(commit, export):
    commit([("A", "2024-01-02", "9")], "1w")
    with pytest.raises(RequestError, match="b@1 has neither daily nor intraday bars"):
        export()


def test_symbols_without_daily_bars_get_them_from_intraday_ones(commit, export):
    commit([("A", "2024-01-02", "5")])
    commit(
        [
            ("B", "2024-01-02T14:30:00", "10", "12", "9", "11", 100),
            ("B", "2024-01-02T20:59:00", "11", "15", "8", "14", 50),
            ("B", "2024-01-02T21:00:00", "99"),  # after the close: of no session
            ("B", "2024-01-03T15:00:00", "20", "20", "20", "20", 7),
            ("A", "2024-01-02T14:30:00", "6"),
        ],
        "1m",
    )
    done = export()
    assert done.days("B") == {
        "2024-01-02": [10000, 15000, 8000, 14000, 150],
        "2024-01-03": [20000, 20000, 20000, 20000, 7],
    }
    assert done.days("A") == {"2024-01-02": [5000] * 4 + [5]}
    assert "daily bars of B were made of 1m bars" in done.notes


def test_a_session_that_begins_on_the_eve_in_another_month_is_one_daily_bar(commit, export):
    # Chicago's Thursday, 2024-02-01, opens on Wednesday at 23:00 UTC.
    rows = [
        ("ES", "2024-01-31T23:00:00", "10", "12", "9", "11", 100),
        ("ES", "2024-02-01T15:00:00", "11", "11", "7", "8", 5),
    ]
    commit(rows, "1m", calendar="CMES")
    done = export()
    assert done.days("ES") == {"2024-02-01": [10000, 12000, 7000, 8000, 105]}
    table = done.minutes("ES")
    lead = done.attributes["calendar_offset"][str(done.sids["ES"])] * done.described["minutes_per_day"]
    assert [at - lead for at, row in enumerate(table) if row[4]] == [0, 16 * 60]


def test_a_file_without_a_bar_in_a_session_is_passed_over(commit, export, monkeypatch):
    monkeypatch.setattr(layout, "MAX_FILE_ROWS", 1)
    commit([("A", "1980-01-02", "1"), ("B", "2024-01-02", "2"), ("C", "1980-01-02", "1")])
    done = export()
    assert done.days("B") == {"2024-01-02": [2000] * 4 + [2]}
    assert "A, C have no daily or minute bars that go over" in done.notes


def test_minutes_of_an_asset_whose_daily_bars_all_stay_behind_stay_behind_too(commit, export):
    commit([("A", "2024-01-06", "1"), ("B", "2024-01-05", "1")])
    commit([("A", "2024-01-05T14:30:00", "1"), ("B", "2024-01-05T14:30:00", "1")], "1m")
    done = export()
    assert list(done.sids) == ["B"]
    assert "A have no daily or minute bars that go over and were left out" in done.notes


def test_a_bundle_of_weekends_has_nothing_to_write(commit, export, tmp_path):
    commit([("A", "2024-01-06", "1"), ("A", "2024-01-13", "1")])
    with pytest.raises(RequestError, match="no bar of b@1 lies in a session of XNYS"):
        export()
    assert not (tmp_path / "root").exists()
