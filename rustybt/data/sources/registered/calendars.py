"""The calendar and the sessions that an ingest function is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError
from rustybt.logging import without_warnings
from rustybt.market.calendars import canonical_name

if TYPE_CHECKING:
    import pandas as pd

# Zipline builds these from 1990 on; the library would from twenty years ago on.
_FROM_1990 = ("XNYS", "NYSE", "us_futures", "CMES")


def zipline_calendar(name: str, **options: Any) -> Any:
    """Return the calendar of exchange_calendars that Zipline hands over under this name: a minute belongs to the one before it.

    Parameters
    ----------
    **options
        As of the library's own function: start, end.

    Raises
    ------
    RequestError
        No such calendar.
    """
    import exchange_calendars
    from exchange_calendars.errors import InvalidCalendarName

    if name in _FROM_1990 and options.get("start") is None:
        options["start"] = "1990-01-01"
    with without_warnings(DeprecationWarning, FutureWarning):
        try:
            return exchange_calendars.get_calendar(name, **{**options, "side": "right"})
        except InvalidCalendarName as error:
            raise RequestError(
                f"unknown calendar {name!r}",
                hint="register_calendar adds one, calendar_name takes its name",
                calendar=name,
            ) from error
        except ValueError:
            # One that a definition registered as an object is what it is.
            return exchange_calendars.get_calendar(name)


def stored_calendar(name: str) -> str:
    """Return the calendar's name in our bundles; aliases that a definition registered are followed.

    Raises
    ------
    RequestError
        It is one that only the definition knows.
    """
    import exchange_calendars
    from exchange_calendars.errors import InvalidCalendarName

    try:
        return canonical_name(name)
    except RequestError as unknown:
        try:
            return canonical_name(exchange_calendars.resolve_alias(name))
        except (RequestError, InvalidCalendarName):
            raise RequestError(
                f"a bundle cannot be kept on the calendar {name!r}: {unknown.message}",
                hint="--calendar names one for the bundle, such as XNYS or 24/7; the function still gets its own",
                calendar=name,
            ) from unknown


def sessions_of(calendar: Any, start: Any, end: Any) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the first and the last session to hand over: what was registered, within the calendar, without a zone."""
    first, last = (_naive(value) for value in (start, end))
    low, high = calendar.first_session, calendar.last_session
    return (low if first is None or first < low else first), (high if last is None or last > high else last)


def _naive(value: Any) -> pd.Timestamp | None:
    """Return the session that a Timestamp means; files of older versions say ``tz="utc"``."""
    import pandas as pd

    if value is None:
        return None
    stamp = pd.Timestamp(value)
    return stamp.tz_localize(None) if stamp.tzinfo is not None else stamp
