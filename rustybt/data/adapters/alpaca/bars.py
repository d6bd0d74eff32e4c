"""Alpaca's pages of bars: strung together, checked against what was asked, and turned into frames of the contract."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rustybt.data.adapters.new_york import CALENDAR, NEW_YORK
from rustybt.data.adapters.printed_bars import printed_bars
from rustybt.errors import BadResponseError
from rustybt.market.calendars import get_calendar
from rustybt.market.frequency import DAILY, Frequency
from rustybt.market.request import DAY_MICROSECONDS, to_date
from rustybt.market.trading_calendar import period_numbers, period_starts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from rustybt.market.trading_calendar import Instants

#: What Alpaca calls a bar's length.
TIMEFRAMES = {
    "1m": "1Min",
    "5m": "5Min",
    "15m": "15Min",
    "30m": "30Min",
    "1h": "1Hour",
    "1d": "1Day",
    "1w": "1Week",
    "1M": "1Month",
}
#: Trading from 04:00 to 20:00 in New York; the volume of a day counts all of it.
EXTENDED_MINUTES = 960
# When a day's bar is surely at rest: the end of extended trading, and the quarter of an hour that trades may be late.
_DAY_RESTS_AT = timedelta(hours=20, minutes=15)
_COLUMNS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
_STAMP_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_MAX_EMPTY_PAGES = 3
#: Minutes of all hours of twenty years of one symbol are half as many.
MOST_PAGES = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class AlpacaPages:
    """Follows `next_page_token` to its end.

    Parameters
    ----------
    get
        Makes the request with a page token (None: the first page) and returns its JSON.
    what
        Names the request in errors.
    """

    def __init__(self, get: Callable[[str | None], Awaitable[Any]], what: str) -> None:
        self._get = get
        self._what = what

    async def all(self, key: str) -> list[dict[str, Any]]:
        """Return every page; each is an object that holds `key` and the token of the next.

        Raises
        ------
        BadResponseError
            A page is of another shape, or the tokens go round in a circle.
        """
        pages: list[dict[str, Any]] = []
        seen: set[str] = set()
        token: str | None = None
        empty = 0
        while True:
            page = await self._get(token)
            if not isinstance(page, dict) or key not in page or "next_page_token" not in page:
                raise BadResponseError(f"alpaca, {self._what}: page {len(pages) + 1} has no {key} or no end")
            pages.append(page)
            token = page["next_page_token"]
            if token is None:
                return pages
            empty = empty + 1 if not page[key] else 0
            repeats = len(pages) > 1 and bool(page[key]) and page[key] == pages[-2][key]
            is_new = isinstance(token, str) and token and token not in seen
            if not is_new or repeats or empty > _MAX_EMPTY_PAGES or len(pages) >= MOST_PAGES:
                raise BadResponseError(
                    f"alpaca, {self._what}: the pages do not end; page {len(pages)} leads nowhere new"
                )
            seen.add(token)


def collect_rows(pages: Iterable[Mapping[str, Any]], asked: Iterable[str]) -> dict[str, list[Any]]:
    """Return the rows of each of the symbols `asked`, over all pages.

    Raises
    ------
    BadResponseError
        A page holds another symbol, or no rows.
    """
    rows: dict[str, list[Any]] = {symbol: [] for symbol in asked}
    for page in pages:
        bars = {} if page["bars"] is None else page["bars"]
        if not isinstance(bars, dict):
            raise BadResponseError("alpaca: the bars of a page are no object")
        for symbol, part in bars.items():
            if symbol not in rows:
                raise BadResponseError(f"alpaca: asked for {', '.join(rows)}, and got bars of {str(symbol)[:40]!r}")
            if not isinstance(part, list):
                raise BadResponseError(f"{symbol}: its bars are no list", symbol=symbol)
            rows[symbol].extend(part)
    return rows


def read_bars(symbol: str, rows: list[Any], start: int, end: int, frequency: Frequency) -> pl.DataFrame:
    """Return the bars of one symbol, all inside of `start` to `end`.

    Raises
    ------
    BadResponseError
        A row is malformed, comes twice or out of order, or was not asked for.
    """
    try:
        texts = pl.Series([row["t"] for row in rows], dtype=pl.String, strict=True)
        columns = {name: [row[key] for row in rows] for name, key in _COLUMNS.items()}
    except (KeyError, TypeError, pl.exceptions.PolarsError):
        raise BadResponseError(f"{symbol}: a bar lacks its time or one of its numbers", symbol=symbol) from None
    instants = texts.str.to_datetime(_STAMP_FORMAT, time_unit="us", strict=False)
    if instants.null_count():
        at = int(instants.is_null().arg_max() or 0)
        raise BadResponseError(f"{symbol}: {str(texts[at])[:40]!r} is no time of a bar", symbol=symbol)
    stamps = instants.to_physical().to_numpy()
    labels = stamps if frequency.is_intraday else _dates(symbol, instants, frequency)
    bars = printed_bars(symbol, labels, columns, frequency)
    outside = (labels < start) | (labels > end)
    if outside.any():
        raise BadResponseError(
            f"{symbol}: the bar of {texts[int(np.argmax(outside))]} was not asked for", symbol=symbol
        )
    return bars


def _dates(symbol: str, instants: pl.Series, frequency: Frequency) -> Instants:
    """Return the dates that midnights of New York name, of the first day of a week or month."""
    local = instants.dt.replace_time_zone("UTC").dt.convert_time_zone(NEW_YORK.key).dt.replace_time_zone(None)
    stamps: Instants = local.to_physical().to_numpy()
    off = stamps % DAY_MICROSECONDS != 0
    if off.any():
        raise BadResponseError(
            f"{symbol}: the {frequency} bar of {local[int(np.argmax(off))]} does not begin at midnight in New York",
            symbol=symbol,
        )
    if frequency == DAILY:
        return stamps
    days = (stamps // DAY_MICROSECONDS).astype("datetime64[D]")
    return period_starts(period_numbers(days, frequency), frequency)


def at_rest(bars: pl.DataFrame, frequency: Frequency, now: float) -> pl.DataFrame:
    """Return the daily and longer bars whose last session can change no more: extended trading counts into the volume."""
    if bars.is_empty() or frequency.is_intraday:
        return bars
    last_day = last_day_at_rest(now)
    stamps = bars["timestamp"].to_physical().to_numpy()
    newest = to_date(int(stamps[-1]))
    if frequency == DAILY:
        return bars.filter(pl.col("timestamp").dt.date() <= last_day)
    if last_day < newest:
        return bars[:-1]
    numbers = period_numbers(np.array([newest], dtype="datetime64[D]"), frequency) + 1
    period_end = to_date(int(period_starts(numbers, frequency)[0]) - 1)
    pending = get_calendar(CALENDAR, newest, period_end).sessions_between(last_day + timedelta(days=1), period_end)
    return bars[:-1] if pending.size else bars


def last_day_at_rest(now: float) -> date:
    """Return the last day in New York whose bar can change no more."""
    local = datetime.fromtimestamp(now, NEW_YORK).replace(tzinfo=None)
    return (local - _DAY_RESTS_AT).date()


def span_text(start: int, end: int, frequency: Frequency, latest: float | None) -> tuple[str, str] | None:
    """Return the instants to ask for, as text; None where nothing is left of the range.

    Parameters
    ----------
    latest
        Unix seconds after which the feed may not be asked; None for no such border.
    """
    if frequency.is_intraday:
        first, last = _instant(start), _instant(end)
    else:
        # Labels are dates: the first midnight and the last microsecond of these days in New York.
        first = _midnight(to_date(-(-start // DAY_MICROSECONDS) * DAY_MICROSECONDS))
        last = _midnight(to_date(end) + timedelta(days=1)) - timedelta(microseconds=1)
    if latest is not None:
        last = min(last, _instant(int(latest) * 1_000_000))
    return None if last < first else (_text(first), _text(last))


def bars_due(start: int, end: int, frequency: Frequency) -> int:
    """Return about how many bars of a symbol lie in the range, rather too many than too few."""
    days = (end - start) // DAY_MICROSECONDS + 1
    if frequency.is_intraday:
        return max(1, (days * 5 // 7 + 2) * EXTENDED_MINUTES * 60 // frequency.seconds)
    return max(1, days * 5 // 7 + 2 if frequency == DAILY else days * 86_400 // frequency.seconds + 1)


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).astimezone(UTC)


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
