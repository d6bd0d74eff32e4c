"""Tags, garbage collection, removal, verification, difference."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rustybt.data.bundles.leases import LeaseRegistry
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import (
    BundleNotFoundError,
    ConflictError,
    CorruptBundleError,
    RequestError,
    VersionNotFoundError,
)
from rustybt.market.assets import AssetAttributes
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.pin import Pin
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

SAID = Provenance("test")


class Clock:
    def __init__(self, now=1_700_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock(datetime.now(UTC).timestamp())


@pytest.fixture
def store(home, clock):
    with BundleStore(home, clock=clock) as opened:
        for close in (1, 2, 3, 4):
            opened.commit("us", frame_of_bars([("A", "2024-01-02", close)]), SAID)
        yield opened


def data_files(store, name="us"):
    return {
        path
        for path in (store.home / name).rglob("*")
        if path.is_file() and path.parent.name not in ("manifests", "tags")
    }


def close_of(store, reference):
    with store.open(reference) as bundle:
        return bundle.read()["close"].item()


class TestTags:
    def test_a_tag_names_a_version_and_moves(self, store):
        assert store.tag("us@2", "golden").reference == "us@2"
        assert close_of(store, "us@golden") == 2
        store.tag("us", "golden")
        assert (close_of(store, "us@golden"), store.tags("us")) == (4, {"golden": 4})
        assert [info.tags for info in store.versions("us")] == [(), (), (), ("golden",)]
        assert len(list((store.home / "us" / "tags").iterdir())) == 1

    def test_a_tag_is_removed_by_name(self, store):
        store.tag("us@2", "golden")
        store.untag("us", "golden")
        assert store.tags("us") == {}
        assert not list((store.home / "us" / "tags").iterdir())
        with pytest.raises(VersionNotFoundError, match="has no tag 'golden'"):
            store.untag("us", "golden")

    def test_a_tag_needs_a_version_that_is_there(self, store):
        with pytest.raises(VersionNotFoundError):
            store.tag("us@9", "golden")
        with pytest.raises(RequestError):
            store.tag("us", "latest")
        with pytest.raises(BundleNotFoundError):
            store.tags("eu")


class TestGarbageCollection:
    def test_without_keep_last_no_version_goes(self, store):
        before = data_files(store)
        report = store.gc()
        assert (report.collected, report.files_deleted, report.files_waiting) == ([], 0, 0)
        assert data_files(store) == before

    def test_old_versions_go_and_the_latest_stays(self, store):
        report = store.gc("us", keep_last=1, grace_seconds=0)
        assert report.collected == ["us@1", "us@2", "us@3"]
        assert report.files_deleted == 6  # bars and digests of each
        assert len(data_files(store)) == 2
        assert close_of(store, "us") == 4
        with pytest.raises(VersionNotFoundError, match="was collected: its files are gone"):
            store.open("us@2")
        assert [info.collected for info in store.versions("us")] == [True, True, True, False]
        assert store.gc("us", keep_last=1, grace_seconds=0).to_json() == {
            "dry_run": False, "collected": [], "kept": {}, "orphaned_results": {}, "files_deleted": 0, "bytes_freed": 0, "files_waiting": 0,
        }  # fmt: skip

    def test_files_wait_for_the_grace_period(self, store, clock):
        report = store.gc("us", keep_last=1, grace_seconds=3_600)
        assert (report.files_deleted, report.files_waiting, len(data_files(store))) == (0, 6, 8)
        clock.now += 3_599
        assert store.gc("us", grace_seconds=3_600).files_waiting == 6
        clock.now += 2
        report = store.gc("us", grace_seconds=3_600)
        assert (report.files_deleted, report.files_waiting, len(data_files(store))) == (6, 0, 2)
        assert report.bytes_freed > 0

    def test_a_clock_that_jumps_back_deletes_nothing_early(self, store, clock):
        store.gc("us", keep_last=1, grace_seconds=3_600)
        clock.now -= 10 * 86_400
        assert store.gc("us", grace_seconds=3_600).files_deleted == 0
        assert store.commit("us", frame_of_bars([("A", "2024-01-02", 5)]), SAID).version == 5
        assert close_of(store, "us") == 5

    def test_a_dry_run_says_what_would_happen_and_does_nothing(self, store):
        before = data_files(store)
        promised = store.gc("us", keep_last=2, dry_run=True, grace_seconds=0)
        assert promised.dry_run
        assert data_files(store) == before
        assert [close_of(store, f"us@{n}") for n in (1, 2, 3, 4)] == [1, 2, 3, 4]
        assert not list((store.home / "us" / "manifests").glob("*.collected"))
        done = store.gc("us", keep_last=2, grace_seconds=0)
        assert {**promised.to_json(), "dry_run": False} == done.to_json()

    def test_tagged_and_opened_versions_stay(self, store):
        store.tag("us@1", "golden")
        with store.open("us@2") as opened:
            report = store.gc("us", keep_last=1, grace_seconds=0)
            assert report.collected == ["us@3"]
            assert report.kept["us@1"] == "tagged golden"
            assert report.kept["us@2"].startswith("open in process ")
            assert opened.read()["close"].item() == 2
        assert store.gc("us", keep_last=1, grace_seconds=0).collected == ["us@2"]
        assert close_of(store, "us@golden") == 1

    def test_a_version_opened_while_gc_runs_keeps_its_files(self, store, monkeypatch):
        """The reader takes its lease just after gc looked, and reads when gc is through."""
        look = LeaseRegistry.living
        opened = []

        def living(self):
            found = look(self)
            if not opened:
                opened.append(store.open("us@2"))
            return found

        monkeypatch.setattr(LeaseRegistry, "living", living)
        report = store.gc("us", keep_last=1, grace_seconds=0)
        assert report.collected == ["us@1", "us@2", "us@3"]
        assert opened[0].read()["close"].item() == 2
        opened[0].close()
        assert store.gc("us", grace_seconds=0).files_deleted == 2

    def test_results_that_can_no_longer_be_replayed_are_named(self, store, tmp_path):
        kept, gone, lost = (tmp_path / name for name in ("kept", "gone", "lost"))
        for folder, version in ((kept, 4), (gone, 2), (lost, 2)):
            folder.mkdir()
            store.record_result(folder, Pin("us", version, "0" * 64))
        lost.rmdir()
        assert store.saved_results("us") == [(str(gone), 2), (str(kept), 4)]
        report = store.gc("us", keep_last=1, dry_run=True)
        assert report.orphaned_results == {str(gone): "us@2"}

    def test_at_least_one_version_is_kept(self, store):
        with pytest.raises(RequestError, match="at least the latest"):
            store.gc("us", keep_last=0)
        with pytest.raises(BundleNotFoundError):
            store.gc("eu")

    def test_an_empty_home_has_no_garbage(self, tmp_path):
        with BundleStore(tmp_path / "empty") as store:
            assert store.gc(keep_last=1).collected == []
            assert not store.home.exists()

    def test_a_hash_means_a_version_that_is_still_there(self, store):
        first = store.versions("us")[0].content_hash
        store.commit("us", frame_of_bars([("A", "2024-01-02", 1)]), SAID)
        store.commit("us", frame_of_bars([("A", "2024-01-02", 6)]), SAID)
        store.tag("us@1", "golden")
        store.gc("us", keep_last=1, grace_seconds=0)
        with store.open(f"us@sha256:{first}") as bundle:
            assert bundle.version == 1

    def test_files_of_others_in_a_home_stay(self, store, clock):
        mine = store.home / "notes" / "todo.txt"
        mine.parent.mkdir()
        mine.write_text("buy low")
        stray = store.home / "us" / "daily_bars" / ("0" * 32 + ".parquet")
        stray.write_bytes(b"left by a crash")
        clock.now += 10
        report = store.gc(grace_seconds=5)
        assert (report.files_deleted, report.bytes_freed) == (1, 15)
        assert not stray.exists()
        assert mine.exists()


class TestRemove:
    def test_a_bundle_goes_and_its_name_is_free(self, store, clock):
        sid = store.asset_db.all_sids()["bundle:us", "A", ""]
        store.remove("US")
        assert store.list_bundles() == []
        assert not (store.home / "us").exists()
        with pytest.raises(BundleNotFoundError):
            store.open("us")
        assert store.gc().files_waiting > 0
        clock.now += 4_000
        assert store.gc().files_deleted > 0
        assert not list((store.home / ".rustybt" / "trash").iterdir())
        result = store.commit("us", frame_of_bars([("A", "2024-01-02", 7), ("B", "2024-01-02", 7)]), SAID)
        assert result.version == 1
        with store.open("us") as bundle:
            assert (bundle.asset("A").sid, bundle.asset("B").sid) == (sid, sid + 1)

    def test_not_while_somebody_reads_it(self, store):
        with store.open("us@2") as bundle:
            with pytest.raises(ConflictError, match="is open in process"):
                store.remove("us")
            assert bundle.read().height == 1
        store.remove("us")

    def test_an_unknown_one_is_said_so(self, store):
        with pytest.raises(BundleNotFoundError):
            store.remove("eu")

    def test_sids_of_a_removed_bundle_stay_taken_even_when_the_database_is_lost(self, store):
        store.commit("eu", frame_of_bars([("Z", "2024-01-02", 1)]), SAID)
        taken = store.asset_db.all_sids()
        store.remove("eu")
        store.close()
        store.database.path.unlink()
        store.recover()
        assert store.asset_db.all_sids() == taken
        store.commit("jp", frame_of_bars([("Y", "2024-01-02", 1)]), SAID)
        assert store.asset_db.all_sids()["bundle:jp", "Y", ""] == max(taken.values()) + 1


class TestVerify:
    def test_a_whole_version_is_whole(self, store):
        report = store.verify("us@2")
        assert report.is_whole
        assert (report.reference, report.rows_checked, report.files_checked) == ("us@2", 1, 2)
        assert report.to_json()["damages"] == []
        report.raise_if_damaged()

    def test_every_damage_is_listed(self, store):
        with store.open("us") as bundle:
            bars, blocks = sorted(bundle.files, key=lambda record: record.kind)
        (store.home / bars.file_key).write_bytes(b"x")
        (store.home / blocks.file_key).unlink()
        (store.home / store.versions("us")[-1].manifest_key).write_text("{}")
        report = store.verify("us")
        assert not report.is_whole
        assert sorted(damage.file.split("/")[1] for damage in report.damages) == ["blocks", "daily_bars", "manifests"]
        with pytest.raises(CorruptBundleError, match=r"us@4 is damaged: .* \(and 2 more\)") as caught:
            report.raise_if_damaged()
        assert caught.value.exit_code == 6
        assert (caught.value.bundle, len(caught.value.damages)) == ("us", 3)
        assert json.loads(json.dumps(report.to_json()))["is_whole"] is False
        assert store.verify("us@3").is_whole

    def test_a_missing_manifest_is_damage(self, store):
        (store.home / store.versions("us")[-1].manifest_key).unlink()
        assert [damage.problem for damage in store.verify("us").damages] == ["is missing"]


class TestDiff:
    def test_says_what_was_added_removed_and_changed_with_the_values(self, store):
        before = [
            ("A", "2024-01-02", "1"),
            ("A", "2024-02-01", "2"),
            ("B", "2024-01-02", "5"),
            ("C", "2024-01-02", "6"),
        ]
        after = [
            ("A", "2024-01-02", "1", "1.5", "1", "1", "77"),
            ("A", "2024-02-02", "3"),
            ("B", "2024-01-02", "5"),
            ("D", "2024-01-02", "8"),
        ]
        split = CorporateAction.split("A", "2024-01-05", 2)
        store.commit("x", frame_of_bars(before), SAID)
        store.commit(
            "x",
            frame_of_bars(after),
            SAID,
            symbols=["C"],
            replace=True,
            actions=[split],
            assets={"B": AssetAttributes(name="Bee")},
        )
        diff = store.diff("x@1", "x@2")
        assert diff.added.select("frequency", "symbol", "close").rows() == [
            ("1d", "A", Decimal(3)),
            ("1d", "D", Decimal(8)),
        ]
        assert diff.removed.select("symbol", "close").rows() == [("A", Decimal(2)), ("C", Decimal(6))]
        assert diff.changed.rows() == [
            ("1d", "A", datetime(2024, 1, 2, tzinfo=UTC), "high", Decimal(1), Decimal("1.5")),
            ("1d", "A", datetime(2024, 1, 2, tzinfo=UTC), "volume", Decimal(1), Decimal(77)),
        ]
        assert (diff.rows_changed, diff.is_empty) == (1, False)
        assert [action.event_id for action in diff.actions_added] == [split.event_id]
        assert diff.assets_changed == ("B", "D")
        plain = diff.to_json(max_rows=1)
        assert (plain["rows_added"], len(plain["added"]), plain["rows_removed"]) == (2, 1, 2)
        assert plain["changed"] == [
            {
                "frequency": "1d",
                "symbol": "A",
                "timestamp": "2024-01-02T00:00:00+00:00",
                "field": "high",
                "before": "1",
                "after": "1.5",
            }
        ]
        back = store.diff("x@2", "x@1")
        assert back.added.drop("frequency").equals(diff.removed.drop("frequency"))
        assert back.actions_removed == diff.actions_added

    def test_equal_versions_do_not_differ(self, store):
        store.commit("copy", frame_of_bars([("A", "2024-01-02", 4)]), SAID)
        assert store.diff("us", "copy").is_empty
        with store.open("us") as bundle:
            assert bundle.diff("us@4").is_empty
            assert not bundle.diff(store.open("us@3")).is_empty

    def test_a_frequency_that_only_one_has_is_added_whole(self, store):
        store.commit("us", frame_of_bars([("A", "2024-01-02T15:00", 9)]), SAID, frequency="1h")
        diff = store.diff("us@4", "us@5")
        assert diff.added.select("frequency", "symbol").rows() == [("1h", "A")]
        assert diff.assets_changed == ("A",)

    def test_only_months_that_differ_are_read(self, store, monkeypatch):
        from rustybt.data.bundles.bundle import Bundle

        months = [("A", f"2023-{m:02d}-01", m) for m in range(1, 13)]
        store.commit("y", frame_of_bars([*months, ("B", "2023-05-01", 1)]), SAID)
        store.commit("y", frame_of_bars([("A", "2023-07-01", 70)]), SAID)
        asked = []
        real = Bundle.read
        monkeypatch.setattr(
            Bundle, "read", lambda self, symbols=None, **kw: asked.append(symbols) or real(self, symbols, **kw)
        )
        assert store.diff("y@1", "y@2").changed.height == 5
        assert asked == [["A"], ["A"]]
