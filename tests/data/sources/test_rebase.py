"""A split or dividend moves all earlier prices of an adjusted series: old and new basis never stand in one bundle."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rustybt.data.sources.ingest.rebase import Rebase
from rustybt.errors import RequestError, SourceUnavailableError
from rustybt.market.bars import join_frames
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.frequency import DAILY
from rustybt.market.request import parse_range, to_microseconds
from rustybt.testing.bars import frame_of_bars
from tests.data.sources.slow_vendor import NOW, SlowVendor, daily

OLD = {f"2024-03-{day:02d}": 100 + day for day in (4, 5, 6, 7, 8)}
NEW = {f"2024-03-{day:02d}": 50 + Decimal(day) / 2 for day in (11, 12, 13, 14, 15)}
HALVED = {day: Decimal(close) / 2 for day, close in OLD.items()}
SPLIT = CorporateAction.split("A", "2024-03-11", 2, 1, source="slow")


def halved(symbol):
    return daily(symbol, {**HALVED, **NEW})


def hours(symbol, factor=1):
    return frame_of_bars((symbol, f"2024-03-{d:02d}T15:30:00", Decimal(100 + d) * factor) for d in (4, 5, 6, 7, 8))


def day(text):
    return parse_range(text, None, DAILY)[0]


@pytest.fixture
def vendor():
    return SlowVendor({"1d": {"A": daily("A", OLD), "B": daily("B", OLD)}, "1h": {"A": hours("A")}})


@pytest.fixture
def ingest(store, vendor):
    def run(symbols="AB", start="2024-03-01", end=None, frequency="1d"):
        vendor.asked.clear()
        return vendor.ingest_to_bundle("us", list(symbols), start, end, frequency, store=store, clock=lambda: NOW)

    return run


@pytest.fixture
def split(vendor, ingest):
    """Ingest the first week; then the split happens, and the second week trades at half."""

    def happens(*, told=True):
        ingest(end="2024-03-08")
        vendor.bars["1d"]["A"] = halved("A")
        vendor.bars["1d"]["B"] = daily("B", {**OLD, **{d: 100 + int(d[-2:]) for d in NEW}})
        vendor.actions = [SPLIT] if told else []

    return happens


def closes(store, symbol="A", frequency="1d"):
    with store.open("us") as bundle:
        return bundle.read(symbol, frequency=frequency)["close"].to_list()


def test_a_new_split_makes_the_whole_series_anew(split, ingest, vendor, store):
    split()
    report = ingest(start="2024-03-11")
    assert closes(store) == [*HALVED.values(), *NEW.values()]
    assert closes(store, "B")[:5] == list(OLD.values())
    assert vendor.asked[-1][:3] == ("A", "1d", day("2024-03-04"))
    assert [symbol for symbol, *_ in vendor.asked] == ["B", "A", "A"]
    assert [str(revision) for revision in report.revisions] == ["A: split rebase, 5 bars from 2024-03-04 to 2024-03-08"]
    assert any("the split 2:1 on 2024-03-11" in note for note in report.notes)
    with store.open("us") as bundle:
        assert [action.kind for action in bundle.corporate_actions()] == ["split"]


def test_the_same_again_asks_for_nothing_more(split, ingest, vendor):
    split()
    ingest(start="2024-03-11")
    assert ingest(start="2024-03-11").unchanged
    assert len(vendor.asked) == 2


def test_a_row_that_the_new_basis_does_not_have_is_removed(split, ingest, vendor, store):
    split()
    vendor.bars["1d"]["A"] = daily("A", {d: c for d, c in {**HALVED, **NEW}.items() if d != "2024-03-06"})
    report = ingest(start="2024-03-11")
    assert len(closes(store)) == 9
    assert ("deletion", 1) in [(revision.kind, revision.rows) for revision in report.revisions]


def test_a_split_that_nobody_told_of_shows_in_the_overlap(split, ingest, vendor, store):
    split(told=False)
    report = ingest(start="2024-03-06")
    assert closes(store) == [*HALVED.values(), *NEW.values()]
    assert any("moved by the factor 0.5" in note for note in report.notes)


def test_raw_prices_never_move(split, ingest, vendor, store):
    vendor.basis = "raw"
    split()
    ingest(start="2024-03-11")
    assert closes(store)[:5] == list(OLD.values())
    assert [symbol for symbol, *_ in vendor.asked] == ["B", "A"]


def test_a_dividend_moves_only_a_basis_that_dividends_adjust(split, ingest, vendor, store):
    split(told=False)
    vendor.actions = [CorporateAction.cash_dividend("A", "2024-03-11", "1")]
    vendor.bars["1d"]["A"] = daily("A", {**OLD, **NEW})
    ingest(start="2024-03-11")
    assert len(vendor.asked) == 2


def test_a_dividend_that_adjusts_prices_makes_the_series_anew(vendor, ingest, store):
    vendor.basis = "split_dividend_adjusted"
    ingest("A", end="2024-03-08")
    lower = {d: Decimal(c) * Decimal("0.99") for d, c in OLD.items()}
    vendor.bars["1d"]["A"] = daily("A", {**lower, **NEW})
    vendor.actions = [CorporateAction.cash_dividend("A", "2024-03-11", "1")]
    ingest("A", start="2024-03-11")
    assert closes(store)[:5] == list(lower.values())


def test_a_series_that_cannot_be_made_anew_fails_and_stays_as_it_was(split, ingest, vendor, store):
    split()
    whole_series = vendor._one
    vendor._one = lambda symbol, request: (
        whole_series(symbol, request) if request.start >= day("2024-03-11") else failing(vendor, symbol, request)
    )

    def failing(vendor, symbol, request):
        vendor.errors = {symbol: SourceUnavailableError("down")}
        try:
            return whole_series(symbol, request)
        finally:
            vendor.errors = {}

    report = ingest(start="2024-03-11")
    assert closes(store) == list(OLD.values())
    assert len(closes(store, "B")) == 10
    error = report.failures["A"]
    assert isinstance(error, SourceUnavailableError)
    assert "the split 2:1 on 2024-03-11 changes all its earlier prices" in error.message
    with store.open("us") as bundle:
        assert bundle.corporate_actions() == []


def test_other_frequencies_of_the_symbol_are_made_anew_as_well(split, ingest, vendor, store):
    ingest("A", start="2024-03-01", end="2024-03-08", frequency="1h")
    split()
    vendor.bars["1h"]["A"] = hours("A", Decimal("0.5"))
    report = ingest(start="2024-03-11")
    assert closes(store, frequency="1h") == list(HALVED.values())
    assert closes(store) == [*HALVED.values(), *NEW.values()]
    assert any("the 1h bars of A were fetched anew too: us@" in note for note in report.notes)


def test_a_frequency_that_reaches_back_no_more_fails_the_symbol_and_nothing_is_mixed(split, ingest, vendor, store):
    ingest("A", start="2024-03-01", end="2024-03-08", frequency="1h")
    split()
    vendor.bars["1h"]["A"] = hours("A", Decimal("0.5"))
    vendor.first_kept = {"1h": day("2024-03-06")}
    report = ingest(start="2024-03-11")
    assert "its 1h bars could not be fetched whole" in report.failures["A"].message
    assert closes(store, frequency="1h") == list(OLD.values())
    assert closes(store) == list(OLD.values())
    assert len(closes(store, "B")) == 10


def test_the_whole_series_asked_for_needs_no_second_request(split, ingest, vendor, store):
    split()
    ingest(start="2024-03-01")
    assert len(vendor.asked) == 2
    assert closes(store) == [*HALVED.values(), *NEW.values()]


def test_an_interrupted_rebase_goes_on(split, ingest, vendor, store):
    split()
    vendor.interrupt_after = 2
    original = vendor._answers

    async def answers(request, progress, starts):
        vendor.interrupt_after = 0 if starts else None  # while the whole series is on its way
        async for item in original(request, progress, starts):
            yield item

    vendor._answers = answers
    with pytest.raises(KeyboardInterrupt):
        ingest(start="2024-03-11")
    assert closes(store) == list(OLD.values())
    vendor._answers, vendor.interrupt_after = original, None
    ingest(start="2024-03-11")
    assert vendor.asked == [("A", "1d", day("2024-03-04"), int(NOW * 1_000_000))]
    assert closes(store) == [*HALVED.values(), *NEW.values()]


def test_a_row_that_the_vendor_has_no_more_is_not_left_on_the_old_basis(split, ingest, vendor, store):
    split()
    vendor.bars["1d"]["A"] = daily("A", {d: c for d, c in {**HALVED, **NEW}.items() if d != "2024-03-06"})
    report = ingest(start="2024-03-01")
    assert closes(store) == [*(c for d, c in HALVED.items() if d != "2024-03-06"), *NEW.values()]
    assert ("deletion", 1) in [(revision.kind, revision.rows) for revision in report.revisions]
    assert len(vendor.asked) == 2


def test_what_was_asked_for_before_the_stored_bars_comes_with_the_series_made_anew(split, ingest, vendor, store):
    split()
    earlier = {f"2024-02-{day:02d}": 40 + Decimal(day) / 2 for day in (26, 27, 28, 29)}
    vendor.bars["1d"]["A"] = daily("A", {**earlier, **HALVED, **NEW})
    ingest("A", start="2024-02-26", end="2024-03-06")
    assert closes(store)[:9] == [*earlier.values(), *HALVED.values()]


def test_an_event_that_was_revised_once_is_not_news_for_ever(vendor, ingest):
    vendor.basis = "split_dividend_adjusted"
    vendor.bars["1d"]["A"] = daily("A", {**OLD, **NEW})
    vendor.actions = [CorporateAction.cash_dividend("A", "2024-03-06", "1", source="slow")]
    ingest("A")
    vendor.actions = [CorporateAction.cash_dividend("A", "2024-03-06", "1.5", source="slow")]
    ingest("A", start="2024-03-04")
    ingest("A", start="2024-03-11")
    assert [start for _, _, start, _ in vendor.asked] == [day("2024-03-11")]


def test_a_split_that_another_source_told_of_first_is_still_news_for_this_one(vendor, ingest, store):
    ingest("A", end="2024-03-08", frequency="1h")
    other = SlowVendor({"1d": {"A": daily("A", NEW)}}, basis="raw", actions=[SPLIT])
    other.ingest_to_bundle("us", ["A"], "2024-03-11", None, store=store, clock=lambda: NOW + 600)
    vendor.bars["1h"]["A"] = join_frames(
        [hours("A", Decimal("0.5")), frame_of_bars([("A", "2024-03-12T15:30:00", 50)])]
    )
    vendor.actions = [SPLIT]
    vendor.ingest_to_bundle("us", ["A"], "2024-03-12", None, "1h", store=store, clock=lambda: NOW + 3600)
    assert closes(store, frequency="1h") == [*HALVED.values(), 50]


def test_dividends_of_an_earlier_frequency_are_rebased_with_it(vendor, ingest, store):
    paid = CorporateAction.cash_dividend("A", "2024-03-05", "1", source="slow")
    vendor.actions = [paid]
    ingest("A", end="2024-03-08")
    vendor.bars["1d"]["A"] = halved("A")
    vendor.bars["1h"]["A"] = frame_of_bars([("A", "2024-03-12T15:30:00", 50)])
    vendor.actions = [SPLIT, CorporateAction.cash_dividend("A", "2024-03-05", "0.5", source="slow")]
    told = vendor._one
    vendor._one = lambda symbol, request: replace(
        told(symbol, request),
        actions=tuple(a for a in vendor.actions if to_microseconds(a.ex_date) >= request.start),
    )
    ingest("A", start="2024-03-11", frequency="1h")
    with store.open("us") as bundle:
        assert [(a.kind, a.amount) for a in bundle.corporate_actions()] == [
            ("cash_dividend", Decimal("0.5")),
            ("split", None),
        ]
    assert closes(store) == [*HALVED.values(), *NEW.values()]


def test_a_resumed_rebase_that_nobody_told_of_moves_the_other_frequency_too(split, ingest, vendor, store, monkeypatch):
    ingest("A", start="2024-03-01", end="2024-03-08", frequency="1h")
    split(told=False)
    vendor.bars["1h"]["A"] = hours("A", Decimal("0.5"))
    other_series = Rebase._fetch_others

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Rebase, "_fetch_others", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ingest("A", start="2024-03-06")
    monkeypatch.setattr(Rebase, "_fetch_others", other_series)
    ingest("A", start="2024-03-06")
    assert closes(store, frequency="1h") == list(HALVED.values())
    assert closes(store) == [*HALVED.values(), *NEW.values()]


@pytest.fixture
def whole_teller(vendor):
    """Let the vendor's answers name every event there is."""
    told = vendor._one
    vendor._one = lambda symbol, request: replace(told(symbol, request), tells_all_events=True)


@pytest.mark.usefixtures("whole_teller")
class TestWhatTheVendorTakesBack:
    PAID = CorporateAction.cash_dividend("A", "2024-03-06", "1", source="slow")

    def held(self, store):
        with store.open("us") as bundle:
            return [(a.kind, str(a.ex_date), a.source) for a in bundle.corporate_actions()]

    def test_an_event_that_moved_to_another_day_holds_once(self, vendor, ingest, store):
        vendor.actions = [self.PAID]
        ingest("A", end="2024-03-08")
        vendor.actions = [replace(self.PAID, ex_date="2024-03-07")]
        report = ingest("A", end="2024-03-08")
        assert self.held(store) == [("cash_dividend", "2024-03-07", "slow")]
        assert "A: slow has taken back the dividend of 1 USD on 2024-03-06, it does not hold any more" in report.notes
        assert ingest("A", end="2024-03-08").unchanged

    def test_one_that_comes_back_holds_again(self, vendor, ingest, store):
        for actions in ([self.PAID], [], [self.PAID], []):
            vendor.actions = actions
            ingest("A", end="2024-03-08")
            assert len(self.held(store)) == len(actions)

    def test_what_lies_before_the_answer_and_what_others_said_stays(self, vendor, ingest, store):
        vendor.actions = [self.PAID, replace(self.PAID, ex_date="2024-03-05", source="user")]
        ingest("A", end="2024-03-08")
        vendor.actions = []
        ingest("A", start="2024-03-07", end="2024-03-08")
        assert len(self.held(store)) == 2
        ingest("A", start="2024-03-04", end="2024-03-08")
        assert self.held(store) == [("cash_dividend", "2024-03-05", "user")]

    def test_a_split_that_was_none_brings_the_prices_back(self, split, vendor, ingest, store):
        split()
        ingest("A", start="2024-03-11")
        vendor.bars["1d"]["A"] = daily("A", {**OLD, **{d: 2 * c for d, c in NEW.items()}})
        vendor.actions = []
        ingest("A", start="2024-03-11")
        assert closes(store)[:5] == list(OLD.values())


def test_replace_without_dates_takes_a_series_to_another_basis(vendor, ingest, store):
    vendor.bars["1d"]["A"] = halved("A")
    ingest("A")
    other = SlowVendor({"1d": {"A": daily("A", {**OLD, **NEW})}}, basis="raw")
    with pytest.raises(RequestError, match="raw prices cannot be mixed in"):
        other.ingest_to_bundle("us", ["A"], "2024-03-01", None, store=store, replace=True, clock=lambda: NOW)
    other.ingest_to_bundle("us", ["A"], store=store, replace=True, clock=lambda: NOW)
    assert closes(store) == [*OLD.values(), *NEW.values()]
    with store.open("us") as bundle:
        assert bundle.description.assets["A"].price_basis == {"1d": "raw"}
