"""What a vendor allows and how it delivers, as data: plans, waits and ``rustybt sources info`` are made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rustybt.market.provenance import FrozenRecord

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class VendorLimits(FrozenRecord):
    """The limits of one vendor, exchange or plan.

    Parameters
    ----------
    frequencies
        Native ones, finest first; others are resampled from them.
    depth_days
        How many days back bars of a frequency reach; a frequency that is absent reaches back to the listing.
    depth_bars
        How many of the newest bars are kept at all; None for all.
    bars_per_page
        Most bars in one answer.
    symbols_per_request
        How many symbols one request may name.
    requests_per_symbol
        Requests beyond the pages of bars: corporate actions, listing details.
    requests_per_minute, requests_per_day
        Of the account; None where the vendor states none.
    parallel_requests
        How many requests may run at once.
    settlement_delay_seconds
        How long after its close a bar may still change.
    """

    frequencies: tuple[str, ...]
    depth_days: Mapping[str, int] = field(default_factory=dict)
    depth_bars: int | None = None
    bars_per_page: int = 1_000
    symbols_per_request: int = 1
    requests_per_symbol: int = 0
    requests_per_minute: float | None = None
    requests_per_day: int | None = None
    parallel_requests: int = 4
    settlement_delay_seconds: float = 0.0
    needs_key: bool = False
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            **dict(self),
            "frequencies": list(self.frequencies),
            "depth_days": dict(self.depth_days),
            "notes": list(self.notes),
        }
