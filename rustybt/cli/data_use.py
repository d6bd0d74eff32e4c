"""Where the bars of a command came from: the cache or the vendor, and with how many requests."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from rustybt.cli.bundle_facts import counted
from rustybt.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustybt.data.bundles.counted import CacheUse


@dataclass(frozen=True, slots=True)
class DataUse:
    """What a run took from where.

    Parameters
    ----------
    source
        Name of the source.
    bars_cached, bars_fetched
        Bars served from the cache, and by the source itself; a bar that was asked for twice counts twice.
    requests, requests_saved
        HTTP requests that were sent; and how many more it would have been without the cache.
    stale_served
        Answers that hold bars out of date, because --max-stale or --offline allowed it.
    is_cached
        Whether the cache was used at all.
    """

    source: str
    bars_cached: int = 0
    bars_fetched: int = 0
    requests: int = 0
    requests_saved: int = 0
    stale_served: int = 0
    is_cached: bool = False

    def sentence(self) -> str:
        """Return it in words: ``5,032 bars from the cache, 0 requests``."""
        requests = counted(self.requests, "request")
        if not self.is_cached:
            asked = f", {requests}" if self.requests else ""
            return f"{counted(self.bars_fetched, 'bar')} from {self.source}{asked}"
        fetched = f", {self.bars_fetched:,} from {self.source}" if self.bars_fetched else ""
        saved = f" ({self.requests_saved:,} saved)" if self.requests_saved else ""
        stale = "; some are out of date, as was allowed" if self.stale_served else ""
        return f"{counted(self.bars_cached, 'bar')} from the cache{fetched}, {requests}{saved}{stale}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


class WatchedSource:
    """A source as a run asks it, which keeps count of where the bars came from.

    Parameters
    ----------
    source
        A source, or one behind the cache.
    progress
        Told how far a fetch is.

    Attributes
    ----------
    asked
        All symbols that were asked for, the earliest start and the latest end; None is an open side.
    """

    def __init__(self, source: Any, progress: Any = None) -> None:
        self._source = source
        self._progress = progress
        from rustybt.data.sources import CachedDataSource

        is_cached = isinstance(source, CachedDataSource)
        self._adapter = source.adapter if is_cached else source
        self._requests_before = int(self._adapter.requests_made)
        self._use = DataUse(source=str(self._adapter.name), is_cached=is_cached)

        self.asked: tuple[list[str], Any, Any] = ([], None, None)

    def fetch_sync(self, symbols: Sequence[str], start: Any, end: Any, frequency: str) -> Any:
        """Return the bars that the source has."""
        return self.fetch_with_events(symbols, start, end, frequency).bars

    def fetch_with_events(self, symbols: Sequence[str], start: Any, end: Any, frequency: str) -> Any:
        """Return the bars and events that the source has."""
        delivery = self._source.fetch_with_events(symbols, start, end, frequency, self._progress)
        names, first, _ = self.asked
        earliest = start if not names or start is None else first if first is None else min(first, start)
        self.asked = (list(dict.fromkeys([*names, *symbols])), earliest, end)
        if not self._use.is_cached:
            self._use = replace(self._use, bars_fetched=self._use.bars_fetched + delivery.bars.height)
        return delivery

    def calendar_name(self) -> str | None:
        """Return the trading calendar that was chosen with the source, None for none."""
        found: str | None = self._source.calendar_name()
        return found

    def list_symbols(self) -> list[str]:
        """Return the symbols that the source can list."""
        return list(self._source.list_symbols())

    @property
    def options(self) -> dict[str, Any]:
        """The options with which the source can be made again."""
        return dict(self._adapter.options())

    @property
    def use(self) -> DataUse:
        """What was taken so far."""
        taken = self._source.take_use() if self._use.is_cached else None
        if taken is not None:
            self._use = replace(
                self._use,
                bars_cached=self._use.bars_cached + taken.rows_cached,
                bars_fetched=self._use.bars_fetched + taken.rows_fetched,
                requests_saved=self._use.requests_saved + taken.requests_saved,
                stale_served=self._use.stale_served + taken.stale_served,
            )
        return replace(self._use, requests=int(self._adapter.requests_made) - self._requests_before)


def use_sentence(use: CacheUse) -> str:
    """Return how an ingest was answered: ``1,004 of 1,004 bars covered, 0 requests (4 saved)``."""
    bars = use.rows_cached + use.rows_fetched
    saved = f" ({use.requests_saved:,} saved)" if use.requests_saved else ""
    covered = f"{use.rows_cached:,} of {counted(bars, 'bar')} covered"
    return f"{covered}, {counted(use.requests_made, 'request')}{saved}"


def missing_lines(error: BaseException, most: int) -> list[str]:
    """Return what an answer lacks, one symbol a line, at most so many; nothing where the message names them all itself."""
    if not isinstance(error, SourceError):
        return []
    missing = error.details.get("missing")
    if not isinstance(missing, dict) or all(f" {symbol} " in error.message for symbol in missing):
        return []
    lines = [f"{symbol}: {', '.join(map(_stretch, stretches))}" for symbol, stretches in sorted(missing.items())]
    hidden = len(lines) - most
    return [*lines[:most], *([f"{hidden:,} more symbols; --json lists them"] if hidden > 0 else [])]


def _stretch(ends: Sequence[str]) -> str:
    from rustybt.data.sources.caching.missing import stretch_words

    first, last = ends
    return stretch_words(first, last)
