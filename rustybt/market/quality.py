"""Check bars: clean ones go on, bad ones are set aside with their reasons, and the report says what was found."""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rustybt.market.bars import (
    BAR_COLUMNS,
    BAR_SCHEMA,
    PRICE_COLUMNS,
    VALUE_COLUMNS,
    join_frames,
    series_starts,
    sort_bars,
)
from rustybt.market.frequency import DAILY, Frequency
from rustybt.market.quality_gaps import find_gaps, label_text
from rustybt.market.quality_outliers import find_outliers
from rustybt.market.quality_report import MAX_LISTED, NOT_FINAL, QualityReport
from rustybt.market.quality_rules import (
    CONFLICT,
    SEPARATOR,
    VALUE_REASONS,
    calendar_rules,
    is_off_session,
    join_reasons,
    key_rules,
    missing_rules,
    value_rules,
)
from rustybt.market.quality_subjects import Subjects

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.quality_rules import Rule
    from rustybt.market.quality_subjects import CalendarOf, TypeOf
    from rustybt.market.trading_calendar import Instants

#: Columns of the frame of bad rows: those of bars, nulls allowed, and the reasons.
QUARANTINE_SCHEMA = pl.Schema([*BAR_SCHEMA.items(), ("reason", pl.String())])
# A wrong calendar shows by many bars on days when it is closed; a few may be the vendor's slips.
_SUSPECT_SHARE, _SUSPECT_ROWS = 0.02, 5


@dataclass(frozen=True, slots=True)
class QualityResult:
    """What `check_quality` made of the rows.

    Parameters
    ----------
    bars
        Clean, sorted and unique: keeps the contract of `rustybt.market.bars`.
    quarantined
        The other rows as they came, with `reason`; see `QUARANTINE_SCHEMA`.
    report
        Counts and examples.
    """

    bars: pl.DataFrame
    quarantined: pl.DataFrame
    report: QualityReport


def check_quality(
    bars: pl.DataFrame,
    *,
    frequency: str | Frequency = DAILY,
    calendar_of: CalendarOf = "XNYS",
    asset_type_of: TypeOf = "equity",
    now_us: int | None = None,
    reasons: pl.Series | None = None,
    missing_volume: pl.Series | None = None,
    actions: Iterable[CorporateAction] = (),
) -> QualityResult:
    """Separate clean bars from bad rows and report on both.

    A row is set aside (quarantined), once and with all its reasons joined by ``; ``, if

    - `reasons` says so, or one of its fields is missing;
    - its timestamp lies outside 1900 to 2199, or a daily or longer bar is not labelled at 00:00 UTC;
    - its symbol is not usable (`rustybt.market.request.check_symbol`);
    - high is below, or low above, one of the other prices; a price is zero or negative and the asset type is one of
      `NON_NEGATIVE_TYPES`; the volume is negative (zero is legal);
    - it is a daily bar on a day that is known to be no session of the symbol's calendar;
    - it is not final at `now_us`;
    - it has the symbol and timestamp of a valid row that was delivered later, with other values. The last one wins, as a
      correction appended to a file would; rows identical to it are dropped and counted.

    Intraday bars outside trading hours are kept and counted. Gaps are looked for between the first and last bar of each
    symbol, on its own calendar; outliers are flagged (`rustybt.market.quality_outliers`).

    Parameters
    ----------
    bars
        Columns and dtypes of the contract; nulls, any order and repetitions are allowed. Rows are in order of delivery.
    calendar_of, asset_type_of
        One value for all symbols, or a mapping or function by symbol.
    now_us
        Bars that end later, microseconds since 1970 UTC, are not final; None takes all as final.
    reasons
        String, aligned with the rows: why a row could not be read; null where it could.
    missing_volume
        Boolean, aligned with the rows: the volume was not delivered and stands as 0.

    Raises
    ------
    RequestError
        A calendar of that name does not exist.
    """
    parsed = Frequency.parse(frequency)
    extra = {"reason": reasons, "missing_volume": missing_volume}
    frame = bars.select(BAR_COLUMNS).with_columns(s.alias(name) for name, s in extra.items() if s is not None)
    if not _is_sorted(frame):
        frame = sort_bars(frame)
    given = frame["reason"] if reasons is not None else None
    subjects = Subjects(frame, calendar_of, asset_type_of)
    rules = [
        *missing_rules(frame, given),
        *key_rules(frame, parsed),
        *value_rules(frame, subjects.is_non_negative),
        *calendar_rules(frame, subjects, parsed, now_us),
    ]
    rules = [(reason, mask) for reason, mask in rules if mask.any()]
    clean, bad = _split(frame, rules, given)
    clean, conflicting, duplicates = _deduplicate(clean)
    bad = join_frames([bad, conflicting]) if conflicting.height else bad
    counts = Counter(part for reason in bad["reason"].to_list() for part in reason.split(SEPARATOR))
    report = _report(clean, subjects, parsed, tuple(actions), bad)
    report = replace(
        report,
        quarantined=dict(counts),
        quarantined_count=bad.height,
        duplicates=duplicates,
        ohlcv_violations=_count_violations(rules),
        off_session_count=report.off_session_count + sum(n for reason, n in counts.items() if is_off_session(reason)),
        validation_passed=report.validation_passed and all(reason == NOT_FINAL for reason in bad["reason"].unique()),
        notes=(*report.notes, *_mismatch_notes(bad, report), *_duplicate_note(duplicates)),
    )
    return QualityResult(clean.select(BAR_COLUMNS), bad.select(QUARANTINE_SCHEMA.names()), report)


def _is_sorted(frame: pl.DataFrame) -> bool:
    """Return whether rows rise by (symbol, timestamp); repetitions are allowed, nulls are not."""
    if frame["symbol"].null_count() or frame["timestamp"].null_count():
        return False
    starts = series_starts(frame["symbol"])
    heads = frame["symbol"].gather(starts)
    falling = np.diff(frame["timestamp"].to_physical().to_numpy()) < 0
    falling[starts[1:] - 1] = False
    return not falling.any() and heads.is_sorted() and heads.n_unique() == heads.len()


def _split(frame: pl.DataFrame, rules: list[Rule], given: pl.Series | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that break no rule, and the others with their reasons."""
    columns = [name for name in frame.columns if name != "reason"]
    masks = [mask for _, mask in rules]
    if given is not None and given.null_count() < given.len():
        masks.append(given.is_not_null())
    if not masks:
        return frame.select(columns), frame.select(columns).clear().with_columns(reason=pl.lit(None, pl.String))
    is_bad = reduce(operator.or_, masks)
    rows = is_bad.arg_true()
    bad = frame.select(columns)[rows].with_columns(join_reasons(rules, rows, given).alias("reason"))
    return frame.select(columns).filter(~is_bad), bad


def _deduplicate(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Return rows with unique keys, earlier rows with other values and a reason, and the number of identical ones."""
    stamps = frame["timestamp"].to_physical().to_numpy()
    repeats = np.zeros(frame.height, dtype=np.bool_)
    if frame.height > 1:
        repeats[:-1] = np.diff(stamps) == 0
        repeats[series_starts(frame["symbol"])[1:] - 1] = False
    nothing = frame.clear().with_columns(reason=pl.lit(CONFLICT))
    if not repeats.any():
        return frame, nothing, 0
    # The sort kept the order of delivery: of rows with one key, the last is the latest word.
    kept = np.flatnonzero(~repeats)
    earlier = np.flatnonzero(repeats)
    winners = kept[np.searchsorted(kept, earlier)]
    one, other = frame[earlier].select(VALUE_COLUMNS), frame[winners].select(VALUE_COLUMNS)
    differs = reduce(operator.or_, (one[name] != other[name] for name in VALUE_COLUMNS))
    conflicting = frame[earlier].filter(differs).with_columns(reason=pl.lit(CONFLICT))
    return frame[kept], conflicting, len(earlier) - conflicting.height


def _count_violations(rules: list[Rule]) -> int:
    masks = [mask for reason, mask in rules if reason in VALUE_REASONS]
    return int(reduce(operator.or_, masks).sum()) if masks else 0


def _report(
    clean: pl.DataFrame,
    subjects: Subjects,
    frequency: Frequency,
    actions: tuple[CorporateAction, ...],
    bad: pl.DataFrame,
) -> QualityReport:
    """Return the report on the clean rows, with the number of bad ones by symbol."""
    starts = series_starts(clean["symbol"])
    names: list[str] = clean["symbol"].gather(starts).to_list()
    stamps = clean["timestamp"].to_physical().to_numpy()
    gaps = find_gaps(clean["symbol"], stamps, starts, subjects, frequency)
    outliers = find_outliers(clean, starts, names, actions)
    negative = pl.any_horizontal(pl.col(name).to_physical() < 0 for name in PRICE_COLUMNS)
    return QualityReport(
        frequency=frequency.name,
        calendar=",".join(subjects.calendar_names(names)),
        row_count=clean.height,
        missing_days_count=gaps.days_count,
        missing_days_list=gaps.days,
        missing_bars_count=gaps.bars_count,
        missing_bars_list=gaps.bars,
        off_session_count=gaps.off_session_count,
        outlier_count=len(outliers),
        outliers=tuple(
            {
                "symbol": names[int(np.searchsorted(starts, row, side="right")) - 1],
                "timestamp": label_text(int(stamps[row]), frequency),
                "kind": kind,
                "change": round(change, 6),
            }
            for row, kind, change in outliers[:MAX_LISTED]
        ),
        negative_price_count=int(clean.select(negative.sum()).item()),
        missing_volume_count=int(clean["missing_volume"].sum()) if "missing_volume" in clean.columns else 0,
        symbols=_summaries(clean, bad, frequency, gaps.missing_by_symbol, [row for row, _, _ in outliers]),
        validation_passed=gaps.days_count == 0 and (frequency.is_intraday or gaps.bars_count == 0),
        notes=gaps.notes,
    )


def _summaries(
    clean: pl.DataFrame, bad: pl.DataFrame, frequency: Frequency, missing: Instants, outlier_rows: list[int]
) -> dict[str, dict[str, Any]]:
    """Return rows, first, last, missing, quarantined and outliers by symbol."""
    starts = series_starts(clean["symbol"])
    names: list[str] = clean["symbol"].gather(starts).to_list()
    stamps = clean["timestamp"].to_physical().to_numpy()
    ends = np.append(starts, len(stamps))[1:]
    outliers = np.bincount(np.searchsorted(starts, outlier_rows, side="right") - 1, minlength=len(names))
    set_aside = Counter(symbol for symbol in bad["symbol"].to_list() if symbol is not None)
    found = {
        name: {
            "rows": int(end - start),
            "first": label_text(int(stamps[start]), frequency),
            "last": label_text(int(stamps[end - 1]), frequency),
            "missing": int(lacking),
            "quarantined": set_aside.get(name, 0),
            "outliers": int(odd),
        }
        for name, start, end, lacking, odd in zip(names, starts, ends, missing, outliers, strict=True)
    }
    for name in sorted(set_aside.keys() - found.keys()):
        found[name] = {
            "rows": 0,
            "first": None,
            "last": None,
            "missing": 0,
            "quarantined": set_aside[name],
            "outliers": 0,
        }
    return found


def _mismatch_notes(bad: pl.DataFrame, report: QualityReport) -> list[str]:
    """Return a sentence for each calendar that closes on suspiciously many days with bars."""
    notes = []
    for reason in report_off_session_reasons(bad):
        counts = Counter(bad.filter(pl.col("reason").str.contains(reason, literal=True))["symbol"].to_list())
        suspects = [
            symbol
            for symbol, count in counts.items()
            if symbol in report.symbols
            and count >= _SUSPECT_ROWS
            and count > _SUSPECT_SHARE * (count + report.symbols[symbol]["rows"])
        ]
        if suspects:
            shown = ", ".join(suspects[:5]) + (f" and {len(suspects) - 5} more" if len(suspects) > 5 else "")
            notes.append(
                f"{shown}: many bars lie on days when {reason.rpartition(' ')[2]} is closed; if they trade elsewhere, ingest "
                "again with --calendar NAME (24/7 for what never closes)"
            )
    return notes


def report_off_session_reasons(bad: pl.DataFrame) -> list[str]:
    """Return the reasons about closed days that occur, sorted."""
    texts = bad["reason"].unique().to_list()
    return sorted({part for text in texts for part in text.split(SEPARATOR) if is_off_session(part)})


def _duplicate_note(duplicates: int) -> list[str]:
    return [f"{duplicates} rows were delivered twice with the same values and are stored once"] if duplicates else []
