"""Files that rot while readers run: never a wrong bar, and what is lost is fetched again."""

import errno
import os
import random
import threading
import time
from pathlib import Path

import pytest

from rustybt.data.bundles import file_reader
from rustybt.data.bundles.storage import local
from rustybt.errors import NotCoveredError
from tests.fault.cache_checks import RANGE, check_ledger, is_uncached_answer
from tests.fault.cache_damage.damages import DAMAGES, EIGHT, exchange, files_of, flip, truncate
from tests.fault.cache_vendor import fetches


class TestFiles:
    @pytest.mark.parametrize("damage", DAMAGES)
    @pytest.mark.parametrize("is_open", [True, False])
    def test_one_damaged_file_is_fetched_again_and_no_other(self, anew, filled, home, log, warned, damage, is_open):
        cached, _ = anew()
        if is_open:
            # Its checksum was found right in this very process.
            assert is_uncached_answer(cached, EIGHT)
        before = len(fetches(log))
        DAMAGES[damage](filled[1])
        assert is_uncached_answer(cached, EIGHT)
        assert len(fetches(log)) == before + (8 if damage == "a-folder" else 2)
        assert warned()
        if damage == "a-folder":
            filled[1].rmdir()
        made = len(fetches(log))
        again, _ = anew()
        assert is_uncached_answer(again, EIGHT)
        assert is_uncached_answer(anew()[0], EIGHT)
        assert len(fetches(log)) == made + (2 if damage == "a-folder" else 0)
        check_ledger(home)

    def test_all_files_damaged_at_once(self, anew, filled, home, warned):
        for path, damage in zip(filled, (truncate, flip, Path.unlink, flip), strict=True):
            damage(path)
        cached, vendor = anew()
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 8
        assert "cache_file_dropped" in warned()
        check_ledger(home)

    def test_offline_a_damaged_file_is_named_as_missing_and_not_asked_for(self, anew, filled):
        flip(filled[0])
        cached, vendor = anew(offline=True)
        with pytest.raises(NotCoveredError) as caught:
            cached.fetch_sync(EIGHT, *RANGE)
        assert len(caught.value.details["missing"]) == 2
        assert vendor.made == 0

    def test_a_file_that_is_damaged_each_time_it_is_read_is_answered_past_the_cache(
        self, anew, filled, warned, monkeypatch
    ):
        real = local.LocalStorage.open
        monkeypatch.setattr(local.LocalStorage, "open", lambda storage, key: real(storage, key)[:-1])
        monkeypatch.setattr(file_reader, "_verified", {})
        cached, _ = anew()
        assert is_uncached_answer(cached, EIGHT)
        assert warned()

    @pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.EMFILE])
    def test_files_that_cannot_be_opened_are_answered_past_the_cache_and_kept(
        self, anew, filled, home, warned, monkeypatch, code
    ):
        def refuse(path):
            raise OSError(code, os.strerror(code), str(path))

        cached, vendor = anew()
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", refuse)
            assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 8
        assert "cache_unavailable" in warned()
        assert set(filled) <= set(files_of(home))
        assert is_uncached_answer(cached, EIGHT)
        assert vendor.made == 8

    def test_readers_go_on_while_files_are_damaged(self, processes, filled, home, log, tmp_path):
        """Files are exchanged whole, as a disk that rots or somebody who tidies up does: what is mapped stays what it was."""
        outs = [tmp_path / f"reader-{number}" for number in range(3)]
        groups = [EIGHT, EIGHT[2:5], EIGHT[5:]]
        readers = [
            processes.start(action="read_for_ever", home=home, log=log, out=out, groups=groups, range=RANGE)
            for out in outs
        ]
        chance = random.Random(5)
        ways = [flip, truncate, lambda path: path.write_bytes(b""), Path.unlink]
        deadline = time.monotonic() + 60
        rounds = 0
        while time.monotonic() < deadline and (
            rounds < 20 or not all(out.exists() and len(out.read_text().splitlines()) > 3 for out in outs)
        ):
            rounds += 1
            exchange(home, chance, ways, rounds)
            time.sleep(0.02)
        assert [processes.kill(reader) for reader in readers] == [-9, -9, -9]
        for out in outs:
            assert set(out.read_text().splitlines()) == {"round"}


def test_threads_of_one_process_read_while_another_damages(anew, filled, home):
    """The same in one process, which remembers which files it has checked."""
    cached, _ = anew()
    wrong, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                if not is_uncached_answer(cached, EIGHT):
                    wrong.append("answer")
            except Exception as error:  # noqa: BLE001  whatever it is
                wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    chance = random.Random(8)
    for number in range(20):
        exchange(home, chance, [flip, truncate], number)
        time.sleep(0.03)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
