"""The simulation: one step a session, in the order in which things happen on an exchange."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from rustybt.data.portal.adjustments import Split
from rustybt.trading.session_log import SessionLog
from rustybt.trading.strategy import strategy_error

if TYPE_CHECKING:
    import pandas as pd

    from rustybt.data.portal import BarData, PolarsDataPortal
    from rustybt.market.assets import Asset
    from rustybt.trading.blotter import Blotter
    from rustybt.trading.ledger import Ledger
    from rustybt.trading.schedule import Schedule
    from rustybt.trading.transaction import Transaction

Progress = Callable[[str, int, int], None]

# Zipline calls before_trading_start at 8:45 in New York, 45 minutes before the open.
_BEFORE_OPEN = timedelta(minutes=45)


class Simulated(Protocol):
    """What the simulation needs of an algorithm."""

    context: Any
    portal: PolarsDataPortal
    data: BarData
    ledger: Ledger
    blotter: Blotter
    schedule: Schedule
    datetime: Any
    accepts_orders: bool

    @property
    def recorded(self) -> dict[str, Any]:
        """Values recorded so far."""
        ...

    @property
    def user_functions(self) -> dict[str, Callable[..., Any]]:
        """The strategy's functions by name."""
        ...


class Simulation:
    """Runs an algorithm over the sessions of its portal.

    In each session, in this order: dividends are earned and paid and splits restate holdings and open orders; then
    `before_trading_start`, which sees bars up to the session before; at the close, open orders fill at this bar, holdings
    are valued, and `handle_data` and the scheduled functions run, whose orders fill at the next bar; at the end,
    holdings of delisted assets are closed and the session is recorded.
    """

    def __init__(self, algorithm: Simulated, progress: Progress | None = None) -> None:
        import pandas as pd

        self._algorithm = algorithm
        self._progress = progress
        portal = algorithm.portal
        axis = portal.axis
        rows = slice(axis.before, axis.before + axis.length)
        self._sessions = axis.sessions[rows].copy()
        self._closes = list(
            pd.DatetimeIndex(axis.closes[rows].astype("datetime64[us]")).as_unit("ns").tz_localize("UTC")
        )
        self._opens = pd.DatetimeIndex(axis.opens[rows].astype("datetime64[us]")).as_unit("ns").tz_localize("UTC")
        self._always_open = axis.calendar.is_always_open
        self.log = SessionLog(algorithm.ledger.starting_cash, [str(s) for s in self._sessions])

    def run(self) -> SessionLog:
        """Run all sessions and return their records; after an error `log` holds those that were completed."""
        functions = self._algorithm.user_functions
        every = max(1, len(self._sessions) // 100)
        for t in range(len(self._sessions)):
            start = self._open(t)
            if "before_trading_start" in functions:
                self._before_open(t, functions["before_trading_start"])
            transactions = self._bar(t, functions.get("handle_data"))
            self._close(t, start, transactions)
            if self._progress is not None and (t % every == 0 or t == len(self._sessions) - 1):
                self._progress(f"backtest {self._sessions[t]}", t + 1, len(self._sessions))
        return self.log

    def _open(self, t: int) -> tuple[int, int]:
        """Book what happens before the first trade; return cash and holdings after dividends and before splits."""
        algorithm = self._algorithm
        ledger = algorithm.ledger
        events = algorithm.portal.panel.book.get(t, ())
        if events:
            ledger.earn(e for e in events if not isinstance(e, Split))
        ledger.pay(t)
        start = ledger.cash, ledger.positions_value
        for event in events:
            if isinstance(event, Split):
                algorithm.blotter.split(event.asset, event.ratio)
                ledger.split(event)
        if events:
            ledger.revalue()
        return start

    def _before_open(self, t: int, function: Callable[..., Any]) -> None:
        algorithm = self._algorithm
        algorithm.portal.set_clock(t, t - 1)
        algorithm.datetime = self._opens[t] if self._always_open else self._opens[t] - _BEFORE_OPEN
        algorithm.accepts_orders = False
        self._call(t, function)
        algorithm.accepts_orders = True

    def _bar(self, t: int, handle_data: Callable[..., Any] | None) -> list[Transaction]:
        algorithm = self._algorithm
        portal, ledger, blotter = algorithm.portal, algorithm.ledger, algorithm.blotter
        portal.set_clock(t, t)
        algorithm.datetime = dt = self._closes[t]
        transactions: list[Transaction] = []
        if blotter.open_orders:
            transactions, commissions = blotter.fill(algorithm.data)
            for transaction in transactions:
                ledger.execute(transaction)
            for order, cost in commissions:
                ledger.charge(order.asset, cost)
        self._mark(dt)
        if handle_data is not None:
            self._call(t, handle_data)
        for function in algorithm.schedule.due(t):
            self._call(t, function)
        return transactions

    def _mark(self, dt: pd.Timestamp) -> None:
        portal = self._algorithm.portal
        ledger = self._algorithm.ledger
        if ledger.positions:
            ledger.mark(portal.spot["price"][portal.row], portal.column, dt)
        else:
            ledger.revalue()

    def _close(self, t: int, start: tuple[int, int], transactions: list[Transaction]) -> None:
        algorithm = self._algorithm
        ledger, blotter = algorithm.ledger, algorithm.blotter
        dt = self._closes[t]
        delisted = algorithm.portal.panel.delisted.get(t, ())
        for asset in delisted:
            blotter.cancel_all(asset, dt, "delisted")
            closing = ledger.close_out(asset, dt, self._last_price(asset))
            if closing is not None:
                transactions.append(closing)
        blotter.end_session(dt)
        if delisted:
            ledger.revalue()
        orders = [order.to_dict() for order in blotter.touched.values()]
        self.log.add(t, start, ledger, transactions, orders, dict(algorithm.recorded))
        blotter.clear_touched()

    def _last_price(self, asset: Asset) -> float:
        portal = self._algorithm.portal
        return float(portal.spot["price"][portal.row, portal.column(asset)])

    def _call(self, t: int, function: Callable[..., Any]) -> None:
        try:
            function(self._algorithm.context, self._algorithm.data)
        except Exception as error:
            raise strategy_error(error, f"in bar {t + 1}, the session {self._sessions[t]}") from error
