"""What the cache knows of one series: its coverage, and all that a source tells beside the bars; pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Self

from rustybt.data.cache.coverage import Reason, Segment
from rustybt.market.assets import AssetAttributes
from rustybt.market.corporate_actions import CorporateAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rustybt.data.cache.schedule import Hours


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What the answers for a symbol said beside its bars.

    Parameters
    ----------
    attributes
        Of the asset; None where no answer named any.
    alias
        What the source calls the symbol, where that differs.
    hours
        Where bars of it may lie, see `rustybt.data.cache.schedule.Schedule`.
    actions
        Corporate actions told so far, with when each was first seen.
    told_from
        Microseconds UTC from which on `actions` is complete; None where the source does not tell of all.
    told_until
        Unix seconds of the newest answer that told of events.
    missing_volume
        Runs of bars (first and last timestamp, microseconds UTC) whose volume is 0 only because the source gave none.
    """

    attributes: AssetAttributes | None = None
    alias: str = ""
    price_basis: str = "raw"
    number_rule: str = "text"
    resampled_from: str = ""
    hours: Hours = "regular"
    first_bar: date | None = None
    actions: tuple[CorporateAction, ...] = ()
    told_from: int | None = None
    told_until: float | None = None
    missing_volume: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "attributes": None if self.attributes is None else self.attributes.to_json(),
            "alias": self.alias,
            "price_basis": self.price_basis,
            "number_rule": self.number_rule,
            "resampled_from": self.resampled_from,
            "hours": self.hours,
            "first_bar": None if self.first_bar is None else self.first_bar.isoformat(),
            "actions": [action.to_json() for action in self.actions],
            "told_from": self.told_from,
            "told_until": self.told_until,
            "missing_volume": [list(run) for run in self.missing_volume],
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`."""
        attributes, first_bar = data["attributes"], data["first_bar"]
        return cls(
            attributes=None if attributes is None else AssetAttributes.from_json(attributes),
            alias=data["alias"],
            price_basis=data["price_basis"],
            number_rule=data["number_rule"],
            resampled_from=data["resampled_from"],
            hours=data["hours"],
            first_bar=None if first_bar is None else date.fromisoformat(first_bar),
            actions=tuple(CorporateAction.from_json(action) for action in data["actions"]),
            told_from=data["told_from"],
            told_until=data["told_until"],
            missing_volume=tuple((int(first), int(last)) for first, last in data["missing_volume"]),
            notes=tuple(data["notes"]),
        )


@dataclass(frozen=True, slots=True)
class Series:
    """One symbol of one dataset; `segments` are sorted and disjoint."""

    symbol: str
    segments: tuple[Segment, ...] = ()
    facts: SeriesFacts = field(default_factory=SeriesFacts)

    @property
    def oldest_fetch(self) -> float | None:
        """Unix seconds at which the oldest of its bars were fetched; None without bars."""
        return min((s.fetched_at for s in self.segments if s.file_key), default=None)

    def left_with(self, segments: tuple[Segment, ...]) -> Series:
        """Return the series with only `segments` left.

        Where none is left, nothing ties the next answer to the last one: events between them may never be told, so that what was
        told is complete no more.
        """
        facts = self.facts if segments else replace(self.facts, told_from=None, told_until=None)
        return replace(self, segments=segments, facts=facts)

    def span(self) -> tuple[int, int] | None:
        """Return the first and last microsecond of what has bars; None without any."""
        held = [segment for segment in self.segments if segment.file_key]
        return (held[0].start, held[-1].end) if held else None


def encode_segments(segments: Iterable[Segment]) -> str:
    """Return the text that is stored."""
    return json.dumps([[s.start, s.end, s.reason.value, s.fetched_at, s.file_key] for s in segments])


def decode_segments(text: str) -> tuple[Segment, ...]:
    """Return the segments of a stored text."""
    return tuple(Segment(start, end, Reason(reason), at, key) for start, end, reason, at, key in json.loads(text))


def seal(dataset: str, symbol: str, facts: str, segments: str) -> str:
    """Return the SHA-256 over one stored series: the database has no checksums, and a flipped digit would cover another range."""
    digest = hashlib.sha256()
    for part in (dataset, symbol, facts, segments):
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()
