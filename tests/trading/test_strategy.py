"""Strategy files: loading, parameters, errors with their line."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest

from rustybt.algorithm import load_script, replay, run_algorithm
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import RequestError, StrategyError
from rustybt.market.provenance import Provenance
from rustybt.testing import frame_of_bars
from rustybt.trading.strategy import Script, script_of, strategy_error


@pytest.fixture
def write(tmp_path):
    def do(text, name="strategy.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return do


def test_a_file_gives_its_functions_and_its_text(write):
    text = "SIZE = 3\ndef initialize(context):\n    context.size = SIZE\n"
    strategy = load_script(write(text), {"SIZE": "(1, 2)"})
    assert list(strategy.functions) == ["initialize"]
    assert strategy.script == Script("strategy.py", text, {"SIZE": (1, 2)})

    class Context:
        pass

    strategy.initialize(Context)
    assert Context.size == (1, 2)


def test_a_value_that_is_no_literal_stays_text(write):
    strategy = load_script(write("NAME = 'x'\ndef handle_data(c, d): pass"), {"NAME": "moving average"})
    assert strategy.script.parameters == {"NAME": "moving average"}
    assert load_script(write("N = 1\ndef handle_data(c, d): pass"), {"N": 7}).script.parameters == {"N": 7}


@pytest.mark.parametrize(
    ("text", "parameters", "message"),
    [
        ("x = 1", {}, "defines neither initialize nor handle_data"),
        ("SIZE = 1\ndef handle_data(c, d): pass", {"SIZES": "2"}, "did you mean SIZE"),
        ("def handle_data(c, d): pass", {"QQQ": "2"}, "write QQQ = ... in the script"),
        ("def handle_data(c, d): pass", {"__name__": "x"}, "no name '__name__'"),
    ],
)
def test_what_is_no_strategy_is_refused(write, text, parameters, message):
    with pytest.raises(RequestError) as caught:
        load_script(write(text), parameters)
    assert message in str(caught.value)


def test_a_missing_file_or_another_encoding_is_refused(tmp_path, write):
    with pytest.raises(RequestError, match="cannot read the strategy"):
        load_script(tmp_path / "nothing.py")
    path = tmp_path / "latin.py"
    path.write_bytes("# caf\xe9".encode("latin-1"))
    with pytest.raises(RequestError, match="cannot read the strategy"):
        load_script(path)


def test_a_script_that_fails_names_its_line(write):
    path = write("import math\n\nmath.sqrt(-1)\n")
    with pytest.raises(StrategyError, match=f"{path}, line 3, in <module>, while it was loaded: ValueError") as caught:
        load_script(path)
    assert caught.value.line == 3
    assert caught.value.hint == "math.sqrt(-1)"


def test_a_syntax_error_names_its_line(write):
    path = write("x = 1\ndef broken(:\n")
    with pytest.raises(StrategyError, match="line 2, while it was loaded: SyntaxError") as caught:
        load_script(path)
    assert caught.value.hint == "def broken(:"


def test_an_error_of_ours_in_a_script_keeps_its_class(write):
    with pytest.raises(RequestError, match="while no algorithm is running"):
        load_script(write("from rustybt.api import symbol\nsymbol('A')\n"))


def test_a_failing_run_names_the_innermost_line_of_the_script(write, make_bars):
    path = write("def helper(x):\n    return 1 / x\n\ndef handle_data(context, data):\n    helper(0)\n")
    with pytest.raises(StrategyError) as caught:
        run_algorithm(bundle=make_bars({"A": [1]}), script=path)
    assert caught.value.message.startswith(f"{path}, line 2, in helper, in bar 1, the session 2020-01-02: ZeroDivision")
    assert caught.value.hint == "return 1 / x"


def test_a_script_and_functions_together_are_refused(write, make_bars):
    path = write("def handle_data(c, d): pass")
    with pytest.raises(RequestError, match="not both: initialize"):
        run_algorithm(bundle=make_bars({"A": [1]}), script=path, initialize=lambda c: None)
    assert len(run_algorithm(bundle=make_bars({"A": [1]}), script=load_script(path)).perf) == 1


def test_functions_of_a_file_tell_their_script(write):
    path = write("def initialize(c): pass\ndef handle_data(c, d): pass\n", "own.py")
    space = {"__file__": str(path), "__name__": "own"}
    exec(compile(path.read_text(), str(path), "exec"), space)
    found = script_of({"initialize": space["initialize"], "handle_data": space["handle_data"], "analyze": None})
    names = {"initialize": "initialize", "handle_data": "handle_data"}
    assert found == (Script("own.py", path.read_text(), functions=names), None)
    other, _ = script_of({"initialize": space["handle_data"]})
    assert other.functions == {"initialize": "handle_data"}
    assert script_of({"initialize": None}) == (None, "it was given no functions")
    path.unlink()
    assert script_of({"initialize": space["initialize"]})[1].startswith(f"initialize comes from {path}, which cannot")


def test_functions_that_no_file_makes_again_say_why(write):
    text = """
try:
    def setup(c): pass
except OSError:
    pass
if __name__ == "__main__":
    def guarded(c): pass
else:
    def other(c): pass
def outer():
    def inner(c): pass
    return inner
class Strategy:
    def initialize(self, c): pass
"""
    path = write(text, "own.py")
    space = {"__file__": str(path), "__name__": "__main__"}
    exec(compile(text, str(path), "exec"), space)
    assert script_of({"initialize": space["setup"]})[0].functions == {"initialize": "setup"}

    def why(function):
        script, reason = script_of({"initialize": function})
        assert script is None
        return reason

    top = "is no function at the top level of own.py, outside functions, classes and `if __name__ == ...`"
    assert why(space["guarded"]) == f"initialize (guarded) {top}"
    assert why(space["outer"]()) == f"initialize (outer.<locals>.inner) {top}"
    assert why(space["Strategy"]().initialize) == f"initialize (Strategy.initialize) {top}"
    assert why(partial(space["setup"])) == "initialize (partial) is not defined in a file"
    prompt = {"__name__": "__main__"}
    exec("def initialize(c): pass", prompt)
    assert why(prompt["initialize"]) == "initialize is not defined in a file"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("from zipline.api import order", "..."),
        ("import zipline", "..."),
        ("from zipline.finance import slippage", "commission, slippage, ..."),
        ("from rustybt.finance import commission", "commission, slippage, ..."),
        ("import rustybt.finance.commission", "commission, slippage, ..."),
    ],
)
def test_a_zipline_import_is_told_the_new_line(write, line, names):
    path = write(f"{line}\ndef handle_data(c, d): pass\n")
    with pytest.raises(StrategyError, match="line 1, in <module>, while it was loaded: ModuleNotFoundError") as caught:
        load_script(path)
    assert caught.value.hint == f"change the import line to: from rustybt.api import {names}"


def test_another_missing_module_shows_its_line(write):
    with pytest.raises(StrategyError) as caught:
        load_script(write("import ziplines\ndef handle_data(c, d): pass\n"))
    assert caught.value.hint == "import ziplines"


def test_functions_of_two_scripts_are_of_none(write):
    one = load_script(write("def initialize(c): pass\n", "one.py"))
    two = load_script(write("def handle_data(c, d): pass\n", "two.py"))
    found = script_of({"initialize": one.initialize, "handle_data": two.handle_data})
    assert found == (None, "its functions come from several files: one.py, two.py")


def test_an_error_without_a_line_of_the_users_is_told_all_the_same():
    found = strategy_error(ValueError("x"), "in analyze")
    assert found.message == "the strategy, in analyze: ValueError: x"


def test_a_script_is_loaded_up_to_the_run_that_it_starts_itself(tmp_path):
    path = tmp_path / "program.py"
    marker = tmp_path / "ran-on"
    path.write_text(
        "from pathlib import Path\n"
        "from rustybt import run_algorithm\n"
        "def initialize(context): pass\n"
        "try:\n"
        "    run_algorithm(bundle='us', initialize=initialize)\n"
        "except Exception:\n"
        f"    Path({str(marker)!r}).touch()\n"
        f"Path({str(marker)!r}).touch()\n"
    )
    assert load_script(path).initialize is not None
    assert not marker.exists()


def test_replaying_a_program_does_not_run_or_save_it_again(tmp_path):
    rows = [("A", f"2024-01-{day:02d}", "10") for day in (2, 3, 4, 5)]
    with BundleStore(tmp_path / "home") as store:
        store.commit("us", frame_of_bars(rows), Provenance("frame"))
    program = tmp_path / "program.py"
    program.write_text(
        "import rustybt as rb\n"
        "def initialize(context): pass\n"
        f"store = rb.BundleStore({str(tmp_path / 'home')!r})\n"
        f"rb.run_algorithm(bundle='us', store=store, initialize=initialize).save({str(tmp_path / 'result')!r})\n"
    )
    subprocess.run([sys.executable, str(program)], check=True)
    saved = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "result").iterdir()}
    with BundleStore(tmp_path / "home") as store:
        assert replay(tmp_path / "result", store).is_same
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "result").iterdir()} == saved
