"""One stored series: what goes into a row comes out of it, and its seal knows every changed letter."""

import dataclasses
import json
from datetime import date
from decimal import Decimal

import pytest

from rustybt.data.cache.coverage import Reason, Segment
from rustybt.data.cache.series import Series, SeriesFacts, decode_segments, encode_segments, seal
from rustybt.market.assets import AssetAttributes
from rustybt.market.corporate_actions import CorporateAction

SEGMENTS = (
    Segment(-5, 9, Reason.BEFORE_LISTING, 1.5),
    Segment(10, 1_700_000_000_000_001, Reason.PRESENT, 1_700_000_000.123456, "d/f.parquet"),
    Segment(1_700_000_000_000_002, 1_700_000_000_000_002, Reason.FAILED, 2.0, "d/f.parquet"),
    Segment(1_700_000_000_000_003, 1_800_000_000_000_000, Reason.CONFIRMED_EMPTY, 2.0),
    Segment(1_800_000_000_000_001, 1_900_000_000_000_000, Reason.MARKET_CLOSED, 2.0),
    Segment(1_900_000_000_000_001, 2_000_000_000_000_000, Reason.NOT_FINAL, 2.0),
)
FACTS = SeriesFacts(
    attributes=AssetAttributes(venue="XNYS", currency="USD"),
    alias="BRK-B",
    price_basis="split_adjusted",
    number_rule="printed",
    resampled_from="1h",
    hours="extended",
    first_bar=date(1996, 5, 9),
    actions=(CorporateAction("BRK.B", "split", date(2010, 1, 21), ratio_new=Decimal(50), ratio_old=Decimal(1)),),
    told_from=10,
    told_until=1_700_000_000.25,
    missing_volume=((10, 20), (40, 50)),
    notes=("Ünïcode — 株",),
)


def test_every_reason_and_every_microsecond_survives_storing():
    assert decode_segments(encode_segments(SEGMENTS)) == SEGMENTS


def test_nothing_survives_storing():
    assert decode_segments(encode_segments(())) == ()


def test_a_reason_that_nobody_knows_is_not_read():
    with pytest.raises(ValueError, match="perhaps"):
        decode_segments('[[1, 2, "perhaps", 3.0, ""]]')


@pytest.mark.parametrize("facts", [FACTS, SeriesFacts()], ids=["full", "empty"])
def test_facts_survive_json_text(facts):
    assert SeriesFacts.from_json(json.loads(json.dumps(facts.to_json()))) == facts


def test_no_fact_is_left_out_of_the_json():
    assert set(FACTS.to_json()) == {field.name for field in dataclasses.fields(SeriesFacts)}


class TestSeal:
    def test_the_same_series_has_the_same_seal(self):
        assert seal("d", "A", "{}", "[]") == seal("d", "A", "{}", "[]")

    def test_every_part_counts(self):
        parts = ["d", "A", "{}", "[]"]
        seals = {seal(*parts)}
        for at in range(4):
            seals.add(seal(*[part + "x" if n == at else part for n, part in enumerate(parts)]))
        assert len(seals) == 5

    def test_a_letter_that_moves_to_the_neighbour_counts(self):
        assert seal("d", "AB", "C", "") != seal("d", "A", "BC", "")


class TestSpan:
    def test_what_has_no_bars_does_not_count(self):
        assert Series("A", SEGMENTS).span() == (10, 1_700_000_000_000_002)

    def test_without_bars_there_is_none(self):
        assert Series("A", (SEGMENTS[0], SEGMENTS[3])).span() is None
        assert Series("A").span() is None

    def test_the_oldest_fetch_is_that_of_bars(self):
        assert Series("A", SEGMENTS).oldest_fetch == 2.0
        assert Series("A", (SEGMENTS[0],)).oldest_fetch is None


class TestLeftWith:
    def test_what_is_left_keeps_all_that_was_told(self):
        assert Series("A", SEGMENTS, FACTS).left_with(SEGMENTS[:2]) == Series("A", SEGMENTS[:2], FACTS)

    def test_where_nothing_is_left_what_was_told_is_complete_no_more(self):
        """Else events between this answer and a next one, years later, would count as told."""
        left = Series("A", SEGMENTS, FACTS).left_with(())
        assert (left.segments, left.facts.told_from, left.facts.told_until) == ((), None, None)
        assert left.facts.actions == FACTS.actions
