"""Quandl's WIKI prices: as traded, digit for digit, dividends and splits as events of their day."""

import zipfile
from datetime import date
from decimal import Decimal

import pytest

from rustybt.data.sources import get_source
from rustybt.data.sources.quandl import QuandlDataSource
from rustybt.errors import BadResponseError, RequestError

HEADER = (
    "ticker,date,open,high,low,close,volume,ex-dividend,split_ratio,adj_open,adj_high,adj_low,adj_close,adj_volume\n"
)
#: Rows as the vendor printed them: Apple's seven for one of 2014, and an ordinary dividend.
TABLE = (
    HEADER
    + "MSFT,2014-08-18,44.94,45.11,44.68,45.11,26891100.0,0.0,1.0,41.1,41.2,40.8,41.2,26891100.0\n"
    + "MSFT,2014-08-19,44.97,45.34,44.83,45.33,28139500.0,0.28,1.0,41.3,41.7,41.2,41.6,28139500.0\n"
    + "AAPL,2014-06-06,649.9,651.26,644.47,645.57,12497800.0,0.0,1.0,92.8,93.0,92.0,92.2,87484600.0\n"
    + "AAPL,2014-06-09,92.7,93.88,91.75,93.7,75415000.0,0.0,7.0,92.7,93.8,91.7,93.7,75415000.0\n"
    + "AAPL,2014-06-10,94.73,95.05,93.57,94.25,62777000.0,1.0,1.0,94.7,95.0,93.5,94.2,62777000.0\n"
)


def packed(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize("kind", ["csv", "zip"])
def test_a_table_becomes_raw_bars_and_events(write, store, tmp_path, kind):
    path = write("WIKI_PRICES.csv", TABLE)
    if kind == "zip":
        path = packed(tmp_path / "WIKI_PRICES.zip", **{"WIKI_PRICES_212b326a081eacca455e13140d7bb9db.csv": TABLE})
    report = get_source("quandl", path=path).ingest_to_bundle("quandl", store=store)
    assert (report.symbols, report.rows, report.rows_quarantined) == (("AAPL", "MSFT"), 5, 0)
    with store.open("quandl") as bundle:
        bars, events = bundle.read(["AAPL"]), bundle.corporate_actions()
        assert list(bundle.provenance.files) == [path.name]
    assert bars["close"].to_list() == [Decimal("645.57"), Decimal("93.7"), Decimal("94.25")]
    assert bars["volume"][0] == 12_497_800
    assert [(e.symbol, e.kind, e.ex_date, e.amount, e.ratio_new, e.ratio_old, e.source) for e in events] == [
        ("AAPL", "split", date(2014, 6, 9), None, 7, 1, "quandl"),
        ("AAPL", "cash_dividend", date(2014, 6, 10), 1, None, None, "quandl"),
        ("MSFT", "cash_dividend", date(2014, 8, 19), Decimal("0.28"), None, None, "quandl"),
    ]


def test_names_of_columns_have_any_case_and_an_underscore_may_stand_for_the_dash(write, store):
    text = (
        "Ticker,Date,Open,High,Low,Close,Volume,Ex_Dividend,Split_Ratio\nA,2014-06-06,10,11,9,10.5,100,0.125,1.4882\n"
    )
    QuandlDataSource(write("w.csv", text)).ingest_to_bundle("q", store=store)
    with store.open("q") as bundle:
        dividend, split = bundle.corporate_actions()
    assert dividend.amount == Decimal("0.125")
    assert (split.ratio_new, split.ratio_old) == (7441, 5000)


def test_a_row_without_a_price_is_set_aside(write, store):
    text = HEADER + "A,2014-06-06,,11,9,10.5,100,0.0,1.0,,,,,\n" + "A,2014-06-09,10,11,9,10.5,100,0.0,1.0,,,,,\n"
    report = QuandlDataSource(write("w.csv", text)).ingest_to_bundle("q", store=store)
    assert (report.rows, report.quarantined) == (1, {"open is missing": 1})


@pytest.mark.parametrize("column", ["ticker", "volume", "ex-dividend", "split_ratio"])
def test_a_table_of_another_layout_is_refused(write, store, column):
    path = write("w.csv", TABLE.replace(column, "other", 1))
    with pytest.raises(BadResponseError, match=r"w\.csv has no column for (symbol|volume|dividend|split)"):
        QuandlDataSource(path).ingest_to_bundle("q", store=store)


def test_only_daily_bars_are_there(write):
    with pytest.raises(RequestError, match="WIKI prices are daily bars, none of 1m"):
        QuandlDataSource(write("w.csv", TABLE)).fetch_sync("AAPL", frequency="1m")


def test_some_symbols_and_days_can_be_asked_for(write):
    found = QuandlDataSource(write("w.csv", TABLE)).fetch_with_events(["AAPL"], "2014-06-09", "2014-06-09")
    assert found.bars["close"].to_list() == [Decimal("93.7")]


# -- zip archives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [{}, {"a.csv": TABLE, "b.csv": TABLE}])
def test_an_archive_of_other_than_one_file_is_refused(tmp_path, store, members):
    with pytest.raises(BadResponseError, match=f"W.zip holds {len(members)} files, not one"):
        QuandlDataSource(packed(tmp_path / "W.zip", **members)).ingest_to_bundle("q", store=store)


def test_what_a_mac_adds_to_an_archive_is_left_alone(tmp_path, store):
    path = packed(tmp_path / "W.zip", **{"W/": "", "W/W.csv": TABLE, "__MACOSX/W/._W.csv": "x"})
    assert QuandlDataSource(path).ingest_to_bundle("q", store=store).rows == 5


def test_a_file_that_is_no_archive_is_refused(write, store):
    with pytest.raises(BadResponseError, match=r"W\.zip is no whole \.zip file"):
        QuandlDataSource(write("W.zip", TABLE)).ingest_to_bundle("q", store=store)


def test_an_archive_with_flipped_bits_is_refused(tmp_path, store):
    path = tmp_path / "W.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("W.csv", TABLE)
    path.write_bytes(path.read_bytes().replace(b"645.57", b"645.58", 1))
    with pytest.raises(BadResponseError, match=r"W\.zip is no whole \.zip file: Bad CRC-32"):
        QuandlDataSource(path).ingest_to_bundle("q", store=store)
    assert store.list_bundles() == []


def test_an_archive_with_a_password_is_refused(tmp_path, store):
    data = bytearray(packed(tmp_path / "W.zip", **{"W.csv": TABLE}).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    (tmp_path / "W.zip").write_bytes(bytes(data))
    with pytest.raises(BadResponseError, match=r"W\.zip cannot be unpacked: .*password"):
        QuandlDataSource(tmp_path / "W.zip").ingest_to_bundle("q", store=store)


def test_an_archive_that_unpacks_to_more_than_is_allowed_is_refused(tmp_path, store):
    path = packed(tmp_path / "W.zip", **{"W.csv": TABLE * 50})
    with pytest.raises(BadResponseError, match=r"W\.zip unpacks to more than 1,000 bytes"):
        QuandlDataSource(path, max_decompressed_bytes=1_000).ingest_to_bundle("q", store=store)


def test_a_bomb_is_refused(tmp_path, store):
    path = packed(tmp_path / "W.zip", **{"W.csv": HEADER + "\n" * (80 * 2**20)})
    with pytest.raises(BadResponseError, match="unpacks to more than 200 times its size"):
        QuandlDataSource(path).ingest_to_bundle("q", store=store)
