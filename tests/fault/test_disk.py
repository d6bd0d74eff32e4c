"""A full disk, a home that cannot be written, a home on a network."""

import functools
import json
import shutil
import sqlite3

import pytest

from rustybt.data.bundles.metadata_store import database as database_module
from rustybt.data.bundles.storage import local
from rustybt.data.bundles.storage.local import LocalStorage, refuse_network_home
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import StorageError
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

SAID = Provenance("test")
BARS = frame_of_bars([("A", "2024-01-02", 1)])


def check_after_full_disk(home, said):
    """Everything that was acknowledged is there and whole; what was not left nothing that counts."""
    assert said["error"] == "StorageError"
    assert said["done"] >= 1
    with BundleStore(home) as store:
        infos = store.versions("us")
        assert [info.version for info in infos] == list(range(1, said["done"] + 1))
        for info in infos:
            assert store.verify(info.reference).is_whole
        with store.open("us") as bundle:
            assert bundle.read().height == sum(200 * number for number in range(1, said["done"] + 1))
        assert store.commit("us", BARS, SAID).version == said["done"] + 1
        store.gc(grace_seconds=0)


@pytest.mark.parametrize("limit", [40_000, 260_000])
def test_a_file_that_may_not_grow_stops_the_commit_and_loses_nothing(home, start, limit):
    """The smaller limit stops the database or its log, the larger one a file of bars."""
    with BundleStore(home) as store:
        store.commit("warm", BARS, SAID)
    out, err = start("fill_up", home, limit).communicate(timeout=120)
    assert err == ""
    said = json.loads(out)
    if said["done"]:
        check_after_full_disk(home, said)
    else:
        with BundleStore(home) as store:
            assert [info.name for info in store.list_bundles()] == ["warm"]
            assert store.verify("warm").is_whole
            assert store.commit("us", BARS, SAID).version == 1
    assert "hint:" in said["message"]


def test_a_full_disk_stops_the_commit_and_loses_nothing(tmp_path, home, start, in_namespace):
    home.mkdir()
    kept = tmp_path / "kept"
    # The mount lives and dies with the process: it copies the home out before it goes.
    prefix = in_namespace(f"mount -t tmpfs -o size=900k tmpfs '{home}'")
    script = f"\"$@\"; cp -r '{home}' '{kept}'"
    process = start("fill_up", home, 0, before=[*prefix, "sh", "-c", script, "sh"])
    out, err = process.communicate(timeout=120)
    assert err == ""
    said = json.loads(out)
    assert "no space left" in said["message"] or "full" in said["message"] or "disk I/O" in said["message"]
    shutil.rmtree(home)
    check_after_full_disk(kept, said)


@pytest.mark.parametrize("has_log", [False, True])
def test_a_read_only_home_can_be_read_and_says_clearly_that_it_cannot_be_written(home, start, in_namespace, has_log):
    with BundleStore(home) as store:
        store.commit("us", BARS, SAID)
        # This reader keeps the last writer from folding the log into the database.
        store.commit("us", frame_of_bars([("A", "2024-01-03", 2)]), SAID)
        log = store.database.path.with_name("metadata.sqlite-wal")
        assert log.stat().st_size > 0
        if not has_log:
            store.close()
            sqlite3.connect(store.database.path).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
            assert not log.exists()
        prefix = in_namespace(f"mount --bind '{home}' '{home}' && mount -o remount,ro,bind '{home}'")
        out, err = start("read_only", home, before=prefix).communicate(timeout=60)
        assert err == ""
        said = json.loads(out)
        assert (said["bundles"], said["us"], said["us@1"], said["whole"]) == (["us"], [2, 2], [1, 1], True)
        for name in ("commit", "tag", "gc", "rm"):
            assert said[name].startswith("StorageError: "), said[name]
            assert "read-only" in said[name] or "not writable" in said[name]
        assert [info.version for info in store.versions("us")] == [1, 2]


def mounts(tmp_path, *lines):
    path = tmp_path / "mounts"
    path.write_text("".join(f"{line}\n" for line in ("/dev/sda1 / ext4 rw 0 0", *lines)))
    return path


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "fuse.sshfs"])
def test_a_home_on_a_network_is_refused(tmp_path, monkeypatch, kind):
    fake = mounts(tmp_path, f"server:/data {tmp_path}/share {kind} rw 0 0")
    monkeypatch.setattr(database_module, "refuse_network_home", functools.partial(refuse_network_home, mounts=fake))
    home = tmp_path / "share" / "deep" / "home"
    with (
        BundleStore(home) as store,
        pytest.raises(StorageError, match=f"lies on {kind}: SQLite and file locks are not safe") as caught,
    ):
        store.commit("us", BARS, SAID)
    assert "rustybt bundle export" in caught.value.hint
    assert not home.exists()
    with BundleStore(tmp_path / "local") as store:
        store.commit("us", BARS, SAID)


def test_a_home_that_was_copied_to_a_network_is_refused_too(tmp_path, monkeypatch):
    home = tmp_path / "share home"
    with BundleStore(home) as store:
        store.commit("us", BARS, SAID)
    fake = mounts(tmp_path, f"server:/data {str(home).replace(' ', chr(92) + '040')} nfs rw 0 0")
    monkeypatch.setattr(database_module, "refuse_network_home", functools.partial(refuse_network_home, mounts=fake))
    with BundleStore(home) as store:
        for use in (store.list_bundles, lambda: store.open("us"), lambda: store.commit("us", BARS, SAID)):
            with pytest.raises(StorageError, match="lies on nfs"):
                use()


def test_the_nearest_mount_decides(tmp_path):
    local_disk = mounts(tmp_path, f"server:/a {tmp_path} nfs rw 0 0", f"/dev/sdb {tmp_path}/disk ext4 rw 0 0")
    refuse_network_home(tmp_path / "disk" / "home", local_disk)
    refuse_network_home(tmp_path / "home", tmp_path / "no such file")
    with pytest.raises(StorageError):
        refuse_network_home(tmp_path / "home", local_disk)


class TestLocalStorage:
    @pytest.fixture
    def storage(self, tmp_path):
        return LocalStorage(tmp_path / "root")

    @pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a\\b", "."])
    def test_a_key_never_leaves_the_home(self, storage, key):
        with pytest.raises(StorageError, match="is not a key inside the home"):
            storage.put_new(key, b"x")

    def test_a_write_that_fails_leaves_no_trace(self, storage, monkeypatch):
        def fail(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(local, "sync_file", fail)
        with pytest.raises(StorageError, match="no space left") as caught:
            storage.put_new("a/b", b"x")
        assert isinstance(caught.value, OSError)
        assert "nothing was lost" in caught.value.hint
        assert list(storage.list("a")) == []

    def test_other_refusals_are_explained(self, storage):
        storage.put_new("a", b"x")
        with pytest.raises(StorageError, match="cannot write"):
            storage.put_new("a/b", b"x")
        with pytest.raises(StorageError, match="exists already"):
            storage.put_new("a", b"y")
        assert storage.open("a") == b"x"
        with pytest.raises(StorageError, match="cannot read"):
            storage.open("a/b")
