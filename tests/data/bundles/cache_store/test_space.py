"""Room in a cache: exact after every write, least recently used first, and only in its own directory."""

import os
from pathlib import Path

import pytest

from rustybt.data.bundles.cache_store import Addition
from rustybt.data.bundles.cache_store import ledger as ledgers
from rustybt.data.bundles.counters import CacheCounters
from rustybt.data.bundles.metadata_store import cache as sql
from rustybt.data.bundles.metadata_store import catalog
from rustybt.data.bundles.records import FileRecord
from rustybt.data.bundles.store import BundleStore
from rustybt.data.cache.coverage import Reason, Segment
from rustybt.data.cache.series import Series, SeriesFacts
from rustybt.errors import RequestError, StorageError
from rustybt.market.bars import empty_bars
from tests.data.bundles.cached_days import (
    FETCHED,
    bars_of,
    bytes_on_disk,
    cache_of,
    covered,
    dataset_of,
    files_on_disk,
    read,
    reasons,
    row_of,
    save,
    us,
)


def size_of_one(store):
    """Return the bytes of one file as the tests here save them."""
    probe = cache_of(store, store.home.parent / "probe")
    save(dataset_of(probe, "cache-" + "f" * 24), "A", price="5")
    return bytes_on_disk(probe)


def held(cache, symbols):
    """Return the symbols that are covered."""
    return "".join(s for s in symbols if reasons(dataset_of(cache), s))


class TestEviction:
    def test_the_limit_holds_exactly_after_every_write(self, store):
        cache = cache_of(store, max_size_bytes=20_000)
        dataset = dataset_of(cache)
        for n in range(30):
            save(dataset, "ABCDEFGH"[n % 8], n * 3, 5 + n * 17 % 40)
            assert cache.size_bytes() == bytes_on_disk(cache) <= 20_000
        dataset.compact()
        assert cache.size_bytes() == bytes_on_disk(cache) <= 20_000

    def test_what_was_evicted_is_counted_by_source(self, store, clock):
        size = size_of_one(store)
        cache = cache_of(store, max_size_bytes=2 * size)
        save(dataset_of(cache, source="yfinance"), "A", price="5")
        for symbol in "BCD":
            clock.now += 10
            save(dataset_of(cache, "cache-" + "b" * 24, "ccxt"), symbol, price="5")
        store.counters.flush()
        with store.database.read() as connection:
            rows = [dict(row) for row in catalog.cache_usage(connection, 0)]
        counted = {row["source"]: (row["evicted_files"], row["evicted_bytes"]) for row in rows}
        assert counted == {"yfinance": (1, size), "ccxt": (1, size)}
        assert [(row["hits"], row["misses"]) for row in rows] == [(0, 0), (0, 0)]

    def test_a_file_larger_than_the_limit_is_answered_and_not_kept(self, store):
        cache = cache_of(store, max_size_bytes=1_000)
        dataset = dataset_of(cache)
        series, keys = save(dataset, "A", 0, 500)
        assert {s.file_key for s in series["A"].segments} == set(keys)
        assert (cache.size_bytes(), files_on_disk(cache)) == (0, [])
        assert reasons(dataset, "A") == []

    def test_the_least_recently_used_leaves_first(self, store, clock):
        size = size_of_one(store)
        cache = cache_of(store, max_size_bytes=3 * size)
        dataset = dataset_of(cache)
        for symbol in "ABC":
            clock.now += 10
            save(dataset, symbol, price="5")
        clock.now += 10
        read(dataset, "A")
        save(dataset, "D", price="5")
        assert held(cache, "ABCD") == "ACD"

    def test_of_one_second_the_order_of_use_counts(self, store):
        size = size_of_one(store)
        cache = cache_of(store, max_size_bytes=8 * size)
        dataset = dataset_of(cache)
        for symbol in "HGFEDCBA":
            save(dataset, symbol, price="5")
        for symbol in "AHBGCF":
            read(dataset, symbol)
        for n, left in enumerate(["ABCDFGH", "ABCFGH", "BCFGH", "BCFG", "CFG"]):
            save(dataset, str(n), price="5")
            assert held(cache, "ABCDEFGH") == left

    def test_what_another_process_used_counts_once_it_is_written(self, store, home, clock):
        size = size_of_one(store)
        cache = cache_of(store, max_size_bytes=2 * size)
        dataset = dataset_of(cache)
        save(dataset, "A", price="5")
        clock.now += 10
        _, (key,) = save(dataset, "B", price="5")
        with store.database.read() as connection:
            (old,) = [f.file_key for f in sql.files_in(connection, "") if f.file_key != key]
        clock.now += 10
        others = CacheCounters(store.database, clock)
        others.accessed(old)
        others.flush()
        clock.now += 10
        save(dataset, "C", price="5")
        assert held(cache, "ABC") == "AC"

    def test_reading_to_join_is_no_use(self, store, clock):
        cache = cache_of(store)
        dataset = dataset_of(cache)
        for day in range(8):
            save(dataset, "A", day, 1)
        clock.now += 1_000
        save(dataset, "B", 0, 2_000)
        clock.now += 1_000
        assert dataset.compact() == 9
        with store.database.read() as connection:
            assert {f.last_accessed for f in sql.files_in(connection, "")} == {int(FETCHED) + 1_000}

    def test_rows_go_before_files(self, store, monkeypatch):
        """A crash between the two leaves a stray, never coverage without its bars."""
        size = size_of_one(store)
        cache = cache_of(store, max_size_bytes=size)
        dataset = dataset_of(cache)
        save(dataset, "A", price="5")
        seen = []

        def delete(self, key):
            with store.database.read() as connection:
                seen.append(key in {file.file_key for file in sql.files_in(connection, "")})

        monkeypatch.setattr(type(cache.place.storage), "delete", delete)
        save(dataset, "B", price="5")
        assert seen == [False]

    def test_a_file_that_cannot_be_deleted_is_a_stray_and_no_error(self, store, clock, monkeypatch):
        size = size_of_one(store)
        cache = cache_of(store, max_size_bytes=size)
        dataset = dataset_of(cache)
        save(dataset, "A", price="5")
        monkeypatch.setattr(type(cache.place.storage), "delete", _refuse)
        save(dataset, "B", price="5")
        assert (len(files_on_disk(cache)), cache.size_bytes()) == (2, size)
        clock.now = 4e9
        assert cache.clean(max_size_bytes=10**9).files == 0
        monkeypatch.undo()
        assert cache.clean(max_size_bytes=10**9).files == 1
        assert len(files_on_disk(cache)) == 1

    def test_a_thousand_files_leave_in_one_transaction(self, store):
        cache = cache_of(store)
        dataset = dataset_of(cache)
        symbols = [f"S{n:03d}" for n in range(100)]
        name = dataset.name
        folder = cache.place.root / name
        with store.database.write() as connection:
            sql.ensure_dataset(connection, row_of(cache), int(FETCHED))
            records = [
                FileRecord(f"{name}/{n:04d}.parquet", "bars", "", "", "0" * 64, 7, 1, "S", "S", us(n), us(n))
                for n in range(1_000)
            ]
            sql.add_files(connection, name, records, {r.file_key: r.file_key for r in records}, int(FETCHED))
            series = [
                Series(
                    s,
                    tuple(
                        Segment(us(k), us(k + 1) - 1, Reason.PRESENT, FETCHED, records[at * 10 + k].file_key)
                        for k in range(10)
                    ),
                )
                for at, s in enumerate(symbols)
            ]
            ledgers.save(connection, name, series, int(FETCHED))
        folder.mkdir(parents=True)
        for record in records:
            (cache.place.root / record.file_key).write_bytes(b"1234567")
        writes = []
        real = type(store.database).write

        def write(self, **kwargs):
            if self is store.database:  # another home's counters may be written meanwhile
                writes.append(1)
            return real(self, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(store.database), "write", write)
            report = cache.clean(max_size_bytes=0)
        assert (report.files, report.bytes_freed, report.size_bytes) == (1_000, 7_000, 0)
        assert len(writes) == 1
        assert (files_on_disk(cache), cache.series()) == ([], [])

    def test_a_user_is_warned_from_nine_tenths_on(self, store, caplog):
        size = size_of_one(store)
        dataset = dataset_of(cache_of(store, max_size_bytes=size * 10))
        for n in range(9):
            save(dataset, "ABCDEFGHI"[n], price="5")
        assert "cache_nearly_full" not in caplog.text
        save(dataset, "T", price="5")
        assert "cache_nearly_full" in caplog.text


def _refuse(self, key):
    raise StorageError("not writable", path=key)


class TestEvents:
    def test_a_series_that_left_whole_tells_of_no_events_any_more(self, store):
        """Else the next answer, years later, would count as if it had followed on the last one."""
        cache = cache_of(store)
        dataset = dataset_of(cache)
        facts = SeriesFacts(told_from=us(0), told_until=FETCHED)
        save(dataset, "AB", facts=facts)
        cache.clean(symbols=["A"])
        cache.clean(max_size_bytes=0)
        dataset.ledger.refresh()
        for series in dataset.ledger.series("AB").values():
            assert (series.segments, series.facts.told_from, series.facts.told_until) == ((), None, None)

    def test_one_that_left_in_part_still_does(self, store):
        cache = cache_of(store)
        dataset = dataset_of(cache)
        facts = SeriesFacts(told_from=us(0), told_until=FETCHED)
        _, (key,) = save(dataset, "A", facts=facts)
        save(dataset, "A", 10, 5, facts=facts)
        dataset.drop_file(key, "damaged")
        dataset.ledger.refresh()
        assert dataset.ledger.series("A")["A"].facts == facts


class TestTwoCaches:
    def test_caches_of_one_home_never_touch_each_other(self, store, tmp_path):
        size = size_of_one(store)
        small = cache_of(store, tmp_path / "small", 2 * size)
        large = cache_of(store, max_size_bytes=10 * size)
        mine, other = dataset_of(small, "cache-" + "b" * 24), dataset_of(large)
        for n in range(6):
            save(other, "ABCDEF"[n], price="5")
            save(mine, "abcdef"[n], price="5")
        assert (small.size_bytes(), large.size_bytes()) == (2 * size, 6 * size)
        assert (bytes_on_disk(small), bytes_on_disk(large)) == (2 * size, 6 * size)
        small.clean(everything=True)
        assert (small.size_bytes(), large.size_bytes()) == (0, 6 * size)
        assert [d.name for d in small.datasets()] == [mine.name]
        assert [d.name for d in large.datasets()] == [other.name]
        large.clean(max_size_bytes=0)
        assert bytes_on_disk(large) == 0

    def test_the_sweep_of_one_leaves_the_files_of_the_other(self, store, tmp_path, clock):
        inside = cache_of(store)
        # The same folder under another name is another cache.
        link = tmp_path / "link"
        link.symlink_to(inside.place.root)
        alias = cache_of(store, link)
        save(dataset_of(inside), "A")
        save(dataset_of(alias, "cache-" + "b" * 24), "B")
        clock.now = 4e9
        assert inside.clean(max_size_bytes=10**9).files == 0
        assert alias.clean(max_size_bytes=10**9).files == 0
        assert read(dataset_of(inside), "A").equals(bars_of("A"))

    def test_files_that_are_not_the_caches_stay(self, store, clock):
        cache = cache_of(store)
        save(dataset_of(cache), "A")
        notes = cache.place.root / "notes"
        notes.mkdir()
        (notes / "mine.txt").write_text("x")
        (cache.place.root / "locks").mkdir(exist_ok=True)
        (cache.place.root / "locks" / "a.lock").write_text("")
        clock.now = 4e9
        cache.clean(everything=True)
        assert (notes / "mine.txt").exists()
        assert (cache.place.root / "locks" / "a.lock").exists()


class TestClean:
    @pytest.fixture
    def cache(self, store):
        cache = cache_of(store)
        save(dataset_of(cache), "AB", price="5")
        save(dataset_of(cache), "C", price="5")
        return cache

    def test_to_a_size_in_order_of_use(self, cache, store):
        read(dataset_of(cache), "A")
        keep = max(path.stat().st_size for path in files_on_disk(cache))
        report = cache.clean(max_size_bytes=keep)
        assert (report.files, held(cache, "ABC")) == (1, "AB")
        assert report.size_bytes == cache.size_bytes() == bytes_on_disk(cache)

    def test_symbols_go_and_a_file_with_others_stays(self, cache):
        report = cache.clean(symbols=["A", "C", "unknown"])
        assert (report.series, report.files) == (2, 1)
        assert held(cache, "ABC") == "B"
        assert read(dataset_of(cache), "B").equals(bars_of("B", price="5"))
        assert cache.size_bytes() == bytes_on_disk(cache)
        assert cache.clean(symbols=["B"]).files == 1
        assert files_on_disk(cache) == []

    def test_everything(self, cache, store):
        dataset = dataset_of(cache)
        dataset.save([Addition("E", (covered(0, 5, Reason.CONFIRMED_EMPTY),), SeriesFacts())], empty_bars())
        report = cache.clean(everything=True)
        assert (report.series, report.files, report.size_bytes) == (4, 2, 0)
        assert (cache.series(), files_on_disk(cache)) == ([], [])

    def test_everything_forgets_also_which_requests_were_answered(self, cache, store):
        from rustybt.data.bundles.metadata_store import catalog

        empty = dataset_of(cache, "cache-" + "b" * 24)
        empty.save([Addition("E", (covered(0, 5, Reason.CONFIRMED_EMPTY),), SeriesFacts())], empty_bars())
        with store.database.write() as connection:
            sql.save_request(connection, "k", empty.name, 1)
        cache.clean(everything=True)
        with store.database.read() as connection:
            assert catalog.find_cached(connection, "k") is None

    def test_one_source_alone(self, cache):
        other = dataset_of(cache, "cache-" + "b" * 24, source="another")
        save(other, "A")
        cache.clean(everything=True, source="vendor")
        assert [d.source for d in cache.datasets() if d.files] == ["another"]
        assert read(other, "A").equals(bars_of("A"))

    def test_what_was_cleaned_is_saved_again(self, cache):
        cache.clean(everything=True)
        save(dataset_of(cache), "A", price="6")
        assert read(dataset_of(cache), "A").equals(bars_of("A", price="6"))

    @pytest.mark.parametrize(
        "ways", [{}, {"everything": True, "symbols": ["A"]}, {"max_size_bytes": 1, "everything": True}]
    )
    def test_one_way_has_to_be_named(self, cache, ways):
        with pytest.raises(RequestError, match="say what to remove"):
            cache.clean(**ways)
        assert held(cache, "ABC") == "ABC"

    def test_an_empty_home_has_nothing_to_clean(self, tmp_path):
        with BundleStore(tmp_path / "nowhere") as store:
            assert cache_of(store).clean(everything=True).files == 0
        assert not (tmp_path / "nowhere").exists()


def test_a_relative_directory_is_the_same_from_everywhere(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = cache_of(store, "mine").place
    assert (found.root, found.text) == (tmp_path / "mine", str(tmp_path / "mine"))
    inside = store.home / ".rustybt" / "cache"
    assert cache_of(store, os.fspath(inside)).place == cache_of(store).place
    assert Path(inside) == cache_of(store).place.root
