"""The bar of a session that has not ended: what its bars so far come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rustybt.data.portal.arrays.intraday_panel import IntradayPanel
    from rustybt.data.portal.bar_provider import Floats


class RunningSession:
    """Sums a session up as the clock moves through it: each bar is looked at once."""

    def __init__(self) -> None:
        self._first = 0
        self._next = 0
        self._values: dict[str, Floats] = {}

    def of(self, panel: IntradayPanel, first: int, last: int) -> dict[str, Floats]:
        """Return open, high, low, close (NaN without a bar so far) and volume of each column over bars `first` to `last`.

        The panel holds these bars.
        """
        assets = len(panel.assets)
        known = self._values.get("open")
        if known is None or len(known) != assets or self._first != first or self._next > last + 1:
            self._first = self._next = first
            self._values = {field: np.full(assets, np.nan) for field in ("open", "high", "low", "close")}
            self._values["volume"] = np.zeros(assets)
        if self._next <= last:
            rows = slice(self._next - panel.low, last + 1 - panel.low)
            self._add({field: panel.arrays[field][rows] for field in self._values})
            self._next = last + 1
        return self._values

    def _add(self, bars: dict[str, Floats]) -> None:
        held = self._values
        np.fmax(held["high"], np.fmax.reduce(bars["high"]), out=held["high"])
        np.fmin(held["low"], np.fmin.reduce(bars["low"]), out=held["low"])
        held["volume"] += bars["volume"].sum(axis=0)
        opened = first_known(bars["open"])
        held["open"] = np.where(np.isnan(held["open"]), opened, held["open"])
        closed = first_known(bars["close"][::-1])
        held["close"] = np.where(np.isnan(closed), held["close"], closed)


def first_known(values: Floats) -> Floats:
    """Return the first value of each column that is not NaN; NaN where all are."""
    if len(values) == 1:
        return np.asarray(values[0])
    rows = (~np.isnan(values)).argmax(axis=0)
    found: Floats = values[rows, np.arange(values.shape[1])]
    return found
