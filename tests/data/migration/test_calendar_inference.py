"""The calendar of an old bundle is inferred from venues, types and sessions, and the answer says from which."""

from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest

from rustybt.data.migration.bars import find_files, infer_calendar
from tests.data.migration.old_bundles import JANUARY, MINUTES, bar, write


@pytest.mark.parametrize(
    ("exchange", "calendar"),
    [
        ("NYSE", "XNYS"),
        ("nyse", "XNYS"),
        ("NASDAQ", "XNYS"),
        ("ARCA", "XNYS"),
        ("NYSE ARCA", "XNYS"),
        ("BATS", "XNYS"),
        ("AMEX", "XNYS"),
        ("NMS", "XNYS"),
        ("LSE", "XLON"),
        ("XLON", "XLON"),
        ("TSX", "XTSE"),
        ("XETRA", "XETR"),
        ("CME", "CMES"),
        ("binance", "24/7"),
        ("Kraken", "24/7"),
        ("Coinbase Pro", "24/7"),
        ("crypto.com", "24/7"),
        ("FX", "24/5"),
    ],
)
def test_an_exchange_tells_its_calendar(exchange, calendar):
    assert infer_calendar((), [exchange], []) == (calendar, f"inferred from exchange {exchange}")


@pytest.mark.parametrize(
    ("kind", "calendar"), [("crypto", "24/7"), ("forex", "24/5"), ("future", "CMES"), ("Futures", "CMES")]
)
def test_an_asset_type_tells_a_calendar_where_no_exchange_does(kind, calendar):
    assert infer_calendar((), ["", "somewhere"], [kind]) == (calendar, f"inferred from asset type {kind}")


def test_exchanges_of_one_calendar_are_no_contradiction():
    assert infer_calendar((), {"NYSE", "NASDAQ"}, {"equity"}) == ("XNYS", "inferred from exchange NASDAQ, NYSE")


def test_an_exchange_says_more_than_a_type_that_is_not_crypto():
    assert infer_calendar((), ["XEUR"], ["future"])[0] == "XEUR"
    assert infer_calendar((), ["NYSE"], ["crypto"])[0] == "24/7"
    assert infer_calendar((), ["NYSE", "binance"], ["equity"])[0] == "24/7"


def test_of_two_calendars_that_one_is_taken_which_has_all_days():
    # 2023-01-02 was a holiday in New York and in London, 2023-05-01 one in London alone.
    days = [date(2023, 4, 28), date(2023, 5, 1)]
    assert infer_calendar((), ["LSE", "NYSE"], [], days) == ("XNYS", "inferred from exchanges LSE, NYSE and sessions")


def test_where_neither_has_all_days_every_weekday_is_one():
    # 2023-07-04 was a holiday in New York alone, 2023-05-01 in London alone.
    days = [date(2023, 5, 1), date(2023, 7, 4)]
    name, why = infer_calendar((), ["LSE", "NYSE"], [], days)
    assert name == "24/5"
    assert "no one calendar" in why


def days_from(first, count, weekdays):
    days = (date.fromisoformat(first) + timedelta(days=n) for n in range(count))
    return [day for day in days if day.weekday() in weekdays]


def test_bars_on_saturdays_and_sundays_never_close():
    days = days_from("2023-03-06", 21, range(7))
    assert infer_calendar((), [], [], days) == ("24/7", "inferred from sessions: bars on weekends")


def test_bars_on_sundays_alone_are_those_of_currencies():
    name, why = infer_calendar((), [], [], days_from("2023-03-06", 21, (0, 1, 2, 3, 4, 6)))
    assert (name, why) == ("24/5", "inferred from sessions: bars on Sundays, none on Saturdays")


def test_days_that_are_all_sessions_of_new_york_are_those():
    name, why = infer_calendar((), [], ["equity"], days_from("2023-03-06", 21, range(5)))
    assert (name, why) == ("XNYS", "inferred from sessions: every day with bars is one of XNYS")


def test_days_that_are_not_all_sessions_of_new_york_are_counted():
    # Monday 2023-02-20 was Presidents' Day.
    name, why = infer_calendar((), [], [], days_from("2023-02-20", 5, range(5)))
    assert (name, why) == ("XNYS", "assumed: 1 of 5 days with bars are no sessions of XNYS")


def test_a_slip_on_one_weekend_in_a_year_does_not_make_a_bundle_open_for_ever():
    days = [*days_from("2023-01-03", 300, range(5)), date(2023, 6, 10), date(2023, 6, 11)]
    assert infer_calendar((), [], [], days)[0] == "XNYS"


def test_nothing_known_is_said_to_be_assumed():
    assert infer_calendar((), [], []) == ("XNYS", "assumed: nothing says")
    assert infer_calendar((), ["", "  ", "\N{SNOWMAN}"], ["", "unknown"]) == ("XNYS", "assumed: nothing says")


def test_days_are_read_from_the_files_where_none_are_given(tmp_path):
    write(tmp_path / JANUARY, [bar(day, "X", "10") for day in days_from("2023-03-06", 14, range(7))])
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    assert infer_calendar(find_files(tmp_path, {}), [], [])[0] == "24/7"


def test_days_of_minute_bars_are_read_too(tmp_path):
    days = days_from("2023-03-06", 14, (0, 1, 2, 3, 4, 6))
    stamps = pa.array([datetime.combine(day, datetime.min.time()) + timedelta(hours=22) for day in days])
    write(tmp_path / MINUTES, [bar(day, "X", "10") for day in days], date=stamps)
    assert infer_calendar(find_files(tmp_path, {}), [], [])[0] == "24/5"


def test_a_file_that_vanished_since_has_no_voice(tmp_path):
    write(tmp_path / JANUARY, [bar(day, "X", "10") for day in days_from("2023-03-06", 14, range(7))])
    files = find_files(tmp_path, {})
    (tmp_path / JANUARY).unlink()
    assert infer_calendar(files, [], []) == ("XNYS", "assumed: nothing says")


def test_dates_beyond_all_calendars_are_passed_over():
    assert infer_calendar((), [], [], [date(1, 1, 1), date(9999, 12, 31)]) == ("XNYS", "assumed: nothing says")
