"""Eight processes in one cache at once: right answers whatever the others do, and one fetch for all who want the same."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rustybt.data.bundles.store import BundleStore
from tests.fault.cache_checks import RANGE, cache_of, check_ledger, check_locks_are_free, is_uncached_answer
from tests.fault.cache_vendor import EVENING, SYMBOLS, fetches

#: Of what is asked for a fifth fits, or half: most answers evict, or every tenth.
TIGHT, ROOMY = 200_000, 500_000


@pytest.fixture
def log(tmp_path):
    return tmp_path / "fetches"


@pytest.fixture
def outs(tmp_path):
    return [tmp_path / f"said-{number}" for number in range(8)]


@pytest.fixture
def gate(tmp_path):
    """A pipe that all wait at, and a function that opens it."""
    path = tmp_path / "gate"
    os.mkfifo(path)

    def open_it(waiting, seconds=60):
        deadline = time.monotonic() + seconds
        while not all(out.exists() and "ready" in out.read_text() for out in waiting):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        path.open("w").close()

    return path, open_it


def lines(out):
    return out.read_text().splitlines()


def mix(processes, home, log, outs, count, limit):
    started = [
        processes.start(action="mixed", home=home, log=log, out=out, seed=seed, count=count, limit=limit)
        for seed, out in enumerate(outs)
    ]
    assert [processes.wait(process) for process in started] == [0] * len(outs)
    for out in outs:
        assert lines(out) == [f"done {count} 0"]
    check_locks_are_free(home)
    check_ledger(home)
    with BundleStore(home, clock=lambda: EVENING) as store:
        cached, _ = cache_of(store, log)
        assert 0 <= cached.cache.size_bytes() <= limit
        assert is_uncached_answer(cached, SYMBOLS[:24])


def test_every_answer_is_the_uncached_one_while_others_fetch_evict_compact_and_clean(processes, home, log, outs):
    mix(processes, home, log, outs, 20, TIGHT)


@pytest.mark.stress
@pytest.mark.timeout(1_200)
def test_eight_thousand_answers_are_the_uncached_ones(processes, home, log, outs):
    mix(processes, home, log, outs, 1_000, ROOMY)


def test_eight_that_ask_for_the_same_at_once_cause_one_fetch(processes, home, log, outs, gate):
    path, open_it = gate
    options = {"action": "same", "home": home, "log": log, "gate": path, "range": RANGE, "delay": 0.2}
    started = [processes.start(out=out, symbols=SYMBOLS[:3], **options) for out in outs]
    open_it(outs)
    assert [processes.wait(process) for process in started] == [0] * 8
    assert [lines(out) for out in outs] == [["ready", "done"]] * 8
    assert sorted(symbol for _, symbol in fetches(log)) == SYMBOLS[:3]


def test_one_that_is_killed_while_it_fetches_lets_the_others_go_on(processes, home, log, outs, gate):
    path, open_it = gate
    options = {"action": "same", "home": home, "log": log, "gate": path, "range": RANGE}
    slow = processes.start(out=outs[0], symbols=SYMBOLS[:3], delay=60, **options)
    open_it(outs[:1])
    deadline = time.monotonic() + 30
    while not fetches(log):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    path.unlink()
    os.mkfifo(path)
    started = [processes.start(out=out, symbols=SYMBOLS[:3], delay=0.05, **options) for out in outs[1:]]
    open_it(outs[1:])
    time.sleep(0.3)
    # All wait: the one that asks is alive.
    assert fetches(log) == [(str(slow), SYMBOLS[0])]
    processes.kill(slow)
    began = time.monotonic()
    assert [processes.wait(process) for process in started] == [0] * 7
    assert time.monotonic() - began < 20
    assert [lines(out) for out in outs[1:]] == [["ready", "done"]] * 7
    assert sorted(symbol for process, symbol in fetches(log) if process != str(slow)) == SYMBOLS[:3]
    check_locks_are_free(home)


def test_who_asks_for_something_else_does_not_wait(processes, home, log, outs, gate):
    path, open_it = gate
    options = {"action": "same", "home": home, "log": log, "gate": path, "range": RANGE}
    slow = processes.start(out=outs[0], symbols=[SYMBOLS[0]], delay=60, **options)
    open_it(outs[:1])
    deadline = time.monotonic() + 30
    while not fetches(log):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    with BundleStore(home, clock=lambda: EVENING) as store:
        cached, _ = cache_of(store, log)
        assert is_uncached_answer(cached, SYMBOLS[1:3])
        assert is_uncached_answer(cached, SYMBOLS[1:3], "2024-05-01")
    assert processes.kill(slow) < 0


FORKED = """
import os, sys
from rustybt.data.bundles.store import BundleStore
from tests.fault.cache_checks import cache_of, is_uncached_answer
from tests.fault.cache_vendor import EVENING, SYMBOLS

home, log = sys.argv[1:]
store = BundleStore(home, clock=lambda: EVENING)
# What was open before the fork is not used after it: neither connections nor threads nor what is counted.
store.counters.hit()
with store.database.write():
    pass
with store.database.read() as connection:
    before = connection.connection.driver_connection
children = []
for number in range(4):
    child = os.fork()
    if not child:
        cached, vendor = cache_of(store, log)
        right = is_uncached_answer(cached, SYMBOLS[:2]) and is_uncached_answer(cached, [SYMBOLS[number]])
        with store.database.read() as connection:
            is_own = connection.connection.driver_connection is not before
        os._exit(0 if right and is_own else 1)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
cached, vendor = cache_of(store, log)
print(codes, is_uncached_answer(cached, SYMBOLS[:4]), vendor.made)
"""


def test_children_that_were_forked_with_an_open_home_use_connections_of_their_own(home, log):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", FORKED, str(home), str(log)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )
    assert done.stdout == "[0, 0, 0, 0] True 0\n", done.stderr
    assert sorted(symbol for _, symbol in fetches(log)) == SYMBOLS[:4]
