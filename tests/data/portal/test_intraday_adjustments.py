"""Splits, dividends and last prices where stretches of intraday bars begin and end; by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from rustybt.data.portal import BarData, MemoryBars, PolarsDataPortal
from rustybt.data.portal.arrays import intraday_panel
from rustybt.errors import RequestError
from rustybt.market.assets import Asset
from rustybt.market.calendars import get_calendar
from rustybt.market.corporate_actions import CorporateAction
from rustybt.testing.bars import frame_of_bars

SPLIT = CorporateAction.split
DIVIDEND = CorporateAction.cash_dividend
NOVEMBER = (date(2016, 11, 21), date(2016, 11, 30))


def opened(rows, actions, frequency="1h", dates=NOVEMBER, **more):
    bars = MemoryBars(frame_of_bars(rows), actions=actions, frequency=frequency, **more)
    portal = PolarsDataPortal(bars=bars, start=dates[0], end=dates[1], frequency=frequency)
    return portal, BarData(portal, lambda: None), bars.assets.lookup_symbol("A")


@pytest.fixture
def one_session_at_a_time(monkeypatch):
    monkeypatch.setattr(intraday_panel, "_STRETCH_BYTES", 1)


@pytest.fixture(params=["one stretch", "a stretch a session"])
def stretches(request, monkeypatch):
    if request.param != "one stretch":
        monkeypatch.setattr(intraday_panel, "_STRETCH_BYTES", 1)


def test_a_split_of_long_ago_adjusts_only_what_lies_before_it():
    """The axis begins 64 sessions before the run; a longer window must not move the split there."""
    rows = [("A", f"2016-{day} 19:30", "100") for day in ("05-02", "06-01", "07-01")]
    rows.append(("A", "2016-11-21 20:30", "100"))
    portal, data, asset = opened(rows, [SPLIT("A", "2016-05-16", 4)])
    portal.at_bar(0, 6)
    assert data.current(asset, "close") == 100
    found = data.history(asset, "close", 7 * 150, "1h").dropna()
    assert list(found) == [25, 100, 100, 100]


def test_a_dividend_before_what_was_held_is_found_when_the_window_grows():
    """Its ex-date is the first session of the axis that a short window needs."""
    first = get_calendar("XNYS", *NOVEMBER).sessions_between(date(2016, 8, 1), date(2016, 11, 18))[-64].item()
    rows = [("A", f"{at}", "100") for at in ("2016-08-01 19:30", f"{first} 19:30", "2016-11-21 20:30")]
    portal, data, asset = opened(rows, [DIVIDEND("A", first, "10")])
    portal.at_bar(0, 6)
    assert list(data.history(asset, "close", 7 * 65, "1h").dropna()) == [100, 100]
    assert list(data.history(asset, "close", 7 * 90, "1h").dropna()) == [90, 100, 100]
    assert data.history(asset, "price", 7 * 70, "1h").iloc[0] == 90


@pytest.mark.usefixtures("stretches")
def test_before_the_open_of_an_ex_date_everything_is_adjusted_for_it():
    rows = [("A", "2016-11-21 20:30", "100"), ("A", "2016-11-22 20:30", "89")]
    portal, data, asset = opened(rows, [DIVIDEND("A", "2016-11-22", "10")])
    portal.at_bar(0, 6)
    assert data.current(asset, "price") == 100
    portal.before_open(1)
    assert data.current(asset, "price") == data.current(asset, "close") == 90
    assert data.history(asset, "close", 1, "1h").iloc[0] == 90
    assert data.history(asset, "close", 1, "1d").iloc[0] == 90
    portal.at_bar(1, 0)
    assert data.current(asset, "price") == 90
    assert np.isnan(data.current(asset, "close"))
    portal.at_bar(1, 6)
    assert list(data.history(asset, "close", 2, "1d")) == [90, 89]


HALTED = [("A", "2016-11-21 20:30", "100"), ("A", "2016-11-28 20:30", "40"), ("B", "2016-11-30 20:30", "1")]


@pytest.mark.usefixtures("stretches")
@pytest.mark.parametrize("frequency", ["1h", "1d"])
@pytest.mark.parametrize(
    ("actions", "price"),
    [
        # Both factors of one day have the price before it as their base: 100 / 2 and (100 - 10) / 100.
        ([SPLIT("A", "2016-11-23", 2), DIVIDEND("A", "2016-11-23", "10")], 45),
        ([DIVIDEND("A", "2016-11-23", "10"), DIVIDEND("A", "2016-11-23", "20", pay_date="2016-12-20")], 72),
        # One after the other, each has what the one before it left.
        ([SPLIT("A", "2016-11-22", 2), DIVIDEND("A", "2016-11-23", "10")], 40),
        ([DIVIDEND("A", "2016-11-22", "10"), DIVIDEND("A", "2016-11-23", "10")], 80),
        # Saturday's is Monday's; Thanksgiving's is that of the half day.
        ([SPLIT("A", "2016-11-26", 2), DIVIDEND("A", "2016-11-24", "10")], 45),
    ],
)
def test_a_price_carried_through_a_halt_is_adjusted_by_each_event_on_its_day(frequency, actions, price):
    at = " 20:30" if frequency == "1h" else ""
    rows = [(symbol, moment[:10] + at, value) for symbol, moment, value in HALTED]
    portal, data, asset = opened(rows, actions, frequency)
    for t in range(5):
        if t == 4:
            # 2016-11-28 before its first bar.
            portal.before_open(t)
        else:
            portal.at_bar(t, 0)
            data.current(asset, "price")
    assert data.current(asset, "price") == pytest.approx(price, rel=1e-12)
    assert data.history(asset, "price", 1, "1d").iloc[0] == pytest.approx(price, rel=1e-12)
    portal.at_bar(4, 6 if frequency == "1h" else 0)
    assert list(data.history(asset, "price", 2, "1d")) == pytest.approx([price, 40], rel=1e-12)
    # 2016-11-21 was five sessions ago, of which Thanksgiving was none.
    assert data.history(asset, "close", 5, "1d").iloc[0] == pytest.approx(price, rel=1e-12)


@pytest.mark.usefixtures("stretches")
@pytest.mark.parametrize("frequency", ["1h", "1d"])
def test_a_dividend_after_the_last_session_adjusts_by_the_last_price(frequency):
    at = " 14:30" if frequency == "1h" else ""
    rows = [("A", f"2016-11-21{at}", "100"), ("B", f"2016-11-30{at}", "1")]
    portal, data, asset = opened(rows, [DIVIDEND("A", "2016-11-28", "10")], frequency)
    for t in range(6):
        portal.at_bar(t, 0)
        data.current(asset, "price")
    assert np.isnan(data.current(asset, "price"))
    assert list(data.history(asset, "close", 6, "1d").dropna()) == [90]


@pytest.mark.usefixtures("one_session_at_a_time")
def test_split_adjusted_last_prices_are_brought_back_to_the_shares_of_their_day():
    rows = [("A", "2016-08-01 14:30", "50"), ("A", "2016-11-28 14:30", "55")]
    actions = [SPLIT("A", "2016-11-23", 2)]
    portal, data, asset = opened(rows, actions, price_basis="split_adjusted")
    portal.at_bar(0, 6)
    assert data.current(asset, "price") == 100
    # As far back as the axis reaches, and further.
    assert data.history(asset, "price", 64 * 7, "1h").iloc[0] == 100
    assert data.history(asset, "price", 70 * 7, "1h").iloc[0] == 100
    portal.before_open(2)
    assert data.current(asset, "price") == 50


@pytest.mark.usefixtures("one_session_at_a_time")
def test_the_eve_belongs_to_the_session_whose_events_have_happened():
    """Sydney's Tuesday opens on Monday at 23:00 UTC: a bar of that hour trades without the right of Tuesday."""
    rows = [("A", "2016-11-20 23:00", "100"), ("A", "2016-11-21 23:00", "49"), ("A", "2016-11-30 00:00", "50")]
    portal, data, asset = opened(rows, [SPLIT("A", "2016-11-22", 2)], calendar_name="XASX")
    portal.at_bar(1, 0)
    assert data.current(asset, "price") == 49
    for t in (2, 3):
        portal.at_bar(t, 0)
        assert data.current(asset, "price") == 49
        assert np.isnan(data.current(asset, "close"))


@pytest.mark.usefixtures("stretches")
def test_a_foreign_dividend_has_the_price_before_the_ex_date_as_its_base():
    """London trades before New York opens; what it trades on the ex-date is no base."""
    frame = frame_of_bars(
        [("A", "2016-11-21 15:00", "100"), ("A", "2016-11-22 10:00", "50"), ("B", "2016-11-22 14:30", "1")]
    )
    bars = MemoryBars(frame, actions=[DIVIDEND("A", "2016-11-22", "10")], frequency="1h")
    bars.assets._by_symbol["A"] = asset = Asset(0, "A", "XLON", date(2016, 11, 21), date(2016, 11, 30))
    portal = PolarsDataPortal(bars=bars, start=NOVEMBER[0], end=NOVEMBER[1], frequency="1h")
    data = BarData(portal, lambda: None)
    for t in (0, 1):
        portal.at_bar(t, 6)
        data.current(asset, "price")
    assert list(data.history(asset, "close", 2, "1d")) == [90, 50]
    assert list(data.history(asset, "close", 14, "1h").dropna()) == [90, 50]


def test_the_running_session_that_a_strategy_holds_does_not_change_under_it():
    rows = [
        ("A", f"2016-11-21 {at}", *values)
        for at, values in zip(
            ["14:30", "15:30"], [("10", "11", "9", "10", "5"), ("10", "20", "1", "15", "7")], strict=True
        )
    ]
    portal, data, asset = opened(rows, [])
    portal.at_bar(0, 0)
    held = {f: data.history([asset], f, 1, "1d", output="numpy") for f in ("open", "high", "low", "close", "volume")}
    frame = data.history([asset], "high", 1, "1d")
    portal.at_bar(0, 1)
    assert list(data.history(asset, "high", 1, "1d")) == [20]
    assert {field: found[0, 0] for field, found in held.items()} == {
        "open": 10,
        "high": 11,
        "low": 9,
        "close": 10,
        "volume": 5,
    }
    assert frame.iloc[0, 0] == 11
    held["volume"][:] = 1_000
    data.history([asset], "volume", 1, "1d", output="numpy")[:] = 1_000
    assert list(data.history(asset, "volume", 1, "1d")) == [12]


def test_assets_first_asked_for_in_the_middle_see_the_whole_session():
    rows = [(symbol, "2016-11-21 14:30", str(i + 1)) for i, symbol in enumerate("ABC")]
    portal, data, asset = opened(rows, [])
    portal.at_bar(0, 0)
    assert data.history(asset, "close", 1, "1d").iloc[0] == 1
    portal.at_bar(0, 3)
    others = [portal.bars.assets.lookup_symbol(symbol) for symbol in "CBA"]
    assert list(data.history(others, "close", 1, "1d").iloc[0]) == [3, 2, 1]
    assert list(data.current(others, "price")) == [3, 2, 1]


class Counting:
    """Passes reads on and counts them."""

    def __init__(self, bars):
        self._bars = bars
        self.reads = []

    def __getattr__(self, name):
        return getattr(self._bars, name)

    def read_arrays(self, symbols=None, start=None, end=None, **more):
        self.reads.append((tuple(symbols), start, end))
        return self._bars.read_arrays(symbols, start=start, end=end, **more)


def year_of(frequency, symbols="ABC"):
    calendar = get_calendar("XNYS", date(2016, 1, 1), date(2016, 12, 31))
    labels = calendar.expected_bar_opens(date(2016, 1, 4), date(2016, 12, 30), frequency)
    stamps = [
        pd.Timestamp(int(label), unit="us", tz="UTC").to_pydatetime()
        for label in labels[:: 6 if frequency == "5m" else 1]
    ]
    return MemoryBars(frame_of_bars([(s, at, "10") for s in symbols for at in stamps]), frequency=frequency)


def test_a_year_of_bars_is_read_in_a_handful_of_calls():
    bars = Counting(year_of("5m"))
    portal = PolarsDataPortal(bars=bars, start=date(2016, 1, 4), end=date(2016, 12, 30), frequency="5m")
    data = BarData(portal, lambda: None)
    assets = [bars.assets.lookup_symbol(symbol) for symbol in "ABC"]
    for t in range(portal.axis.length):
        for number in range(len(portal.bar_ends(t))):
            portal.at_bar(t, number)
            data.current(assets, "price")
        data.history(assets, "close", 20, "5m")
        data.history(assets, "close", 20, "1d")
    # A few stretches; days made of them month by month; last prices before 2016, which there are none of.
    assert len(bars.reads) <= 24


def test_longer_windows_are_read_by_doubling():
    bars = Counting(year_of("1h", "A"))
    portal = PolarsDataPortal(bars=bars, start=date(2016, 12, 1), end=date(2016, 12, 30), frequency="1h")
    data = BarData(portal, lambda: None)
    asset = bars.assets.lookup_symbol("A")
    portal.at_bar(5, 3)
    for bar_count in range(1, 1_500, 7):
        found = data.history(asset, "close", bar_count, "1h")
        assert len(found) == bar_count
        assert not found.isna().any()
    assert len(bars.reads) <= 30


def test_a_listed_asset_without_bars_is_not_searched_for_at_every_bar():
    bars = Counting(
        MemoryBars(frame_of_bars([("A", "2016-01-04 14:30", "1"), ("A", "2016-12-30 14:30", "1")]), frequency="1h")
    )
    portal = PolarsDataPortal(bars=bars, start=date(2016, 11, 21), end=date(2016, 12, 16), frequency="1h")
    data = BarData(portal, lambda: None)
    asset = bars.assets.lookup_symbol("A")
    for t in range(portal.axis.length):
        portal.at_bar(t, 0)
        assert data.current(asset, "price") == 1
        assert data.current(asset, "last_traded") == pd.Timestamp("2016-01-04 15:30", tz="UTC")
    assert len(bars.reads) < 20


@pytest.fixture
def two():
    rows = [(s, f"2016-11-{day} 14:30", str(day + i)) for i, s in enumerate("AB") for day in (18, 21)]
    portal, data, a = opened(rows, [])
    portal.at_bar(0, 0)
    return portal, data, a, portal.bars.assets.lookup_symbol("B")


@pytest.mark.parametrize("frequency", ["1h", "1d", "1w", "1M"])
@pytest.mark.parametrize("output", ["pandas", "polars", "numpy"])
def test_no_assets_have_no_columns(two, frequency, output):
    portal, data, a, _ = two
    for _ in range(2):
        # Before any bar is read, and after.
        for field in ("close", "price", "volume"):
            found = data.history([], field, 2, frequency, output=output)
            assert found.shape == ((2, 1) if output == "polars" else (2, 0))
        assert len(data.current([], "close")) == 0
        assert data.current([], ["close", "volume"]).shape == (0, 2)
        assert len(data.can_trade([])) == 0
        assert portal.get_spot_value([], "close", "2016-11-21 15:30") == []
        assert portal.get_history_window([], "2016-11-21 15:30", 2, frequency, "close").shape == (2, 0)
        data.current(a, "close")


def test_assets_may_be_named_twice(two):
    _, data, a, b = two
    assert list(data.current([b, a, b], "close")) == [22, 21, 22]
    assert data.current([a, a], ["close", "open"]).shape == (2, 2)
    assert data.history([b, a, b], "close", 2, "1h").iloc[-1].to_list() == [22, 21, 22]
    assert data.history([b, a, b], "close", 2, "1d").to_numpy().tolist() == [[19, 18, 19], [22, 21, 22]]
    assert data.history([a, a], ["close", "open"], 1, "1d")["close"].to_list() == [21, 21]
    assert data.history([a, a], "close", 1, "1d", output="numpy").tolist() == [[21, 21]]


def test_assets_come_in_whatever_holds_them(two):
    _, data, a, b = two
    for several in (
        (a, b),
        pd.Index(np.array([a, b], dtype=object)),
        iter([a, b]),
        np.array([a, b], dtype=object),
        {a: 1, b: 2},
    ):
        assert data.history(several, "close", 1, "1d").iloc[0].to_list() == [21, 22]
    assert set(data.current({a, b}, "close")) == {21, 22}
    assert list(data.current((one for one in (b, a)), "close")) == [22, 21]
    assert data.current((a, b), ["close", "open"]).shape == (2, 2)
    several = [a]
    assert data.history(several, "close", 1, "1d").shape == (1, 1)
    several.append(b)
    assert data.history(several, "close", 1, "1d").shape == (1, 2)
    assert data.history(several, "close", 1, "1h").shape == (1, 2)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("close", 1, "1m"), "1m bars cannot be made of the 1h bars"),
        (("close", 1, "30m"), "30m bars cannot be made"),
        (("close", 1, "7m"), "unknown frequency"),
        (("close", 0, "1h"), "bar_count"),
        (("close", -1, "1d"), "bar_count"),
        (("close", 2.5, "1w"), "bar_count"),
        (("close", "2", "1h"), "bar_count"),
        (("close", None, "1h"), "bar_count"),
        (("close", 10**7, "1h"), "begins 19"),
        (("close", 10**7, "1d"), "begins 19"),
        (("close", 10**7, "1M"), "begins 19"),
        (("vwap", 1, "1h"), "no field 'vwap'"),
        (("vwap", 1, "1d"), "no field 'vwap'"),
        (("last_traded", 1, "1w"), "no field 'last_traded'"),
        ((["close", "vwap"], 1, "1d"), "no field 'vwap'"),
        (([], 1, "1d"), "field"),
    ],
)
def test_what_has_no_history_is_refused_and_the_clock_stays(two, asked, message):
    portal, data, a, _ = two
    with pytest.raises(RequestError, match=message):
        data.history(a, *asked)
    assert (data.current(a, "close"), portal.session) == (21, date(2016, 11, 21))
    assert list(data.history(a, "close", 2, "1d")) == [18, 21]


@pytest.mark.parametrize("wrong", ["A", None, 1, Decimal(1)])
def test_what_is_no_asset_is_refused(two, wrong):
    _, data, a, _ = two
    for assets in (wrong, [a, wrong]):
        with pytest.raises(RequestError, match="expected an asset"):
            data.current(assets, "close")
        with pytest.raises(RequestError, match="expected an asset"):
            data.history(assets, "close", 1, "1d")


def test_an_asset_of_another_finder_has_no_bars_here(two):
    _, data, a, _ = two
    stranger = Asset(99, "ZZZ")
    assert np.isnan(data.current(stranger, "price"))
    assert data.history([stranger, a], "close", 1, "1d").iloc[0].tolist() == pytest.approx([np.nan, 21], nan_ok=True)
    assert not data.can_trade(stranger)
