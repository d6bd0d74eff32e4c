"""A call to the source, whichever way it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl

from rustybt.data.sources.base import DataSource
from rustybt.data.sources.delivery import Delivery, join_deliveries
from rustybt.errors import CONCERNS_ALL, SourceError
from rustybt.market.bars import check_bars, empty_bars

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from rustybt.data.cache.plan import Call
    from rustybt.data.sources.base import Progress
    from rustybt.market.frequency import Frequency
    from rustybt.market.request import BarRequest


async def asked(
    source: DataSource, request: BarRequest, call: Call, progress: Progress | None
) -> AsyncGenerator[Delivery]:
    """Yield what the source answers, in any order; a symbol that fails does not fail the others.

    Raises
    ------
    SourceError
        No other symbol could fare better: the source is down, refuses the key or the rate.
    """
    symbols = tuple(sorted(call.starts))
    first = min(call.starts.values())
    asked_for = replace(request, symbols=symbols, start=first, end=call.end)
    later = {symbol: start for symbol, start in call.starts.items() if start != first}
    answers = source.answers(asked_for, progress, starts=later)
    if answers is not None:
        async for delivery in answers:
            yield delivery
        return
    groups: dict[int, list[str]] = {}
    for symbol in symbols:
        groups.setdefault(call.starts[symbol], []).append(symbol)
    done = 0
    for start, names in sorted(groups.items()):
        if _tells_more(source):
            part = replace(asked_for, symbols=tuple(names), start=start)
            async for delivery in _stepped(source.deliver(part, progress)):
                yield delivery
            continue
        for at in range(0, len(names), source.symbols_per_fetch):
            batch = names[at : at + source.symbols_per_fetch]
            yield await _batch(source, batch, start, call.end, request.frequency)
            done += len(batch)
            if progress is not None:
                progress("fetch", done, len(symbols))


async def _batch(source: DataSource, symbols: list[str], start: int, end: int, frequency: Frequency) -> Delivery:
    try:
        return await _fetch(source, symbols, start, end, frequency)
    except CONCERNS_ALL:
        raise
    except SourceError as error:
        if len(symbols) == 1:
            return Delivery(failures={symbols[0]: error})
    parts = [await _batch(source, [symbol], start, end, frequency) for symbol in symbols]
    return join_deliveries(parts)


async def _fetch(source: DataSource, symbols: list[str], start: int, end: int, frequency: Frequency) -> Delivery:
    first, last = (pd.Timestamp(micros, unit="us", tz="UTC") for micros in (start, end))
    if _overrides(source, "fetch_with_events") or _overrides(source, "fetch_sync"):
        return await asyncio.to_thread(source.fetch_with_events, symbols, first, last, frequency)
    # No thread waits for this: the source may need threads itself, and the bridge may be the one that waits.
    frame: Any = await source.fetch(symbols, first, last, frequency)
    if isinstance(frame, pl.DataFrame) and not frame.width:
        return Delivery(empty_bars())
    check_bars(frame.clear() if isinstance(frame, pl.DataFrame) else frame)
    return Delivery(frame)


def _overrides(source: DataSource, method: str) -> bool:
    return getattr(type(source), method) is not getattr(DataSource, method)


def _tells_more(source: DataSource) -> bool:
    """Return whether only `deliver` says what the source knows beside bars: events, assets, the basis of its prices."""
    return _overrides(source, "deliver") and not _overrides(source, "fetch_with_events")


async def _stepped(items: Iterator[Delivery] | AsyncIterator[Delivery]) -> AsyncGenerator[Delivery]:
    """Yield the items of either kind of iterator; a synchronous one works in a thread."""
    if isinstance(items, AsyncIterator):
        async for item in items:
            yield item
        return
    while (found := await asyncio.to_thread(next, items, None)) is not None:
        yield found


async def paced(deliveries: AsyncGenerator[Delivery], seconds: float) -> AsyncGenerator[Delivery | None]:
    """Yield deliveries, and None whenever one has been waiting for so long to be stored."""
    since: float | None = None
    next_one = asyncio.ensure_future(anext(deliveries))
    try:
        while True:
            wait = None if since is None else max(0.0, since + seconds - time.monotonic())
            await asyncio.wait({next_one}, timeout=wait)
            if not next_one.done():
                since = None
                yield None
                continue
            try:
                delivery = next_one.result()
            except StopAsyncIteration:
                return
            next_one = asyncio.ensure_future(anext(deliveries))
            since = time.monotonic() if since is None else since
            yield delivery
    finally:
        next_one.cancel()
        await asyncio.gather(next_one, return_exceptions=True)
        await deliveries.aclose()
