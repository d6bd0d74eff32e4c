"""Where a strategy's orders are sized, checked and placed."""

from __future__ import annotations

import copy
import math
import reprlib
import warnings
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from rustybt.errors import RequestError
from rustybt.market.assets import Asset
from rustybt.trading.book.nano import NANO, from_nano
from rustybt.trading.orders.blotter import MAX_AMOUNT
from rustybt.trading.orders.execution import ExecutionStyle, MarketOrder, style_of
from rustybt.trading.orders.lots import Amount, exact, lot_of, round_order
from rustybt.trading.orders.order import Order

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    import pandas as pd

    from rustybt.data.portal import BarData
    from rustybt.trading.book.ledger import Ledger
    from rustybt.trading.orders.blotter import Blotter


class OrderDesk:
    """Turns amounts, values, percents and targets into orders, by Zipline's rules.

    Parameters
    ----------
    refuse
        Returns why no order may be placed now, or None when one may.
    check_asset
        Raises RequestError when an asset is not of this run.
    check
        Raises TradingControlError when the order breaks a control of the strategy.
    clock
        Returns the present instant, UTC.
    session
        Returns the present session.
    """

    def __init__(
        self,
        data: BarData,
        ledger: Ledger,
        blotter: Blotter,
        *,
        refuse: Callable[[], str | None],
        check_asset: Callable[[Asset], None],
        check: Callable[[Asset, Amount], None],
        clock: Callable[[], Any],
        session: Callable[[], date],
    ) -> None:
        self._data = data
        self._ledger = ledger
        self._blotter = blotter
        self._refuse = refuse
        self._check_asset = check_asset
        self._check = check
        self._clock = clock
        self._session = session
        self._currency: str | None = None

    def order(
        self,
        asset: Asset,
        amount: Any,
        limit_price: float | None = None,
        stop_price: float | None = None,
        style: ExecutionStyle | None = None,
    ) -> str | None:
        """Order `amount` of `asset`; see `rustybt.api.order`."""
        if not self._can_order(asset, "order"):
            return None
        return self._place(asset, amount, style_of(asset, limit_price, stop_price, style))

    def order_value(
        self,
        asset: Asset,
        value: Any,
        limit_price: float | None = None,
        stop_price: float | None = None,
        style: ExecutionStyle | None = None,
    ) -> str | None:
        """Order for `value` of currency; see `rustybt.api.order_value`."""
        if not self._can_order(asset, "order_value"):
            return None
        amount = self._worth(asset, value)
        return self._place(asset, amount, style_of(asset, limit_price, stop_price, style))

    def order_percent(
        self,
        asset: Asset,
        percent: Any,
        limit_price: float | None = None,
        stop_price: float | None = None,
        style: ExecutionStyle | None = None,
    ) -> str | None:
        """Order for a fraction of the portfolio value; see `rustybt.api.order_percent`."""
        if not self._can_order(asset, "order_percent"):
            return None
        amount = self._worth(asset, self._fraction(percent))
        return self._place(asset, amount, style_of(asset, limit_price, stop_price, style))

    def order_target(
        self,
        asset: Asset,
        target: Any,
        limit_price: float | None = None,
        stop_price: float | None = None,
        style: ExecutionStyle | None = None,
    ) -> str | None:
        """Order the difference to a target amount; see `rustybt.api.order_target`."""
        if not self._can_order(asset, "order_target"):
            return None
        amount = self._short_of(asset, _number(asset, target))
        return self._place(asset, amount, style_of(asset, limit_price, stop_price, style))

    def order_target_value(
        self,
        asset: Asset,
        target: Any,
        limit_price: float | None = None,
        stop_price: float | None = None,
        style: ExecutionStyle | None = None,
    ) -> str | None:
        """Order the difference to a target value; see `rustybt.api.order_target_value`."""
        if not self._can_order(asset, "order_target_value"):
            return None
        amount = self._short_of(asset, self._worth(asset, target))
        return self._place(asset, amount, style_of(asset, limit_price, stop_price, style))

    def order_target_percent(
        self,
        asset: Asset,
        target: Any,
        limit_price: float | None = None,
        stop_price: float | None = None,
        style: ExecutionStyle | None = None,
    ) -> str | None:
        """Order the difference to a target fraction; see `rustybt.api.order_target_percent`."""
        if not self._can_order(asset, "order_target_percent"):
            return None
        amount = self._short_of(asset, self._worth(asset, self._fraction(target)))
        return self._place(asset, amount, style_of(asset, limit_price, stop_price, style))

    def batch_market_order(self, share_counts: pd.Series[Any]) -> list[str]:
        """Order each amount at the market; see `rustybt.api.batch_market_order`."""
        placed = [
            self._place(cast("Asset", asset), amount, MarketOrder())
            for asset, amount in share_counts.items()
            if amount and self._can_order(asset, "batch_market_order")
        ]
        return [order_id for order_id in placed if order_id is not None]

    def cancel_order(self, order_param: str | Order) -> None:
        """Cancel an open order, by its id or itself."""
        if order_param is not None:
            self._blotter.cancel(_order_id(order_param, "cancel_order"), self._clock())

    def get_order(self, order_id: str) -> Order | None:
        """Return the order of that id as it stands now, None when there is none."""
        found = None if order_id is None else self._blotter.orders.get(_order_id(order_id, "get_order"))
        return None if found is None else copy.copy(found)

    def get_open_orders(self, asset: Asset | None = None) -> Any:
        """Return open orders by asset, or the list of those of one asset."""
        # Copies, as in Zipline: what a strategy does to them changes no order.
        if asset is None:
            waiting = self._blotter.open_orders.items()
            return {held: [copy.copy(order) for order in orders] for held, orders in waiting if orders}
        if not isinstance(asset, Asset):
            raise RequestError(
                f"get_open_orders() takes an asset, not {type(asset).__name__} {asset!r}",
                hint=f"write symbol({str(asset)!r})",
            )
        return [copy.copy(order) for order in self._blotter.open_orders.get(asset, ())]

    def _can_order(self, asset: Any, name: str) -> bool:
        reason = self._refuse()
        if reason is not None:
            raise RequestError(f"{name}() cannot be called {reason}", hint="place orders in handle_data")
        if not isinstance(asset, Asset):
            raise RequestError(
                f"{name}() takes an asset, not {type(asset).__name__} {asset!r}", hint=f"write symbol({str(asset)!r})"
            )
        self._check_asset(asset)
        if self._currency not in (None, asset.currency):
            raise RequestError(
                f"{asset.symbol} trades in {asset.currency}, this run in {self._currency}",
                hint="one run trades one currency",
                symbol=asset.symbol,
            )
        if asset.last_session is not None and self._session() > asset.last_session:
            warnings.warn(
                f"{asset.symbol} was last traded on {asset.last_session}: no order is placed", UserWarning, stacklevel=2
            )
            return False
        return True

    def _place(self, asset: Asset, amount: Any, style: ExecutionStyle) -> str | None:
        whole: Amount = round_order(_number(asset, amount), asset)
        self._check(asset, whole)
        if abs(whole) > MAX_AMOUNT:
            said = reprlib.repr(whole)
            raise RequestError(
                f"order of {said} {asset.symbol}: at most {MAX_AMOUNT} can be ordered at once",
                hint="look for a price near 0, or a value in the place of an amount",
            )
        self._currency = asset.currency
        return self._blotter.place(asset, whole, style, self._clock())

    def _worth(self, asset: Asset, value: Any) -> Any:
        """Return how much of the asset `value` buys at its last price."""
        wanted = _number(asset, value, "value")
        session = self._session()
        if asset.first_session is not None and session < asset.first_session:
            raise RequestError(
                f"{asset.symbol} is first traded on {asset.first_session}: on {session} it has no price to order by value",
                hint="ask data.can_trade(asset) first",
                symbol=asset.symbol,
            )
        price = self._data.current(asset, "price")
        if math.isnan(price):
            raise RequestError(
                f"{asset.symbol} has no last price on {session}: it cannot be ordered by value",
                hint="ask data.can_trade(asset) first",
                symbol=asset.symbol,
            )
        # Zipline's tolerance for a price of 0: there is nothing to be inferred from it. Some coins are worth no more.
        if price == 0 or (abs(price) <= 1e-6 and lot_of(asset) is None):
            return 0
        return exact(wanted) / exact(price) if isinstance(wanted, (Decimal, Fraction)) else float(wanted) / price

    def _fraction(self, percent: Any) -> float | Fraction:
        fraction = _number(None, percent, "fraction")
        if isinstance(fraction, (Decimal, Fraction)):
            return Fraction(self._ledger.portfolio_value, NANO) * exact(fraction)
        return from_nano(self._ledger.portfolio_value) * float(fraction)

    def _short_of(self, asset: Asset, target: Any) -> Any:
        position = self._ledger.positions.get(asset)
        if position is None:
            return target
        if lot_of(asset) is not None or isinstance(target, (Decimal, Fraction)):
            # 0.3 less 0.1 is 0.2, and must not be cut to 0.19999999.
            return exact(target) - exact(position.amount)
        return target - position.amount


def _number(asset: Asset | None, value: Any, what: str = "amount") -> Any:
    """Return `value`, an int, float, Decimal or numpy number.

    Raises
    ------
    RequestError
        It is not a finite number.
    """
    of = "" if asset is None else f" of {asset.symbol}"
    try:
        finite = math.isfinite(value)
    except OverflowError:
        raise RequestError(f"the {what}{of} to order is too large: {reprlib.repr(value)}") from None
    except (TypeError, ValueError):
        raise RequestError(f"the {what}{of} to order must be a number, not {reprlib.repr(value)}") from None
    if not finite:
        raise RequestError(
            f"the {what}{of} to order is {value}",
            hint="a price or weight was missing: check with data.can_trade(asset)",
        )
    return int(value) if hasattr(value, "__index__") or isinstance(value, np.bool_) else value


def _order_id(given: Any, name: str) -> str:
    if isinstance(given, Order):
        return given.id
    if not isinstance(given, str):
        raise RequestError(
            f"{name}() takes the id of an order, not {type(given).__name__} {reprlib.repr(given)}",
            hint="keep what order() returns",
        )
    return given
