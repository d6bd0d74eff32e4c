"""What an answer may be: everything that the vendor tells now, or as old as the freshness rules allow and not a second older.

The rules, worked out here from the exchange's times alone:

* Daily bars are as of the last close at least; intraday bars as of an hour ago (1m: five minutes) while the market is open, else as
  of the last close. A close counts when its bars are settled.
* So an answer that reaches that moment holds every bar that was told then, each as it was told then or later.
* An answer that ends earlier holds final bars, which never go stale: each as the vendor told it at some time.
* The bars of one symbol are all of one basis: never some before and some after a split was worked in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from rustybt.errors import DataQualityError
from rustybt.market.bars import BAR_SCHEMA, PRICE_COLUMNS, check_bars
from rustybt.market.frequency import Frequency
from rustybt.market.request import BarRequest
from tests.bench.cache_market import SETTLEMENT_SECONDS, answer, basis_at, series, session_times

if TYPE_CHECKING:
    import polars as pl

    from tests.bench.cache_market import Told
    from tests.bench.cache_trace import Request

_TTL_SECONDS = {"1h": 3_600.0, "1m": 300.0}


class Match(Enum):
    """How an answer compares."""

    SAME = "what the vendor tells now"
    OLDER = "older, as freshness allows"
    WRONG = "wrong"


@dataclass(frozen=True)
class Verdict:
    match: Match
    problems: tuple[str, ...] = ()


def promised_at(frequency: str, now: float) -> float:
    """Return the moment that an answer given at `now` must not be older than, Unix seconds."""
    opens, closes = session_times()
    settled = closes + SETTLEMENT_SECONDS
    last = int(np.searchsorted(settled, now, "right")) - 1
    since = float(settled[last])
    opened = float(opens[last + 1])
    if frequency == "1d" or now < opened + Frequency.parse(frequency).seconds:
        return since
    return max(since, now - _TTL_SECONDS[frequency])


def span(request: Request) -> tuple[int, int]:
    """Return the range asked for, microseconds UTC, both included."""
    parsed = BarRequest.create(request.symbols, request.start, request.end, request.frequency)
    assert parsed.start is not None
    assert parsed.end is not None
    return parsed.start, parsed.end


def judge(request: Request, bars: pl.DataFrame) -> Verdict:
    """Compare the answer to a request with what the vendor tells at that time, and if it differs, with what is allowed."""
    start, end = span(request)
    now = answer(request.symbols, start, end, request.frequency, request.now)
    if bars.schema == BAR_SCHEMA and bars.equals(now):
        return Verdict(Match.SAME)
    try:
        check_bars(bars)
    except DataQualityError as error:
        return Verdict(Match.WRONG, (f"{request.at} {request.who} {request.start}..{request.end}: {error}",))
    problems = []
    for symbol in sorted(set(request.symbols)):
        told = series(symbol, request.frequency)
        wrong = _wrong_with(bars.filter(symbol=symbol), told, start, end, request)
        if wrong:
            problems.append(f"{request.at} {request.who} {symbol} {request.start}..{request.end}: {wrong}")
    strangers = set(bars["symbol"].unique()) - set(request.symbols)
    if strangers:
        problems.append(f"{request.at} {request.who}: not asked for: {sorted(strangers)}")
    return Verdict(Match.WRONG, tuple(problems)) if problems else Verdict(Match.OLDER)


def _wrong_with(bars: pl.DataFrame, told: Told, start: int, end: int, request: Request) -> str:
    """Return what is wrong with the answer for one symbol, or nothing."""
    bound = promised_at(request.frequency, request.now)
    stamps = bars["timestamp"].to_physical().to_numpy()
    newest, due = told.between(start, end, request.now), told.between(start, end, bound)
    missing = np.setdiff1d(told.labels[due], stamps)
    if len(missing):
        return f"{len(missing)} bars are missing, the first of {_text(missing[0])}"
    extra = np.setdiff1d(stamps, told.labels[newest])
    if len(extra):
        return f"{len(extra)} bars that the vendor has not told, the first of {_text(extra[0])}"
    rows = np.searchsorted(told.labels, stamps)
    told_by_then = told.between(0, 2**62, bound)
    reaches_tail = told_by_then.stop > 0 and end >= told.labels[told_by_then.stop - 1]
    oldest = bound if reaches_tail else 0.0
    reasons = [_differs(bars, told, rows, basis, oldest, request.now) for basis in _bases(oldest, request.now)]
    return "" if "" in reasons else " / ".join(reasons)


def _bases(oldest: float, now: float) -> range:
    return range(basis_at(oldest), basis_at(now) + 1)


def _differs(bars: pl.DataFrame, told: Told, rows: np.ndarray, basis: int, oldest: float, now: float) -> str:
    """Return which bar is not what was told on one basis at any moment from `oldest` to `now`."""
    frame = told.bases[basis][rows]
    for name in PRICE_COLUMNS:
        wrong = (bars[name] != frame[name]).arg_true()
        if len(wrong):
            at = wrong[0]
            what = (
                f"basis {basis}: {name} of {bars['timestamp'][at]:%Y-%m-%d} is {bars[name][at]}, told {frame[name][at]}"
            )
            return f"{what} ({len(wrong)} such bars)"
    first = (bars["volume"] == frame["volume"]).to_numpy() & (told.revised_at[rows] > oldest)
    late = (bars["volume"] == told.late_volumes[basis][rows]).to_numpy() & (told.revised_at[rows] <= now)
    never = ~np.isfinite(told.revised_at[rows]) & (bars["volume"] == frame["volume"]).to_numpy()
    wrong = np.flatnonzero(~(first | late | never))
    if len(wrong):
        return (
            f"basis {basis}: the volume of {bars['timestamp'][int(wrong[0])]:%Y-%m-%d} is as it was told too long ago"
        )
    return ""


def _text(micros: int) -> str:
    return str(np.datetime64(int(micros), "us"))
