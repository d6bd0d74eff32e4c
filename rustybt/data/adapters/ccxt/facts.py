"""What ccxt does not say of an exchange, or says in a form of its own: how it pages, how far it reaches back, its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rustybt.data.adapters.limits import VendorLimits
from rustybt.market.frequency import FREQUENCIES

#: Bars asked for at once where ccxt does not know the exchange's cap; no exchange has a smaller one.
DEFAULT_PAGE = 100
_SETTLEMENT_SECONDS = 2.0
# The oldest of the newest bars go out of reach while other symbols are fetched; nobody should be promised those.
_SLIPPING_BARS = 10


@dataclass(frozen=True, slots=True)
class ExchangeFacts:
    """How one exchange pages; the defaults are what is safe for one that nobody looked at.

    Parameters
    ----------
    skips_ahead
        An answer begins with the first bar at or after the time asked for, however much later: an empty one is the end.
        Otherwise an empty answer may be an empty window, with bars behind it.
    newest_only
        How many of the newest bars the exchange keeps, whatever time is asked for; None where it keeps all.
    calendar_periods
        Its weeks begin on Monday and its months on the first, both at 00:00 UTC. Otherwise those bars are made of daily
        ones.
    every_bar
        Its history has a bar for every period, also for one without a trade: a hole in its stream can be filled from there.
    """

    skips_ahead: bool = False
    newest_only: int | None = None
    calendar_periods: bool = False
    every_bar: bool = False


_BINANCE = ExchangeFacts(skips_ahead=True, calendar_periods=True, every_bar=True)
_FACTS = {
    "binance": _BINANCE,
    "binanceus": _BINANCE,
    # Kraken's documentation of OHLC: "Returns up to 720 of the most recent entries (older data cannot be retrieved,
    # regardless of the value of since)". Its weeks begin on Thursday, the weekday of 1970-01-01.
    "kraken": ExchangeFacts(newest_only=720, every_bar=True),
}


def facts_of(exchange: str) -> ExchangeFacts:
    """Return what is known of an exchange."""
    return _FACTS.get(exchange, ExchangeFacts())


def other_exchange(exchange: str) -> str:
    """Return the option that asks another exchange, for a hint."""
    return f"--exchange {'kraken' if exchange.startswith('binance') else 'binance'}"


def limits_of(client: Any) -> VendorLimits:
    """Return the limits of an exchange, from what its ccxt object knows without a request."""
    facts = facts_of(client.id)
    names = {name for name in FREQUENCIES if (client.timeframes or {}).get(name) is not None}
    if not facts.calendar_periods:
        names -= {"1w", "1M"}
    rate = float(client.rateLimit or 0)
    per_minute = round(60_000 / rate, 1) if rate > 0 else None
    notes = [f"newest {facts.newest_only} bars of each frequency only"] if facts.newest_only else []
    return VendorLimits(
        frequencies=tuple(name for name in FREQUENCIES if name in names),
        depth_bars=facts.newest_only and facts.newest_only - _SLIPPING_BARS,
        bars_per_page=_page(client) or DEFAULT_PAGE,
        requests_per_minute=per_minute,
        parallel_requests=8 if per_minute is None or per_minute >= 600 else 4,
        settlement_delay_seconds=_SETTLEMENT_SECONDS,
        notes=tuple(notes),
    )


def _page(client: Any) -> int | None:
    """Return ccxt's page cap of spot bars, or of what the exchange has instead."""
    features = client.features or {}
    groups = [
        features.get("spot"),
        *(group for kind in ("swap", "future") for group in (features.get(kind) or {}).values()),
    ]
    for group in groups:
        limit = ((group or {}).get("fetchOHLCV") or {}).get("limit")
        if limit:
            return int(limit)
    return None
