"""The state of a run and everything that `rustybt.api` can ask of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.data.portal import BarData, PolarsDataPortal
from rustybt.errors import RequestError, SymbolNotFoundError
from rustybt.market.calendars import get_calendar
from rustybt.trading.book.ledger import Ledger
from rustybt.trading.book.portfolio import Account, Portfolio
from rustybt.trading.commission import CommissionModel
from rustybt.trading.controls.control_desk import ControlDesk
from rustybt.trading.orders.blotter import Blotter
from rustybt.trading.orders.cancel_policy import CancelPolicy
from rustybt.trading.orders.order_desk import OrderDesk
from rustybt.trading.results.perf import PERF_COLUMNS
from rustybt.trading.run_inputs import parse_date
from rustybt.trading.schedule import DateRule, Schedule, TimeRule, check_rule
from rustybt.trading.slippage import SlippageModel
from rustybt.trading.strategy import check_function

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    import pandas as pd

    from rustybt.data.portal.bar_provider import Floats
    from rustybt.market.assets import Asset


class Desk:
    """One run: its clock, book, orders and schedule.

    Parameters
    ----------
    portal
        Serves the bars.
    capital_base
        Cash at the start.
    context
        The object that the strategy's functions get as their first argument.
    user_functions
        The strategy's functions by name.
    environment
        What `get_environment` answers.
    """

    def __init__(
        self,
        portal: PolarsDataPortal,
        capital_base: float,
        context: Any,
        user_functions: dict[str, Callable[..., Any]],
        environment: Mapping[str, Any],
    ) -> None:
        self.portal = portal
        self.context = context
        self.user_functions = user_functions
        self.environment = dict(environment)
        self.ledger = Ledger(capital_base)
        self.blotter = Blotter()
        self.data = BarData(portal, lambda: self.datetime, self._is_restricted)
        axis = portal.axis
        self.sessions = axis.sessions[axis.before : axis.before + axis.length].copy()
        self.schedule = Schedule(self.sessions, axis.calendar)
        self.datetime: Any = None
        self.accepts_orders = True
        self.initialized = False
        # By identity: kept, so that no other object takes it.
        self._own_assets: dict[int, Asset] = {}
        self.recorded: dict[str, Any] = {}
        self.benchmark: Asset | None = None
        self.portfolio = Portfolio(self.ledger, _timestamp(self.sessions[0]))
        self.account = Account(self.ledger)
        self._lookup_date: Any = None
        self.controls = ControlDesk(
            self.data,
            self.ledger,
            self.sessions[0].item(),
            only_initialize=self._only_initialize,
            clock=lambda: self.datetime,
            session=self.session,
        )
        self.orders = OrderDesk(
            self.data,
            self.ledger,
            self.blotter,
            refuse=self._refuse_order,
            check_asset=self._check_asset,
            check=self.controls.check_order,
            clock=lambda: self.datetime,
            session=self.session,
        )

    def session(self) -> date:
        """Return the present session."""
        return self.portal.session

    def _is_restricted(self, asset: Asset) -> bool:
        return self.controls.is_restricted(asset)

    def _check_asset(self, asset: Asset) -> None:
        """Refuse an asset of other bars: assets are told apart by sid, and it would trade at the prices of one of these."""
        if self._own_assets.get(id(asset)) is asset:
            return
        own = self.portal.asset_finder.retrieve_asset(asset.sid)
        if (own.symbol, own.calendar_name) != (asset.symbol, asset.calendar_name):
            raise RequestError(
                f"{asset.symbol} is not an asset of this run: its sid {asset.sid} is that of {own.symbol} here",
                hint=f"look it up in the run: symbol({asset.symbol!r})",
                symbol=asset.symbol,
            )
        self._own_assets[id(asset)] = asset

    def _refuse_order(self) -> str | None:
        if not self.initialized:
            return "in initialize"
        return None if self.accepts_orders else "in before_trading_start"

    def _only_initialize(self, name: str) -> None:
        if self.initialized:
            raise RequestError(f"{name}() can only be called in initialize", hint="move the call there")

    # Assets --------------------------------------------------------------------------------------------------------

    def symbol(self, symbol_str: str, country_code: str | None = None) -> Asset:  # noqa: ARG002 - Zipline's signature
        """Return the asset of a ticker; see `rustybt.api.symbol`."""
        if not isinstance(symbol_str, str):
            raise RequestError(
                f"symbol() takes text, not {type(symbol_str).__name__} {symbol_str!r}", hint="write symbol('AAPL')"
            )
        finder = self.portal.asset_finder
        as_of = self._lookup_date or self.sessions[-1].item()
        try:
            asset = finder.lookup_symbol(symbol_str, as_of)
        except SymbolNotFoundError:
            if symbol_str == symbol_str.upper():
                raise
            asset = finder.lookup_symbol(symbol_str.upper(), as_of)
        self.portal.panel.expect(asset)
        found: Asset = asset
        return found

    def symbols(self, *args: str, **kwargs: Any) -> list[Asset]:
        """Return the assets of several tickers."""
        return [self.symbol(one, **kwargs) for one in args]

    def sid(self, sid: int) -> Asset:
        """Return the asset of a sid."""
        asset: Asset = self.portal.asset_finder.retrieve_asset(sid)
        self.portal.panel.expect(asset)
        return asset

    def set_symbol_lookup_date(self, dt: Any) -> None:
        """Resolve tickers as of this date."""
        self._lookup_date = parse_date(dt, "date to look symbols up")

    # Time ----------------------------------------------------------------------------------------------------------

    def get_datetime(self, tz: Any = None) -> pd.Timestamp:
        """Return the present instant, in UTC or in `tz`."""
        now: pd.Timestamp = self.datetime
        return now if tz is None else now.tz_convert(tz)

    def get_environment(self, field: str = "platform") -> Any:
        """Return a fact of the run; see `rustybt.api.get_environment`."""
        if field == "*":
            return dict(self.environment)
        if field not in self.environment:
            raise RequestError(
                f"no field {field!r} of the environment", hint=f"use one of {', '.join(self.environment)}"
            )
        return self.environment[field]

    def schedule_function(
        self,
        func: Callable[[Any, Any], Any],
        date_rule: DateRule | TimeRule | None = None,
        time_rule: TimeRule | None = None,
        half_days: bool = True,  # noqa: FBT001, FBT002 - Zipline's signature
        calendar: str | None = None,
    ) -> None:
        """Run `func` on the rule's sessions; see `rustybt.api.schedule_function`."""
        if isinstance(date_rule, TimeRule) and time_rule is None:
            date_rule, time_rule = None, date_rule
        check_rule(date_rule, DateRule, "date_rules")
        check_rule(time_rule, TimeRule, "time_rules")
        check_function(func, "the function to schedule")
        counted = None
        if calendar is not None:
            counted = get_calendar(calendar, self.sessions[0].item(), self.sessions[-1].item())
        days = date_rule if isinstance(date_rule, DateRule) else DateRule()
        times = time_rule if isinstance(time_rule, TimeRule) else TimeRule()
        self.schedule.add(func, days, times, half_days=half_days, calendar=counted)

    def record(self, *args: Any, **kwargs: Any) -> None:
        """Keep values for the perf frame; see `rustybt.api.record`."""
        if len(args) % 2:
            raise RequestError(
                "record() takes names and values in pairs", hint="write record(price=10) or record('x', 1)"
            )
        values = {**{str(name): value for name, value in zip(args[::2], args[1::2], strict=True)}, **kwargs}
        for name, value in values.items():
            if not _is_utf8(name) or (isinstance(value, str) and not _is_utf8(value)):
                raise RequestError(
                    f"record({name!r:.100}, {value!r:.100}): half of a surrogate pair is no text that can be saved",
                    hint="text.encode('utf-8', 'replace').decode()",
                )
        taken = PERF_COLUMNS.intersection(values)
        if taken:
            name = min(taken)
            raise RequestError(
                f"record({name}=...): the result has a column {name} of its own", hint=f"record it as my_{name}"
            )
        self.recorded |= values

    # Controls ------------------------------------------------------------------------------------------------------

    def check_account(self) -> None:
        """Ask the controls of the account; call it at the end of each session, when its holdings are valued.

        Raises
        ------
        AccountControlError
            The account breaks one.
        """
        self.controls.check_account(self.account)

    # Models --------------------------------------------------------------------------------------------------------

    def set_slippage(self, us_equities: Any = None, us_futures: Any = None) -> None:
        """Use another slippage model; see `rustybt.api.set_slippage`."""
        self._only_initialize("set_slippage")
        self.blotter.slippage = _model(us_equities, us_futures, SlippageModel, "set_slippage")

    def set_commission(self, us_equities: Any = None, us_futures: Any = None) -> None:
        """Use another commission model; see `rustybt.api.set_commission`."""
        self._only_initialize("set_commission")
        self.blotter.commission = _model(us_equities, us_futures, CommissionModel, "set_commission")

    def set_cancel_policy(self, cancel_policy: CancelPolicy) -> None:
        """Use another cancel policy."""
        self._only_initialize("set_cancel_policy")
        if not isinstance(cancel_policy, CancelPolicy):
            raise RequestError(
                f"set_cancel_policy() takes EODCancel() or NeverCancel(), not {cancel_policy!r}",
                hint="write set_cancel_policy(EODCancel())",
            )
        self.blotter.cancel_policy = cancel_policy

    def set_benchmark(self, benchmark: Asset) -> None:
        """Compare with an asset, its dividends reinvested."""
        self._only_initialize("set_benchmark")
        self.portal.column(benchmark)
        self.benchmark = benchmark

    def benchmark_returns(self) -> Floats:
        """Return the benchmark asset's return in each session, 0 where it has no price; call it when the run has ended.

        An asset that is listed in the first session returns its close by its open there, as in Zipline.
        """
        if self.benchmark is None:
            raise RequestError("no benchmark asset is set", hint="call set_benchmark in initialize")
        prices = self.portal.session_prices(self.benchmark)
        if math.isnan(prices[0]) and not math.isnan(prices[1]):
            prices[0] = prices[1] * self.portal.open_by_close(self.benchmark)
        with np.errstate(divide="ignore", invalid="ignore"):
            returns: Floats = np.nan_to_num(prices[1:] / prices[:-1] - 1, nan=0.0, posinf=0.0, neginf=0.0)
        return returns


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _model(equities: Any, futures: Any, kind: type[Any], name: str) -> Any:
    if futures is not None:
        raise RequestError(
            f"{name}(us_futures=...): futures are not traded here", hint=f"write {name}(us_equities=...)"
        )
    if not isinstance(equities, kind):
        hint = f"write {equities.__name__}() with parentheses" if isinstance(equities, type) else None
        raise RequestError(f"{name}() takes a {kind.__name__}, not {equities!r}", hint=hint)
    return equities


def _timestamp(value: Any) -> pd.Timestamp:
    import pandas as pd

    return pd.Timestamp(value)
