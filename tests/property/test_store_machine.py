"""The store against a perfect one: plain dicts in memory."""

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rustybt.data.bundles import layout
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import VersionNotFoundError
from rustybt.market.bars import BAR_SCHEMA, VALUE_COLUMNS
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars
from rustybt.testing.reference_hash import reference_hash

SYMBOLS = ["A", "AA", "BRK.B", "é"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS = [datetime(2023, 12, 20, tzinfo=UTC) + timedelta(days=n) for n in range(60)]
# Across the borders of months and years, with a long gap: three files by month, two by year.
MOMENTS = [datetime(2023, 12, 31, 22, tzinfo=UTC) + timedelta(hours=n) for n in range(5)] + [
    datetime(2024, 2, 1, 3, tzinfo=UTC) + timedelta(hours=n) for n in range(3)
]
TIMES = {"1d": DAYS, "1h": MOMENTS, "1m": MOMENTS}
NUMBERS = [
    Decimal(text)
    for text in ("1", "1.5", "0", "-3.25", "0.000000000000000001", "99999999999999999999.9", "12345678901234")
]
ATTRIBUTES = {
    "venue": None, "asset_type": "equity", "currency": "USD", "lot_size": None, "tick_size": None, "name": "",
    "listing_epoch": None,
}  # fmt: skip

values = st.lists(st.sampled_from(NUMBERS), min_size=5, max_size=5).map(tuple)


@st.composite
def deliveries(draw):
    """A frequency, some bars of it, and how they are cut into frames."""
    frequency = draw(st.sampled_from(["1d", "1d", "1h", "1m"]))
    key = st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(TIMES[frequency]))
    rows = draw(st.dictionaries(key, values, min_size=1, max_size=14))
    shares = draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    return frequency, rows, shares


def frames(rows, shares):
    """Cut rows into up to four frames; a key is in one of them."""
    cut = [
        [(*key, *row) for (key, row), share in zip(rows.items(), shares, strict=True) if share == n] for n in range(4)
    ]
    return [frame_of_bars(part) for part in cut if part]


def microseconds(moment):
    return (moment - EPOCH) // timedelta(microseconds=1)


def as_dict(frame):
    assert frame.schema == BAR_SCHEMA
    rows = frame.rows()
    keys = [(row[1], row[0]) for row in rows]
    assert keys == sorted(set(keys)), "sorted and unique"
    return dict(zip(keys, (row[2:] for row in rows), strict=True))


class StoreMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="rustybt-machine-"))
        self.store = BundleStore(self.home)
        self.versions = []  # content of version n at n - 1: frequency -> key -> values
        self.bases = []  # symbol -> frequencies that were ever delivered
        self.hashes = []
        self.tags = {}
        self.collected = set()

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.home)

    # -- the model ---------------------------------------------------------------------------------------------------

    def head(self):
        held = {frequency: dict(rows) for frequency, rows in self.versions[-1].items()} if self.versions else {}
        return held, ({symbol: set(known) for symbol, known in self.bases[-1].items()} if self.bases else {})

    def expect(self, frequency, new, result, removed=(), counted=True):
        held, known = self.head()
        rows = held.setdefault(frequency, {})
        before = dict(rows)
        for key in removed:
            rows.pop(key, None)
        rows.update(new)
        for symbol, _ in new:
            known.setdefault(symbol, set()).add(frequency)
        held = {name: kept for name, kept in held.items() if kept}
        described = {
            "actions": [],
            "aliases": [],
            "assets": {
                symbol: {"attributes": ATTRIBUTES, "price_basis": dict.fromkeys(sorted(freqs), "raw")}
                for symbol, freqs in known.items()
            },
        }
        expected = reference_hash(held, described)
        assert result.content_hash == expected
        assert result.unchanged is (bool(self.hashes) and self.hashes[-1] == expected)
        if not result.unchanged:
            self.versions.append(held)
            self.bases.append(known)
            self.hashes.append(expected)
        assert result.version == len(self.versions)
        assert result.row_count == sum(map(len, held.values()))
        if not counted:
            return
        assert result.rows_removed == len(before.keys() - rows.keys())
        assert result.rows_added == len(rows.keys() - before.keys())
        assert result.rows_changed == sum(before[key] != rows[key] for key in before.keys() & rows.keys())
        assert result.rows_unchanged == sum(before.get(key) == row for key, row in new.items())

    # -- writing -----------------------------------------------------------------------------------------------------

    @initialize(delivery=deliveries())
    def first(self, delivery):
        self.upsert(delivery)

    @rule(delivery=deliveries())
    def upsert(self, delivery):
        frequency, rows, shares = delivery
        result = self.store.commit("us", iter(frames(rows, shares)), Provenance("machine"), frequency=frequency)
        self.expect(frequency, rows, result)

    @rule(count=st.integers(1, 3), symbols=st.sets(st.sampled_from(SYMBOLS), min_size=1), row=values)
    def append_to_the_end(self, count, symbols, row):
        """What a daily update does: a small tail behind the base, with some symbols missing."""
        held = self.head()[0].get("1d", {})
        last = max((DAYS.index(moment) for _, moment in held if moment in DAYS), default=-1)
        if last + 1 < len(DAYS):
            self.append_days(last + 1, count, symbols, row)

    @rule(at=st.integers(0, 59), row=values)
    def remove_the_beginning(self, at, row):
        """Everything up to a day, so that a base may go whole while its tail stays."""
        day = DAYS[at]
        held = self.head()[0].get("1d", {})
        gone = [key for key in held if key[1] <= day]
        result = self.store.commit(
            "us", frame_of_bars([]), Provenance("machine"), symbols=SYMBOLS, end=microseconds(day), replace=True
        )
        self.expect("1d", {}, result, gone)

    @rule(
        first=st.integers(0, 45),
        count=st.integers(1, 25),
        symbols=st.sets(st.sampled_from(SYMBOLS), min_size=1),
        row=values,
    )
    def append_days(self, first, count, symbols, row):
        """Long runs, so that tails fill up and are folded."""
        rows = {(symbol, day): row for symbol in symbols for day in DAYS[first : first + count]}
        result = self.store.commit(
            "us", frame_of_bars((*key, *row) for key, row in rows.items()), Provenance("machine")
        )
        self.expect("1d", rows, result)

    @rule(
        delivery=deliveries(),
        asked=st.sets(st.sampled_from(SYMBOLS)),
        bounds=st.tuples(st.none() | st.integers(0, 7), st.none() | st.integers(0, 7)),
        is_ordered=st.booleans(),
    )
    def replace(self, delivery, asked, bounds, is_ordered):
        frequency, rows, shares = delivery
        times = TIMES[frequency]
        start, end = (None if at is None else times[at * len(times) // 8] for at in bounds)
        if start and end and end < start:
            start, end = end, start
        rows = {key: row for key, row in rows.items() if (not start or key[1] >= start) and (not end or key[1] <= end)}
        shares = [0] * len(rows) if is_ordered else shares[: len(rows)]
        scope = asked | {symbol for symbol, _ in rows}
        held = self.head()[0].get(frequency, {})
        gone = [
            key
            for key in held
            if key not in rows and key[0] in scope and (not start or key[1] >= start) and (not end or key[1] <= end)
        ]
        result = self.store.commit(
            "us",
            iter(frames(rows, shares)),
            Provenance("machine"),
            frequency=frequency,
            symbols=sorted(scope),
            start=start and microseconds(start),
            end=end and microseconds(end),
            replace=True,
        )
        self.expect(frequency, rows, result, gone, counted=is_ordered)

    # -- keeping -----------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(["golden", "old"]), at=st.integers(0, 100))
    def tag(self, name, at):
        alive = [n for n in range(1, len(self.versions) + 1) if n not in self.collected]
        number = alive[at % len(alive)]
        self.store.tag(f"us@{number}", name)
        self.tags[name] = number
        assert self.store.tags("us") == self.tags

    @precondition(lambda self: self.tags)
    @rule()
    def untag(self):
        name = min(self.tags)
        self.store.untag("us", name)
        del self.tags[name]
        assert self.store.tags("us") == self.tags

    @rule(keep_last=st.integers(1, 3))
    def collect(self, keep_last):
        alive = [n for n in range(1, len(self.versions) + 1) if n not in self.collected]
        doomed = {n for n in alive[:-keep_last] if n not in self.tags.values()}
        report = self.store.gc("us", keep_last=keep_last, grace_seconds=0)
        assert report.collected == [f"us@{n}" for n in sorted(doomed)]
        assert report.files_waiting == 0
        self.collected |= doomed

    @rule()
    def reopen(self):
        self.store.close()
        self.store = BundleStore(self.home)

    @rule()
    def lose_the_database(self):
        self.store.close()
        shutil.rmtree(self.home / ".rustybt")
        self.store = BundleStore(self.home)
        report = self.store.recover()
        assert report.recovered == {"us": len(self.versions)}
        assert not report.problems
        assert self.store.tags("us") == self.tags

    # -- reading -----------------------------------------------------------------------------------------------------

    @rule(
        at=st.integers(0, 100), symbol=st.sampled_from(SYMBOLS), days=st.tuples(st.integers(0, 59), st.integers(0, 59))
    )
    def read_an_old_version(self, at, symbol, days):
        number = at % len(self.versions) + 1
        if number in self.collected:
            with pytest.raises(VersionNotFoundError):
                self.store.open(f"us@{number}")
            return
        first, last = sorted(DAYS[n] for n in days)
        with self.store.open(f"us@{number}") as bundle:
            self.check(bundle, number)
            self.check_derived(bundle, number)
            if symbol not in bundle.symbols:
                return
            for frequency, rows in self.versions[number - 1].items():
                found = as_dict(bundle.read([symbol], first, last, frequency=frequency))
                assert found == {key: row for key, row in rows.items() if key[0] == symbol and first <= key[1] <= last}

    def check(self, bundle, number):
        held = self.versions[number - 1]
        assert bundle.content_hash == self.hashes[number - 1]
        assert set(bundle.frequencies) == set(held)
        for frequency, rows in held.items():
            whole = bundle.read(frequency=frequency)
            assert as_dict(whole) == rows
            arrays = bundle.read_arrays(frequency=frequency)
            for at, name in enumerate(VALUE_COLUMNS):
                assert arrays.values[name].tolist() == [float(row[at]) for _, row in sorted(rows.items())]
            symbols = [arrays.symbols[code] for code in arrays.symbol_codes]
            assert symbols == [key[0] for key in sorted(rows)]

    def check_derived(self, bundle, number):
        for frequency, rows in self.versions[number - 1].items():
            batches = list(bundle.batches(frequency))
            assert as_dict(pl.concat(batches).sort("symbol", "timestamp")) == rows
            series = bundle.series(frequency)
            assert dict(series.select("symbol", "rows").rows()) == {
                symbol: sum(key[0] == symbol for key in rows) for symbol, _ in rows
            }

    @invariant()
    def the_latest_version_is_exact(self):
        if not self.versions:
            return
        with self.store.open("us") as bundle:
            assert bundle.version == len(self.versions)
            self.check(bundle, bundle.version)
        files = {path.relative_to(self.home).as_posix() for path in self.home.glob("us/*bars*/*")}
        assert all(record.file_key in files for record in bundle.files if record.kind == "bars")
        tail = [record for record in bundle.files if record.partition == "tail"]
        days = {moment for _, moment in self.versions[-1].get("1d", {})}
        assert sum(any(r.first_bar <= microseconds(day) for r in tail) for day in days) <= layout.MAX_TAIL_SESSIONS
        assert all(record.row_count <= layout.MAX_FILE_ROWS for record in bundle.files if record.kind == "bars")


@pytest.mark.usefixtures("small_files")
class TestStoreAgainstADict(StoreMachine.TestCase):
    settings = settings(
        max_examples=10,
        stateful_step_count=15,
        deadline=None,
        # Shrinking repeats commits by the hundred: a failing example is small enough as found.
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


@pytest.fixture
def small_files(monkeypatch):
    """Split into many files with a handful of bars."""
    monkeypatch.setattr(layout, "MAX_FILE_ROWS", 7)
