"""kill -9 at every named step, and at any moment, of a migration and of a rollback: the old state, or the new one."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.migration.homes import add_native, bytes_of, settle
from tests.migration.old_store import build_old_store
from tests.migration.snapshot import changes, snapshot
from tests.migration.truth import assert_nothing_lost, differences, new_facts
from tests.migration.truth_bars import assert_bars_equal, new_bars

WORKER = Path(__file__).with_name("worker.py")
ROOT_OF_TESTS = Path(__file__).parents[2]
DONE = (0, 3)
SHAPES = {"bars", "slash_symbols", "gone_files", "history", "two_datasets", "write_ahead_log"}


@pytest.fixture
def start():
    """Start a process; what still runs at the end of the test is killed."""
    started = []

    def run(*command):
        env = {**os.environ, "PYTHONPATH": str(ROOT_OF_TESTS)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen([sys.executable, *map(str, command)], text=True, env=env, **pipes)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


class Case:
    """An old root, a home with bundles of its own, and what the home was."""

    def __init__(self, root, home):
        self.root, self.home = root, home
        self.native, self.files, self.old = new_facts(home), bytes_of(home), snapshot(root)

    def is_as_before(self):
        return new_facts(self.home) == self.native

    def is_migrated(self):
        return not differences(self.root, self.home, self.native)

    def check(self, rustybt):
        """Fail unless the home is in one of the two states, and usable."""
        assert changes(self.old, snapshot(self.root)) == []
        if not self.is_as_before() and not _same_rows(new_facts(self.home), self.native):
            assert_nothing_lost(self.root, self.home, self.native)
            assert_bars_equal(self.root, self.home)
        else:
            assert new_bars(self.home) == {}
        assert rustybt("bundle", "list")[0] == 0
        assert rustybt("doctor")[0] == 0
        assert rustybt("bundle", "verify", "native")[0] == 0


def _same_rows(facts, before):
    """Return whether only empty tables came along: the schema's step is a commit of its own."""
    empty = {name for name, rows in facts.items() if not rows}
    noted = {"#columns", "schema_migrations"}
    kept = {name: rows for name, rows in facts.items() if name not in empty | noted}
    return kept == {name: rows for name, rows in before.items() if rows and name not in noted}


@pytest.fixture
def case(root, home, place, rustybt):
    build_old_store(root, shapes=SHAPES, bundles=2)
    for name in ("native", "us-0"):
        add_native(rustybt, place, name)
    settle(home)
    return Case(root, home)


@pytest.fixture
def fresh(case):
    """Put the home back to how it was, so that a test can kill often."""
    kept = case.home.with_name("kept")
    shutil.copytree(case.home, kept, symlinks=True)

    def again():
        shutil.rmtree(case.home)
        shutil.copytree(kept, case.home, symlinks=True)

    return again


def wait(process):
    out, err = process.communicate(timeout=120)
    return out.splitlines(), err


def test_a_migration_killed_at_any_step_leaves_the_old_state_or_the_new_one(case, fresh, start, rustybt, migrate):
    process = start(WORKER, "migrate", case.root, case.home, -1)
    names, err = wait(process)
    assert process.returncode == 0, err
    assert len(set(names)) > 2, "a migration has steps"
    assert case.is_migrated()
    ends = set()
    for number in sorted({names.index(name) for name in names} | {len(names) // 2, len(names) - 1}):
        fresh()
        process = start(WORKER, "migrate", case.root, case.home, number)
        wait(process)
        assert process.returncode == -signal.SIGKILL
        case.check(rustybt)
        ends.add(case.is_migrated())
        assert migrate()[0] in DONE, names[number]
        assert_nothing_lost(case.root, case.home, case.native)
        assert_bars_equal(case.root, case.home)
    assert ends == {True, False}, "some steps come before the commit, some after it"


def test_a_migration_killed_at_any_moment_leaves_the_old_state_or_the_new_one(case, fresh, start, rustybt, migrate):
    chance = random.Random(6)
    command = ["-m", "rustybt", "migrate", "--root", case.root, "--home", case.home, "--json"]
    begin = time.monotonic()
    wait(start(*command))
    longest = time.monotonic() - begin
    for _ in range(5):
        fresh()
        process = start(*command)
        threading.Event().wait(chance.random() * longest)
        process.kill()
        wait(process)
        case.check(rustybt)
        assert migrate()[0] in DONE
        assert_nothing_lost(case.root, case.home, case.native)


def test_a_rollback_killed_at_any_step_leaves_the_new_state_or_the_old_one(
    case, fresh, start, rustybt, migrate, timestamp
):
    assert migrate()[0] in DONE
    name = timestamp()
    done = case.home.with_name("done")
    shutil.copytree(case.home, done, symlinks=True)
    names, err = wait(start(WORKER, "rollback", case.root, case.home, -1, name))
    assert names, err
    assert bytes_of(case.home) == case.files
    for number in sorted({names.index(name) for name in names} | {len(names) - 1}):
        shutil.rmtree(case.home)
        shutil.copytree(done, case.home, symlinks=True)
        process = start(WORKER, "rollback", case.root, case.home, number, name)
        wait(process)
        assert process.returncode == -signal.SIGKILL
        case.check(rustybt)
        # The same command goes on.
        assert migrate("--rollback", name)[0] in (0, 2), names[number]
        assert bytes_of(case.home) == case.files
    assert migrate()[0] in DONE
    assert_nothing_lost(case.root, case.home, case.native)


def test_a_rollback_killed_at_any_moment_leaves_the_new_state_or_the_old_one(case, start, rustybt, migrate, timestamp):
    assert migrate()[0] in DONE
    name, chance = timestamp(), random.Random(7)
    done = case.home.with_name("done")
    shutil.copytree(case.home, done, symlinks=True)
    command = ["-m", "rustybt", "migrate", "--root", case.root, "--home", case.home, "--rollback", name]
    begin = time.monotonic()
    wait(start(*command))
    longest = time.monotonic() - begin
    for _ in range(5):
        shutil.rmtree(case.home)
        shutil.copytree(done, case.home, symlinks=True)
        process = start(*command)
        threading.Event().wait(chance.random() * longest)
        process.kill()
        wait(process)
        case.check(rustybt)
        assert migrate("--rollback", name)[0] in (0, 2)
        assert bytes_of(case.home) == case.files
