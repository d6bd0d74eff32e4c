"""Streams: every final bar once, in order, whatever the connection does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustybt.data.adapters.series import StreamedBar
from rustybt.data.sources.vendor.stream import BarStream
from rustybt.errors import AuthenticationError, RequestError, SourceUnavailableError
from rustybt.market.frequency import FREQUENCIES
from tests.data.sources.scripted import LIMITS, ScriptedSource
from tests.fakes import market

MINUTE = 60_000_000
ROWS = market.intraday("AAPL", 1, date(2024, 11, 27), date(2024, 11, 27))


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = ROWS[0].start.timestamp()

    def __call__(self) -> float:
        return self.now

    def at(self, minute: int, second: float = 0.0):
        """A step of a script: move to `second` of the n-th minute of the session."""

        def move() -> None:
            self.now = ROWS[0].start.timestamp() + 60 * minute + second

        return move


def bar(n: int, *, final: bool = True, close: str | None = None, symbol: str = "AAPL") -> StreamedBar:
    row = ROWS[n]
    last = row.close if close is None else Decimal(close)
    stamp = int(row.start.timestamp() * 1e6)
    return StreamedBar(symbol, stamp, row.open, row.high, row.low, last, row.volume, is_final=final)


def listen(script, clock, *, count=None, symbols=("AAPL",), sends_every_bar=False, **more):
    """Return the bars, the stream and the adapter; the stream ends when it runs out of connections."""
    limits = replace(LIMITS, settlement_delay_seconds=0.0)
    source = ScriptedSource(script={"script": script, "limits": limits}, clock=clock)
    source.adapter.sends_every_bar = sends_every_bar
    stream = BarStream(
        source.adapter, symbols, FREQUENCIES["1m"], clock=clock, first_wait_seconds=0.0, **{"max_reconnects": 2, **more}
    )
    found: list[StreamedBar] = []

    async def run() -> None:
        bars = stream.bars()
        try:
            async for one in bars:
                found.append(one)
                if count is not None and len(found) == count:
                    return
        except SourceUnavailableError:
            return
        finally:
            await bars.aclose()

    asyncio.run(asyncio.wait_for(run(), 10))
    return found, stream, source.adapter


def test_final_bars_pass_and_repetitions_do_not():
    clock = Clock()
    found, stream, _ = listen([[clock.at(3), bar(0), bar(1), bar(1), bar(0), bar(2)]], clock, count=3)
    assert found == [bar(0), bar(1), bar(2)]
    assert stream.late == 2


def test_a_forming_bar_is_handed_over_when_the_next_begins_with_its_last_values():
    clock = Clock()
    script = [
        [bar(0, final=False, close="1"), bar(0, final=False), bar(1, final=False), clock.at(1, 1), bar(2, final=False)]
    ]
    found, _, _ = listen(script, clock, count=2)
    assert found == [bar(0), bar(1)]


def test_a_forming_bar_is_handed_over_when_its_time_is_up_without_a_next_one():
    clock = Clock()
    found, _, _ = listen([[bar(0, final=False), clock.at(1, 3), bar(0, final=False)]], clock, count=1)
    assert found == [bar(0)]


def test_the_vendors_own_final_word_wins_over_the_forming_bar():
    clock = Clock()
    found, _, _ = listen([[bar(0, final=False, close="1"), bar(0), bar(1)]], clock, count=2)
    assert found == [bar(0), bar(1)]


def test_a_break_is_backfilled_before_the_next_bar():
    clock = Clock()
    script = [
        [clock.at(2), bar(0), bar(1), clock.at(5, 30), SourceUnavailableError("broke")],
        [bar(5), bar(6)],
    ]
    found, stream, adapter = listen(script, clock, count=7)
    assert found == [bar(n) for n in range(7)]
    assert stream.connections == 2
    assert len(adapter.asked) == 1, "one request for the gap of one symbol"


def test_what_arrives_while_the_gap_is_filled_is_not_lost_nor_doubled():
    clock = Clock()
    script = [[clock.at(2), bar(0), bar(1), clock.at(5, 30), SourceUnavailableError("broke")], [bar(3), bar(4), bar(5)]]
    found, stream, _ = listen(script, clock, count=6)
    assert found == [bar(n) for n in range(6)]
    assert stream.late == 2


def test_a_break_before_the_first_bar_loses_nothing_since_the_subscription():
    clock = Clock()
    found, _, _ = listen([[clock.at(2, 30), SourceUnavailableError("broke")], [bar(2)]], clock, count=3)
    assert found == [bar(0), bar(1), bar(2)]


def test_each_symbol_has_its_own_line():
    clock = Clock()
    other = [replace(bar(n), symbol="GE") for n in range(3)]
    script = [[clock.at(3), bar(0), other[0], other[1], bar(1), other[2], bar(2)]]
    found, _, _ = listen(script, clock, count=6, symbols=("AAPL", "GE"))
    assert [b for b in found if b.symbol == "GE"] == other
    assert [b for b in found if b.symbol == "AAPL"] == [bar(0), bar(1), bar(2)]


def test_a_bar_left_out_by_a_vendor_that_sends_all_is_fetched():
    clock = Clock()
    found, _, adapter = listen([[clock.at(4), bar(0), bar(3)]], clock, count=4, sends_every_bar=True)
    assert found == [bar(0), bar(1), bar(2), bar(3)]
    assert len(adapter.asked) == 1


def test_a_minute_without_trades_is_not_asked_for_where_vendors_leave_it_out():
    clock = Clock()
    found, _, adapter = listen([[clock.at(4), bar(0), bar(3)]], clock, count=2)
    assert found == [bar(0), bar(3)]
    assert adapter.asked == []


def test_a_silent_connection_is_opened_again_for_as_long_as_it_takes():
    """A night without bars is longer than any patience with a vendor that is down."""
    clock = Clock()
    opened = 0

    async def wakes_up_at_last(symbols, frequency):
        nonlocal opened
        opened += 1
        if opened < 6:
            await asyncio.sleep(60)
        yield bar(0)

    limits = replace(LIMITS, settlement_delay_seconds=0.0)
    source = ScriptedSource(script={"limits": limits}, clock=clock)
    source.adapter.subscribe = wakes_up_at_last
    stream = BarStream(
        source.adapter, ("AAPL",), FREQUENCIES["1m"], clock=clock, silence_seconds=0.05, max_reconnects=2
    )

    async def run() -> StreamedBar:
        bars = stream.bars()
        try:
            return await anext(bars)
        finally:
            await bars.aclose()

    assert asyncio.run(asyncio.wait_for(run(), 10)) == bar(0)
    assert stream.connections == 6


def test_a_refused_key_ends_the_stream_at_once():
    clock = Clock()
    with pytest.raises(AuthenticationError):
        listen([[AuthenticationError("no")]], clock)


def test_connections_that_work_do_not_use_up_the_patience():
    clock = Clock()
    script = [[clock.at(n + 1), bar(n), SourceUnavailableError("broke")] for n in range(8)]
    found, stream, _ = listen(script, clock, count=8)
    assert found == [bar(n) for n in range(8)]
    assert stream.connections == 8


def test_daily_bars_are_not_streamed_and_the_hint_says_what_to_do():
    with pytest.raises(RequestError, match="rustybt update"):
        ScriptedSource().stream("AAPL", "1d")


def test_a_source_that_cannot_stream_says_so():
    from rustybt.data.sources import get_source

    with pytest.raises(RequestError, match="cannot stream"):
        get_source("csv", path="x.csv").stream("AAPL")


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_order_of_any_messages_gives_each_bar_once_in_order(data):
    """Forming, final, repeated, late and missing messages over several connections: rising, unique, right values."""
    clock = Clock()
    script, upto = [], 0
    for _ in range(data.draw(st.integers(1, 4))):
        messages = []
        for _ in range(data.draw(st.integers(0, 6))):
            step = data.draw(st.sampled_from(["final", "forming", "again", "late", "skip"]))
            if step == "skip":
                upto += data.draw(st.integers(1, 3))
            elif step == "again" or step == "late":
                messages.append(bar(max(0, upto - data.draw(st.integers(0, 3)))))
            else:
                messages += [clock.at(upto + 1, 1), bar(upto, final=step == "final")]
                upto += step == "final"
        script.append([*messages, clock.at(upto, 1), SourceUnavailableError("broke")])
    found, _, _ = listen(script, clock, max_reconnects=len(script) + 1)
    stamps = [one.timestamp for one in found]
    assert stamps == sorted(set(stamps))
    for one in found:
        n = (one.timestamp - bar(0).timestamp) // MINUTE
        assert one == bar(n)
