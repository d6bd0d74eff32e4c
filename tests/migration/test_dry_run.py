"""`rustybt migrate --dry-run` says what would be, and leaves no trace: no file, no time stamp, no log of a database."""

import pytest

from tests.migration.homes import add_native, as_text
from tests.migration.old_store import build_old_store
from tests.migration.snapshot import changes, snapshot
from tests.migration.truth import new_facts, old_facts

DONE = (0, 3)


@pytest.fixture
def tree(tmp_path, root):
    """All shapes below a folder that holds nothing else but the home."""
    build_old_store(root)
    return tmp_path


@pytest.mark.parametrize("has_home", [False, True])
@pytest.mark.parametrize("words", [(), ("--no-data",)])
def test_nothing_is_made_or_changed(tree, home, rustybt, migrate, has_home, words):
    if has_home:
        add_native(rustybt, tree)
        (tree / "native.csv").unlink()
    before = snapshot(tree)
    status, document, err = migrate("--dry-run", *words)
    assert status in DONE, as_text(document) + err
    assert changes(before, snapshot(tree)) == []
    assert home.exists() is has_home


def test_it_says_what_would_become_of_every_bundle(tree, root, migrate):
    told = as_text(migrate("--dry-run")[1])
    for name in old_facts(root).bundles:
        assert name in told


def test_what_it_says_is_what_is_done(tree, home, migrate):
    """The names are those that the migration gives."""
    told = as_text(migrate("--dry-run")[1])
    migrate()
    for row in new_facts(home)["migrated_bundles"]:
        assert row["bundle_name"][1] in told


def test_after_a_migration_it_has_nothing_to_do(tree, migrate):
    migrate()
    before = snapshot(tree)
    assert migrate("--dry-run")[0] in DONE
    # Whoever reads a database that has a log marks so in the log's index, where there is one already.
    assert [
        line for line in changes(before, snapshot(tree)) if line != "home/.rustybt/metadata.sqlite-shm changed"
    ] == []


def test_a_root_that_may_not_be_written_is_read_all_the_same(tree, root, home, migrate):
    folders = [path for path in [root, *root.rglob("*")] if path.is_dir() and not path.is_symlink()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        before = snapshot(tree)
        assert migrate("--dry-run")[0] in DONE
        assert changes(before, snapshot(tree)) == []
    finally:
        for folder in folders:
            folder.chmod(0o755)
