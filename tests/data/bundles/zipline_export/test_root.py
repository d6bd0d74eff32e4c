"""Where an ingestion lies, and what is left of one that failed."""

import errno
import runpy
import sqlite3
import sys
import types
from datetime import UTC, datetime

import pytest

from rustybt.data.bundles.export import export_bundle
from rustybt.data.bundles.zipline_export import root as room
from rustybt.errors import MissingDependencyError, RequestError, StorageError
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

BARS = [("A", "2024-01-02", "1"), ("A", "2024-01-03", "2")]


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_ingestion_is_named_by_when_its_version_was_committed(commit, export, store, tmp_path):
    commit(BARS)
    done = export()
    (version,) = store.versions("b")
    moment = datetime.fromtimestamp(version.created_at, UTC).strftime("%Y-%m-%dT%H;%M;%S")
    assert done.folder == tmp_path / "root" / "data" / "b" / moment
    assert sorted(path.name for path in done.folder.iterdir()) == [
        "adjustments.sqlite",
        "assets-7.sqlite",
        "daily_equities.bcolz",
        "minute_equities.bcolz",
    ]
    assert [path.name for path in done.folder.parent.iterdir()] == [moment]


def test_the_same_version_makes_the_same_bytes(commit, export):
    commit(BARS)
    commit([("A", "2024-01-02T14:30:00", "1.25")], "1m")
    assert files(export("one").folder) == files(export("two").folder)


def test_an_ingestion_that_is_there_is_never_written_over(commit, export, tmp_path):
    commit(BARS)
    before = files(export().folder)
    with pytest.raises(RequestError, match="exists already"):
        export()
    assert files(next((tmp_path / "root" / "data" / "b").iterdir())) == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(RequestError, match="exists already"):
        export("file")


def test_a_root_in_use_keeps_what_it_has(commit, export, tmp_path):
    commit(BARS)
    other = tmp_path / "root" / "data" / "quandl" / "2020-01-01T00;00;00"
    other.mkdir(parents=True)
    (tmp_path / "root" / "extension.py").write_text("# mine\n")
    done = export()
    assert other.exists()
    assert (tmp_path / "root" / "extension.py").read_text() == "# mine\n"
    assert "extension.py was left as it is; add to it" in done.notes
    assert (
        "register('b', written_by_rustybt, calendar_name='XNYS', minutes_per_day=390, create_writers=False)"
        in done.notes
    )
    assert [path.rpartition(".")[2] for path in done.done.written] == ["bcolz", "bcolz", "sqlite", "sqlite"]


def test_lines_that_are_in_the_extension_already_are_not_asked_for_again(commit, export, tmp_path, store):
    commit(BARS)
    done = export()
    assert done.done.written[-1].endswith("extension.py")
    store.commit("c", store.open("b").read(), store.versions("b")[0].provenance, calendar="XNYS")
    with store.open("c") as bundle:
        (note,) = room.export_zipline(bundle, tmp_path / "root").notes
    assert "import" not in note
    assert "register('c', written_by_rustybt," in note
    for folder in (tmp_path / "root" / "data" / "b").iterdir():
        folder.rename(tmp_path / "elsewhere")
    assert export().done.notes == ()


def test_the_extension_registers_the_bundle_and_its_ingest_leaves_no_empty_ingestion(
    commit, export, tmp_path, monkeypatch
):
    commit(BARS)
    export()
    registered = {}
    bundles = types.SimpleNamespace(register=lambda name, function, **more: registered.update({name: (function, more)}))
    for name in ("zipline", "zipline.data"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "zipline.data.bundles", bundles)
    runpy.run_path(str(tmp_path / "root" / "extension.py"))
    function, more = registered["b"]
    assert more == {"calendar_name": "XNYS", "minutes_per_day": 390, "create_writers": False}
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SystemExit, match="exported"):
        function(*range(10), str(empty))
    assert not empty.exists()


@pytest.mark.parametrize("step", ["write_daily", "write_minutes", "add_to_extension"])
def test_a_full_disk_leaves_nothing_and_is_a_storage_error(commit, export, tmp_path, monkeypatch, step):
    commit(BARS)
    original = getattr(room, step)

    def full(*arguments):
        original(*arguments)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(room, step, full)
    with pytest.raises(StorageError, match="no space left"):
        export()
    assert not (tmp_path / "root" / "data").exists()
    monkeypatch.undo()
    assert list(export().days("A")) == ["2024-01-02", "2024-01-03"]


def test_a_full_disk_in_sqlite_is_a_storage_error_too(commit, export, tmp_path, monkeypatch):
    commit(BARS)
    connect = sqlite3.connect

    def small(*arguments, **more):
        connection = connect(*arguments, **more)
        connection.execute("PRAGMA max_page_count = 2")
        return connection

    monkeypatch.setattr("rustybt.data.bundles.metadata_store.zipline_output.sqlite3.connect", small)
    with pytest.raises(StorageError, match=r"cannot write .*adjustments.sqlite: database or disk is full"):
        export()
    assert not (tmp_path / "root").exists()


def test_without_bcolz_the_hint_is_the_extra(commit, export, tmp_path, monkeypatch):
    commit(BARS)
    monkeypatch.setitem(sys.modules, "bcolz", None)
    with pytest.raises(MissingDependencyError, match="bcolz-zipline") as caught:
        export()
    assert "rustybt[zipline]" in caught.value.hint
    assert not (tmp_path / "root").exists()


def test_export_bundle_writes_it_as_one_of_its_formats(commit, store, tmp_path):
    commit(BARS)
    with store.open("b") as bundle:
        written = export_bundle(bundle, "zipline", tmp_path / "root")
    assert written[0].endswith("daily_equities.bcolz")


def test_names_with_spaces_and_quotes_are_spelled_for_shell_and_python(store, tmp_path):
    store.commit("it's mine", frame_of_bars(BARS), Provenance("test"), calendar="XNYS")
    with store.open("it's mine") as bundle:
        done = room.export_zipline(bundle, tmp_path / "my root")
    assert "-b 'it'\"'\"'s mine'" in done.next_step
    assert done.next_step.startswith(f"ZIPLINE_ROOT='{tmp_path}/my root' ")
    text = (tmp_path / "my root" / "extension.py").read_text()
    compile(text, "extension.py", "exec")
    assert 'register("it\'s mine"' in text
