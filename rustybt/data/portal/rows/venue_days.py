"""Where the days of an asset that keeps another calendar than the clock fall on the clock's sessions.

A bar of another venue is seen in the row in which it is complete, which may lie later than its date: what happens to the
asset on a date has to wait for the same row, or prices and holdings would disagree in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from rustybt.market.calendars import canonical_name, get_calendar
from rustybt.market.request import DAY_MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustybt.data.portal.bar_provider import Booleans, Floats, Integers
    from rustybt.data.portal.rows.session_axis import SessionAxis
    from rustybt.market.assets import Asset
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.trading_calendar import TradingCalendar

_MONTH = timedelta(days=31)


def keeps_clock(asset: Asset, axis: SessionAxis) -> bool:
    """Return whether the asset trades in the sessions of the axis."""
    return canonical_name(asset.calendar_name) == axis.calendar.name


def session_of_event(asset: Asset, day: date, axis: SessionAxis, *, in_bars: bool = False) -> int:
    """Return the count `t` of the session from which on prices of an asset are those after an event of `day`.

    Parameters
    ----------
    in_bars
        Whether the run is on intraday bars: the first one of `day` decides then, not the bar of the whole session.
    """
    if keeps_clock(asset, axis):
        return axis.t_of(day)
    calendar = get_calendar(asset.calendar_name, day, day + _MONTH)
    at = int(np.searchsorted(calendar.sessions, np.datetime64(day)))
    if at == len(calendar.sessions):
        return axis.t_of(day)
    if in_bars:
        return int(np.searchsorted(axis.closes, calendar.opens[at], side="right")) - axis.before
    return _row_of_session(calendar, at, axis) - axis.before


def end_of_life(asset: Asset, last_session: date, axis: SessionAxis) -> int:
    """Return the count `t` of the first session in which an asset is not listed any more.

    Of another venue's asset, that is where the first session that it lacks would have been seen: while its venue is closed
    it is still held.
    """
    if keeps_clock(asset, axis):
        return axis.end_of_life(last_session)
    calendar = get_calendar(asset.calendar_name, last_session, last_session + _MONTH)
    after = int(np.searchsorted(calendar.sessions, np.datetime64(last_session), side="right"))
    if not 0 < after < len(calendar.sessions):
        return axis.end_of_life(last_session)
    seen, lacking = (_row_of_session(calendar, at, axis) for at in (after - 1, after))
    return max(seen + 1, lacking) - axis.before


def sessions_with_trading(calendar_name: str, axis: SessionAxis) -> Booleans:
    """Return for each session of the simulation whether one of another venue ends in it, or after the one before."""
    calendar = get_calendar(calendar_name, axis.start - _MONTH, axis.end)
    rows = slice(axis.before, axis.before + axis.length)
    begin = axis.closes[axis.before - 1] if axis.before else axis.begin
    ends = np.concatenate(([begin], axis.closes[rows]))
    return np.asarray(np.diff(np.searchsorted(calendar.closes, ends, side="right")) > 0)


def _row_of_session(calendar: TradingCalendar, at: int, axis: SessionAxis) -> int:
    """Return the row in which a session's bar, or that of its week or month, is complete."""
    label = calendar.sessions[at : at + 1].astype(np.int64) * DAY_MICROSECONDS
    return int(np.searchsorted(axis.closes, calendar.bar_ends(label, axis.frequency)[0]))


@dataclass(frozen=True, slots=True)
class Restating:
    """How bars of another venue are brought to the shares of the row that they are joined into.

    Parameters
    ----------
    actions
        Events of the asset that change the number of shares.
    rows
        Of each event, the row from which on it is applied.
    is_adjusted
        Whether the bars are stored split-adjusted: they are brought back to the shares of their own day first.
    """

    actions: Sequence[CorporateAction]
    rows: Sequence[int]
    is_adjusted: bool

    def factors(self, days: np.ndarray[tuple[int], np.dtype[np.datetime64]], at: Integers) -> Floats:
        """Return what the prices of bars of `days`, seen in rows `at`, are multiplied by, and volumes divided."""
        factors = np.ones(len(days))
        for action, row in zip(self.actions, self.rows, strict=True):
            before = days < np.datetime64(action.ex_date)
            if self.is_adjusted:
                factors[before] /= float(action.price_factor)
            factors[before & (at >= row)] *= float(action.price_factor)
        return factors
