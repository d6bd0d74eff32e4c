"""Which calendars there are, and how one is built.

`exchange_calendars` knows the holidays; `TradingCalendar` is the part of it that bars need, as plain arrays. Building one
takes up to a second, so calendars are kept per name and range of whole years.
"""

from __future__ import annotations

import difflib
import textwrap
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rustybt.errors import RequestError
from rustybt.logging import get_logger, without_warnings
from rustybt.market.request import DAY_MICROSECONDS
from rustybt.market.trading_calendar import NO_BREAK, Instants, TradingCalendar

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pandas as pd

ALWAYS_OPEN = "24/7"
#: Dates that RustyBT stores: `EARLIEST_DATE` included, `LATEST_DATE` excluded.
EARLIEST_DATE = date(1900, 1, 1)
LATEST_DATE = date(2200, 1, 1)

_DEFAULT_CALENDARS = {"crypto": ALWAYS_OPEN, "forex": "24/5", "future": "CMES", "commodity": "CMES"}
# So that the session before the first and after the last one asked for is known as well.
_PADDING = timedelta(days=31)
# What the library raises for ranges that it cannot build; anything else is a defect and must be seen.
_BUILD_ERRORS = (ValueError, NotImplementedError)
# Some of its messages list every date of twenty years.
_LONGEST_REASON = 200


def get_calendar(name: str, start: date, end: date) -> TradingCalendar:
    """Return the calendar `name` with every session from `start` to `end`, both included, and some around them.

    Where the library's knowledge ends earlier (`covered_start`, `covered_end` say so, and `limited_by` why), the calendar
    holds what is known: a calendar's bounds are no reason to refuse bars.

    Parameters
    ----------
    name
        A MIC such as ``XNYS``, an alias such as ``NYSE``, ``NASDAQ`` or ``CME``, or ``24/7``; upper or lower case.

    Raises
    ------
    RequestError
        No such calendar, or `end` before `start`.
    """
    canonical = canonical_name(name)
    if end < start:
        raise RequestError(f"calendar {name}: the end {end} comes before the start {start}")
    low = max(min(start, LATEST_DATE), EARLIEST_DATE + _PADDING) - _PADDING
    high = min(max(end, EARLIEST_DATE), LATEST_DATE - _PADDING) + _PADDING
    return _build(canonical, low.year, max(low.year, high.year))


def calendar_names() -> list[str]:
    """Return the names of all calendars, without aliases, sorted."""
    from exchange_calendars import get_calendar_names

    return sorted(get_calendar_names(include_aliases=False))


def canonical_name(name: str) -> str:
    """Return the calendar's own name for a MIC or an alias.

    Raises
    ------
    RequestError
        No such calendar; the hint lists near names.
    """
    found = _names().get(str(name).casefold())
    if found is None:
        near = dict.fromkeys(_names()[n] for n in difflib.get_close_matches(str(name).casefold(), _names(), n=3))
        hint = f"did you mean {' or '.join(near)}?" if near else "use a MIC such as XNYS, or 24/7"
        raise RequestError(f"unknown calendar {name!r}", hint=hint, calendar=name)
    return found


def calendar_for(venue: str | None, asset_type: str) -> str:
    """Return the name of the calendar that an asset trades on.

    A venue that is a calendar wins (``XNAS`` keeps the sessions of ``XNYS``), except for crypto, which never closes. Else
    crypto gets ``24/7``, forex ``24/5``, futures and commodities ``CMES``, and anything else ``XNYS``.
    """
    if venue and asset_type != "crypto":
        found = _names().get(venue.casefold())
        if found is not None:
            return found
    return _DEFAULT_CALENDARS.get(asset_type, "XNYS")


def library_version() -> str:
    """Return the version of exchange_calendars; a pin records it, for holidays are corrected between versions."""
    import exchange_calendars

    return str(exchange_calendars.__version__)


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Return every name and alias, casefolded, with the calendar it stands for."""
    from exchange_calendars import get_calendar_names, resolve_alias

    return {name.casefold(): resolve_alias(name) for name in get_calendar_names(include_aliases=True)}


@lru_cache(maxsize=64)
def _build(name: str, first_year: int, last_year: int) -> TradingCalendar:
    if name == ALWAYS_OPEN:
        return _always_open(date(first_year, 1, 1), date(last_year, 12, 31))
    built, reason = _from_library(name, date(first_year, 1, 1), date(last_year, 12, 31))
    if built is None:
        nothing = np.empty(0, dtype=np.int64)
        return TradingCalendar(
            name=name,
            sessions=nothing.astype("datetime64[D]"),
            opens=nothing,
            closes=nothing,
            covered_start=date(first_year, 1, 1),
            covered_end=date(first_year, 1, 1) - timedelta(days=1),
            library_version=library_version(),
            limited_by=reason,
        )
    calendar, start, end = built
    return TradingCalendar(
        name=name,
        sessions=calendar.sessions.to_numpy().astype("datetime64[D]"),
        opens=_instants(calendar.opens),
        closes=_instants(calendar.closes),
        break_starts=_instants(calendar.break_starts) if calendar.has_break else None,
        break_ends=_instants(calendar.break_ends) if calendar.has_break else None,
        early_closes=calendar.early_closes.to_numpy().astype("datetime64[D]"),
        covered_start=start,
        covered_end=end,
        library_version=library_version(),
        limited_by=reason,
    )


def _always_open(start: date, end: date) -> TradingCalendar:
    sessions = np.arange(np.datetime64(start), np.datetime64(end + timedelta(days=1)))
    opens = sessions.astype(np.int64) * DAY_MICROSECONDS
    return TradingCalendar(
        name=ALWAYS_OPEN,
        sessions=sessions,
        opens=opens,
        closes=opens + DAY_MICROSECONDS,
        is_always_open=True,
        covered_start=start,
        covered_end=end,
        library_version=library_version(),
    )


_Built: TypeAlias = tuple[Any, date, date]


def _from_library(name: str, start: date, end: date) -> tuple[_Built | None, str]:
    """Return the library's calendar over as much of the range as it can build, with that range, and why it is not all."""
    calendar, reason = _try(name, start, end)
    if calendar is not None:
        return (calendar, start, end), ""
    low, high = _bounds(name)
    start, end = max(start, low or start), min(end, high or end)
    if start > end:
        return None, reason
    calendar, _ = _try(name, start, end)
    # Some calendars fail on early years without telling a bound (XTAE does): keep the most recent years that work.
    return ((calendar, start, end) if calendar is not None else _latest_years(name, start, end)), reason


def _latest_years(name: str, start: date, end: date) -> _Built | None:
    """Return the calendar from the earliest January from which the library can build it up to `end`."""
    best: _Built | None = None
    low, high = start.year + 1, end.year
    while low <= high:
        middle = (low + high) // 2
        calendar, _ = _try(name, date(middle, 1, 1), end)
        if calendar is None:
            low = middle + 1
        else:
            best = (calendar, date(middle, 1, 1), end)
            high = middle - 1
    return best


def _try(name: str, start: date, end: date) -> tuple[Any | None, str]:
    """Return the library's calendar, or None and why it cannot be built."""
    import exchange_calendars

    with _quiet():
        try:
            return exchange_calendars.get_calendar(name, start=start.isoformat(), end=end.isoformat()), ""
        except _BUILD_ERRORS as error:
            return None, _reason(name, f"{start} to {end}", error)


def _bounds(name: str) -> tuple[date | None, date | None]:
    """Return the first and last date that the library can evaluate `name` on, where it says so."""
    import exchange_calendars

    with _quiet():
        try:
            kind = type(exchange_calendars.get_calendar(name))
            low, high = kind.bound_min(), kind.bound_max()
        except _BUILD_ERRORS as error:
            _reason(name, "its default range", error)
            return None, None
    return (low.date() if low is not None else None), (high.date() if high is not None else None)


def _reason(name: str, span: str, error: Exception) -> str:
    """Return what the library said in one line, and leave a trace of it."""
    text = textwrap.shorten(f"{type(error).__name__}: {error}", _LONGEST_REASON, placeholder=" ...")
    get_logger(__name__).debug("calendar_not_built", calendar=name, range=span, reason=text)
    return text


def _quiet() -> AbstractContextManager[None]:
    """Keep from users what the library does not know yet of a newer pandas: they can do nothing about it."""
    return without_warnings(DeprecationWarning, FutureWarning)


def _instants(index: pd.Series[Any]) -> Instants:
    """Return UTC instants as int64 microseconds, `NO_BREAK` where the library has NaT."""
    stamps = index.dt.tz_localize(None).to_numpy() if index.dt.tz is not None else index.to_numpy()
    micros: Instants = stamps.astype("datetime64[us]").astype(np.int64)
    micros[np.isnat(stamps)] = NO_BREAK
    return micros
