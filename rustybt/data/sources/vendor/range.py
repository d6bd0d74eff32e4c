"""Which range and which native frequency a vendor is asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from rustybt.data.adapters.reading import EARLIEST, LATEST
from rustybt.errors import NotCoveredError, RequestError
from rustybt.market.frequency import FREQUENCIES, Frequency
from rustybt.market.request import DAY_MICROSECONDS, to_date, to_microseconds
from rustybt.market.resample import base_of
from rustybt.market.trading_calendar import period_numbers, period_starts

if TYPE_CHECKING:
    from rustybt.data.adapters.limits import VendorLimits
    from rustybt.market.request import BarRequest
    from rustybt.market.trading_calendar import Sessions

_PERIODS = ("1w", "1M")

#: History that is fetched where no start is given and the vendor keeps more.
DEFAULT_YEARS = 10


def native_frequency(wanted: Frequency, limits: VendorLimits, source: str) -> Frequency:
    """Return the frequency to ask the vendor for: the one wanted, or the longest that it can be made of.

    Raises
    ------
    RequestError
        The vendor has nothing to make it of.
    """
    if wanted.name in limits.frequencies:
        return wanted
    base = base_of(wanted, limits.frequencies)
    if base is None:
        raise RequestError(
            f"source {source} has no {wanted} bars, and none that they could be made of",
            hint=f"use one of {', '.join(sorted(limits.frequencies, key=lambda name: FREQUENCIES[name]))}",
            frequency=wanted.name,
        )
    return base


def resolve_range(
    request: BarRequest, native: Frequency, limits: VendorLimits, source: str, now: float
) -> tuple[int, int]:
    """Return both sides of the request, microseconds since 1970 UTC, both included.

    An open start is the first day that the vendor keeps, at most `DEFAULT_YEARS` before the end; an open end is now.

    Raises
    ------
    NotCoveredError
        The start lies before what the vendor keeps; the hint names the first day that it has.
    """
    now_us = int(now * 1_000_000)
    if request.start is not None and request.start > now_us:
        raise RequestError(
            f"the start {request.start_text} lies in the future", hint="dates are ISO, year first: --start 2024-01-31"
        )
    end = now_us if request.end is None else _possible(request.end)
    days = limits.depth_days.get(native.name)
    # The day that is just being forgotten is not asked for.
    deepest = None if days is None else to_microseconds(to_date(now_us - (days - 1) * DAY_MICROSECONDS))
    if request.start is None:
        start = max(_years_before(end, DEFAULT_YEARS), deepest or 0) if deepest else _years_before(end, DEFAULT_YEARS)
        if limits.depth_bars is not None:
            # One bar less than are kept: the newest is still forming.
            start = max(start, now_us - (limits.depth_bars - 1) * native.microseconds)
        return min(start, end), end
    if deepest is not None and request.start < deepest:
        first = to_date(deepest).isoformat()
        raise NotCoveredError(
            f"source {source} keeps {native} bars of the last {days} days only, from {first} on; "
            f"asked from {request.start_text}",
            hint=f"--start {first}, or a longer frequency",
            missing=list(request.symbols),
        )
    return _possible(request.start), end


def widened_range(wanted: Frequency, native: Frequency, start: int, end: int) -> tuple[int, int]:
    """Return the range to ask the vendor for: whole weeks and months, and whole days where bars are made of shorter ones."""
    if wanted.name in _PERIODS:
        first, last = (period_numbers(_day_of(side), wanted) for side in (start, end))
        return int(period_starts(first, wanted)[0]), int(period_starts(last + 1, wanted)[0]) - 1
    if native != wanted:
        # A session can begin on the eve in UTC.
        return start - start % DAY_MICROSECONDS - DAY_MICROSECONDS, end - end % DAY_MICROSECONDS + 2 * DAY_MICROSECONDS
    return start, end


def _day_of(micros: int) -> Sessions:
    return np.array([micros // DAY_MICROSECONDS], dtype="datetime64[D]")


def _possible(micros: int) -> int:
    """Return an instant, or the end of time as far as markets go: what is rounded to weeks and months stays a date."""
    return min(max(micros, EARLIEST), LATEST)


def _years_before(end: int, years: int) -> int:
    day = datetime.fromtimestamp(end // 1_000_000, UTC).date()
    # The 29th of February has no namesake in most years.
    return to_microseconds(day.replace(year=day.year - years, day=min(day.day, 28)))
