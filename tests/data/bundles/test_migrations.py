import sqlite3

import pytest

from rustybt.data.bundles.assets import AssetDB
from rustybt.data.bundles.metadata import BundleMetadata
from rustybt.data.bundles.metadata_store.database import Database
from rustybt.data.bundles.metadata_store.migrations import MIGRATIONS, Migration, migrate, schema_version
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import SchemaVersionError
from rustybt.market.pin import Pin
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

NEWEST = MIGRATIONS[-1].version
LATER = Migration(
    NEWEST + 1,
    "colours",
    lambda connection: connection.exec_driver_sql("ALTER TABLE bundle_tags ADD COLUMN colour TEXT"),
)
NEXT = (*MIGRATIONS, LATER)


@pytest.fixture
def old_home(store):
    store.commit("us", frame_of_bars([("A", "2024-01-02", 1)]), Provenance("test"))
    store.tag("us", "golden")
    store.close()
    return store.home


def columns(home):
    connection = sqlite3.connect(home / ".rustybt" / "metadata.sqlite")
    try:
        return [row[1] for row in connection.execute("PRAGMA table_info(bundle_tags)")], connection.execute(
            "PRAGMA user_version"
        ).fetchone()[0]
    finally:
        connection.close()


@pytest.mark.parametrize("way", ["read", "write"])
def test_an_older_database_is_upgraded_when_it_is_opened(old_home, way):
    database = Database(old_home, migrations=NEXT, clock=lambda: 123.9)
    with getattr(database, way)() as connection:
        assert schema_version(connection) == NEWEST + 1
        assert connection.exec_driver_sql("SELECT tag, colour FROM bundle_tags").all() == [("golden", None)]
        assert connection.exec_driver_sql(
            "SELECT version, description, applied_at FROM schema_migrations ORDER BY version DESC LIMIT 1"
        ).all() == [(NEWEST + 1, "colours", 123)]
    database.close()
    assert columns(old_home)[1] == NEWEST + 1


def test_a_step_that_fails_leaves_the_database_as_it_was(old_home):
    def fail(connection):
        connection.exec_driver_sql("ALTER TABLE bundle_tags ADD COLUMN colour TEXT")
        raise RuntimeError("no")

    database = Database(old_home, migrations=(*MIGRATIONS, Migration(NEWEST + 1, "bad", fail)))
    with pytest.raises(RuntimeError), database.write():
        pass
    assert columns(old_home)[1] == NEWEST
    assert "colour" not in columns(old_home)[0]
    with BundleStore(old_home) as store:
        assert store.tags("us") == {"golden": 1}


def test_a_new_home_walks_all_steps(tmp_path):
    database = Database(tmp_path, migrations=NEXT)
    with database.write() as connection:
        assert connection.exec_driver_sql("SELECT version FROM schema_migrations ORDER BY version").scalars().all() == [
            *range(1, NEWEST + 2)
        ]
        assert migrate(connection, 0, NEXT) == []


def test_a_newer_database_is_left_alone(old_home):
    database = Database(old_home, migrations=NEXT)
    with database.write():
        pass
    before = (old_home / ".rustybt" / "metadata.sqlite").read_bytes()
    with BundleStore(old_home) as store:
        for use in (lambda: store.open("us"), store.list_bundles, store.recover, lambda: store.tag("us", "x"),
                    lambda: store.commit("us", frame_of_bars([("A", "2024-01-02", 2)]), Provenance("test"))):  # fmt: skip
            with pytest.raises(
                SchemaVersionError, match=f"schema version {NEWEST + 1}, this rustybt knows up to {NEWEST}"
            ) as caught:
                use()
            assert caught.value.exit_code == 6
            assert "pip install --upgrade" in caught.value.hint
    assert (old_home / ".rustybt" / "metadata.sqlite").read_bytes() == before


CACHE_TABLES = {
    *("cache_usage", "cache_datasets", "cache_files", "cache_segments", "cache_series", "cache_revisions"),
    "cache_requests",
}  # fmt: skip


def query(home, sql):
    connection = sqlite3.connect(f"file:{home / '.rustybt' / 'metadata.sqlite'}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def tables(home):
    return {name for (name,) in query(home, "SELECT name FROM sqlite_master WHERE type = 'table'")}


def rows(home):
    """Return every row of every table, but for what says how old the tables are."""
    later = {name for name in tables(home) if name.startswith(("migrated_", "migration_"))}
    names = tables(home) - CACHE_TABLES - later - {"schema_migrations"}
    return {name: query(home, f"SELECT * FROM {name} ORDER BY rowid") for name in names}


@pytest.fixture
def first_home(home):
    """A home of the first schema, with a bundle, a tag and statistics in it."""
    with BundleStore(home) as store:
        store.database = Database(home, migrations=MIGRATIONS[:1])
        store.asset_db = AssetDB(store.database)
        store.commit("us", frame_of_bars([("A", "2024-01-02", 1), ("B", "2024-01-02", 2)]), Provenance("test"))
        store.tag("us", "golden")
        with store.database.write() as connection:
            connection.exec_driver_sql("INSERT INTO cache_statistics VALUES (86400, 7, 2, 1.5, 20.0)")
            connection.exec_driver_sql("INSERT INTO bundle_cache VALUES ('k', 'us', 'a.parquet', 1, 2, 3, 4)")
        store.database.close()
    assert query(home, "PRAGMA user_version") == [(1,)]
    assert not tables(home) & CACHE_TABLES
    return home


@pytest.mark.parametrize("way", ["read", "write"])
def test_a_database_of_the_first_schema_walks_to_the_newest_and_keeps_its_rows(first_home, way):
    before = rows(first_home)
    assert before["cache_statistics"] == [(86400, 7, 2, 1.5, 20.0)]
    database = Database(first_home)
    with getattr(database, way)() as connection:
        assert schema_version(connection) == NEWEST
    database.close()
    assert rows(first_home) == before
    assert "cache_usage" in tables(first_home)
    assert query(first_home, "SELECT count(*) FROM cache_usage") == [(0,)]
    with BundleStore(first_home) as store:
        assert store.open("us").read().height == 2
        assert store.tags("us") == {"golden": 1}
        BundleMetadata.use(store)
        try:
            (day,) = BundleMetadata.get_cache_statistics()
            assert (day["hit_count"], day["avg_fetch_latency_ms"]) == (7, 20.0)
            assert BundleMetadata.find_cached("k") == "us"
        finally:
            BundleMetadata.use(None)


def test_a_database_that_walked_has_the_tables_and_columns_of_a_new_one(first_home, tmp_path):
    for home in (first_home, tmp_path / "new"):
        database = Database(home)
        with database.write():
            pass
        database.close()
    shape = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    assert query(first_home, shape) == query(tmp_path / "new", shape)


#: As releases of the second schema made it: a result could depend on one bundle only.
SECOND_SAVED_RESULTS = """
DROP TABLE saved_results;
CREATE TABLE saved_results (
    path TEXT NOT NULL, bundle_name TEXT NOT NULL, version INTEGER NOT NULL, content_hash VARCHAR(64) NOT NULL,
    saved_at INTEGER NOT NULL, PRIMARY KEY (path)
);
CREATE INDEX idx_saved_results_bundle ON saved_results (bundle_name, version);
INSERT INTO saved_results VALUES ('/results/ma', 'us', 1, 'abc', 1700000000);
DELETE FROM schema_migrations WHERE version > 2;
PRAGMA user_version = 2;
"""


@pytest.fixture
def second_home(old_home):
    connection = sqlite3.connect(old_home / ".rustybt" / "metadata.sqlite")
    connection.executescript(SECOND_SAVED_RESULTS)
    connection.close()
    return old_home


def test_saved_results_of_the_second_schema_stay_and_may_then_depend_on_several_bundles(second_home):
    with BundleStore(second_home) as store:
        store.commit("crypto", frame_of_bars([("BTC", "2024-01-02", 1)]), Provenance("test"), calendar="24/7")
        assert query(second_home, "SELECT * FROM saved_results") == [("/results/ma", "us", 1, "abc", 1_700_000_000)]
        store.record_result("/results/ma", Pin.joined([store.open("us").pin, store.open("crypto").pin]))
    assert query(second_home, "SELECT path, bundle_name, version FROM saved_results ORDER BY bundle_name") == [
        ("/results/ma", "crypto", 1),
        ("/results/ma", "us", 1),
    ]


def test_a_database_that_walked_from_the_second_schema_is_like_a_new_one(second_home, tmp_path):
    for home in (second_home, tmp_path / "new"):
        database = Database(home)
        with database.write():
            pass
        database.close()
    shape = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    assert query(second_home, shape) == query(tmp_path / "new", shape)
