"""From the numbers that a vendor prints to bars of the contract: digit for digit, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.errors import BadResponseError
from rustybt.market.bars import BAR_COLUMNS, TIMESTAMP, VALUE_COLUMNS
from rustybt.market.decimals import parse_decimals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rustybt.market.frequency import Frequency
    from rustybt.market.trading_calendar import Instants


def printed_bars(
    symbol: str,
    stamps: Instants,
    columns: Mapping[str, Sequence[object] | pl.Series],
    frequency: Frequency | None = None,
) -> pl.DataFrame:
    """Return the bars of one symbol from the texts of its numbers.

    Parameters
    ----------
    stamps
        Labels, microseconds since 1970 UTC, as the vendor orders them.
    columns
        Text of each of open, high, low, close and volume.
    frequency
        Where bars must begin, if it is an intraday one of a vendor that cuts them on the clock.

    Raises
    ------
    BadResponseError
        A number is none, is missing, the labels do not rise, or one is not where a bar can begin.
    """
    if frequency is not None and frequency.is_intraday and (off := stamps % frequency.microseconds != 0).any():
        first = np.datetime64(int(stamps[int(np.argmax(off))]), "us")
        raise BadResponseError(f"{symbol}: a {frequency} bar begins at {first}, where none can", symbol=symbol)
    if stamps.size > 1 and not (np.diff(stamps) > 0).all():
        at = int(np.argmin(np.diff(stamps) > 0)) + 1
        what = "twice" if stamps[at] == stamps[at - 1] else "out of order"
        raise BadResponseError(
            f"{symbol}: the bar of {np.datetime64(int(stamps[at]), 'us')} comes {what}", symbol=symbol
        )
    values = {name: _numbers(symbol, name, columns[name]) for name in VALUE_COLUMNS}
    frame = pl.DataFrame({"timestamp": pl.Series(stamps, dtype=pl.Int64).cast(TIMESTAMP), **values})
    return frame.with_columns(symbol=pl.lit(symbol)).select(BAR_COLUMNS)


def _numbers(symbol: str, name: str, texts: Sequence[object] | pl.Series) -> pl.Series:
    try:
        series = pl.Series(name, texts, dtype=pl.String, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        raise BadResponseError(f"{symbol}: the {name} of a bar is no number", symbol=symbol) from None
    parsed = parse_decimals(series)
    if parsed.bad is not None:
        at = int(parsed.bad.is_not_null().arg_max() or 0)
        raise BadResponseError(
            f"{symbol}: the {name} of bar {at + 1} is {parsed.bad[at]}: {str(series[at])[:40]!r}", symbol=symbol
        )
    return parsed.values
