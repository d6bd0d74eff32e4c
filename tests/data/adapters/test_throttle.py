"""The account's limits: never exceeded, shared, persistent, and never a wait without end."""

import asyncio
import io
import threading
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rustybt.data.adapters.throttle import Throttle
from rustybt.data.adapters.throttle_account import SharedAccount
from rustybt.data.adapters.throttle_window import RequestWindow
from rustybt.errors import RateLimitedError

START = 1_800_000_000.0


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self, now=START):
        self.now = now
        self.slept = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(home, clock):
    def build(account="polygon-0123456789ab", **options):
        options = {"home": home, "clock": clock, "sleep": clock.sleep, **options}
        return Throttle(account, **options)

    return build


async def take(throttle, times=1, **options):
    """Return when each of the requests began."""
    begun = []
    for _ in range(times):
        async with throttle.slot(**options):
            begun.append(throttle._clock() - START)
    return begun


# -- the limit of a minute ---------------------------------------------------------------------------------------------


def test_as_many_requests_as_a_minute_allows_go_at_once_and_the_next_when_the_first_is_a_minute_old(make):
    begun = asyncio.run(take(make(requests_per_minute=5), 11))

    assert begun == [0, 0, 0, 0, 0, 61, 61, 61, 61, 61, 122]


def test_less_than_one_request_a_minute_is_one_in_a_longer_period(make):
    assert asyncio.run(take(make(requests_per_minute=0.5), 3)) == [0, 121, 242]


def test_no_limit_waits_for_nothing_and_writes_nothing(make, home):
    assert asyncio.run(take(make(), 100)) == [0] * 100
    assert not home.exists()


def test_two_throttles_of_one_account_share_the_limit_and_another_account_does_not(make):
    async def run():
        first = await take(make(requests_per_minute=5), 3)
        second = await take(make(requests_per_minute=5), 3)
        return first, second, await take(make("alpaca-0123456789ab", requests_per_minute=5), 3)

    assert asyncio.run(run()) == ([0, 0, 0], [0, 0, 61], [61, 61, 61])


def test_one_throttle_serves_two_event_loops_in_two_threads(make):
    throttle = make(requests_per_minute=1000, parallel_requests=2)
    counts = []

    async def many():
        await asyncio.gather(*(take(throttle, 5) for _ in range(4)))
        counts.append(20)

    threads = [threading.Thread(target=asyncio.run, args=(many(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counts == [20, 20, 20]
    with (throttle._folder() / "polygon-0123456789ab.minute").open("r+b") as file:
        assert RequestWindow(file)._count == 60


def test_a_smaller_limit_than_that_of_another_process_counts_its_requests_and_a_larger_one_does_so_too(make):
    async def run():
        return [
            *await take(make(requests_per_minute=3), 3),
            *await take(make(requests_per_minute=10), 7),
            *await take(make(requests_per_minute=2), 1),
        ]

    assert asyncio.run(run()) == [0] * 10 + [61]


def test_parallel_requests_bounds_how_many_slots_are_out_and_a_cancelled_one_gives_its_place_back(make):
    throttle = make(parallel_requests=2)
    inside = []
    most = []

    async def hold(seconds):
        async with throttle.slot():
            inside.append(1)
            most.append(len(inside))
            try:
                await asyncio.sleep(seconds)
            finally:
                inside.pop()

    async def run():
        stuck = [asyncio.create_task(hold(60)) for _ in range(2)]
        await asyncio.sleep(0.01)
        waiting = [asyncio.create_task(hold(0)) for _ in range(5)]
        await asyncio.sleep(0.01)
        assert len(most) == 2
        stuck[0].cancel()
        await asyncio.wait_for(asyncio.gather(*waiting), 5)
        stuck[1].cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        await asyncio.wait_for(hold(0), 5)

    asyncio.run(run())

    assert max(most) == 2


def test_one_that_is_cancelled_while_it_waits_for_the_minute_takes_nothing_and_lets_the_next_on(make):
    gate = []

    async def run():
        async def sleep(seconds):
            gate.append(seconds)
            await asyncio.sleep(60)

        throttle = make(requests_per_minute=1, sleep=sleep)
        await take(throttle)
        first = asyncio.create_task(take(throttle))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(take(throttle))
        await asyncio.sleep(0.01)
        assert len(gate) == 1
        first.cancel()
        await asyncio.sleep(0.01)
        assert len(gate) == 2
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)

    asyncio.run(run())


# -- the limit of a day ------------------------------------------------------------------------------------------------


def test_a_day_that_is_used_up_is_an_error_at_once_that_says_when_the_next_request_may_go(make, clock):
    asyncio.run(take(make("alphavantage-0123456789ab", requests_per_day=25), 25))
    clock.now += 3_600

    with pytest.raises(RateLimitedError, match="alphavantage allows 25/day, and they are used up") as caught:
        asyncio.run(take(make("alphavantage-0123456789ab", requests_per_day=25)))

    assert caught.value.retry_after_seconds == 86_401 - 3_600
    assert "23.0 h" in str(caught.value)
    assert clock.slept == []
    clock.now += timedelta(hours=23).total_seconds() + 1
    asyncio.run(take(make("alphavantage-0123456789ab", requests_per_day=25), 25))


def test_the_end_of_a_day_is_waited_for_where_it_is_near(make, clock):
    asyncio.run(take(make(requests_per_day=2), 2))
    clock.now += 86_380

    assert asyncio.run(take(make(requests_per_day=2))) == [86_401]


def test_a_request_that_the_day_refuses_does_not_use_up_the_minute(make, clock):
    both = {"requests_per_minute": 5, "requests_per_day": 3}
    asyncio.run(take(make(**both), 3))
    for _ in range(5):
        with pytest.raises(RateLimitedError):
            asyncio.run(take(make(**both)))

    assert asyncio.run(take(make(requests_per_minute=5), 2)) == [0, 0]


# -- a vendor that asks to wait ----------------------------------------------------------------------------------------


def test_when_one_is_asked_to_wait_all_of_the_account_wait_also_those_without_a_limit(make):
    asyncio.run(make(requests_per_minute=5).hold_back(30))

    assert asyncio.run(take(make())) == [30]


def test_the_longer_of_two_waits_counts(make):
    asyncio.run(make().hold_back(30))
    asyncio.run(make().hold_back(5))

    assert asyncio.run(take(make())) == [30]


def test_a_vendor_that_asks_for_longer_than_is_bearable_is_an_error_at_once(make, clock):
    asyncio.run(make().hold_back(7_300))

    with pytest.raises(
        RateLimitedError, match=r"polygon asked to be left alone; the next request may go in 2\.0 h"
    ) as e:
        asyncio.run(take(make(), max_hold_seconds=60))

    assert e.value.retry_after_seconds == 7_300
    assert clock.slept == []


def test_a_wait_asked_for_while_others_wait_already_is_honoured(make, clock):
    throttle, other = make(requests_per_minute=1), make()

    async def run():
        await take(throttle)
        waiting = asyncio.create_task(take(throttle, max_hold_seconds=500))
        await asyncio.sleep(0)
        await other.hold_back(100)
        return await waiting

    (begun,) = asyncio.run(run())

    assert begun >= 100


# -- what people see ---------------------------------------------------------------------------------------------------


def test_waits_of_a_second_and_more_are_told_and_told_again_with_what_is_left(make):
    told = []
    throttle = make(requests_per_minute=5, on_wait=lambda seconds, text: told.append((seconds, text)))

    asyncio.run(take(throttle, 6))

    assert told[0] == (61, "waiting 61 s: polygon, 5/min")
    assert [seconds for seconds, _ in told] == [61 - 5 * i for i in range(13)]
    assert told[-1] == (1, "waiting 1 s: polygon, 5/min")


def test_a_short_wait_is_not_told_and_one_the_vendor_asked_for_says_so(make):
    told = []
    throttle = make(on_wait=lambda seconds, text: told.append(text))
    asyncio.run(throttle.hold_back(0.5))
    asyncio.run(take(throttle))
    assert told == []

    asyncio.run(throttle.hold_back(3))
    asyncio.run(take(throttle))
    assert told == ["waiting 3 s: polygon asked for it"]


# -- clocks that are set, files that are broken, homes that cannot be written --------------------------------------------


@pytest.mark.parametrize("back", [10, 3_600, 10 * 86_400])
def test_a_clock_that_is_set_back_makes_nobody_wait_longer_than_one_period(make, clock, back):
    throttle = make(requests_per_minute=5)
    asyncio.run(take(throttle, 5))
    asyncio.run(throttle.hold_back(20))
    clock.now -= back
    before = clock.now

    asyncio.run(take(throttle))

    assert 20 <= clock.now - before <= 61


def test_a_clock_that_was_ahead_for_a_moment_does_not_use_up_the_day(make, clock):
    clock.now += 5 * 86_400
    asyncio.run(take(make(requests_per_day=3), 2))
    clock.now -= 5 * 86_400

    asyncio.run(take(make(requests_per_day=3)))
    with pytest.raises(RateLimitedError) as caught:
        asyncio.run(take(make(requests_per_day=3)))

    assert caught.value.retry_after_seconds == 86_401


@pytest.mark.parametrize("content", [b"", b"x", b"RBTRING1" + b"\xff" * 16, b"\0" * 100, b"\xff" * 64])
@pytest.mark.parametrize("suffix", ["minute", "hold"])
def test_a_broken_file_is_taken_for_an_empty_one(make, home, content, suffix):
    throttle = make(requests_per_minute=5)
    asyncio.run(take(throttle))
    asyncio.run(throttle.hold_back(0.001))
    (home / ".rustybt/throttle" / f"polygon-0123456789ab.{suffix}").write_bytes(content)

    assert len(asyncio.run(take(throttle, 5))) == 5


def test_a_home_that_cannot_be_written_keeps_the_limit_within_the_object(make, tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    throttle = make(home=tmp_path / "file", requests_per_minute=5)

    with caplog.at_level("DEBUG", logger="rustybt"):
        assert asyncio.run(take(throttle, 6)) == [0, 0, 0, 0, 0, 61]
        asyncio.run(throttle.hold_back(7))
        assert asyncio.run(take(throttle)) == [68]

    (record,) = [r for r in caplog.records if r.getMessage() == "throttle_not_shared"]
    assert record.fields["account"] == "polygon-0123456789ab"


def test_a_lock_held_by_a_process_that_was_stopped_is_not_waited_for_without_end(make, home, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr("rustybt.data.adapters.throttle.LOCK_PATIENCE_SECONDS", 0.02)
    throttle = make(requests_per_minute=5)
    asyncio.run(take(throttle))
    with FileLock(home / ".rustybt/throttle/polygon-0123456789ab.lock"):
        asyncio.run(asyncio.wait_for(take(throttle, 2), 5))
        asyncio.run(make(requests_per_minute=5).hold_back(1))


def test_the_home_of_the_settings_is_used_where_none_is_given(own_home, clock):
    asyncio.run(take(Throttle("polygon", requests_per_minute=5, clock=clock)))

    assert (own_home / ".rustybt/throttle/polygon.minute").is_file()


def test_accounts_get_file_names_that_every_system_takes_and_that_differ(home):
    names = {
        SharedAccount(home, account, float)._name
        for account in ("ccxt:binance", "ccxt/binance", "CCXT", "ccxt", "..", "é")
    }

    assert len(names) == 6
    assert all(name[0] not in "-." and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_") for name in names)


# -- the window against counting by hand ---------------------------------------------------------------------------------


@given(
    steps=st.lists(st.tuples(st.floats(0, 40), st.integers(1, 7)), max_size=60),
    period=st.floats(0.5, 100),
)
@example(steps=[(0, 2), (0, 5), (0, 2), (50, 3)], period=60)
def test_a_window_allows_a_request_exactly_when_counting_the_period_by_hand_does(steps, period):
    file, now, granted = io.BytesIO(), START, []
    for pause, requests in steps:
        now += pause
        recent = sorted(granted)[-requests:]
        due = 0.0 if len(recent) < requests else max(0.0, recent[0] + period - now)

        wait = RequestWindow(file).seconds_until_free(requests, period, now)

        assert wait == due
        if wait == 0:
            RequestWindow(file).add(requests, now)
            granted.append(now)


@given(pauses=st.lists(st.floats(0, 30), max_size=80), requests=st.integers(1, 9))
def test_no_period_ever_holds_more_requests_than_allowed(pauses, requests):
    file, now, granted = io.BytesIO(), START, []
    for pause in pauses:
        now += pause
        now += RequestWindow(file).seconds_until_free(requests, 60.0, now)
        while RequestWindow(file).seconds_until_free(requests, 60.0, now) > 0:
            now += 1e-6
        RequestWindow(file).add(requests, now)
        granted.append(now)

    assert all(later - earlier >= 60 - 1e-3 for earlier, later in zip(granted, granted[requests:], strict=False))
