"""What the portal answers along a run's clock, against a market of dicts that looks at every bar."""

import math
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rustybt.data.portal import BarData, MemoryBars, PolarsDataPortal
from rustybt.data.portal.arrays import intraday_panel
from rustybt.errors import LookaheadError
from rustybt.market.corporate_actions import CorporateAction
from rustybt.testing.bars import frame_of_bars
from tests.property.naive_portal import FIELDS, MINUTES, Bar, Event, Listing, NaiveMarket, made_of, new_york_2016

SESSIONS = new_york_2016()
#: Minutes are many: fewer days of them are written down.
OF_MINUTES = [session for session in SESSIONS if session.day >= date(2016, 10, 20)]
START, END = date(2016, 11, 18), date(2016, 12, 2)
#: Reads from outside begin so long before the run.
EARLIER = timedelta(days=10)
#: Stored bars, and bars of the run.
RUNS = [("30m", "30m"), ("1h", "1h"), ("1d", "1d"), ("5m", "30m"), ("1h", "1d")]
RUNS_OF_MANY = [("1m", "1m"), ("5m", "5m"), ("1m", "1h"), ("5m", "1d")]
RATIOS = [(2, 1), (4, 1), (1, 2), (5, 2)]
#: Bars come of a seed: to shrink such a world takes minutes and makes nothing plainer.
UNHURRIED = {
    "deadline": None,
    "phases": (Phase.explicit, Phase.reuse, Phase.generate),
    "suppress_health_check": list(HealthCheck),
}


def sessions_of(stored):
    return OF_MINUTES if stored == "1m" else SESSIONS


@st.composite
def events(draw):
    """Return an event of any date, more often than not one of the run's."""
    ex_date = draw(
        st.dates(START, END) | st.dates(date(2016, 11, 23), date(2016, 11, 29)) | st.dates(date(2016, 6, 10), END)
    )
    if draw(st.booleans()):
        return Event(ex_date, amount=draw(st.integers(1, 60)) / 4)
    new, old = draw(st.sampled_from(RATIOS))
    return Event(ex_date, new, old)


@st.composite
def listings(draw, stored):
    """Return an asset: dense, sparse or halted by session, listed and delisted when it likes."""
    sessions = sessions_of(stored)
    source = random.Random(draw(st.integers(0, 10**6)))
    slots = NaiveMarket(sessions, {}, stored).slots
    by_session = {}
    for slot in slots:
        by_session.setdefault(slot.s, []).append(slot)
    of_the_run = [s for s, session in enumerate(sessions) if session.day >= START]
    first = draw(st.sampled_from([0, of_the_run[0] - 3, *of_the_run[:6]]))
    last = draw(st.sampled_from([*of_the_run[2:12], len(sessions) - 1]))
    # Most bars of a session, a few of them, or none.
    weights = draw(st.sampled_from([(1, 1, 1), (1, 0, 0), (0, 1, 4), (0, 1, 1)]))
    bars = {}
    for s in range(first, max(first, last) + 1):
        density = source.choices([0.9 if stored == "1d" else 0.4, 0.02 if stored == "1m" else 0.2, 0], weights)[0]
        for slot in by_session[s]:
            if source.random() < density:
                bars[slot.label] = Bar(*(source.randint(400, 20_000) / 100 for _ in range(4)), source.randint(1, 999))
    if not bars:
        bars[by_session[first][-1].label] = Bar(10.0, 11.0, 9.0, 10.5, 100)
    return Listing(bars, sorted(draw(st.lists(events(), max_size=4)), key=lambda event: event.ex_date))


def stored_bars(market, basis):
    """Return a naive market's bars and events as a store delivers them."""
    rows, actions = [], []
    for name, listing in market.listings.items():

        def factor(day, listing=listing):
            later = [e for e in listing.events if e.ex_date > day and basis == "split_adjusted"]
            return math.prod((Decimal(e.old) / Decimal(e.new) for e in later), start=Decimal(1))

        days = {slot.label: market.sessions[slot.s].day for slot in market.slots}
        for label, bar in listing.bars.items():
            by = factor(days[label])
            prices = [Decimal(str(v)) * by for v in (bar.open, bar.high, bar.low, bar.close)]
            rows.append((name, label, *prices, Decimal(str(bar.volume)) / by))
        for number, event in enumerate(listing.events):
            if event.amount:
                amount = Decimal(str(event.amount)) * factor(event.ex_date)
                # Two dividends of one day may be equal: what they are paid on tells them apart.
                paid = event.ex_date + timedelta(days=20 + number)
                actions.append(CorporateAction.cash_dividend(name, event.ex_date, amount, pay_date=paid))
            elif event.new == 2 * event.old:
                more = {"ratio_new": Decimal(1), "ratio_old": Decimal(1)}
                paid = event.ex_date + timedelta(days=number)
                actions.append(CorporateAction(name, "stock_dividend", event.ex_date, pay_date=paid, **more))
            else:
                declared = event.ex_date - timedelta(days=number)
                actions.append(CorporateAction.split(name, event.ex_date, event.new, event.old, declared_date=declared))
    return frame_of_bars(rows), actions


@st.composite
def worlds(draw, stored, run):
    """Return a market by hand and the same one stored."""
    names = "ABCD"[: draw(st.integers(1, 3 if stored == "1m" else 4))]
    sessions = sessions_of(stored)
    market = NaiveMarket(sessions, {name: draw(listings(stored)) for name in names}, stored)
    for listing in market.listings.values():
        last = max(listing.bars)
        listing.last_day = max(s.day for s in sessions if s.open <= last or s.day <= last.date())
    basis = draw(st.sampled_from(["raw", "split_adjusted"]))
    frame, actions = stored_bars(market, basis)
    bars = MemoryBars(frame, actions=actions, price_basis=basis, frequency=stored)
    if run == stored:
        return market, bars
    joined = made_of(market, run)
    seen = {name: Listing(joined[name], found.events, found.last_day) for name, found in market.listings.items()}
    return NaiveMarket(sessions, seen, run), bars


@st.composite
def windows(draw, market):
    """Return a frequency that the run can be asked for, and a length that its sessions can fill."""
    run = market.frequency
    longer = [f for f, m in MINUTES.items() if run in MINUTES and m % MINUTES[run] == 0]
    frequency = draw(st.sampled_from([run, *longer, "1d", "1w", "1M"]))
    before = sum(session.day < START - EARLIER for session in market.sessions)
    deepest = {"1d": before, "1w": before // 5 - 2, "1M": before // 30}
    deepest |= {name: before * 390 // minutes * 9 // 10 for name, minutes in MINUTES.items()}
    return frequency, draw(st.sampled_from([1, 2, 3, 8, 30, 75, 400]).map(lambda n: max(1, min(n, deepest[frequency]))))


@st.composite
def reads(draw, market, length):
    """Return what is asked for, and after which step of the walk."""
    names = draw(st.lists(st.sampled_from(sorted(market.listings)), min_size=1, max_size=3))
    what = draw(st.sampled_from(FIELDS))
    window = draw(st.none() | windows(market))
    # Half of them before an open or in the first bars, where most happens.
    return draw(st.integers(0, length - 1)), draw(st.booleans()), names, what, window


def moments(label):
    """Return a label of pandas as the naive market has it."""
    return label.date() if label.tzinfo is None else label.to_pydatetime()


def close_to(found, wanted):
    assert len(found) == len(wanted)
    for value, other in zip(found, wanted, strict=True):
        assert (math.isnan(value) and math.isnan(other)) or math.isclose(value, other, rel_tol=1e-12), (found, wanted)


def check(market, data, s, number, read):
    """Hold one answer against the naive market's."""
    _, _, names, what, window = read
    assets = [data.assets[name] for name in names]
    at = market.last_seen(s, number)
    if window is None:
        wanted = [market.value(name, what, at, s) for name in names]
        close_to([data.current(asset, what) for asset in assets], wanted)
        close_to(list(data.current(assets, what)), wanted)
        traded = [market.last_traded(name, at) for name in names]
        found = [data.current(asset, "last_traded") for asset in assets]
        assert [None if pd.isna(one) else moments(one) for one in found] == traded
        return
    frequency, bar_count = window
    found = data.history(assets, what, bar_count, frequency)
    for i, name in enumerate(names):
        wanted = market.history(name, what, bar_count, frequency, at, s)
        assert [moments(label) for label in found.index] == [label for label, _ in wanted]
        close_to(found.iloc[:, i].to_list(), [value for _, value in wanted])


class Data(BarData):
    """A strategy's `data` that knows its assets by name."""

    def __init__(self, portal, bars):
        super().__init__(portal, lambda: None)
        self.assets = {name: bars.assets.lookup_symbol(name) for name in bars.symbols}


def steps_of(market):
    """Return each place of the run's clock: session, and bar or None before the open."""
    inside = [s for s, session in enumerate(market.sessions) if START <= session.day <= END]
    return [(s, n) for s in inside for n in [None, *(slot.number for slot in market.slots if slot.s == s)]]


@st.composite
def instants(draw):
    """Return a moment of the run, or of the days before it, that is no midnight: that would mean a date."""
    minutes = draw(st.integers(-EARLIER.days * 1_440, (END - START).days * 1_440))
    return datetime(START.year, START.month, START.day, 0, 0, 1, tzinfo=UTC) + timedelta(minutes=minutes)


def check_from_outside(market, portal, assets, clock, read, instant):
    """Hold a read at any instant against the naive market, in a run whose clock is at `clock`, or in none."""
    _, _, names, what, window = read
    chosen = [assets[name] for name in names]
    at = market.last_complete(instant)
    as_of = market.slots[at].s
    if clock is not None:
        seen = market.last_seen(*clock)
        if at > seen:
            with pytest.raises(LookaheadError):
                portal.get_spot_value(chosen, what, instant)
            with pytest.raises(LookaheadError):
                portal.get_history_window(chosen, instant, 2, market.frequency, what)
            return
        as_of = clock[0] if at == seen else as_of
    close_to(portal.get_spot_value(chosen, what, instant), [market.value(name, what, at, as_of) for name in names])
    frequency, bar_count = window or (market.frequency, 2)
    found = portal.get_history_window(chosen, instant, bar_count, frequency, what)
    for i, name in enumerate(names):
        wanted = market.history(name, what, bar_count, frequency, at, as_of)
        assert [moments(label) for label in found.index] == [label for label, _ in wanted]
        close_to(found.iloc[:, i].to_list(), [value for _, value in wanted])


def walk(stored, run, data):
    """Go through a run bar by bar, and ask for something now and then."""
    market, bars = data.draw(worlds(stored, run))
    steps = steps_of(market)
    early = [i for i, (_, number) in enumerate(steps) if number in (None, 0, 1)]
    asked = {}
    for read in data.draw(st.lists(reads(market, len(steps)), min_size=1, max_size=12)):
        asked.setdefault(early[read[0] % len(early)] if read[1] else read[0], []).append(read)
    looks_before_the_open = data.draw(st.booleans())
    first = steps[0][0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intraday_panel, "_STRETCH_BYTES", data.draw(st.sampled_from([1, 48 * 100, 48 * 2_000, 2**24])))
        patch.setattr(intraday_panel, "_READ_ROWS", data.draw(st.sampled_from([1, 1_000, 10**6])))
        portal = PolarsDataPortal(bars=bars, start=START, end=END, frequency=run)
        seen = Data(portal, bars)
        for i, (s, number) in enumerate(steps):
            if number is not None:
                portal.at_bar(s - first, number)
            elif looks_before_the_open or i in asked:
                portal.before_open(s - first)
            for read in asked.get(i, ()):
                outside = data.draw(st.none() | instants())
                if outside is not None:
                    check_from_outside(market, portal, seen.assets, (s, number), read, outside)
                check(market, seen, s, number, read)


@pytest.mark.parametrize(("stored", "run"), RUNS)
@settings(max_examples=15, **UNHURRIED)
@given(data=st.data())
def test_every_read_of_a_walk_is_what_a_look_at_every_bar_gives(stored, run, data):
    walk(stored, run, data)


@pytest.mark.parametrize(("stored", "run"), RUNS_OF_MANY)
@settings(max_examples=6, **UNHURRIED)
@given(data=st.data())
def test_every_read_of_a_walk_over_many_bars_is_too(stored, run, data):
    walk(stored, run, data)


@pytest.mark.parametrize(("stored", "run"), [("1h", "1h"), ("1d", "1d"), ("30m", "1h")])
@settings(max_examples=10, **UNHURRIED)
@given(data=st.data())
def test_reads_without_a_run_jump_to_any_instant(stored, run, data):
    market, bars = data.draw(worlds(stored, run))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intraday_panel, "_STRETCH_BYTES", data.draw(st.sampled_from([1, 48 * 100, 2**24])))
        portal = PolarsDataPortal(bars=bars, start=START, end=END, frequency=run)
        assets = {name: bars.assets.lookup_symbol(name) for name in bars.symbols}
        for instant, read in data.draw(st.lists(st.tuples(instants(), reads(market, 1)), min_size=1, max_size=8)):
            check_from_outside(market, portal, assets, None, read, instant)
            assert portal.now_t is None
