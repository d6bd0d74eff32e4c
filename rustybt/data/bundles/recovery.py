"""Rebuild the metadata database from the manifests."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles import manifest as manifests
from rustybt.data.bundles.assets import key_of
from rustybt.data.bundles.manifest import Manifest
from rustybt.data.bundles.metadata_store import collection, contents, versions
from rustybt.data.bundles.names import check_bundle_name
from rustybt.data.bundles.publication import insert_manifest
from rustybt.data.bundles.retired_assets import read_retired_assets
from rustybt.data.bundles.storage.local import sync_directory
from rustybt.data.bundles.tag_files import read_tag_files
from rustybt.errors import BundleNameError, CorruptBundleError, RustybtError

if TYPE_CHECKING:
    from rustybt.data.bundles.metadata_store.database import Connection
    from rustybt.data.bundles.store import BundleStore


@dataclass(slots=True)
class RecoverReport:
    """What `recover` brought back.

    Parameters
    ----------
    recovered
        Bundle -> number of versions that the database did not have.
    already_known
        Bundles of which the database had everything.
    problems
        Bundle -> what could not be brought back, and why.
    damaged_database
        Where the old database was put aside, empty when there was none or it was sound.
    """

    recovered: dict[str, int] = field(default_factory=dict)
    already_known: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    damaged_database: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def recover_home(store: BundleStore) -> RecoverReport:
    """Bring back every version whose manifest is here and whose rows are not; a sound database keeps what it has."""
    report = RecoverReport()
    store.database.prepare()
    known = _known_heads(store, report)
    chains: list[tuple[str, list[Manifest]]] = []
    for folder in sorted(path.name for path in store.home.iterdir() if path.is_dir()):
        with suppress(BundleNameError):
            check_bundle_name(folder)
            head = known.get(folder, 0)
            if head and not manifests.later_manifests(store.storage, folder, head):
                report.already_known.append(folder)
                continue
            chain = _chain(store, folder, report)
            if chain:
                chains.append((folder, chain))
    with store.database.write(allow_new=True) as connection:
        # All first versions first: the assets of an older bundle were numbered before those of a younger one.
        chains.sort(key=lambda item: item[1][0].info.created_at)
        for name, chain in chains:
            if _insert_chain(store, connection, name, chain, known.get(name, 0)):
                report.recovered[name] = len(chain) - known.get(name, 0)
            else:
                report.already_known.append(name)
        for key, sid in read_retired_assets(store.storage).items():
            contents.restore_sid(connection, key, sid)
    return report


def _known_heads(store: BundleStore, report: RecoverReport) -> dict[str, int]:
    """Return the bundles that a sound database knows and their latest versions; put a damaged one aside."""
    if not store.database.path.exists():
        return {}
    try:
        return store.database.sound_heads()
    except CorruptBundleError:
        report.damaged_database = str(store.database.put_aside(int(store.clock())))
        sync_directory(store.database.folder)
        return {}


def _chain(store: BundleStore, bundle: str, report: RecoverReport) -> list[Manifest]:
    """Return a bundle's manifests from version 1 on, as far as each names the one before."""
    found: dict[int, list[Manifest]] = {}
    for key in manifests.later_manifests(store.storage, bundle, 0):
        try:
            manifest = Manifest.from_bytes(store.storage.open(key), key)
        except RustybtError as error:
            report.problems[bundle] = error.message
            continue
        if manifest.info.bundle_name == bundle:
            found.setdefault(manifest.info.version, []).append(manifest)
    chain: list[Manifest] = []
    for number in range(1, max(found, default=0) + 1):
        parent = chain[-1].info.op_id if chain else None
        following = [m for m in found.get(number, []) if m.info.parent_op_id == parent]
        if not following:
            report.problems.setdefault(
                bundle, f"version {number} has no usable manifest; versions from {number} on are not recovered"
            )
            break
        chain.append(following[-1])
    return chain


def _insert_chain(store: BundleStore, connection: Connection, name: str, chain: list[Manifest], head: int) -> bool:
    """Insert the versions beyond `head`; return whether there were any that follow what the database has."""
    now = int(store.clock())
    collected: list[int] = []
    sids: dict[str, int] = {}
    if head:
        info = versions.load_version(connection, name, head)
        if len(chain) <= head or info is None or chain[head - 1].info.op_id != info.op_id:
            return False
        sids = {
            symbol: record.sid for symbol, record in contents.load_description(connection, name, head).assets.items()
        }
    for manifest in chain[head:]:
        for record in manifest.assets:
            # A symbol keeps its sid, also where its venue became known later.
            if record.symbol not in sids:
                key = key_of(name, record.symbol, record.attributes)
                sids[record.symbol] = contents.restore_sid(connection, key, record.sid)
        restored = replace(
            manifest, assets=tuple(replace(record, sid=sids[record.symbol]) for record in manifest.assets)
        )
        insert_manifest(connection, restored, manifest.info.created_at)
        tombstone = manifests.tombstone_of(name, manifest.info.version)
        with suppress(FileNotFoundError, ValueError, KeyError):
            json.loads(store.storage.open(tombstone))
            collected.append(manifest.info.version)
    if collected:
        collection.mark_collected(connection, name, collected, now)
    numbers = {manifest.info.version for manifest in chain}
    for tag, (version, created_at) in read_tag_files(store.storage, name).items():
        if version in numbers:
            versions.save_tag(connection, name, tag, version, created_at)
    return True
