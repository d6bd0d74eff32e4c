"""A symbol is data: never a path, never SQL, never a formula."""

import polars as pl
import pytest

from rustybt.data.bundles.export import export_bundle, import_path
from rustybt.data.bundles.manifest import Manifest
from rustybt.market.assets import AssetAttributes
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

SYMBOLS = [
    "BTC/USDT", "BRK.B", "^GSPC", "ES=F", "=cmd|x", "=cmd|' /C calc'!A0", "\N{ROCKET}", "caf\u00e9", "cafe\u0301",
    "'; DROP TABLE bundle_metadata; --", '"; DROP TABLE assets; --', "../../etc/passwd", "NULL", "null", "nan", "%s%n", "a,b", 'a"b',
    "?", ":1", "${HOME}", "-1", "a\\b", "True", "1e5", "007", "日経225", "x" * 64, "#N/A", "a'b", "*", "[A]",
]  # fmt: skip
SAID = Provenance("test", symbols=tuple(SYMBOLS))
BARS = frame_of_bars([(symbol, f"2024-01-{day:02d}", n + day) for n, symbol in enumerate(SYMBOLS) for day in (2, 3)])


@pytest.fixture
def hostile(store):
    store.commit("x", BARS, SAID, assets={symbol: AssetAttributes(name=symbol) for symbol in SYMBOLS})
    return store


def check(store, name="x"):
    with store.open(name) as bundle:
        assert bundle.symbols == tuple(sorted(SYMBOLS))
        assert bundle.read().equals(BARS)
        assert bundle.assets.symbols == sorted(SYMBOLS)
        for n, symbol in enumerate(SYMBOLS):
            assert bundle.read(symbol)["close"].to_list() == [n + 2, n + 3]
            assert bundle.asset(symbol).asset_name == symbol


def test_hostile_symbols_are_stored_and_found(hostile):
    check(hostile)
    inside = {path.relative_to(hostile.home).parts[0] for path in hostile.home.rglob("*")}
    assert inside == {"x", ".rustybt"}
    # "1e5" and "007" may stand in a file's random name by chance.
    telling = [symbol for symbol in SYMBOLS if len(symbol) > 2 and not set(symbol) <= set("0123456789abcdef")]
    assert not any(symbol in path.name for path in hostile.home.rglob("*") for symbol in telling)


def test_they_can_be_queried_by_sql(hostile):
    with hostile.open("x") as bundle:
        context = pl.SQLContext(bars=bundle.scan())
        quoted = SYMBOLS[9].replace("'", "''")
        found = context.execute(f"SELECT close FROM bars WHERE symbol = '{quoted}' ORDER BY timestamp").collect()
    assert found["close"].to_list() == [11, 12]


def test_they_are_in_the_manifest_and_come_back_from_it(hostile):
    info = hostile.versions("x")[0]
    manifest = Manifest.from_bytes(hostile.storage.open(info.manifest_key), info.manifest_key)
    assert sorted(record.symbol for record in manifest.assets) == sorted(SYMBOLS)
    assert manifest.info.provenance.symbols == tuple(SYMBOLS)
    hostile.close()
    hostile.database.path.unlink()
    assert hostile.recover().recovered == {"x": 1}
    check(hostile)
    with hostile.open("x") as bundle:
        assert bundle.coverage()["symbol"].to_list() == sorted(SYMBOLS)


@pytest.mark.parametrize("to", ["csv", "parquet", "arrow"])
def test_they_survive_export_and_import(hostile, tmp_path, to):
    with hostile.open("x") as bundle:
        export_bundle(bundle, to, tmp_path / "out")
        expected = bundle.content_hash
    assert import_path(hostile, tmp_path / "out", "y").content_hash == expected
    check(hostile, "y")


def test_twins_in_unicode_are_two_symbols_in_a_store(hostile):
    with hostile.open("x") as bundle:
        assert bundle.asset("caf\u00e9") != bundle.asset("cafe\u0301")
