"""`data.current`, `can_trade` and `is_stale`, by hand."""

from __future__ import annotations

import math
from datetime import date

import pandas as pd
import pytest

from rustybt.data.portal import BarData, PolarsDataPortal
from rustybt.errors import RequestError
from rustybt.market.corporate_actions import CorporateAction

NOON = pd.Timestamp("2020-01-06 21:00", tz="UTC")


@pytest.fixture
def market(make_bars):
    """A trades each session, B from the third on and not in the fifth, C until the third; six sessions from Jan 2."""
    bars = make_bars(
        {
            "A": [10, 11, 12, 13, 14, 15],
            "B": [None, None, 20.5, 21, None, 22],
            "C": [5, 6, 7, None, None, None],
        },
        volume={"A": [100, 110, 120, 130, 140, 150.5], "B": [0, 0, 7, 8, 0, 9], "C": [1, 2, 3, 0, 0, 0]},
    )
    portal = PolarsDataPortal(bars=bars)
    data = BarData(portal, lambda: NOON)
    assets = {symbol: bars.assets.lookup_symbol(symbol) for symbol in "ABC"}
    return portal, data, assets


def at(portal, t):
    portal.set_clock(t, t)


def test_one_asset_and_one_field_is_a_scalar(market):
    portal, data, assets = market
    at(portal, 2)
    assert data.current(assets["A"], "close") == 12.0
    assert data.current(assets["A"], "high") == 13.0
    assert data.current(assets["A"], "low") == 11.0
    assert data.current(assets["A"], "volume") == 120
    assert type(data.current(assets["A"], "volume")) is int


def test_a_fractional_volume_stays_a_float(market):
    portal, data, assets = market
    at(portal, 5)
    assert data.current(assets["A"], "volume") == 150.5


def test_several_fields_are_a_series_by_field(market):
    portal, data, assets = market
    at(portal, 1)
    found = data.current(assets["A"], ["open", "volume"])
    assert found.to_dict() == {"open": 11.0, "volume": 110.0}
    assert found.name == "A"


def test_several_assets_are_a_series_by_asset(market):
    portal, data, assets = market
    at(portal, 3)
    wanted = [assets["B"], assets["A"]]
    found = data.current(wanted, "price")
    assert list(found.index) == wanted
    assert list(found) == [21.0, 13.0]
    assert data.current(wanted, "volume").dtype == "int64"


def test_several_of_both_are_a_frame_with_assets_as_index(market):
    portal, data, assets = market
    at(portal, 3)
    found = data.current((assets["A"], assets["B"]), ["close", "volume"])
    assert list(found.index) == [assets["A"], assets["B"]]
    assert list(found.columns) == ["close", "volume"]
    assert found.loc[assets["B"], "close"] == 21.0


def test_a_price_is_carried_forward_and_the_other_fields_are_not(market):
    portal, data, assets = market
    at(portal, 4)
    assert data.current(assets["B"], "price") == 21.0
    assert math.isnan(data.current(assets["B"], "close"))
    assert data.current(assets["B"], "volume") == 0


def test_nothing_is_known_before_listing_or_after_delisting(market):
    portal, data, assets = market
    at(portal, 1)
    assert math.isnan(data.current(assets["B"], "price"))
    assert data.current(assets["B"], "last_traded") is pd.NaT
    at(portal, 3)
    assert math.isnan(data.current(assets["C"], "price"))
    assert data.current(assets["C"], "volume") == 0


def test_last_traded_is_the_session_of_the_last_bar(market):
    portal, data, assets = market
    at(portal, 4)
    assert data.current(assets["B"], "last_traded") == pd.Timestamp("2020-01-07")
    found = data.current([assets["A"], assets["B"]], "last_traded")
    assert list(found) == [pd.Timestamp("2020-01-08"), pd.Timestamp("2020-01-07")]


def test_an_asset_can_be_traded_while_it_is_listed_and_has_a_price(market):
    portal, data, assets = market
    at(portal, 1)
    assert data.can_trade(assets["A"])
    assert not data.can_trade(assets["B"])
    at(portal, 4)
    assert list(data.can_trade([assets["A"], assets["B"], assets["C"]])) == [True, True, False]


def test_a_restricted_asset_cannot_be_traded(market):
    portal, _, assets = market
    data = BarData(portal, lambda: NOON, is_restricted=lambda asset: asset == assets["A"])
    at(portal, 2)
    assert not data.can_trade(assets["A"])


def test_an_asset_is_stale_when_it_traded_before_but_not_now(market):
    portal, data, assets = market
    at(portal, 4)
    assert list(data.is_stale([assets["A"], assets["B"], assets["C"]])) == [False, True, False]
    at(portal, 1)
    assert not data.is_stale(assets["B"])


def test_the_present_session_and_instant_are_told(market):
    portal, data, _ = market
    at(portal, 2)
    assert data.current_session == pd.Timestamp("2020-01-06")
    assert data.current_dt == NOON


def test_an_unknown_field_or_a_symbol_instead_of_an_asset_is_refused(market):
    portal, data, assets = market
    at(portal, 2)
    with pytest.raises(RequestError, match="no field 'vwap'"):
        data.current(assets["A"], "vwap")
    with pytest.raises(RequestError, match="no field 'vwap'"):
        data.current([assets["A"]], "vwap")
    with pytest.raises(RequestError, match="symbol\\('A'\\)"):
        data.current(["A"], "price")


def test_an_empty_list_gives_an_empty_series(market):
    portal, data, _ = market
    at(portal, 2)
    assert len(data.current([], "price")) == 0
    assert data.history([], "price", 3, "1d").shape == (3, 0)


def test_a_list_that_grew_is_not_answered_from_memory(market):
    portal, data, assets = market
    at(portal, 2)
    wanted = [assets["A"]]
    assert len(data.current(wanted, "price")) == 1
    wanted.append(assets["B"])
    assert list(data.current(wanted, "price")) == [12.0, 20.5]


def test_a_price_carried_over_a_split_is_in_new_shares(make_bars):
    # 2:1 in the session without a bar: 30 became 15.
    action = CorporateAction.split("A", date(2020, 1, 6), 2, 1)
    bars = make_bars({"A": [28, 30, None, 16, 17], "B": [1, 1, 1, 1, 1]}, actions=[action])
    portal = PolarsDataPortal(bars=bars)
    data = BarData(portal, lambda: NOON)
    asset = bars.assets.lookup_symbol("A")
    at(portal, 1)
    assert data.current(asset, "price") == 30.0
    at(portal, 2)
    assert data.current(asset, "price") == 15.0
    assert list(data.history(asset, "price", 3, "1d")) == [14.0, 15.0, 15.0]


def test_before_the_session_the_last_bar_is_seen_in_todays_shares(make_bars):
    action = CorporateAction.split("A", date(2020, 1, 6), 2, 1)
    bars = make_bars({"A": [28, 30, 16, 17]}, actions=[action], volume=100)
    portal = PolarsDataPortal(bars=bars)
    data = BarData(portal, lambda: NOON)
    asset = bars.assets.lookup_symbol("A")
    portal.set_clock(2, 1)
    assert data.current(asset, ["open", "close", "price", "volume"]).to_dict() == {
        "open": 15.0,
        "close": 15.0,
        "price": 15.0,
        "volume": 200.0,
    }
    assert list(data.history(asset, "close", 2, "1d")) == [14.0, 15.0]
    assert data.current_session == pd.Timestamp("2020-01-06")


def test_last_trades_of_several_assets_are_nanoseconds_also_where_there_are_none(market):
    portal, data, assets = market
    at(portal, 1)
    found = data.current([assets["A"], assets["B"]], "last_traded")
    assert list(found) == [pd.Timestamp("2020-01-03"), pd.NaT]
    assert found.dtype == data.current([assets["B"]], "last_traded").dtype == "datetime64[ns]"
