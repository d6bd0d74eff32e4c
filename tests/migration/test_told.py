"""What the command says: which rows were set aside and why, and that a forgotten value is no command to migrate."""

import json
import os
import sqlite3
from contextlib import closing
from datetime import date
from decimal import Decimal

import pytest

from tests.migration.homes import as_text, bytes_of
from tests.migration.old_bars import write_bars
from tests.migration.old_store import build_old_store
from tests.migration.truth import DATABASE

#: A Saturday: no session of New York.
CLOSED = date(2023, 3, 4)
ROW = (CLOSED, "S00", Decimal(10), Decimal(12), Decimal(9), Decimal(11), Decimal(5))


def test_an_empty_timestamp_is_no_backup_and_nothing_is_brought_over(root, home, rustybt):
    build_old_store(root, shapes=(), bundles=1)
    status, _, err = rustybt("migrate", "--root", root, "--rollback", "")
    assert status == 2
    assert "there is no backup ''" in err
    assert not home.exists()


@pytest.mark.parametrize("other", ["--dry-run", "--validate", "--no-backup"])
def test_an_empty_timestamp_excludes_the_others_as_any_does(root, rustybt, other):
    root.mkdir()
    status, _, err = rustybt("migrate", "--root", root, "--rollback", "", other)
    assert status == 2
    assert "exclude each other" in err


def test_a_bundle_without_a_single_good_row_says_why(root, rustybt):
    store = build_old_store(root, shapes=(), bundles=0)
    folder = store.folder("shut")
    store.write_parquet_catalog(folder, store.parquet_rows(["S00"]))
    write_bars(folder / "daily_bars/year=2023/month=03/data.parquet", [ROW])
    status, out, _ = rustybt("migrate", "--root", root, "--json")
    assert status == 3
    (bundle,) = json.loads(out)["bundles"]
    assert bundle["rows_quarantined"] == 1
    assert "2023-03-04" in " ".join(bundle["notes"])


def test_people_are_sent_to_a_command_only_where_it_answers(root, rustybt):
    store = build_old_store(root, shapes=(), bundles=0)
    folder = store.folder("shut")
    store.write_parquet_catalog(folder, store.parquet_rows(["S00"]))
    write_bars(folder / "daily_bars/year=2023/month=03/data.parquet", [ROW])
    status, _, err = rustybt("migrate", "--root", root)
    assert status == 3
    assert "shut: 1 row set aside" in err
    assert "bundle info" not in err


@pytest.mark.skipif(os.name == "nt", reason="pipes have no names in folders there")
@pytest.mark.parametrize("beside", ["metadata.db-wal", "metadata.db-journal"])
@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_a_pipe_beside_a_database_is_told_and_not_waited_for(root, command, home, beside, words):
    store = build_old_store(root, shapes=(), bundles=2)
    os.mkfifo(store.folder("us-0") / beside)
    done = command("migrate", "--root", root, "--home", home, "--json", *words)
    assert done.status == 3, done.err
    assert beside in as_text(done.document["damaged"])
    assert {bundle["name"]: bundle["state"] for bundle in done.document["bundles"]} == {
        "us-0": "left_out",
        "us-1": "new",
    }
    assert bool(bytes_of(home)) is not bool(words)


@pytest.mark.parametrize("moment", [1_700_000_000_000, 2**62, -(2**62)])
def test_a_moment_beyond_all_years_is_kept_and_does_not_keep_the_bundle_from_being_shown(root, home, rustybt, moment):
    store = build_old_store(root, shapes={"bars"}, bundles=0)
    rows = store.parquet_rows(["S00"])
    store.add_daily(store.folder("late"), rows, ["S00"])
    store.write_parquet_catalog(store.folder("late"), rows)
    with closing(sqlite3.connect(root / "assets-8.db")) as connection:
        statement = "INSERT INTO bundle_metadata (bundle_name, fetch_timestamp) VALUES ('late', ?)"
        connection.execute(statement, (moment,))
        connection.commit()
    assert rustybt("migrate", "--root", root)[0] == 0
    assert rustybt("bundle", "info", "late")[0] == 0
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        assert connection.execute("SELECT fetch_timestamp FROM bundle_metadata").fetchall() == [(moment,)]
        assert connection.execute("SELECT fetch_timestamp FROM migrated_provenance").fetchall() == [(moment,)]
