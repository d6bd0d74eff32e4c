"""A saved result that was damaged or edited: told in words, never a crash and never passed for what was run."""

from __future__ import annotations

import os
import random

import pytest

from rustybt.algorithm import replay, run_algorithm
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import RequestError, RustybtError, StorageError
from rustybt.market.provenance import Provenance
from rustybt.trading.results.result import Result

SCRIPT = """from rustybt.api import order, record, symbol
def initialize(context):
    pass
def handle_data(context, data):
    order(symbol("A"), 3)
    record(seen=1)
"""


@pytest.fixture
def store(tmp_path):
    with BundleStore(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def saved(store, make_bars, tmp_path):
    store.commit("us", make_bars({"A": [10, 11, 12, 13]})._bars, Provenance("frame"))
    script = tmp_path / "strategy.py"
    script.write_text(SCRIPT)
    result = run_algorithm(bundle="us", store=store, script=script, capital_base=1_000)
    return result, result.save(tmp_path / "result")


def _damage(data: bytes, how: str, chance: random.Random) -> bytes | None:
    if how == "flip":
        at = chance.randrange(len(data))
        return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
    return {"empty": b"", "cut": data[: chance.randrange(len(data))], "noise": os.urandom(200), "gone": None}[how]


@pytest.mark.parametrize("how", ["flip", "empty", "cut", "noise", "gone"])
@pytest.mark.parametrize(
    "name",
    [
        *("result.json", "perf.csv", "orders.csv", "transactions.csv", "positions.csv", "books.csv", "recorded.csv"),
        "prices.csv",
    ],
)
def test_a_damaged_file_is_an_error_or_a_note(saved, name, how):
    _, directory = saved
    path = directory / name
    whole = path.read_bytes()
    chance = random.Random(name + how)
    for _ in range(8):
        damaged = _damage(whole, how, chance)
        if damaged is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(damaged)
        try:
            notes = Result.load(directory).notes
        except RustybtError as error:
            assert str(directory) in str(error)  # noqa: PT017  either outcome is right
        else:
            # What is left of result.json may have lost no more than white space.
            assert name == "result.json" or f"{name} is not as it was saved" in notes


def test_a_result_that_nobody_touched_has_no_note(saved):
    assert Result.load(saved[1]).notes == saved[0].notes


def test_an_edited_result_is_read_with_a_note_and_its_replay_differs(saved, store):
    path = saved[1] / "positions.csv"
    path.write_text(path.read_text().replace(",3,", ",4,"))
    assert Result.load(saved[1]).notes[-1] == "positions.csv is not as it was saved"
    assert not replay(saved[1], store).is_same


def test_facts_that_lack_a_parameter_are_no_result(saved, store):
    path = saved[1] / "result.json"
    path.write_text(path.read_text().replace('"trading_calendar"', '"trading_calendur"'))
    with pytest.raises(RequestError, match="'trading_calendar' is missing"):
        replay(saved[1], store)


def test_a_place_that_cannot_be_written_is_told(saved, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot save the result in"):
        saved[0].save(tmp_path / "file")
    with pytest.raises(RequestError, match="no directory"):
        saved[0].save("")


def test_the_store_knows_who_depends_on_a_version(saved, store, make_bars):
    assert store.saved_results("us") == [(str(saved[1]), 1)]
    store.commit("us", make_bars({"A": [1, 2, 3, 4]})._bars, Provenance("frame"))
    report = store.gc("us", keep_last=1, dry_run=True)
    assert report.orphaned_results == {str(saved[1]): "us@1"}


def test_a_result_of_an_opened_bundle_is_known_too(store, make_bars, tmp_path):
    store.commit("us", make_bars({"A": [10, 11]})._bars, Provenance("frame"))
    with store.open("us") as bundle, pytest.warns(UserWarning, match="cannot be replayed"):
        run_algorithm(bundle=bundle, initialize=lambda _: None, capital_base=1).save(tmp_path / "r")
    assert store.saved_results("us") == [(str(tmp_path / "r"), 1)]


def test_a_home_that_cannot_be_written_does_not_keep_a_result_from_being_saved(saved, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise StorageError("the home is read-only")

    monkeypatch.setattr(BundleStore, "record_result", refuse)
    assert (saved[0].save(tmp_path / "again") / "result.json").exists()
