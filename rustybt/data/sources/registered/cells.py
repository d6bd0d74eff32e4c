"""Cells of the pandas frames that an ingest function hands over, as plain Python values."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd


def check_frame(frame: Any, what: str) -> pd.DataFrame:
    """Return `frame` if it is a pandas frame.

    Raises
    ------
    RequestError
        It is not.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise RequestError(f"{what} must be a pandas DataFrame, not {type(frame).__name__}", hint="pd.DataFrame(...)")
    return frame


def rows_of(frame: pd.DataFrame, index_name: str) -> Iterator[dict[str, Any]]:
    """Yield each row by column, missing values as None; the index stands for the column `index_name` where there is none."""
    import pandas as pd

    whole = frame if index_name in frame.columns else frame.rename_axis(index_name).reset_index()
    names = [str(name) for name in whole.columns]
    for values in whole.astype(object).itertuples(index=False, name=None):
        yield {
            name: None if pd.api.types.is_scalar(value) and pd.isna(value) else value
            for name, value in zip(names, values, strict=True)
        }


def day_of(value: Any) -> date | None:
    """Return the date of a Timestamp, datetime64, date, ISO text, or seconds since 1970 (UTC); None for none.

    Raises
    ------
    ValueError
        It is no date.
    """
    import pandas as pd

    if value is None:
        return None
    if isinstance(value, (bool, complex)):
        raise TypeError(f"{value!r} is no date")
    if hasattr(value, "__index__") or isinstance(value, float):
        return datetime.fromtimestamp(int(value), tz=UTC).date()
    return pd.Timestamp(value).date()
