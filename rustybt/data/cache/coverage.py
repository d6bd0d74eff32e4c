"""What has been fetched of one series: intervals, each with the reason why it need not be asked for again; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Reason(StrEnum):
    """Why an interval has the bars that it has, or none."""

    #: Fetched; the bars lie in the segment's file.
    PRESENT = "present"
    #: No session lies in it.
    MARKET_CLOSED = "market_closed"
    #: The source says that the listing began later.
    BEFORE_LISTING = "before_listing"
    #: Sessions for which a well-formed answer that was asked for this symbol held no bar; it expires.
    CONFIRMED_EMPTY = "confirmed_empty"
    #: Asked for in vain, or what came did not pass the quality rules.
    FAILED = "failed"
    #: Asked for before its bars were final.
    NOT_FINAL = "not_final"


@dataclass(frozen=True, slots=True)
class Segment:
    """One interval of one series.

    Parameters
    ----------
    start, end
        Microseconds since 1970 UTC, both included.
    fetched_at
        Unix seconds.
    file_key
        File that holds its bars; empty for an interval without any.
    """

    start: int
    end: int
    reason: Reason
    fetched_at: float
    file_key: str = ""

    def clipped(self, start: int, end: int) -> Segment:
        """Return the part inside [start, end]; the two must overlap."""
        if start <= self.start and self.end <= end:
            return self
        return replace(self, start=max(self.start, start), end=min(self.end, end))


def put(known: Iterable[Segment], added: Iterable[Segment]) -> tuple[Segment, ...]:
    """Return `known` with `added` in its place: a later answer cuts what an earlier one said of the same time.

    Both are disjoint; so is the result, which is sorted. Neighbours of one answer and one file are joined.
    """
    found = sorted(known, key=_start)
    for new in added:
        found = [part for old in found for part in outside(old, new.start, new.end)]
        found.append(new)
    return tuple(_joined(sorted(found, key=_start)))


def outside(segment: Segment, start: int, end: int) -> list[Segment]:
    """Return what is left of `segment` outside [start, end]: none, one or two parts."""
    if segment.end < start or end < segment.start:
        return [segment]
    parts = []
    if segment.start < start:
        parts.append(replace(segment, end=start - 1))
    if end < segment.end:
        parts.append(replace(segment, start=end + 1))
    return parts


def inside(segments: Sequence[Segment], start: int, end: int) -> Iterator[Segment]:
    """Yield the parts of sorted segments that lie in [start, end], in order."""
    for segment in segments:
        if segment.end < start:
            continue
        if segment.start > end:
            return
        yield segment.clipped(start, end)


def join_settled(segments: Sequence[Segment], before: float) -> tuple[Segment, ...]:
    """Return the segments with neighbours of one file joined where all of them were fetched before `before`.

    The joined one is as old as its oldest part. Bars that are past every revision need no fetch time of their own.
    """
    found: list[Segment] = []
    for segment in segments:
        last = found[-1] if found else None
        if (
            last is not None
            and last.end + 1 == segment.start
            and (last.reason, last.file_key) == (segment.reason, segment.file_key)
            and segment.reason is Reason.PRESENT
            and max(last.fetched_at, segment.fetched_at) < before
        ):
            oldest = min(last.fetched_at, segment.fetched_at)
            found[-1] = replace(last, end=segment.end, fetched_at=oldest)
        else:
            found.append(segment)
    return tuple(found)


def _joined(segments: Iterable[Segment]) -> Iterator[Segment]:
    last: Segment | None = None
    for segment in segments:
        if (
            last is not None
            and last.end + 1 == segment.start
            and (last.reason, last.fetched_at, last.file_key) == (segment.reason, segment.fetched_at, segment.file_key)
        ):
            last = replace(last, end=segment.end)
            continue
        if last is not None:
            yield last
        last = segment
    if last is not None:
        yield last


def _start(segment: Segment) -> int:
    return segment.start
