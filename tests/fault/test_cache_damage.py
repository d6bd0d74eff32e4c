"""Damaged, deleted and unusable caches: the answer is the uncached one, with a warning, and never an error."""

import errno
import json
import logging
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from rustybt.data.bundles import file_reader
from rustybt.data.bundles.metadata_store.database import Database
from rustybt.data.bundles.storage import local
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import NotCoveredError
from tests.fault.cache_checks import RANGE, cache_of, check_ledger, is_uncached_answer
from tests.fault.cache_vendor import EVENING, SYMBOLS, fetches

ROOT = Path(__file__).parents[2]
EIGHT = SYMBOLS[:8]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "fetches"


@pytest.fixture
def warned(caplog):
    """Return the events that were logged as warnings."""
    caplog.set_level(logging.WARNING, logger="rustybt")
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.fixture
def anew(home, log):
    """Open the cache as a new process would."""
    stores = []

    def _anew(**options):
        file_reader.forget_verified()
        stores.append(BundleStore(home, clock=lambda: EVENING))
        return cache_of(stores[-1], log, **options)

    yield _anew
    for store in stores:
        store.close()


@pytest.fixture
def filled(anew, home):
    """Files of a cache that holds eight symbols in several files."""
    cached, _ = anew()
    for at in range(0, 8, 2):
        assert is_uncached_answer(cached, EIGHT[at : at + 2])
    files = files_of(home)
    assert len(files) == 4
    return files


def files_of(home):
    return sorted((home / ".rustybt" / "cache").glob("cache-*/*.parquet"))


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(bytes(data))


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "truncated": truncate,
    "flipped": flip,
    "emptied": lambda path: path.write_bytes(b""),
    "deleted": Path.unlink,
    "of-another-symbol": lambda path: shutil.copy(next(p for p in files_of(path.parents[3]) if p != path), path),
    "a-folder": replace_by_folder,
}


def exchange(home, chance, ways, number):
    """Put a damaged copy in the place of some file, or nothing."""
    copy = home / f"damaged-{number}"
    with suppress(FileNotFoundError):  # it was dropped meanwhile
        path = chance.choice([path for path in files_of(home) if path.stat().st_size] or [copy])
        shutil.copy(path, copy)
        if copy.stat().st_size:
            chance.choice(ways)(copy)
        copy.replace(path) if copy.exists() else path.unlink()
    copy.unlink(missing_ok=True)


class TestFiles:
    @pytest.mark.parametrize("damage", DAMAGES)
    @pytest.mark.parametrize("is_open", [True, False])
    def test_one_damaged_file_is_fetched_again_and_no_other(self, anew, filled, home, log, warned, damage, is_open):
        cached, _ = anew()
        if is_open:
            # Its checksum was found right in this very process.
            assert is_uncached_answer(cached, EIGHT)
        before = len(fetches(log))
        DAMAGES[damage](filled[1])
        assert is_uncached_answer(cached, EIGHT)
        assert len(fetches(log)) == before + (8 if damage == "a-folder" else 2)
        assert warned()
        if damage == "a-folder":
            filled[1].rmdir()
        made = len(fetches(log))
        again, _ = anew()
        assert is_uncached_answer(again, EIGHT)
        assert is_uncached_answer(anew()[0], EIGHT)
        assert len(fetches(log)) == made + (2 if damage == "a-folder" else 0)
        check_ledger(home)

    def test_all_files_damaged_at_once(self, anew, filled, home, warned):
        for path, damage in zip(filled, (truncate, flip, Path.unlink, flip), strict=True):
            damage(path)
        cached, vendor = anew()
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 8
        assert "cache_file_dropped" in warned()
        check_ledger(home)

    def test_offline_a_damaged_file_is_named_as_missing_and_not_asked_for(self, anew, filled):
        flip(filled[0])
        cached, vendor = anew(offline=True)
        with pytest.raises(NotCoveredError) as caught:
            cached.fetch_sync(EIGHT, *RANGE)
        assert len(caught.value.details["missing"]) == 2
        assert vendor.made == 0

    def test_a_file_that_is_damaged_each_time_it_is_read_is_answered_past_the_cache(
        self, anew, filled, warned, monkeypatch
    ):
        real = local.LocalStorage.open
        monkeypatch.setattr(local.LocalStorage, "open", lambda storage, key: real(storage, key)[:-1])
        monkeypatch.setattr(file_reader, "_verified", {})
        cached, _ = anew()
        assert is_uncached_answer(cached, EIGHT)
        assert warned()

    @pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.EMFILE])
    def test_files_that_cannot_be_opened_are_answered_past_the_cache_and_kept(
        self, anew, filled, home, warned, monkeypatch, code
    ):
        def refuse(path):
            raise OSError(code, os.strerror(code), str(path))

        cached, vendor = anew()
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", refuse)
            assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 8
        assert "cache_unavailable" in warned()
        assert set(filled) <= set(files_of(home))
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 8

    def test_readers_go_on_while_files_are_damaged(self, processes, filled, home, log, tmp_path):
        """Files are exchanged whole, as a disk that rots or somebody who tidies up does: what is mapped stays what it was."""
        outs = [tmp_path / f"reader-{number}" for number in range(3)]
        groups = [EIGHT, EIGHT[2:5], EIGHT[5:]]
        readers = [
            processes.start(action="read_for_ever", home=home, log=log, out=out, groups=groups, range=RANGE)
            for out in outs
        ]
        chance = random.Random(5)
        ways = [flip, truncate, lambda path: path.write_bytes(b""), Path.unlink]
        deadline = time.monotonic() + 60
        rounds = 0
        while time.monotonic() < deadline and (
            rounds < 20 or not all(out.exists() and len(out.read_text().splitlines()) > 3 for out in outs)
        ):
            rounds += 1
            exchange(home, chance, ways, rounds)
            time.sleep(0.02)
        assert [processes.kill(reader) for reader in readers] == [-9, -9, -9]
        for out in outs:
            assert set(out.read_text().splitlines()) == {"round"}


class TestFolders:
    def test_a_deleted_folder_is_made_again(self, anew, filled, home, warned):
        cached, vendor = anew()
        assert is_uncached_answer(cached, EIGHT)
        shutil.rmtree(home / ".rustybt" / "cache")
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 8
        assert is_uncached_answer(anew()[0], EIGHT)
        assert vendor.made == 8
        check_ledger(home)

    def test_a_deleted_home_is_made_again(self, anew, filled, home):
        cached, vendor = anew()
        assert is_uncached_answer(cached, EIGHT)
        shutil.rmtree(home)
        assert is_uncached_answer(cached, EIGHT)
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 8
        check_ledger(home)

    @pytest.mark.parametrize("which", ["home", ".rustybt", "cache", "dataset"])
    def test_a_file_in_place_of_a_folder(self, anew, filled, home, warned, which):
        cached, _ = anew()
        folder = {
            "home": home, ".rustybt": home / ".rustybt", "cache": home / ".rustybt/cache", "dataset": filled[0].parent
        }[which]  # fmt: skip
        kept = home.with_name("kept")
        folder.rename(kept)
        folder.write_text("not a folder")
        for _ in range(2):
            assert is_uncached_answer(cached, EIGHT)
            assert is_uncached_answer(anew()[0], EIGHT[::-1])
        assert "cache_unavailable" in warned()
        assert folder.read_text() == "not a folder"
        folder.unlink()
        kept.rename(folder)
        assert is_uncached_answer(anew()[0], EIGHT)

    def test_a_link_to_a_folder_elsewhere_is_followed_and_nothing_else_there_is_touched(
        self, anew, home, tmp_path, log
    ):
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "precious.parquet").write_text("mine")
        (home / ".rustybt").mkdir(parents=True)
        (home / ".rustybt" / "cache").symlink_to(elsewhere)
        cached, vendor = anew()
        assert is_uncached_answer(cached, EIGHT)
        assert is_uncached_answer(anew()[0], EIGHT)
        assert vendor.made == 8
        cached.cache.clean(everything=True)
        assert (elsewhere / "precious.parquet").read_text() == "mine"
        assert is_uncached_answer(cached, EIGHT)

    def test_a_link_to_nowhere(self, anew, home, warned):
        (home / ".rustybt").mkdir(parents=True)
        (home / ".rustybt" / "cache").symlink_to(home / "nowhere")
        cached, _ = anew()
        for _ in range(2):
            assert is_uncached_answer(cached, EIGHT)

    def test_a_link_in_place_of_a_file_is_believed_only_with_the_right_bytes(self, anew, filled, tmp_path, home):
        secret = tmp_path / "secret"
        secret.write_text("something else")
        filled[0].unlink()
        filled[0].symlink_to(secret)
        cached, vendor = anew()
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 2
        assert secret.read_text() == "something else"
        assert not filled[0].is_symlink()


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


class TestNoRoom:
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
    def test_a_file_that_cannot_be_written(self, anew, home, warned, monkeypatch, code):
        def refuse(_):
            raise OSError(code, os.strerror(code))

        cached, vendor = anew()
        assert is_uncached_answer(cached, EIGHT[:2])
        with monkeypatch.context() as patch:
            patch.setattr(local, "sync_file", refuse)
            assert is_uncached_answer(cached, EIGHT)
            assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 2 + 6 + 6
        assert "cache_unavailable" in warned()
        assert is_uncached_answer(cached, EIGHT)
        assert is_uncached_answer(anew()[0], EIGHT)
        assert vendor.made == 2 + 6 + 6 + 6
        assert not list((home / ".rustybt/cache").rglob(".tmp-*"))
        check_ledger(home)

    @pytest.mark.parametrize(
        "text", ["database or disk is full", "disk I/O error", "attempt to write a readonly database"]
    )
    def test_rows_that_cannot_be_written(self, anew, home, warned, monkeypatch, text):
        from rustybt.data.bundles.metadata_store import cache as sql

        def refuse(*_):
            raise sqlite3.OperationalError(text)

        cached, vendor = anew()
        with monkeypatch.context() as patch:
            patch.setattr(sql, "save_series", refuse)
            assert is_uncached_answer(cached, EIGHT)
        assert "cache_unavailable" in warned()
        assert files_of(home) == []
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 16
        check_ledger(home)


#: Asks for what is there, for what is not, and for both; says what was asked of the vendor and what was warned of.
ASK = """
import json, logging, sys
events = []
class Keep(logging.Handler):
    def emit(self, record):
        events.append(record.getMessage())
logging.getLogger("rustybt").addHandler(Keep(logging.WARNING))
from rustybt.data.bundles.store import BundleStore
from tests.fault.cache_checks import cache_of, is_uncached_answer
from tests.fault.cache_vendor import EVENING, SYMBOLS
home, cache_dir, log = sys.argv[1:]
store = BundleStore(home, clock=lambda: EVENING)
cached, vendor = cache_of(store, log, cache_dir=cache_dir or None)
right = [is_uncached_answer(cached, SYMBOLS[a:b]) for a, b in ((0, 4), (8, 12), (0, 12), (20, 50))]
made = vendor.made
right += [is_uncached_answer(cached, SYMBOLS[0:4])]
store.counters.flush_quietly()
store.close()
print(json.dumps({"right": right, "made": made, "again": vendor.made - made, "events": sorted(set(events))}))
"""


class TestMounts:
    """File systems that are full or read-only for real."""

    def ask(self, prefix, home, cache_dir, log):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*prefix, sys.executable, "-c", ASK, str(home), str(cache_dir), str(log)],
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def test_a_read_only_home_serves_what_it_has_and_the_rest_uncached(self, anew, filled, home, log, in_namespace):
        anew()[0].close()
        prefix = in_namespace(f"mount --bind '{home}' '{home}' && mount -o remount,ro,bind '{home}'")
        said = self.ask(prefix, home, "", log)
        assert said["right"] == [True] * 5
        assert (said["made"], said["again"]) == (4 + 4 + 30, 0)
        assert "cache_unavailable" in said["events"]

    def test_a_home_that_is_read_only_from_the_beginning(self, home, log, in_namespace):
        home.mkdir()
        prefix = in_namespace(f"mount --bind '{home}' '{home}' && mount -o remount,ro,bind '{home}'")
        said = self.ask(prefix, home, "", log)
        assert said["right"] == [True] * 5
        assert (said["made"], said["again"]) == (4 + 4 + 12 + 30, 4)
        assert "cache_unavailable" in said["events"]

    def test_a_read_only_cache_folder(self, home, tmp_path, log, in_namespace):
        folder = tmp_path / "cache folder"
        with BundleStore(home, clock=lambda: EVENING) as store:
            assert is_uncached_answer(cache_of(store, log, cache_dir=folder)[0], EIGHT)
        prefix = in_namespace(f"mount --bind '{folder}' '{folder}' && mount -o remount,ro,bind '{folder}'")
        said = self.ask(prefix, home, folder, log)
        assert said["right"] == [True] * 5
        assert (said["made"], said["again"]) == (4 + 4 + 30, 0)
        assert "cache_unavailable" in said["events"]

    @pytest.mark.parametrize("kilobytes", [64, 400])
    def test_a_full_disk(self, home, tmp_path, log, in_namespace, kilobytes):
        home.mkdir()
        said = self.ask(in_namespace(f"mount -t tmpfs -o size={kilobytes}k tmpfs '{home}'"), home, "", log)
        assert said["right"] == [True] * 5
        assert "cache_unavailable" in said["events"]

    def test_a_full_cache_folder(self, home, tmp_path, log, in_namespace):
        folder = tmp_path / "small"
        folder.mkdir()
        said = self.ask(in_namespace(f"mount -t tmpfs -o size=128k tmpfs '{folder}'"), home, folder, log)
        assert said["right"] == [True] * 5
        assert "cache_unavailable" in said["events"]


class TestNames:
    @pytest.mark.parametrize(
        "name", ["../../outside", "/etc/outside", "a/../../outside", "..", "con", "x\\..\\y", "~root"]
    )
    def test_names_that_would_leave_the_folder_stay_inside(self, home, tmp_path, log, name, monkeypatch):
        from tests.fault import cache_vendor

        (tmp_path / "outside").write_text("mine")
        before = {path for path in tmp_path.rglob("*") if home not in path.parents}
        monkeypatch.setattr(cache_vendor, "SYMBOLS", [*SYMBOLS, name])
        monkeypatch.setattr(cache_vendor.Vendor, "name", name)
        with BundleStore(home, clock=lambda: EVENING) as store:
            cached, vendor = cache_of(store, log)
            monkeypatch.setattr(cache_vendor, "series", _numbered(cache_vendor.series, name))
            assert is_uncached_answer(cached, [SYMBOLS[0], name])
            assert is_uncached_answer(cached, [SYMBOLS[0], name])
            assert vendor.made == 2
            cached.cache.clean(symbols=[name])
            assert is_uncached_answer(cached, [SYMBOLS[0], name])
            assert vendor.made == 3
        after = {path for path in tmp_path.rglob("*") if home not in path.parents}
        assert after <= before | {home, log}
        assert not Path("/etc/outside").exists()


def _numbered(real, name):
    def series(symbol, *rest):
        if symbol != name:
            return real(symbol, *rest)
        import polars as pl

        return real("S059", *rest).with_columns(pl.lit(name).alias("symbol"))

    return series


def test_threads_of_one_process_read_while_another_damages(anew, filled, home):
    """The same in one process, which remembers which files it has checked."""
    cached, _ = anew()
    wrong, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                if not is_uncached_answer(cached, EIGHT):
                    wrong.append("answer")
            except Exception as error:  # noqa: BLE001  whatever it is
                wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    chance = random.Random(8)
    for number in range(20):
        exchange(home, chance, [flip, truncate], number)
        time.sleep(0.03)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
