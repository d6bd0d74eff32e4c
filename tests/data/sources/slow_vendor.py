"""A vendor small enough to see through: closes by symbol and day, each symbol answered when the test says so."""

import asyncio
import os
import signal
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from rustybt.data.sources import DataSource, Delivery
from rustybt.errors import NotCoveredError, SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.provenance import SourceMetadata
from rustybt.market.request import to_microseconds
from rustybt.testing.bars import frame_of_bars

#: Friday, after the close.
NOW = datetime(2024, 3, 15, 22, tzinfo=UTC).timestamp()


@dataclass
class SlowVendor(DataSource):
    """Serves what is in `bars`: frequency -> symbol -> contract frame.

    `asked` lists (symbol, frequency, start, end) of each series asked for; `errors` are the failures of their symbols;
    `gate`, where given, is awaited before each symbol.
    """

    bars: dict = field(default_factory=dict)
    basis: str = "split_adjusted"
    actions: list = field(default_factory=list)
    errors: dict = field(default_factory=dict)
    down_after: int | None = None
    down: Exception | None = None
    now: float = NOW
    first_kept: dict = field(default_factory=dict)
    assets: dict = field(default_factory=dict)
    aliases: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    interrupt_after: int | None = None

    name = "slow"

    async def fetch(self, symbols, start, end, frequency="1d"):
        raise NotImplementedError

    def get_metadata(self):
        return SourceMetadata("slow", adjustment=self.basis)

    def wants_cache(self):
        return False  # what these tests look at is the ingest itself, each time it asks

    def supports_live(self):
        return False

    def resolve(self, request):
        end = int(self.now * 1_000_000) if request.end is None else request.end
        kept = self.first_kept.get(request.frequency.name)
        if request.start is not None and kept is not None and request.start < kept:
            raise NotCoveredError(f"slow keeps {request.frequency} bars from {kept} on only")
        return replace(request, start=request.start or kept or to_microseconds(datetime(2014, 3, 15).date()), end=end)

    def answers(self, request, progress=None, *, starts=None):
        return self._answers(self.resolve(request), progress, starts or {})

    async def _answers(self, request, progress, starts):
        # The last comes first, as parallel answers may.
        for done, symbol in enumerate(sorted(request.symbols, reverse=True)):
            await asyncio.sleep(0)
            if self.down_after is not None and done >= self.down_after:
                raise self.down
            if self.interrupt_after is not None and done >= self.interrupt_after:
                os.kill(os.getpid(), signal.SIGINT)  # Ctrl-C while the next symbol is on its way
                await asyncio.sleep(60)
            start = starts.get(symbol, request.start)
            self.asked.append((symbol, request.frequency.name, start, request.end))
            yield self._one(symbol, replace(request, start=start))
            if progress is not None:
                progress(f"fetch {symbol} 2024-03-15", done + 1, len(request.symbols))

    def _one(self, symbol, request):
        if symbol in self.errors:
            return Delivery(failures={symbol: self.errors[symbol]}, price_basis=self.basis)
        held = self.bars.get(request.frequency.name, {})
        if symbol not in held:
            unknown = SymbolNotFoundError(f"slow does not know {symbol}", symbol=symbol)
            return Delivery(failures={symbol: unknown}, price_basis=self.basis)
        bars = held[symbol].filter(request.in_range())
        return Delivery(
            bars=bars,
            assets={symbol: self.assets.get(symbol, AssetAttributes("XNYS"))},
            actions=tuple(a for a in self.actions if a.symbol == symbol),
            price_basis=self.basis,
            number_rule="text",
            aliases={symbol: self.aliases[symbol]} if symbol in self.aliases else {},
            skipped={} if bars.height else {symbol: "no bars in the range"},
        )


def daily(symbol, closes):
    """Bars of {day: close}."""
    return frame_of_bars((symbol, day, c, c + 1, c - 1, c, 100) for day, c in closes.items())
