"""The walk over pages, against exchanges that page in every way known; what they hold is known, so is what must come."""

import asyncio
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.data.adapters.ccxt.facts import ExchangeFacts
from rustybt.data.adapters.ccxt.labels import is_label, label_at_or_after, labels_between, next_label, show
from rustybt.data.adapters.ccxt.paging import BEFORE_ALL, BarWalk, check_page, to_bars
from rustybt.errors import BadResponseError, NotCoveredError
from rustybt.market.frequency import FREQUENCIES

HOUR = 3_600_000
DAY = 24 * HOUR
T0 = 1_704_067_200_000  # 2024-01-01, a Monday
FIVE_MINUTES = 300_000
UNKNOWN = ExchangeFacts()


def row(stamp):
    number = str(stamp // 1_000)
    return [stamp, number, number, number, number, "1"]


class Exchange:
    """Holds five-minute bars at `stamps`, and the daily ones made of them; counts requests."""

    def __init__(self, stamps, now, *, window=False, newest=None, cap=10):
        self.stamps = {"5m": sorted(stamps), "1d": sorted({stamp // DAY * DAY for stamp in stamps})}
        self.now, self.window, self.newest, self.cap = now, window, newest, cap
        self.requests = 0

    async def ask(self, frequency, since, limit):
        self.requests += 1
        assert self.requests < 2_000, "the walk does not end"
        held = self.stamps[frequency.name]
        held = held[: bisect_right(held, self.now)]
        count = min(limit, self.cap)
        if self.newest:
            return [row(stamp) for stamp in held[-self.newest :]]
        first = bisect_left(held, since)
        last = bisect_left(held, since + count * frequency.seconds * 1_000) if self.window else len(held)
        return [row(stamp) for stamp in held[first : min(last, first + count)]]


def walk(exchange, start, end, facts=UNKNOWN, *, page_size=10, probe=True, frequency="5m"):
    made = BarWalk(
        exchange.ask, "acme", "A/B", FREQUENCIES[frequency], facts, page_size, daily_probe=probe, now=exchange.now
    )
    rows = asyncio.run(made.rows(start, end))
    return [found[0] for found in rows], made


slots = st.sets(st.integers(0, 2_000), max_size=120)  # a week of five-minute bars with holes
ranges = st.tuples(st.integers(-50, 2_100), st.integers(0, 1_500))


@given(slots, ranges, st.booleans(), st.booleans(), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2_100))
def test_any_exchange_that_heeds_the_start_gives_exactly_its_bars(held, asked, window, probe, page, cap, now):
    """Windows or not, a smaller cap than told where there are no windows, holes of any length, a range of any place."""
    cap = page if window else cap
    stamps = [T0 + slot * FIVE_MINUTES for slot in held]
    start, end = T0 + asked[0] * FIVE_MINUTES + 1, T0 + (asked[0] + asked[1]) * FIVE_MINUTES
    exchange = Exchange(stamps, T0 + now * FIVE_MINUTES, window=window, cap=cap)
    # Bars of one page that are the newest of all look like those of an exchange that keeps no more.
    newest = [stamp for stamp in stamps if stamp <= exchange.now]
    if len(newest) >= page - 1 and newest and max(newest) + 2 * FIVE_MINUTES > exchange.now:
        exchange.stamps["5m"] = sorted({*exchange.stamps["5m"], label_at_or_after(start, FREQUENCIES["5m"])})
    found, _ = walk(exchange, start, end, page_size=page, probe=probe)
    assert found == [stamp for stamp in exchange.stamps["5m"] if start <= stamp <= min(end, exchange.now)]


@given(slots, ranges, st.integers(1, 12), st.integers(1, 12))
def test_an_exchange_known_to_skip_ahead_is_asked_no_more_than_needed(held, asked, page, cap):
    stamps = [T0 + slot * FIVE_MINUTES for slot in held]
    start, end = T0 + asked[0] * FIVE_MINUTES, T0 + (asked[0] + asked[1]) * FIVE_MINUTES
    exchange = Exchange(stamps, T0 + 3_000 * FIVE_MINUTES, cap=cap)
    found, _ = walk(exchange, start, end, ExchangeFacts(skips_ahead=True), page_size=page)
    expected = [stamp for stamp in sorted(stamps) if start <= stamp <= end]
    assert found == expected
    assert exchange.requests <= len(expected) // min(page, cap) + 2


def test_years_without_a_bar_are_crossed_by_days():
    """A window of ten five-minute bars is under an hour; a thousand hours would be a thousand requests."""
    stamps = [T0, T0 + 400 * DAY, T0 + 400 * DAY + FIVE_MINUTES]
    exchange = Exchange(stamps, T0 + 500 * DAY, window=True)
    assert walk(exchange, T0, T0 + 400 * DAY + HOUR)[0] == stamps
    # Forty for the days, and the windows of the one day that has bars.
    assert exchange.requests < 75


def test_an_exchange_that_keeps_the_newest_only_is_found_out_without_being_known():
    stamps = [T0 + n * FIVE_MINUTES for n in range(100)]
    exchange = Exchange(stamps, stamps[-1] + 1, newest=10)
    with pytest.raises(NotCoveredError, match=r"newest 10 bars of 5m only.*2024-01-01T07:30:00Z"):
        walk(exchange, T0, stamps[-1])
    assert exchange.requests == 1


def test_a_young_market_is_not_taken_for_one_that_keeps_the_newest_only():
    stamps = [T0 + n * FIVE_MINUTES for n in range(5)]
    found, made = walk(Exchange(stamps, stamps[-1] + 1), T0 - DAY, stamps[-1])
    assert found == stamps
    assert made.first_bar == T0


def test_the_newest_bars_are_delivered_where_all_that_is_asked_for_is_among_them():
    stamps = [T0 + n * FIVE_MINUTES for n in range(100)]
    exchange = Exchange(stamps, stamps[-1] + 1, newest=10)
    assert walk(exchange, stamps[92], stamps[99], ExchangeFacts(newest_only=10))[0] == stamps[92:]
    assert exchange.requests == 1


def test_a_page_that_goes_back_in_time_is_an_error_and_no_loop():
    async def ask(frequency, since, limit):
        return [row(since - HOUR)]

    exchange = Exchange([], T0 + DAY)
    exchange.ask = ask
    with pytest.raises(BadResponseError, match="before that only"):
        walk(exchange, T0, T0 + DAY)


def test_a_page_that_never_advances_ends():
    """The same bars whatever is asked: the second page holds nothing new."""
    same = [row(T0 + n * FIVE_MINUTES) for n in range(3)]

    async def ask(frequency, since, limit):
        return same

    exchange = Exchange([], T0 + DAY)
    exchange.ask = ask
    with pytest.raises(BadResponseError, match="before that only"):
        walk(exchange, T0, T0 + DAY)


def test_bars_beyond_the_end_are_left_out():
    stamps = [T0 + n * FIVE_MINUTES for n in range(30)]
    assert walk(Exchange(stamps, T0 + DAY), T0, stamps[12])[0] == stamps[:13]


def test_nobody_is_asked_for_bars_before_there_was_a_coin():
    exchange = Exchange([T0], T0 + DAY)
    assert walk(exchange, -5 * DAY, BEFORE_ALL - 1)[0] == []
    assert exchange.requests == 0


# -- labels ----------------------------------------------------------------------------------------------------------


def at(*when):
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("frequency", "stamp", "label", "following"),
    [
        ("1m", at(2024, 2, 29, 23, 59, 1), at(2024, 3, 1), at(2024, 3, 1, 0, 1)),
        ("1h", at(2024, 2, 29, 23), at(2024, 2, 29, 23), at(2024, 3, 1)),
        ("1d", at(2024, 2, 28, 1), at(2024, 2, 29), at(2024, 3, 1)),
        ("1w", at(2024, 2, 27), at(2024, 3, 4), at(2024, 3, 11)),
        ("1w", at(2024, 3, 4), at(2024, 3, 4), at(2024, 3, 11)),
        ("1M", at(2024, 2, 1), at(2024, 2, 1), at(2024, 3, 1)),
        ("1M", at(2023, 12, 1, 0, 0, 1), at(2024, 1, 1), at(2024, 2, 1)),
        ("1M", at(2024, 12, 1), at(2024, 12, 1), at(2025, 1, 1)),
    ],
)
def test_labels_lie_where_bars_begin(frequency, stamp, label, following):
    step = FREQUENCIES[frequency]
    assert label_at_or_after(stamp, step) == label
    assert next_label(label, step) == following
    assert is_label(label, step)
    assert not is_label(label + 1, step)


@pytest.mark.parametrize(("frequency", "bars"), [("1h", 25), ("1d", 2), ("1w", 1)])
def test_labels_between_two_are_counted_with_both(frequency, bars):
    assert labels_between(at(2024, 3, 4), at(2024, 3, 5), FREQUENCIES[frequency]) == bars


def test_a_time_is_shown_as_a_date_where_it_is_one():
    assert show(at(2024, 3, 4)) == "2024-03-04"
    assert show(at(2024, 3, 4, 5)) == "2024-03-04T05:00:00Z"


# -- pages -----------------------------------------------------------------------------------------------------------


def test_a_daily_bar_that_begins_at_four_in_the_afternoon_is_refused():
    """As HTX's do, whose day is that of Singapore: its label would be of the wrong date."""
    with pytest.raises(
        BadResponseError, match="1d bar of A/B that begins at 2024-01-01T16:00:00Z, off its grid"
    ) as caught:
        check_page([row(T0 + 16 * HOUR)], "acme", "A/B", FREQUENCIES["1d"])
    assert "--frequency 1h" in caught.value.hint


def test_a_week_that_begins_on_thursday_is_refused():
    with pytest.raises(BadResponseError, match="off its grid"):
        check_page([row(T0 + 3 * DAY)], "acme", "A/B", FREQUENCIES["1w"])


def test_a_page_in_any_order_comes_in_order_of_time():
    page = check_page([row(T0 + HOUR), row(T0), row(T0 + HOUR)], "acme", "A/B", FREQUENCIES["1h"])
    assert [found[0] for found in page] == [T0, T0 + HOUR]


def test_no_rows_are_an_empty_frame_of_the_contract():
    bars, missing, rule = to_bars([], "A/B")
    assert bars.is_empty()
    assert missing is None
    assert rule == "text"


def test_a_float_is_taken_for_the_shortest_decimal_and_recorded_as_one():
    bars, _, rule = to_bars([[T0, 3.443e-05, 0.1, 1.0, 2.5, 12345678.9]], "A/B")
    assert bars.row(0)[2:] == tuple(map(Decimal, ("0.00003443", "0.1", "1", "2.5", "12345678.9")))
    assert rule == "float64"
