"""Where bars came from: recorded with every version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

#: Source type of bars that came over from a bundle of the first design.
MIGRATED = "migrated"


class FrozenRecord(Mapping[str, Any]):
    """A frozen dataclass that also reads as a Mapping, so that ``record["source_type"]`` works."""

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        if key in {f.name for f in fields(self)}:  # type: ignore[arg-type]
            return getattr(self, key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(f.name for f in fields(self))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(fields(self))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=True)
class SourceMetadata(FrozenRecord):
    """What a source says of itself.

    Parameters
    ----------
    source_type
        Registry name: ``csv``, ``yfinance``.
    source_url
        Endpoint or file location, never with a key in it.
    """

    source_type: str
    source_url: str = ""
    api_version: str = ""
    supports_live: bool = False
    data_version: str = ""
    timezone: str = "UTC"
    feed: str = ""
    adjustment: str = ""


@dataclass(frozen=True, slots=True, eq=True)
class Provenance(FrozenRecord):
    """Where one version's bars came from; outside the content hash.

    Parameters
    ----------
    fetch_timestamp
        Unix seconds (UTC) of the fetch.
    number_rule
        How numbers became decimals: ``text``, ``float32``, ``float64``, ``decimal`` or ``integer``.
    symbols
        What was asked for.
    start, end
        Range asked for, ISO text, both included; empty when everything was taken.
    options
        Source options that shape the data; never a key.
    files
        Base name and SHA-256 of each local input file.
    resampled_from
        Frequency that the bars were made of, where the vendor lacks theirs; empty where it has it.
    revisions
        What the source changed about bars that were stored before, see `rustybt.market.revisions.BarRevision`.
    """

    source_type: str
    source_url: str = ""
    api_version: str = ""
    fetch_timestamp: int = 0
    data_version: str = ""
    timezone: str = "UTC"
    feed: str = ""
    adjustment: str = ""
    number_rule: str = "text"
    symbols: tuple[str, ...] = ()
    start: str = ""
    end: str = ""
    frequency: str = "1d"
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    package_version: str = ""
    resampled_from: str = ""
    revisions: Sequence[Mapping[str, Any]] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            **asdict(self),
            "symbols": list(self.symbols),
            "options": dict(self.options),
            "files": dict(self.files),
            "revisions": [dict(revision) for revision in self.revisions],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`; unknown keys of a newer version are ignored."""
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in data.items() if k in known}
        values["symbols"] = tuple(values.get("symbols", ()))
        values["revisions"] = tuple(values.get("revisions", ()))
        return cls(**values)
