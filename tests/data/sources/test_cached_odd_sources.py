"""Sources written by others, that do what the contract allows, or nearly: no answer is short, and nothing hangs."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from datetime import UTC, date, datetime

import polars as pl
import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources import CachedDataSource, DataSource, Delivery, bridge
from rustybt.errors import BadResponseError, DataQualityError, SourceError, SourceUnavailableError
from rustybt.market.assets import AssetAttributes
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import SourceMetadata
from tests.data.sources.invented import InventedVendor, Listing, at

START, END = date(2024, 1, 2), date(2024, 2, 1)
PATIENCE_SECONDS = 30


class Plain(DataSource):
    """Has only what a source must have; `change` is done to each answer."""

    name = "plain"

    def __init__(self, change=None):
        self.vendor = InventedVendor({s: Listing() for s in ("A", "B", "BRK.B")}, answers_whole=False)
        self.change = change or (lambda frame: frame)
        self.calls = 0

    async def fetch(self, symbols, start=None, end=None, frequency="1d"):
        self.calls += 1
        return self.change(await self.vendor.fetch(symbols, start, end, frequency))

    def get_metadata(self):
        return SourceMetadata(self.name)

    def supports_live(self):
        return False

    def truth(self, *symbols):
        return self.vendor.frame(symbols, START, END, "1d")

    @property
    def clock(self):
        return lambda: self.vendor.now


@pytest.fixture
def store(tmp_path):
    with BundleStore(tmp_path / "home", clock=lambda: at("2024-03-15T22:00")) as opened:
        yield opened


def in_time(work):
    """What `work` returns; a hang is a failure and not the end of the tests."""
    found = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert found, "it hangs"
    return found[0]


# -- order and repetition --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        pl.DataFrame.reverse,
        lambda frame: frame.sample(fraction=1, shuffle=True, seed=4),
        lambda frame: frame.vstack(frame),
        lambda frame: frame.vstack(frame.head(1)),
        lambda frame: frame.head(1).with_columns(close=pl.col("open")).vstack(frame),
    ],
    ids=["backwards", "shuffled", "twice", "one bar again", "one bar corrected"],
)
@pytest.mark.parametrize("symbols", [("A",), ("A", "B")])
def test_bars_in_any_order_and_repeated_are_whole_and_sorted(store, change, symbols):
    source = Plain(change)
    cached = CachedDataSource(source, store=store)
    for _ in range(2):
        assert cached.fetch_sync(symbols, START, END).equals(source.truth(*symbols))
    assert source.calls == 1


def test_a_bar_that_came_again_with_other_values_is_told(store):
    first = pl.col("timestamp") == datetime(2024, 1, 2, tzinfo=UTC)
    source = Plain(lambda frame: frame.filter(first).with_columns(close=pl.col("open")).vstack(frame))
    delivery = CachedDataSource(source, store=store).fetch_with_events(["A"], START, END)
    assert delivery.notes == ("A: 1 bars came again with other values, and the last one counts",)


def test_flags_of_missing_volume_follow_their_bars_into_order(store):
    class Backwards(Plain):
        def fetch_with_events(self, symbols, start=None, end=None, frequency="1d", progress=None):
            frame = self.truth(*symbols).reverse()
            return Delivery(frame, missing_volume=frame["timestamp"].dt.day() == 3)

    delivery = CachedDataSource(Backwards(), store=store).fetch_with_events(["A"], START, END)
    assert delivery.bars.filter(delivery.missing_volume)["timestamp"].to_list() == [datetime(2024, 1, 3, tzinfo=UTC)]


# -- other names and other shapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "told"), [("a", "A"), ("brk-b", "BRK.B")])
def test_bars_under_another_spelling_are_not_taken_for_none(store, asked, told):
    source = Plain()
    source.vendor.spelling = {asked: told}
    cached = CachedDataSource(source, store=store)
    for _ in range(2):
        with pytest.raises(BadResponseError, match=f"asked for {asked}, the source answered with bars of {told}"):
            cached.fetch_sync([asked], START, END)


def test_bars_of_symbols_that_nobody_asked_for_are_left_out(store):
    source = Plain(lambda frame: frame.vstack(frame.with_columns(symbol=pl.lit("Z"))))
    assert CachedDataSource(source, store=store).fetch_sync(["A"], START, END).equals(source.truth("A"))


def test_a_frame_without_columns_has_no_bars(store):
    source = Plain(lambda _: pl.DataFrame())
    assert CachedDataSource(source, store=store).fetch_sync(["A"], START, END).is_empty()


@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        lambda frame: frame.to_dicts(),
        lambda frame: frame.with_columns(pl.col("close").cast(pl.Float64)),
    ],
    ids=["nothing", "a list", "floats"],
)
def test_what_is_no_frame_of_bars_is_refused_and_nothing_of_it_is_kept(store, change):
    source = Plain(change)
    cached = CachedDataSource(source, store=store)
    with pytest.raises(DataQualityError, match="bars"):
        cached.fetch_sync(["A"], START, END)
    source.change = lambda frame: frame
    assert cached.fetch_sync(["A"], START, END).equals(source.truth("A"))


def test_what_only_deliver_tells_is_kept(store):
    class Teller(Plain):
        def deliver(self, request, progress=None):
            for symbol in request.symbols:
                yield Delivery(
                    self.truth(symbol),
                    assets={symbol: AssetAttributes("XLON")},
                    actions=(CorporateAction.split(symbol, date(2024, 1, 10), 2, 1, source="teller"),),
                    price_basis="split_adjusted",
                )

    source = Teller()
    for _ in range(2):
        delivery = CachedDataSource(source, store=store).fetch_with_events(["A", "B"], START, END)
        assert delivery.bars.equals(source.truth("A", "B"))
        assert [(action.symbol, action.ex_date) for action in delivery.actions] == [
            ("A", date(2024, 1, 10)),
            ("B", date(2024, 1, 10)),
        ]
        assert delivery.price_basis == "split_adjusted"
        assert delivery.assets["B"].venue == "XLON"


# -- what could wait for itself --------------------------------------------------------------------------------------


def test_a_cache_before_the_same_cache_does_not_wait_for_itself(store):
    source = Plain()
    outer = CachedDataSource(CachedDataSource(source, store=store), store=store)
    assert in_time(lambda: outer.fetch_sync(["A", "B"], START, END)).equals(source.truth("A", "B"))
    assert source.calls == 1


def test_a_cache_before_the_same_cache_asks_no_more_than_that_one(store):
    inner = CachedDataSource(Plain(), store=store, offline=True)
    with pytest.raises(SourceError, match="offline"):
        CachedDataSource(inner, store=store).fetch_sync(["A"], START, END)


def test_a_cache_before_a_cache_elsewhere_tells_vendors_feeds_apart(store, tmp_path):
    one, other = Plain(), Plain(lambda frame: frame.with_columns(close=pl.col("open")))
    for source, feed in ((one, "x"), (other, "y")):
        source.cache_identity = lambda feed=feed: {"feed": feed}
        inner = CachedDataSource(source, tmp_path / feed, store=store)
        found = CachedDataSource(inner, store=store).fetch_sync(["A"], START, END)
        assert found.equals(source.change(source.truth("A")))


def test_a_fetch_that_asks_another_cached_source_and_waits_for_it(store):
    class Composite(Plain):
        name = "composite"

        async def fetch(self, symbols, start=None, end=None, frequency="1d"):
            return inner.fetch_sync(symbols, start, end, frequency)

    inner, source = CachedDataSource(Plain(), store=store), Composite()
    found = in_time(lambda: CachedDataSource(source, store=store).fetch_sync(["A"], START, END))
    assert found.equals(source.truth("A"))


def test_a_fetch_that_works_in_threads_finds_one_however_many_ask(store):
    together = threading.Barrier(40)

    class Blocking(Plain):
        async def fetch(self, symbols, start=None, end=None, frequency="1d"):
            await asyncio.to_thread(lambda: None)
            return await super().fetch(symbols, start, end, frequency)

    source = Blocking()
    names = [f"S{n}" for n in range(40)]
    source.vendor.listings.update((name, Listing()) for name in names)
    cached = CachedDataSource(source, store=store)

    def ask(name):
        together.wait(PATIENCE_SECONDS)
        return cached.fetch_sync([name], START, END).height

    pool = ThreadPoolExecutor(len(names))
    asked = [pool.submit(ask, name) for name in names]
    done = wait_for(asked, timeout=PATIENCE_SECONDS).done
    pool.shutdown(wait=False, cancel_futures=True)
    assert [one.result() for one in asked if one in done] == [22] * len(names)


def test_a_fetch_that_leaves_the_program_leaves_the_bridge_to_others(store):
    class Leaver(Plain):
        async def fetch(self, symbols, start=None, end=None, frequency="1d"):
            raise SystemExit(3)

    with pytest.raises(SystemExit):
        CachedDataSource(Leaver(), store=store).fetch_sync(["A"], START, END)
    assert in_time(lambda: bridge.run(asyncio.sleep(0, "still there"))) == "still there"


# -- late ------------------------------------------------------------------------------------------------------------


def test_a_bar_that_is_late_is_not_missing_until_the_next_close(tmp_path):
    friday = datetime(2024, 3, 15, tzinfo=UTC)
    vendor = InventedVendor({"A": Listing(late={("1d", friday): at("2024-03-15T21:10")})}, now=at("2024-03-15T20:30"))
    with BundleStore(tmp_path / "home", clock=vendor.clock) as store:
        cached = CachedDataSource(vendor, store=store)
        days, calls = [], []
        for moment in ("2024-03-15T20:30", "2024-03-15T21:29", "2024-03-15T21:30", "2024-03-17T10:00"):
            vendor.now = at(moment)
            days.append(cached.fetch_sync("A", START)["timestamp"][-1].day)
            calls.append(len(vendor.asked))
    # The close was at 20:00 UTC, the delay is 15 minutes; asked once more an hour after it had not come.
    assert (days, calls) == ([14, 14, 15, 15], [1, 1, 2, 2])


# -- what a source says of itself ------------------------------------------------------------------------------------


def test_the_calendar_that_a_source_names_decides_what_is_final(tmp_path):
    """At 22:00 UTC New York has closed, and the day of a market that never closes is still forming."""

    class Coins(Plain):
        def __init__(self):
            super().__init__()
            self.vendor = InventedVendor(
                {"A": Listing("24/7")},
                now=at("2024-03-14T22:00"),
                answers_whole=False,
                shows_forming=True,
                settlement=0.0,
            )

        def calendar_name(self):
            return "24/7"

    source = Coins()
    with BundleStore(tmp_path / "home", clock=source.clock) as store:
        cached = CachedDataSource(source, store=store)
        volumes = []
        for moment in ("2024-03-14T22:00", "2024-03-15T02:00"):
            source.vendor.now = at(moment)
            found = cached.fetch_sync("A", date(2024, 3, 12), date(2024, 3, 14))
            assert found.equals(source.vendor.frame(["A"], date(2024, 3, 12), date(2024, 3, 14), "1d"))
            volumes.append(found["volume"][-1])
    # 22 hours have 1,320 minutes; the whole day is another number.
    assert volumes[0] == 1_320 != volumes[1]


def test_keeping_warm_outlives_a_source_that_cannot_list_its_symbols_for_a_while(store):
    class Lister(Plain):
        def list_symbols(self):
            if not self.calls:
                self.calls = 1
                raise SourceUnavailableError("down")
            return ["A"]

    reports = []

    async def sleep(_):
        if reports:
            raise asyncio.CancelledError

    async def main():
        cached = CachedDataSource(Lister(), store=store)
        with pytest.raises(asyncio.CancelledError):
            await cached.keep_warm([], start=START, sleep=sleep, on_report=reports.append)

    asyncio.run(main())
    assert [report.symbols for report in reports] == [("A",)]


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": "SESAME-0123456789"},
        {"base_url": "https://me:SESAME-0123456789@127.0.0.1/"},
        {"token": "SESAME-0123456789"},
        {"login": {"password": "SESAME-0123456789"}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_key_among_the_options_of_a_source_does_not_reach_the_ledger(store, options):
    source = Plain()
    source.options = lambda: options
    cached = CachedDataSource(source, store=store)
    cached.fetch_sync(["A"], START, END)
    assert "SESAME" not in str([dataset.to_json() for dataset in cached.cache.datasets()])
    cached.close()
    found = [path for path in store.home.rglob("*") if path.is_file() and b"SESAME" in path.read_bytes()]
    assert found == []
