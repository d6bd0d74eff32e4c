"""From an answer of a source to what the ledger says of it afterwards; pure but for the rows that it compares."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.data.bundles.cache_store import HERE, Addition, inside_ranges
from rustybt.data.cache.coverage import Reason, Segment, inside, put
from rustybt.data.cache.schedule import Schedule
from rustybt.data.cache.series import Series, SeriesFacts
from rustybt.market.action_history import is_same_event
from rustybt.market.assets import NON_NEGATIVE_TYPES, AssetAttributes
from rustybt.market.bars import PRICE_COLUMNS, VALUE_COLUMNS, concat_bars, empty_bars
from rustybt.market.calendars import ALWAYS_OPEN, calendar_for
from rustybt.market.quality_rules import value_rules
from rustybt.market.request import DAY_MICROSECONDS, to_date, to_microseconds
from rustybt.market.revisions import (
    ADJUSTED_BASES,
    DELETION,
    DIVIDEND_REBASE,
    LATE_VOLUME,
    SPLIT_KINDS,
    SPLIT_REBASE,
    classify_revisions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rustybt.data.cache.schedule import Hours
    from rustybt.data.sources.delivery import Delivery
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.frequency import Frequency
    from rustybt.market.revisions import BarRevision
    from rustybt.market.trading_calendar import Instants

_SECOND = 1_000_000
_MOST_VALUES = 20
_REBASES = (SPLIT_REBASE, DIVIDEND_REBASE)
#: Of a session that has no bar so soon after its close, the bar may only be late.
_RECENT_SESSIONS = 5
#: Golden Week and the like.
_LONGEST_CLOSED = 10 * DAY_MICROSECONDS


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source said of one symbol.

    Parameters
    ----------
    start, end
        What it was asked for, microseconds UTC, both included.
    fetched_at
        Unix seconds at which it was asked.
    is_whole
        It was asked for all of the series, because that had moved.
    """

    symbol: str
    part: Delivery
    start: int
    end: int
    fetched_at: float
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Filled:
    """What a group of answers comes to.

    Parameters
    ----------
    bars
        Of all additions.
    stale
        Symbol -> why its whole series has to be asked for again; nothing of these answers is kept.
    revised_rows
        Bars that came with other values than before.
    """

    additions: tuple[Addition, ...]
    bars: pl.DataFrame
    stale: Mapping[str, str]
    revised_rows: int


class Filling:
    """Judges answers for one dataset.

    Parameters
    ----------
    settlement_seconds
        How long after its close a bar may still change.
    read
        Returns the cached bars of pieces; None where they cannot be read.
    calendar_name
        The calendar that the source names for assets of which it says nothing else; None where it names none.
    """

    def __init__(
        self,
        frequency: Frequency,
        settlement_seconds: float,
        read: Callable[[Mapping[str, Iterable[Segment]]], pl.DataFrame | None],
        calendar_name: str | None = None,
    ) -> None:
        self._frequency = frequency
        self._settlement = settlement_seconds
        self._read = read
        self._calendar_name = calendar_name

    def fill(self, answers: Sequence[Answer], known: Mapping[str, Series]) -> Filled:
        """Return what is to be stored of answers, each of another symbol."""
        clipped = {a.symbol: self._clipped(a) for a in answers}
        bars = concat_bars(clipped[symbol] for symbol in sorted(clipped))
        overlaps = self._overlaps(answers, known)
        found = self._read(overlaps) if overlaps else empty_bars()
        unread, old = (overlaps.keys(), empty_bars()) if found is None else (set(), found)
        told = {a.symbol: self._new_events(a, known.get(a.symbol)) for a in answers}
        revisions = self._revisions(answers, known, old, bars, told)
        bad = self._bad_rows(bars, known, answers)
        confirmed = self._confirmed(bad, old, known)
        additions: list[Addition] = []
        stale: dict[str, str] = {}
        for answer in answers:
            symbol = answer.symbol
            before = known.get(symbol)
            why = self._why_stale(answer, before, clipped[symbol], told[symbol], revisions.get(symbol, ()))
            if not why and symbol in unread and self._keeps_adjusted(answer, before):
                why = "what it was compared with cannot be read"
            if why:
                stale[symbol] = why
                continue
            facts = self._facts(answer, before, clipped[symbol])
            segments = self._segments(answer, facts, clipped[symbol], bad.get(symbol, ()), confirmed.get(symbol, set()))
            noted = tuple((r, self._values(r, old, bars)) for r in revisions.get(symbol, ()))
            additions.append(Addition(symbol, segments, facts, noted))
        kept = bars if not stale else bars.filter(~pl.col("symbol").is_in(sorted(stale)))
        rows = sum(revision.rows for addition in additions for revision, _ in addition.revisions)
        return Filled(tuple(additions), kept, stale, rows)

    def schedule(self, facts: SeriesFacts) -> Schedule:
        """Return when bars of a series are due."""
        return schedule_of(facts, self._frequency, self._settlement, self._calendar_name)

    def _clipped(self, answer: Answer) -> pl.DataFrame:
        bars = answer.part.bars
        if bars.is_empty():
            return empty_bars()
        stamp = pl.col("timestamp").to_physical()
        return bars.filter((stamp >= answer.start) & (stamp <= answer.end))

    # -- what is covered now -----------------------------------------------------------------------------------------

    def _segments(
        self,
        answer: Answer,
        facts: SeriesFacts,
        bars: pl.DataFrame,
        bad: Sequence[int],
        confirmed: set[int],
    ) -> tuple[Segment, ...]:
        """Return what an answer covers, in the order in which it counts."""
        schedule = self.schedule(facts)
        stamps = _stamps(bars)
        asked = min(answer.fetched_at, answer.part.as_of if answer.part.as_of is not None else answer.fetched_at)
        start, end = answer.start, answer.end
        open_from = schedule.first_unfinished(start, end, asked)
        if open_from is None and end >= int(asked * _SECOND):
            open_from = max(start, int(asked * _SECOND))
        final_end = end if open_from is None else open_from - 1
        at = answer.fetched_at
        found: list[Segment] = []
        if final_end >= start:
            found.append(Segment(start, final_end, Reason.PRESENT, at, HERE if len(stamps) else ""))
            found += self._empty(answer, facts, schedule, stamps, final_end, asked)
            if not len(stamps) and not schedule.has_session(start, final_end):
                found = [Segment(start, final_end, Reason.MARKET_CLOSED, at)]
        if open_from is not None:
            holds = bool(len(stamps)) and int(stamps[-1]) >= open_from
            found.append(Segment(open_from, end, Reason.NOT_FINAL, at, HERE if holds else ""))
        length = min(self._frequency.microseconds, DAY_MICROSECONDS)
        found += (
            Segment(stamp, min(stamp + length - 1, end), Reason.FAILED, at, HERE)
            for stamp in bad
            if stamp not in confirmed
        )
        return put((), found)

    def _empty(
        self, answer: Answer, facts: SeriesFacts, schedule: Schedule, stamps: Instants, end: int, asked: float
    ) -> list[Segment]:
        """Return the stretches of whole sessions without a bar, each with its reason."""
        recent = schedule.window_start(int(asked * _SECOND), _RECENT_SESSIONS)
        listed = None if facts.first_bar is None else to_microseconds(facts.first_bar)
        found: list[Segment] = []
        for first, last in self._runs(schedule, answer.start, end, stamps):
            # Closed time before the first session belongs to the beginning.
            is_first = not found and (not len(stamps) or first < int(stamps[0]))
            low = answer.start if is_first else first
            if listed is not None and low < listed:
                found.append(Segment(low, min(last, listed - 1), Reason.BEFORE_LISTING, answer.fetched_at))
                low = listed
            if low < recent and low <= last:
                found.append(Segment(low, min(last, recent - 1), Reason.CONFIRMED_EMPTY, answer.fetched_at))
                low = recent
            if low <= last:
                found.append(Segment(low, last, Reason.NOT_FINAL, answer.fetched_at))
        return found

    def _runs(self, schedule: Schedule, start: int, end: int, stamps: Instants) -> list[tuple[int, int]]:
        """Return the stretches that count as empty."""
        runs = schedule.empty_runs(start, end, stamps)
        if schedule.hours != "always" or schedule.calendar_name == ALWAYS_OPEN or not len(stamps):
            return runs
        # Nobody knows the sessions of this series: only what is longer than any closed time is known to be empty.
        edges = [(a, b) for a, b in runs if b < int(stamps[0]) or a > int(stamps[-1])]
        return [(a, b) for a, b in edges if b - a >= _LONGEST_CLOSED]

    # -- what else is known ------------------------------------------------------------------------------------------

    def _facts(self, answer: Answer, before: Series | None, bars: pl.DataFrame) -> SeriesFacts:
        part, symbol = answer.part, answer.symbol
        old = SeriesFacts() if before is None else before.facts
        tells = part.tells_all_events
        told = [
            replace(action, first_seen=action.first_seen or int(answer.fetched_at))
            for action in part.actions
            if action.symbol == symbol
        ]
        told = [next((known for known in old.actions if is_same_event(action, known)), action) for action in told]
        day = to_date(answer.start)
        earlier = [known for known in old.actions if not tells or known.ex_date < day]
        kept = [known for known in earlier if not any(is_same_event(known, action) for action in told)]
        froms = [start for start in (answer.start if tells else None, old.told_from) if start is not None]
        attributes = part.assets.get(symbol, old.attributes)
        facts = replace(
            old,
            attributes=attributes,
            alias=part.aliases.get(symbol, old.alias),
            price_basis=part.price_basis if bars.height or before is None else old.price_basis,
            number_rule=part.number_rule if bars.height else old.number_rule,
            resampled_from=part.resampled_from or old.resampled_from,
            first_bar=part.first_bars.get(symbol, old.first_bar),
            actions=tuple(sorted([*kept, *told], key=lambda action: (action.ex_date, action.kind))),
            told_from=min(froms, default=None),
            told_until=answer.fetched_at if tells else old.told_until,
            missing_volume=_joined_runs(old.missing_volume, answer, bars, part.missing_volume),
            notes=part.notes or old.notes,
        )
        return replace(facts, hours=self._hours(facts, _stamps(bars)))

    def _hours(self, facts: SeriesFacts, stamps: Instants) -> Hours:
        """Return where bars may lie: what the calendar allows, unless bars have been seen elsewhere."""
        for hours in ("regular", "extended", "always"):
            candidate: Hours = hours
            if _WIDTH[candidate] < _WIDTH[facts.hours]:
                continue
            if candidate == "extended" and facts.attributes is None:
                # The calendar was a guess, and not a good one.
                continue
            if not self.schedule(replace(facts, hours=candidate)).off_session(stamps):
                return candidate
        return "always"

    # -- what changed ------------------------------------------------------------------------------------------------

    def _overlaps(self, answers: Sequence[Answer], known: Mapping[str, Series]) -> dict[str, list[Segment]]:
        """Return the cached pieces that are asked for once more."""
        pieces = {}
        for answer in answers:
            before = known.get(answer.symbol)
            segments = () if before is None else before.segments
            held = [s for s in inside(segments, answer.start, answer.end) if s.file_key]
            if held:
                pieces[answer.symbol] = held
        return pieces

    def _new_events(self, answer: Answer, before: Series | None) -> list[CorporateAction]:
        """Return the events that were not known before and that move bars which are kept, and those that hold no more."""
        span = None if before is None else before.span()
        if before is None or span is None or answer.part.price_basis not in ADJUSTED_BASES:
            return []
        kinds = SPLIT_KINDS if answer.part.price_basis == "split_adjusted" else (*SPLIT_KINDS, "cash_dividend")
        today = to_date(int(answer.fetched_at * _SECOND))
        told = [a for a in answer.part.actions if a.symbol == answer.symbol and a.kind in kinds and a.ex_date <= today]
        old = [a for a in before.facts.actions if a.kind in kinds and a.ex_date <= today]
        fresh = [a for a in told if not any(is_same_event(a, b) for b in old)]
        # What was known to come took effect since the bars before it were fetched. In the hours in which sources differ about
        # when it does, the overlap shows it.
        fetched = int((before.oldest_fetch or answer.fetched_at) * _SECOND)
        fresh += [a for a in old if to_microseconds(a.ex_date) > fetched]
        if answer.part.tells_all_events:
            day = to_date(answer.start)
            fresh += [b for b in old if b.ex_date >= day and not any(is_same_event(a, b) for a in told)]
        return [event for event in fresh if to_microseconds(event.ex_date) > span[0]]

    def _revisions(
        self,
        answers: Sequence[Answer],
        known: Mapping[str, Series],
        old: pl.DataFrame,
        new: pl.DataFrame,
        told: Mapping[str, Sequence[CorporateAction]],
    ) -> dict[str, list[BarRevision]]:
        """Return what final bars say otherwise now."""
        if old.is_empty():
            return {}
        final = self._only(
            old,
            {
                a.symbol: [s for s in known[a.symbol].segments if s.reason is Reason.PRESENT]
                for a in answers
                if a.symbol in known
            },
        )
        basis = next((a.part.price_basis for a in answers if a.part.bars.height), "raw")
        gone = final.join(new, on=["symbol", "timestamp"], how="anti")
        events = [event for found in told.values() for event in found]
        found: dict[str, list[BarRevision]] = {}
        for revision in classify_revisions(final, new, price_basis=basis, new_events=events, deleted=gone):
            found.setdefault(revision.symbol, []).append(revision)
        return found

    def _only(self, bars: pl.DataFrame, segments: Mapping[str, Sequence[Segment]]) -> pl.DataFrame:
        """Return the bars that lie in segments."""
        rows = [(symbol, s.start, s.end) for symbol, found in segments.items() for s in found]
        return inside_ranges(bars, rows)

    def _why_stale(
        self,
        answer: Answer,
        before: Series | None,
        bars: pl.DataFrame,
        events: Sequence[CorporateAction],
        revisions: Sequence[BarRevision],
    ) -> str:
        """Return why the kept bars of a series do not go with these, empty if they do."""
        if before is None or answer.is_whole:
            return ""
        if not _leaves_some(before, answer):
            return ""
        if bars.height and before.facts.price_basis != answer.part.price_basis:
            return f"its prices are {answer.part.price_basis} now and were {before.facts.price_basis}"
        if answer.part.price_basis not in ADJUSTED_BASES:
            return ""
        if events:
            event = max(events, key=lambda found: found.ex_date)
            return f"a {event.kind.replace('_', ' ')} on {event.ex_date} changed its earlier prices"
        moved = [revision for revision in revisions if revision.kind in _REBASES]
        return "its earlier prices moved by one factor" if moved else ""

    def _keeps_adjusted(self, answer: Answer, before: Series | None) -> bool:
        """Return whether bars whose prices move with events are kept beside an answer."""
        if before is None or answer.is_whole or answer.part.price_basis not in ADJUSTED_BASES:
            return False
        return _leaves_some(before, answer)

    def _values(self, revision: BarRevision, old: pl.DataFrame, new: pl.DataFrame) -> str:
        """Return a revision as JSON, with the values before and after of some of its bars."""
        mine = old.filter(pl.col("symbol") == revision.symbol)
        both = mine.join(new, on=["symbol", "timestamp"], how="left", suffix="_new", maintain_order="left")
        differs = {name: pl.col(name).ne_missing(pl.col(f"{name}_new")) for name in VALUE_COLUMNS}
        gone, moved = pl.col("close_new").is_null(), pl.any_horizontal(differs[name] for name in PRICE_COLUMNS)
        of_kind = {DELETION: gone, LATE_VOLUME: differs["volume"] & ~moved}.get(revision.kind, moved & ~gone)
        values = []
        for row in both.filter(of_kind).head(_MOST_VALUES).iter_rows(named=True):
            changed = {
                name: [_plain(row[name]), _plain(row[f"{name}_new"])]
                for name in VALUE_COLUMNS
                if row[name] != row[f"{name}_new"]
            }
            values.append({"timestamp": row["timestamp"].isoformat(), **changed})
        return json.dumps({**revision.to_json(), "values": values})

    # -- quality -----------------------------------------------------------------------------------------------------

    def _bad_rows(
        self, bars: pl.DataFrame, known: Mapping[str, Series], answers: Sequence[Answer]
    ) -> dict[str, list[int]]:
        """Return the timestamps of bars that break a rule about values."""
        if bars.is_empty():
            return {}
        types = {}
        for answer in answers:
            before = known.get(answer.symbol)
            attributes = answer.part.assets.get(answer.symbol) or (before.facts.attributes if before else None)
            types[answer.symbol] = (attributes or AssetAttributes()).asset_type
        broken = np.zeros(bars.height, dtype=bool)
        for _, mask in value_rules(bars, lambda symbol: types.get(symbol, "unknown") in NON_NEGATIVE_TYPES):
            broken |= mask.to_numpy()
        if not broken.any():
            return {}
        rows = bars.filter(pl.Series(broken)).select("symbol", pl.col("timestamp").to_physical())
        found: dict[str, list[int]] = {}
        for symbol, stamp in rows.iter_rows():
            found.setdefault(symbol, []).append(stamp)
        return found

    def _confirmed(
        self, bad: Mapping[str, Sequence[int]], old: pl.DataFrame, known: Mapping[str, Series]
    ) -> dict[str, set[int]]:
        """Return those bad bars that the source has delivered before: asked twice, it stays with them."""
        found: dict[str, set[int]] = {}
        for symbol, stamps in bad.items():
            before = known.get(symbol)
            if before is None:
                continue
            failed = [s for s in before.segments if s.reason is Reason.FAILED and s.file_key]
            asked = {stamp for stamp in stamps if any(s.start <= stamp <= s.end for s in failed)}
            there = set(old.filter(pl.col("symbol") == symbol)["timestamp"].to_physical().to_list())
            found[symbol] = asked & there
        return found


def _leaves_some(before: Series, answer: Answer) -> bool:
    """Return whether bars of before are left beside an answer."""
    span = before.span()
    return span is not None and not (answer.start <= span[0] and span[1] <= answer.end)


_WIDTH: dict[Hours, int] = {"regular": 0, "extended": 1, "always": 2}


def schedule_of(
    facts: SeriesFacts, frequency: Frequency, settlement_seconds: float, calendar_name: str | None = None
) -> Schedule:
    """Return when bars of a series are due, by the calendar of its asset; `calendar_name` where nothing of that is known."""
    attributes = facts.attributes or AssetAttributes()
    calendar = calendar_for(attributes.venue, attributes.asset_type)
    if facts.attributes is None and calendar_name is not None:
        calendar = calendar_name
    return Schedule(calendar, frequency, settlement_seconds, facts.hours)


def _joined_runs(
    old: Iterable[tuple[int, int]], answer: Answer, bars: pl.DataFrame, missing: pl.Series | None
) -> tuple[tuple[int, int], ...]:
    """Return the runs of bars without a volume: those outside the answer's range as before, those inside as it says."""
    kept = []
    for first, last in old:
        if last < answer.start or first > answer.end:
            kept.append((first, last))
            continue
        if first < answer.start:
            kept.append((first, answer.start - 1))
        if last > answer.end:
            kept.append((answer.end + 1, last))
    if missing is not None and missing.any():
        stamp = pl.col("timestamp").to_physical()
        inside_range = (stamp >= answer.start) & (stamp <= answer.end)
        flags = answer.part.bars.select(stamp, missing.alias("missing"), inside_range.alias("in_range"))
        rows = flags.filter(pl.col("in_range"))
        stamps, marks = rows["timestamp"].to_numpy(), rows["missing"].to_numpy()
        edges = np.flatnonzero(np.diff(np.r_[False, marks, False].astype(np.int8)))
        kept += [(int(stamps[low]), int(stamps[high - 1])) for low, high in edges.reshape(-1, 2).tolist()]
    del bars
    return tuple(sorted(kept))


def _stamps(bars: pl.DataFrame) -> Instants:
    return bars["timestamp"].to_physical().to_numpy()


def _plain(value: object) -> str | None:
    """Return a decimal as text, without the zeros that only fill its column."""
    if value is None:
        return None
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
