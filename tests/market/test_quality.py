from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from rustybt.errors import RequestError
from rustybt.market.bars import BAR_SCHEMA, check_bars, empty_bars
from rustybt.market.calendars import get_calendar
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.quality import QUARANTINE_SCHEMA, check_quality
from rustybt.market.request import to_microseconds

WEEK = ["2020-01-06", "2020-01-07", "2020-01-08", "2020-01-09", "2020-01-10"]


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def bar(when, close="10", symbol="A", *, opened=None, high=None, low=None, volume="100"):
    price = None if close is None else Decimal(close)
    values = (opened, high, low)
    opened, high, low = (price if value is None else Decimal(value) for value in values)
    return (at(when), symbol, opened, high, low, price, None if volume is None else Decimal(volume))


def frame(*rows):
    return pl.DataFrame(list(rows), schema=BAR_SCHEMA, orient="row")


def reasons(result):
    return result.quarantined["reason"].to_list()


def check(*rows, **options):
    result = check_quality(frame(*rows), **options)
    check_bars(result.bars)
    assert result.quarantined.schema == QUARANTINE_SCHEMA
    assert result.report.row_count == result.bars.height
    assert result.report.quarantined_count == result.quarantined.height
    assert result.bars.height + result.quarantined.height + result.report.duplicates == len(rows)
    return result


def test_clean_bars_pass_untouched():
    rows = [bar(day) for day in WEEK]
    result = check(*rows)
    assert result.bars.equals(frame(*rows))
    assert result.report.validation_passed
    assert result.report.calendar == "XNYS"
    assert result.report.symbols == {
        "A": {"rows": 5, "first": "2020-01-06", "last": "2020-01-10", "missing": 0, "quarantined": 0, "outliers": 0}
    }


def test_no_bars_at_all_pass():
    result = check_quality(empty_bars())
    assert result.bars.schema == BAR_SCHEMA
    assert result.report.validation_passed
    assert result.report.symbols == {}
    assert check_quality(empty_bars(), frequency="1m", now_us=0).bars.is_empty()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"high": "9", "low": "9.5", "opened": "9"}, "high below low; high below close; low above open"),
        ({"opened": "11", "high": "10.5"}, "high below open"),
        ({"high": "9.99", "low": "9.98", "opened": "9.99"}, "high below close"),
        ({"opened": "9"}, "low above open"),
        ({"low": "10.5", "high": "11", "opened": "10.5"}, "low above close"),
        ({"volume": "-1"}, "negative volume"),
        ({"low": "0"}, "zero price"),
        ({"low": "-1"}, "negative price"),
        ({"low": "-1", "volume": "-1"}, "negative price; negative volume"),
    ],
)
def test_a_row_is_set_aside_once_with_all_its_reasons(values, reason):
    result = check(bar("2020-01-06"), bar("2020-01-07", **values), bar("2020-01-08"))
    assert reasons(result) == [reason]
    assert result.quarantined["timestamp"].to_list() == [at("2020-01-07")]
    assert result.report.ohlcv_violations == 1
    assert result.report.quarantined == dict.fromkeys(reason.split("; "), 1)
    assert not result.report.validation_passed
    assert result.report.symbols["A"]["quarantined"] == 1


def test_the_smallest_difference_counts():
    result = check(bar("2020-01-06", "10", high="9.999999999999999999", low="9", opened="9"))
    assert reasons(result) == ["high below close"]


def test_negative_prices_are_legal_for_futures_only():
    oil = bar("2020-04-20", "-37.63", "CL", high="18", low="-40.32", opened="17.73")
    result = check(oil, asset_type_of="future", calendar_of="CMES")
    assert result.bars.height == 1
    assert result.report.negative_price_count == 1
    assert result.report.validation_passed
    mixed = check(oil, bar("2020-04-20", "-1", "Z"), asset_type_of={"CL": "future"}, calendar_of="CMES")
    assert mixed.quarantined["symbol"].to_list() == ["Z"]
    asked = check(oil, asset_type_of=lambda _: "commodity")
    assert asked.bars.height == 1


def test_no_volume_is_legal():
    assert check(bar("2020-01-06", volume="0")).report.validation_passed


def test_weekends_and_holidays_are_never_missing():
    # Friday before Martin Luther King day to the Tuesday after it.
    result = check(bar("2020-01-17"), bar("2020-01-21"))
    assert result.report.missing_days_count == 0
    assert result.report.validation_passed


def test_a_missing_session_is_named():
    result = check(bar("2020-01-06"), bar("2020-01-08"), bar("2020-01-06", symbol="B"), bar("2020-01-07", symbol="B"))
    assert result.report.missing_days_count == 1
    assert result.report.missing_days_list == ({"symbol": "A", "date": "2020-01-07"},)
    assert result.report.symbols["A"]["missing"] == 1
    assert result.report.symbols["B"]["missing"] == 0
    assert not result.report.validation_passed


def test_nothing_is_missing_before_the_first_and_after_the_last_bar():
    assert check(bar("2020-01-06"), bar("2020-01-15", symbol="B")).report.missing_days_count == 0


def test_a_venue_that_never_closes_misses_its_weekends():
    result = check(bar("2020-01-03", symbol="BTC"), bar("2020-01-06", symbol="BTC"), calendar_of="24/7")
    assert [item["date"] for item in result.report.missing_days_list] == ["2020-01-04", "2020-01-05"]


def test_each_symbol_is_judged_by_its_own_calendar():
    rows = [
        bar("2020-01-17", symbol="NY"),
        bar("2020-01-21", symbol="NY"),
        bar("2020-01-17", symbol="LN"),
        bar("2020-01-21", symbol="LN"),
        bar("2020-01-18", symbol="BTC"),
    ]
    result = check(*rows, calendar_of={"LN": "XLON", "BTC": "24/7"})
    # London works on Martin Luther King day; a symbol that nobody named trades in New York.
    assert result.report.missing_days_list == ({"symbol": "LN", "date": "2020-01-20"},)
    assert result.report.calendar == "24/7,XLON,XNYS"
    assert reasons(result) == []


def test_a_calendar_may_be_handed_over_or_asked_for():
    london = get_calendar("XLON", date(2020, 1, 1), date(2020, 2, 1))
    for calendar_of in (london, {"A": london}, lambda _: london, lambda _: "XLON"):
        result = check(bar("2020-01-17"), bar("2020-01-21"), calendar_of=calendar_of)
        assert result.report.missing_days_count == 1


def test_a_long_list_of_missing_days_is_cut_but_counted():
    result = check(bar("2000-01-03"), bar("2019-12-31"), calendar_of="24/7")
    assert result.report.missing_days_count == 7301
    assert len(result.report.missing_days_list) == 1_000
    assert result.report.missing_days_list[0] == {"symbol": "A", "date": "2000-01-04"}


def test_a_daily_bar_on_a_closed_day_is_set_aside():
    result = check(bar("2020-01-03"), bar("2020-01-04"), bar("2020-01-06"))
    assert reasons(result) == ["not a session of XNYS"]
    assert result.report.off_session_count == 1
    assert result.report.ohlcv_violations == 0
    assert result.report.notes == ()


def test_many_bars_on_closed_days_hint_at_a_wrong_calendar():
    rows = [bar(f"2020-01-{day:02d}", symbol="BTC/USDT") for day in range(1, 32)]
    result = check(*rows)
    assert result.report.off_session_count == 10
    assert any("BTC/USDT" in note and "--calendar" in note and "XNYS" in note for note in result.report.notes)


def test_the_hint_names_a_few_symbols_only():
    rows = [bar(f"2020-01-{day:02d}", symbol=f"C{n}") for n in range(7) for day in range(1, 32)]
    (note,) = check(*rows).report.notes
    assert "C4 and 2 more" in note


def test_where_a_calendar_knows_nothing_bars_are_kept_and_a_note_says_so():
    result = check(bar("1955-01-01"), bar("1955-01-03"), calendar_of="XSHG")
    assert result.bars.height == 2
    assert any("are unknown" in note for note in result.report.notes)
    assert any("only recorded back to the year 1991" in note for note in result.report.notes)
    partly = check(bar("1980-01-05"), bar("1991-01-07"), calendar_of="XSHG")
    assert partly.bars.height == 2
    (note,) = (note for note in partly.report.notes if "known only from 1990-12-03" in note)
    # Why, in the library's own words.
    assert "exchange_calendars: ValueError: The XSHG holidays are only recorded back to the year 1991" in note


def test_an_unknown_calendar_is_the_callers_error():
    with pytest.raises(RequestError, match="unknown calendar"):
        check(bar("2020-01-06"), calendar_of="NOWHERE")


@pytest.mark.parametrize("when", ["1677-01-03", "1899-12-29", "2200-01-01", "2300-01-03"])
def test_dates_out_of_range_are_set_aside(when):
    result = check(bar("2020-01-06"), bar(when))
    assert reasons(result) == ["date out of range"]
    assert result.bars.height == 1


def test_only_dates_out_of_range_leave_nothing():
    assert check(bar("1677-01-03"), bar("2300-01-03")).bars.is_empty()


def test_a_daily_bar_carries_its_date():
    result = check(bar("2020-01-06T05:00"))
    assert reasons(result) == ["not labelled at 00:00 UTC"]


def test_missing_fields_are_set_aside_by_name():
    rows = [
        bar("2020-01-06", None, volume="1"),
        bar("2020-01-07", volume=None),
        (None, "A", *bar("2020-01-08")[2:]),
        (at("2020-01-08"), None, *bar("2020-01-08")[2:]),
    ]
    result = check(*rows)
    assert sorted(reasons(result)) == [
        "missing open; missing high; missing low; missing close",
        "missing symbol",
        "missing timestamp",
        "missing volume",
    ]


def test_reasons_given_by_a_reader_come_first_and_replace_missing():
    bars = frame(bar("2020-01-06"), bar("2020-01-07", None, volume="-1"), bar("2020-01-08", volume=None))
    given = pl.Series([None, "close: not a number", None], dtype=pl.String)
    result = check_quality(bars, reasons=given)
    assert reasons(result) == ["close: not a number; negative volume", "missing volume"]
    assert result.report.quarantined == {"close: not a number": 1, "negative volume": 1, "missing volume": 1}
    untouched = check_quality(bars.head(1), reasons=given.head(1))
    assert untouched.bars.height == 1


def test_reasons_stay_with_their_rows_when_rows_are_sorted():
    bars = frame(bar("2020-01-08"), bar("2020-01-07"), bar("2020-01-06"))
    result = check_quality(bars, reasons=pl.Series(["bad", None, None], dtype=pl.String))
    assert result.quarantined["timestamp"].to_list() == [at("2020-01-08")]


def test_unusable_symbols_are_set_aside():
    result = check(
        bar("2020-01-06"),
        bar("2020-01-06", symbol="A\x00B"),
        bar("2020-01-06", symbol=" B"),
        bar("2020-01-06", symbol=""),
    )
    assert set(reasons(result)) == {"symbol not usable"}
    assert result.quarantined.height == 3


def test_a_volume_that_was_not_delivered_is_counted():
    bars = frame(bar("2020-01-07", volume="0"), bar("2020-01-06"))
    result = check_quality(bars, missing_volume=pl.Series([True, False]))
    assert result.report.missing_volume_count == 1
    assert result.bars.columns == list(BAR_SCHEMA)


def test_unsorted_rows_are_sorted():
    result = check(bar("2020-01-07", symbol="B"), bar("2020-01-07"), bar("2020-01-06", symbol="B"), bar("2020-01-06"))
    assert result.bars["symbol"].to_list() == ["A", "A", "B", "B"]


def test_identical_rows_are_stored_once_and_counted():
    result = check(bar("2020-01-06"), bar("2020-01-07"), bar("2020-01-06"), bar("2020-01-06"))
    assert result.report.duplicates == 2
    assert result.bars.height == 2
    assert result.report.validation_passed
    assert any("twice" in note for note in result.report.notes)


def test_of_rows_that_differ_the_last_delivered_wins():
    result = check(bar("2020-01-06", "10"), bar("2020-01-07"), bar("2020-01-06", "11"))
    assert result.bars["close"].to_list() == [Decimal(11), Decimal(10)]
    assert reasons(result) == ["duplicate timestamp with other values"]
    assert result.quarantined["close"].to_list() == [Decimal(10)]
    assert not result.report.validation_passed


def test_a_mix_of_repetitions_keeps_one_row():
    result = check(bar("2020-01-06", "10"), bar("2020-01-06", "11"), bar("2020-01-06", "10"))
    assert result.bars["close"].to_list() == [Decimal(10)]
    assert result.report.duplicates == 1
    assert result.quarantined["close"].to_list() == [Decimal(11)]


def test_a_bad_row_never_displaces_a_good_one():
    result = check(bar("2020-01-06", "10"), bar("2020-01-06", "11", high="1"))
    assert result.bars["close"].to_list() == [Decimal(10)]
    assert reasons(result) == ["high below low; high below open; high below close"]


def test_a_daily_bar_is_final_at_its_close():
    close = int(at("2020-01-10T21:00").timestamp()) * 1_000_000
    rows = [bar(day) for day in WEEK]
    assert check(*rows, now_us=close).bars.height == 5
    early = check(*rows, now_us=close - 1)
    assert reasons(early) == ["not final"]
    assert early.report.validation_passed
    assert check(*rows, now_us=10**16).bars.height == 5


def test_a_half_day_is_final_at_its_early_close():
    close = int(at("2013-07-03T17:00").timestamp()) * 1_000_000
    assert check(bar("2013-07-03"), now_us=close).bars.height == 1
    assert check(bar("2013-07-03"), now_us=close - 1).bars.height == 0


def test_an_intraday_bar_is_final_after_its_length():
    end = int(at("2020-01-06T14:35").timestamp()) * 1_000_000
    assert check(bar("2020-01-06T14:30"), frequency="5m", now_us=end).bars.height == 1
    assert check(bar("2020-01-06T14:30"), frequency="5m", now_us=end - 1).bars.height == 0


def test_a_week_is_final_at_the_close_of_its_last_session():
    friday = int(at("2020-01-10T21:00").timestamp()) * 1_000_000
    assert check(bar("2020-01-06"), frequency="1w", now_us=friday).bars.height == 1
    assert check(bar("2020-01-06"), frequency="1w", now_us=friday - 1).bars.height == 0


def test_where_no_session_is_known_a_bar_lasts_as_long_as_its_name_says():
    day = to_microseconds(date(1955, 1, 4))
    for calendar in ("XSHG",):
        assert check(bar("1955-01-03"), calendar_of=calendar, now_us=day).bars.height == 1
        assert check(bar("1955-01-03"), calendar_of=calendar, now_us=day - 1).bars.height == 0


def test_missing_minutes_are_counted_but_do_not_fail():
    rows = [bar(f"2020-01-06T14:{minute}") for minute in (30, 31, 34, 36)]
    result = check(*rows, frequency="1m")
    assert result.report.missing_bars_count == 3
    assert result.report.missing_bars_list == (
        {"symbol": "A", "timestamp": "2020-01-06T14:32:00+00:00", "count": 2},
        {"symbol": "A", "timestamp": "2020-01-06T14:35:00+00:00", "count": 1},
    )
    assert result.report.missing_days_count == 0
    assert result.report.validation_passed
    assert result.report.symbols["A"]["missing"] == 3


def test_nights_weekends_and_lunch_are_no_missing_minutes():
    # Tokyo trades to 11:30 and from 12:30 to 15:00, UTC+9; 2020-01-10 is a Friday and the 13th a holiday.
    rows = [bar(f"2020-01-{text}") for text in ("10T02:29", "10T03:30")]
    assert check(*rows, frequency="1m", calendar_of="XTKS").report.missing_bars_count == 0
    rows = [bar(f"2020-01-{text}") for text in ("10T05:59", "14T00:00")]
    assert check(*rows, frequency="1m", calendar_of="XTKS").report.missing_bars_count == 0


def test_a_half_day_has_no_missing_afternoon():
    rows = [bar("2013-07-03T16:59"), bar("2013-07-05T13:30")]
    assert check(*rows, frequency="1m").report.missing_bars_count == 0


def test_a_session_without_minutes_is_a_missing_day():
    result = check(bar("2020-01-06T20:59"), bar("2020-01-08T14:30"), frequency="1m")
    assert result.report.missing_days_list == ({"symbol": "A", "date": "2020-01-07"},)
    assert result.report.missing_bars_count == 390
    assert not result.report.validation_passed


def test_extended_hours_are_kept_and_counted():
    result = check(bar("2020-01-06T13:00"), bar("2020-01-06T14:30"), bar("2020-01-04T15:00"), frequency="1m")
    assert result.bars.height == 3
    assert result.report.off_session_count == 2
    assert result.report.validation_passed


def test_hours_on_the_clock_are_no_gaps():
    rows = [bar(f"2020-01-{day}T{hour}:00") for day in ("06", "07") for hour in range(14, 21)]
    result = check(*rows, frequency="1h")
    assert result.report.missing_bars_count == 0


def test_a_missing_week_fails_whatever_day_labels_it():
    result = check(bar("2020-01-06"), bar("2020-01-17"), frequency="1w")
    assert result.report.validation_passed
    result = check(bar("2020-01-06"), bar("2020-01-20"), frequency="1w")
    assert result.report.missing_bars_list == ({"symbol": "A", "timestamp": "2020-01-13", "count": 1},)
    assert not result.report.validation_passed
    assert result.report.missing_days_count == 0


def test_months_may_be_labelled_on_closed_days():
    result = check(bar("2020-01-31"), bar("2020-02-29"), bar("2020-03-31"), frequency="1M")
    assert result.bars.height == 3
    assert result.report.validation_passed


def test_a_split_that_nobody_told_of_is_an_outlier_and_an_announced_one_is_not():
    rows = [bar(day, close) for day, close in zip(WEEK, ("100", "101", "50.5", "50", "50.2"), strict=True)]
    result = check(*rows)
    assert result.bars.height == 5
    assert result.report.outliers == ({"symbol": "A", "timestamp": "2020-01-08", "kind": "jump", "change": -0.5},)
    assert result.report.symbols["A"]["outliers"] == 1
    assert result.report.validation_passed
    told = [CorporateAction.split("A", date(2020, 1, 8), 2)]
    assert check(*rows, actions=told).report.outlier_count == 0
