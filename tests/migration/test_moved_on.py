"""Bundles that their user has gone on with since they were brought over, and names that another process takes meanwhile."""

import json
import sqlite3
from contextlib import closing

import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.migration.backup import BackupWriter
from rustybt.data.migration.run import Migration
from rustybt.errors import ConflictError
from tests.migration.homes import add_native
from tests.migration.old_bars import daily_path, days, rows_of, write_bars
from tests.migration.old_store import build_old_store
from tests.migration.truth import DATABASE

LATER = "symbol,date,open,high,low,close,volume\nTSLA,2023-05-01,160.10,165.20,158.30,161.40,1000\n"
DONE = (0, 3)


@pytest.fixture
def gone_on(root, home, place, migrate, rustybt):
    """A migrated bundle us-0 with a second version that its user made."""
    store = build_old_store(root, shapes={"bars"}, bundles=1)
    assert migrate()[0] == 0
    (place / "later.csv").write_text(LATER)
    status, out, err = rustybt("ingest", "csv", "--path", place / "later.csv", "--bundle", "us-0")
    assert status == 0, out + err
    return store


def asked(home, query):
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        return connection.execute(query).fetchall()


def lose_database(home):
    for ending in ("", "-wal", "-shm"):
        (home / f"{DATABASE}{ending}").unlink(missing_ok=True)


def test_what_changes_in_the_old_root_leaves_the_later_version_as_it_is(gone_on, root, home, migrate):
    before = asked(home, "SELECT source_type, source_url, row_count, file_checksum FROM bundle_metadata")
    write_bars(root / "data" / "us-0" / daily_path(), rows_of(["OTHER"], days(), 1))  # not what the catalog recorded
    assert migrate()[0] == 3
    assert asked(home, "SELECT source_type, source_url, row_count, file_checksum FROM bundle_metadata") == before
    # The imported bars are those of version 1 still, whatever came later.
    assert asked(home, "SELECT version FROM migrated_bundles") == [(1,)]


def test_a_bundle_that_was_gone_on_with_is_adopted_when_the_database_was_lost(gone_on, home, migrate, rustybt):
    lose_database(home)
    assert rustybt("bundle", "recover")[0] == 0
    status, document, err = migrate()
    assert status == 0, err
    assert [bundle["name"] for bundle in document["bundles"]] == ["us-0"]
    assert "newer versions" in " ".join(document["bundles"][0]["notes"])
    assert asked(home, "SELECT bundle_name, version FROM bundle_versions ORDER BY version") == [
        ("us-0", 1),
        ("us-0", 2),
    ]
    assert asked(home, "SELECT version FROM migrated_bundles") == [(1,)]
    assert migrate("--validate")[0] == 0


def test_whole_series_ingested_anew_do_not_keep_a_rebuilt_home_from_migrating(root, home, place, migrate, rustybt):
    build_old_store(root, shapes={"bars"}, bundles=1)
    assert migrate()[0] == 0
    (place / "anew.csv").write_text(LATER.replace("TSLA", "S00"))
    status, _, err = rustybt("ingest", "csv", "--path", place / "anew.csv", "--bundle", "us-0", "--replace")
    assert status == 0, err
    lose_database(home)
    assert rustybt("bundle", "recover")[0] == 0
    assert migrate()[0] == 0
    assert asked(home, "SELECT MAX(version) FROM bundle_versions") == [(2,)]


@pytest.mark.parametrize("shapes", [{"bars"}, set()])
@pytest.mark.parametrize("step", ["planned", "bars-staged"])
def test_a_name_that_another_process_takes_meanwhile_is_told_and_nothing_is_changed(
    root, home, place, rustybt, migrate, shapes, step
):
    build_old_store(root, shapes=shapes, bundles=2)

    def take(reached):
        if reached == step:
            add_native(rustybt, place, "us-0")

    with BundleStore(home) as store, pytest.raises(ConflictError, match="us-0") as raised:
        Migration(store, root, on_step=take).run()
    assert "again" in raised.value.hint
    assert asked(home, "SELECT bundle_name, version FROM bundle_versions") == [("us-0", 1)]
    status, document, _ = migrate()
    assert status == 0
    assert {bundle["old_name"]: bundle["name"] for bundle in document["bundles"]} == {"us-0": "us-0-2", "us-1": "us-1"}


def test_two_backups_of_one_second_have_a_folder_each(home, root):
    first, second = BackupWriter(home, root, 1_700_000_000), BackupWriter(home, root, 1_700_000_000)
    assert (first.timestamp, second.timestamp) == ("20231114T221320Z", "20231114T221320Z-2")
    first.seal(None)
    second.discard()
    said = json.loads((home / ".rustybt" / "backups" / "20231114T221320Z" / "manifest.json").read_text())
    assert said["timestamp"] == "20231114T221320Z"
