"""One copy of the bytes that a bundle and the cache both hold: a second name of the bundle's file, by a hard link.

Either side deletes its own name; the bytes live as long as one of them. Where the file system has no links, or the cache lies on
another one, both keep their copy.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from rustybt.data.bundles.cache_store.dataset import Written
from rustybt.data.bundles.cache_store.file_keys import keyed
from rustybt.data.bundles.cache_store.reading import inside_ranges
from rustybt.data.bundles.metadata_store import cache as sql
from rustybt.errors import RustybtError
from rustybt.logging import get_logger
from rustybt.market.bars import spans_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.bundles.cache_store.dataset import CachedDataset
    from rustybt.data.bundles.records import FileRecord
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.cache.coverage import Segment

logger = get_logger(__name__)

#: Less than that is not worth comparing.
LEAST_BYTES = 256 * 1024


def share_with_bundle(
    dataset: CachedDataset, store: BundleStore, bundle: Bundle, symbols: Sequence[str], frequency: str
) -> int:
    """Let the cache refer to a bundle's files where they hold the very same bars; return the bytes that were freed.

    Only files of the cache all of whose bars the bundle has, digit for digit, give way.
    """
    dataset.ledger.refresh()
    with store.database.read() as connection:
        shared = set(sql.shared_files(connection, dataset.name))
    wanted = set(symbols)
    needed: dict[str, dict[str, list[Segment]]] = {}
    strangers: set[str] = set()
    for symbol, series in dataset.ledger.series(dataset.ledger.symbols).items():
        for segment in series.segments:
            key = segment.file_key
            if not key or key in shared:
                continue
            if symbol not in wanted:
                strangers.add(key)
            needed.setdefault(key, {}).setdefault(symbol, []).append(segment)
    old = [key for key in needed if key not in strangers]
    size = sum(dataset.ledger.files[key].size_bytes for key in old if key in dataset.ledger.files)
    if size < LEAST_BYTES:
        return 0
    pieces: dict[str, list[Segment]] = {}
    for key in old:
        for symbol, segments in needed[key].items():
            pieces.setdefault(symbol, []).extend(segments)
    mine = dataset.read(pieces, is_use=False)
    spans = {symbol: (first, last) for symbol, first, last in spans_of(mine)}
    records = [record for record in bundle.files if record.kind == "bars" and record.frequency == frequency]
    theirs = bundle.read(sorted(spans), frequency=frequency)
    # A bar that only the bundle has would become an answer of the cache.
    ranges = [(symbol, segment.start, segment.end) for symbol, found in pieces.items() for segment in found]
    if not mine.equals(inside_ranges(theirs, ranges)):
        return 0
    written, links = _link(dataset, store, records, spans)
    if not written:
        return 0
    dataset.replace_files(old, written, links)
    logger.debug("cache_shares_bundle", dataset=dataset.name, bundle=bundle.reference, freed_bytes=size)
    return size


def _link(
    dataset: CachedDataset, store: BundleStore, records: Sequence[FileRecord], spans: dict[str, tuple[int, int]]
) -> tuple[list[Written], dict[str, str]]:
    """Give the bundle's files a second name in the cache; nothing at all where one of them cannot have it."""
    written: list[Written] = []
    links: dict[str, str] = {}
    for record in records:
        held = {s: span for s, span in spans.items() if record.first_symbol <= s <= record.last_symbol}
        source = store.storage.local_path(record.file_key)
        if not held or source is None:
            continue
        linked = keyed(dataset.name, replace(record, frequency="", partition=""))
        target = dataset.place.storage.path(linked.file_key)
        written.append(Written(linked, held))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target)
            # Which of the symbols it really holds, and from when to when, only its rows say.
            rows = dataset.rows_of(linked, sorted(held))
        except (OSError, RustybtError):
            dataset.discard(written)
            return [], {}
        except BaseException:
            dataset.discard(written)
            raise
        written[-1] = Written(linked, {symbol: (first, last) for symbol, first, last in spans_of(rows)})
        links[linked.file_key] = record.file_key
    if _overlap(written):
        dataset.discard(written)
        return [], {}
    return written, links


def _overlap(written: Sequence[Written]) -> bool:
    """Return whether bars of one symbol lie interleaved in several files: a segment names one file for one stretch."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for item in written:
        for symbol, span in item.spans.items():
            spans.setdefault(symbol, []).append(span)
    return any(
        later[0] <= earlier[1] for found in spans.values() for earlier, later in itertools.pairwise(sorted(found))
    )
