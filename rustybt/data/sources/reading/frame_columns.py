"""Frames of any library as polars columns, index included, values untouched."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from rustybt.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

_PRICE_NAMES = frozenset({"open", "high", "low", "close"})


def split_frames(frame: Any) -> Iterator[tuple[str | None, pl.DataFrame]]:
    """Yield (symbol, columns) of a frame, or of a mapping of one frame a symbol; None where the rows name their symbol.

    Raises
    ------
    RequestError
        It is no frame.
    """
    if isinstance(frame, Mapping):
        for symbol, part in frame.items():
            for inner, columns in split_frames(part):
                if inner is not None and inner != symbol:
                    raise RequestError(f"the frame of {symbol!r} holds columns of {inner!r}")
                yield str(symbol), columns
    elif isinstance(frame, pl.LazyFrame):
        yield None, frame.collect()
    elif isinstance(frame, pl.DataFrame):
        yield None, frame
    elif type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "columns"):
        yield from _split_pandas(frame)
    elif hasattr(frame, "__arrow_c_stream__") and not hasattr(frame, "to_frame"):
        yield None, pl.DataFrame(frame)
    else:
        raise RequestError(
            f"{type(frame).__name__} is no frame",
            hint="hand over a polars or pandas DataFrame, or a dict of one a symbol",
        )


def _split_pandas(frame: pd.DataFrame) -> Iterator[tuple[str | None, pl.DataFrame]]:
    if frame.columns.nlevels == 1:
        yield None, _from_pandas(frame)
        return
    if frame.columns.nlevels > 2:
        raise RequestError("the frame's columns have more than two levels", hint="hand over one frame a symbol")
    # What yfinance.download returns: one level names the prices, the other the symbols, in either order.
    prices = next((level for level in (0, 1) if _names_prices(frame.columns.get_level_values(level))), None)
    if prices is None:
        raise RequestError("no level of the frame's columns names open, high, low, close")
    for symbol in frame.columns.get_level_values(1 - prices).unique():
        part = frame.loc[:, frame.columns.get_level_values(1 - prices) == symbol]
        part.columns = part.columns.get_level_values(prices)
        # A row without any value is another symbol's session.
        yield str(symbol), _from_pandas(part.dropna(how="all"))


def _names_prices(names: pd.Index[Any]) -> bool:
    return {str(name).strip().lower() for name in names} >= _PRICE_NAMES


def _from_pandas(frame: pd.DataFrame) -> pl.DataFrame:
    import pandas as pd

    labels = [str(label) for label in frame.columns]
    repeated = next((label for label in labels if labels.count(label) > 1), None)
    if repeated is not None:
        raise RequestError(f"the frame has the column {repeated!r} twice", hint="rename one of them, or drop it")
    columns: dict[str, pl.Series] = {}
    for level in range(frame.index.nlevels):
        values = frame.index.get_level_values(level)
        if frame.index.nlevels == 1 and values.name is None and pd.api.types.is_integer_dtype(values.dtype):
            # Numbers of rows; after a filter or a concat they are no RangeIndex any more.
            continue
        name = _index_name(values)
        columns[name] = _series(name, pd.Series(values))
    for position, label in enumerate(frame.columns):
        if str(label) in columns:
            raise RequestError(f"the frame has {label!r} both as index and as column", hint="df.reset_index(drop=True)")
        columns[str(label)] = _series(str(label), frame.iloc[:, position])
    return pl.DataFrame(columns)


def _index_name(values: pd.Index[Any]) -> str:
    """Return the level's name; one without is the timestamp if it holds times, else the symbol."""
    if values.name is not None:
        return str(values.name)
    first = next((value for value in values if value is not None), None)
    return "timestamp" if isinstance(first, date) or getattr(values, "freq", None) is not None else "symbol"


def _series(name: str, values: pd.Series[Any]) -> pl.Series:
    import pandas as pd

    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.dtype.categories.dtype)
    if _is_zone_unknown_to_polars(values):
        # As text each stamp keeps its own clock, from which a daily bar takes its date.
        return pl.Series(name, [None if _is_missing(value) else str(value) for value in values], dtype=pl.String)
    if values.dtype != object:
        return pl.from_pandas(values).alias(name)
    plain = [None if _is_missing(value) else value for value in values.tolist()]
    kinds = {type(value) for value in plain if value is not None}
    if kinds and all(issubclass(kind, date) for kind in kinds):
        if any(getattr(value, "tzinfo", None) is not None for value in plain):
            # Polars would bring all of them to UTC, and a daily bar of Tokyo's morning to the day before.
            return pl.Series(name, [None if value is None else str(value) for value in plain], dtype=pl.String)
        return pl.Series(name, plain)
    if Decimal in kinds:
        return pl.Series(name, plain, dtype=pl.Object)
    return pl.Series(name, [None if value is None else str(value) for value in plain], dtype=pl.String)


def _is_zone_unknown_to_polars(values: pd.Series[Any]) -> bool:
    """Return whether the stamps have a zone without a name in the database, such as a fixed offset."""
    zone = getattr(values.dtype, "tz", None)
    if zone is None:
        return False
    try:
        pl.Series([0]).cast(pl.Datetime("us", str(zone)))
    except pl.exceptions.PolarsError:
        return True
    return False


def _is_missing(value: Any) -> bool:
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or type(value).__name__ in ("NaTType", "NAType")
    )
