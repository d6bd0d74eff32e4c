"""A process that makes requests of a shared account: ``throttle_worker.py HOME PER_MINUTE PER_DAY SPEED REQUESTS THREADS``.

Its clock runs SPEED times as fast as the machine's, so that a minute is soon over. Of each request is said what the clock
was when it was allowed.
"""

import asyncio
import sys
import threading
import time

from rustybt.data.adapters.throttle import Throttle
from rustybt.errors import RateLimitedError

home, per_minute, per_day, speed, requests, threads = sys.argv[1], *map(float, sys.argv[2:])


last = threading.local()


def clock():
    last.seen = time.time() * speed
    return last.seen


async def sleep(seconds):
    await asyncio.sleep(seconds / speed)


throttle = Throttle(
    "vendor", requests_per_minute=per_minute, requests_per_day=int(per_day), home=home, clock=clock, sleep=sleep
)


async def work():
    for _ in range(int(requests)):
        async with throttle.slot():
            # One write: lines of several threads stay whole.
            sys.stdout.write(f"{last.seen!r}\n")
            sys.stdout.flush()


def run():
    try:
        asyncio.run(work())
    except RateLimitedError as error:
        sys.stdout.write(f"refused {error.retry_after_seconds}\n")


sys.stdout.write("ready\n")
sys.stdout.flush()
sys.stdin.readline()
workers = [threading.Thread(target=run) for _ in range(int(threads))]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
