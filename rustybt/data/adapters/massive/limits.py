"""What Massive's plans allow."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from rustybt.data.adapters.limits import VendorLimits
from rustybt.data.adapters.massive.client import AGGREGATES_LIMIT
from rustybt.data.adapters.massive.window import SPANS

if TYPE_CHECKING:
    from rustybt.market.frequency import Frequency

#: How many years of history plans have.
PLAN_YEARS = (2, 5, 10)
LIMITS = VendorLimits(
    # Without hours: the vendor cuts them on the clock, so that its first one begins before the session.
    frequencies=("1m", "5m", "15m", "30m", "1d", "1w", "1M"),
    bars_per_page=AGGREGATES_LIMIT,
    requests_per_symbol=3,
    requests_per_minute=5,
    parallel_requests=5,
    settlement_delay_seconds=15 * 60,
    needs_key=True,
    notes=(
        "requests_per_minute is that of the free plan; paid plans have no limit: requests_per_minute=0",
        "history is 2 years on the free plan, and 5, 10 or all years since 2003-09-10 on others: history_years=2 says so",
        "bars are final 15 minutes after their close, for cheaper plans are delayed by so much; 1 minute with live=true",
        "intraday bars are those of the session; extended_hours=true keeps trading before and after it",
        "the volume of a day is of the whole day, and grows until 20:00 New York as trading after the close is counted",
    ),
)
ALL_HOURS = ("1m", "5m", "15m", "30m", "1h", "1d", "1w", "1M")
# Trades are reported within seconds, and those that are late still change the last minute.
_LIVE_DELAY_SECONDS = 60
# A market that is open from 04:00 to 20:00 has so many minutes for each of its 6.5 hours.
_EXTENDED_FACTOR = 16 / 6.5


def limits_of(*, extended_hours: bool, details: bool, history_years: int | None, live: bool) -> VendorLimits:
    """Return the limits under the options of the source."""
    frequencies = ALL_HOURS if extended_hours else LIMITS.frequencies
    depth = {} if history_years is None else dict.fromkeys(frequencies, history_years * 365)
    return replace(
        LIMITS,
        frequencies=frequencies,
        depth_days=depth,
        requests_per_symbol=3 if details else 2,
        settlement_delay_seconds=_LIVE_DELAY_SECONDS if live else LIMITS.settlement_delay_seconds,
    )


def page_count(bars: int, frequency: Frequency) -> int:
    """Return how many pages `bars` take: the vendor counts the minutes or days they are made of, of all hours."""
    bases = bars * SPANS[frequency.name][2]
    if frequency.is_intraday:
        bases = int(bases * _EXTENDED_FACTOR)
    return max(1, -(-bases // AGGREGATES_LIMIT))


def cut_by_plan(first: date, due: date, today: date) -> int | None:
    """Return how many years a plan reaches back if bars begin at `first`, though they are `due` earlier, because of it.

    The vendor leaves out what the plan does not include without a word. A series that begins late for its own reasons (the
    company had another ticker before) does so on any day, and not just so many years ago.
    """
    for years in PLAN_YEARS:
        depth = date(today.year - years, today.month, min(today.day, 28))
        if abs(first - depth) <= timedelta(days=7) and depth - due > timedelta(days=31):
            return years
    return None
