"""Bundles that their user has gone on with since, names that another process takes meanwhile, and roots in odd places."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.migration.backup import BackupWriter
from rustybt.data.migration.places import find_old_store
from rustybt.data.migration.run import Migration
from rustybt.errors import ConflictError
from tests.migration.homes import add_native
from tests.migration.old_bars import daily_path, days, rows_of, write_bars
from tests.migration.old_store import build_old_store
from tests.migration.snapshot import contents
from tests.migration.truth import DATABASE

LATER = "symbol,date,open,high,low,close,volume\nTSLA,2023-05-01,160.10,165.20,158.30,161.40,1000\n"
WORKER = Path(__file__).with_name("worker.py")


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


def test_a_root_is_the_same_by_whatever_name(root, home, place, rustybt, migrate):
    build_old_store(root, shapes=set(), bundles=1)
    assert migrate()[0] == 0
    (place / "link").symlink_to(root, target_is_directory=True)
    for name in (place / "link", f"{root}/../{root.name}", f"{root}/"):
        status, document, _ = migrate(of=name)
        assert status == 0
        assert [bundle["state"] for bundle in document["bundles"]] == ["unchanged"]
    assert asked(home, "SELECT COUNT(*) FROM migrated_bundles") == [(1,)]


def test_a_home_among_old_bundles_leaves_their_folders_to_them(root, rustybt):
    build_old_store(root, shapes={"bars"}, bundles=1)
    before = contents(root / "data" / "us-0")
    home = ("--home", root / "data")
    assert rustybt("migrate", "--root", root, *home)[0] == 0
    status, out, _ = rustybt("migrate", "--root", root, *home, "--json")
    assert status == 0
    (bundle,) = json.loads(out)["bundles"]
    assert (bundle["old_name"], bundle["name"], bundle["state"]) == ("us-0", "us-0-2", "unchanged")
    assert rustybt("migrate", "--root", root, *home, "--validate")[0] == 0
    assert rustybt("bundle", "rm", "us-0-2", *home)[0] == 0
    assert contents(root / "data" / "us-0") == before


def test_what_a_killed_migration_left_is_no_old_bundle(root):
    build_old_store(root, shapes={"bars"}, bundles=1)
    home, environment = root / "data" / "bundles", {**os.environ, "PYTHONPATH": str(WORKER.parents[2])}
    # The third step: the bars are staged.
    command = [sys.executable, WORKER, "migrate", root, home, "2"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.split() == ["planned", "backed-up", "bars-staged"]
    assert list(home.glob("us-0/*/*.parquet"))
    assert find_old_store(root).folders == {"us-0": (root / "data" / "us-0",)}


def test_a_rollback_names_only_bundles_that_are_gone(gone_on, home, migrate, rustybt, timestamp):
    lose_database(home)
    assert rustybt("bundle", "recover")[0] == 0
    assert migrate()[0] == 0
    status, out, err = rustybt("migrate", "--rollback", timestamp(), "--json")
    assert status == 0, err
    assert json.loads(out)["bundles"] == []
    assert asked(home, "SELECT COUNT(*) FROM bundle_versions") == [(2,)]


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems take text for names")
def test_names_of_folders_and_files_that_are_no_text_come_over_spelled_out(root, home, command):
    store = build_old_store(root, shapes={"bars"}, bundles=1)
    odd = os.fsdecode(os.fsencode(root / "data") + b"/od\xff")
    store.folder("us-0").rename(odd)
    (Path(odd) / daily_path()).rename(Path(odd) / "daily_bars" / os.fsdecode(b"\xfe.parquet"))
    odd_root = os.fsdecode(os.fsencode(root.parent) + b"/r\xfd")
    root.rename(odd_root)
    for state in ("new", "unchanged"):
        done = command("migrate", "--root", odd_root, "--home", home, "--json")
        assert done.status == 0, done.err
        told = {bundle["old_name"]: bundle["state"] for bundle in done.document["bundles"]}
        assert told == {"od\\xff": state, "us-0": state}  # us-0 is in the catalog of all bundles still
    assert command("migrate", "--root", odd_root, "--home", home, "--validate").status == 0
    assert asked(home, "SELECT row_count FROM bundle_versions") == [(81,)]


def test_a_venue_that_the_old_catalog_corrects_does_not_keep_the_bars_back(root, home, migrate):
    build_old_store(root, shapes={"bars"}, bundles=1)
    assert migrate()[0] == 0
    with closing(sqlite3.connect(root / "data" / "us-0" / "metadata.db")) as connection:
        connection.execute("UPDATE symbols SET exchange = 'AMEX'")
        connection.commit()
    # One more day of one symbol: 17 April 2023, a Monday.
    write_bars(root / "data" / "us-0" / "daily_bars" / "more.parquet", rows_of(["S00"], [date(2023, 4, 17)], 1))
    assert migrate()[0] == 0
    assert asked(home, "SELECT row_count FROM bundle_versions ORDER BY version") == [(81,), (82,)]
    assert asked(home, "SELECT DISTINCT exchange FROM migrated_symbols") == [("AMEX",)]
    assert migrate("--validate")[0] == 0


def test_a_file_in_a_folder_that_may_not_be_entered_is_told_and_the_others_come_over(root, home, migrate, monkeypatch):
    store = build_old_store(root, shapes={"bars"}, bundles=2)
    closed = store.folder("us-0") / "daily_bars"
    looked = Path.is_dir

    def is_dir(path):
        if closed in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return looked(path)

    monkeypatch.setattr(Path, "is_dir", is_dir)  # tests may run as root, whom nothing is closed to
    (closed / daily_path().removeprefix("daily_bars/")).rename(root / "elsewhere")
    status, document, _ = migrate()
    assert status == 3
    told = {bundle["name"]: bundle["files_left_out"] for bundle in document["bundles"]}
    assert told["us-0"] == {daily_path(): f"{daily_path()} cannot be read: Permission denied"}
    assert asked(home, "SELECT bundle_name FROM bundle_versions") == [("us-1",)]
