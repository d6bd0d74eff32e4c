"""Where the bars of a frequency begin, on ccxt's clock: milliseconds since 1970 UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rustybt.market.frequency import Frequency

DAY = 86_400_000
_WEEK = 7 * DAY
# 1970-01-05 was the first Monday.
_MONDAY = 4 * DAY


def label_at_or_after(stamp: int, frequency: Frequency) -> int:
    """Return the first label that is not before `stamp`."""
    if frequency.name == "1M":
        begin = _month(stamp)
        return begin if begin == stamp else _next_month(begin)
    step, offset = _grid(frequency)
    return stamp + (offset - stamp) % step


def next_label(label: int, frequency: Frequency) -> int:
    """Return the label after `label`."""
    return _next_month(label) if frequency.name == "1M" else label + frequency.seconds * 1_000


def is_label(stamp: int, frequency: Frequency) -> bool:
    """Return whether a bar of `frequency` can begin at `stamp`."""
    return label_at_or_after(stamp, frequency) == stamp


def labels_between(first: int, last: int, frequency: Frequency) -> int:
    """Return how many bars can begin from the label `first` to `last`, both included; for months at most that many."""
    shortest = 28 * DAY if frequency.name == "1M" else frequency.seconds * 1_000
    return max(0, (last - first) // shortest + 1)


def show(stamp: int) -> str:
    """Return `stamp` for people: a date, or an instant."""
    moment = datetime.fromtimestamp(stamp / 1_000, UTC)
    return moment.date().isoformat() if stamp % DAY == 0 else moment.isoformat().replace("+00:00", "Z")


def _grid(frequency: Frequency) -> tuple[int, int]:
    return frequency.seconds * 1_000, _MONDAY if frequency.name == "1w" else 0


def _month(stamp: int) -> int:
    moment = datetime.fromtimestamp(stamp / 1_000, UTC)
    return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()) * 1_000


def _next_month(stamp: int) -> int:
    moment = datetime.fromtimestamp(stamp / 1_000, UTC)
    year, month = (moment.year + 1, 1) if moment.month == 12 else (moment.year, moment.month + 1)
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1_000
