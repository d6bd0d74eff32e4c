"""``rb.sweep``: rows, errors, the pin, and what is refused before anything begins."""

import math
import statistics
import types
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

import rustybt as rb
from rustybt.errors import BundleNotFoundError, RequestError, StrategyError, VersionNotFoundError
from rustybt.sweeps.task import PinnedBundle
from rustybt.trading.strategy import load_script
from tests.sweeps import strategies
from tests.sweeps.strategies import Serial

FUNCTIONS = {"initialize": strategies.initialize, "handle_data": strategies.handle_data}
GRID = {"SHARES": [1, 3, 2]}


def run(strategy, grid, bundle, **more):
    return rb.sweep(strategy, grid, bundle, **{"executor": Serial(), "capital_base": 1_000, **more})


def test_each_combination_is_a_row_in_the_order_of_the_grid(us, hold):
    frame = run(hold, GRID, us).frame
    assert list(frame.index) == [1, 2, 3]
    assert list(frame["SHARES"]) == [1, 3, 2]
    assert list(frame["ending_value"]) == [1_033.0, 1_099.0, 1_066.0]
    assert list(frame["total_return"]) == pytest.approx([0.033, 0.099, 0.066], abs=1e-15)
    assert list(frame["transactions"]) == [1, 1, 1]
    assert list(frame["max_drawdown"]) == [0, 0, 0]
    assert list(frame["error"]) == [None, None, None]
    assert (frame["seconds"] > 0).all()
    returns = [0, 0, 11 / 1000, 22 / 1011]
    sharpe = statistics.mean(returns) / statistics.stdev(returns) * math.sqrt(252)
    assert frame["sharpe"][1] == pytest.approx(sharpe)


def test_columns_are_parameters_then_figures_then_seconds_and_error(us, hold):
    columns = list(run(hold, {"SHARES": [1], "NAME": ["A"]}, us).frame.columns)
    assert columns[:3] == ["SHARES", "NAME", "total_return"]
    assert columns[-2:] == ["seconds", "error"]
    assert "alpha" not in columns


def test_alpha_and_beta_are_there_with_a_benchmark(us, hold):
    """The benchmark gains what the share gains: all of the capital moves with a part of it."""
    benchmark = pd.Series(
        [0, 0.1, 0.1, 22 / 121], index=pd.to_datetime(["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07"])
    )
    frame = run(hold, GRID, us, benchmark_returns=benchmark).frame
    assert frame["benchmark_return"][1] == pytest.approx(0.43)
    assert 0 < frame["beta"][1] < frame["beta"][3] < frame["beta"][2] < 1


def test_functions_are_given_the_parameters_by_initialize(us):
    frame = run(FUNCTIONS, {"shares": [1, 2]}, us).frame
    assert list(frame["ending_value"]) == [1_033.0, 1_066.0]


def test_an_object_with_functions_will_do(us):
    frame = run(types.SimpleNamespace(**FUNCTIONS), [{"shares": 2}, {"shares": 1, "name": "A"}], us).frame
    assert list(frame["ending_value"]) == [1_066.0, 1_033.0]
    assert list(frame["name"]) == [None, "A"]


def test_a_loaded_script_keeps_the_values_that_were_set(us, hold):
    strategy = load_script(hold, {"SHARES": "5"})
    frame = run(strategy, [{"NAME": "A"}, {"NAME": "A", "SHARES": 2}], us).frame
    assert list(frame["ending_value"]) == [1_165.0, 1_066.0]


def test_a_combination_that_fails_has_its_error_in_its_row(us, hold):
    found = run(hold, {"SHARES": [1, -1, 2]}, us)
    assert found.frame["error"][2].startswith(str(hold))
    assert found.frame["error"][2].endswith("ValueError: no short sales")
    assert list(found.frame["error"].isna()) == [True, False, True]
    assert math.isnan(found.frame["sharpe"][2])
    assert found.frame["transactions"][2] is pd.NA
    assert list(found.failures.index) == [2]
    assert repr(found) == "SweepResult(3 runs, 1 failed over SHARES on us@1)"


def test_a_strategy_that_leaves_the_program_fails_alone(us):
    functions = {**FUNCTIONS, "handle_data": strategies.leave_at_two}
    frame = run(functions, {"shares": [1, 2, 3]}, us).frame
    assert [frame["error"][run] for run in (1, 3)] == [None, None]
    assert frame["error"][2].endswith("in leave_at_two, in the session 2020-01-02: SystemExit: enough")


def test_a_symbol_that_is_not_there_is_an_error_of_the_row(us, hold):
    error = run(hold, {"NAME": ["A", "B"]}, us).frame["error"]
    assert error[1] is None
    assert "'B'" in error[2]


def test_the_best_row_is_the_highest_unless_asked_otherwise(us, hold):
    found = run(hold, {"SHARES": [1, 3, -1, 3]}, us)
    best = found.best("total_return")
    assert (best.name, best["SHARES"]) == (2, 3)
    assert found.best("annual_volatility", lowest=True)["SHARES"] == 1
    with pytest.raises(RequestError, match="no metric 'SHARES'"):
        found.best("SHARES")
    with pytest.raises(RequestError, match="no run has a value of 'sharpe'"):
        run(hold, {"SHARES": [-1]}, us).best()


def test_every_run_reads_the_version_of_the_beginning(us, hold, store, commit):
    def meanwhile(what, done, total):
        if done == 0:
            commit([100, 200, 300, 400])
            store.gc("us", keep_last=1, grace_seconds=0)

    us.close()
    found = run(hold, {"SHARES": [1, 2]}, "us", store=store, progress=meanwhile)
    assert [info.version for info in store.versions("us")] == [1, 2]
    assert list(found.frame["ending_value"]) == [1_033.0, 1_066.0]
    assert found.pin.reference == "us@1"
    assert run(hold, {"SHARES": [1]}, "us", store=store).pin.reference == "us@2"


def test_another_bundle_of_the_same_name_is_not_taken_for_the_pinned_one(us, store):
    pinned = PinnedBundle(store.home, "us@1", "0" * 64)
    with pytest.raises(VersionNotFoundError, match="us@1 is not what the sweep began with"):
        pinned.open(store)


def test_progress_counts_the_runs_that_have_ended(us, hold):
    told = []
    run(hold, GRID, us, progress=lambda *said: told.append(said))
    assert told == [("sweep", 0, 3), ("sweep", 1, 3), ("sweep", 2, 3), ("sweep", 3, 3)]


def test_a_script_that_sweeps_itself_is_loaded_for_its_functions(us, hold):
    hold.write_text(hold.read_text() + "\nimport rustybt as rb\nrb.sweep(__file__, {'SHARES': [7]}, 'us')\n")
    assert list(run(hold, {"SHARES": [1]}, us).frame["ending_value"]) == [1_033.0]


# -- refused before anything begins ----------------------------------------------------------------------------------


class Unused(Serial):
    def submit(self, function, /, *args, **kwargs):
        raise AssertionError("nothing may begin")


@pytest.mark.parametrize(
    ("grid", "more", "words"),
    [
        ({"SHARE": [1]}, {}, "has no name 'SHARE'"),
        ({"sharpe": [1]}, {}, "no parameter can be called 'sharpe'"),
        ({"error": [1]}, {}, "no parameter can be called 'error'"),
        (GRID, {"capital": 5}, "no argument 'capital'"),
        (GRID, {"capital_base": -5}, "the capital must be"),
        (GRID, {"start": "2020-02-01", "end": "2020-01-01"}, "comes before the start"),
        (GRID, {"data_source": object()}, "a sweep runs on a bundle"),
        (GRID, {"initialize": print}, "initialize is part of the first argument"),
        (GRID, {"workers": 2}, "an executor has its own"),
    ],
)
def test_what_is_wrong_with_every_run_is_said_before_the_first(us, hold, grid, more, words):
    with pytest.raises(RequestError, match=words):
        run(hold, grid, us, executor=Unused(), **more)


@pytest.mark.parametrize(
    ("functions", "grid", "words"),
    [
        (FUNCTIONS, {"amount": [1]}, "initialize cannot be given {'amount': 1}"),
        (FUNCTIONS, {"symbols": [1]}, "'symbols': it is an argument of the run itself"),
        ({"handle_data": strategies.handle_data}, {"shares": [1]}, "no initialize to be given shares"),
        ({"initialise": strategies.initialize}, {"shares": [1]}, "no function 'initialise'"),
        ({"initialize": 5}, {"shares": [1]}, "its initialize is no function"),
        (object(), {"shares": [1]}, "neither initialize nor handle_data"),
    ],
)
def test_functions_that_cannot_be_used_are_refused(us, functions, grid, words):
    with pytest.raises(RequestError, match=words):
        run(functions, grid, us, executor=Unused())


def test_a_script_that_cannot_be_loaded_is_refused(us, hold):
    hold.write_text("1 / 0\n")
    with pytest.raises(StrategyError, match="while it was loaded"):
        run(hold, GRID, us, executor=Unused())


def test_bars_that_are_in_no_store_are_refused(hold, make_bars):
    with pytest.raises(RequestError, match="a bundle opened from a store, not MemoryBars"):
        run(hold, GRID, make_bars({"A": [1, 2]}), executor=Unused())


def test_a_bundle_that_is_not_there_is_refused(hold, us, store):
    with pytest.raises(BundleNotFoundError):
        run(hold, GRID, "eu", store=store, executor=Unused())


def test_a_closed_executor_is_refused(us, hold):
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RequestError, match="the executor takes no work"):
        run(hold, GRID, us, executor=executor)


# -- interrupted -----------------------------------------------------------------------------------------------------


def test_an_interrupt_keeps_what_is_done(us, hold, tmp_path):
    with pytest.raises(KeyboardInterrupt, match="interrupted; 2 of 4 runs are done") as caught:
        run(hold, {"SHARES": [1, 2, 3, 4]}, us, executor=Serial(interrupted=3), output=tmp_path / "out")
    partial = caught.value.partial_result
    assert list(partial.frame["ending_value"][:2]) == [1_033.0, 1_066.0]
    assert list(partial.failures.index) == [3, 4]
    assert "interrupted" in partial.frame["error"][3]
    assert partial.result(2).summary()["ending_value"] == 1_066.0
    assert (tmp_path / "out" / "sweep.csv").exists()


def test_what_is_no_executor_is_refused(us, hold):
    with pytest.raises(RequestError, match=r"executor= takes an executor of concurrent.futures, not 5"):
        rb.sweep(hold, {"SHARES": [1]}, us, executor=5)
