"""What users write as dates and returns, parsed at the door of a run."""

from __future__ import annotations

import math
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.errors import RequestError

if TYPE_CHECKING:
    from datetime import date

    from rustybt.data.portal.bar_provider import Floats


def parse_capital(value: Any) -> float:
    """Return the capital as a float.

    Raises
    ------
    RequestError
        It is no number above 0.
    """
    try:
        capital = float(value) if isinstance(value, Real | Decimal) else math.nan
    except OverflowError:
        capital = math.inf
    if not 0 < capital < math.inf:
        raise RequestError(f"the capital must be a number above 0, not {value!r}", hint="capital_base=1e6")
    return capital


def parse_date(value: Any, name: str) -> date | None:
    """Return the date that text, a date, a datetime or a Timestamp means, None for None; UTC where it has a zone.

    Raises
    ------
    RequestError
        It is none; `name` says which argument it was.
    """
    if value is None:
        return None
    import pandas as pd

    if isinstance(value, Real):
        # Pandas takes a number for nanoseconds from 1970, which nobody means here.
        raise RequestError(f"the {name} {value!r} is not a date", hint="write dates as 2020-01-31")
    try:
        stamp = pd.Timestamp(value)
    except (TypeError, ValueError) as error:
        raise RequestError(f"the {name} {value!r} is not a date", hint="write dates as 2020-01-31") from error
    if pd.isna(stamp):
        raise RequestError(f"the {name} {value!r} is not a date", hint="write dates as 2020-01-31")
    return (stamp if stamp.tzinfo is None else stamp.tz_convert("UTC")).date()


def align_returns(returns: Any, sessions: Any) -> Floats:
    """Return a Series of returns by date on the sessions, 0 where it has none.

    Raises
    ------
    RequestError
        It is not a Series indexed by dates.
    """
    import pandas as pd

    if not isinstance(returns, pd.Series):
        raise RequestError(f"benchmark_returns must be a pandas Series by date, not {type(returns).__name__}")
    try:
        index = pd.DatetimeIndex(returns.index)
    except (TypeError, ValueError) as error:
        raise RequestError(
            "benchmark_returns must be indexed by dates", hint="series.index = pd.to_datetime(...)"
        ) from error
    index = index if index.tz is None else index.tz_convert("UTC").tz_localize(None)
    try:
        values = returns.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RequestError(f"benchmark_returns must hold numbers: {error}", hint="0.01 is one percent") from error
    by_day = pd.Series(values, index=index.normalize().as_unit("s"))
    if by_day.index.has_duplicates:
        twice = by_day.index[by_day.index.duplicated()][0]
        raise RequestError(f"benchmark_returns has {twice.date()} twice", hint="give one return a session")
    on = pd.DatetimeIndex(np.asarray(sessions).astype("datetime64[s]"))
    found: Floats = by_day.reindex(on).fillna(0.0).to_numpy()
    return found
