"""What users hand to a run (bars, capital, dates, symbols, returns), parsed at its door."""

from __future__ import annotations

import difflib
import inspect
import math
import reprlib
from collections.abc import Iterable
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from rustybt.data.portal.bar_provider import Floats


#: What the book tells apart, and as much as it holds.
_LEAST, _MOST = 1e-9, 1e29


#: Zipline's arguments that ask for nothing here.
_WITHOUT_EFFECT = (
    "metrics_set",
    "blotter",
    "default_extension",
    "extensions",
    "strict_extensions",
    "environ",
    "custom_loader",
)


def check_bars_given(bundle: Any, data_source: Any) -> None:
    """Check that a run is given bars, and once.

    Raises
    ------
    RequestError
        Neither a bundle nor a source is given, or both; the source is none.
    """
    if (bundle is None) == (data_source is None):
        said = "a run needs bars: pass bundle= or data_source="
        raise RequestError(
            said if bundle is None else "bundle= and data_source= exclude each other: pass one of them",
            hint="run_algorithm(bundle='us', ...) or run_algorithm(data_source=get_source('csv', path='bars.csv'), ...)",
        )
    if isinstance(data_source, str):
        raise RequestError(
            f"data_source= takes a source, not its name: {data_source!r}",
            hint=f"data_source=rb.get_source({data_source!r})",
        )
    if data_source is not None and not any(hasattr(data_source, name) for name in ("fetch_sync", "fetch_with_events")):
        raise RequestError(
            f"data_source= takes a source, not {type(data_source).__name__}",
            hint="data_source=rb.get_source('frame', frame=...) for a DataFrame, rb.get_source('csv', path=...) for files",
        )


def parse_capital(value: Any) -> float:
    """Return the capital as a float.

    Raises
    ------
    RequestError
        It is no number above 0, or beyond what the book keeps.
    """
    try:
        capital = math.nan if isinstance(value, bool) or not isinstance(value, Real | Decimal) else float(value)
    except OverflowError:
        capital = math.inf
    except ValueError:  # a Decimal that signals
        capital = math.nan
    if not _LEAST <= capital < _MOST:
        raise RequestError(
            f"the capital must be a number above 0, from {_LEAST:.0e} to {_MOST:.0e}, not {reprlib.repr(value)}",
            hint="capital_base=1e6",
        )
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


def parse_symbols(symbols: Any) -> tuple[str, ...]:
    """Return a list of symbols; RequestError for what is none, as one text, which would be taken letter by letter."""
    if isinstance(symbols, str) or not isinstance(symbols, Iterable):
        raise RequestError(f"symbols= takes a list of symbols, not {symbols!r}", hint="symbols=['AAPL', 'MSFT']")
    return tuple(symbols)


def check_progress(progress: Any) -> Any:
    """Return what is told how far a run is, None for nothing; RequestError for what cannot be called."""
    if progress is None or callable(progress):
        return progress
    raise RequestError(
        f"progress= takes a function of stage, done and total, not {progress!r}",
        hint="progress=lambda stage, done, total: print(stage, done, total)",
    )


def align_returns(returns: Any, sessions: Any) -> Floats:
    """Return a Series of returns by date on the sessions, 0 where it has none.

    Raises
    ------
    RequestError
        It is not a Series indexed by dates.
    """
    import pandas as pd

    if not isinstance(returns, pd.Series):
        raise RequestError(
            f"benchmark_returns must be a pandas Series by date, not {type(returns).__name__}",
            hint="pd.Series([0.01, -0.02], index=pd.to_datetime(['2020-01-02', '2020-01-03']))",
        )
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
    if np.isinf(values).any():
        raise RequestError(
            f"benchmark_returns must hold finite numbers: that of {index[np.isinf(values)][0].date()} is not",
            hint="a return is computed from two prices above 0",
        )
    by_day = pd.Series(values, index=index.normalize().as_unit("s"))
    if by_day.index.has_duplicates:
        twice = by_day.index[by_day.index.duplicated()][0]
        raise RequestError(f"benchmark_returns has {twice.date()} twice", hint="give one return a session")
    on = pd.DatetimeIndex(np.asarray(sessions).astype("datetime64[s]"))
    found: Floats = by_day.reindex(on).fillna(0.0).to_numpy()
    return found


def effective_arguments(given: Mapping[str, Any], algorithm: Callable[..., Any]) -> dict[str, Any]:
    """Return `given`, keywords of `run_algorithm`, without those of Zipline's that have no effect.

    Parameters
    ----------
    algorithm
        Takes the arguments that have one.

    Raises
    ------
    RequestError
        An argument does not exist.
    """
    known = [*inspect.signature(algorithm).parameters, *_WITHOUT_EFFECT]
    for name in given:
        if name == "bundle_timestamp":
            raise RequestError("bundles have versions, not timestamps", hint="run_algorithm(bundle='us@3', ...)")
        if name not in known or name == "initialize_kwargs":
            near = difflib.get_close_matches(name, known, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else None
            raise RequestError(f"run_algorithm() has no argument {name!r}", hint=hint)
    return {name: value for name, value in given.items() if name not in _WITHOUT_EFFECT}
