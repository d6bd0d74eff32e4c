"""kill -9 of a process that fills a cache, at any moment and at every step: nothing wrong is served, nothing acknowledged is lost."""

import json
import random
import signal
import time

import pytest

from rustybt.data.bundles.store import BundleStore
from tests.fault.cache_checks import (
    RANGE,
    cache_of,
    check_ledger,
    check_locks_are_free,
    check_strays_are_swept,
    is_uncached_answer,
)
from tests.fault.cache_vendor import EVENING, SYMBOLS, fetches
from tests.fault.cache_worker import STEPS

#: Requests of one symbol and of many, that overlap; with a small limit some of them evict.
GROUPS = [SYMBOLS[:2], SYMBOLS[2:10], SYMBOLS[1:4], SYMBOLS[10:12], SYMBOLS[12:20], SYMBOLS[:20], SYMBOLS[20:36]]
SMALL = 150_000
CLEANING = ("cleaned-before-files", "sweeping")
#: Steps that are tried in a cache that holds something already, too.
ON_OLD = ("file-half-written", "series-inserted", "committed", "compacted-rows-changed", "evicted-rows-gone")


@pytest.fixture
def log(tmp_path):
    return tmp_path / "fetches"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "said"


def said(out):
    return out.read_text().splitlines() if out.exists() else []


def acknowledged(out):
    return [json.loads(line.partition(" ")[2]) for line in said(out) if line.startswith("ack ")]


def check(home, log, acked, *, everything=SYMBOLS[:36]):
    """Open the cache as the next process does: what was acknowledged needs no request, and every answer is right."""
    check_locks_are_free(home)
    check_ledger(home)
    with BundleStore(home, clock=lambda: EVENING) as store:
        cached, vendor = cache_of(store, log)
        for symbols in acked:
            assert is_uncached_answer(cached, symbols)
            assert cached.last_use.hits == 1
        assert vendor.made == 0
        assert is_uncached_answer(cached, everything)
        assert is_uncached_answer(cached, everything, "2023-05-03", "2024-06-28")
    check_ledger(home)
    check_strays_are_swept(home)


@pytest.mark.parametrize(
    ("step", "is_first"),
    [
        (step, is_first)
        for step in STEPS
        if step not in CLEANING
        for is_first in (True, False)
        if is_first or step in ON_OLD
    ],
)
def test_a_fill_that_dies_at_a_step_loses_nothing_that_was_acknowledged(processes, home, log, out, step, is_first):
    acked = []
    if not is_first:
        before = processes.start(action="fill", home=home, log=log, out=out, groups=GROUPS[:2], range=RANGE)
        assert processes.wait(before) == 0
        acked = acknowledged(out)
        assert acked == GROUPS[:2]
    # Evicting needs a limit, compacting needs small files: several groups of one symbol.
    small = {"limit": SMALL} if step == "evicted-rows-gone" else {}
    groups = [[symbol] for symbol in SYMBOLS[4:36]]
    process = processes.start(
        action="fill", home=home, log=log, out=out, groups=groups, range=RANGE, step=step, **small
    )
    assert processes.wait(process) == -signal.SIGKILL, said(out)
    assert not [line for line in said(out) if line.startswith(("WRONG", "ERROR"))]
    check(home, log, acked if small else acknowledged(out))


@pytest.mark.parametrize("step", CLEANING)
def test_a_clean_that_dies_leaves_a_cache_that_answers(processes, home, log, out, step):
    process = processes.start(
        action="fill_and_clean", home=home, log=log, out=out, groups=GROUPS[:2], range=RANGE, step=step
    )
    assert processes.wait(process) == -signal.SIGKILL, said(out)
    check(home, log, [])


def kill_at_random(processes, home, log, out, rounds, seed, **options):
    """Kill process after process in one home; return what was acknowledged."""
    chance = random.Random(seed)
    for number in range(rounds):
        groups = [chance.sample(SYMBOLS[:36], chance.randint(1, 8)) for _ in range(30)]
        since = len(said(out))
        process = processes.start(
            action="fill",
            home=home,
            log=log,
            out=out,
            groups=groups,
            range=RANGE,
            delay=0.002,
            group_seconds=0.02,
            **options,
        )
        patience = time.monotonic() + 30
        # From the first sign of life on: in the middle of a fetch, a save, a compaction, or between.
        while len(said(out)) == since and number % 2 and time.monotonic() < patience:
            time.sleep(0.002)
        time.sleep(chance.random() * (0.25 if number % 2 else 0.6))
        assert processes.kill(process) in (-signal.SIGKILL, 0), number
        assert not [line for line in said(out) if line.startswith(("WRONG", "ERROR"))], said(out)[-1]
        check_locks_are_free(home)
        check_ledger(home)
    return acknowledged(out)


def test_many_processes_killed_at_any_moment_lose_nothing_that_was_acknowledged(processes, home, log, out):
    acked = kill_at_random(processes, home, log, out, 10, seed=1)
    assert len(acked) >= 5
    assert len(fetches(log)) > 20
    check(home, log, acked)


def test_processes_killed_while_they_evict_leave_a_cache_within_its_limit_after_the_next_fill(
    processes, home, log, out
):
    kill_at_random(processes, home, log, out, 6, seed=2, limit=SMALL)
    last = processes.start(action="fill", home=home, log=log, out=out, groups=[[SYMBOLS[50]]], range=RANGE, limit=SMALL)
    assert processes.wait(last) == 0
    with BundleStore(home, clock=lambda: EVENING) as store:
        assert 0 < cache_of(store, log)[0].cache.size_bytes() <= SMALL
    check(home, log, [])


@pytest.mark.stress
@pytest.mark.parametrize("seed", range(4))
def test_a_hundred_processes_killed_at_any_moment(processes, home, log, out, seed):
    acked = kill_at_random(processes, home, log, out, 25, seed=10 + seed)
    assert acked
    check(home, log, acked)
