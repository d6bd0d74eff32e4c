"""The bars of one old bundle, checked and staged as a version that nobody sees yet."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rustybt.__about__ import __version__
from rustybt.data.bundles.commit import load_head
from rustybt.data.bundles.draft import CommitRequest
from rustybt.data.bundles.staging import stage_version
from rustybt.data.migration.bars import PRICE_BASIS, deliveries
from rustybt.data.migration.merged import when
from rustybt.data.sources.ingest.findings import Findings
from rustybt.data.sources.ingest.ingest import checked_frames
from rustybt.market.assets import ASSET_TYPES, AssetAttributes
from rustybt.market.provenance import MIGRATED, Provenance
from rustybt.market.request import BarRequest
from rustybt.market.venues import mic_of_exchange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import polars as pl

    from rustybt.data.bundles.manifest import Manifest
    from rustybt.data.bundles.records import AssetRecord
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.migration.merged import Symbol
    from rustybt.data.migration.plan import PlannedBundle
    from rustybt.data.sources.base import Progress
    from rustybt.market.frequency import Frequency

#: Spellings of asset types in old catalogs.
_TYPES = {"equities": "equity", "stock": "equity", "stocks": "equity", "cryptocurrency": "crypto", "fx": "forex"}


@dataclass(slots=True)
class StagedBars:
    """What became of one bundle's bars.

    Parameters
    ----------
    manifest
        The version to publish; None where the bundle holds just these bars, or there are none.
    """

    manifest: Manifest | None = None
    rows: int = 0
    rows_quarantined: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def checked_bars(
    bundle: PlannedBundle,
    frequency: Frequency,
    symbols: Iterable[Symbol],
    sids: Mapping[int, str],
    now: float,
    progress: Progress | None = None,
) -> tuple[Iterator[pl.DataFrame], Findings]:
    """Return the bars of one frequency that pass the checks, in batches of whole symbols, and what the checks find."""
    found = Findings(MIGRATED, BarRequest((), None, None, frequency))
    found.calendar_was_named = True
    delivered = deliveries(bundle.usable, frequency, names=sids, attributes=attributes_of(symbols), progress=progress)
    return checked_frames(delivered, found, calendar=bundle.calendar_name, now=now), found


def stage_bars(
    store: BundleStore,
    bundle: PlannedBundle,
    symbols: Sequence[Symbol],
    sids: Mapping[int, str],
    provenance: Mapping[str, Any],
    *,
    root: str,
    progress: Progress | None = None,
) -> StagedBars:
    """Write the files of the version that holds an old bundle's bars.

    Parameters
    ----------
    sids
        Sid -> symbol, for files that have sids.
    provenance
        What the old catalog says of the bundle's source, columns of `bundle_metadata`.
    """
    staged = StagedBars()
    findings: list[Findings] = []
    requests: list[CommitRequest] = []
    now = store.clock()
    known = load_head(store, bundle.name).description.assets
    op_id = f"{MIGRATED}-{bundle.facts_digest[:16]}-{int(now):d}"
    for frequency in sorted({file.frequency for file in bundle.usable if file.frequency}, key=lambda f: f.microseconds):
        frames, found = checked_bars(bundle, frequency, symbols, sids, now, progress)
        findings.append(found)
        first = next(frames, None)
        if first is None:
            continue
        requests.append(
            CommitRequest(
                name=bundle.name,
                frames=itertools.chain([first], frames),
                provenance=_provenance(bundle, found, frequency, provenance, root),
                frequency=frequency,
                calendar=bundle.calendar_name,
                symbols=None,
                start=None,
                end=None,
                assets=lambda found=found: _as_listed(found.assets, known),  # type: ignore[misc]
                price_basis=PRICE_BASIS,
                actions=(),
                aliases=(),
                quality=found.quality,
                replace=False,
                whole=frozenset(),
                op_id=op_id,
            )
        )
    if requests:
        staged.manifest = stage_version(store, requests)
    for found in findings:
        staged.rows += found.rows
        staged.rows_quarantined += found.quality().quarantined_count
        staged.failures |= {symbol: error.message for symbol, error in found.failures.items()}
        staged.notes += [*found.notes, *_set_aside(found)]
    return staged


def _as_listed(given: Mapping[str, AssetAttributes], known: Mapping[str, AssetRecord]) -> dict[str, AssetAttributes]:
    """Return attributes with the venue that an asset has here: where the old catalog changed its mind, it is no other asset."""
    return {
        symbol: replace(told, venue=known[symbol].attributes.venue or told.venue) if symbol in known else told
        for symbol, told in given.items()
    }


def _set_aside(found: Findings) -> list[str]:
    """Say why rows were set aside: the report of a version has no place for a frequency without a single good bar."""
    reasons = found.quality().quarantined
    first = f"; first: {found.examples[0]}" if reasons and found.examples else ""
    return [
        f"{count:,} of the {found.request.frequency} rows set aside: {reason}{first}"
        for reason, count in reasons.items()
    ]


def _provenance(
    bundle: PlannedBundle, found: Findings, frequency: Frequency, told: Mapping[str, Any], root: str
) -> Provenance:
    """Return where the bars come from; what is known at the end of the reading fills in until the version is written."""
    return Provenance(
        MIGRATED,
        source_url=_text(told.get("source_url")),
        api_version=_text(told.get("api_version")),
        fetch_timestamp=when(told.get("fetch_timestamp")) or 0,
        data_version=_text(told.get("data_version")),
        timezone=_text(told.get("timezone")) or "UTC",
        adjustment=PRICE_BASIS,
        number_rule="decimal",
        frequency=frequency.name,
        options={
            "root": root,
            "old_name": bundle.old_name,
            "source": _text(told.get("source_type")),
            "calendar": bundle.calendar_reason,
        },
        files=found.files,
        package_version=__version__,
    )


def attributes_of(symbols: Iterable[Symbol]) -> dict[str, AssetAttributes]:
    """Return what an old catalog says of each symbol; of several datasets the first that says something."""
    found: dict[str, AssetAttributes] = {}
    for symbol, kind, exchange in symbols:
        name = str(kind or "").strip().lower()
        name = _TYPES.get(name, name)
        before = found.get(symbol)
        told = str(exchange).strip() if exchange else ""
        # As vendors name it: an asset is the same one in every bundle of a home.
        venue = mic_of_exchange(told) or told or None
        asset_type = name if name in ASSET_TYPES else "equity"
        if before is None:
            found[symbol] = AssetAttributes(venue=venue, asset_type=asset_type)
        elif before.venue is None and venue:
            found[symbol] = AssetAttributes(venue=venue, asset_type=before.asset_type)
    return found


def sids_of(
    symbol_rows: Sequence[Mapping[str, Any]], assets: Mapping[int, str], symbols: Iterable[Symbol]
) -> dict[int, str]:
    """Return sid -> symbol of one bundle.

    The sids in old Parquet files are those of Zipline's assets, where these know every symbol of the bundle, or where the bundle
    names none; else the ids that the bundle's own catalog gave.
    """
    named = {symbol for symbol, _, _ in symbols}
    own = {
        row["symbol_id"]: row["symbol"]
        for row in symbol_rows
        if isinstance(row.get("symbol_id"), int) and isinstance(row.get("symbol"), str)
    }
    if named <= set(assets.values()):
        return {sid: symbol for sid, symbol in assets.items() if not named or symbol in named}
    return own


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
