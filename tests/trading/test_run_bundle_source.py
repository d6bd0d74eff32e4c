"""A run on a bundle as a source is the run on the bundle."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from rustybt import api
from rustybt.algorithm import run_algorithm
from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources import BundleDataSource
from rustybt.market.bars import BAR_SCHEMA
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import Provenance
from tests.trading.strategies import FREE

EVENTS = [
    CorporateAction.split("A", date(2020, 1, 7), 2, 1),
    CorporateAction.cash_dividend("B", date(2020, 1, 8), "0.5", pay_date=date(2020, 1, 13)),
]


@pytest.fixture
def store(tmp_path):
    with BundleStore(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def us(make_bars, store):
    """A is split, B pays, LATE is listed on the 6th, GONE trades on the 7th for the last time."""
    closes = {
        "A": [40, 42, 41, 20.5, 21, 22, 21.5, 23, 24, 25],
        "B": [10, 10.25, 10.5, 10.75, 10.5, 10, 9.75, 9.5, 9, 9.25],
        "GONE": [5, 4, 3, 2, *[None] * 6],
        "LATE": [None, None, 8, 8.5, 9, 9.5, 9, 8.5, 8, 7.5],
    }
    store.commit("us", make_bars(closes)._bars, Provenance("csv"), actions=EVENTS, calendar="XNYS")
    return "us"


def handle_data(context, data):
    del context
    for name in ("A", "B", "GONE", "LATE"):
        asset = api.symbol(name)
        if data.can_trade(asset):
            api.order(asset, 10)
    window = data.history(api.symbol("A"), "price", 3, "1d")
    api.record(mean=float(window.mean()), last=float(data.current(api.symbol("LATE"), "price")))


def run(**bars):
    return run_algorithm(handle_data=handle_data, capital_base=10_000, **FREE, **bars)


def test_the_result_is_that_of_the_bundle(us, store):
    on_bundle = run(bundle=us, store=store)
    on_source = run(data_source=BundleDataSource.from_bundle(us, store=store))
    assert on_source.perf.equals(on_bundle.perf)
    for table in ("transactions", "orders", "positions"):
        assert getattr(on_source, table).equals(getattr(on_bundle, table))
    assert on_source.pin == on_bundle.pin
    assert on_source.parameters == on_bundle.parameters
    assert on_source.notes == on_bundle.notes
    # What the bars are for: a split, a dividend, a listing and an end took part.
    traded = on_bundle.transactions
    assert set(traded["symbol"]) == {"A", "B", "GONE", "LATE"}
    assert traded[traded["symbol"] == "GONE"]["amount"].iloc[-1] < 0


def test_the_dates_and_the_symbols_of_a_source_change_nothing(us, store):
    dates = {"start": "2020-01-06", "end": "2020-01-10"}
    on_bundle = run(bundle=us, store=store, **dates)
    source = BundleDataSource.from_bundle(us, store=store)
    assert run(data_source=source, symbols=["A", "B"], **dates).perf.equals(on_bundle.perf)
    assert run(data_source=source, use_cache=False, **dates).perf.equals(on_bundle.perf)


def test_a_result_on_a_source_can_be_replayed(us, store, tmp_path):
    result = run(data_source=BundleDataSource(bundle=us, home=store.home))
    result.save(tmp_path / "result")
    assert store.saved_results("us") == [(str(tmp_path / "result"), 1)]


def test_a_run_on_minutes_is_that_of_the_bundle_too(store):
    opens = [datetime(2020, 1, day, 14, 30, tzinfo=UTC) for day in (2, 3)]
    prices = [Decimal(100 + n) for n in range(2 * 390)]
    stamps = [opened + timedelta(minutes=n) for opened in opens for n in range(390)]
    rows = [(at, "A", p, p + 1, p - 1, p, Decimal(10_000)) for at, p in zip(stamps, prices, strict=True)]
    frame = pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row")
    store.commit("minutes", frame, Provenance("csv"), frequency="1m", calendar="XNYS")

    def handle_data(context, data):
        asset = api.symbol("A")
        if context.portfolio.positions[asset].amount < 50:
            api.order(asset, 10)
        api.record(price=float(data.current(asset, "price")))

    how = {"handle_data": handle_data, "data_frequency": "minute", "capital_base": 100_000, **FREE}
    on_bundle = run_algorithm(bundle="minutes", store=store, **how)
    on_source = run_algorithm(data_source=BundleDataSource.from_bundle("minutes", store=store), **how)
    assert list(on_bundle.perf["price"]) == [489.0, 879.0]
    assert on_source.perf.equals(on_bundle.perf)
    assert on_source.transactions.equals(on_bundle.transactions)
    assert on_source.pin == on_bundle.pin
