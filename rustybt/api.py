"""What a strategy calls: Zipline's functions, with only the import line changed.

Every function speaks to the algorithm that runs in this context, and raises RequestError when none does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError
from rustybt.trading import commission, slippage
from rustybt.trading.active import active_algorithm
from rustybt.trading.controls import restrictions as asset_restrictions
from rustybt.trading.controls.restrictions import (
    RESTRICTION_STATES,
    HistoricalRestrictions,
    NoRestrictions,
    Restriction,
    StaticRestrictions,
)
from rustybt.trading.orders import cancel_policy, execution
from rustybt.trading.orders.cancel_policy import EODCancel, NeverCancel
from rustybt.trading.orders.execution import LimitOrder, MarketOrder, StopLimitOrder, StopOrder
from rustybt.trading.schedule import calendars, date_rules, time_rules
from rustybt.trading.slippage import FixedBasisPointsSlippage, FixedSlippage, VolumeShareSlippage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from decimal import Decimal

    import pandas as pd

    from rustybt.market.assets import Asset
    from rustybt.trading.commission import CommissionModel
    from rustybt.trading.controls.restrictions import Restrictions
    from rustybt.trading.orders.cancel_policy import CancelPolicy
    from rustybt.trading.orders.execution import ExecutionStyle
    from rustybt.trading.orders.order import Order
    from rustybt.trading.schedule import DateRule, TimeRule
    from rustybt.trading.slippage import SlippageModel

__all__ = [
    "RESTRICTION_STATES",
    "EODCancel",
    "FixedBasisPointsSlippage",
    "FixedSlippage",
    "HistoricalRestrictions",
    "LimitOrder",
    "MarketOrder",
    "NeverCancel",
    "NoRestrictions",
    "Restriction",
    "StaticRestrictions",
    "StopLimitOrder",
    "StopOrder",
    "VolumeShareSlippage",
    "asset_restrictions",
    "batch_market_order",
    "calendars",
    "cancel_order",
    "cancel_policy",
    "commission",
    "date_rules",
    "execution",
    "get_datetime",
    "get_environment",
    "get_open_orders",
    "get_order",
    "order",
    "order_percent",
    "order_target",
    "order_target_percent",
    "order_target_value",
    "order_value",
    "record",
    "schedule_function",
    "set_asset_restrictions",
    "set_benchmark",
    "set_cancel_policy",
    "set_commission",
    "set_do_not_order_list",
    "set_long_only",
    "set_max_leverage",
    "set_max_order_count",
    "set_max_order_size",
    "set_max_position_size",
    "set_min_leverage",
    "set_slippage",
    "set_symbol_lookup_date",
    "sid",
    "slippage",
    "symbol",
    "symbols",
    "time_rules",
]


def order(
    asset: Asset,
    amount: float | Decimal,
    limit_price: float | None = None,
    stop_price: float | None = None,
    style: ExecutionStyle | None = None,
) -> str | None:
    """Order `amount` of an asset, negative to sell; it fills at the next bar at the earliest.

    Fractions are cut off unless the asset's lot is a fraction of one; within 0.0001 of a whole number, that one is
    meant. What is smaller than a fractional lot is cut off.

    Parameters
    ----------
    amount
        A Decimal is never rounded on its way to the lot.
    limit_price, stop_price
        Short for ``style=LimitOrder(...)``, ``StopOrder(...)`` and, both, ``StopLimitOrder(...)``.

    Returns
    -------
    str or None
        Id of the order; None when there is nothing to order, or the asset is not listed any more.

    Raises
    ------
    RequestError
        `amount` or a price is not a finite number, or it is called in initialize or before_trading_start.
    TradingControlError
        The order breaks a control that was set to fail; it is not placed.
    """
    found: str | None = active_algorithm("order").orders.order(asset, amount, limit_price, stop_price, style)
    return found


def order_value(
    asset: Asset,
    value: float | Decimal,
    limit_price: float | None = None,
    stop_price: float | None = None,
    style: ExecutionStyle | None = None,
) -> str | None:
    """Order as much of an asset as `value` buys at its last price; see `order`.

    Raises
    ------
    RequestError
        As `order`, or the asset has no last price.
    """
    found: str | None = active_algorithm("order_value").orders.order_value(asset, value, limit_price, stop_price, style)
    return found


def order_percent(
    asset: Asset,
    percent: float | Decimal,
    limit_price: float | None = None,
    stop_price: float | None = None,
    style: ExecutionStyle | None = None,
) -> str | None:
    """Order for a fraction of the portfolio value, 0.5 for half of it; see `order_value`."""
    desk = active_algorithm("order_percent").orders
    found: str | None = desk.order_percent(asset, percent, limit_price, stop_price, style)
    return found


def order_target(
    asset: Asset,
    target: float | Decimal,
    limit_price: float | None = None,
    stop_price: float | None = None,
    style: ExecutionStyle | None = None,
) -> str | None:
    """Order the difference between what is held and `target`; open orders are not counted, as in Zipline."""
    desk = active_algorithm("order_target").orders
    found: str | None = desk.order_target(asset, target, limit_price, stop_price, style)
    return found


def order_target_value(
    asset: Asset,
    target: float | Decimal,
    limit_price: float | None = None,
    stop_price: float | None = None,
    style: ExecutionStyle | None = None,
) -> str | None:
    """Order the difference between what is held and what `target` buys; see `order_target` and `order_value`."""
    desk = active_algorithm("order_target_value").orders
    found: str | None = desk.order_target_value(asset, target, limit_price, stop_price, style)
    return found


def order_target_percent(
    asset: Asset,
    target: float | Decimal,
    limit_price: float | None = None,
    stop_price: float | None = None,
    style: ExecutionStyle | None = None,
) -> str | None:
    """Order the difference between what is held and a fraction of the portfolio value; see `order_target_value`."""
    desk = active_algorithm("order_target_percent").orders
    found: str | None = desk.order_target_percent(asset, target, limit_price, stop_price, style)
    return found


def batch_market_order(share_counts: pd.Series[Any]) -> list[str]:
    """Order each amount of a Series by asset at the market, and return the ids of the orders."""
    found: list[str] = active_algorithm("batch_market_order").orders.batch_market_order(share_counts)
    return found


def cancel_order(order_param: str | Order) -> None:
    """Cancel an open order, given by its id or itself; one that is done stays as it is."""
    active_algorithm("cancel_order").orders.cancel_order(order_param)


def get_order(order_id: str) -> Order | None:
    """Return the order of an id, None when there is none."""
    found: Order | None = active_algorithm("get_order").orders.get_order(order_id)
    return found


def get_open_orders(asset: Asset | None = None) -> Any:
    """Return a list of the open orders of `asset`, or a dict of such lists by asset."""
    return active_algorithm("get_open_orders").orders.get_open_orders(asset)


def symbol(symbol_str: str, country_code: str | None = None) -> Asset:
    """Return the asset that bears a ticker at the end of the run, or on the date of `set_symbol_lookup_date`.

    Raises
    ------
    SymbolNotFoundError
        No such ticker; the hint lists near ones.
    """
    found: Asset = active_algorithm("symbol").symbol(symbol_str, country_code)
    return found


def symbols(*args: str, **kwargs: Any) -> list[Asset]:
    """Return the assets of several tickers; see `symbol`."""
    found: list[Asset] = active_algorithm("symbols").symbols(*args, **kwargs)
    return found


def sid(sid: int) -> Asset:
    """Return the asset of a sid."""
    found: Asset = active_algorithm("sid").sid(sid)
    return found


def set_symbol_lookup_date(dt: Any) -> None:
    """Resolve tickers as of this date from now on: one ticker may name different firms over the years."""
    active_algorithm("set_symbol_lookup_date").set_symbol_lookup_date(dt)


def get_datetime(tz: Any = None) -> pd.Timestamp:
    """Return the present instant: in a daily run the session's close, in UTC or in the time zone `tz`."""
    found: pd.Timestamp = active_algorithm("get_datetime").get_datetime(tz)
    return found


def get_environment(field: str = "platform") -> Any:
    """Return a fact of the run: arena, data_frequency, start, end, capital_base, platform, or ``*`` for all."""
    return active_algorithm("get_environment").get_environment(field)


def record(*args: Any, **kwargs: Any) -> None:
    """Keep values for the perf frame, one column a name: ``record(price=10)`` or ``record("price", 10)``.

    A value stays until it is recorded anew.
    """
    active_algorithm("record").record(*args, **kwargs)


def schedule_function(
    func: Callable[[Any, Any], Any],
    date_rule: DateRule | None = None,
    time_rule: TimeRule | None = None,
    half_days: bool = True,  # noqa: FBT001, FBT002 - Zipline's signature
    calendar: str | None = None,
) -> None:
    """Call ``func(context, data)`` on the sessions of a date rule, after handle_data.

    Parameters
    ----------
    date_rule
        By default each session.
    time_rule
        Without effect in a daily run, which has one bar a session.
    half_days
        Whether to call it on shortened sessions, too.
    calendar
        Name of the calendar to count sessions by; by default that of the run.
    """
    active_algorithm("schedule_function").schedule_function(func, date_rule, time_rule, half_days, calendar)


def set_slippage(us_equities: SlippageModel | None = None, us_futures: Any = None) -> None:
    """Fill orders by another model; only in initialize."""
    active_algorithm("set_slippage").set_slippage(us_equities, us_futures)


def set_commission(us_equities: CommissionModel | None = None, us_futures: Any = None) -> None:
    """Charge fills by another model; only in initialize."""
    active_algorithm("set_commission").set_commission(us_equities, us_futures)


def set_cancel_policy(cancel_policy: CancelPolicy) -> None:
    """Decide when open orders end by themselves; only in initialize."""
    active_algorithm("set_cancel_policy").set_cancel_policy(cancel_policy)


def set_benchmark(benchmark: Asset) -> None:
    """Compare the run with an asset, its dividends reinvested; only in initialize."""
    active_algorithm("set_benchmark").set_benchmark(benchmark)


# Controls --------------------------------------------------------------------------------------------------------------


def set_max_order_size(
    asset: Asset | None = None,
    max_shares: float | Decimal | None = None,
    max_notional: float | Decimal | None = None,
    on_error: str = "fail",
) -> None:
    """Limit the size of a single order, bought or sold; only in initialize.

    Parameters
    ----------
    asset
        The asset whose orders are limited; by default each.
    max_shares
        Largest amount, included.
    max_notional
        Largest value at the last price, included.
    on_error
        ``fail``: an order beyond the limit raises and is not placed. ``log``: it is logged as an error, noted in the
        result, and placed.

    Raises
    ------
    RequestError
        No limit is given, one is negative or not finite, or initialize has ended.
    """
    active_algorithm("set_max_order_size").controls.set_max_order_size(asset, max_shares, max_notional, on_error)


def set_max_position_size(
    asset: Asset | None = None,
    max_shares: float | Decimal | None = None,
    max_notional: float | Decimal | None = None,
    on_error: str = "fail",
) -> None:
    """Limit what would be held after an order, long or short; only in initialize.

    It is asked when an order is placed, and counts no open orders: splits, prices and fills may lead beyond it. For the
    arguments and errors see `set_max_order_size`.
    """
    active_algorithm("set_max_position_size").controls.set_max_position_size(asset, max_shares, max_notional, on_error)


def set_max_order_count(max_count: int, on_error: str = "fail") -> None:
    """Limit the number of orders in each session; only in initialize.

    Each call that orders counts, also one with nothing to order; for `on_error` see `set_max_order_size`.
    """
    active_algorithm("set_max_order_count").controls.set_max_order_count(max_count, on_error)


def set_long_only(on_error: str = "fail") -> None:
    """Allow no order that sells more than is held, open orders not counted; only in initialize.

    For `on_error` see `set_max_order_size`.
    """
    active_algorithm("set_long_only").controls.set_long_only(on_error)


def set_asset_restrictions(restrictions: Restrictions, on_error: str = "fail") -> None:
    """Allow no orders for restricted assets, for which `data.can_trade` becomes False; only in initialize.

    Restrictions of several calls add up.

    Parameters
    ----------
    restrictions
        ``StaticRestrictions([asset])``, ``HistoricalRestrictions([Restriction(asset, effective_date, state)])``, or
        several joined by ``|``. They are asked as of the present instant, and never later than the session's date.
    on_error
        See `set_max_order_size`.
    """
    active_algorithm("set_asset_restrictions").controls.set_asset_restrictions(restrictions, on_error)


def set_do_not_order_list(restricted_list: Iterable[Asset] | Any, on_error: str = "fail") -> None:
    """Allow no orders for the listed assets: short for ``set_asset_restrictions(StaticRestrictions(restricted_list))``.

    Parameters
    ----------
    restricted_list
        A container of assets, or an object with ``current_securities(dt)``, such as Zipline's SecurityList.
    """
    active_algorithm("set_do_not_order_list").controls.set_do_not_order_list(restricted_list, on_error)


def set_max_leverage(max_leverage: float) -> None:
    """Fail with AccountControlError when a session ends with more gross leverage; only in initialize.

    Gross leverage: longs plus the size of shorts, as a fraction of the portfolio value.
    """
    active_algorithm("set_max_leverage").controls.set_max_leverage(max_leverage)


def set_min_leverage(min_leverage: float, grace_period: pd.Timedelta) -> None:
    """Fail with AccountControlError when a session ends with less gross leverage; only in initialize.

    Parameters
    ----------
    grace_period
        Time from the midnight of the first session on (UTC) in which sessions may end with less.
    """
    active_algorithm("set_min_leverage").controls.set_min_leverage(min_leverage, grace_period)


#: What Zipline's strategies may import and is not here.
_ABSENT = {
    "attach_pipeline": "pipelines are not part of RustyBT",
    "pipeline_output": "pipelines are not part of RustyBT",
    "continuous_future": "futures are not traded here",
    "future_symbol": "futures are not traded here",
    "fetch_csv": "strategies fetch no files",
    "events": "rules of schedules are date_rules and time_rules",
    "math_utils": "use numpy and pandas",
}

# Hidden from type checkers, for which any name would exist.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _ABSENT:
            hint = "rustybt ingest csv brings data of your own" if name == "fetch_csv" else None
            raise RequestError(f"rustybt.api has no {name}: {_ABSENT[name]}", hint=hint)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
