"""The cache in programs with a running loop, and among many who want the same at once."""

import asyncio
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources import CachedDataSource
from rustybt.errors import SourceUnavailableError
from tests.data.sources.invented import InventedVendor, Listing, at

START, END = date(2024, 1, 2), date(2024, 3, 1)
SYMBOLS = ["A", "B", "C", "D"]


@pytest.fixture
def vendor():
    return InventedVendor({symbol: Listing() for symbol in SYMBOLS})


def expected(vendor, symbols=SYMBOLS):
    return vendor.frame(list(symbols), START, END, "1d")


# -- in a running loop -------------------------------------------------------------------------------------------------------


def test_fetch_is_awaited_in_a_loop_of_ones_own(cached, vendor):
    async def main():
        first = await cached.fetch(SYMBOLS, START, END)
        return first, await cached.fetch(SYMBOLS, START, END)

    first, second = asyncio.run(main())
    assert first.equals(expected(vendor))
    assert second.equals(first)
    assert len(vendor.asked) == 1


def test_fetch_sync_inside_a_running_loop_as_in_a_notebook(cached, vendor):
    async def cell():
        return cached.fetch_sync(SYMBOLS, START, END), cached.fetch_sync(["B"], START, END)

    both, one = asyncio.run(cell())
    assert both.equals(expected(vendor))
    assert one.equals(expected(vendor, ["B"]))
    assert cached.last_use.hits == 1


def test_other_tasks_go_on_while_the_source_is_asked(cached, vendor):
    async def main():
        vendor.gate = threading.Event()
        task = asyncio.create_task(cached.fetch("A", START, END))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not task.done()
        await _open(vendor)
        return await task

    assert asyncio.run(main()).height == 42


def test_a_script_of_three_lines(tmp_path):
    script = """
        import asyncio
        from rustybt import CachedDataSource
        from tests.data.sources.invented import InventedVendor, Listing

        async def main():
            cached = CachedDataSource(InventedVendor({"A": Listing()}))
            first = await cached.fetch("A", "2024-01-02", "2024-03-01")
            again = cached.fetch_sync("A", "2024-01-02", "2024-03-01")
            print(first.equals(again), len(cached.adapter.asked))
            cached.close()

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "True 1", "")


# -- one fetch for all --------------------------------------------------------------------------------------------------------


async def _open(vendor):
    """Let the source answer, once it was asked."""
    await asyncio.to_thread(vendor.arrived.wait, 60)
    vendor.gate.set()


def test_twenty_tasks_make_one_request(cached, vendor):
    async def main():
        vendor.gate = threading.Event()
        tasks = [asyncio.create_task(cached.fetch(SYMBOLS, START, END)) for _ in range(20)]
        await _open(vendor)
        return await asyncio.gather(*tasks)

    answers = asyncio.run(main())
    assert len(vendor.asked) == 1
    assert all(answer.equals(expected(vendor)) for answer in answers)


@pytest.mark.parametrize("shared", [True, False], ids=["one object", "an object each"])
def test_eight_threads_make_one_request(cached, vendor, tmp_path, shared):
    barrier = threading.Barrier(8)

    def ask(_):
        with BundleStore(tmp_path / "home", clock=vendor.clock) as own:
            source = cached if shared else CachedDataSource(vendor, store=own)
            barrier.wait()
            return source.fetch_sync(SYMBOLS, START, END)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert len(vendor.asked) == 1
    assert all(answer.equals(expected(vendor)) for answer in answers)


def test_of_overlapping_requests_each_symbol_is_fetched_once(cached, vendor):
    wishes = [["A", "B"], ["B", "C"], ["C", "D"], ["D", "A"], SYMBOLS]

    async def main():
        return await asyncio.gather(*(cached.fetch(wish, START, END) for wish in wishes))

    answers = asyncio.run(main())
    assert all(answer.equals(expected(vendor, sorted(wish))) for answer, wish in zip(answers, wishes, strict=True))
    assert vendor.count_symbols() == dict.fromkeys(SYMBOLS, 1)


def test_who_waits_for_one_that_fails_asks_for_itself(cached, vendor):
    vendor.down_after = 1

    async def main():
        return await asyncio.gather(*(cached.fetch(["A", "B"], START, END) for _ in range(3)), return_exceptions=True)

    answers = asyncio.run(main())
    # Each gets one symbol further than the one before.
    assert [type(answer) for answer in answers].count(SourceUnavailableError) == 1
    assert (
        sum(answer.equals(expected(vendor, ["A", "B"])) for answer in answers if not isinstance(answer, Exception)) == 2
    )
    assert vendor.count_symbols()["A"] == 1


# -- cancelled ------------------------------------------------------------------------------------------------------------------


def test_a_cancelled_task_keeps_what_arrived_and_lets_others_in(cached, vendor):
    answers = vendor.answers

    def stops_after_two(request, progress=None, *, starts=None):
        async def told():
            done = 0
            async for part in answers(request, progress, starts=starts):
                yield part
                done += 1
                if done == 2:
                    arrived.set()
                    await asyncio.sleep(3_600)

        return told()

    arrived = threading.Event()
    vendor.answers = stops_after_two

    async def main():
        task = asyncio.create_task(cached.fetch(SYMBOLS, START, END))
        await asyncio.to_thread(arrived.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        vendor.answers = answers
        return await cached.fetch(SYMBOLS, START, END)

    assert asyncio.run(main()).equals(expected(vendor))
    assert vendor.asked[-1][0] == ("C", "D")


def test_a_request_that_is_cancelled_while_it_waits_leaves_the_one_that_asks_alone(cached, vendor):
    async def main():
        vendor.gate = threading.Event()
        first = asyncio.create_task(cached.fetch(SYMBOLS, START, END))
        await asyncio.to_thread(vendor.arrived.wait, 60)
        waits = threading.Event()
        second = asyncio.create_task(
            cached._whole(*cached._serving(vendor.request(SYMBOLS, START, END), None, lambda *_: waits.set()))
        )
        await asyncio.to_thread(waits.wait, 60)
        second.cancel()
        await _open(vendor)
        with pytest.raises(asyncio.CancelledError):
            await second
        return await first

    assert asyncio.run(main()).equals(expected(vendor))
    assert len(vendor.asked) == 1


# -- warming ----------------------------------------------------------------------------------------------------------------------


def test_warming_fills_and_hands_nothing_over(cached, vendor):
    seen = []
    report = cached.warm_cache(SYMBOLS, START, END, progress=lambda *stage: seen.append(stage))
    assert (report.symbols, report.rows_fetched, report.failures) == (tuple(SYMBOLS), 4 * 42, {})
    assert report.to_json() == {
        "symbols": SYMBOLS,
        "rows_fetched": 168,
        "requests_made": 1,
        "is_kept": True,
        "failures": {},
    }
    assert cached.warm_cache(SYMBOLS, START, END).rows_fetched == 0
    assert cached.fetch_sync(SYMBOLS, START, END).equals(expected(vendor))
    assert len(vendor.asked) == 1


def test_one_symbol_that_fails_does_not_stop_the_others(cached, vendor):
    report = cached.warm_cache(["A", "NOPE", "B"], START, END)
    assert set(report.failures) == {"NOPE"}
    assert report.rows_fetched == 84
    assert "NOPE" in report.to_json()["failures"]


def keep_warm(cached, vendor, rounds, **more):
    """Run `keep_warm` with a clock that only its own sleeping moves; return the moments of its rounds."""
    reports, moments = [], []

    async def sleep(seconds):
        moments.append(vendor.now)
        if len(moments) == rounds:
            raise asyncio.CancelledError
        vendor.now += seconds

    async def main():
        with pytest.raises(asyncio.CancelledError):
            await cached.keep_warm(["A"], start=START, sleep=sleep, on_report=reports.append, **more)

    asyncio.run(main())
    return moments, reports


def test_keep_warm_fetches_right_after_each_close(cached, vendor):
    vendor.now = at("2024-03-28T12:00")
    moments, reports = keep_warm(cached, vendor, 6)
    fetched = [moment for moment, report in zip(moments, reports, strict=True) if report.rows_fetched]
    # Thursday's close, and after Good Friday and the weekend Monday's.
    assert fetched == [at("2024-03-28T12:00"), at("2024-03-28T20:15"), at("2024-04-01T20:15")]
    assert len(vendor.asked) == 3
    assert cached.fetch_sync("A", START).equals(vendor.frame("A", START, None, "1d"))
    assert len(vendor.asked) == 3


def test_keep_warm_outlives_a_source_that_is_down(cached, vendor):
    vendor.now, vendor.down_after = at("2024-03-14T12:00"), 0
    answers = vendor.answers

    def heals(request, progress=None, *, starts=None):
        if len(vendor.asked) == 1:
            vendor.down_after = None
        return answers(request, progress, starts=starts)

    vendor.answers = heals
    _, reports = keep_warm(cached, vendor, 2)
    assert [bool(report.failures) for report in reports] == [True, False]
    assert reports[1].rows_fetched


def test_keep_warm_ends_when_its_task_is_cancelled(cached):
    async def main():
        asleep = asyncio.Event()
        task = asyncio.create_task(cached.keep_warm(["A"], start=START, sleep=lambda _: _forever(asleep)))
        await asleep.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


async def _forever(asleep):
    asleep.set()
    await asyncio.Event().wait()
