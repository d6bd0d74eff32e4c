"""What an ingest would read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.data.sources.vendor.range import widened_range
from rustybt.market.calendars import calendar_for, get_calendar
from rustybt.market.provenance import FrozenRecord
from rustybt.market.request import to_date
from rustybt.market.trading_calendar import period_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rustybt.data.adapters.limits import VendorLimits
    from rustybt.data.sources.base import DataSource
    from rustybt.data.sources.vendor.source import VendorDataSource
    from rustybt.market.frequency import Frequency
    from rustybt.market.request import BarRequest

    #: Answers (start, end, frequency, bars, symbols) with how many requests those take, see `BaseDataAdapter.pages`.
    Pages = Callable[[int, int, Frequency, int, int], int]

#: A bar as vendors print it: a date or number of seconds and five numbers in JSON.
_BYTES_PER_ROW = 80
#: What a vendor takes for one answer, roughly.
_LATENCY_SECONDS = 0.3
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class IngestPlan(FrozenRecord):
    """The request as it was understood.

    Parameters
    ----------
    start, end
        ISO text, both included; empty when open.
    files
        Local files that would be read.
    failures
        Symbols that are known to fail already, with the reason.
    columns
        Which column of the first file is read as what.
    notes
        What is worth knowing before.
    requests, rows, seconds
        Estimates for a vendor: what it will be asked, how many bars there may be, and how long that takes under its
        limits; None for local files. `size_bytes` is then about what comes over the line.
    limits
        The vendor's limits in words.
    covered
        Symbols for which nothing would be asked, as the cache has them; None where no cache was looked at.
    """

    source: str
    source_url: str
    symbols: tuple[str, ...]
    start: str
    end: str
    frequency: str
    files: tuple[str, ...] = ()
    size_bytes: int = 0
    failures: tuple[tuple[str, str], ...] = ()
    columns: str = ""
    notes: tuple[str, ...] = ()
    requests: int | None = None
    rows: int | None = None
    seconds: float | None = None
    limits: str = ""
    covered: tuple[str, ...] | None = None

    @classmethod
    def of_vendor(
        cls, source: VendorDataSource, request: BarRequest, symbols: tuple[str, ...], native: Frequency
    ) -> IngestPlan:
        """Return the plan of a resolved request to a vendor, estimated without asking it.

        Parameters
        ----------
        native
            Frequency that the vendor is asked for.
        """
        limits = source.adapter.limits
        found = estimate(replace(request, symbols=symbols), native, limits, source.adapter.pages)
        notes = list(limits.notes)
        if native != request.frequency:
            notes.append(f"{request.frequency} bars are made of {native} bars")
        return cls.of(
            source,
            request,
            symbols,
            size_bytes=found.rows_asked * _BYTES_PER_ROW,
            notes=tuple(notes),
            requests=found.requests,
            rows=found.rows,
            seconds=round(found.seconds, 1),
            limits=limits_text(limits, native),
        )

    @classmethod
    def of(cls, source: DataSource, request: BarRequest, symbols: tuple[str, ...], **more: Any) -> IngestPlan:
        """Return the plan of a request."""
        metadata = source.get_metadata()
        return cls(
            source=source.name,
            source_url=metadata.source_url,
            symbols=symbols,
            start=request.start_text,
            end=request.end_text,
            frequency=request.frequency.name,
            **more,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            **dict(self),
            "symbols": list(self.symbols),
            "files": list(self.files),
            "failures": dict(self.failures),
            "notes": list(self.notes),
            "covered": None if self.covered is None else list(self.covered),
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a request costs; `rows_asked` counts the vendor's own bars, `rows` those that are made of them."""

    requests: int
    rows: int
    rows_asked: int
    seconds: float


def estimate(
    request: BarRequest,
    native: Frequency,
    limits: VendorLimits,
    pages: Pages,
    *,
    latency_seconds: float = _LATENCY_SECONDS,
) -> Estimate:
    """Return what a request costs by the calendar, taking every symbol to be listed for all of the range; no network.

    Pairs such as BTC/USDT trade every day, other symbols on the sessions of New York. The time is that of the vendor's
    limit or that of its answers, whichever is longer.

    Parameters
    ----------
    request
        With symbols and both sides closed.
    pages
        Requests that the bars due from a start to an end take, see `BaseDataAdapter.pages`.
    """
    start, end = request.start or 0, request.end or 0
    calendars = Counter(map(_calendar_of, request.symbols))
    rows = sum(count * bars_due(name, start, end, request.frequency) for name, count in calendars.items())
    first, last = widened_range(request.frequency, native, start, end)
    asked = sum(count * bars_due(name, first, last, native) for name, count in calendars.items())
    requests = requests_due(calendars, start, end, request.frequency, native, limits, pages)
    seconds = requests * latency_seconds / max(1, limits.parallel_requests)
    if limits.requests_per_minute:
        # So many are free at once, then as many again a minute later.
        seconds = max(seconds, (-(-requests // max(1.0, limits.requests_per_minute)) - 1) * 60.0)
    if limits.requests_per_day:
        seconds = max(seconds, (-(-requests // limits.requests_per_day) - 1) * _DAY_SECONDS)
    return Estimate(requests, rows, asked, seconds)


def requests_due(
    calendars: Mapping[str, int],
    start: int,
    end: int,
    wanted: Frequency,
    native: Frequency,
    limits: VendorLimits,
    pages: Pages,
) -> int:
    """Return how many requests take bars from `start` to `end`, microseconds UTC, both included; no network.

    Parameters
    ----------
    calendars
        Calendar -> how many symbols trade by it.
    wanted, native
        Frequency of the bars, and the one that the vendor is asked for.
    """
    first, last = widened_range(wanted, native, start, end)
    requests = limits.requests_per_symbol * sum(calendars.values())
    for name, count in calendars.items():
        bars = bars_due(name, first, last, native)
        requests += sum(pages(first, last, native, bars * n, n) for n in _units(count, limits.symbols_per_request))
    return requests


def bars_due(calendar_name: str, start: int, end: int, frequency: Frequency) -> int:
    """Return how many bars a calendar has from `start` to `end`, microseconds UTC, both included."""
    first, last = to_date(start), to_date(end)
    calendar = get_calendar(calendar_name, first, last)
    if frequency.is_intraday:
        # Counted, not listed: ten years of minutes are a million labels.
        opens, closes = calendar.stretches()
        step = frequency.microseconds
        before = np.maximum(-((opens - start) // step), 0)
        return int(np.maximum(np.minimum(-((opens - closes) // step), (end - opens) // step + 1) - before, 0).sum())
    return len(set(period_numbers(calendar.sessions_between(first, last), frequency).tolist()))


def limits_text(limits: VendorLimits, frequency: Frequency) -> str:
    """Return the limits that matter for bars of a frequency in words."""
    parts = []
    if limits.requests_per_minute:
        parts.append(f"{limits.requests_per_minute:g} requests a minute")
    if limits.requests_per_day:
        parts.append(f"{limits.requests_per_day:,} a day")
    parts.append(f"{limits.parallel_requests} at once")
    if frequency.name in limits.depth_days:
        parts.append(f"{frequency} bars of the last {limits.depth_days[frequency.name]:,} days")
    if limits.depth_bars is not None:
        parts.append(f"the newest {limits.depth_bars:,} bars")
    return ", ".join(parts)


def _calendar_of(symbol: str) -> str:
    return calendar_for(None, "crypto" if "/" in symbol else "equity")


def _units(count: int, most: int) -> list[int]:
    """Return how many symbols each request names."""
    most = max(1, most)
    return [most] * (count // most) + ([count % most] if count % most else [])
