"""From a vendor into a bundle: fetch into a journal, make stale series anew, then commit one version of all that came."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from rustybt.data.bundles.records import Alias, CommitResult
from rustybt.data.sources.delivery import Delivery
from rustybt.data.sources.ingest.findings import Findings
from rustybt.data.sources.ingest.ingest import (
    checked_frames,
    default_calendar,
    first_with_bars,
    provenance_of,
    report_of,
)
from rustybt.data.sources.ingest.job import IngestJob
from rustybt.data.sources.ingest.rebase import Rebase, describe_event
from rustybt.data.sources.ingest.stored_series import StoredSeries, stored_series
from rustybt.errors import SymbolNotFoundError
from rustybt.market.action_history import is_same_event
from rustybt.market.bars import empty_bars, join_frames
from rustybt.market.request import to_microseconds
from rustybt.market.revisions import ADJUSTED_BASES, SPLIT_KINDS, BarRevision, classify_revisions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import polars as pl

    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.sources.base import DataSource, Progress
    from rustybt.data.sources.ingest.report import IngestReport
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.request import BarRequest


class VendorIngest:
    """One ingest of a source that is a vendor; use `DataSource.ingest_to_bundle`.

    Parameters
    ----------
    now
        Unix seconds.
    """

    def __init__(
        self,
        source: DataSource,
        asked: BarRequest,
        store: BundleStore,
        bundle_name: str,
        *,
        now: float,
        strict: bool = False,
        progress: Progress | None = None,
        actions: tuple[CorporateAction, ...] = (),
        starts: Mapping[str, int] | None = None,
        is_update: bool = False,
    ) -> None:
        self._source = source
        self._asked = asked
        self._store = store
        self._name = bundle_name
        self._now = now
        self._strict = strict
        self._progress = progress
        self._given_actions = actions
        self._starts = starts
        self._is_update = is_update
        self._calendar = "XNYS"
        self._stored = StoredSeries(None)
        self._replaces = False
        self._notes: list[str] = []
        self._told: dict[CorporateAction, None] = {}
        #: What ends an event -> the event.
        self._ended: dict[CorporateAction, CorporateAction] = {}

    def run(self, *, calendar: str | None, replace: bool, op_id: str | None, started: float) -> IngestReport:
        """Fetch and commit; see `DataSource.ingest_to_bundle`.

        Parameters
        ----------
        calendar
            The one that was chosen, None to find it.
        started
            When the ingest began, as `time.perf_counter` tells it.
        """
        self._replaces = replace
        with ExitStack() as stack:
            self._source.require_newer(self._moved_since())
            job = stack.enter_context(self._job(self._asked, self._starts))
            if job.journal.symbols:
                with stored_series(self._store, self._name) as before:
                    job.forget(_overtaken(job, before))
            job.fetch()
            self._stored = stack.enter_context(stored_series(self._store, self._name))
            found = self._findings(job, named=calendar is not None)
            first, _ = first_with_bars(job.deliveries())
            if self._is_update and first.bars.is_empty() and not job.failures:
                return self._nothing_new(job, found, started)
            self._calendar = calendar or self._calendar_of(first)
            rebase = Rebase(
                job,
                self._stored,
                lambda asked, starts: self._other_job(stack, asked, starts),
                int(self._now * 1_000_000),
            )
            rebase.run()
            job.complete |= self._on_another_basis(job, first)
            if self._strict and rebase.others:
                self._refuse_if_bad(job)
            for other in rebase.others:
                self._commit_other(other)
            found.failures.update({s: e for s, e in job.failures.items() if s not in found.skipped})
            revisions: list[BarRevision] = []
            committed = self._commit(job, found, revisions, op_id=op_id)
            for done in (*rebase.others, job):
                done.finish()
                names = sorted(done.journal.symbols - done.failures.keys())
                self._source.was_ingested(self._store, committed.reference, names, done.request.frequency)
        notes = (*job.notes(), *self._rebase_notes(rebase, found), *self._notes, *found.quality().notes)
        return report_of(
            found,
            committed,
            time.perf_counter() - started,
            notes=notes,
            revisions=tuple(revisions),
            resumed=job.resumed_count,
            cache=self._source.take_use(),
        )

    # -- before ------------------------------------------------------------------------------------------------------

    def _moved_since(self) -> dict[str, float]:
        """Return since when the adjusted prices of stored symbols are as they are: what was fetched earlier does not go with them."""
        found: dict[str, float] = {}
        with stored_series(self._store, self._name) as before:
            for symbol in self._asked.symbols:
                bases = {before.basis(symbol, name) for name in before.frequencies} & set(ADJUSTED_BASES)
                kinds = SPLIT_KINDS if bases == {"split_adjusted"} else (*SPLIT_KINDS, "cash_dividend")
                for event in before.events_of(symbol) if bases else ():
                    if event.kind in kinds and to_microseconds(event.ex_date) <= self._now * 1e6:
                        found[symbol] = max(found.get(symbol, 0.0), float(event.first_seen))
        return found

    def _job(self, asked: BarRequest, starts: Mapping[str, int] | None) -> IngestJob:
        return IngestJob(
            self._source, asked, self._name, self._store.home, now=self._now, starts=starts, progress=self._progress
        )

    def _other_job(self, stack: ExitStack, asked: BarRequest, starts: Mapping[str, int]) -> IngestJob:
        job = stack.enter_context(self._job(asked, starts))
        job.forget(_overtaken(job, self._stored))
        return job

    def _on_another_basis(self, job: IngestJob, first: Delivery) -> set[str]:
        """Return the symbols that ``--replace`` without dates takes from one price basis to another."""
        if not self._replaces or self._asked.start is not None or self._asked.end is not None:
            return set()
        frequency = job.request.frequency.name
        return {s for s in job.journal.symbols if self._stored.basis(s, frequency) not in (None, first.price_basis)}

    def _calendar_of(self, first: Delivery) -> str:
        """Return the bundle's own calendar where the assets say nothing else."""
        derived = default_calendar(first)
        return derived if derived != default_calendar(Delivery()) else self._stored.calendar_name or derived

    def _findings(self, job: IngestJob, *, named: bool) -> Findings:
        """Return what is known before the frames; in an update, a symbol that the vendor does not know is only skipped."""
        found = Findings(self._source.name, job.request)
        found.calendar_was_named = named
        if self._is_update:
            stored = self._stored.spans(job.request.frequency.name)
            for symbol, error in list(job.failures.items()):
                if isinstance(error, SymbolNotFoundError):
                    why = "no new bars, perhaps delisted" if symbol in stored else "never delivered, unknown still"
                    found.skipped[symbol] = f"{why}: {error.message}"
                    del job.failures[symbol]
        return found

    def _refuse_if_bad(self, job: IngestJob) -> None:
        """Let a strict ingest fail before anything of it is committed."""
        trial = Findings(self._source.name, job.request)
        trial.failures.update(job.failures)
        for _ in checked_frames(job.deliveries(), trial, calendar=self._calendar, now=self._now):
            pass
        trial.refuse_if_bad()

    # -- committing --------------------------------------------------------------------------------------------------

    def _commit(
        self, job: IngestJob, found: Findings, revisions: list[BarRevision], *, op_id: str | None
    ) -> CommitResult:
        request = job.request
        first, deliveries = first_with_bars(job.deliveries())
        return self._store.commit(
            self._name,
            self._frames(job, self._noted(job, deliveries), found, revisions),
            provenance_of(self._source, request, first, job.began, revisions=revisions),
            frequency=request.frequency,
            calendar=self._calendar,
            symbols=found.answered,
            # Where symbols begin at dates of their own, their bars say what is covered.
            start=None if self._starts else request.start,
            end=self._closed_end(request),
            assets=lambda: found.assets,
            price_basis=first.price_basis,
            actions=lambda: self._actions(found),
            aliases=lambda: self._aliases(found),
            quality=found.quality,
            replace=self._replaces,
            whole=job.whole,
            op_id=op_id,
        )

    def _commit_other(self, job: IngestJob) -> None:
        """Commit a series of another frequency on its new basis, with what it is due to.

        Should the main one not follow, its bars are older than the event is known, and the next ingest makes them anew.
        """
        if not job.journal.symbols - job.failures.keys():
            return
        found = Findings(self._source.name, job.request)
        revisions: list[BarRevision] = []
        first, deliveries = first_with_bars(job.deliveries())
        committed = self._store.commit(
            self._name,
            self._frames(job, self._noted(job, deliveries), found, revisions),
            provenance_of(self._source, job.request, first, job.began, revisions=revisions),
            frequency=job.request.frequency,
            symbols=found.answered,
            assets=lambda: found.assets,
            price_basis=first.price_basis,
            actions=lambda: self._actions(found),
            quality=found.quality,
            whole=job.journal.symbols,
        )
        names = ", ".join(sorted(set(found.symbols)))
        self._notes.append(f"the {job.request.frequency} bars of {names} were fetched anew too: {committed.reference}")

    def _closed_end(self, request: BarRequest) -> int | None:
        """Return the end that was answered for certain; the newest bar of an open end is still to come."""
        is_past = self._asked.end is not None and self._asked.end <= self._now * 1_000_000
        return request.end if is_past else None

    def _noted(self, job: IngestJob, deliveries: Iterable[Delivery]) -> Iterator[Delivery]:
        """Pass deliveries on, noting what they say of corporate actions."""
        stamp = int(job.began)
        for actions in job.missed.values():
            self._told.update((replace(a, first_seen=a.first_seen or stamp), None) for a in actions)
        for delivery in deliveries:
            self._told.update((replace(a, first_seen=a.first_seen or stamp), None) for a in delivery.actions)
            for symbol in delivery.bars["symbol"].unique().to_list():
                known = self._stored.events_of(symbol)
                for event in job.taken_back(known, symbol, delivery) if known else ():
                    self._ended[event] = next(old for old in known if old.event_id == event.supersedes)
            yield delivery

    def _actions(self, found: Findings) -> list[CorporateAction]:
        """Return the events of symbols that have bars now, and what ends those that the vendor has taken back.

        Series of other frequencies were noted as well: they may begin earlier, and name earlier dividends on the new basis.
        """
        delivered = set(found.symbols)
        days = {(event.symbol, event.kind, event.ex_date) for event in self._told}
        events = [*self._given_actions, *self._told]
        for event, old in self._ended.items():
            if event.symbol in delivered and (old.symbol, old.kind, old.ex_date) not in days:
                events.append(event)
                what = f"{describe_event(old)} on {old.ex_date}"
                note = f"{old.symbol}: {self._source.name} has taken back {what}, it does not hold any more"
                self._notes += [note] if note not in self._notes else []
        return [event for event in events if event.symbol in delivered]

    def _aliases(self, found: Findings) -> list[Alias]:
        delivered = set(found.symbols)
        return [
            Alias(symbol, ticker, source=self._source.name)
            for symbol, ticker in sorted(found.aliases.items())
            if symbol in delivered
        ]

    def _frames(
        self, job: IngestJob, deliveries: Iterator[Delivery], found: Findings, revisions: list[BarRevision]
    ) -> Iterator[pl.DataFrame]:
        """Yield clean frames, noting what they change; raise at the end rather than commit nothing or too little."""
        for bars in checked_frames(
            deliveries, found, calendar=self._calendar, now=self._now, given_actions=self._given_actions
        ):
            revisions += self._compare(job, bars, found)
            yield bars
        if self._replaces:
            revisions += self._deleted(job.request, sorted(set(found.skipped)))
        if not found.rows:
            raise found.nothing()
        if self._strict:
            found.refuse_if_bad()

    # -- revisions ---------------------------------------------------------------------------------------------------

    def _compare(self, job: IngestJob, bars: pl.DataFrame, found: Findings) -> list[BarRevision]:
        """Return what a frame says otherwise than the stored bars."""
        request = job.request
        frequency = request.frequency.name
        stored = self._stored.spans(frequency)
        symbols = [symbol for symbol in bars["symbol"].unique().to_list() if symbol in stored]
        if not symbols:
            return []
        whole = {symbol for symbol in symbols if symbol in job.whole or job.request.frequency != self._asked.frequency}
        part = [symbol for symbol in symbols if symbol not in whole]
        first, last = self._range_of(bars, request)
        old = join_frames(
            [self._stored.bars(part, frequency, first, last), self._stored.bars(sorted(whole), frequency, None, None)]
        )
        scope = whole | set(part if self._replaces else ())
        gone = old.filter(old["symbol"].is_in(sorted(scope))) if scope else empty_bars()
        if part and self._replaces:
            gone = gone.filter(gone["symbol"].is_in(sorted(whole)) | request.in_range())
        events = [
            action
            for action in found.actions
            if not any(is_same_event(action, event) for event in self._stored.events_of(action.symbol))
        ]
        return classify_revisions(
            old,
            bars,
            price_basis=self._stored.basis(symbols[0], frequency) or "raw",
            new_events=events,
            deleted=gone.join(bars, on=["symbol", "timestamp"], how="anti"),
        )

    def _range_of(self, bars: pl.DataFrame, request: BarRequest) -> tuple[int | None, int | None]:
        stamps = bars["timestamp"].to_physical()
        first, last = int(stamps.min()), int(stamps.max())  # type: ignore[arg-type]
        if not self._replaces:
            return first, last
        return (
            None if request.start is None else min(first, request.start),
            None if request.end is None else max(last, request.end),
        )

    def _deleted(self, request: BarRequest, symbols: list[str]) -> list[BarRevision]:
        """Return what ``--replace`` removes of symbols without any bar now."""
        gone = self._stored.bars(symbols, request.frequency.name, request.start, request.end)
        return classify_revisions(gone, empty_bars(), deleted=gone)

    # -- after -------------------------------------------------------------------------------------------------------

    def _rebase_notes(self, rebase: Rebase, found: Findings) -> list[str]:
        delivered = set(found.symbols)
        return [
            f"{symbol}: {why} changed its earlier prices, its whole series was fetched anew"
            for symbol, why in rebase.reasons.items()
            if symbol in delivered
        ]

    def _nothing_new(self, job: IngestJob, found: Findings, started: float) -> IngestReport:
        """Return the report of an update for which the vendor had no bar at all."""
        for delivery in job.deliveries():
            found.note(delivery)
        found.close()
        job.finish()
        with self._store.open(self._name) as bundle:
            info = bundle.info
        committed = CommitResult(
            name=info.bundle_name,
            version=info.version,
            content_hash=info.content_hash,
            unchanged=True,
            rows_added=0,
            rows_changed=0,
            rows_removed=0,
            rows_unchanged=0,
            row_count=info.row_count,
            files_written=0,
            bytes_written=0,
        )
        return report_of(
            found,
            committed,
            time.perf_counter() - started,
            notes=(*job.notes(), *found.quality().notes),
            resumed=job.resumed_count,
            cache=self._source.take_use(),
        )


def _overtaken(job: IngestJob, stored: StoredSeries) -> list[str]:
    """Return finished symbols of an interrupted job whose series got newer bars from another one since."""
    frequency = job.request.frequency.name
    found = []
    for symbol in job.journal.symbols:
        at = stored.fetched_at(symbol, frequency)
        if at is not None and at > int(job.began):
            found.append(symbol)
    return found
