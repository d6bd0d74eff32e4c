"""A call to the source, whichever way it answers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from rustybt.data.sources.delivery import Delivery, join_deliveries
from rustybt.errors import CONCERNS_ALL, SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from rustybt.data.cache.plan import Call
    from rustybt.data.sources.base import DataSource, Progress
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
    return await asyncio.to_thread(source.fetch_with_events, symbols, first, last, frequency)


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
