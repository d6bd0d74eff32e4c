from datetime import date

import polars as pl
import pytest

from rustybt.market.bars import DECIMAL, TIMESTAMP, series_starts
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.quality_outliers import find_outliers
from rustybt.market.request import DAY_MICROSECONDS, to_microseconds


def bars(closes, symbol="A", highs=None, lows=None):
    first = to_microseconds(date(2020, 1, 6))
    price = pl.Series([str(close) for close in closes]).cast(DECIMAL)
    changed = {}
    for name, values in (("high", highs), ("low", lows)):
        changed[name] = price if values is None else pl.Series([str(value) for value in values]).cast(DECIMAL)
    return pl.DataFrame(
        {
            "timestamp": pl.Series([first + n * DAY_MICROSECONDS for n in range(len(closes))]).cast(TIMESTAMP),
            "symbol": [symbol] * len(closes),
            "open": price,
            **changed,
            "close": price,
        }
    )


def find(frame, actions=()):
    starts = series_starts(frame["symbol"])
    found = find_outliers(frame, starts, frame["symbol"].gather(starts).to_list(), actions)
    return [(row, kind, round(change, 3)) for row, kind, change in found]


def test_ordinary_moves_are_none():
    assert find(bars([10, 14, 10, 13, 10])) == []


@pytest.mark.parametrize("closes", [[], [10], [10, 10]])
def test_short_series_have_none(closes):
    assert find(bars(closes)) == []


def test_a_spike_is_found_once():
    assert find(bars([10, 10.1, 100, 10.2, 10.1])) == [(2, "spike", 8.901)]
    assert find(bars([10, 10.1, 1, 10.2, 10.1])) == [(2, "spike", -0.901)]


def test_a_jump_stays():
    assert find(bars([10, 10.1, 20.2, 20.1, 20.3])) == [(2, "jump", 1.0)]
    assert find(bars([10, 10, 10, 25])) == [(3, "jump", 1.5)]


def test_a_wild_symbol_is_measured_by_its_own_moves():
    wild = [10, 16] * 11
    assert find(bars(wild)) == []


def test_a_wick_is_found():
    highs = [10, 10, 45, 10]
    lows = [10, 10, 10, 2]
    assert find(bars([10, 10, 10, 10], highs=highs, lows=lows)) == [(2, "wick", 3.5), (3, "wick", -0.8)]


def test_series_do_not_touch_each_other():
    both = pl.concat([bars([10, 10.1]), bars([100, 101], "B")])
    assert find(both) == []


def test_prices_at_or_below_zero_are_left_alone():
    assert find(bars([10, -37, 10, 0, 10])) == []


def test_an_action_explains_the_first_bar_from_its_ex_date():
    frame = pl.concat([bars([10, 10, 5, 5]), bars([10, 10, 5, 5], "B")])
    split = CorporateAction.split("A", date(2020, 1, 8), 2)
    assert find(frame, [split]) == [(6, "jump", -0.5)]
    weekend = CorporateAction.split("B", date(2020, 1, 8), 2)
    unknown = CorporateAction.split("Z", date(2020, 1, 8), 2)
    assert find(frame, [split, weekend, unknown]) == []
    late = CorporateAction.split("A", date(2021, 1, 8), 2)
    assert len(find(frame, [late])) == 2
