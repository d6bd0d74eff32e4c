"""`context.portfolio` and `context.account`: the book as a strategy reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustybt.trading.book.nano import from_nano

if TYPE_CHECKING:
    import pandas as pd

    from rustybt.trading.book.ledger import Ledger
    from rustybt.trading.book.position import Positions


class Portfolio:
    """What is held and what it is worth, in currency; read-only, always of the present bar.

    `positions` is a copy of the book's table of holdings: taking one out of it changes nothing.
    """

    __slots__ = ("_ledger", "_start")
    _ledger: Ledger
    _start: Any

    def __init__(self, ledger: Ledger, start: Any) -> None:
        object.__setattr__(self, "_ledger", ledger)
        object.__setattr__(self, "_start", start)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"the portfolio is read-only: {name} cannot be set")

    @property
    def positions(self) -> Positions:
        """Holdings by asset."""
        return self._ledger.view

    @property
    def cash(self) -> float:
        """Cash held."""
        return from_nano(self._ledger.cash)

    @property
    def portfolio_value(self) -> float:
        """Cash and holdings."""
        return from_nano(self._ledger.portfolio_value)

    @property
    def positions_value(self) -> float:
        """Holdings, shorts negative."""
        return from_nano(self._ledger.positions_value)

    @property
    def positions_exposure(self) -> float:
        """The same as `positions_value`: no leverage is built into an asset."""
        return self.positions_value

    @property
    def starting_cash(self) -> float:
        """Capital at the start."""
        return from_nano(self._ledger.starting_cash)

    @property
    def cash_flow(self) -> float:
        """Cash that came in since the start; negative when more was spent."""
        return from_nano(self._ledger.cash - self._ledger.starting_cash)

    capital_used = cash_flow

    @property
    def pnl(self) -> float:
        """Profit since the start."""
        return from_nano(self._ledger.portfolio_value - self._ledger.starting_cash)

    @property
    def returns(self) -> float:
        """Profit since the start as a fraction of the capital."""
        return (self._ledger.portfolio_value - self._ledger.starting_cash) / self._ledger.starting_cash

    @property
    def start_date(self) -> Any:
        """First session."""
        return self._start

    @property
    def current_portfolio_weights(self) -> pd.Series[float]:
        """Value of each holding as a fraction of the portfolio value."""
        import pandas as pd

        total = self._ledger.portfolio_value
        weights = {a: p.value_nano / total for a, p in self._ledger.positions.items()}
        return pd.Series(list(weights.values()), index=pd.Index(list(weights), dtype=object), dtype=float)

    def __repr__(self) -> str:
        return f"Portfolio(value={self.portfolio_value}, cash={self.cash}, positions={len(self._ledger.positions)})"


class Account:
    """The trading account, with Zipline's fields; read-only, always of the present bar.

    Margin is not modelled: `buying_power`, `regt_margin` and `day_trades_remaining` are infinite.
    """

    __slots__ = ("_ledger",)
    _ledger: Ledger

    accrued_interest = 0.0
    buying_power = float("inf")
    regt_margin = float("inf")
    initial_margin_requirement = 0.0
    maintenance_margin_requirement = 0.0
    day_trades_remaining = float("inf")

    def __init__(self, ledger: Ledger) -> None:
        object.__setattr__(self, "_ledger", ledger)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"the account is read-only: {name} cannot be set")

    @property
    def settled_cash(self) -> float:
        """Cash held."""
        return from_nano(self._ledger.cash)

    available_funds = excess_liquidity = regt_equity = settled_cash

    @property
    def equity_with_loan(self) -> float:
        """Portfolio value."""
        return from_nano(self._ledger.portfolio_value)

    net_liquidation = equity_with_loan

    @property
    def total_positions_value(self) -> float:
        """Value of the holdings."""
        return from_nano(self._ledger.positions_value)

    total_positions_exposure = total_positions_value

    @property
    def cushion(self) -> float:
        """Cash as a fraction of the portfolio value, NaN when that is 0."""
        total = self._ledger.portfolio_value
        return self._ledger.cash / total if total else float("nan")

    @property
    def gross_leverage(self) -> float:
        """Longs plus the size of shorts as a fraction of the portfolio value."""
        return _leverage(self._ledger.long_value - self._ledger.short_value, self._ledger.portfolio_value)

    leverage = gross_leverage

    @property
    def net_leverage(self) -> float:
        """Longs less the size of shorts as a fraction of the portfolio value."""
        return _leverage(self._ledger.positions_value, self._ledger.portfolio_value)

    def __repr__(self) -> str:
        return f"Account(net_liquidation={self.net_liquidation}, leverage={self.leverage})"


def _leverage(exposure: int, total: int) -> float:
    return exposure / total if total else float("inf")
