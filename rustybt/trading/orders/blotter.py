"""The open orders of a run, and how they fill."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError
from rustybt.trading.book.nano import to_nano
from rustybt.trading.commission import CommissionModel, PerShare
from rustybt.trading.orders.cancel_policy import CancelPolicy, NeverCancel
from rustybt.trading.orders.order import Order, OrderStatus
from rustybt.trading.slippage import FixedBasisPointsSlippage, SlippageModel

if TYPE_CHECKING:
    from rustybt.market.assets import Asset
    from rustybt.trading.book.transaction import Transaction
    from rustybt.trading.orders.execution import ExecutionStyle
    from rustybt.trading.orders.lots import Amount

#: More than this in one order is taken for a mistake, as in Zipline.
MAX_AMOUNT = 10**11


class Blotter:
    """Keeps orders from their placing to their end.

    Attributes
    ----------
    open_orders
        Asset to its open orders, in the order of their placing; the list may be empty until the next bar.
    orders
        All orders of the run by id.
    touched
        Orders placed, filled or cancelled since `clear_touched`, in the order of their last change.
    """

    def __init__(self) -> None:
        self.slippage: SlippageModel = FixedBasisPointsSlippage()
        self.commission: CommissionModel = PerShare()
        self.cancel_policy: CancelPolicy = NeverCancel()
        self.open_orders: dict[Asset, list[Order]] = {}
        self.orders: dict[str, Order] = {}
        self.touched: dict[str, Order] = {}

    def place(self, asset: Asset, amount: Amount, style: ExecutionStyle, dt: Any) -> str | None:
        """Place an order and return its id; None, and no order, for an amount of 0.

        Raises
        ------
        RequestError
            The amount is beyond `MAX_AMOUNT`.
        """
        if amount == 0:
            return None
        if abs(amount) > MAX_AMOUNT:
            raise RequestError(
                f"order of {amount} {asset.symbol}: at most {MAX_AMOUNT} can be ordered at once",
                hint="look for a price near 0, or a value in the place of an amount",
            )
        is_buy = amount > 0
        # Counted, not drawn: a replay gives every order the same id.
        order_id = f"{len(self.orders) + 1:032x}"
        order = Order(
            order_id, dt, asset, amount, stop=style.get_stop_price(is_buy), limit=style.get_limit_price(is_buy)
        )
        self.open_orders.setdefault(asset, []).append(order)
        self.orders[order_id] = order
        self._touch(order)
        return order_id

    def _touch(self, order: Order) -> None:
        self.touched.pop(order.id, None)
        self.touched[order.id] = order

    def clear_touched(self) -> None:
        """Forget which orders changed."""
        self.touched = {}

    def cancel(self, order_id: str, dt: Any, reason: str | None = None) -> None:
        """Cancel the order if it is still open; an unknown id does nothing."""
        order = self.orders.get(order_id)
        if order is None or not order.open:
            return
        self._drop(order)
        order.cancel(dt, reason)
        self._touch(order)

    def cancel_all(self, asset: Asset, dt: Any, reason: str | None = None) -> None:
        """Cancel all open orders of the asset."""
        for order in list(self.open_orders.get(asset, ())):
            self.cancel(order.id, dt, reason)
        self.open_orders.pop(asset, None)

    def _drop(self, order: Order) -> None:
        """Take the order off the open ones; its asset keeps its turn until the next bar has filled, as in Zipline."""
        waiting = self.open_orders.get(order.asset)
        if waiting and order in waiting:
            waiting.remove(order)

    def _prune(self) -> None:
        """Forget assets without open orders."""
        for asset in [asset for asset, waiting in self.open_orders.items() if not waiting]:
            del self.open_orders[asset]

    def end_session(self, dt: Any, *, spares_new: bool) -> None:
        """Apply the cancel policy.

        Parameters
        ----------
        spares_new
            Keep the orders of the last bar: in a daily run they had no bar to fill in yet.
        """
        if not self.cancel_policy.cancels_at_session_end():
            return
        open_orders = [o for waiting in self.open_orders.values() for o in waiting]
        for order in [o for o in open_orders if not (spares_new and o.created == dt)]:
            if self.cancel_policy.warn_on_cancel:
                warnings.warn(
                    f"order for {order.amount} {order.asset.symbol} ended with the session, {order.filled} filled",
                    UserWarning,
                    stacklevel=2,
                )
            # One that changed in this session keeps its place among those that did, as in Zipline.
            self._drop(order)
            order.cancel(dt, "end of session")
            self.touched.setdefault(order.id, order)

    def split(self, asset: Asset, ratio: Any) -> None:
        """Restate the asset's open orders after a split; one that has nothing left to trade ends."""
        for order in list(self.open_orders.get(asset, ())):
            order.split(ratio)
            if not order.open_amount:
                self._drop(order)
        self._prune()

    def fill(self, data: Any) -> tuple[list[Transaction], list[tuple[Order, int]]]:
        """Fill what the present bar allows.

        Returns
        -------
        transactions
            In the order of the assets' first open orders.
        commissions
            Order and cost in units of 1e-9, where there is one.
        """
        transactions: list[Transaction] = []
        commissions: list[tuple[Order, int]] = []
        done: list[Order] = []
        for asset, waiting in self.open_orders.items():
            for order, transaction in self.slippage.simulate(data, asset, waiting):
                cost = self._cost(order, transaction)
                if cost > 0:
                    commissions.append((order, to_nano(cost)))
                order.filled += transaction.amount
                order.commission += cost
                order.dt = transaction.dt
                transactions.append(transaction)
                self._touch(order)
                if order.status is OrderStatus.FILLED:
                    done.append(order)
        for order in done:
            self._drop(order)
        self._prune()
        return transactions, commissions

    def _cost(self, order: Order, transaction: Transaction) -> float:
        cost: Any = self.commission.calculate(order, transaction)
        try:
            if math.isfinite(cost):
                return float(cost)
        except (TypeError, ValueError, OverflowError):
            pass
        raise RequestError(
            f"{type(self.commission).__name__} answered {cost!r} as the cost of {transaction.amount} {order.asset.symbol}",
            hint="calculate() returns an amount of money, 0 for none",
        )
