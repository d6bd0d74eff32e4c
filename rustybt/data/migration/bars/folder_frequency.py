"""Which frequency the bars of an old file have, by where it lies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rustybt.errors import RequestError
from rustybt.market.frequency import Frequency

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDED = re.compile(r"(?:bars_(?P<behind>\w+)|(?P<before>\w+)_bars)$", re.IGNORECASE)
_KEYED = re.compile(r"(?:resolution|frequency|timeframe|interval)=(?P<value>\w+)$", re.IGNORECASE)
_PLAIN = frozenset({"daily", "minute", "hourly", "weekly", "monthly"})


def frequency_of_parts(parts: Sequence[str]) -> Frequency | None:
    """Return the frequency that a path names, the innermost part first; None where no part does.

    ``daily_bars``, ``minute_bars``, ``hourly_bars``, ``bars_1h``, ``5m_bars``, ``daily`` and ``resolution=1h`` name one.
    """
    for part in reversed(parts):
        stem = re.sub(r"\.(parquet|parq|pq)$", "", part, flags=re.IGNORECASE)
        worded, keyed = _WORDED.match(stem), _KEYED.match(stem)
        name = stem if stem.lower() in _PLAIN else ""
        if worded is not None:
            name = worded["behind"] or worded["before"]
        elif keyed is not None:
            name = keyed["value"]
        found = frequency_of_text(name)
        if found is not None:
            return found
    return None


def frequency_of_text(text: str) -> Frequency | None:
    """Return the frequency that an old resolution such as ``1d``, ``daily`` or ``minute`` means; None for no such."""
    try:
        return Frequency.parse(text.strip())
    except RequestError:
        return None
