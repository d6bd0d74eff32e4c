"""Which row of a clock a bar belongs to, also where its venue keeps other hours than the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rustybt.market.calendars import canonical_name, get_calendar
from rustybt.market.request import DAY_MICROSECONDS
from rustybt.market.trading_calendar import period_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rustybt.data.portal.bar_provider import BarBlock, Floats, Integers
    from rustybt.data.portal.rows.venue_days import Restating
    from rustybt.market.assets import Asset
    from rustybt.market.frequency import Frequency
    from rustybt.market.trading_calendar import Anchor, TradingCalendar


class Rows(NamedTuple):
    """Successive rows of a clock.

    Parameters
    ----------
    labels
        Keys that bars of the clock's own venue are found by: their labels, or numbers of their week or month.
    ends
        When each row is complete, microseconds since 1970 UTC.
    begin
        When the row before the first was complete.
    calendar_name
        Of the clock, in its own spelling.
    anchor
        Whether intraday rows are counted from the open or on the hours of the clock.
    """

    labels: Integers
    ends: Integers
    begin: int
    calendar_name: str
    frequency: Frequency
    anchor: Anchor = "open"


def place_bars(
    block: BarBlock, assets: Sequence[Asset], rows: Rows, restated: Mapping[str, Restating] | None = None
) -> dict[str, Floats]:
    """Return each field as an array (rows, assets), NaN where no bar is.

    A bar of an asset that keeps the clock's calendar has the row of its label; one off that calendar's hours has none. A bar
    of another venue has the row in which it is complete, never an earlier one; several in one row are joined to one bar.

    Parameters
    ----------
    restated
        By symbol, how bars of other venues are brought to the shares of their row before they are joined.
    """
    shape = (len(rows.ends), len(assets))
    arrays = {field: np.full(shape, np.nan) for field in block.values}
    if not len(block.timestamps):
        return arrays
    columns_of = {a.symbol: i for i, a in enumerate(assets)}
    columns = np.array([columns_of[s] for s in block.symbols], dtype=np.int64)[block.symbol_codes]
    foreign = np.array([canonical_name(a.calendar_name) != rows.calendar_name for a in assets])
    if not foreign.any():
        _set_own(arrays, block, columns, rows)
        return arrays
    away = foreign[columns]
    _set_own(arrays, _Part(block, ~away), columns[~away], rows)
    for name in sorted({a.calendar_name for a, is_foreign in zip(assets, foreign, strict=True) if is_foreign}):
        of_venue = np.array([a.calendar_name == name for a in assets])[columns]
        restating = {columns_of[symbol]: how for symbol, how in (restated or {}).items() if symbol in columns_of}
        _join_foreign(arrays, _Part(block, of_venue), columns[of_venue], rows, name, restating)
    return arrays


class _Part:
    """Some rows of a block."""

    def __init__(self, block: BarBlock, mask: np.ndarray) -> None:
        self.timestamps: Integers = block.timestamps[mask]
        self.values = {field: values[mask] for field, values in block.values.items()}


def _set_own(arrays: dict[str, Floats], block: BarBlock | _Part, columns: Integers, rows: Rows) -> None:
    days = [np.datetime64(int(end), "us").astype("datetime64[D]").item() for end in (rows.begin, rows.ends[-1])]
    calendar = get_calendar(rows.calendar_name, days[0], days[1]) if rows.anchor == "clock" else None
    keys = row_keys(block.timestamps, rows.frequency, rows.anchor, calendar)
    at = np.minimum(np.searchsorted(rows.labels, keys), len(rows.labels) - 1)
    # Bars off the calendar have no row: ingest has reported them.
    held = rows.labels[at] == keys
    if not held.all():
        at, columns = at[held], columns[held]
    for field, array in arrays.items():
        array[at, columns] = block.values[field] if held.all() else block.values[field][held]


def row_keys(
    timestamps: Integers, frequency: Frequency, anchor: Anchor = "open", calendar: TradingCalendar | None = None
) -> Integers:
    """Return what bars are found by: labels, or numbers of weeks and months, of which a label may be any day.

    On the hours of the clock, the hour in which `calendar` opens may be labelled by the open: 09:30 for 09:00.
    """
    if frequency.name in ("1w", "1M"):
        return period_numbers((timestamps // DAY_MICROSECONDS).astype("datetime64[D]"), frequency)
    if anchor == "clock" and calendar is not None:
        hours = timestamps - timestamps % frequency.microseconds
        return np.where(np.isin(timestamps, calendar.stretches()[0]), hours, timestamps)
    return timestamps


def _join_foreign(
    arrays: dict[str, Floats],
    part: _Part,
    columns: Integers,
    rows: Rows,
    calendar_name: str,
    restating: Mapping[int, Restating],
) -> None:
    if not part.timestamps.size:
        return
    first, last = (
        int(part.timestamps[i]) // DAY_MICROSECONDS for i in (part.timestamps.argmin(), part.timestamps.argmax())
    )
    day = np.datetime64(first, "D").item()
    calendar = get_calendar(calendar_name, day, np.datetime64(last, "D").item() + timedelta(days=31))
    ends = calendar.bar_ends(part.timestamps, rows.frequency)
    at = np.searchsorted(rows.ends, ends)
    held = (at < len(rows.ends)) & (ends > rows.begin)
    at, columns = at[held], columns[held]
    if not at.size:
        return
    order = np.lexsort((part.timestamps[held], columns))
    at, columns = at[order], columns[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(at) != 0) | (np.diff(columns) != 0)])
    values = {field: values[held][order] for field, values in part.values.items()}
    for column, how in restating.items():
        mine = np.flatnonzero(columns == column)
        if mine.size:
            factors = how.factors(_days_of(part.timestamps[held][order][mine], rows.frequency, calendar), at[mine])
            for field, of_all in values.items():
                of_all[mine] = of_all[mine] / factors if field == "volume" else of_all[mine] * factors
    where = at[starts], columns[starts]
    for field, joined in join_bars(values, starts).items():
        arrays[field][where] = joined


def _days_of(
    timestamps: Integers, frequency: Frequency, calendar: TradingCalendar
) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    """Return the session of each bar, its day in UTC where it is outside trading hours."""
    days = (timestamps // DAY_MICROSECONDS).astype("datetime64[D]")
    if not frequency.is_intraday or not calendar.sessions.size:
        return days
    at = calendar.session_of_instants(timestamps)
    return np.where(at >= 0, calendar.sessions[np.maximum(at, 0)], days)


def side_by_side(found: list[int]) -> slice | Integers:
    """Return columns as a slice where they are neighbours in order."""
    if found and found == list(range(found[0], found[0] + len(found))):
        return slice(found[0], found[0] + len(found))
    return np.array(found, dtype=np.int64)


def join_bars(values: dict[str, Floats], starts: Integers) -> dict[str, Floats]:
    """Return one bar for each run of bars that begins at `starts`; none of the values is NaN."""
    stops = np.r_[starts[1:], len(next(iter(values.values())))] - 1
    join: dict[str, Callable[[Floats], Floats]] = {
        "open": lambda v: v[starts],
        "high": lambda v: np.asarray(np.maximum.reduceat(v, starts)),
        "low": lambda v: np.asarray(np.minimum.reduceat(v, starts)),
        "close": lambda v: v[stops],
        "volume": lambda v: np.asarray(np.add.reduceat(v, starts)),
    }
    return {field: join[field](v) for field, v in values.items()}
