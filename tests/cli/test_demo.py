"""``rustybt demo``: the whole journey."""

import contextlib
import io

import pytest

from rustybt.cli import demo as demo_command
from rustybt.cli.main import invoke


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Status, stdout and output directory of one demo on real bars, run outside of any test's directory."""
    folder = tmp_path_factory.mktemp("demo")
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.chdir(folder)
        patch.setenv("RUSTYBT_HOME", str(folder / "users-home"))
        patch.setenv("RUSTYBT_CONFIG_FILE", str(folder / "config.toml"))
        status = invoke(["demo", "--output", "out"])
    return status, out.getvalue(), folder


def test_the_demo_shows_the_whole_journey_on_real_bars(real):
    status, out, folder = real
    assert status == 0
    for expected in (
        *("12,154 rows", "demo@1: 12,154 rows added", "demo@1: unchanged", "sha256:", "AAPL    split  2005-02-28  2:1"),
        *("Performance on demo@1", "0 bars added, 0 removed, 1 changed", "same result on demo@1"),
        *("Performance on demo@2", "Ending value", "open out/report.html"),
    ):
        assert expected in out, expected
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "Moving average 50/200 on five US stocks" in page
    assert "buy and hold" in page
    assert (folder / "out" / "equity.png").read_bytes().startswith(b"\x89PNG")
    assert not (folder / "users-home").exists()


def test_the_splits_cause_no_false_crash(real):
    from rustybt.trading.results.result import Result

    for name in ("buy-and-hold", "moving-average"):
        perf = Result.load(real[2] / "out" / name).perf
        for ex_date in ("2000-06-21", "2003-02-18", "2005-02-28"):
            returns = perf["returns"].loc[ex_date:ex_date]
            assert len(returns) == 1
            assert abs(returns.iloc[0]) < 0.05, (name, ex_date)


def test_without_the_extra_the_bars_are_generated_and_say_so(place, ask, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bokeh_sampledata.stocks", None)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    found = ask("demo", "--output", "out")
    assert found["files"] == ["out/report.html"]
    assert [step["exit_status"] for step in found["steps"]] == [0] * len(found["steps"])
    assert found["steps"][1]["answer"]["unchanged"] is True
    page = (place / "out" / "report.html").read_text(encoding="utf-8")
    assert "GENERATED bars" in page
    # Once more into the same directory: its own home is emptied first.
    assert ask("demo", "--output", "out")["steps"][0]["answer"]["version"] == 1


def test_a_home_that_the_demo_did_not_make_is_left_alone(place, ask):
    (place / "out" / "home").mkdir(parents=True)
    (place / "out" / "home" / "mine.txt").write_text("precious")
    error = ask("demo", "--output", "out", status=2)["error"]
    assert "left alone" in error["message"]
    assert (place / "out" / "home" / "mine.txt").read_text() == "precious"


def failing(journey, output, *, generated):
    journey.say("about to fail")
    journey.run("bundle", "info", "nothing")


def test_a_step_that_fails_ends_the_demo_with_its_status(place, rustybt, ask, monkeypatch):
    monkeypatch.setattr(demo_command, "_travel", failing)
    status, out, err = rustybt("demo", "--output", "out")
    assert status == 2
    assert "$ rustybt bundle info nothing" in out
    assert "there is no bundle 'nothing'" in err
    (step,) = ask("demo", "--output", "out", status=2)["steps"]
    assert step["exit_status"] == 2
    assert step["answer"]["error"]["code"] == "bundle-not-found"


def test_without_a_chart_the_end_names_the_extra(place, rustybt, monkeypatch):
    monkeypatch.setattr(demo_command, "_travel", lambda journey, output, *, generated: None)
    status, out, _ = rustybt("demo", "--output", "out")
    assert status == 0
    assert 'pip install "rustybt[demo]"' in out
