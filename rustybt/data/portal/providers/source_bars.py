"""Bars of a data source, fetched when first asked for and held in memory."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from rustybt.data.portal.providers.memory_bars import MemoryAssets, MemoryBars
from rustybt.data.portal.providers.resampled_bars import ResampledBars
from rustybt.data.sources.base import DataSource
from rustybt.data.sources.cached_source import with_cache
from rustybt.errors import NotCoveredError, RequestError, SymbolNotFoundError
from rustybt.market.assets import Asset
from rustybt.market.bars import VALUE_COLUMNS, concat_bars, empty_bars
from rustybt.market.calendars import calendar_for
from rustybt.market.corporate_actions import in_force
from rustybt.market.frequency import DAILY, Frequency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rustybt.data.portal.bar_provider import BarBlock, BarProvider
    from rustybt.data.sources.base import Progress
    from rustybt.data.sources.delivery import Delivery
    from rustybt.market.assets import AssetAttributes
    from rustybt.market.corporate_actions import CorporateAction

#: Symbols of a source that names them itself are fetched unasked up to this many.
_MOST_LISTED = 500
#: History before the simulation that is fetched along; more is fetched when a longer window asks for it.
_WARM_UP = timedelta(days=400)
_WARM_UP_HOURS = timedelta(days=60)
_WARM_UP_MINUTES = timedelta(days=7)
#: An asset whose last bar lies closer to the end than this is taken to be still listed.
_STILL_LISTED = timedelta(days=10)


class FetchesBars(Protocol):
    """The part of a data source that is used here."""

    def fetch_sync(self, symbols: Sequence[str], start: Any, end: Any, frequency: str) -> pl.DataFrame:
        """Return contract bars of `symbols` from `start` to `end`, both included."""
        ...


class SourceBars:
    """A data source as a `BarProvider`.

    Each symbol is fetched once over the simulated range and about a year before it; a longer history window fetches the
    longer range again. Corporate actions and the price basis are those of the fetch; a source that tells of none has raw
    prices without events.

    Parameters
    ----------
    symbols
        Fetched together when the first of them is asked for.
    start, end
        Simulated dates; without one, that of the first or last bar which the source has of `symbols`, by default of all
        that it lists.
    """

    def __init__(
        self,
        source: FetchesBars,
        symbols: Sequence[str],
        start: date | None,
        end: date | None,
        *,
        calendar_name: str | None = None,
        frequency: str = "1d",
        progress: Progress | None = None,
    ) -> None:
        self._source = source
        self._progress = progress
        self._asked = (start, end)
        self._simulated: tuple[date, date] | None = None
        # What is fetched; None leaves the side open.
        self._frequency = Frequency.parse(frequency)
        self._start = None if start is None else start - _warm_up(self._frequency)
        self._end = end
        self.calendar_name = calendar_name or _calendar_of(source, symbols)
        # A run on intraday bars reads days back from the source's own daily bars, which go further back.
        self.frequencies = (
            (self._frequency.name, DAILY.name) if self._frequency.is_intraday else (self._frequency.name,)
        )
        self._daily: SourceBars | None = None
        self._delivers_days = True
        self._wanted = list(dict.fromkeys(symbols))
        self._bars = empty_bars()
        self._basis = "raw"
        self._actions: dict[str, CorporateAction] = {}
        self._canonical: dict[str, str] = {}
        self._assets: dict[str, Asset] = {}
        self.assets = SourceAssets(self)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols fetched or named so far, sorted."""
        return tuple(sorted({*self._wanted, *self._assets}))

    def simulated(self) -> tuple[date, date]:
        """Return the dates to simulate; where one was not given, the bars are fetched to know it.

        Raises
        ------
        RequestError
            A date was not given, and the source has no bars, or it is not known of which symbols.
        """
        if self._simulated is None:
            start, end = self._asked
            self._simulated = (start, end) if start is not None and end is not None else self._delivered()
        return self._simulated

    def _delivered(self) -> tuple[date, date]:
        """Return the dates of the first and last bar of the symbols known before the run."""
        start = self._asked[0]
        self._wanted = self._wanted or self._listed()
        if not self._wanted:
            if start is None:
                raise RequestError(
                    "without dates, the symbols must be known before the run: it goes from their first to their last bar",
                    hint="pass symbols=['AAPL'], or start= and end=",
                )
            self._end = self._asked[1] or datetime.now(tz=UTC).date()
            return start, self._end
        missing = [s for s in self._wanted if s not in self._assets]
        if missing:
            self._fetch(missing)
        stamps = self._bars["timestamp"].dt.date()
        first, last = stamps.min(), stamps.max()
        if not isinstance(first, date) or not isinstance(last, date):
            shown = ", ".join(self._wanted[:5]) + (", ..." if len(self._wanted) > 5 else "")
            raise RequestError(
                f"the source has no bars of {shown}{self._range()}: nothing can be simulated",
                hint="check the symbols and the dates of the source",
            )
        self._end = self._asked[1] or last
        return first, last

    def _listed(self) -> list[str]:
        """Return the symbols of a source that can list them and has not too many to fetch."""
        try:
            names: list[str] = self._source.list_symbols()  # type: ignore[attr-defined]
        except (AttributeError, RequestError):
            return []
        return names if len(names) <= _MOST_LISTED else []

    def _range(self) -> str:
        start = "" if self._start is None else f" from {self._start}"
        return start if self._end is None else f"{start} to {self._end}"

    def asset(self, symbol: str) -> Asset:
        """Return the asset of `symbol`, fetching its bars if need be.

        Raises
        ------
        SymbolNotFoundError
            The source has no bars of it in the range.
        """
        symbol = self._canonical.get(symbol, symbol)
        if symbol not in self._assets:
            missing = [s for s in dict.fromkeys([*self._wanted, symbol]) if s not in self._assets]
            self._fetch(missing)
            symbol = self._canonical.get(symbol, symbol)
        if symbol not in self._assets:
            raise SymbolNotFoundError(f"the source has no bars of {symbol!r}{self._range()}", symbol=symbol)
        return self._assets[symbol]

    def _fetch(self, symbols: Sequence[str]) -> None:
        fetched, attributes = self._ask(symbols)
        kept = self._bars.filter(~pl.col("symbol").is_in(list(symbols)))
        self._bars = concat_bars([kept, fetched])
        end = self._end or self._bars["timestamp"].dt.date().max()
        found = MemoryBars(fetched, calendar_name=self.calendar_name, frequency=self.frequencies[0])
        for symbol in found.symbols:
            seen = found.assets.lookup_symbol(symbol)
            last = seen.last_session
            alive = last is None or not isinstance(end, date) or last > end - _STILL_LISTED
            sid = self._assets[symbol].sid if symbol in self._assets else len(self._assets)
            self._assets[symbol] = Asset(
                sid,
                symbol,
                self.calendar_name,
                seen.first_session,
                None if alive else last,
                attributes.get(symbol, seen.attributes),
            )

    def _ask(self, symbols: Sequence[str]) -> tuple[pl.DataFrame, Mapping[str, AssetAttributes]]:
        """Return bars and asset attributes; events and price basis are kept."""
        request = (list(symbols), self._start, self._end, self.frequencies[0])
        told = {} if self._progress is None else {"progress": self._progress}
        with_events = getattr(self._source, "fetch_with_events", None)
        if with_events is None:
            return self._source.fetch_sync(*request), {}
        delivery = self._with_warm_up(partial(with_events, **told), request)
        self._basis = delivery.price_basis
        self._canonical.update((alias, symbol) for symbol, alias in delivery.aliases.items())
        self._actions.update((action.event_id, action) for action in delivery.actions)
        return delivery.bars, delivery.assets

    def _with_warm_up(self, ask: Callable[..., Delivery], request: tuple[Any, ...]) -> Delivery:
        """Ask for the simulated range and some time before it, or without that time where the source does not keep it."""
        symbols, start, end, frequency = request
        first = self._asked[0]
        try:
            return ask(symbols, start, end, frequency)
        except NotCoveredError:
            if first is None or start is None or start >= first:
                raise
        self._start = first
        return ask(symbols, first, end, frequency)

    def read_arrays(
        self,
        symbols: Sequence[str] | None = None,
        start: date | None = None,
        end: date | None = None,
        fields: Sequence[str] = VALUE_COLUMNS,
        frequency: str | None = None,
    ) -> BarBlock:
        """Return the bars of `symbols` from `start` to `end`, both included, fetching what lies before those held."""
        if frequency == DAILY.name and self._frequency != DAILY:
            return self._read_days(symbols, start, end, fields)
        names = list(self.symbols if symbols is None else symbols)
        for symbol in names:
            self.asset(symbol)
        if start is not None and self._start is not None and start < self._start:
            self._start = start
            self._fetch(names)
        held = MemoryBars(
            self._bars.filter(pl.col("symbol").is_in(names)),
            calendar_name=self.calendar_name,
            frequency=self.frequencies[0],
        )
        return held.read_arrays(names, start, end, fields, frequency)

    def _read_days(
        self, symbols: Sequence[str] | None, start: date | None, end: date | None, fields: Sequence[str]
    ) -> BarBlock:
        """Return daily bars: the source's own, or made of its shorter ones where it has no other, as files of minutes."""
        if self._delivers_days:
            try:
                return self._daily_bars().read_arrays(symbols, start, end, fields)
            except RequestError:
                if not self._frequency.is_intraday:
                    raise
                self._delivers_days = False
                self.frequencies = (self._frequency.name,)
        names = list(self.symbols if symbols is None else symbols)
        if start is not None and self._start is not None and start < self._start:
            self._start = start
            self._fetch(names)
        return ResampledBars(self, self.calendar_name).read_arrays(names, start, end, fields, DAILY.name)

    def _daily_bars(self) -> SourceBars:
        if self._daily is None:
            self._daily = SourceBars(
                self._source,
                self.symbols,
                *self.simulated(),
                calendar_name=self.calendar_name,
                progress=self._progress,
            )
        return self._daily

    def corporate_actions(
        self,
        symbols: Sequence[str] | None = None,
        known_at: int | None = None,
    ) -> list[CorporateAction]:
        """Return the events of the fetched symbols that hold, by ex-date."""
        wanted = None if symbols is None else set(symbols)
        return in_force([a for a in self._actions.values() if wanted is None or a.symbol in wanted], known_at)

    def price_basis(self, symbol: str) -> str:  # noqa: ARG002 - one for all
        """Return how the source delivers prices."""
        return self._basis


def bars_of(
    source: Any,
    symbols: Sequence[str],
    start: date | None,
    end: date | None,
    *,
    calendar_name: str | None,
    frequency: Frequency,
    use_cache: bool = True,
    store: Any = None,
    progress: Progress | None = None,
) -> BarProvider:
    """Return the bars of a source: a bundle's as they lie there, others fetched when they are asked for.

    Parameters
    ----------
    source
        A `DataSource`, or any object with its `fetch_sync`.
    use_cache
        Whether a source that is not on this machine is asked through the cache of `store`, by default the user's.
    """
    held: BarProvider | None = source.opened_bundle(frequency) if isinstance(source, DataSource) else None
    if held is not None:
        return held
    asked = with_cache(source, store) if use_cache else source
    # Only our own sources are told to say how far they are.
    told = progress if isinstance(asked, DataSource) else None
    return SourceBars(asked, symbols, start, end, calendar_name=calendar_name, frequency=frequency.name, progress=told)


def _warm_up(frequency: Frequency) -> timedelta:
    """Return how much history is fetched along: days for minutes, weeks for hours."""
    if not frequency.is_intraday:
        return _WARM_UP
    return _WARM_UP_MINUTES if frequency.seconds < 900 else _WARM_UP_HOURS


def _calendar_of(source: FetchesBars, symbols: Sequence[str]) -> str:
    """Return the calendar that the source names, or that its symbols look like: pairs such as BTC/USDT never close."""
    named = getattr(source, "calendar_name", None)
    found: str | None = named() if callable(named) else None
    return found or calendar_for(None, "crypto" if symbols and all("/" in symbol for symbol in symbols) else "equity")


class SourceAssets:
    """Looks assets up in a source by fetching their bars."""

    def __init__(self, bars: SourceBars) -> None:
        self._bars = bars

    def lookup_symbol(self, symbol: str, as_of_date: Any = None) -> Asset:  # noqa: ARG002 - a source has one listing
        """Return the asset of `symbol`."""
        return self._bars.asset(symbol)

    def retrieve_asset(self, sid: int) -> Asset:
        """Return the asset of `sid`, among those looked up so far."""
        return MemoryAssets(self._bars.asset(s) for s in self._bars.symbols).retrieve_asset(sid)

    def retrieve_all(self, sids: Iterable[int]) -> list[Asset]:
        """Return the assets of `sids`, in that order."""
        return [self.retrieve_asset(sid) for sid in sids]
