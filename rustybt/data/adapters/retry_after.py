"""How long a vendor asks to wait: the one header that all of them may send, a number of seconds or a date (RFC 9110)."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isfinite


def asked_seconds(header: str | None, now: float) -> float | None:
    """Return for how long a ``Retry-After`` header asks to wait; None where it asks for nothing that can be done.

    Parameters
    ----------
    now
        Unix seconds.
    """
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            until = parsedate_to_datetime(header)
            # Without a zone it is Greenwich: no other is allowed.
            seconds = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if isfinite(seconds) else None
