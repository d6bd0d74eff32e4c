"""A bundle as a source: its bars, what it knows beside them, and longer bars made of them."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from rustybt.data.bundles.records import Alias
from rustybt.data.sources import BundleDataSource, FrameDataSource, get_source, source_from_provenance, source_info
from rustybt.data.sources.ingest.update import update_bundle
from rustybt.errors import BundleNotFoundError, RequestError, SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.bars import BAR_SCHEMA
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import Provenance

SPLIT = CorporateAction.split("A", date(2020, 1, 6), 2, 1)
DIVIDEND = CorporateAction.cash_dividend("B", date(2020, 1, 3), "0.25")


def bars(*rows):
    """Contract bars of (symbol, timestamp, close) with a range of 1 around the close, and a volume of 10."""
    values = [(stamp, symbol, close, close + 1, close - 1, close, 10) for symbol, stamp, close in rows]
    frame = pl.DataFrame(values, schema=list(BAR_SCHEMA), orient="row")
    return frame.cast({name: BAR_SCHEMA[name] for name in BAR_SCHEMA if name != "symbol"})


def day(number, month=1):
    return datetime(2020, month, number, tzinfo=UTC)


def minute(number, hour, of, month=1):
    return datetime(2020, month, number, hour, of, tzinfo=UTC)


#: Two sessions of New York: each with two minutes, the second of them an hour before the close.
MINUTES = [
    ("A", minute(2, 14, 30), 10),
    ("A", minute(2, 20, 0), 13),
    ("A", minute(3, 14, 30), 20),
    ("A", minute(3, 20, 0), 17),
]


@pytest.fixture
def us(store):
    """A bundle with daily bars, a split, a dividend, and what is known of its assets."""
    held = bars(*(("A", day(n), 40) for n in (2, 3, 6, 7)), *(("B", day(n), 7) for n in (2, 3)))
    store.commit(
        "us",
        held,
        Provenance("csv", feed="iex", number_rule="text"),
        assets={"A": AssetAttributes(venue="XNYS", name="Alpha"), "B": AssetAttributes(venue="XNYS", currency="USD")},
        actions=[SPLIT, DIVIDEND],
        aliases=[Alias("B", "B.OLD", end=date(2019, 1, 1)), Alias("B", "B-NEW")],
        calendar="XNYS",
    )
    return held


def test_it_serves_the_stored_bars_to_the_last_digit(us, store):
    source = BundleDataSource.from_bundle("us", store=store)
    assert source.fetch_sync(["B", "A"]).equals(us)
    assert asyncio.run(source.fetch("A", "2020-01-03", "2020-01-06")).equals(us[1:3])
    assert source.fetch_sync(None).equals(us)


def test_what_the_bundle_knows_beside_bars_comes_along(us, store):
    found = BundleDataSource.from_bundle("us", store=store).fetch_with_events(["A", "B"], None, None, "1d")
    assert found.bars.equals(us)
    assert [(a.symbol, a.kind, a.ex_date) for a in found.actions] == [
        ("A", "split", date(2020, 1, 6)),
        ("B", "cash_dividend", date(2020, 1, 3)),
    ]
    assert found.price_basis == "raw"
    assert found.assets["A"] == AssetAttributes(venue="XNYS", name="Alpha")
    assert found.resampled_from == ""


def test_it_names_its_version_and_hash(us, store):
    source = BundleDataSource.from_bundle("us", store=store)
    said = source.get_metadata()
    with store.open("us") as bundle:
        assert said.data_version == bundle.content_hash
    assert (said.source_type, said.source_url, said.feed) == ("bundle", "us@1", "iex")
    assert (source.calendar_name(), source.list_symbols()) == ("XNYS", ["A", "B"])
    assert not source.supports_live()
    assert not source.wants_cache()


def test_a_later_version_does_not_change_a_source_that_is_in_use(us, store):
    source = BundleDataSource.from_bundle("us", store=store)
    store.commit("us", bars(("A", day(8), 50)), Provenance("csv"))
    source.close()
    assert source.fetch_sync("A").height == 4
    assert BundleDataSource.from_bundle("us", store=store).fetch_sync("A").height == 5


def test_an_opened_bundle_stays_open_when_the_source_is_closed(us, store):
    with store.open("us") as bundle:
        source = BundleDataSource.from_bundle(bundle)
        source.close()
        assert bundle.read().equals(us)
        assert source.options() == {"bundle": "us@1"}


def test_the_registry_makes_it_and_describes_it(us, store):
    source = get_source("bundle", bundle="us")
    assert source.fetch_sync("A").equals(us[:4])
    assert source.options() == {"bundle": "us"}
    source.close()
    found = source_info("bundle")
    assert found.available
    assert not found.supports_live
    assert {"bundle", "home", "daily_reader", "minute_reader"} <= set(found.options)
    assert all(found.options.values())


def test_another_home_is_part_of_the_options(us, store, tmp_path, monkeypatch):
    monkeypatch.setenv("RUSTYBT_HOME", str(tmp_path / "elsewhere"))
    source = BundleDataSource(bundle="us", home=store.home)
    assert source.options() == {"bundle": "us", "home": str(store.home)}
    source.close()


def test_an_unknown_symbol_is_named_with_near_ones(us, store):
    source = BundleDataSource.from_bundle("us", store=store)
    for ask in (source.fetch_sync, source.fetch_with_events):
        with pytest.raises(SymbolNotFoundError, match="us@1 has no symbol 'A1'; did you mean A") as caught:
            ask(["B", "A1"])
        assert "bundle info us@1" in caught.value.hint


def test_another_name_of_today_is_understood_and_one_of_old_is_not(us, store):
    source = BundleDataSource.from_bundle("us", store=store)
    found = source.fetch_with_events(["B-NEW"])
    assert found.bars.equals(us[4:])
    assert found.aliases == {"B": "B-NEW"}
    with pytest.raises(SymbolNotFoundError, match=r"'B\.OLD'"):
        source.fetch_sync("B.OLD")


def test_a_bundle_that_is_not_there_is_refused_at_once(store):
    with pytest.raises(BundleNotFoundError):
        BundleDataSource.from_bundle("none", store=store)
    with pytest.raises(BundleNotFoundError):
        get_source("bundle", bundle="none")


@pytest.mark.parametrize("options", [{}, {"daily_reader": FrameDataSource, "bundle": "us"}])
def test_a_reader_or_a_name_is_needed_and_not_both(options):
    with pytest.raises(RequestError, match="either readers or the name of a bundle"):
        BundleDataSource(**options)


def test_what_cannot_read_is_no_reader():
    with pytest.raises(RequestError, match="a reader is an opened bundle, not int 7"):
        BundleDataSource(7).fetch_sync("A")


class TestLongerBars:
    @pytest.fixture
    def source(self, store):
        store.commit("us", bars(*MINUTES), Provenance("csv"), frequency="1m", calendar="XNYS")
        return BundleDataSource.from_bundle("us", store=store)

    def test_days_are_sessions_of_the_minutes(self, source):
        found = source.fetch_with_events(["A"], None, None, "1d")
        assert found.bars.rows() == [
            (day(2), "A", *map(Decimal, (10, 14, 9, 13, 20))),
            (day(3), "A", *map(Decimal, (20, 21, 16, 17, 20))),
        ]
        assert found.resampled_from == "1m"

    def test_a_date_asks_for_the_whole_session(self, source):
        assert source.fetch_sync("A", "2020-01-03", "2020-01-03").row(0)[5] == 17

    def test_weeks_are_whole_wherever_the_range_ends(self, source):
        # The week's first session is Monday, 30 December; its label is asked for, its last bars lie beyond.
        found = source.fetch_sync("A", "2019-12-30", "2019-12-31", "1w")
        monday = datetime(2019, 12, 30, tzinfo=UTC)
        assert found.rows() == [(monday, "A", *map(Decimal, (10, 21, 9, 17, 40)))]

    def test_hours_are_counted_from_the_open(self, source):
        assert source.fetch_sync("A", "2020-01-02", "2020-01-02", "1h")["timestamp"].to_list() == [
            minute(2, 14, 30),
            minute(2, 19, 30),
        ]

    def test_shorter_bars_than_those_stored_are_refused(self, us_daily_only):
        with pytest.raises(RequestError, match="days@1 has no 1h bars") as caught:
            us_daily_only.fetch_sync("A", None, None, "1h")
        assert caught.value.hint == "it has 1d"

    @pytest.fixture
    def us_daily_only(self, store):
        store.commit("days", bars(("A", day(2), 1)), Provenance("csv"))
        return BundleDataSource.from_bundle("days", store=store)

    def test_a_week_that_is_not_over_is_left_out(self, store, monkeypatch):
        store.commit("days", bars(("A", day(2), 1), ("A", day(6), 2)), Provenance("csv"))
        source = BundleDataSource.from_bundle("days", store=store)
        # Wednesday the 8th: the week of the 6th goes on.
        monkeypatch.setattr(BundleDataSource, "clock", lambda _: day(8).timestamp())
        assert source.fetch_sync("A", frequency="1w")["close"].to_list() == [1]


class TestSydney:
    def test_a_date_on_minutes_is_the_session_that_opens_on_the_eve(self, store):
        # The session of 4 February opens at 23:00 UTC on the 3rd.
        rows = [("BHP", minute(3, 23, 0, 2), 10), ("BHP", minute(4, 1, 0, 2), 11), ("BHP", minute(4, 23, 0, 2), 12)]
        store.commit("au", bars(*rows), Provenance("csv"), frequency="1m", calendar="XASX")
        source = BundleDataSource.from_bundle("au", store=store)
        assert source.fetch_sync("BHP", "2020-02-04", "2020-02-04", "1m")["close"].to_list() == [10, 11]
        days = source.fetch_sync("BHP", "2020-02-04", "2020-02-04", "1d")
        assert days.select("timestamp", "close").rows() == [(day(4, 2), Decimal(11))]


class TestTwoReaders:
    def test_days_come_from_the_first_and_minutes_from_the_second(self, store):
        store.commit("days", bars(("A", day(2), 99)), Provenance("csv"))
        store.commit("minutes", bars(*MINUTES), Provenance("csv"), frequency="1m", calendar="XNYS")
        with store.open("days") as days, store.open("minutes") as minutes:
            source = BundleDataSource(days, minutes)
            assert source.fetch_sync("A", frequency="1d")["close"].to_list() == [99]
            assert source.fetch_sync("A", frequency="1m")["close"].to_list() == [10, 13, 20, 17]
            assert source.fetch_sync("A", "2020-01-02", "2020-01-02", "30m")["close"].to_list() == [10, 13]
            assert source.opened_bundle("1d") is days
            assert source.opened_bundle("1m") is None
            assert source.get_metadata().source_url == "days@1+minutes@1"

    def test_an_object_that_only_reads_will_do(self):
        class Reader:
            asked = ()

            def read(self, symbols, start, end, frequency):
                self.asked = (symbols, start, end, frequency)
                if symbols != ["A"]:
                    raise SymbolNotFoundError("only A", symbol=symbols[0])
                return bars(("A", day(2), 5))

        reader = Reader()
        source = BundleDataSource(reader)
        assert source.fetch_sync("A")["close"].to_list() == [5]
        assert reader.asked == (["A"], None, None, "1d")
        assert source.opened_bundle() is None
        assert source.options() == {}
        with pytest.raises(RequestError, match="cannot list its symbols"):
            source.list_symbols()
        with pytest.raises(SymbolNotFoundError, match="only A"):
            source.fetch_with_events(["A", "Z"])


class TestPriceBases:
    def test_symbols_on_two_bases_are_not_delivered_as_one(self, store):
        store.commit("us", bars(("A", day(2), 1)), Provenance("csv"))
        store.commit("us", bars(("B", day(2), 2)), Provenance("yfinance"), price_basis="split_adjusted")
        source = BundleDataSource.from_bundle("us", store=store)
        assert source.fetch_sync(["A", "B"])["close"].to_list() == [1, 2]
        assert source.fetch_with_events(["B"]).price_basis == "split_adjusted"
        with pytest.raises(RequestError, match="A raw, B split_adjusted"):
            source.fetch_with_events(["A", "B"])
        with pytest.raises(RequestError, match="at once"):
            source.ingest_to_bundle("copy", store=store)


class TestCopies:
    def test_a_copy_holds_bars_events_and_assets_and_says_where_from(self, us, store):
        report = BundleDataSource.from_bundle("us@1", store=store).ingest_to_bundle("copy", store=store)
        assert (report.version, report.rows) == (1, 6)
        with store.open("us") as first, store.open("copy") as copy:
            assert copy.read().equals(us)
            assert copy.corporate_actions() == first.corporate_actions()
            assert copy.asset("A").attributes == first.asset("A").attributes
            said = copy.provenance
            assert (said.source_type, said.source_url, said.data_version) == ("bundle", "us@1", first.content_hash)
            assert said.options == {"bundle": "us@1"}
            assert source_from_provenance(said).fetch_sync("A").equals(us[:4])

    def test_a_copy_of_a_name_is_brought_up_to_date_from_its_newest_version(self, us, store):
        get_source("bundle", bundle="us").ingest_to_bundle("copy", ["A"], store=store)
        store.commit("us", bars(("A", day(8), 50)), Provenance("csv"))
        (report,) = update_bundle("copy", store=store)
        assert (report.rows_added, report.version) == (1, 2)
        with store.open("copy") as copy:
            assert copy.provenance.source_url == "us@2"

    def test_minutes_of_a_bundle_become_days_beside_them(self, store):
        store.commit("us", bars(*MINUTES), Provenance("csv"), frequency="1m", calendar="XNYS")
        report = BundleDataSource.from_bundle("us", store=store).ingest_to_bundle("us", store=store)
        assert report.rows_added == 2
        with store.open("us") as bundle:
            assert bundle.frequencies == ("1m", "1d")
            assert bundle.read(frequency="1d")["close"].to_list() == [13, 17]
            assert bundle.provenance.resampled_from == "1m"
