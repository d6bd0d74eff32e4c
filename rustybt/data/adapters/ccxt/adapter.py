"""Bars of every exchange that ccxt knows, over ccxt's asynchronous clients with paging of our own."""

from __future__ import annotations

import asyncio
import time
import weakref
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

from rustybt.data.adapters.base import BaseDataAdapter
from rustybt.data.adapters.ccxt.client import (
    close_forgotten,
    count_requests,
    exact_numbers,
    make_client,
    public_host,
)
from rustybt.data.adapters.ccxt.errors import map_ccxt_error
from rustybt.data.adapters.ccxt.facts import facts_of, limits_of
from rustybt.data.adapters.ccxt.paging import BarWalk, Row, check_page, to_bars
from rustybt.data.adapters.ccxt.stream import stream_bars
from rustybt.data.adapters.reading import is_time, reading
from rustybt.data.adapters.series import SeriesAnswer, StreamedBar
from rustybt.errors import (
    CONCERNS_ALL,
    BadResponseError,
    RequestError,
    SourceError,
    SymbolNotFoundError,
)
from rustybt.market.assets import AssetAttributes
from rustybt.market.provenance import SourceMetadata
from rustybt.market.request import to_date

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from rustybt.data.adapters.connection import Connection
    from rustybt.market.frequency import Frequency

_CLOCK_SECONDS = 60.0
_CLOCK_ERROR_SECONDS = 3_653 * 86_400.0
_MILLISECOND = 1_000
#: `ccxt.TICK_SIZE`
_TICK_SIZE = 4
_SEPARATORS = "-_"


class CCXTAdapter(BaseDataAdapter):
    """Talks to one crypto exchange through ccxt.

    Symbols are ccxt's unified ones, ``BTC/USDT``; ``BTC-USDT`` and ``btc/usdt`` are read as that. The exchange's id is the
    venue of every asset: BTC/USDT at Binance is not BTC/USDT at Kraken.

    Parameters
    ----------
    exchange
        ccxt's id of the exchange.

    Raises
    ------
    RequestError
        ccxt knows no such exchange, or gets no bars from it.
    """

    name: ClassVar[str] = "ccxt"
    asset_type: ClassVar[str] = "crypto"

    def __init__(self, connection: Connection, *, exchange: str = "binance") -> None:
        self.exchange = exchange.strip().lower()
        client = make_client(self.exchange, connection)
        if client.has.get("fetchOHLCV") is not True or not client.timeframes:
            raise RequestError(
                f"{self.exchange} gives no bars through ccxt",
                hint="use another exchange: binance, coinbase, kraken, okx, bybit",
                exchange=self.exchange,
            )
        super().__init__(connection, limits_of(client), f"ccxt-{self.exchange}")
        self.facts = facts_of(self.exchange)
        self.sends_every_bar = self.facts.every_bar
        self.can_stream = client.has.get("watchOHLCV") is True
        self._has_clock = client.has.get("fetchTime") is True
        # Other exchanges count digits instead.
        self._steps = client.precisionMode == _TICK_SIZE
        self._public_host = public_host(type(client)().urls["api"], client.hostname)
        self._timeframes = frozenset(name for name, value in client.timeframes.items() if value is not None)
        self._client: Any = None
        self._forgotten: Any = None
        self._own(client)
        self._markets: Mapping[str, Any] = {}
        self._loading = asyncio.Lock()
        self._offset: _Offset | None = None

    # -- symbols -----------------------------------------------------------------------------------------------------

    def canonical_symbol(self, text: str) -> str:
        """Return ccxt's unified symbol for ``BTC/USDT``, ``btc/usdt`` or ``BTC-USDT``.

        What has no separator stays as it is, and is refused as unknown with the likely symbol: USDTUSD can be two pairs.
        """
        symbol = text.strip()
        if "/" not in symbol and sum(map(symbol.count, _SEPARATORS)) == 1:
            symbol = symbol.replace("-", "/").replace("_", "/")
        # Some exchanges list symbols of mixed case (kPEPE/USDC): only what is all small was typed in a hurry.
        return symbol.upper() if symbol.islower() and "/" in symbol else symbol

    def vendor_symbol(self, symbol: str) -> str:
        """Return the exchange's own id, ``BTCUSDT``, once its markets are known; until then `symbol`."""
        return str((self._markets.get(symbol) or {}).get("id") or symbol)

    async def list_symbols(self) -> list[str]:
        """Return every spot symbol that is traded now, sorted; of an exchange without spot markets, every other one."""
        active = [market for market in (await self._load_markets()).values() if market.get("active") is not False]
        spot = [market for market in active if market.get("spot")]
        return sorted({str(market["symbol"]) for market in spot or active})

    # -- bars --------------------------------------------------------------------------------------------------------

    async def fetch_series(
        self, symbols: Sequence[str], start: int, end: int, frequency: Frequency
    ) -> Mapping[str, SeriesAnswer | SourceError]:
        """Fetch bars of each symbol, page by page; see `BaseDataAdapter.fetch_series`."""
        markets = await self._load_markets()
        answers: dict[str, SeriesAnswer | SourceError] = {}
        for symbol in symbols:
            try:
                answers[symbol] = await self._series(symbol, self._market(symbol, markets), start, end, frequency)
            except CONCERNS_ALL:
                raise
            except SourceError as error:
                answers[symbol] = error
        return answers

    async def _series(
        self, symbol: str, market: Mapping[str, Any], start: int, end: int, frequency: Frequency
    ) -> SeriesAnswer:
        async def ask(step: Frequency, since: int, limit: int) -> list[Row]:
            try:
                return await self.call(f"{symbol} {step}", lambda: self._page(symbol, step, since, limit))
            except SourceError as error:
                raise _naming(error, symbol) from None

        walk = BarWalk(
            ask,
            self.exchange,
            symbol,
            frequency,
            self.facts,
            self.limits.bars_per_page,
            daily_probe="1d" in self._timeframes,
            now=int(await self.now() * 1_000),
        )
        # Rounded inwards: a bound may lie between two milliseconds.
        rows = await walk.rows(-(-start // _MILLISECOND), end // _MILLISECOND)
        bars, missing_volume, rule = to_bars(rows, symbol)
        return SeriesAnswer(
            symbol,
            bars,
            vendor_symbol=self.vendor_symbol(symbol),
            attributes=self._attributes(market),
            missing_volume=missing_volume,
            number_rule=rule,
            first_bar=None if walk.first_bar is None else to_date(walk.first_bar * _MILLISECOND),
            notes=(f"{symbol} is not traded on {self.exchange} now",) if market.get("active") is False else (),
        )

    async def _page(self, symbol: str, frequency: Frequency, since: int, limit: int) -> list[Row]:
        """Make one request for bars and check its answer."""
        client = self._open_client()
        rows = await self._read(symbol, lambda: client.fetch_ohlcv(symbol, frequency.name, since, limit))
        if not rows and self.facts.newest_only:
            # Its answer always holds the forming bar; ccxt takes one without any result for an empty one.
            raise BadResponseError(f"{self.exchange} answered no bars of {symbol}", symbol=symbol)
        return check_page(rows, self.exchange, symbol, frequency)

    async def _read(self, what: str, request: Callable[[], Awaitable[Any]]) -> Any:
        """Make one request; an answer that ccxt stumbles over is the exchange's fault, not the program's."""
        with reading(self.exchange, what):
            return await request()

    def count_attempt(self) -> None:
        """Count the request where the client is the caller's; our own counts what it sends, often more than one."""
        if not self._counts_itself:
            super().count_attempt()

    def map_error(self, error: Exception) -> SourceError | None:
        """Return what one of ccxt's exceptions means."""
        return map_ccxt_error(error, self.exchange, self.connection.clock)

    # -- markets -----------------------------------------------------------------------------------------------------

    async def _load_markets(self) -> Mapping[str, Any]:
        """Return the exchange's markets by unified symbol; asked for once in the life of the adapter."""
        async with self._loading:
            if not self._markets:
                client = self._open_client()
                # Loaded anew: ccxt remembers an answer that was refused here.
                markets = client.markets or await self.call(
                    "the list of markets", lambda: self._read("its markets", lambda: client.load_markets(reload=True))
                )
                if not markets:
                    raise BadResponseError(f"{self.exchange} lists no market", exchange=self.exchange)
                self._markets = markets
                exact_numbers(client)
            return self._markets

    def _market(self, symbol: str, markets: Mapping[str, Any]) -> Mapping[str, Any]:
        if symbol in markets:
            found: Mapping[str, Any] = markets[symbol]
            return found
        wanted = "".join(char for char in symbol.upper() if char.isalnum())
        same = [name for name in markets if "".join(char for char in name.upper() if char.isalnum()) == wanted]
        near = same or get_close_matches(symbol.upper(), list(markets), n=3)
        raise SymbolNotFoundError(
            f"{self.exchange} has no market {symbol}",
            hint=f"did you mean {' or '.join(near)}?" if near else "symbols are written BASE/QUOTE: BTC/USDT",
            symbol=symbol,
            exchange=self.exchange,
        )

    def _attributes(self, market: Mapping[str, Any]) -> AssetAttributes:
        precision = market.get("precision") or {}
        return AssetAttributes(
            venue=self.exchange,
            asset_type="crypto",
            currency=str(market.get("quote") or ""),
            lot_size=self._step(precision.get("amount")),
            tick_size=self._step(precision.get("price")),
        )

    def _step(self, value: Any) -> Decimal | None:
        """Return a price or amount step, None where the exchange counts digits instead of steps."""
        if value is None or not self._steps:
            return None
        try:
            # The shortest decimal that reads back as the same float is what the exchange wrote.
            step = Decimal(str(value))
        except InvalidOperation:
            return None
        return step.normalize() if step.is_finite() and step > 0 else None

    # -- the exchange itself -----------------------------------------------------------------------------------------

    async def now(self) -> float:
        """Return the exchange's clock, asked for once a minute; this machine's where it has none."""
        if not self._has_clock:
            return self.connection.clock()
        if self._offset is None or time.monotonic() > self._offset.until:
            client = self._open_client()
            stamp = await self.call("the clock", lambda: self._read("the clock", client.fetch_time))
            if type(stamp) is not int or stamp <= 0 or not is_time(stamp * 1_000):
                raise BadResponseError(f"{self.exchange} does not tell the time: {stamp!r}", exchange=self.exchange)
            ahead = stamp / 1_000 - self.connection.clock()
            if abs(ahead) > _CLOCK_ERROR_SECONDS:
                # All of history would lie in its future, or nothing would be final.
                raise BadResponseError(
                    f"{self.exchange} says that it is {to_date(stamp * 1_000)}, many years from what this machine says",
                    hint="is this machine's clock right?",
                    exchange=self.exchange,
                )
            self._offset = _Offset(ahead, time.monotonic() + _CLOCK_SECONDS)
        return self.connection.clock() + self._offset.seconds

    def metadata(self) -> SourceMetadata:
        """Return the exchange, which is part of the data's identity, and the version of ccxt."""
        import ccxt

        return SourceMetadata(
            "ccxt",
            source_url=self._public_host,
            api_version=ccxt.__version__,
            supports_live=self.can_stream,
            feed=self.exchange,
            adjustment="raw",
        )

    def subscribe(self, symbols: Sequence[str], frequency: Frequency) -> AsyncIterator[StreamedBar]:
        """Yield bars as the exchange pushes them; see `BaseDataAdapter.subscribe`.

        ccxt does not pass on the exchange's mark of a closed bar: a bar is final when the next one of its symbol begins.
        """
        if not self.can_stream:
            raise RequestError(f"ccxt has no stream of {self.exchange}", exchange=self.exchange)
        if frequency.name not in self._timeframes:
            raise RequestError(f"{self.exchange} has no {frequency} bars to stream", exchange=self.exchange)
        return self._subscribe(symbols, frequency)

    async def _subscribe(self, symbols: Sequence[str], frequency: Frequency) -> AsyncIterator[StreamedBar]:
        markets = await self._load_markets()
        for symbol in symbols:
            self._market(symbol, markets)
        # A client of its own: closing it ends the subscription, and leaves the requests of others alone.
        client = make_client(self.exchange, self.connection)
        try:
            client.set_markets(list(markets.values()))
            async for bar in stream_bars(client, symbols, frequency.name):
                yield bar
        except Exception as error:
            mapped = self.map_error(error)
            if mapped is None or mapped is error:
                raise
            # Cut off from ccxt's exception, which holds addresses.
            raise mapped from None
        finally:
            if client is not self.connection.client:
                await client.close()

    # -- the client --------------------------------------------------------------------------------------------------

    def _open_client(self) -> Any:
        """Return the client; one that was closed is replaced, and knows the markets."""
        if self._client is None:
            client = make_client(self.exchange, self.connection)
            if self._markets:
                client.set_markets(list(self._markets.values()))
                exact_numbers(client)
            self._own(client)
        return self._client

    def _own(self, client: Any) -> None:
        """Use `client`, and close it when this adapter is forgotten; not one that the caller brought."""
        self._client = client
        self._counts_itself = client is not self.connection.client
        if self._counts_itself:
            count_requests(client, self.request_count)
            self._forgotten = weakref.finalize(self, close_forgotten, client)

    async def close(self) -> None:
        """Close the connections; a client that the caller brought stays open, it is theirs to close."""
        client = self._client
        if client is not None and client is not self.connection.client:
            self._client = None
            self._forgotten.detach()
            await client.close()


def _naming(error: SourceError, symbol: str) -> SourceError:
    """Return `error` with the symbol in its message."""
    if symbol not in error.message:
        error.message = f"{symbol}: {error.message}"
        error.args = (error.message,)
        error.details.setdefault("symbol", symbol)
    return error


@dataclass(frozen=True, slots=True)
class _Offset:
    """How far the exchange's clock is ahead of ours, and until when that is believed (monotonic seconds)."""

    seconds: float
    until: float
