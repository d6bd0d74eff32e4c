"""What an ingest finds out while its deliveries stream by: counts, examples, failures, and what they amount to."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rustybt.data.sources.ingest.report import MAX_EXAMPLES, QuarantinedRow
from rustybt.errors import DataQualityError, NotCoveredError, SourceError
from rustybt.market.quality_report import QualityReport, merge_reports
from rustybt.market.quality_rules import OFF_SESSION

if TYPE_CHECKING:
    import polars as pl

    from rustybt.data.bundles.records import Alias
    from rustybt.data.sources.delivery import Delivery
    from rustybt.market.assets import AssetAttributes
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.quality import QualityResult
    from rustybt.market.request import BarRequest

_MAX_NOTED = 20
_SHOWN = ("open", "high", "low", "close", "volume")


class Findings:
    """Collects what the deliveries of one ingest say; `close` it after the last one.

    Parameters
    ----------
    source_name
        For messages.
    request
        What is asked for.
    """

    def __init__(self, source_name: str, request: BarRequest) -> None:
        self._source_name = source_name
        self.request = request
        self.actions: list[CorporateAction] = []
        self.assets: dict[str, AssetAttributes] = {}
        self.aliases: dict[str, str] = {}
        self.former_names: list[Alias] = []
        #: Symbols that were asked for and answered, with bars or without.
        self.answered: list[str] = []
        self.files: dict[str, str] = {}
        self.failures: dict[str, SourceError] = {}
        #: Symbols with bars.
        self.symbols: list[str] = []
        self.skipped: dict[str, str] = {}
        self.notes: list[str] = []
        self.rows = 0
        self.examples: list[QuarantinedRow] = []
        self.calendar_was_named = False
        self._reports: list[QualityReport] = []
        self._quarantined: Counter[str] = Counter()
        self._report: QualityReport | None = None

    # -- while they stream -------------------------------------------------------------------------------------------

    def note(self, delivery: Delivery) -> None:
        """Take what a delivery says beside its bars."""
        self.failures.update(delivery.failures)
        self.assets.update(delivery.assets)
        self.aliases.update(delivery.aliases)
        self.former_names += delivery.former_names
        self.actions += delivery.actions
        self.files.update(delivery.files)
        self.notes += [note for note in delivery.notes if note not in self.notes]
        for symbol, reason in delivery.skipped.items():
            self.skipped[symbol] = reason
            self.answered.append(symbol)
        if delivery.quarantined.height:
            counts = delivery.quarantined["reason"].value_counts()
            self._quarantined.update(dict(zip(counts["reason"], counts["count"], strict=True)))
            room = max(0, MAX_EXAMPLES - len(self.examples))
            self.examples += [QuarantinedRow(**row) for row in delivery.quarantined.head(room).iter_rows(named=True)]

    def add(self, result: QualityResult) -> None:
        """Take what the quality rules say of a delivery's bars."""
        self._reports.append(result.report)
        self._note_rows(result.quarantined)
        delivered = result.bars["symbol"].unique(maintain_order=True).to_list()
        self.symbols += delivered
        self.answered += delivered
        self.rows += result.bars.height

    def _note_rows(self, quarantined: pl.DataFrame) -> None:
        """Keep examples of what the quality rules set aside; the report of the rules counts them."""
        room = max(0, MAX_EXAMPLES - len(self.examples))
        for row in quarantined.head(room).iter_rows(named=True):
            stamp = row["timestamp"]
            shown = "" if stamp is None else _stamp_text(stamp, intraday=self.request.frequency.is_intraday)
            values = ",".join("" if row[name] is None else format(row[name].normalize(), "f") for name in _SHOWN)
            self.examples.append(QuarantinedRow(row["symbol"] or "", shown, row["reason"], "", values))

    def close(self) -> None:
        """Say which of the symbols asked for have no bars, and why."""
        delivered = set(self.symbols)
        where = range_text(self.request)
        for symbol in self.request.symbols:
            if symbol not in delivered and symbol not in self.failures and symbol not in self.skipped:
                bad = sum(1 for row in self.examples if row.symbol == symbol)
                self.skipped[symbol] = f"every row was set aside{where}" if bad else f"no bars{where}"
                self.answered.append(symbol)

    # -- what they amount to -----------------------------------------------------------------------------------------

    def quality(self) -> QualityReport:
        """Return one report of all deliveries."""
        if self._report is None:
            shown = [f"set aside: {row}" for row in self.examples[:_MAX_NOTED]]
            failed = [
                f"failed: {symbol}: {error.message}" for symbol, error in list(self.failures.items())[:_MAX_NOTED]
            ]
            merged = merge_reports(self._reports)
            notes = [*self._calendar_notes(merged), *self.notes, *failed, *shown]
            self._report = merged.with_quarantined(self._quarantined, notes)
        return self._report

    def _calendar_notes(self, report: QualityReport) -> list[str]:
        """Say what may be meant where many bars lie outside the hours of the calendar."""
        closed = sum(count for reason, count in report.quarantined.items() if OFF_SESSION in reason)
        notes = []
        if closed and not self.calendar_was_named:
            notes.append(
                f"{_counted(closed, 'row')} on days when {report.calendar} is closed: for a market that is open then, "
                "--asset-type crypto or --calendar 24/7 (or the market's own)"
            )
        if self.request.frequency.is_intraday and report.off_session_count > report.row_count // 2:
            notes.append(
                f"{report.off_session_count:,} of {report.row_count:,} bars lie outside the trading hours of {report.calendar}: "
                "--timezone if the times are local, --calendar (such as 24/7) if the market is another"
            )
        return notes

    def refuse_if_bad(self) -> None:
        """Raise unless all is well; for a strict ingest.

        Raises
        ------
        DataQualityError
            A row was set aside, a session is missing, or a symbol failed.
        """
        report = self.quality()
        if report.validation_passed and not self.failures:
            return
        found = [f"{count:,} rows: {reason}" for reason, count in report.quarantined.items()]
        if report.missing_days_count:
            found.append(f"{report.missing_days_count:,} sessions of {report.calendar} without a bar")
        found += [f"{symbol}: {error.message}" for symbol, error in list(self.failures.items())[:3]]
        example = f"; first: {self.examples[0]}" if self.examples else ""
        raise DataQualityError(
            f"strict ingest refused, nothing was stored: {'; '.join(found) or 'validation failed'}{example}",
            hint="without --strict the good rows are stored and the others reported",
            report=report,
            examples=tuple(self.examples),
            failures=dict(self.failures),
        )

    def nothing(self) -> Exception:
        """Return the error for an ingest without a single good bar."""
        failures = list(self.failures.items())
        if len(failures) == 1 and not self.skipped and not self.examples:
            return failures[0][1]
        if failures:
            kinds = {type(error) for _, error in failures}
            kind = kinds.pop() if len(kinds) == 1 else SourceError
            shown = "; ".join(f"{symbol}: {error.message}" for symbol, error in failures[:5])
            more = f" and {len(failures) - 5} more" if len(failures) > 5 else ""
            return kind(
                f"none of {len(failures)} symbols could be delivered: {shown}{more}",
                hint=failures[0][1].hint,
                failures=dict(failures),
            )
        report = self.quality()
        if report.quarantined_count:
            reasons = ", ".join(f"{reason} ({count:,})" for reason, count in report.quarantined.items())
            hint = next((note for note in report.notes if "--" in note), None)
            return DataQualityError(
                f"every row was set aside, nothing was stored: {reasons}; first: {self.examples[0]}",
                hint=hint,
                report=report,
                examples=tuple(self.examples),
            )
        reasons = "; ".join(dict.fromkeys(self.skipped.values())) if len(self.skipped) <= 3 else ""
        told = f": {reasons}" if reasons and not reasons.startswith("no bars") else ""
        return NotCoveredError(
            f"source {self._source_name} has no bars{range_text(self.request)}{told}",
            hint="ask for other dates or symbols",
            missing=list(self.request.symbols),
        )


def range_text(request: BarRequest) -> str:
    """Return `` from START to END`` for a message, empty where nothing bounds the request."""
    if request.start is None and request.end is None:
        return ""
    return f" from {request.start_text or 'the beginning'} to {request.end_text or 'the end'}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _stamp_text(stamp: Any, *, intraday: bool) -> str:
    return str(stamp.isoformat() if intraday else stamp.date().isoformat())
