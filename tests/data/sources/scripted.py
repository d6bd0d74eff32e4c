"""A vendor that answers from a script: what is above the adapters is tested here, the adapters against real servers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import polars as pl

from rustybt.data.adapters.base import BaseDataAdapter
from rustybt.data.adapters.limits import VendorLimits
from rustybt.data.adapters.series import SeriesAnswer
from rustybt.data.sources.vendor.source import VendorDataSource
from rustybt.errors import SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.provenance import SourceMetadata
from tests.fakes import market
from tests.fakes.held import frame_of as contract

LIMITS = VendorLimits(
    frequencies=("1m", "15m", "1h", "1d"), depth_days={"1m": 30}, parallel_requests=4, settlement_delay_seconds=900.0
)


class ScriptedAdapter(BaseDataAdapter):
    """Serves the fake market; `errors` maps symbols to what goes wrong, `delays` to seconds."""

    name = "scripted"

    def __init__(self, connection, limits=LIMITS, errors=None, delays=None, script=()):
        super().__init__(connection, limits, "scripted")
        self.errors = errors or {}
        self.delays = delays or {}
        self.script = list(script)
        self.asked: list[tuple[tuple[str, ...], int, int, str]] = []
        self.running = 0
        self.most_running = 0

    def canonical_symbol(self, text):
        return text.upper().replace("-", ".")

    def vendor_symbol(self, symbol):
        return symbol.replace(".", "-")

    async def fetch_series(self, symbols, start, end, frequency):
        self.asked.append((tuple(symbols), start, end, frequency.name))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(max(self.delays.get(symbol, 0) for symbol in symbols))
        finally:
            self.running -= 1
        for symbol in symbols:
            if symbol in self.errors and len(symbols) == 1:
                raise self.errors[symbol]
        return {symbol: self._answer(symbol, start, end, frequency) for symbol in symbols}

    def _answer(self, symbol, start, end, frequency):
        if symbol in self.errors:
            return self.errors[symbol]
        if symbol not in market.EQUITIES:
            return SymbolNotFoundError(f"scripted knows no symbol {symbol}", symbol=symbol)
        first, last = (datetime.fromtimestamp(value / 1e6, UTC).date() for value in (start, end))
        if frequency.is_intraday:
            rows = market.intraday(symbol, frequency.seconds // 60, first, last)
        else:
            rows = market.daily(symbol, first, last)
        bars = contract(symbol, rows).filter(pl.col("timestamp").to_physical().is_between(start, end))
        equity = market.EQUITIES[symbol]
        return SeriesAnswer(
            symbol,
            bars,
            vendor_symbol=self.vendor_symbol(symbol),
            attributes=AssetAttributes(venue=equity.mic, currency=equity.currency),
            first_bar=equity.listed,
        )

    def map_error(self, error):
        return None

    def metadata(self):
        return SourceMetadata(source_type="scripted", source_url="http://scripted.example")

    async def subscribe(self, symbols, frequency):
        messages = self.script.pop(0) if self.script else []
        for message in messages:
            if isinstance(message, Exception):
                raise message
            if callable(message):
                message()
                continue
            yield message
            await asyncio.sleep(0)


class ScriptedSource(VendorDataSource):
    """A vendor source over `ScriptedAdapter`."""

    name = "scripted"
    streams = True

    def __init__(self, *, script=None, **connection):
        connection.setdefault("clock", lambda: market.NOW)
        super().__init__(**connection)
        self._script = script or {}

    def make_adapter(self, connection):
        return ScriptedAdapter(connection, **self._script)
