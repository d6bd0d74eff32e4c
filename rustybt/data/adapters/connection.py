"""What every adapter is made with: the transport, the patience, and who tells the time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.adapters.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustybt.data.adapters.limits import VendorLimits


@dataclass(frozen=True, slots=True, repr=False)
class Connection:
    """How to reach a vendor, and how hard to try.

    Parameters
    ----------
    requests_per_minute
        Overrides the vendor's usual limit, for a better plan; 0 is no limit, None the usual one.
    parallel_requests
        Overrides how many requests run at once; None is the vendor's usual number.
    client
        The vendor's own client object, or a function without arguments that makes one; None makes the usual one.
    clock
        Unix seconds; tells what is final.
    """

    transport: Transport = field(default_factory=Transport)
    requests_per_minute: float | None = None
    parallel_requests: int | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    client: Any = None
    clock: Callable[[], float] = time.time

    def apply(self, limits: VendorLimits) -> VendorLimits:
        """Return `limits` with what this connection overrides."""
        if self.requests_per_minute is not None:
            limits = replace(limits, requests_per_minute=self.requests_per_minute or None, requests_per_day=None)
        if self.parallel_requests is not None:
            limits = replace(limits, parallel_requests=self.parallel_requests)
        return limits

    def __repr__(self) -> str:
        return f"Connection({self.transport!r})"
