"""The sessions of a venue over whole decades, as plain arrays: what a schedule looks up in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from rustybt.market.calendars import EARLIEST_DATE, LATEST_DATE, get_calendar
from rustybt.market.request import DAY_MICROSECONDS, to_date
from rustybt.market.trading_calendar import NO_BREAK, Instants, period_numbers, period_starts

if TYPE_CHECKING:
    from rustybt.market.frequency import Frequency
    from rustybt.market.trading_calendar import TradingCalendar

#: Where bars may lie: in trading hours, on the dates of sessions, or on any day.
Hours: TypeAlias = Literal["regular", "extended", "always"]

#: How long shares are traded after a close: from 16:00 to 20:00 in New York, which in winter is past midnight UTC.
AFTER_HOURS_MICROSECONDS = 4 * 3_600 * 1_000_000

_FIRST_DECADE, _LAST_DECADE = EARLIEST_DATE.year // 10, LATEST_DATE.year // 10 - 1


@dataclass(frozen=True, slots=True, eq=False)
class SessionTable:
    """When bars may lie, session by session; use `session_table`. Instants are microseconds since 1970 UTC.

    A date that the calendar knows nothing about is a session from 00:00 to 24:00.

    Parameters
    ----------
    days
        Date of each session as days since 1970, rising.
    opens, closes
        Where bars of each session may lie; the close itself is outside. They do not overlap.
    trading_opens, trading_closes
        The venue's own hours.
    starts, ends
        Stretches of unbroken trading within `opens` and `closes`: two for a session with a break.
    anchors
        What bars of each stretch are counted from.
    """

    days: Instants
    opens: Instants
    closes: Instants
    trading_opens: Instants
    trading_closes: Instants
    starts: Instants
    ends: Instants
    anchors: Instants

    def next_label(self, moment: int, step: int) -> int | None:
        """Return the first label of an intraday bar at or after `moment`; None if there is none.

        Some vendors count the bars of a session from its open, others lay them on the clock: either label counts.
        """
        at = int(self.ends.searchsorted(moment, "right"))
        while at < self.ends.size:
            start, anchor = int(self.starts[at]), int(self.anchors[at])
            lowest = start - start % step
            if moment <= lowest:
                return lowest
            found = min(-(-moment // step) * step, anchor - (anchor - moment) // step * step)
            if found < self.ends[at]:
                return found
            at += 1
        return None

    def holds(self, stamps: Instants, step: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return for each label of an intraday bar whether it lies where bars may lie."""
        if not self.ends.size:
            return np.zeros(stamps.shape, dtype=np.bool_)
        at = np.searchsorted(self.ends, stamps, side="right")
        starts = self.starts[np.minimum(at, self.starts.size - 1)]
        return np.asarray((at < self.ends.size) & (stamps >= starts - starts % step), dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class PeriodTable:
    """The days, weeks or months that have a session; use `period_table`. Instants are microseconds since 1970 UTC.

    Parameters
    ----------
    begins
        First day of each period, 00:00, whether the venue trades on it or not.
    labels
        Date of its first session, 00:00.
    ends
        End of the date of its last session.
    closes
        Close of its last session.
    """

    begins: Instants
    labels: Instants
    ends: Instants
    closes: Instants


def decades(start: int, end: int, years_before: int = 1, years_after: int = 1) -> tuple[int, int]:
    """Return the first and last decade (202 for the 2020s) that hold a range in microseconds and some years around it."""
    first = min(max((to_date(start).year - years_before) // 10, _FIRST_DECADE), _LAST_DECADE)
    last = min(max((to_date(end).year + years_after) // 10, first), _LAST_DECADE)
    return first, last


@lru_cache(maxsize=256)
def session_table(calendar_name: str, hours: Hours, first_decade: int, last_decade: int) -> SessionTable:
    """Return the sessions of some decades, the last one included.

    Raises
    ------
    RequestError
        No such calendar.
    """
    # Built decade by decade: whatever ranges are asked for, the library computes each decade once.
    parts = [_decade(calendar_name, hours == "always", decade) for decade in range(first_decade, last_decade + 1)]
    days, opens, closes, pauses, resumes = (np.concatenate(column) for column in zip(*parts, strict=True))
    # A day that is only assumed may reach into a session that opens on its eve.
    closes = np.minimum(closes, np.r_[opens[1:], closes[-1:]])
    if hours == "extended":
        midnights = days * DAY_MICROSECONDS
        wide_opens = np.minimum(opens, midnights)
        wide_closes = np.maximum(closes + AFTER_HOURS_MICROSECONDS, midnights + DAY_MICROSECONDS)
        # What reaches past midnight into the date of another session counts as that one's.
        wide_closes = np.minimum(wide_closes, np.r_[wide_opens[1:], wide_closes[-1:]])
        return SessionTable(days, wide_opens, wide_closes, opens, closes, wide_opens, wide_closes, opens)
    broken = pauses != NO_BREAK
    starts = np.concatenate([opens, resumes[broken]])
    order = np.argsort(starts)
    starts, ends = starts[order], np.concatenate([np.where(broken, pauses, closes), closes[broken]])[order]
    return SessionTable(days, opens, closes, opens, closes, starts, ends, starts)


@lru_cache(maxsize=256)
def period_table(
    calendar_name: str, hours: Hours, frequency: Frequency, first_decade: int, last_decade: int
) -> PeriodTable:
    """Return the days, weeks or months of some decades in which there is a session, by the length of `frequency`."""
    table = session_table(calendar_name, hours, first_decade, last_decade)
    numbers = period_numbers(table.days.astype("datetime64[D]"), frequency)
    changes = numbers[1:] != numbers[:-1]
    first, last = np.r_[True, changes], np.r_[changes, True]
    return PeriodTable(
        begins=period_starts(numbers[first], frequency),
        labels=table.days[first] * DAY_MICROSECONDS,
        ends=(table.days[last] + 1) * DAY_MICROSECONDS,
        closes=table.trading_closes[last],
    )


@lru_cache(maxsize=512)
def _decade(calendar_name: str, is_always: bool, decade: int) -> tuple[Instants, ...]:  # noqa: FBT001
    """Return days, opens, closes and breaks of a decade; every day of it that the calendar does not know is a session."""
    first, last = date(decade * 10, 1, 1), date(decade * 10 + 9, 12, 31)
    # `get_calendar` pads what it is asked for by a month: these dates give the decade and nothing more.
    calendar = get_calendar(calendar_name, first.replace(month=2, day=15), last.replace(month=11, day=15))
    every = np.arange(np.datetime64(first), np.datetime64(last) + 1)
    assumed = every if is_always else every[~calendar.covers(every)]
    days = assumed.astype(np.int64)
    opens = days * DAY_MICROSECONDS
    none = np.full(days.shape, NO_BREAK, dtype=np.int64)
    columns = [days, opens, opens + DAY_MICROSECONDS, none, none]
    if not is_always:
        columns = [np.concatenate(pair) for pair in zip(columns, _known(calendar), strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return tuple(column[order] for column in columns)


def _known(calendar: TradingCalendar) -> tuple[Instants, ...]:
    none = np.full(calendar.opens.shape, NO_BREAK, dtype=np.int64)
    pauses = none if calendar.break_starts is None else calendar.break_starts
    resumes = none if calendar.break_ends is None else calendar.break_ends
    return calendar.sessions.astype(np.int64), calendar.opens, calendar.closes, pauses, resumes
