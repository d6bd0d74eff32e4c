"""Alpaca Markets: US equities, through alpaca-py."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from rustybt.data.adapters.alpaca import client as alpaca_client
from rustybt.data.adapters.alpaca.actions import TYPES, read_actions
from rustybt.data.adapters.alpaca.assets import AlpacaDirectory
from rustybt.data.adapters.alpaca.bars import (
    EXTENDED_MINUTES,
    TIMEFRAMES,
    AlpacaPages,
    at_rest,
    bars_due,
    collect_rows,
    read_bars,
    span_text,
)
from rustybt.data.adapters.alpaca.errors import map_alpaca_error, unknown_symbol
from rustybt.data.adapters.base import BaseDataAdapter
from rustybt.data.adapters.credentials import KEY_VARIABLES, Secret, digest, load_key
from rustybt.data.adapters.limits import VendorLimits
from rustybt.data.adapters.new_york import NEW_YORK, within_sessions
from rustybt.data.adapters.reading import reading
from rustybt.data.adapters.series import SeriesAnswer
from rustybt.errors import (
    CONCERNS_ALL,
    BadResponseError,
    RequestError,
    SourceError,
    SymbolNotFoundError,
)
from rustybt.market.bars import empty_bars
from rustybt.market.provenance import SourceMetadata
from rustybt.market.request import to_date

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from rustybt.data.adapters.connection import Connection
    from rustybt.data.adapters.series import StreamedBar
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.frequency import Frequency

DATA_URL = "https://data.alpaca.markets"
#: Where history begins, https://docs.alpaca.markets/docs/about-market-data-api.
FIRST_DAY = date(2016, 1, 1)
PAGE = 10_000
ACTIONS_PAGE = 1_000
FEEDS = ("iex", "sip")
#: What Alpaca can adjust for, and what that makes of prices; dividends alone leave splits in, which no basis stands for.
ADJUSTMENTS = {
    "raw": "raw",
    "split": "split_adjusted",
    "dividend": "unknown",
    "all": "split_dividend_adjusted",
}
#: https://docs.alpaca.markets/docs/about-market-data-api: the basic plan has 200 requests a minute and SIP trades only when
#: they are 15 minutes old.
LIMITS = VendorLimits(
    frequencies=tuple(TIMEFRAMES),
    bars_per_page=PAGE,
    symbols_per_request=30,
    requests_per_symbol=0,
    requests_per_minute=200,
    parallel_requests=8,
    settlement_delay_seconds=900.0,
    needs_key=True,
    notes=(
        "history begins with 2016; feed=iex is one exchange of many, feed=sip all of them",
        "daily and longer bars are final at 20:15 in New York: extended trading counts into their volume",
        "beyond the pages of bars: one request of corporate actions for 30 symbols, one list of assets",
    ),
)
_NAME = re.compile(r"[!#-+\--~]+")


class AlpacaAdapter(BaseDataAdapter):
    """Talks to Alpaca's market data, and to its list of assets.

    Parameters
    ----------
    feed
        ``iex`` (one exchange, every plan) or ``sip`` (all exchanges; the last 15 minutes only on a paid plan).
    adjustment
        ``raw``, ``split``, ``dividend`` or ``all``: what Alpaca adjusts prices for.
    extended_hours
        Keep intraday bars before the open and after the close.

    Raises
    ------
    RequestError
        An option has no such value.
    """

    name = "alpaca"

    def __init__(
        self,
        connection: Connection,
        *,
        feed: str = "iex",
        adjustment: str = "raw",
        extended_hours: bool = False,
    ) -> None:
        if feed not in FEEDS:
            raise RequestError(f"alpaca has no feed {feed!r}", hint=f"use one of {', '.join(FEEDS)}")
        if adjustment not in ADJUSTMENTS:
            raise RequestError(f"alpaca has no adjustment {adjustment!r}", hint=f"use one of {', '.join(ADJUSTMENTS)}")
        keys = self._keys(required=False)
        super().__init__(
            connection, _limits(connection, extended_hours), "-".join(["alpaca", *([digest(*keys)] if keys else [])])
        )
        self._feed = feed
        self._adjustment = adjustment
        self._extended_hours = extended_hours
        self.price_basis = ADJUSTMENTS[adjustment]
        self._client: Any = None
        self._threads: ThreadPoolExecutor | None = None
        self._directory = AlpacaDirectory(self._get_assets)

    # -- symbols -----------------------------------------------------------------------------------------------------

    def canonical_symbol(self, text: str) -> str:
        """Return Alpaca's own spelling, which is the canonical one: a point before the class of a share, BRK.B."""
        return re.sub(r"[-/](?=[A-Z]$)", ".", text.strip().upper())

    # -- the vendor --------------------------------------------------------------------------------------------------

    async def fetch_series(
        self, symbols: Sequence[str], start: int, end: int, frequency: Frequency
    ) -> Mapping[str, SeriesAnswer | SourceError]:
        """Fetch bars in pages that hold several symbols, and the corporate actions of all of them at once."""
        fit = max(1, PAGE // bars_due(start, end, frequency))
        groups = [list(symbols[at : at + fit]) for at in range(0, len(symbols), fit)]
        fetched = await asyncio.gather(
            *(self._bars(group, start, end, frequency) for group in groups), return_exceptions=True
        )
        answers: dict[str, SeriesAnswer | SourceError] = {}
        for group, part in zip(groups, fetched, strict=True):
            if isinstance(part, BaseException) and (
                not isinstance(part, SourceError) or isinstance(part, CONCERNS_ALL)
            ):
                raise part
            answers |= dict.fromkeys(group, part) if isinstance(part, SourceError) else part
        await self._describe(answers, start)
        return answers

    async def _bars(
        self, symbols: list[str], start: int, end: int, frequency: Frequency
    ) -> dict[str, SeriesAnswer | SourceError]:
        """Return the bars of symbols that fit on a page, without those that Alpaca refuses the name of."""
        now = await self.now()
        latest = now - self.limits.settlement_delay_seconds if self._feed == "sip" else None
        span = span_text(start, end, frequency, latest)
        # Names that would be several, or that a refusal could not repeat as they are, are not asked for.
        wanted = [symbol for symbol in symbols if _NAME.fullmatch(symbol)]
        answers: dict[str, SeriesAnswer | SourceError] = {
            symbol: unknown_symbol(symbol) for symbol in symbols if symbol not in wanted
        }
        rows: dict[str, list[Any]] = {}
        while wanted and span is not None:
            try:
                rows = await self._rows(wanted, span, frequency)
                break
            except SymbolNotFoundError as error:
                # One name that cannot be fails the request of all; the others are asked for again.
                named = wanted[0] if len(wanted) == 1 else str(error.details.get("symbol"))
                if named not in wanted:
                    # Named in a way of its own, or masked as if it were a key: found by halves.
                    middle = len(wanted) // 2
                    for half in (wanted[:middle], wanted[middle:]):
                        answers |= await self._bars(half, start, end, frequency)
                    return answers
                wanted.remove(named)
                answers[named] = error
        for symbol in wanted:
            try:
                with reading("alpaca", f"{symbol} {frequency}", symbol):
                    bars = read_bars(symbol, rows.get(symbol, []), start, end, frequency) if span else empty_bars()
            except BadResponseError as error:
                answers[symbol] = error
                continue
            if frequency.is_intraday and not self._extended_hours:
                bars = within_sessions(bars)
            answers[symbol] = SeriesAnswer(symbol, at_rest(bars, frequency, now), symbol)
        return answers

    async def _rows(self, symbols: list[str], span: tuple[str, str], frequency: Frequency) -> dict[str, list[Any]]:
        what = f"{symbols[0]}{' and others' if len(symbols) > 1 else ''} {frequency}"
        params = {
            "symbols": ",".join(symbols),
            "timeframe": TIMEFRAMES[frequency.name],
            "start": span[0],
            "end": span[1],
            "limit": PAGE,
            "adjustment": self._adjustment,
            "feed": self._feed,
            "sort": "asc",
        }
        pages = AlpacaPages(partial(self._page, what, "/stocks/bars", params, "v2"), what)
        found = await pages.all("bars")
        with reading("alpaca", what):
            return collect_rows(found, symbols)

    async def _describe(self, answers: dict[str, SeriesAnswer | SourceError], start: int) -> None:
        """Add to the answers what else is known of their symbols, and say which symbols nobody knows."""
        wanted = [symbol for symbol, answer in answers.items() if isinstance(answer, SeriesAnswer)]
        if not wanted:
            return
        actions = await self._actions(wanted, to_date(start))
        known = await self._directory.load()
        for symbol in wanted:
            answer = answers[symbol]
            if not isinstance(answer, SeriesAnswer):  # pragma: no cover - `wanted` holds no other
                continue
            asset = known.get(symbol) if known is not None else None
            if known is not None and asset is None and answer.bars.is_empty():
                answers[symbol] = unknown_symbol(symbol)
                continue
            notes = list(self._directory.notes)
            if asset is not None and not asset.is_active:
                notes.append(f"{symbol} is no longer active at alpaca: delisted or renamed")
            answers[symbol] = replace(
                answer,
                actions=tuple(actions.get(symbol, ())),
                attributes=None if asset is None else asset.attributes,
                notes=tuple(notes),
            )

    async def _actions(self, symbols: list[str], first: date) -> dict[str, list[CorporateAction]]:
        """Return the events with an ex-date from `first` until today."""
        # Alpaca selects by the day an event is processed, for dividends that of payment, which may be months away.
        today = datetime.fromtimestamp(await self.now(), NEW_YORK).date()
        params = {
            "symbols": ",".join(symbols),
            "types": ",".join(TYPES),
            "start": first.isoformat(),
            "end": today.replace(year=today.year + 1, day=min(today.day, 28)).isoformat(),
            "limit": ACTIONS_PAGE,
            "sort": "asc",
        }
        what = f"corporate actions of {symbols[0]}{' and others' if len(symbols) > 1 else ''}"
        pages = AlpacaPages(partial(self._page, what, "/corporate-actions", params, "v1"), what)
        found: dict[str, list[CorporateAction]] = {}
        for page in await pages.all("corporate_actions"):
            with reading("alpaca", what):
                read = read_actions(page, first, today)
            for symbol, events in read.items():
                if symbol in symbols:
                    known = found.setdefault(symbol, [])
                    known += [event for event in events if event not in known]
        return {symbol: sorted(events, key=lambda event: event.ex_date) for symbol, events in found.items()}

    async def _page(self, what: str, path: str, params: dict[str, Any], version: str, token: str | None) -> Any:
        return await self._get(what, path, params if token is None else {**params, "page_token": token}, version)

    async def _get_assets(self) -> Any:
        """Return the list of all assets; keys of paper accounts begin with PK and are known to the paper host only."""
        key, _ = self._keys()
        host = alpaca_client.TRADING_PAPER if key.reveal().startswith("PK") else alpaca_client.TRADING_LIVE
        params = {"asset_class": "us_equity"}
        return await self._get("list of assets", "/assets", params, "v2", base_url=self.transport.base_url or host)

    async def _get(
        self, what: str, path: str, params: dict[str, Any], version: str, base_url: str | None = None
    ) -> Any:
        """Make one request in a thread of ours and return its JSON."""

        async def request() -> Any:
            client = self._open()
            work = partial(client.get, path, dict(params), api_version=version, base_url=base_url)
            return await asyncio.get_running_loop().run_in_executor(self._pool(), work)

        # Without a key nothing is sent, and nothing counted.
        self._open()
        return await self.call(what, request)

    def _open(self) -> Any:
        if self._client is None:
            alpaca_client.import_alpaca()
            given = self.connection.client
            connections = self.limits.parallel_requests
            if given is None:
                key, secret = self._keys()
                self._client = alpaca_client.open_client(key.reveal(), secret.reveal(), self.transport, connections)
            else:
                made = given() if callable(given) else given
                self._client = alpaca_client.prepare_client(made, self.transport, connections)
        return self._client

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.limits.parallel_requests, thread_name_prefix="rustybt-alpaca")
        return self._threads

    def _keys(self, *, required: bool = True) -> tuple[Secret, ...]:
        """Return the key id and the secret; nothing where one is absent and not required."""
        found = [load_key("alpaca", *names, required=required) for names in KEY_VARIABLES["alpaca"]]
        return tuple(key for key in found if key is not None) if all(found) else ()

    async def close(self) -> None:
        """Close connections and end the threads; a client that the caller brought stays open, it is theirs to close."""
        client, self._client = self._client, None
        if client is not None and client is not self.connection.client:
            client._session.close()  # noqa: SLF001  alpaca-py has no close of its own
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)

    # -- what else ---------------------------------------------------------------------------------------------------

    def map_error(self, error: Exception) -> SourceError | None:
        """Return what a refusal, a broken connection or nonsense stands for."""
        return map_alpaca_error(error, self.connection.clock)

    def metadata(self) -> SourceMetadata:
        """Return what is recorded with every version: feed and adjustment are part of what the bars are."""
        return SourceMetadata(
            "alpaca",
            source_url=self.transport.base_url or DATA_URL,
            api_version="v2",
            supports_live=True,
            timezone="America/New_York",
            feed=self._feed,
            adjustment=self._adjustment,
        )

    async def list_symbols(self) -> list[str]:
        """Return the symbols of every active US equity, sorted."""
        known = await self._directory.load(required=True)
        return sorted(symbol for symbol, asset in (known or {}).items() if asset.is_active)

    def pages(self, start: int, end: int, frequency: Frequency, bars: int, symbols: int = 1) -> int:
        """Return how many pages the bars fill, and the one of corporate actions.

        Bars before the open and after the close arrive as well; a page holds only symbols that fit on it as a whole.
        """
        delivered = bars * EXTENDED_MINUTES // 390 if frequency.is_intraday else bars
        fit = max(1, PAGE // bars_due(start, end, frequency))
        whole, rest = divmod(symbols, fit)
        groups = [fit] * whole + ([rest] if rest else [])
        return sum(max(1, -(-delivered * group // (symbols * PAGE))) for group in groups) + 1

    def subscribe(self, symbols: Sequence[str], frequency: Frequency) -> AsyncIterator[StreamedBar]:
        """Yield the bar of each minute as Alpaca pushes it."""
        from rustybt.data.adapters.alpaca.stream import only_sessions, stream_minutes

        if frequency.name != "1m":
            raise RequestError(f"alpaca streams 1m bars, not {frequency}", hint="stream 1m")
        keys = self._keys()
        bars = stream_minutes(symbols, keys[0], keys[1], self.transport, self._feed)
        return bars if self._extended_hours else only_sessions(bars)


def _limits(connection: Connection, extended_hours: bool) -> VendorLimits:  # noqa: FBT001  says itself
    """Return the limits of today.

    Without extended hours there are no hours: Alpaca's begin on the clock, and the first mixes the half hour before the open
    with the one after it.
    """
    today = datetime.fromtimestamp(connection.clock(), UTC).date()
    names = tuple(name for name in LIMITS.frequencies if extended_hours or name != "1h")
    return replace(LIMITS, frequencies=names, depth_days=dict.fromkeys(names, (today - FIRST_DAY).days + 1))
