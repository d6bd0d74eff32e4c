"""What an ingest would read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rustybt.market.provenance import FrozenRecord

if TYPE_CHECKING:
    from rustybt.data.sources.base import DataSource
    from rustybt.market.request import BarRequest


@dataclass(frozen=True, slots=True)
class IngestPlan(FrozenRecord):
    """The request as it was understood.

    Parameters
    ----------
    start, end
        ISO text, both included; empty when open.
    files
        Local files that would be read.
    failures
        Symbols that are known to fail already, with the reason.
    columns
        Which column of the first file is read as what.
    notes
        What is worth knowing before.
    """

    source: str
    source_url: str
    symbols: tuple[str, ...]
    start: str
    end: str
    frequency: str
    files: tuple[str, ...] = ()
    size_bytes: int = 0
    failures: tuple[tuple[str, str], ...] = ()
    columns: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, source: DataSource, request: BarRequest, symbols: tuple[str, ...], **more: Any) -> IngestPlan:
        """Return the plan of a request."""
        metadata = source.get_metadata()
        return cls(
            source=source.name,
            source_url=metadata.source_url,
            symbols=symbols,
            start=request.start_text,
            end=request.end_text,
            frequency=request.frequency.name,
            **more,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            **dict(self),
            "symbols": list(self.symbols),
            "files": list(self.files),
            "failures": dict(self.failures),
            "notes": list(self.notes),
        }
