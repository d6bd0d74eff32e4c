"""The version that a commit asks for, made but not yet visible: files staged, its manifest drafted."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rustybt.data.bundles import manifest as manifests
from rustybt.data.bundles.content_hash import content_hash
from rustybt.data.bundles.coverage import PRESENT
from rustybt.data.bundles.manifest import Manifest
from rustybt.data.bundles.merge import Scope
from rustybt.data.bundles.records import (
    Alias,
    AssetRecord,
    CoverageRecord,
    Description,
    FileRecord,
    VersionInfo,
)
from rustybt.data.bundles.replacement import Replacement
from rustybt.errors import RequestError
from rustybt.market.action_history import reconcile
from rustybt.market.assets import AssetAttributes
from rustybt.market.bars import check_bars, empty_bars, spans_of
from rustybt.market.request import DAY_MICROSECONDS, check_symbol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import polars as pl

    from rustybt.data.bundles.revision import Revision
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.frequency import Frequency
    from rustybt.market.provenance import Provenance
    from rustybt.market.quality_report import QualityReport

DEFAULT_CALENDAR = "XNYS"


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """What `BundleStore.commit` was asked; see there."""

    name: str
    frames: Iterable[pl.DataFrame]
    provenance: Provenance
    frequency: Frequency
    calendar: str | None
    symbols: Sequence[str] | None
    start: int | None
    end: int | None
    assets: Mapping[str, AssetAttributes] | Callable[[], Mapping[str, AssetAttributes]]
    price_basis: str
    actions: Sequence[CorporateAction] | Callable[[], Sequence[CorporateAction]]
    aliases: Sequence[Alias] | Callable[[], Sequence[Alias]]
    quality: QualityReport | Callable[[], QualityReport | None] | None
    replace: bool
    whole: frozenset[str]
    op_id: str


@dataclass(frozen=True, slots=True)
class Head:
    """The version that a commit builds on; version 0 is a bundle that is yet to come."""

    name: str
    info: VersionInfo | None = None
    calendar_name: str = DEFAULT_CALENDAR
    files: tuple[FileRecord, ...] = ()
    description: Description = field(default_factory=Description)

    @property
    def version(self) -> int:
        """Number of the version; 0 for none."""
        return self.info.version if self.info else 0


@dataclass(slots=True)
class _Delivered:
    """What the frames of one commit held."""

    spans: dict[str, tuple[int, int]] = field(default_factory=dict)

    def note(self, spans: Iterable[tuple[str, int, int]]) -> None:
        for symbol, first, last in spans:
            known = self.spans.get(symbol, (first, last))
            self.spans[symbol] = (min(known[0], first), max(known[1], last))


class Draft:
    """Makes one version of a bundle without showing it to anybody.

    Parameters
    ----------
    request
        What the version is to hold.
    now
        Unix seconds (UTC).
    sids
        Gives (bundle, attributes by symbol) their sids.
    versions
        Lists the versions of a bundle.
    """

    def __init__(
        self,
        request: CommitRequest,
        now: int,
        sids: Callable[[str, Mapping[str, AssetAttributes]], Mapping[str, int]],
        versions: Callable[[str], Sequence[VersionInfo]],
    ) -> None:
        self._request = request
        self._now = now
        self._sids = sids
        self._versions = versions

    def prepare(self, head: Head, revision: Revision) -> Manifest:
        """Stage all files and return the manifest of the version to be."""
        request = self._request
        delivered = _Delivered()
        replacement = Replacement(request.start, request.end) if request.replace else None
        anew = Replacement(None, None) if request.whole else None
        is_only = isinstance(request.frames, list) and len(request.frames) == 1
        for frame in request.frames:
            spans = spans_of(check_bars(frame))
            delivered.note(spans)
            symbols = [symbol for symbol, _, _ in spans]
            for symbol in symbols:
                if symbol not in head.description.assets:
                    check_symbol(symbol)
            self._check_basis(head, symbols)
            revision.upsert(frame, self._scope(spans, replacement, anew, is_only=is_only))
        for removal, symbols_of in (
            (replacement, delivered.spans.keys() | set(request.symbols or ())),
            (anew, delivered.spans.keys() & request.whole),
        ):
            if removal:
                revision.upsert(empty_bars(), removal.rest(symbols_of, revision.last_bars()))
        blocks = revision.finish()
        description, added = self._describe(head, delivered)
        self._check_feed(head, delivered)
        if head.info is None and blocks.is_empty():
            raise RequestError(
                f"there are no bars to store in bundle {head.name}",
                hint="check symbols and dates; rustybt ingest ... --plan shows what would be read",
                bundle=head.name,
            )
        quality = request.quality() if callable(request.quality) else request.quality
        version = head.version + 1
        info = VersionInfo(
            bundle_name=head.name,
            version=version,
            op_id=request.op_id,
            parent_op_id=head.info.op_id if head.info else None,
            content_hash=content_hash(blocks, description.hashed()),
            manifest_key=manifests.key_of(head.name, version, request.op_id),
            created_at=self._now,
            row_count=int(blocks["rows"].sum()),
            size_bytes=sum(record.size_bytes for record in revision.files),
            summary=_summary(revision, added),
            provenance=request.provenance,
            quality=quality,
            calendar_name=head.calendar_name,
        )
        return Manifest(
            info=info,
            parent_hash=head.info.content_hash if head.info else None,
            files_added=tuple(revision.added),
            files_removed=tuple(revision.removed),
            assets=tuple(added.assets.values()),
            actions=added.actions,
            aliases=added.aliases,
            coverage=tuple(self._coverage(delivered)),
        )

    def _scope(
        self,
        spans: Sequence[tuple[str, int, int]],
        replacement: Replacement | None,
        anew: Replacement | None,
        *,
        is_only: bool,
    ) -> Scope | None:
        """Return where a frame removes old rows: the range asked for, and all of the series that are delivered anew."""
        parts = [] if replacement is None else [replacement.scope_of(spans, is_only=is_only)]
        if anew is not None:
            parts.append(anew.scope_of([s for s in spans if s[0] in self._request.whole], is_only=is_only))
        return Scope({symbol: span for part in parts for symbol, span in part.spans.items()}) if parts else None

    def _check_basis(self, head: Head, symbols: Iterable[str]) -> None:
        request = self._request
        if request.replace and request.start is None and request.end is None:
            return
        for symbol in symbols:
            if symbol in request.whole:
                continue  # nothing of the series stays
            known = head.description.assets.get(symbol)
            basis = known.price_basis.get(request.frequency.name) if known else None
            if basis not in (None, request.price_basis):
                raise RequestError(
                    f"{symbol} in bundle {head.name} is {basis}; {request.price_basis} prices cannot be mixed in",
                    hint="ingest into another bundle, or the whole series with --replace and without dates",
                    symbol=symbol,
                    bundle=head.name,
                )

    def _check_feed(self, head: Head, delivered: _Delivered) -> None:
        """Refuse bars of another feed of the same vendor: one exchange's volume continued by that of all is no series."""
        request = self._request
        given = request.provenance
        if head.info is None or not given.feed or (request.replace and request.start is None and request.end is None):
            return
        left = delivered.spans.keys() - request.whole
        for info in sorted(self._versions(head.name), key=lambda info: -info.version):
            before = info.provenance
            if before.frequency != request.frequency.name:
                continue
            named = left & set(before.symbols)
            left -= named
            if named and before.source_type == given.source_type and before.feed not in ("", given.feed):
                symbol = min(named)
                raise RequestError(
                    f"{symbol} in bundle {head.name} comes from the feed {before.feed} of {before.source_type}; bars of the feed "
                    f"{given.feed} are others and cannot be mixed in",
                    hint="ingest into another bundle",
                    symbol=symbol,
                    bundle=head.name,
                )

    def _describe(self, head: Head, delivered: _Delivered) -> tuple[Description, Description]:
        """Return the new version's whole description, and what of it is new."""
        request = self._request
        given = request.assets() if callable(request.assets) else request.assets
        known = dict(head.description.assets)
        attributes = {
            symbol: self._attributes(head, symbol, given.get(symbol))
            for symbol in sorted(delivered.spans.keys() | (given.keys() & known.keys()))
        }
        fresh = {symbol: value for symbol, value in attributes.items() if symbol not in known}
        sids = self._sids(head.name, fresh)
        changed: dict[str, AssetRecord] = {}
        for symbol, value in attributes.items():
            before = known.get(symbol)
            basis = dict(before.price_basis) if before else {}
            if symbol in delivered.spans:
                basis[request.frequency.name] = request.price_basis
            after = AssetRecord(symbol, before.sid if before else sids[symbol], value, basis)
            if after != before:
                changed[symbol] = known[symbol] = after
        actions = self._new_actions(head, known)
        named = request.aliases() if callable(request.aliases) else request.aliases
        aliases = tuple(alias for alias in dict.fromkeys(named) if alias not in head.description.aliases)
        _require_known(known, [alias.symbol for alias in aliases], head.name, "alias")
        whole = Description(
            dict(sorted(known.items())), (*head.description.actions, *actions), (*head.description.aliases, *aliases)
        )
        return whole, Description(changed, actions, aliases)

    def _attributes(self, head: Head, symbol: str, given: AssetAttributes | None) -> AssetAttributes:
        before = head.description.assets.get(symbol)
        if before is None:
            return given or AssetAttributes()
        if given is None:
            return before.attributes
        if given.venue and before.attributes.venue and given.venue != before.attributes.venue:
            raise RequestError(
                f"{symbol} in bundle {head.name} is listed on {before.attributes.venue}; bars of {given.venue} are another asset",
                hint="ingest them into another bundle",
                symbol=symbol,
                bundle=head.name,
            )
        return replace(given, venue=given.venue or before.attributes.venue)

    def _new_actions(self, head: Head, known: Mapping[str, AssetRecord]) -> tuple[CorporateAction, ...]:
        given = self._request.actions
        told = [
            action if action.first_seen else replace(action, first_seen=self._now)
            for action in (given() if callable(given) else given)
        ]
        _require_known(known, [action.symbol for action in told], head.name, "corporate action")
        return tuple(reconcile(head.description.actions, told))

    def _coverage(self, delivered: _Delivered) -> list[CoverageRecord]:
        request = self._request
        records = []
        # A bar covers its whole time, so that the next one joins it; a week or month counts as its first day.
        bar = min(request.frequency.microseconds, DAY_MICROSECONDS)
        for symbol in sorted(delivered.spans):
            first, last = delivered.spans[symbol]
            start = first if request.start is None else min(request.start, first)
            end = max(last + bar - 1, last if request.end is None else request.end)
            fetched_at = request.provenance.fetch_timestamp or self._now
            records.append(CoverageRecord(request.frequency.name, symbol, start, end, PRESENT, fetched_at))
        return records


def _require_known(known: Mapping[str, AssetRecord], symbols: Sequence[str], name: str, what: str) -> None:
    for symbol in symbols:
        if symbol not in known:
            similar = difflib.get_close_matches(symbol, list(known), n=3, cutoff=0.5)
            raise RequestError(
                f"{what} of {symbol!r}: bundle {name} has no such symbol"
                + (f"; did you mean {', '.join(similar)}?" if similar else ""),
                hint="ingest its bars first, or with the same command",
                symbol=symbol,
                bundle=name,
            )


def _summary(revision: Revision, added: Description) -> str:
    parts = [
        f"{count:,} {what}"
        for count, what in (
            (revision.rows_added, "added"),
            (revision.rows_changed, "changed"),
            (revision.rows_removed, "removed"),
            (len(added.actions), "actions"),
        )
        if count
    ]
    return ", ".join(parts) or "attributes"
