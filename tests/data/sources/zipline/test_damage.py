"""Ingestions that are half written or damaged: each failure names its file, and spares what it can."""

import builtins
import json
import shutil
import struct
import sys

import pytest

from rustybt.data.bundles.storage.bcolz_import import import_bcolz
from rustybt.data.sources import registry
from rustybt.data.sources.zipline.source import ZiplineDataSource
from rustybt.errors import BadResponseError, MissingDependencyError

AAA = "minute_equities.bcolz/00/00/000001.bcolz"


def cut(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _raise_first(deliveries):
    for delivery in deliveries:
        for error in delivery.failures.values():
            raise error


def refused(oracle, frequency="1d", symbols=None):
    source = ZiplineDataSource(oracle.name)
    with pytest.raises(BadResponseError) as caught:
        _raise_first(source.deliver(source.request(symbols, None, None, frequency)))
    return str(caught.value.message), caught.value


@pytest.mark.parametrize(
    ("name", "harm", "told"),
    [
        ("daily_equities.bcolz/close/data/__0.blp", cut, "is cut off"),
        ("daily_equities.bcolz/close/data/__0.blp", lambda p: p.unlink(), "is missing"),
        ("daily_equities.bcolz/close/data/__0.blp", lambda p: p.write_bytes(b""), "is empty"),
        ("daily_equities.bcolz/close/data/__0.blp", lambda p: p.write_bytes(b"x" * 900), "is no chunk"),
        ("daily_equities.bcolz/day/meta/sizes", lambda p: p.unlink(), "is missing"),
        ("daily_equities.bcolz/day/meta/sizes", cut, "is no JSON"),
        ("daily_equities.bcolz/day/meta/sizes", lambda p: edit(p, shape=[3000]), "holds 3,312 rows|different lengths"),
        ("daily_equities.bcolz/day/meta/sizes", lambda p: edit(p, shape=[10**18]), "different lengths"),
        ("daily_equities.bcolz/day/meta/sizes", lambda p: edit(p, shape="many"), "no bcolz column"),
        ("daily_equities.bcolz/open/meta/storage", lambda p: edit(p, dtype="float64"), "no bcolz column of uint32"),
        ("daily_equities.bcolz/open/meta/storage", lambda p: edit(p, chunklen=0), "no bcolz column"),
        ("daily_equities.bcolz/open", shutil.rmtree, "is missing"),
        ("daily_equities.bcolz/__attrs__", lambda p: p.unlink(), "is missing"),
        ("daily_equities.bcolz/__attrs__", lambda p: p.write_text("[]"), "no JSON object"),
        ("daily_equities.bcolz/__attrs__", lambda p: edit(p, first_row=None), "there is no first_row"),
        ("daily_equities.bcolz/__attrs__", lambda p: edit(p, first_row={"A": 1}), "no sid"),
        ("daily_equities.bcolz/__attrs__", lambda p: edit(p, last_row={"1": "x"}), "no numbers"),
        ("daily_equities.bcolz/__attrs__", lambda p: edit(p, last_row={"1": 5}), "different assets"),
        ("daily_equities.bcolz", shutil.rmtree, "__attrs__ is missing"),
    ],
)
def test_a_damaged_file_of_days_is_named(folder, oracle, name, harm, told):
    harm(folder / name)
    message, error = refused(oracle, symbols=["AAA"])
    assert any(part in message for part in told.split("|")), message
    assert str(folder / "daily_equities.bcolz") in error.details["file"]


def test_rows_that_belong_to_another_fail_that_asset_alone(folder, oracle):
    path = folder / "daily_equities.bcolz" / "__attrs__"
    rows = json.loads(path.read_text())
    edit(path, first_row={**rows["first_row"], "7": 0}, last_row={**rows["last_row"], "6": 99_999})
    source = ZiplineDataSource(oracle.name)
    (delivery,) = source.deliver(source.request(None))
    assert sorted(delivery.failures) == ["BIG", "PNY"]
    assert "belong to others than sid 7" in delivery.failures["PNY"].message
    assert "not among its 3,312" in delivery.failures["BIG"].message
    assert delivery.bars["symbol"].n_unique() == 6


@pytest.mark.parametrize(
    ("name", "harm", "told"),
    [
        (f"{AAA}/high/data/__0.blp", cut, "is cut off"),
        (f"{AAA}/high/data/__1.blp", lambda p: p.unlink(), "is missing"),
        (f"{AAA}/high", shutil.rmtree, "is missing"),
        (f"{AAA}/high/meta/sizes", lambda p: edit(p, shape=[89_309]), "holds|different lengths"),
    ],
)
def test_a_damaged_table_of_minutes_fails_its_asset_and_no_other(folder, oracle, name, harm, told):
    harm(folder / name)
    source = ZiplineDataSource(oracle.name)
    (delivery,) = source.deliver(source.request(None, None, None, "1m"))
    assert list(delivery.failures) == ["AAA"]
    assert any(part in delivery.failures["AAA"].message for part in told.split("|"))
    assert sorted(delivery.bars["symbol"].unique()) == ["BIG", "DLS", "NEWN", "PNY", "SPL"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"minutes_per_day": 0}, "minutes_per_day is 0"),
        ({"ohlc_ratio": "many"}, "ohlc_ratio is 'many'"),
        ({"ohlc_ratio": float("nan")}, "ohlc_ratio is nan"),
        ({"start_session": "soon"}, "start_session is 'soon'"),
        ({"ohlc_ratios_per_sid": {"A": 1}}, "no table by sid"),
        ({"ohlc_ratios_per_sid": {"\u00b2": 1}}, "no table by sid"),
        ({"ohlc_ratios_per_sid": {"1": 3}}, "multiplied by 3, which no decimal undoes"),
        ({"calendar_name": "MARS"}, "MARS"),
        ({"start_session": "2262-01-04"}, "start_session is '2262-01-04'"),
        ({"minutes_per_day": 1}, "has minutes of 89,310 sessions, and XNYS has"),
    ],
)
def test_metadata_of_minutes_that_make_no_sense_are_told(folder, oracle, changes, told):
    edit(folder / "minute_equities.bcolz" / "metadata.json", **changes)
    message, _ = refused(oracle, "1m", ["AAA"])
    assert told in message


def test_days_are_read_where_the_minutes_cannot(folder, oracle):
    (folder / "minute_equities.bcolz" / "metadata.json").unlink()
    assert ZiplineDataSource(oracle.name).fetch_sync(["AAA"]).height == 503


def test_minutes_of_early_formats_have_no_calendar_and_no_ratios(folder, oracle):
    path = folder / "minute_equities.bcolz" / "metadata.json"
    before = ZiplineDataSource(oracle.name).fetch_sync(["AAA"], frequency="1m")
    path.write_text(json.dumps({"ohlc_ratio": 1000, "first_trading_day": "2016-01-04", "market_closes": [24_000_000]}))
    assert ZiplineDataSource(oracle.name).fetch_sync(["AAA"], frequency="1m").equals(before)


def test_a_ratio_of_one_asset_divides_its_prices_alone(folder, oracle):
    before = ZiplineDataSource(oracle.name).fetch_sync(["AAA", "BIG"], frequency="1m")
    edit(folder / "minute_equities.bcolz" / "metadata.json", ohlc_ratios_per_sid={"1": 100_000})
    after = ZiplineDataSource(oracle.name).fetch_sync(["AAA", "BIG"], frequency="1m")
    factor = {"AAA": 100, "BIG": 1}
    for old, new in zip(before.iter_rows(named=True), after.iter_rows(named=True), strict=True):
        assert new["close"] * factor[new["symbol"]] == old["close"]
        assert new["volume"] == old["volume"]


def test_an_ingestion_without_bars_or_assets_is_told(folder, oracle):
    (folder / "assets-7.sqlite").unlink()
    message, _ = refused(oracle)
    assert "no asset database" in message
    for name in ("daily_equities.bcolz", "minute_equities.bcolz"):
        shutil.rmtree(folder / name)
    with pytest.raises(BadResponseError, match="neither"):
        _ = ZiplineDataSource(oracle.name).frequencies


def test_missing_adjustments_are_told_with_the_bars(folder, oracle):
    (folder / "adjustments.sqlite").unlink()
    source = ZiplineDataSource(oracle.name)
    (delivery,) = source.deliver(source.request(["AAA"]))
    assert delivery.bars.height == 503
    assert any("adjustments.sqlite is missing" in note for note in delivery.notes)


def test_a_chunk_that_lies_about_its_size_never_reaches_bcolz(folder, oracle):
    path = folder / "daily_equities.bcolz" / "volume" / "data" / "__0.blp"
    data = bytearray(path.read_bytes())
    data[20:24] = struct.pack("<I", 2**31)
    path.write_bytes(data)
    message, _ = refused(oracle)
    assert "holds 536,870,912 rows instead of 3,312" in message


@pytest.mark.parametrize(
    ("version", "told", "hint"),
    [((3, 12), "bcolz-zipline is not installed", "pip install"), ((3, 13), "no wheels for Python 3.13", "Python 3.12")],
)
def test_without_bcolz_the_extra_is_named(monkeypatch, version, told, hint):
    usual = builtins.__import__

    def without(name, *rest):
        if name == "bcolz":
            raise ImportError(name)
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(sys, "version_info", (*version, 1))
    with pytest.raises(MissingDependencyError) as caught:
        import_bcolz()
    assert told in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("version", "told"), [((3, 12), "needs the package bcolz"), ((3, 13), "no wheels for Python 3.13")]
)
def test_the_registry_says_why_the_source_is_not_available(monkeypatch, version, told):
    usual = registry.find_spec
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == "bcolz" else usual(name))
    monkeypatch.setattr(sys, "version_info", (*version, 1))
    found = registry.source_info("zipline")
    assert not found.available
    assert told in found.reason
    assert "rustybt[zipline]" in found.pip_command
