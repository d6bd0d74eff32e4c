"""Which rows are no valid bars, each with every reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.errors import RequestError
from rustybt.market.bars import BAR_COLUMNS, PRICE_COLUMNS
from rustybt.market.calendars import EARLIEST_DATE, LATEST_DATE
from rustybt.market.frequency import DAILY
from rustybt.market.quality_report import NOT_FINAL
from rustybt.market.request import DAY_MICROSECONDS, check_symbol, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustybt.market.frequency import Frequency
    from rustybt.market.quality_subjects import Subjects

    Rule = tuple[str, pl.Series]

SEPARATOR = "; "
OUT_OF_RANGE = "date out of range"
NOT_A_LABEL = "not labelled at 00:00 UTC"
BAD_SYMBOL = "symbol not usable"
OFF_SESSION = "not a session of "
# No bar lasts longer than a month: what begins earlier than that before now is final without a look.
_LONGEST_BAR = 32 * DAY_MICROSECONDS
CONFLICT = "duplicate timestamp with other values"

#: Reasons that count as OHLCV violations.
VALUE_REASONS = (
    "high below low",
    "high below open",
    "high below close",
    "low above open",
    "low above close",
    "negative price",
    "zero price",
    "negative volume",
)


def value_rules(bars: pl.DataFrame, is_non_negative: Callable[[str], bool]) -> list[Rule]:
    """Return the broken rules about prices and volume, each with the rows that break it.

    Parameters
    ----------
    is_non_negative
        Whether a symbol's asset type has prices above zero only.
    """
    # The unscaled integers compare like the decimals they stand for, without a look at the scale.
    numbers = bars.lazy().with_columns(pl.col("open", "high", "low", "close", "volume").to_physical())
    high, low, opened, close = pl.col("high"), pl.col("low"), pl.col("open"), pl.col("close")
    broken = {
        "high below low": high < low,
        "high below open": high < opened,
        "high below close": high < close,
        "low above open": low > opened,
        "low above close": low > close,
        "negative price": pl.any_horizontal(pl.col(name) < 0 for name in PRICE_COLUMNS),
        "zero price": pl.any_horizontal(pl.col(name) == 0 for name in PRICE_COLUMNS),
        "negative volume": pl.col("volume") < 0,
    }
    present = numbers.select(pl.any_horizontal(condition.any() for condition in broken.values())).collect().item()
    # A missing number breaks no rule about its size.
    if not present:
        return []
    masks = numbers.select(
        condition.fill_null(value=False).alias(reason) for reason, condition in broken.items()
    ).collect()
    rules: list[Rule] = []
    for reason in broken:
        mask = masks[reason]
        if reason.endswith("price") and mask.any():
            bound = [s for s in bars["symbol"].filter(mask).unique().drop_nulls() if is_non_negative(s)]
            mask &= bars["symbol"].is_in(bound)
        rules.append((reason, mask))
    return rules


def key_rules(bars: pl.DataFrame, frequency: Frequency) -> list[Rule]:
    """Return the broken rules about symbols and timestamps, each with the rows that break it."""
    rules: list[Rule] = []
    unusable = [symbol for symbol in bars["symbol"].unique().drop_nulls() if not _is_usable(symbol)]
    if unusable:
        rules.append((BAD_SYMBOL, bars["symbol"].is_in(unusable)))
    stamps = bars["timestamp"].to_physical()
    low, high = to_microseconds(EARLIEST_DATE), to_microseconds(LATEST_DATE)
    if not stamps.is_empty() and not (stamps.min() >= low and stamps.max() < high):  # type: ignore[operator]
        rules.append((OUT_OF_RANGE, ((stamps < low) | (stamps >= high)).fill_null(value=False)))
    if not frequency.is_intraday:
        rules.append((NOT_A_LABEL, (stamps % DAY_MICROSECONDS != 0).fill_null(value=False)))
    return rules


def _is_usable(symbol: str) -> bool:
    try:
        return check_symbol(symbol) == symbol
    except RequestError:
        return False


def calendar_rules(bars: pl.DataFrame, subjects: Subjects, frequency: Frequency, now_us: int | None) -> list[Rule]:
    """Return the broken rules about sessions and finality, each with the rows that break it.

    Only daily bars must lie on a session; where a calendar's knowledge ends, nothing is said.
    """
    if bars.is_empty():
        return []
    stamps = bars["timestamp"].to_physical().fill_null(0).to_numpy()
    rules: list[Rule] = []
    if frequency == DAILY:
        days = (stamps // DAY_MICROSECONDS).astype("datetime64[D]")
        for calendar, rows in subjects.by_calendar(bars["symbol"]):
            closed = np.zeros(bars.height, dtype=np.bool_)
            closed[rows] = calendar.is_closed(days[rows])
            rules.append((f"{OFF_SESSION}{calendar.name}", pl.Series(closed) & bars["timestamp"].is_not_null()))
    if now_us is not None and int(stamps.max()) + _LONGEST_BAR > now_us:
        unfinished = np.zeros(bars.height, dtype=np.bool_)
        for calendar, rows in subjects.by_calendar(bars["symbol"]):
            unfinished[rows] = calendar.bar_ends(stamps[rows], frequency) > now_us
        rules.append((NOT_FINAL, pl.Series(unfinished) & bars["timestamp"].is_not_null()))
    return rules


def is_off_session(reason: str) -> bool:
    """Return whether `reason` says that the calendar is closed on the bar's day."""
    return reason.startswith(OFF_SESSION)


def missing_rules(bars: pl.DataFrame, explained: pl.Series | None) -> list[Rule]:
    """Return a rule for each column with nulls in rows that nobody gave a reason for."""
    rules: list[Rule] = []
    for name in BAR_COLUMNS:
        if bars[name].null_count():
            mask = bars[name].is_null()
            rules.append((f"missing {name}", mask if explained is None else mask & explained.is_null()))
    return rules


def join_reasons(rules: list[Rule], rows: pl.Series, given: pl.Series | None) -> pl.Series:
    """Return the reasons of each of `rows`, joined by ``; ``, those that were given first."""
    parts = [] if given is None else [given.gather(rows)]
    for reason, mask in rules:
        said = mask.gather(rows)
        parts.append(pl.select(pl.when(said).then(pl.lit(reason))).to_series())
    named = [part.alias(str(number)) for number, part in enumerate(parts)]
    return pl.select(pl.concat_str(named, separator=SEPARATOR, ignore_nulls=True)).to_series()
