"""Bars that are due and absent, by each symbol's own calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.market.bar_grid import BarGrid
from rustybt.market.frequency import DAILY
from rustybt.market.quality_report import MAX_LISTED
from rustybt.market.request import DAY_MICROSECONDS, to_date

if TYPE_CHECKING:
    import polars as pl

    from rustybt.market.frequency import Frequency
    from rustybt.market.quality_subjects import Subjects
    from rustybt.market.trading_calendar import Instants, TradingCalendar

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Gaps:
    """What is missing; the fields are those of `QualityReport`."""

    missing_by_symbol: Instants
    days_count: int = 0
    days: tuple[dict[str, str], ...] = ()
    bars_count: int = 0
    bars: tuple[dict[str, Any], ...] = ()
    off_session_count: int = 0
    notes: tuple[str, ...] = ()


def label_text(stamp: int, frequency: Frequency) -> str:
    """Return a bar label as ISO text: a date for daily and longer bars."""
    if not frequency.is_intraday:
        return to_date(stamp).isoformat()
    return (_EPOCH + timedelta(microseconds=stamp)).isoformat()


def find_gaps(symbol: pl.Series, stamps: Instants, starts: Instants, subjects: Subjects, frequency: Frequency) -> Gaps:
    """Return the gaps between the first and last bar of each symbol.

    Parameters
    ----------
    symbol, stamps
        Keys of clean bars, sorted by (symbol, timestamp).
    starts
        Row at which each symbol begins.
    """
    names: list[str] = symbol.gather(starts).to_list()
    codes = np.repeat(np.arange(len(names)), np.diff(np.r_[starts, len(stamps)]))
    missing = np.zeros(len(names), dtype=np.int64)
    days: list[tuple[int, int]] = []
    bars: list[tuple[int, int, int]] = []
    totals = {"days": 0, "bars": 0, "off": 0}
    notes: list[str] = []
    for calendar, rows in subjects.by_calendar(symbol) if names else ():
        own_stamps, own_codes = stamps[rows], codes[rows]
        notes += _coverage_notes(calendar, own_stamps)
        grid = BarGrid.fitting(calendar, frequency, own_stamps)
        runs = _runs(grid.ordinals(own_stamps), own_codes)
        np.add.at(missing, runs[0], runs[2])
        if frequency == DAILY:
            totals["days"] += int(runs[2].sum())
            days += [(code, int(label)) for code, label, _ in _spread(grid, runs)]
            continue
        totals["bars"] += int(runs[2].sum())
        bars += [(code, label, count) for code, label, count in _listed(grid, runs)]
        if frequency.is_intraday:
            session = calendar.session_of_instants(own_stamps)
            inside = session >= 0
            closed = ~inside & calendar.covers((own_stamps // DAY_MICROSECONDS).astype("datetime64[D]"))
            totals["off"] += int(np.count_nonzero(closed))
            daily = BarGrid.of(calendar, DAILY)
            absent = _runs(session[inside], own_codes[inside])
            totals["days"] += int(absent[2].sum())
            days += [(code, int(label)) for code, label, _ in _spread(daily, absent)]
    return Gaps(
        missing_by_symbol=missing,
        days_count=totals["days"],
        days=tuple({"symbol": names[c], "date": to_date(label).isoformat()} for c, label in sorted(days)[:MAX_LISTED]),
        bars_count=totals["bars"],
        bars=tuple(
            {"symbol": names[code], "timestamp": label_text(label, frequency), "count": count}
            for code, label, count in sorted(bars)[:MAX_LISTED]
        ),
        off_session_count=totals["off"],
        notes=tuple(notes),
    )


_Runs = tuple["Instants", "Instants", "Instants"]


def _runs(ordinals: Instants, codes: Instants) -> _Runs:
    """Return symbol code, first missing ordinal and length of each run of missing bars."""
    due = ordinals >= 0
    ordinals, codes = ordinals[due], codes[due]
    steps = np.diff(ordinals)
    at = np.flatnonzero((steps > 1) & (np.diff(codes) == 0))
    return codes[at], ordinals[at] + 1, steps[at] - 1


def _listed(grid: BarGrid, runs: _Runs) -> list[tuple[int, int, int]]:
    """Return (code, label of the first missing bar, count) of the first runs."""
    codes, firsts, counts = (part[:MAX_LISTED] for part in runs)
    return list(zip(codes.tolist(), grid.labels_at(firsts).tolist(), counts.tolist(), strict=True))


def _spread(grid: BarGrid, runs: _Runs) -> list[tuple[int, int, int]]:
    """Return (code, label, 1) of the first missing bars, one by one."""
    codes, firsts, counts = (part[:MAX_LISTED] for part in runs)
    counts = np.minimum(counts, MAX_LISTED)
    offsets = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    ordinals = (np.repeat(firsts, counts) + offsets)[:MAX_LISTED]
    single = np.repeat(codes, counts)[:MAX_LISTED], ordinals, np.ones(ordinals.size, dtype=np.int64)
    return _listed(grid, single)


def _coverage_notes(calendar: TradingCalendar, stamps: Instants) -> list[str]:
    """Return a sentence if the calendar does not know all days that bars span."""
    first, last = to_date(int(stamps.min())), to_date(int(stamps.max()))
    if calendar.covered_start <= first and last <= calendar.covered_end:
        return []
    if calendar.covered_end < calendar.covered_start:
        known = "are unknown"
    else:
        known = f"are known only from {calendar.covered_start} to {calendar.covered_end}"
    why = f" (exchange_calendars: {calendar.limited_by})" if calendar.limited_by else ""
    return [f"the sessions of {calendar.name} {known}{why}: gaps and closed days were not looked for elsewhere"]
