"""Where a bar lies in Zipline's tables: by session, and by the minute since the first session's open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from rustybt.errors import RequestError
from rustybt.market.calendars import get_calendar
from rustybt.market.frequency import Frequency
from rustybt.market.request import DAY_MICROSECONDS, to_date

if TYPE_CHECKING:
    from rustybt.data.bundles.bundle import Bundle
    from rustybt.market.trading_calendar import Instants, Sessions, TradingCalendar

OUTSIDE = -1
_MINUTE = 60_000_000
#: Zipline refuses windows of history that begin before a bundle's first session: a year of empty ones comes before the bars,
#: so that they are read as missing, as they are here.
LEAD_SESSIONS = 252
#: Calendars that Zipline builds from this day on; others from twenty years before today.
_SINCE_1990 = frozenset({"XNYS", "CMES", "us_futures"})
_FIRST_OF_1990 = date(1990, 1, 1)
_YEARS = 20


@dataclass(frozen=True, slots=True)
class SessionGrid:
    """The sessions of an ingestion.

    Parameters
    ----------
    calendar
        Knows all sessions and more.
    sessions
        Dates of the ingestion's sessions, datetime64[D], rising.
    begin
        Position of the first of them in the calendar.
    minutes_per_day
        Minutes of the longest session; every session has so many rows in Zipline's table of minutes.
    """

    calendar: TradingCalendar
    sessions: Sessions
    begin: int
    minutes_per_day: int

    @property
    def first(self) -> date:
        """First session."""
        found: date = self.sessions[0].item()
        return found

    @property
    def last(self) -> date:
        """Last session."""
        found: date = self.sessions[-1].item()
        return found

    @property
    def seconds(self) -> Instants:
        """Midnight of each session, seconds since 1970 UTC."""
        return self.sessions.astype("datetime64[s]").astype(np.int64)

    def row_of_days(self, stamps: Instants) -> Instants:
        """Return the number of the session that each daily bar is labelled by, `OUTSIDE` where it is none."""
        days = (stamps // DAY_MICROSECONDS).astype("datetime64[D]")
        whole = stamps % DAY_MICROSECONDS == 0
        return np.where(whole, self._numbered(self.calendar.session_index(days)), OUTSIDE)

    def row_of_instants(self, stamps: Instants) -> Instants:
        """Return the number of the session that trades at each instant, `OUTSIDE` out of hours."""
        return self._numbered(self.calendar.session_of_instants(stamps))

    def minute_of(self, stamps: Instants, rows: Instants) -> Instants:
        """Return the position of each minute, given by its open, in Zipline's table; `OUTSIDE` where it has none."""
        opens = self.calendar.opens[self.begin + np.maximum(rows, 0)]
        since = stamps - opens
        fits = (rows >= 0) & (since % _MINUTE == 0)
        return np.where(fits, rows * self.minutes_per_day + since // _MINUTE, OUTSIDE)

    def _numbered(self, at: Instants) -> Instants:
        rows = at - self.begin
        return np.where((at >= 0) & (rows >= 0) & (rows < self.sessions.size), rows, OUTSIDE)


def grid_of(bundle: Bundle, frequencies: tuple[str, ...], today: date) -> SessionGrid:
    """Return the sessions that an ingestion of `frequencies` needs, as far as Zipline's calendar reaches.

    Raises
    ------
    RequestError
        No session of the calendar lies in the range of the bars.
    """
    spans = [(int(rows["first"].min()), int(rows["last"].max())) for rows in map(bundle.series, frequencies)]  # type: ignore[arg-type]
    day = timedelta(days=1)
    low = max(to_date(min(first for first, _ in spans)), earliest_session(bundle.calendar_name, today))
    high = to_date(max(last for _, last in spans))
    lead = timedelta(days=LEAD_SESSIONS * 2)
    calendar = get_calendar(bundle.calendar_name, low - lead, max(low, high) + day)
    begin, end = np.searchsorted(calendar.sessions, [np.datetime64(low), np.datetime64(high + day)])
    if any(Frequency.parse(name).is_intraday for name in frequencies):
        # An evening's minutes may belong to the session of the next date.
        at = calendar.session_of_instants(np.array([max(last for _, last in spans)]))
        end = max(end, int(at[0]) + 1)
    if begin >= end:
        raise RequestError(
            f"{bundle.reference} has no bar in a session that Zipline's calendar {bundle.calendar_name} knows: it begins on "
            f"{earliest_session(bundle.calendar_name, today)}",
            hint="--to parquet keeps all bars",
        )
    earliest = int(np.searchsorted(calendar.sessions, np.datetime64(earliest_session(bundle.calendar_name, today))))
    begin = max(int(begin) - LEAD_SESSIONS, earliest)
    part = slice(begin, int(end))
    # The usual length is a property of the venue: a bundle of half days alone must not shorten it.
    longest = int((calendar.closes - calendar.opens).max()) // _MINUTE
    return SessionGrid(calendar, calendar.sessions[part], begin, longest)


def earliest_session(calendar_name: str, today: date) -> date:
    """Return the day on which Zipline's calendar of that name begins."""
    if calendar_name in _SINCE_1990:
        return _FIRST_OF_1990
    return (np.datetime64(today, "M") - 12 * _YEARS + 1).astype("datetime64[D]").item()  # type: ignore[no-any-return]
