"""Flipped bits, deleted and truncated files: an error that names the file, never a wrong number."""

import random
import sqlite3
from contextlib import suppress

import polars as pl
import pytest

from rustybt.data.bundles import file_reader
from rustybt.data.bundles.manifest import Manifest
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import BundleNotFoundError, CorruptBundleError
from rustybt.market.assets import AssetAttributes
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

SAID = Provenance("test")


@pytest.fixture
def store(home):
    with BundleStore(home) as opened:
        rows = [
            (symbol, f"2024-01-{day:02d}", f"{day}.25", "99", "1", "2", "1000")
            for symbol in "ABC"
            for day in range(1, 29)
        ]
        split = CorporateAction.split("A", "2024-01-05", 2)
        opened.commit(
            "us", frame_of_bars(rows), SAID, actions=[split], assets={"A": AssetAttributes(venue="XNYS", name="Alpha")}
        )
        opened.commit("us", frame_of_bars([("B", "2024-02-01", "7")]), SAID)
        opened.commit("us", frame_of_bars([("C", "2024-02-02", "8")]), SAID)
        opened.tag("us@2", "golden")
        yield opened


def facts_of(store, reference):
    """All that a user can see of a version."""
    with store.open(reference) as bundle:
        held = bundle.description
        return (
            bundle.name, bundle.version, bundle.content_hash, bundle.calendar_name, bundle.read().rows(),
            bundle.read_arrays().values["close"].tolist(), bundle.symbols, [action.to_json() for action in held.actions],
            {symbol: (r.sid, r.attributes, dict(r.price_basis)) for symbol, r in held.assets.items()},
            bundle.first_session, bundle.last_session, bundle.provenance,
        )  # fmt: skip


def flips(data, count, seed):
    """Yield copies of `data` with one bit flipped, at random places and at both ends."""
    chance = random.Random(seed)
    places = [0, 3, len(data) - 1, *(chance.randrange(len(data)) for _ in range(count))]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        yield bytes(changed)


def open_anew(home):
    file_reader._verified.clear()
    return BundleStore(home)


def test_a_file_that_is_exchanged_between_the_look_at_its_stamp_and_its_opening_gives_no_number(store, monkeypatch):
    with store.open("us") as bundle:
        record = next(record for record in bundle.files if record.kind == "bars")
    path = store.home / record.file_key
    whole = path.read_bytes()
    told = pl.read_parquet(path)
    real = file_reader.scan_bars
    silent = 0
    for damaged in flips(whole, 150, 3):
        with suppress(pl.exceptions.PolarsError, pl.exceptions.PanicException):
            silent += not pl.read_parquet(damaged).equals(told)

        def scan_late(source, *args, damaged=damaged):
            if not isinstance(source, bytes):
                source.unlink()
                source.write_bytes(damaged)
            return real(source, *args)

        path.write_bytes(whole)
        with open_anew(store.home) as again, again.open("us") as bundle:
            bundle.read()
            with monkeypatch.context() as patch:
                patch.setattr(file_reader, "scan_bars", scan_late)
                with pytest.raises(CorruptBundleError, match="has SHA-256"):
                    bundle.read()
    assert silent, "no flip was one that Parquet itself does not notice"


@pytest.mark.parametrize("kind", ["bars", "blocks"])
def test_a_flipped_bit_in_a_data_file_is_found_before_its_numbers_are_used(store, kind):
    with store.open("us") as bundle:
        record = next(record for record in bundle.files if record.kind == kind)
    path = store.home / record.file_key
    whole = path.read_bytes()
    for damaged in flips(whole, 60, kind):
        path.write_bytes(damaged)
        with open_anew(store.home) as again, again.open("us") as bundle:
            uses = (
                [bundle.read, bundle.read_arrays] if kind == "bars" else [lambda: bundle.blocks, lambda: bundle.assets]
            )
            for use in uses:
                with pytest.raises(CorruptBundleError, match="has SHA-256") as caught:
                    use()
                assert (caught.value.bundle, caught.value.file, caught.value.exit_code) == ("us", record.file_key, 6)
    path.write_bytes(whole)
    with open_anew(store.home) as again:
        assert again.verify("us").is_whole


def test_damage_after_the_first_read_is_found_by_the_next(store):
    with store.open("us") as bundle:
        assert bundle.read().height == 86
        record = max((r for r in bundle.files if r.kind == "bars"), key=lambda r: r.row_count)
        path = store.home / record.file_key
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.unlink()
        path.write_bytes(bytes(data))
        with pytest.raises(CorruptBundleError, match=record.file_key):
            bundle.read()


@pytest.mark.parametrize("cut", [0, 1, -1, -8])
def test_a_truncated_file_is_damage(store, cut):
    with store.open("us") as bundle:
        path = store.home / bundle.files[0].file_key
    path.write_bytes(path.read_bytes()[:cut])
    with open_anew(store.home) as again, pytest.raises(CorruptBundleError):
        again.verify("us").raise_if_damaged()


def test_a_deleted_file_is_named(store):
    with store.open("us") as bundle:
        record = next(record for record in bundle.files if record.kind == "bars")
        (store.home / record.file_key).unlink()
        with pytest.raises(CorruptBundleError, match="is missing") as caught:
            bundle.read()
        assert (caught.value.bundle, caught.value.file) == ("us", record.file_key)
        assert "rustybt bundle verify us" in caught.value.hint
        assert bundle.read("C", "2024-02-02").height == 1  # what lies in other files can still be read


def test_a_file_damaged_under_a_merge_stops_the_ingest_and_keeps_the_version(store):
    with store.open("us") as bundle:
        record = next(record for record in bundle.files if record.partition == "base")
    path = store.home / record.file_key
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\x00")
    before = {p for p in (store.home / "us").rglob("*") if p.is_file()}
    with open_anew(store.home) as again, pytest.raises(CorruptBundleError):
        again.commit("us", frame_of_bars([("A", "2024-01-02", "5")]), SAID)
    assert {p for p in (store.home / "us").rglob("*") if p.is_file()} == before
    path.write_bytes(whole)
    assert store.verify("us@3").is_whole


def test_a_flipped_bit_in_a_manifest_is_found_by_verify_and_refused_by_recover(store):
    info = store.versions("us")[1]
    path = store.home / info.manifest_key
    whole = path.read_bytes()
    said = Manifest.from_bytes(whole, info.manifest_key)
    refused = []
    for damaged in flips(whole, 150, "manifest"):
        try:
            assert Manifest.from_bytes(damaged, info.manifest_key) == said
        except CorruptBundleError as error:
            refused.append((error.bundle, error.file))
    assert refused == [("us", info.manifest_key)] * 153
    path.write_bytes(damaged)
    assert [damage.file for damage in store.verify("us@2").damages] == [info.manifest_key]
    store.close()
    store.database.path.unlink()
    report = store.recover()
    assert report.recovered == {"us": 1}
    assert info.manifest_key in report.problems["us"]
    assert facts_of(store, "us")[1] == 1


def checkpointed(store):
    """Return the database's bytes with its log folded in."""
    store.close()
    connection = sqlite3.connect(store.database.path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return store.database.path.read_bytes()


def test_a_flipped_bit_in_the_database_never_gives_a_wrong_number(store):
    references = ["us", "us@1", "us@golden"]
    expected = {reference: facts_of(store, reference) for reference in references}
    data = checkpointed(store)
    used = [place for place, byte in enumerate(data) if byte]  # empty pages would only waste time
    chance = random.Random(4)
    refused = 0
    for _ in range(70):
        damaged = bytearray(data)
        damaged[chance.choice(used)] ^= 1 << chance.randrange(8)
        for path in store.database.folder.glob("metadata.sqlite*"):
            path.unlink()
        store.database.path.write_bytes(bytes(damaged))
        with open_anew(store.home) as again:
            for reference in references:
                try:
                    found = facts_of(again, reference)
                except (CorruptBundleError, BundleNotFoundError):
                    refused += 1
                else:
                    assert found == expected[reference]
    assert refused > 30


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE bundle_files SET last_symbol = 'A' WHERE partition = 'base'",
        "UPDATE bundle_files SET added_version = 2 WHERE partition = 'base'",
        "UPDATE bundle_files SET removed_version = 1 WHERE partition = 'base'",
        "DELETE FROM bundle_files WHERE partition = 'base'",
        "UPDATE corporate_actions SET event = replace(event, '\"2\"', '\"3\"')",
        "UPDATE bundle_assets SET sid = 2 WHERE symbol = 'A'",
        "DELETE FROM bundle_assets WHERE symbol = 'B'",
        "UPDATE bundle_versions SET row_count = 1 WHERE version = 3",
        "UPDATE bundle_versions SET calendar_name = '24/7' WHERE version = 3",
        "UPDATE bundle_metadata SET head_version = 2",
        "DELETE FROM bundle_versions WHERE version = 3",
    ],
)
def test_rows_that_were_changed_are_refused_and_recovered(store, change):
    expected = facts_of(store, "us")
    store.close()
    connection = sqlite3.connect(store.database.path)
    with connection:
        assert connection.execute(change).rowcount >= 1
    connection.close()
    with open_anew(store.home) as again:
        with pytest.raises(CorruptBundleError, match=r"metadata database") as caught:
            facts_of(again, "us")
        assert (caught.value.bundle, caught.value.file) == ("us", "metadata.sqlite")
        assert "rustybt bundle recover" in caught.value.hint
        with pytest.raises(CorruptBundleError):
            again.commit("us", frame_of_bars([("A", "2024-03-01", "5")]), SAID)
        report = again.recover()
        assert report.damaged_database.endswith(tuple("0123456789"))
        assert report.recovered == {"us": 3}
        assert facts_of(again, "us") == expected


def test_a_tag_that_was_bent_to_another_version_is_refused(store):
    store.close()
    connection = sqlite3.connect(store.database.path)
    with connection:
        connection.execute("UPDATE bundle_tags SET version = 3")
    connection.close()
    with open_anew(store.home) as again:
        with pytest.raises(CorruptBundleError, match="tag golden of us"):
            again.open("us@golden")
        again.recover()
        assert facts_of(again, "us@golden")[1] == 2
