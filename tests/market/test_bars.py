from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest

from rustybt.errors import DataQualityError
from rustybt.market.bars import (
    BAR_SCHEMA,
    check_bars,
    concat_bars,
    empty_bars,
    interleaved_order,
    series_starts,
    sort_bars,
    spans_of,
)

DAY_US = 86_400_000_000


def bars(*keys):
    rows = [(datetime(2020, 1, day, tzinfo=UTC), symbol, *[Decimal("0.00000712")] * 5) for symbol, day in keys]
    return pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row")


def test_the_contract_has_seven_columns_of_one_number_type():
    assert list(BAR_SCHEMA) == ["timestamp", "symbol", "open", "high", "low", "close", "volume"]
    assert {str(BAR_SCHEMA[name]) for name in ("open", "volume")} == {"Decimal(precision=38, scale=18)"}
    assert check_bars(empty_bars()).height == 0


def test_a_frame_that_keeps_the_contract_is_returned_as_it_is():
    frame = bars(("A", 2), ("A", 3), ("B", 2))
    assert check_bars(frame) is frame


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (bars(("A", 2)).drop("volume"), "volume"),
        (bars(("A", 2)).with_columns(pl.col("close").cast(pl.Float64)), "Float64"),
        (bars(("A", 2)).select(reversed(list(BAR_SCHEMA))), "in this order"),
        (bars(("A", 2)).with_columns(close=pl.lit(None, pl.Decimal(38, 18))), "nulls"),
        (bars(("A", 3), ("A", 2)), "out of order"),
        (bars(("A", 2), ("A", 2)), "twice"),
        (bars(("B", 2), ("A", 2)), "out of order"),
        (bars(("A", 2), ("B", 2), ("A", 3)), "apart"),
    ],
)
def test_a_frame_that_breaks_the_contract_is_refused(frame, message):
    with pytest.raises(DataQualityError, match=message):
        check_bars(frame)


def test_sorting_puts_symbols_together():
    assert check_bars(sort_bars(bars(("B", 3), ("A", 3), ("B", 2)))).height == 3


def test_joining_keeps_every_digit_and_the_order():
    joined = concat_bars([bars(("A", 4), ("C", 2)), empty_bars(), bars(("A", 2), ("B", 2))])
    assert joined["symbol"].to_list() == ["A", "A", "B", "C"]
    assert joined["timestamp"].dt.day().to_list() == [2, 4, 2, 2]
    assert set(joined["close"].to_list()) == {Decimal("0.00000712")}


def test_joining_nothing_gives_an_empty_frame():
    assert concat_bars([]).schema == BAR_SCHEMA
    assert concat_bars([empty_bars()]).schema == BAR_SCHEMA


def test_parts_that_overlap_in_time_are_sorted():
    parts = [bars(("A", 2), ("A", 6)), bars(("A", 4))]
    assert interleaved_order(parts) is None
    assert concat_bars(parts)["timestamp"].dt.day().to_list() == [2, 4, 6]


def test_a_bar_in_two_parts_is_refused():
    with pytest.raises(DataQualityError, match="twice"):
        concat_bars([bars(("A", 2)), bars(("A", 2))])


def test_joining_decimals_of_another_scale_is_refused():
    cut = bars(("A", 2)).with_columns(pl.col("close").cast(pl.Decimal(38, 2)))
    with pytest.raises(DataQualityError, match="another schema"):
        concat_bars([bars(("A", 2)), cut])


def test_series_begin_where_the_symbol_changes():
    frame = bars(("A", 2), ("A", 3), ("B", 2), ("C", 2))
    assert series_starts(frame["symbol"]).tolist() == [0, 2, 3]
    assert series_starts(empty_bars()["symbol"]).tolist() == []
    first = int(datetime(2020, 1, 2, tzinfo=UTC).timestamp()) * 1_000_000
    assert spans_of(frame) == [("A", first, first + DAY_US), ("B", first, first), ("C", first, first)]
    assert spans_of(empty_bars()) == []
