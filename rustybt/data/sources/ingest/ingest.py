"""From a source into a bundle: the one path, for every source.

Deliveries stream through the quality rules into the store; what is set aside is counted by reason. The store commits when the
last batch was taken, and an error anywhere leaves no version. What a vendor delivers is kept in a journal on the way, see
`rustybt.data.sources.ingest.job`.
"""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from itertools import chain
from typing import TYPE_CHECKING

from rustybt.__about__ import __version__
from rustybt.data.sources import bridge
from rustybt.data.sources.delivery import Delivery
from rustybt.data.sources.ingest.findings import Findings
from rustybt.data.sources.ingest.report import IngestReport, QuarantinedRow
from rustybt.errors import RequestError
from rustybt.market.assets import AssetAttributes
from rustybt.market.calendars import calendar_for, canonical_name
from rustybt.market.provenance import Provenance
from rustybt.market.quality import check_quality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import polars as pl

    from rustybt.data.bundles.records import Alias, CommitResult
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.sources.base import DataSource, Progress
    from rustybt.errors import SourceError
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.request import BarRequest


class Ingest:
    """One ingest of one source; use `DataSource.ingest_to_bundle`.

    Parameters
    ----------
    starts
        Where single symbols begin instead of ``request.start``, microseconds UTC; for sources that are vendors.
    is_update
        A symbol that the vendor does not know, or no more, is no failure, and nothing new is no error.
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
        starts: Mapping[str, int] | None = None,
        is_update: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._request = request
        self._strict = strict
        self._progress = progress
        self._starts = starts
        self._is_update = is_update
        self._now = clock()
        self._given_actions = actions
        self._found = Findings(source.name, request)
        self._calendar = "XNYS"

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
        with nullcontext(store) if store is not None else BundleStore() as target:
            if self._source.answers(self._request) is not None:
                from rustybt.data.sources.ingest.vendor_ingest import VendorIngest

                vendor = VendorIngest(
                    self._source,
                    self._request,
                    target,
                    bundle_name,
                    strict=self._strict,
                    progress=self._progress,
                    actions=self._given_actions,
                    starts=self._starts,
                    is_update=self._is_update,
                    now=self._now,
                )
                return vendor.run(calendar=chosen, replace=replace, op_id=op_id, started=started)
            deliveries = bridge.iterate(self._source.deliver(self._request, self._progress))
            first, deliveries = first_with_bars(deliveries)
            self._found.calendar_was_named = chosen is not None
            self._calendar = chosen or calendar_of(target, bundle_name, first)
            committed = target.commit(
                bundle_name,
                self._frames(deliveries),
                provenance_of(self._source, self._request, first, self._now, files=self._found.files),
                frequency=self._request.frequency,
                calendar=self._calendar,
                symbols=self._found.answered,
                start=self._request.start,
                end=self._request.end,
                assets=lambda: self._found.assets,
                price_basis=first.price_basis,
                actions=self._actions_of_delivered,
                aliases=self._names_of_delivered,
                quality=self._found.quality,
                replace=replace,
                op_id=op_id,
            )
        return report_of(self._found, committed, time.perf_counter() - started)

    def check(self) -> tuple[list[pl.DataFrame], IngestOutcome]:
        """Return the clean frames without storing them, and what was set aside; `fetch` of a local source is this."""
        deliveries = bridge.iterate(self._source.deliver(self._request, self._progress))
        first, deliveries = first_with_bars(deliveries)
        self._calendar = self._source.calendar_name() or default_calendar(first)
        frames = list(self._checked(deliveries))
        found = self._found
        return frames, IngestOutcome(found.failures, dict(found.quality().quarantined), tuple(found.examples))

    # -- batches -----------------------------------------------------------------------------------------------------

    def _frames(self, deliveries: Iterator[Delivery]) -> Iterator[pl.DataFrame]:
        """Yield clean frames; after the last one, raise rather than let an empty or refused version be committed."""
        yield from self._checked(deliveries)
        if not self._found.rows:
            raise self._found.nothing()
        if self._strict:
            self._found.refuse_if_bad()

    def _checked(self, deliveries: Iterator[Delivery]) -> Iterator[pl.DataFrame]:
        return checked_frames(
            deliveries, self._found, calendar=self._calendar, now=self._now, given_actions=self._given_actions
        )

    def _actions_of_delivered(self) -> list[CorporateAction]:
        """Return the events of symbols that have bars now; an event of another symbol has nothing to explain."""
        return actions_of(self._found, self._given_actions)

    def _names_of_delivered(self) -> list[Alias]:
        delivered = set(self._found.symbols)
        return [name for name in self._found.former_names if name.symbol in delivered]


class IngestOutcome:
    """What `Ingest.check` set aside."""

    def __init__(
        self, failures: dict[str, SourceError], quarantined: dict[str, int], examples: tuple[QuarantinedRow, ...]
    ) -> None:
        self.failures = failures
        self.quarantined = quarantined
        self.examples = examples


# -- the steps that every ingest has ---------------------------------------------------------------------------------


def checked_frames(
    deliveries: Iterator[Delivery],
    found: Findings,
    *,
    calendar: str,
    now: float,
    given_actions: tuple[CorporateAction, ...] = (),
) -> Iterator[pl.DataFrame]:
    """Yield the clean bars of each delivery, noting all else in `found`.

    Raises
    ------
    RequestError
        Two deliveries make their prices differently.
    """
    basis: str | None = None
    for delivery in deliveries:
        found.note(delivery)
        if delivery.bars.height and basis not in (None, delivery.price_basis):
            raise RequestError(
                f"the source delivers {basis} and {delivery.price_basis} prices at once",
                hint="ingest them into one bundle each",
            )
        basis = delivery.price_basis if delivery.bars.height else basis
        if delivery.bars.is_empty():
            continue
        result = check_quality(
            delivery.bars,
            frequency=found.request.frequency,
            calendar_of=calendar,
            asset_type_of=lambda symbol: found.assets.get(symbol, AssetAttributes()).asset_type,
            now_us=int(now * 1_000_000),
            missing_volume=delivery.missing_volume,
            actions=[*given_actions, *found.actions],
        )
        found.add(result)
        if not result.bars.is_empty():
            yield result.bars
    found.close()


def first_with_bars(deliveries: Iterator[Delivery]) -> tuple[Delivery, Iterator[Delivery]]:
    """Return the first delivery that tells how its prices are made, and all deliveries, that one included."""
    seen: list[Delivery] = []
    for delivery in deliveries:
        seen.append(delivery)
        if delivery.bars.height:
            break
    return (seen[-1] if seen else Delivery()), chain(seen, deliveries)


def calendar_of(store: BundleStore, bundle_name: str, first: Delivery) -> str:
    """Return the bundle's own calendar where the source's assets say nothing else."""
    derived = default_calendar(first)
    if derived != default_calendar(Delivery()):
        return derived
    known = next((info for info in store.list_bundles() if info.name == bundle_name), None)
    return known.calendar_name if known is not None else derived


def provenance_of(source: DataSource, request: BarRequest, first: Delivery, now: float, **more: object) -> Provenance:
    """Return the provenance; hashes and revisions in it may fill while frames stream, the store writes it at the end."""
    metadata = source.get_metadata()
    return Provenance(
        source_type=metadata.source_type,
        source_url=metadata.source_url,
        api_version=metadata.api_version,
        fetch_timestamp=int(now),
        data_version=metadata.data_version,
        timezone=metadata.timezone,
        feed=metadata.feed,
        adjustment=metadata.adjustment or first.price_basis,
        number_rule=first.number_rule,
        symbols=request.symbols,
        start=request.start_text,
        end=request.end_text,
        frequency=request.frequency.name,
        options=source.options(),
        package_version=__version__,
        resampled_from=first.resampled_from,
        **more,  # type: ignore[arg-type]
    )


def actions_of(found: Findings, given: tuple[CorporateAction, ...]) -> list[CorporateAction]:
    """Return the events of symbols that have bars now; an event of another symbol has nothing to explain."""
    delivered = set(found.symbols)
    return [action for action in (*given, *found.actions) if action.symbol in delivered]


def report_of(found: Findings, committed: CommitResult, seconds: float, **more: object) -> IngestReport:
    """Return the report of a commit."""
    quality = found.quality()
    return IngestReport(
        bundle=committed.name,
        version=committed.version,
        content_hash=committed.content_hash,
        unchanged=committed.unchanged,
        rows=found.rows,
        rows_added=committed.rows_added,
        rows_changed=committed.rows_changed,
        rows_removed=committed.rows_removed,
        rows_quarantined=quality.quarantined_count,
        symbols=tuple(sorted(set(found.symbols))),
        quality=quality,
        quarantined=dict(quality.quarantined),
        examples=tuple(found.examples),
        skipped=dict(found.skipped),
        failures=dict(found.failures),
        seconds=round(seconds, 3),
        **{"notes": quality.notes, **more},  # type: ignore[arg-type]
    )


def default_calendar(delivery: Delivery) -> str:
    """Return the calendar of the delivered assets; a bundle has one."""
    found: dict[str, list[str]] = {}
    for symbol, item in sorted(delivery.assets.items()):
        found.setdefault(calendar_for(item.venue, item.asset_type), []).append(symbol)
    if len(found) > 1:
        told = "; ".join(
            f"{name}: {', '.join(symbols[:5])}{f' and {len(symbols) - 5:,} more' if len(symbols) > 5 else ''}"
            for name, symbols in sorted(found.items())
        )
        raise RequestError(
            f"a bundle has one calendar, and the symbols trade on {len(found)}: {told}",
            hint="ingest those of each calendar into a bundle of its own",
            calendars={name: list(symbols) for name, symbols in found.items()},
        )
    return next(iter(found)) if found else calendar_for(None, "equity")
