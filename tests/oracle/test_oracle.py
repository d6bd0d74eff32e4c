"""The same strategies on the same bars as zipline-reloaded: the same orders, fills, holdings, values and history."""

from __future__ import annotations

import importlib.util
import sys
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from rustybt.algorithm import run_algorithm
from rustybt.data.portal import MemoryBars
from rustybt.market.bars import BAR_SCHEMA
from rustybt.market.calendars import get_calendar
from rustybt.market.corporate_actions import CorporateAction

HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-9
#: Differences of values, near 0 beside them: held to 1e-9 of the capital.
MONEY_FLOWS = ("pnl", "capital_used")
#: Ratios of small numbers, which magnify the last digits.
RATIOS = ("algo_volatility", "sharpe", "sortino", "alpha", "beta", "max_drawdown")


def _module(name):
    spec = importlib.util.spec_from_file_location(f"oracle_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


datasets, scenarios = _module("datasets"), _module("scenarios")


@cache
def _dataset(name):
    if name == "demo":
        pytest.importorskip("bokeh_sampledata")
    calendar = get_calendar("XNYS", date(2016, 1, 4), date(2017, 12, 29))
    return datasets.load(name, [s.item() for s in calendar.sessions_between(date(2016, 1, 4), date(2017, 12, 29))])


@cache
def _bars(name):
    dataset = _dataset(name)
    values = [pl.col(f).round(3).cast(pl.String).cast(pl.Decimal(38, 18)) for f in datasets.FIELDS]
    stamp = pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("timestamp")
    frame = pl.from_pandas(dataset.bars).select(stamp, "symbol", *values).sort("symbol", "timestamp")
    actions = [CorporateAction.split(s, ex, new, old) for s, ex, new, old in dataset.splits]
    actions += [CorporateAction.cash_dividend(s, ex, amount, pay_date=pay) for s, ex, pay, amount in dataset.dividends]
    return MemoryBars(frame.cast(dict(BAR_SCHEMA)), actions=actions)


@cache
def _result(scenario):
    bars = _bars(scenario.dataset)
    dates = pd.DatetimeIndex(sorted(_dataset(scenario.dataset).bars["date"].unique()))
    calendar = get_calendar("XNYS", dates[0].date(), dates[-1].date())
    sessions = pd.DatetimeIndex(calendar.sessions_between(dates[0].date(), dates[-1].date()))
    return run_algorithm(
        script=scenario.script,
        bundle=bars,
        capital_base=scenario.capital,
        benchmark_returns=scenarios.benchmark(sessions),
    )


def _golden(scenario, table, text=False):
    """Polars reads floats exactly, whatever its version; pandas only since 3."""
    path = scenarios.GOLDENS / f"{scenario.name}.{table}.csv"
    frame = pl.read_csv(path, infer_schema_length=None, **({"infer_schema": False} if text else {}))
    return pd.DataFrame((frame.fill_null("") if text else frame).to_dict(as_series=False))


def _scale(scenario, name):
    """Return the absolute tolerance of a column: Zipline's floats and our 1e-9 differ in the last digits of money."""
    return 0.0 if name in scenarios.MONEY else TOLERANCE * (scenario.capital if name in MONEY_FLOWS else 1.0)


def _assert_close(ours, theirs, what, relative=TOLERANCE, absolute=1e-9):
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    wrong = ~np.isclose(ours, theirs, rtol=relative, atol=absolute, equal_nan=True)
    if wrong.any():
        pytest.fail(
            f"{what}: {wrong.sum()} differ, first at {np.argmax(wrong)}: {ours[wrong][0]!r} {theirs[wrong][0]!r}"
        )


each = pytest.mark.parametrize("scenario", scenarios.SCENARIOS, ids=lambda s: s.name)


@each
def test_transactions_are_ziplines(scenario):
    golden = _golden(scenario, "transactions")
    ours = _result(scenario).transactions
    assert list(ours["session"]) == list(golden["session"])
    assert list(ours["symbol"]) == list(golden["symbol"])
    assert list(ours["amount"]) == list(golden["amount"])
    _assert_close(ours["price"], golden["price"], "price")


@each
def test_orders_are_ziplines_in_every_session(scenario):
    golden = _golden(scenario, "orders")
    perf = _result(scenario).perf
    ours = [
        (str(label.date()), o["sid"].symbol, str(o["created"].date()), o["amount"], o["filled"], int(o["status"]))
        for label, cell in zip(perf.index, perf["orders"], strict=True)
        for o in cell
    ]
    names = ["session", "symbol", "created", "amount", "filled", "status"]
    assert ours == list(golden[names].itertuples(index=False, name=None))
    for name in ("commission", "stop", "limit"):
        values = [np.nan if o[name] is None else o[name] for cell in perf["orders"] for o in cell]
        _assert_close(values, golden[name], name)


@each
def test_positions_are_ziplines_in_every_session(scenario):
    golden = _golden(scenario, "daily", text=True)
    with_prices = scenario.dataset != "demo"
    ours = [scenarios.held(cell, with_prices=with_prices) for cell in _result(scenario).perf["positions"]]
    assert len(ours) == len(golden)
    for session, mine, theirs in zip(golden["session"], ours, golden["positions"], strict=True):
        left, right = mine.replace(":", ";").split(";"), theirs.replace(":", ";").split(";")
        width = 4 if with_prices else 3
        assert left[::width] == right[::width], session
        numbers = [i for i in range(len(left)) if i % width]
        _assert_close([left[i] for i in numbers], [right[i] for i in numbers], f"positions of {session}")


@each
def test_columns_are_ziplines_in_every_session(scenario):
    golden = _golden(scenario, "daily")
    perf = _result(scenario).perf
    assert [str(label.date()) for label in perf.index] == list(golden["session"])
    for name in scenario.columns:
        if name == "period_label":
            assert list(perf[name]) == list(golden[name])
        else:
            relative = 1e-7 if name in RATIOS else TOLERANCE
            _assert_close(perf[name], golden[name], name, relative, absolute=_scale(scenario, name))


@pytest.mark.parametrize("scenario", [s for s in scenarios.SCENARIOS if s.name != "histories"], ids=lambda s: s.name)
def test_recorded_values_are_ziplines(scenario):
    golden = _golden(scenario, "daily")
    perf = _result(scenario).perf
    for name in scenario.recorded:
        _assert_close(perf[name], golden[name], name)


@pytest.mark.parametrize("name", ["current", "price", "volume", "ohlc"])
def test_current_and_history_are_ziplines_but_for_its_three_decimals(name):
    scenario = next(s for s in scenarios.SCENARIOS if s.name == "histories")
    golden = _golden(scenario, "daily", text=True)
    perf = _result(scenario).perf
    compared = 0
    for session, mine, theirs in zip(golden["session"], perf[name], golden[name], strict=True):
        left, right = mine.replace("|", ";").split(";"), theirs.replace("|", ";").split(";")
        if left == [""] == right:
            continue
        compared += 1
        _assert_close(left, right, f"{name} of {session}", relative=0, absolute=0.00051)
    assert compared == 23
