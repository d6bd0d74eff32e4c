"""Results of odd runs: whatever was recorded is saved, drawn and replayed as it was, and a failed save leaves the one before."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from rustybt import api
from rustybt.algorithm import replay, run_algorithm
from rustybt.data.bundles import file_reader
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import BundleError, RequestError, StorageError, StrategyError
from rustybt.market.provenance import Provenance
from rustybt.trading.report import curves_of, write_chart
from rustybt.trading.results.replay import compare
from rustybt.trading.results.result import Result
from tests.trading.strategies import buy_once

FIVE = {"A": [10, 11, 12, 13, 14], "B": [20, 21, 22, 23, 24]}


# What is recorded and saved ----------------------------------------------------------------------------------------


class Wordless:
    """Cannot say what it is."""

    def __str__(self):
        raise ValueError

    __repr__ = __str__


def holds_itself():
    found: list = [1]
    found.append(found)
    return found


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        {1: {2: float("nan")}},
        [float("nan")],
        pd.Series([1, 2]),
        pd.Series([1, 2]).to_numpy(),
        pd.DataFrame({"a": [1]}),
        pd.NA,
        Wordless(),
        holds_itself(),
        10**5000,
        {"b", "a"},
        "a\nb\r,\"'",
        "<script>alert(1)</script>",
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_is_recorded_is_saved_reported_and_replayed_as_the_same(value, make_bars, tmp_path):
    def handle_data(context, data):
        api.record(x=value)

    result = run_algorithm(bundle=make_bars(FIVE), handle_data=handle_data)
    result.save(tmp_path / "saved")
    loaded = Result.load(tmp_path / "saved")
    assert compare(loaded, result).is_same
    for number, one in enumerate((result, loaded)):
        assert "<script>" not in one.tear_sheet(tmp_path / f"{number}.html").read_text()


def test_recorded_values_that_differ_are_still_found(make_bars):
    one, other = (
        run_algorithm(bundle=make_bars(FIVE), handle_data=lambda context, data, v=value: api.record(x=v))
        for value in ([1, 2], [1, 3])
    )
    assert compare(one, other).differences == ("x: [1, 2] became [1, 3] in 2020-01-02",)


@pytest.mark.parametrize("call", [lambda: api.record(x="\ud800"), lambda: api.record("\ud800", 1)])
def test_text_that_no_file_can_hold_is_refused_where_it_is_recorded(make_bars, call):
    with pytest.raises(RequestError, match=r"surrogate pair.*in bar 1"):
        run_algorithm(bundle=make_bars(FIVE), handle_data=lambda context, data: call())


def test_a_result_names_no_folder_of_the_machine(make_bars, tmp_path):
    script = tmp_path / "s.py"
    script.write_text("def handle_data(context, data):\n    open('/no/such/place.txt')\n")
    with pytest.raises(StrategyError, match=str(tmp_path)) as caught:
        run_algorithm(bundle=make_bars(FIVE), script=script)
    partial = caught.value.partial_result
    partial.save(tmp_path / "saved")
    partial.tear_sheet(tmp_path / "saved" / "t.html")
    assert partial.error.startswith("s.py, line 2, in handle_data, in bar 1")
    for file in (tmp_path / "saved").iterdir():
        assert str(tmp_path) not in file.read_text()
        if file.name != "script.py":
            assert "/no/such" not in file.read_text()


# Where it is saved -------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(make_bars, tmp_path):
    result = run_algorithm(bundle=make_bars(FIVE), **buy_once(5))
    return result.save(tmp_path / "saved")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("fails", [0, 1, 7, 8, 15])
def test_a_result_that_cannot_be_replaced_is_left_as_it_was(saved, make_bars, monkeypatch, fails):
    before = contents(saved)
    longer = run_algorithm(bundle=make_bars({"A": [10] * 9, "B": [1] * 9}), **buy_once(5))
    real, calls = Path.replace, []

    def replace(self, target):
        calls.append(target)
        if len(calls) == fails + 1:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(StorageError, match="No space left"):
        longer.save(saved)
    assert contents(saved) == before


def test_files_are_never_written_through_links_or_into_folders(saved, make_bars, tmp_path):
    result = run_algorithm(bundle=make_bars(FIVE), **buy_once(5))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.txt").write_text("mine")
    for name, target in (("perf.csv", outside), ("books.csv", outside / "mine.txt"), ("t.html", outside / "mine.txt")):
        (saved / name).unlink(missing_ok=True)
        (saved / name).symlink_to(target)
    result.save(saved)
    result.tear_sheet(saved / "t.html")
    assert contents(outside) == {"mine.txt": b"mine"}
    assert len(Result.load(saved).perf) == 5
    (saved / "orders.csv").unlink()
    (saved / "orders.csv").mkdir()
    with pytest.raises(StorageError, match=r"orders.csv is a directory|Is a directory"):
        result.save(saved)


@pytest.mark.parametrize("write", [Result.save, Result.tear_sheet, Result.plot])
@pytest.mark.parametrize("place", ["a\0b", "x" * 300, os.devnull + "/x"])
def test_places_that_cannot_be_are_storage_errors(saved, write, place):
    if write is Result.plot:
        pytest.importorskip("matplotlib")
    with pytest.raises(StorageError, match="cannot"):
        write(Result.load(saved), place)


def test_a_result_of_one_session_is_drawn_without_a_word(make_bars, tmp_path):
    pytest.importorskip("matplotlib")
    assert run_algorithm(bundle=make_bars({"A": [10]}), **buy_once(5)).plot(tmp_path / "p.png").exists()


@pytest.mark.parametrize("name", ["$nope$", "$\\frac{", "<script>", "é" * 300])
def test_a_name_is_drawn_as_it_is_and_no_formula(make_bars, tmp_path, name):
    pytest.importorskip("matplotlib")
    result = run_algorithm(bundle=make_bars(FIVE), **buy_once(5))
    assert write_chart(curves_of(result, ((f"${name}$", result),)), tmp_path / "p.png", title=f"$\\x{name}$").exists()


def test_a_replay_on_damaged_data_says_which_file(make_bars, tmp_path, monkeypatch):
    script = tmp_path / "s.py"
    script.write_text("from rustybt.api import *\ndef handle_data(context, data):\n    order(symbol('A'), 1)\n")
    with BundleStore(tmp_path / "home") as store:
        store.commit("us", make_bars(FIVE)._bars, Provenance("csv"), calendar="XNYS")
        run_algorithm(bundle="us", store=store, script=script).save(tmp_path / "saved")
        monkeypatch.setattr(file_reader, "_verified", {})
        for file in (tmp_path / "home").rglob("*.parquet"):
            file.chmod(0o644)
            file.write_bytes(file.read_bytes()[:100])
        with pytest.raises(BundleError, match="of bundle us has SHA-256"):
            replay(tmp_path / "saved", store=store)
