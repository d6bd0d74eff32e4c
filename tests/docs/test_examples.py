"""Every example runs as a user would run it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rustybt.demo import sample_bars, write_files

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(place, *words):
    environment = {**os.environ, "RUSTYBT_HOME": str(place / "home"), "RUSTYBT_CONFIG_FILE": str(place / "none.toml")}
    done = subprocess.run([sys.executable, *words], cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def place(tmp_path):
    write_files(sample_bars(), tmp_path / "demo-output")
    return tmp_path


def test_every_example_is_listed_and_tested():
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == {"own_dataframe.py", "buy_and_hold.py", "momentum.py"}
    assert all(f"`{name}`" in listed for name in names)


def test_a_frame_goes_in_and_comes_back(place):
    out = run(place, EXAMPLES / "own_dataframe.py")
    assert "coins@1 rows: 2 | again: unchanged" in out
    assert "0.000007180" in out
    assert "0.000007030" in out


def test_the_smallest_strategy_runs_from_the_command_line(place):
    bars, actions = place / "demo-output" / "bars.csv", place / "demo-output" / "actions.csv"
    run(place, "-m", "rustybt", "ingest", "csv", "--path", bars, "--bundle", "us", "--actions", actions)
    assert "Performance on us@1" in run(place, "-m", "rustybt", "run", "-f", EXAMPLES / "buy_and_hold.py", "-b", "us")


def test_a_result_from_python_is_saved_and_replayed(place):
    out = run(place, EXAMPLES / "momentum.py")
    assert "total_return" in out
    assert "same result on us@1" in out
