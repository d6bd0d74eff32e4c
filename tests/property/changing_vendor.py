"""A vendor whose past changes: what it tells today of last month is not what it told yesterday."""

import asyncio
import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from rustybt.data.sources import DataSource, Delivery
from rustybt.errors import SourceUnavailableError, SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import SourceMetadata
from rustybt.testing.bars import frame_of_bars

#: Sessions of New York: weekdays of February and March 2024 but for Presidents' Day.
SESSIONS = [
    day
    for day in (date(2024, 2, 1) + timedelta(days=n) for n in range(57))
    if day.weekday() < 5 and day != date(2024, 2, 19)
]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOURS = (15, 16)


class PowerCutError(Exception):
    """The process ends here."""


def instants(frequency, at):
    """The labels of the bars of one session."""
    day = SESSIONS[at]
    if frequency == "1d":
        return [datetime(day.year, day.month, day.day, tzinfo=UTC)]
    return [datetime(day.year, day.month, day.day, hour, 30, tzinfo=UTC) for hour in HOURS]


def micros(moment):
    return (moment - EPOCH) // timedelta(microseconds=1)


def base(symbol, at):
    """The raw close of a session before anybody corrects it; in cents, and even in volume."""
    return Decimal(100 + 7 * (ord(symbol) % 5) + (at * 13) % 11) + Decimal((at * 7) % 10) / 10


@dataclass
class Listing:
    """All that the vendor knows of one symbol; `told` has every value of each bar, the newest last."""

    symbol: str
    first: int
    last: int | None = None
    is_forgotten: bool = False
    told: dict = field(default_factory=lambda: {"1d": {}, "1h": {}})
    gone: set = field(default_factory=set)
    splits: dict = field(default_factory=dict)  # session -> (new, old)
    dividends: dict = field(default_factory=dict)  # session -> [amounts told, newest last]

    def trade(self, at):
        if at < self.first or (self.last is not None and at > self.last):
            return
        close = base(self.symbol, at) / self.shares(0, at)
        for frequency in ("1d", "1h"):
            for n, moment in enumerate(instants(frequency, at)):
                c = close + n
                self.told[frequency][moment] = [(c, c + 2, c - 1, c + 1, Decimal(4000 + 40 * at + 400 * n))]

    def shares(self, after, until):
        """How many shares one share of session `after` is in session `until`."""
        factor = Decimal(1)
        for at, (new, old) in self.splits.items():
            if after < at <= until:
                factor = factor * new / old
        return factor


@dataclass
class State:
    """What the vendor knew at one moment."""

    basis: str
    today: int
    listing: Listing

    def printed(self, moment, values):
        """A bar as it is delivered."""
        at = SESSIONS.index(moment.date())
        listing = self.listing
        if self.basis == "raw":
            return values
        shares = listing.shares(at, self.today)
        factor = Decimal(1)
        if self.basis == "split_dividend_adjusted":
            for ex, amounts in listing.dividends.items():
                if at < ex <= self.today:
                    factor *= 1 - (amounts[-1] / (base(listing.symbol, ex - 1) / listing.shares(0, ex - 1))).quantize(
                        Decimal("0.00001")
                    )
        prices = tuple((v / shares * factor).quantize(Decimal("1e-9")) for v in values[:4])
        return (*prices, values[4] * shares)

    def bars(self, frequency, first, last):
        """moment -> values, newest, of final bars from `first` to `last`, microseconds."""
        return {
            moment: self.printed(moment, told[-1])
            for moment, told in self.listing.told[frequency].items()
            if first <= micros(moment) <= last and (frequency, moment) not in self.listing.gone
        }

    def every_value(self, frequency, moment):
        """What a bar may be that was told at any time, on today's basis."""
        return {self.printed(moment, values) for values in self.listing.told[frequency].get(moment, ())}

    def amount(self, ex, amount):
        if self.basis == "raw":
            return amount
        return amount / self.listing.shares(ex, self.today)

    def actions(self, first):
        """The events from a day to today."""
        symbol = self.listing.symbol
        found = [
            CorporateAction.split(symbol, SESSIONS[at], *ratio, source="changing")
            for at, ratio in self.listing.splits.items()
            if at <= self.today
        ]
        found += [
            CorporateAction.cash_dividend(symbol, SESSIONS[at], self.amount(at, amounts[-1]), source="changing")
            for at, amounts in self.listing.dividends.items()
            if at <= self.today
        ]
        return [action for action in found if action.ex_date >= first]


class ChangingVendor(DataSource):
    """Answers as of `today`; `fetched` keeps every answer: (symbol, frequency) -> [(state, first, last)]."""

    name = "changing"

    def __init__(self, basis, today):
        self.basis = basis
        self.today = today
        self.listings = {}
        self.failing = set()
        self.stop_after = None
        self.clock_seconds = 0.0
        self.fetched = {}
        self.asked = []

    def list(self, symbol, first):
        self.listings[symbol] = listing = Listing(symbol, first)
        for at in range(first, self.today + 1):
            listing.trade(at)

    def now(self):
        day = SESSIONS[self.today]
        return datetime(day.year, day.month, day.day, 22, tzinfo=UTC).timestamp() + self.clock_seconds

    def state(self, symbol):
        return State(self.basis, self.today, copy.deepcopy(self.listings[symbol]))

    async def fetch(self, symbols, start, end, frequency="1d"):
        raise NotImplementedError

    def get_metadata(self):
        return SourceMetadata("changing", adjustment=self.basis)

    def wants_cache(self):
        return False  # what these tests look at is the ingest itself, each time it asks

    def supports_live(self):
        return False

    def resolve(self, request):
        end = int(self.now() * 1_000_000) if request.end is None else request.end
        return replace(request, start=micros(instants("1d", 0)[0]) if request.start is None else request.start, end=end)

    def answers(self, request, progress=None, *, starts=None):
        return self._answers(self.resolve(request), starts or {})

    async def _answers(self, request, starts):
        for done, symbol in enumerate(sorted(request.symbols, reverse=True)):
            await asyncio.sleep(0)
            if self.stop_after is not None and done >= self.stop_after:
                raise PowerCutError
            self.asked.append((symbol, request.frequency.name))
            yield self._one(symbol, request, starts.get(symbol, request.start))

    def _one(self, symbol, request, start):
        if symbol in self.failing:
            return Delivery(failures={symbol: SourceUnavailableError("down")}, price_basis=self.basis)
        listing = self.listings.get(symbol)
        if listing is None or listing.is_forgotten:
            return Delivery(failures={symbol: SymbolNotFoundError(f"no {symbol}")}, price_basis=self.basis)
        state = self.state(symbol)
        frequency = request.frequency.name
        rows = state.bars(frequency, start, request.end)
        self.fetched.setdefault((symbol, frequency), []).append((state, start, request.end))
        bars = frame_of_bars((symbol, moment, *values) for moment, values in rows.items())
        return Delivery(
            bars=bars,
            assets={symbol: AssetAttributes("XNYS")},
            actions=tuple(state.actions((EPOCH + timedelta(microseconds=start)).date())),
            tells_all_events=True,
            price_basis=self.basis,
            number_rule="text",
            skipped={} if rows else {symbol: "no bars in the range"},
        )
