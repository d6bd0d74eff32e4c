"""The store: the only writer of bundles, and the door to everything that is kept.

What merges and reads bars is imported on use: a listing of bundles starts in a fraction of the time.
"""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rustybt.config import Settings, load_settings
from rustybt.data.bundles.assets import AssetDB
from rustybt.data.bundles.leases import LeaseRegistry
from rustybt.data.bundles.manifest import later_manifests
from rustybt.data.bundles.metadata_store import contents, versions
from rustybt.data.bundles.metadata_store.database import INTERNAL_FOLDER, Database
from rustybt.data.bundles.names import BundleReference, check_bundle_name, check_op_id, check_tag
from rustybt.data.bundles.storage import LocalStorage
from rustybt.data.bundles.tag_files import delete_tag_files, write_tag_file
from rustybt.errors import BundleNotFoundError, RequestError, VersionNotFoundError
from rustybt.market.frequency import Frequency

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import polars as pl

    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.bundles.collection import GcReport
    from rustybt.data.bundles.counters import CacheCounters
    from rustybt.data.bundles.difference import BundleDiff
    from rustybt.data.bundles.metadata_store.database import Connection
    from rustybt.data.bundles.records import (
        Alias,
        BundleInfo,
        CommitResult,
        CoverageRecord,
        Description,
        FileRecord,
        VersionInfo,
    )
    from rustybt.data.bundles.recovery import RecoverReport
    from rustybt.data.bundles.storage import Storage
    from rustybt.data.bundles.verification import VerifyReport
    from rustybt.market.assets import AssetAttributes
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.pin import Pin
    from rustybt.market.provenance import Provenance
    from rustybt.market.quality_report import QualityReport


def _no_step(_: str) -> None:
    """Do nothing at a named step of a commit; fault tests put a crash here."""


class BundleStore:
    """All bundles of one home.

    Parameters
    ----------
    home
        Folder of the home; None takes the configured one (`RUSTYBT_HOME`, config files, the platform's data folder).
    settings
        None loads them from environment and config files.
    clock
        Seconds since 1970 (UTC).
    on_step
        Called with the name of each step of a commit.
    storage
        Where the files of bundles lie; None is the home itself. Locks, leases and the database stay in the home.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.time,
        on_step: Callable[[str], None] = _no_step,
        storage: Storage | None = None,
    ) -> None:
        self.settings = settings or load_settings()
        self.home = Path(home if home is not None else self.settings.home).expanduser().absolute()
        self.clock = clock
        self.storage: Storage = LocalStorage(self.home) if storage is None else storage
        self.database = Database(self.home, self.settings.bundle_lock_timeout_seconds, clock)
        self.asset_db = AssetDB(self.database)
        self.leases = LeaseRegistry(self.home / INTERNAL_FOLDER / "leases")
        self._on_step = on_step

    @property
    def counters(self) -> CacheCounters:
        """Counts how the cache of this home is used."""
        from rustybt.data.bundles.counters import CacheCounters

        return CacheCounters.of(self.database)

    # -- writing -----------------------------------------------------------------------------------------------------

    def commit(
        self,
        name: str,
        bars: pl.DataFrame | Iterable[pl.DataFrame],
        provenance: Provenance,
        *,
        frequency: str | Frequency = "1d",
        calendar: str | None = None,
        symbols: Sequence[str] | None = None,
        start: int | None = None,
        end: int | None = None,
        assets: Mapping[str, AssetAttributes] | Callable[[], Mapping[str, AssetAttributes]] | None = None,
        price_basis: str = "raw",
        actions: Sequence[CorporateAction] | Callable[[], Sequence[CorporateAction]] = (),
        aliases: Sequence[Alias] | Callable[[], Sequence[Alias]] = (),
        quality: QualityReport | Callable[[], QualityReport | None] | None = None,
        replace: bool = False,
        whole: Collection[str] = (),
        op_id: str | None = None,
    ) -> CommitResult:
        """Upsert bars into a bundle: durable and visible as one new version when this returns, or not at all.

        New rows replace old ones of the same (symbol, timestamp); all else stays. Equal content makes no version.

        Parameters
        ----------
        name
            The bundle; made if it does not exist.
        bars
            Contract bars (`rustybt.market.bars`), or an iterable of such frames: memory is then bounded by one frame.
            Frames of whole symbols in rising order are fastest.
        calendar
            Calendar of the venue for a new bundle (XNYS when None); a bundle keeps the one it has.
        symbols, start, end
            What was asked for and answered, microseconds UTC, both included; None is what the bars span. Recorded as
            coverage, and the scope of `replace`.
        assets
            Attributes of symbols; what is not named keeps what the bundle knows.
        price_basis
            How prices were delivered; a series never mixes two.
        actions, aliases
            Appended; an event that is known already is not added again.
        quality
            Report of the ingest's checks, or a function called after the last frame was taken.
        replace
            Also remove rows inside (symbols, start, end) that `bars` does not hold. Where a symbol's bars come in several
            frames, they come in order of time.
        whole
            Symbols whose bars are all that there is: of these every row that `bars` does not hold is removed, so that a
            series that a vendor delivers on a new price basis keeps nothing of the old one.
        op_id
            Makes the commit repeatable: an operation that is committed already is not done twice. Letters, digits, ``-``,
            ``_`` and ``.``.

        Raises
        ------
        BundleNameError, RequestError
            A name or argument cannot be used; nothing was written.
        DataQualityError
            A frame breaks the contract; nothing is visible.
        ConflictError
            Another process was faster or holds the bundle for too long; nothing of this commit is visible.
        CorruptBundleError
            Files that have to be merged are damaged.
        StorageError
            Disk full, read-only, not permitted; earlier versions are whole.
        """
        import polars as pl

        from rustybt.data.bundles.commit import Commit
        from rustybt.data.bundles.draft import CommitRequest

        request = CommitRequest(
            name=check_bundle_name(name),
            frames=[bars] if isinstance(bars, pl.DataFrame) else bars,
            provenance=provenance,
            frequency=Frequency.parse(frequency),
            calendar=calendar,
            symbols=symbols,
            start=start,
            end=end,
            assets=assets or {},
            price_basis=price_basis,
            actions=actions,
            aliases=aliases,
            quality=quality,
            replace=replace,
            whole=frozenset(whole),
            op_id=uuid.uuid4().hex if op_id is None else check_op_id(op_id),
        )
        return Commit(self, request, self._on_step).run()

    # -- reading -----------------------------------------------------------------------------------------------------

    def open(self, reference: str | BundleReference) -> Bundle:
        """Open a version: ``us``, ``us@3``, ``us@latest``, ``us@TAG`` or ``us@sha256:3f9c``.

        Raises
        ------
        BundleNotFoundError
            There is no such bundle; names are compared without regard to case.
        VersionNotFoundError
            There is no such version, tag or hash, or the version was collected.
        """
        from rustybt.data.bundles.bundle import Bundle
        from rustybt.data.bundles.file_reader import FileReader

        parsed = BundleReference.parse(reference)
        self._require_database(parsed)
        lease: str | None = None
        try:
            with self.database.read(snapshot=True) as connection:
                head = versions.load_head(connection, parsed.name)
                if head is None:
                    raise self._bundle_not_found(parsed.name)
                name, latest, _ = head
                number = self._resolve(connection, parsed, name, latest)
                lease = self.leases.acquire(name, number)
            # Looked up after the lease was taken: from here on the version cannot be collected.
            with self.database.read(snapshot=True) as connection:
                info = versions.load_version(connection, name, number)
                if info is None or info.collected:
                    raise self._version_not_found(parsed, name, collected=info is not None)
                files = versions.load_files(connection, name, number)
        except BaseException:
            self.leases.release(lease)
            raise

        def reload() -> list[FileRecord]:
            with self.database.read(snapshot=True) as connection:
                present = versions.load_version(connection, name, number)
                if present is None or present.collected:
                    raise self._version_not_found(parsed, name, collected=True)
                return versions.load_files(connection, name, number)

        return Bundle(self, info, info.calendar_name, files, FileReader(self.storage, name), reload, lease)

    def _resolve(self, connection: Connection, parsed: BundleReference, name: str, latest: int) -> int:
        if parsed.tag:
            version = versions.tagged_version(connection, name, parsed.tag)
            if version is None:
                raise self._version_not_found(parsed, name)
            return version
        if parsed.hash_prefix:
            found = versions.versions_by_hash(connection, name, parsed.hash_prefix)
            if len({content_hash for _, content_hash in found}) > 1:
                raise RequestError(
                    f"{parsed} names {len(found)} versions",
                    hint="write more digits of the content hash",
                    reference=str(parsed),
                )
            if not found:
                raise self._version_not_found(parsed, name)
            return found[0][0]
        if latest < 1 or (parsed.version or latest) > latest:
            raise self._version_not_found(parsed, name)
        return parsed.version or latest

    def list_bundles(
        self, source_type: str | None = None, start: object = None, end: object = None
    ) -> list[BundleInfo]:
        """Return every bundle by name, restricted to a source and to those with bars inside [start, end], both included."""
        first = last = None
        if start is not None or end is not None:
            from rustybt.market.request import parse_range, to_date

            low, high = parse_range(start, end, Frequency.parse("1d"))
            first, last = (None if at is None else to_date(at) for at in (low, high))
        if not self.database.exists():
            return []
        with self.database.read(snapshot=True) as connection:
            found = versions.list_bundles(connection)
        return [
            info
            for info in found
            if source_type in (None, info.source_type)
            and (first is None or (info.last_session is not None and info.last_session >= first))
            and (last is None or (info.first_session is not None and info.first_session <= last))
        ]

    def names_without_bars(self) -> list[str]:
        """Return the bundles that only the catalog knows, by name: nothing was stored of them so far."""
        if not self.database.exists():
            return []
        with self.database.read() as connection:
            return versions.names_without_versions(connection)

    def versions(self, name: str) -> list[VersionInfo]:
        """Return every version of a bundle, oldest first; collected ones are marked."""
        with self._reading(BundleReference.parse(name)) as (connection, found):
            return versions.load_versions(connection, found)

    def name_of(self, name: str) -> str:
        """Return a bundle's name as it was created; names are compared without regard to case.

        Raises
        ------
        RequestError
            It names one version: what removes a bundle must not take it for all of them.
        BundleNotFoundError
            There is no such bundle.
        """
        reference = BundleReference.parse(name)
        if "@" in str(name):
            raise RequestError(
                f"{name!r} names one version, not a whole bundle",
                hint=f"say {reference.name} for all of it; rustybt bundle gc --keep-last N removes old versions",
            )
        with self._reading(reference) as (_, found):
            return found

    def load_description(self, name: str, version: int) -> Description:
        """Return the assets, actions and aliases of a version."""
        with self.database.read(snapshot=True) as connection:
            return contents.load_description(connection, name, version)

    def load_coverage(self, name: str) -> list[CoverageRecord]:
        """Return the ranges that were asked for and answered."""
        with self.database.read() as connection:
            return contents.load_coverage(connection, name)

    def release(self, lease: str | None) -> None:
        """Give a lease back."""
        self.leases.release(lease)

    # -- keeping -----------------------------------------------------------------------------------------------------

    def verify(self, reference: str) -> VerifyReport:
        """Read every byte of a version again and compare checksums and content hash."""
        from rustybt.data.bundles.verification import verify_version

        return verify_version(self, reference)

    def diff(self, before: str, after: str) -> BundleDiff:
        """Return the rows added, removed and changed from `before` to `after`, with their values."""
        from rustybt.data.bundles.difference import diff_versions

        with self.open(before) as older, self.open(after) as newer:
            return diff_versions(older, newer)

    def tag(self, reference: str, tag: str) -> VersionInfo:
        """Name a version; garbage collection keeps tagged versions. A tag that exists moves."""
        check_tag(tag)
        with self.open(reference) as opened:
            info = opened.info
            now = int(self.clock())
            with self.database.write() as connection:
                written = write_tag_file(self.storage, info.bundle_name, tag, info.version, now)
                versions.save_tag(connection, info.bundle_name, tag, info.version, now)
            delete_tag_files(self.storage, info.bundle_name, tag, keep=written)
        return info

    def untag(self, name: str, tag: str) -> None:
        """Remove a tag.

        Raises
        ------
        VersionNotFoundError
            The bundle has no such tag.
        """
        found = self.name_of(name)
        with self.database.write() as connection:
            if not versions.remove_tag(connection, found, tag):
                raise VersionNotFoundError(
                    f"bundle {found} has no tag {tag!r}", hint=f"rustybt bundle versions {found}", bundle=found
                )
        delete_tag_files(self.storage, found, tag)

    def tags(self, name: str) -> dict[str, int]:
        """Return each tag of a bundle and its version."""
        with self._reading(BundleReference.parse(name)) as (connection, found):
            return versions.tags_of(connection, found)

    def remove(self, name: str) -> None:
        """Remove a bundle with all its versions.

        Raises
        ------
        ConflictError
            A living process has it open.
        """
        from rustybt.data.bundles.collection import remove_bundle

        remove_bundle(self, name)

    def gc(
        self,
        name: str | None = None,
        keep_last: int | None = None,
        *,
        dry_run: bool = False,
        grace_seconds: float | None = None,
    ) -> GcReport:
        """Collect what nothing needs: old versions beyond `keep_last`, then files past the grace period.

        Tagged, opened and latest versions are always kept; `keep_last=None` collects no version.
        """
        from rustybt.data.bundles.collection import collect_garbage

        grace = self.settings.bundle_gc_grace_seconds if grace_seconds is None else grace_seconds
        return collect_garbage(self, name, keep_last, dry_run=dry_run, grace_seconds=grace)

    def recover(self) -> RecoverReport:
        """Rebuild a lost or damaged metadata database from the manifests."""
        from rustybt.data.bundles.recovery import recover_home

        return recover_home(self)

    def record_result(self, path: str | os.PathLike[str], pin: Pin) -> None:
        """Remember that a saved result depends on a version of each of its bundles, so that gc can say what it would orphan."""
        depends_on = [(part.bundle, part.version, part.content_hash) for part in pin.bundles]
        with self.database.write() as connection:
            versions.save_result(connection, str(Path(path).absolute()), depends_on, int(self.clock()))

    def saved_results(self, name: str) -> list[tuple[str, int]]:
        """Return (folder, version) of the saved results that depend on a bundle and are still there."""
        with self._reading(BundleReference.parse(name)) as (connection, found):
            known = versions.results_of(connection, found)
        return [(path, version) for path, version in known if Path(path).exists()]

    # -- failures and end --------------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self, parsed: BundleReference) -> Iterator[tuple[Connection, str]]:
        """Yield a snapshot of the database together with the bundle's name as it was created."""
        self._require_database(parsed)
        with self.database.read(snapshot=True) as connection:
            head = versions.load_head(connection, parsed.name)
            if head is None:
                raise self._bundle_not_found(parsed.name)
            yield connection, head[0]

    def _require_database(self, parsed: BundleReference) -> None:
        if not self.database.exists():
            raise self._bundle_not_found(parsed.name)

    def _bundle_not_found(self, name: str) -> BundleNotFoundError:
        import difflib

        known: list[str] = []
        with suppress(Exception):
            known = [info.name for info in self.list_bundles()]
        similar = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"rustybt ingest csv --path FILE --bundle {name} makes it; rustybt bundle list shows what is there"
        if later_manifests(self.storage, name, 0):
            hint = "its files are here, but the database does not know it: rustybt bundle recover brings it back"
        return BundleNotFoundError(
            f"there is no bundle {name!r} in {self.home}"
            + (f"; did you mean {', '.join(similar)}?" if similar else ""),
            hint=hint,
            bundle=name,
            home=str(self.home),
        )

    def _version_not_found(
        self, parsed: BundleReference, name: str, *, collected: bool = False
    ) -> VersionNotFoundError:
        if not collected and not self.versions(name):
            return VersionNotFoundError(
                f"bundle {name} is in the catalog, and has no bars",
                hint=f"rustybt ingest SOURCE --bundle {name} brings some; rustybt migrate those of an old program",
                bundle=name,
                reference=str(parsed),
            )
        why = "was collected: its files are gone" if collected else "does not exist"
        return VersionNotFoundError(
            f"version {parsed} {why}",
            hint=f"rustybt bundle versions {name} lists them",
            bundle=name,
            reference=str(parsed),
        )

    def close(self) -> None:
        """Close the database's connections."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def bundle(reference: str, *, home: str | os.PathLike[str] | None = None) -> Bundle:
    """Open a bundle of the configured home: ``us``, ``us@3``, ``us@latest``, ``us@TAG`` or ``us@sha256:3f9c``.

    Parameters
    ----------
    home
        Another home than the configured one.

    Raises
    ------
    BundleNotFoundError, VersionNotFoundError
        There is no such bundle or version.
    """
    return BundleStore(home).open(reference)
