"""The checker itself: silent on a new side that says everything, and it names whatever is missing, changed or made up."""

import sqlite3
from contextlib import closing

import pytest

from tests.migration.honest import make_honest
from tests.migration.old_store import ALL, CATALOGS, WITHOUT_BARS, build_large, build_old_store
from tests.migration.snapshot import changes, contents, snapshot
from tests.migration.truth import DATABASE, assert_nothing_lost, differences, is_allowed, new_facts, old_facts
from tests.migration.truth_bars import old_bars

#: What is done to the new side -> what the checker has to say.
DOCTORED = {
    "DELETE FROM migrated_symbols WHERE rowid_of = 1": "migrated_symbols lacks",
    "DELETE FROM migrated_sources WHERE path = 'data/us-0/metadata.db'": "migrated_sources lacks",
    "DELETE FROM bundle_metadata WHERE bundle_name = 'us-0'": "bundle_metadata lacks 'us-0'",
    "DELETE FROM migrated_bundles WHERE old_name = 'us-0'": "'us-0' is not in migrated_bundles",
    "DELETE FROM bundle_symbols WHERE id = 1": "bundle_symbols",
    "DELETE FROM bundle_cache WHERE cache_key = 'gone-0'": "bundle_cache lacks 'gone-0'",
    "DELETE FROM cache_statistics WHERE stat_date % 172800 = 0": "cache_statistics lacks the day",
    "DELETE FROM migrated_backtest_links": "migrated_backtest_links lacks",
    "UPDATE cache_statistics SET hit_count = hit_count + 1": "cache_statistics: hit_count",
    "UPDATE cache_statistics SET total_size_mb = total_size_mb + 0.001": "cache_statistics: total_size_mb",
    "UPDATE bundle_metadata SET source_url = NULL WHERE bundle_name = 'us-1'": "'us-1' differs from 'us-1' in",
    "UPDATE bundle_metadata SET timezone = 'utc' WHERE bundle_name = 'us-1'": "'us-1' differs from 'us-1' in",
    "UPDATE bundle_metadata SET row_count = 333 WHERE bundle_name = 'checked-often'": "newest check of 'checked-often'",
    "UPDATE bundle_metadata SET missing_days_list = '[]' WHERE bundle_name = 'list-0'": "newest check of 'list-0'",
    "UPDATE bundle_metadata SET source_url = '' WHERE bundle_name = 'nulls'": "'nulls' differs",
    "UPDATE bundle_metadata SET bundle_name = 'another' WHERE bundle_name = 'us-2'": "lacks 'us-2'",
    "UPDATE migrated_bundles SET bundle_name = 'us-9' WHERE old_name = 'us-2'": "could have kept a name",
    "UPDATE migrated_bundles SET bundle_name = 'it?' WHERE old_name = 'it''s'": "which is no bundle name",
    "UPDATE migrated_bundles SET calendar_reason = '' WHERE old_name = 'us-2'": "why 'us-2' has its calendar",
    "UPDATE migrated_checksums SET checksum = CAST(checksum AS BLOB)": "migrated_checksums lacks",
    "UPDATE migrated_quality SET row_count = CAST(row_count AS TEXT)": "migrated_quality lacks",
    "UPDATE migrated_datasets SET extra = NULL": "migrated_datasets lacks",
    "UPDATE migrated_provenance SET timezone = 'utc' WHERE id = 3": "migrated_provenance lacks",
    "UPDATE migrated_cache_entries SET access_count = access_count + 1": "migrated_cache_entries lacks",
    "UPDATE migrated_date_ranges SET end_date = end_date + 1": "migrated_date_ranges lacks",
    "UPDATE bundle_symbols SET exchange = 'XLON'": "type or exchange",
    "UPDATE bundle_cache SET bundle_name = 'us-0' WHERE cache_key = 'gone-1'": "'gone-1' is as in no old database",
    "INSERT INTO migrated_symbols SELECT source_id, 99, 99, 1, 'MADE', NULL, NULL, NULL FROM migrated_symbols LIMIT 1": (
        "that no symbols has"
    ),
    "INSERT INTO bundle_symbols (bundle_name, symbol) VALUES ('us-0', 'MADE')": "has 'MADE', which it had not",
    "INSERT INTO bundle_symbols (bundle_name, symbol, asset_type, exchange) SELECT bundle_name, symbol, asset_type, exchange "
    "FROM bundle_symbols WHERE bundle_name = 'us-0' LIMIT 1": "is there twice",
    "INSERT INTO cache_statistics (stat_date) VALUES (86400)": "has the day 86400, which nobody had",
    "INSERT INTO bundle_metadata (bundle_name, calendar_name, start_session, end_session, created_at, updated_at, "
    "folded_name) VALUES ('made-up', 'XNYS', 0, 0, 0, 0, 'made-up')": "'made-up', which nothing explains",
}


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("honest")
    build_old_store(folder / "root", shapes=WITHOUT_BARS)
    make_honest(folder / "root", folder / "home")
    return folder


def change(home, statement):
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        changed = connection.execute(statement).rowcount
        connection.commit()
    assert changed > 0, "the statement changed nothing"


def test_a_new_side_that_says_everything_passes(honest):
    assert_nothing_lost(honest / "root", honest / "home")


@pytest.mark.parametrize("statement", DOCTORED)
def test_a_doctored_new_side_fails_and_says_why(honest, tmp_path, statement):
    home = tmp_path / "copy"
    (home / ".rustybt").mkdir(parents=True)
    (home / DATABASE).write_bytes((honest / "home" / DATABASE).read_bytes())
    change(home, statement.replace("rowid_of = 1", "source_id IN (SELECT min(source_id) FROM migrated_symbols)"))
    found = differences(honest / "root", home)
    assert any(DOCTORED[statement] in sentence for sentence in found), found[:5]


def test_an_old_side_that_has_more_fails(honest, tmp_path):
    build_old_store(tmp_path / "root", shapes=WITHOUT_BARS, bundles=4)
    assert any("us-3" in sentence for sentence in differences(tmp_path / "root", honest / "home"))


def test_no_new_side_at_all_fails(honest, tmp_path):
    assert differences(honest / "root", tmp_path / "nothing") == ["there is no metadata database"]
    with pytest.raises(AssertionError, match="no metadata database"):
        assert_nothing_lost(honest / "root", tmp_path / "nothing")


def test_reading_both_sides_changes_nothing(honest):
    before = snapshot(honest)
    old_facts(honest / "root")
    new_facts(honest / "home")
    assert changes(before, snapshot(honest)) == []


@pytest.mark.parametrize("catalogs", [*[(name,) for name in CATALOGS], CATALOGS])
def test_a_seed_builds_the_same_rows_again(tmp_path, catalogs):
    for name in "ab":
        build_old_store(tmp_path / name, shapes=ALL - {"no_checksum"}, catalogs=catalogs, seed=7)
    assert old_facts(tmp_path / "a") == old_facts(tmp_path / "b")
    assert old_bars(tmp_path / "a") == old_bars(tmp_path / "b")
    logs = [line for line in changes(contents(tmp_path / "a"), contents(tmp_path / "b")) if "-wal " not in line]
    assert logs == []
    build_old_store(tmp_path / "c", shapes=frozenset({"bars"}), seed=8)
    assert old_facts(tmp_path / "a") != old_facts(tmp_path / "c")


def test_every_catalog_has_its_share_and_all_rows_are_there(tmp_path):
    build_old_store(tmp_path, catalogs=CATALOGS, shapes=WITHOUT_BARS)
    held = {s.path: len(s.tables["bundle_metadata"]) for s in old_facts(tmp_path).sources if s.kind == "data_catalog"}
    assert set(held) == set(CATALOGS)
    assert min(held.values()) > 5


def test_a_log_counts_as_far_as_it_was_committed(tmp_path):
    """Written out by hand: what `leave_in_log` was asked to do."""
    build_old_store(tmp_path, bundles=0, shapes={"write_ahead_log"})
    found = {
        s.old_name: {r["symbol_id"][1] for r in s.tables["symbols"]} for s in old_facts(tmp_path).sources if s.old_name
    }
    assert found == {
        "in-the-log": {1, 2, 3, *range(900, 910)},
        "half-a-log": {1, 2, 3, 900},
        "log-used-twice": {1, 2, 3, *range(901, 930), 990},
        "log-without-rows": {1, 2, 3},
    }
    assert len(list(tmp_path.rglob("metadata.db-wal"))) == 4
    assert not list(tmp_path.rglob("*-shm"))


def test_a_range_of_dates_is_of_local_time(tmp_path):
    """1 March 2023, 00:00, to 6 April 2023, 23:59:59; the clocks changed in between in New York and in Auckland."""
    expected = {
        "America/New_York": (1_677_646_800, 1_680_839_999),
        "Asia/Tokyo": (1_677_596_400, 1_680_793_199),
        "Pacific/Auckland": (1_677_582_000, 1_680_782_399),
    }
    for zone, (start, end) in expected.items():
        build_old_store(tmp_path / zone, bundles=1, shapes=(), zone=zone)
        (row,) = old_facts(tmp_path / zone).rows("date_ranges")
        assert (row["start_date"], row["end_date"]) == (("integer", start), ("integer", end))


def test_a_large_root_has_as_many_rows_as_asked_for(tmp_path):
    build_large(tmp_path, bundles=12, symbols=5)
    old = old_facts(tmp_path)
    assert len(old.bundles) == 12
    assert len({row["cache_key"] for row in old.rows("cache_entries")}) == 60
    assert len(list(old.rows("symbols"))) == 60
    assert len(list(old.rows("data_quality_metrics"))) == 24


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("us", True), ("it's", True), ("two words", True), ("a.b-c_d", True), ("Zürich", True), ("Zu\u0308rich", True),
        ("_", True), ("", False), (".a", False), ("a.", False), ("a ", False), (" a", False), ("a/b", False),
        ("a@b", False), ('"a"', False), ("con", False), ("LPT1.x", False), ("a\tb", False), ("x" * 100, True),
        ("x" * 101, False), ("東" * 66, True), ("東" * 67, False), ("cache-" + "0" * 24, False), ("-a", False),
    ],
)  # fmt: skip
def test_the_checker_knows_which_names_are_allowed(name, allowed):
    assert is_allowed(name) is allowed


def test_letters_composed_in_another_way_mean_the_folder(tmp_path):
    """A catalog keeps a name as it was typed, a file system may hand it out decomposed."""
    composed, decomposed = "Z\u00fcrich", "Zu\u0308rich"
    store = build_old_store(tmp_path, bundles=0, shapes=())
    store.write_parquet_catalog(store.folder(decomposed), store.parquet_rows(["A"]))
    store.in_catalog(composed)
    old = old_facts(tmp_path)
    assert old.meant(composed) == decomposed
    assert old.meant(decomposed) == decomposed
    assert old.meant("Basel") == "Basel"
    assert old.bundles == {decomposed}
