"""Massive, formerly Polygon.io: US stocks and funds, raw bars with splits and dividends as events."""

from __future__ import annotations

import asyncio
import functools
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rustybt.data.adapters.base import BaseDataAdapter
from rustybt.data.adapters.credentials import KEY_VARIABLES, digest, load_key
from rustybt.data.adapters.massive.answer import (
    MassiveListing,
    MassivePage,
    check_progress,
    join_pages,
    read_dividends,
    read_listing,
    read_page,
    read_splits,
    symbols_of,
)
from rustybt.data.adapters.massive.client import (
    AGGREGATES_LIMIT,
    BASE_URL,
    MassiveClient,
    StatusError,
)
from rustybt.data.adapters.massive.errors import broken, refusal, unknown_symbol
from rustybt.data.adapters.massive.limits import cut_by_plan, limits_of, page_count
from rustybt.data.adapters.massive.window import FIRST_DAY, NEW_YORK, SPANS, MassiveWindow
from rustybt.data.adapters.reading import reading
from rustybt.data.adapters.series import SeriesAnswer
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    NotCoveredError,
    SourceError,
    SymbolNotFoundError,
)
from rustybt.market.calendars import get_calendar
from rustybt.market.provenance import SourceMetadata
from rustybt.market.request import to_date, to_microseconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    import polars as pl

    from rustybt.data.adapters.connection import Connection
    from rustybt.data.adapters.series import StreamedBar
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.frequency import Frequency

T = TypeVar("T")

#: A thousand rows each: many times the stocks that there are.
MOST_REFERENCE_PAGES = 500
_TICKER = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,19}")
_CLASS_SHARE = re.compile(r"([A-Z]+)[-/ ]([A-Z])")


class MassiveAdapter(BaseDataAdapter):
    """Speaks to Massive.

    Parameters
    ----------
    adjusted
        Ask for prices and volumes of today's shares; they are rewritten with each split. Dividends are never adjusted for.
    extended_hours
        Keep bars before and after the session, and take hours from the vendor, which begin on the clock.
    details
        Ask for each symbol's listing: venue, type and currency; tells an unknown ticker from one without bars.
    history_years
        How far back the plan reaches; None when not known.
    live
        The plan is one in real time: streams are not late, and bars are final a minute after their close. Otherwise both
        come 15 minutes later.
    """

    name: ClassVar[str] = "polygon"

    def __init__(
        self,
        connection: Connection,
        *,
        adjusted: bool = False,
        extended_hours: bool = False,
        details: bool = True,
        history_years: int | None = None,
        live: bool = False,
    ) -> None:
        limits = limits_of(extended_hours=extended_hours, details=details, history_years=history_years, live=live)
        try:
            key = load_key(self.name, *KEY_VARIABLES[self.name][0], required=False)
        except AuthenticationError:
            # Limits can be read without a key; the first request says what is wrong with this one.
            key = None
        super().__init__(connection, limits, self.name if key is None else f"{self.name}-{digest(key)}")
        self.price_basis = "split_adjusted" if adjusted else "raw"
        self._adjusted = adjusted
        self._extended_hours = extended_hours
        self._details = details
        self._live = live
        self._opened: MassiveClient | None = None
        self._threads: ThreadPoolExecutor | None = None

    # -- symbols -----------------------------------------------------------------------------------------------------

    def canonical_symbol(self, text: str) -> str:
        """Return the ticker as the vendor writes it: BRK.B for brk-b; lower case has a meaning in BACpK."""
        symbol = text.strip()
        symbol = symbol.upper() if symbol.islower() else symbol
        return _CLASS_SHARE.sub(r"\1.\2", symbol) if _CLASS_SHARE.fullmatch(symbol) else symbol

    # -- bars --------------------------------------------------------------------------------------------------------

    async def fetch_series(
        self, symbols: Sequence[str], start: int, end: int, frequency: Frequency
    ) -> Mapping[str, SeriesAnswer | SourceError]:
        """Fetch bars, listing and corporate actions; see `BaseDataAdapter.fetch_series`."""
        return await self.one_by_one(symbols, lambda symbol: self._series(symbol, start, end, frequency))

    async def _series(self, symbol: str, start: int, end: int, frequency: Frequency) -> SeriesAnswer:
        ticker = self.vendor_symbol(symbol)
        if not _TICKER.fullmatch(ticker):
            raise unknown_symbol(symbol)
        notes: list[str] = []
        if start < to_microseconds(FIRST_DAY):
            notes.append(f"polygon has no bars from before {FIRST_DAY}")
        pages = await self._pages(symbol, ticker, MassiveWindow.of(start, end, frequency, self.connection.clock()))
        bars, missing = join_pages(pages)
        listing = await self._listing(symbol, ticker) if self._details else None
        if self._details and listing is None:
            if bars.is_empty():
                raise unknown_symbol(symbol)
            notes.append(f"polygon has bars of {symbol}, but no listing: venue and type are not known")
        if listing is not None and listing.delisted is not None:
            notes.append(f"{symbol} left its exchange on {listing.delisted}")
        first_bar = self._first_bar(symbol, bars, listing, start, frequency)
        actions, remarks = await self._actions(symbol, ticker, to_date(start), listing)
        if frequency.is_intraday and not self._extended_hours:
            bars, missing = _regular_hours(bars, missing)
        return SeriesAnswer(
            symbol,
            bars,
            vendor_symbol=ticker,
            attributes=None if listing is None else listing.attributes,
            actions=actions,
            missing_volume=missing,
            first_bar=first_bar,
            notes=(*notes, *remarks),
        )

    async def _pages(self, symbol: str, ticker: str, window: MassiveWindow) -> list[MassivePage]:
        pages: list[MassivePage] = []
        what = f"{symbol} {window.frequency}"
        multiplier, span, _ = SPANS[window.frequency.name]
        within = f"/v2/aggs/ticker/{ticker}/range/{multiplier}/{span}/"
        left, followed = window, set[str]()
        next_url: Any = None
        while not left.is_empty:

            def ask(client: MassiveClient, url: Any = next_url, part: MassiveWindow = left) -> MassivePage:
                answer = (
                    client.aggregates(ticker, multiplier, span, *part.sides, adjusted=self._adjusted)
                    if url is None
                    else client.follow(url, within)
                )
                return read_page(answer, symbol, ticker, window, adjusted=self._adjusted)

            page = await self._ask(what, ask)
            pages.append(page)
            # After each, not at the end: pages that repeat under new names would have none.
            check_progress(pages, symbol)
            next_url = page.next_url
            if next_url is not None:
                if str(next_url) in followed:
                    raise BadResponseError(f"polygon sent {what} in a circle of pages", symbol=symbol)
                followed.add(str(next_url))
            elif page.base_count >= AGGREGATES_LIMIT and page.bars.height:
                # A full answer that names no next page may be cut: what comes after its last bar is asked for.
                left = window.after(page.last_label)
            else:
                break
        return pages

    def _first_bar(
        self, symbol: str, bars: pl.DataFrame, listing: MassiveListing | None, start: int, frequency: Frequency
    ) -> date | None:
        """Return the first day that the vendor has bars of.

        Raises
        ------
        NotCoveredError
            The answer begins just where a plan's history does: older bars were left out without a word.
        """
        if listing is None or listing.listed is None:
            return None
        expected = max(listing.listed, FIRST_DAY)
        if bars.is_empty():
            return expected
        first = to_date(int(bars["timestamp"].to_physical()[0]))
        years = cut_by_plan(first, max(expected, to_date(start)), self._today())
        if years is not None:
            raise NotCoveredError(
                f"polygon answered with {frequency} bars of {symbol} from {first} on only, asked from {to_date(start)}: "
                f"the plan seems to reach back {years} years",
                hint=f"--start {first}, or --history-years {years} (history_years={years})",
                symbol=symbol,
                missing=[symbol],
            )
        return min(expected, first)

    # -- reference data ----------------------------------------------------------------------------------------------

    async def _listing(self, symbol: str, ticker: str) -> MassiveListing | None:
        """Return the listing of today, or else the one that ended; None for a ticker that never was."""

        def current(client: MassiveClient) -> MassiveListing | None:
            return read_listing(client.details(ticker).get("results"), ticker)

        def ended(client: MassiveClient) -> MassiveListing | None:
            rows = client.tickers(ticker=ticker, active=False).get("results") or []
            return read_listing(rows[-1], ticker) if rows else None

        try:
            return await self._ask(f"{symbol} details", current)
        except SymbolNotFoundError:
            return await self._ask(f"{symbol} details", ended)

    async def _actions(
        self, symbol: str, ticker: str, start: date, listing: MassiveListing | None
    ) -> tuple[tuple[CorporateAction, ...], list[str]]:
        """Return every event from `start` to today, and a sentence for each that cannot be used."""
        today = self._today()
        if start > today:
            return (), []
        currency = "USD" if listing is None else listing.attributes.currency
        splits = await self._paged(
            f"{symbol} splits",
            "/v3/reference/splits",
            lambda client: client.splits(ticker, start, today),
            lambda answer: read_splits(answer, symbol, ticker),
        )
        paid = await self._paged(
            f"{symbol} dividends",
            "/v3/reference/dividends",
            lambda client: client.dividends(ticker, start, today),
            lambda answer: read_dividends(answer, symbol, ticker, currency),
        )
        found = {action.event_id: action for action in [*splits, *(a for a in paid if not isinstance(a, str))]}
        events = sorted(found.values(), key=lambda action: (action.ex_date, action.kind, action.event_id))
        return tuple(events), [note for note in paid if isinstance(note, str)]

    async def list_symbols(self) -> list[str]:
        """Return the tickers of all stocks that are listed today, sorted."""
        found = await self._paged(
            "list of tickers", "/v3/reference/tickers", lambda client: client.tickers(), symbols_of
        )
        return sorted(set(found))

    async def _paged(
        self,
        what: str,
        within: str,
        first: Callable[[MassiveClient], Mapping[str, Any]],
        read: Callable[[Mapping[str, Any]], Sequence[T]],
    ) -> list[T]:
        """Return what `read` finds on all pages, of which `first` asks for the first one."""
        found: list[T] = []
        followed = set[str]()
        request = first
        while True:

            def ask(client: MassiveClient, request: Any = request) -> tuple[Sequence[T], Any]:
                answer = request(client)
                return read(answer), answer.get("next_url")

            rows, url = await self._ask(what, ask)
            found += rows
            if url is None:
                return found
            if str(url) in followed or not rows or len(followed) >= MOST_REFERENCE_PAGES:
                raise BadResponseError(f"polygon sent {what} in a circle of pages")
            followed.add(str(url))
            request = functools.partial(MassiveClient.follow, next_url=url, within=within)

    # -- requests ----------------------------------------------------------------------------------------------------

    async def _ask(self, what: str, request: Callable[[MassiveClient], T]) -> T:
        """Make one request in a thread, and read its answer there."""
        client, threads = self._client(), self._workers()

        def read(client: MassiveClient) -> T:
            # The client's own failures are not among those of reading.
            with reading("polygon", what):
                return request(client)

        async def ask() -> T:
            try:
                return await asyncio.get_running_loop().run_in_executor(threads, read, client)
            except SourceError as error:
                # The frames of the thread hold the answer, and the vendor may have echoed the key in it.
                raise error.with_traceback(None) from None

        return await self.call(what, ask)

    def _client(self) -> MassiveClient:
        if self._opened is None:
            self._opened = MassiveClient(self.connection, load_key(self.name, *KEY_VARIABLES[self.name][0]))
        return self._opened

    def _workers(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.limits.parallel_requests, thread_name_prefix="rustybt-polygon")
        return self._threads

    async def close(self) -> None:
        """Close connections and threads; the next request opens new ones."""
        opened, self._opened = self._opened, None
        threads, self._threads = self._threads, None
        if opened is not None:
            opened.close()
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)

    def map_error(self, error: Exception) -> SourceError | None:
        """Return our error for one of the client's; see `BaseDataAdapter.map_error`."""
        if isinstance(error, SourceError):
            return error
        if isinstance(error, StatusError):
            return refusal(error)
        from urllib3.exceptions import HTTPError

        return broken(error) if isinstance(error, HTTPError | OSError) else None

    # -- the rest ----------------------------------------------------------------------------------------------------

    def metadata(self) -> SourceMetadata:
        """Return what is recorded with every version."""
        return SourceMetadata(
            self.name,
            source_url=self.transport.base_url or BASE_URL,
            api_version=_client_version(),
            supports_live=True,
            timezone=NEW_YORK.key,
            feed="sip-extended" if self._extended_hours else "sip",
            adjustment="splits" if self._adjusted else "none",
        )

    def pages(self, start: int, end: int, frequency: Frequency, bars: int, symbols: int = 1) -> int:
        """Return how many requests `bars` take."""
        del start, end, symbols
        return page_count(bars, frequency)

    def subscribe(self, symbols: Sequence[str], frequency: Frequency) -> AsyncIterator[StreamedBar]:
        """Yield minute bars as they end; see `BaseDataAdapter.subscribe`."""
        from rustybt.data.adapters.massive.stream import MassiveStream

        key = load_key(self.name, *KEY_VARIABLES[self.name][0])
        tickers = {self.vendor_symbol(symbol): symbol for symbol in symbols}
        stream = MassiveStream(self.transport, key, live=self._live, extended_hours=self._extended_hours)
        return stream.bars(tickers, frequency)

    def _today(self) -> date:
        return datetime.fromtimestamp(self.connection.clock(), NEW_YORK).date()


def _regular_hours(bars: pl.DataFrame, missing: pl.Series | None) -> tuple[pl.DataFrame, pl.Series | None]:
    """Return the bars that begin within a session of New York."""
    import polars as pl

    if bars.is_empty():
        return bars, missing
    stamps = bars["timestamp"].to_physical().to_numpy()
    calendar = get_calendar("XNYS", to_date(int(stamps[0])), to_date(int(stamps[-1])))
    keep = pl.Series(calendar.session_of_instants(stamps) >= 0)
    return bars.filter(keep), None if missing is None else missing.filter(keep)


def _client_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"massive {version('massive')}"
    except PackageNotFoundError:
        return ""
