"""Bytes that a bundle and the cache both hold lie on the disk once, and neither harms the other."""

import errno
import os
from pathlib import Path

import pytest

from rustybt.data.bundles.cache_store import sharing
from rustybt.data.bundles.cache_store.sharing import share_with_bundle
from rustybt.market.bars import concat_bars
from rustybt.market.provenance import Provenance
from tests.data.bundles.cached_days import (
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


@pytest.fixture(autouse=True)
def however_small(monkeypatch):
    monkeypatch.setattr(sharing, "LEAST_BYTES", 0)


def share(dataset, store, symbols="AB", name="us"):
    with store.open(name) as bundle:
        return share_with_bundle(dataset, store, bundle, list(symbols), "1d")


def bundle_files(store, name="us"):
    return sorted((store.home / name).rglob("*.parquet"))


def links(paths):
    return {path.stat().st_nlink for path in paths}


@pytest.fixture
def shared(store, dataset):
    save(dataset, "AB", 0, 50)
    store.commit("us", bars_of("AB", 0, 50), SAID)
    assert share(dataset, store) > 0
    return dataset


class TestSharing:
    def test_the_bytes_are_there_once_and_do_not_count(self, shared, cache, store):
        assert links(files_on_disk(cache)) == {2}
        assert {p.stat().st_ino for p in files_on_disk(cache)} <= {p.stat().st_ino for p in bundle_files(store)}
        assert cache.size_bytes() == 0
        (found,) = cache.datasets()
        assert (found.size_bytes, found.shared_bytes) == (0, bytes_on_disk(cache))

    def test_the_answer_is_the_same(self, shared, cache):
        assert read(dataset_of(cache), "AB", 0, 50).equals(bars_of("AB", 0, 50))
        assert read(dataset_of(cache), "B", 7, 3).equals(bars_of("AB", 7, 3).filter(symbol="B"))
        assert reasons(dataset_of(cache), "A") == [(0, 49, "present")]

    def test_once_is_enough(self, shared, store, cache):
        before = files_on_disk(cache)
        assert share(shared, store) == 0
        assert files_on_disk(cache) == before

    def test_what_comes_later_lies_beside_it(self, shared, cache, store):
        save(shared, "AB", 50, 5)
        assert read(dataset_of(cache), "AB", 0, 55).equals(bars_of("AB", 0, 55))
        store.commit("us", bars_of("AB", 50, 5), SAID)
        share(shared, store)
        assert read(dataset_of(cache), "AB", 0, 55).equals(bars_of("AB", 0, 55))
        assert cache.size_bytes() == 0

    def test_joining_leaves_shared_files_alone(self, shared, cache):
        (linked,) = files_on_disk(cache)
        for day in range(50, 58):
            save(shared, "AB", day, 1)
        assert shared.compact() == 8
        assert linked in files_on_disk(cache)
        assert read(dataset_of(cache), "AB", 0, 58).equals(bars_of("AB", 0, 58))

    def test_a_full_cache_never_evicts_what_frees_nothing(self, shared, store, cache):
        small = cache_of(store, max_size_bytes=100)
        save(dataset_of(small), "C", 0, 10)
        assert reasons(dataset_of(small), "A") == [(0, 49, "present")]
        assert reasons(dataset_of(small), "C") == []


class TestRefused:
    def not_shared(self, dataset, cache, store, symbols="AB", days=50):
        before = files_on_disk(cache)
        assert share(dataset, store, symbols) == 0
        assert files_on_disk(cache) == before
        assert links(before) == {1}
        assert cache.size_bytes() == bytes_on_disk(cache)

    @pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP])
    def test_where_there_are_no_links_both_keep_their_copy(self, store, dataset, cache, monkeypatch, code):
        save(dataset, "AB", 0, 50)
        store.commit("us", bars_of("AB", 0, 50), SAID)

        def refuse(source, target, **_):
            raise OSError(code, "no links here", str(source), None, str(target))

        monkeypatch.setattr(os, "link", refuse)
        self.not_shared(dataset, cache, store)
        assert read(dataset_of(cache), "AB", 0, 50).equals(bars_of("AB", 0, 50))

    @pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system here")
    def test_a_cache_on_another_file_system_keeps_its_copy(self, store, tmp_path_factory):
        import shutil
        import tempfile

        folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
        try:
            if folder.stat().st_dev == store.home.parent.stat().st_dev:
                pytest.skip("the same file system")
            cache = cache_of(store, folder)
            dataset = dataset_of(cache)
            save(dataset, "AB", 0, 50)
            store.commit("us", bars_of("AB", 0, 50), SAID)
            self.not_shared(dataset, cache, store)
        finally:
            shutil.rmtree(folder)

    def test_one_other_digit_keeps_both(self, store, dataset, cache):
        save(dataset, "AB", 0, 50)
        store.commit("us", concat_bars([bars_of("AB", 0, 49), bars_of("AB", 49, 1, "9")]), SAID)
        self.not_shared(dataset, cache, store)

    def test_a_bar_that_only_the_bundle_has_keeps_both(self, store, dataset, cache):
        """The source has none there; sharing would make the cache answer with it."""
        bars = bars_of("AB", 0, 50)
        from rustybt.data.bundles.cache_store import Addition
        from rustybt.data.cache.series import SeriesFacts
        from tests.data.bundles.cached_days import covered

        with_hole = bars.filter(~bars["timestamp"].is_in([bars["timestamp"][20]]))
        dataset.save([Addition(s, (covered(0, 50),), SeriesFacts()) for s in "AB"], with_hole)
        store.commit("us", bars, SAID)
        self.not_shared(dataset, cache, store)
        assert read(dataset_of(cache), "AB", 0, 50).equals(with_hole)

    def test_a_bar_outside_what_is_covered_does_no_harm(self, store, dataset, cache):
        save(dataset, "AB", 10, 30)
        store.commit("us", bars_of("AB", 0, 50), SAID)
        assert share(dataset, store) > 0
        assert reasons(dataset_of(cache), "A") == [(10, 39, "present")]
        assert read(dataset_of(cache), "AB", 0, 50).equals(bars_of("AB", 10, 30))

    def test_a_file_with_a_symbol_that_the_bundle_lacks_stays(self, store, dataset, cache):
        save(dataset, "ABC", 0, 50)
        store.commit("us", bars_of("AB", 0, 50), SAID)
        self.not_shared(dataset, cache, store)

    def test_little_is_not_worth_it(self, store, dataset, cache, monkeypatch):
        monkeypatch.setattr(sharing, "LEAST_BYTES", 256 * 1024)
        save(dataset, "AB", 0, 50)
        store.commit("us", bars_of("AB", 0, 50), SAID)
        self.not_shared(dataset, cache, store)

    def test_a_damaged_file_of_the_bundle_is_not_taken_over(self, store, dataset, cache):
        save(dataset, "AB", 0, 50)
        store.commit("us", bars_of("AB", 0, 50), SAID)
        real = os.link

        def damaged(source, target):
            real(source, target)
            data = bytearray(Path(target).read_bytes())
            data[len(data) // 2] ^= 1
            Path(target).unlink()
            Path(target).write_bytes(data)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "link", damaged)
            self.not_shared(dataset, cache, store)
        assert read(dataset_of(cache), "AB", 0, 50).equals(bars_of("AB", 0, 50))


class TestLettingGo:
    def test_a_bundle_that_is_removed_leaves_the_bytes_to_the_cache_and_they_count_again(
        self, shared, cache, store, clock
    ):
        store.remove("us")
        assert cache.size_bytes() == bytes_on_disk(cache) > 0
        (found,) = cache.datasets()
        assert (found.size_bytes, found.shared_bytes) == (bytes_on_disk(cache), 0)
        clock.now = 4e9
        store.gc()
        assert links(files_on_disk(cache)) == {1}
        assert read(dataset_of(cache), "AB", 0, 50).equals(bars_of("AB", 0, 50))

    def test_they_are_evicted_like_all_others_then(self, shared, store, cache):
        store.remove("us")
        small = cache_of(store, max_size_bytes=bytes_on_disk(cache))
        save(dataset_of(small), "C", 0, 5)
        assert reasons(dataset_of(small), "A") == []
        assert small.size_bytes() == bytes_on_disk(small)

    def test_a_version_that_is_collected_counts_again(self, shared, cache, store, clock):
        store.commit("us", bars_of("AB", 0, 50, "9"), SAID)
        assert cache.size_bytes() == 0
        clock.now += 1
        store.gc("us", keep_last=1, grace_seconds=0)
        assert cache.size_bytes() == bytes_on_disk(cache) > 0
        assert read(dataset_of(cache), "AB", 0, 50).equals(bars_of("AB", 0, 50))
        assert store.verify("us").is_whole

    @pytest.mark.parametrize("how", [{"everything": True}, {"symbols": ["A", "B"]}])
    def test_cleaning_the_cache_leaves_the_bundle_whole(self, shared, cache, store, how):
        cache.clean(**how)
        assert files_on_disk(cache) == []
        assert store.verify("us").is_whole
        with store.open("us") as bundle:
            assert bundle.read().equals(bars_of("AB", 0, 50))

    def test_dropping_a_shared_file_leaves_the_bundle_whole(self, shared, store, cache):
        shared.ledger.refresh()
        for key in list(shared.ledger.files):
            shared.drop_file(key, "damaged")
        assert files_on_disk(cache) == []
        assert store.verify("us").is_whole

    def test_bytes_that_two_bundles_need_are_counted_when_the_linked_one_lets_go(self, shared, cache, store):
        store.commit("copy", bars_of("AB", 0, 50), SAID)
        store.remove("us")
        assert cache.size_bytes() > 0
        share(shared, store, name="copy")
        assert cache.size_bytes() == 0

    def test_a_link_that_nothing_names_yet_is_young_however_old_its_bytes_are(self, shared, cache, store, clock):
        """A sweep must not take it from under the one who is about to store it."""
        for path in bundle_files(store):
            os.utime(path, (0, 0))
        source = bundle_files(store)[0]
        target = cache.place.root / shared.name / "1234.parquet"
        os.link(source, target)
        clock.now = target.stat().st_ctime + 1
        assert cache.clean(max_size_bytes=10**9).files == 0
        assert target.exists()
        clock.now += 365 * 86_400
        assert cache.clean(max_size_bytes=10**9).files == 1
        assert store.verify("us").is_whole
