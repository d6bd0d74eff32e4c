"""Bars of a Zipline bundle, against what Zipline's own readers say of it."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from rustybt.data.sources import get_source
from rustybt.data.sources.zipline.series import ZiplineSeries, to_bars
from rustybt.errors import RequestError, SymbolNotFoundError

FIELDS = ("open", "high", "low", "close", "volume")


def rows_of(bars, label):
    """Rows as the golden has them: a label, prices in thousandths, shares; each must be a whole number."""
    found = []
    for row in bars.iter_rows(named=True):
        numbers = [row[name] * (1 if name == "volume" else 1000) for name in FIELDS]
        assert all(number == int(number) for number in numbers)
        found.append([label(row["timestamp"]), *map(int, numbers)])
    return found


def day(stamp):
    return stamp.date().isoformat()


def end_of_minute(stamp):
    return (stamp + timedelta(minutes=1)).isoformat()


@pytest.mark.parametrize(("frequency", "part", "label"), [("1d", "daily", day), ("1m", "minutes", end_of_minute)])
def test_every_bar_is_what_ziplines_own_reader_says(source, oracle, symbol_of, frequency, part, label):
    said = oracle.said[part]
    held = set()
    for sid, expected in said.items():
        bars = source.fetch_sync([symbol_of[int(sid)]], frequency=frequency)
        rows = rows_of(bars, label)
        text = "".join(",".join(map(str, row)) + "\n" for row in rows)
        assert len(rows) == expected["rows"]
        assert (rows[0][0], rows[-1][0]) == (expected["first"], expected["last"])
        assert {name: sum(row[at + 1] for row in rows) for at, name in enumerate(FIELDS)} == expected["sums"]
        assert rows[:: max(len(rows) // 5, 1)] == expected["samples"]
        assert hashlib.sha256(text.encode()).hexdigest() == expected["sha256"]
        held.add(symbol_of[int(sid)])
    assert set(source.fetch_sync(sorted(symbol_of.values()), frequency=frequency)["symbol"]) == held


def test_a_half_day_ends_at_its_close(source):
    bars = source.fetch_sync(["AAA"], "2016-11-25", "2016-11-25", "1m")
    assert bars.height == 210
    assert bars["timestamp"][0] == datetime(2016, 11, 25, 14, 30, tzinfo=UTC)
    assert bars["timestamp"][-1] == datetime(2016, 11, 25, 17, 59, tzinfo=UTC)


def test_prices_of_millions_and_of_tenths_of_cents_are_exact(source, oracle):
    for sid, symbol in (("6", "BIG"), ("7", "PNY")):
        label, opened = oracle.said["daily"][sid]["samples"][0][:2]
        bars = source.fetch_sync([symbol], label, label)
        assert bars["open"][0] == Decimal(opened) / 1000
    assert source.fetch_sync(["BIG"])["low"].min() > 1_000_000
    assert source.fetch_sync(["PNY"])["high"].max() < 1


def test_days_without_a_trade_are_no_bars_and_are_counted(source):
    held = set(source.fetch_sync(["SPL"], "2016-02-29", "2016-03-03")["timestamp"].dt.date())
    assert held == {date(2016, 2, 29), date(2016, 3, 3)}
    (delivery,) = source.deliver(source.request(None, None, None, "1d"))
    assert any(note.startswith("4 rows of zeros") for note in delivery.notes)
    assert delivery.number_rule == "integer"


def test_it_is_a_registered_source(root, oracle):
    found = get_source("zipline", name=oracle.name, root=str(root), timestamp="2018-01-03")
    assert found.options() == {"name": "fixture", "root": str(root), "timestamp": "2018-01-03"}
    assert found.calendar_name() == "XNYS"
    assert found.get_metadata().data_version == oracle.module.INGESTION
    assert found.list_symbols() == ["AAA", "BIG", "DLS", "NEWN", "PNY", "REU", "REU.2016", "SPL"]
    assert not found.supports_live()


def test_an_unknown_symbol_fails_and_the_others_come(source):
    with pytest.raises(SymbolNotFoundError, match="did you mean AAA"):
        source.fetch_sync(["AAAA"])
    (delivery,) = source.deliver(source.request(["AAA", "XXXX"]))
    assert set(delivery.bars["symbol"]) == {"AAA"}
    assert list(delivery.failures) == ["XXXX"]


def test_an_asset_is_found_by_the_name_it_had(source):
    bars = source.fetch_sync(["OLDN"], "2017-03-30", "2017-04-04")
    assert set(bars["symbol"]) == {"NEWN"}
    assert bars.height == 4


def test_hours_are_no_frequency_of_a_zipline_bundle(source):
    with pytest.raises(RequestError, match="daily and minute bars, none of 1h"):
        source.fetch_sync(["AAA"], frequency="1h")


@pytest.mark.parametrize(("divisor", "text"), [(1_000, "4294967.295"), (100_000, "42949.67295"), (8, "536870911.875")])
def test_the_largest_number_of_32_bits_is_exact_with_any_divisor(divisor, text):
    largest = np.array([2**32 - 1])
    series = ZiplineSeries(np.array([0]), dict.fromkeys(FIELDS, largest), divisor)
    bars = to_bars(series, "A")
    assert bars["close"].to_list() == [Decimal(text)]
    assert bars["volume"].to_list() == [Decimal(4294967295)]
    assert bars["timestamp"].dtype == pl.Datetime("us", "UTC")
