"""Commission models: what a fill costs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.trading.book.transaction import Transaction
    from rustybt.trading.orders.order import Order


class CommissionModel(ABC):
    """Base of all models; derive from it and write `calculate`."""

    @abstractmethod
    def calculate(self, order: Order, transaction: Transaction) -> float:
        """Return what this fill costs beyond ``order.commission``, which was paid for the order's earlier fills."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in sorted(vars(self).items()))
        return f"{type(self).__name__}({shown})"


#: Zipline's name of the base for models of shares: futures are not traded here.
EquityCommissionModel = CommissionModel


class NoCommission(CommissionModel):
    """Charge nothing."""

    def calculate(self, order: Order, transaction: Transaction) -> float:  # noqa: ARG002
        """Return 0."""
        return 0.0


class PerShare(CommissionModel):
    """Charge `cost` a share, at least `min_trade_cost` an order; Zipline's default, a tenth of a cent a share."""

    def __init__(self, cost: float = 0.001, min_trade_cost: float | None = 0.0) -> None:
        self.cost_per_share = _cost(cost, "PerShare(cost=...)")
        self.min_trade_cost = _cost(min_trade_cost or 0.0, "PerShare(min_trade_cost=...)")

    def calculate(self, order: Order, transaction: Transaction) -> float:
        """Return the cost of this fill, counting the minimum once an order."""
        now = abs(transaction.amount * self.cost_per_share)
        if order.commission == 0:
            return max(self.min_trade_cost, now)
        total = abs(order.filled * self.cost_per_share) + now
        # The minimum, once paid, covers fills until their shares cost more than it.
        return 0.0 if total < self.min_trade_cost else total - order.commission


class PerTrade(CommissionModel):
    """Charge `cost` an order, with its first fill."""

    def __init__(self, cost: float = 0.0) -> None:
        self.cost = _cost(cost, "PerTrade(cost=...)")

    def calculate(self, order: Order, transaction: Transaction) -> float:  # noqa: ARG002
        """Return the cost for the first fill of an order, 0 for the others."""
        return self.cost if order.commission == 0 else 0.0


class PerDollar(CommissionModel):
    """Charge `cost` for each unit of currency traded, by default 0.15 %."""

    def __init__(self, cost: float = 0.0015) -> None:
        self.cost_per_dollar = _cost(cost, "PerDollar(cost=...)")

    def calculate(self, order: Order, transaction: Transaction) -> float:  # noqa: ARG002
        """Return the cost of this fill."""
        return abs(transaction.amount) * (transaction.price * self.cost_per_dollar)


def _cost(given: Any, argument: str) -> float:
    """Return a rate as a float; RequestError for one that is negative or no finite number, which would charge nothing."""
    try:
        rate = float(given)
    except (TypeError, ValueError, OverflowError):
        rate = math.nan
    if not 0 <= rate < math.inf:
        raise RequestError(f"{argument} must be a finite number, not negative, not {given!r}")
    return rate
