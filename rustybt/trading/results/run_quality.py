"""Which of the bars that a run read were flagged by the quality rules, as the reports of their bundle tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from rustybt.market.frequency import DAILY
from rustybt.market.quality_report import NOT_FINAL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from rustybt.market.quality_report import QualityReport

#: Dates kept of one finding; its count is exact.
MOST_DATES = 50
#: What the run met: a bar that was read as it is, a bar that is not there, a row that was kept out of the bundle.
SEVERITIES = ("suspicious", "missing", "set aside")


@dataclass(frozen=True, slots=True)
class QualityFinding:
    """What one rule found in the bars of one symbol that the run read.

    Parameters
    ----------
    rule
        ``spike``, ``jump`` or ``wick`` (`rustybt.market.quality_outliers`), ``session without bar``, ``bar missing``,
        ``row set aside``; ``outlier`` where the report lists no more dates.
    severity
        One of `SEVERITIES`: suspicious bars were read as they are.
    count
        How many bars.
    dates
        ISO dates (UTC), rising, the first `MOST_DATES`. Empty where the report only counts over the whole symbol: some of
        these may lie outside what the run read.
    """

    symbol: str
    rule: str
    severity: str
    count: int
    dates: tuple[str, ...] = ()

    @property
    def is_dated(self) -> bool:
        """True when every one of them is known to lie in what the run read."""
        return bool(self.dates)


@dataclass(frozen=True, slots=True)
class RunQuality:
    """What the quality reports say of the bars that a run read.

    Parameters
    ----------
    start, end
        First and last date that was read, ISO, both included; `start` lies before the run for history windows.
    symbols
        Number of symbols that were read.
    findings
        By symbol and rule.
    unchecked
        Symbols that no report is about, sorted: nothing is known of their bars.
    """

    start: str
    end: str
    symbols: int
    findings: tuple[QualityFinding, ...] = ()
    unchecked: tuple[str, ...] = ()

    def count(self, severity: str) -> int:
        """Return the number of bars of `severity`, only those known to lie in what the run read."""
        return sum(f.count for f in self.findings if f.severity == severity and f.is_dated)

    @property
    def by_rule(self) -> dict[str, int]:
        """Number of bars by rule, most first, only those known to lie in what the run read."""
        counts: Counter[str] = Counter()
        for finding in self.findings:
            counts[finding.rule] += finding.count if finding.is_dated else 0
        return {rule: n for rule, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if n}

    def sentence(self) -> str:
        """Return the finding in one line."""
        read = f"of {_counted(self.symbols, 'symbol')} read, {self.start} to {self.end}"
        rules = ", ".join(f"{rule} {n:,}" for rule, n in self.by_rule.items())
        symbols = {f.symbol for f in self.findings if f.is_dated}
        parts = [f"{_counted(len(symbols), 'symbol')} {read}, flagged: {rules}" if rules else f"no bar flagged {read}"]
        undated = sum(f.count for f in self.findings if not f.is_dated)
        if undated:
            parts.append(f"{undated:,} more without a date")
        if self.unchecked:
            parts.append(f"{_counted(len(self.unchecked), 'symbol')} never checked")
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = asdict(self)
        plain["findings"] = [{**finding, "dates": list(finding["dates"])} for finding in plain["findings"]]
        return {**plain, "unchecked": list(self.unchecked)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`."""
        findings = tuple(
            QualityFinding(f["symbol"], f["rule"], f["severity"], f["count"], tuple(f["dates"]))
            for f in data["findings"]
        )
        return cls(data["start"], data["end"], data["symbols"], findings, tuple(data["unchecked"]))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def quality_of(bars: Any, symbols: Iterable[str], start: str, end: str, frequency: str = "1d") -> RunQuality | None:
    """Return what the quality reports of `bars` say of `symbols` from `start` to `end`, ISO dates, both included.

    A version of a bundle that was updated holds bars of several ingests, each with its own report. A finding counts unless
    a later ingest, up to this version, looked at the same stretch of the symbol again.

    Returns
    -------
    RunQuality
        None when the bars are of no bundle, or no ingest of the bundle left a report.
    """
    reports = _reports_of(bars, frequency)
    if not reports:
        return None
    wanted = set(symbols)
    counts: Counter[tuple[str, str, str, bool]] = Counter()
    dates: dict[tuple[str, str, str, bool], set[str]] = {}
    # The latest look first: what it covered is known, whatever was found there before.
    looked_at: dict[str, list[tuple[str, str]]] = {}
    for report in reports:
        for symbol, rule, severity, day, count in _told(report, wanted):
            covered = looked_at.get(symbol, [])
            if day and (not start <= day <= end or any(a <= day <= b for a, b in covered)):
                continue
            if not day and covered and not _beyond(report.symbols[symbol], covered):
                continue
            key = (symbol, rule, severity, bool(day))
            counts[key] += count
            dates.setdefault(key, set()).update([day] if day else [])
        for symbol in wanted & report.symbols.keys():
            first, last = report.symbols[symbol]["first"], report.symbols[symbol]["last"]
            if first is not None:
                looked_at.setdefault(symbol, []).append((first[:10], last[:10]))
    findings = [
        QualityFinding(*key[:3], count, tuple(sorted(dates[key])[:MOST_DATES])) for key, count in sorted(counts.items())
    ]
    # A window may ask for days long before the first bar: those were not read.
    first = min((low for stretches in looked_at.values() for low, _ in stretches), default=start)
    unchecked = tuple(sorted(wanted - looked_at.keys()))
    begin = start if unchecked else min(max(start, first), end)
    return RunQuality(begin, end, len(wanted), tuple(findings), unchecked)


def _reports_of(bars: Any, frequency: str) -> list[QualityReport]:
    """Return the reports on the bars of a bundle, the latest first; of other bundles, and of sources, none."""
    parts = getattr(bars, "parts", None)
    if parts is not None:
        # No two parts have a symbol in common, so no report of one is about another.
        return [report for part in parts for report in _reports_of(part, frequency)]
    own = getattr(bars, "quality", None)
    if not callable(own):
        return []
    newest: QualityReport | None = own()
    info = getattr(bars, "info", None)
    if info is None or (newest is not None and newest.row_count == info.row_count):
        return [] if newest is None else [newest]
    versions = sorted(bars.versions(), key=lambda version: -int(version.version))
    reports = [v.quality for v in versions if v.version <= info.version and v.quality is not None]
    # Bars that were made of shorter ones have the reports of those.
    return [r for r in reports if r.frequency == frequency] or reports


def _told(report: QualityReport, symbols: Collection[str]) -> Iterable[tuple[str, str, str, str, int]]:
    """Return symbol, rule, severity, ISO date (empty where it is not known) and count of all that a report tells."""
    listed: Counter[str] = Counter()
    for item in report.outliers:
        listed[item["symbol"]] += 1
        if item["symbol"] in symbols:
            yield item["symbol"], item["kind"], "suspicious", item["timestamp"][:10], 1
    missing: Counter[str] = Counter()
    for rule, items, label in (
        ("session without bar", report.missing_days_list, "date"),
        ("bar missing", report.missing_bars_list, "timestamp"),
    ):
        for item in items:
            count = int(item.get("count", 1))
            # Of minutes, a whole session that is missing is told twice: as a session, and bar by bar.
            missing[item["symbol"]] += count if label == "timestamp" or report.frequency == DAILY.name else 0
            if item["symbol"] in symbols:
                yield item["symbol"], rule, "missing", item[label][:10], count
    only_unfinished = set(report.quarantined) <= {NOT_FINAL}
    for symbol in sorted(report.symbols.keys() & symbols):
        facts = report.symbols[symbol]
        more = facts["outliers"] - listed[symbol]
        if more > 0:
            yield symbol, "outlier", "suspicious", "", more
        if facts["missing"] > missing[symbol]:
            yield symbol, "bar missing", "missing", "", facts["missing"] - missing[symbol]
        if facts["quarantined"] and not only_unfinished:
            yield symbol, "row set aside", "set aside", "", facts["quarantined"]


def _beyond(facts: Mapping[str, Any], covered: Sequence[tuple[str, str]]) -> bool:
    """Return whether an earlier ingest of a symbol reached beyond what later ones looked at."""
    first, last = facts["first"], facts["last"]
    return first is None or not any(a <= first[:10] and last[:10] <= b for a, b in covered)
