"""Serve bars to a strategy: every read is answered from arrays, as of the simulation's clock."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.data.portal.checks import FIELDS
from rustybt.data.portal.intraday_feed import IntradayFeed
from rustybt.data.portal.old_readers import from_old_readers
from rustybt.data.portal.providers.resampled_bars import ResampledBars, anchor_of
from rustybt.data.portal.providers.source_bars import SourceBars, bars_of
from rustybt.data.portal.rows.bar_axis import BarAxis
from rustybt.data.portal.rows.session_axis import SessionAxis
from rustybt.data.portal.rows.venue_days import end_of_life, keeps_clock, sessions_with_trading
from rustybt.data.portal.session_feed import SessionFeed
from rustybt.data.portal.views import LongerView, SessionView, View
from rustybt.errors import RequestError
from rustybt.market.assets import Asset
from rustybt.market.calendars import get_calendar
from rustybt.market.frequency import DAILY, FREQUENCIES, Frequency
from rustybt.market.request import DAY_MICROSECONDS
from rustybt.market.resample import base_of, can_resample
from rustybt.market.trading_calendar import period_numbers, period_starts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from rustybt.data.portal.arrays.intraday_panel import IntradayPanel
    from rustybt.data.portal.arrays.panel import BarPanel
    from rustybt.data.portal.bar_provider import BarProvider, Booleans, Floats, Integers

#: What `get_spot_value` and `data.current` answer; `last_traded` is a time, so it has no history.
SPOT_FIELDS = (*FIELDS, "last_traded")

_MINUTE = Frequency.parse("1m")


class PolarsDataPortal:
    """Bars of a bundle, or of a source, adjusted as of a clock.

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
    frequency
        Of the bars that move the clock, days by default; longer ones than those stored are made of them.
    daily_reader, minute_reader
        Deprecated: opened bundles, or objects that can ``read``, of days and of minutes, instead of `bars`. With a minute
        reader, minutes move the clock unless `frequency` says otherwise. They may stand third and fourth without a name.

    Attributes
    ----------
    axis
        The sessions (weeks, months) served.
    feed
        Bars of the clock's frequency: what `data.current` reads.

    Raises
    ------
    RequestError
        Neither bars nor a data source are given, there are no bars that the frequency could be made of, or no session lies
        between the dates.
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
        frequency: str | Frequency | None = None,
        daily_reader: Any = None,
        minute_reader: Any = None,
    ) -> None:
        old = from_old_readers(daily_reader, minute_reader, bars, data_source, use_cache, frequency)
        if old is not None:
            bars, data_source, frequency = old
        self.use_cache = bool(use_cache)
        self.frequency = Frequency.parse(DAILY if frequency is None else frequency)
        name = getattr(calendar, "name", calendar)
        if bars is None:
            if data_source is None:
                raise RequestError("the portal needs bars", hint="pass bars=rb.bundle('us') or data_source=...")
            bars = bars_of(
                data_source, symbols, start, end, calendar_name=name, frequency=self.frequency, use_cache=use_cache
            )
        if not hasattr(bars, "read_arrays"):
            raise RequestError(
                f"bars= takes an opened bundle, not {type(bars).__name__}",
                hint="bars=rb.bundle('us'), or data_source=rb.get_source(...)",
            )
        self.bars = bars
        self.asset_finder = asset_finder if asset_finder is not None else bars.assets
        first, last = span(bars, self.frequency) if start is None or end is None else (start, end)
        served = self._serving(bars)
        self._dates = (name or bars.calendar_name, start or first, end or last)
        axis_frequency = DAILY if self.frequency.is_intraday else self.frequency
        self.axis = SessionAxis(*self._dates, axis_frequency)
        self.feed: SessionFeed | IntradayFeed
        self._views: dict[str, View] = {}
        # Of assets of other venues: when they end, and in which sessions they trade.
        self._ends: dict[int, int] = {}
        self._trading: dict[str, Booleans] = {}
        self._served = served
        if self.frequency.is_intraday:
            anchor = anchor_of(served, self.axis, self.frequency)
            self.feed = IntradayFeed(served, BarAxis(self.axis, self.frequency, anchor))
        else:
            self.feed = SessionFeed(served, self.axis)
        self._views[self.frequency.name] = self.feed
        # Reads from outside a strategy move the clock for a moment.
        self._reading = RLock()

    def _serving(self, bars: BarProvider) -> BarProvider:
        wanted = self.frequency
        if wanted.name not in bars.frequencies and base_of(wanted, bars.frequencies) is None:
            held = ", ".join(bars.frequencies) or "none"
            raise RequestError(
                f"these bars are of frequency {held}: no bars of {wanted} can be made of them",
                hint=f"ingest with --frequency {wanted}, or run on data_frequency={bars.frequencies[0]!r}"
                if bars.frequencies
                else "ingest bars first",
            )
        if wanted.name in bars.frequencies and (not wanted.is_intraday or DAILY.name in bars.frequencies):
            return bars
        return ResampledBars(bars, bars.calendar_name)

    @property
    def panel(self) -> BarPanel | IntradayPanel:
        """The arrays of the feed, and what happens to their assets."""
        return self.feed.panel

    # The clock -----------------------------------------------------------------------------------------------------

    @property
    def now_t(self) -> int | None:
        """Session of the clock, counted from the first; None outside a run."""
        return self.feed.now_t

    def set_clock(self, now_t: int, seen_t: int) -> None:
        """Move the clock into session `now_t`, of whose end on everything up to session `seen_t` is known."""
        if isinstance(self.feed, SessionFeed):
            self.feed.set_clock(now_t, seen_t)
        else:
            self.feed.set_clock(now_t, self.feed.axis.first_of(seen_t + 1) - 1)

    def before_open(self, t: int) -> None:
        """Move the clock to session `t` before its first bar: prices are adjusted for what happens in it."""
        self.set_clock(t, t - 1)

    def at_bar(self, t: int, number: int) -> None:
        """Move the clock to the end of a bar of session `t`, counted from 0."""
        feed = self.feed
        if isinstance(feed, SessionFeed):
            feed.set_clock(t, t)
        else:
            feed.at_bar(t, feed.axis.first_of(t) + number)

    def bar_ends(self, t: int) -> pd.DatetimeIndex:
        """Return when the bars of session `t` are complete, in UTC: the closes that a run's clock shows."""
        import pandas as pd

        feed = self.feed
        if isinstance(feed, IntradayFeed):
            return feed.axis.ends_of(feed.axis.first_of(t), feed.axis.first_of(t + 1))
        row = t + self.axis.before
        close = self.axis.closes[row : row + 1].astype("datetime64[us]")
        return pd.DatetimeIndex(close).as_unit("ns").tz_localize("UTC")

    @property
    def session(self) -> date:
        """The session of the clock; outside a run, the last one."""
        day: date = self.axis.sessions[self._t() + self.axis.before].item()
        return day

    def _t(self) -> int:
        feed = self.feed
        if feed.now_t is not None:
            return feed.now_t
        return feed.seen_t if isinstance(feed, SessionFeed) else feed.axis.session_of(feed.seen_r)

    def is_yet_to_end(self, asset: Asset) -> bool:
        """Return whether an asset of another venue, whose last session is over, is still held for want of one that it lacks."""
        if asset.last_session is None or keeps_clock(asset, self.axis):
            return False
        end = self._ends.get(asset.sid)
        if end is None:
            end = self._ends[asset.sid] = end_of_life(asset, asset.last_session, self.axis)
        return self._t() < end

    def is_open(self, asset: Asset) -> bool:
        """Return whether the asset's venue trades in the present bar; always for the venues of the clock.

        In runs on sessions it does where a session of the venue ends in that of the clock. Before the first bar of a session,
        the first bar counts.
        """
        feed = self.feed
        if keeps_clock(asset, self.axis):
            return True
        if isinstance(feed, SessionFeed):
            t = self._t()
            if asset.calendar_name not in self._trading:
                self._trading[asset.calendar_name] = sessions_with_trading(asset.calendar_name, self.axis)
            return t < 0 or bool(self._trading[asset.calendar_name][t])
        r = feed.seen_r
        if feed.now_t is not None:
            r = max(r, feed.axis.first_of(feed.now_t))
        label = feed.axis.labels[r + feed.axis.before : r + feed.axis.before + 1]
        day = self.session
        calendar = get_calendar(asset.calendar_name, day - timedelta(days=7), day + timedelta(days=7))
        return bool(calendar.session_of_instants(label)[0] >= 0)

    # Columns -------------------------------------------------------------------------------------------------------

    def column(self, asset: Asset) -> int:
        """Return the feed's column of an asset; see `SessionFeed.column`."""
        return self.feed.column(asset)

    def columns(self, assets: Sequence[Asset]) -> slice | Integers:
        """Return the feed's columns of assets."""
        return self.feed.columns(assets)

    # Reading -------------------------------------------------------------------------------------------------------

    def view(self, frequency: str | Frequency) -> View:
        """Return the windows of a frequency: that of the clock, sessions, or a longer one.

        Raises
        ------
        RequestError
            It is finer than the clock's, or no whole number of its bars make one.
        """
        found = self._views.get(frequency) if isinstance(frequency, str) else None
        if found is not None:
            return found
        wanted = Frequency.parse(frequency)
        if wanted.name not in self._views:
            self._views[wanted.name] = self._make_view(wanted)
        return self._views[wanted.name]

    def _make_view(self, wanted: Frequency) -> View:
        feed = self.feed
        if not can_resample(self.frequency, wanted):
            made = [
                name
                for name, longer in FREQUENCIES.items()
                if longer == self.frequency or can_resample(self.frequency, longer)
            ]
            # Weeks do not make months, days make both.
            finer = wanted.name if wanted.seconds < self.frequency.seconds else DAILY.name
            raise RequestError(
                f"history of {wanted} bars cannot be made of the {self.frequency} bars of this run",
                hint=f"ask for {', '.join(made)}, or run on data_frequency={finer!r}",
            )
        if isinstance(feed, SessionFeed):
            return LongerView(feed, wanted)
        if wanted.is_intraday:
            return LongerView(feed, wanted)
        if wanted == DAILY:
            # An axis of its own: it may reach years back where the minutes do not.
            return SessionView(SessionFeed(self._served, SessionAxis(*self._dates)), feed)
        sessions = self.view(DAILY)
        return LongerView(sessions, wanted)  # type: ignore[arg-type]

    def window(self, columns: slice | Integers, bar_count: int, field: str) -> Floats:
        """Return the last bars of the feed; see `SessionFeed.window`."""
        return self.feed.window(columns, bar_count, field)

    def session_prices(self, asset: Asset) -> Floats:
        """Return the price of an asset at the close of each session and of the one before the first, adjusted as of the last."""
        view = self.view(DAILY if self.frequency.is_intraday else self.frequency)
        columns = view.columns([asset])
        last = self.axis.length - 1
        self.set_clock(last, last)
        found: Floats = view.window(columns, self.axis.length + 1, "price")[:, 0]
        return found

    def open_by_close(self, asset: Asset) -> float:
        """Return the open of an asset in the first session of the simulation as a fraction of its close there."""
        frequency = DAILY if self.frequency.is_intraday else self.frequency
        first: date = self.axis.sessions[self.axis.before].item()
        opened, closed = (float(self.get_spot_value(asset, field, first, frequency)) for field in ("open", "close"))
        return opened / closed

    def session_minutes(self) -> pd.DatetimeIndex:
        """Return the ends of all minutes of the clock's session, in UTC."""
        import pandas as pd

        day = self.session
        calendar = self.axis.calendar
        ends = calendar.bar_ends(calendar.expected_bar_opens(day, day, _MINUTE), _MINUTE)
        return pd.DatetimeIndex(ends.astype("datetime64[us]")).as_unit("ns").tz_localize("UTC")

    @contextmanager
    def _clock_at(self, dt: Any, frequency: str | Frequency) -> Iterator[View]:
        """Have the clock stand where `dt` says, not beyond where it stands in a run."""
        import pandas as pd

        view = self.view(frequency)
        try:
            stamp = pd.Timestamp(dt)
        except (TypeError, ValueError) as error:
            raise RequestError(f"{dt!r} is no instant", hint="pass a date, or a time in UTC") from error
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        is_date = not isinstance(dt, datetime) and (isinstance(dt, date) or _is_date_text(dt))
        feed = self.feed
        with self._reading:
            if isinstance(feed, SessionFeed):
                now = (feed.now_t, feed.seen_t)
                at = feed.place_of(stamp)
            else:
                now = (feed.now_t, feed.seen_r)
                at = feed.place_of(stamp, is_date=is_date)
            moved = at != now[1]
            if moved:
                feed.set_clock(None, at)
            try:
                yield view
            finally:
                if moved:
                    feed.set_clock(*now)

    def get_spot_value(self, assets: Asset | Iterable[Asset], field: str, dt: Any, data_frequency: Any = None) -> Any:
        """Return the value of `field` in the bar that is complete at `dt`, a list for several assets.

        Parameters
        ----------
        dt
            A date means its session's last bar; naive times are UTC. On daily bars midnight means that date, too.
        data_frequency
            By default that of the portal; ``1d`` on intraday bars sums the session up to `dt`.

        Raises
        ------
        LookaheadError
            In a run, `dt` lies beyond the clock.
        RequestError
            Unknown field or frequency.
        """
        if field not in SPOT_FIELDS:
            raise RequestError(f"no field {field!r}", hint=f"use one of {', '.join(SPOT_FIELDS)}")
        with self._clock_at(dt, data_frequency or self.frequency) as view:
            if isinstance(assets, (Asset, str)):  # text is refused whole, not letter by letter
                return self._spot(assets, field, view)
            return [self._spot(asset, field, view) for asset in assets]

    def _spot(self, asset: Asset, field: str, view: View) -> Any:
        feed = self.feed
        column = feed.column(asset)
        if field == "last_traded":
            return feed.last_traded(column)
        if view is feed:
            value = float(feed.spot[field].item(feed.row, column))
        else:
            value = float(view.window(view.columns([asset]), 1, field)[0, 0])
        return int(value) if field == "volume" and value.is_integer() else value

    async def async_get_spot_value(
        self, assets: Asset | Iterable[Asset], field: str, dt: Any, data_frequency: Any = None
    ) -> Any:
        """Return `get_spot_value` without blocking the caller's event loop."""
        return await asyncio.to_thread(self.get_spot_value, assets, field, dt, data_frequency)

    def get_history_window(
        self,
        assets: Asset | Iterable[Asset],
        end_dt: Any,
        bar_count: int,
        frequency: str,
        field: str,
        data_frequency: Any = None,
    ) -> pd.DataFrame:
        """Return `bar_count` bars up to the one complete at `end_dt`, a column for each asset.

        Raises
        ------
        LookaheadError
            In a run, `end_dt` lies beyond the clock.
        RequestError
            Unknown field or frequency.
        """
        import pandas as pd

        assets = [assets] if isinstance(assets, (Asset, str)) else list(assets)
        if data_frequency is not None:
            self.view(data_frequency)
        with self._clock_at(end_dt, frequency) as view:
            values = view.window(view.columns(assets), bar_count, field)
            index = view.index(bar_count)
        return pd.DataFrame(values, index=index, columns=pd.Index(assets, dtype=object))

    async def async_get_history_window(
        self,
        assets: Asset | Iterable[Asset],
        end_dt: Any,
        bar_count: int,
        frequency: str,
        field: str,
        data_frequency: Any = None,
    ) -> pd.DataFrame:
        """Return `get_history_window` without blocking the caller's event loop."""
        return await asyncio.to_thread(
            self.get_history_window, assets, end_dt, bar_count, frequency, field, data_frequency
        )


def _is_date_text(value: Any) -> bool:
    """Return whether text names a date without a time."""
    if not isinstance(value, str):
        return False
    try:
        date.fromisoformat(value.strip())
    except ValueError:
        return False
    return True


def span(bars: BarProvider, frequency: Frequency) -> tuple[date, date]:
    """Return the dates of the first and the last bar of all symbols; of a source, the dates to simulate.

    The last bar of weeks or months lasts to the end of its week or month.

    Raises
    ------
    RequestError
        There is no bar at all.
    """
    if isinstance(bars, SourceBars):
        first, last = bars.simulated()
        return first, _end_of_period(last, frequency)
    assets = [bars.assets.lookup_symbol(symbol) for symbol in bars.symbols]
    firsts = [a.first_session for a in assets if a.first_session is not None]
    lasts = [a.last_session for a in assets if a.last_session is not None]
    if not firsts or not lasts:
        raise RequestError("these bars are empty: nothing can be simulated", hint="ingest bars first")
    return min(firsts), _end_of_period(max(lasts), frequency)


def _end_of_period(day: date, frequency: Frequency) -> date:
    if frequency.name not in ("1w", "1M"):
        return day
    number = period_numbers(np.array([day], dtype="datetime64[D]"), frequency)
    following: date = (period_starts(number + 1, frequency) // DAY_MICROSECONDS).astype("datetime64[D]")[0].item()
    return following - timedelta(days=1)
