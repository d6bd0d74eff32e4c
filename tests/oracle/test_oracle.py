"""The same strategies on the same bars as zipline-reloaded: the same orders, fills, holdings, values and history."""

from __future__ import annotations

import warnings
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
from tests.oracle import datasets, scenarios

HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-9
#: Zipline rounds to three decimals the prices that it adjusts; texts keep six.
ROUNDED, SIXTH_DECIMAL = 0.00051, 1.1e-6
CANCELLED = 2
#: Differences of values, near 0 beside them: held to 1e-9 of the capital.
MONEY_FLOWS = ("pnl", "capital_used")
#: Ratios of small numbers, which magnify the last digits.
RATIOS = ("algo_volatility", "sharpe", "sortino", "alpha", "beta", "max_drawdown")


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
    return MemoryBars(frame.cast(dict(BAR_SCHEMA)), actions=actions, frequency=dataset.frequency)


@cache
def _result(scenario):
    bars = _bars(scenario.dataset)
    first, last = (day.date() for day in scenarios.run_dates(scenario, _dataset(scenario.dataset).bars))
    sessions = pd.DatetimeIndex(get_calendar("XNYS", first, last).sessions_between(first, last))
    with warnings.catch_warnings():
        # minute_orders orders a delisted stock; Zipline logs it.
        warnings.filterwarnings("ignore", message="GON was last traded on 2016-11-28", category=UserWarning)
        return run_algorithm(
            start=scenario.start,
            end=scenario.end,
            script=scenario.script,
            bundle=bars,
            data_frequency=scenario.data_frequency,
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


def _assert_same_text(ours, theirs, what, absolute):
    """Compare texts of entries, separated by bars, of words and numbers, separated by ``;``."""
    left, right = ours.split("|"), theirs.split("|")
    assert len(left) == len(right), what
    for mine, golden in zip(left, right, strict=True):
        if mine == golden:
            continue
        values, expected = mine.split(";"), golden.split(";")
        entry = f"{what}, {golden[:40]}"
        assert len(values) == len(expected), entry
        number = [_is_number(a) and _is_number(b) for a, b in zip(values, expected, strict=True)]
        words = [[v for v, n in zip(side, number, strict=True) if not n] for side in (values, expected)]
        assert words[0] == words[1], entry
        numbers = [[v for v, n in zip(side, number, strict=True) if n] for side in (values, expected)]
        _assert_close(*numbers, entry, absolute=absolute)


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


each = pytest.mark.parametrize("scenario", scenarios.SCENARIOS, ids=lambda s: s.name)


@each
def test_transactions_are_ziplines(scenario):
    golden = _golden(scenario, "transactions")
    ours = _result(scenario).transactions
    assert list(ours["session"]) == list(golden["session"])
    assert list(ours["symbol"]) == list(golden["symbol"])
    assert list(ours["amount"]) == list(golden["amount"])
    _assert_close(ours["price"], golden["price"], "price")
    if scenario.data_frequency == "minute":
        perf = _result(scenario).perf
        minutes = [scenarios.moment(scenario, fill["dt"]) for cell in perf["transactions"] for fill in cell]
        assert minutes == list(golden["dt"])


@each
def test_orders_are_ziplines_in_every_session(scenario):
    golden = _golden(scenario, "orders")
    orders = _orders(scenario)
    if scenario.name == "day_orders":
        golden, orders = golden[golden["status"] != CANCELLED], [o for o in orders if o["status"] != CANCELLED]
    ours = [_described(scenario, order) for order in orders]
    names = ["session", "symbol", "created", "amount", "filled", "status"]
    theirs = list(golden[names].itertuples(index=False, name=None))
    assert ours == theirs
    for name in ("commission", "stop", "limit"):
        _assert_close([np.nan if o[name] is None else o[name] for o in orders], golden[name], name)


def _orders(scenario):
    perf = _result(scenario).perf
    cells = zip(perf.index, perf["orders"], strict=True)
    return [{**order, "session": str(label.date())} for label, cell in cells for order in cell]


def _described(scenario, order):
    created = scenarios.moment(scenario, order["created"])
    return order["session"], order["sid"].symbol, created, order["amount"], order["filled"], int(order["status"])


def test_orders_that_end_with_a_daily_session_are_ziplines_which_tells_of_them_a_session_later():
    scenario = next(s for s in scenarios.SCENARIOS if s.name == "day_orders")
    golden = _golden(scenario, "orders")
    golden = golden[golden["status"] == CANCELLED]
    ours = [order for order in _orders(scenario) if order["status"] == CANCELLED]
    assert [_described(scenario, order)[1:5] for order in ours[:-1]] == list(
        golden[["symbol", "created", "amount", "filled"]].itertuples(index=False, name=None)
    )
    assert all(order["session"] < later for order, later in zip(ours, golden["session"], strict=False))
    assert ours[-1]["session"] == "2016-04-29", "the last session: Zipline never tells"


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


@each
def test_recorded_values_are_ziplines(scenario):
    golden = _golden(scenario, "daily")
    perf = _result(scenario).perf
    for name in scenario.recorded:
        _assert_close(perf[name], golden[name], name)


texts = pytest.mark.parametrize(
    ("scenario", "name"),
    [pytest.param(s, name, id=f"{s.name}-{name}") for s in scenarios.SCENARIOS for name in (*s.texts, *s.histories)],
)


@texts
def test_recorded_texts_are_ziplines_and_histories_but_for_its_three_decimals(scenario, name):
    golden = _golden(scenario, "daily", text=True)
    perf = _result(scenario).perf
    assert any(golden[name])
    absolute = ROUNDED if name in scenario.histories else SIXTH_DECIMAL
    for session, mine, theirs in zip(golden["session"], perf[name], golden[name], strict=True):
        _assert_same_text(mine, theirs, f"{name} of {session}", absolute)
