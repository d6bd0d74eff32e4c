"""The manifest of a version: everything that the database knows of it, in a file of its own.

The chain of manifests is what `recover` follows when the database is lost, so a manifest is durable before its version is
visible. It carries its own checksum.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from rustybt.data.bundles.records import Alias, AssetRecord, CoverageRecord, FileRecord, VersionInfo
from rustybt.errors import CorruptBundleError
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import Provenance
from rustybt.market.quality_report import QualityReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustybt.data.bundles.storage import Storage

FORMAT = 1
FOLDER = "manifests"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version as a difference to its parent.

    Parameters
    ----------
    info
        The version's row.
    parent_hash
        Content hash of the parent, None for version 1.
    files_removed
        Keys of the parent's files that are no longer part.
    assets, actions, aliases
        Those that this version adds or changes.
    coverage
        What this version's ingest asked for.
    """

    info: VersionInfo
    parent_hash: str | None
    files_added: tuple[FileRecord, ...]
    files_removed: tuple[str, ...]
    assets: tuple[AssetRecord, ...]
    actions: tuple[CorporateAction, ...]
    aliases: tuple[Alias, ...]
    coverage: tuple[CoverageRecord, ...]

    def to_bytes(self) -> bytes:
        """Return the file's bytes: one JSON object with a checksum over all the rest."""
        info = self.info
        body = {
            "format": FORMAT,
            "bundle": info.bundle_name,
            "version": info.version,
            "op_id": info.op_id,
            "parent_op_id": info.parent_op_id,
            "parent_hash": self.parent_hash,
            "content_hash": info.content_hash,
            "created_at": info.created_at,
            "calendar_name": info.calendar_name,
            "row_count": info.row_count,
            "size_bytes": info.size_bytes,
            "summary": info.summary,
            "files_added": [record.to_json() for record in self.files_added],
            "files_removed": list(self.files_removed),
            "assets": [record.to_json() for record in self.assets],
            "actions": [action.to_json() for action in self.actions],
            "aliases": [alias.to_json() for alias in self.aliases],
            "coverage": _pack_coverage(self.coverage),
            "provenance": info.provenance.to_json(),
            "quality": info.quality.to_json() if info.quality else None,
        }
        return json.dumps({**body, "checksum": _checksum(body)}, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes, key: str) -> Self:
        """Rebuild from `to_bytes`.

        Raises
        ------
        CorruptBundleError
            Not JSON, of a later format, or its checksum disagrees.
        """
        bundle = key.split("/", 1)[0]
        try:
            body: dict[str, Any] = json.loads(data)
            if body.pop("checksum") != _checksum(body):
                raise ValueError("its checksum disagrees")
            if body["format"] > FORMAT:
                raise ValueError(f"it has format {body['format']}, this rustybt knows {FORMAT}")
            return cls._from_body(body, key)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptBundleError(
                f"manifest {key} of bundle {bundle} cannot be used: {error}",
                hint="restore it from a backup, or ingest the bundle again",
                bundle=bundle,
                file=key,
            ) from error

    @classmethod
    def _from_body(cls, body: Mapping[str, Any], key: str) -> Self:
        info = VersionInfo(
            bundle_name=body["bundle"],
            version=body["version"],
            op_id=body["op_id"],
            parent_op_id=body["parent_op_id"],
            content_hash=body["content_hash"],
            manifest_key=key,
            created_at=body["created_at"],
            row_count=body["row_count"],
            size_bytes=body["size_bytes"],
            summary=body["summary"],
            provenance=Provenance.from_json(body["provenance"]),
            quality=QualityReport.from_json(body["quality"]) if body["quality"] else None,
            calendar_name=body["calendar_name"],
        )
        return cls(
            info,
            body["parent_hash"],
            tuple(FileRecord.from_json(record) for record in body["files_added"]),
            tuple(body["files_removed"]),
            tuple(AssetRecord.from_json(record) for record in body["assets"]),
            tuple(CorporateAction.from_json(action) for action in body["actions"]),
            tuple(Alias.from_json(alias) for alias in body["aliases"]),
            tuple(_unpack_coverage(body["coverage"])),
        )


def key_of(bundle: str, version: int, op_id: str) -> str:
    """Return the home-relative key of a manifest."""
    return f"{bundle}/{FOLDER}/{version}-{op_id}.json"


def later_manifests(storage: Storage, bundle: str, version: int) -> dict[str, int]:
    """Return key -> version number of the manifests beyond `version`."""
    found: dict[str, int] = {}
    for stored in storage.list(f"{bundle}/{FOLDER}"):
        name = PurePosixPath(stored.key).name
        number = name.partition("-")[0]
        if name.endswith(".json") and number.isdigit() and int(number) > version:
            found[stored.key] = int(number)
    return found


def tombstone_of(bundle: str, version: int) -> str:
    """Return the key of the mark that a version was collected."""
    return f"{bundle}/{FOLDER}/{version}.collected"


def _checksum(body: Mapping[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _pack_coverage(records: tuple[CoverageRecord, ...]) -> list[dict[str, Any]]:
    """Group by range: one ingest usually asks for the same range of many symbols."""
    grouped: dict[tuple[str, int, int, str, int], list[str]] = {}
    for record in records:
        shared = (record.frequency, record.start, record.end, record.reason, record.fetched_at)
        grouped.setdefault(shared, []).append(record.symbol)
    names = ("frequency", "start", "end", "reason", "fetched_at")
    return [{**dict(zip(names, shared, strict=True)), "symbols": symbols} for shared, symbols in grouped.items()]


def _unpack_coverage(packed: list[dict[str, Any]]) -> list[CoverageRecord]:
    return [
        CoverageRecord(group["frequency"], symbol, group["start"], group["end"], group["reason"], group["fetched_at"])
        for group in packed
        for symbol in group["symbols"]
    ]
