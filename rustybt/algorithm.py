"""Run a Zipline strategy: `run_algorithm`, `TradingAlgorithm` and the replay of a saved result."""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rustybt import api
from rustybt.data.portal import BarProvider, CombinedBars, PolarsDataPortal, bars_of
from rustybt.data.portal.portal import span
from rustybt.errors import RequestError, RustybtError
from rustybt.market.frequency import Frequency
from rustybt.trading.active import activate
from rustybt.trading.desk import Desk
from rustybt.trading.models import describe_model, model_of
from rustybt.trading.results.books import build_books
from rustybt.trading.results.perf import build_perf
from rustybt.trading.results.replay import ReplayReport, benchmark_of, compare, open_pinned, replayable
from rustybt.trading.results.result import Result
from rustybt.trading.results.run_data import run_data
from rustybt.trading.results.run_facts import frequency_name, pin_of, register, unapplied_notes
from rustybt.trading.run_inputs import (
    align_returns,
    check_bars_given,
    check_progress,
    effective_arguments,
    parse_capital,
    parse_date,
    parse_symbols,
)
from rustybt.trading.simulation import Progress, Simulation
from rustybt.trading.stopped import stopped, why_stopped
from rustybt.trading.strategy import Strategy, load_script, run_script, stop_if_loading, strategy_error, strategy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from rustybt.data.portal.bar_provider import Floats
    from rustybt.trading.book.portfolio import Account, Portfolio
    from rustybt.trading.commission import CommissionModel
    from rustybt.trading.results.session_log import SessionLog
    from rustybt.trading.slippage import SlippageModel

__all__ = ["Driver", "TradingAlgorithm", "load_script", "replay", "run_algorithm"]


class Driver(Protocol):
    """Moves an algorithm through time: the simulation here, a live feed elsewhere."""

    log: SessionLog

    def run(self) -> SessionLog:
        """Run to the end and return the record of the sessions."""
        ...


class TradingAlgorithm:
    """A strategy on bars; it is also the `context` that the strategy's functions get, and keeps what they set on it.

    Parameters
    ----------
    start, end
        First and last date, both included; by default, and at most, those of the bars.
    initialize, handle_data, before_trading_start, analyze
        The strategy, as in Zipline.
    capital_base
        Cash at the start, in the currency of the assets.
    data_frequency
        Of the bars that move the clock: ``daily``, ``minute``, or any frequency that the bars have or can be made into, as
        ``1h``. Longer bars are there for `data.history` as well.
    bundle
        An opened bundle, or its reference: ``us``, ``us@3``, ``us@TAG``; or a list of several, no two with the same symbol.
    data_source
        A source to fetch bars from instead; `symbols` are fetched together, others when they are looked up.
    trading_calendar
        Name of the calendar whose sessions drive the run, or an object with a `name`; by default the bundle's. Bundles of
        several calendars need one: bars of other venues are seen in the first session, or bar, that ends after them.
    benchmark_returns
        Series of session returns by date; sessions it lacks count as 0.
    commission, slippage
        Models; by default Zipline's, `PerShare` of 0.001 and `FixedBasisPointsSlippage` of 5 with a tenth of the volume.
    store
        Where bundles are opened, and whose cache is used; by default the user's.
    use_cache
        Whether a source that is not on this machine is asked through the cache.
    script
        Path of a strategy file, or a loaded one, instead of functions.
    driver
        Makes what moves the run through time from its state; by default the simulation.
    **initialize_kwargs
        Passed to `initialize`.

    Raises
    ------
    RequestError
        No bars are given, or both a bundle and a source; the dates hold no session; the capital is not positive.
    """

    def __init__(
        self,
        start: Any = None,
        end: Any = None,
        initialize: Callable[..., Any] | None = None,
        capital_base: float = 1e6,
        handle_data: Callable[..., Any] | None = None,
        before_trading_start: Callable[..., Any] | None = None,
        analyze: Callable[..., Any] | None = None,
        data_frequency: str = "daily",
        bundle: Any = None,
        data_source: Any = None,
        trading_calendar: Any = None,
        benchmark_returns: Any = None,
        commission: CommissionModel | None = None,
        slippage: SlippageModel | None = None,
        store: Any = None,
        progress: Progress | None = None,
        script: str | Path | Strategy | None = None,
        symbols: Sequence[str] = (),
        use_cache: bool = True,  # noqa: FBT001, FBT002 - all of them are given by name
        driver: Callable[[Any, Progress | None], Driver] | None = None,
        **initialize_kwargs: Any,
    ) -> None:
        self._frequency = Frequency.parse(data_frequency)
        capital = parse_capital(capital_base)
        check_bars_given(bundle, data_source)
        given = {
            "initialize": initialize,
            "handle_data": handle_data,
            "before_trading_start": before_trading_start,
            "analyze": analyze,
        }
        self._strategy = strategy_of(script, given)
        self._bundle, self._store = bundle, store
        self._source, self._symbols = data_source, parse_symbols(symbols)
        self._use_cache = use_cache
        self._start, self._end = parse_date(start, "start"), parse_date(end, "end")
        if self._start is not None and self._end is not None and self._end < self._start:
            raise RequestError(
                f"the end {self._end} comes before the start {self._start}",
                hint=f"start={str(self._end)!r}, end={str(self._start)!r}",
            )
        self._capital_base = capital
        self._calendar = getattr(trading_calendar, "name", trading_calendar)
        self._benchmark = benchmark_returns
        self._models = {"commission": commission, "slippage": slippage}
        self._initialize_kwargs = initialize_kwargs
        self._progress = check_progress(progress)
        self._driver = driver or Simulation
        self._notes: list[str] = []
        self._desk: Desk | None = None

    def __getattr__(self, name: str) -> Any:
        # As in Zipline, whose examples write context.order(...) and context.symbol(...) too.
        function = getattr(api, name, None) if name in api.__all__ else None
        if inspect.isfunction(function):
            return function
        hint = "" if name.startswith("_") else f": write context.{name} = ... in initialize first"
        raise AttributeError(f"the context has no attribute {name!r}{hint}", name=name, obj=self)

    # What a strategy reads of its context ---------------------------------------------------------------------------

    @property
    def portfolio(self) -> Portfolio:
        """What is held and what it is worth."""
        return self._running.portfolio

    @property
    def account(self) -> Account:
        """The trading account."""
        return self._running.account

    @property
    def blotter(self) -> Any:
        """The open orders."""
        return self._running.blotter

    @property
    def datetime(self) -> Any:
        """The present instant in UTC."""
        return self._running.datetime

    @property
    def recorded_vars(self) -> dict[str, Any]:
        """Values recorded so far."""
        return dict(self._running.recorded)

    @property
    def data_portal(self) -> PolarsDataPortal:
        """Serves the bars."""
        return self._running.portal

    @property
    def _running(self) -> Desk:
        if self._desk is None:
            raise RequestError("the algorithm is not running", hint="call run()")
        return self._desk

    # Running -------------------------------------------------------------------------------------------------------

    def run(self) -> Result:
        """Run the strategy over all sessions; `partial_result` on what ends it early is the result of those before.

        Raises
        ------
        StrategyError
            The strategy raised, or asked the program to end; the message names the bar, the session and the line.
        KeyboardInterrupt
            Ctrl-C.
        """
        stop_if_loading()
        with ExitStack() as stack:
            bars = self._open(stack)
            start, end = self._range(bars)
            portal = PolarsDataPortal(
                calendar=self._calendar, bars=bars, start=start, end=end, frequency=self._frequency
            )
            self._desk = desk = self._make_desk(portal)
            if self._benchmark is not None:
                # Better refused now than when all is run.
                align_returns(self._benchmark, desk.sessions)
            driver = self._driver(desk, self._progress)
            stack.enter_context(activate(desk))
            build = partial(self._result, desk, driver, bars)
            try:
                self._initialize(desk)
                driver.run()
            except (Exception, KeyboardInterrupt, SystemExit) as error:
                found = stopped(error, desk.session(), has_begun=desk.initialized)
                # Beside `details`, which are printed as JSON.
                found.__dict__["partial_result"] = build(error=why_stopped(found))
                if found is error:
                    raise
                raise found from error
            result = build()
            self._analyze(desk, result)
            return result

    def _analyze(self, desk: Desk, result: Result) -> None:
        if "analyze" not in desk.user_functions:
            return
        try:
            # A copy: what it does to the frame is not what was run.
            desk.user_functions["analyze"](self, result.perf.copy())
        except (Exception, SystemExit) as error:
            found = strategy_error(error, "in analyze")
            found.__dict__["partial_result"] = result
            raise found from error
        except KeyboardInterrupt as stop:
            stop.__dict__["partial_result"] = result
            raise

    def _open(self, stack: ExitStack) -> BarProvider:
        if self._source is not None:
            return bars_of(
                self._source,
                self._symbols,
                self._start,
                self._end,
                calendar_name=self._calendar,
                frequency=self._frequency,
                use_cache=self._use_cache,
                store=self._store,
                progress=self._progress,
            )
        several = isinstance(self._bundle, (list, tuple))
        given: Sequence[Any] = self._bundle if several else [self._bundle]
        if several and not given:
            raise RequestError("a run needs bars: the list of bundles is empty", hint="bundle=['us', 'crypto']")
        store = self._store
        if store is None and any(isinstance(one, str) for one in given):
            from rustybt.data.bundles.store import BundleStore

            store = stack.enter_context(BundleStore())
        opened = [self._open_bundle(one, store, stack) for one in given]
        return opened[0] if len(opened) == 1 else CombinedBars(opened)

    @staticmethod
    def _open_bundle(bundle: Any, store: Any, stack: ExitStack) -> BarProvider:
        if isinstance(bundle, str):
            from_store: BarProvider = stack.enter_context(store.open(bundle))
            return from_store
        if not hasattr(bundle, "read_arrays"):
            raise RequestError(
                f"bundle= takes a name or an opened bundle, not {type(bundle).__name__}",
                hint="bundle='us' or bundle=rb.bundle('us@3'); bars in memory go through rb.ingest_frame",
            )
        opened: BarProvider = bundle
        return opened

    def _range(self, bars: BarProvider) -> tuple[date, date]:
        """Return the dates to run, those asked for within those of the bars."""
        first, last = span(bars, self._frequency)
        start, end = self._start or first, self._end or last
        if end < first or start > last:
            asked = f"from {start} to {end}" if self._start and self._end else f"after {last}"
            if self._start is None:
                asked = f"before {first}"
            raise RequestError(
                f"the bars go from {first} to {last}: nothing lies {asked}",
                hint=f"choose dates between {first} and {last}",
            )
        if start < first:
            self._notes.append(f"started on {first}, the first bar, not on {start}")
        if end > last:
            self._notes.append(f"ended on {last}, the last bar, not on {end}")
        return max(start, first), min(end, last)

    def _make_desk(self, portal: PolarsDataPortal) -> Desk:
        import pandas as pd

        axis = portal.axis
        first, last = axis.before, axis.before + axis.length - 1
        environment = {
            "arena": "backtest",
            "data_frequency": frequency_name(self._frequency),
            # Zipline's: the end of the first minute, and of the last.
            "start": pd.Timestamp(axis.opens[first].item(), unit="us", tz="UTC") + pd.Timedelta(minutes=1),
            "end": pd.Timestamp(axis.closes[last].item(), unit="us", tz="UTC"),
            "capital_base": self._capital_base,
            "platform": "rustybt",
        }
        desk = Desk(portal, self._capital_base, self, self._strategy.functions, environment)
        if self._models["slippage"] is not None:
            desk.set_slippage(self._models["slippage"])
        if self._models["commission"] is not None:
            desk.set_commission(self._models["commission"])
        return desk

    def _initialize(self, desk: Desk) -> None:
        function = desk.user_functions.get("initialize")
        if function is not None:
            desk.datetime = desk.portal.axis.index[desk.portal.axis.before].tz_localize("UTC")
            # Nothing of the simulated time is known yet.
            desk.portal.before_open(0)
            try:
                function(self, **self._initialize_kwargs)
            except Exception as error:
                raise strategy_error(error, "in initialize") from error
        desk.initialized = True

    def _result(self, desk: Desk, driver: Driver, bars: BarProvider, error: str | None = None) -> Result:
        axis = desk.portal.axis
        rows = slice(axis.before, axis.before + axis.length)
        opens, closes = axis.opens[rows].copy(), axis.closes[rows].copy()
        log = driver.log
        try:
            benchmark = self._benchmark_of(desk)
        except RustybtError:
            if error is None:
                raise
            # Bars that cannot be read end a run; the sessions before are kept, without a benchmark.
            benchmark = np.zeros(len(desk.sessions))
        names = tuple(dict.fromkeys(name for record in log.records for name in record.recorded))
        parameters = {
            "start": str(desk.sessions[0]),
            "end": str(desk.sessions[-1]),
            "capital_base": self._capital_base,
            "data_frequency": frequency_name(self._frequency),
            "trading_calendar": axis.calendar_name,
            "benchmark": "returns" if self._benchmark is not None else None,
            "initialize": sorted(self._initialize_kwargs),
            **{role: describe_model(model) for role, model in self._models.items()},
        }
        pin, panel = pin_of(bars, desk), desk.portal.panel
        home = getattr(bars, "home", None)
        return Result(
            partial(build_perf, log, opens, closes, benchmark),
            pin=pin,
            parameters=parameters,
            script=self._strategy.script,
            script_unknown=self._strategy.unknown,
            benchmark=benchmark,
            books=partial(build_books, log),
            recorded_names=names,
            notes=(*self._notes, *unapplied_notes(desk), *desk.controls.notes()),
            error=error,
            on_save=None if pin is None or home is None else partial(register, home, pin),
            data=run_data(
                bars,
                panel.assets,
                axis.sessions[0],
                desk.sessions,
                closes,
                log,
                desk.portal.frequency.name,
                axis.calendar.name,
            ),
        )

    def _benchmark_of(self, desk: Desk) -> Floats:
        if desk.benchmark is not None:
            return desk.benchmark_returns()
        if self._benchmark is None:
            return np.zeros(len(desk.sessions))
        return align_returns(self._benchmark, desk.sessions)


def run_algorithm(
    start: Any = None,
    end: Any = None,
    initialize: Callable[..., Any] | None = None,
    capital_base: float = 1e6,
    handle_data: Callable[..., Any] | None = None,
    before_trading_start: Callable[..., Any] | None = None,
    analyze: Callable[..., Any] | None = None,
    data_frequency: str = "daily",
    bundle: Any = None,
    **more: Any,
) -> Result:
    """Run a strategy and return its result; the arguments are Zipline's, and those of `TradingAlgorithm`.

    Zipline's `metrics_set`, `blotter` and those about extensions have no effect.

    Raises
    ------
    RequestError
        The call cannot be answered, or has an argument that does not exist; see `TradingAlgorithm`.
    StrategyError
        The strategy raised; see `TradingAlgorithm.run`.

    Examples
    --------
    >>> result = run_algorithm(bundle="us", initialize=initialize, handle_data=handle_data)   # doctest: +SKIP
    >>> result.perf["portfolio_value"].iloc[-1]   # doctest: +SKIP
    """
    arguments = effective_arguments(more, TradingAlgorithm)
    algorithm = TradingAlgorithm(
        start,
        end,
        initialize,
        capital_base,
        handle_data,
        before_trading_start,
        analyze,
        data_frequency,
        bundle,
        **arguments,
    )
    return algorithm.run()


def replay(result_dir: str | Path, store: Any = None, progress: Progress | None = None) -> ReplayReport:
    """Open the data that a saved result is pinned to, run its script again and compare every number.

    Raises
    ------
    RequestError
        There is no result in `result_dir`, or it cannot be run again: it has no script, or was given models or
        arguments that are not plain values.
    BundleError
        The pinned version is not in the store any more; the message names it and its content hash.
    """
    saved = Result.load(result_dir)
    script = replayable(saved, Path(result_dir))
    with ExitStack() as stack:
        if store is None:
            from rustybt.data.bundles.store import BundleStore

            store = stack.enter_context(BundleStore())
        bundle = open_pinned(store, saved, stack)
        parameters = saved.parameters
        again = run_algorithm(
            script=run_script(script, str(Path(result_dir) / "script.py")),
            bundle=bundle,
            start=parameters["start"],
            end=parameters["end"],
            capital_base=parameters["capital_base"],
            data_frequency=parameters["data_frequency"],
            trading_calendar=parameters["trading_calendar"],
            benchmark_returns=benchmark_of(saved),
            commission=model_of(parameters["commission"]),
            slippage=model_of(parameters["slippage"]),
            progress=progress,
        )
    return compare(saved, again)
