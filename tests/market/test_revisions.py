"""What a vendor changed about bars that were final: each kind, told apart by hand and for any bars."""

from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.market.bars import PRICE_COLUMNS, empty_bars
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.revisions import KINDS, BarRevision, classify_revisions, rebase_ratio
from rustybt.testing.bars import frame_of_bars

FIRST = date(2024, 1, 1)


def series(closes, symbol="A", volume=100, start=FIRST):
    return frame_of_bars(
        (symbol, f"{start + timedelta(days=at)}", c, Decimal(c) + 1, Decimal(c) - 1, c, volume)
        for at, c in enumerate(closes)
    )


def scaled(bars, factor, before=None):
    """Prices times a factor, those of bars before a day."""
    values = bars.to_dicts()
    out = [
        {
            **row,
            **(
                {n: row[n] * Decimal(factor) for n in PRICE_COLUMNS}
                if before is None or row["timestamp"].date() < before
                else {}
            ),
        }
        for row in values
    ]
    return pl.DataFrame(out, schema=bars.schema)


def split(day, new=2, old=1):
    return CorporateAction.split("A", day, new, old)


def test_bars_that_did_not_change_are_no_revision():
    bars = series([10, 11, 12])
    assert classify_revisions(bars, bars) == []


def test_bars_that_only_one_side_holds_are_no_revision():
    assert classify_revisions(series([10, 11]), series([12], start=date(2024, 1, 3))) == []
    assert classify_revisions(empty_bars(), series([12])) == []


def test_one_changed_price_is_a_correction():
    assert classify_revisions(series([10, 11, 12]), series([10, 11, 13])) == [
        BarRevision("A", "correction", 1, "2024-01-03", "2024-01-03")
    ]


def test_volume_alone_came_late():
    found = classify_revisions(series([10, 11, 12]), series([10, 11, 12], volume=120))
    assert found == [BarRevision("A", "late volume", 3, "2024-01-01", "2024-01-03")]


def test_prices_halved_before_a_new_split_are_a_split_rebase():
    old = series([10, 11, 12, 6])
    found = classify_revisions(
        old, scaled(old, "0.5", date(2024, 1, 4)), price_basis="split_adjusted", new_events=[split("2024-01-04")]
    )
    assert found == [BarRevision("A", "split rebase", 3, "2024-01-01", "2024-01-03")]


def test_a_single_bar_before_a_known_split_is_enough():
    old = series([10, 6])
    new = scaled(old, "0.5", date(2024, 1, 2))
    (found,) = classify_revisions(old, new, price_basis="split_adjusted", new_events=[split("2024-01-02")])
    assert (found.kind, found.rows) == ("split rebase", 1)


def test_two_splits_multiply():
    old = series([12, 12, 12])
    new = scaled(scaled(old, "0.5", date(2024, 1, 3)), "0.25", date(2024, 1, 2))
    events = [split("2024-01-03"), split("2024-01-02", 4)]
    (found,) = classify_revisions(old, new, price_basis="split_adjusted", new_events=events)
    assert (found.kind, found.rows) == ("split rebase", 2)


def test_a_correction_beside_a_split_is_told_apart():
    old = series([10, 11, 12, 6])
    new = scaled(old, "0.5", date(2024, 1, 4)).with_columns(
        close=pl.when(pl.col("timestamp").dt.day() == 4)
        .then(Decimal("6.5"))
        .otherwise("close")
        .cast(pl.Decimal(38, 18))
    )
    kinds = [
        (revision.kind, revision.rows)
        for revision in classify_revisions(old, new, price_basis="split_adjusted", new_events=[split("2024-01-04")])
    ]
    assert kinds == [("split rebase", 3), ("correction", 1)]


def test_a_dividend_moves_all_earlier_prices_by_its_own_factor():
    old = series([100, 110, 120, 130])
    new = scaled(old, "0.98", date(2024, 1, 4))
    dividend = CorporateAction.cash_dividend("A", "2024-01-04", "2.4")
    (found,) = classify_revisions(old, new, price_basis="split_dividend_adjusted", new_events=[dividend])
    assert (found.kind, found.rows, found.last) == ("dividend rebase", 3, "2024-01-03")


def test_on_a_basis_without_dividends_a_new_dividend_explains_nothing():
    old = series([100, 110])
    dividend = CorporateAction.cash_dividend("A", "2024-01-03", "2.4")
    (found,) = classify_revisions(old, scaled(old, "0.98"), price_basis="split_adjusted", new_events=[dividend])
    assert found.kind == "correction"


def test_one_common_ratio_is_a_rebase_also_when_nobody_told_of_an_event():
    old = series([10, 11, 12, 13])
    (found,) = classify_revisions(old, scaled(old, "0.1"), price_basis="split_adjusted")
    assert (found.kind, found.rows) == ("split rebase", 4)
    assert classify_revisions(old, scaled(old, "0.1"), price_basis="raw")[0].kind == "correction"


def test_rows_that_are_gone_are_a_deletion():
    found = classify_revisions(empty_bars(), empty_bars(), deleted=series([10, 11]))
    assert found == [BarRevision("A", "deletion", 2, "2024-01-01", "2024-01-02")]


def test_symbols_are_told_apart_and_in_order():
    old = pl.DataFrame(series([10, 11]).to_dicts() + series([5, 6], "B").to_dicts(), schema=empty_bars().schema)
    new = pl.DataFrame(series([10, 12]).to_dicts() + series([5, 6], "B", 7).to_dicts(), schema=empty_bars().schema)
    assert [(r.symbol, r.kind) for r in classify_revisions(old, new)] == [("A", "correction"), ("B", "late volume")]


def test_an_intraday_bar_is_named_by_its_instant():
    old = frame_of_bars([("A", "2024-01-02T14:30:00", 10)])
    new = frame_of_bars([("A", "2024-01-02T14:30:00", 11)])
    (found,) = classify_revisions(old, new)
    assert (found.first, str(found)) == ("2024-01-02T14:30:00Z", "A: correction, 1 bar of 2024-01-02T14:30:00Z")


@pytest.mark.parametrize(
    ("factor", "before", "found"),
    [
        ("0.5", None, 0.5),
        ("0.998", None, 0.998),
        ("0.5", date(2024, 1, 4), 0.5),  # up to the third day, and not after
        ("0.5", date(2024, 1, 3), None),  # two bars may be two corrections
        ("0.99999", None, None),  # rounding, not a basis
    ],
)
def test_a_rebase_is_one_ratio_up_to_some_bar(factor, before, found):
    old = series([100, 110, 120, 130, 140])
    ratio = rebase_ratio(old, scaled(old, factor, before))
    assert ratio == (None if found is None else pytest.approx(found))


def test_corrections_here_and_there_are_no_rebase():
    assert rebase_ratio(series([10, 11, 12, 13]), series([10, 12, 13, 14])) is None
    assert rebase_ratio(series([10, 11, 12]), series([11, 15, 19])) is None
    assert rebase_ratio(series([10]), series([11], start=date(2025, 1, 1))) is None


prices = st.lists(st.integers(2, 5_000), min_size=1, max_size=30)


@given(prices, st.integers(2, 20), st.integers(0, 30))
def test_any_series_before_any_split_is_a_split_rebase_and_nothing_else(closes, ratio, at):
    day = FIRST + timedelta(days=at)
    old = series(closes)
    new = scaled(old, Decimal(1) / Decimal(ratio), day).with_columns(
        pl.col(name).cast(pl.Decimal(38, 18)) for name in PRICE_COLUMNS
    )
    found = classify_revisions(old, new, price_basis="split_adjusted", new_events=[split(day, ratio)])
    expected = min(at, len(closes))
    assert [(r.kind, r.rows) for r in found] == ([("split rebase", expected)] if expected else [])


@given(
    st.lists(
        st.tuples(st.integers(2, 50), st.integers(2, 50), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12
    ),
    st.sampled_from(["raw", "split_adjusted", "split_dividend_adjusted"]),
    st.lists(st.tuples(st.integers(1, 14), st.sampled_from(["split", "dividend"])), max_size=2),
)
def test_every_changed_bar_counts_once_and_no_other(rows, basis, told):
    old = frame_of_bars(("A", f"{FIRST + timedelta(days=i)}", a, a, a, a, v) for i, (a, _, v, _) in enumerate(rows))
    new = frame_of_bars(("A", f"{FIRST + timedelta(days=i)}", b, b, b, b, w) for i, (_, b, _, w) in enumerate(rows))
    events = [
        split(FIRST + timedelta(days=at))
        if kind == "split"
        else CorporateAction.cash_dividend("A", FIRST + timedelta(days=at), 1)
        for at, kind in told
    ]
    found = classify_revisions(old, new, price_basis=basis, new_events=events)
    assert sum(revision.rows for revision in found) == sum(a != b or v != w for a, b, v, w in rows)
    assert all(revision.kind in KINDS for revision in found)
    late = sum(a == b and v != w for a, b, v, w in rows)
    assert sum(revision.rows for revision in found if revision.kind == "late volume") == late
