"""Clocks that jump, machines in other time zones, and requests that are interrupted."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.cache.freshness import TTL, MarketClose
from rustybt.data.sources.cached_source import CachedDataSource
from tests.fault.cache_checks import RANGE, check_ledger, check_locks_are_free, is_uncached_answer
from tests.fault.cache_vendor import EVENING, SYMBOLS, Vendor, fetches

DAY = 86_400.0
SIX = SYMBOLS[:6]


def unix(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Clock:
    def __init__(self, now=EVENING):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log(tmp_path):
    return tmp_path / "fetches"


@pytest.fixture
def make(home, log, clock):
    """Make cached sources of one home, as processes would one after the other."""
    stores = []

    def cached(policy=None, delay=0.0, on_fetch=None, limit=None):
        stores.append(BundleStore(home, clock=clock))
        vendor = Vendor(log, clock, delay, on_fetch)
        settings = None if limit is None else {"cache.max_size_bytes": limit}
        made = CachedDataSource(vendor, None, settings, policy, store=stores[-1], clock=clock)
        return made, vendor

    yield cached
    for store in stores:
        store.close()


class TestTheClockJumps:
    @pytest.mark.parametrize("frequency", ["1d", "1h"])
    @pytest.mark.parametrize("is_new_process", [True, False])
    def test_a_day_back_and_on_again(self, make, clock, frequency, is_new_process):
        cached, _ = make()
        range_ = ("2024-05-01", "2024-06-14")
        for jump in (0, -DAY, -DAY + 3_600, 0, -60, 0, 3 * DAY):
            clock.now = EVENING + jump
            if is_new_process:
                cached, _ = make()
            assert is_uncached_answer(cached, SIX, *range_, frequency, clock.now), jump
            assert is_uncached_answer(
                cached, SIX[:2], "2024-06-12", None if jump else "2024-06-14", frequency, clock.now
            )

    @pytest.mark.parametrize("frequency", ["1d", "1h"])
    @pytest.mark.parametrize("jump", [180 * DAY, 365 * DAY])
    def test_far_ahead_and_back(self, make, clock, frequency, jump):
        cached, vendor = make(MarketClose())
        assert is_uncached_answer(cached, SIX, "2024-05-01", None, frequency, clock.now)
        clock.now = EVENING + jump
        assert is_uncached_answer(cached, SIX, "2024-05-01", None, frequency, clock.now)
        clock.now = EVENING + 60
        assert is_uncached_answer(cached, SIX, "2024-05-01", None, frequency, clock.now)
        # What the wrong clock stamped is replaced: the right one finds everything in its place.
        assert is_uncached_answer(cached, SIX, "2024-05-01", "2024-06-14", frequency, clock.now)
        made = vendor.made
        assert is_uncached_answer(cached, SIX, "2024-05-01", "2024-06-14", frequency, clock.now)
        assert vendor.made == made
        for later in (3, 4, 5):
            clock.now = EVENING + later * DAY
            assert is_uncached_answer(cached, SIX, "2024-05-01", None, frequency, clock.now), later

    def test_a_wrong_clock_does_not_let_the_cache_outgrow_its_limit(self, make, clock):
        cached, _ = make(limit=100_000)
        for number, jump in enumerate((0, 365 * DAY, -DAY, 0, 30 * DAY, 0)):
            symbols = SYMBOLS[8 * number : 8 * number + 8]
            clock.now = EVENING + jump
            assert is_uncached_answer(cached, symbols, *RANGE, now=clock.now)
            assert 0 < cached.cache.size_bytes() <= 100_000

    @pytest.mark.parametrize("jump", [-DAY, 3_600.0, 4 * DAY])
    def test_while_it_fetches(self, make, clock, jump):
        def on_fetch(number):
            if number == 3:
                clock.now += jump

        cached, _ = make(TTL(0), on_fetch=on_fetch)
        # What is asked while the clock jumps may be told by either time.
        cached.fetch_sync(SIX, "2024-05-01", None)
        assert clock.now == EVENING + jump
        for later in (0, 60, 4 * DAY):
            clock.now += later
            assert is_uncached_answer(cached, SIX, "2024-05-01", "2024-06-30", now=clock.now)

    def test_a_clock_that_stands_at_nineteen_seventy_still_answers(self, make, clock):
        clock.now = 5.0
        cached, _ = make()
        assert is_uncached_answer(cached, SIX, *RANGE, now=5.0)
        clock.now = EVENING
        assert is_uncached_answer(cached, SIX, *RANGE)
        assert is_uncached_answer(make()[0], SIX, *RANGE)


#: Close of the session in UTC: before and after both changes of the clocks, and a half day.
CLOSES = ["2024-03-08T21:00", "2024-03-11T20:00", "2023-11-03T20:00", "2023-11-06T21:00", "2023-11-24T18:00"]


class TestTheClocksOfTheMarketChange:
    @pytest.mark.parametrize("close", CLOSES)
    def test_the_bar_of_the_day_is_there_right_after_the_close_and_asked_for_once(self, make, clock, close):
        clock.now = unix(close) - 60
        cached, vendor = make(MarketClose())
        start, end = (datetime.fromtimestamp(clock.now + n * DAY, UTC).date() for n in (-12, 0))
        assert is_uncached_answer(cached, SIX[:2], start, end, now=clock.now)
        clock.now += 120
        assert is_uncached_answer(cached, SIX[:2], start, end, now=clock.now)
        made = vendor.made
        clock.now += 40_000
        assert is_uncached_answer(cached, SIX[:2], start, end, now=clock.now)
        assert vendor.made == made

    @pytest.mark.parametrize(("first", "last"), [("2024-03-07", "2024-03-13"), ("2023-11-01", "2023-11-08")])
    def test_hours_asked_for_in_pieces_are_whole(self, make, clock, first, last):
        cached, vendor = make()
        days = [datetime.fromtimestamp(unix(first) + n * DAY, UTC).date() for n in range(8)]
        days = [day for day in days if day.isoformat() <= last]
        for day in [*days[::2], *days[1::2]]:
            assert is_uncached_answer(cached, SIX[:2], day, day, "1h")
        made = vendor.made
        assert is_uncached_answer(cached, SIX[:2], first, last, "1h")
        # Weekends were asked for on their own; nothing more.
        assert vendor.made == made

    @pytest.mark.parametrize("day", ["2024-03-08", "2024-03-11", "2023-11-03", "2023-11-06"])
    def test_hours_arrive_as_they_end(self, make, clock, day):
        cached, _ = make(TTL(0))
        for half_hours in range(26, 46):
            clock.now = unix(day) + half_hours * 1_800 + 1
            assert is_uncached_answer(
                cached, SIX[:1], "2024-03-07" if day > "2024" else "2023-11-01", day, "1h", clock.now
            )


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system sets no time zone for a process")
@pytest.mark.parametrize(
    "zones", [("UTC", "Asia/Tokyo"), ("America/New_York", "Pacific/Kiritimati"), ("Pacific/Pago_Pago", "UTC")]
)
@pytest.mark.parametrize("frequency", ["1d", "1h"])
def test_a_machine_that_moves_to_another_time_zone_finds_what_it_had(make, log, monkeypatch, zones, frequency):
    try:
        monkeypatch.setenv("TZ", zones[0])
        time.tzset()
        cached, _ = make()
        assert is_uncached_answer(cached, SIX, "2024-03-01", "2024-06-14", frequency)
        made = len(fetches(log))
        monkeypatch.setenv("TZ", zones[1])
        time.tzset()
        for found in (cached, make()[0]):
            assert is_uncached_answer(found, SIX, "2024-03-01", "2024-06-14", frequency)
            assert is_uncached_answer(
                found, SIX[::-1], datetime(2024, 3, 8, tzinfo=UTC), datetime(2024, 6, 13, 15, tzinfo=UTC), frequency
            )
        assert len(fetches(log)) == made
    finally:
        monkeypatch.undo()
        time.tzset()


def kept_symbols(make, log, symbols):
    """Return what needs no request any more."""
    cached, vendor = make()
    plans = cached.plan_fetch(symbols, *RANGE)
    assert vendor.made == 0
    kept = [symbol for symbol in symbols if not plans[symbol].holes]
    before = len(fetches(log))
    assert is_uncached_answer(cached, symbols)
    assert sorted(symbol for _, symbol in fetches(log)[before:]) == sorted(set(symbols) - set(kept))
    return kept


INTERRUPTED = """
import asyncio, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from rustybt.data.bundles.store import BundleStore
from tests.fault.cache_checks import RANGE, cache_of
from tests.fault.cache_vendor import EVENING, SYMBOLS
way, home, log = sys.argv[1:]
cached, _ = cache_of(BundleStore(home, clock=lambda: EVENING), log, delay=0.04)
if way == "sync":
    cached.fetch_sync(SYMBOLS, *RANGE)
elif way == "warm":
    cached.warm_cache(SYMBOLS, *RANGE)
else:
    asyncio.run(cached.fetch(SYMBOLS, *RANGE))
"""


@pytest.mark.parametrize("way", ["sync", "async", "warm"])
def test_ctrl_c_keeps_what_arrived(make, home, log, way):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, way, str(home), str(log)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    deadline = time.monotonic() + 60
    # Before the first group of answers is a second old, so that nothing but the interrupt stores it.
    while len(fetches(log)) < 10:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (1, 130, -signal.SIGINT), err
    assert err.rstrip().endswith("KeyboardInterrupt"), err
    asked = len(fetches(log))
    assert 10 <= asked < len(SYMBOLS)
    check_locks_are_free(home)
    check_ledger(home)
    # The one that was being asked for is lost, no other.
    assert len(kept_symbols(make, log, SYMBOLS)) >= asked - 1


class TestTasksThatAreCancelled:
    async def _begin(self, cached, log, symbols=SYMBOLS, answered=5):
        task = asyncio.create_task(cached.fetch(symbols, *RANGE))
        while len(fetches(log)) <= answered:
            assert not task.done(), task
            await asyncio.sleep(0.005)
        return task

    def test_what_arrived_is_kept(self, make, home, log):
        cached, _ = make(delay=0.03)

        async def cancelled():
            task = await self._begin(cached, log)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancelled())
        asked = len(fetches(log))
        assert asked < len(SYMBOLS)
        check_locks_are_free(home)
        check_ledger(home)
        assert len(kept_symbols(make, log, SYMBOLS)) >= asked - 1

    def test_another_task_that_waits_for_the_same_goes_on(self, make, log):
        cached, _ = make(delay=0.03)

        async def two():
            first = await self._begin(cached, log, SYMBOLS[:10])
            second = asyncio.create_task(cached.fetch(SYMBOLS[:10], *RANGE))
            await asyncio.sleep(0.1)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            return await second

        bars = asyncio.run(two())
        assert bars["symbol"].unique().sort().to_list() == SYMBOLS[:10]
        # At most the one that was being asked for when the task was cancelled was asked for twice.
        assert len(fetches(log)) <= 11
        assert is_uncached_answer(make()[0], SYMBOLS[:10])

    def test_many_that_are_cancelled_at_random_moments_leave_no_lock_and_no_wrong_answer(self, make, home, log):
        cached, _ = make(delay=0.005)

        async def storm():
            for number in range(12):
                tasks = [asyncio.create_task(cached.fetch(SYMBOLS[at : at + 9], *RANGE)) for at in range(0, 40, 5)]
                await asyncio.sleep(0.01 * number)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(storm())
        check_locks_are_free(home)
        check_ledger(home)
        assert is_uncached_answer(cached, SYMBOLS)
        assert is_uncached_answer(make()[0], SYMBOLS)
