"""An order and its life."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from rustybt.trading.orders.lots import Amount, exact, truncate

if TYPE_CHECKING:
    from fractions import Fraction

    from rustybt.market.assets import Asset

_NEAR_A_CENT = 1e-6


class OrderStatus(IntEnum):
    """State of an order; the numbers are Zipline's."""

    OPEN = 0
    FILLED = 1
    CANCELLED = 2
    REJECTED = 3
    HELD = 4


class Order:
    """An order to trade `amount` of an asset; negative amounts sell.

    Attributes
    ----------
    id
        Unique in its run, and the same in every run of the same strategy.
    created, dt
        When it was placed, and when it last changed.
    filled
        Signed amount filled so far.
    commission
        Paid so far, in currency.
    stop, limit
        Prices, None where not set.
    """

    __slots__ = (
        "_is_restated",
        "_status",
        "amount",
        "asset",
        "commission",
        "created",
        "direction",
        "dt",
        "filled",
        "id",
        "limit",
        "limit_reached",
        "reason",
        "stop",
        "stop_reached",
    )

    def __init__(
        self,
        order_id: str,
        dt: Any,
        asset: Asset,
        amount: Amount,
        stop: float | None = None,
        limit: float | None = None,
    ) -> None:
        self.id = order_id
        self.dt = dt
        self.created = dt
        self.reason: str | None = None
        self.asset = asset
        self.amount: Amount = amount
        self.filled: Amount = 0
        self.commission: float = 0
        self.stop = stop
        self.limit = limit
        self.stop_reached = False
        self.limit_reached = False
        self.direction = 1.0 if amount > 0 else -1.0
        self._is_restated = False
        self._status = OrderStatus.OPEN

    @property
    def sid(self) -> Asset:
        """The asset, under the name that Zipline's slippage models read."""
        return self.asset

    @property
    def open_amount(self) -> Amount:
        """What is not filled yet, signed."""
        return truncate(self.amount - self.filled, self.asset, near=True)

    @property
    def status(self) -> OrderStatus:
        """Present state."""
        if not self.open_amount:
            return OrderStatus.FILLED
        if self._status is OrderStatus.HELD and self.filled:
            return OrderStatus.OPEN
        return self._status

    @property
    def open(self) -> bool:
        """True while it may still fill."""
        return self.status in (OrderStatus.OPEN, OrderStatus.HELD)

    @property
    def triggered(self) -> bool:
        """True for a market order, and for others once their stop and limit are reached."""
        if self.stop is not None and not self.stop_reached:
            return False
        return self.limit is None or self.limit_reached

    def cancel(self, dt: Any, reason: str | None = None) -> None:
        """End the order unfilled."""
        self._status = OrderStatus.CANCELLED
        self.dt = dt
        self.reason = reason

    def check_triggers(self, price: float, dt: Any) -> None:
        """Note which of stop and limit the trade price reaches.

        A stop-limit order whose stop is reached becomes a limit order.
        """
        if self.triggered:
            return
        buys = self.amount > 0
        stop_hit = self.stop is not None and (price >= self.stop if buys else price <= self.stop)
        limit_hit = self.limit is not None and (price <= self.limit if buys else price >= self.limit)
        if self.stop is not None and self.limit is not None:
            limit_hit = limit_hit and stop_hit
            if stop_hit:
                self.stop = None
            stop_hit = False
        if (stop_hit, limit_hit) != (self.stop_reached, self.limit_reached):
            self.dt = dt
        self.stop_reached, self.limit_reached = stop_hit, limit_hit

    def split(self, ratio: Any) -> None:
        """Restate the order in the shares after a split: `ratio` new shares for one.

        Open and filled parts are truncated each for itself, so that a reverse split never adds a share to trade; prices
        are rounded to cents, as Zipline does.
        """
        remaining = truncate(exact(self.open_amount) * ratio, self.asset)
        self.filled = truncate(exact(self.filled) * ratio, self.asset)
        self.amount = self.filled + remaining
        if self.limit is not None:
            self.limit = _restated(self.limit, ratio, in_ticks=not self._is_restated)
        if self.stop is not None:
            self.stop = _restated(self.stop, ratio, in_ticks=not self._is_restated)
        self._is_restated = True

    def to_dict(self) -> dict[str, Any]:
        """Return the order with Zipline's keys, as the cells of `perf.orders` hold it."""
        return {
            "id": self.id,
            "dt": self.dt,
            "reason": self.reason,
            "created": self.created,
            "amount": self.amount,
            "filled": self.filled,
            "commission": self.commission,
            "stop": self.stop,
            "limit": self.limit,
            "stop_reached": self.stop_reached,
            "limit_reached": self.limit_reached,
            "sid": self.asset,
            "status": self.status,
        }

    def __repr__(self) -> str:
        return f"Order({self.to_dict()!r})"


def _restated(price: float, ratio: Fraction, *, in_ticks: bool) -> float:
    # Zipline's arithmetic, for half a cent falls to the side to which its floats lean: 11.95 is 1195 times 0.01 there, until
    # a split has rounded it.
    cents = price * 100
    if in_ticks and abs(cents - round(cents)) < _NEAR_A_CENT:
        price = round(cents) * 0.01
    return round(price * (ratio.denominator / ratio.numerator), 2)
