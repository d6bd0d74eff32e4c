"""Bars in memory as arrays: the nearest floats, several frequencies, whole sessions."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rustybt.data.portal import MemoryBars
from rustybt.errors import RequestError
from rustybt.market.bars import BAR_SCHEMA, VALUE_COLUMNS, empty_bars

#: Of Decimal(38, 18): 20 digits before the point, 18 behind it.
DECIMALS = st.integers(0, 10**38 - 1).map(lambda unscaled: Decimal((0, tuple(map(int, str(unscaled))), -18)))
USUAL = st.decimals(0, 10**6, places=4)


def instant(month, day, hour=0, minute=0):
    return datetime(2020, month, day, hour, minute, tzinfo=UTC)


def frame(*rows):
    """Contract bars of (symbol, timestamp, close), of one price and a volume of 1."""
    values = [(stamp, symbol, close, close, close, close, Decimal(1)) for symbol, stamp, close in rows]
    return pl.DataFrame(values, schema=BAR_SCHEMA, orient="row")


@given(st.lists(st.one_of(DECIMALS, USUAL), min_size=1, max_size=30))
@example([Decimal("0.1"), Decimal("99999999999999999999.999999999999999999")])
@example([Decimal(9007199254740993), Decimal("0.3")])
def test_every_float_is_the_one_nearest_to_its_decimal(prices):
    days = np.arange(len(prices)) * 86_400_000_000
    bars = pl.DataFrame(
        {
            "timestamp": pl.Series(days).cast(BAR_SCHEMA["timestamp"]),
            "symbol": ["A"] * len(prices),
            **{name: pl.Series(prices, dtype=BAR_SCHEMA["open"]) for name in VALUE_COLUMNS},
        }
    )
    block = MemoryBars(bars).read_arrays()
    for name in VALUE_COLUMNS:
        assert block.values[name].tolist() == [float(price) for price in prices]


def test_a_block_is_sorted_by_symbol_and_names_only_those_with_bars():
    rows = [(s, instant(1, day), Decimal(n)) for s in "ABC" for n, day in enumerate((2, 3, 6), 1)]
    bars = MemoryBars(frame(*rows))
    block = bars.read_arrays(["C", "A"], date(2020, 1, 3), date(2020, 1, 6), ("close",))
    assert block.symbols == ("A", "C")
    assert block.symbol_codes.tolist() == [0, 0, 1, 1]
    assert block.symbol_codes.dtype == np.int32
    assert block.values["close"].tolist() == [2.0, 3.0, 2.0, 3.0]
    assert block.timestamps.tolist() == [1578009600000000, 1578268800000000] * 2
    assert list(block.values) == ["close"]


def test_no_bars_are_empty_arrays():
    for bars in (MemoryBars(empty_bars()), MemoryBars(frame(("A", instant(1, 2), Decimal(1))))):
        block = bars.read_arrays(["Z"], date(2019, 1, 2))
        assert block.symbols == ()
        assert block.timestamps.shape == block.symbol_codes.shape == (0,)
        assert {values.shape for values in block.values.values()} == {(0,)}
        assert {values.dtype for values in block.values.values()} == {np.dtype(np.float64)}
    assert MemoryBars(empty_bars()).symbols == ()


class TestSeveralFrequencies:
    @pytest.fixture
    def bars(self):
        minutes = frame(
            ("A", instant(1, 2, 14, 30), Decimal(10)),
            ("A", instant(1, 7, 20, 59), Decimal(11)),
            ("M", instant(1, 6, 14, 30), Decimal(5)),
        )
        days = frame(("A", instant(1, 3), Decimal(20)), ("D", instant(1, 8), Decimal(7)))
        return MemoryBars(minutes, frequency="1m", more={"1d": days})

    def test_the_shortest_is_named_first_and_all_symbols_are_known(self, bars):
        assert bars.frequencies == ("1m", "1d")
        assert bars.symbols == ("A", "D", "M")

    def test_the_frequency_picks_the_bars_and_none_means_daily(self, bars):
        assert bars.read_arrays(frequency="1m").values["close"].tolist() == [10.0, 11.0, 5.0]
        assert bars.read_arrays(frequency="1d").values["close"].tolist() == [20.0, 7.0]
        assert bars.read_arrays().values["close"].tolist() == [20.0, 7.0]
        assert bars.read_arrays(["M"], frequency="1d").symbols == ()

    def test_none_means_the_only_one(self):
        hours = MemoryBars(frame(("A", instant(1, 2, 15), Decimal(3))), frequency="1h")
        assert hours.read_arrays().values["close"].tolist() == [3.0]

    def test_another_frequency_is_refused(self, bars):
        with pytest.raises(RequestError, match="of frequency 1m, 1d, not 1h"):
            bars.read_arrays(frequency="1h")
        with pytest.raises(RequestError, match="unknown frequency"):
            bars.read_arrays(frequency="7 fortnights")

    def test_two_frames_of_one_frequency_are_refused(self):
        one = frame(("A", instant(1, 2), Decimal(3)))
        with pytest.raises(RequestError, match="two frames of 1d bars"):
            MemoryBars(one, more={"daily": one})

    def test_an_asset_lives_from_its_first_to_its_last_bar_of_any_frequency(self, bars):
        spans = {s: bars.assets.lookup_symbol(s) for s in bars.symbols}
        assert {s: (a.first_session, a.last_session) for s, a in spans.items()} == {
            "A": (date(2020, 1, 2), date(2020, 1, 7)),
            "D": (date(2020, 1, 8), date(2020, 1, 8)),
            "M": (date(2020, 1, 6), date(2020, 1, 6)),
        }


class TestSessionsThatOpenOnTheEve:
    """Sydney's session of Tuesday, 4 February 2020, opens on Monday at 23:00 UTC."""

    @pytest.fixture
    def bars(self):
        stamps = (instant(2, 3, 4), instant(2, 3, 23), instant(2, 4, 1), instant(2, 4, 23))
        rows = [("BHP", stamp, Decimal(n)) for n, stamp in enumerate(stamps, 1)]
        return MemoryBars(frame(*rows), frequency="1m", calendar_name="XASX")

    def test_an_assets_sessions_are_those_of_the_calendar(self, bars):
        asset = bars.assets.lookup_symbol("BHP")
        assert (asset.first_session, asset.last_session) == (date(2020, 2, 3), date(2020, 2, 5))

    def test_a_date_reads_its_whole_session(self, bars):
        block = bars.read_arrays(start=date(2020, 2, 4), end=date(2020, 2, 4))
        assert block.values["close"].tolist() == [2.0, 3.0]

    def test_an_instant_is_an_instant(self, bars):
        block = bars.read_arrays(start=instant(2, 3, 23), end=instant(2, 4, 0, 30))
        assert block.values["close"].tolist() == [2.0]

    def test_a_bar_outside_trading_hours_belongs_to_its_utc_day(self):
        bars = MemoryBars(frame(("A", instant(1, 4, 12), Decimal(1))), frequency="1m")
        assert bars.assets.lookup_symbol("A").first_session == date(2020, 1, 4)
