"""From a source through a bundle to the portal and a backtest, all parts real."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import rustybt as rb
from rustybt.data.bundles.metadata import BundleMetadata
from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources import get_source

DAYS = pd.bdate_range("2024-01-02", "2024-01-31")
# 2024-01-15 is Martin Luther King day: XNYS is closed.
SESSIONS = [day for day in DAYS if day != pd.Timestamp("2024-01-15")]


@pytest.fixture
def folder(tmp_path):
    """Two symbols, rising by one a session; ACME splits 2:1 on 2024-01-17."""
    for symbol, first in (("ACME", 100), ("BOLT", 20)):
        lines = ["date,open,high,low,close,volume"]
        for number, day in enumerate(SESSIONS):
            close = Decimal(first + number)
            if symbol == "ACME" and day >= pd.Timestamp("2024-01-17"):
                close /= 2
            lines.append(f"{day:%Y-%m-%d},{close},{close + 1},{close - 1},{close},{1000 + number}")
        (tmp_path / f"{symbol}.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def store(tmp_path):
    with BundleStore(tmp_path / "home") as opened:
        yield opened


def ingest(folder, store):
    split = rb.CorporateAction.split("ACME", date(2024, 1, 17), 2, 1)
    source = get_source("csv", path=str(folder / "*.csv"), actions=[split])
    return source.ingest_to_bundle("us", ["ACME", "BOLT"], "2024-01-02", "2024-01-31", "1d", store=store)


def test_every_digit_of_the_files_is_in_the_bundle(folder, store):
    report = ingest(folder, store)
    bars = store.open("us").read("BOLT")
    assert report.exit_code == 0
    assert [row["close"] for row in bars.to_dicts()] == [Decimal(20 + n) for n in range(len(SESSIONS))]
    assert [row["timestamp"].date() for row in bars.to_dicts()] == [day.date() for day in SESSIONS]


def test_weekends_and_the_holiday_are_not_missing(folder, store):
    quality = ingest(folder, store).quality
    assert quality.missing_days_count == 0
    assert quality.validation_passed


def test_the_catalog_knows_where_the_bars_came_from(folder, store):
    ingest(folder, store)
    BundleMetadata.use(store)
    try:
        row = BundleMetadata.get("us")
    finally:
        BundleMetadata.use(None)
    assert row["source_type"] == "csv"
    assert row["row_count"] == 2 * len(SESSIONS)
    assert row["calendar_name"] == "XNYS"


def test_a_second_ingest_of_the_same_files_makes_no_version(folder, store):
    first = ingest(folder, store)
    again = ingest(folder, store)
    assert again.unchanged
    assert (again.version, again.content_hash) == (first.version, first.content_hash)


def test_history_before_the_split_is_halved_once_it_has_happened_and_not_before(folder, store):
    ingest(folder, store)
    seen = {}

    def initialize(context):
        context.asset = rb_symbol("ACME")

    def handle_data(context, data):
        seen[data.current_session.date()] = data.history(context.asset, "close", 2, "1d").to_numpy()

    from rustybt.api import symbol as rb_symbol

    rb.run_algorithm(
        start="2024-01-03",
        end="2024-01-18",
        initialize=initialize,
        handle_data=handle_data,
        capital_base=10_000,
        bundle="us",
        store=store,
    )
    # 2024-01-16 is the tenth session: 109; the day after it trades as 110 / 2 = 55, and 109 is seen as 54.5.
    np.testing.assert_array_equal(seen[date(2024, 1, 16)], [108.0, 109.0])
    np.testing.assert_array_equal(seen[date(2024, 1, 17)], [54.5, 55.0])


def test_a_holding_keeps_its_value_through_the_split(folder, store):
    ingest(folder, store)

    def initialize(context):
        from rustybt.api import set_commission, set_slippage
        from rustybt.trading.commission import PerTrade
        from rustybt.trading.slippage import NoSlippage

        set_commission(PerTrade(0))
        set_slippage(NoSlippage())
        context.bought = False

    def handle_data(context, data):
        from rustybt.api import order, symbol

        if not context.bought:
            order(symbol("ACME"), 10)
            context.bought = True

    result = rb.run_algorithm(
        start="2024-01-02",
        end="2024-01-31",
        initialize=initialize,
        handle_data=handle_data,
        capital_base=10_000,
        bundle="us",
        store=store,
    )
    values = result.perf["portfolio_value"].to_numpy()
    # Bought on the second session at 101; ten shares become twenty, each half the price, and gain 1 (then 0.5 x 20 = 10) a session.
    bought = 10_000 - 10 * 101
    expected = [10_000.0] + [bought + 10 * (101.0 + n) for n in range(len(SESSIONS) - 1)]
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-9)
