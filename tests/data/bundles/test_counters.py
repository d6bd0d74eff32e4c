"""Statistics of the cache: counted in memory, written in batches, never in anybody's way."""

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading

import pytest
from filelock import FileLock

from rustybt.data.bundles import counters as counters_module
from rustybt.data.bundles.counters import CacheCounters, CacheUse
from rustybt.data.bundles.metadata import BundleMetadata
from rustybt.data.bundles.metadata_store import catalog
from rustybt.data.bundles.metadata_store.database import Database
from rustybt.errors import ConflictError, StorageError

DAY = 86_400
NEVER = 1e6


def query(database, sql, *values):
    connection = sqlite3.connect(f"file:{database.path}?mode=ro", uri=True)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


@pytest.fixture
def database(home):
    opened = Database(home)
    with opened.write():
        pass
    yield opened
    opened.close()


@pytest.fixture
def counters(database):
    """Counters that write only when told to, on the fourth day of 1970."""
    return CacheCounters(database, clock=lambda: 3.0 * DAY + 5, flush_seconds=NEVER)


@pytest.fixture
def written(monkeypatch, database):
    """Set when whichever thread has written a batch of this home; other tests' threads may still be at theirs."""
    done, real = threading.Event(), CacheCounters._write

    def write(counters, *given):
        real(counters, *given)
        if counters._database is database:
            done.set()

    monkeypatch.setattr(CacheCounters, "_write", write)
    return done


def totals(database):
    return query(database, "SELECT source, sum(hits), sum(misses) FROM cache_usage GROUP BY source ORDER BY source")


class TestWhatIsWritten:
    def test_uses_are_added_up_by_day_and_source(self, counters, database):
        counters.record(CacheUse("yfinance", hits=1, rows_cached=10, bytes_cached=480, requests_saved=2))
        counters.record(CacheUse("yfinance", hits=1, rows_cached=5, bytes_cached=240, stale_served=1))
        counters.record(CacheUse("ccxt", misses=1, rows_fetched=7, requests_made=3, revisions=4))
        counters.record(CacheUse("ccxt", evicted_files=2, evicted_bytes=900))
        counters.flush()
        counters.record(CacheUse("yfinance", partial_hits=1, rows_cached=1, bytes_cached=48, requests_made=1))
        counters.flush()
        with database.read() as connection:
            ccxt, yahoo = catalog.cache_usage(connection)
        nothing = dict.fromkeys([*CacheUse.__slots__][1:], 0)
        assert ccxt == {
            **nothing,
            "stat_date": 3 * DAY,
            "source": "ccxt",
            "misses": 1,
            "rows_fetched": 7,
            "requests_made": 3,
            "revisions": 4,
            "evicted_files": 2,
            "evicted_bytes": 900,
        }
        assert yahoo == {
            **nothing,
            "stat_date": 3 * DAY,
            "source": "yfinance",
            "hits": 2,
            "partial_hits": 1,
            "rows_cached": 16,
            "bytes_cached": 768,
            "requests_made": 1,
            "requests_saved": 2,
            "stale_served": 1,
        }

    def test_the_days_of_the_original_design_count_partial_hits_as_misses(self, counters, database):
        counters.record(CacheUse("a", hits=2))
        counters.record(CacheUse("b", partial_hits=1))
        counters.record(CacheUse("a", misses=1))
        counters.hit(3)
        counters.miss()
        counters.flush()
        assert query(database, "SELECT stat_date, hit_count, miss_count FROM cache_statistics") == [(3 * DAY, 5, 3)]

    def test_the_mean_time_of_a_fetch_is_weighted_by_fetches(self, counters, database):
        latency = "SELECT avg_fetch_latency_ms FROM cache_statistics"
        counters.record(CacheUse("a", misses=1, fetch_seconds=0.5, fetches=1))
        counters.flush()
        assert query(database, latency) == [(500.0,)]
        counters.record(CacheUse("b", misses=1, fetch_seconds=3.0, fetches=3))
        counters.flush()
        # 3.5 s of four fetches.
        assert query(database, latency) == [(875.0,)]
        counters.record(CacheUse("a", hits=1))
        counters.flush()
        assert query(database, latency) == [(875.0,)]

    def test_the_size_is_that_of_the_cache_when_it_is_written(self, counters, database):
        with database.write() as connection:
            connection.exec_driver_sql(
                "INSERT INTO bundle_metadata (bundle_name, calendar_name, start_session, end_session, created_at, updated_at, "
                "folded_name) VALUES ('us', 'XNYS', 0, 0, 0, 0, 'us')"
            )
            for key, size in (("k", 2**20), ("l", 2**19)):
                connection.exec_driver_sql(
                    f"INSERT INTO bundle_cache VALUES ('{key}', 'us', 'a.parquet', 1, 2, 3, {size:d})"
                )
        counters.record(CacheUse("a", hits=1))
        counters.flush()
        assert query(database, "SELECT total_size_mb FROM cache_statistics") == [(1.5,)]
        with database.write() as connection:
            connection.exec_driver_sql("DELETE FROM bundle_cache WHERE cache_key = 'k'")
        counters.record(CacheUse("a", hits=1))
        counters.flush()
        assert query(database, "SELECT total_size_mb FROM cache_statistics") == [(0.5,)]

    def test_each_day_has_its_own_row_and_can_be_asked_for(self, database):
        days = iter([0.0, DAY - 0.1, DAY, 5.0 * DAY + 1])
        counters = CacheCounters(database, clock=lambda: next(days), flush_seconds=NEVER)
        for _ in range(4):
            counters.record(CacheUse("a", hits=1))
        counters.flush()
        with database.read() as connection:
            hits = {since: [(row["stat_date"], row["hits"]) for row in catalog.cache_usage(connection, since)]
                    for since in (None, DAY, 2 * DAY)}  # fmt: skip
        assert hits == {
            None: [(0, 2), (DAY, 1), (5 * DAY, 1)],
            DAY: [(DAY, 1), (5 * DAY, 1)],
            2 * DAY: [(5 * DAY, 1)],
        }
        assert query(database, "SELECT hit_count FROM cache_statistics ORDER BY stat_date") == [(2,), (1,), (1,)]

    def test_a_use_of_nothing_makes_no_row(self, counters, database):
        counters.record(CacheUse("a"))
        counters.flush()
        assert query(database, "SELECT count(*) FROM cache_usage") == [(0,)]


class TestWhenItIsWritten:
    def test_a_thread_writes_what_has_waited_for_so_long(self, database, written):
        counters = CacheCounters(database, flush_seconds=0.0)
        counters.record(CacheUse("a", hits=1))
        assert written.wait(30)
        assert totals(database) == [("a", 1, 0)]

    def test_it_writes_sooner_when_there_is_much(self, database, written):
        counters = CacheCounters(database, flush_seconds=NEVER)
        for _ in range(counters_module.FLUSH_COUNT - 1):
            counters.record(CacheUse("a", hits=1))
        assert query(database, "SELECT count(*) FROM cache_usage") == [(0,)]
        counters.record(CacheUse("a", hits=1))
        assert written.wait(30)
        assert totals(database) == [("a", counters_module.FLUSH_COUNT, 0)]

    def test_counting_goes_on_after_the_thread_has_come_to_rest(self, database, written):
        counters = CacheCounters(database, flush_seconds=0.0)
        for count in (1, 2, 3):
            written.clear()
            counters.record(CacheUse("a", hits=1))
            assert written.wait(30)
            assert totals(database) == [("a", count, 0)]

    def test_an_interpreter_that_starts_no_more_threads_still_counts(self, counters, database, monkeypatch):
        def refuse(_):
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        counters.record(CacheUse("a", hits=1))
        monkeypatch.undo()
        counters.record(CacheUse("a", hits=1))
        counters.flush()
        assert totals(database) == [("a", 2, 0)]

    def test_nothing_is_written_where_nothing_was_counted(self, home):
        CacheCounters(Database(home)).flush()
        assert not home.exists()

    def test_a_home_that_was_deleted_is_not_made_again(self, counters, database):
        counters.record(CacheUse("a", hits=1))
        database.path.unlink()
        counters.flush_quietly()
        counters.flush()
        assert not database.path.exists()


class TestABusyHome:
    def test_a_held_writers_lock_never_makes_counting_wait(self, database, monkeypatch):
        """While the lock is held, and the thread that writes waits for it, thousands are counted to the end."""
        waiting, real = threading.Event(), Database.locked

        def locked(self, timeout_seconds=None):
            waiting.set()
            return real(self, timeout_seconds)

        monkeypatch.setattr(Database, "locked", locked)
        monkeypatch.setattr(counters_module, "_LOCK_SECONDS", 60.0)
        counters = CacheCounters(database, flush_seconds=0.0)
        counted = threading.Event()
        lock = FileLock(database.folder / "metadata.lock", thread_local=False)
        lock.acquire()
        try:
            counters.record(CacheUse("a", hits=1))
            assert waiting.wait(30)

            def count():
                for _ in range(3 * counters_module.FLUSH_COUNT):
                    counters.record(CacheUse("a", hits=1))
                counted.set()

            threading.Thread(target=count, daemon=True).start()
            assert counted.wait(30)
            assert query(database, "SELECT count(*) FROM cache_usage") == [(0,)]
        finally:
            lock.release()
        counters.flush()
        assert totals(database) == [("a", 3 * counters_module.FLUSH_COUNT + 1, 0)]

    def test_what_could_not_be_written_stays_counted(self, database, counters):
        with FileLock(database.folder / "metadata.lock"):
            counters.record(CacheUse("a", hits=1, fetch_seconds=0.25, fetches=1))
            counters.accessed("k")
            counters.flush_quietly(lock_seconds=0.0)
            counters.record(CacheUse("a", hits=1, fetch_seconds=0.75, fetches=1))
            counters.accessed("k")
            counters.hit(3)
        assert query(database, "SELECT count(*) FROM cache_usage") == [(0,)]
        counters.flush()
        counters.flush()
        assert query(database, "SELECT hits, fetch_seconds, fetches FROM cache_usage") == [(2, 1.0, 2)]
        assert query(database, "SELECT hit_count, miss_count FROM cache_statistics") == [(5, 0)]

    def test_the_thread_tries_again(self, database, written, monkeypatch):
        tries, real = [], Database.write

        def write(self, **given):
            if self is not database:
                return real(self, **given)
            tries.append(given["lock_timeout_seconds"])
            if len(tries) < 3:
                raise ConflictError("busy")
            return real(self, **given)

        monkeypatch.setattr(Database, "write", write)
        CacheCounters(database, flush_seconds=0.0).record(CacheUse("a", hits=1))
        assert written.wait(30)
        assert tries == [counters_module._LOCK_SECONDS] * 3
        assert totals(database) == [("a", 1, 0)]

    def test_who_asks_for_it_is_told_that_it_failed(self, counters, monkeypatch):
        def refuse(*_, **__):
            raise StorageError("read-only")

        monkeypatch.setattr(Database, "write", refuse)
        counters.hit(3)
        counters.flush_quietly()
        with pytest.raises(StorageError):
            counters.flush()
        monkeypatch.undo()
        counters.flush()
        assert query(counters._database, "SELECT hit_count FROM cache_statistics") == [(3,)]


class TestManyAtOnce:
    def test_a_home_has_one_counter_in_a_process(self, home, tmp_path):
        one = CacheCounters.of(Database(home))
        assert CacheCounters.of(Database(home)) is one
        (tmp_path / "link").symlink_to(home)
        assert CacheCounters.of(Database(tmp_path / "link")) is one
        assert CacheCounters.of(Database(tmp_path / "other")) is not one

    def test_the_catalog_under_its_old_names_counts_with_it(self, database):
        BundleMetadata.use(database.home)
        try:
            CacheCounters.of(database).record(CacheUse("a", hits=1, misses=1))
            BundleMetadata.increment_hit_count(2)
            (day,) = BundleMetadata.get_cache_statistics()
            assert (day["hit_count"], day["miss_count"]) == (3, 1)
        finally:
            BundleMetadata.use(None)

    def test_threads_lose_nothing_while_others_write(self, database):
        counters = CacheCounters(database, flush_seconds=0.0)
        begin = threading.Barrier(3)

        def count():
            begin.wait(30)
            for at in range(2_000):
                counters.record(CacheUse("a", hits=1, misses=2))
                if at % 500 == 0:
                    counters.flush()

        threads = [threading.Thread(target=count) for _ in range(2)]
        for thread in threads:
            thread.start()
        begin.wait(30)
        for thread in threads:
            thread.join()
        counters.flush()
        assert totals(database) == [("a", 4_000, 8_000)]
        assert query(database, "SELECT hit_count, miss_count FROM cache_statistics") == [(4_000, 8_000)]

    def test_two_processes_with_two_threads_each_lose_nothing_at_normal_exit(self, database):
        """Neither flushes: what the end of the program does not write is lost."""
        program = textwrap.dedent(
            """
            import sys, threading
            from pathlib import Path
            from rustybt.data.bundles.counters import CacheCounters, CacheUse
            from rustybt.data.bundles.metadata_store.database import Database

            counters = CacheCounters(Database(Path(sys.argv[1])), flush_seconds=float(sys.argv[2]))
            sys.stdin.readline()

            def count():
                for _ in range(1_500):
                    counters.record(CacheUse("a", hits=1))

            threads = [threading.Thread(target=count) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            """
        )
        # One writes all the time, the other at its end and when there is much.
        running = [
            subprocess.Popen([sys.executable, "-c", program, str(database.home), seconds], stdin=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
            for seconds in ("0", "1000000")
        ]  # fmt: skip
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in running:
            _, complaints = process.communicate(timeout=120)
            assert (process.returncode, complaints) == (0, "")
        assert totals(database) == [("a", 6_000, 0)]


FORKED = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    from rustybt.data.bundles.counters import CacheCounters, CacheUse
    from rustybt.data.bundles.metadata_store.database import Database

    counters = CacheCounters.of(Database(Path(sys.argv[1])))
    counters.record(CacheUse("parent", hits=1))
    (batch,) = counters._batches.values()
    batch.mutex.acquire()  # as a thread of the parent may hold it at that very moment
    child = os.fork()
    if child == 0:
        if sys.argv[2] == "counts":
            counters.record(CacheUse("child", hits=1))
        sys.exit(0)
    batch.mutex.release()
    assert os.waitpid(child, 0)[1] == 0
    """
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
class TestAForkedChild:
    @pytest.mark.parametrize(
        ("does", "expected"), [("nothing", [("parent", 1, 0)]), ("counts", [("child", 1, 0), ("parent", 1, 0)])]
    )
    def test_it_writes_what_it_counted_itself_and_nothing_of_its_parent(self, database, does, expected):
        done = subprocess.run(
            [sys.executable, "-c", FORKED, str(database.home), does], capture_output=True, text=True, timeout=60, check=False
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert totals(database) == expected
        assert query(database, "SELECT sum(hit_count) FROM cache_statistics") == [(len(expected),)]

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_a_worker_of_multiprocessing_loses_nothing_either(self, database, method):
        program = textwrap.dedent(
            f"""
            import multiprocessing, sys
            from pathlib import Path
            from rustybt.data.bundles.counters import CacheCounters, CacheUse
            from rustybt.data.bundles.metadata_store.database import Database

            def work(home):
                CacheCounters.of(Database(Path(home))).record(CacheUse("child", hits=1))

            if __name__ == "__main__":
                CacheCounters.of(Database(Path(sys.argv[1]))).record(CacheUse("parent", hits=1))
                worker = multiprocessing.get_context({method!r}).Process(target=work, args=(sys.argv[1],))
                worker.start()
                worker.join()
                sys.exit(worker.exitcode)
            """
        )
        assert method in multiprocessing.get_all_start_methods()
        file = database.home / "program.py"
        file.write_text(program)
        done = subprocess.run(
            [sys.executable, str(file), str(database.home)], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert totals(database) == [("child", 1, 0), ("parent", 1, 0)]
