"""What a bundle holds already of the symbols that are fetched again."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from rustybt.errors import BundleNotFoundError, VersionNotFoundError
from rustybt.market.bars import empty_bars
from rustybt.market.corporate_actions import in_force

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.bundles.store import BundleStore
    from rustybt.market.corporate_actions import CorporateAction

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StoredSeries:
    """A view of the newest version of a bundle; of a bundle that is not there yet it is empty."""

    def __init__(self, bundle: Bundle | None) -> None:
        self._bundle = bundle
        self._spans: dict[str, dict[str, tuple[int, int]]] = {}

    @property
    def frequencies(self) -> tuple[str, ...]:
        """Frequencies of the stored bars."""
        return self._bundle.frequencies if self._bundle is not None else ()

    @property
    def calendar_name(self) -> str | None:
        """Calendar of the bundle, None where there is no bundle."""
        return None if self._bundle is None else self._bundle.calendar_name

    def spans(self, frequency: str) -> dict[str, tuple[int, int]]:
        """Return symbol -> first and last timestamp of its bars, microseconds UTC."""
        if self._bundle is None or frequency not in self.frequencies:
            return {}
        if frequency not in self._spans:
            rows = self._bundle.series(frequency).select("symbol", "first", "last").rows()
            self._spans[frequency] = {symbol: (first, last) for symbol, first, last in rows}
        return self._spans[frequency]

    def basis(self, symbol: str, frequency: str) -> str | None:
        """Return how stored prices are made, None if there are none."""
        record = self._bundle.description.assets.get(symbol) if self._bundle is not None else None
        return None if record is None else record.price_basis.get(frequency)

    @cached_property
    def _fetched(self) -> dict[tuple[str, str], int]:
        if self._bundle is None:
            return {}
        rows = self._bundle.coverage().group_by("symbol", "frequency").agg(pl.col("fetched_at").max()).rows()
        return {(symbol, frequency): int(at.timestamp()) for symbol, frequency, at in rows}

    def fetched_at(self, symbol: str, frequency: str) -> int | None:
        """Return when the newest of its bars were fetched, Unix seconds; None where nobody noted it."""
        return self._fetched.get((symbol, frequency))

    @cached_property
    def _events(self) -> dict[str, list[CorporateAction]]:
        found: dict[str, list[CorporateAction]] = defaultdict(list)
        for event in [] if self._bundle is None else in_force(list(self._bundle.description.actions)):
            found[event.symbol].append(event)
        return dict(found)

    def events_of(self, symbol: str) -> list[CorporateAction]:
        """Return the known events of a symbol that hold, by ex-date."""
        return self._events.get(symbol, [])

    def bars(self, symbols: Sequence[str], frequency: str, start: int | None, end: int | None) -> pl.DataFrame:
        """Return stored bars of those `symbols` that have any, from `start` to `end`, both included, microseconds UTC."""
        known = [symbol for symbol in symbols if symbol in self.spans(frequency)]
        if self._bundle is None or not known:
            return empty_bars()
        found = self._bundle.read(known, frequency=frequency) if start is None and end is None else None
        if found is not None:
            return found
        first, last = (None if at is None else _EPOCH + timedelta(microseconds=at) for at in (start, end))
        return self._bundle.read(known, first, last, frequency=frequency)


@contextmanager
def stored_series(store: BundleStore, name: str) -> Iterator[StoredSeries]:
    """Open the newest version of a bundle, where there is one."""
    try:
        bundle = store.open(name)
    except (BundleNotFoundError, VersionNotFoundError):
        yield StoredSeries(None)
        return
    with bundle:
        yield StoredSeries(bundle)
