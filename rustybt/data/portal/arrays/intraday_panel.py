"""Intraday bars as (bar x asset) arrays: a stretch of sessions around the clock, never more than fits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np

from rustybt.data.portal.arrays.adjustments import (
    ADJUSTED_BASES,
    BookEvent,
    Dividend,
    book_events,
    dividend_amount,
    dividend_factor,
    unadjust,
)
from rustybt.data.portal.arrays.panel_assets import PanelAssets
from rustybt.data.portal.rows.placing import Rows, place_bars
from rustybt.data.portal.rows.venue_days import end_of_life, keeps_clock, session_of_event
from rustybt.market.bars import VALUE_COLUMNS
from rustybt.market.calendars import get_calendar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from rustybt.data.portal.bar_provider import BarBlock, BarProvider, Floats, Integers
    from rustybt.data.portal.rows.bar_axis import BarAxis
    from rustybt.market.assets import Asset
    from rustybt.market.corporate_actions import CorporateAction

#: Six fields of eight bytes.
_CELL_BYTES = 48
#: What is held ahead of the clock.
_STRETCH_BYTES = 224 * 2**20
#: Bars read in one go; the reader needs about as much again.
_READ_ROWS = 250_000
#: Days looked back for a last price, one stretch after the other.
_LOOK_BACK = (4, 10, 40, 160, 640, 2_560, 10_240)
_A_DAY = timedelta(days=1)


@dataclass(slots=True)
class BarEvent:
    """From bar `r` on, all bars of `column` before it are multiplied; the factor of a dividend is known when `r` is read."""

    r: int
    column: int
    price_factor: float
    volume_factor: float
    #: Cash a share, where the factor is still to be computed.
    amount: float = 0.0


class IntradayPanel(PanelAssets):
    """Raw bars of the loaded assets, from bar `low` to bar `high` (excluded) of an axis.

    `arrays` holds open, high, low, close (NaN where no bar is), volume (0 there) and price: the close carried forward,
    adjusted when it crosses an ex-date, NaN before the first and after the last session of the asset.
    """

    def __init__(self, provider: BarProvider, axis: BarAxis) -> None:
        super().__init__(provider, axis.sessions)
        self.bars = axis
        self.arrays: dict[str, Floats] = {}
        self.low = self.high = 0
        #: What changes history, by bar, as far back as the axis reaches.
        self.events: list[BarEvent] = []
        #: Label of the last bar before those held, by column, where it was looked for.
        self._before_held: dict[int, int | None] = {}
        self._r = 0
        self._depth = 1

    # Loading -------------------------------------------------------------------------------------------------------

    def load(self, asset: Asset) -> int:
        """Return the column of `asset`, reading the bars of all expected assets over the held stretch if it is new."""
        found = self.columns.get(asset.sid)
        if found is not None:
            return found
        first = len(self.assets)
        new = self._enlist(asset, self._stretch_bytes())
        for one, events in self._place_events(new, self.axis.length):
            self.enter_in_book(one, events)
        try:
            self._append(new, first)
        except BaseException:
            self._forget(new)
            raise
        return self.columns[asset.sid]

    def _append(self, new: Sequence[Asset], first: int) -> None:
        """Read the held stretch of `new` as the columns from `first` on, or of all assets where that needs another stretch."""
        held = (self.high - self.low) * len(self.assets) * _CELL_BYTES
        if not self.arrays or held > 2 * _STRETCH_BYTES:
            self.arrays, self.low, self.high = {}, 0, 0
            self.reach(self._r, self._depth)
            return
        before, self.arrays = self.arrays, self._read(self.low, self.high, new)
        self._carry(0, self.high - self.low, self._last_prices(new, self.low), range(first, first + len(new)))
        self.arrays = {f: np.concatenate((before[f], a), axis=1) for f, a in self.arrays.items()}

    def _place_events(self, assets: Sequence[Asset], last: int) -> list[tuple[Asset, list[BookEvent]]]:
        """Find the bars of the assets' events up to session `last`, as far back as the axis reaches; return all events.

        What happens in the first session of the axis or before it changes no bar that the axis has.
        """
        actions = self.actions_of(assets)
        found = [(a, book_events(a, actions[a.symbol], self.basis(a), self.axis, in_bars=True)) for a in assets]
        for asset, events in found:
            column = self.columns[asset.sid]
            self.events += (_bar_event(e, column, self.bars) for e in events if -self.axis.before < e.t <= last)
        self.events.sort(key=lambda event: (event.r, event.column))
        return found

    def grow(self, bars: int) -> bool:
        """Have an axis of at least `bars` bars ahead of the simulation; return False when the calendar begins later."""
        before = self.axis.before
        enough = self.bars.grow(bars)
        if self.axis.before != before:
            self._place_events(self.assets, -before)
        return enough

    def _stretch_bytes(self) -> int:
        bars = self.high - self.low or self.bars.first_of(21) - self.bars.first_of(0)
        return max(1, bars) * _CELL_BYTES

    def reach(self, r: int, depth: int = 1) -> None:
        """Hold bars ``r - depth + 1`` to `r`, and as many ahead as fit."""
        first = r - depth + 1
        self._r = r
        if self.low <= first and r < self.high:
            return
        if self.low <= r < self.high:
            # Twice as far back as asked: the next window may be longer.
            start = max(min(first, r - 2 * depth), -self.bars.before)
            low, high = self._session_start(start), self.high
        else:
            low = self._session_start(max(min(first, r + 1 - self._depth), -self.bars.before))
            high = self._stretch_end(self.bars.session_of(r))
        self._depth = max(self._depth, depth)
        self._move(low, high)

    def _session_start(self, r: int) -> int:
        return self.bars.first_of(self.bars.session_of(r))

    def _stretch_end(self, t: int) -> int:
        """Return the bar after the last one to hold from session `t` on: whole months if one fits."""
        axis = self.bars
        most = _STRETCH_BYTES // (_CELL_BYTES * max(1, len(self.assets)))
        first = axis.first_of(t)
        last = t
        while last + 1 < self.axis.length and axis.first_of(last + 2) - first <= most:
            last += 1
        if last + 1 < self.axis.length:
            months = self.axis.sessions[self.axis.before :].astype("datetime64[M]")
            ends = [at for at in range(max(t, 0), last + 1) if months[at] != months[at + 1]]
            last = ends[-1] if ends else last
        return axis.first_of(last + 1)

    def _move(self, low: int, high: int) -> None:
        """Hold bars `low` to `high` instead, keeping those that are held already."""
        keep_low, keep_high = max(low, self.low), min(high, self.high)
        self._before_held = {}
        if not self.assets:
            self.low, self.high = low, high
            return
        held, self.arrays = self.arrays, {}
        if keep_low >= keep_high or not held:
            keep_low = keep_high = low
        rows = slice(keep_low - self.low, keep_high - self.low)
        # A copy, so that what is left behind makes room before more is read.
        kept = {field: values[rows].copy() for field, values in held.items()} if keep_high > keep_low else {}
        del held
        self.low = self.high = 0
        ahead = self._read(keep_high, high, self.assets) if keep_high < high else {}
        behind = self._read(low, keep_low, self.assets) if low < keep_low else {}
        parts = [part for part in (behind, kept, ahead) if part]
        if len(parts) == 1:
            self.arrays = parts[0]
        else:
            self.arrays = {f: np.concatenate([part.pop(f) for part in parts]) for f in (*VALUE_COLUMNS, "price")}
        self.low, self.high = low, high
        everything = range(len(self.assets))
        if behind or not kept:
            stop = keep_low - low if kept else high - low
            self._carry(0, stop, self._last_prices(self.assets, low), everything)
        if kept and ahead:
            start = keep_high - low
            self._carry(start, high - low, self._prices_at(keep_high), everything)

    def _read(self, low: int, high: int, assets: Sequence[Asset]) -> dict[str, Floats]:
        """Read bars `low` to `high`; `price` is the close still."""
        arrays = {field: np.full((high - low, len(assets)), np.nan) for field in (*VALUE_COLUMNS, "price")}
        for first, stop in self._pieces(low, high, len(assets)):
            size = max(1, _READ_ROWS // (stop - first))
            for at in range(0, len(assets), size):
                found = self._read_piece(first, stop, assets[at : at + size])
                for field, values in found.items():
                    arrays[field][first - low : stop - low, at : at + size] = values
        self._unadjust(arrays, low, assets)
        np.nan_to_num(arrays["volume"], copy=False, nan=0.0)
        arrays["price"][:] = arrays["close"]
        return arrays

    def _pieces(self, low: int, high: int, assets: int) -> Iterator[tuple[int, int]]:
        """Cut bars `low` to `high` into months, as intraday files are, and join as many as may be read in one go."""
        axis = self.bars
        first, last = axis.session_of(low), axis.session_of(high - 1)
        months = self.axis.sessions[first + self.axis.before : last + 1 + self.axis.before].astype("datetime64[M]")
        cuts = [axis.first_of(first + int(i) + 1) for i in np.flatnonzero(months[1:] != months[:-1])]
        begin = low
        for cut, following in pairwise([*cuts, high, None]):
            if cut is not None and (following is None or (following - begin) * assets > _READ_ROWS):
                yield begin, cut
                begin = cut

    def _read_piece(self, low: int, high: int, assets: Sequence[Asset]) -> dict[str, Floats]:
        axis = self.bars
        rows = slice(low + axis.before, high + axis.before)
        begin = int(axis.ends[rows.start - 1]) if rows.start else int(axis.labels[rows.start])
        where = Rows(axis.labels[rows], axis.ends[rows], begin, self.axis.calendar.name, axis.frequency, axis.anchor)
        first = int(axis.labels[rows.start]) if all(keeps_clock(a, self.axis) for a in assets) else begin
        block = self._provider.read_arrays(
            [a.symbol for a in assets],
            start=_day(first),
            end=_day(int(axis.ends[rows.stop - 1]) - 1),
            fields=VALUE_COLUMNS,
            frequency=axis.frequency.name,
        )
        restated = self.restatings(assets, lambda t: axis.first_of(t) - low, in_bars=True)
        return place_bars(block, assets, where, restated)

    def _unadjust(self, arrays: dict[str, Floats], low: int, assets: Sequence[Asset]) -> None:
        adjusted = [i for i, a in enumerate(assets) if self.basis(a) == "split_adjusted" and keeps_clock(a, self.axis)]
        if not adjusted:
            return
        actions = self.actions_of([assets[i] for i in adjusted])
        days = self._days(low, low + len(arrays["close"]))
        for i in adjusted:
            column = unadjust({f: arrays[f][:, i] for f in VALUE_COLUMNS}, days, actions[assets[i].symbol])
            for field in VALUE_COLUMNS:
                arrays[field][:, i] = column[field]

    def _days(self, low: int, high: int) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
        """Return the session of each bar."""
        first, last = self.bars.session_of(low), self.bars.session_of(high - 1)
        counts = np.diff([self.bars.first_of(t) for t in range(first, last + 2)])
        return np.repeat(self.axis.sessions[first + self.axis.before : last + 1 + self.axis.before], counts)

    # Prices carried forward ----------------------------------------------------------------------------------------

    def _carry(self, start: int, stop: int, last: Floats, columns: range) -> None:
        """Carry closes forward through rows `start` to `stop`, beginning with `last`; the arrays hold just these columns."""
        import pandas as pd

        price = self.arrays["price"]
        block = np.concatenate((last[None, :], price[start:stop]))
        traded = ~np.isnan(block[1:])
        price[start:stop] = pd.DataFrame(block, copy=False).ffill().to_numpy()[1:]
        del block
        here = {column: i for i, column in enumerate(columns)}
        for event in self.events:
            row = event.r - self.low
            i = here.get(event.column)
            if i is None or not start <= row <= stop:
                continue
            # Before the open of an ex-date its first bar may not be held: the price before it is enough.
            if event.amount:
                event.price_factor = dividend_factor(
                    event.amount, float(last[i] if row == start else price[row - 1, i])
                )
            if row == stop:
                continue
            after = np.flatnonzero(traded[row - start :, i])
            price[row : row + int(after[0]) if after.size else stop, i] *= event.price_factor
        for column, i in here.items():
            ended = self.assets[column].last_session
            if ended is not None:
                row = self.bars.first_of(end_of_life(self.assets[column], ended, self.axis)) - self.low
                price[max(row, start) : stop, i] = np.nan

    def last_trade(self, column: int, row: int) -> int | None:
        """Return the instant at which the last bar of an asset up to `row` of the arrays was complete, None if there is none."""
        traded = np.flatnonzero(~np.isnan(self.arrays["close"][: row + 1, column]))
        if traded.size:
            return self.bars.end_of(self.low + int(traded[-1]))
        if column not in self._before_held:
            self._before_held[column] = self._last_bars([self.assets[column]], self.low)[0][0]
        label = self._before_held[column]
        return None if label is None else int(self._ends_of(self.assets[column], np.array([label]))[0])

    def _prices_at(self, r: int) -> Floats:
        """Return the carried prices before bar `r`, which follows a held one."""
        prices: Floats = self.arrays["price"][r - 1 - self.low].copy()
        # The price of an asset that is not listed any more is gone, but still the base of its dividends.
        unpaid = {event.column for event in self.events if event.amount and event.r >= r}
        gone = [column for column in sorted(unpaid) if np.isnan(prices[column])]
        if gone:
            prices[gone] = self._last_prices([self.assets[column] for column in gone], r)
        return prices

    def _last_prices(self, assets: Sequence[Asset], low: int) -> Floats:
        """Return the last close of each asset before bar `low`, adjusted for what has happened since, NaN where none is."""
        # Events of the first session of the axis are not among `events`: the price must hold them already.
        until = max(self.bars.session_of(low) - 1, -self.axis.before)
        actions = self.actions_of(assets)
        found = self._last_bars(assets, low)
        return np.array(
            [
                np.nan if label is None else self._carried(price, asset, label, until, actions[asset.symbol])
                for asset, (label, price) in zip(assets, found, strict=True)
            ]
        )

    def _last_bars(self, assets: Sequence[Asset], low: int) -> list[tuple[int | None, float]]:
        """Return label and close of the last bar of each asset before bar `low`."""
        end = _day(int(self.bars.labels[low + self.bars.before]))
        found: list[tuple[int | None, float]] = [(None, np.nan)] * len(assets)
        missing = [i for i, a in enumerate(assets) if a.first_session is not None and a.first_session <= end + _A_DAY]
        for days in _LOOK_BACK:
            if not missing:
                break
            start = end - timedelta(days=days)
            block = self._provider.read_arrays(
                [assets[i].symbol for i in missing],
                start=start,
                end=end,
                fields=("close",),
                frequency=self.bars.frequency.name,
            )
            for i in missing:
                found[i] = self._last_of(assets[i], block, low)
            end = start - _A_DAY
            # Nothing lies before an asset's first session, which may open on its eve.
            missing = [i for i in missing if found[i][0] is None and (assets[i].first_session or start) <= end + _A_DAY]
        return found

    def _last_of(self, asset: Asset, block: BarBlock, low: int) -> tuple[int | None, float]:
        """Return label and close of an asset's last bar in a block that has its place before bar `low`."""
        if asset.symbol not in block.symbols:
            return None, np.nan
        rows = np.flatnonzero(block.symbol_codes == block.symbols.index(asset.symbol))
        stamps = block.timestamps[rows]
        if stamps.size and not keeps_clock(asset, self.axis):
            first = self.bars.first_of(self.bars.session_of(low))
            at = first + self.bars.before
            begin = int(self.bars.ends[at - 1]) if at else int(self.bars.labels[0])
            rows = rows[self._ends_of(asset, stamps) <= begin]
        elif stamps.size:
            rows = rows[(stamps < self.bars.labels[low + self.bars.before]) & self.bars.are_due(stamps)]
        if not rows.size:
            return None, np.nan
        return int(block.timestamps[rows[-1]]), float(block.values["close"][rows[-1]])  # noqa: PD011 - no pandas object

    def _ends_of(self, asset: Asset, labels: Integers) -> Integers:
        """Return when bars of an asset were complete."""
        first, last = _day(int(labels[0])), _day(int(labels[-1]))
        calendar = get_calendar(asset.calendar_name, first - _A_DAY, last + _A_DAY)
        return calendar.bar_ends(labels, self.bars.frequency)

    def _carried(self, price: float, asset: Asset, label: int, until: int, actions: Sequence[CorporateAction]) -> float:
        """Return the price of a bar as it stands after the session `until`."""
        basis = self.basis(asset)
        if basis not in ADJUSTED_BASES:
            return price
        end = self._ends_of(asset, np.array([label]))
        calendar = get_calendar(asset.calendar_name, _day(label) - _A_DAY, max(self.axis.end, _day(label)) + _A_DAY)
        # A session may open on its eve: the day of the label says too little.
        traded = calendar.sessions[np.searchsorted(calendar.closes, end)]
        if basis == "split_adjusted":
            price = float(unadjust({"close": np.array([price])}, traded, actions)["close"][0])
        since = [
            action
            for action in actions
            if traded[0].item() < action.ex_date
            and session_of_event(asset, action.ex_date, self.axis, in_bars=True) <= until
        ]
        for _, together in groupby(since, lambda a: int(np.searchsorted(calendar.sessions, np.datetime64(a.ex_date)))):
            before = price
            for action in together:
                if action.kind == "cash_dividend":
                    price *= dividend_factor(float(dividend_amount(action, actions, basis)), before)
                else:
                    price *= float(action.price_factor)
        return price


def _bar_event(event: BookEvent, column: int, bars: BarAxis) -> BarEvent:
    r = bars.first_of(event.t)
    if isinstance(event, Dividend):
        return BarEvent(r, column, 1.0, 1.0, float(event.amount))
    return BarEvent(r, column, event.price_factor, 1 / event.price_factor)


def _day(instant: int) -> date:
    return datetime.fromtimestamp(instant / 1e6, tz=UTC).date()
