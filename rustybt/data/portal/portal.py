"""Serve bars to a strategy: every read is answered from arrays, as of the simulation's clock."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.data.portal.as_of_array import AsOfArray
from rustybt.data.portal.bar_provider import BarProvider, Floats, Integers
from rustybt.data.portal.panel import BarPanel
from rustybt.data.portal.session_axis import SessionAxis
from rustybt.data.portal.source_bars import SourceBars
from rustybt.data.sources.cached_source import with_cache
from rustybt.errors import LookaheadError, RequestError
from rustybt.market.assets import Asset
from rustybt.market.frequency import DAILY, Frequency

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    import pandas as pd

    from rustybt.data.portal.adjustments import HistoryEvent

FIELDS = ("open", "high", "low", "close", "volume", "price")
#: What `get_spot_value` and `data.current` answer; `last_traded` is a time, so it has no history.
SPOT_FIELDS = (*FIELDS, "last_traded")

Columns = slice | Integers


class PolarsDataPortal:
    """Daily bars of a bundle, or of a source, adjusted as of a clock.

    Parameters
    ----------
    asset_finder
        Looks assets up; by default that of the bars.
    calendar
        Name of the calendar whose sessions are served, or an object with a `name`; by default that of the bars.
    data_source
        Where bars come from when no `bars` are given.
    use_cache
        Whether a source that is not on this machine is asked through the cache of the home.
    bars
        An opened bundle, or any `BarProvider`.
    symbols
        Symbols of the data source that may be asked for; others are fetched when first asked for.
    start, end
        Dates served, both included; by default those of the bars. History reaches back beyond `start`.

    Raises
    ------
    RequestError
        Neither bars nor a data source are given, the bars are not daily, or no session lies between the dates.
    """

    def __init__(
        self,
        asset_finder: Any = None,
        calendar: Any = None,
        data_source: Any = None,
        use_cache: bool = True,  # noqa: FBT001, FBT002 - the seed's signature
        *,
        bars: BarProvider | None = None,
        symbols: Sequence[str] = (),
        start: date | None = None,
        end: date | None = None,
        frequency: str | Frequency = DAILY,
    ) -> None:
        self.use_cache = use_cache
        self.frequency = Frequency.parse(frequency)
        if self.frequency != DAILY:
            raise RequestError(f"the portal serves daily bars, not {self.frequency}", hint="use data_frequency='daily'")
        name = getattr(calendar, "name", calendar)
        if bars is None:
            if data_source is None:
                raise RequestError("the portal needs bars", hint="pass bars=rb.bundle('us') or data_source=...")
            source = with_cache(data_source) if use_cache else data_source
            bars = SourceBars(source, symbols, start, end, calendar_name=name, frequency=self.frequency.name)
        if self.frequency.name not in bars.frequencies:
            raise RequestError(
                f"these bars are of frequency {', '.join(bars.frequencies) or 'none'}: there are no daily ones to serve",
                hint="ingest with --frequency 1d",
            )
        self.bars = bars
        self.asset_finder = asset_finder if asset_finder is not None else bars.assets
        first, last = span(bars) if start is None or end is None else (start, end)
        self.axis = SessionAxis(name or bars.calendar_name, start or first, end or last)
        self.panel = BarPanel(bars, self.axis, self.frequency.name)
        self._as_of: dict[str, AsOfArray] = {}
        self._warned: set[str] = set()
        #: Session of the clock and last session that may be seen, counted from the first; None outside a run.
        self.now_t: int | None = None
        self.seen_t = self.axis.length - 1
        #: Row of the last session that may be seen, and the arrays to read it from.
        self.row = self.axis.before + self.seen_t
        self.spot: dict[str, Floats] = self.panel.arrays

    # The clock -----------------------------------------------------------------------------------------------------

    def set_clock(self, now_t: int, seen_t: int) -> None:
        """Move the clock to session `now_t`, of which `seen_t` is the last one whose bars are known.

        Before the session's first bar `seen_t` is ``now_t - 1``, and prices are adjusted for what happens in `now_t`.
        """
        self.now_t, self.seen_t = now_t, seen_t
        self._refresh()

    def _refresh(self) -> None:
        self.row = self.axis.before + self.seen_t
        now = self._now()
        if now == self.seen_t or not self.panel.arrays:
            self.spot = self.panel.arrays
        else:
            self.spot = {field: self._adjusted(field).at(now, 2) for field in FIELDS}

    def _now(self) -> int:
        return self.seen_t if self.now_t is None else self.now_t

    def session_of(self, dt: Any) -> int:
        """Return the count of the last session that is complete at `dt`: a date means its session.

        Raises
        ------
        LookaheadError
            In a run, that session has not closed yet.
        """
        import pandas as pd

        stamp = pd.Timestamp(dt)
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        while (row := self._row_of(stamp)) < 0:
            self._reach(self.axis.before + 1, 1)
        t = row - self.axis.before
        if self.now_t is not None and t > self.seen_t:
            seen = self.axis.sessions[self.row]
            raise LookaheadError(
                f"asked for {dt}, but at this point of the run the last known session is {seen}",
                hint="read with data.current and data.history: they follow the clock",
                asked=str(dt),
                seen=str(seen),
            )
        return t

    def _row_of(self, stamp: pd.Timestamp) -> int:
        if stamp == stamp.normalize():
            return self.axis.row_of_day(stamp.date())
        instant = stamp.tz_localize(None).to_datetime64().astype("datetime64[us]").astype(np.int64)
        return int(np.searchsorted(self.axis.closes, instant, side="right")) - 1

    # Columns -------------------------------------------------------------------------------------------------------

    def column(self, asset: Asset) -> int:
        """Return the column of the asset, loading its bars if they are not.

        Raises
        ------
        RequestError
            `asset` is not an asset.
        """
        if not isinstance(asset, Asset):
            raise RequestError(
                f"expected an asset, not {type(asset).__name__} {asset!r}", hint=f"write symbol({str(asset)!r})"
            )
        known = self.panel.columns.get(asset.sid)
        if known is not None:
            return known
        column = self.panel.load(asset)
        self._as_of.clear()
        self._refresh()
        self._warn_of_bases()
        return column

    def columns(self, assets: Sequence[Asset]) -> Columns:
        """Return the assets' columns, as a slice where they lie side by side."""
        for asset in assets:
            if isinstance(asset, Asset):
                self.panel.expect(asset)
        found = [self.column(asset) for asset in assets]
        if found and found == list(range(found[0], found[0] + len(found))):
            return slice(found[0], found[0] + len(found))
        return np.array(found, dtype=np.int64)

    def _warn_of_bases(self) -> None:
        for basis, why in (
            ("split_dividend_adjusted", "their prices already hold splits and dividends, so none is booked"),
            ("unknown", "it is not known how their prices are adjusted, so no split or dividend is applied"),
        ):
            if basis in self._warned:
                continue
            names = [a.symbol for a in self.panel.unadjustable if self.panel.basis(a) == basis]
            if names:
                self._warned.add(basis)
                more = ", ..." if len(names) > 5 else ""
                warnings.warn(f"{', '.join(names[:5])}{more}: price basis {basis!r}; {why}", UserWarning, stacklevel=2)

    # Reading -------------------------------------------------------------------------------------------------------

    def window(self, columns: Columns, bar_count: int, field: str, end_t: int | None = None) -> Floats:
        """Return a new array of the last `bar_count` sessions up to `end_t`, by default the last one that may be seen.

        Returns
        -------
        array, shape (bar_count, n_assets)
            Adjusted as of the clock when it ends at the last seen session, else as of its own end. NaN (volume: 0)
            where no bar is.

        Raises
        ------
        RequestError
            Unknown field, `bar_count` below 1, or the calendar knows no session that long ago.
        """
        if field not in FIELDS:
            raise RequestError(f"history has no field {field!r}", hint=f"use one of {', '.join(FIELDS)}")
        if not isinstance(bar_count, (int, np.integer)) or bar_count < 1:
            raise RequestError(f"bar_count must be a whole number from 1 on, not {bar_count!r}")
        end = self.seen_t if end_t is None else end_t
        as_of = self._now() if end == self.seen_t else end
        self._reach(bar_count - end - 1, bar_count)
        stop = end + self.axis.before + 1
        if not self.panel.arrays:
            return np.empty((bar_count, 0))
        array = self._adjusted(field).at(as_of, bar_count + 1)[stop - bar_count : stop]
        return array[:, columns].copy() if isinstance(columns, slice) else array.take(columns, axis=1)

    def _reach(self, before: int, bar_count: int) -> None:
        if before <= self.axis.before:
            return
        enough = self.panel.grow(before)
        self._as_of.clear()
        self._refresh()
        if not enough:
            raise RequestError(
                f"calendar {self.axis.calendar_name} begins {self.axis.sessions[0]}: a window of {bar_count} sessions "
                "does not fit before the clock",
                hint="ask for fewer bars",
            )

    def window_index(self, bar_count: int, end_t: int | None = None) -> pd.DatetimeIndex:
        """Return the labels of the sessions of `window`."""
        stop = (self.seen_t if end_t is None else end_t) + self.axis.before + 1
        return self.axis.index[stop - bar_count : stop]

    def _adjusted(self, field: str) -> AsOfArray:
        found = self._as_of.get(field)
        if found is None:
            raw = self.panel.filled if field == "price" else self.panel.arrays[field]
            found = self._as_of[field] = AsOfArray(raw, self._history_events(), field, self.axis.before)
        return found

    def _history_events(self) -> list[HistoryEvent]:
        events = [e for of_asset in self.panel.events for e in of_asset.history]
        return sorted(events, key=lambda e: (e.t, e.column))

    def last_traded(self, column: int, row: int) -> Any:
        """Return the label of the last session with a bar up to `row`, NaT when there is none."""
        import pandas as pd

        traded = np.flatnonzero(~np.isnan(self.panel.arrays["close"][: row + 1, column]))
        return self.axis.index[traded[-1]] if traded.size else pd.NaT

    def get_spot_value(self, assets: Asset | Iterable[Asset], field: str, dt: Any, data_frequency: Any = DAILY) -> Any:
        """Return the value of `field` in the session that is complete at `dt`, a list for several assets.

        Raises
        ------
        LookaheadError
            In a run, `dt` lies beyond the clock.
        RequestError
            Unknown field or frequency.
        """
        self._check_frequency(data_frequency)
        if field not in SPOT_FIELDS:
            raise RequestError(f"no field {field!r}", hint=f"use one of {', '.join(SPOT_FIELDS)}")
        t = self.session_of(dt)
        if isinstance(assets, Asset):
            return self._spot_at(assets, field, t)
        return [self._spot_at(asset, field, t) for asset in assets]

    def _spot_at(self, asset: Asset, field: str, t: int) -> Any:
        column = self.column(asset)
        row = t + self.axis.before
        if field == "last_traded":
            return self.last_traded(column, row)
        value = self.panel.arrays[field].item(row, column)
        return int(value) if field == "volume" and value.is_integer() else value

    async def async_get_spot_value(
        self, assets: Asset | Iterable[Asset], field: str, dt: Any, data_frequency: Any = DAILY
    ) -> Any:
        """Return `get_spot_value` without blocking the caller's event loop."""
        return await asyncio.to_thread(self.get_spot_value, assets, field, dt, data_frequency)

    def get_history_window(
        self,
        assets: Sequence[Asset],
        end_dt: Any,
        bar_count: int,
        frequency: str,
        field: str,
        data_frequency: Any = DAILY,
    ) -> pd.DataFrame:
        """Return `bar_count` sessions up to the one complete at `end_dt`, a column for each asset.

        Raises
        ------
        LookaheadError
            In a run, `end_dt` lies beyond the clock.
        RequestError
            Unknown field or frequency.
        """
        import pandas as pd

        self._check_frequency(frequency)
        self._check_frequency(data_frequency)
        t = self.session_of(end_dt)
        values = self.window(self.columns(assets), bar_count, field, t)
        return pd.DataFrame(values, index=self.window_index(bar_count, t), columns=pd.Index(list(assets), dtype=object))

    async def async_get_history_window(
        self,
        assets: Sequence[Asset],
        end_dt: Any,
        bar_count: int,
        frequency: str,
        field: str,
        data_frequency: Any = DAILY,
    ) -> pd.DataFrame:
        """Return `get_history_window` without blocking the caller's event loop."""
        return await asyncio.to_thread(
            self.get_history_window, assets, end_dt, bar_count, frequency, field, data_frequency
        )

    def _check_frequency(self, frequency: str | Frequency) -> None:
        if Frequency.parse(frequency) != self.frequency:
            raise RequestError(f"this portal serves {self.frequency} bars, not {frequency}", hint="ask for '1d'")


def span(bars: BarProvider) -> tuple[date, date]:
    """Return the dates of the first and the last bar of all symbols; of a source, the dates to simulate.

    Raises
    ------
    RequestError
        There is no bar at all.
    """
    if isinstance(bars, SourceBars):
        return bars.simulated()
    assets = [bars.assets.lookup_symbol(symbol) for symbol in bars.symbols]
    firsts = [a.first_session for a in assets if a.first_session is not None]
    lasts = [a.last_session for a in assets if a.last_session is not None]
    if not firsts or not lasts:
        raise RequestError("these bars are empty: nothing can be simulated", hint="ingest bars first")
    return min(firsts), max(lasts)
