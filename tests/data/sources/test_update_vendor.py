"""A vendor's bundle brought up to date: few requests, every symbol, no gap."""

from datetime import UTC, datetime, timedelta

import pytest

from rustybt.data.sources.ingest import update
from rustybt.data.sources.ingest.update import update_bundle
from rustybt.errors import MissingDependencyError, SourceUnavailableError
from rustybt.market.frequency import DAILY
from rustybt.market.request import parse_range
from tests.data.sources.slow_vendor import NOW, SlowVendor, daily

WEEK = 7 * 86_400
MARCH = {f"2024-03-{day:02d}": 10 + day for day in (1, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15)}


class OtherVendor(SlowVendor):
    name = "other"

    def get_metadata(self):
        from rustybt.market.provenance import SourceMetadata

        return SourceMetadata("other", adjustment=self.basis)


@pytest.fixture
def vendors(monkeypatch):
    """A slow vendor and another one, both found again by the name in the provenance."""
    made = {
        "slow": SlowVendor({"1d": {symbol: daily(symbol, MARCH) for symbol in "ABC"}}),
        "other": OtherVendor({"1d": {symbol: daily(symbol, MARCH) for symbol in "AXY"}}),
    }
    real = update.source_from_provenance
    monkeypatch.setattr(update, "source_from_provenance", lambda p: made.get(p.source_type) or real(p))
    return made


@pytest.fixture
def ingest(store, vendors):
    def run(symbols, start="2024-03-01", end="2024-03-08", source="slow"):
        return vendors[source].ingest_to_bundle("us", list(symbols), start, end, store=store, clock=lambda: NOW)

    return run


@pytest.fixture
def bring_up(store, vendors):
    def run(**more):
        for vendor in vendors.values():
            vendor.asked.clear()
        return update_bundle("us", store=store, clock=lambda: NOW, **more)

    return run


def day(text):
    return parse_range(text, None, DAILY)[0]


def asked(vendor):
    return sorted(
        (symbol, datetime.fromtimestamp(start / 1e6, UTC).date().isoformat()) for symbol, _, start, _ in vendor.asked
    )


def test_each_symbol_is_asked_from_a_week_before_its_last_bar(ingest, bring_up, vendors):
    ingest("A", end="2024-03-13")
    ingest("B", end="2024-03-12")
    (report,) = bring_up()
    assert asked(vendors["slow"]) == [("A", "2024-03-06"), ("B", "2024-03-05")]
    assert (report.rows_added, report.symbols) == (5, ("A", "B"))


def test_the_window_can_be_chosen(ingest, bring_up, vendors):
    ingest("A", end="2024-03-13")
    bring_up(refresh_seconds=2 * 86_400)
    assert asked(vendors["slow"]) == [("A", "2024-03-11")]


def test_the_window_never_begins_before_the_series(ingest, bring_up, vendors):
    ingest("A", start="2024-03-06", end="2024-03-08")
    bring_up()
    assert asked(vendors["slow"]) == [("A", "2024-03-06")]


def test_nothing_new_is_unchanged(ingest, bring_up, vendors):
    ingest("AB", end=None)
    (report,) = bring_up()
    assert report.unchanged
    assert len(vendors["slow"].asked) == 2


def test_a_correction_inside_the_window_is_taken_and_recorded(ingest, bring_up, vendors):
    ingest("A", end=None)
    vendors["slow"].bars["1d"]["A"] = daily("A", {**MARCH, "2024-03-14": 99})
    (report,) = bring_up()
    assert [revision.kind for revision in report.revisions] == ["correction"]


def test_a_symbol_that_failed_before_is_asked_whole(ingest, bring_up, vendors):
    vendors["slow"].errors = {"B": SourceUnavailableError("down")}
    ingest("AB", end="2024-03-13")
    vendors["slow"].errors = {}
    (report,) = bring_up()
    assert asked(vendors["slow"]) == [("A", "2024-03-06"), ("B", "2024-03-01")]
    assert report.rows_added == 2 + 11


def test_a_symbol_is_asked_at_the_source_that_delivered_it_last(ingest, bring_up, vendors):
    ingest("AB")
    ingest("AX", source="other")
    reports = bring_up()
    assert [symbol for symbol, _ in asked(vendors["slow"])] == ["B"]
    assert [symbol for symbol, _ in asked(vendors["other"])] == ["A", "X"]
    assert [report.symbols for report in reports] == [("A", "X"), ("B",)]


def test_a_source_that_only_failed_a_symbol_does_not_own_it(ingest, bring_up, vendors):
    ingest("B")
    ingest("XB", source="other")  # knows no B
    bring_up()
    assert [symbol for symbol, _ in asked(vendors["slow"])] == ["B"]
    assert [symbol for symbol, _ in asked(vendors["other"])] == ["X"]


def test_updates_go_on_from_updates(ingest, bring_up, vendors):
    ingest("AB", end="2024-03-08")
    bring_up()
    (report,) = bring_up()
    assert report.unchanged
    assert asked(vendors["slow"]) == [("A", "2024-03-08"), ("B", "2024-03-08")]


def test_a_delisted_symbol_is_no_failure(ingest, bring_up, vendors):
    ingest("AB")
    del vendors["slow"].bars["1d"]["B"]
    (report,) = bring_up()
    assert (report.exit_code, report.symbols) == (0, ("A",))
    assert "perhaps delisted" in report.skipped["B"]


def test_a_symbol_that_nobody_ever_knew_does_not_fail_every_update(ingest, bring_up):
    assert ingest(["A", "TYPO"]).exit_code == 3
    (report,) = bring_up()
    assert report.exit_code == 0
    assert "never delivered, unknown still" in report.skipped["TYPO"]


def test_a_bundle_whose_symbols_are_all_delisted_is_unchanged(ingest, bring_up, vendors, store):
    ingest("A", end=None)
    vendors["slow"].bars["1d"] = {}
    (report,) = bring_up()
    assert (report.unchanged, report.exit_code, report.version) == (True, 0, 1)
    assert len(store.versions("us")) == 1


def test_a_symbol_that_fails_now_is_a_failure(ingest, bring_up, vendors):
    ingest("AB")
    vendors["slow"].errors = {"B": SourceUnavailableError("down")}
    (report,) = bring_up()
    assert (report.exit_code, list(report.failures)) == (3, ["B"])


def test_bars_that_the_vendor_keeps_no_more_leave_a_note(ingest, bring_up, vendors):
    ingest("A", end="2024-03-08")
    vendors["slow"].first_kept = {"1d": day("2024-03-12")}
    (report,) = bring_up()
    assert asked(vendors["slow"]) == [("A", "2024-03-12")]
    assert "slow keeps 1d bars from 2024-03-12 on only" in report.notes[0]


def test_transport_can_be_overridden(ingest, bring_up, vendors, monkeypatch):
    ingest("A")
    made = []

    def get_source(name, **options):
        made.append((name, options))
        return vendors[name]

    monkeypatch.setattr(update, "get_source", get_source)
    bring_up(overrides={"proxy": "http://127.0.0.1:8080"})
    assert made == [("slow", {"proxy": "http://127.0.0.1:8080"})]


def test_a_frame_in_the_history_does_not_stop_the_update(ingest, bring_up, store):
    import rustybt as rb

    rb.ingest_frame(daily("Z", MARCH), "us", store=store)
    ingest("A")
    (report,) = bring_up()
    assert report.symbols == ("A",)


def test_a_vendor_whose_client_is_not_installed_is_an_error(ingest, bring_up, monkeypatch):
    ingest("A")

    def missing(provenance):
        raise MissingDependencyError("source slow needs the package slow", hint="pip install slow")

    monkeypatch.setattr(update, "source_from_provenance", missing)
    with pytest.raises(MissingDependencyError, match="cannot be updated from 'slow'") as caught:
        bring_up()
    assert caught.value.hint == "pip install slow"


def test_an_interrupted_update_goes_on(ingest, bring_up, vendors):
    ingest("ABC")
    vendors["slow"].interrupt_after = 2
    with pytest.raises(KeyboardInterrupt, match="kept 2 finished symbols"):
        bring_up()
    vendors["slow"].interrupt_after = None
    (report,) = bring_up()
    assert (report.resumed, len(vendors["slow"].asked)) == (2, 1)


def test_an_intraday_bundle_is_asked_from_the_start_of_a_day(vendors, store, bring_up):
    from rustybt.testing.bars import frame_of_bars

    begin = datetime(2024, 3, 11, 14, 30, tzinfo=UTC)
    hours = frame_of_bars(("A", begin + timedelta(days=d, hours=h), 10) for d in range(5) for h in range(6))
    vendors["slow"].bars["1h"] = {"A": hours}
    vendors["slow"].ingest_to_bundle("us", ["A"], "2024-03-11", "2024-03-13", "1h", store=store, clock=lambda: NOW)
    (report,) = bring_up(refresh_seconds=86_400)
    assert vendors["slow"].asked[0][2] == day("2024-03-12")
    assert report.rows_added == 12
