"""`rustybt bundle recover`: the database is a copy of what the manifests say."""

import json
import shutil
import sqlite3
from datetime import date

import pytest

from rustybt.data.bundles.records import Alias
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import BundleNotFoundError, CorruptBundleError, VersionNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import Provenance
from rustybt.market.quality_report import QualityReport
from rustybt.testing.bars import frame_of_bars

SAID = Provenance("test", source_url="https://x", fetch_timestamp=99, options={"a": [1]})
QUALITY = QualityReport(row_count=2, outlier_count=1, notes=("seen",))


@pytest.fixture
def store(home):
    with BundleStore(home, clock=lambda: 1_700_000_000.0) as opened:
        opened.commit(
            "us",
            frame_of_bars([("B", "2024-01-02", "1"), ("A", "2024-01-02", "2")]),
            SAID,
            quality=QUALITY,
            start=5,
            end=10**16,
        )
        opened.commit(
            "eu",
            frame_of_bars([("X", "2024-01-02", "3")]),
            SAID,
            calendar="XLON",
            assets={"X": AssetAttributes(venue="XLON", name="Ξ")},
        )
        opened.commit(
            "us", frame_of_bars([("A", "2024-01-03", "4")]), SAID, actions=[CorporateAction.split("A", "2024-01-03", 2)]
        )
        opened.commit(
            "us",
            frame_of_bars([("C", "2024-01-02T15:00", "5")]),
            SAID,
            frequency="1h",
            aliases=[Alias("C", "OLD", end=date(2020, 1, 1))],
        )
        opened.commit("us", frame_of_bars([]), SAID, symbols=["B"], replace=True)
        opened.tag("us@2", "golden")
        opened.tag("us@3", "moved")
        opened.tag("us@4", "moved")
        opened.gc("us", keep_last=2, grace_seconds=0)
        yield opened


def everything(store):
    """All that can be asked of a home."""
    found = {}
    for name in ("us", "eu"):
        infos = store.versions(name)
        found[name] = (infos, store.tags(name), store.load_coverage(name))
        for info in infos:
            if info.collected:
                with pytest.raises(VersionNotFoundError, match="collected"):
                    store.open(info.reference)
                continue
            with store.open(info.reference) as bundle:
                found[info.reference] = (
                    bundle.content_hash, bundle.calendar_name, bundle.description, bundle.provenance, bundle.quality(),
                    [bundle.read(frequency=f).rows() for f in bundle.frequencies],
                    [(a.sid, a.symbol, a.first_session, a.last_session) for a in bundle.assets.retrieve_all()],
                )  # fmt: skip
            assert store.verify(info.reference).is_whole
    found["sids"] = store.asset_db.all_sids()
    listed = [info.to_json() for info in store.list_bundles()]
    return found, listed


def lose(store):
    store.close()
    for path in store.database.folder.glob("metadata.sqlite*"):
        path.unlink()


def test_a_deleted_database_comes_back_whole(store):
    before = everything(store)
    lose(store)
    for use in (
        lambda: store.open("us"),
        store.list_bundles,
        lambda: store.commit("us", frame_of_bars([("A", "2024-01-09", 1)]), SAID),
    ):
        with pytest.raises(CorruptBundleError, match="is missing, but there are bundles") as caught:
            use()
        assert caught.value.exit_code == 6
        assert "rustybt bundle recover" in caught.value.hint
        assert caught.value.bundle in ("us", "eu")
    report = store.recover()
    assert report.recovered == {"us": 4, "eu": 1}
    assert (report.already_known, report.problems, report.damaged_database) == ([], {}, "")
    assert everything(store) == before
    again = store.recover()
    assert (again.recovered, again.already_known) == ({}, ["eu", "us"])
    assert store.commit("us", frame_of_bars([("A", "2024-01-09", 1)]), SAID).version == 5
    json.dumps(report.to_json())


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:100],
        lambda data: data[: len(data) // 2],
        lambda data: b"this is not a database, but longer than its header" * 10,
        lambda data: bytes(255 - byte for byte in data),
        lambda data: data[:4096] + b"\x00" * (len(data) - 4096),
    ],
    ids=["empty", "header cut", "half", "text", "inverted", "zeroed"],
)
def test_a_garbled_database_is_put_aside_and_built_anew(store, damage):
    before = everything(store)
    store.close()
    connection = sqlite3.connect(store.database.path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    garbled = damage(store.database.path.read_bytes())
    store.database.path.write_bytes(garbled)
    with pytest.raises(CorruptBundleError, match=r"rustybt bundle recover"):
        store.open("us")
    with pytest.raises(CorruptBundleError):
        store.commit("us", frame_of_bars([("A", "2024-01-09", 1)]), SAID)
    manifests = sorted(path.name for path in store.home.glob("*/manifests/*"))
    report = store.recover()
    assert report.recovered == {"us": 4, "eu": 1}
    assert store.storage.path(".rustybt").joinpath(report.damaged_database).read_bytes() == garbled
    assert everything(store) == before
    assert sorted(path.name for path in store.home.glob("*/manifests/*")) == manifests


def test_a_bundle_whose_folder_was_copied_in_is_taken_up(store, tmp_path):
    with BundleStore(tmp_path / "colleague") as other:
        other.commit("before", frame_of_bars([(symbol, "2024-01-02", 1) for symbol in "KLMNOPQ"]), SAID)
        other.commit(
            "jp",
            frame_of_bars([("X", "2024-01-02", "9"), ("Y", "2024-01-02", "9")]),
            SAID,
            assets={"X": AssetAttributes(venue="XLON")},
        )
        expected = other.open("jp").content_hash
    before = everything(store)
    shutil.copytree(tmp_path / "colleague" / "jp", store.home / "jp")
    with pytest.raises(BundleNotFoundError, match="rustybt bundle recover brings it back"):
        store.open("jp")
    report = store.recover()
    assert (report.recovered, report.already_known) == ({"jp": 1}, ["eu", "us"])
    with store.open("jp") as bundle, store.open("eu") as eu:
        assert bundle.content_hash == expected
        assert bundle.asset("X").sid == eu.asset("X").sid  # the same listing has one sid in a home
        assert bundle.asset("Y").sid == 9
    before[0]["sids"] = {**before[0]["sids"], ("bundle:jp", "Y", ""): 9}
    assert everything(store)[0] == before[0]


def test_an_old_copy_of_the_database_is_brought_up_to_date(store):
    store.close()
    connection = sqlite3.connect(store.database.path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    old = store.database.path.read_bytes()
    store.commit("us", frame_of_bars([("A", "2024-01-09", 1)]), SAID)
    store.commit("us", frame_of_bars([("A", "2024-01-10", 1)]), SAID)
    before = everything(store)
    lose(store)
    store.database.path.write_bytes(old)
    with pytest.raises(
        CorruptBundleError, match=r"knows bundle us up to version 4, but there are manifests up to version 6"
    ):
        store.commit("us", frame_of_bars([("A", "2024-01-11", 1)]), SAID)
    assert store.gc("us", grace_seconds=-(10**10)).kept == {
        "us": "there are versions that the database does not know: rustybt bundle recover"
    }
    report = store.recover()
    assert (report.recovered, report.already_known) == ({"us": 2}, ["eu"])
    assert everything(store)[0] == before[0]


def test_a_chain_is_followed_as_far_as_it_holds(store):
    lose(store)
    (path,) = (store.home / "us" / "manifests").glob("3-*.json")
    path.unlink()
    (store.home / "us" / "manifests" / "7-stray.json").write_text("{}")
    (store.home / "us" / "manifests" / "note.txt").write_text("?")
    (store.home / "us" / "tags" / "broken@1-x.json").write_text("{")
    (store.home / "empty").mkdir()
    report = store.recover()
    assert report.recovered == {"us": 2, "eu": 1}
    assert set(report.problems) == {"us"}
    assert store.tags("us") == {"golden": 2}
    assert [info.version for info in store.versions("us")] == [1, 2]


def test_a_later_manifest_of_another_parent_is_not_taken_for_the_next_version(store):
    (path,) = (store.home / "us" / "manifests").glob("4-*.json")
    lose(store)
    (store.home / "us" / "manifests" / "4-impostor.json").write_bytes(
        next((store.home / "eu" / "manifests").glob("1-*")).read_bytes()
    )
    assert store.recover().recovered == {"us": 4, "eu": 1}
    assert path.exists()


def test_a_whole_folder_of_internals_may_be_lost(store):
    before = everything(store)
    store.close()
    shutil.rmtree(store.home / ".rustybt")
    assert store.recover().recovered == {"us": 4, "eu": 1}
    assert everything(store) == before


def test_a_home_may_be_moved(store, tmp_path):
    before = everything(store)
    store.close()
    shutil.move(store.home, tmp_path / "moved")
    with BundleStore(tmp_path / "moved") as moved:
        assert everything(moved) == before
