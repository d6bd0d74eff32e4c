"""Several processes in one home."""

import signal
import sqlite3

import pytest
from filelock import FileLock

from rustybt.config import load_settings
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import ConflictError
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

SAID = Provenance("test")
BARS = frame_of_bars([("A", "2024-01-02", 1)])


def test_two_processes_ingest_into_one_bundle_and_both_land_while_a_third_reads(home, start):
    with BundleStore(home) as store:
        store.commit("shared", frame_of_bars([("M", "2020-01-01", 0)]), SAID)
        writers = [start("commit_many", home, symbol, 8, 3) for symbol in ("A", "Z")]
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        seen = []
        while any(writer.poll() is None for writer in writers):
            with store.open("shared") as bundle:
                # Version n holds n rows: no reader ever sees half of a commit.
                assert bundle.read().height == bundle.info.row_count == bundle.version
                seen.append(bundle.version)
        assert seen == sorted(seen)
        for writer in writers:
            out, err = writer.communicate(timeout=60)
            assert (out, err) == ("done\n", "")
        assert [info.version for info in store.versions("shared")] == list(range(1, 18))
        with store.open("shared") as bundle:
            assert [bundle.read(symbol)["close"].to_list() for symbol in ("A", "Z")] == [list(range(8))] * 2
        for name in ("A", "Z"):
            assert store.versions(name)[-1].version == 3
            assert store.verify(name).is_whole
        assert store.verify("shared").is_whole
        assert len(set(store.asset_db.all_sids().values())) == 5


def test_files_stay_while_another_process_holds_them_and_go_when_it_is_killed(home, start):
    with BundleStore(home) as store:
        store.commit("us", BARS, SAID)
        store.commit("us", frame_of_bars([("A", "2024-01-02", 2)]), SAID)
        reader = start("hold", home, "us@1")
        assert reader.stdout.readline() == "open\n"
        report = store.gc("us", keep_last=1, grace_seconds=0)
        assert report.kept == {"us@1": f"open in process {reader.pid}"}
        assert report.files_deleted == 0
        with pytest.raises(ConflictError, match=f"is open in process {reader.pid}"):
            store.remove("us")
        reader.send_signal(signal.SIGKILL)
        reader.wait(timeout=60)
        assert len(list((home / ".rustybt" / "leases").iterdir())) == 1
        assert store.gc("us", keep_last=1, grace_seconds=0).collected == ["us@1"]
        assert list((home / ".rustybt" / "leases").iterdir()) == []


def test_a_reader_that_is_still_alive_reads_to_its_end(home, start):
    with BundleStore(home) as store:
        store.commit("us", BARS, SAID)
        store.commit("us", frame_of_bars([("A", "2024-01-02", 2)]), SAID)
        reader = start("hold", home, "us@1")
        assert reader.stdout.readline() == "open\n"
        store.gc("us", keep_last=1, grace_seconds=0)
        out, err = reader.communicate("go on\n", timeout=60)
        assert (out, err) == ("1\n", "")


class TestLocks:
    @pytest.fixture
    def impatient(self, home):
        with BundleStore(home, settings=load_settings({"bundle.lock_timeout_seconds": 0.01})) as store:
            store.commit("us", BARS, SAID)
            yield store

    def test_a_bundle_that_another_process_changes_for_too_long_is_a_conflict(self, impatient):
        with FileLock(impatient.home / ".rustybt" / "locks" / "us.lock"):
            with pytest.raises(ConflictError, match="another process has been changing bundle us") as caught:
                impatient.commit("us", frame_of_bars([("A", "2024-01-03", 1)]), SAID)
            assert caught.value.exit_code == 1
            assert impatient.commit("eu", BARS, SAID).version == 1
        assert impatient.commit("us", frame_of_bars([("A", "2024-01-03", 1)]), SAID).version == 2

    def test_a_home_that_another_process_writes_for_too_long_is_a_conflict(self, impatient):
        with (
            FileLock(impatient.home / ".rustybt" / "metadata.lock"),
            pytest.raises(ConflictError, match="another process has been writing"),
        ):
            impatient.tag("us", "golden")
        assert impatient.tags("us") == {}

    def test_a_commit_that_was_overtaken_is_a_conflict_and_nothing_of_it_is_visible(self, home):
        """The lock of the bundle was circumvented, as by a copy of the home on another machine."""
        overtaken = []

        def overtake(step):
            if step == "files-staged" and not overtaken:
                overtaken.append(step)
                connection = sqlite3.connect(home / ".rustybt" / "metadata.sqlite")
                with connection:
                    connection.execute("DELETE FROM bundle_versions WHERE version = 2")
                    connection.execute("UPDATE bundle_metadata SET head_version = 1")
                connection.close()

        with BundleStore(home) as store:
            store.commit("us", BARS, SAID)
            store.commit("us", frame_of_bars([("A", "2024-01-03", 1)]), SAID)
        with BundleStore(home, on_step=overtake) as store:
            with pytest.raises(ConflictError, match="was changed by another process"):
                store.commit("us", frame_of_bars([("A", "2024-01-04", 1)]), SAID)
            assert store.versions("us")[-1].version == 1


def test_a_clock_that_jumps_back_between_commits_changes_nothing_but_the_dates(home):
    clocks = iter([2_000_000_000.0, 1_000_000_000.0, 1_500_000_000.0])
    for number in (1, 2, 3):
        now = next(clocks)
        with BundleStore(home, clock=lambda now=now: now) as store:
            store.commit("us", frame_of_bars([("A", f"2024-01-0{number}", number)]), SAID)
            store.tag("us", "newest")
    with BundleStore(home) as store:
        assert [(info.version, info.created_at) for info in store.versions("us")] == [
            (1, 2_000_000_000), (2, 1_000_000_000), (3, 1_500_000_000),
        ]  # fmt: skip
        store.close()
        store.database.path.unlink()
        store.recover()
        assert store.tags("us") == {"newest": 3}
        with store.open("us") as bundle:
            assert bundle.read()["close"].to_list() == [1, 2, 3]
