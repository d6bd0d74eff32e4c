from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from rustybt.market.bars import BAR_SCHEMA, check_bars
from rustybt.market.calendars import get_calendar
from rustybt.market.quality import check_quality

START = date(2012, 10, 22)
prices = st.integers(-1, 12).map(Decimal)
rows = st.tuples(
    st.integers(0, 20).map(lambda n: datetime(2012, 10, 22, tzinfo=UTC) + timedelta(days=n)),
    st.sampled_from(["A", "B"]),
    prices,
    prices,
    prices,
    prices,
    st.integers(-1, 3).map(Decimal),
)


def is_valid(row):
    _, _, opened, high, low, close, volume = row
    return low > 0 and volume >= 0 and low <= min(opened, close) and high >= max(opened, close)


@given(st.lists(rows, max_size=40))
@settings(deadline=None)
def test_every_row_is_kept_set_aside_or_dropped_as_identical(delivered):
    sessions = {s.item() for s in get_calendar("XNYS", START, date(2012, 12, 1)).sessions}
    result = check_quality(pl.DataFrame(delivered, schema=BAR_SCHEMA, orient="row"))
    check_bars(result.bars)
    assert result.bars.height + result.quarantined.height + result.report.duplicates == len(delivered)
    # A plain dictionary is the model: the last valid row of each key is stored.
    expected = {(row[1], row[0]): row for row in delivered if is_valid(row) and row[0].date() in sessions}
    assert [tuple(row) for row in result.bars.rows()] == [expected[key] for key in sorted(expected)]
    missing = 0
    for symbol in "AB":
        days = {key[1].date() for key in expected if key[0] == symbol}
        missing += sum(min(days) < s < max(days) and s not in days for s in sessions) if days else 0
    assert result.report.missing_days_count == missing
    assert len(result.report.missing_days_list) == missing


@given(st.sets(st.integers(0, 780 + 210 - 1), min_size=1), st.integers(0, 3))
@settings(deadline=None)
def test_missing_minutes_are_those_of_the_calendar_between_first_and_last(kept, extra):
    calendar = get_calendar("XNYS", date(2013, 7, 1), date(2013, 7, 5))
    due = calendar.expected_bar_opens(date(2013, 7, 1), date(2013, 7, 3), "1m").tolist()
    stamps = sorted(due[n] for n in kept)
    frame = pl.DataFrame(
        {
            "timestamp": pl.Series(stamps, dtype=pl.Int64).cast(BAR_SCHEMA["timestamp"]),
            "symbol": "A",
            **{name: pl.Series([Decimal(1)] * len(stamps), dtype=BAR_SCHEMA[name]) for name in list(BAR_SCHEMA)[2:]},
        },
        schema=BAR_SCHEMA,
    )
    report = check_quality(frame, frequency="1m").report
    assert report.missing_bars_count == max(kept) - min(kept) + 1 - len(kept)
    assert sum(run["count"] for run in report.missing_bars_list) == report.missing_bars_count
