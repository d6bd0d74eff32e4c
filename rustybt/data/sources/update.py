"""A bundle up to date: ask the source recorded in it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustybt.data.sources.registry import source_from_provenance
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.sources.base import Progress
    from rustybt.data.sources.ingest_report import IngestReport
    from rustybt.market.provenance import Provenance


def update_bundle(
    name: str, *, store: BundleStore, strict: bool = False, progress: Progress | None = None
) -> list[IngestReport]:
    """Ingest again what the bundle came from, per frequency, from the start asked for then and without an end.

    A local source reads the files that are there now. Where several ingests made a frequency, the newest one's source is
    asked: files that were read once and superseded are history, and stay in the older versions.

    Returns
    -------
    list of IngestReport
        One a frequency, the most recently ingested first; `unchanged` where there was nothing new.

    Raises
    ------
    RequestError
        A source cannot be asked again: bars of a DataFrame live in memory only, or the bundle was imported.
    SourceError
        The source did not deliver; what was updated before stays.
    """
    newest: dict[str, Provenance] = {}
    for version in reversed(store.versions(name)):
        newest.setdefault(version.provenance.frequency, version.provenance)
    reports = []
    for frequency, provenance in newest.items():
        try:
            source = source_from_provenance(provenance)
        except RequestError as error:
            raise RequestError(
                f"bundle {name} cannot be updated from {provenance.source_type!r}: {error.message}",
                hint=f"ingest the new bars: rustybt ingest SOURCE --bundle {name}",
                bundle=name,
            ) from error
        report = source.ingest_to_bundle(
            name,
            list(provenance.symbols) or None,
            provenance.start or None,
            None,
            frequency,
            store=store,
            strict=strict,
            progress=progress,
        )
        reports.append(report)
    return reports
