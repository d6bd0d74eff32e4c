"""A fill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustybt.trading.book.nano import from_nano

if TYPE_CHECKING:
    from rustybt.market.assets import Asset
    from rustybt.trading.orders.lots import Amount


class Transaction:
    """`amount` of `asset` traded at a price that is a whole number of 1e-9.

    Attributes
    ----------
    price
        The price as a float.
    price_nano
        The price in units of 1e-9, as the book keeps it.
    order_id
        The filled order; None when a delisted position was closed.
    """

    __slots__ = ("amount", "asset", "dt", "order_id", "price", "price_nano")

    def __init__(self, asset: Asset, amount: Amount, dt: Any, price_nano: int, order_id: str | None) -> None:
        self.asset = asset
        self.amount = amount
        self.dt = dt
        self.price_nano = price_nano
        self.price = from_nano(price_nano)
        self.order_id = order_id

    @property
    def sid(self) -> Asset:
        """The asset, under Zipline's other name for it."""
        return self.asset

    def to_dict(self) -> dict[str, Any]:
        """Return the transaction with Zipline's keys, as the cells of `perf.transactions` hold it."""
        return {
            "amount": self.amount,
            "dt": self.dt,
            "price": self.price,
            "order_id": self.order_id,
            "sid": self.asset,
            "commission": None,
        }

    def __repr__(self) -> str:
        return f"Transaction({self.asset}, {self.amount} at {self.price} on {self.dt})"
