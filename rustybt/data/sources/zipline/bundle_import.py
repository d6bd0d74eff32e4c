"""A whole Zipline bundle into a bundle of ours: each frequency through the one path, then proved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rustybt.data.sources.zipline.proof import Proof, prove
from rustybt.errors import NotCoveredError, RequestError
from rustybt.market.frequency import Frequency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.sources.base import Progress
    from rustybt.data.sources.ingest.report import IngestReport
    from rustybt.data.sources.zipline.source import ZiplineDataSource
    from rustybt.market.request import BarRequest

ALL = "all"


@dataclass(frozen=True, slots=True)
class ZiplineImport:
    """What an import did, and what was proved of it: one report and one proof for each frequency, in the same order."""

    reports: tuple[IngestReport, ...]
    proofs: tuple[Proof, ...]

    @property
    def exit_code(self) -> int:
        """6 if something differs, else 3 if some symbols failed, else 0."""
        if not all(proof.is_equal for proof in self.proofs):
            return 6
        return 3 if any(report.failures for report in self.reports) else 0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "imports": [report.to_json() for report in self.reports],
            "proofs": [proof.to_json() for proof in self.proofs],
            "all_equal": all(proof.is_equal for proof in self.proofs),
            "exit_code": self.exit_code,
        }


def import_bundle(
    source: ZiplineDataSource,
    bundle: str,
    store: BundleStore,
    *,
    symbols: Sequence[str] | None = None,
    start: Any = None,
    end: Any = None,
    frequency: str = ALL,
    strict: bool = False,
    replace: bool = False,
    progress: Progress | None = None,
) -> ZiplineImport:
    """Store the bars of a Zipline bundle, daily bars before minutes, and prove that both sides say the same.

    Parameters
    ----------
    frequency
        ``1d``, ``1m``, or ``all`` for what the bundle has of the symbols and the range.

    Raises
    ------
    RequestError, SourceError, DataQualityError, BundleError
        As `DataSource.ingest_to_bundle`, for the first frequency that has bars; what was stored before stays.
    """
    requests = _requests(source, symbols, start, end, frequency)
    reports: list[IngestReport] = []
    proofs: list[Proof] = []
    for at, request in enumerate(requests):
        try:
            report = source.ingest_to_bundle(
                bundle,
                request.symbols or None,
                start,
                end,
                request.frequency,
                store=store,
                strict=strict,
                replace=replace,
                progress=progress,
            )
        except NotCoveredError:
            # Minutes often reach back less far than days.
            if frequency != ALL or (at == len(requests) - 1 and not reports):
                raise
            continue
        with store.open(report.reference) as stored:
            proofs.append(prove(source, stored, request, progress))
        reports.append(report)
    return ZiplineImport(tuple(reports), tuple(proofs))


def _requests(
    source: ZiplineDataSource, symbols: Sequence[str] | None, start: Any, end: Any, frequency: str
) -> list[BarRequest]:
    """Return what is asked for: every frequency that has any of the symbols, at least one."""
    if frequency != ALL:
        wanted: tuple[str, ...] = (Frequency.parse(frequency).name,)
    else:
        wanted = source.frequencies
        if not wanted:
            raise RequestError(
                f"the Zipline bundle {source.ingestion.bundle} of {source.ingestion.timestamp} has no bars",
                hint="--timestamp for another ingestion",
            )
    requests = [source.request(symbols, start, end, name) for name in wanted]
    return [request for request in requests if source.chosen(request)] or requests[:1]
