"""What all requests to one cached source share: the source, its datasets, the clock and the rules."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rustybt.data.cache.freshness import policy_for
from rustybt.data.cache.plan import Terms
from rustybt.data.cache.series import SeriesFacts
from rustybt.data.sources.caching.filling import schedule_of
from rustybt.data.sources.caching.identity import dataset_row
from rustybt.market.calendars import canonical_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustybt.data.bundles.cache_store import CachedDataset, CacheStore
    from rustybt.data.cache.freshness import FreshnessPolicy
    from rustybt.data.cache.schedule import Schedule
    from rustybt.data.sources.base import DataSource
    from rustybt.market.frequency import Frequency


@dataclass(slots=True)
class CacheAccess:
    """One source and its place in one cache.

    Parameters
    ----------
    policy
        In place of what the settings say; None for these.
    offline
        Nothing is asked for.
    max_stale_seconds
        What is stale up to this age is served without asking; None asks.
    revision_sessions
        How many sessions before the tail are asked for again with it; None is the configured number.
    clock
        Unix seconds.
    """

    source: DataSource
    store: CacheStore
    clock: Callable[[], float]
    policy: FreshnessPolicy | None = None
    offline: bool = False
    max_stale_seconds: float | None = None
    revision_sessions: int | None = None
    #: Symbol -> Unix seconds: what was fetched before is not served.
    newer_than: dict[str, float] = field(default_factory=dict)
    _datasets: dict[str, CachedDataset] = field(default_factory=dict)
    _schedules: dict[tuple[object, ...], Schedule] = field(default_factory=dict)
    _policies: dict[tuple[str, str], FreshnessPolicy] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)
    _requests_counted: int = 0
    #: Of one moment: most series of a request are planned alike.
    _terms: tuple[float, dict[tuple[object, ...], Terms]] = field(default_factory=lambda: (math.nan, {}))

    def __post_init__(self) -> None:
        self._requests_counted = self.source.requests_made

    def dataset(self, frequency: Frequency) -> CachedDataset:
        """Return the dataset of a frequency; the same object each time, for it remembers what is covered."""
        with self._mutex:
            found = self._datasets.get(frequency.name)
            if found is None:
                found = self.store.dataset(dataset_row(self.source, frequency, self.store.place))
                self._datasets[frequency.name] = found
            return found

    @property
    def settlement_seconds(self) -> float:
        """How long after its close a bar of the source may still change."""
        limits = self.source.limits()
        return 0.0 if limits is None else limits.settlement_delay_seconds

    @property
    def calendar_name(self) -> str | None:
        """The calendar that the source names, by its canonical name; None where it names none."""
        name = self.source.calendar_name()
        return None if name is None else canonical_name(name)

    def terms(self, facts: SeriesFacts | None, frequency: Frequency, now: float) -> Terms:
        """Return what a series is planned by."""
        told = facts or SeriesFacts()
        key = (_calendar_key(told), facts is None, frequency.name)
        known_now, known = self._terms
        if known_now != now:
            known = {}
            self._terms = (now, known)
        found = known.get(key)
        if found is None:
            found = known[key] = self._make_terms(facts, frequency, now)
        return found

    def _make_terms(self, facts: SeriesFacts | None, frequency: Frequency, now: float) -> Terms:
        schedule = self.schedule(facts or SeriesFacts(), frequency)
        settings = self.store.settings
        return Terms(
            now=now,
            policy=self.policy_of(frequency, schedule.calendar_name),
            schedule=schedule,
            empty_expiry_seconds=settings.cache_empty_expiry_seconds,
            revision_sessions=(
                settings.cache_revision_sessions if self.revision_sessions is None else self.revision_sessions
            ),
            max_stale_seconds=self.max_stale_seconds,
            gap_schedule=self._gap_schedule(facts, frequency),
        )

    def schedule(self, facts: SeriesFacts, frequency: Frequency) -> Schedule:
        """Return when bars of a series are due."""
        key = (_calendar_key(facts), frequency.name)
        found = self._schedules.get(key)
        if found is None:
            found = self._schedules[key] = schedule_of(facts, frequency, self.settlement_seconds, self.calendar_name)
        return found

    def _gap_schedule(self, facts: SeriesFacts | None, frequency: Frequency) -> Schedule | None:
        """Return when bars of an unknown stretch are due: of a series whose calendar nobody told, on any day."""
        if facts is None or facts.attributes is not None or self.source.calendar_name() is not None:
            return None
        return self.schedule(replace(facts, hours="always"), frequency)

    def policy_of(self, frequency: Frequency, calendar_name: str) -> FreshnessPolicy:
        """Return the freshness policy of a frequency."""
        if self.policy is not None:
            return self.policy
        key = (frequency.name, calendar_name)
        found = self._policies.get(key)
        if found is None:
            name = "csv" if self.source.is_local else self.source.name
            found = self._policies[key] = policy_for(self.store.settings, name, frequency, calendar_name)
        return found

    def count_requests(self) -> int:
        """Return how many requests the source has made that were not counted yet; each is counted once."""
        with self._mutex:
            made = self.source.requests_made
            new = made - self._requests_counted
            self._requests_counted = made
            return max(0, new)


def _calendar_key(facts: SeriesFacts) -> tuple[object, ...]:
    """Return what of a series decides about its sessions."""
    attributes = facts.attributes
    return (None if attributes is None else (attributes.venue, attributes.asset_type), facts.hours)
