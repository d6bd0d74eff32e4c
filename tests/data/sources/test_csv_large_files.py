"""CSV files larger than a block, a batch or memory."""

import gzip
from decimal import Decimal

import pytest

from rustybt.data.sources import CSVDataSource
from rustybt.data.sources.csv import delivery as csv_delivery
from rustybt.data.sources.csv import reading as csv_reading
from rustybt.data.sources.csv import spool as csv_spool
from rustybt.errors import BadResponseError
from tests.data.sources.csv_texts import DAY2, DAY6, HEADER, closes, fetched

DAYS = ["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07", "2020-01-08"]


SYMBOLS = [f"S{n:02d}" for n in range(12)]


@pytest.fixture
def small_pieces(monkeypatch):
    """Make every limit so small that a few rows fill blocks, batches and memory."""
    monkeypatch.setattr(csv_reading, "BLOCK_BYTES", 200)
    monkeypatch.setattr(csv_reading.CsvBytes.__init__, "__defaults__", (None, 200))
    monkeypatch.setattr(csv_delivery, "BATCH_BYTES", 300)
    monkeypatch.setattr(csv_spool.Spool.__init__, "__defaults__", (2_000,))
    monkeypatch.setattr(csv_spool.Spool.drain, "__defaults__", (12,))


def expected_rows():
    return [
        (symbol, day, str(Decimal(f"10.{n + 1}{symbol[1:]}").normalize()))
        for symbol in SYMBOLS
        for n, day in enumerate(DAYS)
    ]


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("packed", [False, True])
def test_a_long_file_larger_than_memory_is_spilled_and_read_in_batches(write, packed):
    lines = [f"{symbol},{day},10,11,9,10.{n + 1}{symbol[1:]},100\n" for n, day in enumerate(DAYS) for symbol in SYMBOLS]
    text = ("symbol," + HEADER + "".join(lines)).encode()
    source = CSVDataSource(write("all.csv.gz", gzip.compress(text)) if packed else write("all.csv", text))
    deliveries = list(source.deliver(source.request(None)))
    assert len(deliveries) == 6
    assert [sorted(d.bars["symbol"].unique()) for d in deliveries] == [SYMBOLS[n : n + 2] for n in range(0, 12, 2)]
    assert closes(source.fetch_sync(None)) == expected_rows()
    assert closes(source.fetch_sync(["S03"])) == [row for row in expected_rows() if row[0] == "S03"]


@pytest.mark.usefixtures("small_pieces")
def test_many_files_are_read_in_batches(write, tmp_path):
    for symbol in SYMBOLS:
        rows = "".join(f'"{day}",10,11,9,10.{n + 1}{symbol[1:]},100\n' for n, day in enumerate(DAYS))
        write(f"d/{symbol}.csv", HEADER + rows)
    source = CSVDataSource(tmp_path / "d")
    assert len(list(source.deliver(source.request(None)))) == 12
    assert closes(source.fetch_sync(None)) == expected_rows()


@pytest.mark.usefixtures("small_pieces")
def test_line_numbers_hold_across_blocks(write, store):
    rows = [f"A,2020-01-{day:02d},10,11,9,10.5,100\n" for day in range(1, 29)]
    rows[20] = "A,2020-01-21,oops,11,9,10.5,100\n"
    rows[25] = "A,2020-01-26\n"
    report = CSVDataSource(write("all.csv", "symbol," + HEADER + "".join(rows)), calendar="24/7").ingest_to_bundle(
        "x", store=store
    )
    assert {row.location: row.reason for row in report.examples} == {
        "all.csv:22": "open is not a number",
        "all.csv:27": "too few fields",
    }


@pytest.mark.usefixtures("small_pieces")
def test_errors_in_later_blocks_name_their_line(write):
    text = (HEADER + DAY2 * 50).encode()
    with pytest.raises(BadResponseError, match="line 52 is not UTF-8"):
        fetched(write("A.csv", text + b"2020-01-03,\xe9\n" + DAY6.encode() * 20), ["A"])
    with pytest.raises(BadResponseError, match="line 52 holds a NUL byte"):
        fetched(write("A.csv", text + b"2020-01-03,\x00\n" + DAY6.encode() * 20), ["A"])
