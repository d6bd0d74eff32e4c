"""Timestamps as people print them, read column by column into wall-clock microseconds.

Nothing here knows of zones or sessions: a wall clock is what the text shows, an offset is kept beside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import polars as pl

from rustybt.errors import RequestError

StampFamily = Literal["iso", "slashed", "digits", "named"]
DateOrder = Literal["dmy", "mdy"]

DAY = 86_400_000_000
_MINUTE = 60_000_000
# The islands of Kiribati are 14 hours ahead; nowhere is further from UTC, nor ever was by 16.
_LARGEST_OFFSET_MINUTES = 16 * 60
_FEW_OFFSETS = 10
# 2021-07-28: no part of it is another, so that a pattern that forgets one is found out.
_SAMPLE_DAY = 18_836

#: Spellings of `date_format` beside strftime patterns.
NAMED_FORMATS = ("iso", "dmy", "mdy", "unix_s", "unix_ms", "unix_us", "unix_ns")
_UNIX_TO_MICROS = {"unix_s": (1_000_000, 1), "unix_ms": (1_000, 1), "unix_us": (1, 1), "unix_ns": (1, 1_000)}
# Beyond this a product would wrap round silently; it lies thousands of years off.
_MAX_UNIX = 9_000_000_000_000_000_000

_TIME = (
    r"(?:[T ,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*([AaPp][Mm])?\s*(Z|z|UTC|[+-]\d{2}:?(?:\d{2})?)?)?$"
)
_ISO = r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _TIME
_SLASHED = r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})" + _TIME
_CALENDAR_12 = r"^(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d$"
_NAMED_PATTERNS = (
    *("%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%d/%b/%Y", "%b %d %Y", "%B %d %Y"),
    *("%d-%b-%y", "%d %b %y", "%d/%b/%y"),
)

_FAMILIES: tuple[tuple[StampFamily, re.Pattern[str]], ...] = (
    ("iso", re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}")),
    ("slashed", re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")),
    ("digits", re.compile(r"-?\d{8,20}(\.\d*)?$")),
    ("named", re.compile(r"(\d{1,2}[- /][A-Za-z]{3,9}[- /]\d{2,4})|([A-Za-z]{3,9} \d{1,2},? ?\d{4})")),
)


@dataclass(frozen=True, slots=True)
class WallClock:
    """Parsed timestamps.

    Parameters
    ----------
    micros
        Int64 microseconds since 1970 as shown on the clock; null where the text is no timestamp.
    offset
        Int64 microseconds east of UTC; null for a stamp without offset. None where no stamp has one.
    has_time
        True where a stamp shows a time of day; one value for the column.
    is_unix
        True where the stamps count from 1970: they name an instant and print no date.
    """

    micros: pl.Series
    offset: pl.Series | None = None
    has_time: bool = False
    is_unix: bool = False


def family_of(text: str | None) -> StampFamily | None:
    """Return which family of spellings `text` belongs to; None when it looks like no timestamp."""
    stripped = (text or "").strip()
    return next((family for family, pattern in _FAMILIES if pattern.match(stripped)), None)


def check_date_format(text: str | None) -> str | None:
    """Return `text` if it is a name in `NAMED_FORMATS` or a strftime pattern that holds a whole date.

    Raises
    ------
    RequestError
        It is neither.
    """
    if text is None or text in NAMED_FORMATS:
        return text
    if "%" in text:
        sample = pl.Series([_SAMPLE_DAY * DAY]).cast(pl.Datetime("us", "UTC"))
        try:
            read = _pattern(sample.dt.strftime(text), text)
        except pl.exceptions.PolarsError:
            read = WallClock(pl.Series([None], dtype=pl.Int64))
        if read.micros.item() == _SAMPLE_DAY * DAY:
            return text
    raise RequestError(
        f"unknown date format {text!r}", hint=f"use one of {', '.join(NAMED_FORMATS)} or a pattern such as %d/%m/%Y"
    )


def read_wall_clock(
    text: pl.Series, date_format: str | None, family: StampFamily, order: DateOrder | None
) -> WallClock:
    """Return what the clock showed in each row of `text`.

    Parameters
    ----------
    date_format
        The caller's choice; None reads by `family`.
    order
        Which of day and month comes first in ``slashed`` stamps.
    """
    if date_format is not None and date_format in _UNIX_TO_MICROS:
        clock = WallClock(_unix(text, date_format), _zero_offset(text), has_time=True, is_unix=True)
    elif date_format in ("dmy", "mdy"):
        clock = _components(text, _SLASHED, year_first=False, day_first=date_format == "dmy")
    elif date_format not in (None, "iso"):
        clock = _pattern(text, str(date_format))
    elif date_format == "iso" or family == "iso":
        clock = _iso(text)
    elif family == "slashed":
        clock = _components(text, _SLASHED, year_first=False, day_first=order != "mdy")
    else:
        clock = _digits(text) if family == "digits" else _named(text)
    return clock


def leading_numbers(text: pl.Series) -> tuple[int, int]:
    """Return the largest first and second number of ``slashed`` stamps: above 12, it can only be the day."""
    parts = text.drop_nulls().str.extract_groups(r"^\s*(\d{1,2})[-/.](\d{1,2})[-/.]\d{4}").struct.unnest()
    largest = parts.select(pl.all().cast(pl.Int64).max().fill_null(0)).row(0)
    return int(largest[0]), int(largest[1])


def _iso(text: pl.Series) -> WallClock:
    """Read ISO dates and date-times; the plain spellings take one vectorised parse."""
    first = text.drop_nulls().head(1)
    sample = first.item().strip() if first.len() else ""
    if len(sample) <= 10:
        days = text.str.to_date("%Y-%m-%d", strict=False)
        fast = WallClock(days.cast(pl.Datetime("us")).to_physical())
    elif len(sample) == 19:
        stamps = text.str.to_datetime(f"%Y-%m-%d{sample[10]}%H:%M:%S", strict=False, time_unit="us")
        fast = WallClock(stamps.to_physical(), has_time=True)
    else:
        fast = _iso_with_offset(text, sample[10])
    failed = fast.micros.is_null() & text.is_not_null()
    if not failed.any():
        return fast
    slow = _components(text.filter(failed), _ISO, year_first=True)
    rows = failed.arg_true()
    micros = fast.micros.scatter(rows, slow.micros)
    offset = fast.offset
    if slow.offset is not None:
        known = pl.repeat(None, text.len(), dtype=pl.Int64, eager=True) if offset is None else offset
        offset = known.scatter(rows, slow.offset)
    return WallClock(micros, offset, has_time=fast.has_time or slow.has_time)


def _iso_with_offset(text: pl.Series, separator: str) -> WallClock:
    """Read 19 characters of date and time; what follows is one of a few offsets, or the row is left unread."""
    tails = text.str.slice(19)
    kinds = tails.drop_nulls().unique().head(_FEW_OFFSETS + 1).to_list()
    known = {tail: micros for tail in kinds if (micros := _offset_micros(tail)) is not None}
    if not known or len(kinds) > _FEW_OFFSETS:
        return WallClock(pl.repeat(None, text.len(), dtype=pl.Int64, eager=True))
    stamps = text.str.slice(0, 19).str.to_datetime(f"%Y-%m-%d{separator}%H:%M:%S", strict=False, time_unit="us")
    offset = tails.replace_strict(known, default=None, return_dtype=pl.Int64)
    nothing = pl.repeat(None, text.len(), dtype=pl.Int64, eager=True)
    return WallClock(stamps.to_physical().zip_with(offset.is_not_null(), nothing), offset, has_time=True)


def _offset_micros(tail: str) -> int | None:
    """Return the microseconds east of UTC that ``Z``, ``+00:00`` or ``-0500`` means."""
    if tail in ("Z", "z"):
        return 0
    found = re.fullmatch(r"([+-])(\d{2}):?(\d{2})", tail)
    if found is None:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    if int(found[3]) > 59 or minutes > _LARGEST_OFFSET_MINUTES:
        return None
    return (-minutes if found[1] == "-" else minutes) * _MINUTE


def _components(text: pl.Series, pattern: str, *, year_first: bool, day_first: bool = False) -> WallClock:
    """Read by a pattern of groups: three numbers of the date, then time, half of the day and offset."""
    names = ["a", "b", "c", "hour", "minute", "second", "fraction", "half", "offset"]
    found = text.str.strip_chars().str.extract_groups(pattern).struct.unnest()
    found.columns = names
    year, month, day = ("a", "b", "c") if year_first else ("c", "b", "a") if day_first else ("c", "a", "b")
    dates = pl.concat_str(
        pl.col(year), pl.col(month).str.zfill(2), pl.col(day).str.zfill(2), separator="-", ignore_nulls=False
    ).str.to_date("%Y-%m-%d", strict=False)
    hour, minute, second = (pl.col(name).cast(pl.Int64).fill_null(0) for name in ("hour", "minute", "second"))
    half = pl.col("half").str.to_lowercase()
    hour24 = pl.when(half.is_null()).then(hour).otherwise(hour % 12 + pl.when(half == "pm").then(12).otherwise(0))
    legal = (hour <= 23) & (minute <= 59) & (second <= 59) & (half.is_null() | hour.is_between(1, 12))
    fraction = pl.col("fraction").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64).fill_null(0)
    in_day = (hour24 * 3_600 + minute * 60 + second) * 1_000_000 + fraction
    sign = pl.when(pl.col("offset").str.starts_with("-")).then(-1).otherwise(1)
    digits = pl.col("offset").str.extract_groups(r"^[+-](\d{2}):?(\d{2})?$")
    odd_minutes = digits.struct.field("2").cast(pl.Int64).fill_null(0)
    minutes = digits.struct.field("1").cast(pl.Int64) * 60 + odd_minutes
    # ``Z`` has no digits and is legal; a clock that is a day away from UTC is nowhere.
    legal &= ((odd_minutes <= 59) & (minutes <= _LARGEST_OFFSET_MINUTES)).fill_null(value=True)
    read = found.select(
        micros=pl.when(legal).then(dates.cast(pl.Datetime("us")).to_physical() + in_day),
        offset=pl.when(pl.col("offset").is_not_null()).then((sign * minutes).fill_null(0) * _MINUTE),
        timed=pl.col("hour").is_not_null(),
    )
    offset = read["offset"]
    return WallClock(read["micros"], None if offset.null_count() == offset.len() else offset, bool(read["timed"].any()))


def _digits(text: pl.Series) -> WallClock:
    """Read stamps of digits by their count: 8 is yyyymmdd, 14 yyyymmddHHMMSS, the rest Unix time.

    Unix seconds have 9 or 10 digits (1973 to 2286), milliseconds 11 to 13, microseconds 15 or 16, nanoseconds 17 to 19.
    Twelve digits are yyyymmddHHMM when every one of them reads as a date and time.
    """
    plain = text.str.strip_chars().str.replace(r"\.0*$", "")
    size = plain.str.strip_prefix("-").str.len_bytes()
    number = plain.cast(pl.Int64, strict=False)
    twelve = plain.filter(size == 12)
    as_calendar = bool(twelve.len()) and bool(twelve.str.contains(_CALENDAR_12).all())
    row = pl.DataFrame({"text": plain, "size": size, "number": number})
    is_calendar = (pl.col("size") == 8) | (pl.col("size") == 14) | ((pl.col("size") == 12) & as_calendar)
    calendar = pl.coalesce(
        pl.col("text").str.to_date("%Y%m%d", strict=False).cast(pl.Datetime("us")),
        pl.col("text").str.to_datetime("%Y%m%d%H%M%S", strict=False, time_unit="us"),
        pl.col("text").str.to_datetime("%Y%m%d%H%M", strict=False, time_unit="us"),
    ).to_physical()
    unix = (
        pl.when(pl.col("size").is_between(9, 10))
        .then(pl.col("number") * 1_000_000)
        .when(pl.col("size").is_between(11, 13))
        .then(pl.col("number") * 1_000)
        .when(pl.col("size").is_between(15, 16))
        .then(pl.col("number"))
        .when(pl.col("size").is_between(17, 19))
        .then(pl.col("number") // 1_000)
    )
    read = row.select(
        micros=pl.when(is_calendar).then(calendar).otherwise(unix),
        offset=pl.when(~is_calendar).then(pl.lit(0, dtype=pl.Int64)),
        timed=pl.col("size") != 8,
    )
    offset = read["offset"]
    is_unix = offset.null_count() < offset.len()
    return WallClock(read["micros"], offset if is_unix else None, bool(read["timed"].any()), is_unix)


def _unix(text: pl.Series, unit: str) -> pl.Series:
    """Read Unix time of a named unit, whole or with decimals."""
    times, over = _UNIX_TO_MICROS[unit]
    plain = text.str.strip_chars()
    whole = plain.str.replace(r"\.0*$", "").cast(pl.Int64, strict=False)
    decimals = plain.cast(pl.Decimal(38, 9), strict=False)
    return pl.DataFrame({"whole": whole, "decimals": decimals}).select(
        micros=pl.when(pl.col("whole").is_between(-_MAX_UNIX // times, _MAX_UNIX // times))
        .then(pl.col("whole") * times // over)
        .when(pl.col("whole").is_null() & pl.col("decimals").is_between(-_MAX_UNIX // times, _MAX_UNIX // times))
        .then((pl.col("decimals") * times // over).cast(pl.Int64, strict=False))
    )["micros"]


def _zero_offset(text: pl.Series) -> pl.Series:
    """Return an offset of zero for every row: Unix time is an instant."""
    return pl.repeat(0, text.len(), dtype=pl.Int64, eager=True)


def _named(text: pl.Series) -> WallClock:
    """Read dates with the month's name, each by the first spelling that fits it: with a name, no two can differ."""
    plain = text.str.strip_chars()
    read = pl.repeat(None, plain.len(), dtype=pl.Date, eager=True)
    for pattern in _NAMED_PATTERNS:
        if read.null_count() == plain.null_count():
            break
        dates = plain.str.to_date(pattern, strict=False)
        # A year of two digits is not one of the first century.
        read = read.zip_with(read.is_not_null(), dates.set(dates.dt.year() < 100, None))
    return WallClock(read.cast(pl.Datetime("us")).to_physical())


def _pattern(text: pl.Series, pattern: str) -> WallClock:
    """Read by the caller's strftime pattern."""
    plain = text.str.strip_chars()
    if not re.search(r"%[-_0]?[HIklMSTRXrsfcD+]", pattern):
        return WallClock(plain.str.to_date(pattern, strict=False).cast(pl.Datetime("us")).to_physical())
    stamps = plain.str.to_datetime(pattern, strict=False, time_unit="us").to_physical()
    has_offset = "%z" in pattern or "%#z" in pattern
    return WallClock(stamps, _zero_offset(text) if has_offset else None, has_time=True)
