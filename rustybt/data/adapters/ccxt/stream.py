"""Bars that an exchange pushes, through ccxt's websocket clients."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rustybt.data.adapters.series import StreamedBar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from rustybt.data.adapters.ccxt.paging import Row

#: Symbols in one subscription; Binance allows 200 streams on a connection.
SYMBOLS_AT_ONCE = 200


async def stream_bars(client: Any, symbols: Sequence[str], timeframe: str) -> AsyncIterator[StreamedBar]:
    """Yield each change of a bar, and each bar once more as final when the next one of its symbol begins.

    Raises
    ------
    Exception
        ccxt's own, when the connection breaks.
    """
    updates: asyncio.Queue[tuple[str, list[Row]] | Exception] = asyncio.Queue()
    forming = {symbol: FormingBars(symbol) for symbol in symbols}
    tasks = [asyncio.create_task(_watch(client, part, timeframe, updates)) for part in _parts(client, symbols)]
    try:
        while True:
            update = await updates.get()
            if isinstance(update, Exception):
                raise update
            symbol, rows = update
            if symbol in forming:
                for bar in forming[symbol].update(rows):
                    yield bar
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def _parts(client: Any, symbols: Sequence[str]) -> list[Sequence[str]]:
    """Return the symbols of each subscription."""
    size = SYMBOLS_AT_ONCE if client.has.get("watchOHLCVForSymbols") is True else 1
    return [symbols[first : first + size] for first in range(0, len(symbols), size)]


async def _watch(
    client: Any,
    symbols: Sequence[str],
    timeframe: str,
    updates: asyncio.Queue[tuple[str, list[Row]] | Exception],
) -> None:
    """Put what arrives for `symbols` into the queue, and at last what broke the connection."""
    pairs = [[symbol, timeframe] for symbol in symbols]
    try:
        while True:
            if client.has.get("watchOHLCVForSymbols") is True:
                answer = await client.watch_ohlcv_for_symbols(pairs)
                for symbol, frames in answer.items():
                    await updates.put((symbol, _copied(frames[timeframe])))
            else:
                rows = await client.watch_ohlcv(symbols[0], timeframe)
                await updates.put((symbols[0], _copied(rows)))
    except Exception as error:  # noqa: BLE001  carried to whoever reads the stream, and raised there
        await updates.put(error)


def _copied(rows: Any) -> list[Row]:
    """Return the rows as they are now; ccxt writes later updates into the same lists."""
    return [list(row) for row in rows]


class FormingBars:
    """The bars of one symbol: which was seen last, and with what numbers."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._last: StreamedBar | None = None

    def update(self, rows: list[Row]) -> list[StreamedBar]:
        """Return what `rows` bring: changes, and the last bar as final where a newer one began.

        A change to a bar that was final already is passed on as final; the reader has an order to keep, and decides.
        """
        found: list[StreamedBar] = []
        for row in sorted(rows, key=lambda row: int(row[0])):
            bar = self._bar(row)
            last = self._last
            if bar is None or bar == last:
                continue
            if last is not None and bar.timestamp < last.timestamp:
                found.append(_final(bar))
                continue
            if last is not None and bar.timestamp > last.timestamp:
                found.append(_final(last))
            self._last = bar
            found.append(bar)
        return found

    def _bar(self, row: Row) -> StreamedBar | None:
        """Return the row as a bar; None for one without prices, which some exchanges send before the first trade."""
        stamp, values = int(row[0]), row[1:6]
        if any(value is None for value in values[:4]):
            return None
        # ccxt reads the exchange's text into a float; its shortest text is the one that was sent, up to 15 digits.
        opened, high, low, close, volume = (Decimal(str(value or 0)) for value in values)
        return StreamedBar(self.symbol, stamp * 1_000, opened, high, low, close, volume, is_final=False)


def _final(bar: StreamedBar) -> StreamedBar:
    return StreamedBar(bar.symbol, bar.timestamp, bar.open, bar.high, bar.low, bar.close, bar.volume, is_final=True)
