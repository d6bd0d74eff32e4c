"""Longer bars out of shorter ones: open of the first, highest, lowest, close of the last, sum of the volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.errors import RequestError
from rustybt.market.bars import BAR_COLUMNS, TIMESTAMP
from rustybt.market.frequency import DAILY, FREQUENCIES, Frequency
from rustybt.market.request import DAY_MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rustybt.market.trading_calendar import Instants, TradingCalendar


#: What becomes of each column of bars in order, where several of them become one.
MADE_OF_SEVERAL = (
    pl.col("open").first(),
    pl.col("high").max(),
    pl.col("low").min(),
    pl.col("close").last(),
    pl.col("volume").sum(),
)


def can_resample(finer: Frequency, coarser: Frequency) -> bool:
    """Return whether bars of `coarser` are made of whole bars of `finer`; weeks do not make months."""
    if coarser.seconds <= finer.seconds:
        return False
    if coarser.is_intraday:
        return coarser.seconds % finer.seconds == 0
    return finer.is_intraday or finer == DAILY


def base_of(frequency: Frequency, available: Iterable[str]) -> Frequency | None:
    """Return the longest of the `available` frequencies that bars of `frequency` can be made of; None for none."""
    usable = [FREQUENCIES[name] for name in available if can_resample(FREQUENCIES[name], frequency)]
    return max(usable, default=None)


def resample(bars: pl.DataFrame, finer: Frequency, coarser: Frequency, calendar: TradingCalendar) -> pl.DataFrame:
    """Return contract bars of `coarser` made of contract bars of `finer`, exact to the last digit.

    Intraday bars are counted from each unbroken stretch of trading: 09:30, 10:30 ... in New York, 00:00, 01:00 ... where
    trading never stops; the last of a stretch may be shorter. Daily bars are sessions, weekly and monthly ones are labelled
    by their first session. Bars outside the trading hours of `calendar` belong to no session and are left out.

    Raises
    ------
    RequestError
        One does not divide the other.
    """
    if not can_resample(finer, coarser):
        raise RequestError(
            f"{coarser} bars cannot be made of {finer} bars", hint="use a finer frequency that divides it"
        )
    stamps = bars["timestamp"].to_physical().to_numpy()
    labels = coarser_labels(stamps, finer, coarser, calendar)
    inside = labels != OUTSIDE
    return (
        bars.with_columns(pl.Series("label", labels).cast(TIMESTAMP))
        .filter(pl.Series(inside))
        .group_by("symbol", "label", maintain_order=True)
        .agg(MADE_OF_SEVERAL)
        .rename({"label": "timestamp"})
        .select(BAR_COLUMNS)
    )


OUTSIDE = np.iinfo(np.int64).min


#: Bars from this length on may be stored on the hours of the clock and then begin before the open.
ON_THE_CLOCK = 1_800


def coarser_labels(stamps: Instants, finer: Frequency, coarser: Frequency, calendar: TradingCalendar) -> Instants:
    """Return the label of the longer bar that each bar is part of; `OUTSIDE` where it is part of none.

    A bar that begins before a session opens, and ends in it, is part of that session.
    """
    if not finer.is_intraday:
        return calendar.period_labels(stamps, coarser)
    labels = _labels_at(stamps, coarser, calendar)
    if finer.seconds < ON_THE_CLOCK or bool((labels != OUTSIDE).all()):
        return labels
    return np.where(labels != OUTSIDE, labels, _labels_at(stamps + finer.microseconds - 1, coarser, calendar))


def _labels_at(stamps: Instants, coarser: Frequency, calendar: TradingCalendar) -> Instants:
    """Return the label of the longer bar to which each instant belongs."""
    if not coarser.is_intraday:
        at = calendar.session_of_instants(stamps)
        if not calendar.sessions.size:
            return np.full(stamps.shape, OUTSIDE, dtype=np.int64)
        days = calendar.sessions[np.maximum(at, 0)].astype(np.int64) * DAY_MICROSECONDS
        return np.where(at >= 0, calendar.period_labels(days, coarser), OUTSIDE)
    starts, ends = calendar.stretches()
    if not starts.size:
        return np.full(stamps.shape, OUTSIDE, dtype=np.int64)
    at = np.maximum(np.searchsorted(starts, stamps, side="right") - 1, 0)
    inside = (stamps >= starts[at]) & (stamps < ends[at])
    return np.where(inside, starts[at] + (stamps - starts[at]) // coarser.microseconds * coarser.microseconds, OUTSIDE)
