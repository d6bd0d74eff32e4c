from datetime import UTC, date, datetime

import exchange_calendars
import numpy as np
import pytest

from rustybt.errors import RequestError
from rustybt.market import calendars
from rustybt.market.calendars import calendar_for, calendar_names, canonical_name, get_calendar, library_version
from rustybt.market.trading_calendar import NO_BREAK

# exchange_calendars, asked directly as the oracle, uses what pandas 3.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

VENUES = ["XNYS", "XLON", "XHKG", "XTKS", "XASX", "CMES", "XFRA", "XBOM", "24/7", "24/5"]


def instant(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def new_york():
    return get_calendar("XNYS", date(2000, 3, 1), date(2013, 12, 31))


@pytest.mark.parametrize("name", VENUES)
def test_sessions_and_hours_agree_with_exchange_calendars(name):
    start, end = date(2015, 1, 1), date(2019, 12, 31)
    oracle = exchange_calendars.get_calendar(name, start="2014-01-01", end="2020-12-31")
    calendar = get_calendar(name, start, end)
    expected = oracle.sessions_in_range("2015-01-01", "2019-12-31")
    sessions = calendar.sessions_between(start, end)
    assert [str(s) for s in sessions] == [str(s.date()) for s in expected]
    at = calendar.session_index(sessions)
    for session, position in list(zip(expected, at, strict=True))[::97]:
        assert calendar.opens[position] == instant(oracle.session_open(session).strftime("%Y-%m-%dT%H:%M:%S"))
        assert calendar.closes[position] == instant(oracle.session_close(session).strftime("%Y-%m-%dT%H:%M:%S"))
        minutes = oracle.session_minutes(session)
        due = calendar.expected_bar_opens(session.date(), session.date(), "1m")
        assert len(due) == len(minutes)
    early = {str(s.date()) for s in oracle.early_closes}
    ours = {str(s) for s in calendar.early_closes}
    assert ours >= {s for s in early if "2015" <= s[:4] <= "2019"}


@pytest.mark.parametrize("day", ["2001-09-11", "2001-09-12", "2001-09-13", "2001-09-14", "2012-10-29", "2012-10-30"])
def test_new_york_was_closed_after_the_attacks_and_in_the_hurricane(new_york, day):
    assert not new_york.is_session(date.fromisoformat(day))


@pytest.mark.parametrize("day", ["2001-09-10", "2001-09-17", "2012-10-26", "2012-10-31"])
def test_new_york_was_open_around_them(new_york, day):
    assert new_york.is_session(date.fromisoformat(day))


def test_the_eve_of_independence_day_2013_is_a_half_day(new_york):
    at = new_york.session_index(np.array(["2013-07-03"], dtype="datetime64[D]"))[0]
    assert new_york.closes[at] == instant("2013-07-03T17:00")  # 13:00 in New York
    assert np.datetime64("2013-07-03") in new_york.early_closes
    assert len(new_york.expected_bar_opens(date(2013, 7, 3), date(2013, 7, 3), "1m")) == 210


def test_london_keeps_its_bank_holidays():
    london = get_calendar("XLON", date(2019, 1, 1), date(2019, 12, 31))
    assert not london.is_session(date(2019, 8, 26))
    assert london.is_session(date(2019, 8, 27))


def test_tokyo_has_a_lunch_break():
    tokyo = get_calendar("XTKS", date(2020, 1, 1), date(2020, 12, 31))
    lunch = np.array([instant("2020-01-06T02:29:59"), instant("2020-01-06T02:30"), instant("2020-01-06T03:30")])
    # 11:30 to 12:30 in Tokyo, UTC+9.
    assert (tokyo.session_of_instants(lunch) >= 0).tolist() == [True, False, True]


def test_the_clock_change_moves_the_open_in_utc(new_york):
    at = new_york.session_index(np.array(["2013-03-08", "2013-03-11"], dtype="datetime64[D]"))
    assert new_york.opens[at].tolist() == [instant("2013-03-08T14:30"), instant("2013-03-11T13:30")]


def test_a_venue_that_never_closes_has_every_day():
    always = get_calendar("24/7", date(2020, 2, 27), date(2020, 3, 2))
    days = always.sessions_between(date(2020, 2, 27), date(2020, 3, 2))
    assert [str(day) for day in days] == ["2020-02-27", "2020-02-28", "2020-02-29", "2020-03-01", "2020-03-02"]
    assert always.is_always_open
    assert len(always.expected_bar_opens(date(2020, 2, 29), date(2020, 2, 29), "1m")) == 1_440


@pytest.mark.parametrize(
    ("alias", "name"),
    [("NYSE", "XNYS"), ("nasdaq", "XNYS"), ("xnas", "XNYS"), ("LSE", "XLON"), ("CME", "CMES"), ("24/7", "24/7")],
)
def test_aliases_name_the_same_calendar_in_any_case(alias, name):
    assert canonical_name(alias) == name
    day = date(2020, 1, 2)
    assert get_calendar(alias, day, day) is get_calendar(name, day, day)


def test_an_unknown_calendar_is_refused_with_near_names():
    with pytest.raises(RequestError, match="XNYS"):
        get_calendar("XNYZ", date(2020, 1, 1), date(2020, 1, 2))
    with pytest.raises(RequestError, match="24/7"):
        canonical_name("qqqqqqqq")


def test_an_end_before_the_start_is_refused():
    with pytest.raises(RequestError, match="before the start"):
        get_calendar("XNYS", date(2020, 1, 2), date(2020, 1, 1))


def test_the_names_are_those_of_the_library():
    assert {"XNYS", "24/7", "XHKG"} <= set(calendar_names())
    assert calendar_names() == sorted(calendar_names())
    assert library_version() == exchange_calendars.__version__


def test_a_calendar_knows_sessions_beyond_the_range_asked_for():
    calendar = get_calendar("XNYS", date(2020, 1, 1), date(2020, 12, 31))
    assert calendar.previous_session(date(2020, 1, 1)) == date(2019, 12, 31)
    assert calendar.next_session(date(2020, 12, 31)) == date(2021, 1, 4)


def test_where_the_library_knows_holidays_only_within_bounds_the_calendar_says_so():
    shanghai = get_calendar("XSHG", date(1985, 1, 1), date(1995, 1, 1))
    assert shanghai.covered_start == date(1990, 12, 3)
    assert shanghai.sessions[0] >= np.datetime64("1990-12-03")
    before = np.array(["1989-06-01"], dtype="datetime64[D]")
    assert not shanghai.covers(before)[0]
    assert not shanghai.is_closed(before)[0]
    # In the library's own words.
    assert shanghai.limited_by.startswith("ValueError: The XSHG holidays are only recorded back to the year 1991")
    assert get_calendar("XSHG", date(2000, 1, 1), date(2001, 1, 1)).limited_by == ""


def test_a_range_wholly_beyond_the_bounds_gives_an_empty_calendar_and_no_error():
    shanghai = get_calendar("XSHG", date(1950, 1, 1), date(1960, 1, 1))
    assert shanghai.sessions.size == 0
    assert shanghai.covered_end < shanghai.covered_start
    days = np.array(["1955-01-03"], dtype="datetime64[D]")
    assert shanghai.session_index(days).tolist() == [-1]
    assert shanghai.session_of_instants(np.array([instant("1955-01-03T03:00")])).tolist() == [-1]
    assert shanghai.expected_bar_opens(date(1955, 1, 1), date(1956, 1, 1), "1m").size == 0
    assert shanghai.expected_bar_opens(date(1955, 1, 1), date(1956, 1, 1), "1w").size == 0
    assert not shanghai.is_closed(days)[0]


def test_a_calendar_that_the_library_cannot_build_is_empty_and_no_error(monkeypatch):
    def fail(*_, **__):
        raise NotImplementedError("implemented by subclasses")

    calendars._build.cache_clear()
    monkeypatch.setattr(exchange_calendars, "get_calendar", fail)
    try:
        broken = get_calendar("XBRU", date(2020, 1, 1), date(2020, 12, 31))
    finally:
        calendars._build.cache_clear()
    assert broken.sessions.size == 0
    assert broken.limited_by == "NotImplementedError: implemented by subclasses"


@pytest.mark.parametrize("defect", [KeyError, TypeError, AttributeError, IndexError, OverflowError])
def test_what_the_library_never_raises_for_a_range_is_seen(monkeypatch, defect):
    def fail(*_, **__):
        raise defect("a defect")

    calendars._build.cache_clear()
    monkeypatch.setattr(exchange_calendars, "get_calendar", fail)
    try:
        with pytest.raises(defect):
            get_calendar("XBRU", date(2020, 1, 1), date(2020, 12, 31))
    finally:
        calendars._build.cache_clear()


def test_a_long_reason_is_cut(monkeypatch):
    def fail(*_, **__):
        raise ValueError("special dates are no sessions: " + "2020-01-05 13:40, " * 100)

    calendars._build.cache_clear()
    monkeypatch.setattr(exchange_calendars, "get_calendar", fail)
    try:
        broken = get_calendar("XBRU", date(2020, 1, 1), date(2020, 12, 31))
    finally:
        calendars._build.cache_clear()
    assert broken.limited_by.startswith("ValueError: special dates are no sessions: 2020-01-05")
    assert len(broken.limited_by) <= 200
    assert broken.limited_by.endswith(" ...")


def test_a_calendar_that_fails_on_early_years_keeps_the_years_that_work(monkeypatch):
    real = exchange_calendars.get_calendar

    def fail_before_2018(name, start=None, end=None):
        if start is None or start < "2018":
            raise ValueError("special dates are no sessions")
        return real(name, start=start, end=end)

    calendars._build.cache_clear()
    monkeypatch.setattr(exchange_calendars, "get_calendar", fail_before_2018)
    try:
        calendar = get_calendar("XBRU", date(2010, 2, 1), date(2020, 11, 30))
    finally:
        calendars._build.cache_clear()
    assert (calendar.covered_start, calendar.covered_end) == (date(2018, 1, 1), date(2020, 12, 31))
    assert calendar.limited_by == "ValueError: special dates are no sessions"


@pytest.mark.parametrize(
    ("venue", "asset_type", "name"),
    [
        (None, "equity", "XNYS"),
        (None, "unknown", "XNYS"),
        (None, "crypto", "24/7"),
        (None, "forex", "24/5"),
        (None, "future", "CMES"),
        ("XNAS", "equity", "XNYS"),
        ("XLON", "equity", "XLON"),
        ("CME", "future", "CMES"),
        ("binance", "crypto", "24/7"),
        ("XNYS", "crypto", "24/7"),
        ("no such venue", "etf", "XNYS"),
    ],
)
def test_the_calendar_of_an_asset_follows_its_venue_and_type(venue, asset_type, name):
    assert calendar_for(venue, asset_type) == name


def test_dates_beyond_what_is_stored_are_clamped():
    always = get_calendar("24/7", date(1677, 1, 1), date(2300, 1, 1))
    assert (always.covered_start, always.covered_end) == (date(1900, 1, 1), date(2200, 12, 31))
    far = get_calendar("24/7", date(2300, 1, 1), date(2400, 1, 1))
    assert far.sessions.size


def test_sessions_without_a_break_carry_the_mark():
    hong_kong = get_calendar("XHKG", date(2020, 1, 1), date(2020, 12, 31))
    at = hong_kong.session_index(np.array(["2020-01-24"], dtype="datetime64[D]"))[0]
    # New Year's eve: morning only.
    assert hong_kong.break_starts[at] == NO_BREAK
    assert len(hong_kong.expected_bar_opens(date(2020, 1, 24), date(2020, 1, 24), "1m")) == 150
