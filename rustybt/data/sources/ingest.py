"""From a source into a bundle: the one path, for every source.

Deliveries stream through the quality rules into the store; what is set aside is counted by reason. The store commits when the
last batch was taken, and an error anywhere leaves no version.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import nullcontext
from itertools import chain
from typing import TYPE_CHECKING, Any

from rustybt.__about__ import __version__
from rustybt.data.sources import bridge
from rustybt.data.sources.delivery import Delivery
from rustybt.data.sources.ingest_report import MAX_EXAMPLES, IngestReport, QuarantinedRow
from rustybt.errors import DataQualityError, NotCoveredError, RequestError, SourceError
from rustybt.market.assets import AssetAttributes
from rustybt.market.calendars import calendar_for, canonical_name
from rustybt.market.provenance import Provenance
from rustybt.market.quality import check_quality
from rustybt.market.quality_report import QualityReport, merge_reports
from rustybt.market.quality_rules import OFF_SESSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

    from rustybt.data.bundles.records import CommitResult
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.sources.base import DataSource, Progress
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.request import BarRequest

_MAX_NOTED = 20


class Ingest:
    """One ingest of one source; use `DataSource.ingest_to_bundle`.

    Parameters
    ----------
    clock
        Unix seconds.
    """

    def __init__(
        self,
        source: DataSource,
        request: BarRequest,
        *,
        strict: bool = False,
        progress: Progress | None = None,
        actions: tuple[CorporateAction, ...] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._request = request
        self._strict = strict
        self._progress = progress
        self._now = clock()
        self._given_actions = actions
        self._actions: list[CorporateAction] = []
        self._assets: dict[str, AssetAttributes] = {}
        self._answered: list[str] = []
        self._files: dict[str, str] = {}
        self._failures: dict[str, SourceError] = {}
        self._reports: list[QualityReport] = []
        self._quarantined: Counter[str] = Counter()
        self._examples: list[QuarantinedRow] = []
        self._symbols: list[str] = []
        self._skipped: dict[str, str] = {}
        self._notes: list[str] = []
        self._rows = 0
        self._calendar = "XNYS"
        self._calendar_was_named = False
        self._report: QualityReport | None = None

    def into(
        self,
        bundle_name: str,
        store: BundleStore | None,
        *,
        calendar: str | None = None,
        replace: bool = False,
        op_id: str | None = None,
    ) -> IngestReport:
        """Commit what the source delivers; see `DataSource.ingest_to_bundle`."""
        from rustybt.data.bundles.names import check_bundle_name
        from rustybt.data.bundles.store import BundleStore

        started = time.perf_counter()
        check_bundle_name(bundle_name)
        # Importing the calendars takes as long as reading a million rows, and can be done meanwhile.
        threading.Thread(target=canonical_name, args=("XNYS",), name="rustybt-calendars", daemon=True).start()
        chosen = calendar or self._source.calendar_name()
        chosen = None if chosen is None else canonical_name(chosen)
        self._calendar_was_named = chosen is not None
        deliveries = bridge.iterate(self._source.deliver(self._request, self._progress))
        first, deliveries = _first_with_bars(deliveries)
        with nullcontext(store) if store is not None else BundleStore() as target:
            self._calendar = chosen or self._calendar_of(target, bundle_name, first)
            committed = target.commit(
                bundle_name,
                self._frames(deliveries),
                self._provenance(first),
                frequency=self._request.frequency,
                calendar=self._calendar,
                symbols=self._answered,
                start=self._request.start,
                end=self._request.end,
                assets=lambda: self._assets,
                price_basis=first.price_basis,
                actions=self._actions_of_delivered,
                quality=self._quality,
                replace=replace,
                op_id=op_id,
            )
        return self._ingest_report(committed, time.perf_counter() - started)

    def check(self) -> tuple[list[pl.DataFrame], IngestOutcome]:
        """Return the clean frames without storing them, and what was set aside; `fetch` of a local source is this."""
        deliveries = bridge.iterate(self._source.deliver(self._request, self._progress))
        first, deliveries = _first_with_bars(deliveries)
        self._calendar = self._source.calendar_name() or _default_calendar(first)
        frames = list(self._checked(deliveries))
        return frames, IngestOutcome(self._failures, dict(self._quality().quarantined), tuple(self._examples))

    # -- before ------------------------------------------------------------------------------------------------------

    def _calendar_of(self, store: BundleStore, bundle_name: str, first: Delivery) -> str:
        """Return the bundle's own calendar where the source's assets say nothing else."""
        derived = _default_calendar(first)
        if derived != _default_calendar(Delivery()):
            return derived
        known = next((info for info in store.list_bundles() if info.name == bundle_name), None)
        return known.calendar_name if known is not None else derived

    def _provenance(self, first: Delivery) -> Provenance:
        """Return the provenance; its hashes of files fill while the files are read, the store writes it at the end."""
        metadata, request = self._source.get_metadata(), self._request
        return Provenance(
            source_type=metadata.source_type,
            source_url=metadata.source_url,
            api_version=metadata.api_version,
            fetch_timestamp=int(self._now),
            data_version=metadata.data_version,
            timezone=metadata.timezone,
            feed=metadata.feed,
            adjustment=metadata.adjustment or first.price_basis,
            number_rule=first.number_rule,
            symbols=request.symbols,
            start=request.start_text,
            end=request.end_text,
            frequency=request.frequency.name,
            options=self._source.options(),
            files=self._files,
            package_version=__version__,
        )

    # -- batches -----------------------------------------------------------------------------------------------------

    def _frames(self, deliveries: Iterator[Delivery]) -> Iterator[pl.DataFrame]:
        """Yield clean frames; after the last one, raise rather than let an empty or refused version be committed."""
        yield from self._checked(deliveries)
        if not self._rows:
            raise self._nothing()
        if self._strict:
            self._refuse_if_bad()

    def _checked(self, deliveries: Iterator[Delivery]) -> Iterator[pl.DataFrame]:
        basis: str | None = None
        for delivery in deliveries:
            self._note(delivery)
            if delivery.bars.height and basis not in (None, delivery.price_basis):
                raise RequestError(
                    f"source {self._source.name} delivers {basis} and {delivery.price_basis} prices at once",
                    hint="ingest them into one bundle each",
                )
            basis = delivery.price_basis if delivery.bars.height else basis
            if delivery.bars.is_empty():
                continue
            result = check_quality(
                delivery.bars,
                frequency=self._request.frequency,
                calendar_of=self._calendar,
                asset_type_of=lambda symbol: self._assets.get(symbol, AssetAttributes()).asset_type,
                now_us=int(self._now * 1_000_000),
                missing_volume=delivery.missing_volume,
                actions=[*self._given_actions, *self._actions],
            )
            self._reports.append(result.report)
            self._note_rows(result.quarantined)
            delivered = result.bars["symbol"].unique(maintain_order=True).to_list()
            self._symbols += delivered
            self._answered += delivered
            self._rows += result.bars.height
            if not result.bars.is_empty():
                yield result.bars
        self._close()

    def _note(self, delivery: Delivery) -> None:
        self._failures.update(delivery.failures)
        self._assets.update(delivery.assets)
        self._actions += delivery.actions
        self._files.update(delivery.files)
        self._notes += [note for note in delivery.notes if note not in self._notes]
        if delivery.quarantined.height:
            counts = delivery.quarantined["reason"].value_counts()
            self._quarantined.update(dict(zip(counts["reason"], counts["count"], strict=True)))
            room = max(0, MAX_EXAMPLES - len(self._examples))
            self._examples += [QuarantinedRow(**row) for row in delivery.quarantined.head(room).iter_rows(named=True)]

    def _note_rows(self, quarantined: pl.DataFrame) -> None:
        """Keep examples of what the quality rules set aside; the report of the rules counts them."""
        room = max(0, MAX_EXAMPLES - len(self._examples))
        for row in quarantined.head(room).iter_rows(named=True):
            stamp = row["timestamp"]
            shown = "" if stamp is None else _stamp_text(stamp, intraday=self._request.frequency.is_intraday)
            values = ",".join("" if row[name] is None else format(row[name].normalize(), "f") for name in _SHOWN)
            self._examples.append(QuarantinedRow(row["symbol"] or "", shown, row["reason"], "", values))

    def _close(self) -> None:
        """Say which of the symbols asked for have no bars, and why."""
        delivered = set(self._symbols)
        where = _range_text(self._request)
        for symbol in self._request.symbols:
            if symbol not in delivered and symbol not in self._failures:
                bad = sum(1 for row in self._examples if row.symbol == symbol)
                self._skipped[symbol] = f"every row was set aside{where}" if bad else f"no bars{where}"
                self._answered.append(symbol)

    # -- after -------------------------------------------------------------------------------------------------------

    def _quality(self) -> QualityReport:
        if self._report is None:
            shown = [f"set aside: {row}" for row in self._examples[:_MAX_NOTED]]
            failed = [
                f"failed: {symbol}: {error.message}" for symbol, error in list(self._failures.items())[:_MAX_NOTED]
            ]
            merged = merge_reports(self._reports)
            notes = [*self._calendar_notes(merged), *self._notes, *failed, *shown]
            self._report = merged.with_quarantined(self._quarantined, notes)
        return self._report

    def _calendar_notes(self, report: QualityReport) -> list[str]:
        """Say what may be meant where many bars lie outside the hours of the calendar."""
        closed = sum(count for reason, count in report.quarantined.items() if OFF_SESSION in reason)
        notes = []
        if closed and not self._calendar_was_named:
            notes.append(
                f"{_counted(closed, 'row')} on days when {report.calendar} is closed: for a market that is open then, "
                "--asset-type crypto or --calendar 24/7 (or the market's own)"
            )
        if self._request.frequency.is_intraday and report.off_session_count > report.row_count // 2:
            notes.append(
                f"{report.off_session_count:,} of {report.row_count:,} bars lie outside the trading hours of {report.calendar}: "
                "--timezone if the times are local, --calendar (such as 24/7) if the market is another"
            )
        return notes

    def _actions_of_delivered(self) -> list[CorporateAction]:
        """Return the events of symbols that have bars now; an event of another symbol has nothing to explain."""
        delivered = set(self._symbols)
        return [action for action in (*self._given_actions, *self._actions) if action.symbol in delivered]

    def _refuse_if_bad(self) -> None:
        report = self._quality()
        if report.validation_passed and not self._failures:
            return
        found = [f"{count:,} rows: {reason}" for reason, count in report.quarantined.items()]
        if report.missing_days_count:
            found.append(f"{report.missing_days_count:,} sessions of {report.calendar} without a bar")
        found += [f"{symbol}: {error.message}" for symbol, error in list(self._failures.items())[:3]]
        example = f"; first: {self._examples[0]}" if self._examples else ""
        raise DataQualityError(
            f"strict ingest refused, nothing was stored: {'; '.join(found) or 'validation failed'}{example}",
            hint="without --strict the good rows are stored and the others reported",
            report=report,
            examples=tuple(self._examples),
            failures=dict(self._failures),
        )

    def _nothing(self) -> Exception:
        """Return the error for an ingest without a single good bar."""
        failures = list(self._failures.items())
        if len(failures) == 1 and not self._skipped and not self._symbols_set_aside():
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
        report = self._quality()
        if report.quarantined_count:
            reasons = ", ".join(f"{reason} ({count:,})" for reason, count in report.quarantined.items())
            hint = next((note for note in report.notes if "--" in note), None)
            return DataQualityError(
                f"every row was set aside, nothing was stored: {reasons}; first: {self._examples[0]}",
                hint=hint,
                report=report,
                examples=tuple(self._examples),
            )
        return NotCoveredError(
            f"source {self._source.name} has no bars{_range_text(self._request)}",
            hint="ask for other dates or symbols",
            missing=list(self._request.symbols),
        )

    def _symbols_set_aside(self) -> bool:
        return bool(self._examples)

    def _ingest_report(self, committed: CommitResult, seconds: float) -> IngestReport:
        quality = self._quality()
        return IngestReport(
            bundle=committed.name,
            version=committed.version,
            content_hash=committed.content_hash,
            unchanged=committed.unchanged,
            rows=self._rows,
            rows_added=committed.rows_added,
            rows_changed=committed.rows_changed,
            rows_removed=committed.rows_removed,
            rows_quarantined=quality.quarantined_count,
            symbols=tuple(sorted(set(self._symbols))),
            quality=quality,
            quarantined=dict(quality.quarantined),
            examples=tuple(self._examples),
            skipped=dict(self._skipped),
            failures=dict(self._failures),
            notes=quality.notes,
            seconds=round(seconds, 3),
        )


_SHOWN = ("open", "high", "low", "close", "volume")


class IngestOutcome:
    """What `Ingest.check` set aside."""

    def __init__(
        self, failures: dict[str, SourceError], quarantined: dict[str, int], examples: tuple[QuarantinedRow, ...]
    ) -> None:
        self.failures = failures
        self.quarantined = quarantined
        self.examples = examples


def _first_with_bars(deliveries: Iterator[Delivery]) -> tuple[Delivery, Iterator[Delivery]]:
    """Return the first delivery that tells how its prices are made, and all deliveries, that one included."""
    seen: list[Delivery] = []
    for delivery in deliveries:
        seen.append(delivery)
        if delivery.bars.height:
            break
    return (seen[-1] if seen else Delivery()), chain(seen, deliveries)


def _default_calendar(delivery: Delivery) -> str:
    """Return the calendar of the delivered assets; a bundle has one."""
    names = {calendar_for(item.venue, item.asset_type) for item in delivery.assets.values()}
    if len(names) > 1:
        raise RequestError(
            f"the symbols trade on different calendars: {', '.join(sorted(names))}",
            hint="ingest them into one bundle each, or choose one with --calendar",
        )
    return names.pop() if names else calendar_for(None, "equity")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _stamp_text(stamp: Any, *, intraday: bool) -> str:
    return str(stamp.isoformat() if intraday else stamp.date().isoformat())


def _range_text(request: BarRequest) -> str:
    if request.start is None and request.end is None:
        return ""
    return f" from {request.start_text or 'the beginning'} to {request.end_text or 'the end'}"
