"""What the store's parts hand each other: frozen records, never rows or dicts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import TYPE_CHECKING, Any, Self

from rustybt.market.assets import AssetAttributes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.provenance import Provenance
    from rustybt.market.quality_report import QualityReport


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One immutable data file of a bundle.

    Parameters
    ----------
    kind
        ``bars``, or ``blocks`` for the digests behind the content hash.
    partition
        Which part of the layout it belongs to: ``base``, ``tail`` or a month such as ``2024-03``.
    sha256
        Of the whole file.
    first_bar, last_bar
        Microseconds UTC, both included.
    """

    file_key: str
    kind: str
    frequency: str
    partition: str
    sha256: str
    size_bytes: int
    row_count: int
    first_symbol: str
    last_symbol: str
    first_bar: int
    last_bar: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`."""
        return cls(**{f.name: data[f.name] for f in fields(cls)})


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """What a version knows of one symbol; `price_basis` is keyed by frequency."""

    symbol: str
    sid: int
    attributes: AssetAttributes
    price_basis: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "symbol": self.symbol,
            "sid": self.sid,
            "attributes": self.attributes.to_json(),
            "price_basis": dict(self.price_basis),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`."""
        return cls(
            data["symbol"], data["sid"], AssetAttributes.from_json(data["attributes"]), dict(data["price_basis"])
        )


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name of a symbol, dated: ``FB`` of META until 2022-06-08.

    `start` and `end` are both included; None is open. `source` names the vendor whose spelling it is, or is empty.
    """

    symbol: str
    alias: str
    start: date | None = None
    end: date | None = None
    source: str = ""

    def to_json(self) -> dict[str, str]:
        """Return plain JSON values; an open end is an empty text."""
        return {
            "symbol": self.symbol,
            "alias": self.alias,
            "start": self.start.isoformat() if self.start else "",
            "end": self.end.isoformat() if self.end else "",
            "source": self.source,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`."""
        start, end = (date.fromisoformat(data[key]) if data[key] else None for key in ("start", "end"))
        return cls(data["symbol"], data["alias"], start, end, data["source"])


@dataclass(frozen=True, slots=True)
class CoverageRecord:
    """A range that was asked for and answered: microseconds UTC, both included."""

    frequency: str
    symbol: str
    start: int
    end: int
    reason: str
    fetched_at: int


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version of a bundle, as `rustybt bundle versions` lists it.

    `content_hash` is 64 hexadecimal digits; `created_at` Unix seconds; `collected` means that gc took its files.
    """

    bundle_name: str
    version: int
    op_id: str
    parent_op_id: str | None
    content_hash: str
    manifest_key: str
    created_at: int
    row_count: int
    size_bytes: int
    summary: str
    provenance: Provenance
    quality: QualityReport | None
    calendar_name: str
    collected: bool = False
    tags: tuple[str, ...] = ()

    @property
    def parent(self) -> int | None:
        """Number of the version before, None for the first."""
        return self.version - 1 if self.version > 1 else None

    @property
    def reference(self) -> str:
        """``name@version``."""
        return f"{self.bundle_name}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "bundle": self.bundle_name,
            "version": self.version,
            "parent": self.parent,
            "content_hash": self.content_hash,
            "op_id": self.op_id,
            "created_at": self.created_at,
            "row_count": self.row_count,
            "size_bytes": self.size_bytes,
            "summary": self.summary,
            "tags": list(self.tags),
            "collected": self.collected,
            "provenance": self.provenance.to_json(),
            "quality": self.quality.to_json() if self.quality else None,
        }


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """One bundle, as `rustybt bundle list` shows it; the latest version's facts.

    `first_session` and `last_session` are dates; `size_bytes` counts the latest version's files.
    """

    name: str
    version: int
    content_hash: str
    calendar_name: str
    frequencies: tuple[str, ...]
    symbol_count: int
    row_count: int
    first_session: date | None
    last_session: date | None
    source_type: str
    size_bytes: int
    created_at: int
    updated_at: int
    validation_passed: bool | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["frequencies"] = list(self.frequencies)
        for key in ("first_session", "last_session"):
            values[key] = values[key].isoformat() if values[key] else None
        return values


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What a commit did.

    `unchanged` means that the content equals the version named: no version was made. Row counts compare the new version
    with its parent; `rows_unchanged` counts delivered rows that were there already, digit for digit.
    """

    name: str
    version: int
    content_hash: str
    unchanged: bool
    rows_added: int
    rows_changed: int
    rows_removed: int
    rows_unchanged: int
    row_count: int
    files_written: int
    bytes_written: int

    @property
    def reference(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Description:
    """All that a version holds beside its bars; part of the content hash, but for sids and sources."""

    assets: Mapping[str, AssetRecord] = field(default_factory=dict)
    actions: tuple[CorporateAction, ...] = ()
    aliases: tuple[Alias, ...] = ()

    def hashed(self) -> dict[str, Any]:
        """Return what the content hash covers, in one canonical order."""
        actions = [
            {key: value for key, value in action.to_json().items() if key not in ("source", "first_seen")}
            for action in self.actions
        ]
        return {
            "assets": {
                symbol: {"attributes": record.attributes.to_json(), "price_basis": dict(record.price_basis)}
                for symbol, record in self.assets.items()
            },
            "actions": sorted(actions, key=lambda a: sorted((k, str(v)) for k, v in a.items())),
            "aliases": sorted((alias.to_json() for alias in self.aliases), key=lambda a: sorted(a.items())),
        }
