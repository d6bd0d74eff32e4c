"""When bars are due, when they are final, and when the market is closed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from rustybt.data.cache.session_table import (
    Hours,
    PeriodTable,
    SessionTable,
    decades,
    period_table,
    session_table,
)
from rustybt.errors import RequestError
from rustybt.market.frequency import DAILY, Frequency

if TYPE_CHECKING:
    from rustybt.market.trading_calendar import Instants

__all__ = ["Hours", "Schedule"]

# Far beyond every calendar, and far inside what an int64 of microseconds holds.
_FURTHEST_SECONDS = 1e11
# Fewer periods than any year has, so that a window of so many lies within the years that are looked up.
_PERIODS_A_YEAR = {"1w": 40, "1M": 10}
_SESSIONS_A_YEAR = 150


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a calendar says about the bars of one series; pure, every method is told the time.

    Bars and ranges are microseconds since 1970 UTC, both ends included; moments are Unix seconds. A week or month counts
    as a session of weekly and monthly bars; its bar is labelled with its first session and final at the close of its last
    one. Labels of intraday bars are counted from the open or lie on the clock, as vendors differ: what may be a label
    is taken for one. Days that the calendar does not know (before 1990 in Shanghai) are sessions from 00:00 to 24:00.

    Parameters
    ----------
    calendar_name
        ``XNYS``, ``24/7``; an unknown one is refused at the first question.
    settlement_delay_seconds
        How long after its end the source has a bar for good.
    hours
        ``regular``: bars lie inside sessions. ``extended``: intraday bars lie anywhere on the UTC dates of sessions, and
        in the hours before and after midnight in which the session or its after-hours (up to 4 hours) trade.
        ``always``: on any day, whatever the calendar says; every UTC day is a session.

    Raises
    ------
    RequestError
        `hours` is none of the three, or the delay is negative or not finite.
    """

    calendar_name: str
    frequency: Frequency
    settlement_delay_seconds: float = 0.0
    hours: Hours = "regular"

    def __post_init__(self) -> None:
        if self.hours not in get_args(Hours):
            raise RequestError(f"{self.hours!r} are no hours", hint=f"use one of {', '.join(get_args(Hours))}")
        if not (math.isfinite(self.settlement_delay_seconds) and self.settlement_delay_seconds >= 0):
            raise RequestError(f"a settlement delay of {self.settlement_delay_seconds} s is not possible")

    def has_due(self, start: int, end: int, now: float) -> bool:
        """Return whether a bar labelled in [start, end] is expected and final at `now`."""
        cutoff = self._cutoff(now)
        if self.frequency.is_intraday:
            # The first bar of a range is the first to be final.
            label = self._next_label(start)
            return label is not None and label <= end and self._bar_end(label) <= cutoff
        table = self._periods(start, start)
        at = int(table.labels.searchsorted(start))
        return at < table.labels.size and bool(table.labels[at] <= end and table.closes[at] <= cutoff)

    def first_unfinished(self, start: int, end: int, now: float) -> int | None:
        """Return the label of the first bar expected in [start, end] that is not final at `now`; None if there is none."""
        cutoff = self._cutoff(now)
        if self.frequency.is_intraday:
            # Not final is what ends after the cutoff and lies in a session that closes after it.
            moment = max(start, cutoff - self.frequency.microseconds + 1)
            table = self._sessions(moment, cutoff)
            at = int(table.closes.searchsorted(cutoff, "right"))
            if at == table.closes.size:
                return None
            earliest = int(table.closes[at - 1]) if at else moment
            found = table.next_label(max(moment, earliest), self.frequency.microseconds)
        else:
            periods = self._periods(max(start, cutoff), max(start, cutoff))
            after = int(max(periods.labels.searchsorted(start), periods.closes.searchsorted(cutoff, "right")))
            found = int(periods.labels[after]) if after < periods.labels.size else None
        return found if found is not None and found <= end else None

    def empty_runs(self, start: int, end: int, stamps: Instants) -> list[tuple[int, int]]:
        """Return the stretches of [start, end] made of whole sessions without a bar.

        Neighbouring sessions without a bar join, with the closed time between them. A session that the range cuts is
        never empty: it may have bars outside.

        Parameters
        ----------
        stamps
            Labels of the bars there are, int64, rising.
        """
        if self.frequency.is_intraday:
            step = self.frequency.microseconds
            table = self._sessions(start, end)
            opens, closes = table.opens, table.closes
            # The last bar of a session begins at most one bar before its close.
            low = int(table.trading_opens.searchsorted(start))
            high = int(table.trading_closes.searchsorted(end + step, "right"))
            high = min(high, int(table.trading_opens.searchsorted(end, "right")))
            counted_from, counted_to = opens - opens % step, closes
        else:
            periods = self._periods(start, end)
            opens, closes = periods.labels, periods.ends
            low, high = int(opens.searchsorted(start)), int(opens.searchsorted(end, "right"))
            counted_from, counted_to = periods.begins, periods.ends
        if high <= low:
            return []
        part = slice(low, high)
        filled = np.searchsorted(stamps, counted_from[part]) < np.searchsorted(stamps, counted_to[part])
        edges = np.flatnonzero(np.diff(np.r_[True, filled, True].astype(np.int8)))
        return [
            (max(start, int(opens[low + first])), min(end, int(closes[low + after - 1]) - 1))
            for first, after in edges.reshape(-1, 2).tolist()
        ]

    def has_session(self, start: int, end: int) -> bool:
        """Return whether any session, past or future, has a part in [start, end]; a daily one lasts its whole date."""
        opens, closes = self._spans(start, start)
        at = int(closes.searchsorted(start, "right"))
        return at < opens.size and bool(opens[at] <= end)

    def window_start(self, before: int, sessions: int) -> int:
        """Return where the session begins that lies `sessions` sessions before the one that holds or follows `before`.

        Its open for intraday bars in regular hours, else 00:00 UTC of its date, or its open on the eve.
        """
        years = sessions // _PERIODS_A_YEAR.get(self.frequency.name, _SESSIONS_A_YEAR) + 1
        opens, closes = self._spans(before, before, years)
        at = min(int(closes.searchsorted(before, "right")), opens.size - 1)
        return int(opens[max(at - sessions, 0)])

    def last_close(self, now: float) -> float:
        """Return when the latest session's bars were settled at `now`: its close and the delay; -inf if none is known."""
        cutoff = self._cutoff(now)
        closes = self._closing_sessions(cutoff).closes
        at = int(closes.searchsorted(cutoff, "right")) - 1
        return self._settled(int(closes[at])) if at >= 0 else -math.inf

    def next_close(self, after: float) -> float:
        """Return when the first session's bars are settled after `after`: its close and the delay; inf if none is known."""
        cutoff = self._cutoff(after)
        closes = self._closing_sessions(cutoff).closes
        at = int(closes.searchsorted(cutoff, "right"))
        return self._settled(int(closes[at])) if at < closes.size else math.inf

    def is_open(self, now: float) -> bool:
        """Return whether the venue trades at `now`, in its regular hours and outside breaks."""
        moment = _to_microseconds(now)
        table = session_table(self.calendar_name, self._hours_of_closes, *decades(moment, moment))
        at = int(table.ends.searchsorted(moment, "right"))
        return at < table.ends.size and bool(table.starts[at] <= moment)

    def quiet_until(self, moment: float) -> float:
        """Return until when nothing new can come: `moment` itself from an open to the settlement of that session's bars.

        Else the settlement of the next session's first bar; its open for daily and longer bars, which vendors may show
        while they form. inf if no session is known.
        """
        at_moment, cutoff = _to_microseconds(moment), self._cutoff(moment)
        table = self._closing_sessions(at_moment)
        at = int(table.opens.searchsorted(at_moment, "right"))
        if at and table.closes[at - 1] > cutoff:
            return moment
        if at == table.opens.size:
            return math.inf
        if not self.frequency.is_intraday:
            return int(table.opens[at]) / 1e6
        first = int(table.opens[at] - table.opens[at] % self.frequency.microseconds)
        return self._settled(first + self.frequency.microseconds)

    def off_session(self, stamps: Instants) -> bool:
        """Return whether any bar labelled `stamps` (int64, rising) lies where the calendar and `hours` allow none."""
        if not len(stamps):
            return False
        first, last = int(stamps[0]), int(stamps[-1])
        if self.frequency.is_intraday:
            return not bool(self._sessions(first, last).holds(stamps, self.frequency.microseconds).all())
        table = self._periods(first, last)
        at = np.minimum(np.searchsorted(table.ends, stamps, side="right"), table.ends.size - 1)
        begins = table.begins[at] if self.frequency != DAILY else table.labels[at]
        return bool(((stamps < begins) | (stamps >= table.ends[at])).any())

    @property
    def _hours_of_closes(self) -> Hours:
        return "regular" if self.hours == "extended" else self.hours

    @property
    def _settlement(self) -> int:
        return round(self.settlement_delay_seconds * 1e6)

    def _cutoff(self, now: float) -> int:
        """Return until when bars have to have ended to be final at `now`."""
        return _to_microseconds(now) - self._settlement

    def _settled(self, close: int) -> float:
        return (close + self._settlement) / 1e6

    def _sessions(self, start: int, end: int) -> SessionTable:
        return session_table(self.calendar_name, self.hours, *decades(start, end))

    def _closing_sessions(self, moment: int) -> SessionTable:
        """Return the sessions by whose closes the tail of a series is judged: after-hours only make intraday bars."""
        hours = self.hours if self.frequency.is_intraday else self._hours_of_closes
        return session_table(self.calendar_name, hours, *decades(moment, moment))

    def _periods(self, start: int, end: int) -> PeriodTable:
        return period_table(self.calendar_name, self._hours_of_closes, self.frequency, *decades(start, end))

    def _spans(self, start: int, end: int, years_before: int = 1) -> tuple[Instants, Instants]:
        """Return where each session, or week or month of sessions, begins and ends."""
        known = decades(start, end, years_before)
        if self.frequency.is_intraday:
            table = session_table(self.calendar_name, self.hours, *known)
            return table.opens, table.closes
        periods = period_table(self.calendar_name, self._hours_of_closes, self.frequency, *known)
        return periods.labels, periods.ends

    def _next_label(self, moment: int) -> int | None:
        return self._sessions(moment, moment).next_label(moment, self.frequency.microseconds)

    def _bar_end(self, label: int) -> int:
        """Return when an intraday bar ends: after its length, or at its session's close."""
        nominal = label + self.frequency.microseconds
        closes = self._sessions(label, label).closes
        at = int(closes.searchsorted(label, "right"))
        return min(nominal, int(closes[at])) if at < closes.size else nominal


def _to_microseconds(moment: float) -> int:
    return round(min(max(moment, -_FURTHEST_SECONDS), _FURTHEST_SECONDS) * 1e6)
