"""What must hold of a cache after anything: files, ledger, locks."""

import hashlib
import sqlite3
import time
from pathlib import Path

from filelock import FileLock

from rustybt.config import load_settings
from rustybt.data.bundles.store import BundleStore
from rustybt.data.cache.coverage import Reason
from rustybt.data.sources.cached_source import CachedDataSource
from tests.fault.cache_vendor import EVENING, Vendor, told

RANGE = ("2022-06-01", "2024-06-14")


def cache_of(store, log, **options):
    """Return a cached source as a new process would have it, and the vendor behind it."""
    clock = options.pop("clock", None) or store.clock
    vendor = Vendor(log, clock=clock, delay=options.pop("delay", 0.0))
    return CachedDataSource(vendor, store=store, clock=clock, **options), vendor


def is_uncached_answer(cached, symbols, start=RANGE[0], end=RANGE[1], frequency="1d", now=EVENING):
    request = cached.request(symbols, start, end, frequency)
    return cached.fetch_sync(symbols, start, end, frequency).equals(
        told(symbols, request.start, request.end, frequency, now)
    )


def check_locks_are_free(*folders):
    """Nobody who lives holds any for long: a thread may still store what had arrived when its task was cancelled."""
    for folder in folders:
        for path in Path(folder).rglob("*.lock"):
            with FileLock(path, timeout=10):
                pass


def check_ledger(home, root=None):
    """The database is sound; every interval with bars names a file that is there with the bytes that were written."""
    root = root or home / ".rustybt" / "cache"
    path = home / ".rustybt" / "metadata.sqlite"
    if not path.exists():
        return set()
    with BundleStore(home) as store:
        held = [
            segment
            for item in CachedDataSource(Vendor("/dev/null"), store=store).cache.series()
            for segment in item.segments
        ]
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "cache_files" not in tables:
            return set()
        files = dict(connection.execute("SELECT file_key, sha256 FROM cache_files"))
        sizes = dict(connection.execute("SELECT cache_key, size_bytes FROM bundle_cache"))
    finally:
        connection.close()
    assert sizes.keys() == files.keys()
    for key, digest in files.items():
        data = (root / key).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest
        assert sizes[key] == len(data)
    assert {segment.file_key for segment in held if segment.file_key} <= files.keys()
    assert all(segment.reason is not Reason.FAILED for segment in held)
    return set(files)


def check_strays_are_swept(home):
    """What a crash left behind goes at the next cleaning after the grace period, and nothing else does."""
    root = home / ".rustybt" / "cache"
    settings = load_settings({"bundle.gc_grace_seconds": 0})
    with BundleStore(home, settings=settings, clock=lambda: time.time() + 60) as store:
        cached, _ = cache_of(store, "/dev/null")
        cached.cache.clean(max_size_bytes=10**12)
    known = check_ledger(home)
    assert {p.relative_to(root).as_posix() for p in root.glob("cache-*/*") if p.is_file()} == known
