"""Assets and corporate actions as an ingest function tells them; the expected events are worked out by hand."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from rustybt.errors import RequestError
from tests.data.sources.registered.conftest import DAYS, bars_of, equities


def ingested(define, store, asset_frames=(), sids=(0,), **events):
    """Ingest one flat bar a session for each sid, with these asset and adjustment frames."""

    def function(daily_bar_writer, asset_db_writer, adjustment_writer):
        daily_bar_writer.write((sid, bars_of([10, 11, 12, 13, 14])) for sid in sids)
        adjustment_writer.write(**events)
        for frame in asset_frames or [equities({sid: f"S{sid}" for sid in sids})]:
            asset_db_writer.write(**(frame if isinstance(frame, dict) else {"equities": frame}))

    return define(function).ingest_to_bundle("mine", store=store)


def events_of(store):
    with store.open("mine") as bundle:
        return bundle.corporate_actions()


# -- assets ----------------------------------------------------------------------------------------------------------


def test_assets_have_the_symbol_name_and_venue_that_were_written(define, store):
    frame = pd.DataFrame(
        {
            "sid": [0, 1, 2],
            "symbol": ["brk.b", "BBB", "CCC"],
            "asset_name": ["Berkshire", None, "C Corp"],
            "exchange": ["NYSE", "Nasdaq", "MY EXCHANGE"],
            "start_date": DAYS[0],
            "end_date": DAYS[-1],
            "auto_close_date": DAYS[-1] + pd.Timedelta(days=1),
        }
    )
    ingested(define, store, [frame], sids=(0, 1, 2))
    with store.open("mine") as bundle:
        found = {symbol: bundle.assets.lookup_symbol(symbol).attributes for symbol in bundle.symbols}
    assert {symbol: (item.name, item.venue, item.asset_type) for symbol, item in found.items()} == {
        "BRK.B": ("Berkshire", "XNYS", "equity"),
        "BBB": ("", "XNAS", "equity"),
        "CCC": ("C Corp", None, "equity"),
    }


def test_the_canonical_name_of_an_exchange_is_the_venue_where_it_is_one(define, store):
    exchanges = pd.DataFrame({"exchange": ["Y"], "canonical_name": ["XNYS"], "country_code": ["US"]})
    frame = equities({0: "AAA"}).assign(exchange="Y")
    ingested(define, store, [{"equities": frame, "exchanges": exchanges, "root_symbols": pd.DataFrame()}])
    with store.open("mine") as bundle:
        assert bundle.assets.lookup_symbol("AAA").attributes.venue == "XNYS"


def test_futures_keep_their_tick_and_the_report_says_what_is_lost(define, store):
    futures = pd.DataFrame({"symbol": ["CLF20"], "tick_size": [0.01], "multiplier": [1000.0], "exchange": ["CME"]})
    report = ingested(define, store, [{"futures": futures}])
    with store.open("mine") as bundle:
        attributes = bundle.assets.lookup_symbol("CLF20").attributes
    assert (attributes.asset_type, attributes.tick_size) == ("future", Decimal("0.01"))
    assert "the multiplier of futures is not stored: CLF20" in report.notes


def test_a_sid_without_an_asset_fails_and_the_others_are_stored(define, store):
    report = ingested(define, store, [equities({0: "AAA"})], sids=(0, 7))
    assert report.symbols == ("AAA",)
    assert report.failures["sid 7"].message == "sid 7 has bars but no asset"
    assert "asset_db_writer.write" in report.failures["sid 7"].hint


def test_a_sid_without_a_symbol_fails(define, store):
    report = ingested(define, store, [equities({0: "AAA", 1: None})], sids=(0, 1))
    assert report.failures["sid 1"].message == "sid 1: a symbol must not be empty"


def test_several_rows_of_a_sid_are_its_names_one_after_the_other(define, store):
    frame = pd.DataFrame(
        {
            "symbol": ["NEW", "OLD"],
            "exchange": "NYSE",
            "start_date": [DAYS[2], DAYS[0]],
            "end_date": [DAYS[4], DAYS[1]],
        },
        index=[0, 0],
    )
    report = ingested(define, store, [frame])
    assert report.symbols == ("NEW",)
    with store.open("mine") as bundle:
        assert bundle.assets.lookup_symbol("OLD", date(2020, 1, 3)).symbol == "NEW"


def test_of_two_assets_with_one_ticker_the_last_keeps_it(define, store):
    frame = pd.DataFrame(
        {
            "symbol": ["FB", "FB"],
            "exchange": "NYSE",
            "start_date": pd.to_datetime(["2012-05-18", "1998-02-03"]),
            "end_date": pd.to_datetime(["2022-06-08", "2001-01-02"]),
        },
        index=[0, 1],
    )
    report = ingested(define, store, [frame], sids=(0, 1))
    assert report.symbols == ("FB", "FB.1998")
    with store.open("mine") as bundle:
        earlier = bundle.assets.lookup_symbol("FB", date(2000, 1, 3))
        assert (earlier.symbol, earlier.attributes.listing_epoch) == ("FB.1998", date(1998, 2, 3))
        assert bundle.assets.lookup_symbol("FB").attributes.listing_epoch is None
    assert (
        "FB was the ticker of several assets: FB.1998 is the one that had the sid 1 there, FB the one with 0"
        in report.notes
    )


def test_a_later_call_corrects_and_adds(define, store):
    report = ingested(define, store, [equities({0: "AAA"}), equities({1: "BBB"}), equities({0: "AAA"})], sids=(0, 1))
    assert report.symbols == ("AAA", "BBB")


@pytest.mark.parametrize(
    ("frame", "message"),
    [([1, 2], "equities must be a pandas DataFrame"), (pd.DataFrame({"name": ["A"]}), "has no column symbol")],
)
def test_what_is_no_frame_of_assets_is_refused(define, store, frame, message):
    with pytest.raises(RequestError, match=message):
        ingested(define, store, [frame])


# -- splits and dividends --------------------------------------------------------------------------------------------


def test_a_ratio_of_one_half_is_two_for_one(define, store):
    splits = pd.DataFrame({"sid": [0, 0, 0], "effective_date": DAYS[1:4], "ratio": [0.5, 1 / 3, 10.0]})
    ingested(define, store, splits=splits)
    assert [(e.kind, e.ex_date, e.ratio_new, e.ratio_old, e.source) for e in events_of(store)] == [
        ("split", date(2020, 1, 3), 2, 1, "registered"),
        ("split", date(2020, 1, 6), 3, 1, "registered"),
        ("split", date(2020, 1, 7), 1, 10, "registered"),
    ]


def test_dates_of_splits_may_be_seconds_and_a_ratio_of_one_is_no_split(define, store):
    seconds = [1_578_268_800, 1_578_355_200]  # 2020-01-06 and 2020-01-07, midnight UTC
    ingested(define, store, splits=pd.DataFrame({"sid": [0, 0], "effective_date": seconds, "ratio": [0.25, 1.0]}))
    assert [(e.ex_date, e.ratio_new, e.ratio_old) for e in events_of(store)] == [(date(2020, 1, 6), 4, 1)]


def test_dividends_keep_amount_and_dates(define, store):
    dividends = pd.DataFrame(
        {
            "sid": [0, 0],
            "ex_date": DAYS[1:3],
            "declared_date": [pd.NaT, pd.Timestamp("2019-12-01")],
            "record_date": [pd.NaT, pd.Timestamp("2020-01-07")],
            "pay_date": [pd.NaT, pd.Timestamp("2020-01-20")],
            "amount": [0.1, 0.0],
        }
    )
    dividends.loc[1, "amount"] = 0.205
    ingested(define, store, dividends=dividends)
    first, second = events_of(store)
    assert (first.kind, first.ex_date, first.amount, first.pay_date) == (
        "cash_dividend",
        date(2020, 1, 3),
        Decimal("0.1"),
        None,
    )
    assert (second.amount, second.declared_date, second.record_date, second.pay_date) == (
        Decimal("0.205"),
        date(2019, 12, 1),
        date(2020, 1, 7),
        date(2020, 1, 20),
    )


def test_shares_of_the_company_itself_are_a_stock_dividend_and_others_a_spin_off(define, store):
    frame = pd.DataFrame({"sid": [0, 0], "ex_date": DAYS[1:3], "payment_sid": [0, 1], "ratio": [0.05, 0.5]})
    ingested(define, store, sids=(0, 1), stock_dividends=frame)
    assert [(e.kind, e.ratio_new, e.ratio_old) for e in events_of(store)] == [
        ("stock_dividend", 1, 20),
        ("spin_off", 1, 2),
    ]


def test_mergers_are_told_and_not_stored(define, store):
    report = ingested(define, store, mergers=pd.DataFrame({"sid": [0], "effective_date": DAYS[:1], "ratio": [0.9]}))
    assert "1 mergers are not stored, the bundle has no such event: S0" in report.notes
    assert events_of(store) == []


def test_events_that_cannot_be_read_are_set_aside_with_their_row(define, store):
    splits = pd.DataFrame({"sid": [0, 0, 9], "effective_date": [DAYS[1], pd.NaT, DAYS[1]], "ratio": [np.inf, 0.5, 0.5]})
    dividends = pd.DataFrame({"sid": [0], "ex_date": DAYS[:1], "amount": [-1.0]})
    report = ingested(define, store, splits=splits, dividends=dividends)
    assert report.quarantined == {
        "split cannot be read": 2,
        "event of a sid without an asset": 1,
        "dividend cannot be read": 1,
    }
    assert report.rows == 5


def test_a_frame_of_events_without_a_column_is_refused(define, store):
    with pytest.raises(RequestError, match="the frame splits has no column effective_date"):
        ingested(define, store, splits=pd.DataFrame({"sid": [0], "ratio": [0.5]}))


def test_events_outside_the_range_asked_for_are_left_out(define, store):
    def function(daily_bar_writer, asset_db_writer, adjustment_writer):
        daily_bar_writer.write([(0, bars_of([10, 11, 12, 13, 14]))])
        asset_db_writer.write(equities=equities({0: "AAA"}))
        adjustment_writer.write(
            dividends=pd.DataFrame({"sid": [0, 0], "ex_date": [DAYS[1], DAYS[4]], "amount": [0.1, 0.2]})
        )

    define(function).ingest_to_bundle("mine", None, "2020-01-03", "2020-01-07", store=store)
    assert [event.amount for event in events_of(store)] == [Decimal("0.1")]
