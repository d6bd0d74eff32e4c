"""When the tail of a series has to be asked for again."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from rustybt.config import parse_duration, parse_freshness
from rustybt.config.sources import source_name
from rustybt.errors import RequestError
from rustybt.market.calendars import ALWAYS_OPEN
from rustybt.market.frequency import FREQUENCIES, Frequency

if TYPE_CHECKING:
    from rustybt.config import Settings
    from rustybt.data.cache.schedule import Schedule

#: A fetch that lies further in the future than this was stamped by a clock that has been set back since.
CLOCK_TOLERANCE_SECONDS = 60.0

#: Whose bars lie on this machine.
LOCAL_SOURCES = ("csv", "csvdir", "quandl", "registered", "frame", "bundle")
_SHORTEST_TTL_SECONDS, _LONGEST_TTL_SECONDS = 300.0, 3_600.0


class FreshnessPolicy(ABC):
    """When the tail of a series, fetched at some time, has to be asked for again.

    Policies are values: equal ones compare equal, and `parse_policy` reads the text that `str` gives.
    """

    __slots__ = ()

    #: Nothing cached is served, however old it is.
    rereads_all: ClassVar[bool] = False
    #: What was answered once stays, also a bar that was not final and a range that was empty.
    is_final_forever: ClassVar[bool] = False

    @abstractmethod
    def next_refresh_time(self, fetched_at: float, schedule: Schedule) -> float:
        """Return when what was fetched at `fetched_at` has to be asked for again.

        Returns
        -------
        float
            Unix seconds, as `fetched_at`; inf for never, and what is not after `fetched_at` for at once.
        """

    def is_fresh(self, fetched_at: float, now: float, schedule: Schedule) -> bool:
        """Return whether what was fetched at `fetched_at` need not be asked for at `now`, both Unix seconds.

        What was fetched more than a minute after `now` is never fresh: the clock has been set back since.
        """
        return fetched_at <= now + CLOCK_TOLERANCE_SECONDS and now < self.next_refresh_time(fetched_at, schedule)


@dataclass(frozen=True, slots=True)
class MarketClose(FreshnessPolicy):
    """Fresh until the bars of the next session to close are settled."""

    def next_refresh_time(self, fetched_at: float, schedule: Schedule) -> float:
        """Return the next close plus the settlement delay after `fetched_at`."""
        return schedule.next_close(fetched_at)

    def __str__(self) -> str:
        return "market_close"


@dataclass(frozen=True, slots=True)
class _Lasting(FreshnessPolicy):
    seconds: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise RequestError(f"fresh for {self.seconds} s is not possible", hint="0 is at once; 3600 is an hour")


@dataclass(frozen=True, slots=True)
class TTL(_Lasting):
    """Fresh for so long, whatever the market does.

    Parameters
    ----------
    seconds
        From 0 on.

    Raises
    ------
    RequestError
        `seconds` is negative or not finite.
    """

    def next_refresh_time(self, fetched_at: float, schedule: Schedule) -> float:
        """Return `seconds` after `fetched_at`."""
        del schedule
        return fetched_at + self.seconds

    def __str__(self) -> str:
        return f"ttl:{_duration_text(self.seconds)}"


@dataclass(frozen=True, slots=True)
class Hybrid(_Lasting):
    """Fresh for so long while the market trades; what was fetched after a close stays fresh over the closed time.

    It ends when the first bar of the next session can be there.

    Parameters
    ----------
    seconds
        As for `TTL`.
    """

    def next_refresh_time(self, fetched_at: float, schedule: Schedule) -> float:
        """Return `seconds` after `fetched_at`, or when the next session's first bar is settled if nothing comes before."""
        quiet_until = schedule.quiet_until(fetched_at)
        return quiet_until if quiet_until > fetched_at else fetched_at + self.seconds

    def __str__(self) -> str:
        return f"hybrid:{_duration_text(self.seconds)}"


@dataclass(frozen=True, slots=True)
class NeverStale(FreshnessPolicy):
    """Fresh for ever: what was answered once is not asked for again."""

    is_final_forever: ClassVar[bool] = True

    def next_refresh_time(self, fetched_at: float, schedule: Schedule) -> float:
        """Return inf."""
        del fetched_at, schedule
        return math.inf

    def __str__(self) -> str:
        return "never"


@dataclass(frozen=True, slots=True)
class AlwaysStale(FreshnessPolicy):
    """Never fresh: everything is asked for each time."""

    rereads_all: ClassVar[bool] = True

    def next_refresh_time(self, fetched_at: float, schedule: Schedule) -> float:
        """Return -inf."""
        del fetched_at, schedule
        return -math.inf

    def __str__(self) -> str:
        return "always"


def parse_policy(text: str) -> FreshnessPolicy:
    """Return the policy that `text` spells: market_close, ttl:1h, hybrid:5m, never or always.

    Raises
    ------
    RequestError
        It spells none.
    """
    name, _, duration = parse_freshness(text).partition(":")
    if name in ("ttl", "hybrid"):
        seconds = parse_duration(duration)
        return TTL(seconds) if name == "ttl" else Hybrid(seconds)
    named: tuple[FreshnessPolicy, ...] = (MarketClose(), NeverStale(), AlwaysStale())
    return {str(policy): policy for policy in named}[name]


def default_policy(source: str, frequency: Frequency, calendar_name: str) -> FreshnessPolicy:
    """Return the policy of a source for which none is set.

    Files and bundles are never stale. Else, where the market never closes, a bar's own length, at least 5 minutes and at
    most an hour; where it does, the close for daily and longer bars, and for shorter ones as long, while it trades.
    """
    if source_name(source) in LOCAL_SOURCES:
        return NeverStale()
    if FREQUENCIES.get(frequency.name) != frequency:
        return AlwaysStale()
    seconds = min(max(float(frequency.seconds), _SHORTEST_TTL_SECONDS), _LONGEST_TTL_SECONDS)
    if calendar_name == ALWAYS_OPEN:
        return TTL(seconds)
    return Hybrid(seconds) if frequency.is_intraday else MarketClose()


def policy_for(settings: Settings, source: str, frequency: Frequency, calendar_name: str) -> FreshnessPolicy:
    """Return the policy in force: what is set, the source's own before any source's, else `default_policy`.

    The source's setting for the frequency wins, then that for all its frequencies, then that of the frequency for any source.
    """
    own = settings.sources.get(source_name(source), {})
    found = own.get(f"freshness_{frequency.name}") or own.get("freshness")
    if found is None and frequency.name in FREQUENCIES:
        found = settings[f"cache.freshness.{frequency.name}"]
    return default_policy(source, frequency, calendar_name) if found is None else parse_policy(found)


def _duration_text(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{int(seconds) // length}{unit}"
    return f"{Decimal(repr(float(seconds))).normalize():f}s"
