"""The sessions of one venue as plain arrays: when bars are due, and when they are not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal, TypeAlias

import numpy as np

from rustybt.errors import RequestError
from rustybt.market.frequency import DAILY, Frequency
from rustybt.market.request import DAY_MICROSECONDS, to_microseconds

Sessions: TypeAlias = np.ndarray[tuple[int], np.dtype[np.datetime64]]
Instants: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]
Anchor: TypeAlias = Literal["open", "clock"]

#: Stands in `break_starts` and `break_ends` for a session without a break.
NO_BREAK = int(np.iinfo(np.int64).min)


def _no_sessions() -> Sessions:
    return np.empty(0, dtype="datetime64[D]")


@dataclass(frozen=True, slots=True, eq=False)
class TradingCalendar:
    """Every session of a venue between two dates; use `rustybt.market.calendars.get_calendar`.

    Parameters
    ----------
    name
        ``XNYS``, ``24/7``.
    sessions
        Dates, datetime64[D], rising.
    opens, closes
        Instants of each session, int64 microseconds since 1970 UTC; the close itself is outside. A 24/7 session runs
        from 00:00 to the next 00:00.
    break_starts, break_ends
        Lunch breaks in the same unit, `NO_BREAK` for a session without one; None when the venue has none at all.
    early_closes
        Sessions that end before their usual hour.
    covered_start, covered_end
        Between these dates, both included, a date that is not in `sessions` is known to be none. Beyond them nothing is
        known. Nothing at all is known if `covered_end` lies before `covered_start`.
    library_version
        Version of exchange_calendars that said so.
    limited_by
        Why the library could not build all that was asked for, in its own words; empty if it could.
    """

    name: str
    sessions: Sessions
    opens: Instants
    closes: Instants
    covered_start: date
    covered_end: date
    break_starts: Instants | None = None
    break_ends: Instants | None = None
    early_closes: Sessions = field(default_factory=_no_sessions)
    is_always_open: bool = False
    library_version: str = ""
    limited_by: str = ""

    def __post_init__(self) -> None:
        # Calendars are shared by everyone who asks for the same years.
        for array in (self.sessions, self.opens, self.closes, self.break_starts, self.break_ends, self.early_closes):
            if array is not None:
                array.setflags(write=False)

    def sessions_between(self, start: date, end: date) -> Sessions:
        """Return the sessions from `start` to `end`, both included."""
        return self.sessions[self._slice(start, end)]

    def is_session(self, day: date) -> bool:
        """Return whether the venue trades on `day`."""
        return bool(self.session_index(np.array([day], dtype="datetime64[D]"))[0] >= 0)

    def session_index(self, days: Sessions) -> Instants:
        """Return the position in `sessions` of each date, -1 for a date that is not a session."""
        wanted = days.astype("datetime64[D]")
        if not self.sessions.size:
            return np.full(wanted.shape, -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.sessions, wanted), self.sessions.size - 1)
        return np.where(self.sessions[at] == wanted, at, -1)

    def session_of_instants(self, instants: Instants) -> Instants:
        """Return the position in `sessions` of the session that trades at each instant, -1 outside trading hours.

        The open belongs to the session, the close does not: the rule for labels of bars, which carry their open.
        """
        if not self.sessions.size:
            return np.full(instants.shape, -1, dtype=np.int64)
        at = np.searchsorted(self.opens, instants, side="right") - 1
        safe = np.maximum(at, 0)
        trades = (at >= 0) & (instants < self.closes[safe])
        if self.break_starts is not None and self.break_ends is not None:
            # NO_BREAK is below every instant, so it never covers one.
            trades &= ~((instants >= self.break_starts[safe]) & (instants < self.break_ends[safe]))
        return np.where(trades, at, -1)

    def covers(self, days: Sessions) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return, for each date, whether the calendar knows if it is a session."""
        wanted = days.astype("datetime64[D]")
        covered = (wanted >= np.datetime64(self.covered_start)) & (wanted <= np.datetime64(self.covered_end))
        return np.asarray(covered, dtype=np.bool_)

    def is_closed(self, days: Sessions) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return, for each date, whether the venue is known not to trade on it."""
        return np.asarray((self.session_index(days) < 0) & self.covers(days), dtype=np.bool_)

    def next_session(self, day: date) -> date:
        """Return the first session after `day`.

        Raises
        ------
        RequestError
            The calendar ends before it.
        """
        return self._neighbour(day, int(np.searchsorted(self.sessions, np.datetime64(day), side="right")), "after")

    def previous_session(self, day: date) -> date:
        """Return the last session before `day`.

        Raises
        ------
        RequestError
            The calendar begins after it.
        """
        return self._neighbour(day, int(np.searchsorted(self.sessions, np.datetime64(day))) - 1, "before")

    def _neighbour(self, day: date, at: int, side: str) -> date:
        if not 0 <= at < self.sessions.size:
            raise RequestError(
                f"calendar {self.name} knows no session {side} {day}; it covers {self.covered_start} to "
                f"{self.covered_end}",
                hint="ask for a calendar over a longer range",
            )
        found: date = self.sessions[at].item()
        return found

    def expected_bar_opens(
        self, start: date, end: date, frequency: str | Frequency, anchor: Anchor = "open"
    ) -> Instants:
        """Return the label of every bar that is due from `start` to `end`, both included.

        Returns
        -------
        int64 array
            Microseconds since 1970 UTC, rising. Intraday: one every `frequency` through each session and, where there
            is a lunch break, through each half; the last bar of a stretch may be shorter. Daily: each session's date at
            00:00 UTC. Weekly and monthly: the date of the first session of each calendar week (from Monday) or month.

        Parameters
        ----------
        anchor
            Where intraday bars begin: ``open`` counts from each stretch's open (09:30, 10:30 ...), ``clock`` from the
            hour on the UTC clock (09:00 or 09:30, then 10:00 ...), which some vendors do for bars of 30 minutes and more.
        """
        parsed = Frequency.parse(frequency)
        part = self._slice(start, end)
        if not parsed.is_intraday:
            sessions = self.sessions[part]
            if parsed != DAILY and sessions.size:
                periods = period_numbers(sessions, parsed)
                sessions = sessions[np.r_[True, periods[1:] != periods[:-1]]]
            return sessions.astype(np.int64) * DAY_MICROSECONDS
        starts, ends = self.stretches(part)
        step = parsed.microseconds
        first = starts if anchor == "open" else starts - starts % step
        counts = np.maximum(-((first - ends) // step), 0)
        offsets = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        labels = np.repeat(first, counts) + offsets * step
        # Both halves of a session can reach into the same hour of the clock.
        return labels if anchor == "open" else np.unique(labels)

    def stretches(self, part: slice = slice(None)) -> tuple[Instants, Instants]:
        """Return the starts and ends of unbroken trading of the sessions in `part`: two a session with a break."""
        opens, closes = self.opens[part], self.closes[part]
        if self.break_starts is None or self.break_ends is None:
            return opens, closes
        pauses, resumes = self.break_starts[part], self.break_ends[part]
        broken = pauses != NO_BREAK
        starts = np.concatenate([opens, resumes[broken]])
        ends = np.concatenate([np.where(broken, pauses, closes), closes[broken]])
        order = np.argsort(starts)
        return starts[order], ends[order]

    def bar_ends(self, labels: Instants, frequency: Frequency) -> Instants:
        """Return the instant at which each bar is complete: the close of its session, week or month, or its own length.

        An intraday bar that reaches over its session's close ends with the session. Where no session is known the bar
        lasts as long as its name says.
        """
        nominal = labels + frequency.microseconds
        if not self.sessions.size:
            return nominal
        if frequency.is_intraday:
            at = self.session_of_instants(labels)
            return np.where(at >= 0, np.minimum(nominal, self.closes[np.maximum(at, 0)]), nominal)
        numbers = period_numbers(self.sessions, frequency)
        wanted = period_numbers((labels // DAY_MICROSECONDS).astype("datetime64[D]"), frequency)
        last = np.searchsorted(numbers, wanted, side="right") - 1
        known = (last >= 0) & (numbers[np.maximum(last, 0)] == wanted)
        return np.where(known, self.closes[np.maximum(last, 0)], nominal)

    def period_labels(self, labels: Instants, frequency: Frequency) -> Instants:
        """Return for weekly and monthly bars, wherever in their week or month they are labelled, the first session of it.

        Where no session is known it is the Monday, or the first of the month. Other labels are returned unchanged.
        """
        if frequency.is_intraday or frequency == DAILY:
            return labels
        wanted = period_numbers((labels // DAY_MICROSECONDS).astype("datetime64[D]"), frequency)
        first_days = period_starts(wanted, frequency)
        if not self.sessions.size:
            return first_days
        numbers = period_numbers(self.sessions, frequency)
        at = np.minimum(np.searchsorted(numbers, wanted), numbers.size - 1)
        # Before and beyond what the calendar covers, a period may be known in part only.
        whole = (numbers[at] == wanted) & self.covers((first_days // DAY_MICROSECONDS).astype("datetime64[D]"))
        return np.where(whole, self.sessions[at].astype(np.int64) * DAY_MICROSECONDS, first_days)

    def sessions_hash(self, start: date, end: date) -> str:
        """Return the SHA-256 (hex) of the sessions from `start` to `end` with their opens, closes and breaks.

        Two calendars that agree on every hour of these sessions have the same hash, whatever the library's version.
        """
        part = self._slice(start, end)
        digest = hashlib.sha256()
        none = np.full(self.sessions[part].size, NO_BREAK, dtype=np.int64)
        for array in (
            self.sessions[part].astype(np.int64),
            self.opens[part],
            self.closes[part],
            none if self.break_starts is None else self.break_starts[part],
            none if self.break_ends is None else self.break_ends[part],
        ):
            digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
        return digest.hexdigest()

    def instants_between(self, start: date, end: date) -> tuple[int, int]:
        """Return the first and last microsecond, both included, that belong to the dates `start` to `end`.

        These are the UTC days, but for venues whose session opens on the eve in UTC (Sydney, Chicago's futures): there the
        first session's open begins the range, and the open of the session after `end` ends it.
        """
        first, last = to_microseconds(start), to_microseconds(end) + DAY_MICROSECONDS - 1
        part = self._slice(start, end)
        if part.start < self.opens.size:
            first = min(first, int(self.opens[part.start]))
        if part.stop < self.opens.size:
            last = min(last, int(self.opens[part.stop]) - 1)
        return first, max(first, last)

    def _slice(self, start: date, end: date) -> slice:
        low = int(np.searchsorted(self.sessions, np.datetime64(start)))
        high = int(np.searchsorted(self.sessions, np.datetime64(end + timedelta(days=1) if end < date.max else end)))
        return slice(low, max(low, high))


def period_numbers(days: Sessions, frequency: Frequency) -> Instants:
    """Return the number of the calendar week (from Monday) or month that each date lies in; of the day for daily bars.

    Numbers rise by one from each week, month or day to the next.
    """
    numbers = days.astype("datetime64[D]").astype(np.int64)
    if frequency.name == "1w":
        # 1970-01-01 was a Thursday: day -3 was a Monday.
        return (numbers + 3) // 7
    return days.astype("datetime64[M]").astype(np.int64) if frequency.name == "1M" else numbers


def period_starts(numbers: Instants, frequency: Frequency) -> Instants:
    """Return the first day, microseconds since 1970 UTC, of each week (its Monday), month or day that `period_numbers` counts."""
    if frequency.name == "1w":
        return np.asarray((numbers * 7 - 3) * DAY_MICROSECONDS, dtype=np.int64)
    if frequency.name == "1M":
        days = numbers.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        return np.asarray(days * DAY_MICROSECONDS, dtype=np.int64)
    return np.asarray(numbers * DAY_MICROSECONDS, dtype=np.int64)
