"""One account, several processes: together they stay within its limits, also when some are killed."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rustybt.data.adapters.throttle import Throttle
from rustybt.data.adapters.throttle_window import RequestWindow

WORKER = Path(__file__).with_name("throttle_worker.py")


@pytest.fixture
def worker(home):
    """Start processes that wait for the word to go."""
    started = []

    def run(*, per_minute=0, per_day=0, speed=1, requests=10, threads=1):
        words = (home, per_minute, per_day, speed, requests, threads)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [sys.executable, str(WORKER), *map(str, words)], text=True, env=os.environ.copy(), **pipes
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def go(*processes):
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


def lines(process):
    out, err = process.communicate(timeout=120)
    assert err == ""
    return out.splitlines()


def test_processes_and_threads_together_never_exceed_the_minute_and_each_gets_its_share(worker):
    # 200 times as fast: 20 requests in 0.3 s, 96 of them in five such minutes.
    processes = [worker(per_minute=20, speed=200, requests=12, threads=2) for _ in range(4)]
    go(*processes)

    begun = [sorted(map(float, lines(process))) for process in processes]

    together = sorted(time for times in begun for time in times)
    assert len(together) == 96
    assert all(later - earlier >= 61 - 1e-3 for earlier, later in zip(together, together[20:], strict=False))
    assert together[-1] - together[0] > 4 * 60
    middle = together[len(together) // 2]
    assert all(times[0] <= middle for times in begun)


def test_what_processes_were_allowed_is_all_recorded_when_they_are_killed_and_no_lock_stays_behind(worker, home):
    said = 0
    for at in range(4):
        processes = [worker(per_minute=1e6, requests=1e6, threads=2) for _ in range(3)]
        go(*processes)
        time.sleep(0.1 + 0.05 * random.Random(at).random())
        for process in processes:
            process.send_signal(signal.SIGKILL)
        said += sum(line.count(".") for process in processes for line in process.communicate()[0].splitlines())

    began = time.monotonic()
    asyncio.run(take(Throttle("vendor", requests_per_minute=1e6, home=home)))

    assert time.monotonic() - began < 2
    with (home / ".rustybt/throttle/vendor.minute").open("r+b") as file:
        recorded = RequestWindow(file)._count - 1
    assert said > 100
    # Those killed between the record and the word are recorded, and were not said.
    assert said <= recorded <= said + 4 * 3 * 2


def test_a_vendor_that_asked_one_process_to_wait_is_left_alone_by_the_others(worker, home):
    asyncio.run(Throttle("vendor", home=home, clock=lambda: time.time() * 100).hold_back(50))
    asked = time.time() * 100
    process = worker(speed=100, requests=1)
    go(process)

    (begun,) = lines(process)

    assert float(begun) - asked >= 49.9


def test_the_requests_of_a_day_are_counted_across_processes(worker):
    first, second = worker(per_day=25, requests=20), worker(per_day=25, requests=20)
    go(first)
    assert len(lines(first)) == 20

    go(second)
    *allowed, refused = lines(second)

    assert len(allowed) == 5
    word, seconds = refused.split()
    assert word == "refused"
    assert 86_000 < float(seconds) <= 86_401


async def take(throttle):
    async with throttle.slot():
        pass
