"""What the base class does for every source: the synchronous face, batches, and the one path into a bundle."""

import asyncio
import json
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from rustybt.data.sources import DataSource, Delivery
from rustybt.data.sources.delivery import QUARANTINE_SCHEMA
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    BundleNameError,
    BundleNotFoundError,
    DataQualityError,
    NotCoveredError,
    RateLimitedError,
    RequestError,
    SourceError,
    SymbolNotFoundError,
)
from rustybt.market.assets import AssetAttributes
from rustybt.market.bars import BAR_SCHEMA, empty_bars
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import SourceMetadata
from rustybt.market.request import BarRequest


def bars_of(symbol, *days, close="10.5", volume="100"):
    rows = [
        (f"{day}T00:00:00Z", symbol, Decimal(10), Decimal(11), Decimal(9), Decimal(close), Decimal(volume))
        for day in days
    ]
    frame = pl.DataFrame(rows, schema=list(BAR_SCHEMA), orient="row")
    return frame.with_columns(pl.col("timestamp").str.to_datetime(time_unit="us", time_zone="UTC")).cast(BAR_SCHEMA)


class FakeVendor(DataSource):
    """Knows some symbols; `errors` are raised whenever their symbol is asked for."""

    name = "fake"
    symbols_per_fetch = 2

    def __init__(self, known, errors=None):
        self.known, self.errors, self.asked = known, errors or {}, []

    async def fetch(self, symbols, start, end, frequency="1d"):
        await asyncio.sleep(0)
        request = BarRequest.create(symbols, start, end, frequency)
        self.asked.append(request.symbols)
        for symbol in request.symbols:
            if symbol in self.errors:
                raise self.errors[symbol]
            if symbol not in self.known:
                raise SymbolNotFoundError(f"fake has no {symbol}", symbol=symbol)
        parts = [self.known[symbol].filter(request.in_range()) for symbol in sorted(request.symbols)]
        whole = empty_bars()
        for part in parts:
            whole = whole.vstack(part)
        return whole

    def get_metadata(self):
        return SourceMetadata("fake", source_url="https://fake.example", api_version="v1")

    def supports_live(self):
        return False


class Deliverer(FakeVendor):
    """Hands over prepared deliveries."""

    def __init__(self, *deliveries):
        super().__init__({})
        self.deliveries = deliveries

    def deliver(self, request, progress=None):
        return iter(self.deliveries)

    def list_symbols(self):
        return ["A", "B"]


DAYS = ("2020-01-02", "2020-01-03", "2020-01-06")


@pytest.fixture
def vendor():
    return FakeVendor({name: bars_of(name, *DAYS) for name in "ABC"})


def test_the_interface_has_the_four_methods_of_the_design():
    abstract = {"fetch", "get_metadata", "supports_live"}
    assert DataSource.__abstractmethods__ == abstract
    assert not getattr(DataSource.ingest_to_bundle, "__isabstractmethod__", False)


def test_fetch_sync_answers_like_fetch(vendor):
    expected = asyncio.run(vendor.fetch(["A"], "2020-01-01", "2020-01-31", "1d"))
    assert vendor.fetch_sync(["A"], "2020-01-01", "2020-01-31", "1d").equals(expected)


def test_fetch_sync_works_inside_a_running_loop(vendor):
    async def cell():
        return vendor.fetch_sync("A")

    assert asyncio.run(cell()).height == 3


def test_a_source_that_cannot_list_its_symbols_says_so(vendor, store):
    with pytest.raises(RequestError, match="cannot list its symbols"):
        vendor.ingest_to_bundle("us", store=store)


def test_ingest_fetches_checks_and_stores(vendor, store):
    report = vendor.ingest_to_bundle("us", ["A", "B"], "2020-01-01", "2020-01-31", store=store)
    assert (report.bundle, report.version, report.rows, report.exit_code) == ("us", 1, 6, 0)
    assert report.symbols == ("A", "B")
    assert report.reference == "us@1"
    with store.open("us") as bundle:
        assert bundle.read(["A"])["close"].to_list() == [Decimal("10.5")] * 3


def test_the_provenance_says_who_what_and_when(vendor, store):
    vendor.ingest_to_bundle("us", ["B", "A"], "2020-01-01", "2020-01-31", store=store, clock=lambda: 1_600_000_000.5)
    with store.open("us") as bundle:
        provenance = bundle.provenance
    assert provenance["source_type"] == "fake"
    assert provenance.source_url == "https://fake.example"
    assert provenance.symbols == ("B", "A")
    assert (provenance.start, provenance.end, provenance.frequency) == ("2020-01-01", "2020-01-31", "1d")
    assert provenance.fetch_timestamp == 1_600_000_000


def test_symbols_are_asked_for_in_batches_and_in_rising_order(vendor, store):
    vendor.ingest_to_bundle("us", ["C", "B", "A"], store=store)
    assert vendor.asked == [("A", "B"), ("C",)]


def test_progress_counts_symbols(vendor, store):
    seen = []
    vendor.ingest_to_bundle("us", ["A", "B", "C"], store=store, progress=lambda *step: seen.append(step))
    assert seen == [("fetch", 2, 3), ("fetch", 3, 3)]


def test_the_same_bars_again_make_no_version(vendor, store):
    vendor.ingest_to_bundle("us", ["A"], store=store)
    again = vendor.ingest_to_bundle("us", ["A"], store=store)
    assert again.unchanged
    assert again.version == 1


def test_one_bad_symbol_does_not_fail_the_others(vendor, store):
    vendor.errors["B"] = BadResponseError("fake sent nonsense for B", symbol="B")
    report = vendor.ingest_to_bundle("us", ["A", "B", "C"], store=store)
    assert report.symbols == ("A", "C")
    assert report.failures["B"].message == "fake sent nonsense for B"
    assert report.exit_code == 3


def test_an_unknown_symbol_alone_in_its_batch_is_a_failure(vendor, store):
    report = vendor.ingest_to_bundle("us", ["A", "B", "Z"], store=store)
    assert isinstance(report.failures["Z"], SymbolNotFoundError)


@pytest.mark.parametrize("error", [AuthenticationError("bad key"), RateLimitedError("wait")])
def test_what_no_symbol_could_survive_stops_the_ingest(vendor, store, error):
    vendor.errors["B"] = error
    with pytest.raises(type(error)):
        vendor.ingest_to_bundle("us", ["A", "B"], store=store)
    assert store.list_bundles() == []


def test_an_authentication_error_of_a_single_symbol_stops_the_ingest_too(vendor, store):
    vendor.errors |= {"A": BadResponseError("x"), "B": AuthenticationError("bad key")}
    with pytest.raises(AuthenticationError):
        vendor.ingest_to_bundle("us", ["A", "B"], store=store)


def test_a_single_failure_of_everything_is_raised_as_it_is(vendor, store):
    with pytest.raises(SymbolNotFoundError, match="fake has no Z"):
        vendor.ingest_to_bundle("us", ["Z"], store=store)
    with pytest.raises(BundleNotFoundError):
        store.open("us")


def test_when_all_symbols_fail_the_error_names_them(vendor, store):
    with pytest.raises(SymbolNotFoundError, match=r"none of 2 symbols.*fake has no X.*fake has no Z") as caught:
        vendor.ingest_to_bundle("us", ["Z", "X"], store=store)
    assert set(caught.value.failures) == {"X", "Z"}


def test_failures_of_several_kinds_are_raised_as_a_source_error(vendor, store):
    vendor.errors["X"] = BadResponseError("nonsense")
    with pytest.raises(SourceError) as caught:
        vendor.ingest_to_bundle("us", ["X", "Z"], store=store)
    assert type(caught.value) is SourceError


def test_a_range_without_bars_is_not_covered(vendor, store):
    with pytest.raises(NotCoveredError, match="no bars from 2021-01-01 to 2021-01-31"):
        vendor.ingest_to_bundle("us", ["A"], "2021-01-01", "2021-01-31", store=store)


def test_a_symbol_without_bars_in_the_range_is_skipped_with_a_reason(vendor, store):
    vendor.known["D"] = bars_of("D", "2019-06-03")
    report = vendor.ingest_to_bundle("us", ["A", "D"], "2020-01-01", None, store=store)
    assert report.skipped == {"D": "no bars from 2020-01-01 to the end"}
    assert report.exit_code == 0


def test_a_bad_bundle_name_is_refused_before_anything_is_fetched(vendor, store):
    with pytest.raises(BundleNameError):
        vendor.ingest_to_bundle("../../x", ["A"], store=store)
    assert vendor.asked == []


def test_an_end_before_the_start_is_refused(vendor, store):
    with pytest.raises(RequestError, match="before the start"):
        vendor.ingest_to_bundle("us", ["A"], "2020-02-01", "2020-01-01", store=store)


def test_rows_that_break_a_rule_are_set_aside_with_their_reason(vendor, store):
    vendor.known["A"] = vendor.known["A"].vstack(bars_of("A", "2020-01-04", "2020-01-07", close="99"))
    report = vendor.ingest_to_bundle("us", ["A"], store=store)
    assert report.rows == 3
    assert report.rows_quarantined == 2
    assert report.quarantined["not a session of XNYS"] == 1
    assert report.quarantined["high below close"] == 2
    assert report.examples[0].timestamp == "2020-01-04"
    assert report.examples[0].text == "10,11,9,99,100"


def test_a_bar_that_is_not_final_is_set_aside(vendor, store):
    noon_of_last_day = 1_578_312_000.0
    report = vendor.ingest_to_bundle("us", ["A"], store=store, clock=lambda: noon_of_last_day)
    assert report.rows == 2
    assert report.quarantined == {"not final": 1}


def test_strict_refuses_bad_rows_and_leaves_no_version(vendor, store):
    vendor.known["B"] = bars_of("B", *DAYS, close="99")
    with pytest.raises(DataQualityError, match=r"strict ingest refused.*high below close") as caught:
        vendor.ingest_to_bundle("us", ["A", "B"], store=store, strict=True)
    assert caught.value.report.quarantined == {"high below close": 3}
    assert store.list_bundles() == []


def test_strict_refuses_a_missing_session(vendor, store):
    vendor.known["A"] = bars_of("A", "2020-01-02", "2020-01-06")
    with pytest.raises(DataQualityError, match="1 sessions of XNYS without a bar"):
        vendor.ingest_to_bundle("us", ["A"], store=store, strict=True)


def test_strict_refuses_a_failed_symbol(vendor, store):
    with pytest.raises(DataQualityError, match="Z: fake has no Z"):
        vendor.ingest_to_bundle("us", ["A", "Z"], store=store, strict=True)


def test_strict_accepts_what_is_clean(vendor, store):
    assert vendor.ingest_to_bundle("us", ["A"], store=store, strict=True).version == 1


def test_when_every_row_is_set_aside_the_error_says_why(vendor, store):
    vendor.known["A"] = bars_of("A", *DAYS, close="99")
    with pytest.raises(DataQualityError, match=r"every row was set aside.*high below close \(3\)"):
        vendor.ingest_to_bundle("us", ["A"], store=store)


def test_a_symbol_whose_rows_are_all_set_aside_is_skipped(vendor, store):
    vendor.known["A"] = bars_of("A", *DAYS, close="99")
    report = vendor.ingest_to_bundle("us", ["A", "B"], store=store)
    assert report.skipped == {"A": "every row was set aside"}


def test_replace_never_removes_the_rows_of_a_symbol_that_failed(vendor, store):
    vendor.ingest_to_bundle("us", ["A", "B"], store=store)
    vendor.errors["B"] = BadResponseError("down for B")
    vendor.known["A"] = bars_of("A", *DAYS[:2])
    report = vendor.ingest_to_bundle("us", ["A", "B"], "2020-01-01", "2020-01-31", store=store, replace=True)
    assert report.rows_removed == 1
    with store.open("us") as bundle:
        assert bundle.read(["B"]).height == 3


def test_replace_removes_the_rows_of_a_symbol_that_has_none_any_more(vendor, store):
    vendor.ingest_to_bundle("us", ["A", "B"], store=store)
    vendor.known["B"] = empty_bars()
    report = vendor.ingest_to_bundle("us", ["A", "B"], "2020-01-01", "2020-01-31", store=store, replace=True)
    assert report.rows_removed == 3


def test_corporate_actions_are_stored_with_the_bars_of_their_symbol(vendor, store):
    given = [
        CorporateAction.split("A", date(2020, 1, 3), 2),
        CorporateAction.split("OTHER", date(2020, 1, 3), 2),
    ]
    vendor.ingest_to_bundle("us", ["A"], store=store, actions=given)
    with store.open("us") as bundle:
        assert [action.symbol for action in bundle.corporate_actions()] == ["A"]


def test_a_delivery_brings_quarantine_failures_files_assets_and_notes(store):
    lost = pl.DataFrame(
        [("A", "2020-01-07", "close is not a number", "a.csv:5", "x")], schema=QUARANTINE_SCHEMA, orient="row"
    )
    source = Deliverer(
        Delivery(
            bars_of("A", *DAYS),
            lost,
            pl.Series([True, False, False]),
            assets={"A": AssetAttributes(currency="EUR")},
            failures={"B": BadResponseError("broken")},
            files={"a.csv": "ab" * 32},
            notes=("columns not used: x",),
        )
    )
    report = source.ingest_to_bundle("eu", store=store)
    assert report.rows_quarantined == 1
    assert str(report.examples[0]) == "A 2020-01-07 (a.csv:5): close is not a number"
    assert report.quality.missing_volume_count == 1
    assert "columns not used: x" in report.notes
    with store.open("eu") as bundle:
        assert bundle.provenance.files == {"a.csv": "ab" * 32}
        assert bundle.asset("A").currency == "EUR"
        assert bundle.quality().quarantined == {"close is not a number": 1}


def test_batches_of_different_price_basis_are_refused(store):
    source = Deliverer(Delivery(bars_of("A", *DAYS)), Delivery(bars_of("B", *DAYS), price_basis="split_adjusted"))
    with pytest.raises(RequestError, match="price"):
        source.ingest_to_bundle("us", store=store)


def test_a_source_without_any_delivery_is_not_covered(store):
    with pytest.raises(NotCoveredError):
        Deliverer().ingest_to_bundle("us", store=store)


def test_crypto_gets_the_calendar_that_never_closes(store):
    source = Deliverer(Delivery(bars_of("A", "2020-01-04"), assets={"A": AssetAttributes(asset_type="crypto")}))
    assert source.ingest_to_bundle("coins", store=store).rows == 1
    assert store.list_bundles()[0].calendar_name == "24/7"


def test_assets_of_different_calendars_are_refused(store):
    assets = {"A": AssetAttributes(asset_type="crypto"), "B": AssetAttributes()}
    with pytest.raises(RequestError, match="a bundle has one calendar, and the symbols trade on 2: 24/7: "):
        Deliverer(Delivery(bars_of("A", "2020-01-03"), assets=assets)).ingest_to_bundle("mix", store=store)


def test_a_bundle_keeps_its_calendar_when_none_is_named(store):
    weekend = Deliverer(Delivery(bars_of("A", "2020-01-04")))
    weekend.ingest_to_bundle("mine", store=store, calendar="24/7")
    later = Deliverer(Delivery(bars_of("A", "2020-01-05")))
    assert later.ingest_to_bundle("mine", store=store).rows == 1


def test_the_report_is_plain_json(vendor, store):
    vendor.errors["B"] = BadResponseError("broken", hint="repair it")
    plain = json.loads(json.dumps(vendor.ingest_to_bundle("us", ["A", "B"], store=store).to_json()))
    assert plain["failures"]["B"] == {
        "code": "bad-response",
        "kind": "malformed answer",
        "message": "broken",
        "hint": "repair it",
    }
    assert plain["exit_code"] == 3
    assert plain["reference"] == "us@1"


def test_a_plan_reads_nothing(vendor):
    plan = vendor.plan(["B", "A"], "2020-01-01", "2020-01-31", "1d")
    assert vendor.asked == []
    assert plan.symbols == ("B", "A")
    assert plan.to_json()["start"] == "2020-01-01"


def test_without_a_store_the_configured_home_is_used(vendor, tmp_path):
    vendor.ingest_to_bundle("us", ["A"])
    assert (tmp_path / "home").is_dir()


def test_a_source_has_no_options_and_no_calendar_by_default(vendor):
    assert vendor.options() == {}
    assert vendor.calendar_name() is None
