"""When scheduled functions run: rules for the date and the time of day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.data.portal.bar_provider import Booleans, Integers
    from rustybt.market.trading_calendar import Sessions, TradingCalendar

_WEEK_DAYS = 5
_MONTH_DAYS = 23


@dataclass(frozen=True, slots=True)
class DateRule:
    """Chooses sessions: the `offset`-th of each `period`, counted from its start or its end.

    Parameters
    ----------
    period
        ``day``, ``week`` (ISO weeks) or ``month``.
    """

    period: str = "day"
    offset: int = 0
    from_end: bool = False

    def chosen(self, sessions: Sessions, calendar: TradingCalendar) -> Booleans:
        """Return, for each of `sessions`, whether the rule chooses it; periods are whole periods of the calendar."""
        if self.period == "day":
            return np.ones(len(sessions), dtype=np.bool_)
        days = calendar.sessions
        if self.period == "week":
            # Day 0 of the epoch is a Thursday; ISO weeks begin on Monday.
            keys = (days.astype(np.int64) + 3) // 7
        else:
            keys = days.astype("datetime64[M]").astype(np.int64)
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
        ends = np.r_[starts[1:], len(days)]
        at = ends - 1 - self.offset if self.from_end else starts + self.offset
        inside = (at >= starts) & (at < ends)
        picked: Booleans = np.isin(sessions, days[at[inside]])
        return picked


@dataclass(frozen=True, slots=True)
class TimeRule:
    """Chooses a bar of the session; runs on days, weeks or months have one bar in each and take no notice.

    Parameters
    ----------
    anchor
        ``open``, ``close`` or ``every``.
    """

    anchor: str = "every"
    offset: timedelta = timedelta(minutes=1)

    def chosen(self, ends: Integers, opened: int, closed: int) -> int | None:
        """Return which bar of a session the rule chooses, None for none.

        After the open: the first bar that ends at the offset or later. Before the close: the last bar that ends at the offset
        or earlier. Each bar: the first, for a function runs at most once a session, as in Zipline.

        Parameters
        ----------
        ends
            When the bars of the session are complete, microseconds since 1970 UTC.
        opened, closed
            The session of the calendar that the rule counts by.
        """
        if self.anchor == "every":
            return 0
        offset = self.offset // timedelta(microseconds=1)
        if self.anchor == "open":
            at = int(np.searchsorted(ends, opened + offset))
            return at if at < len(ends) else None
        at = int(np.searchsorted(ends, closed - offset, side="right")) - 1
        return at if at >= 0 else None


class date_rules:  # noqa: N801 - Zipline's name
    """Rules for the date of a scheduled function."""

    @staticmethod
    def every_day() -> DateRule:
        """Return the rule that chooses each session."""
        return DateRule()

    @staticmethod
    def week_start(days_offset: int = 0) -> DateRule:
        """Return the rule for the session `days_offset` after the first of each week."""
        return DateRule("week", _offset(days_offset, _WEEK_DAYS))

    @staticmethod
    def week_end(days_offset: int = 0) -> DateRule:
        """Return the rule for the session `days_offset` before the last of each week."""
        return DateRule("week", _offset(days_offset, _WEEK_DAYS), from_end=True)

    @staticmethod
    def month_start(days_offset: int = 0) -> DateRule:
        """Return the rule for the session `days_offset` after the first of each month."""
        return DateRule("month", _offset(days_offset, _MONTH_DAYS))

    @staticmethod
    def month_end(days_offset: int = 0) -> DateRule:
        """Return the rule for the session `days_offset` before the last of each month."""
        return DateRule("month", _offset(days_offset, _MONTH_DAYS), from_end=True)


class time_rules:  # noqa: N801 - Zipline's name
    """Rules for the time of a scheduled function."""

    @staticmethod
    def market_open(offset: timedelta | None = None, hours: int | None = None, minutes: int | None = None) -> TimeRule:
        """Return the rule for a time after the open, by default one minute."""
        return TimeRule("open", _time(offset, hours, minutes))

    @staticmethod
    def market_close(offset: timedelta | None = None, hours: int | None = None, minutes: int | None = None) -> TimeRule:
        """Return the rule for a time before the close, by default one minute."""
        return TimeRule("close", _time(offset, hours, minutes))

    @staticmethod
    def every_minute() -> TimeRule:
        """Return the rule for each minute; a function still runs once a session, in its first bar, as in Zipline."""
        return TimeRule()


class calendars:  # noqa: N801 - Zipline's name
    """Calendars that a schedule may count by instead of the run's."""

    US_EQUITIES = "XNYS"
    US_FUTURES = "us_futures"


Callback = Callable[[Any, Any], Any]


class Schedule:
    """The scheduled functions of a run, in the order of their scheduling."""

    def __init__(self, sessions: Sessions, calendar: TradingCalendar) -> None:
        self._sessions = sessions
        self._calendar = calendar
        self._entries: list[tuple[Booleans, TimeRule, TradingCalendar, Callback]] = []

    def add(
        self,
        callback: Callback,
        date_rule: DateRule,
        time_rule: TimeRule | None = None,
        *,
        half_days: bool = True,
        calendar: TradingCalendar | None = None,
    ) -> None:
        """Run `callback` in the sessions that the rule chooses; not in shortened ones unless `half_days`."""
        counted = calendar or self._calendar
        due = date_rule.chosen(self._sessions, counted)
        if not half_days:
            due &= ~np.isin(self._sessions, counted.early_closes)
        self._entries.append((due, time_rule or TimeRule(), counted, callback))

    def due(self, t: int, ends: Integers) -> dict[int, list[Callback]]:
        """Return what runs in session `t`, by the number of the bar in it.

        Parameters
        ----------
        ends
            When the session's bars are complete, microseconds since 1970 UTC.
        """
        found: dict[int, list[Callback]] = {}
        for due, rule, calendar, callback in self._entries:
            if not due[t]:
                continue
            bar = self._bar_of(rule, calendar, t, ends)
            if bar is not None:
                found.setdefault(bar, []).append(callback)
        return found

    def _bar_of(self, rule: TimeRule, calendar: TradingCalendar, t: int, ends: Integers) -> int | None:
        if len(ends) == 1:
            return 0
        at = int(calendar.session_index(self._sessions[t : t + 1])[0])
        if at < 0:
            # The other calendar has no session today: nothing opens or closes.
            return 0 if rule.anchor == "every" else None
        return rule.chosen(ends, int(calendar.opens[at]), int(calendar.closes[at]))


def check_rule(rule: Any, kind: type[DateRule | TimeRule], name: str) -> None:
    """Raise unless `rule` is a rule of that kind; passing ``date_rules.every_day`` uncalled is the usual slip."""
    if rule is None or isinstance(rule, kind):
        return
    hint = f"write {rule.__name__}() with parentheses" if callable(rule) else f"use one of {name}"
    raise RequestError(f"{rule!r} is not one of {name}", hint=hint)


def _offset(days: int, limit: int) -> int:
    if int(days) != days or not 0 <= days < limit:
        raise RequestError(
            f"days_offset must be a whole number from 0 to {limit - 1}, not {days}", hint="date_rules.month_start(1)"
        )
    return int(days)


def _time(offset: timedelta | None, hours: int | None, minutes: int | None) -> timedelta:
    if offset is not None and (hours is not None or minutes is not None):
        raise RequestError(
            "a time rule takes an offset or hours and minutes, not both",
            hint="time_rules.market_open(hours=1, minutes=30)",
        )
    found = offset or timedelta(hours=hours or 0, minutes=minutes or 0) or timedelta(minutes=1)
    if found < timedelta(minutes=1):
        raise RequestError(
            f"a time rule's offset must be at least a minute, not {found}", hint="time_rules.market_open(minutes=1)"
        )
    return found
