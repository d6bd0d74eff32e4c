"""What a run goes over: a bundle or a source, its dates, its benchmark; and what cannot be run."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from rustybt import api
from rustybt.algorithm import TradingAlgorithm, run_algorithm
from rustybt.data.portal import MemoryBars
from rustybt.data.sources.registry import get_source
from rustybt.errors import RequestError
from rustybt.market.bars import BAR_SCHEMA
from rustybt.market.corporate_actions import CorporateAction
from tests.trading.strategies import buy_once


def test_a_run_on_a_data_source_needs_no_bundle(make_bars):
    bars = make_bars({"A": [float(i) for i in range(1, 400)]})._bars

    class Source:
        def fetch_sync(self, symbols, start, end, frequency):
            days = bars["timestamp"].dt.date()
            return bars.filter(bars["symbol"].is_in(list(symbols)) & (days >= start) & (days <= end))

    result = run_algorithm("2021-01-04", "2021-01-08", data_source=Source(), symbols=["A"], **buy_once(1))
    assert len(result.perf) == 5
    assert result.pin is None
    assert "bars in memory" in repr(result)
    assert len(result.transactions) == 1


def test_a_run_on_a_data_source_without_dates_is_as_long_as_its_bars(tmp_path):
    rows = [f"2020-01-0{day},A,10,11,9,10,1000" for day in (2, 3, 6)]
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(["timestamp,symbol,open,high,low,close,volume", *rows]) + "\n")
    for named in ({}, {"symbols": ["A"]}):
        result = run_algorithm(data_source=get_source("csv", path=path), **named, **buy_once(1))
        assert list(result.books["session"]) == ["2020-01-02", "2020-01-03", "2020-01-06"]
        assert result.notes == ()
    late = run_algorithm("2020-01-01", data_source=get_source("csv", path=path), symbols=["A"])
    assert late.notes == ("started on 2020-01-02, the first bar, not on 2020-01-01",)


def test_days_of_a_source_that_has_only_minutes_are_made_of_them(tmp_path):
    rows = [
        "2024-03-06 14:30,A,1,1,1,1,10",
        "2024-03-06 14:31,A,2,2,2,2,10",
        "2024-03-06 14:32,A,2,2,2,2,10",
        "2024-03-07 14:30,A,3,5,2,4,10",
        "2024-03-07 14:31,A,4,4,1,3,10",
        "2024-03-07 14:32,A,3,3,3,3,10",
        "2024-03-08 14:30,A,6,7,5,6,10",
    ]
    path = tmp_path / "minutes.csv"
    path.write_text("\n".join(["timestamp,symbol,open,high,low,close,volume", *rows]) + "\n")
    seen = {}

    def initialize(context):
        api.set_benchmark(api.symbol("A"))

    def handle_data(context, data):
        fields = ["open", "high", "low", "close", "volume"]
        window = data.history(api.symbol("A"), fields, 3, "1d").droplevel(1)
        seen[str(data.current_session.date())] = window.to_numpy().tolist()

    functions = {"initialize": initialize, "handle_data": handle_data}
    source = get_source("csv", path=path)
    result = run_algorithm("2024-03-08", "2024-03-08", data_source=source, data_frequency="minute", **functions)
    assert seen == {"2024-03-08": [[1, 2, 1, 2, 30], [3, 5, 1, 3, 30], [6, 7, 5, 6, 10]]}
    assert result.benchmark.tolist() == [1.0]  # from 3 to 6


def test_dates_beyond_the_bars_are_cut_and_said(make_bars):
    bars = make_bars({"A": [10, 11, 12]})
    result = run_algorithm("2019-06-01", pd.Timestamp("2020-12-31", tz="UTC"), bundle=bars)
    assert len(result.perf) == 3
    assert result.notes == (
        "started on 2020-01-02, the first bar, not on 2019-06-01",
        "ended on 2020-01-06, the last bar, not on 2020-12-31",
    )
    part = run_algorithm(date(2020, 1, 3), date(2020, 1, 5), bundle=bars)
    assert list(part.books["session"]) == ["2020-01-03"]


def test_benchmarks_by_series_and_by_asset(make_bars):
    days = pd.to_datetime(["2020-01-03", "2020-01-06"])
    series = pd.Series([0.1, -0.1], index=days.tz_localize("UTC"))
    result = run_algorithm(bundle=make_bars({"A": [10, 11, 12]}), benchmark_returns=series)
    np.testing.assert_allclose(result.perf["benchmark_period_return"], [0, 0.1, -0.01], atol=1e-15)
    assert result.summary()["benchmark_return"] == pytest.approx(-0.01)

    def initialize(context):
        api.set_benchmark(api.symbol("A"))

    action = CorporateAction.split("A", date(2020, 1, 6), 2, 1)
    bars = make_bars({"A": [10, 11, 6]}, actions=[action])
    result = run_algorithm(bundle=bars, initialize=initialize)
    np.testing.assert_allclose(result.perf["benchmark_period_return"], [0, 0.1, 0.2])
    for wrong in ([0.1], pd.Series([0.1], index=["x"])):
        with pytest.raises(RequestError, match="benchmark_returns"):
            run_algorithm(bundle=bars, benchmark_returns=wrong)


def test_progress_is_told(make_bars):
    told = []
    run_algorithm(bundle=make_bars({"A": [1, 2, 3]}), progress=lambda *step: told.append(step))
    assert told[-1] == ("backtest 2020-01-06", 3, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": "2020-01-06", "end": "2020-01-02"}, "comes before the start"),
        ({"start": "2021-01-01"}, "nothing lies"),
        ({"start": "2020-01-04", "end": "2020-01-05"}, "no session"),
        ({"start": "yesterday or so"}, "not a date"),
        ({"end": "NaT"}, "not a date"),
        ({"capital_base": 0}, "above 0"),
        ({"capital_base": float("nan")}, "above 0"),
        ({"data_frequency": "minute"}, "of frequency 1d: no bars of 1m can be made"),
        ({"data_frequency": "hourish"}, "unknown frequency"),
        ({"bundel": "us"}, "no argument 'bundel'.*\n.*did you mean bundle"),
        ({"quux_zzz": 1}, "no argument 'quux_zzz'"),
        ({"bundle_timestamp": 1}, "versions, not timestamps"),
        ({"data_source": object()}, "exclude each other"),
        ({"start": "2020-02-03", "end": "2020-02-04"}, "nothing lies from 2020-02-03 to 2020-02-04"),
        ({"start": "2020-02-03"}, "nothing lies after 2020-01-06"),
        ({"end": "2019-12-31"}, "nothing lies before 2020-01-02"),
        ({"bundle": None, "data_source": pd.DataFrame()}, "takes a source, not DataFrame\n.*rb.get_source\\('frame'"),
        ({"bundle": None, "data_source": "csv"}, "not its name: 'csv'"),
        ({"trading_calendar": "NOWHERE"}, "unknown calendar"),
    ],
)
def test_what_cannot_be_run_is_refused(make_bars, arguments, message):
    with pytest.raises(RequestError, match=message):
        run_algorithm(**{"bundle": make_bars({"A": [1, 2, 3]}), **arguments})


def test_a_benchmark_listed_in_the_first_session_returns_its_close_by_its_open_there(make_bars):
    def initialize(context):
        api.set_benchmark(api.symbol("A"))

    frame = make_bars({"A": [10, 11, 12.1]})._bars.with_columns(open=pl.col("open") * Decimal("0.8"))
    frame = frame.with_columns(low=pl.col("low") - 3).cast(dict(BAR_SCHEMA))
    result = run_algorithm(bundle=MemoryBars(frame), initialize=initialize)
    np.testing.assert_allclose(result.perf["benchmark_period_return"], [0.25, 0.375, 0.5125])
    later = run_algorithm("2020-01-03", bundle=MemoryBars(frame), initialize=initialize)
    np.testing.assert_allclose(later.perf["benchmark_period_return"], [0.1, 0.21])


def test_bars_are_required():
    with pytest.raises(RequestError, match="a run needs bars"):
        run_algorithm()
    with pytest.raises(RequestError, match="call run"):
        TradingAlgorithm(bundle="us").portfolio  # noqa: B018


def test_the_hint_for_missing_bars_names_a_source_that_works():
    with pytest.raises(RequestError, match=r"get_source\('csv', path='bars.csv'\)"):
        run_algorithm()


def test_ziplines_other_arguments_have_no_effect(make_bars):
    run_algorithm(bundle=make_bars({"A": [1]}), metrics_set="default", extensions=(), environ={}, blotter="default")
