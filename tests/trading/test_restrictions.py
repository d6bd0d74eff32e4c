"""Restrictions: which assets may not be traded, from when on, and what a run does about it."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from rustybt import api
from rustybt.algorithm import run_algorithm
from rustybt.api import RESTRICTION_STATES, HistoricalRestrictions, NoRestrictions, Restriction, StaticRestrictions
from rustybt.errors import RequestError, TradingControlError
from rustybt.market.assets import Asset, AssetAttributes
from rustybt.trading.controls.restrictions import Restrictions
from tests.trading.strategies import FREE

A, B, C = Asset(0, "A"), Asset(1, "B"), Asset(2, "C")
ALLOWED, FROZEN = RESTRICTION_STATES.ALLOWED, RESTRICTION_STATES.FROZEN
NOON = pd.Timestamp("2020-01-06 12:00", tz="UTC")


def test_no_restrictions_restrict_nothing():
    assert NoRestrictions().is_restricted(A, NOON) is False
    assert list(NoRestrictions().is_restricted([A, B], NOON)) == [False, False]


def test_static_restrictions_hold_for_their_assets_at_all_times():
    static = StaticRestrictions({A, C})
    for dt in (pd.Timestamp("1990-01-01", tz="UTC"), NOON):
        assert static.is_restricted(A, dt) is True
        assert static.is_restricted(B, dt) is False
    several = static.is_restricted([B, C], NOON)
    assert several.to_dict() == {B: False, C: True}


def test_historical_restrictions_change_at_their_instants_in_any_order_given():
    found = HistoricalRestrictions(
        [
            Restriction(A, pd.Timestamp("2020-01-08"), ALLOWED),
            Restriction(A, pd.Timestamp("2020-01-06"), FROZEN),
            Restriction(B, pd.Timestamp("2020-01-07 09:30", tz="America/New_York"), FROZEN),
            Restriction(C, pd.Timestamp("2020-01-01"), ALLOWED),
        ]
    )
    frozen = {
        day: [asset.symbol for asset in (A, B, C) if found.is_restricted(asset, pd.Timestamp(day, tz="UTC"))]
        for day in (
            "2020-01-05 23:59:59",
            "2020-01-06 00:00",
            "2020-01-07 14:29",
            "2020-01-07 14:30",
            "2020-01-08 00:00",
        )
    }
    assert list(frozen.values()) == [[], ["A"], ["A"], ["A", "B"], ["B"]]
    assert found.is_restricted([A, B, C], pd.Timestamp("2020-01-07 14:30", tz="UTC")).to_list() == [True, True, False]


def test_restrictions_are_joined_by_a_bar():
    late = HistoricalRestrictions([Restriction(B, pd.Timestamp("2020-01-06"), FROZEN)])
    both = StaticRestrictions([A]) | late
    assert [both.is_restricted(asset, NOON) for asset in (A, B, C)] == [True, True, False]
    assert not both.is_restricted(B, pd.Timestamp("2020-01-05", tz="UTC"))
    assert both.is_restricted([A, B, C], NOON).to_list() == [True, True, False]
    three = StaticRestrictions([C]) | (both | NoRestrictions())
    assert three.is_restricted([A, B, C], NOON).all()
    assert repr(three) == "StaticRestrictions(C) | StaticRestrictions(A) | HistoricalRestrictions(B)"


def test_no_restrictions_vanish_when_joined():
    static = StaticRestrictions([A])
    assert (static | NoRestrictions()) is static
    assert (NoRestrictions() | static) is static
    assert isinstance(NoRestrictions() | NoRestrictions(), NoRestrictions)
    with pytest.raises(TypeError):
        _ = static | [B]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StaticRestrictions(["A"]), "assets are restricted, not str 'A'"),
        (lambda: StaticRestrictions(A), "take a list, not Asset"),
        (lambda: HistoricalRestrictions([A]), "is no restriction"),
        (lambda: HistoricalRestrictions([Restriction(A, "never", FROZEN)]), "is no restriction"),
        (lambda: HistoricalRestrictions([Restriction(A, NOON, 7)]), "7 is not a valid RestrictionStates"),
        (lambda: HistoricalRestrictions([Restriction("A", NOON, FROZEN)]), "assets are restricted, not str 'A'"),
        (lambda: HistoricalRestrictions([Restriction(A, pd.NaT, FROZEN)]), "no effective date"),
    ],
)
def test_what_cannot_be_restricted_is_refused(make, message):
    with pytest.raises(RequestError, match=message):
        make()


def watch(restrict, symbols="AB", orders=()):
    """Return a strategy that notes what can be traded in each session, and orders 1 of `orders`."""

    def initialize(context):
        context.assets = api.symbols(*symbols)
        context.seen = []
        restrict(*context.assets)

    def handle_data(context, data):
        context.seen.append(data.can_trade(context.assets).to_list())
        assert [data.can_trade(asset) for asset in context.assets] == context.seen[-1]
        for name in orders:
            api.order(api.symbol(name), 1)
        api.record(tradable=str(context.seen[-1]))

    return {"initialize": initialize, "handle_data": handle_data}


def test_a_restricted_asset_cannot_be_traded_and_the_others_can(make_bars):
    strategy = watch(lambda a, b: api.set_asset_restrictions(StaticRestrictions([b])), orders="A")
    result = run_algorithm(bundle=make_bars({"A": [10] * 3, "B": [20] * 3}), **strategy, **FREE)
    assert set(result["tradable"]) == {"[True, False]"}
    assert list(result.transactions["symbol"]) == ["A", "A"]


@pytest.mark.parametrize("amount", [1, -1, 0])
def test_an_order_for_a_restricted_asset_fails_whatever_its_amount(make_bars, amount):
    def initialize(context):
        api.set_asset_restrictions(StaticRestrictions([api.symbol("B")]))

    def handle_data(context, data):
        api.order(api.symbol("B"), amount)

    bars = make_bars({"A": [10] * 3, "B": [20] * 3})
    with pytest.raises(TradingControlError, match=f"order of {amount} B on 2020-01-02 breaks .*: B is restricted"):
        run_algorithm(bundle=bars, initialize=initialize, handle_data=handle_data)


def test_a_restriction_that_is_only_logged_still_says_that_the_asset_cannot_be_traded(make_bars):
    strategy = watch(lambda a, b: api.set_asset_restrictions(StaticRestrictions([b]), on_error="log"), orders="B")
    result = run_algorithm(bundle=make_bars({"A": [10] * 3, "B": [20] * 3}), **strategy, **FREE)
    assert set(result["tradable"]) == {"[True, False]"}
    assert list(result.transactions["symbol"]) == ["B", "B"]
    assert (
        "orders that broke RestrictedListOrder(restrictions=StaticRestrictions(B)) and were placed: 3"
        in result.notes[-1]
    )


def test_restrictions_follow_the_session(make_bars):
    def restrict(a, b):
        frozen = Restriction(a, pd.Timestamp("2020-01-03"), FROZEN)
        api.set_asset_restrictions(HistoricalRestrictions([frozen]))
        api.set_asset_restrictions(
            HistoricalRestrictions([frozen._replace(asset=b), Restriction(b, pd.Timestamp("2020-01-06"), ALLOWED)])
        )

    # Thursday, Friday, Monday.
    result = run_algorithm(bundle=make_bars({"A": [10] * 3, "B": [20] * 3}), **watch(restrict))
    assert list(result["tradable"]) == ["[True, True]", "[False, False]", "[False, True]"]
    with pytest.raises(TradingControlError, match="order of 1 A on 2020-01-03") as caught:
        run_algorithm(bundle=make_bars({"A": [10] * 3, "B": [20] * 3}), **watch(restrict, orders="A"))
    assert len(caught.value.partial_result.perf) == 1


def test_a_session_that_closes_at_midnight_is_restricted_by_its_own_date(make_bars):
    coin = AssetAttributes(asset_type="crypto", currency="USD")
    bars = make_bars({"A": [10] * 3}, start=date(2020, 1, 2), calendar="24/7", attributes={"A": coin})

    def restrict(a):
        api.set_asset_restrictions(HistoricalRestrictions([Restriction(a, pd.Timestamp("2020-01-03"), FROZEN)]))

    result = run_algorithm(bundle=bars, **watch(restrict, "A"))
    assert list(result["tradable"]) == ["[True]", "[False]", "[False]"]


def test_before_trading_start_sees_what_is_restricted_today(make_bars):
    seen = []

    def initialize(context):
        context.asset = api.symbol("A")
        frozen = Restriction(context.asset, pd.Timestamp("2020-01-06"), FROZEN)
        api.set_asset_restrictions(HistoricalRestrictions([frozen]))

    def before_trading_start(context, data):
        seen.append(data.can_trade(context.asset))

    run_algorithm(
        bundle=make_bars({"A": [10] * 5}),
        start="2020-01-03",
        initialize=initialize,
        before_trading_start=before_trading_start,
    )
    assert seen == [True, False, False, False]


def test_a_do_not_order_list_is_a_list_of_assets(make_bars):
    strategy = watch(lambda a, b: api.set_do_not_order_list([b]), orders="AB")
    with pytest.raises(TradingControlError, match="B is restricted"):
        run_algorithm(bundle=make_bars({"A": [10] * 3, "B": [20] * 3}), **strategy)


def test_a_do_not_order_list_may_change_with_time(make_bars):
    class Listed:
        def __init__(self, asset):
            self.asset = asset

        def current_securities(self, dt):
            return {self.asset} if dt >= pd.Timestamp("2020-01-06", tz="UTC") else set()

    strategy = watch(lambda a, b: api.set_do_not_order_list(Listed(b)))
    result = run_algorithm(bundle=make_bars({"A": [10] * 3, "B": [20] * 3}), **strategy)
    assert list(result["tradable"]) == ["[True, True]", "[True, True]", "[True, False]"]


def test_a_users_own_restrictions_are_asked(make_bars):
    class Evenings(Restrictions):
        def is_restricted(self, assets, dt):
            return dt.hour > 20 if isinstance(assets, Asset) else pd.Series(True, index=list(assets))

    def restrict(a, b):
        api.set_do_not_order_list(Evenings() | StaticRestrictions([a]))

    result = run_algorithm(bundle=make_bars({"A": [10], "B": [20]}), **watch(restrict))
    assert list(result["tradable"]) == ["[False, False]"]
    assert repr(Evenings()) == "Evenings()"


def test_only_restrictions_are_restrictions(make_bars):
    with pytest.raises(RequestError, match=r"set_asset_restrictions\(\) takes Restrictions, not list"):
        run_algorithm(
            bundle=make_bars({"A": [10]}),
            initialize=lambda context: api.set_asset_restrictions([api.symbol("A")]),
        )
