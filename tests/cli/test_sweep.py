"""``rustybt run --sweep``."""

import json

import pytest

from rustybt.sweeps import collecting
from tests.sweeps.strategies import HOLD, Serial


@pytest.fixture
def hold(place):
    """Buys SHARES of AAPL in the second session, at 184.25: each loses 3.07 until the last, at 181.18."""
    (place / "hold.py").write_text(HOLD.replace('"A"', '"AAPL"'))
    return "hold.py"


@pytest.fixture
def here(monkeypatch):
    """Let the default pool be this process; return what it was asked for."""
    asked = []

    def pool(runs, workers=None):
        asked.append((runs, workers))
        return Serial()

    monkeypatch.setattr(collecting, "start_pool", pool)
    return asked


def sweep(*words):
    return ("run", "-f", "hold.py", "-b", "us", "--capital-base", "1000", *words)


def test_a_sweep_prints_a_row_a_run_the_highest_sharpe_ratio_first(us, hold, rustybt):
    """In real processes. The losses are the same, so the ratio is lowest for the smallest position, held in cash most."""
    status, out, err = rustybt(*sweep("--sweep", "SHARES=1,3,2", "--workers", "2"))
    assert status == 0, err
    title, head, *rows = out.splitlines()
    assert title == "3 runs on us@1"
    assert head.split("  ")[0] == "run"
    cells = {row.split()[1]: row.split() for row in rows}
    assert "996.93" in cells["1"]
    assert "993.86" in cells["2"]
    assert "990.79" in cells["3"]
    sharpe = [float(row.split()[5]) for row in rows]
    assert sharpe == sorted(sharpe, reverse=True)


def test_in_json_the_runs_are_in_the_order_of_the_grid(us, hold, here, ask):
    found = ask(*sweep("--sweep", "SHARES=3,1", "--sweep", "NAME=AAPL,MSFT", "--workers", "3"))
    assert [(run["run"], run["SHARES"], run["NAME"]) for run in found["runs"]] == [
        (1, 3, "AAPL"),
        (2, 3, "MSFT"),
        (3, 1, "AAPL"),
        (4, 1, "MSFT"),
    ]
    assert found["runs"][0]["ending_value"] == pytest.approx(990.79)
    assert found["parameters"] == ["SHARES", "NAME"]
    assert found["pin"]["version"] == 1
    assert found["exit_code"] == 0
    assert here == [(4, 3)]


def test_other_names_of_the_script_can_be_set(us, hold, here, ask):
    found = ask(*sweep("--set", "NAME=MSFT", "--sweep", "SHARES=1,2"))
    # Bought at 370.60, worth 367.75 at the end.
    assert [run["ending_value"] for run in found["runs"]] == pytest.approx([997.15, 994.30])


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,2.5,-3", [1, 2.5, -3]),
        ("('A','B'),('C',)", [["A", "B"], ["C"]]),
        ("[1,2],None,True", [[1, 2], None, True]),
        ("fast, slow", ["fast", "slow"]),
        ("'a,b',c", ["'a", "b'", "c"]),
        ("7", [7]),
    ],
)
def test_values_are_literals_or_words(us, hold, here, ask, place, text, values):
    (place / "hold.py").write_text(HOLD.replace('"A"', '"AAPL"') + "\nOTHER = 0\n")
    assert [run["OTHER"] for run in ask(*sweep("--sweep", f"OTHER={text}"))["runs"]] == values


def test_a_failed_run_is_told_beside_the_others(us, hold, here, rustybt, ask):
    status, out, err = rustybt(*sweep("--sweep", "SHARES=1,-1"))
    assert status == 3
    assert out.splitlines()[-1].split() == ["2", "-1", *"--------"]
    assert "run 2 failed (SHARES=-1): hold.py, line" in err
    assert "no short sales" in err
    assert ask(*sweep("--sweep", "SHARES=1,-1"), status=3)["runs"][1]["sharpe"] is None


def test_when_every_run_failed_so_did_the_command(us, hold, here, ask):
    assert ask(*sweep("--sweep", "SHARES=-1,-2"), status=1)["exit_code"] == 1


def test_results_are_saved_with_the_table_and_replayed(us, hold, here, rustybt, place):
    status, _, err = rustybt(*sweep("--sweep", "SHARES=1,2", "-o", "results/sweep"))
    assert status == 0
    assert "wrote results/sweep: sweep.csv" in err
    assert (place / "results" / "sweep" / "sweep.csv").read_text().startswith("run,SHARES,total_return")
    assert rustybt("replay", "results/sweep/0002")[1].startswith("same result on us@1")
    status, _, err = rustybt("report", "results/sweep")
    assert status == 2
    assert "no readable result in results/sweep: it holds a sweep" in err
    assert "name the result of one run, as results/sweep/0001" in err
    status, _, err = rustybt("report", "results/sweep/0002")
    assert status == 0, err


def test_what_a_script_prints_does_not_spoil_json(us, hold, rustybt, place):
    (place / "hold.py").write_text("print('loaded')\n" + HOLD.replace('"A"', '"AAPL"'))
    status, out, _ = rustybt(*sweep("--sweep", "SHARES=1", "--json"))
    assert status == 0
    assert len(json.loads(out)["runs"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sweep", "SHARES"], "is not of the form KEY=VALUE"),
        (["--sweep", "SHARES="], "lacks a value"),
        (["--sweep", "NAME=A,,B"], "lacks a value"),
        (["--sweep", "SHARES=1", "--sweep", "SHARES=2"], "names 'SHARES' twice"),
        (["--sweep", "SHARES=1", "--set", "SHARES=2"], "SHARES is given by --set and by --sweep"),
        (["--sweep", "SHARE=1"], "has no name 'SHARE'"),
        (["--workers", "2"], "--workers goes with --sweep"),
        (["--sweep", "SHARES=1", "-s", "2024-02-01", "-e", "2024-01-01"], "comes before the start"),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused(us, hold, here, ask, words, message):
    assert message in ask(*sweep(*words), status=2)["error"]["message"]
    assert here == []


def test_a_sweep_on_a_source_is_refused_with_the_way_to_a_bundle(prices, hold, ask):
    line = ("run", "-f", hold, "--source", "csv", "--path", prices, "--sweep", "SHARES=1,2")
    error = ask(*line, status=2)["error"]
    assert "--sweep and --source exclude each other" in error["message"]
    assert error["hint"].startswith("rustybt ingest csv --bundle NAME")


def test_an_interrupt_prints_what_is_done(us, hold, rustybt, monkeypatch):
    monkeypatch.setattr(collecting, "start_pool", lambda runs, workers=None: Serial(interrupted=2))
    status, out, err = rustybt(*sweep("--sweep", "SHARES=1,2,3"))
    assert status == 130
    assert "996.93" in out
    assert "interrupted; 1 of 3 runs are done" in err
