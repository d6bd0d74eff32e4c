"""The same rows from every executor, and what cannot travel to another process."""

import multiprocessing
import runpy
import subprocess
import sys
import types
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pandas as pd
import pytest

import rustybt as rb
from rustybt.errors import RequestError
from rustybt.sweeps.executors import start_pool
from tests.sweeps import strategies
from tests.sweeps.strategies import Backwards, Loses, Serial

FUNCTIONS = {"initialize": strategies.initialize, "handle_data": strategies.handle_data}
GRID = {"SHARES": [1, 4, -1, 3, 2]}


def rows(found):
    return found.frame.drop(columns="seconds")


def test_the_rows_are_the_same_whatever_runs_them_and_in_which_order(us, hold):
    serial = rows(rb.sweep(hold, GRID, us, Serial(), capital_base=1_000))
    assert list(serial["SHARES"]) == [1, 4, -1, 3, 2]
    backwards = rows(rb.sweep(hold, GRID, us, Backwards(5), capital_base=1_000))
    with ThreadPoolExecutor(3) as threads:
        parallel = rows(rb.sweep(hold, GRID, us, threads, capital_base=1_000))
    processes = rows(rb.sweep(hold, GRID, us, workers=2, capital_base=1_000))
    for other in (backwards, parallel, processes):
        pd.testing.assert_frame_equal(serial, other, check_exact=True)


def test_processes_run_functions_that_they_can_import(us):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        frame = rb.sweep(FUNCTIONS, {"shares": [1, -1, 2]}, us, pool, capital_base=1_000).frame
        assert pool.submit(abs, -1).result() == 1, "an executor that was given is left open"
    assert list(frame["ending_value"].dropna()) == [1_033.0, 1_066.0]
    assert "no short sales" in frame["error"][2]


def test_a_process_that_dies_takes_no_other_run_with_it(us):
    functions = {**FUNCTIONS, "handle_data": strategies.die_at_two}
    error = rb.sweep(functions, {"shares": [1, 2, 3]}, us, workers=2).frame["error"]
    assert error[1] is None
    assert "its worker process ended" in error[2]
    assert error[3] is None


def test_what_a_worker_cannot_load_is_an_error_of_the_row(us):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        error = rb.sweep({"initialize": Loses()}, {"shares": [1]}, us, pool).frame["error"]
        assert "a worker process cannot load it: ModuleNotFoundError" in error[1]
        assert pool.submit(abs, -1).result() == 1


def test_an_interrupt_waits_for_the_runs_that_have_begun(us, hold):
    """One worker: what it holds and the one that is on its way to it end, the others are cancelled."""

    def interrupt(what, done, total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        rb.sweep(hold, {"SHARES": range(1, 41)}, us, workers=1, capital_base=1_000, progress=interrupt)
    frame = caught.value.partial_result.frame
    done = frame["error"].isna()
    assert 1 <= done.sum() < 40
    assert list(frame["ending_value"][done]) == [1_000.0 + 33 * n for n in frame["SHARES"][done]]
    assert not multiprocessing.active_children()


def test_there_are_no_more_workers_than_runs():
    with start_pool(1) as pool:
        assert pool._max_workers == 1


@pytest.mark.parametrize("kind", ["lambda", "closure", "value"])
def test_what_cannot_be_pickled_is_refused_before_anything_begins(us, tmp_path, kind):
    inside = []

    def closure(context, shares):
        inside.append(shares)

    functions = {"lambda": {"initialize": lambda context, shares: None}, "closure": {"initialize": closure}}
    grid = {"shares": [1, (n for n in range(3))] if kind == "value" else [1]}
    with pytest.raises(RequestError, match="cannot be sent to another process") as caught:
        rb.sweep(functions.get(kind, FUNCTIONS), grid, us, output=tmp_path / "out")
    assert "pass its path" in caught.value.hint
    assert "ThreadPoolExecutor" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_threads_run_what_cannot_be_pickled(us):
    seen = []
    with ThreadPoolExecutor(2) as threads:
        rb.sweep({"initialize": lambda context, shares: seen.append(shares)}, {"shares": [1, 2]}, us, threads)
    assert sorted(seen) == [1, 2]


def test_functions_of_a_notebook_are_refused(us, monkeypatch):
    main = types.ModuleType("__main__")
    exec("def initialize(context, shares):\n    pass\n", main.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(RequestError, match="initialize is defined in a notebook or on the command line"):
        rb.sweep({"initialize": main.initialize}, {"shares": [1]}, us)


INITIALIZE = "def initialize(context, shares): pass"
SWEEP = 'print(len(rb.sweep({"initialize": initialize}, {"shares": [1, 2]}, "us").frame))'


@pytest.fixture
def program(us, home, tmp_path, monkeypatch):
    """Return a function that writes a program and returns its path."""
    monkeypatch.setenv("RUSTYBT_HOME", str(home))

    def write(*lines):
        (tmp_path / "program.py").write_text("\n".join(["import rustybt as rb", *lines]))
        return tmp_path / "program.py"

    return write


def test_a_program_without_a_guard_is_refused(program):
    path = program(INITIALIZE, SWEEP)
    with pytest.raises(RequestError, match=r"program\.py, line 3: every worker process would begin this") as caught:
        runpy.run_path(str(path), run_name="__main__")
    assert 'if __name__ == "__main__":' in caught.value.hint


def test_functions_under_the_guard_are_refused(program):
    path = program('if __name__ == "__main__":', f"    {INITIALIZE}", f"    {SWEEP}")
    with pytest.raises(RequestError, match=r"initialize is no function at the top level of program\.py"):
        runpy.run_path(str(path), run_name="__main__")


def test_a_program_with_a_guard_runs(program):
    path = program(INITIALIZE, 'if __name__ == "__main__":', f"    {SWEEP}")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert done.stdout == "2\n", done.stderr
