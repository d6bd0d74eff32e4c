"""Cached files and the ledger that says what they cover: saving, reading, joining, and what damage must never do."""

import sqlite3
import threading
from decimal import Decimal

import pytest

from rustybt.data.bundles.cache_store import Addition, compaction
from rustybt.data.bundles.store import BundleStore
from rustybt.data.cache.coverage import Reason
from rustybt.data.cache.series import SeriesFacts
from rustybt.errors import CorruptBundleError, StorageError
from rustybt.market.bars import concat_bars, empty_bars
from rustybt.market.revisions import BarRevision
from tests.data.bundles.cached_days import (
    DAY,
    FETCHED,
    bars_of,
    bytes_on_disk,
    cache_of,
    covered,
    dataset_of,
    files_on_disk,
    read,
    reasons,
    save,
    us,
)


def another(cache):
    """Return the dataset as another process sees it."""
    return dataset_of(cache)


class TestSaving:
    def test_what_was_saved_is_read_back_digit_for_digit(self, dataset, cache):
        save(dataset, "AB")
        assert read(another(cache), "AB").equals(bars_of("AB"))

    def test_it_says_what_is_covered_now_and_where(self, dataset):
        series, keys = save(dataset, "AB")
        assert sorted(series) == ["A", "B"]
        assert {s.file_key for item in series.values() for s in item.segments} == set(keys)

    def test_a_later_answer_replaces_an_earlier_one_and_leaves_the_rest(self, dataset, cache):
        save(dataset, "A", 0, 10)
        save(dataset, "A", 4, 3, "7")
        expected = concat_bars([bars_of("A", 0, 4), bars_of("A", 4, 3, "7"), bars_of("A", 7, 3)])
        assert read(another(cache), "A").equals(expected)
        assert reasons(dataset, "A") == [(0, 3, "present"), (4, 6, "present"), (7, 9, "present")]

    def test_two_processes_add_to_one_series(self, dataset, cache):
        other = another(cache)
        save(dataset, "A", 0, 5)
        save(other, "A", 5, 5)
        assert read(dataset, "A").equals(bars_of("A"))
        assert read(other, "A").equals(bars_of("A"))

    def test_eight_threads_lose_nothing(self, cache):
        def work(n):
            save(another(cache), "AB", n * 3, 3)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert read(another(cache), "AB", 0, 24).equals(bars_of("AB", 0, 24))
        assert cache.size_bytes() == bytes_on_disk(cache)

    def test_every_segment_of_an_answer_is_kept_in_the_order_in_which_they_count(self, dataset, cache):
        segments = (covered(0, 8), covered(3, 1, Reason.FAILED), covered(8, 2, Reason.NOT_FINAL))
        dataset.save([Addition("A", segments, SeriesFacts())], bars_of("A"))
        assert reasons(another(cache), "A") == [
            (0, 2, "present"),
            (3, 3, "failed"),
            (4, 7, "present"),
            (8, 9, "not_final"),
        ]
        assert read(another(cache), "A").equals(bars_of("A"))

    def test_emptiness_needs_no_file(self, dataset, cache):
        dataset.save([Addition("A", (covered(0, 5, Reason.CONFIRMED_EMPTY),), SeriesFacts())], empty_bars())
        assert reasons(another(cache), "A") == [(0, 4, "confirmed_empty")]
        assert files_on_disk(cache) == []

    def test_a_series_longer_than_a_file_is_cut_between_files(self, store):
        small = cache_of(store, max_size_bytes=16 * 24 * 1_000)
        dataset = dataset_of(small)
        save(dataset, "AB", 0, 2_500)
        assert len(files_on_disk(small)) > 2
        assert read(another(small), "AB", 0, 2_500).equals(bars_of("AB", 0, 2_500))
        assert read(another(small), "B", 997, 6).equals(bars_of("AB", 997, 6).filter(symbol="B"))

    def test_prices_of_any_precision_come_back(self, dataset, cache):
        bars = bars_of("A", 0, 3, "0.000000012345678901")
        dataset.save([Addition("A", (covered(0, 3),), SeriesFacts())], bars)
        assert read(another(cache), "A", 0, 3)["close"].to_list() == [Decimal("0.000000012345678901")] * 3

    def test_what_is_asked_twice_a_day_for_a_year_does_not_grow_without_end(self, dataset, clock):
        for day in range(60):
            clock.now = FETCHED + day * 86_400
            save(dataset, "A", day, 1, at=clock.now)
            dataset.compact()
        assert read(dataset, "A", 0, 60).equals(bars_of("A", 0, 60))
        # All that is older than forty days is one segment by the latest joining.
        assert len(reasons(dataset, "A")) <= 40 + 8
        assert reasons(dataset, "A")[0][1] > 8


class TestCrash:
    def test_a_full_disk_stores_nothing_and_leaves_nothing(self, dataset, cache, monkeypatch):
        save(dataset, "A")
        before = files_on_disk(cache)
        monkeypatch.setattr(type(dataset), "_add_files", _full)
        with pytest.raises(StorageError, match="no space"):
            save(dataset, "B")
        assert files_on_disk(cache) == before
        assert reasons(another(cache), "B") == []

    def test_a_process_that_dies_before_its_rows_leaves_a_stray_that_clean_sweeps(self, dataset, cache, clock):
        dataset.write_files(bars_of("A"))
        assert len(files_on_disk(cache)) == 1
        assert reasons(another(cache), "A") == []
        save(dataset, "B")
        assert read(another(cache), "B").equals(bars_of("B"))
        clock.now = 4e9
        assert cache.clean(max_size_bytes=10**9).files == 1
        assert len(files_on_disk(cache)) == 1
        assert read(another(cache), "B").equals(bars_of("B"))

    def test_the_only_write_of_a_dataset_that_died_is_swept_too(self, dataset, cache, clock):
        dataset_of(cache, "cache-" + "b" * 24).write_files(bars_of("A"))
        save(dataset, "B")
        clock.now = 4e9
        assert cache.clean(max_size_bytes=10**9).files == 1
        assert [path.parent.name for path in files_on_disk(cache)] == [dataset.name]

    def test_a_young_stray_may_be_a_write_that_is_under_way(self, dataset, cache):
        save(dataset, "B")
        dataset.write_files(bars_of("A"))
        assert cache.clean(max_size_bytes=10**9).files == 0
        assert len(files_on_disk(cache)) == 2

    def test_one_that_dies_while_joining_loses_nothing(self, dataset, cache, monkeypatch):
        for day in range(8):
            save(dataset, "A", day, 1)
        monkeypatch.setattr(type(dataset), "_add_files", _full)
        with pytest.raises(StorageError):
            dataset.compact()
        monkeypatch.undo()
        assert len(files_on_disk(cache)) == 8
        assert read(another(cache), "A", 0, 8).equals(bars_of("A", 0, 8))
        assert dataset.compact() == 8


def _full(*_, **__):
    raise StorageError("no space left", path="")


class TestLedger:
    def test_a_look_sees_what_another_process_saved(self, dataset, cache):
        save(dataset, "A")
        other = another(cache)
        assert reasons(other, "A") == [(0, 9, "present")]
        save(dataset, "A", 10, 5)
        assert reasons(other, "A") == [(0, 9, "present"), (10, 14, "present")]

    def test_a_look_sees_what_another_process_cleaned(self, dataset, cache):
        save(dataset, "AB")
        other = another(cache)
        assert reasons(other, "A") == [(0, 9, "present")]
        cache.clean(symbols=["A"])
        assert reasons(other, "A") == []
        assert reasons(other, "B") == [(0, 9, "present")]
        cache.clean(everything=True)
        assert reasons(other, "B") == []

    def test_a_look_at_nothing_new_reads_no_series(self, dataset, cache, monkeypatch):
        save(dataset, "A")
        other = another(cache)
        other.ledger.refresh()
        monkeypatch.setattr("rustybt.data.bundles.cache_store.ledger.decode", pytest.fail)
        other.ledger.refresh()

    def test_a_home_that_is_gone_covers_nothing(self, dataset, store):
        save(dataset, "A")
        dataset.ledger.refresh()
        store.database.close()
        for path in store.database.folder.glob("metadata.sqlite*"):
            path.unlink()
        assert reasons(dataset, "A") == []

    def test_a_database_that_was_made_again_counts_from_its_beginning(self, dataset, cache, store, clock):
        """A long-running program must not take the coverage of a lost database for that of the new one."""
        save(dataset, "A")
        assert reasons(dataset, "A") == [(0, 9, "present")]
        other = BundleStore(store.home, clock=clock)
        other.database.put_aside(1)
        clock.now += 60
        fresh = dataset_of(cache_of(other))
        save(fresh, "B")
        save(fresh, "C")
        store.database.close()
        assert reasons(dataset, "A") == []
        assert reasons(dataset, "B") == [(0, 9, "present")]
        other.close()


class TestReading:
    def test_a_piece_is_cut_at_both_ends(self, dataset, cache):
        save(dataset, "AB")
        other = another(cache)
        other.ledger.refresh()
        segment = other.ledger.series("A")["A"].segments[0]
        found = other.read({"A": [segment.clipped(us(3), us(5))]})
        assert found.equals(bars_of("A", 3, 3))

    def test_many_ranges_of_one_file_are_cut_each_by_its_own(self, dataset, cache):
        symbols = "ABCDEFGH"
        save(dataset, symbols)
        other = another(cache)
        other.ledger.refresh()
        held = other.ledger.series(symbols)
        pieces = {s: [held[s].segments[0].clipped(us(n), us(n + 1))] for n, s in enumerate(symbols)}
        expected = concat_bars(bars_of(symbols, n, 2).filter(symbol=s) for n, s in enumerate(symbols))
        assert other.read(pieces).equals(expected)

    def test_nothing_is_an_empty_frame_of_the_contract(self, dataset):
        assert dataset.read({}).equals(empty_bars())

    def test_a_file_in_memory_is_not_read(self, dataset, cache):
        save(dataset, "A")
        other = another(cache)
        other.ledger.refresh()
        segment = other.ledger.series("A")["A"].segments[0]
        other_bars = bars_of("A", 0, 10, "9")
        assert other.read({"A": [segment]}, {segment.file_key: other_bars}).equals(other_bars)


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


class TestDamage:
    @pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
    def test_a_flipped_bit_in_a_file_is_never_a_bar(self, dataset, cache, share):
        save(dataset, "AB")
        (path,) = files_on_disk(cache)
        flip(path, int(path.stat().st_size * share))
        with pytest.raises(CorruptBundleError) as caught:
            read(another(cache), "A")
        assert caught.value.details["file"].endswith(path.name)

    @pytest.mark.parametrize("size", [0, 1, 500])
    def test_nor_is_a_truncated_one(self, dataset, cache, size):
        save(dataset, "A")
        (path,) = files_on_disk(cache)
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(CorruptBundleError):
            read(another(cache), "A")

    def test_a_missing_one_says_so(self, dataset, cache):
        save(dataset, "A")
        files_on_disk(cache)[0].unlink()
        with pytest.raises(CorruptBundleError) as caught:
            read(another(cache), "A")
        assert caught.value.details["missing"] is True

    def test_a_dropped_file_takes_its_coverage_and_its_bytes_and_nothing_else(self, dataset, cache, caplog):
        save(dataset, "A")
        _, (key,) = save(dataset, "B")
        save(dataset, "A", 10, 5)
        dataset.drop_file(key, "it is damaged")
        assert "cache_file_dropped" in caplog.text
        assert reasons(another(cache), "B") == []
        assert read(another(cache), "A", 0, 15).equals(bars_of("A", 0, 15))
        assert len(files_on_disk(cache)) == 2
        assert cache.size_bytes() == bytes_on_disk(cache)

    def test_a_file_that_another_process_removed_is_not_dropped_twice(self, dataset, cache, caplog):
        _, (key,) = save(dataset, "A")
        cache.clean(everything=True)
        save(dataset, "A", 3, 2)
        dataset.drop_file(key, "it is missing")
        assert "cache_file_dropped" not in caplog.text
        assert read(another(cache), "A").equals(bars_of("A", 3, 2))

    @pytest.mark.parametrize("column", ["segments", "facts", "symbol", "seal"])
    def test_a_changed_letter_in_a_series_row_is_a_series_that_nobody_knows(self, dataset, cache, store, column):
        save(dataset, "A", facts=SeriesFacts(alias="AA"))
        with sqlite3.connect(store.database.path) as connection:
            (text,) = connection.execute(f"SELECT {column} FROM cache_series").fetchone()
            changed = (
                text.replace("AA", "AB")
                if column == "facts"
                else text.translate(str.maketrans("0123456789abcdef", "123456789abcdef0"))
            )
            changed = "B" if column == "symbol" else changed
            assert changed != text
            connection.execute(f"UPDATE cache_series SET {column} = ?", (changed,))
        connection.close()
        other = another(cache)
        other.ledger.refresh()
        assert [series.segments for series in other.ledger.series("AB").values()] == [()]
        # It is fetched and saved again as if it had never been.
        save(other, "A")
        assert read(another(cache), "A").equals(bars_of("A"))

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("first_bar", us(9)),
            ("last_bar", us(0)),
            ("first_symbol", "'B'"),
            ("last_symbol", "'A'"),
            ("row_count", 19),
            ("size_bytes", "'x'"),
            ("first_bar", "'x'"),
            ("sha256", "'" + "0" * 64 + "'"),
        ],
    )
    def test_a_changed_row_of_a_file_is_never_another_answer(self, dataset, cache, store, column, value):
        save(dataset, "AB")
        with sqlite3.connect(store.database.path) as connection:
            connection.execute(f"UPDATE cache_files SET {column} = {value}")
        connection.close()
        other = another(cache)
        other.ledger.refresh()
        segment = other.ledger.series("A")["A"].segments[0]
        with pytest.raises(CorruptBundleError):
            other.read({"A": [segment.clipped(us(4), us(5))]})

    @pytest.mark.parametrize(("column", "value"), [("first_bar", us(9)), ("last_bar", us(0)), ("first_bar", "'x'")])
    def test_nor_where_this_process_has_checked_the_file_before(self, dataset, cache, store, column, value):
        save(dataset, "AB")
        assert read(dataset, "AB").equals(bars_of("AB"))
        with sqlite3.connect(store.database.path) as connection:
            connection.execute(f"UPDATE cache_files SET {column} = {value}")
        connection.close()
        assert read(another(cache), "A", 4, 2).equals(bars_of("A", 4, 2))

    def test_a_damaged_row_of_the_dataset_is_an_error_that_an_answer_can_go_past(self, dataset, cache, store):
        save(dataset, "A")
        with sqlite3.connect(store.database.path) as connection:
            connection.execute("UPDATE cache_datasets SET generation = 'x'")
        connection.close()
        with pytest.raises(CorruptBundleError, match="damaged"):
            dataset.ledger.refresh()

    def test_coverage_without_a_row_of_its_file_covers_nothing(self, dataset, cache, store):
        save(dataset, "A")
        with sqlite3.connect(store.database.path) as connection:
            connection.execute("DELETE FROM cache_files")
        connection.close()
        assert reasons(another(cache), "A") == []


class TestJoining:
    def test_eight_small_files_become_one(self, dataset, cache):
        for day in range(8):
            save(dataset, "AB", day, 1)
        assert dataset.compact() == 8
        assert len(files_on_disk(cache)) == 1
        assert read(another(cache), "AB", 0, 8).equals(bars_of("AB", 0, 8))
        assert cache.size_bytes() == bytes_on_disk(cache)

    def test_seven_stay(self, dataset, cache):
        for day in range(7):
            save(dataset, "A", day, 1)
        assert dataset.compact() == 0
        assert len(files_on_disk(cache)) == 7

    def test_what_was_replaced_is_not_carried_along(self, dataset, cache):
        for _ in range(8):
            save(dataset, "A", 0, 10, "5")
        dataset.compact()
        (path,) = files_on_disk(cache)
        dataset.ledger.refresh()
        (record,) = dataset.ledger.files.values()
        assert (record.row_count, record.file_key.rpartition("/")[2]) == (10, path.name)

    def test_reasons_and_fetch_times_stay(self, dataset, cache, clock):
        for day in range(8):
            save(dataset, "A", day, 1, at=FETCHED - day)
        dataset.save([Addition("A", (covered(8, 2, Reason.CONFIRMED_EMPTY),), SeriesFacts())], empty_bars())
        before = reasons(dataset, "A")
        dataset.compact()
        assert reasons(another(cache), "A") == before
        other = another(cache)
        other.ledger.refresh()
        times = [s.fetched_at for s in other.ledger.series("A")["A"].segments]
        assert times == [FETCHED - day for day in range(8)] + [FETCHED]

    def test_a_large_file_of_which_nothing_is_left_goes(self, dataset, cache, monkeypatch):
        monkeypatch.setattr(compaction, "MAX_FILE_BYTES", 4_000)
        save(dataset, "A", 0, 2_000, "5")
        save(dataset, "A", 0, 2_000, "6")
        assert len(files_on_disk(cache)) == 2
        assert dataset.compact() == 1
        assert len(files_on_disk(cache)) == 1
        assert read(another(cache), "A", 0, 2_000).equals(bars_of("A", 0, 2_000, "6"))

    def test_what_was_cut_by_another_process_meanwhile_stays_cut(self, dataset, cache, monkeypatch):
        for day in range(8):
            save(dataset, "AB", day, 1)
        real = type(dataset).write_files

        def write_files(self, bars):
            save(another(cache), "A", 2, 2, "9")
            cache.clean(symbols=["B"])
            return real(self, bars)

        monkeypatch.setattr(type(dataset), "write_files", write_files)
        dataset.compact()
        expected = concat_bars([bars_of("A", 0, 2), bars_of("A", 2, 2, "9"), bars_of("A", 4, 4)])
        assert read(another(cache), "AB", 0, 8).equals(expected)
        assert cache.size_bytes() == bytes_on_disk(cache)

    def test_while_another_process_joins_there_is_nothing_to_do(self, dataset, cache):
        from filelock import FileLock

        for day in range(8):
            save(dataset, "A", day, 1)
        with FileLock(cache.place.root / f"{dataset.name}.compact.lock"):
            assert dataset.compact() == 0
        assert dataset.compact() == 8

    def test_damage_is_named_and_the_lock_given_back(self, dataset, cache):
        for day in range(8):
            save(dataset, "A", day, 1)
        flip(files_on_disk(cache)[3], 100)
        with pytest.raises(CorruptBundleError) as caught:
            dataset.compact()
        dataset.drop_file(caught.value.details["file"], "damaged")
        save(dataset, "A", 8, 1)
        assert dataset.compact() == 8


class TestRevisions:
    def test_they_are_listed_oldest_first_with_what_they_say(self, dataset, cache, clock):
        revision = BarRevision("A", "correction", 1, "2024-01-04", "2024-01-04")
        save(dataset, "A", revisions=[(revision, '{"rows": 1, "first": 1, "last": 2, "values": []}')])
        clock.now += 100
        save(dataset, "B", revisions=[(revision, '{"rows": 2, "first": 3, "last": 4, "values": []}')])
        found = cache.revisions()
        assert [(r["symbol"], r["seen_at"], r["rows"]) for r in found] == [
            ("A", int(FETCHED), 1),
            ("B", int(FETCHED) + 100, 2),
        ]
        assert found[0]["source"] == "vendor"
        assert [r["symbol"] for r in cache.revisions(symbols=["B"])] == ["B"]
        assert cache.revisions(source="other") == []

    def test_they_outlive_the_bars(self, dataset, cache):
        revision = BarRevision("A", "correction", 1, "2024-01-04", "2024-01-04")
        save(dataset, "A", revisions=[(revision, "{}")])
        cache.clean(everything=True)
        assert len(cache.revisions()) == 1

    def test_there_are_none_in_an_empty_home(self, cache):
        assert cache.revisions() == []


class TestListing:
    def test_a_dataset_tells_what_it_holds(self, dataset, cache):
        save(dataset, "AB", 2, 5)
        dataset.save([Addition("C", (covered(0, 5, Reason.CONFIRMED_EMPTY),), SeriesFacts())], empty_bars())
        (found,) = cache.datasets()
        assert (found.name, found.source, found.frequency) == (dataset.name, "vendor", "1d")
        assert (found.symbols, found.rows, found.files) == (3, 10, 1)
        assert (found.first_bar, found.last_bar) == (us(2), us(7) - 1)
        assert found.size_bytes == bytes_on_disk(cache)
        assert found.reasons == {"present": 2, "confirmed_empty": 1}
        assert found.identity == {"source": "vendor"}

    def test_series_are_listed_by_symbol(self, dataset, cache):
        save(dataset, "BA")
        assert [item.symbol for item in cache.series()] == ["A", "B"]
        assert [item.symbol for item in cache.series(symbols=["B"])] == ["B"]
        assert cache.series(source="other") == []
        assert cache.series()[0].to_json()["segments"] == [
            {"start": us(0), "end": us(0) + 10 * DAY - 1, "reason": "present", "fetched_at": FETCHED}
        ]

    def test_an_empty_home_is_listed_without_making_one(self, cache, home):
        assert (cache.datasets(), cache.series(), cache.size_bytes()) == ([], [], 0)
        assert not home.exists()
