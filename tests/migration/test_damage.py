"""Old databases that another program holds, that are damaged, empty, or not ours: nothing is half done."""

import sqlite3
from contextlib import closing

import pytest

from tests.migration.damage import DAMAGES, locked, spoil_header
from tests.migration.homes import add_native, as_text, bytes_of
from tests.migration.old_store import build_old_store
from tests.migration.snapshot import changes, snapshot
from tests.migration.truth import assert_nothing_lost, new_facts
from tests.migration.truth_bars import assert_bars_equal

DONE = (0, 3)
FILES = ["assets-8.db", "data/us-0/metadata.db", "data/bundles/us-1/metadata.db"]
SHAPES = {"bars", "gone_files", "history"}


@pytest.fixture
def old(root, place, rustybt):
    build_old_store(root, shapes=SHAPES)
    add_native(rustybt, place)
    return root


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_a_locked_database_is_named_and_nothing_is_changed(old, home, migrate, monkeypatch, file, words):
    monkeypatch.setenv("RUSTYBT_BUNDLE_LOCK_TIMEOUT_SECONDS", "0.3")
    files, before = bytes_of(home), snapshot(old)
    with locked(old / file):
        status, document, _ = migrate(*words)
        assert status == 1
        assert file in as_text(document)
        assert bytes_of(home) == files
    assert changes(before, snapshot(old)) == []
    native = new_facts(home)
    assert migrate()[0] in DONE
    assert_nothing_lost(old, home, native)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_is_named_and_comes_over_when_it_is_whole_again(old, home, migrate, file, damage):
    """What it holds is left out, or nothing is brought over at all; the bundles of the others are whole in both cases."""
    whole, native = (old / file).read_bytes(), new_facts(home)
    DAMAGES[damage](old / file)
    before = snapshot(old)
    status, document, _ = migrate()
    assert status in (3, 6)
    assert file in as_text(document)
    assert changes(before, snapshot(old)) == []
    assert new_facts(home) == native or status == 3
    (old / file).write_bytes(whole)
    assert migrate()[0] in DONE
    assert_nothing_lost(old, home, native)
    assert_bars_equal(old, home)


def test_an_empty_database_is_no_obstacle(old, home, migrate):
    native = new_facts(home)
    (old / "data" / "void").mkdir()
    (old / "data" / "void" / "metadata.db").touch()
    assert migrate()[0] in DONE
    assert_nothing_lost(old, home, native)
    assert (old / "data" / "void" / "metadata.db").read_bytes() == b""


def test_a_database_of_another_program_is_no_obstacle(old, home, migrate):
    native = new_facts(home)
    (old / "data" / "photos").mkdir()
    with closing(sqlite3.connect(old / "data" / "photos" / "metadata.db")) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
        connection.commit()
    assert migrate()[0] in DONE
    assert_nothing_lost(old, home, native)


def test_a_catalog_of_another_program_alone_is_nothing_to_migrate(root, home, migrate):
    root.mkdir()
    with closing(sqlite3.connect(root / "assets-8.db")) as connection:
        connection.execute("CREATE TABLE equities (sid INTEGER)")
        connection.commit()
    status, _, _ = migrate()
    assert status in (0, 2)
    assert not home.exists()


def test_a_database_that_is_a_folder_is_told(root, home, migrate):
    (root / "assets-8.db").mkdir(parents=True)
    (root / "data" / "us" / "metadata.db").mkdir(parents=True)
    status, document, _ = migrate()
    assert status in (0, 1, 2, 6)
    assert "internal" not in as_text(document)
    assert not home.exists()


def test_a_home_that_cannot_be_written_is_told_and_the_old_root_stays(root, home, migrate):
    build_old_store(root, shapes=())
    home.write_text("a file stands where the home should be")
    before = snapshot(root)
    status, document, _ = migrate()
    assert status in (1, 2)
    assert str(home) in as_text(document)
    assert changes(before, snapshot(root)) == []


def test_one_damaged_database_of_two_does_not_make_every_run_a_new_migration(root, home, migrate):
    """A bundle in both places, one of its databases damaged: it is left out, and running again changes nothing."""
    build_old_store(root, shapes={"both_layouts"}, bundles=1)
    spoil_header(root / "data" / "bundles" / "twice" / "metadata.db")
    status, first, _ = migrate()
    assert status == 3
    assert [bundle["state"] for bundle in first["bundles"] if bundle["old_name"] == "twice"] == ["left_out"]
    files = bytes_of(home)
    status, again, _ = migrate()
    assert (status, again["backup"], bytes_of(home) == files) == (3, "", True)
