"""Splits, dividends and symbols of a Zipline bundle."""

import os
import shutil
import sqlite3
import struct
import sys
from datetime import date
from decimal import Decimal

import pytest

from rustybt.data.bundles.metadata_store.zipline_files import (
    ZiplineAssets,
    ZiplineEquity,
    ZiplineName,
    read_assets,
    read_events,
)
from rustybt.data.sources.zipline.events import actions_of, day_of
from rustybt.data.sources.zipline.listings import listings_of
from rustybt.data.sources.zipline.source import ZiplineDataSource
from rustybt.errors import BadResponseError
from tests.migration.damage import leave_half_a_write

DAY = 86_400_000_000_000


def test_dividends_and_splits_are_those_that_ziplines_reader_lists(source, oracle, symbol_of):
    said = oracle.said["adjustments"]
    (delivery,) = source.deliver(source.request(None))
    actions = delivery.actions
    assert sorted((a.symbol, str(a.ex_date), float(a.price_factor)) for a in actions if a.kind == "split") == sorted(
        (symbol_of[row["sid"]], row["effective_date"], row["ratio"]) for row in said["splits"]
    )
    assert [(a.ratio_new, a.ratio_old) for a in actions if a.kind == "split"] == [(2, 1), (3, 2), (1, 10)]
    days = ("ex_date", "declared_date", "record_date", "pay_date")
    expected = [
        (symbol_of[row["sid"]], repr(row["amount"]), *(row[name] for name in days)) for row in said["dividend_payouts"]
    ]
    found = [
        (a.symbol, str(a.amount), *(None if (d := getattr(a, name)) is None else d.isoformat() for name in days))
        for a in actions
        if a.kind == "cash_dividend"
    ]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert ("AAA", "0.1375", "2016-08-10", None, "2016-08-12", "2016-08-24") in found
    own, other = (a for a in actions if a.kind in ("stock_dividend", "spin_off"))
    assert (own.kind, own.ex_date, own.ratio_new, own.ratio_old) == ("stock_dividend", date(2017, 5, 10), 1, 20)
    assert (other.kind, other.ex_date, other.ratio_new, other.ratio_old) == ("spin_off", date(2017, 9, 13), 1, 10)


def test_what_has_no_kind_here_is_told(source):
    (delivery,) = source.deliver(source.request(None))
    told = "\n".join(delivery.notes)
    assert "mergers not imported" in told
    assert "DLS 2017-01-17 x 0.8" in told
    assert "AAA 2017-09-13 paid in SPL" in told


def test_names_resolve_on_their_days_as_in_zipline(source, oracle, store, symbol_of):
    source.ingest_to_bundle("us", store=store)
    with store.open("us") as bundle:
        for symbol, on, sid in oracle.said["lookups"]:
            assert bundle.assets.lookup_symbol(symbol, on).symbol == symbol_of[sid]
        assert bundle.assets.lookup_symbol("REU").symbol == "REU"
        for sid, said in oracle.said["assets"].items():
            asset = bundle.asset(symbol_of[int(sid)])
            assert asset.asset_name == said["name"]
            assert asset.exchange == said["exchange"]
            assert (str(asset.first_session), str(asset.last_session)) == (said["first"], said["last"])
        assert bundle.asset("REU.2016").attributes.listing_epoch == date(2016, 1, 4)
        assert bundle.provenance.number_rule == "integer"


def equity(sid, *names, exchange="NYSE"):
    spans = tuple(ZiplineName(symbol, first * DAY, last * DAY) for symbol, first, last in names)
    first, last = (spans[0].first, spans[-1].last) if spans else (DAY, DAY)
    return ZiplineEquity(sid, spans, "", first, last, exchange, "", "US")


def test_three_owners_of_one_ticker_all_get_a_name():
    assets = ZiplineAssets(
        {1: equity(1, ("A", 10, 20)), 2: equity(2, ("A", 30, 40)), 3: equity(3, ("A", 50, 60))}, futures=0
    )
    found = listings_of(assets, [1, 2, 3])
    assert {listing.sid: symbol for symbol, listing in found.by_symbol.items()} == {
        1: "A.1970",
        2: "A.1970-01-31",
        3: "A",
    }
    assert found.canonical("A") == "A"


def test_assets_without_a_name_or_without_an_entry_go_by_their_sid():
    found = listings_of(ZiplineAssets({4: equity(4), 5: equity(5, ("B\x00D", 1, 2))}, futures=3), [4, 5, 6])
    assert list(found.by_symbol) == ["sid-4", "sid-5", "sid-6"]
    assert any("sid-4, sid-5, sid-6" in note for note in found.notes)
    assert any(note.startswith("3 futures contracts are not imported") for note in found.notes)


def test_an_exchange_that_is_no_venue_is_told():
    found = listings_of(ZiplineAssets({1: equity(1, ("A", 1, 2), exchange="QUANDL")}, futures=0), [1])
    assert found.by_symbol["A"].attributes.venue is None
    assert any("QUANDL" in note for note in found.notes)


def test_ziplines_missing_day_is_none():
    assert day_of(-(2**63)) is None
    assert day_of(None) is None
    assert day_of(1_451_865_600) == date(2016, 1, 4)


def test_events_that_cannot_be_read_are_told_and_the_others_kept(tmp_path):
    path = tmp_path / "adjustments.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE splits (sid INTEGER, effective_date INTEGER, ratio REAL)")
        rows = [(1, 86_400, 0.25), (1, 172_800, -1.0), (1, 259_200, "x"), (9, 86_400, 0.5), (1, 345_600, 1.0)]
        connection.executemany("INSERT INTO splits VALUES (?, ?, ?)", rows)
    connection.close()
    found, notes = actions_of(read_events(path), {1: "A"})
    (split,) = found["A"]
    assert (split.ratio_new, split.ratio_old, split.ex_date) == (Decimal(4), Decimal(1), date(1970, 1, 2))
    assert any("cannot be read (2): A 1970-01-03, A 1970-01-04" in note for note in notes)
    assert any("no asset here, or without a day (1): sid 9 1970-01-02" in note for note in notes)


def test_an_asset_database_of_an_early_version_is_read(tmp_path):
    path = tmp_path / "assets-3.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE equities (sid INTEGER, symbol TEXT, asset_name TEXT, start_date INTEGER, end_date INTEGER, exchange TEXT)"
        )
        connection.execute("INSERT INTO equities VALUES (24, 'AAPL', 'Apple', ?, ?, 'NASDAQ')", (DAY, 2 * DAY))
    connection.close()
    found = listings_of(read_assets(path), [24])
    assert found.by_symbol["AAPL"].attributes.venue == "XNAS"
    assert found.by_symbol["AAPL"].names == ()


def test_reading_leaves_nothing_beside_the_databases_even_with_a_log(folder, oracle):
    before = sorted(path.name for path in folder.iterdir())
    ZiplineDataSource(oracle.name).fetch_sync(["AAA"])
    assert sorted(path.name for path in folder.iterdir()) == before
    # Bytes that were committed to the log only: a database that was not closed.
    path = folder / "adjustments.sqlite"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute('INSERT INTO splits ("index", sid, effective_date, ratio) VALUES (99, 6, 1451952000, 0.5)')
    state = {p.name: p.read_bytes() for p in folder.glob("adjustments.sqlite*")}
    events = read_events(path)
    assert {p.name: p.read_bytes() for p in folder.glob("adjustments.sqlite*")} == state
    assert 6 in [row["sid"] for row in events.splits]
    writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse the name")
def test_databases_are_read_in_a_folder_whose_name_is_no_text(folder, tmp_path):
    odd = tmp_path / os.fsdecode(b"b\xff ?#%41")
    odd.mkdir()
    for name in ("adjustments.sqlite", "assets-7.sqlite"):
        shutil.copyfile(folder / name, odd / name)
    assert read_events(odd / "adjustments.sqlite") == read_events(folder / "adjustments.sqlite")
    assert read_assets(odd / "assets-7.sqlite") == read_assets(folder / "assets-7.sqlite")


def test_a_write_that_was_cut_off_is_refused_and_left_as_it_is(folder):
    path = folder / "adjustments.sqlite"
    leave_half_a_write(path, "CREATE TABLE more AS SELECT * FROM splits, dividend_payouts")
    state = {p.name: p.read_bytes() for p in folder.glob("adjustments.sqlite*")}
    with pytest.raises(BadResponseError, match=r"adjustments\.sqlite was left in the middle of a write"):
        read_events(path)
    assert {p.name: p.read_bytes() for p in folder.glob("adjustments.sqlite*")} == state


def test_a_journal_that_was_emptied_is_no_hindrance(folder):
    path = folder / "adjustments.sqlite"
    expected = read_events(path)
    path.with_name("adjustments.sqlite-journal").write_bytes(bytes(512))
    assert read_events(path) == expected


def test_a_log_of_pages_that_cannot_be_is_passed_over(folder):
    path = folder / "adjustments.sqlite"
    expected = read_events(path)
    # Header and frame with right sums, and a page of four bytes.
    log = sealed(struct.pack(">6I", 0x377F0683, 3_007_000, 4, 0, 1, 2))
    path.with_name("adjustments.sqlite-wal").write_bytes(log + bytes(64))
    assert read_events(path) == expected


def sealed(header):
    """Return the header of a write-ahead log with its two sums, as https://www.sqlite.org/fileformat2.html defines them."""
    words = struct.unpack(">6I", header)
    first = second = 0
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) % 2**32
        second = (second + odd + first) % 2**32
    return header + struct.pack(">2I", first, second)


def test_a_file_that_is_no_database_is_named(folder, oracle):
    (folder / "assets-7.sqlite").write_bytes(b"half of a download")
    with pytest.raises(BadResponseError, match=r"assets-7\.sqlite cannot be read as SQLite"):
        ZiplineDataSource(oracle.name).fetch_sync(["AAA"])
