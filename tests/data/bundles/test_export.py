import json
from datetime import date
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rustybt.data.bundles import layout
from rustybt.data.bundles.export import export_bundle, import_path
from rustybt.data.bundles.records import Alias
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import (
    BadResponseError,
    BundleNameError,
    MissingDependencyError,
    RequestError,
    SourceUnavailableError,
    StorageError,
)
from rustybt.market.assets import AssetAttributes
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

SAID = Provenance("test", source_url="file:x", options={"a": 1})
DAILY = [
    ("A", "2024-01-02", "0.00000712"),
    ("A", "2024-02-01", "12345678901234"),
    ("B/C", "2024-01-02", "123456789.123456789"),
]
MINUTES = [
    ("A", "2024-01-02T14:30:00", "1"),
    ("A", "2024-01-02T14:31:00.000250", "-37.63"),
    ("B/C", "2024-02-02T14:30:00", "99999999999999999999"),
]


@pytest.fixture
def store(store, monkeypatch):
    monkeypatch.setattr(layout, "MAX_FILE_ROWS", 2)
    assets = {
        "A": AssetAttributes(venue="XNYS", tick_size=Decimal("0.01"), listing_epoch=date(1999, 1, 1), name="Größe")
    }
    store.commit("us", frame_of_bars(DAILY[:2]), SAID, assets=assets, calendar="XTKS")
    store.commit(
        "us",
        frame_of_bars(DAILY[2:]),
        SAID,
        price_basis="split_adjusted",
        actions=[CorporateAction.split("B/C", "2024-01-05", 3, 2)],
    )
    store.commit("us", frame_of_bars(MINUTES), SAID, frequency="1m", aliases=[Alias("A", "OLD", end=date(2020, 1, 1))])
    return store


def export(store, to, path, reference="us"):
    with store.open(reference) as bundle:
        return export_bundle(bundle, to, path)


@pytest.mark.parametrize("to", ["csv", "parquet", "arrow"])
def test_a_round_trip_into_another_home_keeps_the_content_hash(store, tmp_path, to):
    written = export(store, to, tmp_path / "out")
    assert all((tmp_path / "out").joinpath(path).exists() for path in written)
    with BundleStore(tmp_path / "elsewhere") as other:
        result = import_path(other, tmp_path / "out")
        with store.open("us") as before, other.open("us") as after:
            assert result.content_hash == before.content_hash == after.content_hash
            for frequency in ("1d", "1m"):
                assert after.read(frequency=frequency).equals(before.read(frequency=frequency))
            assert after.calendar_name == "XTKS"
            assert after.asset("A").attributes == before.asset("A").attributes
            assert after.corporate_actions() == before.corporate_actions()
            assert after.assets.lookup_symbol("OLD", "2019-01-01").symbol == "A"
            assert after.provenance.source_url == "file:x"
            assert [after.price_basis(symbol) for symbol in ("A", "B/C")] == ["raw", "split_adjusted"]
        assert other.verify("us").is_whole
        assert import_path(other, tmp_path / "out").unchanged


def test_other_tools_read_all_digits(store, tmp_path):
    for to in ("csv", "parquet", "arrow"):
        export(store, to, tmp_path / to)
    expected = [Decimal(price) for _, _, price in DAILY]
    assert sorted(
        value for path in (tmp_path / "parquet/bars_1d").iterdir() for value in pq.read_table(path)["close"].to_pylist()
    ) == sorted(expected)
    found = []
    for path in sorted((tmp_path / "arrow/bars_1d").iterdir()):
        with pa.OSFile(str(path)) as file:
            found += pa.ipc.open_file(file).read_all()["close"].to_pylist()
    assert sorted(found) == sorted(expected)
    lines = [line for path in sorted((tmp_path / "csv/bars_1d").iterdir()) for line in path.read_text().splitlines()]
    assert "2024-01-02,A,0.00000712,0.00000712,0.00000712,0.00000712,0.00000712" in lines
    minutes = [line for path in sorted((tmp_path / "csv/bars_1m").iterdir()) for line in path.read_text().splitlines()]
    assert "2024-02-02T14:30:00Z,B/C," in "\n".join(minutes)
    assert any(line.startswith("2024-01-02T14:31:00.000250Z,A,-37.63") for line in minutes)


def test_duckdb_gets_a_table_for_each_frequency(store, tmp_path):
    (path,) = export(store, "duckdb", tmp_path / "us.duckdb")
    with duckdb.connect(path, read_only=True) as connection:
        rows = connection.execute("SELECT symbol, close FROM bars_1d ORDER BY symbol, timestamp").fetchall()
        assert rows == [(symbol, Decimal(price)) for symbol, _, price in DAILY]
        types = dict(
            connection.execute(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'bars_1m'"
            ).fetchall()
        )
        assert types["close"] == "DECIMAL(38,18)"
        assert types["timestamp"] == "TIMESTAMP WITH TIME ZONE"
        assert connection.execute("SELECT count(*) FROM bars_1m").fetchone() == (3,)
        described = json.loads(connection.execute("SELECT description FROM bundle").fetchone()[0])
    with store.open("us") as bundle:
        assert described["content_hash"] == bundle.content_hash


def test_without_duckdb_the_pip_command_is_named(store, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(MissingDependencyError, match="pip install 'rustybt"):
        export(store, "duckdb", tmp_path / "us.duckdb")


def test_nothing_is_overwritten(store, tmp_path):
    (tmp_path / "out").mkdir()
    export(store, "csv", tmp_path / "out")
    with pytest.raises(RequestError, match="exists already"):
        export(store, "csv", tmp_path / "out")
    with pytest.raises(RequestError, match="cannot export to 'xlsx'"):
        export(store, "xlsx", tmp_path / "new")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RequestError, match="exists already"):
        export(store, "parquet", tmp_path / "file")
    with pytest.raises(StorageError, match="cannot write"):
        export(store, "csv", tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"


class TestImportOfWhatWasNotExported:
    def imported(self, store, folder, name="copy"):
        try:
            return import_path(store, folder, name)
        finally:
            assert [info.name for info in store.list_bundles()] == ["us"]

    def test_no_folder(self, store, tmp_path):
        with pytest.raises(SourceUnavailableError, match="no exported bundle"):
            self.imported(store, tmp_path / "nothing")

    @pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"format": 1, "data_format": "csv"}', "\x00"])
    def test_no_description(self, store, tmp_path, text):
        (tmp_path / "bundle.json").write_text(text)
        with pytest.raises(BadResponseError, match="is not a bundle's description"):
            self.imported(store, tmp_path)

    def test_a_later_format(self, store, tmp_path):
        export(store, "csv", tmp_path / "out")
        path = tmp_path / "out" / "bundle.json"
        path.write_text(path.read_text().replace('"format": 1', '"format": 99', 1))
        with pytest.raises(BadResponseError, match="later rustybt"):
            self.imported(store, tmp_path / "out")

    def test_a_changed_digit(self, store, tmp_path):
        export(store, "csv", tmp_path / "out")
        part = next(
            path for path in sorted((tmp_path / "out" / "bars_1d").iterdir()) if "0.00000712" in path.read_text()
        )
        part.write_text(part.read_text().replace("0.00000712", "0.00000713", 1))
        with pytest.raises(BadResponseError, match="does not hold what was exported"):
            self.imported(store, tmp_path / "out")

    def test_a_part_that_is_gone(self, store, tmp_path):
        export(store, "parquet", tmp_path / "out")
        next((tmp_path / "out" / "bars_1m").iterdir()).unlink()
        with pytest.raises(BadResponseError, match="does not hold what was exported"):
            self.imported(store, tmp_path / "out")

    @pytest.mark.parametrize(
        ("to", "junk"),
        [("parquet", b"junk"), ("arrow", b"junk"), ("csv", b"\xff\xfe"), ("csv", b"a,b\n1,2\n"), ("csv", b"")],
    )
    def test_a_part_that_cannot_be_read(self, store, tmp_path, to, junk):
        export(store, to, tmp_path / "out")
        next((tmp_path / "out" / "bars_1d").iterdir()).write_bytes(junk)
        with pytest.raises(BadResponseError, match=r"cannot be read"):
            self.imported(store, tmp_path / "out")

    def test_a_number_that_is_none(self, store, tmp_path):
        export(store, "csv", tmp_path / "out")
        for path in (tmp_path / "out" / "bars_1d").iterdir():
            path.write_text(path.read_text().replace("0.00000712", "NaN"))
        with pytest.raises(BadResponseError, match="cannot be read"):
            self.imported(store, tmp_path / "out")

    def test_a_bad_name(self, store, tmp_path):
        export(store, "arrow", tmp_path / "out")
        with pytest.raises(BundleNameError):
            self.imported(store, tmp_path / "out", "../x")


def test_an_import_into_a_bundle_that_is_there_is_an_upsert(store, tmp_path):
    export(store, "parquet", tmp_path / "out", "us@1")
    store.commit("eu", frame_of_bars([("A", "2024-01-02", "5"), ("Z", "2024-01-02", "6")]), SAID, calendar="XTKS")
    assert import_path(store, tmp_path / "out", "eu").version == 2
    with store.open("eu") as bundle:
        assert bundle.read().select("symbol", "close").rows() == [
            ("A", Decimal("0.00000712")), ("A", Decimal(12345678901234)), ("Z", Decimal(6)),
        ]  # fmt: skip


def test_a_csv_of_an_export_is_plain_text(store, tmp_path):
    export(store, "csv", tmp_path / "out")
    frame = pl.read_csv(tmp_path / "out" / "bars_1d" / "part-0000.csv", infer_schema=False)
    assert frame.columns == ["timestamp", "symbol", "open", "high", "low", "close", "volume"]
