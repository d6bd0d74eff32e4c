"""Strategy files: loading, parameters, errors with their line."""

from __future__ import annotations

import pytest

from rustybt.algorithm import load_script, run_algorithm
from rustybt.errors import RequestError, StrategyError
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
    assert found == Script("own.py", path.read_text())
    assert script_of({"initialize": space["handle_data"]}) is None
    assert script_of({"initialize": None}) is None
    path.unlink()
    assert script_of({"initialize": space["initialize"]}) is None


def test_functions_of_two_scripts_are_of_none(write):
    one = load_script(write("def initialize(c): pass\n", "one.py"))
    two = load_script(write("def handle_data(c, d): pass\n", "two.py"))
    assert script_of({"initialize": one.initialize, "handle_data": two.handle_data}) is None


def test_an_error_without_a_line_of_the_users_is_told_all_the_same():
    found = strategy_error(ValueError("x"), "in analyze")
    assert found.message == "the strategy, in analyze: ValueError: x"
