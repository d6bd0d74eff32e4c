"""What a vendor changed about bars that it had delivered as final before: which kind of change, where."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rustybt.market.bars import PRICE_COLUMNS, VALUE_COLUMNS
from rustybt.market.provenance import FrozenRecord
from rustybt.market.request import DAY_MICROSECONDS, to_date, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rustybt.market.corporate_actions import CorporateAction

SPLIT_REBASE = "split rebase"
DIVIDEND_REBASE = "dividend rebase"
LATE_VOLUME = "late volume"
CORRECTION = "correction"
DELETION = "deletion"
#: Kinds, in the order in which they are told.
KINDS = (SPLIT_REBASE, DIVIDEND_REBASE, CORRECTION, LATE_VOLUME, DELETION)

#: Bases whose earlier prices change with each new event.
ADJUSTED_BASES = ("split_adjusted", "split_dividend_adjusted")
SPLIT_KINDS = ("split", "stock_dividend")

#: Printed prices are rounded: a ratio within a thousandth of a split's factor is that split.
_SPLIT_TOLERANCE = 1e-3
#: Smallest step between two bases that is told from rounding; a dividend of 0.01 %.
_SMALLEST_STEP = 1e-4
#: So many bars that changed by one ratio are no coincidence.
_FEWEST_ROWS = 3

_Floats = np.ndarray[Any, np.dtype[np.float64]]
_Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class BarRevision(FrozenRecord):
    """Stored bars of one symbol that a later fetch changed in one way.

    Parameters
    ----------
    kind
        One of `KINDS`.
    rows
        Number of bars.
    first, last
        ISO text of the first and last of them: a date for bars at 00:00 UTC, else an instant.
    """

    symbol: str
    kind: str
    rows: int
    first: str
    last: str

    def __str__(self) -> str:
        bars = "1 bar" if self.rows == 1 else f"{self.rows:,} bars"
        where = f"of {self.first}" if self.first == self.last else f"from {self.first} to {self.last}"
        return f"{self.symbol}: {self.kind}, {bars} {where}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(self)


def classify_revisions(
    old: pl.DataFrame,
    new: pl.DataFrame,
    *,
    price_basis: str = "raw",
    new_events: Iterable[CorporateAction] = (),
    deleted: pl.DataFrame | None = None,
) -> list[BarRevision]:
    """Return what `new` says otherwise than `old`, by symbol and kind; bars that only one of them holds are no revision.

    Prices that changed by the factor of a split in `new_events` are a split rebase, and where dividends adjust prices,
    those that changed by one factor each before a new dividend's ex-date are a dividend rebase. Without an event, prices
    of an adjusted basis that changed by one common ratio up to some day, and not after, are one as well. Where only the
    volume differs it came late. All else is a correction.

    Parameters
    ----------
    old, new
        Contract bars.
    new_events
        Events that were not known when `old` was stored.
    deleted
        Stored bars that the vendor no longer has.
    """
    both = old.join(new, on=["symbol", "timestamp"], how="inner", suffix="_new", maintain_order="left")
    differs = {name: pl.col(name) != pl.col(f"{name}_new") for name in VALUE_COLUMNS}
    both = both.with_columns(
        pl.any_horizontal(differs[name] for name in PRICE_COLUMNS).alias("prices_differ"),
        differs["volume"].alias("volume_differs"),
    )
    touched = both.filter(pl.col("prices_differ") | pl.col("volume_differs"))["symbol"].unique().to_list()
    events = list(new_events)
    found: list[BarRevision] = []
    for symbol in sorted(touched):
        rows = both.filter(pl.col("symbol") == symbol)
        found += _of_symbol(symbol, rows, price_basis, [event for event in events if event.symbol == symbol])
    if deleted is not None:
        for (symbol,), rows in sorted(deleted.group_by("symbol", maintain_order=True), key=lambda item: str(item[0])):
            found.append(_revision(str(symbol), DELETION, rows["timestamp"].to_physical().to_numpy()))
    return sorted(found, key=lambda revision: (revision.symbol, KINDS.index(revision.kind)))


def rebase_ratio(old: pl.DataFrame, new: pl.DataFrame) -> float | None:
    """Return the one ratio by which a vendor's newer prices of a symbol differ up to some bar, None where there is none.

    That is how a split or dividend shows that nobody told of: all prices before its day move by one factor.

    Parameters
    ----------
    old, new
        Contract bars of one symbol.
    """
    both = old.join(new, on=["symbol", "timestamp"], how="inner", suffix="_new", maintain_order="left")
    if both.is_empty():
        return None
    changed = both.select(pl.any_horizontal(pl.col(name) != pl.col(f"{name}_new") for name in PRICE_COLUMNS))
    moved = changed.to_series().to_numpy()
    return _common_ratio(_ratios(both), moved, moved)


def _of_symbol(
    symbol: str, rows: pl.DataFrame, price_basis: str, events: Sequence[CorporateAction]
) -> list[BarRevision]:
    stamps = rows["timestamp"].to_physical().to_numpy()
    moved = rows["prices_differ"].to_numpy()
    kinds = np.full(rows.height, "", dtype=object)
    kinds[~moved & rows["volume_differs"].to_numpy()] = LATE_VOLUME
    if moved.any():
        ratios = _ratios(rows)
        factors = _split_factors(stamps, events)
        by_split = moved & (factors != 1.0) & (np.abs(ratios / factors[:, None] - 1.0).max(axis=1) <= _SPLIT_TOLERANCE)
        kinds[by_split] = SPLIT_REBASE
        rest = moved & ~by_split
        if price_basis == "split_dividend_adjusted":
            by_dividend = rest & _is_even(ratios) & _before_dividend(stamps, events)
            kinds[by_dividend] = DIVIDEND_REBASE
            rest &= ~by_dividend
        if price_basis in ADJUSTED_BASES and _common_ratio(ratios, rest, moved) is not None:
            kinds[rest] = SPLIT_REBASE if price_basis == "split_adjusted" else DIVIDEND_REBASE
            rest = np.zeros_like(rest)
        kinds[rest] = CORRECTION
    return [_revision(symbol, kind, stamps[kinds == kind]) for kind in KINDS if (kinds == kind).any()]


def _ratios(rows: pl.DataFrame) -> _Floats:
    """Return new / old of the four prices of each row, shape (n_rows, 4); nan where it says nothing."""
    columns = []
    for name in PRICE_COLUMNS:
        before, after = (rows[column].cast(pl.Float64).to_numpy() for column in (name, f"{name}_new"))
        with np.errstate(divide="ignore", invalid="ignore"):
            columns.append(np.where((before != 0) & (after != 0), after / before, np.nan))
    return np.column_stack(columns)


def _split_factors(stamps: np.ndarray[Any, np.dtype[np.int64]], events: Sequence[CorporateAction]) -> _Floats:
    """Return by how much the splits after each bar move its prices."""
    exact: dict[int, Decimal] = {}
    for event in events:
        if event.kind in SPLIT_KINDS:
            day = to_microseconds(event.ex_date)
            exact[day] = exact.get(day, Decimal(1)) * event.price_factor
    factors = np.ones(len(stamps))
    for day, factor in exact.items():
        factors[stamps < day] *= float(factor)
    return factors


def _before_dividend(stamps: np.ndarray[Any, np.dtype[np.int64]], events: Sequence[CorporateAction]) -> _Bools:
    days = [to_microseconds(event.ex_date) for event in events if event.kind == "cash_dividend"]
    return np.asarray(stamps < max(days, default=-(2**63)), dtype=bool)


def _is_even(ratios: _Floats) -> _Bools:
    """Return where the four prices of a row moved by one ratio."""
    middle = np.median(ratios, axis=1)
    spread = np.abs(ratios - middle[:, None]).max(axis=1)
    return np.asarray(spread <= np.abs(middle - 1.0) / 4, dtype=bool)


def _common_ratio(ratios: _Floats, rows: _Bools, moved: _Bools) -> float | None:
    """Return the ratio that all `rows` share if nothing before the last of them stayed as it was."""
    if rows.sum() < _FEWEST_ROWS or not moved[: int(np.flatnonzero(rows)[-1]) + 1].all():
        return None
    values = ratios[rows]
    middle = float(np.median(values))
    step = abs(middle - 1.0)
    is_common = bool((np.abs(values - middle) <= step / 4).all())  # false where a ratio is nan
    return middle if step >= _SMALLEST_STEP and is_common else None


def _revision(symbol: str, kind: str, stamps: np.ndarray[Any, np.dtype[np.int64]]) -> BarRevision:
    return BarRevision(symbol, kind, len(stamps), _text(int(stamps.min())), _text(int(stamps.max())))


def _text(stamp: int) -> str:
    if stamp % DAY_MICROSECONDS == 0:
        return to_date(stamp).isoformat()
    return f"{np.datetime64(stamp, 'us').astype('datetime64[s]')}Z"
