"""One field's history, adjusted as of a clock that moves forward."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustybt.data.portal.arrays.adjustments import HistoryEvent
    from rustybt.data.portal.bar_provider import Floats


class AsOfArray:
    """A copy of a panel's field in which the events up to the clock are applied, each one once.

    A window then costs one copy, however many events lie in it. Only as many rows ahead of an event are adjusted as the
    longest window asked for so far can show.

    Parameters
    ----------
    raw
        The field as traded; never changed.
    events
        Sorted by `t`; those with a factor of 1 for this field may be left out.
    field
        Decides between the price and the volume factor, and how far a carried price is adjusted.
    before
        Rows of `raw` ahead of the simulation.
    """

    def __init__(self, raw: Floats, events: Sequence[HistoryEvent], field: str, before: int) -> None:
        self._raw = raw
        self._before = before
        self._changes = [
            (
                event.t,
                (event.filled_stop if field == "price" else event.t) + before,
                event.column,
                event.volume_factor if field == "volume" else event.price_factor,
            )
            for event in events
            if field != "volume" or event.volume_factor != 1
        ]
        self._depth = 64
        self._next = 0
        self._t = -before
        self.data = raw if not self._changes else raw.copy()

    def at(self, t: int, bar_count: int) -> Floats:
        """Return the array as it stands in session `t`, right for windows of up to `bar_count` rows that end there.

        Rows after `t` are not adjusted and must not be shown.
        """
        if bar_count > self._depth or t < self._t:
            self._depth = max(bar_count, self._depth if t < self._t else 2 * self._depth)
            self._next = 0
            if self._changes:
                self.data = self._raw.copy()
        self._t = t
        changes = self._changes
        while self._next < len(changes) and changes[self._next][0] <= t:
            at, stop, column, factor = changes[self._next]
            self.data[max(0, at + self._before - self._depth) : stop, column] *= factor
            self._next += 1
        return self.data
