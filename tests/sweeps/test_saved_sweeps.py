"""Results of a sweep on disk."""

import pandas as pd
import pytest

import rustybt as rb
from rustybt.errors import RequestError, StorageError
from tests.sweeps import strategies
from tests.sweeps.strategies import Serial

GRID = {"SHARES": [1, -1, 2]}


@pytest.fixture
def found(us, hold, tmp_path):
    return rb.sweep(hold, GRID, us, Serial(), output=tmp_path / "out", capital_base=1_000)


def test_each_result_is_saved_under_its_number_and_can_be_replayed(found, store, tmp_path):
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0001", "0003", "sweep.csv"]
    assert rb.Result.load(tmp_path / "out" / "0003").script.parameters == {"SHARES": 2}
    assert rb.replay(tmp_path / "out" / "0003", store=store).is_same
    assert found.result(3).summary()["ending_value"] == 1_066.0


def test_the_store_knows_that_the_results_depend_on_the_version(found, store, tmp_path):
    assert sorted(store.saved_results("us")) == [(str(tmp_path / "out" / name), 1) for name in ("0001", "0003")]


def test_the_table_is_saved_beside_them(found, tmp_path):
    table = pd.read_csv(tmp_path / "out" / "sweep.csv", index_col="run")
    assert list(table["SHARES"]) == [1, -1, 2]
    assert table["ending_value"][3] == 1_066.0
    assert "no short sales" in table["error"][2]


def test_a_failed_run_and_a_run_that_is_not_there_have_no_result(found, us, hold):
    with pytest.raises(RequestError, match=r"run 2 has no result: .*no short sales"):
        found.result(2)
    with pytest.raises(RequestError, match="has no run 4"):
        found.result(4)
    with pytest.raises(RequestError, match="were not saved"):
        rb.sweep(hold, {"SHARES": [1]}, us, Serial()).result(1)


def test_nothing_of_an_earlier_sweep_passes_for_one_of_this(found, us, hold, tmp_path):
    again = rb.sweep(hold, {"SHARES": [-1, 5]}, us, Serial(), output=tmp_path / "out", capital_base=1_000)
    assert again.result(2).summary()["ending_value"] == 1_165.0
    for name in ("0001", "0003"):
        with pytest.raises(RequestError, match="no readable result"):
            rb.Result.load(tmp_path / "out" / name)


def test_results_of_functions_say_once_that_they_cannot_be_replayed(us, tmp_path):
    functions = {"initialize": strategies.initialize, "handle_data": strategies.handle_data}
    with pytest.warns(UserWarning, match="cannot be replayed") as warned:
        found = rb.sweep(functions, {"shares": [1, 2]}, us, Serial(), output=tmp_path / "out", capital_base=1_000)
    assert len(warned) == 1
    assert found.result(2).summary()["ending_value"] == 1_066.0


def test_a_place_that_is_no_directory_is_refused_before_the_first_run(us, hold):
    with pytest.raises(StorageError, match="cannot save the sweep"):
        rb.sweep(hold, GRID, us, Serial(interrupted=1), output=hold)


def test_a_result_that_cannot_be_saved_still_has_its_figures(us, hold, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "0002").write_text("in the way")
    frame = rb.sweep(hold, {"SHARES": [1, 2]}, us, Serial(), output=tmp_path / "out", capital_base=1_000).frame
    assert list(frame["ending_value"]) == [1_033.0, 1_066.0]
    assert frame["error"][1] is None
    assert frame["error"][2].startswith("not saved: cannot save the result in")


def test_a_saved_table_names_no_folder_of_the_machine(us, hold, tmp_path):
    found = rb.sweep(hold, {"SHARES": [1, float("nan")]}, us, Serial(), output=tmp_path / "out")
    assert f"({hold}, line " in found.frame["error"][2]
    table = (tmp_path / "out" / "sweep.csv").read_text()
    assert f"({hold.name}, line " in table
    assert str(tmp_path) not in table
