"""The synchronous face of asynchronous sources."""

import asyncio
import os
import signal
import threading

import pytest

from rustybt.data.sources import bridge


async def _answer(value):
    await asyncio.sleep(0)
    return value


async def _fail():
    await asyncio.sleep(0)
    raise LookupError("no such thing")


def test_a_coroutine_is_run_to_its_result():
    assert bridge.run(_answer(7)) == 7


def test_the_error_of_a_coroutine_reaches_the_caller():
    with pytest.raises(LookupError, match="no such thing"):
        bridge.run(_fail())


def test_it_works_inside_a_running_event_loop():
    async def cell():
        return bridge.run(_answer("in a notebook"))

    assert asyncio.run(cell()) == "in a notebook"


def test_all_calls_share_one_loop_so_that_connections_outlive_a_call():
    async def loop():
        return asyncio.get_running_loop()

    assert bridge.run(loop()) is bridge.run(loop())


def test_a_coroutine_on_the_bridge_may_ask_for_a_synchronous_answer():
    async def nested():
        return bridge.run(_answer("no deadlock"))

    assert bridge.run(nested()) == "no deadlock"


def test_an_error_in_a_nested_call_reaches_the_caller():
    async def nested():
        return bridge.run(_fail())

    with pytest.raises(LookupError):
        bridge.run(nested())


def test_many_threads_may_wait_at_once():
    found = []
    threads = [threading.Thread(target=lambda n=n: found.append(bridge.run(_answer(n)))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(8))


def test_a_forked_child_gets_a_bridge_of_its_own(monkeypatch):
    before = bridge._loop_thread()
    monkeypatch.setattr(bridge.os, "getpid", lambda: before.pid + 1)
    try:
        assert bridge._loop_thread() is not before
    finally:
        after = bridge._bridge
        monkeypatch.undo()
        after.loop.call_soon_threadsafe(after.loop.stop)
        after.thread.join()
        after.loop.close()
        bridge._bridge = before


def test_both_kinds_of_iterator_are_iterated():
    async def numbers():
        yield 1
        yield 2

    assert list(bridge.iterate(numbers())) == [1, 2]
    assert list(bridge.iterate(iter([3, 4]))) == [3, 4]


def test_an_asynchronous_iterator_is_closed_when_the_caller_stops_early():
    closed = []

    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    items = bridge.iterate(numbers())
    assert next(items) == 1
    items.close()
    assert closed == [True]


def test_an_interrupt_raised_on_the_bridge_does_not_end_it():
    """Polars raises Ctrl-C in whichever thread computes."""

    async def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bridge.run(interrupted())
    assert bridge.run(asyncio.sleep(0, "still there")) == "still there"


def test_a_generator_is_closed_when_a_step_of_it_is_interrupted(monkeypatch):
    closed = []

    async def items():
        try:
            yield 1
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    found = bridge.iterate(items())
    assert next(found) == 1
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        next(found)
    assert closed == [True]
