"""Alpha Vantage: equities by plain HTTP; its CSV answers keep every digit."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from rustybt.data.adapters.alphavantage import client as alphavantage_client
from rustybt.data.adapters.alphavantage import symbols as symbols_of
from rustybt.data.adapters.alphavantage.csv import ADJUSTED, PLAIN, AlphaVantageTable, read_series
from rustybt.data.adapters.base import BaseDataAdapter
from rustybt.data.adapters.credentials import KEY_VARIABLES, Secret, digest, load_key
from rustybt.data.adapters.limits import VendorLimits
from rustybt.data.adapters.new_york import NEW_YORK, within_sessions
from rustybt.data.adapters.reading import reading
from rustybt.data.adapters.series import SeriesAnswer
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    NotCoveredError,
    RequestError,
    SourceError,
    SymbolNotFoundError,
)
from rustybt.market.bars import concat_bars, empty_bars
from rustybt.market.frequency import DAILY
from rustybt.market.provenance import SourceMetadata
from rustybt.market.request import to_date, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

    from rustybt.data.adapters.alphavantage.symbols import AlphaVantageListing
    from rustybt.data.adapters.connection import Connection
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.frequency import Frequency

T = TypeVar("T")

#: Rows of ``outputsize=compact``.
COMPACT = 100
#: First day of daily and longer bars, and first month of intraday ones; what is older is left out without a word.
FIRST_DAY = date(1999, 11, 1)
FIRST_MONTH = date(2000, 1, 1)
#: Not 60min: whether hours begin on the clock or with the session is written down nowhere, and half hours make both.
INTERVALS = {"1m": "1min", "5m": "5min", "15m": "15min", "30m": "30min"}
FUNCTIONS = {"1d": "TIME_SERIES_DAILY", "1w": "TIME_SERIES_WEEKLY", "1M": "TIME_SERIES_MONTHLY"}
#: https://www.alphavantage.co/support/#support: 25 requests a day on the free plan, and no more than a few at a time.
LIMITS = VendorLimits(
    frequencies=(*INTERVALS, *FUNCTIONS),
    bars_per_page=100_000,
    requests_per_minute=5,
    requests_per_day=25,
    parallel_requests=1,
    # A day's volume counts extended trading, which ends 4 hours after the close.
    settlement_delay_seconds=15_300.0,
    needs_key=True,
    notes=(
        "free keys: 25 requests a day; daily bars of the last 100 sessions, weekly and monthly bars",
        "premium keys: all daily bars, splits and dividends (adjusted=true), intraday bars; requests_per_minute=75 or more",
        "intraday bars take one request a month, and are of US listings only",
        "beyond that: one list of symbols",
    ),
)


class AlphaVantageAdapter(BaseDataAdapter):
    """Talks to Alpha Vantage.

    Parameters
    ----------
    adjusted
        Ask for splits and dividends too, which takes a premium key; bars are raw in any case.
    extended_hours
        Keep intraday bars before the open and after the close.
    """

    name = "alphavantage"

    def __init__(self, connection: Connection, *, adjusted: bool = False, extended_hours: bool = False) -> None:
        key = self._key(required=False)
        super().__init__(
            connection, _limits(connection), "alphavantage" if key is None else f"alphavantage-{digest(key)}"
        )
        self._adjusted = adjusted
        self.tells_all_events = adjusted
        self._extended_hours = extended_hours
        self._client: Any = None
        self._in_use: dict[Any, int] = {}
        self._lock = asyncio.Lock()
        self._lists: dict[str, Mapping[str, AlphaVantageListing]] = {}

    # -- symbols -----------------------------------------------------------------------------------------------------

    def canonical_symbol(self, text: str) -> str:
        """Return BRK.B for BRK-B; TSCO.LON stays."""
        return symbols_of.canonical_symbol(text)

    def vendor_symbol(self, symbol: str) -> str:
        """Return BRK-B for BRK.B; TSCO.LON stays."""
        return symbols_of.vendor_symbol(symbol)

    # -- the vendor --------------------------------------------------------------------------------------------------

    async def fetch_series(
        self, symbols: Sequence[str], start: int, end: int, frequency: Frequency
    ) -> Mapping[str, SeriesAnswer | SourceError]:
        """Fetch the bars of each symbol: one request for daily and longer ones, one a month for shorter."""
        return await self.one_by_one(symbols, lambda symbol: self._fetch_one(symbol, start, end, frequency))

    async def _fetch_one(self, symbol: str, start: int, end: int, frequency: Frequency) -> SeriesAnswer:
        if frequency.is_intraday and symbols_of.is_listed_abroad(symbol):
            raise NotCoveredError(
                f"alphavantage has intraday bars of US listings only, not of {symbol}",
                hint="use --frequency 1d",
                symbol=symbol,
            )
        listing = await self._listing(symbol)
        actions: tuple[CorporateAction, ...] = ()
        if frequency == DAILY:
            table = await self._daily(symbol, start)
            bars = table.bars(start, end)
            actions = tuple(table.actions(start)) if self._adjusted else ()
        else:
            ask = self._intraday if frequency.is_intraday else self._longer
            try:
                bars = await ask(symbol, start, end, frequency)
            except SymbolNotFoundError:
                # It calls a symbol unknown also where it knows it and has nothing of what was asked.
                if listing is None or (listing.is_active and (listing.first_day or FIRST_DAY) <= to_date(end)):
                    raise
                bars = empty_bars()
            if self._adjusted:
                actions = tuple((await self._daily(symbol, start)).actions(start))
        return SeriesAnswer(
            symbol,
            bars,
            self.vendor_symbol(symbol),
            attributes=symbols_of.attributes_abroad(symbol) if listing is None else listing.attributes,
            actions=actions,
            first_bar=None if listing is None else listing.first_day,
            notes=self._notes(symbol, listing),
        )

    def _notes(self, symbol: str, listing: AlphaVantageListing | None) -> tuple[str, ...]:
        notes = []
        if not self._adjusted:
            notes.append("alphavantage: splits and dividends were not asked for (adjusted=true, premium keys only)")
        if listing is not None and not listing.is_active:
            notes.append(f"{symbol} is delisted")
        return tuple(notes)

    async def _daily(self, symbol: str, start: int) -> AlphaVantageTable:
        """Return daily rows that reach back to `start`, or to the listing."""
        today = await self._today()
        # There are at least as many weekdays as sessions.
        compact = np.busday_count(min(to_date(start), today), today) < COMPACT
        params = {
            "function": "TIME_SERIES_DAILY_ADJUSTED" if self._adjusted else "TIME_SERIES_DAILY",
            "outputsize": "compact" if compact else "full",
        }
        try:
            table = await self._series(symbol, params, ADJUSTED if self._adjusted else PLAIN, DAILY)
        except AuthenticationError as error:
            if error.details.get("is_premium") and not compact and not self._adjusted:
                # Weekdays that are holidays are sessions less, so this is on the safe side.
                first = np.busday_offset(np.datetime64(today), 1 - COMPACT, roll="backward")
                raise AuthenticationError(
                    f"{error.message}: daily bars of {symbol} older than 100 sessions", hint=f"--start {first}"
                ) from None
            raise
        stamps = table.stamps
        if stamps.size == COMPACT and stamps[0] > start:
            raise BadResponseError(
                f"{symbol}: daily bars begin on {to_date(int(stamps[0]))} and are {COMPACT}, as if the older were cut off",
                symbol=symbol,
            )
        return table

    async def _longer(self, symbol: str, start: int, end: int, frequency: Frequency) -> pl.DataFrame:
        table = await self._series(symbol, {"function": FUNCTIONS[frequency.name]}, PLAIN, frequency)
        return table.bars(start, end)

    async def _intraday(self, symbol: str, start: int, end: int, frequency: Frequency) -> pl.DataFrame:
        """Return bars month by month; months before the listing and after its end are refused as if nothing was known."""
        months = _months(start, min(end, int(await self.now() * 1_000_000)))
        pages: list[pl.DataFrame | None] = []
        refusal: SymbolNotFoundError | None = None
        for month in months:
            params = {
                "function": "TIME_SERIES_INTRADAY",
                "interval": INTERVALS[frequency.name],
                "month": f"{month:%Y-%m}",
                "outputsize": "full",
                "adjusted": "false",
                "extended_hours": "true" if self._extended_hours else "false",
            }
            try:
                table = await self._series(symbol, params, PLAIN, frequency)
            except SymbolNotFoundError as error:
                refusal = error
                pages.append(None)
                continue
            pages.append(self._page(symbol, table, month))
        self._check_holes(symbol, months, pages)
        found = [page for page in pages if page is not None]
        if refusal is not None and not found:
            raise refusal
        bars = concat_bars(found)
        stamps = bars["timestamp"].to_physical()
        return bars.filter((stamps >= start) & (stamps <= end))

    def _page(self, symbol: str, table: AlphaVantageTable, month: date) -> pl.DataFrame:
        first, last = _bounds(month)
        bars = table.bars(first, last)
        if bars.height < table.frame.height:
            raise BadResponseError(f"{symbol}: asked for {month:%Y-%m} and got bars of another month", symbol=symbol)
        return bars if self._extended_hours else within_sessions(bars)

    def _check_holes(self, symbol: str, months: list[date], pages: list[pl.DataFrame | None]) -> None:
        """Raise if months are missing between others."""
        given = [at for at, page in enumerate(pages) if page is not None and page.height]
        for at in range(given[0], given[-1]) if given else ():
            if pages[at] is None:
                raise BadResponseError(f"{symbol}: nothing came for {months[at]:%Y-%m}", symbol=symbol)

    async def _series(
        self, symbol: str, params: dict[str, str], columns: Sequence[str], frequency: Frequency
    ) -> AlphaVantageTable:
        what = f"{symbol} {frequency}" + (f" {params['month']}" if "month" in params else "")
        asked = {**params, "symbol": self.vendor_symbol(symbol), "datatype": "csv"}
        return await self._get(what, asked, partial(read_series, symbol, columns=columns, frequency=frequency))

    async def _get(self, what: str, params: dict[str, str], read: Callable[[str], T]) -> T:
        """Make one request and read its answer; one that cannot be read counts as failed and is asked for again."""

        async def request() -> T:
            client = self._open()
            now = self.connection.clock()
            self._in_use[client] = self._in_use.get(client, 0) + 1
            try:
                text = await alphavantage_client.get_text(client, params, self.transport.timeout_seconds, now)
            finally:
                await self._release(client)
            with reading("alphavantage", what):
                return read(text)

        # Without a key nothing is sent, and nothing counted.
        self._open()
        return await self.call(what, request)

    def _open(self) -> Any:
        if self._client is None:
            given = self.connection.client
            key = self._key()
            if given is None:
                self._client = alphavantage_client.open_client(key, self.transport, self.limits.parallel_requests)
            else:
                self._client = alphavantage_client.key_client(given, key, self.transport)
        return self._client

    def _key(self, *, required: bool = True) -> Any:
        (names,) = KEY_VARIABLES["alphavantage"]
        key: Secret | None = load_key("alphavantage", *names, required=required)
        return key

    async def _today(self) -> date:
        return datetime.fromtimestamp(await self.now(), NEW_YORK).date()

    # -- the list of symbols -----------------------------------------------------------------------------------------

    async def _listing(self, symbol: str) -> AlphaVantageListing | None:
        """Return what the list says of a US symbol; who left the exchange stands in a list of its own."""
        if symbols_of.is_listed_abroad(symbol):
            return None
        for state in ("active", "delisted"):
            found = (await self._list(state)).get(symbol)
            if found is not None:
                return found
        return None

    async def _list(self, state: str) -> Mapping[str, AlphaVantageListing]:
        async with self._lock:
            if state not in self._lists:
                params = {"function": "LISTING_STATUS", "state": state}
                self._lists[state] = await self._get(f"list of {state} symbols", params, symbols_of.read_listing)
            return self._lists[state]

    async def list_symbols(self) -> list[str]:
        """Return the active US symbols, sorted."""
        return sorted(await self._list("active"))

    # -- what else ---------------------------------------------------------------------------------------------------

    def map_error(self, error: Exception) -> SourceError | None:
        """Return what an exception of httpx stands for."""
        return alphavantage_client.map_client_error(error)

    def metadata(self) -> SourceMetadata:
        """Return what is recorded with every version."""
        return SourceMetadata(
            "alphavantage",
            source_url=self.transport.base_url or alphavantage_client.BASE_URL,
            timezone="America/New_York",
            adjustment="raw",
        )

    def pages(self, start: int, end: int, frequency: Frequency, bars: int, symbols: int = 1) -> int:
        """Return 1 for daily and longer bars, the number of months for shorter ones; one more for their events."""
        del bars, symbols
        own = len(_months(start, min(end, int(self.connection.clock() * 1_000_000)))) if frequency.is_intraday else 1
        return max(1, own + (self._adjusted and frequency != DAILY))

    def subscribe(self, symbols: Sequence[str], frequency: Frequency) -> Any:
        """Refuse: Alpha Vantage pushes nothing."""
        raise RequestError(
            f"alphavantage has no stream of {frequency} bars", hint=f"fetch {', '.join(symbols)} instead"
        )

    async def close(self) -> None:
        """Close connections; those of a request that is under way, when it is done."""
        client, self._client = self._client, None
        # httpx forgets a connection that is being opened while its client is closed.
        if client is not None and client not in self._in_use:
            await client.aclose()

    async def _release(self, client: Any) -> None:
        self._in_use[client] -= 1
        if not self._in_use[client]:
            del self._in_use[client]
            if client is not self._client:
                await client.aclose()


def _limits(connection: Connection) -> VendorLimits:
    """Return the limits of today."""
    today = datetime.fromtimestamp(connection.clock(), UTC).date()
    first = {**dict.fromkeys(INTERVALS, FIRST_MONTH), **dict.fromkeys(FUNCTIONS, FIRST_DAY)}
    return replace(LIMITS, depth_days={name: (today - day).days + 1 for name, day in first.items()})


def _months(start: int, end: int) -> list[date]:
    """Return the first day of each month of New York from `start` to `end`."""
    first = datetime.fromtimestamp(max(start, to_microseconds(FIRST_MONTH)) // 1_000_000, NEW_YORK).date()
    last = datetime.fromtimestamp(max(end, 0) // 1_000_000, NEW_YORK).date()
    numbers = np.arange(np.datetime64(max(first, FIRST_MONTH), "M"), np.datetime64(last, "M") + 1)
    return [month.astype("datetime64[D]").item() for month in numbers]


def _bounds(month: date) -> tuple[int, int]:
    """Return the first and last microsecond of a month in New York."""
    after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    first, last = (int(datetime(d.year, d.month, 1, tzinfo=NEW_YORK).timestamp()) * 1_000_000 for d in (month, after))
    return first, last - 1
