"""Results on disk, and their replay on the pinned version."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from rustybt import api
from rustybt.algorithm import replay, run_algorithm
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import BundleError, RequestError, VersionNotFoundError
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import Provenance
from rustybt.trading.models import describe_model, model_of
from rustybt.trading.results import replay as replay_module
from rustybt.trading.results.result import Result

SCRIPT = '''"""Buys a little each session."""
from rustybt.api import order, record, symbol

AMOUNT = 3


def initialize(context):
    context.asset = symbol("A")


def handle_data(context, data):
    order(context.asset, AMOUNT, limit_price=data.current(context.asset, "price") + 1)
    record(price=data.current(context.asset, "price"), note="day %d" % data.current_session.day, odd=float("nan"))
'''

CLOSES = {"A": [10.25, 10.5, 11.125, 5.75, 6.0], "B": [1, 2, 3, 4, 5]}


@pytest.fixture
def store(tmp_path):
    with BundleStore(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def commit(store, make_bars):
    def do(closes=None, actions=True):
        split = [CorporateAction.split("A", date(2020, 1, 7), 2, 1)] if actions else []
        return store.commit("us", make_bars(closes or CLOSES)._bars, Provenance("frame"), actions=split)

    return do


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "strategy.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


@pytest.fixture
def saved(store, commit, script, tmp_path):
    commit()
    result = run_algorithm(bundle="us", store=store, script=script, capital_base=1_000)
    return result, result.save(tmp_path / "result")


def test_a_result_is_pinned_to_what_it_read(saved):
    pin = saved[0].pin
    assert pin.reference == "us@1"
    assert (pin.start, pin.end, pin.calendar) == ("2020-01-02", "2020-01-08", "XNYS")
    assert len(pin.session_hash) == 64
    assert pin.adjustment == "as of the clock, from raw"


def test_a_result_comes_back_from_disk_as_it_was(saved):
    result, directory = saved
    loaded = Result.load(directory)
    assert sorted(path.name for path in directory.iterdir()) == [
        "books.csv",
        "orders.csv",
        "perf.csv",
        "positions.csv",
        "prices.csv",
        "recorded.csv",
        "result.json",
        "script.py",
        "transactions.csv",
    ]
    assert loaded.pin == result.pin
    assert loaded.parameters == result.parameters
    assert loaded.script == result.script
    for table in ("transactions", "orders", "positions", "books"):
        mine, theirs = getattr(loaded, table), getattr(result, table)
        assert mine.astype(str).to_dict("list") == theirs.astype(str).to_dict("list"), table
    for column in result.perf.columns:
        if column in ("transactions", "orders", "positions"):
            assert [len(cell) for cell in loaded.perf[column]] == [len(cell) for cell in result.perf[column]]
        elif result.perf[column].dtype.kind == "f":
            np.testing.assert_array_equal(loaded.perf[column], result.perf[column], err_msg=column)
    assert list(loaded.perf.index) == list(result.perf.index)
    assert list(loaded.perf["note"]) == ["day 2", "day 3", "day 6", "day 7", "day 8"]
    assert loaded.perf["odd"].isna().all()
    assert loaded.perf["positions"].iloc[-1][0]["sid"].symbol == "A"
    assert loaded.summary() == pytest.approx(result.summary(), nan_ok=True)
    assert loaded["portfolio_value"].iloc[-1] == pytest.approx(result.returns.add(1).prod() * 1_000)


def test_saving_again_replaces_the_result(saved):
    result, directory = saved
    before = (directory / "perf.csv").read_bytes()
    result.save(directory)
    assert (directory / "perf.csv").read_bytes() == before


def test_what_is_not_a_result_is_refused(tmp_path, saved):
    with pytest.raises(RequestError, match="no readable result"):
        Result.load(tmp_path / "nothing")
    facts = json.loads((saved[1] / "result.json").read_text())
    (saved[1] / "result.json").write_text(json.dumps({**facts, "format": 99}))
    with pytest.raises(RequestError, match="has format 99"):
        Result.load(saved[1])
    (saved[1] / "result.json").write_text("{}")
    with pytest.raises(RequestError, match="no readable result"):
        Result.load(saved[1])


def test_a_replay_proves_the_result_to_the_last_digit(store, saved):
    report = replay(saved[1], store)
    assert report.is_same
    assert report.differences == report.circumstances == ()
    assert report.lines() == [
        "same result on us@1: 5 sessions and 4 transactions are equal to the last digit",
    ]
    assert report.to_json()["is_same"] is True


def test_a_replay_reads_the_pinned_version_after_the_bundle_went_on(store, commit, saved):
    commit({**CLOSES, "A": [10.25, 10.5, 11.125, 5.75, 7.0]})
    report = replay(saved[1], store)
    assert report.is_same
    assert report.reference == "us@1"


def test_a_replay_says_what_a_changed_script_does(store, saved):
    path = saved[1] / "script.py"
    path.write_text(path.read_text().replace("AMOUNT = 3", "AMOUNT = 4"))
    report = replay(saved[1], store)
    assert not report.is_same
    assert report.lines()[0] == "another result on us@1:"
    text = "\n".join(report.lines())
    assert "transactions: A in 2020-01-03: amount 3 became 4" in text
    assert "ending_cash: " in text
    assert "in 2020-01-03" in text
    assert "books: 2020-01-03: cash" in text


def test_parameters_set_in_the_script_are_set_again(store, commit, script, tmp_path):
    commit()
    from rustybt.algorithm import load_script

    strategy = load_script(script, {"AMOUNT": "5"})
    result = run_algorithm(bundle="us", store=store, capital_base=1_000, **strategy.functions)
    assert result.transactions["amount"].iloc[0] == 5
    assert replay(result.save(tmp_path / "r"), store).is_same


def test_a_program_that_runs_its_own_functions_can_be_replayed(store, commit, tmp_path):
    commit()
    # `analyze` and `handle_data` are there and were not passed: a replay does not call them.
    text = SCRIPT.replace("def initialize", "def setup").replace("def handle_data", "def trade")
    text += "\n\ndef handle_data(context, data):\n    1 / 0\n\n\ndef analyze(context, perf):\n    1 / 0\n"
    path = tmp_path / "program.py"
    path.write_text(text, encoding="utf-8")
    space = {"__name__": "__main__", "__file__": str(path)}
    exec(compile(text, str(path), "exec"), space)
    result = run_algorithm(bundle="us", store=store, initialize=space["setup"], handle_data=space["trade"])
    directory = result.save(tmp_path / "r")
    assert Result.load(directory).script.functions == {"initialize": "setup", "handle_data": "trade"}
    report = replay(directory, store)
    assert report.is_same, report.lines()
    assert report.transactions == 4


def test_saved_files_are_plain_and_name_symbols(saved):
    _, directory = saved
    books = (directory / "books.csv").read_text().splitlines()
    assert books[:2] == [
        "session,cash,positions_value,portfolio_value",
        "2020-01-02,1000.000000000,0.000000000,1000.000000000",
    ]
    # Ordered at the close of January 2 and filled on the 3rd at 10.5 and 5 basis points.
    transactions = (directory / "transactions.csv").read_text().splitlines()
    assert transactions[0] == "row,symbol,dt,sid,amount,price,order_id"
    assert transactions[1].startswith("1,A,2020-01-03 21:00:00+00:00,")
    assert ",3,10.50525," in transactions[1]
    positions = (directory / "positions.csv").read_text().splitlines()
    assert positions[0] == "row,symbol,sid,amount,cost_basis,last_sale_price"
    assert positions[1].startswith("1,A,")


def test_a_result_saved_before_the_files_named_symbols_is_read(store, saved):
    result, directory = saved
    for name in ("transactions", "positions"):
        path = directory / f"{name}.csv"
        lines = [line.split(",") for line in path.read_text().splitlines()]
        path.write_text("\n".join(",".join([line[0], *line[2:]]) for line in lines) + "\n")
    facts = json.loads((directory / "result.json").read_text())
    del facts["script"]["functions"], facts["script_unknown"], facts["files"]
    (directory / "result.json").write_text(json.dumps(facts))
    loaded = Result.load(directory)
    assert list(loaded.transactions["symbol"]) == ["A"] * 4
    assert loaded.positions.equals(result.positions)
    assert replay(directory, store).is_same


def test_models_and_benchmark_are_given_again(store, commit, script, tmp_path):
    commit()
    result = run_algorithm(
        bundle="us",
        store=store,
        script=script,
        commission=api.commission.PerShare(0.02, 1.5),
        slippage=api.slippage.VolumeShareSlippage(0.1, 0.3),
        benchmark_returns=pd.Series([0.01, 0.02], index=pd.to_datetime(["2020-01-03", "2020-01-08"])),
    )
    report = replay(result.save(tmp_path / "r"), store)
    assert report.is_same, report.lines()


def test_equal_data_under_another_version_is_the_same_data(store, commit, saved):
    _, directory = saved
    facts = json.loads((directory / "result.json").read_text())
    facts["pin"] |= {"version": 7, "package_version": "0.0.1", "calendar_version": "1.0", "session_hash": "abc"}
    (directory / "result.json").write_text(json.dumps(facts))
    report = replay(directory, store)
    assert report.is_same
    text = "\n".join(report.lines())
    assert "note: the same data is version 1 now, it was 7" in text
    assert "note: rustybt 0.0.1 became" in text
    assert "note: exchange_calendars 1.0 became" in text
    assert "note: the calendar's sessions have another hash: abc became" in text


def test_data_that_is_gone_is_named(store, saved, tmp_path):
    store.remove("us")
    with pytest.raises(BundleError, match="the data of this result is not here: us@1") as caught:
        replay(saved[1], store)
    assert caught.value.exit_code == 6
    assert caught.value.content_hash == saved[0].pin.content_hash


def test_a_collected_version_is_named(store, saved):
    class Collected:
        def open(self, reference):
            raise VersionNotFoundError(f"{reference} was collected")

    with pytest.raises(BundleError, match="was collected"):
        replay(saved[1], Collected())


def test_what_cannot_run_again_says_why(store, commit, script, tmp_path, make_bars):
    commit()

    def local(context):
        pass

    class Own(api.commission.PerTrade):
        pass

    def reason(**arguments):
        result = run_algorithm(**{"bundle": "us", "store": store, **arguments})
        directory = result.save(tmp_path / "r")
        with pytest.raises(RequestError) as caught:
            replay(directory, store)
        return caught.value.message

    with pytest.warns(UserWarning, match=r"cannot be replayed: initialize \(.*local\) is no function at the top level"):
        assert "its script is not known: initialize (test_what" in reason(initialize=local)
    with pytest.warns(UserWarning, match="cannot be replayed: it was given no functions"):
        assert "its script is not known: it was given no functions" in reason()
    assert "model of its own" in reason(script=script, commission=Own(1))
    assert "not run on a bundle" in reason(script=script, bundle=make_bars(CLOSES))
    result = run_algorithm(bundle="us", store=store, script=script)
    result.error = "stopped"
    with pytest.raises(RequestError, match="stopped at an error"):
        replay(result.save(tmp_path / "r"), store)
    result.error = None
    result.parameters["initialize"] = ["size"]
    with pytest.raises(RequestError, match="initialize was given size"):
        replay(result.save(tmp_path / "r"), store)


def test_the_users_own_store_is_the_default(store, commit, saved, monkeypatch):
    import rustybt.data.bundles.store as module

    made = module.BundleStore
    monkeypatch.setattr(module, "BundleStore", lambda: made(store.home))
    assert replay(saved[1]).is_same
    assert run_algorithm(bundle="us").pin.reference == "us@1"
    with store.open("us@1") as bundle:
        assert run_algorithm(bundle=bundle).pin.reference == "us@1"


def test_other_lengths_and_columns_are_told(saved):
    result, _ = saved
    shorter = Result(
        result.perf.iloc[:3].drop(columns=["sharpe"]),
        pin=None,
        parameters=result.parameters,
        script=None,
        benchmark=result.benchmark,
        books=result.books.iloc[:3],
    )
    report = replay_module.compare(result, shorter)
    assert "5 sessions were saved, 3 were run now" in report.differences
    assert "column sharpe is missing now" in report.differences
    assert report.reference == "bars in memory"
    assert any("books were saved, 3 were made now" in text for text in report.differences)
    everything = pd.DataFrame({c: -1.0 if v.dtype.kind in "fi" else v for c, v in result.perf.items()})
    other = Result(
        everything,
        pin=replace(result.pin, adjustment="none"),
        parameters={},
        script=None,
        benchmark=result.benchmark,
        books=result.books,
    )
    report = replay_module.compare(result, other)
    assert len(report.differences) == 21
    assert report.differences[-1].endswith("more")
    assert report.circumstances == ("adjustment: as of the clock, from raw became none",)


def test_values_are_compared_by_meaning():
    same = replay_module._same
    assert same(None, float("nan"))
    assert not same(None, 1)
    assert same(float("nan"), float("nan"))
    assert same(1, 1.0)
    assert not same(1.0, 1.0000000000000002)
    assert same("a", "a")
    assert same(Decimal("1.50"), Decimal("1.5"))


@pytest.mark.parametrize(
    "model",
    [
        api.commission.NoCommission(),
        api.commission.PerShare(0.5, 2.0),
        api.commission.PerTrade(3),
        api.commission.PerDollar(0.01),
        api.slippage.NoSlippage(),
        api.slippage.FixedSlippage(0.1),
        api.slippage.FixedBasisPointsSlippage(7.0, 0.2),
        api.slippage.VolumeShareSlippage(0.2, 0.3),
    ],
    ids=repr,
)
def test_models_come_back_from_their_description(model):
    described = json.loads(json.dumps(describe_model(model)))
    assert repr(model_of(described)) == repr(model)


def test_a_model_that_is_not_built_in_has_no_description():
    class Own(api.slippage.FixedSlippage):
        pass

    assert describe_model(Own()) == {}
    assert describe_model(None) is None
    assert model_of(None) is None
    with pytest.raises(RequestError, match="no built-in model"):
        model_of({"name": "Own"})


def test_recorded_objects_are_saved_as_plain_values(make_bars, tmp_path):
    def handle_data(context, data):
        api.record(many=[1, np.float64(2.5)], table={"a": (None, float("inf"))}, thing=object(), none=None)

    result = run_algorithm(bundle=make_bars({"A": [1, 2]}), handle_data=handle_data)
    loaded = Result.load(result.save(tmp_path / "r"))
    assert loaded.perf["many"].iloc[0] == [1, 2.5]
    assert loaded.perf["table"].iloc[0] == {"a": [None, None]}
    assert loaded.perf["thing"].iloc[0].startswith("<object")


def test_a_result_without_trades_comes_back_too(make_bars, tmp_path):
    result = run_algorithm(bundle=make_bars({"A": [1, 2]}))
    loaded = Result.load(result.save(tmp_path / "r"))
    assert len(loaded.perf) == 2
    assert loaded.script is None
    assert loaded.perf["orders"].to_list() == [[], []]
