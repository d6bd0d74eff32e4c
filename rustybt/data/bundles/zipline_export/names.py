"""Who was called what and when, as Zipline looks symbols up: in capitals, split at the first of ``. / - _``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from rustybt.errors import RequestError
from rustybt.market.wording import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rustybt.data.bundles.records import Alias
    from rustybt.data.bundles.zipline_export.grid import SessionGrid

_DELIMITER = re.compile(r"[./\-_]")


@dataclass(frozen=True, slots=True)
class SymbolMapping:
    """A name of an asset from `start` to `end`, both included; `is_own` if it is the bundle's own symbol of the asset."""

    sid: int
    symbol: str
    start: date
    end: date
    is_own: bool

    @property
    def parts(self) -> tuple[str, str]:
        """Company and share class, by which Zipline finds the asset."""
        company, *share_class = _DELIMITER.split(self.symbol.upper(), maxsplit=1)
        return company, share_class[0] if share_class else ""


def mappings_of(
    sids: Mapping[str, int],
    spans: Mapping[str, tuple[date, date]],
    aliases: Iterable[Alias],
    grid: SessionGrid,
) -> tuple[list[SymbolMapping], list[str]]:
    """Return the names of all assets in `spans` by sid and date, and a note on each alias that has no place.

    An asset has its own symbol on the days on which no dated alias held.

    Raises
    ------
    RequestError
        Zipline could not tell two symbols of the bundle apart.
    """
    dated: dict[str, list[Alias]] = {}
    undated = set()
    for alias in aliases:
        if alias.symbol not in spans:
            continue
        if alias.start is None and alias.end is None and alias.alias != alias.symbol:
            undated.add(alias.alias)
        else:
            dated.setdefault(alias.symbol, []).append(alias)
    found = [
        mapping
        for symbol, (first, last) in spans.items()
        for mapping in _names_of(symbol, sids[symbol], first, last, dated.get(symbol, []), grid)
    ]
    found.sort(key=lambda m: (m.sid, m.start, m.end, m.symbol))
    kept, ambiguous = _unambiguous(found)
    said = []
    if undated:
        said.append(f"names without dates were left out, for Zipline knows only dated ones: {listed(sorted(undated))}")
    if ambiguous:
        said.append(
            "names that another asset bore at the same time, as Zipline reads them, were left out: "
            + listed(sorted({m.symbol for m in ambiguous}))
        )
    return kept, said


def _names_of(
    symbol: str, sid: int, first: date, last: date, aliases: Sequence[Alias], grid: SessionGrid
) -> list[SymbolMapping]:
    names = {
        SymbolMapping(
            sid,
            alias.alias,
            alias.start or min(first, alias.end or first),
            alias.end or max(last, alias.start or last),
            is_own=alias.alias == symbol,
        )
        for alias in aliases
    }
    if not any(name.is_own for name in names):
        ended = [alias.end for alias in aliases if alias.end is not None]
        begun = [alias.start for alias in aliases if alias.end is None and alias.start is not None]
        start = max([first, *(_session_after(end, grid) for end in ended)])
        end = min([last, *(day - timedelta(days=1) for day in begun)])
        if start <= end:
            names.add(SymbolMapping(sid, symbol, start, end, is_own=True))
    return list(names)


def _session_after(day: date, grid: SessionGrid) -> date:
    """Return the first session of the ingestion after a day, or the day's next where there is none."""
    at = int(np.searchsorted(grid.sessions, np.datetime64(day), side="right"))
    return grid.sessions[at].item() if at < grid.sessions.size else day + timedelta(days=1)


def _unambiguous(found: Sequence[SymbolMapping]) -> tuple[list[SymbolMapping], list[SymbolMapping]]:
    """Split the names into those that Zipline can tell apart and aliases that it cannot."""
    by_parts: dict[tuple[str, str], list[SymbolMapping]] = {}
    for mapping in found:
        by_parts.setdefault(mapping.parts, []).append(mapping)
    dropped: list[SymbolMapping] = []
    for named in by_parts.values():
        own = [m for m in named if m.is_own]
        for left, right in pairwise(sorted(own, key=lambda m: m.start)):
            if left.sid != right.sid and right.start <= left.end:
                raise RequestError(
                    f"Zipline cannot tell {left.symbol!r} and {right.symbol!r} apart: it reads symbols in capitals and '.', "
                    "'/', '-' and '_' as one",
                    hint="ingest a bundle with one of them",
                    symbols=[left.symbol, right.symbol],
                )
        held = list(own)
        for alias in (m for m in named if not m.is_own):
            if any(m.sid != alias.sid and m.start <= alias.end and alias.start <= m.end for m in held):
                dropped.append(alias)
            else:
                held.append(alias)
    return [m for m in found if m not in dropped], dropped
