"""Intervals that were asked for and answered; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustybt.data.bundles.records import CoverageRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

PRESENT = "present"


def merge_coverage(known: Iterable[CoverageRecord], added: Iterable[CoverageRecord]) -> list[CoverageRecord]:
    """Return `known` and `added` with overlapping or touching intervals of one reason joined.

    The joined interval keeps the later fetch time; a newer answer cuts what an older one of another reason said of the same
    range. All records must be of one (frequency, symbol).
    """
    merged = list(known)
    for new in added:
        rest: list[CoverageRecord] = []
        for old in merged:
            if old.reason == new.reason and old.start <= new.end + 1 and new.start <= old.end + 1:
                new = CoverageRecord(  # noqa: PLW2901  (it grows while it swallows its neighbours)
                    new.frequency,
                    new.symbol,
                    min(old.start, new.start),
                    max(old.end, new.end),
                    new.reason,
                    max(old.fetched_at, new.fetched_at),
                )
            else:
                rest.extend(_cut(old, new))
        merged = sorted([*rest, new], key=lambda record: record.start)
    return merged


def _cut(old: CoverageRecord, new: CoverageRecord) -> list[CoverageRecord]:
    """Return what is left of `old` outside of `new`."""
    left = (old.start, min(old.end, new.start - 1))
    right = (max(old.start, new.end + 1), old.end)
    return [
        CoverageRecord(old.frequency, old.symbol, start, end, old.reason, old.fetched_at)
        for start, end in (left, right)
        if start <= end
    ]
