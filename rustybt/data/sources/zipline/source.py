"""A Zipline bundle, read in place, as a source."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from rustybt.data.bundles.metadata_store.zipline_files import ZiplineEvents, find_assets_file, read_assets, read_events
from rustybt.data.bundles.zipline_layout import (
    ADJUSTMENTS_FILE,
    DAILY_FOLDER,
    HALF_WRITTEN,
    MINUTE_FOLDER,
    zipline_root,
)
from rustybt.data.sources.base import DataSource, Progress, Symbols
from rustybt.data.sources.delivery import Delivery
from rustybt.data.sources.reading.collect import collect
from rustybt.data.sources.zipline.daily import ZiplineDays
from rustybt.data.sources.zipline.events import actions_of
from rustybt.data.sources.zipline.ingestions import Ingestion, find_ingestion
from rustybt.data.sources.zipline.listings import ZiplineListings, listings_of
from rustybt.data.sources.zipline.minutes import ZiplineMinutes
from rustybt.data.sources.zipline.series import to_bars
from rustybt.errors import BadResponseError, RequestError, SourceError, SymbolNotFoundError
from rustybt.market.bars import concat_bars
from rustybt.market.calendars import canonical_name, get_calendar
from rustybt.market.frequency import Frequency
from rustybt.market.provenance import SourceMetadata
from rustybt.market.request import to_date

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    import polars as pl

    from rustybt.data.sources.zipline.series import ReadsZiplineBars
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.request import BarRequest

_BATCH_ROWS = 1_000_000


class ZiplineDataSource(DataSource):
    """Daily and minute bars, adjustments and assets of a bundle that Zipline ingested.

    Prices are the decimals that the stored integers stand for. Rows of zeros, Zipline's padding where nothing was traded, are
    no bars. A minute carries the instant at which it opens; Zipline names it by its end.

    Parameters
    ----------
    name
        The Zipline bundle: ``quandl``.
    root
        Zipline's folder; by default the one that ``ZIPLINE_ROOT`` names, else ``~/.zipline``.
    timestamp
        Takes the newest ingestion at or before it, ISO text in UTC, or the one whose folder is called so; by default the newest
        of all.

    Raises
    ------
    RequestError
        There is no such bundle or ingestion; the hint lists what is there.
    """

    name: ClassVar[str] = "zipline"
    is_local: ClassVar[bool] = True

    def __init__(self, name: str, root: str | os.PathLike[str] | None = None, timestamp: str | None = None) -> None:
        self._given = {
            "name": name,
            **({} if root is None else {"root": str(zipline_root(root))}),
            **({} if timestamp is None else {"timestamp": str(timestamp)}),
        }
        self._root = zipline_root(root)
        self.ingestion: Ingestion = find_ingestion(self._root, name, timestamp)

    # -- what it says of itself --------------------------------------------------------------------------------------

    def get_metadata(self) -> SourceMetadata:
        """Return where it lies; `data_version` is the ingestion's timestamp as Zipline spells it."""
        return SourceMetadata(
            source_type=self.name,
            source_url=str(self.ingestion.folder),
            data_version=self.ingestion.timestamp,
            adjustment="raw",
        )

    def supports_live(self) -> bool:
        """Return False: files do not stream."""
        return False

    def options(self) -> dict[str, Any]:
        """Return what the source was made with: without a timestamp it is made again of the newest ingestion."""
        return dict(self._given)

    def calendar_name(self) -> str | None:
        """Return the calendar that the bundle was written on."""
        for frequency in ("1d", "1m"):
            if self._has(frequency):
                name = self.bars(frequency).calendar_name
                try:
                    return canonical_name(name)
                except RequestError as error:
                    raise BadResponseError(
                        f"{self.ingestion.folder} names the calendar {name!r}, which nobody knows", hint=error.hint
                    ) from error
        return None

    def list_symbols(self) -> list[str]:
        """Return every symbol with bars of some frequency, sorted."""
        held = set(self._held_sids)
        return [symbol for symbol, listing in self.listings.by_symbol.items() if listing.sid in held]

    @cached_property
    def frequencies(self) -> tuple[str, ...]:
        """Frequencies of which the ingestion has bars of any asset: ``1d``, ``1m``.

        Raises
        ------
        BadResponseError
            It has neither, or what it has cannot be read.
        """
        there = [frequency for frequency in ("1d", "1m") if self._has(frequency)]
        if not there:
            raise BadResponseError(
                f"{self.ingestion.folder} has neither {DAILY_FOLDER} nor {MINUTE_FOLDER}",
                hint=HALF_WRITTEN,
                file=str(self.ingestion.folder),
            )
        return tuple(frequency for frequency in there if self.bars(frequency).sids)

    @cached_property
    def listings(self) -> ZiplineListings:
        """The assets by symbol.

        Raises
        ------
        BadResponseError
            There is no asset database, or it cannot be read.
        """
        path = find_assets_file(self.ingestion.folder)
        if path is None:
            raise BadResponseError(
                f"{self.ingestion.folder} has no asset database, assets-N.sqlite",
                hint=HALF_WRITTEN,
                file=str(self.ingestion.folder),
            )
        return listings_of(read_assets(path), self._held_sids)

    @cached_property
    def _held_sids(self) -> list[int]:
        """Return the sids with bars of any frequency; files that cannot be read are told when their bars are asked for."""
        found: set[int] = set()
        for frequency in ("1d", "1m"):
            with suppress(SourceError):
                found.update(self.bars(frequency).sids if self._has(frequency) else ())
        return sorted(found)

    def bars(self, frequency: str | Frequency, *, fresh: bool = False) -> ReadsZiplineBars:
        """Return the bars of a frequency as they lie in the files.

        Parameters
        ----------
        fresh
            Open the files anew.

        Raises
        ------
        RequestError
            Zipline bundles have no bars of that frequency.
        BadResponseError
            The files are missing or damaged.
        """
        wanted = Frequency.parse(frequency).name
        if wanted not in ("1d", "1m"):
            raise RequestError(
                f"a Zipline bundle has daily and minute bars, none of {wanted}",
                hint="--frequency 1d or 1m; a run makes longer bars of them",
                frequency=wanted,
            )
        if fresh or wanted not in self._readers:
            daily = self.ingestion.folder / DAILY_FOLDER
            minute = self.ingestion.folder / MINUTE_FOLDER
            reader: ReadsZiplineBars = ZiplineDays(daily) if wanted == "1d" else ZiplineMinutes(minute)
            if fresh:
                return reader
            self._readers[wanted] = reader
        return self._readers[wanted]

    @cached_property
    def _readers(self) -> dict[str, ReadsZiplineBars]:
        return {}

    def _has(self, frequency: str) -> bool:
        return (self.ingestion.folder / (DAILY_FOLDER if frequency == "1d" else MINUTE_FOLDER)).is_dir()

    # -- bars --------------------------------------------------------------------------------------------------------

    def request(
        self, symbols: Symbols | None, start: Any = None, end: Any = None, frequency: str | Frequency = "1d"
    ) -> BarRequest:
        """Return the parsed request, with the last names of assets that were called otherwise; see `DataSource.request`."""
        asked = super().request(symbols, start, end, frequency)
        return replace(asked, symbols=tuple(dict.fromkeys(map(self.listings.canonical, asked.symbols))))

    async def fetch(self, symbols: Symbols, start: Any, end: Any, frequency: str | Frequency = "1d") -> pl.DataFrame:
        """Return bars for `symbols`, see `DataSource.fetch`; rows that are no bars are left out with a DataQualityWarning."""
        return await asyncio.to_thread(collect, self, self.request(symbols, start, end, frequency))

    def deliver(self, request: BarRequest, progress: Progress | None = None) -> Iterator[Delivery]:
        """Yield the bundle's bars in batches of whole symbols, with all their corporate actions and former names."""
        bars = self.bars(request.frequency)
        chosen = self.chosen(request)
        asked = self.on_sessions(request)
        actions, notes = self._actions
        pending = Delivery(
            number_rule="integer",
            failures={symbol: self._not_found(symbol) for symbol in request.symbols if symbol not in self._known},
            notes=(*self.listings.notes, *notes),
        )
        frames: list[pl.DataFrame] = []
        batch: list[str] = []
        failures: dict[str, SourceError] = dict(pending.failures)
        padding = outside = rows = 0
        for done, symbol in enumerate(chosen, start=1):
            try:
                series = bars.read(self.listings.by_symbol[symbol].sid)
            except SourceError as error:
                failures[symbol] = error
            else:
                frame = to_bars(series, symbol).filter(asked.in_range())
                frames.append(frame)
                batch.append(symbol)
                rows += frame.height
                padding, outside = padding + series.padding, outside + series.outside
            if rows >= _BATCH_ROWS or done == len(chosen):
                told = (*pending.notes, *(_counted(padding, outside) if done == len(chosen) else ()))
                yield self._delivery(frames, batch, actions, replace(pending, failures=failures, notes=told))
                pending, frames, batch, failures, rows = Delivery(number_rule="integer"), [], [], {}, 0
            if progress is not None:
                progress("read", done, len(chosen))
        if not chosen:
            yield pending

    def chosen(self, request: BarRequest) -> list[str]:
        """Return the symbols of a request that have bars of its frequency, sorted."""
        held, wanted = set(self.bars(request.frequency).sids), set(request.symbols)
        return [
            symbol
            for symbol, listing in self.listings.by_symbol.items()
            if listing.sid in held and (not wanted or symbol in wanted)
        ]

    def on_sessions(self, request: BarRequest) -> BarRequest:
        """Return a request whose dates are sessions of the bundle's calendar."""
        days = [to_date(side) for side in (request.start, request.end) if side is not None]
        if not request.frequency.is_intraday or not days:
            return request
        return request.on_calendar(get_calendar(self.calendar_name() or "XNYS", min(days), max(days)))

    def _delivery(
        self,
        frames: Sequence[pl.DataFrame],
        batch: Sequence[str],
        actions: dict[str, list[CorporateAction]],
        pending: Delivery,
    ) -> Delivery:
        listed = self.listings.by_symbol
        return replace(
            pending,
            bars=concat_bars(frames),
            assets={symbol: listed[symbol].attributes for symbol in batch},
            actions=tuple(action for symbol in batch for action in actions.get(symbol, ())),
            former_names=tuple(name for symbol in batch for name in listed[symbol].names),
        )

    @cached_property
    def _known(self) -> set[str]:
        return set(self.listings.by_symbol)

    @cached_property
    def _actions(self) -> tuple[dict[str, list[CorporateAction]], tuple[str, ...]]:
        path = self.ingestion.folder / ADJUSTMENTS_FILE
        symbols = {listing.sid: symbol for symbol, listing in self.listings.by_symbol.items()}
        if not path.exists():
            _, notes = actions_of(ZiplineEvents(), symbols)
            return {}, (*notes, f"{path} is missing: no splits and no dividends")
        return actions_of(read_events(path), symbols)

    def _not_found(self, symbol: str) -> SymbolNotFoundError:
        near = get_close_matches(symbol, self.list_symbols(), n=3, cutoff=0.5)
        return SymbolNotFoundError(
            f"the Zipline bundle {self.ingestion.bundle} has no symbol {symbol!r}"
            + (f"; did you mean {', '.join(near)}?" if near else ""),
            symbol=symbol,
            similar=near,
        )


def _counted(padding: int, outside: int) -> list[str]:
    notes = [f"{padding:,} rows of zeros, Zipline's padding where nothing was traded, are no bars"] if padding else []
    if outside:
        notes.append(f"{outside:,} minutes lie outside of trading hours, where Zipline does not look, and are left out")
    return notes
