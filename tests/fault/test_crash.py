"""kill -9 at every named step of a commit, and at any moment of many."""

import random
import signal
import threading

import pytest

from rustybt.data.bundles.manifest import Manifest
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import BundleNotFoundError
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

SAID = Provenance("test")
STEPS = ["files-staged", "manifest-written", "rows-inserted", "committed"]


def prices_of(store, reference):
    with store.open(reference) as bundle:
        assert store.verify(bundle.reference).is_whole
        return [int(close) for close in bundle.read()["close"]]


def files_on_disk(home):
    return {path.relative_to(home).as_posix() for path in home.glob("us/*/*")}


def referenced(store):
    keys = {info.manifest_key for info in store.versions("us")}
    for info in store.versions("us"):
        with store.open(info.reference) as bundle:
            keys |= {record.file_key for record in bundle.files}
    return keys


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", [0, 2])
def test_a_process_killed_at_any_step_leaves_a_whole_version_or_none(home, start, step, before):
    with BundleStore(home) as store:
        for number in range(1, before + 1):
            store.commit("us", frame_of_bars([("A", f"2020-01-{number + 1:02d}", number)]), SAID)
    process = start("crash_at", home, step)
    out, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, err
    assert out == ""
    landed = before + (step == "committed")
    with BundleStore(home) as store:
        if not landed:
            with pytest.raises(BundleNotFoundError):
                store.open("us")
        for number in range(1, landed + 1):
            assert prices_of(store, f"us@{number}") == list(range(1, number + 1))
        assert len(store.list_bundles()) == (landed > 0)
        # Ingesting goes on, the same operation again included, and what the crash left behind is swept away.
        again = store.commit(
            "us", frame_of_bars([("A", f"2020-01-{before + 2:02d}", before + 1)]), SAID, op_id=f"op-{before + 1}"
        )
        assert (again.version, again.unchanged) == (before + 1, bool(landed > before))
        store.gc(grace_seconds=0)
        assert files_on_disk(home) == referenced(store)
        assert prices_of(store, "us") == list(range(1, before + 2))


def test_what_a_first_ingest_left_behind_is_swept_although_no_bundle_came_of_it(home, start):
    start("crash_at", home, "files-staged").communicate(timeout=60)
    assert files_on_disk(home)
    with BundleStore(home) as store:
        assert store.gc(grace_seconds=3_600).files_waiting == 2
        assert store.gc(grace_seconds=0, dry_run=True).files_deleted == 2
        assert store.gc(grace_seconds=0).files_deleted == 2
        assert files_on_disk(home) == set()


def test_a_stale_manifest_never_outlives_its_files(home, start):
    """Else a recovery would bring back a version whose bars are gone."""
    with BundleStore(home) as store:
        store.commit("us", frame_of_bars([("A", "2020-01-02", 1)]), SAID)
        start("crash_at", home, "manifest-written").communicate(timeout=60)
        assert len(list((home / "us" / "manifests").iterdir())) == 2
        report = store.gc("us", grace_seconds=3_600)
        assert (report.files_deleted, report.files_waiting) == (1, 2)
        store.close()
        store.database.path.unlink()
        assert store.recover().recovered == {"us": 1}
        assert prices_of(store, "us") == [1]


def test_a_database_lost_right_after_a_crash_comes_back_with_the_whole_version(home, start):
    with BundleStore(home) as store:
        store.commit("us", frame_of_bars([("A", "2020-01-02", 1)]), SAID)
    start("crash_at", home, "rows-inserted").communicate(timeout=60)
    with BundleStore(home) as store:
        assert store.versions("us")[-1].version == 1
        store.close()
        for path in (home / ".rustybt").glob("metadata.sqlite*"):
            path.unlink()
        assert store.recover().recovered == {"us": 2}
        assert prices_of(store, "us@2") == [1, 2]


def test_no_acknowledged_commit_is_lost_whenever_the_writer_is_killed(home, start):
    chance = random.Random(2)
    with BundleStore(home) as store:
        store.commit("us", frame_of_bars([("A", "2020-01-02", 1)]), SAID)
    for _ in range(5):
        process = start("commit_for_ever", home)
        acknowledged = [int(process.stdout.readline()) for _ in range(chance.randint(1, 4))]
        threading.Event().wait(chance.random() * 0.06)
        process.kill()
        rest, err = process.communicate(timeout=60)
        assert err == ""
        acknowledged += [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        with BundleStore(home) as store:
            count = len(store.versions("us"))
            assert count in (acknowledged[-1], acknowledged[-1] + 1)
            for number in range(acknowledged[0] - 1, count + 1):
                assert prices_of(store, f"us@{number}") == list(range(1, number + 1))
            store.gc("us", grace_seconds=0)
            assert files_on_disk(home) == referenced(store)
            for info in store.versions("us"):
                Manifest.from_bytes(store.storage.open(info.manifest_key), info.manifest_key)
