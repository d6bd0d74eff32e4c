"""What the quality rules found in a set of bars."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

from rustybt.market.provenance import FrozenRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Longest list that a report keeps; the counts beside the lists are always exact.
MAX_LISTED = 1_000
#: A bar that is not final yet is no defect: it comes with the next update.
NOT_FINAL = "not final"


@dataclass(frozen=True, slots=True)
class QualityReport(FrozenRecord):
    """Counts and examples, for one ingest or one version.

    Parameters
    ----------
    row_count
        Bars that were kept.
    quarantined_count
        Rows set aside; each also counts under every one of its reasons in `quarantined`, the most frequent reason first,
        equal ones by name.
    ohlcv_violations
        Rows set aside because of their prices or volume: high below low, negative price ...
    duplicates
        Rows dropped because an identical one was kept.
    missing_days_count, missing_days_list
        Sessions without a bar between the first and last bar of a symbol, by the symbol's own calendar; the list holds
        ``{"symbol", "date"}``.
    missing_bars_count, missing_bars_list
        For other frequencies than daily: bars that are due and absent, in runs of
        ``{"symbol", "timestamp", "count"}``.
    off_session_count
        Bars outside trading hours: of daily bars these were set aside, intraday ones are kept (extended hours).
    outlier_count, outliers
        Suspicious but kept: ``{"symbol", "timestamp", "kind", "change"}``; see `rustybt.market.quality_outliers`.
    negative_price_count
        Kept bars with a price below zero: legal for futures, commodities and forex.
    missing_volume_count
        Kept bars whose volume was not delivered and is stored as 0.
    symbols
        Per symbol: rows, first, last, missing, quarantined, outliers.
    calendar
        Names of the calendars used, joined by commas.
    validation_passed
        Nothing was set aside, but for bars that are not final, and no session (weekly and monthly: no bar) is missing.
        Outliers and missing minutes do not fail it: both happen on healthy markets.
    notes
        Sentences for people.
    """

    frequency: str = "1d"
    calendar: str = ""
    row_count: int = 0
    quarantined_count: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)
    ohlcv_violations: int = 0
    duplicates: int = 0
    missing_days_count: int = 0
    missing_days_list: tuple[Mapping[str, str], ...] = ()
    missing_bars_count: int = 0
    missing_bars_list: tuple[Mapping[str, Any], ...] = ()
    off_session_count: int = 0
    outlier_count: int = 0
    outliers: tuple[Mapping[str, Any], ...] = ()
    negative_price_count: int = 0
    missing_volume_count: int = 0
    symbols: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    validation_passed: bool = True
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Not by rows or batches, whose order is the file's.
        ordered = sorted(self.quarantined.items(), key=lambda item: (-item[1], item[0]))
        object.__setattr__(self, "quarantined", dict(ordered))

    def with_quarantined(self, counts: Mapping[str, int], notes: Iterable[str] = ()) -> Self:
        """Return the report with rows added that never became bars, such as ragged lines: number by reason."""
        total = Counter(self.quarantined)
        total.update(counts)
        return replace(
            self,
            quarantined=dict(total),
            quarantined_count=self.quarantined_count + sum(counts.values()),
            validation_passed=self.validation_passed and not any(n for r, n in counts.items() if r != NOT_FINAL),
            notes=tuple(dict.fromkeys((*self.notes, *notes))),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = asdict(self)
        for name in ("missing_days_list", "missing_bars_list", "outliers", "notes"):
            plain[name] = list(plain[name])
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`; unknown keys of a newer version are ignored."""
        values = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        for name in ("missing_days_list", "missing_bars_list", "outliers", "notes"):
            values[name] = tuple(values.get(name, ()))
        return cls(**values)


def merge_reports(reports: Iterable[QualityReport]) -> QualityReport:
    """Return one report of several batches; a symbol that occurs in more than one has its counts added."""
    parts = list(reports)
    if not parts:
        return QualityReport()
    quarantined: Counter[str] = Counter()
    symbols: dict[str, Mapping[str, Any]] = {}
    for part in parts:
        quarantined.update(part.quarantined)
        for symbol, summary in part.symbols.items():
            symbols[symbol] = _add(symbols[symbol], summary) if symbol in symbols else summary
    calendars = dict.fromkeys(name for part in parts for name in part.calendar.split(",") if name)
    return QualityReport(
        frequency=parts[0].frequency,
        calendar=",".join(calendars),
        row_count=sum(part.row_count for part in parts),
        quarantined_count=sum(part.quarantined_count for part in parts),
        quarantined=dict(quarantined),
        ohlcv_violations=sum(part.ohlcv_violations for part in parts),
        duplicates=sum(part.duplicates for part in parts),
        missing_days_count=sum(part.missing_days_count for part in parts),
        missing_days_list=_join(part.missing_days_list for part in parts),
        missing_bars_count=sum(part.missing_bars_count for part in parts),
        missing_bars_list=_join(part.missing_bars_list for part in parts),
        off_session_count=sum(part.off_session_count for part in parts),
        outlier_count=sum(part.outlier_count for part in parts),
        outliers=_join(part.outliers for part in parts),
        negative_price_count=sum(part.negative_price_count for part in parts),
        missing_volume_count=sum(part.missing_volume_count for part in parts),
        symbols=dict(sorted(symbols.items())),
        validation_passed=all(part.validation_passed for part in parts),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def _join(lists: Iterable[tuple[Mapping[str, Any], ...]]) -> tuple[Mapping[str, Any], ...]:
    return tuple(item for items in lists for item in items)[:MAX_LISTED]


def _add(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary of one symbol's two batches."""
    total = {name: one[name] + other[name] for name in ("rows", "missing", "quarantined", "outliers")}
    firsts = [s["first"] for s in (one, other) if s["first"] is not None]
    lasts = [s["last"] for s in (one, other) if s["last"] is not None]
    return {**total, "first": min(firsts, default=None), "last": max(lasts, default=None)}
