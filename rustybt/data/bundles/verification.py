"""`rustybt bundle verify`: every byte again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.content_hash import BLOCK_SCHEMA, content_hash, hash_blocks
from rustybt.data.bundles.file_reader import FileReader
from rustybt.data.bundles.manifest import Manifest
from rustybt.errors import CorruptBundleError, RustybtError
from rustybt.market.bars import check_bars, join_frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.bundles.store import BundleStore


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was written: `file` is a home-relative key."""

    file: str
    problem: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `verify` found; `damages` is empty for a whole version."""

    reference: str
    content_hash: str
    files_checked: int
    bytes_checked: int
    rows_checked: int
    damages: tuple[Damage, ...]

    @property
    def is_whole(self) -> bool:
        """True when every byte is as it was written."""
        return not self.damages

    def raise_if_damaged(self) -> None:
        """Raise the first damage.

        Raises
        ------
        CorruptBundleError
            The version is damaged; `damages` lists everything.
        """
        if self.damages:
            first = self.damages[0]
            more = f" (and {len(self.damages) - 1} more)" if len(self.damages) > 1 else ""
            raise CorruptBundleError(
                f"{self.reference} is damaged: {first.file} {first.problem}{more}",
                hint="restore the named files from a backup, or ingest the bundle again",
                bundle=self.reference.partition("@")[0],
                file=first.file,
                damages=[asdict(damage) for damage in self.damages],
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "damages": [asdict(d) for d in self.damages], "is_whole": self.is_whole}


def verify_version(store: BundleStore, reference: str) -> VerifyReport:
    """Check every file's checksum, the manifest, and the content hash computed again from the rows themselves."""
    with store.open(reference) as bundle:
        return _verify(store, bundle)


def _verify(store: BundleStore, bundle: Bundle) -> VerifyReport:
    reader = FileReader(store.storage, bundle.name)
    damages: list[Damage] = []
    checked = 0

    def attempt(file: str, check: Callable[[], object]) -> None:
        try:
            check()
        except FileNotFoundError:
            damages.append(Damage(file, "is missing"))
        except RustybtError as error:
            damages.append(Damage(file, error.message.removeprefix(f"file {file} of bundle {bundle.name} ")))

    for record in bundle.files:
        attempt(record.file_key, lambda record=record: reader.checked_bytes(record))  # type: ignore[misc]
        checked += record.size_bytes
    key = bundle.info.manifest_key
    attempt(key, lambda: Manifest.from_bytes(store.storage.open(key), key))
    if not damages:
        attempt(bundle.reference, lambda: _check_content(bundle))
    return VerifyReport(
        bundle.reference, bundle.content_hash, len(bundle.files), checked, bundle.info.row_count, tuple(damages)
    )


def _check_content(bundle: Bundle) -> None:
    """Hash all rows anew, batch by batch.

    Raises
    ------
    CorruptBundleError
        The rows do not give the content hash of the version.
    """
    blocks = [BLOCK_SCHEMA.to_frame()]
    for frequency in bundle.frequencies:
        blocks.extend(hash_blocks(check_bars(rows), frequency) for rows in bundle.batches(frequency))
    rebuilt = join_frames(blocks).sort("frequency", "symbol", "month")
    found = content_hash(rebuilt, bundle.description.hashed())
    if found != bundle.content_hash:
        raise CorruptBundleError(
            f"its rows have the content hash {found[:12]}… instead of {bundle.content_hash[:12]}…",
            hint="the metadata database was changed: rustybt bundle recover",
            bundle=bundle.name,
        )
