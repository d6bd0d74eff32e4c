"""`data.history`: shapes, adjustments as of the clock, windows beyond the data; by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.data.portal import BarData, PolarsDataPortal
from rustybt.data.portal.arrays.adjustments import HistoryEvent
from rustybt.data.portal.arrays.as_of_array import AsOfArray
from rustybt.errors import RequestError
from rustybt.market.corporate_actions import CorporateAction


def open_market(bars, t, **options):
    portal = PolarsDataPortal(bars=bars, **options)
    portal.set_clock(t, t)
    return portal, BarData(portal, lambda: None), [bars.assets.lookup_symbol(s) for s in bars.symbols]


@pytest.fixture
def plain(make_bars):
    return open_market(make_bars({"A": [10, 11, 12, 13], "B": [20, None, 22, 23]}, volume=50), 3)


def test_one_asset_and_field_is_a_series_by_session(plain):
    _, data, (a, _) = plain
    found = data.history(a, "close", 2, "1d")
    assert isinstance(found, pd.Series)
    assert found.name == a
    assert list(found.index) == [pd.Timestamp("2020-01-06"), pd.Timestamp("2020-01-07")]
    assert found.index.tz is None
    assert found.index.dtype == "datetime64[ns]"
    assert list(found) == [12.0, 13.0]


def test_several_assets_are_columns_in_the_order_asked_for(plain):
    _, data, (a, b) = plain
    found = data.history([b, a], "close", 3, "1d")
    assert list(found.columns) == [b, a]
    np.testing.assert_array_equal(found.to_numpy(), [[np.nan, 11], [22, 12], [23, 13]])
    assert list(data.history([b, a], "volume", 3, "1d")[b]) == [0.0, 50.0, 50.0]


def test_several_fields_are_columns_and_rows_are_dates_and_assets(plain):
    _, data, (a, b) = plain
    found = data.history([b, a], ["close", "price"], 2, "1d")
    assert list(found.columns) == ["close", "price"]
    assert found.columns.name == "fields"
    assert found.index.names == ["date", None]
    day, last = pd.Timestamp("2020-01-06"), pd.Timestamp("2020-01-07")
    assert list(found.index) == [(day, a), (day, b), (last, a), (last, b)]
    assert list(found["close"]) == [12.0, 22.0, 13.0, 23.0]
    single = data.history(a, ["close"], 1, "1d")
    assert list(single.index) == [(last, a)]


def test_arrays_and_polars_frames_hold_the_same_numbers(plain):
    _, data, (a, b) = plain
    np.testing.assert_array_equal(data.history(a, "close", 2, "1d", output="numpy"), [12, 13])
    np.testing.assert_array_equal(data.history([a, b], "price", 2, "1d", output="numpy"), [[12, 22], [13, 23]])
    assert data.history([a, b], ["open", "close"], 2, "1d", output="numpy").shape == (2, 2, 2)
    wide = data.history([a, b], "close", 2, "1d", output="polars")
    assert wide.to_dict(as_series=False) == {
        "date": [date(2020, 1, 6), date(2020, 1, 7)],
        "A": [12.0, 13.0],
        "B": [22.0, 23.0],
    }
    tall = data.history([b, a], ["close", "volume"], 1, "1d", output="polars")
    assert isinstance(tall, pl.DataFrame)
    assert tall.rows() == [(date(2020, 1, 7), "A", 13.0, 50.0), (date(2020, 1, 7), "B", 23.0, 50.0)]


def test_a_window_is_the_callers_own(plain):
    _, data, (a, b) = plain
    data.history([a, b], "close", 2, "1d", output="numpy")[:] = 0
    assert data.current(a, "close") == 13.0
    assert list(data.history(a, "close", 2, "1d")) == [12.0, 13.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vwap", 2, "1d"), "no field 'vwap'"),
        (("close", 0, "1d"), "from 1 on"),
        (("close", 2.5, "1d"), "from 1 on"),
        (("close", 2, "1m"), "1m bars cannot be made of the 1d bars"),
        (("close", 2, "2d"), "unknown frequency"),
    ],
)
def test_what_cannot_be_answered_is_refused(plain, arguments, message):
    _, data, (a, _) = plain
    with pytest.raises(RequestError, match=message):
        data.history(a, *arguments)


@pytest.mark.parametrize("fields", ["close", ["close"]])
def test_an_unknown_output_is_refused(plain, fields):
    _, data, (a, _) = plain
    with pytest.raises(RequestError, match="unknown output"):
        data.history(a, fields, 2, "1d", output="arrow")


def test_sessions_before_the_first_bar_are_nan_and_volume_0(plain):
    portal, data, (a, _) = plain
    found = data.history(a, "price", 300, "1d")
    assert len(found) == 300
    assert found.notna().sum() == 4
    assert list(found[-4:]) == [10.0, 11.0, 12.0, 13.0]
    assert found.index[0] < pd.Timestamp("2018-11-01")
    assert data.history(a, "volume", 300, "1d").sum() == 200
    assert portal.axis.before >= 296


def test_a_window_longer_than_the_calendar_is_refused(plain):
    _, data, (a, _) = plain
    with pytest.raises(RequestError, match="calendar XNYS begins"):
        data.history(a, "price", 100_000, "1d")


def test_reaching_back_doubles(make_bars):
    closes = list(range(10, 510))
    bars = make_bars({"A": closes})
    portal = PolarsDataPortal(bars=bars, start=date(2021, 9, 1), end=date(2021, 9, 30))
    portal.set_clock(0, 0)
    data = BarData(portal, lambda: None)
    asset = bars.assets.lookup_symbol("A")
    first = data.current(asset, "close")
    assert portal.axis.before == 64
    found = data.history(asset, "close", 70, "1d")
    assert list(found) == [first - 69 + i for i in range(70)]
    assert portal.axis.before == 128


def test_bars_before_a_split_are_adjusted_from_its_ex_date_on(make_bars):
    action = CorporateAction.split("A", date(2020, 1, 7), 3, 2)
    bars = make_bars({"A": [30, 33, 36, 25, 26]}, volume=300, actions=[action])
    portal, data, (a,) = open_market(bars, 2)
    assert list(data.history(a, "close", 3, "1d")) == [30.0, 33.0, 36.0]
    portal.set_clock(3, 3)
    np.testing.assert_allclose(data.history(a, "close", 4, "1d"), [20, 22, 24, 25], rtol=1e-15)
    np.testing.assert_allclose(data.history(a, "volume", 4, "1d"), [450, 450, 450, 300], rtol=1e-15)
    np.testing.assert_allclose(data.history(a, "high", 2, "1d"), [37 * 2 / 3, 26], rtol=1e-15)


def test_bars_before_a_dividend_are_adjusted_by_its_share_of_the_last_close(make_bars):
    action = CorporateAction.cash_dividend("A", date(2020, 1, 7), "1.80", pay_date=date(2020, 1, 20))
    bars = make_bars({"A": [30, 33, 36, 35]}, volume=300, actions=[action])
    _, data, (a,) = open_market(bars, 3)
    # 1 - 1.80 / 36 = 0.95
    np.testing.assert_allclose(data.history(a, "price", 4, "1d"), [28.5, 31.35, 34.2, 35], rtol=1e-15)
    assert list(data.history(a, "volume", 4, "1d")) == [300] * 4


def test_a_dividend_above_the_price_leaves_history_alone(make_bars):
    action = CorporateAction.cash_dividend("A", date(2020, 1, 7), "40")
    _, data, (a,) = open_market(make_bars({"A": [30, 33, 36, 35]}, actions=[action]), 3)
    assert list(data.history(a, "price", 4, "1d")) == [30.0, 33.0, 36.0, 35.0]


def test_a_dividend_after_a_session_without_a_bar_is_measured_on_the_carried_price(make_bars):
    action = CorporateAction.cash_dividend("A", date(2020, 1, 7), "1.65")
    bars = make_bars({"A": [30, 33, None, 35], "B": [1, 1, 1, 1]}, actions=[action])
    _, data, (a, _) = open_market(bars, 3)
    # 1 - 1.65 / 33 = 0.95
    np.testing.assert_allclose(data.history(a, "close", 4, "1d"), [28.5, 31.35, np.nan, 35], rtol=1e-15)
    np.testing.assert_allclose(data.history(a, "price", 4, "1d"), [28.5, 31.35, 31.35, 35], rtol=1e-15)


def test_a_stock_dividend_adjusts_like_the_split_that_it_is(make_bars):
    # One new share for four held: 0.8 of the price.
    action = CorporateAction("A", "stock_dividend", date(2020, 1, 7), ratio_new=1, ratio_old=4)
    _, data, (a,) = open_market(make_bars({"A": [30, 33, 36, 30]}, volume=80, actions=[action]), 3)
    np.testing.assert_allclose(data.history(a, "close", 4, "1d"), [24, 26.4, 28.8, 30], rtol=1e-15)
    np.testing.assert_allclose(data.history(a, "volume", 4, "1d"), [100, 100, 100, 80], rtol=1e-15)


def test_an_ex_date_without_a_session_acts_on_the_next_one(make_bars):
    # 2020-01-04 is a Saturday.
    action = CorporateAction.split("A", date(2020, 1, 4), 2, 1)
    _, data, (a,) = open_market(make_bars({"A": [30, 32, 16, 17]}, actions=[action]), 3)
    assert list(data.history(a, "close", 4, "1d")) == [15.0, 16.0, 16.0, 17.0]


def test_events_before_the_simulation_adjust_from_its_first_bar(make_bars):
    action = CorporateAction.split("A", date(2020, 1, 6), 2, 1)
    bars = make_bars({"A": [30, 32, 16, 17, 18]}, actions=[action])
    _, data, (a,) = open_market(bars, 0, start=date(2020, 1, 8), end=date(2020, 1, 8))
    assert list(data.history(a, "close", 5, "1d")) == [15.0, 16.0, 16.0, 17.0, 18.0]


def test_split_adjusted_bars_are_brought_back_to_the_shares_of_the_clock(make_bars):
    # As Yahoo delivers them: 2:1 on Jan 7 is in the prices already; the dividend was 1.20 in the shares of its day.
    actions = [
        CorporateAction.cash_dividend("A", date(2020, 1, 3), "0.60"),
        CorporateAction.split("A", date(2020, 1, 7), 2, 1),
    ]
    bars = make_bars({"A": [12, 12, 13, 14]}, volume=200, basis="split_adjusted", actions=actions)
    portal, data, (a,) = open_market(bars, 2)
    assert data.current(a, "price") == 26.0
    assert data.current(a, "volume") == 100
    # 1 - 1.20 / 24 = 0.95
    np.testing.assert_allclose(data.history(a, "close", 3, "1d"), [22.8, 24, 26], rtol=1e-15)
    portal.set_clock(3, 3)
    np.testing.assert_allclose(data.history(a, "close", 4, "1d"), [11.4, 12, 13, 14], rtol=1e-15)
    np.testing.assert_allclose(data.history(a, "volume", 4, "1d"), [200] * 4, rtol=1e-15)


@pytest.mark.parametrize("basis", ["split_dividend_adjusted", "unknown"])
def test_other_bases_are_left_alone_with_one_warning(make_bars, basis):
    actions = [CorporateAction.split("A", date(2020, 1, 7), 2, 1)]
    bars = make_bars({"A": [12, 12, 13, 14], "B": [1, 1, 1, 1]}, basis=basis, actions=actions)
    portal, data, (a, b) = open_market(bars, 3)
    with pytest.warns(UserWarning, match=basis) as caught:
        assert list(data.history([a, b], "close", 4, "1d")[a]) == [12.0, 12.0, 13.0, 14.0]
    assert len(caught) == 1
    assert portal.panel.book == {}


def test_a_longer_window_after_a_short_one_is_adjusted_all_the_way(make_bars):
    action = CorporateAction.split("A", date(2020, 6, 1), 2, 1)
    bars = make_bars({"A": [100.0] * 103 + [50.0] * 97}, actions=[action])
    portal, data, (a,) = open_market(bars, 150)
    assert set(data.history(a, "close", 60, "1d")) == {50.0}
    assert set(data.history(a, "close", 150, "1d")) == {50.0}
    portal.set_clock(60, 60)
    assert set(data.history(a, "close", 50, "1d")) == {100.0}


@given(
    rows=st.integers(10, 40),
    events=st.lists(st.tuples(st.integers(-4, 35), st.floats(0.1, 3.0)), max_size=6),
    windows=st.lists(st.tuples(st.integers(0, 35), st.integers(1, 12)), min_size=1, max_size=12),
)
def test_windows_taken_one_after_the_other_equal_windows_adjusted_from_scratch(rows, events, windows):
    before = 5
    raw = np.arange(1.0, rows + before + 1)[:, None]
    laid = [HistoryEvent(t, 0, t, factor, 1.0) for t, factor in sorted(events) if t < rows]
    served = AsOfArray(raw, laid, "close", before)
    for t, bar_count in windows:
        if t >= rows or bar_count > t + before:
            continue
        stop = t + before + 1
        window = served.at(t, bar_count)[stop - bar_count : stop, 0]
        expected = raw[:, 0].copy()
        for event in laid:
            if event.t <= t:
                expected[: max(event.t + before, 0)] *= event.price_factor
        np.testing.assert_allclose(window, expected[stop - bar_count : stop], rtol=1e-12)
