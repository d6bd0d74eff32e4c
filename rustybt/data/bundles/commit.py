"""One commit, from frames to a visible version.

The order is the promise. Data files are durable before anything names them; the manifest is durable before the database says
COMMIT; readers see the version when COMMIT returns. A crash at any step leaves the version before, or this one whole.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rustybt.data.bundles.draft import DEFAULT_CALENDAR, CommitRequest, Draft, Head
from rustybt.data.bundles.file_reader import FileReader
from rustybt.data.bundles.locks import bundle_lock
from rustybt.data.bundles.metadata_store import contents, versions
from rustybt.data.bundles.publication import publish_manifest, save_coverage
from rustybt.data.bundles.records import CommitResult
from rustybt.data.bundles.revision import Revision
from rustybt.errors import BundleNameError, ConflictError, RequestError
from rustybt.market.corporate_actions import PRICE_BASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustybt.data.bundles.manifest import Manifest
    from rustybt.data.bundles.metadata_store.database import Connection
    from rustybt.data.bundles.records import VersionInfo
    from rustybt.data.bundles.store import BundleStore


def load_head(store: BundleStore, name: str, calendar: str | None = None) -> Head:
    """Return the version of a bundle that a commit builds on; a new bundle gets `calendar`.

    Raises
    ------
    BundleNameError
        A bundle is there whose name differs in upper and lower case only.
    """
    new = Head(name, calendar_name=calendar or DEFAULT_CALENDAR)
    if not store.database.exists():
        return new
    with store.database.read(snapshot=True) as connection:
        head = versions.load_head(connection, name)
        if head is None:
            return new
        known, version, calendar_name = head
        if known != name:
            raise BundleNameError(
                f"bundle {name!r} differs from {known!r} only in upper and lower case",
                hint=f"use --bundle {known}, or another name",
            )
        info = versions.load_version(connection, name, version)
        if info is None:
            # Known to the catalog (BundleMetadata.update), but without bars so far.
            return Head(name, calendar_name=calendar or calendar_name)
        return Head(
            name,
            info,
            info.calendar_name,
            tuple(versions.load_files(connection, name, version)),
            contents.load_description(connection, name, version),
        )


def check_unmoved(connection: Connection, draft: Manifest) -> None:
    """Raise if a bundle's latest version is not the one that `draft` was made from.

    Raises
    ------
    ConflictError
        Another process was faster.
    """
    name = draft.info.bundle_name
    present = versions.load_head(connection, name)
    found = versions.load_version(connection, name, present[1]) if present else None
    if (found.op_id if found else None) != draft.info.parent_op_id:
        raise ConflictError(
            f"bundle {name} was changed by another process while this one was merging",
            hint="run the command again",
            bundle=name,
        )


class Commit:
    """Carries one `CommitRequest` out.

    Parameters
    ----------
    store
        The store whose home is written.
    on_step
        Called with the name of each step that was completed: ``files-staged``, ``manifest-written``, ``rows-inserted``,
        ``committed``.
    """

    def __init__(self, store: BundleStore, request: CommitRequest, on_step: Callable[[str], None]) -> None:
        self._store = store
        self._request = request
        self._on_step = on_step
        self._now = int(store.clock())
        self._draft = Draft(request, self._now, store.asset_db.ensure_sids, store.versions)

    def run(self) -> CommitResult:
        """Do it; see `BundleStore.commit`."""
        if self._request.price_basis not in PRICE_BASES:
            raise RequestError(
                f"unknown price basis {self._request.price_basis!r}", hint=f"use one of {', '.join(PRICE_BASES)}"
            )
        self._store.database.prepare()
        # One commit at a time works on a bundle: merging is then never done in vain.
        with bundle_lock(self._store.home, self._request.name, self._store.settings.bundle_lock_timeout_seconds):
            head = load_head(self._store, self._request.name, self._request.calendar)
            done = self._done_before(head)
            if done is not None:
                return done
            self._check_request(head)
            revision = Revision(
                head.name,
                self._request.frequency,
                self._store.storage,
                FileReader(self._store.storage, head.name),
                head.files,
            )
            try:
                draft = self._draft.prepare(head, revision)
            except BaseException:
                with suppress(OSError):
                    revision.discard()
                raise
            if head.info is not None and draft.info.content_hash == head.info.content_hash:
                revision.discard()
                self._refresh_coverage(draft)
                return self._result(head.info, revision, unchanged=True)
            self._on_step("files-staged")
            self._publish(draft)
            self._on_step("committed")
            return self._result(draft.info, revision, unchanged=False)

    # -- before ------------------------------------------------------------------------------------------------------

    def _done_before(self, head: Head) -> CommitResult | None:
        if head.info is None:
            return None
        with self._store.database.read(snapshot=True) as connection:
            version = versions.has_operation(connection, head.name, self._request.op_id)
            info = versions.load_version(connection, head.name, version) if version else None
        if info is None:
            return None
        return CommitResult(head.name, info.version, info.content_hash, True, 0, 0, 0, 0, info.row_count, 0, 0)  # noqa: FBT003

    def _check_request(self, head: Head) -> None:
        request = self._request
        if head.info is not None and request.calendar not in (None, head.calendar_name):
            raise RequestError(
                f"bundle {head.name} has the calendar {head.calendar_name}, not {request.calendar}",
                hint=f"ingest into another bundle than {head.name}; where --calendar was given, leave it out",
                bundle=head.name,
            )

    # -- publishing --------------------------------------------------------------------------------------------------

    def _publish(self, draft: Manifest) -> None:
        with self._store.database.write() as connection:
            check_unmoved(connection, draft)
            publish_manifest(connection, self._store.storage, draft, self._now, self._on_step)

    def _refresh_coverage(self, draft: Manifest) -> None:
        """Equal content makes no version, but it was asked for and answered now."""
        with self._store.database.write() as connection:
            save_coverage(connection, draft.info.bundle_name, draft.coverage)

    def _result(self, info: VersionInfo, revision: Revision, *, unchanged: bool) -> CommitResult:
        return CommitResult(
            name=info.bundle_name,
            version=info.version,
            content_hash=info.content_hash,
            unchanged=unchanged,
            rows_added=revision.rows_added,
            rows_changed=revision.rows_changed,
            rows_removed=revision.rows_removed,
            rows_unchanged=revision.rows_unchanged,
            row_count=info.row_count,
            files_written=0 if unchanged else revision.files_written,
            bytes_written=0 if unchanged else revision.bytes_written,
        )
