"""`rustybt migrate --validate` compares row by row, and finds a change on either side."""

import sqlite3
from contextlib import closing

import pytest

from tests.migration.homes import as_text
from tests.migration.old_store import WITHOUT_BARS, build_old_store
from tests.migration.snapshot import changes, contents
from tests.migration.truth import DATABASE

SHAPES = WITHOUT_BARS | {"bars", "by_sid"}
CATALOG, BUNDLE = "assets-8.db", "data/us-0/metadata.db"
#: Done to the old side: file, statement, words that the answer must hold.
OLD_CHANGES = [
    (CATALOG, "UPDATE bundle_metadata SET source_url = 'other' WHERE id = 2", ("us-1",)),
    (CATALOG, "DELETE FROM bundle_metadata WHERE bundle_name = 'never-checked'", ("never-checked",)),
    (CATALOG, "INSERT INTO bundle_metadata (bundle_name) VALUES ('came-later')", ("came-later",)),
    (CATALOG, "UPDATE data_quality_metrics SET row_count = row_count + 1 WHERE id = 1", ("1",)),
    (BUNDLE, "UPDATE symbols SET exchange = 'NYSE' WHERE symbol_id = 2", ("us-0", "symbols")),
    (BUNDLE, "DELETE FROM symbols WHERE symbol_id = 3", ("us-0", "symbols")),
    (BUNDLE, "INSERT INTO symbols (symbol_id, dataset_id, symbol) VALUES (77, 1, 'NEW')", ("us-0", "symbols")),
    (BUNDLE, "UPDATE date_ranges SET end_date = end_date + 1", ("us-0", "date_ranges")),
    (BUNDLE, "UPDATE checksums SET checksum = CAST(checksum AS BLOB)", ("us-0", "checksums")),
    ("data/gone/metadata.db", "UPDATE backtest_cache_links SET linked_at = 0 WHERE id = 2", ("gone", "links")),
    (
        "data/gone/metadata.db",
        "UPDATE cache_entries SET access_count = 0 WHERE cache_key = 'gone-2'",
        ("gone", "cache_entries"),
    ),
    (BUNDLE, "UPDATE cache_statistics SET hit_count = hit_count + 1", ("us-0", "cache_statistics")),
]
#: Done to the new side: statement, words that the answer must hold.
NEW_CHANGES = [
    ("UPDATE bundle_metadata SET source_url = 'other' WHERE bundle_name = 'us-1'", ("bundle_metadata", "us-1")),
    ("UPDATE bundle_metadata SET validation_timestamp = 5 WHERE bundle_name = 'checked-often'", ("checked-often",)),
    ("DELETE FROM bundle_symbols WHERE bundle_name = 'us-1' AND symbol = 'S01'", ("bundle_symbols", "us-1", "S01")),
    ("UPDATE bundle_symbols SET exchange = NULL WHERE bundle_name = 'us-1' AND symbol = 'S02'", ("us-1", "S02")),
    ("DELETE FROM bundle_cache WHERE cache_key = 'gone-2'", ("bundle_cache", "gone-2")),
    ("UPDATE bundle_cache SET size_bytes = 1 WHERE cache_key = 'gone-2'", ("bundle_cache", "gone-2")),
    ("UPDATE cache_statistics SET miss_count = 0 WHERE miss_count > 0", ("cache_statistics",)),
    ("DELETE FROM migrated_symbols WHERE position = 1", ("symbols",)),
    ("UPDATE migrated_checksums SET last_updated = 0 WHERE position = 0", ("checksums",)),
    ("UPDATE migrated_quality SET row_count = CAST(row_count AS TEXT) WHERE position = 0", ("data_quality_metrics",)),
    ("DELETE FROM migrated_backtest_links WHERE position = 0", ("backtest_cache_links",)),
    ("UPDATE migrated_datasets SET extra = '{}' WHERE extra IS NOT NULL", ("datasets",)),
    ("UPDATE migrated_provenance SET checksum = NULL WHERE position = 1", ("bundle_metadata",)),
]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory, command):
    folder = tmp_path_factory.mktemp("migrated")
    build_old_store(folder / "old", shapes=SHAPES)
    done = command("migrate", "--root", folder / "old", "--home", folder / "home", "--json")
    # 3: some files of the caches are gone.
    assert done.status in (0, 3), done.out + done.err
    return folder


@pytest.fixture
def both(migrated, tmp_path, command):
    """Both sides back in their folders after the test: a migration remembers where its root was."""
    kept = {path: path.read_bytes() for path in migrated.rglob("*") if path.is_file() and not path.is_symlink()}
    yield migrated
    for path in [path for path in migrated.rglob("*") if path.is_file() and not path.is_symlink()]:
        if path not in kept:
            path.unlink()
    for path, content in kept.items():
        if not path.exists() or path.read_bytes() != content:
            path.unlink(missing_ok=True)
            path.write_bytes(content)


def run(path, statement):
    with closing(sqlite3.connect(path)) as connection:
        changed = connection.execute(statement).rowcount
        connection.commit()
    assert changed > 0, "the statement changed nothing"


def validate(migrate, folder, monkeypatch):
    monkeypatch.setenv("RUSTYBT_HOME", str(folder / "home"))
    return migrate("--validate", of=folder / "old")


def test_after_a_migration_both_sides_agree(both, migrate, monkeypatch):
    status, document, err = validate(migrate, both, monkeypatch)
    assert status == 0, as_text(document) + err


def test_it_changes_nothing_on_either_side(both, migrate, monkeypatch):
    before = contents(both)
    validate(migrate, both, monkeypatch)
    passing = ("-shm", "-wal", ".lock")
    assert [line for line in changes(before, contents(both)) if not line.split()[0].endswith(passing)] == []


@pytest.mark.parametrize(("path", "statement", "words"), OLD_CHANGES)
def test_a_change_of_the_old_side_is_found_and_named(both, migrate, monkeypatch, path, statement, words):
    run(both / "old" / path, statement)
    status, document, _ = validate(migrate, both, monkeypatch)
    assert status == 6
    for word in words:
        assert word in as_text(document)


@pytest.mark.parametrize(("statement", "words"), NEW_CHANGES)
def test_a_change_of_the_new_side_is_found_and_named(both, migrate, monkeypatch, statement, words):
    run(both / "home" / DATABASE, statement)
    status, document, _ = validate(migrate, both, monkeypatch)
    assert status == 6
    for word in words:
        assert word in as_text(document)


def test_a_database_that_is_gone_or_new_is_found(both, migrate, monkeypatch):
    path = both / "old" / BUNDLE
    moved = path.with_name("moved.db")
    path.rename(moved)
    status, document, _ = validate(migrate, both, monkeypatch)
    assert status == 6
    assert "us-0" in as_text(document)
    moved.rename(path)


def test_before_any_migration_there_is_nothing_to_agree_with(root, home, migrate):
    build_old_store(root, shapes=())
    status, _, _ = migrate("--validate")
    assert status in (2, 6)
    assert not home.exists()
