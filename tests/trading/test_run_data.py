"""What a result keeps of the data: closes of what was traded, and where it came from."""

from __future__ import annotations

import json
from datetime import date
from types import SimpleNamespace

import numpy as np
import pytest

from rustybt.algorithm import run_algorithm
from rustybt.data.bundles.store import BundleStore
from rustybt.data.portal import MemoryBars
from rustybt.errors import CorruptBundleError
from rustybt.market.assets import Asset, AssetAttributes
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars
from rustybt.trading.results.result import Result
from rustybt.trading.results.run_data import run_data
from rustybt.trading.results.traded_prices import MOST_ASSETS, most_traded, read_traded
from tests.trading.strategies import FREE, buy_once

SCRIPT = """from rustybt.api import order, symbol
def initialize(context):
    context.done = False
def handle_data(context, data):
    if not context.done:
        order(symbol("A"), 3)
        order(symbol("B"), 100)
        context.done = True
"""


@pytest.fixture
def store(tmp_path):
    with BundleStore(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def saved(store, make_bars, tmp_path):
    closes = {"A": [10, 11, None, 13], "B": [1, 2, 3, 4], "C": [5, 5, 5, 5]}
    store.commit("us", make_bars(closes)._bars, Provenance("frame", source_url="memory"))
    (tmp_path / "s.py").write_text(SCRIPT)
    result = run_algorithm(bundle="us", store=store, script=tmp_path / "s.py", capital_base=10_000)
    return result, result.save(tmp_path / "result")


def test_a_result_keeps_the_closes_of_what_it_traded(saved):
    prices = saved[0].prices
    # 100 shares of B at about 2 are more than 3 of A at about 11; C was not traded.
    assert prices.symbols == ("B", "A")
    np.testing.assert_array_equal(prices.closes, [[1, 10], [2, 11], [3, np.nan], [4, 13]])
    assert prices.left_out == 0


def test_prices_provenance_and_currency_come_back_from_disk(saved):
    result, directory = saved
    loaded = Result.load(directory)
    np.testing.assert_array_equal(loaded.prices.closes, result.prices.closes)
    assert (loaded.prices.sids, loaded.prices.symbols) == (result.prices.sids, result.prices.symbols)
    assert loaded.provenance == result.provenance
    assert loaded.provenance.source_url == "memory"
    assert loaded.data.currency == "USD"


def test_a_result_saved_by_an_earlier_version_loads_without_them(saved, tmp_path):
    directory = saved[1]
    facts = json.loads((directory / "result.json").read_text())
    del facts["data"], facts["files"]["prices.csv"]
    (directory / "result.json").write_text(json.dumps(facts))
    (directory / "prices.csv").unlink()
    old = Result.load(directory)
    assert (old.prices, old.quality, old.provenance, old.notes) == (None, None, None, ())
    page = old.tear_sheet(tmp_path / "old.html").read_text(encoding="utf-8")
    assert "No prices were kept with this result" in page
    assert Result.load(old.save(tmp_path / "again")).prices is None


def test_prices_are_those_of_their_own_day_whatever_split_came_later(make_bars):
    split = [CorporateAction.split("A", date(2020, 1, 7), 2, 1)]
    for basis, stored in (("raw", [10, 10, 10, 5, 5]), ("split_adjusted", [5, 5, 5, 5, 5])):
        bars = make_bars({"A": stored}, basis=basis, actions=split)
        result = run_algorithm(bundle=bars, **buy_once(1), **FREE)
        assert result.prices.closes[:, 0].tolist() == [10, 10, 10, 5, 5], basis


def test_a_run_without_trades_keeps_no_price(make_bars):
    prices = run_algorithm(bundle=make_bars({"A": [1, 2]}), handle_data=lambda context, data: None).prices
    assert (prices.symbols, prices.closes.shape, prices.left_out) == ((), (2, 0), 0)


def test_only_the_assets_of_the_highest_turnover_are_kept():
    assets = [Asset(n, f"S{n:02}", "XNYS") for n in range(MOST_ASSETS + 3)]
    fills = [SimpleNamespace(asset=asset, amount=-n, price=2.0) for n, asset in enumerate(assets)]
    kept, left_out = most_traded(fills)
    assert [asset.symbol for asset in kept] == [f"S{n:02}" for n in range(MOST_ASSETS + 2, 2, -1)]
    assert left_out == 3


def test_of_minutes_the_last_one_before_the_close_is_kept():
    rows = [
        ("A", "2020-01-02 20:58", "1"),
        ("A", "2020-01-02 20:59", "2"),
        ("A", "2020-01-03 15:00", "3"),
        # After the close.
        ("A", "2020-01-03 21:00", "99"),
    ]
    bars = MemoryBars(frame_of_bars(rows), frequency="1m")
    sessions = np.array(["2020-01-02", "2020-01-03"], dtype="datetime64[D]")
    closes = sessions.astype("datetime64[us]").astype(np.int64) + 21 * 3_600_000_000
    fill = SimpleNamespace(asset=bars.assets.lookup_symbol("A"), amount=1, price=1.0)
    assert read_traded(bars, [fill], sessions, closes, "1m", "XNYS").closes[:, 0].tolist() == [2.0, 3.0]


def test_bars_that_cannot_be_read_again_are_a_note_and_no_failure():
    def refuse(*_, **__):
        raise CorruptBundleError("a file is torn")

    asset = Asset(7, "A", "XNYS", attributes=AssetAttributes(currency="EUR"))
    fill = SimpleNamespace(asset=asset, amount=1, price=1.0)
    log = SimpleNamespace(records=[SimpleNamespace(transactions=[fill])])
    bars = SimpleNamespace(frequencies=("1d",), read_arrays=refuse, quality=refuse)
    sessions = np.array(["2020-01-02"], dtype="datetime64[D]")
    found = run_data(bars, [asset], sessions[0], sessions, np.array([0]), log, "1d", "XNYS")
    assert (found.prices, found.quality, found.currency) == (None, None, "EUR")
    assert found.notes == (
        "no prices are kept for charts: a file is torn",
        "the quality of the bars is not known: a file is torn",
    )
