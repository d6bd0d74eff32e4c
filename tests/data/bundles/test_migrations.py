import sqlite3

import pytest

from rustybt.data.bundles.metadata_store.database import Database
from rustybt.data.bundles.metadata_store.migrations import MIGRATIONS, Migration, migrate, schema_version
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import SchemaVersionError
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

SECOND = Migration(
    2, "colours", lambda connection: connection.exec_driver_sql("ALTER TABLE bundle_tags ADD COLUMN colour TEXT")
)
NEXT = (*MIGRATIONS, SECOND)


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
        assert schema_version(connection) == 2
        assert connection.exec_driver_sql("SELECT tag, colour FROM bundle_tags").all() == [("golden", None)]
        assert connection.exec_driver_sql(
            "SELECT version, description, applied_at FROM schema_migrations WHERE version = 2"
        ).all() == [(2, "colours", 123)]
    database.close()
    assert columns(old_home)[1] == 2


def test_a_step_that_fails_leaves_the_database_as_it_was(old_home):
    def fail(connection):
        connection.exec_driver_sql("ALTER TABLE bundle_tags ADD COLUMN colour TEXT")
        raise RuntimeError("no")

    database = Database(old_home, migrations=(*MIGRATIONS, Migration(2, "bad", fail)))
    with pytest.raises(RuntimeError), database.write():
        pass
    assert columns(old_home) == (["bundle_name", "tag", "version", "created_at"], 1) or columns(old_home)[1] == 1
    assert "colour" not in columns(old_home)[0]
    with BundleStore(old_home) as store:
        assert store.tags("us") == {"golden": 1}


def test_a_new_home_walks_all_steps(tmp_path):
    database = Database(tmp_path, migrations=NEXT)
    with database.write() as connection:
        assert connection.exec_driver_sql("SELECT version FROM schema_migrations ORDER BY version").scalars().all() == [
            1,
            2,
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
            with pytest.raises(SchemaVersionError, match="schema version 2, this rustybt knows up to 1") as caught:
                use()
            assert caught.value.exit_code == 6
            assert "pip install --upgrade" in caught.value.hint
    assert (old_home / ".rustybt" / "metadata.sqlite").read_bytes() == before
