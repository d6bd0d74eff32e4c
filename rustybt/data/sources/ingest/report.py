"""What an ingest did, and what it could not do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    NotCoveredError,
    RateLimitedError,
    SourceError,
    SourceUnavailableError,
    SymbolNotFoundError,
)
from rustybt.market.provenance import FrozenRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rustybt.data.bundles.counted import CacheUse
    from rustybt.market.quality_report import QualityReport
    from rustybt.market.revisions import BarRevision

#: Quarantined rows kept as examples; the counts beside them are always exact.
MAX_EXAMPLES = 100


_KINDS: tuple[tuple[type[SourceError], str], ...] = (
    (SymbolNotFoundError, "unknown symbol"),
    (AuthenticationError, "refused: key or plan"),
    (SourceUnavailableError, "vendor down"),
    (BadResponseError, "malformed answer"),
    (NotCoveredError, "not covered"),
)


def failure_kind(error: SourceError) -> str:
    """Return in a few words what kind of failure a symbol met: ``rate-limited, try again in 40 s``."""
    if isinstance(error, RateLimitedError):
        seconds = error.details.get("retry_after_seconds")
        return "rate-limited" + (f", try again in {seconds:,.0f} s" if seconds else ", try again later")
    if error.details.get("delisted"):
        return "delisted"
    return next((words for kind, words in _KINDS if isinstance(error, kind)), "failed")


@dataclass(frozen=True, slots=True)
class QuarantinedRow(FrozenRecord):
    """One row that was set aside: `timestamp` and `text` as the source has them, `location` such as ``AAPL.csv:17``."""

    symbol: str
    timestamp: str
    reason: str
    location: str = ""
    text: str = ""

    def __str__(self) -> str:
        where = f" ({self.location})" if self.location else ""
        return f"{self.symbol or 'unknown symbol'} {self.timestamp}{where}: {self.reason}"


@dataclass(frozen=True, slots=True, repr=False)
class IngestReport(FrozenRecord):
    """The outcome of `DataSource.ingest_to_bundle`.

    Parameters
    ----------
    bundle, version, content_hash
        The version that holds the bars now; `unchanged` if it had them before.
    rows
        Good bars that the source delivered.
    rows_added, rows_changed, rows_removed
        Against the version before.
    rows_quarantined
        Rows set aside, by reason in `quarantined`, the first `MAX_EXAMPLES` of them in `examples`.
    symbols
        Symbols with bars.
    skipped
        Symbols that the source knows, without a bar in the range, with the reason.
    failures
        Symbols that failed; the others are committed.
    revisions
        What the source changed about bars that were stored before.
    resumed
        How many symbols an interrupted run of the same ingest had finished.
    cache
        What came from the cache and what was fetched; None where there is none.
    seconds
        Wall time of the whole ingest.
    """

    bundle: str
    version: int
    content_hash: str
    unchanged: bool
    rows: int
    rows_added: int
    rows_changed: int
    rows_removed: int
    rows_quarantined: int
    symbols: tuple[str, ...]
    quality: QualityReport
    quarantined: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[QuarantinedRow, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, SourceError] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    revisions: tuple[BarRevision, ...] = ()
    resumed: int = 0
    cache: CacheUse | None = None

    def __repr__(self) -> str:
        counts = f"{self.rows_added:,} rows added, {self.rows_changed:,} changed, {self.rows_removed:,} removed"
        more = [
            "unchanged" if self.unchanged else counts,
            f"{len(self.symbols):,} symbols",
            f"{self.rows_quarantined:,} rows quarantined",
            *([f"failed: {', '.join(list(self.failures)[:5])}"] if self.failures else []),
        ]
        return f"<IngestReport {self.reference}: {', '.join(more)}>"

    def with_notes(self, notes: Sequence[str]) -> IngestReport:
        """Return the report with these notes first."""
        return replace(self, notes=(*notes, *self.notes)) if notes else self

    @property
    def exit_code(self) -> int:
        """0, or 3 if some symbols failed."""
        return 3 if self.failures else 0

    @property
    def reference(self) -> str:
        """The version as commands name it: ``us@3``."""
        return f"{self.bundle}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: self[name] for name in self}
        return {
            **plain,
            "symbols": list(self.symbols),
            "quality": self.quality.to_json(),
            "quarantined": dict(self.quarantined),
            "examples": [dict(row) for row in self.examples],
            "skipped": dict(self.skipped),
            "failures": {
                symbol: {
                    "code": error.code,
                    "kind": failure_kind(error),
                    "message": error.message,
                    "hint": error.hint,
                }
                for symbol, error in self.failures.items()
            },
            "notes": list(self.notes),
            "revisions": [revision.to_json() for revision in self.revisions],
            "cache": None if self.cache is None else asdict(self.cache),
            "reference": self.reference,
            "exit_code": self.exit_code,
        }
