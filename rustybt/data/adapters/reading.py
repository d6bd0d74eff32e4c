"""An answer of an unexpected shape is the vendor's fault, whatever of it the reading stumbles over."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from decimal import DecimalException
from typing import TYPE_CHECKING

import polars as pl

from rustybt.errors import BadResponseError, RustybtError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What Python, numpy and polars raise over texts, numbers and nestings that nobody foresaw.
UNREADABLE = (
    ArithmeticError,
    AttributeError,
    DecimalException,
    LookupError,
    TypeError,
    ValueError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)
#: 1900 and 2200, microseconds since 1970: nothing is traded before or after, and polars panics over years of six digits.
EARLIEST, LATEST = -2_208_988_800_000_000, 7_258_118_400_000_000


@contextmanager
def reading(vendor: str, what: str, symbol: str | None = None) -> Iterator[None]:
    """Turn whatever the reading of an answer raises into a `BadResponseError`; for code that does nothing but read.

    Parameters
    ----------
    what
        Names the answer in the message: ``AAPL 1d``.
    """
    try:
        yield
    except RustybtError:
        raise
    except UNREADABLE as error:
        _log(vendor, what, error)
        # Nothing of its text: it may quote the answer, and the answer the key.
        raise BadResponseError(
            f"{vendor}: the answer for {what} has an unexpected shape ({type(error).__name__})", symbol=symbol
        ) from None


def _log(vendor: str, what: str, error: BaseException) -> None:
    """Note where the reading stumbled, for whoever has to find out whether it was ours."""
    from rustybt.logging import get_logger

    at = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{at.filename.rpartition('/')[2]}:{at.lineno}"
    get_logger(__name__).debug("unreadable_answer", source=vendor, what=what, kind=type(error).__name__, where=where)


def is_time(micros: int) -> bool:
    """Return whether an instant, microseconds since 1970 UTC, can be one of a bar."""
    return EARLIEST <= micros <= LATEST
