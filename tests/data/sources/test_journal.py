"""Finished symbols on disk: whole or not at all, in order, and back as they were."""

import errno
import json
import threading
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from rustybt.data.sources import Delivery
from rustybt.data.sources.delivery import QUARANTINE_SCHEMA
from rustybt.data.sources.ingest import journal
from rustybt.data.sources.ingest.journal import Journal
from rustybt.errors import SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.bars import join_frames
from rustybt.market.corporate_actions import CorporateAction
from rustybt.testing.bars import frame_of_bars

FOLDER = ".rustybt/ingests/abc"


@pytest.fixture
def opened(tmp_path):
    """Return a function that opens the journal, as each new process would."""
    return lambda: Journal(tmp_path, FOLDER)


def bars(symbol, *closes):
    return frame_of_bars((symbol, f"2024-01-{at + 2:02d}", close) for at, close in enumerate(closes))


def files(tmp_path):
    return sorted((tmp_path / FOLDER).glob("*.group"))


def test_what_was_added_is_there_for_the_next_process(opened, tmp_path):
    first = opened()
    assert first.add(Delivery(bars("B", "1.25", "2"))) == ["B"]
    first.settle()
    again = opened()
    assert again.symbols == {"B"}
    assert again.load("B").bars.equals(bars("B", "1.25", "2"))
    assert len(files(tmp_path)) == 1


def test_everything_but_failures_comes_back_as_it_was(opened):
    whole = Delivery(
        bars=bars("BRK.B", "1.000000000000000001", "99999999999999999999"),
        quarantined=pl.DataFrame([("BRK.B", "x", "bad date", "a:1", "x,1")], schema=QUARANTINE_SCHEMA, orient="row"),
        missing_volume=pl.Series([True, False]),
        assets={"BRK.B": AssetAttributes("XNYS", name="Berkshire Häthaway", tick_size=Decimal("0.01"))},
        actions=(CorporateAction.split("BRK.B", date(2010, 1, 21), 50, 1, source="slow", pay_date=date(2010, 2, 1)),),
        price_basis="split_adjusted",
        number_rule="float32",
        aliases={"BRK.B": "BRK-B"},
        resampled_from="1h",
        notes=("a note",),
    )
    first = opened()
    first.add(whole)
    first.settle()
    back = opened().load("BRK.B")
    assert back.bars.equals(whole.bars)
    assert back.quarantined.equals(whole.quarantined)
    assert back.missing_volume.to_list() == [True, False]
    for name in ("assets", "actions", "price_basis", "number_rule", "aliases", "resampled_from", "notes"):
        assert getattr(back, name) == getattr(whole, name), name


def test_a_failure_is_not_finished(opened):
    first = opened()
    both = Delivery(bars("A", 1), failures={"B": SymbolNotFoundError("no B")})
    assert first.add(both) == ["A"]
    first.settle()
    assert opened().symbols == {"A"}


def test_a_symbol_without_bars_is_finished_when_the_source_says_so(opened):
    first = opened()
    first.add(Delivery(skipped={"A": "no bars in the range"}))
    first.settle()
    assert opened().load("A").skipped == {"A": "no bars in the range"}


def test_a_delivery_of_several_symbols_is_kept_symbol_by_symbol(opened):
    first = opened()
    both = join_frames([bars("B", 1, 2), bars("A", 3)])
    first.add(
        Delivery(
            both,
            missing_volume=pl.Series([False, True, False]),
            actions=(CorporateAction.split("B", "2020-01-01", 2),),
            aliases={"A": "a"},
            notes=("said once",),
        )
    )
    first.settle()
    again = opened()
    assert (again.load("A").bars["close"].to_list(), again.load("A").actions) == ([3], ())
    assert again.load("B").missing_volume.to_list() == [False, True]
    assert (again.load("A").notes, again.load("B").notes) == (("said once",), ())


def test_symbols_come_back_in_rising_order_and_never_split(opened):
    first = opened()
    for symbol in "DBCA":
        first.add(Delivery(bars(symbol, *range(1, 6))))
    first.settle()
    batches = list(opened().deliveries(max_rows=12))
    assert [batch.bars["symbol"].unique(maintain_order=True).to_list() for batch in batches] == [["A", "B"], ["C", "D"]]
    assert all(batch.bars.height == 10 for batch in batches)
    (few,) = opened().deliveries({"A", "D", "Z"})
    assert few.bars["symbol"].unique(maintain_order=True).to_list() == ["A", "D"]


def test_a_batch_knows_which_of_its_volumes_are_missing(opened):
    first = opened()
    first.add(Delivery(bars("B", 1), missing_volume=pl.Series([True])))
    first.add(Delivery(bars("A", 1, 2)))
    (batch,) = first.deliveries()
    assert batch.missing_volume.to_list() == [False, False, True]
    first.settle()


def test_the_later_delivery_of_a_symbol_counts(opened):
    first = opened()
    first.add(Delivery(bars("A", 1)))
    first.settle()
    first.add(Delivery(bars("A", 7, 8)), is_whole=True)
    first.settle()
    again = opened()
    assert (again.load("A").bars["close"].to_list(), again.whole) == ([7, 8], {"A"})
    again.add(Delivery(bars("A", 9)))
    assert (again.load("A").bars["close"].to_list(), again.whole) == ([9], set())
    again.settle()
    assert opened().load("A").bars["close"].to_list() == [9]
    assert opened().whole == set()


def test_finished_symbols_are_written_in_groups(opened, tmp_path):
    first = opened()
    for number in range(70):
        first.add(Delivery(bars(f"S{number:02d}", 1)))
    first.settle()
    assert len(files(tmp_path)) == 3  # 32 + 32 + 6
    assert len(opened().symbols) == 70


def test_a_group_does_not_wait_for_company_for_ever(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "GROUP_SECONDS", 0.01)
    written = threading.Event()
    first = opened()
    put_new = first._storage.put_new
    monkeypatch.setattr(first._storage, "put_new", lambda *words: (put_new(*words), written.set()))
    first.add(Delivery(bars("A", 1)))
    assert written.wait(5)
    assert opened().symbols == {"A"}
    first.settle()


@pytest.mark.parametrize("damage", ["torn", "flipped", "empty", "another format"])
def test_a_damaged_file_is_dropped_and_only_its_symbols_are_missing(opened, tmp_path, damage, caplog):
    for symbol in "AB":
        first = opened()
        first.add(Delivery(bars(symbol, 1)))
        first.settle()
    victim = files(tmp_path)[0]
    data = bytearray(victim.read_bytes())
    data[-3] ^= damage == "flipped"
    victim.write_bytes({"torn": data[:-5], "empty": b"", "another format": b"x" + data[1:]}.get(damage, data))
    assert opened().symbols == {"B"}
    assert "journal_file_dropped" in caplog.text
    assert len(files(tmp_path)) == 1
    # A new file never takes the name of one that is there.
    last = opened()
    last.add(Delivery(bars("A", 5)))
    last.settle()
    assert opened().symbols == {"A", "B"}


def test_a_file_that_was_never_named_is_not_there(opened, tmp_path):
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / ".tmp-123").write_bytes(b"half of it")
    assert opened().symbols == set()


def test_a_full_disk_costs_the_way_back_and_nothing_else(opened, tmp_path, monkeypatch):
    first = opened()
    first.add(Delivery(bars("A", 1)))
    first.settle()

    def full(key, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(first._storage, "put_new", full)
    first.add(Delivery(bars("B", 2)))
    first.settle()
    first.add(Delivery(bars("C", 3)))
    first.settle()
    assert "No space left" in first.problem
    (all_of_it,) = first.deliveries()
    assert all_of_it.bars["symbol"].to_list() == ["A", "B", "C"]
    assert opened().symbols == {"A"}


def test_a_large_ingest_is_read_back_from_its_files(opened, monkeypatch):
    monkeypatch.setattr(journal, "_MAX_HELD_ROWS", 3)
    first = opened()
    for symbol in "CAB":
        first.add(Delivery(bars(symbol, 1, 2)))
        first.settle()
    assert len(first._held) < 3
    (batch,) = first.deliveries()
    assert batch.bars["symbol"].to_list() == list("AABBCC")


def test_a_journal_that_is_deleted_leaves_nothing(opened, tmp_path):
    first = opened()
    first.add(Delivery(bars("A", 1)))
    first.delete()
    assert not (tmp_path / FOLDER).exists()


def test_the_facts_in_a_file_are_plain_json(opened, tmp_path):
    first = opened()
    first.add(Delivery(bars("A", 1), aliases={"A": "a.x"}))
    first.settle()
    entry = opened()._entries["A"]
    data = files(tmp_path)[0].read_bytes()
    assert json.loads(data[entry.offset : entry.offset + entry.lengths[0]])["aliases"] == {"A": "a.x"}
