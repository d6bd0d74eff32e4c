"""From what is covered to what is served and what is asked for; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rustybt.data.cache.coverage import Reason, Segment, inside
from rustybt.data.cache.freshness import CLOCK_TOLERANCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rustybt.data.cache.freshness import FreshnessPolicy
    from rustybt.data.cache.schedule import Schedule
    from rustybt.data.cache.series import Series

_SECOND = 1_000_000
#: A bar that was due and did not come is asked for again after so long, even before the next close: vendors are late now and then.
_LATE_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a series is planned by.

    Parameters
    ----------
    now
        Unix seconds.
    empty_expiry_seconds
        How long a confirmed emptiness is believed.
    revision_sessions
        How many sessions before the tail are asked for again with it, at most once per close.
    max_stale_seconds
        Serve what is stale up to this age without asking; None asks.
    gap_schedule
        When bars of a stretch that was never asked for may be due as well, where `schedule` is only a guess.
    """

    now: float
    policy: FreshnessPolicy
    schedule: Schedule
    empty_expiry_seconds: float = 7 * 86_400.0
    revision_sessions: int = 5
    max_stale_seconds: float | None = None
    gap_schedule: Schedule | None = None


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch to ask for, microseconds UTC, both included.

    Parameters
    ----------
    is_tail
        It follows all that is known of the series.
    """

    start: int
    end: int
    is_tail: bool = False


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """What one series needs.

    Parameters
    ----------
    pieces
        Parts of segments that have bars and are served.
    holes
        What has to be asked for; the tail reaches back over the sessions that the source may have corrected.
    unknown
        The same without that window: what cannot be answered from here.
    stale_since
        Unix seconds of the oldest fetch that is served though it should have been asked for again; None for none.
    """

    pieces: tuple[Segment, ...] = ()
    holes: tuple[Hole, ...] = ()
    unknown: tuple[Hole, ...] = ()
    stale_since: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the source: every symbol from its own start to the common end."""

    end: int
    starts: Mapping[str, int]


def plan_series(
    series: Series | None, start: int, end: int, terms: Terms, told_until: float | None = None
) -> SeriesPlan:
    """Return what of [start, end] is served and what has to be asked for.

    Parameters
    ----------
    told_until
        Where prices move with events: until when (Unix seconds) the series knows them. No hole begins later, so that the
        next answer names every event in between.
    """
    if series is None or not series.segments:
        hole = Hole(start, end, is_tail=True)
        return SeriesPlan(holes=(hole,), unknown=(hole,))
    if terms.policy.rereads_all:
        hole = Hole(start, end, is_tail=True)
        # What is covered may be served again under another policy.
        return SeriesPlan(holes=(_reaching_events(hole, told_until),), unknown=(hole,))
    first = series.segments[0]
    if (
        (first.start <= start and end <= first.end)
        and first.reason is Reason.PRESENT
        and first.fetched_at <= terms.now + CLOCK_TOLERANCE_SECONDS
    ):
        # By far the most frequent case.
        return SeriesPlan(pieces=(first.clipped(start, end),))
    pieces: list[Segment] = []
    asked: list[Hole] = []
    stale_since: float | None = None
    for part in _parts(series.segments, start, end):
        verdict = _judge(part, terms)
        if verdict is _ASK:
            _extend(asked, part)
            continue
        if isinstance(verdict, float):
            stale_since = verdict if stale_since is None else min(stale_since, verdict)
        if part.segment is not None and part.segment.file_key:
            pieces.append(part.segment)
    holes = [_widened(hole, series.segments, terms, told_until) for hole in asked]
    return SeriesPlan(tuple(_uncovered(pieces, holes)), tuple(_merged(holes)), tuple(asked), stale_since)


@dataclass(frozen=True, slots=True)
class _Part:
    """A segment inside the range, or a gap (`segment` is None).

    `tail_fetched_at`: of a gap that follows an answer which was not final at its end, when that was fetched.
    """

    start: int
    end: int
    segment: Segment | None
    is_tail: bool
    tail_fetched_at: float | None = None


def _parts(segments: Sequence[Segment], start: int, end: int) -> Iterator[_Part]:
    cursor = start
    last_known = segments[-1].end
    for segment in inside(segments, start, end):
        if segment.start > cursor:
            yield _Part(cursor, segment.start - 1, None, is_tail=False)
        is_last = segment.start >= segments[-1].start
        yield _Part(segment.start, segment.end, segment, is_tail=is_last and segment.reason is Reason.NOT_FINAL)
        cursor = segment.end + 1
    if cursor <= end:
        last = segments[-1]
        is_tail = cursor > last_known
        reached_now = is_tail and last.reason is Reason.NOT_FINAL
        yield _Part(cursor, end, None, is_tail=is_tail, tail_fetched_at=last.fetched_at if reached_now else None)


_SERVE, _ASK = object(), object()


def _judge(part: _Part, terms: Terms) -> object:
    """Return `_SERVE`, `_ASK`, or since when what is served is stale."""
    segment = part.segment
    if segment is None:
        return _judge_gap(part, terms)
    if segment.reason is Reason.FAILED:
        return _ASK
    if terms.policy.is_final_forever:
        return _SERVE
    if segment.fetched_at > terms.now + CLOCK_TOLERANCE_SECONDS:
        return _ASK
    return _judge_known(part, segment, terms)


def _judge_known(part: _Part, segment: Segment, terms: Terms) -> object:
    if segment.reason is Reason.NOT_FINAL:
        return _judge_tail(part, segment.fetched_at, terms, holds_bars=bool(segment.file_key))
    if segment.reason is Reason.CONFIRMED_EMPTY and terms.now - segment.fetched_at >= terms.empty_expiry_seconds:
        return _ask_unless_allowed(segment.fetched_at, terms)
    return _SERVE


def _judge_gap(part: _Part, terms: Terms) -> object:
    if part.tail_fetched_at is not None and not terms.policy.is_final_forever:
        return _judge_tail(part, part.tail_fetched_at, terms, holds_bars=False)
    # Where no bar can be, nothing is unknown.
    schedules = (terms.schedule, terms.gap_schedule)
    is_due = any(one is not None and one.has_due(part.start, part.end, terms.now) for one in schedules)
    return _ASK if is_due else _SERVE


def _judge_tail(part: _Part, fetched_at: float, terms: Terms, *, holds_bars: bool) -> object:
    """Judge what was not final when it was asked for: it is asked again when something may have come, and the policy says so."""
    if not holds_bars and not terms.schedule.has_due(part.start, part.end, terms.now):
        return _SERVE
    may_have_come = not holds_bars and terms.now - fetched_at >= _LATE_SECONDS and _is_late(part, fetched_at, terms)
    if not may_have_come and terms.policy.is_fresh(fetched_at, terms.now, terms.schedule):
        return _SERVE
    return _ask_unless_allowed(fetched_at, terms)


def _is_late(part: _Part, fetched_at: float, terms: Terms) -> bool:
    """Return whether a bar was due that did not come, and only of the newest sessions: a series that has ended is not late."""
    newest = terms.schedule.window_start(int(fetched_at * _SECOND), 1)
    return terms.schedule.has_due(part.start, part.end, fetched_at) and not terms.schedule.has_due(
        part.start, min(part.end, newest - 1), fetched_at
    )


def _ask_unless_allowed(fetched_at: float, terms: Terms) -> object:
    allowed = terms.max_stale_seconds is not None and terms.now - fetched_at <= terms.max_stale_seconds
    return fetched_at if allowed else _ASK


def _extend(asked: list[Hole], part: _Part) -> None:
    if asked and asked[-1].end + 1 == part.start:
        asked[-1] = Hole(asked[-1].start, part.end, is_tail=asked[-1].is_tail or part.is_tail)
    else:
        asked.append(Hole(part.start, part.end, is_tail=part.is_tail))


def _widened(hole: Hole, segments: Sequence[Segment], terms: Terms, told_until: float | None) -> Hole:
    """Return a hole that also reaches back over the revision window, and to where the events are known."""
    start = hole.start
    held = [segment for segment in segments if segment.file_key]
    may_revise = terms.revision_sessions > 0 and not terms.policy.is_final_forever
    if may_revise and held and hole.start > held[-1].start and hole.end > held[-1].end:
        begin = terms.schedule.window_start(hole.start, terms.revision_sessions)
        closed = terms.schedule.last_close(terms.now)
        before = [s for s in inside(segments, begin, hole.start - 1) if s.file_key and s.fetched_at < closed]
        if before:
            start = min(start, before[0].start)
    return _reaching_events(hole if start == hole.start else replace(hole, start=start), told_until)


def _reaching_events(hole: Hole, told_until: float | None) -> Hole:
    """Return a hole that begins no later than where the events are known."""
    if told_until is None or int(told_until * _SECOND) >= hole.start:
        return hole
    return replace(hole, start=int(told_until * _SECOND))


def _merged(holes: Sequence[Hole]) -> Iterator[Hole]:
    """Yield holes with those that touch or overlap after widening made one."""
    last: Hole | None = None
    for hole in sorted(holes, key=lambda found: found.start):
        if last is not None and hole.start <= last.end + 1:
            last = Hole(last.start, max(last.end, hole.end), is_tail=last.is_tail or hole.is_tail)
            continue
        if last is not None:
            yield last
        last = hole
    if last is not None:
        yield last


def _uncovered(pieces: Sequence[Segment], holes: Sequence[Hole]) -> Iterator[Segment]:
    """Yield the parts of pieces that are not asked for again."""
    for piece in pieces:
        parts = [piece]
        for hole in holes:
            parts = [
                cut
                for part in parts
                for cut in (
                    [part]
                    if part.end < hole.start or hole.end < part.start
                    else [
                        *([replace(part, end=hole.start - 1)] if part.start < hole.start else []),
                        *([replace(part, start=hole.end + 1)] if hole.end < part.end else []),
                    ]
                )
            ]
        yield from parts


def plan_calls(wanted: Mapping[str, Sequence[Hole]], requests: Callable[[int, int, int], int]) -> list[Call]:
    """Return the calls that fill all holes, in as few requests as the source allows.

    Holes are asked for at once where that takes fewer requests than asking for each, and no more is fetched a second time
    than is new.

    Parameters
    ----------
    requests
        How many requests one range takes for a number of symbols: called with start, end and the number.
    """
    groups: dict[int, dict[str, int]] = {}
    for symbol, holes in wanted.items():
        for hole in _as_few(holes, requests):
            starts = groups.setdefault(hole.end, {})
            starts[symbol] = min(hole.start, starts.get(symbol, hole.start))
    calls: list[Call] = []
    for end in sorted(groups, reverse=True):
        starts = groups[end]
        if calls and _joins(calls[-1], end, starts, requests):
            calls[-1] = Call(calls[-1].end, {**calls[-1].starts, **starts})
        else:
            calls.append(Call(end, starts))
    return calls


def _as_few(holes: Sequence[Hole], requests: Callable[[int, int, int], int]) -> list[Hole]:
    """Return the holes of one series, joined where that pays."""
    found: list[Hole] = []
    # Of the last one: what is new in it; the rest lay between holes that it joins.
    new = 0
    for hole in holes:
        length = hole.end - hole.start
        if found:
            last = found[-1]
            apart = requests(last.start, last.end, 1) + requests(hole.start, hole.end, 1)
            known = (hole.end - last.start) - (new + length)
            if known <= new + length and requests(last.start, hole.end, 1) < apart:
                found[-1] = Hole(last.start, hole.end, is_tail=hole.is_tail)
                new += length
                continue
        found.append(hole)
        new = length
    return found


def _joins(later: Call, end: int, starts: Mapping[str, int], requests: Callable[[int, int, int], int]) -> bool:
    """Return whether series whose holes end earlier are asked for until the end of a later call."""
    if starts.keys() & later.starts.keys():
        return False
    first, first_later = min(starts.values()), min(later.starts.values())
    known = (later.end - end) * len(starts)
    if known > sum(end - start for start in starts.values()):
        return False
    apart = requests(first, end, len(starts)) + requests(first_later, later.end, len(later.starts))
    return requests(min(first, first_later), later.end, len(starts) + len(later.starts)) <= apart
