"""Ingests, updates and power cuts in any order, from a vendor whose past changes, against plain dicts.

Sequences are drawn from a seed with weights of their own: what matters here needs several commands in a row, and most
shrunken or short sequences never come to it. RUSTYBT_SEEDS=1000:2000 tries others.
"""

import os
import random
import shutil
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources.ingest import update
from rustybt.data.sources.ingest.update import update_bundle
from rustybt.errors import SourceError
from rustybt.market.corporate_actions import in_force
from tests.property.changing_vendor import SESSIONS, ChangingVendor, PowerCutError, instants, micros

SYMBOLS = "ABCD"
SPLITS = [(2, 1), (1, 2), (4, 1), (5, 2)]
AMOUNTS = [Decimal("0.5"), Decimal("0.64")]
PRICE, VOLUME = slice(0, 4), 4
STEPS = 30


class World:
    """One home, one vendor, and what both should hold."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.log = []
        self.home = Path(tempfile.mkdtemp(prefix="rustybt-vendor-"))
        self.store = BundleStore(self.home)
        self.commit = self.store.commit
        self.cut = None
        self.store.commit = self._commit
        self.open_commands = []
        self.kept = {}  # version -> content
        self.vendor = ChangingVendor(
            self.random.choice(["raw", "split_adjusted", "split_adjusted", "split_dividend_adjusted"]), 8
        )
        for symbol in "ABC":
            self.vendor.list(symbol, self.random.choice([0, 0, 6]))

    def close(self):
        self.store.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def step(self):
        rules = {
            self.days_pass: 4, self.a_dividend_becomes_known: 2, self.a_dividend_goes_or_moves: 1, self.a_bar_changes: 4,
            self.a_symbol_is_listed: 1, self.a_symbol_leaves: 0.3, self.some_fail: 1, self.ingest: 8,
            self.bring_up_to_date: 3, self.the_same_command_again: 3,
        }  # fmt: skip
        (rule,) = self.random.choices(list(rules), list(rules.values()))
        rule()

    def _commit(self, *args, **more):
        """A commit that the power cut meets before or after it is done."""
        if self.cut is not None and self.cut[0] == 0:
            if self.cut[1]:
                self.commit(*args, **more)
            raise PowerCutError
        if self.cut is not None:
            self.cut = (self.cut[0] - 1, self.cut[1])
        return self.commit(*args, **more)

    # -- the world ---------------------------------------------------------------------------------------------------

    def days_pass(self):
        vendor, choose = self.vendor, self.random.choice
        split = choose("ABC") if self.random.random() < 0.5 else None
        self.log.append(("days pass", split))
        for n in range(self.random.randint(1, 4)):
            if vendor.today + 1 >= len(SESSIONS):
                return
            vendor.today += 1
            if n == 0 and split:
                vendor.listings[split].splits[vendor.today] = choose(SPLITS)
            for listing in vendor.listings.values():
                listing.trade(vendor.today)

    def _may_move_prices(self):
        # What is in a journal since before would be of another basis than what is fetched after, on the same day.
        return self.vendor.basis != "split_dividend_adjusted" or not self.open_commands

    def a_dividend_becomes_known(self):
        listing = self.vendor.listings[self.random.choice("ABC")]
        at = max(1, self.vendor.today - self.random.randint(0, 12))
        if self._may_move_prices():
            self.log.append(("dividend", listing.symbol, at))
            listing.dividends.setdefault(at, []).append(self.random.choice(AMOUNTS))

    def a_dividend_goes_or_moves(self):
        paying = [item for item in self.vendor.listings.values() if item.dividends]
        if not paying or not self._may_move_prices():
            return
        listing = self.random.choice(paying)
        at = self.random.choice(sorted(listing.dividends))
        amounts = listing.dividends.pop(at)
        self.log.append(("taken back", listing.symbol, at))
        if self.random.random() < 0.5 and at + 1 not in listing.dividends:
            listing.dividends[at + 1] = amounts

    def a_bar_changes(self):
        kind = self.random.choice(["volume", "volume", "price", "gone", "back"])
        symbol, frequency = self.random.choice("ABC"), self.random.choice(["1d", "1d", "1h"])
        listing = self.vendor.listings[symbol]
        told = listing.told[frequency]
        moment = self.random.choice(sorted(told))
        self.log.append((kind, symbol, frequency, moment))
        if kind == "gone":
            listing.gone.add((frequency, moment))
        elif kind == "back":
            listing.gone.discard((frequency, moment))
        else:
            o, h, low, c, v = told[moment][-1]
            step = 2 ** len(told[moment])
            told[moment].append((o, h, low, c, v + 40) if kind == "volume" else (o, h + step, low, c, v))

    def a_symbol_is_listed(self):
        if "D" not in self.vendor.listings:
            self.vendor.list("D", self.vendor.today)

    def a_symbol_leaves(self):
        listing = self.vendor.listings[self.random.choice("BC")]
        listing.last = self.vendor.today if listing.last is None else listing.last
        listing.is_forgotten = self.random.random() < 0.5

    def some_fail(self):
        self.vendor.failing = {self.random.choice("AB")} if self.random.random() < 0.4 else set()

    # -- commands ----------------------------------------------------------------------------------------------------

    def ingest(self):
        choose, today = self.random.choice, self.vendor.today
        symbols = sorted({choose(SYMBOLS) for _ in range(3)})
        start = choose([None, self.random.randint(0, today), self.random.randint(max(0, today - 5), today)])
        last = None
        if start is not None and self.random.random() < 0.3:
            last = SESSIONS[min(start + self.random.randint(0, 8), today)]
        cuts = [None, None, None, None, ("fetch", 1), ("fetch", 2), ("commit", 0), ("commit", 1), ("after", 0)]
        first = None if start is None else SESSIONS[start]
        self._run(
            ("ingest", symbols, first, last, choose(["1d", "1d", "1h"]), self.random.random() < 0.15), choose(cuts)
        )

    def bring_up_to_date(self):
        if self.kept:
            cuts = [None, None, None, ("fetch", 1), ("commit", 0), ("commit", 1), ("after", 0)]
            self._run(("update",), self.random.choice(cuts))

    def the_same_command_again(self):
        if self.open_commands:
            self._run(self.random.choice(self.open_commands), None)

    def _run(self, command, cut):
        vendor = self.vendor
        self.log.append((command, cut))
        vendor.clock_seconds += 60
        vendor.stop_after = cut[1] if cut and cut[0] == "fetch" else None
        self.cut = (cut[1], cut[0] == "after") if cut and cut[0] != "fetch" else None
        before = self._content()
        if command in self.open_commands:
            self.open_commands.remove(command)
        try:
            reports = self._reports(command)
        except PowerCutError:
            # Between the commits of two frequencies one is moved and the other is not: any next command mends that.
            self.open_commands.append(command)
            self._keep()
            return
        except SourceError:
            reports = []  # nobody could be asked, or nobody had anything: all is as it was
        finally:
            vendor.stop_after = self.cut = None
        after = self._content()
        if not reports:
            assert after == before
        for report in reports:
            for symbol in report.symbols:
                self._check(symbol, report, is_replaced=command[-1] is True)
            for symbol in report.failures:
                if len(reports) == 1:
                    assert {k: v for k, v in after[0].items() if k[0] == symbol} == {
                        k: v for k, v in before[0].items() if k[0] == symbol
                    }
        if len(reports) == 1:
            self._check_revisions(reports[0], before[0], after[0])
        self._keep()

    def _reports(self, command):
        if command[0] == "update":
            return update_bundle("m", store=self.store, clock=self.vendor.now)
        _, symbols, start, end, frequency, replace = command
        return [
            self.vendor.ingest_to_bundle(
                "m", symbols, start, end, frequency, store=self.store, clock=self.vendor.now, replace=replace
            )
        ]

    # -- what must hold ----------------------------------------------------------------------------------------------

    def _content(self, reference="m"):
        if not self.store.list_bundles():
            return {}, []
        with self.store.open(reference) as bundle:
            bars = {
                (row[1], frequency, row[0]): row[2:]
                for frequency in bundle.frequencies
                for row in bundle.read(frequency=frequency).rows()
            }
            return bars, in_force(list(bundle.description.actions))

    def _keep(self):
        for version, content in list(self.kept.items())[-2:]:
            assert self._content(f"m@{version}") == content
        if self.store.list_bundles():
            newest = self.store.versions("m")[-1].version
            self.kept.setdefault(newest, self._content())

    def _check(self, symbol, report, *, is_replaced):
        bars, events = self._content()
        for name in self._frequencies_of(report):
            stored = {moment: row for (s, f, moment), row in bars.items() if (s, f) == (symbol, name)}
            answers = self.vendor.fetched[symbol, name]
            problems = [self._problem(symbol, name, stored, events, answer, is_replaced) for answer in answers]
            assert "" in problems, problems[-1]
            # No later commit may bring back what was told before this answer.
            del answers[: len(problems) - 1 - problems[::-1].index("")]
        self._check_basis(symbol)

    def _frequencies_of(self, report):
        version = next(info for info in self.store.versions("m") if info.version == report.version)
        return [version.provenance.frequency] if not report.unchanged else []

    def _problem(self, symbol, name, stored, events, answer, is_replaced):
        """Say what is not as the vendor had it then; empty when all is."""
        state, first, last = answer
        due = state.bars(name, first, last)
        for moment, values in due.items():
            if stored.get(moment) != values:
                return f"{symbol} {name} {moment}: {stored.get(moment)} and not {values}"
        for moment, row in stored.items():
            inside = first <= micros(moment) <= last
            if moment not in due and inside and is_replaced:
                return f"{symbol} {name} {moment} should be gone"
            if row not in state.every_value(name, moment):
                return f"{symbol} {name} {moment}: {row} is on another basis"
        told = {
            (a.kind, a.ex_date): (a.ratio_new, a.ratio_old, a.amount)
            for a in state.actions((instants("1d", 0)[0]).date())
            if micros(instants("1d", SESSIONS.index(a.ex_date))[0]) >= first - first % 86_400_000_000
        }
        held = Counter((a.kind, a.ex_date) for a in events if a.symbol == symbol)
        if held and max(held.values()) > 1:
            return f"{symbol}: {held} twice"
        held = {
            (a.kind, a.ex_date): (a.ratio_new, a.ratio_old, a.amount)
            for a in events
            if a.symbol == symbol
            and micros(instants("1d", SESSIONS.index(a.ex_date))[0]) >= first - first % 86_400_000_000
        }
        return "" if held == told else f"{symbol}: {held} and not {told}"

    def _check_basis(self, symbol):
        """Every stored bar and amount of a symbol fits the splits that are known of it."""
        bars, events = self._content()
        listing = self.vendor.listings.get(symbol)
        if listing is None or self.vendor.basis == "split_dividend_adjusted":
            return
        state = self.vendor.state(symbol)
        known = {
            SESSIONS.index(a.ex_date): (a.ratio_new, a.ratio_old)
            for a in events
            if a.symbol == symbol and a.kind == "split"
        }
        firsts = [SESSIONS.index(moment.date()) for (s, _, moment) in bars if s == symbol]
        if not firsts:
            return
        # Splits before the first bar say nothing of it.
        state.listing.splits = known
        wrong = [
            (key, row) for key, row in bars.items() if key[0] == symbol and row not in state.every_value(key[1], key[2])
        ]
        assert not wrong, (f"{symbol} is on another basis than {known}", wrong[:3])
        for action in events:
            if action.symbol == symbol and action.kind == "cash_dividend":
                at = SESSIONS.index(action.ex_date)
                if at > min(firsts):
                    told = {state.amount(at, amount) for amount in AMOUNTS}
                    assert action.amount in told, (action, known)

    def _check_revisions(self, report, before, after):
        frequency = self._frequencies_of(report)
        if not frequency:
            assert report.revisions == ()
            return
        name = frequency[0]
        changed = {k: (v, after.get(k)) for k, v in before.items() if k[1] == name and after.get(k) != v}
        rows = Counter(key[0] for key in changed)
        recorded = Counter()
        for revision in report.revisions:
            recorded[revision.symbol] += revision.rows
        assert recorded == rows
        for symbol in rows:
            kinds = {r.kind: r.rows for r in report.revisions if r.symbol == symbol}
            deleted = sum(1 for key, (_, new) in changed.items() if key[0] == symbol and new is None)
            assert kinds.get("deletion", 0) == deleted
            late = sum(
                1
                for key, (old, new) in changed.items()
                if key[0] == symbol and new is not None and old[PRICE] == new[PRICE] and old[VOLUME] != new[VOLUME]
            )
            assert kinds.get("late volume", 0) == late
            if self.vendor.basis == "raw":
                assert not {"split rebase", "dividend rebase"} & kinds.keys()


def seeds():
    """A seed for each test, or those that the environment asks for."""
    first, last = map(int, os.environ.get("RUSTYBT_SEEDS", "0:12").split(":"))
    return range(first, last)


@pytest.mark.parametrize("seed", seeds())
def test_the_bundle_is_what_the_vendor_said(seed, monkeypatch):
    world = World(seed)
    monkeypatch.setattr(update, "source_from_provenance", lambda provenance: world.vendor)
    try:
        for _ in range(STEPS):
            world.step()
    except AssertionError as error:
        error.add_note("\n".join(map(str, [world.vendor.basis, *world.log])))
        raise
    finally:
        world.close()
