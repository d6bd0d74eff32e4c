"""A ledger that rots: what is not what was written is not known."""

import random
import sqlite3
from pathlib import Path

import pytest

from rustybt.data.bundles.metadata_store.database import Database
from tests.fault.cache_checks import is_uncached_answer
from tests.fault.cache_damage.damages import EIGHT, files_of
from tests.fault.cache_vendor import SYMBOLS

CHANGES = [
    "UPDATE cache_files SET file_key = '../../../outside.parquet' WHERE rowid = 1",
    "UPDATE cache_files SET file_key = '/etc/passwd' WHERE rowid = 1",
    "UPDATE cache_files SET first_bar = last_bar",
    "UPDATE cache_files SET last_bar = first_bar",
    "UPDATE cache_files SET last_symbol = first_symbol",
    "UPDATE cache_files SET first_bar = 'x'",
    "UPDATE cache_files SET size_bytes = 'x'",
    "UPDATE cache_files SET dataset = 'cache-x'",
    "UPDATE cache_files SET sha256 = upper(sha256)",
    "DELETE FROM cache_files WHERE rowid = 2",
    "DELETE FROM bundle_cache WHERE rowid = 2",
    "UPDATE bundle_cache SET size_bytes = 'x', last_accessed = 'y'",
    "UPDATE cache_series SET segments = replace(segments, 'present', 'presenu')",
    "UPDATE cache_series SET segments = '[]'",
    "UPDATE cache_series SET facts = '{}'",
    "UPDATE cache_series SET symbol = symbol || 'x'",
    "UPDATE cache_series SET seal = ''",
    "UPDATE cache_series SET generation = 'x'",
    "UPDATE cache_datasets SET generation = 0",
    "UPDATE cache_datasets SET generation = 'x'",
    "UPDATE cache_datasets SET identity = 'x', source = 'y', cache_dir = 'z'",
    "DELETE FROM cache_datasets",
    "DROP TABLE cache_series",
    "DROP TABLE cache_files",
    "DROP TABLE bundle_cache",
    "DROP TABLE cache_usage",
    "DROP TABLE cache_requests",
    "PRAGMA user_version = 77",
    "PRAGMA user_version = 1",
]


class TestTheDatabase:
    @pytest.mark.parametrize("statement", CHANGES)
    def test_rows_that_were_changed_never_give_a_wrong_answer(self, anew, filled, home, tmp_path, statement):
        outside = tmp_path / "outside.parquet"
        outside.write_bytes(b"mine")
        passwd = Path("/etc/passwd").read_bytes()
        connection = sqlite3.connect(home / ".rustybt" / "metadata.sqlite")
        with connection:
            connection.execute(statement)
        connection.close()
        for symbols in (EIGHT[:1], EIGHT[1:4], SYMBOLS[4:12], EIGHT):
            cached, _ = anew()
            assert is_uncached_answer(cached, symbols)
            assert is_uncached_answer(cached, symbols, "2023-05-01", "2023-06-30")
        assert outside.read_bytes() == b"mine"
        assert Path("/etc/passwd").read_bytes() == passwd

    def test_a_flipped_bit_never_gives_a_wrong_answer_or_an_error(self, anew, filled, home, warned):
        flips(anew, home, rounds=12, seed=6)

    @pytest.mark.stress
    @pytest.mark.parametrize("seed", range(4))
    def test_a_hundred_flipped_bits(self, anew, filled, home, seed):
        flips(anew, home, rounds=100, seed=seed)

    @pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + b"\xff" * 5_000])
    def test_something_else_in_its_place(self, anew, filled, home, warned, content):
        for path in (home / ".rustybt").glob("metadata.sqlite*"):
            path.unlink()
        (home / ".rustybt" / "metadata.sqlite").write_bytes(content)
        for _ in range(2):
            assert is_uncached_answer(anew()[0], EIGHT)

    def test_it_is_deleted_under_a_process(self, anew, filled, home):
        cached, vendor = anew()
        assert is_uncached_answer(cached, EIGHT)
        for path in (home / ".rustybt").glob("metadata.sqlite*"):
            path.unlink()
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 8
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 8

    def test_its_lock_is_held_by_another_one_for_too_long(self, anew, home, warned, monkeypatch):
        from filelock import FileLock

        cached, _ = anew()
        monkeypatch.setattr(Database, "locked", _impatient(Database.locked))
        (home / ".rustybt").mkdir(parents=True)
        with FileLock(home / ".rustybt" / "metadata.lock"):
            assert is_uncached_answer(cached, EIGHT)
        assert "cache_unavailable" in warned()
        assert is_uncached_answer(cached, EIGHT)


def _impatient(real):
    return lambda database, seconds=None: real(database, 0.01)


def flips(anew, home, rounds, seed):
    """Flip a bit at a time of a database in which the log is folded in, and ask."""
    path = home / ".rustybt" / "metadata.sqlite"
    anew()[0].close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = path.read_bytes()
    used = [place for place, byte in enumerate(data) if byte]
    chance = random.Random(seed)
    files = {file: file.read_bytes() for file in files_of(home)}
    for _ in range(rounds):
        damaged = bytearray(data)
        place = chance.choice(used)
        damaged[place] ^= 1 << chance.randrange(8)
        for old in (home / ".rustybt").glob("metadata.sqlite*"):
            old.unlink()
        path.write_bytes(bytes(damaged))
        for file, content in files.items():
            file.write_bytes(content)
        for symbols in (EIGHT, [SYMBOLS[3]], SYMBOLS[6:10]):
            cached, _ = anew()
            assert is_uncached_answer(cached, symbols), place
            cached._store.close()
