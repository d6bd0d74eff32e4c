"""The simulation: bar by bar and session by session, in the order in which things happen on an exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from rustybt.data.portal.arrays.adjustments import Split
from rustybt.trading.results.session_log import SessionLog
from rustybt.trading.strategy import strategy_error

if TYPE_CHECKING:
    import pandas as pd

    from rustybt.data.portal import BarData, PolarsDataPortal
    from rustybt.data.portal.bar_provider import Integers
    from rustybt.market.assets import Asset
    from rustybt.trading.book.ledger import Ledger
    from rustybt.trading.book.transaction import Transaction
    from rustybt.trading.orders.blotter import Blotter
    from rustybt.trading.schedule import Schedule

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

    def check_account(self) -> None:
        """Raise if the account breaks a control."""
        ...

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
    `before_trading_start`, which sees bars up to the session before; at the end of each bar, open orders fill at this bar,
    holdings are valued, and `handle_data` and the scheduled functions run, whose orders fill at the next bar; at the end,
    holdings of delisted assets are closed, the account is checked and the session is recorded. In a daily run a session has
    one bar; in a weekly or monthly run the week or month stands for the session.
    """

    def __init__(self, algorithm: Simulated, progress: Progress | None = None) -> None:
        import pandas as pd

        self._algorithm = algorithm
        self._progress = progress
        portal = algorithm.portal
        axis = portal.axis
        rows = slice(axis.before, axis.before + axis.length)
        self._sessions = axis.sessions[rows].copy()
        self._is_intraday = portal.frequency.is_intraday
        closes = axis.closes[rows].astype("datetime64[us]")
        #: The bars' ends of a run without intraday bars: one a session, week or month.
        self._closes = list(pd.DatetimeIndex(closes).as_unit("ns").tz_localize("UTC"))
        self._close_instants = axis.closes[rows].copy()
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
            transactions = self._bars(t, functions.get("handle_data"))
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
        algorithm.portal.before_open(t)
        algorithm.datetime = dt = self._opens[t] if self._always_open else self._opens[t] - _BEFORE_OPEN
        if self._is_intraday:
            # Zipline's daily runs would look ahead here; on minutes holdings are worth their last price, adjusted.
            self._mark(dt)
        algorithm.accepts_orders = False
        self._call(function, t, None)
        algorithm.accepts_orders = True

    def _bars(self, t: int, handle_data: Callable[..., Any] | None) -> list[Transaction]:
        """Run the bars of a session and return its fills."""
        algorithm = self._algorithm
        portal, ledger, blotter = algorithm.portal, algorithm.ledger, algorithm.blotter
        ends, instants = self._ends_of(t)
        due = algorithm.schedule.due(t, instants)
        filled: list[Transaction] = []
        for number, dt in enumerate(ends):
            portal.at_bar(t, number)
            algorithm.datetime = dt
            if blotter.open_orders:
                transactions, commissions = blotter.fill(algorithm.data)
                for transaction in transactions:
                    ledger.execute(transaction)
                for order, cost in commissions:
                    ledger.charge(order.asset, cost)
                filled += transactions
            self._mark(dt)
            if handle_data is not None:
                self._call(handle_data, t, number)
            for function in due.get(number, ()):
                self._call(function, t, number)
        return filled

    def _ends_of(self, t: int) -> tuple[Iterable[pd.Timestamp], Integers]:
        """Return when the bars of session `t` are complete, as time stamps and as microseconds since 1970 UTC."""
        if not self._is_intraday:
            return self._closes[t : t + 1], self._close_instants[t : t + 1]
        ends = self._algorithm.portal.bar_ends(t)
        return ends, ends.as_unit("us").asi8

    def _mark(self, dt: pd.Timestamp) -> None:
        ledger = self._algorithm.ledger
        if ledger.positions:
            feed = self._algorithm.portal.feed
            ledger.mark(feed.spot["price"][feed.row], feed.column, dt)
        else:
            ledger.revalue()

    def _close(self, t: int, start: tuple[int, int], transactions: list[Transaction]) -> None:
        algorithm = self._algorithm
        ledger, blotter = algorithm.ledger, algorithm.blotter
        dt = algorithm.datetime
        delisted = algorithm.portal.panel.delisted.get(t, ())
        for asset in delisted:
            blotter.cancel_all(asset, dt, "delisted")
        # In the order in which they were first bought, as in Zipline.
        for asset in [held for held in ledger.positions if held in delisted] if delisted else ():
            closing = ledger.close_out(asset, dt, self._last_price(asset))
            if closing is not None:
                transactions.append(closing)
        blotter.end_session(dt, spares_new=not self._is_intraday)
        if delisted:
            ledger.revalue()
        algorithm.check_account()
        orders = [order.to_dict() for order in blotter.touched.values()]
        self.log.add(t, start, ledger, transactions, orders, dict(algorithm.recorded))
        blotter.clear_touched()

    def _last_price(self, asset: Asset) -> float:
        feed = self._algorithm.portal.feed
        return float(feed.spot["price"][feed.row, feed.column(asset)])

    def _call(self, function: Callable[..., Any], t: int, number: int | None) -> None:
        """Call a function of the strategy, in a bar of session `t` or, without a number, before it."""
        try:
            function(self._algorithm.context, self._algorithm.data)
        except Exception as error:
            session = f"the session {self._sessions[t]}"
            if number is None:
                where = f"before {session}"
            elif self._is_intraday:
                where = f"in bar {number + 1} of {session}, at {self._algorithm.datetime}"
            else:
                where = f"in bar {t + 1}, {session}"
            raise strategy_error(error, where) from error
