"""Versions made beforehand, to be published together with others in one transaction."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from rustybt.data.bundles.assets import key_of
from rustybt.data.bundles.commit import check_unmoved, load_head
from rustybt.data.bundles.draft import CommitRequest, Draft, Head
from rustybt.data.bundles.file_reader import FileReader
from rustybt.data.bundles.metadata_store import contents
from rustybt.data.bundles.publication import publish_manifest
from rustybt.data.bundles.records import Description
from rustybt.data.bundles.revision import Revision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rustybt.data.bundles.manifest import Manifest
    from rustybt.data.bundles.metadata_store.database import Connection
    from rustybt.data.bundles.records import AssetRecord
    from rustybt.data.bundles.store import BundleStore
    from rustybt.market.assets import AssetAttributes

#: Sid of an asset that gets its own when the version is published.
_NO_SID = 0


def stage_version(store: BundleStore, requests: Sequence[CommitRequest]) -> Manifest | None:
    """Write the files of one version that holds what several requests ask for, one of each frequency.

    Nothing refers to these files until `publish_staged`.

    Returns
    -------
    Manifest or None
        None where the bundle holds just this already.

    Raises
    ------
    BundleError, DataQualityError, RequestError
        As `BundleStore.commit`; what was written is removed again.
    """
    now = int(store.clock())
    head = load_head(store, requests[0].name, requests[0].calendar)
    step = head
    revisions: list[Revision] = []
    drafts: list[Manifest] = []
    try:
        for request in requests:
            reader = FileReader(store.storage, head.name)
            revision = Revision(head.name, request.frequency, store.storage, reader, step.files)
            revisions.append(revision)
            draft = Draft(request, now, _without_sids, store.versions).prepare(step, revision)
            drafts.append(draft)
            step = replace(step, files=tuple(revision.files), description=_joined(step.description, draft))
    except BaseException:
        for revision in reversed(revisions):
            with suppress(OSError):
                revision.discard()
        raise
    if head.info is not None and drafts[-1].info.content_hash == head.info.content_hash:
        for revision in reversed(revisions):
            revision.discard()
        return None
    kept = {record.file_key for record in step.files}
    for key in {record.file_key for revision in revisions for record in revision.added} - kept:
        store.storage.delete(key)  # digests that a later frequency wrote anew
    return _as_one(head, step, drafts)


def _as_one(head: Head, whole: Head, drafts: Sequence[Manifest]) -> Manifest:
    before = {record.file_key for record in head.files}
    after = {record.file_key for record in whole.files}
    assets = {record.symbol: record for draft in drafts for record in draft.assets}
    first, last = drafts[0].info, drafts[-1].info
    files = {name: digest for draft in drafts for name, digest in draft.info.provenance.files.items()}
    return replace(
        drafts[-1],
        # The last draft counts and hashes all frequencies; where the bars come from, the first says as well.
        info=replace(
            last,
            summary="; ".join(dict.fromkeys(draft.info.summary for draft in drafts)),
            provenance=replace(first.provenance, files=files),
            quality=first.quality,
        ),
        files_added=tuple(record for record in whole.files if record.file_key not in before),
        files_removed=tuple(key for key in before if key not in after),
        assets=tuple(assets.values()),
        actions=tuple(action for draft in drafts for action in draft.actions),
        aliases=tuple(alias for draft in drafts for alias in draft.aliases),
        coverage=tuple(record for draft in drafts for record in draft.coverage),
    )


def _joined(before: Description, draft: Manifest) -> Description:
    assets: dict[str, AssetRecord] = {**before.assets, **{record.symbol: record for record in draft.assets}}
    return Description(
        dict(sorted(assets.items())), (*before.actions, *draft.actions), (*before.aliases, *draft.aliases)
    )


def _without_sids(_: str, fresh: Mapping[str, AssetAttributes]) -> dict[str, int]:
    return dict.fromkeys(fresh, _NO_SID)


def publish_staged(
    connection: Connection, store: BundleStore, staged: Manifest, now: int, on_step: Callable[[str], None]
) -> None:
    """Give a staged version's new assets their sids, write its manifest, and insert it into the open transaction.

    Raises
    ------
    ConflictError
        The bundle has changed since it was staged.
    """
    check_unmoved(connection, staged)
    name = staged.info.bundle_name
    keys = {record.symbol: key_of(name, record.symbol, record.attributes) for record in staged.assets}
    sids = contents.ensure_sids(connection, keys.values())
    assets = tuple(record if record.sid else replace(record, sid=sids[keys[record.symbol]]) for record in staged.assets)
    publish_manifest(connection, store.storage, replace(staged, assets=assets), now, on_step)


def discard_staged(store: BundleStore, staged: Iterable[Manifest]) -> None:
    """Remove the files of staged versions that will not be published."""
    for manifest in staged:
        for record in manifest.files_added:
            with suppress(OSError):
                store.storage.delete(record.file_key)
