"""From printed timestamps to bar labels: zones, sessions and which end of the bar a stamp names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from rustybt.data.sources.reading.stamp_formats import (
    DAY,
    DateOrder,
    StampFamily,
    WallClock,
    check_date_format,
    family_of,
    read_wall_clock,
)
from rustybt.errors import RequestError
from rustybt.market.bars import TIMESTAMP
from rustybt.market.quality_rules import OUT_OF_RANGE

if TYPE_CHECKING:
    from rustybt.market.frequency import Frequency

BarLabel = Literal["open", "close"]

# Python's calendar has the years 1 to 9999. One day less at each end, so that no zone or offset leads out of it: what lies
# beyond cannot even be printed in a message.
_FIRST_MICROS, _LAST_MICROS = -62_135_510_400_000_000, 253_402_214_399_999_999


@dataclass(frozen=True, slots=True)
class Stamps:
    """Bar labels of a column.

    Parameters
    ----------
    labels
        `TIMESTAMP` series, null where `bad` has a reason.
    bad
        Reason per row, null where the row is good; None when all are.
    has_time
        Whether the column shows times of day.
    """

    labels: pl.Series
    bad: pl.Series | None
    has_time: bool


@dataclass(frozen=True, slots=True)
class StampRules:
    """How the timestamps of one source are to be read.

    Parameters
    ----------
    frequency
        A daily or longer bar is labelled by the date as printed, never shifted; an intraday one by the UTC instant of
        its open.
    timezone
        IANA zone of naive intraday stamps (and the zone whose date a Unix stamp on a daily bar means); None is UTC.
    date_format
        A strftime pattern or one of `NAMED_FORMATS`; None infers.
    bar_label
        ``close`` if intraday stamps name the end of the bar, as in Zipline's minute files: they move back by one bar.
    """

    frequency: Frequency
    timezone: str | None = None
    date_format: str | None = None
    bar_label: BarLabel = "open"

    def __post_init__(self) -> None:
        check_date_format(self.date_format)
        check_timezone(self.timezone)
        if self.bar_label not in ("open", "close"):
            raise RequestError(f"unknown bar label {self.bar_label!r}", hint="use open or close")

    def read(self, text: pl.Series, order: DateOrder | None = None) -> Stamps:
        """Return the labels of `text`, the family of spellings judged by its first rows."""
        clock = read_wall_clock(text, self.date_format, column_family(text) or "iso", order)
        return self.label(clock, missing=text.is_null())

    def read_typed(self, values: pl.Series) -> Stamps:
        """Return the labels of a column of dates, date-times, text or Unix numbers.

        A date-time with a zone shows the clock of that zone, one without is UTC.

        Raises
        ------
        RequestError
            The column holds no times.
        """
        dtype = values.dtype
        if dtype == pl.Date:
            return self.label(WallClock(values.cast(pl.Datetime("us")).to_physical()), values.is_null())
        if isinstance(dtype, pl.Datetime):
            wall = values.dt.replace_time_zone(None).cast(pl.Datetime("us")).to_physical()
            offset = None
            if dtype.time_zone is not None:
                utc = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
                offset = wall - utc.cast(pl.Datetime("us")).to_physical()
            has_time = bool((wall % DAY != 0).any())
            return self.label(WallClock(wall, offset, has_time), values.is_null())
        if dtype == pl.String or dtype.is_integer() or dtype == pl.Null:
            return self.read(values.cast(pl.String))
        raise RequestError(
            f"the timestamp column holds {dtype}, which is no time", hint="use datetimes, dates or ISO text"
        )

    def label(self, clock: WallClock, missing: pl.Series) -> Stamps:
        """Return the labels that wall clocks mean under these rules."""
        given, clock = clock, _within_years(clock)
        micros, reasons = self._sessions(clock) if not self.frequency.is_intraday else self._instants(clock)
        bad = micros.is_null()
        if not bad.any():
            return Stamps(micros.cast(TIMESTAMP), None, clock.has_time)
        beyond = clock.micros.is_null() & given.micros.is_not_null()
        reason = pl.DataFrame({"bad": bad, "missing": missing, "zone": reasons, "beyond": beyond}).select(
            pl.when(pl.col("bad") & pl.col("missing"))
            .then(pl.lit("timestamp is missing"))
            .when(pl.col("beyond"))
            .then(pl.lit(OUT_OF_RANGE))
            .when(pl.col("bad"))
            .then(pl.coalesce("zone", pl.lit("timestamp is not a date")))
        )
        return Stamps(micros.cast(TIMESTAMP), reason.to_series(), clock.has_time)

    def _sessions(self, clock: WallClock) -> tuple[pl.Series, pl.Series]:
        """Return the date as printed; a Unix stamp prints none, its date is the one in `timezone`."""
        micros = clock.micros
        if clock.is_unix and self.timezone not in (None, "UTC"):
            local = micros.cast(TIMESTAMP).dt.convert_time_zone(str(self.timezone)).dt.replace_time_zone(None)
            micros = local.to_physical()
        return micros // DAY * DAY, _no_reasons(micros)

    def _instants(self, clock: WallClock) -> tuple[pl.Series, pl.Series]:
        micros, reasons = clock.micros, _no_reasons(clock.micros)
        if self.timezone not in (None, "UTC"):
            naive = micros if clock.offset is None else micros.zip_with(clock.offset.is_null(), _nulls(micros))
            local = naive.cast(pl.Datetime("us"))
            # Pairs of `earliest` and `latest` differ exactly in the hour that a clock shows twice.
            first, last = (
                local.dt.replace_time_zone(self.timezone, ambiguous=pick, non_existent="null")
                for pick in ("earliest", "latest")
            )
            twice = (first != last).fill_null(value=False)
            never = first.is_null() & local.is_not_null()
            shifted = first.dt.convert_time_zone("UTC").to_physical()
            frame = pl.DataFrame({"naive": naive, "micros": micros, "utc": shifted, "twice": twice, "never": never})
            picked = frame.select(
                micros=pl.when(pl.col("twice")).then(None)
                .when(pl.col("naive").is_not_null())
                .then(pl.col("utc"))
                .otherwise(pl.col("micros")),
                reason=pl.when(pl.col("twice"))
                .then(pl.lit(f"timestamp occurs twice in {self.timezone} (clocks go back)"))
                .when(pl.col("never"))
                .then(pl.lit(f"timestamp does not exist in {self.timezone} (clocks go forward)")),
            )  # fmt: skip
            micros, reasons = picked["micros"], picked["reason"]
        if clock.offset is not None:
            micros = micros - clock.offset.fill_null(0)
        if self.bar_label == "close":
            micros = micros - self.frequency.microseconds
        return micros, reasons


def column_family(text: pl.Series) -> StampFamily | None:
    """Return the family most of the first rows belong to; None when none looks like a timestamp."""
    families = Counter(family for value in text.drop_nulls().head(50) if (family := family_of(value)) is not None)
    return families.most_common(1)[0][0] if families else None


def _within_years(clock: WallClock) -> WallClock:
    """Return the clock without the stamps that lie outside the years 1 to 9999."""
    micros = clock.micros
    first, last = micros.min(), micros.max()
    if first is None or (first >= _FIRST_MICROS and last <= _LAST_MICROS):  # type: ignore[operator]
        return clock
    inside = micros.is_between(_FIRST_MICROS, _LAST_MICROS).fill_null(value=False)
    return replace(clock, micros=micros.zip_with(inside, _nulls(micros)))


def check_timezone(name: str | None) -> str | None:
    """Return `name` if it is an IANA time zone.

    Raises
    ------
    RequestError
        It is not.
    """
    if name is None:
        return None
    try:
        ZoneInfo(name)
        # Python reads any file of its directory, also `localtime`, which is another zone on each machine; polars does not.
        pl.Series([0]).cast(pl.Datetime("us", name))
    except (ZoneInfoNotFoundError, pl.exceptions.PolarsError, ValueError, OSError) as error:
        raise RequestError(f"unknown time zone {name!r}", hint="use a name such as America/New_York or UTC") from error
    return name


def _nulls(like: pl.Series) -> pl.Series:
    return pl.repeat(None, like.len(), dtype=like.dtype, eager=True)


def _no_reasons(like: pl.Series) -> pl.Series:
    return pl.repeat(None, like.len(), dtype=pl.String, eager=True)
