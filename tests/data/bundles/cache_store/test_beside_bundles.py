"""Where the cache meets bundles: its rows and files are neither shown as bundles, nor harmed by their housekeeping, nor do harm."""

import os
import shutil

import pytest

from rustybt.data.bundles.metadata import BundleMetadata
from rustybt.data.bundles.metadata_store import cache as sql
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import BundleNameError, StorageError
from rustybt.market.provenance import Provenance
from tests.data.bundles.cached_days import (
    FETCHED,
    NAME,
    bars_of,
    bytes_on_disk,
    cache_of,
    dataset_of,
    files_on_disk,
    read,
    reasons,
    save,
)

SAID = Provenance("vendor")


@pytest.fixture
def store(home, clock, monkeypatch):
    monkeypatch.setenv("RUSTYBT_HOME", str(home))
    with BundleStore(home, clock=clock) as opened:
        opened.commit("us", bars_of("XY"), SAID)
        yield opened


@pytest.fixture
def key(cache):
    """Fill the cache and return the key of its one file."""
    _, (made,) = save(dataset_of(cache), "AB")
    return made


@pytest.fixture
def whole(cache, store, key):
    """Fail where the cache or the bundle is not as it was before."""
    yield
    assert read(dataset_of(cache), "AB").equals(bars_of("AB"))
    assert cache.size_bytes() == bytes_on_disk(cache) > 0
    assert store.verify("us").is_whole
    with store.open("us") as bundle:
        assert bundle.read().equals(bars_of("XY"))


@pytest.mark.usefixtures("whole")
class TestBundlesWork:
    def test_a_list_of_bundles_shows_no_cache(self, store):
        assert [info.name for info in store.list_bundles()] == ["us"]
        assert [row["bundle_name"] for row in BundleMetadata.list_bundles()] == ["us"]

    def test_garbage_collection_leaves_the_cache_alone(self, store, clock):
        clock.now = 4e9
        report = store.gc(keep_last=1, grace_seconds=0)
        assert report.files_deleted == 0

    def test_recovery_of_a_sound_home_leaves_the_cache_alone(self, store):
        report = store.recover()
        assert (report.recovered, report.already_known, report.problems) == ({}, ["us"], {})

    def test_the_heads_of_a_sound_database_are_told(self, store):
        heads = store.database.sound_heads()
        assert heads["us"] == 1
        assert heads[NAME] == 0

    def test_another_bundle_comes_and_goes(self, store, clock):
        store.commit("them", bars_of("AB"), SAID)
        store.remove("them")
        clock.now += 1e7
        store.gc()

    @pytest.mark.parametrize("call", ["open", "verify", "remove", "gc", "versions", "name_of"])
    @pytest.mark.parametrize("name", [NAME, NAME.upper()])
    def test_a_dataset_of_the_cache_is_no_bundle(self, store, call, name):
        with pytest.raises(BundleNameError, match="the cache gives"):
            getattr(store, call)(name)

    def test_nor_can_one_be_made_in_its_place(self, store):
        with pytest.raises(BundleNameError, match="the cache gives"):
            store.commit(NAME, bars_of("AB"), SAID)
        with pytest.raises(BundleNameError, match="the cache gives"):
            BundleMetadata.update(NAME, source_type="x")

    def test_a_name_that_only_looks_alike_is_free(self, store):
        store.commit("cache-2024", bars_of("A"), SAID)
        store.commit("cache", bars_of("A"), SAID)
        assert [info.name for info in store.list_bundles()] == ["cache", "cache-2024", "us"]


class TestCatalog:
    def test_the_key_of_a_file_and_of_a_request_find_their_dataset(self, store, key):
        with store.database.write() as connection:
            sql.save_request(connection, "request", NAME, int(FETCHED))
        assert BundleMetadata.find_cached(key) == NAME
        assert BundleMetadata.find_cached("request") == NAME
        assert BundleMetadata.find_cached("unknown") is None
        assert BundleMetadata.get(NAME)["source_type"] == "vendor"

    def test_the_size_is_that_of_the_files(self, cache, key):
        assert BundleMetadata.get_cache_size() == bytes_on_disk(cache)

    def test_entries_are_listed_the_least_recent_first(self, cache, key, clock):
        clock.now += 10
        _, (later,) = save(dataset_of(cache), "C")
        entries = BundleMetadata.get_lru_cache_entries()
        assert [entry["cache_key"] for entry in entries] == [key, later]
        assert entries[0]["bundle_name"] == NAME
        assert entries[0]["parquet_path"] == f".rustybt/cache/{key}"
        assert entries[0]["size_bytes"] == (cache.place.root / key).stat().st_size

    def test_a_deleted_entry_takes_its_file_and_what_it_covered(self, cache, key):
        assert BundleMetadata.delete_cache_entry(key) is True
        assert BundleMetadata.delete_cache_entry(key) is False
        assert BundleMetadata.find_cached(key) is None
        assert files_on_disk(cache) == []
        assert reasons(dataset_of(cache), "A") == []
        save(dataset_of(cache), "A")
        assert read(dataset_of(cache), "A").equals(bars_of("A"))

    def test_one_of_a_cache_elsewhere_too(self, store, tmp_path):
        cache = cache_of(store, tmp_path / "elsewhere")
        _, (key,) = save(dataset_of(cache), "A")
        assert BundleMetadata.delete_cache_entry(key) is True
        assert files_on_disk(cache) == []

    def test_a_deleted_request_is_forgotten_and_its_bars_stay(self, store, cache, key):
        with store.database.write() as connection:
            sql.save_request(connection, "request", NAME, int(FETCHED))
        assert BundleMetadata.delete_cache_entry("request") is True
        assert BundleMetadata.find_cached("request") is None
        assert read(dataset_of(cache), "A").equals(bars_of("A"))

    def test_entries_that_programs_made_themselves_do_not_count_for_the_cache(self, cache, key):
        BundleMetadata.add_cache_entry("mine", "us", "us/x.parquet", 1_000_000)
        assert cache.size_bytes() == bytes_on_disk(cache)
        cache.clean(everything=True)
        assert BundleMetadata.find_cached("mine") == "us"


class TestHome:
    def test_a_home_that_was_moved_keeps_its_cache(self, store, cache, key, tmp_path):
        store.close()
        moved = tmp_path / "elsewhere" / "home"
        moved.parent.mkdir()
        shutil.move(store.home, moved)
        with BundleStore(moved) as opened:
            found = cache_of(opened)
            assert read(dataset_of(found), "AB").equals(bars_of("AB"))
            assert [dataset.name for dataset in found.datasets()] == [NAME]
            assert opened.verify("us").is_whole
            save(dataset_of(found), "C")
            assert found.size_bytes() == bytes_on_disk(found)

    def test_a_lost_database_is_recovered_without_the_cache_whose_files_are_swept(self, store, cache, key, clock):
        store.database.close()
        store.database.path.write_bytes(b"not a database")
        for ending in ("-wal", "-shm"):
            store.database.path.with_name(store.database.path.name + ending).unlink(missing_ok=True)
        with BundleStore(store.home, clock=clock) as opened:
            report = opened.recover()
            assert (report.recovered, report.problems) == ({"us": 1}, {})
            found = cache_of(opened)
            assert (found.datasets(), found.size_bytes()) == ([], 0)
            save(dataset_of(found, "cache-" + "b" * 24), "A")
            assert len(files_on_disk(found)) == 2
            clock.now = 4e9
            assert found.clean(max_size_bytes=10**9).files == 1
            assert read(dataset_of(found, "cache-" + "b" * 24), "A").equals(bars_of("A"))

    def test_a_home_that_cannot_be_written_is_read_and_nothing_in_it_changes(self, store, cache, key, monkeypatch):
        store.close()
        real = os.access
        # Root may write everywhere, whatever the permissions say.
        monkeypatch.setattr(os, "access", lambda path, mode, **more: not mode & os.W_OK and real(path, mode, **more))
        before = _tree(store.home)
        with BundleStore(store.home) as opened:
            found = cache_of(opened)
            dataset = dataset_of(found)
            assert read(dataset, "AB").equals(bars_of("AB"))
            assert [d.symbols for d in found.datasets()] == [2]
            assert [s.symbol for s in found.series()] == ["A", "B"]
            assert found.revisions() == []
            assert found.size_bytes() == bytes_on_disk(cache)
            with pytest.raises(StorageError, match="read-only"):
                save(dataset, "C")
            with pytest.raises(StorageError, match="read-only"):
                found.clean(everything=True)
            opened.counters.flush_quietly()
            assert _tree(store.home) == before

    def test_a_cache_directory_that_was_deleted_is_made_again(self, store, cache, key):
        shutil.rmtree(cache.place.root)
        save(dataset_of(cache), "AB", price="6")
        assert read(dataset_of(cache), "AB").equals(bars_of("AB", price="6"))

    def test_a_folder_of_the_cache_among_the_bundles_is_no_bundle(self, store, clock):
        cache = cache_of(store, store.home / "cached")
        save(dataset_of(cache), "AB")
        beside = cache_of(store, store.home)
        save(dataset_of(beside, "cache-" + "b" * 24), "AB")
        clock.now = 4e9
        assert store.gc(grace_seconds=0).files_deleted == 0
        assert store.recover().problems == {}
        assert [info.name for info in store.list_bundles()] == ["us"]
        assert read(dataset_of(cache), "AB").equals(bars_of("AB"))
        assert read(dataset_of(beside, "cache-" + "b" * 24), "AB").equals(bars_of("AB"))


def _tree(home):
    return {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}
