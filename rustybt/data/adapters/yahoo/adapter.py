"""Yahoo Finance, over yfinance's client: bars as its pages show them, adjusted for splits."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, TypeVar

from rustybt.data.adapters.base import BaseDataAdapter
from rustybt.data.adapters.limits import VendorLimits
from rustybt.data.adapters.reading import reading
from rustybt.data.adapters.series import SeriesAnswer
from rustybt.data.adapters.yahoo import symbols as yahoo_symbols
from rustybt.data.adapters.yahoo.actions import actions_of
from rustybt.data.adapters.yahoo.chart import (
    INTERVALS,
    Chart,
    ChartBars,
    bars_of,
    check_extent,
    check_sessions,
    read_chart,
)
from rustybt.data.adapters.yahoo.client import HOST, YahooClient, YahooRefusal
from rustybt.data.adapters.yahoo.errors import client_error, refusal_to_error, unknown_symbol
from rustybt.errors import NotCoveredError, SourceError
from rustybt.market.bars import join_frames
from rustybt.market.frequency import DAILY, Frequency
from rustybt.market.provenance import SourceMetadata
from rustybt.market.request import to_date

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rustybt.data.adapters.connection import Connection
    from rustybt.market.corporate_actions import CorporateAction

T = TypeVar("T")

DAY_SECONDS = 86_400

#: How many days one request for intraday bars spans: for 1m a day less than Yahoo allows, else all that it keeps.
DAYS_A_REQUEST: Mapping[str, int] = {"1m": 7, "5m": 60, "15m": 60, "1h": 730}

LIMITS = VendorLimits(
    # 30m is missing on purpose: Yahoo answers with bars of an hour, and its client makes them of 15m as well.
    frequencies=tuple(INTERVALS),
    depth_days={"1m": 30, "5m": 60, "15m": 60, "1h": 730},
    bars_per_page=20_000,
    # Nowhere documented; one a second is a careful guess.
    requests_per_minute=60,
    parallel_requests=4,
    # Quotes are 15 minutes late, and the day's row is replaced soon after the close; the client itself takes what ended half
    # an hour ago for settled. Volumes are corrected in the days after, as everywhere.
    settlement_delay_seconds=1_800,
    notes=(
        "Yahoo states no limits; these are careful ones, --requests-per-minute changes them",
        "prices, volumes and dividends are adjusted for splits",
        "1m bars reach back 30 days, 5m and 15m 60 days, 1h 730 days",
        "30m bars are made of 15m bars",
    ),
)


@dataclass(frozen=True, slots=True)
class _Page:
    """One request: Unix seconds, the last excluded."""

    start: int
    end: int


class YahooAdapter(BaseDataAdapter):
    """Talks to Yahoo's chart address through yfinance's client.

    The raw answers are read, not yfinance's frames: those turn an outage into "possibly delisted", an exact ratio of a split
    into a float, and an answer about the past into one from memory.
    """

    name = "yfinance"
    price_basis = "split_adjusted"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, LIMITS, "yfinance")
        self._lock = threading.Lock()
        self._client: YahooClient | None = None
        self._pool: ThreadPoolExecutor | None = None

    # -- symbols -----------------------------------------------------------------------------------------------------

    def canonical_symbol(self, text: str) -> str:
        """Return the canonical symbol: ``BRK-B`` is ``BRK.B``, all else stays but for upper case."""
        return yahoo_symbols.canonical_symbol(text)

    def vendor_symbol(self, symbol: str) -> str:
        """Return Yahoo's ticker: ``BRK.B`` is ``BRK-B``, ``VOD.L`` stays."""
        return yahoo_symbols.vendor_symbol(symbol)

    # -- the vendor --------------------------------------------------------------------------------------------------

    async def fetch_series(
        self, symbols: Sequence[str], start: int, end: int, frequency: Frequency
    ) -> Mapping[str, SeriesAnswer | SourceError]:
        """Fetch one series after the other; see `BaseDataAdapter.fetch_series`."""
        return await self.one_by_one(symbols, lambda symbol: self._series(symbol, start, end, frequency))

    def pages(self, start: int, end: int, frequency: Frequency, bars: int, symbols: int = 1) -> int:
        """Return the requests for bars, and the one for actions that intraday bars need."""
        del bars, symbols
        if not frequency.is_intraday:
            return 1
        now = int(self.connection.clock())
        deepest = now - self.limits.depth_days[frequency.name] * DAY_SECONDS + 60
        seconds = min(end // 1_000_000, now) + 1 - max(start // 1_000_000, deepest)
        return max(1, -(-seconds // (DAYS_A_REQUEST[frequency.name] * DAY_SECONDS))) + 1

    def count_attempt(self) -> None:
        """Count the request where the session is the caller's; our own counts what it sends, also for cookies."""
        if self.connection.client is not None:
            super().count_attempt()

    def map_error(self, error: Exception) -> SourceError | None:
        """Return what an exception of yfinance or of its session stands for."""
        return client_error(error)

    def metadata(self) -> SourceMetadata:
        """Return what is recorded: yfinance's version and the address."""
        try:
            client = f"yfinance {version('yfinance')}"
        except PackageNotFoundError:
            client = ""
        return SourceMetadata(
            "yfinance",
            source_url=self.transport.base_url or HOST,
            api_version=f"v8 ({client})" if client else "v8",
            adjustment=self.price_basis,
        )

    async def close(self) -> None:
        """Close the connections; the next request opens new ones and asks for new cookies."""
        with self._lock:
            client, self._client = self._client, None
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        if client is not None:
            client.close()

    # -- one series --------------------------------------------------------------------------------------------------

    async def _series(self, symbol: str, start: int, end: int, frequency: Frequency) -> SeriesAnswer:
        if not any(map(str.isalnum, symbol)):
            # A name of points would climb out of the path of charts.
            raise unknown_symbol(symbol, symbol)
        now = int(self.connection.clock())
        if start > now * 1_000_000:
            return SeriesAnswer(
                symbol, vendor_symbol=self.vendor_symbol(symbol), notes=(f"{symbol}: the range is to come",)
            )
        if frequency.is_intraday:
            return await self._intraday(symbol, start, end, frequency)
        # Until now, whatever the end: only the later splits tell what the prices once were.
        page = _Page(_first_second(start, frequency), _end_of_day(now))

        def read(chart: Chart) -> SeriesAnswer:
            check_extent(chart, symbol, to_date(start), to_date(now * 1_000_000))
            actions, notes = actions_of(chart, symbol)
            return self._answer(symbol, start, chart, [bars_of(chart, symbol, frequency, start, end)], actions, notes)

        return await self._ask(symbol, page, frequency, read) or self._nothing(symbol)

    async def _intraday(self, symbol: str, start: int, end: int, frequency: Frequency) -> SeriesAnswer:
        now = int(self.connection.clock())
        begin = max(start // 1_000_000, self._deepest(symbol, start, now, frequency))
        finish = min(end // 1_000_000, now) + 1
        # First the days: they tell the listing, and an unknown symbol costs one request.
        page = _Page(begin - begin % DAY_SECONDS - DAY_SECONDS, _end_of_day(now))

        def read_days(chart: Chart) -> tuple[Chart, tuple[CorporateAction, ...], tuple[str, ...]]:
            check_extent(chart, symbol, to_date(page.start * 1_000_000), to_date(now * 1_000_000))
            return chart, *actions_of(chart, symbol)

        days = await self._ask(symbol, page, DAILY, read_days)
        if days is None:
            return self._nothing(symbol)
        parts: list[ChartBars] = []
        step = DAYS_A_REQUEST[frequency.name] * DAY_SECONDS
        for first in range(begin, finish, step):
            last = min(first + step, finish)
            low, high = max(start, first * 1_000_000), min(end, last * 1_000_000 - 1)
            read = partial(bars_of, symbol=symbol, frequency=frequency, start=low, end=high)
            part = await self._ask(symbol, _Page(first, last), frequency, read)
            if part is not None:
                parts.append(part)
        chart, actions, notes = days
        check_sessions(chart, parts, symbol, begin * 1_000_000, finish * 1_000_000 - 1)
        return self._answer(symbol, start, chart, parts, actions, notes)

    def _deepest(self, symbol: str, start: int, now: int, frequency: Frequency) -> int:
        """Return the first second that Yahoo still has bars of.

        Raises
        ------
        NotCoveredError
            The range begins more than two days before it: those that are added where longer bars are made are no loss.
        """
        days = self.limits.depth_days[frequency.name]
        deepest = now - days * DAY_SECONDS + 60
        if start // 1_000_000 < deepest - 2 * DAY_SECONDS:
            raise NotCoveredError(
                f"Yahoo keeps {frequency} bars of the last {days} days only; {symbol} was asked from {to_date(start)}",
                hint=f"--start {to_date(deepest * 1_000_000) + timedelta(days=1)}, or a longer frequency",
                missing=[symbol],
            )
        return deepest

    def _answer(
        self,
        symbol: str,
        start: int,
        chart: Chart,
        parts: list[ChartBars],
        actions: tuple[CorporateAction, ...],
        notes: tuple[str, ...],
    ) -> SeriesAnswer:
        found = [part for part in parts if part.bars.height]
        left_out = sum(part.left_out for part in parts)
        if left_out:
            notes = (*notes, f"{symbol}: {left_out} rows that are no bars, or without usable prices, are left out")
        if not found and chart.last_trade is not None and chart.last_trade < to_date(start):
            notes = (*notes, f"{symbol}: its last trade was on {chart.last_trade}")
        more: dict[str, Any] = {}
        if found:
            more["bars"] = join_frames(part.bars for part in found)
            more["number_rule"] = min(part.number_rule for part in found)
            more["missing_volume"] = _missing_volume(found)
        return SeriesAnswer(
            symbol,
            vendor_symbol=self.vendor_symbol(symbol),
            attributes=yahoo_symbols.attributes_of(chart.meta),
            actions=tuple(action for action in actions if action.ex_date >= to_date(start)),
            first_bar=chart.first_trade,
            notes=notes,
            **more,
        )

    def _nothing(self, symbol: str) -> SeriesAnswer:
        return SeriesAnswer(
            symbol,
            vendor_symbol=self.vendor_symbol(symbol),
            notes=(
                f"{symbol}: Yahoo knows it, but has nothing from the start of the range until now; it may be delisted",
            ),
        )

    # -- one request -------------------------------------------------------------------------------------------------

    async def _ask(self, symbol: str, page: _Page, frequency: Frequency, read: Callable[[Chart], T]) -> T | None:
        """Return what `read` makes of one answer, or None where Yahoo says that it has nothing in the range."""
        loop = asyncio.get_running_loop()
        work = partial(self._fetch, symbol, page, INTERVALS[frequency.name])

        async def ask() -> T | None:
            chart = await loop.run_in_executor(self._workers(), work)
            with reading("Yahoo", f"{symbol} {frequency}", symbol):
                return None if chart is None else read(chart)

        return await self.call(f"{symbol} {frequency}", ask)

    def _fetch(self, symbol: str, page: _Page, interval: str) -> Chart | None:
        """Make one request; runs in a thread of the pool."""
        ticker = self.vendor_symbol(symbol)
        params = {
            "period1": page.start,
            "period2": page.end,
            "interval": interval,
            "includePrePost": "false",
            "events": "div,splits,capitalGains",
        }
        try:
            payload = self._connected().fetch(ticker, params)
            with reading("Yahoo", f"{symbol} {interval}", symbol):
                return read_chart(payload, ticker, interval, (page.start, page.end))
        except YahooRefusal as refusal:
            failure = refusal_to_error(refusal, symbol)
            if failure is not None:
                raise failure from None
            return None

    def _connected(self) -> YahooClient:
        with self._lock:
            if self._client is None:
                self._client = YahooClient(self.connection, self.request_count)
            return self._client

    def _workers(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.limits.parallel_requests, thread_name_prefix="yahoo")
            return self._pool


def _end_of_day(now: int) -> int:
    """Return the end of the UTC day: the same request all day long, which a cache on the way may answer."""
    return now - now % DAY_SECONDS + DAY_SECONDS


def _first_second(start: int, frequency: Frequency) -> int:
    """Return where to begin so that the first bar is whole, in every time zone.

    Weeks and months begin one earlier, on a Monday or a 1st, because Yahoo counts weeks from the day that is asked for; at
    10:00 UTC, when it is the same date from Honolulu to Auckland.
    """
    day = to_date(start)
    if frequency == DAILY:
        return start // 1_000_000 - DAY_SECONDS
    if frequency.name == "1w":
        day -= timedelta(days=day.weekday() + 7)
    else:
        day = (day.replace(day=1) - timedelta(days=1)).replace(day=1)
    return (day - to_date(0)).days * DAY_SECONDS + 10 * 3_600


def _missing_volume(found: list[ChartBars]) -> Any:
    import polars as pl

    if all(part.missing_volume is None for part in found):
        return None
    flags = pl.Series(dtype=pl.Boolean)
    for part in found:
        none = pl.repeat(value=False, n=part.bars.height, dtype=pl.Boolean, eager=True)
        flags = flags.append(none if part.missing_volume is None else part.missing_volume)
    return flags
