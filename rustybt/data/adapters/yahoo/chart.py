"""One answer of Yahoo's chart address: checked against what was asked, and made into bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from rustybt.data.adapters.yahoo.widened import decode_widened
from rustybt.errors import BadResponseError
from rustybt.market.bars import BAR_COLUMNS, PRICE_COLUMNS, TIMESTAMP, VALUE_COLUMNS, join_frames
from rustybt.market.decimals import decode_floats, to_contract
from rustybt.market.request import DAY_MICROSECONDS, to_date
from rustybt.market.trading_calendar import Instants, period_numbers, period_starts

if TYPE_CHECKING:
    from rustybt.market.frequency import Frequency

#: Yahoo's name of each native frequency, which is also what it calls it in the answer. Its 30m answers are made of 60m.
INTERVALS: Mapping[str, str] = {
    "1m": "1m",
    "5m": "5m",
    "15m": "15m",
    "1h": "1h",
    "1d": "1d",
    "1w": "1wk",
    "1M": "1mo",
}
#: No venue of note was ever shut for longer (Athens in 2015: 35 days); a longer hole is an answer cut short.
LONGEST_PAUSE = timedelta(days=45)
#: A day may have traded in an auction alone; so many in a row without an intraday bar are an answer cut short.
MISSING_SESSIONS = 3

#: How far rows may lie outside of what was asked for: a week or a month begins before it, the running session's row is late.
_EARLY, _LATE = 40 * 86_400, 86_400
#: Trading is shown in an answer within so many days.
_SHOWN_AFTER = timedelta(days=7)
_WHOLE: frozenset[type] = frozenset({int})
_NUMBER: frozenset[type] = frozenset({int, float, type(None)})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Chart:
    """A well-formed answer.

    Parameters
    ----------
    meta
        What Yahoo says of the listing.
    zone
        Of the exchange.
    stamps
        Unix seconds, rising.
    values
        Five columns of float64, NaN where Yahoo gave nothing; as many rows as `stamps`.
    events
        As sent: ``dividends``, ``splits``, ``capitalGains``.
    """

    meta: Mapping[str, Any]
    zone: ZoneInfo
    stamps: Instants
    values: Mapping[str, np.ndarray[Any, np.dtype[np.float64]]]
    events: Mapping[str, Any]

    @property
    def first_trade(self) -> date | None:
        """First day that Yahoo has bars of, on the exchange's clock."""
        return self._day("firstTradeDate")

    @property
    def last_trade(self) -> date | None:
        """Day of the last trade that Yahoo knows, on the exchange's clock."""
        return self._day("regularMarketTime")

    def day_of(self, seconds: float) -> date:
        """Return the exchange's date at an instant, by the rule of `local_days`; far faster than that for a single one."""
        local = (_EPOCH + timedelta(seconds=int(seconds))).astimezone(self.zone)
        late = local.hour >= 22 and not local.minute and not local.second
        return local.date() + timedelta(days=int(late))

    def _day(self, key: str) -> date | None:
        seconds = self.meta.get(key)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            return None
        return self.day_of(seconds)


def read_chart(payload: Any, ticker: str, interval: str, period: tuple[int, int] | None = None) -> Chart:
    """Return the answer for `ticker`.

    Parameters
    ----------
    period
        What was asked for, Unix seconds; None for any time.

    Raises
    ------
    BadResponseError
        It has not the form of a chart, or is for another ticker, interval or time.
    """
    try:
        (result,) = payload["chart"]["result"]
        meta = result["meta"]
        stamps = np.array(_column(result.get("timestamp"), _WHOLE), dtype=np.int64)
        quotes = result["indicators"]["quote"][0] if stamps.size else {}
        values = {name: np.array(_column(quotes.get(name), _NUMBER), dtype=np.float64) for name in VALUE_COLUMNS}
        zone = ZoneInfo(meta["exchangeTimezoneName"])
        named, granularity = str(meta["symbol"]), meta.get("dataGranularity", interval)
        events = result.get("events") or {}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
        raise _bad(ticker, f"it is no chart ({type(error).__name__})") from None
    if named.upper() != ticker.upper():
        raise _bad(ticker, f"it is for {named!r}")
    if granularity != interval:
        raise _bad(ticker, f"its bars are of {granularity!r}, not of {interval!r}")
    if not isinstance(events, Mapping):
        raise _bad(ticker, "its events are no mapping")
    lengths = {name: column.size for name, column in values.items()}
    if set(lengths.values()) != {stamps.size}:
        raise _bad(ticker, f"it has {stamps.size} times, but {lengths}")
    if any(np.isinf(column).any() for column in values.values()):
        raise _bad(ticker, "a number of it is beyond all bounds")
    if period and stamps.size and not (stamps.min() >= period[0] - _EARLY and stamps.max() < period[1] + _LATE):
        raise _bad(ticker, "it has rows of another time than what was asked for")
    if stamps.size and (np.diff(stamps) < 0).any():
        order = np.argsort(stamps, kind="stable")
        stamps, values = stamps[order], {name: column[order] for name, column in values.items()}
    return Chart(meta, zone, stamps, values, events)


def _column(numbers: Any, kinds: frozenset[type]) -> list[Any]:
    """Return a column of numbers; numpy would take text and truth for numbers as well."""
    if numbers is None:
        return []
    if not isinstance(numbers, list) or not kinds.issuperset(map(type, numbers)):
        raise TypeError
    return numbers


@dataclass(frozen=True, slots=True)
class ChartBars:
    """The bars of an answer; `missing_volume` is None where no volume is missing, `left_out` counts rows without usable prices."""

    bars: pl.DataFrame
    missing_volume: pl.Series | None
    number_rule: str
    left_out: int


def bars_of(chart: Chart, symbol: str, frequency: Frequency, start: int, end: int) -> ChartBars:
    """Return the bars of an answer from `start` to `end` (labels, microseconds since 1970 UTC), both included.

    Rows without prices, or with some beyond 18 decimals, are left out. What Yahoo appends of the running session as a row
    of its own replaces the day's row before it, is put into its week's or month's, and is left out of intraday bars, where
    it is no bar.

    Raises
    ------
    BadResponseError
        Two rows claim one bar.
    """
    off = np.zeros(chart.stamps.size, dtype=np.bool_)
    if frequency.is_intraday:
        labels, usable = chart.stamps * 1_000_000, _is_bar(chart, frequency, symbol)
        # The last is the running price, and rows behind the close that say nothing have no volume.
        off[:-1] = ~usable[:-1] & (chart.values["volume"][:-1] > 0)
    else:
        days = local_days(chart.stamps, chart.zone)
        labels = period_starts(period_numbers(days, frequency), frequency)
        usable = np.ones(labels.size, dtype=np.bool_)
        # The first may begin with the listing, the last is the running session.
        if (days.astype(np.int64) * DAY_MICROSECONDS != labels)[1:-1].any():
            raise _bad(symbol, f"its {frequency} bars begin on other days than a Monday, or the 1st of a month")
    priced = np.all([np.isfinite(chart.values[name]) for name in PRICE_COLUMNS], axis=0)
    inside = (labels >= start) & (labels <= end)
    left_out = int((inside & (usable & ~priced | off)).sum())
    usable &= priced
    # All rows, also those outside: how numbers are read should not depend on the range.
    values, number_rule = _decoded({name: column[usable] for name, column in chart.values.items()})
    labels, inside = labels[usable], inside[usable]
    stamps = pl.Series(labels, dtype=pl.Int64).cast(TIMESTAMP)
    frame = pl.DataFrame(
        {
            "timestamp": stamps,
            "symbol": pl.repeat(symbol, labels.size, dtype=pl.String, eager=True),
            **values,
            "at": chart.stamps[usable],
            "missing": ~np.isfinite(chart.values["volume"][usable]),
        }
    )
    # In order, so that what is inside is one run.
    frame = frame.slice(int(np.searchsorted(labels, start)), int(inside.sum()))
    if any(series.null_count() for series in values.values()):
        held = frame.drop_nulls()
        left_out += frame.height - held.height
        frame = held
    running = bool(usable.any()) and chart.stamps[usable][-1] == chart.stamps[-1]
    frame = _one_a_label(frame, frequency, symbol, may_run=running and bool(inside[-1]))
    missing = frame["missing"]
    return ChartBars(frame[list(BAR_COLUMNS)], missing if missing.any() else None, number_rule, left_out)


def check_sessions(days: Chart, parts: Sequence[ChartBars], symbol: str, start: int, end: int) -> None:
    """Check that intraday bars are there for the days that traded, but for single ones.

    Raises
    ------
    BadResponseError
        `MISSING_SESSIONS` in a row have a volume and no bar.
    """
    labels = local_days(days.stamps, days.zone).astype(np.int64) * DAY_MICROSECONDS
    traded = (days.values["volume"] > 0) & (days.stamps * 1_000_000 >= start) & (days.stamps * 1_000_000 <= end)
    seen = [local_days(part.bars["timestamp"].to_physical().to_numpy() // 1_000_000, days.zone) for part in parts]
    present = np.unique(np.concatenate(seen)).astype(np.int64) * DAY_MICROSECONDS if seen else np.empty(0, np.int64)
    run = 0
    for label in labels[traded].tolist():
        run = 0 if label in present else run + 1
        if run >= MISSING_SESSIONS:
            raise _bad(symbol, f"it has no bars of {run} sessions up to {to_date(label)}, which traded")


def check_extent(chart: Chart, symbol: str, first: date, last: date) -> None:
    """Check that an answer asked for from `first` to `last` begins and ends where trading did.

    Raises
    ------
    BadResponseError
        Yahoo says that it has more than it sent.
    """
    if not chart.stamps.size:
        if chart.last_trade is not None and first + _SHOWN_AFTER < chart.last_trade <= last:
            raise _bad(symbol, f"it is empty, though it says that there was trading until {chart.last_trade}")
        return
    begins, ends = chart.day_of(chart.stamps[0]), chart.day_of(chart.stamps[-1])
    due = max(first, chart.first_trade or first)
    if begins > due + LONGEST_PAUSE:
        raise _bad(symbol, f"it begins on {begins} instead of {due}", f"if it stays: --start {begins}")
    due = min(last, chart.last_trade or last)
    if chart.last_trade is not None and ends < due - LONGEST_PAUSE:
        raise _bad(symbol, f"it ends on {ends} instead of {due}")


def local_days(stamps: Instants, zone: ZoneInfo) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    """Return the exchange's date of each Unix second.

    One that is an hour or two before midnight to the second means that midnight: Yahoo's clock lags behind where summer
    time was abolished (Sao Paulo, 23:00).
    """
    utc = pl.Series("at", stamps * 1_000_000, dtype=pl.Int64).cast(TIMESTAMP).to_frame()
    local = utc.select(pl.col("at").dt.convert_time_zone(zone.key).dt.replace_time_zone(None)).to_series()
    day, second = np.divmod(local.to_physical().to_numpy() // 1_000_000, 86_400)
    return np.asarray((day + np.isin(second, (22 * 3_600, 23 * 3_600))).astype("datetime64[D]"))


def _is_bar(chart: Chart, frequency: Frequency, symbol: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which rows are intraday bars of the regular session: not the running price, not the closing auction's row."""
    stamps = chart.stamps
    usable = np.asarray(stamps % 60 == 0, dtype=np.bool_)
    whole = stamps[:-1][usable[:-1]]
    if whole.size and stamps[-1] - whole[-1] < frequency.seconds:
        usable[-1] = False
    periods = _regular_periods(chart.meta)
    if periods:
        # On half days Yahoo goes on behind the close.
        starts = np.array([start for start, _ in periods], dtype=np.int64)
        ends = np.array([end for _, end in periods], dtype=np.int64)
        at = np.searchsorted(starts, stamps, side="right") - 1
        inside = (at >= 0) & (stamps < ends[np.maximum(at, 0)])
        beside = usable & ~inside & (chart.values["volume"] > 0)
        days = np.unique(local_days(stamps[beside], chart.zone))
        unknown = np.setdiff1d(days, local_days(starts, chart.zone))
        if unknown.size:
            raise _bad(symbol, f"it has bars of {unknown[0]}, which is no session by its own list")
        usable &= inside
    return usable


def _regular_periods(meta: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the hours of the regular sessions that the answer names, in order; none for a venue that never closes."""
    periods = meta.get("tradingPeriods")
    if isinstance(periods, Mapping):
        periods = periods.get("regular")
    days = periods if isinstance(periods, Sequence) else ()
    found = [
        (int(period["start"]), int(period["end"]))
        for day in days
        for period in (day if isinstance(day, Sequence) else (day,))
        if isinstance(period, Mapping) and type(period.get("start")) is int and type(period.get("end")) is int
    ]
    return sorted(found)


def _decoded(columns: Mapping[str, np.ndarray[Any, np.dtype[np.float64]]]) -> tuple[dict[str, pl.Series], str]:
    """Return exact values of finite columns, and the rule; a missing volume is 0.

    Prices are widened float32, all four columns alike. The running price may be a float64 of its own, and must not decide
    how the others are read.
    """
    count = columns["volume"].size
    prices = np.stack([columns[name] for name in PRICE_COLUMNS])
    values, rule = _decoded_prices(prices.ravel())
    found = {name: values.slice(at * count, count) for at, name in enumerate(PRICE_COLUMNS)}
    if rule == "float64" and count > 1:
        others, other_rule = _decoded_prices(prices[:, :-1].ravel())
        if other_rule == "float32":
            rule, last = other_rule, _decoded_prices(prices[:, -1])[0]
            for at, name in enumerate(PRICE_COLUMNS):
                found[name] = others.slice(at * (count - 1), count - 1).append(last.slice(at, 1))
    volume = np.nan_to_num(columns["volume"], nan=0.0, posinf=0.0, neginf=0.0)
    # Shares are whole numbers, and those are converted many times faster.
    is_whole = bool((volume == np.rint(volume)).all() and (np.abs(volume) < 2**53).all())
    found["volume"] = to_contract(pl.Series(volume.astype(np.int64) if is_whole else volume))[0].values
    return found, rule


def _decoded_prices(prices: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[pl.Series, str]:
    fast = decode_widened(prices)
    if fast is not None:
        return fast, "float32"
    parsed, rule = decode_floats(prices)
    return parsed.values, rule


def _one_a_label(frame: pl.DataFrame, frequency: Frequency, symbol: str, *, may_run: bool) -> pl.DataFrame:
    """Return the rows with the last two made one where they are of one period, and the last of all may be running."""
    stamps = frame["timestamp"].to_physical().to_numpy()
    doubled = np.flatnonzero(np.diff(stamps) == 0)
    if not doubled.size:
        return frame
    if not may_run or doubled.size > 1 or doubled[0] != stamps.size - 2:
        raise _bad(symbol, f"it names the bar of {frame['timestamp'][int(doubled[0])]:%Y-%m-%d} twice")
    if frequency.seconds <= 86_400 or frame["at"][-1] == frame["at"][-2]:
        # Of a day, the second is the one with the whole volume.
        return join_frames([frame.head(-2), frame.tail(1)])
    row, running = frame.row(-2, named=True), frame.row(-1, named=True)
    row["high"], row["low"] = max(row["high"], running["high"]), min(row["low"], running["low"])
    row["close"] = running["close"]
    row["volume"] += running["volume"]
    row["missing"] |= running["missing"]
    return join_frames([frame.head(-2), pl.DataFrame([row], schema=frame.schema)])


def _bad(symbol: str, why: str, hint: str = "try again later") -> BadResponseError:
    return BadResponseError(f"Yahoo's answer for {symbol} is not usable: {why}", hint=hint, symbol=symbol)
