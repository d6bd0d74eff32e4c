"""What is asked for: symbols, a range and a frequency, parsed once at the door."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from rustybt.errors import RequestError
from rustybt.market.frequency import Frequency

if TYPE_CHECKING:
    import polars as pl

    from rustybt.market.trading_calendar import TradingCalendar

MAX_SYMBOL_LENGTH = 64
DAY_MICROSECONDS = 86_400_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DATE_HINT = "write dates as 2020-01-31, instants as 2020-01-31T14:30:00Z"
# Control characters, lone surrogates, line and paragraph separators: none can be printed or stored as UTF-8 text safely.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Characters that reorder what a terminal shows, so that one symbol looks like another.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def check_symbol(symbol: str) -> str:
    """Return `symbol` without surrounding spaces; all else of it is data and kept as given.

    Raises
    ------
    RequestError
        It is not text, empty, longer than 64 characters, or holds a control character.
    """
    if not isinstance(symbol, str):
        raise RequestError(f"a symbol must be text, not {type(symbol).__name__} {symbol!r}")
    stripped = symbol.strip()
    if not stripped:
        raise RequestError("a symbol must not be empty", hint="name symbols as AAPL or BTC/USDT")
    if len(stripped) > MAX_SYMBOL_LENGTH:
        raise RequestError(
            f"symbol {stripped[:20]!r}... has {len(stripped)} characters, at most {MAX_SYMBOL_LENGTH} are allowed",
            symbol=stripped,
        )
    # Printable text has nothing to refuse, and the test is one C loop.
    if not stripped.isprintable():
        for char in stripped:
            if unicodedata.category(char) in _REFUSED_CATEGORIES or char in _REORDERING:
                raise RequestError(f"symbol {stripped!r} holds the control character {char!r}", symbol=stripped)
    return stripped


def check_symbols(symbols: str | Iterable[str]) -> tuple[str, ...]:
    """Return the checked symbols without repetitions, in the order given; one string is one symbol.

    Symbols are compared by code points: NFC and NFD spellings of one letter are two symbols, each kept as given.

    Raises
    ------
    RequestError
        One of them is not usable (`check_symbol`).
    """
    given = (symbols,) if isinstance(symbols, str) else symbols
    if not isinstance(given, Iterable):
        raise RequestError(f"symbols must be a name or a list of names, not {type(symbols).__name__}")
    return tuple(dict.fromkeys(check_symbol(symbol) for symbol in given))


@dataclass(frozen=True, slots=True)
class BarRequest:
    """Symbols, range and frequency; use `BarRequest.create`.

    Parameters
    ----------
    symbols
        Not empty, without repetitions, in the caller's order.
    start, end
        Microseconds since 1970 UTC, both included, compared with bar labels; None leaves the side open.
    """

    symbols: tuple[str, ...]
    start: int | None
    end: int | None
    frequency: Frequency

    @classmethod
    def create(
        cls,
        symbols: str | Iterable[str],
        start: Any = None,
        end: Any = None,
        frequency: str | Frequency = "1d",
    ) -> Self:
        """Return the request that `symbols`, `start`, `end` and `frequency` spell.

        A date, date-only text, or (for daily and longer bars) a timestamp at midnight means that whole session; any
        other timestamp is an instant. Without a time zone, UTC is meant. None leaves a side open.

        Raises
        ------
        RequestError
            No symbol, an unusable symbol, an unknown frequency, a side that is no date, or an end before the start.
        """
        parsed = Frequency.parse(frequency)
        names = check_symbols(symbols)
        if not names:
            raise RequestError("no symbols were asked for", hint="name at least one symbol: --symbols AAPL,MSFT")
        first, last = parse_range(start, end, parsed)
        return cls(names, first, last, parsed)

    @property
    def start_date(self) -> date | None:
        """UTC day of `start`; None when open."""
        return None if self.start is None else to_date(self.start)

    @property
    def end_date(self) -> date | None:
        """UTC day of `end`; None when open."""
        return None if self.end is None else to_date(self.end)

    @property
    def start_text(self) -> str:
        """ISO text of `start` for people and provenance: a date where a whole day begins, empty when open."""
        if self.start is None:
            return ""
        return to_date(self.start).isoformat() if self.start % DAY_MICROSECONDS == 0 else _instant_text(self.start)

    @property
    def end_text(self) -> str:
        """ISO text of `end` for people and provenance: a date where a whole day ends, empty when open."""
        if self.end is None:
            return ""
        whole = (self.end + 1) % DAY_MICROSECONDS == 0
        return to_date(self.end).isoformat() if whole else _instant_text(self.end)

    def on_calendar(self, calendar: TradingCalendar) -> Self:
        """Return the request with dates on intraday bars read as sessions of `calendar`, where these differ from UTC days.

        Sydney's session of a date opens on the eve in UTC. A start at 00:00 UTC counts as a date.
        """
        if not self.frequency.is_intraday:
            return self
        start, end = self.start, self.end
        if start is not None and start % DAY_MICROSECONDS == 0:
            start = calendar.instants_between(to_date(start), to_date(start))[0]
        if end is not None and (end + 1) % DAY_MICROSECONDS == 0:
            end = calendar.instants_between(to_date(end), to_date(end))[1]
        return replace(self, start=start, end=end)

    def in_range(self, column: str = "timestamp") -> pl.Expr:
        """Return the polars condition that a bar's label lies between `start` and `end`, both included."""
        import polars as pl

        stamp = pl.col(column).to_physical()
        condition = pl.lit(value=True)
        if self.start is not None:
            condition &= stamp >= self.start
        if self.end is not None:
            condition &= stamp <= self.end
        return condition


def parse_range(start: Any, end: Any, frequency: Frequency) -> tuple[int | None, int | None]:
    """Return both sides as microseconds since 1970 UTC, both included; the rules of `BarRequest.create`.

    Raises
    ------
    RequestError
        A side is no date, or the end comes before the start.
    """
    first, last = _parse_side(start, frequency, "start"), _parse_side(end, frequency, "end")
    low = None if first is None else first[0]
    high = None if last is None else last[1]
    if low is not None and high is not None and high < low:
        raise RequestError(f"the end {end} comes before the start {start}", hint="swap start and end")
    return low, high


def to_date(microseconds: int) -> date:
    """Return the UTC day of an instant; one beyond what Python's dates can hold becomes the nearest day they can."""
    days = microseconds // DAY_MICROSECONDS
    return date.fromordinal(min(max(days + _EPOCH.toordinal(), 1), date.max.toordinal()))


def to_microseconds(day: date) -> int:
    """Return the instant at which the UTC day begins, microseconds since 1970."""
    return (day.toordinal() - _EPOCH.toordinal()) * DAY_MICROSECONDS


def _parse_side(value: Any, frequency: Frequency, side: str) -> tuple[int, int] | None:
    """Return the first and last microsecond that `value` means."""
    if value is None:
        return None
    if isinstance(value, np.datetime64):
        value = _from_numpy(value, side)
    if isinstance(value, str):
        value = _from_text(value, side)
    if isinstance(value, datetime):
        if value != value:  # noqa: PLR0124  NaT is the only datetime that differs from itself
            raise RequestError(f"{side} is not a time", hint=_DATE_HINT)
        if frequency.is_intraday or _has_time(value):
            moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value
            instant = (moment - _EPOCH) // _MICROSECOND
            return instant, instant
        # A normalized timestamp names a session by its own calendar day, whatever its zone.
        value = value.date()
    if isinstance(value, date):
        begin = to_microseconds(value)
        return begin, begin + DAY_MICROSECONDS - 1
    raise RequestError(f"{side}={value!r} is not a date", hint=_DATE_HINT)


def _has_time(value: datetime) -> bool:
    """Return whether `value` lies off midnight; pandas timestamps carry nanoseconds as well."""
    return value.time().replace(tzinfo=None) != datetime.min.time() or bool(getattr(value, "nanosecond", 0))


def _from_numpy(value: np.datetime64, side: str) -> date | datetime:
    """Return a date for units of a day and longer, else a datetime."""
    if np.isnat(value):
        raise RequestError(f"{side} is not a time", hint=_DATE_HINT)
    unit = "D" if np.datetime_data(value.dtype)[0] in ("Y", "M", "W", "D") else "us"
    plain = value.astype(f"datetime64[{unit}]").item()
    if not isinstance(plain, date):
        raise RequestError(f"{side}={value} is out of range", hint=_DATE_HINT)
    return plain


def _from_text(value: str, side: str) -> date | datetime:
    """Return a date for date-only text, else a datetime."""
    text = value.strip()
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise RequestError(f"{side}={value!r} is not an ISO date", hint=_DATE_HINT) from None


def _instant_text(microseconds: int) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:
        return f"{to_date(microseconds)}T00:00:00+00:00"
