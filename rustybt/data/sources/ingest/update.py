"""A bundle up to date: ask the sources recorded in it again."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rustybt.data.sources.cached_source import CachedDataSource
from rustybt.data.sources.ingest.ingest import Ingest
from rustybt.data.sources.ingest.stored_series import stored_series
from rustybt.data.sources.registry import get_source, source_from_provenance
from rustybt.errors import MissingDependencyError, NotCoveredError, RequestError, VersionNotFoundError
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.provenance import MIGRATED
from rustybt.market.request import DAY_MICROSECONDS, BarRequest, parse_range, to_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rustybt.data.bundles.records import VersionInfo
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.sources.base import DataSource, Progress
    from rustybt.data.sources.ingest.report import IngestReport
    from rustybt.market.provenance import Provenance

#: How far before the last stored bar an update asks again: vendors correct volumes and prices for some days.
REFRESH_SECONDS = 7 * 86_400.0


@dataclass(slots=True)
class _Share:
    """What one source has to be asked for, at one frequency."""

    provenance: Provenance
    #: Symbol -> the start asked for at first; empty text for all that there is.
    starts: dict[str, str] = field(default_factory=dict)


def update_bundle(
    name: str,
    *,
    store: BundleStore,
    strict: bool = False,
    progress: Progress | None = None,
    refresh_seconds: float = REFRESH_SECONDS,
    overrides: Mapping[str, Any] | None = None,
    use_cache: bool = True,
    offline: bool = False,
    max_stale_seconds: float | None = None,
    clock: Callable[[], float] = time.time,
) -> list[IngestReport]:
    """Bring a bundle up to the last final bar of each symbol.

    A vendor is asked for each symbol from its last stored bar, less a window in which it may have corrected bars; a symbol
    that failed before is asked whole. Each symbol is asked at the source that delivered it last. A local source reads the
    files that are there now: of those only the newest one of each frequency, for files that were read once and superseded
    are history, and stay in the older versions.

    Parameters
    ----------
    refresh_seconds
        Length of the window; a day of it is a session to the cache, which asks for it again at most once per close.
    overrides
        Options for the vendors in place of those recorded, such as ``proxy``.
    use_cache
        Take from the cache of the home what it has, and keep what comes.
    offline, max_stale_seconds
        As for `CachedDataSource`.
    clock
        Unix seconds.

    Returns
    -------
    list of IngestReport
        One a source and frequency, the most recently ingested first; `unchanged` where there was nothing new.

    Raises
    ------
    RequestError
        A source cannot be asked again: bars of a DataFrame live in memory only, or the bundle was imported.
    SourceError
        The source did not deliver; what was updated before stays.
    """
    reports = []
    seen: set[str] = set()
    versions = store.versions(name)
    if not versions:
        raise VersionNotFoundError(
            f"bundle {name} is in the catalog, and has no bars to bring up to date",
            hint=f"rustybt ingest SOURCE --bundle {name} brings some",
            bundle=name,
        )
    for share in _shares(versions):
        provenance = share.provenance
        is_newest = provenance.frequency not in seen
        seen.add(provenance.frequency)
        try:
            source = _source(name, provenance, {})
        except RequestError as error:
            if is_newest or isinstance(error, MissingDependencyError):
                raise
            continue  # bars of a frame that is gone: what came after them is brought up to date
        try:
            probe = BarRequest(tuple(sorted(share.starts)), None, None, FREQUENCIES[provenance.frequency])
            if source.answers(probe) is None:
                if is_newest:
                    reports.append(_read_again(name, source, provenance, store, strict=strict, progress=progress))
                continue
            if overrides:
                source.close()
                source = _source(name, provenance, overrides)
            if use_cache and source.wants_cache():
                source = CachedDataSource(
                    source,
                    store=store,
                    offline=offline,
                    max_stale_seconds=max_stale_seconds,
                    revision_sessions=math.ceil(refresh_seconds / 86_400),
                )
            request, starts, notes = _since_last(name, source, share, store, refresh_seconds)
            ingest = Ingest(
                source, request, strict=strict, progress=progress, starts=starts, is_update=True, clock=clock
            )
            reports.append(ingest.into(name, store).with_notes(notes))
        finally:
            source.close()
    return reports


def _shares(versions: Sequence[VersionInfo]) -> list[_Share]:
    """Return who is asked for what: each symbol at the source that delivered it last, else the one last asked for it."""
    shares: dict[tuple[str, str, str], _Share] = {}
    owned: set[tuple[str, str]] = set()
    newest_first = sorted(versions, key=lambda info: -info.version)
    for info in newest_first:
        _share_of(shares, info.provenance)
        delivered = info.quality.symbols if info.quality is not None else {}
        _take(shares, owned, info.provenance, [symbol for symbol in info.provenance.symbols if symbol in delivered])
    for info in newest_first:
        _take(shares, owned, info.provenance, info.provenance.symbols)
    # The first ingest of a symbol says from where it was wanted; later ones were updates, or asked for more.
    for info in newest_first:
        share = _share_of(shares, info.provenance)
        for symbol in share.starts.keys() & set(info.provenance.symbols):
            share.starts[symbol] = min(share.starts[symbol], info.provenance.start)
    newest = {share.provenance.frequency: share for share in reversed(shares.values())}
    return [
        share
        for share in shares.values()
        if share.starts or not share.provenance.symbols or share is newest[share.provenance.frequency]
    ]


def _share_of(shares: dict[tuple[str, str, str], _Share], provenance: Provenance) -> _Share:
    options = json.dumps(dict(provenance.options), sort_keys=True, default=str)
    return shares.setdefault((provenance.source_type, options, provenance.frequency), _Share(provenance))


def _take(
    shares: dict[tuple[str, str, str], _Share],
    owned: set[tuple[str, str]],
    provenance: Provenance,
    symbols: Iterable[str],
) -> None:
    for symbol in symbols:
        if (symbol, provenance.frequency) not in owned:
            owned.add((symbol, provenance.frequency))
            _share_of(shares, provenance).starts[symbol] = provenance.start


def _source(name: str, provenance: Provenance, overrides: Mapping[str, Any]) -> DataSource:
    if provenance.source_type == MIGRATED:
        before = provenance.options.get("source") or "SOURCE"
        raise RequestError(
            f"the bars of bundle {name} came over from an old program, which did not say how it asked for them",
            hint=f"rustybt ingest {before} --bundle NEW with the same symbols makes a bundle that can be updated",
            bundle=name,
        )
    try:
        if overrides:
            return get_source(provenance.source_type, **{**provenance.options, **overrides})
        return source_from_provenance(provenance)
    except RequestError as error:
        raise type(error)(
            f"bundle {name} cannot be updated from {provenance.source_type!r}: {error.message}",
            hint=error.hint or f"ingest the new bars: rustybt ingest SOURCE --bundle {name}",
            bundle=name,
        ) from error


def _read_again(
    name: str,
    source: DataSource,
    provenance: Provenance,
    store: BundleStore,
    *,
    strict: bool,
    progress: Progress | None,
) -> IngestReport:
    return source.ingest_to_bundle(
        name,
        list(provenance.symbols) or None,
        provenance.start or None,
        None,
        provenance.frequency,
        store=store,
        strict=strict,
        progress=progress,
    )


def _since_last(
    name: str, source: DataSource, share: _Share, store: BundleStore, refresh_seconds: float
) -> tuple[BarRequest, dict[str, int], list[str]]:
    """Return the request, where each symbol begins, and what is worth a note."""
    frequency = FREQUENCIES[share.provenance.frequency]
    with stored_series(store, name) as stored:
        spans = dict(stored.spans(frequency.name))
    wanted = {symbol: parse_range(start or None, None, frequency)[0] for symbol, start in share.starts.items()}
    # A source that was asked for all of its symbols is asked for those that it delivered.
    symbols = tuple(sorted(wanted)) or tuple(sorted(spans))
    window = int(max(refresh_seconds, frequency.seconds) * 1_000_000)
    window += -window % DAY_MICROSECONDS
    begin = {
        symbol: spans[symbol][1] - spans[symbol][1] % DAY_MICROSECONDS - window for symbol in symbols if symbol in spans
    }
    begin = {symbol: max(start, spans[symbol][0]) for symbol, start in begin.items()}
    firsts = [start for symbol in symbols if (start := wanted.get(symbol)) is not None]
    asked = BarRequest(symbols, min(firsts, default=None), None, frequency)
    deepest = _deepest(source, asked)
    notes: list[str] = []
    if deepest is not None:
        late = [symbol for symbol, start in begin.items() if spans[symbol][1] < deepest]
        if late:
            notes.append(
                f"{source.name} keeps {frequency} bars from {to_date(deepest)} on only: what lies between the last stored bar "
                f"and that day cannot be had any more for {', '.join(late[:5])}{' ...' if len(late) > 5 else ''}"
            )
        begin = {symbol: max(start, deepest) for symbol, start in begin.items()}
        asked = BarRequest(symbols, deepest, None, frequency)
    for symbol in symbols:
        start = wanted.get(symbol)
        if symbol not in begin and start is not None and asked.start is not None and start > asked.start:
            begin[symbol] = start
    return asked, begin, notes


def _deepest(source: DataSource, asked: BarRequest) -> int | None:
    """Return the first instant that the vendor keeps where it lies after the start asked for, else None."""
    try:
        source.resolve(asked)
    except NotCoveredError:
        return source.resolve(BarRequest(asked.symbols, None, None, asked.frequency)).start
    return None
