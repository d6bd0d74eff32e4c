"""Old databases are read without a byte written beside them, and say what SQLite itself says they do."""

import random
import sqlite3
from contextlib import closing

import pytest

from rustybt.data.bundles.metadata_store.old_catalogs import OldDatabase
from rustybt.errors import ConflictError, CorruptBundleError
from tests.migration.damage import DAMAGES, leave_half_a_write, locked
from tests.migration.old_store import WITHOUT_BARS, build_old_store
from tests.migration.old_tables import leave_in_log
from tests.migration.snapshot import changes, snapshot
from tests.migration.truth import opened, quoted


def by_sqlite(path):
    """Return the rows of every table, read from a copy with the log beside it."""
    with opened(path) as connection:
        connection.text_factory = bytes
        names = [name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: connection.execute(f"SELECT * FROM {quoted(name)}").fetchall() for name in names}
    # Bytes are what text and BLOB have in common; the other types show themselves.
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def by_us(path):
    with OldDatabase(path) as database:
        found = {name: list(database.values(name)) for name in database.tables()}
    plain = {
        name: [tuple(v.encode() if isinstance(v, str) else v for v in row) for row in rows]
        for name, rows in found.items()
    }
    return {name: sorted(rows, key=repr) for name, rows in plain.items()}


def test_every_database_of_every_shape_says_the_same(root):
    store = build_old_store(root, shapes=WITHOUT_BARS)
    before = snapshot(root)
    for path in [*store.catalogs, *store.databases]:
        assert by_us(path) == by_sqlite(path), path
    assert changes(before, snapshot(root)) == []


@pytest.mark.parametrize("page_size", [512, 4_096, 65_536])
def test_a_log_that_ends_anywhere_counts_as_far_as_sqlite_reads_it(tmp_path, page_size):
    """Commits that add, change, grow and shrink the database, and the log cut or spoiled at any byte."""
    path, chance = tmp_path / "metadata.db", random.Random(page_size)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute("PRAGMA auto_vacuum = FULL")
        connection.execute("CREATE TABLE symbols (symbol_id INTEGER PRIMARY KEY, symbol TEXT)")
        connection.executemany("INSERT INTO symbols VALUES (?, ?)", [(at, f"S{at}" * 40) for at in range(60)])
    statements = [
        f"INSERT INTO symbols VALUES (100, '{'new' * 400}')",
        "UPDATE symbols SET symbol = symbol || '!' WHERE symbol_id < 9",
        "DELETE FROM symbols WHERE symbol_id BETWEEN 20 AND 50",
        f"INSERT INTO symbols VALUES (101, '{'more' * 900}')",
        "DELETE FROM symbols WHERE symbol_id = 100",
    ]
    leave_in_log(path, statements, stale=["UPDATE symbols SET symbol = symbol || '?'"])
    log = path.with_name("metadata.db-wal")
    whole = log.read_bytes()
    assert by_us(path) == by_sqlite(path)
    seen = set()
    for at in sorted(chance.randrange(len(whole)) for _ in range(40)):
        for spoiled in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]):
            log.write_bytes(spoiled)
            expected = by_sqlite(path)
            assert by_us(path) == expected, (at, len(spoiled) == at)
            seen.add(repr(expected))
    assert len(seen) > 2, "the log was cut where nothing hangs on it"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_is_named(root, damage):
    path = build_old_store(root, shapes=()).databases[0]
    DAMAGES[damage](path)
    with pytest.raises(CorruptBundleError) as caught:
        by_us(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize("in_log", [False, True])
def test_a_locked_database_is_named(root, in_log):
    path = build_old_store(root, shapes=()).databases[0]
    with locked(path, in_log=in_log):
        if in_log:
            # A log keeps readers free: what was committed is there.
            with OldDatabase(path, patience_seconds=0.1) as database:
                assert len(list(database.rows("symbols"))) == 3
            return
        with pytest.raises(ConflictError) as caught, OldDatabase(path, patience_seconds=0.1) as database:
            list(database.rows("symbols"))
    assert str(path) in caught.value.message


def test_a_write_that_was_cut_off_is_refused(root):
    """SQLite takes it back at the next opening, which would change the file; read without that it would be half done."""
    path = build_old_store(root, shapes=(), bundles=1, symbols=2_000).databases[0]
    was = by_sqlite(path)
    leave_half_a_write(path, f"UPDATE symbols SET symbol = '{'x' * 300}'")
    before = snapshot(root)
    assert by_sqlite(path) == was
    with pytest.raises(ConflictError) as caught:
        by_us(path)
    assert str(path) in caught.value.message
    assert changes(before, snapshot(root)) == []
