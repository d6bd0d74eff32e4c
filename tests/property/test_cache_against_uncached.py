"""Every answer from a cache against the vendor itself: whatever happened before, no caller may tell that there is a cache.

What an answer may be is worked out from the exchange's times alone:

* Its bars are those that the vendor tells now; only the ones told since the freshness policy's last moment may be missing.
* Each bar is as the vendor handed it over last; near the newest bar as of the last settled close, or newer.
* All prices of a symbol are of one basis: never some of before and some of after a split.
* What was answered is answered again without a request, and so is every part of it.

RUSTYBT_EXAMPLES=500 tries more.
"""

import itertools
import os
import shutil
import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources import CachedDataSource
from rustybt.errors import SourceError, SourceUnavailableError, SymbolNotFoundError
from rustybt.market.bars import VALUE_COLUMNS, check_bars
from tests.data.sources.invented import EPOCH, Change, InventedVendor, Listing, at, micros, midnight, session_times

SYMBOLS = ["A", "B", "COIN", "LATE", "GONE", "NEW", "NOPE"]
SPELLED = [*SYMBOLS, "a", "coin"]
WINDOW_SESSIONS = 5
HOUR = 3_600.0


def market_of_the_start():
    return {
        "A": Listing(),
        "B": Listing(listed=date(2024, 1, 10)),
        "COIN": Listing("24/7"),
        "LATE": Listing(listed=date(2024, 2, 21)),
        "GONE": Listing(delisted=date(2024, 2, 20)),
    }


def last_settled_close(calendar, settlement, now):
    return max(closed.timestamp() + settlement for *_, closed in session_times(calendar)
               if closed.timestamp() + settlement <= now)  # fmt: skip


def fresh_since(calendar, frequency, settlement, now):
    """The moment that an answer given now must not be older than, by the default policies."""
    closed = last_settled_close(calendar, settlement, now)
    if calendar == "24/7":
        return now - HOUR
    if frequency == "1d":
        return closed
    opened = next(o.timestamp() for _, o, c in session_times(calendar) if c.timestamp() + settlement > now)
    # Nothing is due before the first hour of the session is settled.
    return closed if now < opened + HOUR + settlement else max(closed, now - HOUR)


class CacheMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="rustybt-cache-"))
        self.stores = []

    def teardown(self):
        for store in self.stores:
            store.close()
        shutil.rmtree(self.home, ignore_errors=True)

    @initialize(
        basis=st.sampled_from(["raw", "split_adjusted", "split_adjusted"]),
        answers_whole=st.sampled_from([True, True, False]),
        tells_listing=st.booleans(),
        limit=st.sampled_from([None, None, 12_000]),
        start=st.sampled_from(["2024-02-14T15:20", "2024-02-16T22:00", "2024-03-08T20:50"]),
    )
    def open(self, basis, answers_whole, tells_listing, limit, start):
        # Only `answers` can tell of events and bases; a bare `fetch` is raw.
        self.vendor = InventedVendor(
            market_of_the_start(),
            now=at(start),
            basis=basis if answers_whole else "raw",
            answers_whole=answers_whole,
            tells_listing=tells_listing,
            spelling={"a": "A", "coin": "COIN"},
        )
        self.limit = limit
        self.handles = [self._handle(), self._handle()]
        self.answered = None

    def _handle(self):
        store = BundleStore(self.home, clock=lambda: self.vendor.now)
        self.stores.append(store)
        config = None if self.limit is None else {"cache.max_size_bytes": self.limit}
        return CachedDataSource(self.vendor, config=config, store=store)

    # -- what happens in the world -----------------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([1, 20, 70, 200, 60 * 9, 1440, 2 * 1440, 3 * 1440, 8 * 1440]))
    def time_passes(self, minutes):
        self.vendor.now += 60.0 * minutes

    def _recent(self, symbol, frequency):
        today = datetime.fromtimestamp(self.vendor.now, EPOCH.tzinfo).date()
        days = [day for day, _, c in session_times(self.vendor.listings[symbol].calendar)
                if c.timestamp() + 900 <= self.vendor.now][-WINDOW_SESSIONS:]  # fmt: skip
        return [label for label, end in self.vendor.listings[symbol].labels(frequency, days[0], today)
                if end.timestamp() + 900 <= self.vendor.now]  # fmt: skip

    @rule(symbol=st.sampled_from(["A", "B", "COIN"]), frequency=st.sampled_from(["1d", "1d", "1h"]),
          kind=st.sampled_from(["volume", "price"]), place=st.integers(0, 100))  # fmt: skip
    def a_recent_bar_is_corrected(self, symbol, frequency, kind, place):
        labels = self._recent(symbol, frequency)
        if labels:
            change = Change(self.vendor.now + 0.5, frequency, labels[place % len(labels)], kind)
            self.vendor.listings[symbol].changes.append(change)
            self.vendor.now += 1.0

    @rule(
        split=st.sampled_from([None, None, ("A", (2, 1)), ("B", (4, 1)), ("A", (1, 2))]),
        late=st.sampled_from([None, None, ("A", 3), ("B", 20), ("COIN", 50)]),
        halted=st.sampled_from([None, None, None, "A", "B", "COIN"]),
        corrected=st.sampled_from([None, "A", "B", "COIN"]),
    )
    def a_night_passes(self, split, late, halted, corrected):
        """It is just after the next settled close in New York."""
        vendor = self.vendor
        if split is not None:
            vendor.listings[split[0]].splits.setdefault(self._next_day(split[0]), split[1])
        if late is not None:
            label = midnight(self._next_day(late[0]))
            vendor.listings[late[0]].late["1d", label] = label.timestamp() + HOUR * (22 + late[1])
        if halted is not None:
            vendor.listings[halted].halts.add(self._next_day(halted))
        if corrected is not None and (labels := self._recent(corrected, "1d")):
            vendor.listings[corrected].changes.append(Change(vendor.now + 60, "1d", labels[-1], "volume"))
        vendor.now = next(c.timestamp() + 900 for _, o, c in session_times("XNYS") if o.timestamp() > vendor.now)

    def _next_day(self, symbol):
        return next(day for day, o, _ in session_times(self.vendor.listings[symbol].calendar)
                    if midnight(day).timestamp() > self.vendor.now and o.timestamp() > self.vendor.now)  # fmt: skip

    @rule()
    def a_symbol_is_listed(self):
        today = datetime.fromtimestamp(self.vendor.now, EPOCH.tzinfo).date()
        self.vendor.listings.setdefault("NEW", Listing(listed=today))

    @rule(which=st.integers(0, 1))
    def another_process_takes_over(self, which):
        self.handles[which] = self._handle()

    # -- what is asked -----------------------------------------------------------------------------------------------

    @rule(
        which=st.integers(0, 1),
        symbols=st.lists(st.sampled_from(SPELLED[:5] * 3 + SPELLED), min_size=1, max_size=4),
        frequency=st.sampled_from(["1d", "1d", "1d", "1h"]),
        back=st.integers(0, 40),
        days=st.one_of(st.none(), st.integers(0, 50)),
        cut=st.sampled_from(["day", "day", "day", "instant", "microsecond"]),
        trouble=st.sampled_from([None, None, None, "A", "COIN", 0, 1, 2]),
    )
    def ask(self, which, symbols, frequency, back, days, cut, trouble):
        """Once: a symbol may fail, or the vendor break down after some symbols."""
        start, end = self._range(back, days, cut, frequency)
        if isinstance(trouble, str):
            self.vendor.failing = {trouble: SymbolNotFoundError(f"invented lost {trouble}")}
        elif trouble is not None:
            self.vendor.down_after = trouble
        self._ask(which, symbols, start, end, frequency)
        self.vendor.failing, self.vendor.down_after = {}, None

    @rule(which=st.integers(0, 1), frequency=st.sampled_from(["1d", "1d", "1h"]), back=st.integers(3, 30))
    def ask_as_every_day(self, which, frequency, back):
        start, end = self._range(back, None, "day", frequency)
        self._ask(which, ["B", "A", "COIN"], start, end, frequency)

    @rule(which=st.integers(0, 1), back=st.integers(0, 40), frequency=st.sampled_from(["1d", "1h"]))
    def warm(self, which, back, frequency):
        start, end = self._range(back, None, "day", frequency)
        report = self.handles[which].warm_cache(["A", "COIN"], start, end, frequency)
        assert report.failures or self._calls(which, ["A", "COIN"], start, end, frequency) == 0

    @precondition(lambda self: self.answered is not None and self.limit is None)
    @rule(which=st.integers(0, 1), low=st.floats(0, 1), high=st.floats(0, 1))
    def a_part_of_what_was_answered(self, which, low, high):
        symbols, start, end, frequency, asked_at = self.answered
        first, last = sorted(start + int((end - start) * share) for share in (low, high))
        before = len(self.vendor.asked)
        bounds = [EPOCH + timedelta(microseconds=side) for side in (first, last)]
        self._ask(which, symbols[:2], *bounds, frequency)
        assert asked_at != self.vendor.now or len(self.vendor.asked) == before

    def _range(self, back, days, cut, frequency):
        today = datetime.fromtimestamp(self.vendor.now, EPOCH.tzinfo)
        reach = back if frequency == "1d" else back // 4
        first = (today - timedelta(days=reach)).replace(hour=0, minute=0, second=0, microsecond=0)
        last = None if days is None else first + timedelta(days=days)
        if cut != "day":
            shift = {"instant": timedelta(hours=15, minutes=30), "microsecond": timedelta(hours=14, minutes=30,
                                                                                         microseconds=1)}[cut]  # fmt: skip
            first, last = first + shift, None if last is None else last + shift
        if last is None and first.timestamp() > self.vendor.now:
            last = first
        return (first, last) if cut != "day" else (first.date(), last and last.date())

    def _calls(self, which, symbols, start, end, frequency):
        before = len(self.vendor.asked)
        self._fetch(which, symbols, start, end, frequency)
        return len(self.vendor.asked) - before if self.limit is None else 0

    def _fetch(self, which, symbols, start, end, frequency):
        return self.handles[which].fetch_sync(symbols, start, end, frequency)

    def _ask(self, which, symbols, start, end, frequency):
        request = self.vendor.resolve(self.vendor.request(symbols, start, end, frequency))
        note(f"now {datetime.fromtimestamp(self.vendor.now, EPOCH.tzinfo)}: {symbols} {start} {end} {frequency}")
        before = len(self.vendor.asked)
        try:
            bars = self._fetch(which, symbols, start, end, frequency)
        except SourceError as error:
            self._judge_error(error, request)
            return
        finally:
            note(f"   asked for {self.vendor.asked[before:]}")
        check_bars(bars)
        assert set(bars["symbol"]) <= set(request.symbols)
        for symbol in request.symbols:
            rows = bars.filter(symbol=symbol).select("timestamp", *VALUE_COLUMNS).rows()
            self._judge(symbol, {label: tuple(values) for label, *values in rows}, request)
        assert self._calls(which, symbols, start, end, frequency) == 0
        self.answered = (list(request.symbols), request.start, request.end, frequency, self.vendor.now)

    def _judge_error(self, error, request):
        missing = set(error.details["missing"])
        assert missing <= set(request.symbols)
        unknown = set(request.symbols) - set(self.vendor.listings)
        blamed = unknown | (self.vendor.failing.keys() & set(request.symbols))
        if self.vendor.down_after is None:
            assert missing <= blamed
        else:
            assert isinstance(error, SourceUnavailableError) or missing & blamed
        kept = [symbol for symbol in request.symbols if symbol not in missing]
        if kept and self.limit is None:
            bounds = [EPOCH + timedelta(microseconds=side) for side in (request.start, request.end)]
            assert self._calls(0, kept, *bounds, request.frequency) == 0

    def _judge(self, symbol, rows, request):
        vendor, frequency = self.vendor, request.frequency.name
        span = (request.start, request.end)
        listing = vendor.listings[symbol]
        calendar = listing.calendar
        closed = last_settled_close(calendar, vendor.settlement, vendor.now)
        since = fresh_since(calendar, frequency, vendor.settlement, vendor.now)
        if not vendor.answers_whole:
            # Nobody told which calendar it is; until bars show otherwise, New York's is taken.
            since = min(since, last_settled_close("XNYS", vendor.settlement, vendor.now))
            closed = min(since, closed)
        now = vendor.told(symbol, *span, frequency, vendor.now)
        due = vendor.told(symbol, *span, frequency, since)
        assert set(due) <= set(rows), f"missing: {sorted(set(due) - set(rows))[:3]}"
        assert set(rows) <= set(now), f"nobody told: {sorted(set(rows) - set(now))[:3]}"
        told = vendor.told(symbol, 0, micros(EPOCH + timedelta(days=20_000)), frequency, since)
        reaches_tail = bool(told) and request.end >= micros(max(told))
        recent = self._last_days(calendar)
        bases = [0.0, *(midnight(day).timestamp() for day in sorted(listing.splits))]
        allowed = [b for b, after in itertools.zip_longest(bases, bases[1:])
                   if b <= vendor.now and not (reaches_tail and after is not None and after <= closed)]  # fmt: skip
        wrong = {}
        for basis in allowed:
            wrong[basis] = None
            for label, values in rows.items():
                handed = vendor.delivered[symbol, frequency, label]
                oldest = max(handed, closed) if reaches_tail and label.date() in recent else handed
                if values != vendor.row(symbol, frequency, label, oldest, basis):
                    wrong[basis] = (label, values, vendor.row(symbol, frequency, label, oldest, basis))
                    break
            if wrong[basis] is None:
                return
        raise AssertionError(f"{symbol}: {wrong}")

    def _last_days(self, calendar):
        closed = [day for day, _, c in session_times(calendar) if c.timestamp() + 900 <= self.vendor.now]
        return set(closed[-WINDOW_SESSIONS:])


TestCacheAgainstUncached = CacheMachine.TestCase
# Of thirty steps each; what fails is short enough to read without being shrunk for minutes.
TestCacheAgainstUncached.settings = settings(
    max_examples=int(os.environ.get("RUSTYBT_EXAMPLES", "15")),
    stateful_step_count=30,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
