"""`rustybt migrate`: an old root of every shape comes over, and nothing of it is lost."""

import json
import shutil
import sqlite3
import unicodedata
from contextlib import closing
from types import SimpleNamespace

import pytest

from tests.migration.homes import add_native, as_text, bytes_of
from tests.migration.old_shapes import COMPOSED, DECOMPOSED
from tests.migration.old_store import ALL, CATALOGS, WITHOUT_BARS, build_old_store
from tests.migration.old_tables import PARQUET_CATALOG, write_database
from tests.migration.snapshot import changes, snapshot
from tests.migration.truth import DATABASE, NULL, assert_nothing_lost, new_facts, old_facts
from tests.migration.truth_bars import assert_bars_equal, new_bars

#: All came over; or all metadata did, and files were set aside.
DONE = (0, 3)


@pytest.fixture(scope="module")
def everything(tmp_path_factory, command):
    """Every shape, migrated once; tests of it only look."""
    folder = tmp_path_factory.mktemp("everything")
    root, home = folder / "old", folder / "home"
    built = build_old_store(root)
    before = snapshot(root)
    done = command("migrate", "--root", root, "--home", home, "--json")
    assert done.status in DONE, done.out + done.err
    return SimpleNamespace(built=built, root=root, home=home, document=done.document, before=before, status=done.status)


def row_of(home, name, table="bundle_metadata"):
    (row,) = [row for row in new_facts(home)[table] if row["bundle_name"][1] == name]
    return {column: cell[1] for column, cell in row.items()}


def names_in(home):
    return {row["old_name"][1]: row["bundle_name"][1] for row in new_facts(home)["migrated_bundles"]}


# -- every shape ---------------------------------------------------------------------------------------------------------


def test_nothing_of_any_shape_is_lost(everything):
    assert_nothing_lost(everything.root, everything.home)


def test_every_sound_bar_comes_over_as_it_was_and_no_other(everything):
    assert_bars_equal(everything.root, everything.home)


def test_the_old_root_is_as_it_was_to_the_inode(everything):
    assert changes(everything.before, snapshot(everything.root)) == []


def test_the_report_has_a_line_for_every_bundle_with_its_new_name(everything):
    told = as_text(everything.document)
    for was, is_now in names_in(everything.home).items():
        assert was in told
        assert is_now in told


def test_a_file_that_is_not_the_recorded_one_is_named_and_not_imported(everything):
    told = as_text(everything.document)
    assert "daily_bars/year=2023/month=05/data.parquet" in told
    kept = {key[2] for key in new_bars(everything.home) if key[0] == "changed-file"}
    assert kept == {"S00", "S01", "S02"}
    assert everything.status == 3


def test_torn_files_are_named_and_their_bundles_keep_their_metadata(everything):
    assert not [key for key in new_bars(everything.home) if key[0].startswith("torn")]
    for name in ("torn-after", "torn-before"):
        assert row_of(everything.home, name)["source_url"].startswith("https://prices.example/")


def test_bars_are_version_1_and_say_that_they_were_migrated(everything):
    versions = [row for row in new_facts(everything.home)["bundle_versions"] if row["bundle_name"][1] == "us-0"]
    (version,) = versions
    assert version["version"] == ("integer", 1)
    assert json.loads(version["provenance"][1])["source_type"] == "migrated"


def test_what_was_migrated_can_be_listed_checked_and_read(everything, command):
    home = ("--home", everything.home)
    listed = command("bundle", "list", *home, "--json")
    assert listed.status == 0, listed.err
    assert {"us-0", "us-1", "us-2", "coins"} <= {bundle["name"] for bundle in listed.document["bundles"]}
    assert command("doctor", *home).status == 0
    for name in ("us-0", "both-frequencies"):
        assert command("bundle", "verify", name, *home).status == 0
        assert command("bundle", "info", name, *home).status == 0


def test_a_symbol_of_two_datasets_has_both_frequencies_and_what_either_said_of_it(everything):
    rows = [row for row in new_facts(everything.home)["bundle_symbols"] if row["bundle_name"][1] == "both-frequencies"]
    assert {row["symbol"][1] for row in rows} == {"S00", "S01", "S02"}
    kept = [row for row in new_facts(everything.home)["migrated_symbols"] if row["symbol_id"][1] in (1, 101)]
    assert {("S00", "NASDAQ"), ("S00", "NYSE")} <= {(row["symbol"][1], row["exchange"][1]) for row in kept}
    kept = {key[1:3] for key in new_bars(everything.home) if key[0] == "both-frequencies"}
    assert kept == {(frequency, name) for frequency in ("1d", "1m") for name in ("S00", "S01", "S02")}


def test_the_newest_check_wins_and_the_older_ones_stay(everything):
    # Of two at the same moment the one that was written later: 222.
    assert row_of(everything.home, "checked-often")["row_count"] == 222
    kept = [row for row in new_facts(everything.home)["migrated_quality"] if row["bundle_name"][1] == "checked-often"]
    assert {333, 111, 222, 444} <= {row["row_count"][1] for row in kept}
    assert len(kept) == 7


def test_a_missing_url_stays_missing(everything):
    row = next(row for row in new_facts(everything.home)["bundle_metadata"] if row["bundle_name"][1] == "nulls")
    assert row["source_url"] == NULL


def test_names_that_are_allowed_stay_and_the_others_become_allowed(everything):
    names = names_in(everything.home)
    for name in ("two words", "with-dashes-", "it's", "東京証券", "_", "us-0"):
        assert names[name] == name
    assert len({names[name].casefold() for name in ("US", "us", "Us")}) == 3
    assert {"US", "us", "Us"} & {names[name] for name in ("US", "us", "Us")}
    assert COMPOSED in {names[COMPOSED], names[DECOMPOSED]}
    assert unicodedata.normalize("NFC", names[COMPOSED]) != unicodedata.normalize("NFC", names[DECOMPOSED])


def test_every_calendar_is_one_and_says_that_it_was_inferred(everything):
    rows = {row["old_name"][1]: row for row in new_facts(everything.home)["migrated_bundles"]}
    assert rows["coins"]["calendar_name"][1] == "24/7"
    assert rows["us-0"]["calendar_name"][1] == "XNYS"
    assert all(row["calendar_reason"][1] for row in rows.values())


# -- twice ---------------------------------------------------------------------------------------------------------------


def test_a_second_migration_changes_nothing(everything, tmp_path, command):
    home = tmp_path / "copy"
    shutil.copytree(everything.home, home, symlinks=True)
    facts, files = new_facts(home), bytes_of(home)
    done = command("migrate", "--root", everything.root, "--home", home, "--json")
    assert done.status in DONE, done.out + done.err
    assert new_facts(home) == facts
    assert bytes_of(home) == files


def test_what_came_to_the_old_root_later_comes_over_with_the_next_migration(root, home, migrate):
    store = build_old_store(root, shapes=(), bundles=2)
    assert migrate()[0] in DONE
    rows = store.parquet_rows(["LATE"])
    store.write_parquet_catalog(store.folder("late"), rows)
    assert migrate()[0] in DONE
    assert_nothing_lost(root, home)
    assert names_in(home)["late"] == "late"


# -- roots ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("catalogs", [*[(name,) for name in CATALOGS], CATALOGS])
def test_the_data_catalog_is_found_wherever_it_was(root, home, migrate, catalogs):
    build_old_store(root, shapes=WITHOUT_BARS, catalogs=catalogs)
    status, document, err = migrate()
    assert status in DONE, as_text(document) + err
    assert_nothing_lost(root, home)


def test_a_root_is_that_of_the_option_else_of_the_environment_else_of_the_user(tmp_path, home, rustybt, monkeypatch):
    places = {"option": tmp_path / "option", "environment": tmp_path / "env", "user": tmp_path / "user" / ".zipline"}
    for who, folder in places.items():
        store = build_old_store(folder, shapes=(), bundles=0)
        store.write_parquet_catalog(store.folder(f"of-the-{who}"), store.parquet_rows(["A"]))
    assert rustybt("migrate")[0] in DONE
    assert set(names_in(home)) == {"of-the-user"}
    monkeypatch.setenv("ZIPLINE_ROOT", str(places["environment"]))
    assert rustybt("migrate")[0] in DONE
    assert set(names_in(home)) == {"of-the-user", "of-the-environment"}
    assert rustybt("migrate", "--root", places["option"])[0] in DONE
    assert set(names_in(home)) == {"of-the-user", "of-the-environment", "of-the-option"}


def test_several_roots_come_into_one_home(tmp_path, home, migrate):
    build_old_store(tmp_path / "one", shapes=WITHOUT_BARS, seed=1)
    build_old_store(tmp_path / "two", shapes=WITHOUT_BARS, seed=2)
    assert migrate(of=tmp_path / "one")[0] in DONE
    native = new_facts(home)
    assert migrate(of=tmp_path / "two")[0] in DONE
    assert_nothing_lost(tmp_path / "two", home, native)
    assert names_in(home)  # of both, none under one name
    rows = new_facts(home)["migrated_bundles"]
    assert len({row["bundle_name"][1].casefold() for row in rows}) == len(rows)


@pytest.mark.parametrize("what", ["nothing", "a folder without catalogs", "a file"])
def test_a_root_without_catalogs_is_told_and_no_home_is_made(root, home, rustybt, what):
    if what == "a folder without catalogs":
        (root / "data" / "photos").mkdir(parents=True)
    if what == "a file":
        root.write_text("no folder")
    status, out, err = rustybt("migrate", "--root", root)
    assert str(root) in out + err
    assert status == (0 if what == "a folder without catalogs" else 2) or "hint:" in err
    assert not home.exists()


# -- what else there is --------------------------------------------------------------------------------------------------


def test_statistics_are_the_sum_over_databases_by_utc_day(root, home, migrate):
    def counted(number, moment, hits, misses, size):
        counts = {"hit_count": hits, "miss_count": misses, "total_size_mb": size}
        return {"id": number, "stat_date": moment, **counts}

    # 5 January 2023, 00:00 and 23:59:59 UTC, and the first second of the day after.
    first = {"cache_statistics": [counted(1, 1_672_876_800, 3, 1, 0.5), counted(2, 1_672_963_200, 10, 0, 1.0)]}
    second = {"cache_statistics": [counted(1, 1_672_963_199, 4, 2, 0.25)]}
    write_database(root / "data" / "a" / "metadata.db", first, PARQUET_CATALOG)
    write_database(root / "data" / "bundles" / "b" / "metadata.db", second, PARQUET_CATALOG)
    assert migrate()[0] in DONE
    found = {
        row["stat_date"][1]: [row[name][1] for name in ("hit_count", "miss_count", "total_size_mb")]
        for row in new_facts(home)["cache_statistics"]
    }
    assert found == {1_672_876_800: [7, 3, 0.75], 1_672_963_200: [10, 0, 1.0]}


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "Pacific/Auckland"])
def test_ranges_of_local_time_become_the_sessions_that_were_meant(root, home, command, zone):
    build_old_store(root, shapes={"one_catalog_only"}, bundles=2, zone=zone)
    done = command("migrate", "--root", root, "--home", home, TZ=zone)
    assert done.status in DONE, done.err
    for name in ("us-0", "us-1", "only-in-the-parquet-catalog"):
        row = row_of(home, name)
        # 1 March and 6 April 2023, 00:00 UTC.
        assert (row["start_session"], row["end_session"]) == (1_677_628_800, 1_680_739_200)


def test_without_data_the_catalogs_alone_come_over(root, home, migrate):
    build_old_store(root)
    status, document, err = migrate("--no-data")
    assert status in DONE, as_text(document) + err
    assert_nothing_lost(root, home)
    assert new_facts(home)["bundle_versions"] == []
    assert not list(home.rglob("*.parquet"))


def test_data_that_was_left_out_can_come_later(root, home, migrate):
    build_old_store(root)
    assert migrate("--no-data")[0] in DONE
    assert migrate("--with-data")[0] in DONE
    assert_nothing_lost(root, home)
    assert_bars_equal(root, home)


def test_bundles_that_are_here_already_keep_their_names_and_their_bytes(root, home, place, rustybt, migrate):
    for name in ("native", "us-0", "TWICE"):
        add_native(rustybt, place, name)
    native, files = new_facts(home), bytes_of(home)
    build_old_store(root)
    assert migrate()[0] in DONE
    assert_nothing_lost(root, home, native)
    assert_bars_equal(root, home)
    after = bytes_of(home)
    assert {path: after[path] for path in files if not path.startswith(".rustybt/")} == {
        path: said for path, said in files.items() if not path.startswith(".rustybt/")
    }
    names = names_in(home)
    assert names["us-0"] != "us-0"
    assert names["twice"].casefold() != "twice"
    assert rustybt("bundle", "verify", "us-0")[0] == 0


def test_people_get_a_line_for_every_bundle(root, rustybt):
    build_old_store(root, shapes={"bars", "bad_checksum", "slash_symbols"})
    status, out, err = rustybt("migrate", "--root", root)
    assert status == 3, out + err
    for name in ("us-0", "us-1", "us-2", "coins", "changed-file"):
        assert name in out
    assert "data.parquet" in out + err


def test_tables_that_are_not_ours_stay_where_they_are(root, home, migrate):
    build_old_store(root, shapes={"foreign_tables"})
    assert migrate()[0] in DONE
    with closing(sqlite3.connect(root / "assets-8.db")) as connection:
        assert connection.execute("SELECT note FROM my_notes").fetchall() == [("bought too late",)]
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert not names & {"my_notes", "equities", "equity_symbol_mappings"}


@pytest.mark.parametrize("shape", sorted(ALL - {"bars"}))
def test_each_shape_comes_over_alone(root, home, migrate, shape):
    build_old_store(root, shapes={shape, "bars"}, bundles=1)
    status, document, err = migrate()
    assert status in DONE, as_text(document) + err
    assert_nothing_lost(root, home)
    assert len(old_facts(root).sources) > 1
