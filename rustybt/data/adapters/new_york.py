"""Hours of trading in New York: which intraday bars belong to a session."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from rustybt.market.calendars import get_calendar
from rustybt.market.request import to_date

if TYPE_CHECKING:
    from rustybt.market.trading_calendar import Instants

NEW_YORK = ZoneInfo("America/New_York")
CALENDAR = "XNYS"


def within_sessions(bars: pl.DataFrame) -> pl.DataFrame:
    """Return the intraday bars that begin within a session, without those before the open and from the close on."""
    if bars.is_empty():
        return bars
    return bars.filter(pl.Series(_inside(bars["timestamp"].to_physical().to_numpy())))


def is_within_session(stamp: int) -> bool:
    """Return whether an instant, microseconds since 1970 UTC, lies within a session."""
    return bool(_inside(np.array([stamp], dtype=np.int64))[0])


def _inside(stamps: Instants) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which of the rising `stamps` lie from a session's open on, and before its close."""
    calendar = get_calendar(CALENDAR, to_date(int(stamps[0])), to_date(int(stamps[-1])))
    if not calendar.opens.size:
        return np.zeros(stamps.shape, dtype=np.bool_)
    at = np.searchsorted(calendar.opens, stamps, side="right") - 1
    return np.asarray((at >= 0) & (stamps < calendar.closes[np.maximum(at, 0)]))
