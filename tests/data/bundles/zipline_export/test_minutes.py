"""minute_equities.bcolz: 390 rows a session of New York, a minute named by its end in Zipline."""

from rustybt.data.bundles import layout

LEAD = 252 * 390


def traded(table):
    return {at: row for at, row in enumerate(table) if row[4]}


def test_a_minute_lies_as_many_rows_after_its_sessions_as_it_opens_after_the_open(commit, export):
    rows = [("A", f"2024-01-0{day}T{time}:00", price) for day, time, price in ((2, "14:30", "1"), (3, "20:59", "2"))]
    commit([*rows, ("A", "2024-01-03T14:31:00", "3.5", "4", "3", "3.25", 60)], "1m")
    done = export()
    table = done.minutes("A")
    assert traded(table) == {
        LEAD: [1000, 1000, 1000, 1000, 1],
        LEAD + 391: [3500, 4000, 3000, 3250, 60],
        LEAD + 779: [2000, 2000, 2000, 2000, 2],
    }
    assert len(table) == LEAD + 780
    assert done.described == {
        "version": 3,
        "ohlc_ratio": 1000,
        "ohlc_ratios_per_sid": None,
        "minutes_per_day": 390,
        "calendar_name": "XNYS",
        "start_session": "2022-12-29",
        "end_session": "2024-01-03",
    }
    assert done.done.has_minutes
    assert "--data-frequency" not in done.done.next_step


def test_a_half_day_has_as_many_rows_as_any_other(commit, export):
    # 2023-11-24 closes at 18:00 UTC; the bar at 18:00 is after the close.
    rows = [("A", "2023-11-24T17:59:00", "1"), ("A", "2023-11-24T18:00:00", "2"), ("A", "2023-11-27T14:30:00", "3")]
    commit(rows, "1m")
    done = export()
    assert list(traded(done.minutes("A"))) == [LEAD + 209, LEAD + 390]
    assert "1 minute bars of A lie outside the sessions" in done.notes


def test_a_bundle_of_half_days_alone_keeps_the_usual_length(commit, export):
    commit([("A", "2023-11-24T14:30:00", "1")], "1m")
    assert export().described["minutes_per_day"] == 390


def test_where_trading_never_stops_a_session_has_1440_minutes(commit, export):
    commit([("BTC", "2024-01-05T00:00:00", "1"), ("BTC", "2024-01-06T23:59:00", "2")], "1m", calendar="24/7")
    done = export()
    assert done.described["minutes_per_day"] == 1440
    assert list(traded(done.minutes("BTC"))) == [252 * 1440, 252 * 1440 + 2 * 1440 - 1]


def test_minutes_of_many_months_and_files_come_together(commit, export, monkeypatch):
    monkeypatch.setattr(layout, "MAX_FILE_ROWS", 3)
    rows = [
        (symbol, f"2024-{month:02}-0{day}T15:0{minute}:00", str(month * 100 + day * 10 + minute))
        for symbol in "AB"
        for month in (2, 3, 6)
        for day in (5, 6)
        for minute in (0, 1)
    ]
    commit(rows, "1m")
    commit([("B", "2024-02-02T15:00:00", "9")], "1m")
    done = export()
    for symbol in "AB":
        prices = [row[0] // 1000 for row in traded(done.minutes(symbol)).values()]
        assert prices == [9] * (symbol == "B") + [int(price) for name, _, price in rows if name == symbol]


def test_bars_that_open_within_a_minute_have_no_row(commit, export):
    commit([("A", "2024-01-02T14:30:30", "1"), ("A", "2024-01-02T14:31:00", "2")], "1m")
    done = export()
    assert list(traded(done.minutes("A"))) == [LEAD + 1]
    assert done.done.left_out_bars == 1


def test_an_asset_without_minutes_has_an_empty_table_beside_those_that_have_some(commit, export):
    commit([("A", "2024-01-02", "1"), ("B", "2024-01-02", "1")])
    assert not list((export().folder / "minute_equities.bcolz").glob("*/*"))
    commit([("A", "2024-01-02T14:30:00", "1")], "1m")
    done = export("other")
    assert done.minutes("B") == []
    assert len(done.minutes("A")) == LEAD + 1


def test_cheap_assets_get_the_decimals_that_they_need_in_minutes(commit, export):
    commit([("A", "2024-01-02", "1"), ("C", "2024-01-02", "1")])
    cheap = ("0.12345", "0.12345", "0.12345", "0.12345", "5")
    commit([("A", "2024-01-02T14:30:00", *cheap), ("C", "2024-01-02T14:30:00", *(["0.125"] * 4), "5")], "1m")
    done = export()
    assert done.described["ohlc_ratios_per_sid"] == {str(done.sids["A"]): 100_000}
    assert traded(done.minutes("A"))[LEAD][:4] == [12345] * 4
    assert traded(done.minutes("C"))[LEAD][:4] == [125] * 4
    assert done.done.rounded_prices == 0


def test_decimals_that_the_highest_price_leaves_no_room_for_are_rounded_and_told(commit, export):
    commit([("A", "2024-01-02", "1")])
    commit([("A", "2024-01-02T14:30:00", "400000.12345"), ("A", "2024-01-02T14:31:00", "1")], "1m")
    done = export()
    assert done.described["ohlc_ratios_per_sid"] == {str(done.sids["A"]): 10_000}
    assert traded(done.minutes("A"))[LEAD][:4] == [4_000_001_234] * 4
    assert done.done.rounded_prices == 1
    assert "e.g. A at 2024-01-02 14:30 UTC: 400000.12345 became 400000.1234" in done.notes


def test_a_lunch_break_has_its_rows_and_is_told(commit, export):
    # Tokyo trades from 00:00 to 02:30 and from 03:30 to 06:00 UTC.
    rows = [("7203", f"2024-01-04T{time}:00", "1") for time in ("02:29", "03:00", "03:30")]
    commit(rows, "1m", calendar="XTKS")
    done = export()
    per_day = done.described["minutes_per_day"]
    assert per_day == 390, "since 2024-11-05 Tokyo closes half an hour later"
    assert list(traded(done.minutes("7203"))) == [252 * per_day + 149, 252 * per_day + 210]
    assert "XTKS has lunch breaks" in done.notes
    assert done.done.left_out_bars == 1
