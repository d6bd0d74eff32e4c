"""Frames are joined in one place, which refuses what Polars would cut."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from rustybt.errors import DataQualityError
from rustybt.market.bars import interleaved_order, join_frames
from rustybt.testing import frame_of_bars


def test_decimals_of_different_scale_are_refused_not_cut():
    coarse = pl.DataFrame({"price": pl.Series([Decimal("1.25")], dtype=pl.Decimal(38, 2))})
    fine = pl.DataFrame({"price": pl.Series([Decimal("0.00000712")], dtype=pl.Decimal(38, 8))})
    with pytest.raises(DataQualityError, match="different schemas"):
        join_frames([coarse, fine])


def test_rows_keep_their_order():
    parts = [pl.DataFrame({"x": [3, 1]}), pl.DataFrame({"x": [2]})]
    assert join_frames(iter(parts))["x"].to_list() == [3, 1, 2]


def test_runs_of_a_base_and_its_tail_are_put_one_behind_the_other():
    base = frame_of_bars([("A", "2024-01-02", "1"), ("A", "2024-01-03", "2"), ("B", "2024-01-02", "3")])
    tail = frame_of_bars([("A", "2024-01-04", "4"), ("C", "2024-01-04", "5")])
    # Rows 0-2 are the base's, 3-4 the tail's: A's three, then B's, then C's.
    assert interleaved_order([base, tail]).tolist() == [0, 1, 3, 2, 4]


def test_runs_that_overlap_in_time_need_a_sort():
    one = frame_of_bars([("A", "2024-01-02", "1"), ("A", "2024-01-04", "2")])
    other = frame_of_bars([("A", "2024-01-03", "3")])
    assert interleaved_order([one, other]) is None
