"""One fetch from a vendor: symbols in parallel, bars only when final, one bad symbol never failing the others."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from rustybt.data.adapters.redaction import mask_error
from rustybt.data.sources.delivery import Delivery, join_missing
from rustybt.data.sources.vendor.range import native_frequency, widened_range
from rustybt.errors import CONCERNS_ALL, SourceError
from rustybt.logging import get_logger
from rustybt.market.assets import AssetAttributes
from rustybt.market.bars import concat_bars
from rustybt.market.calendars import calendar_for, get_calendar
from rustybt.market.frequency import DAILY
from rustybt.market.request import to_date
from rustybt.market.resample import resample

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from rustybt.data.adapters.series import SeriesAnswer
    from rustybt.data.sources.base import Progress
    from rustybt.data.sources.vendor.source import VendorDataSource
    from rustybt.market.request import BarRequest
    from rustybt.market.trading_calendar import Instants, TradingCalendar

logger = get_logger(__name__)

#: So many symbols failing one after the other for a reason that concerns all: the rest is not asked any more.
HOPELESS_AFTER = 3


class VendorFetch:
    """One use of a vendor for one request; runs on the bridge's loop.

    Parameters
    ----------
    request
        Resolved: canonical symbols, both sides closed.
    starts
        Where single symbols begin instead of ``request.start``.
    """

    def __init__(
        self,
        source: VendorDataSource,
        request: BarRequest,
        *,
        progress: Progress | None = None,
        starts: Mapping[str, int] | None = None,
    ) -> None:
        self._source = source
        self._adapter = source.adapter
        self._request = request
        self._progress = progress
        self._starts = starts or {}
        self._native = native_frequency(request.frequency, self._adapter.limits, source.name)
        self._now_us = 0
        self._done = 0
        self._total = len(request.symbols)
        self._failed_in_a_row = 0
        self._hopeless: SourceError | None = None
        self._delivered = False

    async def in_order(self) -> AsyncIterator[Delivery]:
        """Yield deliveries in rising order of symbols; what is ahead of a straggler waits for it."""
        waiting: dict[str, Delivery] = {}
        units: list[str] | None = None
        at = 0
        async for first, delivery in self._run():
            units = units or [unit[0] for unit, _ in self._units]
            waiting[first] = delivery
            while at < len(units) and units[at] in waiting:
                yield waiting.pop(units[at])
                at += 1

    async def as_completed(self) -> AsyncIterator[Delivery]:
        """Yield each unit of symbols as soon as it is there."""
        async for _, delivery in self._run():
            yield delivery

    async def _run(self) -> AsyncIterator[tuple[str, Delivery]]:
        """Yield (first symbol of the unit, delivery) in order of completion.

        Raises
        ------
        SourceError
            The vendor is down, refuses the key or the rate, before anything was delivered.
        """
        symbols = sorted(self._request.symbols or await self._adapter.list_symbols())
        self._total = len(symbols)
        self._units = list(self._split(symbols))
        self._now_us = int(await self._clock() * 1_000_000)
        self._adapter.throttle.on_wait = self._show_wait
        ready: asyncio.Queue[tuple[str, Delivery]] = asyncio.Queue()
        pending = iter(self._units)
        workers = [
            asyncio.create_task(self._work(pending, ready))
            for _ in range(min(self._adapter.limits.parallel_requests, len(self._units)))
        ]
        try:
            for _ in self._units:
                first, delivery = await _next_of(ready, workers)
                self._delivered |= delivery.bars.height > 0
                if self._hopeless is not None and not self._delivered and self._all_failed(delivery):
                    raise self._hopeless
                yield first, delivery
        finally:
            self._adapter.throttle.on_wait = None
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _clock(self) -> float:
        """Return the vendor's time; a vendor that cannot even tell the time fails the fetch."""
        return await self._adapter.now()

    def _all_failed(self, delivery: Delivery) -> bool:
        return bool(delivery.failures) and not delivery.skipped

    def _split(self, symbols: list[str]) -> Iterator[tuple[tuple[str, ...], int]]:
        """Yield (symbols, start) of each call: neighbours in the alphabet that begin at the same time."""
        most = max(1, self._adapter.limits.symbols_per_request)
        unit: list[str] = []
        begin = 0
        for symbol in symbols:
            start = self._starts.get(symbol, self._request.start or 0)
            if unit and (len(unit) == most or start != begin):
                yield tuple(unit), begin
                unit = []
            begin = start
            unit.append(symbol)
        if unit:
            yield tuple(unit), begin

    async def _work(
        self, pending: Iterator[tuple[tuple[str, ...], int]], ready: asyncio.Queue[tuple[str, Delivery]]
    ) -> None:
        for symbols, start in pending:
            delivery = await self._deliver(symbols, start)
            self._done += len(symbols)
            if self._progress is not None:
                self._progress(_stage(delivery, symbols), self._done, self._total)
            await ready.put((symbols[0], delivery))

    async def _deliver(self, symbols: tuple[str, ...], start: int) -> Delivery:
        if self._hopeless is not None:
            return Delivery(failures=dict.fromkeys(symbols, self._hopeless), price_basis=self._adapter.price_basis)
        end = self._request.end if self._request.end is not None else self._now_us
        first, last = widened_range(self._request.frequency, self._native, start, end)
        try:
            answers = await self._adapter.fetch_series(symbols, first, last, self._native)
        except SourceError as error:
            self._note_failure(mask_error(error))
            logger.debug("symbols_failed", source=self._source.name, symbols=list(symbols), code=error.code)
            return Delivery(failures=dict.fromkeys(symbols, error), price_basis=self._adapter.price_basis)
        self._note_answers(answers)
        return self._assemble(symbols, answers, start, end)

    def _note_answers(self, answers: Mapping[str, SeriesAnswer | SourceError]) -> None:
        for answer in answers.values():
            if isinstance(answer, SourceError):
                self._note_failure(mask_error(answer))
            else:
                self._failed_in_a_row = 0

    def _note_failure(self, error: SourceError) -> None:
        """Count failures that would meet every symbol; after some in a row nothing more is asked."""
        if not isinstance(error, CONCERNS_ALL):
            self._failed_in_a_row = 0
            return
        self._failed_in_a_row += 1
        # A key that is missing or unknown is so for every symbol; a plan may still allow others.
        enough = 1 if error.details.get("concerns_all") else min(HOPELESS_AFTER, self._total)
        if self._failed_in_a_row >= enough and self._hopeless is None:
            self._hopeless = error

    # -- from answers to a delivery ----------------------------------------------------------------------------------

    def _assemble(
        self, symbols: tuple[str, ...], answers: Mapping[str, SeriesAnswer | SourceError], start: int, end: int
    ) -> Delivery:
        failures: dict[str, SourceError] = {}
        skipped: dict[str, str] = {}
        kept: list[tuple[pl.DataFrame, pl.Series | None]] = []
        held: list[SeriesAnswer] = []
        for symbol in symbols:
            answer = answers.get(symbol)
            if answer is None:
                failures[symbol] = SourceError(f"source {self._source.name} said nothing of {symbol}", symbol=symbol)
            elif isinstance(answer, SourceError):
                failures[symbol] = answer
            else:
                bars, missing = self._finished(answer, start, end)
                if bars.is_empty():
                    skipped[symbol] = self._why_empty(answer, start, end)
                kept.append((bars, missing))
                held.append(answer)
        return Delivery(
            bars=concat_bars(bars for bars, _ in kept),
            missing_volume=join_missing((bars.height, missing) for bars, missing in kept),
            assets={a.symbol: a.attributes for a in held if a.attributes is not None},
            actions=tuple(action for a in held for action in a.actions),
            tells_all_events=self._adapter.tells_all_events,
            price_basis=self._adapter.price_basis,
            number_rule=next((a.number_rule for a in held if a.bars.height), "text"),
            aliases={a.symbol: a.vendor_symbol for a in held if a.vendor_symbol not in ("", a.symbol)},
            failures=failures,
            skipped=skipped,
            notes=tuple(dict.fromkeys(note for a in held for note in a.notes)),
            resampled_from="" if self._native == self._request.frequency else self._native.name,
            first_bars={a.symbol: a.first_bar for a in held if a.first_bar is not None},
            as_of=self._now_us / 1_000_000,
        )

    def _finished(self, answer: SeriesAnswer, start: int, end: int) -> tuple[pl.DataFrame, pl.Series | None]:
        """Return the final bars of an answer at the frequency and in the range asked for."""
        bars, missing = answer.bars, answer.missing_volume
        if bars.is_empty():
            return bars, None
        attributes = answer.attributes or AssetAttributes()
        calendar = self._calendar(attributes, bars)
        frequency = self._request.frequency
        if self._native != frequency:
            bars, missing = resample(bars, self._native, frequency, calendar), None
        elif not frequency.is_intraday and frequency != DAILY:
            labels = calendar.period_labels(_stamps(bars), frequency)
            bars = bars.with_columns(pl.Series("timestamp", labels).cast(bars.schema["timestamp"]))
        stamps = _stamps(bars)
        limit = self._now_us - int(self._adapter.limits.settlement_delay_seconds * 1_000_000)
        keep = pl.Series((calendar.bar_ends(stamps, frequency) <= limit) & (stamps >= start) & (stamps <= end))
        return bars.filter(keep), None if missing is None else missing.filter(keep)

    def _calendar(self, attributes: AssetAttributes, bars: pl.DataFrame) -> TradingCalendar:
        stamps = bars["timestamp"].to_physical()
        first, last = to_date(int(stamps.min())), to_date(int(stamps.max()))  # type: ignore[arg-type]
        if self._request.frequency.name in ("1w", "1M"):
            # Labels move inside their week or month, and end with it.
            first, last = first - timedelta(days=35), last + timedelta(days=35)
        return get_calendar(calendar_for(attributes.venue, attributes.asset_type), first, last)

    def _why_empty(self, answer: SeriesAnswer, start: int, end: int) -> str:
        text = f"no bars from {to_date(start)} to {to_date(end)}"
        if answer.first_bar is not None and answer.first_bar > to_date(end):
            return f"{text}: its first bar is of {answer.first_bar}"
        return "; ".join([text, *answer.notes])

    def _show_wait(self, seconds: float, text: str) -> None:
        del seconds
        if self._progress is not None:
            self._progress(f"fetch {text}", self._done, self._total)


async def _next_of(
    ready: asyncio.Queue[tuple[str, Delivery]], workers: list[asyncio.Task[None]]
) -> tuple[str, Delivery]:
    """Return the next finished unit; a worker that raised is raised here instead of waiting for ever."""
    getting = asyncio.ensure_future(ready.get())
    try:
        while not getting.done():
            watched = {worker for worker in workers if not worker.done()}
            await asyncio.wait({getting, *watched}, return_when=asyncio.FIRST_COMPLETED)
            for worker in workers:
                if worker.done() and not worker.cancelled() and worker.exception() is not None:
                    raise worker.exception()  # type: ignore[misc]
        return getting.result()
    finally:
        if not getting.done():
            getting.cancel()
            with suppress(asyncio.CancelledError):
                await getting


def _stage(delivery: Delivery, symbols: tuple[str, ...]) -> str:
    """Return the text of a progress report: the last symbol and the date reached."""
    if delivery.bars.is_empty():
        return f"fetch {symbols[-1]}"
    return f"fetch {delivery.bars['symbol'][-1]} {delivery.bars['timestamp'][-1]:%Y-%m-%d}"


def _stamps(bars: pl.DataFrame) -> Instants:
    return bars["timestamp"].to_physical().to_numpy()
