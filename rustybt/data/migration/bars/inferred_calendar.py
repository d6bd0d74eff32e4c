"""The trading calendar of an old bundle, whose catalog never named one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from rustybt.data.bundles.storage.foreign import open_foreign
from rustybt.data.migration.bars.columns import columns_of
from rustybt.data.sources.reading.stamps import StampRules
from rustybt.errors import RustybtError
from rustybt.logging import get_logger
from rustybt.market.calendars import ALWAYS_OPEN, EARLIEST_DATE, LATEST_DATE, get_calendar
from rustybt.market.request import DAY_MICROSECONDS, to_date
from rustybt.market.venues import calendar_of_exchange, calendar_of_type

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date

    from rustybt.data.migration.bars.old_file import OldFile
    from rustybt.market.frequency import Frequency

_WEEKDAYS = "24/5"
_DEFAULT = "XNYS"
_SATURDAY, _SUNDAY = 5, 6
# A holiday's bar or two in years of data are a vendor's slips: the same share as in the quality rules.
_STRAY_SHARE = 0.02


def infer_calendar(
    files: Sequence[OldFile], exchanges: Collection[str], asset_types: Collection[str], dates: Collection[date] = ()
) -> tuple[str, str]:
    """Return the calendar that the bars of an old bundle most likely keep, and why.

    In this order: crypto by type or venue is ``24/7``, as then no bar is set aside; the one calendar of the exchanges; of several,
    the one that has most of the dates as sessions, or ``24/5`` where none has them all; the asset type (forex, futures); bars on
    Saturdays and Sundays are ``24/7``, on Sundays alone ``24/5``; else ``XNYS``, with the number of dates that are none of its
    sessions.

    Parameters
    ----------
    exchanges, asset_types
        As the old catalog wrote them, of all symbols of the bundle; what nobody knows is passed over.
    dates
        Days with bars, where they are known; else they are read from the usable files when they are needed.

    Returns
    -------
    tuple of str
        A calendar's name, and a sentence such as ``inferred from exchange NYSE`` or ``assumed: nothing says``. Never fails.
    """
    types = sorted({text.strip() for text in asset_types if text and text.strip()})
    venues = sorted({text.strip() for text in exchanges if text and text.strip()})
    by_type = {text: found for text in types if (found := calendar_of_type(text)) is not None}
    by_venue = {text: found for text in venues if (found := calendar_of_exchange(text)) is not None}
    never_closed = [text for text, found in by_type.items() if found == ALWAYS_OPEN]
    if never_closed:
        return ALWAYS_OPEN, f"inferred from asset type {', '.join(never_closed)}"
    never_closed = [text for text, found in by_venue.items() if found == ALWAYS_OPEN]
    if never_closed:
        return ALWAYS_OPEN, f"inferred from exchange {', '.join(never_closed)}"
    for what, known in (("exchange", by_venue), ("asset type", by_type)):
        calendars = sorted(set(known.values()))
        if len(calendars) == 1:
            return calendars[0], f"inferred from {what} {', '.join(known)}"
        if calendars:
            return _best_of(calendars, f"{what}s {', '.join(known)}", _days(dates, files))
    return _by_sessions(_days(dates, files))


def _best_of(calendars: Sequence[str], told: str, days: Sequence[date]) -> tuple[str, str]:
    """Return the calendar that sets the fewest days aside; where each one would set some, that of all weekdays."""
    closed = {name: _closed_count(name, days) for name in calendars}
    best = min(calendars, key=lambda name: closed[name])
    if closed[best] and closed[best] > _closed_count(_WEEKDAYS, days):
        return _WEEKDAYS, f"inferred from {told}: no one calendar of them has all days with bars"
    return best, f"inferred from {told} and sessions"


def _by_sessions(days: Sequence[date]) -> tuple[str, str]:
    if not days:
        return _DEFAULT, "assumed: nothing says"
    few = _STRAY_SHARE * len(days)
    saturdays = sum(day.weekday() == _SATURDAY for day in days)
    sundays = sum(day.weekday() == _SUNDAY for day in days)
    if saturdays and sundays and saturdays + sundays > few:
        return ALWAYS_OPEN, "inferred from sessions: bars on weekends"
    if sundays > few and not saturdays:
        return _WEEKDAYS, "inferred from sessions: bars on Sundays, none on Saturdays"
    closed = _closed_count(_DEFAULT, days)
    if not closed:
        return _DEFAULT, f"inferred from sessions: every day with bars is one of {_DEFAULT}"
    return _DEFAULT, f"assumed: {closed:,} of {len(days):,} days with bars are no sessions of {_DEFAULT}"


def _closed_count(name: str, days: Sequence[date]) -> int:
    if not days:
        return 0
    calendar = get_calendar(name, days[0], days[-1])
    return int(calendar.is_closed(np.array(days, dtype="datetime64[D]")).sum())


def _days(dates: Collection[date], files: Sequence[OldFile]) -> list[date]:
    """Return the days with bars, sorted."""
    found = set(dates) if dates else {day for file in files for day in _days_of(file)}
    return sorted(day for day in found if EARLIEST_DATE <= day <= LATEST_DATE - timedelta(days=1))


def _days_of(file: OldFile) -> set[date]:
    if not file.is_usable or file.frequency is None:
        return set()
    try:
        return _read_days(file, file.frequency)
    except RustybtError as error:
        # The import of the bars says so where it matters; here one file fewer has a voice.
        get_logger(__name__).debug("days_not_read", file=str(file.path), reason=error.message)
        return set()


def _read_days(file: OldFile, frequency: Frequency) -> set[date]:
    days: set[int] = set()
    with open_foreign(file.path) as parquet:
        column = columns_of(parquet, frequency, file.relative).names["timestamp"]
        for piece in parquet.pieces([column]):
            labels = StampRules(frequency).read_typed(piece[column]).labels.to_physical()
            days.update((labels // DAY_MICROSECONDS).drop_nulls().unique().to_list())
    return {to_date(day * DAY_MICROSECONDS) for day in days}
