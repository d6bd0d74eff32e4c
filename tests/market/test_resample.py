"""Longer bars out of shorter ones, against hand-worked numbers and against pandas."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.errors import RequestError
from rustybt.market.bars import BAR_SCHEMA, check_bars
from rustybt.market.calendars import get_calendar
from rustybt.market.frequency import FREQUENCIES, Frequency
from rustybt.market.resample import base_of, can_resample, resample
from rustybt.testing.bars import frame_of_bars
from tests.fakes import market


def frame(symbol: str, rows) -> pl.DataFrame:
    return pl.DataFrame(
        [(row.start, symbol, row.open, row.high, row.low, row.close, row.volume) for row in rows],
        schema=BAR_SCHEMA,
        orient="row",
    )


def calendar(name: str = "XNYS"):
    return get_calendar(name, date(2023, 1, 1), date(2025, 6, 1))


def by_hand(rows) -> tuple[Decimal, ...]:
    rows = list(rows)
    return (
        rows[0].open,
        max(r.high for r in rows),
        min(r.low for r in rows),
        rows[-1].close,
        sum((r.volume for r in rows), Decimal(0)),
    )


def test_half_hours_are_counted_from_the_open_and_the_last_hour_of_new_york_is_short():
    rows = market.intraday("AAPL", 30, date(2024, 7, 2), date(2024, 7, 3))  # the 3rd closes at 13:00
    made = resample(frame("AAPL", rows), FREQUENCIES["30m"], FREQUENCIES["1h"], calendar())
    second = made.filter(pl.col("timestamp").dt.date() == date(2024, 7, 3))
    assert second["timestamp"].dt.strftime("%H:%M").to_list() == ["13:30", "14:30", "15:30", "16:30"]
    of_day = [row for row in rows if row.start.date() == date(2024, 7, 3)]
    assert len(of_day) == 7
    assert second.row(0)[2:] == by_hand(of_day[0:2])
    assert second.row(3)[2:] == by_hand(of_day[6:7])


def test_a_session_is_made_of_its_minutes_and_none_of_the_evening_before():
    rows = market.intraday("AAPL", 5, date(2024, 3, 8), date(2024, 3, 11))  # New York's clocks change on the 10th
    evening = market.Row(datetime(2024, 3, 8, 22, tzinfo=UTC), *(Decimal(10**6),) * 5)
    bars = frame("AAPL", sorted([*rows, evening], key=lambda row: row.start))
    made = resample(bars, FREQUENCIES["5m"], FREQUENCIES["1d"], calendar())
    assert made["timestamp"].dt.date().to_list() == [date(2024, 3, 8), date(2024, 3, 11)]
    assert made.row(0)[2:] == by_hand(row for row in rows if row.start.date() == date(2024, 3, 8))


def test_weeks_and_months_are_labelled_by_their_first_session():
    rows = market.daily("AAPL", date(2024, 1, 1), date(2024, 3, 29))
    weeks = resample(frame("AAPL", rows), FREQUENCIES["1d"], FREQUENCIES["1w"], calendar())
    # 2024-01-01 and 2024-01-15 were Mondays without trading.
    assert weeks["timestamp"].dt.date().to_list()[:3] == [date(2024, 1, 2), date(2024, 1, 8), date(2024, 1, 16)]
    assert weeks.row(2)[2:] == by_hand(r for r in rows if date(2024, 1, 16) <= r.start.date() <= date(2024, 1, 19))
    months = resample(frame("AAPL", rows), FREQUENCIES["1d"], FREQUENCIES["1M"], calendar())
    assert months["timestamp"].dt.date().to_list() == [date(2024, 1, 2), date(2024, 2, 1), date(2024, 3, 1)]
    assert months.row(1)[2:] == by_hand(r for r in rows if r.start.month == 2)


@given(
    st.lists(st.integers(0, 4_000), min_size=1, max_size=200, unique=True), st.sampled_from(["5m", "15m", "30m", "1h"])
)
def test_around_the_clock_it_agrees_with_pandas(minutes, coarser):
    minutes.sort()
    start = datetime(2024, 5, 1, tzinfo=UTC)
    values = np.random.default_rng(len(minutes)).integers(1, 10_000, size=(len(minutes), 5))
    index = pd.DatetimeIndex([start + timedelta(minutes=m) for m in minutes])
    oracle = (
        pd.DataFrame(values, columns=["open", "high", "low", "close", "volume"], index=index)
        .resample(f"{FREQUENCIES[coarser].seconds // 60}min")
        .agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
        .dropna()
    )
    bars = pl.DataFrame(
        [(i.to_pydatetime(), "B", *map(int, row)) for i, row in zip(index, values, strict=True)],
        schema=["timestamp", "symbol", "open", "high", "low", "close", "volume"],
        orient="row",
    ).cast(dict(BAR_SCHEMA))
    made = check_bars(resample(bars, FREQUENCIES["1m"], FREQUENCIES[coarser], calendar("24/7")))
    assert made["timestamp"].to_list() == [stamp.to_pydatetime() for stamp in oracle.index]
    got = made.select(pl.col("open", "high", "low", "close", "volume").cast(pl.Int64)).to_numpy()
    assert (got == oracle.to_numpy().astype(int)).all()


def test_digits_survive():
    rows = market.candles(
        "binance", "SHIB/USDT", 60, datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 1, 4, tzinfo=UTC)
    )
    made = resample(frame("SHIB/USDT", rows), FREQUENCIES["1m"], FREQUENCIES["1h"], calendar("24/7"))
    assert made.row(1)[2:] == by_hand(rows[60:120])


def test_what_can_be_made_of_what():
    names = ["1m", "15m", "1h", "1d", "1w"]
    assert base_of(FREQUENCIES["30m"], names).name == "15m"
    assert base_of(FREQUENCIES["5m"], names).name == "1m"
    assert base_of(FREQUENCIES["1M"], names).name == "1d", "weeks do not make months"
    assert base_of(FREQUENCIES["1m"], ["5m", "1d"]) is None
    assert base_of(FREQUENCIES["1d"], ["1m", "1h"]).name == "1h"
    assert not can_resample(FREQUENCIES["1h"], FREQUENCIES["1h"])
    with pytest.raises(RequestError, match="1M bars cannot be made of 1w bars"):
        resample(pl.DataFrame(schema=BAR_SCHEMA), FREQUENCIES["1w"], Frequency.parse("1M"), calendar())


def test_an_hour_of_the_clock_that_begins_before_the_open_is_part_of_the_session():
    # New York opens at 14:30 UTC in January; vendors that count on the clock label its first hour 14:00.
    bars = frame_of_bars(
        [("A", "2024-01-02 13:00", "1"), ("A", "2024-01-02 14:00", "2"), ("A", "2024-01-02 15:00", "3")]
    )
    days = resample(bars, FREQUENCIES["1h"], FREQUENCIES["1d"], calendar())
    assert days.select("open", "close").rows() == [(2, 3)]
