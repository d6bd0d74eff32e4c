"""Bars as they become final: no gap, no repetition, no step back, whatever the connection does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from rustybt.data.adapters.series import StreamedBar
from rustybt.data.sources import bridge
from rustybt.errors import BadResponseError, RateLimitedError, RequestError, SourceError, SourceUnavailableError
from rustybt.logging import get_logger
from rustybt.market.bars import VALUE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from rustybt.data.adapters.base import BaseDataAdapter
    from rustybt.market.frequency import Frequency

logger = get_logger(__name__)

#: A connection that is silent for so many bars, and at least a minute, is taken for dead.
SILENT_BARS = 3
_LEAST_SILENCE_SECONDS = 60.0
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
#: So many failed connections one after the other, without a bar between them, end the stream.
MAX_RECONNECTS = 10


class BarStream:
    """One subscription to a vendor; use `DataSource.stream`.

    A bar is handed over when the vendor says that it is final, when a later bar of its symbol arrives, or when it ended
    longer ago than the vendor needs to settle it. After a break the bars that were missed are fetched, and come before the
    next bar of the stream. A bar at or before the last one handed over is a duplicate, or came too late: it is left out,
    counted in `late` and logged.

    Parameters
    ----------
    silence_seconds
        Without any message for so long the connection is opened again.
    first_wait_seconds
        Before the first reconnection; doubles up to `LONGEST_WAIT_SECONDS`.
    clock
        Unix seconds.
    """

    def __init__(
        self,
        adapter: BaseDataAdapter,
        symbols: Sequence[str],
        frequency: Frequency,
        *,
        clock: Callable[[], float],
        silence_seconds: float | None = None,
        first_wait_seconds: float = FIRST_WAIT_SECONDS,
        max_reconnects: int = MAX_RECONNECTS,
    ) -> None:
        if not frequency.is_intraday:
            raise RequestError(
                f"{frequency} bars are not streamed", hint="rustybt update brings a bundle up to the last close"
            )
        self._adapter = adapter
        self._symbols = tuple(symbols)
        self._frequency = frequency
        self._clock = clock
        self._silence = silence_seconds or max(_LEAST_SILENCE_SECONDS, SILENT_BARS * frequency.seconds)
        self._first_wait = first_wait_seconds
        self._max_reconnects = max_reconnects
        self._ahead = 0.0
        self._last: dict[str, int] = {}
        self._forming: dict[str, StreamedBar] = {}
        self._settle = int(adapter.limits.settlement_delay_seconds * 1_000_000)
        #: Bars left out because a later one of their symbol had been handed over already.
        self.late = 0
        #: Bars that the vendor pushed, final or not, wanted or not.
        self.heard = 0
        #: Connections opened, the first included.
        self.connections = 0

    async def bars(self) -> AsyncIterator[StreamedBar]:
        """Yield final bars; per symbol in rising order.

        Raises
        ------
        SourceUnavailableError
            The vendor cannot be reached any more.
        SourceError
            It refuses the key or the subscription.
        """
        events = self._events()
        try:
            while True:
                try:
                    yield await bridge.join(_next(events))
                except StopAsyncIteration:
                    return
        finally:
            await bridge.join(_close(events))

    async def _events(self) -> AsyncIterator[StreamedBar]:
        """Yield final bars over any number of connections; runs on the bridge's loop."""
        failures = 0
        began = self._clock()
        while True:
            self.connections += 1
            try:
                async for bar in self._connection(began):
                    failures = 0
                    yield bar
                reason: SourceError = SourceUnavailableError(f"the stream of {self._adapter.name} ended")
            except _SilentError as silent:
                # A market that is closed says nothing for hours: opened again, and nothing to lose patience with.
                logger.debug("stream_silent", source=self._adapter.name, why=silent.message)
                continue
            except (SourceUnavailableError, RateLimitedError, BadResponseError) as error:
                reason = error
            failures += 1
            if failures > self._max_reconnects:
                raise reason
            wait = min(self._first_wait * 2 ** (failures - 1), LONGEST_WAIT_SECONDS)
            logger.warning("stream_reconnect", source=self._adapter.name, why=reason.message, wait_seconds=wait)
            await asyncio.sleep(wait)

    async def _connection(self, began: float) -> AsyncIterator[StreamedBar]:
        """Yield the bars of one connection, after those missed since `began`, by this machine's clock."""
        messages: asyncio.Queue[StreamedBar | SourceError | None] = asyncio.Queue()
        listening = asyncio.create_task(self._listen(messages))
        try:
            # Subscribed first, filled second: what arrives meanwhile waits in the queue, so nothing falls between.
            # What is over is for the vendor's clock to say: by one that is fast, forming bars would be final.
            self._ahead = await self._adapter.now() - self._clock()
            for bar in await self._missed(int((began + self._ahead) * 1_000_000)):
                for final in self._accept(bar):
                    yield final
            quiet_until = self._monotonic() + self._silence
            while (message := await self._next_message(messages, quiet_until)) is not None:
                if isinstance(message, StreamedBar):
                    quiet_until = self._monotonic() + self._silence
                    for bar in (*await self._hole_before(message), message):
                        for final in self._accept(bar):
                            yield final
                    self.heard += 1
                for final in await self._ripe():
                    yield final
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError, SourceError):
                await listening

    async def _next_message(
        self, messages: asyncio.Queue[StreamedBar | SourceError | None], quiet_until: float
    ) -> StreamedBar | _Nothing | None:
        """Return the next bar, nothing after a second at most, or None at the end of the connection.

        Raises
        ------
        SourceError
            The connection broke, or was silent for too long.
        """
        message = await _get(messages, min(1.0, max(0.01, quiet_until - self._monotonic())))
        if isinstance(message, SourceError):
            raise message
        if isinstance(message, _Nothing) and self._monotonic() >= quiet_until:
            raise _SilentError(f"the stream of {self._adapter.name} was silent for {self._silence:.0f} s")
        return message

    async def _listen(self, messages: asyncio.Queue[StreamedBar | SourceError | None]) -> None:
        subscription = self._adapter.subscribe(self._symbols, self._frequency)
        try:
            async for bar in subscription:
                await messages.put(bar)
            await messages.put(None)
        except SourceError as error:
            await messages.put(error)
        except Exception as error:  # noqa: BLE001  whatever a client raises ends this connection, not the program
            mapped = self._adapter.map_error(error)
            await messages.put(
                mapped or SourceUnavailableError(f"the stream of {self._adapter.name} broke: {type(error).__name__}")
            )
        finally:
            await _close(subscription)

    # -- what is handed over -----------------------------------------------------------------------------------------

    def _accept(self, bar: StreamedBar) -> list[StreamedBar]:
        """Return what becomes final with `bar`."""
        last = self._last.get(bar.symbol)
        if last is not None and bar.timestamp <= last:
            self.late += 1
            logger.debug("stream_late_bar", symbol=bar.symbol, timestamp=bar.timestamp)
            return []
        ready: list[StreamedBar] = []
        forming = self._forming.get(bar.symbol)
        if forming is not None and forming.timestamp < bar.timestamp:
            ready.append(self._finish(forming))
        if forming is not None and bar.timestamp < forming.timestamp and not bar.is_final:
            return ready
        if bar.is_final:
            if forming is not None and forming.timestamp == bar.timestamp:
                self._forming.pop(bar.symbol, None)
            if bar.timestamp > self._last.get(bar.symbol, bar.timestamp - 1):
                ready.append(self._finish(bar))
        else:
            self._forming[bar.symbol] = bar
        return ready

    def _finish(self, bar: StreamedBar) -> StreamedBar:
        self._last[bar.symbol] = bar.timestamp
        if (forming := self._forming.get(bar.symbol)) is not None and forming.timestamp <= bar.timestamp:
            del self._forming[bar.symbol]
        return replace(bar, is_final=True)

    async def _ripe(self) -> list[StreamedBar]:
        """Return forming bars that ended longer ago than the vendor needs to settle them, as the vendor's history has them.

        Their last word may have been lost; only where the history has none either, what was heard last has to do.
        """
        limit = self._now() - max(self._settle, 2_000_000)
        ripe = [bar for bar in self._forming.values() if bar.timestamp + self._frequency.microseconds <= limit]
        ready = []
        for bar in sorted(ripe, key=lambda bar: (bar.timestamp, bar.symbol)):
            kept = await self._fetch((bar.symbol,), bar.timestamp, bar.timestamp)
            ready.append(self._finish(kept[0] if kept else bar))
        return ready

    # -- holes -------------------------------------------------------------------------------------------------------

    async def _missed(self, began: int) -> list[StreamedBar]:
        """Return the final bars between the last one handed over and now, for every symbol; none on the first connection."""
        if self.connections == 1:
            return []
        missed: list[StreamedBar] = []
        most = max(1, self._adapter.limits.symbols_per_request)
        for first in range(0, len(self._symbols), most):
            part = self._symbols[first : first + most]
            after = {symbol: self._last.get(symbol, began - self._frequency.microseconds) for symbol in part}
            found = await self._fetch(part, min(after.values()) + 1, self._now())
            missed += [bar for bar in found if bar.timestamp > after[bar.symbol]]
        return sorted(missed, key=lambda bar: (bar.timestamp, bar.symbol))

    async def _hole_before(self, bar: StreamedBar) -> list[StreamedBar]:
        """Return bars that the stream left out between the last one of the symbol and `bar`.

        Only where the vendor sends every bar: others leave out those without a trade, and nothing is missing.
        """
        if not self._adapter.sends_every_bar:
            return []
        known = max(
            self._last.get(bar.symbol, bar.timestamp),
            self._forming[bar.symbol].timestamp if bar.symbol in self._forming else -1,
        )
        if bar.timestamp <= known + self._frequency.microseconds:
            return []
        return await self._fetch((bar.symbol,), known + 1, bar.timestamp - 1)

    async def _fetch(self, symbols: Sequence[str], start: int, end: int) -> list[StreamedBar]:
        """Return final bars from the vendor's history."""
        if end < start:
            return []
        answers = await self._adapter.fetch_series(symbols, start, end, self._frequency)
        now = self._now()
        found: list[StreamedBar] = []
        for symbol in symbols:
            answer = answers.get(symbol)
            if answer is None or isinstance(answer, SourceError):
                raise answer or SourceUnavailableError(
                    f"the bars of {symbol} that the stream missed could not be fetched"
                )
            rows = answer.bars.select(
                answer.bars["timestamp"].to_physical(), *(answer.bars[name] for name in VALUE_COLUMNS)
            )
            found += [
                StreamedBar(symbol, stamp, *values)
                for stamp, *values in rows.iter_rows()
                if stamp + self._frequency.microseconds <= now
            ]
        return found

    def _now(self) -> int:
        """Return the vendor's time, microseconds since 1970 UTC, as far as it was asked when the connection was opened."""
        return int((self._clock() + self._ahead) * 1_000_000)

    def _monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class _SilentError(SourceUnavailableError):
    """Nothing was heard for too long; the connection may be dead, or the market closed."""


class _Nothing:
    """No message arrived in time."""


_NOTHING = _Nothing()


async def _get(
    messages: asyncio.Queue[StreamedBar | SourceError | None], timeout_seconds: float
) -> StreamedBar | SourceError | _Nothing | None:
    try:
        return await asyncio.wait_for(messages.get(), timeout_seconds)
    except TimeoutError:
        return _NOTHING


async def _next(events: AsyncIterator[StreamedBar]) -> StreamedBar:
    return await anext(events)


async def _close(events: AsyncIterator[StreamedBar]) -> None:
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()
