"""Folders that vanish, fill up, cannot be written or are not folders; names that would leave them."""

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from rustybt.data.bundles.storage import local
from rustybt.data.bundles.store import BundleStore
from tests.fault.cache_checks import cache_of, check_ledger, is_uncached_answer
from tests.fault.cache_damage.damages import EIGHT, ROOT, files_of
from tests.fault.cache_vendor import EVENING, SYMBOLS


class TestFolders:
    def test_a_deleted_folder_is_made_again(self, anew, filled, home, warned):
        cached, vendor = anew()
        assert is_uncached_answer(cached, EIGHT)
        shutil.rmtree(home / ".rustybt" / "cache")
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 8
        assert is_uncached_answer(anew()[0], EIGHT)
        assert vendor.made == 8
        check_ledger(home)

    def test_a_deleted_home_is_made_again(self, anew, filled, home):
        cached, vendor = anew()
        assert is_uncached_answer(cached, EIGHT)
        shutil.rmtree(home)
        assert is_uncached_answer(cached, EIGHT)
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 8
        check_ledger(home)

    @pytest.mark.parametrize("which", ["home", ".rustybt", "cache", "dataset"])
    def test_a_file_in_place_of_a_folder(self, anew, filled, home, warned, which):
        cached, _ = anew()
        folder = {
            "home": home, ".rustybt": home / ".rustybt", "cache": home / ".rustybt/cache", "dataset": filled[0].parent
        }[which]  # fmt: skip
        kept = home.with_name("kept")
        folder.rename(kept)
        folder.write_text("not a folder")
        for _ in range(2):
            assert is_uncached_answer(cached, EIGHT)
            assert is_uncached_answer(anew()[0], EIGHT[::-1])
        assert "cache_unavailable" in warned()
        assert folder.read_text() == "not a folder"
        folder.unlink()
        kept.rename(folder)
        assert is_uncached_answer(anew()[0], EIGHT)

    def test_a_link_to_a_folder_elsewhere_is_followed_and_nothing_else_there_is_touched(
        self, anew, home, tmp_path, log
    ):
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "precious.parquet").write_text("mine")
        (home / ".rustybt").mkdir(parents=True)
        (home / ".rustybt" / "cache").symlink_to(elsewhere)
        cached, vendor = anew()
        assert is_uncached_answer(cached, EIGHT)
        assert is_uncached_answer(anew()[0], EIGHT)
        assert vendor.made == 8
        cached.cache.clean(everything=True)
        assert (elsewhere / "precious.parquet").read_text() == "mine"
        assert is_uncached_answer(cached, EIGHT)

    def test_a_link_to_nowhere(self, anew, home, warned):
        (home / ".rustybt").mkdir(parents=True)
        (home / ".rustybt" / "cache").symlink_to(home / "nowhere")
        cached, _ = anew()
        for _ in range(2):
            assert is_uncached_answer(cached, EIGHT)

    def test_a_link_in_place_of_a_file_is_believed_only_with_the_right_bytes(self, anew, filled, tmp_path, home):
        secret = tmp_path / "secret"
        secret.write_text("something else")
        filled[0].unlink()
        filled[0].symlink_to(secret)
        cached, vendor = anew()
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 2
        assert secret.read_text() == "something else"
        assert not filled[0].is_symlink()


class TestNoRoom:
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
    def test_a_file_that_cannot_be_written(self, anew, home, warned, monkeypatch, code):
        def refuse(_):
            raise OSError(code, os.strerror(code))

        cached, vendor = anew()
        assert is_uncached_answer(cached, EIGHT[:2])
        with monkeypatch.context() as patch:
            patch.setattr(local, "sync_file", refuse)
            assert is_uncached_answer(cached, EIGHT)
            assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 2 + 6 + 6
        assert "cache_unavailable" in warned()
        assert is_uncached_answer(cached, EIGHT)
        assert is_uncached_answer(anew()[0], EIGHT)
        assert vendor.made == 2 + 6 + 6 + 6
        assert not list((home / ".rustybt/cache").rglob(".tmp-*"))
        check_ledger(home)

    @pytest.mark.parametrize(
        "text", ["database or disk is full", "disk I/O error", "attempt to write a readonly database"]
    )
    def test_rows_that_cannot_be_written(self, anew, home, warned, monkeypatch, text):
        from rustybt.data.bundles.metadata_store import cache as sql

        def refuse(*_):
            raise sqlite3.OperationalError(text)

        cached, vendor = anew()
        with monkeypatch.context() as patch:
            patch.setattr(sql, "save_series", refuse)
            assert is_uncached_answer(cached, EIGHT)
        assert "cache_unavailable" in warned()
        assert files_of(home) == []
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 16
        check_ledger(home)


#: Asks for what is there, for what is not, and for both; says what was asked of the vendor and what was warned of.
ASK = """
import json, logging, sys
events = []
class Keep(logging.Handler):
    def emit(self, record):
        events.append(record.getMessage())
logging.getLogger("rustybt").addHandler(Keep(logging.WARNING))
from rustybt.data.bundles.store import BundleStore
from tests.fault.cache_checks import cache_of, is_uncached_answer
from tests.fault.cache_vendor import EVENING, SYMBOLS
home, cache_dir, log = sys.argv[1:]
store = BundleStore(home, clock=lambda: EVENING)
cached, vendor = cache_of(store, log, cache_dir=cache_dir or None)
right = [is_uncached_answer(cached, SYMBOLS[a:b]) for a, b in ((0, 4), (8, 12), (0, 12), (20, 50))]
made = vendor.made
right += [is_uncached_answer(cached, SYMBOLS[0:4])]
store.counters.flush_quietly()
store.close()
print(json.dumps({"right": right, "made": made, "again": vendor.made - made, "events": sorted(set(events))}))
"""


class TestMounts:
    """File systems that are full or read-only for real."""

    def ask(self, prefix, home, cache_dir, log):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*prefix, sys.executable, "-c", ASK, str(home), str(cache_dir), str(log)],
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def test_a_read_only_home_serves_what_it_has_and_the_rest_uncached(self, anew, filled, home, log, in_namespace):
        anew()[0].close()
        prefix = in_namespace(f"mount --bind '{home}' '{home}' && mount -o remount,ro,bind '{home}'")
        said = self.ask(prefix, home, "", log)
        assert said["right"] == [True] * 5
        assert (said["made"], said["again"]) == (4 + 4 + 30, 0)
        assert "cache_unavailable" in said["events"]

    def test_a_home_that_is_read_only_from_the_beginning(self, home, log, in_namespace):
        home.mkdir()
        prefix = in_namespace(f"mount --bind '{home}' '{home}' && mount -o remount,ro,bind '{home}'")
        said = self.ask(prefix, home, "", log)
        assert said["right"] == [True] * 5
        assert (said["made"], said["again"]) == (4 + 4 + 12 + 30, 4)
        assert "cache_unavailable" in said["events"]

    def test_a_read_only_cache_folder(self, home, tmp_path, log, in_namespace):
        folder = tmp_path / "cache folder"
        with BundleStore(home, clock=lambda: EVENING) as store:
            assert is_uncached_answer(cache_of(store, log, cache_dir=folder)[0], EIGHT)
        prefix = in_namespace(f"mount --bind '{folder}' '{folder}' && mount -o remount,ro,bind '{folder}'")
        said = self.ask(prefix, home, folder, log)
        assert said["right"] == [True] * 5
        assert (said["made"], said["again"]) == (4 + 4 + 30, 0)
        assert "cache_unavailable" in said["events"]

    @pytest.mark.parametrize("kilobytes", [64, 400])
    def test_a_full_disk(self, home, tmp_path, log, in_namespace, kilobytes):
        home.mkdir()
        said = self.ask(in_namespace(f"mount -t tmpfs -o size={kilobytes}k tmpfs '{home}'"), home, "", log)
        assert said["right"] == [True] * 5
        assert "cache_unavailable" in said["events"]

    def test_a_full_cache_folder(self, home, tmp_path, log, in_namespace):
        folder = tmp_path / "small"
        folder.mkdir()
        said = self.ask(in_namespace(f"mount -t tmpfs -o size=128k tmpfs '{folder}'"), home, folder, log)
        assert said["right"] == [True] * 5
        assert "cache_unavailable" in said["events"]


class TestNames:
    @pytest.mark.parametrize(
        "name", ["../../outside", "/etc/outside", "a/../../outside", "..", "con", "x\\..\\y", "~root"]
    )
    def test_names_that_would_leave_the_folder_stay_inside(self, home, tmp_path, log, name, monkeypatch):
        from tests.fault import cache_vendor

        (tmp_path / "outside").write_text("mine")
        before = {path for path in tmp_path.rglob("*") if home not in path.parents}
        monkeypatch.setattr(cache_vendor, "SYMBOLS", [*SYMBOLS, name])
        monkeypatch.setattr(cache_vendor.Vendor, "name", name)
        with BundleStore(home, clock=lambda: EVENING) as store:
            cached, vendor = cache_of(store, log)
            monkeypatch.setattr(cache_vendor, "series", _numbered(cache_vendor.series, name))
            assert is_uncached_answer(cached, [SYMBOLS[0], name])
            assert is_uncached_answer(cached, [SYMBOLS[0], name])
            assert vendor.made == 2
            cached.cache.clean(symbols=[name])
            assert is_uncached_answer(cached, [SYMBOLS[0], name])
            assert vendor.made == 3
        after = {path for path in tmp_path.rglob("*") if home not in path.parents}
        assert after <= before | {home, log}
        assert not Path("/etc/outside").exists()


def _numbered(real, name):
    def series(symbol, *rest):
        if symbol != name:
            return real(symbol, *rest)
        import polars as pl

        return real("S059", *rest).with_columns(pl.lit(name).alias("symbol"))

    return series
