"""What is missing of an answer, in words and as data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from rustybt.errors import NotCoveredError, SourceError
from rustybt.market.request import DAY_MICROSECONDS, to_date

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rustybt.data.cache.plan import Hole

E = TypeVar("E", bound=SourceError)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_NAMED = 5


def missing_of(holes: Mapping[str, Sequence[Hole]]) -> dict[str, list[list[str]]]:
    """Return symbol -> ISO texts of first and last instant of each stretch, both included; whole UTC days as dates."""
    return {symbol: [[_first(h.start), _last(h.end)] for h in found] for symbol, found in sorted(holes.items())}


def not_covered(source: str, holes: Mapping[str, Sequence[Hole]]) -> NotCoveredError:
    """Return the error that says exactly what the cache does not have."""
    missing = missing_of(holes)
    reason = f"offline, and the cache does not cover all that was asked of source {source}"
    return NotCoveredError(
        f"{reason}; missing: {_words(missing)}",
        hint="run it once without --offline, or ask for what is covered: rustybt cache list",
        missing=missing,
        reason=reason,
    )


def with_missing(error: E, holes: Mapping[str, Sequence[Hole]]) -> E:
    """Return an error of a source that also knows, as ``details["missing"]``, what could not be fetched because of it."""
    copy = type(error)(error.message, hint=error.hint, **{**error.details, "missing": missing_of(holes)})
    copy.__cause__ = error.__cause__
    return copy


def joined(errors: Mapping[str, SourceError]) -> SourceError:
    """Return one error for all symbols that failed: the first one's kind and reason, naming all that is missing."""
    first = min(errors.items())[1]
    missing: dict[str, list[list[str]]] = {}
    for error in errors.values():
        missing.update(error.details.get("missing", {}))
    missing = dict(sorted(missing.items()))
    reason = first.details.get("reason", first.message)
    details = {**first.details, "missing": missing, "symbols": sorted(errors)}
    return type(first)(f"{reason}; missing: {_words(missing)}", hint=first.hint, **details)


def stretch_words(first: str, last: str) -> str:
    """Return a stretch as a sentence names it: instants to the second; details have every digit."""
    begin, end = (f"{text[:19]}Z" if "T" in text else text for text in (first, last))
    return begin if begin == end else f"{begin} to {end}"


def _words(missing: Mapping[str, list[list[str]]]) -> str:
    parts = [
        f"{symbol} {' and '.join(stretch_words(first, last) for first, last in spans)}"
        for symbol, spans in list(missing.items())[:_MOST_NAMED]
    ]
    more = len(missing) - _MOST_NAMED
    return ", ".join(parts) + (f" and {more} more symbols" if more > 0 else "")


def _first(micros: int) -> str:
    return to_date(micros).isoformat() if micros % DAY_MICROSECONDS == 0 else _instant(micros)


def _last(micros: int) -> str:
    return to_date(micros).isoformat() if (micros + 1) % DAY_MICROSECONDS == 0 else _instant(micros)


def _instant(micros: int) -> str:
    return (_EPOCH + timedelta(microseconds=micros)).isoformat()
