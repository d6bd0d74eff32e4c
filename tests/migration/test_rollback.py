"""`rustybt migrate --rollback TIMESTAMP` gives back the home as it was, to the byte, or says why it cannot."""

import json

import pytest

from tests.migration.homes import add_native, as_text, bytes_of, settle
from tests.migration.old_store import build_old_store
from tests.migration.snapshot import changes, snapshot
from tests.migration.truth import assert_nothing_lost, new_facts

DONE = (0, 3)
SHAPES = {"bars", "slash_symbols", "gone_files", "write_ahead_log", "history", "two_datasets", "odd_types"}


@pytest.fixture
def old(root):
    build_old_store(root, shapes=SHAPES)
    return root


@pytest.fixture
def native(place, home, rustybt):
    for name in ("native", "us-0"):
        add_native(rustybt, place, name)
    settle(home)


def backup_folder(place, name):
    (folder,) = [path for path in place.rglob(name) if path.is_dir()]
    return folder


def test_a_home_that_was_not_there_is_empty_again(old, home, migrate, timestamp):
    before = snapshot(old)
    migrate()
    status, document, err = migrate("--rollback", timestamp())
    assert status == 0, as_text(document) + err
    assert bytes_of(home) == {}
    assert changes(before, snapshot(old)) == []


def test_a_home_with_bundles_has_its_bytes_again(old, home, native, migrate, timestamp, rustybt):
    before, files, facts = snapshot(old), bytes_of(home), new_facts(home)
    migrate()
    assert bytes_of(home) != files
    status, document, err = migrate("--rollback", timestamp())
    assert status == 0, as_text(document) + err
    assert bytes_of(home) == files
    assert new_facts(home) == facts
    assert changes(before, snapshot(old)) == []
    assert rustybt("bundle", "verify", "us-0")[0] == 0
    assert rustybt("doctor")[0] == 0


def test_after_a_rollback_a_migration_does_all_again(old, home, native, migrate, timestamp):
    facts = new_facts(home)
    migrate()
    migrate("--rollback", timestamp())
    assert migrate()[0] in DONE
    assert_nothing_lost(old, home, facts)


def test_a_second_rollback_changes_nothing(old, home, native, migrate, timestamp):
    files = bytes_of(home)
    migrate()
    name = timestamp()
    assert migrate("--rollback", name)[0] == 0
    assert migrate("--rollback", name)[0] in (0, 2)
    assert bytes_of(home) == files


def test_the_manifest_names_every_file_of_the_backup_with_its_checksum(old, home, native, place, migrate, timestamp):
    migrate()
    folder = backup_folder(place, timestamp())
    (manifest,) = folder.glob("manifest*.json")
    told = as_text(json.loads(manifest.read_text()))
    for path, (kind, content) in bytes_of(folder).items():
        if path != manifest.name:
            assert kind == "file"
            assert content in told


@pytest.mark.parametrize("damage", ["changed", "gone", "manifest"])
def test_a_damaged_backup_is_refused_and_the_home_stays(old, home, native, place, migrate, timestamp, damage):
    migrate()
    folder, files = backup_folder(place, timestamp()), bytes_of(home)
    (manifest,) = folder.glob("manifest*.json")
    others = [path for path in folder.rglob("*") if path.is_file() and path != manifest]
    victim = max(others, key=lambda path: path.stat().st_size)
    if damage == "changed":
        victim.chmod(0o644)
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    elif damage == "gone":
        victim.unlink()
    else:
        manifest.chmod(0o644)
        manifest.write_text(manifest.read_text()[:-20])
    status, document, _ = migrate("--rollback", timestamp())
    assert status == 6
    assert str((manifest if damage == "manifest" else victim).name) in as_text(document)
    assert bytes_of(home) == files


def test_a_timestamp_that_is_none_lists_those_that_are(old, home, migrate, timestamp):
    migrate()
    files = bytes_of(home)
    status, document, _ = migrate("--rollback", "1999-12-31")
    assert status == 2
    assert timestamp() in as_text(document)
    assert bytes_of(home) == files


def test_without_a_backup_there_is_no_way_back(old, home, migrate):
    assert migrate("--no-backup")[0] in DONE
    assert new_facts(home)["migration_runs"][-1]["backup"] == ("null", None)
    assert_nothing_lost(old, home)
    status, document, _ = migrate("--rollback", "2023-01-01T00:00:00Z")
    assert status == 2
    assert "backup" in as_text(document)


def test_what_was_committed_after_the_migration_is_not_lost_unseen(
    old, home, native, place, rustybt, migrate, timestamp
):
    """Either the rollback refuses, or what came later is still there."""
    migrate()
    add_native(rustybt, place, "later")
    status, document, _ = migrate("--rollback", timestamp())
    left = {row["bundle_name"][1] for row in new_facts(home)["bundle_metadata"]}
    assert "later" in left or (status == 0 and "later" in as_text(document))


@pytest.mark.parametrize("said", ["{", "[]", '{"bundles": ["../../old"], "files": []}'])
def test_a_damaged_note_of_what_is_left_to_do_is_told_and_not_taken_for_none(
    old, home, place, migrate, timestamp, said
):
    migrate()
    name = timestamp()
    assert migrate("--rollback", name)[0] == 0
    note = backup_folder(place, name) / "leftovers.json"
    note.write_text(said)
    status, document, _ = migrate("--rollback", name)
    assert status == 6
    assert "leftovers.json" in as_text(document)
    note.unlink()
    assert migrate("--rollback", name)[0] == 0
