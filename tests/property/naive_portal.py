"""What a strategy may see of some bars, written from the rules alone: lists, dicts and loops over every bar.

Slow and plain on purpose: the portal's arrays are held against it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

NAN = float("nan")
MINUTES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60}
FIELDS = ("open", "high", "low", "close", "volume", "price")


@dataclass(frozen=True)
class Session:
    """One day of trading."""

    day: date
    open: datetime
    close: datetime


@dataclass(frozen=True)
class Bar:
    """A bar as it was traded, in the shares of its own day."""

    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True)
class Event:
    """A split, stock dividend (`new` shares out of `old`) or cash dividend (`amount` a share, of the ex-date's shares)."""

    ex_date: date
    new: int = 1
    old: int = 1
    amount: float = 0.0


@dataclass(frozen=True)
class Slot:
    """A place for one bar of the run's frequency: `number` counts from the open of session `s`."""

    s: int
    number: int
    label: datetime
    end: datetime


@dataclass
class Listing:
    """One asset: bars by label, what happened to it, its first and last day."""

    bars: dict[datetime, Bar]
    events: list[Event] = field(default_factory=list)
    last_day: date | None = None


def new_york_2016() -> list[Session]:
    """Return New York's sessions from June to December 2016, holidays and hours by hand."""
    closed = {date(2016, 7, 4), date(2016, 9, 5), date(2016, 11, 24), date(2016, 12, 26)}
    found = []
    day = date(2016, 6, 1)
    while day.year < 2017:
        if day.weekday() < 5 and day not in closed:
            # Clocks went back on 2016-11-06; the day after Thanksgiving ends at 13:00.
            late = 0 if day < date(2016, 11, 6) else 1
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
            length = timedelta(hours=3, minutes=30) if day == date(2016, 11, 25) else timedelta(hours=6, minutes=30)
            opened = midnight + timedelta(hours=13 + late, minutes=30)
            found.append(Session(day, opened, opened + length))
        day += timedelta(days=1)
    return found


class NaiveMarket:
    """Answers as of a clock: session `s` and the number of its last complete bar, None before the open.

    Parameters
    ----------
    frequency
        Of the run: ``1d``, or minutes and hours counted from the open.
    """

    def __init__(self, sessions: list[Session], listings: dict[str, Listing], frequency: str) -> None:
        self.sessions = sessions
        self.listings = listings
        self.frequency = frequency
        self.slots = [slot for s in range(len(sessions)) for slot in self._slots_of(s)]
        self.place = {(slot.s, slot.number): i for i, slot in enumerate(self.slots)}
        self._factors: dict[tuple[str, int], float] = {}
        self._members: dict[str, list[list[int]]] = {}
        self._traded = {
            name: [i for i, slot in enumerate(self.slots) if slot.label in listing.bars]
            for name, listing in listings.items()
        }

    def _slots_of(self, s: int) -> list[Slot]:
        session = self.sessions[s]
        if self.frequency == "1d":
            day = session.day
            return [Slot(s, 0, datetime(day.year, day.month, day.day, tzinfo=UTC), session.close)]
        step = timedelta(minutes=MINUTES[self.frequency])
        found = []
        label = session.open
        while label < session.close:
            found.append(Slot(s, len(found), label, min(label + step, session.close)))
            label += step
        return found

    # The clock -----------------------------------------------------------------------------------------------------

    def last_seen(self, s: int, number: int | None) -> int:
        """Return the place of the last complete bar."""
        if number is not None:
            return self.place[s, number]
        return self.place[s, 0] - 1

    def last_complete(self, instant: datetime) -> int:
        """Return the place of the last bar that is complete at an instant."""
        return bisect_right(self.slots, instant, key=lambda slot: slot.end) - 1

    # What happened -------------------------------------------------------------------------------------------------

    def _first_session(self, event: Event) -> int:
        """Return the first session that trades without the right."""
        return bisect_left(self.sessions, event.ex_date, key=lambda session: session.day)

    def _factor(self, name: str, number: int) -> float:
        """Return what prices before an event are multiplied by."""
        key = (name, number)
        if key not in self._factors:
            event = self.listings[name].events[number]
            if event.amount:
                base = self._price_before(name, self._first_session(event))
                self._factors[key] = 1 - event.amount / base if base > event.amount else 1.0
            else:
                self._factors[key] = event.old / event.new
        return self._factors[key]

    def _price_before(self, name: str, s: int) -> float:
        """Return the last price before session `s`, in the shares and rights of the session before it."""
        slot = self._last_trade(name, self.place[s, 0] - 1)
        if slot is None:
            return NAN
        return self._adjusted(name, "close", self.listings[name].bars[slot.label].close, slot.s, s - 1)

    def _adjusted(self, name: str, what: str, value: float, traded_s: int, as_of_s: int) -> float:
        """Return a value of session `traded_s` as it reads in session `as_of_s`."""
        for number, event in enumerate(self.listings[name].events):
            if traded_s < self._first_session(event) <= as_of_s:
                if what != "volume":
                    value *= self._factor(name, number)
                elif not event.amount:
                    value *= event.new / event.old
        return value

    def _last_trade(self, name: str, at: int) -> Slot | None:
        """Return the last bar of an asset up to a place."""
        traded = self._traded[name]
        count = bisect_right(traded, at)
        return self.slots[traded[count - 1]] if count else None

    # One bar of the run's frequency --------------------------------------------------------------------------------

    def value(self, name: str, what: str, at: int, as_of_s: int) -> float:
        """Return a field of the bar at a place, as it reads in session `as_of_s`."""
        slot = self.slots[at]
        listing = self.listings[name]
        if what == "price":
            return self._price(name, at, as_of_s)
        bar = listing.bars.get(slot.label)
        if bar is None:
            return 0.0 if what == "volume" else NAN
        return self._adjusted(name, what, getattr(bar, what), slot.s, as_of_s)

    def _price(self, name: str, at: int, as_of_s: int) -> float:
        """Return the last close up to a place; none before the first bar and after the last day."""
        last_day = self.listings[name].last_day
        if last_day is not None and self.sessions[self.slots[at].s].day > last_day:
            return NAN
        slot = self._last_trade(name, at)
        if slot is None:
            return NAN
        return self._adjusted(name, "price", self.listings[name].bars[slot.label].close, slot.s, as_of_s)

    def last_traded(self, name: str, at: int) -> datetime | date | None:
        """Return when the last bar up to a place was complete; its day in a daily run."""
        slot = self._last_trade(name, at)
        if slot is None:
            return None
        return self.sessions[slot.s].day if self.frequency == "1d" else slot.end

    # Windows -------------------------------------------------------------------------------------------------------

    def history(
        self, name: str, what: str, bar_count: int, frequency: str, at: int, as_of_s: int
    ) -> list[tuple[datetime | date, float]]:
        """Return label and value of the last `bar_count` bars up to a place, the last one as far as it has come."""
        wanted = [members for members in self._groups(frequency) if members[0] <= at][-bar_count:]
        assert len(wanted) == bar_count, "the sessions of this market begin too late for the window"
        return [
            (self._label(members[-1], frequency), self._joined(name, what, [i for i in members if i <= at], as_of_s))
            for members in wanted
        ]

    def _groups(self, frequency: str) -> list[list[int]]:
        """Return the places of the bars that each longer bar is made of."""
        if frequency not in self._members:
            groups: dict[object, list[int]] = {}
            for i, slot in enumerate(self.slots):
                groups.setdefault(self._group(slot, frequency), []).append(i)
            self._members[frequency] = list(groups.values())
        return self._members[frequency]

    def _group(self, slot: Slot, frequency: str) -> object:
        session = self.sessions[slot.s]
        if frequency in MINUTES:
            return slot.s, (slot.label - session.open) // timedelta(minutes=MINUTES[frequency])
        if frequency == "1d":
            return slot.s
        return session.day.isocalendar()[:2] if frequency == "1w" else (session.day.year, session.day.month)

    def _label(self, at: int, frequency: str) -> datetime | date:
        slot = self.slots[at]
        return slot.end if frequency in MINUTES else self.sessions[slot.s].day

    def _joined(self, name: str, what: str, members: list[int], as_of_s: int) -> float:
        if what == "price":
            return self.value(name, "price", members[-1], as_of_s)
        values = [self.value(name, what, i, as_of_s) for i in members]
        if what == "volume":
            return math.fsum(values)
        known = [value for value in values if not math.isnan(value)]
        if not known:
            return NAN
        return {"open": known[0], "high": max(known), "low": min(known), "close": known[-1]}[what]


def made_of(market: NaiveMarket, frequency: str) -> dict[str, dict[datetime, Bar]]:
    """Return the bars of a market joined to longer ones, by symbol and label."""
    longer = NaiveMarket(market.sessions, {}, frequency)
    found: dict[str, dict[datetime, Bar]] = {}
    for name, listing in market.listings.items():
        parts: dict[datetime, list[Bar]] = {}
        for label in sorted(listing.bars):
            holder = next(slot for slot in reversed(longer.slots) if _begin(longer, slot) <= label)
            parts.setdefault(holder.label, []).append(listing.bars[label])
        found[name] = {
            label: Bar(
                bars[0].open,
                max(bar.high for bar in bars),
                min(bar.low for bar in bars),
                bars[-1].close,
                math.fsum(bar.volume for bar in bars),
            )
            for label, bars in parts.items()
        }
    return found


def _begin(market: NaiveMarket, slot: Slot) -> datetime:
    return market.sessions[slot.s].open if market.frequency == "1d" else slot.label
