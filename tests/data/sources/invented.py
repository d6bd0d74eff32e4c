"""A vendor that can be seen through: invented prices, a past that it corrects, and a clock in the test's hand.

What it tells at any moment is worked out from the exchange's times alone, so that an answer from a cache can be compared with
the one that a caller without a cache would have got, now or at any time before.
"""

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from rustybt.data.adapters.limits import VendorLimits
from rustybt.data.sources import DataSource, Delivery
from rustybt.errors import SourceUnavailableError, SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.bars import empty_bars
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import SourceMetadata
from rustybt.testing.bars import frame_of_bars
from tests.fakes import market

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(text):
    """Unix seconds of an ISO text, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def micros(moment):
    return (moment - EPOCH) // timedelta(microseconds=1)


def midnight(day):
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@lru_cache(maxsize=8)
def session_times(calendar):
    """(day, open, close) of each session of 2023 and 2024."""
    if calendar == "24/7":
        days = [date(2023, 1, 1) + n * DAY for n in range(731)]
        return [(day, midnight(day), midnight(day) + DAY) for day in days]
    return [(day, *hours) for day, hours in market.sessions(calendar).items() if 2023 <= day.year <= 2024]


@dataclass(frozen=True)
class Change:
    """What the vendor says otherwise from a moment on: of one bar, its volume or its high."""

    told_at: float
    frequency: str
    label: datetime
    kind: str


@dataclass
class Listing:
    """One symbol; a bar in `late` is not told before that moment, a day in `halts` has none."""

    calendar: str = "XNYS"
    listed: date = date(2023, 1, 3)
    delisted: date | None = None
    splits: dict[date, tuple[int, int]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    late: dict[tuple[str, datetime], float] = field(default_factory=dict)
    halts: set[date] = field(default_factory=set)
    broken: dict[tuple[str, datetime], float] = field(default_factory=dict)  # (frequency, label) -> good from then on

    @property
    def attributes(self):
        if self.calendar == "24/7":
            return AssetAttributes("invented", "crypto")
        return AssetAttributes(self.calendar)

    def labels(self, frequency, first, last):
        """(label, end) of every bar from one day to another."""
        for day, opened, closed in session_times(self.calendar):
            if not max(first, self.listed) <= day <= last or day in self.halts:
                continue
            if self.delisted is not None and day >= self.delisted:
                continue
            if frequency == "1d":
                yield midnight(day), closed
                continue
            label = opened
            while label < closed:
                yield label, min(label + timedelta(hours=1), closed)
                label += timedelta(hours=1)

    def shares(self, label, moment):
        """How many shares of `moment` one share at `label` is: a split counts from 00:00 UTC of its day."""
        factor = Decimal(1)
        for day, (new, old) in self.splits.items():
            if label < midnight(day) and midnight(day).timestamp() <= moment:
                factor = factor * new / old
        return factor


@dataclass
class InventedVendor(DataSource):
    """Tells final bars only, unless `shows_forming`.

    `asked` lists (symbols, start, end) of each call; `answers_whole` hands symbols over one by one, as real vendors do, else
    there is only `fetch`. A call that `arrived` waits at the `gate`, where there is one.
    """

    listings: dict[str, Listing] = field(default_factory=dict)
    now: float = at("2024-03-15T22:00")
    basis: str = "raw"
    settlement: float = 900.0
    answers_whole: bool = True
    tells_events: bool = True
    tells_listing: bool = False
    shows_forming: bool = False
    failing: dict[str, Exception] = field(default_factory=dict)
    down_after: int | None = None
    gate: threading.Event | None = None
    arrived: threading.Event = field(default_factory=threading.Event)
    identity: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[tuple[str, ...], int, int]] = field(default_factory=list)
    #: (symbol, frequency, label) -> when this bar was last handed over.
    delivered: dict[tuple[str, str, datetime], float] = field(default_factory=dict)
    name: str = "invented"
    spelling: dict[str, str] = field(default_factory=dict)

    # -- what is true ------------------------------------------------------------------------------------------------

    def row(self, symbol, frequency, label, moment, priced_at=None):
        """open, high, low, close, volume of a final bar as told at `moment`, on the price basis of `priced_at`."""
        listing = self.listings[symbol]
        number = market.noise(symbol, frequency, micros(label))
        close, volume = Decimal(4_000 + 8 * (number % 500)), Decimal(4_000 + 40 * (number % 97))
        high = close + 16
        for change in listing.changes:
            if change.told_at <= moment and (change.frequency, change.label) == (frequency, label):
                high, volume = (high + 8, volume) if change.kind == "price" else (high, volume + 400)
        shares = Decimal(1)
        if self.basis == "split_adjusted":
            shares = listing.shares(label, moment if priced_at is None else priced_at)
        prices = [price / 8 / shares for price in (close - 8, high, close - 16, close)]
        if listing.broken.get((frequency, label), 0.0) > moment:
            prices[1] = prices[2] - 1
        return (*prices, volume * shares)

    def told(self, symbol, start, end, frequency, moment):
        """{label: row} of what is told at `moment` of a range, microseconds."""
        first, last = ((EPOCH + timedelta(microseconds=side)).date() for side in (start, end))
        listing = self.listings.get(symbol)
        if listing is None:
            return {}
        found = {}
        for label, ended in listing.labels(frequency, first, last):
            if not start <= micros(label) <= end or listing.late.get((frequency, label), 0.0) > moment:
                continue
            if ended.timestamp() + self.settlement <= moment:
                found[label] = self.row(symbol, frequency, label, moment)
            elif self.shows_forming and label.timestamp() <= moment:
                # Grows with time.
                o, h, low, c, _ = self.row(symbol, frequency, label, moment)
                found[label] = (o, h, low, c, Decimal(int(moment - label.timestamp()) // 60))
        return found

    def frame(self, symbols, start, end, frequency, moment=None):
        """The answer of one who has no cache."""
        request = self.resolve(self.request(symbols, start, end, frequency))
        rows = [
            (symbol, label, *row)
            for symbol in request.symbols
            for label, row in self.told(
                symbol, request.start, request.end, frequency, self.now if moment is None else moment
            ).items()
        ]
        return frame_of_bars(rows) if rows else empty_bars()

    # -- what it answers ---------------------------------------------------------------------------------------------

    def resolve(self, request):
        symbols = tuple(dict.fromkeys(self.spelling.get(symbol, symbol) for symbol in request.symbols))
        start = micros(datetime(2023, 1, 1, tzinfo=UTC)) if request.start is None else request.start
        end = max(int(self.now * 1_000_000), start) if request.end is None else request.end
        return replace(request, symbols=symbols, start=start, end=end)

    async def fetch(self, symbols, start=None, end=None, frequency="1d"):
        request = self.resolve(self.request(symbols, start, end, frequency))
        await self._is_asked(request)
        if self.down_after == 0:
            raise SourceUnavailableError("invented is down")
        parts = [self._one(symbol, request, request.start) for symbol in sorted(request.symbols)]
        for part in parts:
            for error in part.failures.values():
                raise error
        return _stacked([part.bars for part in parts])

    def answers(self, request, progress=None, *, starts=None):
        return self._answers(self.resolve(request), starts or {}) if self.answers_whole else None

    async def _answers(self, request, starts):
        await self._is_asked(request)
        for done, symbol in enumerate(sorted(request.symbols)):
            await asyncio.sleep(0)
            if self.down_after is not None and done >= self.down_after:
                raise SourceUnavailableError("invented is down")
            yield self._one(symbol, request, starts.get(symbol, request.start))

    async def _is_asked(self, request):
        self.asked.append((request.symbols, request.start, request.end))
        self.arrived.set()
        if self.gate is not None:
            await asyncio.to_thread(self.gate.wait, 60)

    def _one(self, symbol, request, start):
        if symbol in self.failing:
            return Delivery(failures={symbol: self.failing[symbol]})
        listing = self.listings.get(symbol)
        if listing is None:
            return Delivery(failures={symbol: SymbolNotFoundError(f"invented knows no {symbol}", symbol=symbol)})
        frequency = request.frequency.name
        rows = self.told(symbol, start, request.end, frequency, self.now)
        for label in rows:
            self.delivered[symbol, frequency, label] = self.now
        tells = self.tells_events and self.basis != "raw"
        events = [
            CorporateAction.split(symbol, day, *ratio, source="invented")
            for day, ratio in listing.splits.items()
            if micros(midnight(day)) >= start - start % 86_400_000_000 and midnight(day).timestamp() <= self.now
        ]
        return Delivery(
            bars=frame_of_bars((symbol, label, *row) for label, row in rows.items()) if rows else empty_bars(),
            assets={symbol: listing.attributes},
            actions=tuple(events) if tells else (),
            tells_all_events=tells,
            price_basis=self.basis,
            aliases=dict(pair[::-1] for pair in self.spelling.items() if pair[1] == symbol),
            first_bars={symbol: listing.listed} if self.tells_listing else {},
            skipped={} if rows else {symbol: "no bars in the range"},
        )

    def get_metadata(self):
        return SourceMetadata("invented", adjustment=self.basis)

    def supports_live(self):
        return False

    def cache_identity(self):
        return dict(self.identity)

    def limits(self):
        return VendorLimits(("1h", "1d"), settlement_delay_seconds=self.settlement)

    @property
    def requests_made(self):
        return len(self.asked)

    @property
    def clock(self):
        return lambda: self.now

    def days_asked(self):
        """The calls so far as (symbols, first day, last day); forgets them."""
        found = [
            (",".join(symbols), *((EPOCH + timedelta(microseconds=side)).date().isoformat() for side in span))
            for symbols, *span in self.asked
        ]
        self.asked.clear()
        return found

    def count_symbols(self):
        """How often each symbol was asked for."""
        return Counter(symbol for symbols, *_ in self.asked for symbol in symbols)


def _stacked(frames):
    found = empty_bars()
    for frame in frames:
        found = found.vstack(frame)
    return found
