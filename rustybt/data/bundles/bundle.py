"""One opened version of a bundle: immutable, verified, leased while it is open."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import polars as pl

from rustybt.__about__ import __version__
from rustybt.data.bundles.assets import AssetFinder
from rustybt.data.bundles.revision import read_blocks
from rustybt.data.bundles.storage.parquet import column_floats
from rustybt.errors import CorruptBundleError, RequestError, SymbolNotFoundError
from rustybt.market.assets import Asset
from rustybt.market.bars import VALUE_COLUMNS, concat_bars, empty_bars, interleaved_order, join_frames, series_starts
from rustybt.market.calendars import get_calendar, library_version
from rustybt.market.corporate_actions import CorporateAction, in_force
from rustybt.market.frequency import DAILY, Frequency
from rustybt.market.pin import Pin
from rustybt.market.request import parse_range, to_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from rustybt.data.bundles.difference import BundleDiff
    from rustybt.data.bundles.file_reader import FileReader
    from rustybt.data.bundles.records import CoverageRecord, Description, FileRecord, VersionInfo
    from rustybt.data.bundles.store import BundleStore
    from rustybt.market.provenance import Provenance
    from rustybt.market.quality_report import QualityReport
    from rustybt.market.trading_calendar import TradingCalendar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class BarArrays:
    """Bars as float64 columns, for computing; rows sorted by (symbol, timestamp).

    Parameters
    ----------
    timestamps
        Shape (n_bars,), microseconds since 1970 UTC.
    symbol_codes
        Shape (n_bars,), index into `symbols`.
    symbols
        Sorted; only those that have a bar in the range.
    values
        Field -> shape (n_bars,), each the float64 nearest to the stored decimal.
    """

    timestamps: NDArray[np.int64]
    symbol_codes: NDArray[np.int32]
    symbols: tuple[str, ...]
    values: dict[str, NDArray[np.float64]]


class Bundle:
    """One version of a bundle; get it from `BundleStore.open` or `rb.bundle`.

    A context manager: leaving it gives back the lease that keeps garbage collection away from its files.
    """

    def __init__(
        self,
        store: BundleStore,
        info: VersionInfo,
        calendar_name: str,
        files: Sequence[FileRecord],
        reader: FileReader,
        reload: Callable[[], Sequence[FileRecord]],
        lease: str | None,
    ) -> None:
        self.info = info
        self.calendar_name = calendar_name
        self._store = store
        self._files = list(files)
        self._reader = reader
        self._reload = reload
        self._lease = lease

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def home(self) -> Path:
        """The folder that holds the bundle."""
        return self._store.home

    @property
    def name(self) -> str:
        """Name of the bundle."""
        return self.info.bundle_name

    @property
    def version(self) -> int:
        """Number of the version, from 1."""
        return self.info.version

    @property
    def content_hash(self) -> str:
        """64 hexadecimal digits over bars, corporate actions, price bases and asset attributes."""
        return self.info.content_hash

    @property
    def reference(self) -> str:
        """``name@version``."""
        return self.info.reference

    @property
    def provenance(self) -> Provenance:
        """Where this version's new bars came from."""
        return self.info.provenance

    @property
    def files(self) -> list[FileRecord]:
        """The files that make up this version."""
        return list(self._files)

    @cached_property
    def frequencies(self) -> tuple[str, ...]:
        """Frequencies of the stored bars, shortest first."""
        found = {record.frequency for record in self._files if record.kind == "bars"}
        return tuple(f.name for f in sorted(Frequency.parse(name) for name in found))

    @cached_property
    def description(self) -> Description:
        """Assets, corporate actions and aliases as this version holds them."""
        return self._store.load_description(self.name, self.version)

    @cached_property
    def blocks(self) -> pl.DataFrame:
        """The digests behind the content hash, one row a (frequency, symbol, month)."""
        return self._retrying(lambda: read_blocks(self._reader, self._files))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol of the version, sorted."""
        return tuple(sorted(self.description.assets))

    def series(self, frequency: str | Frequency | None = None) -> pl.DataFrame:
        """Return one row a symbol: `symbol`, `rows`, `first`, `last` (us UTC), for one frequency."""
        chosen = self._frequency(frequency)
        return (
            self.blocks.filter(pl.col("frequency") == chosen.name)
            .group_by("symbol")
            .agg(pl.col("rows").sum(), pl.col("first").min(), pl.col("last").max())
            .sort("symbol")
        )

    @cached_property
    def assets(self) -> AssetFinder:
        """The assets with their first and last sessions, looked up by symbol, dated alias or sid."""
        spans: dict[str, tuple[date, date]] = {}
        for name in reversed(self.frequencies):  # the longest bars first: a daily label is the session itself
            rows = self.series(name)
            firsts, lasts = (self._sessions_of(rows[column].to_numpy(), name) for column in ("first", "last"))
            for symbol, first, last in zip(rows["symbol"].to_list(), firsts, lasts, strict=True):
                known = spans.get(symbol, (first, last))
                spans[symbol] = (min(known[0], first), max(known[1], last))
        nothing: tuple[date | None, date | None] = (None, None)
        return AssetFinder(
            {
                symbol: Asset(
                    record.sid,
                    symbol,
                    self.calendar_name,
                    spans.get(symbol, nothing)[0],
                    spans.get(symbol, nothing)[1],
                    record.attributes,
                )
                for symbol, record in self.description.assets.items()
            },
            self.description.aliases,
            self.reference,
        )

    def _sessions_of(self, stamps: NDArray[np.int64], frequency: str) -> list[date]:
        days = [to_date(int(stamp)) for stamp in stamps]
        if not Frequency.parse(frequency).is_intraday or not days:
            return days
        calendar = get_calendar(self.calendar_name, min(days), max(days))
        at = calendar.session_of_instants(stamps)
        # A bar outside trading hours belongs to its UTC day, for want of a session.
        return [calendar.sessions[i].item() if i >= 0 else day for i, day in zip(at.tolist(), days, strict=True)]

    def asset(self, symbol: str) -> Asset:
        """Return the asset called `symbol`; see `AssetFinder.lookup_symbol`."""
        return self.assets.lookup_symbol(symbol)

    @property
    def first_session(self) -> date | None:
        """Session of the earliest bar of any symbol."""
        firsts = [a.first_session for a in self.assets.retrieve_all() if a.first_session]
        return min(firsts, default=None)

    @property
    def last_session(self) -> date | None:
        """Session of the latest bar of any symbol."""
        lasts = [a.last_session for a in self.assets.retrieve_all() if a.last_session]
        return max(lasts, default=None)

    def calendar(self, start: date | None = None, end: date | None = None) -> TradingCalendar:
        """Return the venue's calendar over [start, end], by default over the stored bars."""
        first, last = start or self.first_session, end or self.last_session
        today = date(1970, 1, 1)
        return get_calendar(self.calendar_name, first or today, last or first or today)

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """Sessions of the calendar from the first bar to the last, naive midnights as Zipline labels them."""
        import pandas as pd

        first, last = self.first_session, self.last_session
        if first is None or last is None:
            return pd.DatetimeIndex([])
        return pd.DatetimeIndex(self.calendar().sessions_between(first, last))

    @property
    def pin(self) -> Pin:
        """What a result must name to be computed again."""
        first, last = self.first_session, self.last_session
        return Pin(
            bundle=self.name,
            version=self.version,
            content_hash=self.content_hash,
            calendar=self.calendar_name,
            session_hash=self.calendar().sessions_hash(first, last) if first and last else "",
            calendar_version=library_version(),
            start=first.isoformat() if first else "",
            end=last.isoformat() if last else "",
            package_version=__version__,
            frequency=self.frequencies[-1] if self.frequencies else DAILY.name,
        )

    # -- bars --------------------------------------------------------------------------------------------------------

    def read(
        self,
        symbols: str | Iterable[str] | None = None,
        start: Any = None,
        end: Any = None,
        frequency: str | Frequency | None = None,
    ) -> pl.DataFrame:
        """Return bars as a contract frame: exact decimals, sorted by (symbol, timestamp), UTC.

        Parameters
        ----------
        symbols
            One symbol, several, or None for all.
        start, end
            Both included. A date (or date-only text) means that whole session or UTC day; naive times are UTC.
        frequency
            None takes the only one, or daily where there are several.

        Raises
        ------
        SymbolNotFoundError
            The version has no such symbol.
        CorruptBundleError
            A file is missing or its bytes are not those that were written.
        """
        chosen, wanted, first, last = self._request(symbols, start, end, frequency)

        def load() -> pl.DataFrame:
            parts = [
                self._reader.bars(record, wanted, first, last) for record in self._held(chosen, wanted, first, last)
            ]
            if len(parts) == 1:
                return parts[0]
            return concat_bars(parts) if parts else empty_bars()

        return self._retrying(load)

    def batches(self, frequency: str | Frequency | None = None) -> Iterator[pl.DataFrame]:
        """Yield all bars of one frequency as contract frames of bounded size; whole (symbol, month) blocks in each.

        Daily and longer bars come by rising ranges of symbols, intraday bars by month or year and then by symbol.
        """
        chosen = self._frequency(frequency)
        groups: dict[str, list[FileRecord]] = {}
        for record in self._held(chosen, None, None, None):
            groups.setdefault(record.partition if chosen.is_intraday else "", []).append(record)
        for _, records in sorted(groups.items()):
            begin = ""
            for edge in sorted({record.last_symbol for record in records}):
                held = [r for r in records if begin <= r.last_symbol and r.first_symbol <= edge]
                wanted = pl.col("symbol").is_between(pl.lit(begin), pl.lit(edge))
                rows = concat_bars(self._reader.bars(record).filter(wanted) for record in held)
                begin = edge + "\x00"
                if rows.height:
                    yield rows

    def scan(self, frequency: str | Frequency | None = None) -> pl.LazyFrame:
        """Return all bars of one frequency as a lazy contract frame; the files are checked before this returns."""
        return self.read(frequency=frequency).lazy()

    def read_arrays(
        self,
        symbols: str | Iterable[str] | None = None,
        start: Any = None,
        end: Any = None,
        fields: Sequence[str] = VALUE_COLUMNS,
        frequency: str | Frequency | None = None,
    ) -> BarArrays:
        """Return bars as float64 columns, converted once from the stored integers; arguments as for `read`."""
        chosen, wanted, first, last = self._request(symbols, start, end, frequency)
        unknown = [name for name in fields if name not in VALUE_COLUMNS]
        if unknown:
            raise RequestError(f"unknown field {unknown[0]!r}", hint=f"use {', '.join(VALUE_COLUMNS)}")

        def load() -> BarArrays:
            held = self._held(chosen, wanted, first, last)
            return _to_arrays(
                [self._reader.stored_bars(record, wanted, first, last, fields) for record in held], fields
            )

        return self._retrying(load)

    def _request(
        self, symbols: str | Iterable[str] | None, start: Any, end: Any, frequency: str | Frequency | None
    ) -> tuple[Frequency, list[str] | None, int | None, int | None]:
        chosen = self._frequency(frequency)
        wanted = None
        if symbols is not None:
            wanted = sorted({symbols} if isinstance(symbols, str) else set(symbols))
            known = self.description.assets
            missing = [symbol for symbol in wanted if symbol not in known]
            if missing:
                similar = difflib.get_close_matches(missing[0], list(known), n=3, cutoff=0.5)
                raise SymbolNotFoundError(
                    f"{self.reference} has no symbol {', '.join(map(repr, missing[:5]))}"
                    + (f"; did you mean {', '.join(similar)}?" if similar else ""),
                    hint=f"rustybt bundle info {self.reference} lists its symbols",
                    symbols=missing,
                )
        first, last = parse_range(start, end, chosen)
        return chosen, wanted, first, last

    def _frequency(self, frequency: str | Frequency | None) -> Frequency:
        if frequency is not None:
            chosen = Frequency.parse(frequency)
            if chosen.name not in self.frequencies and self.frequencies:
                raise RequestError(
                    f"{self.reference} has no {chosen.name} bars", hint=f"it has {', '.join(self.frequencies)}"
                )
            return chosen
        if DAILY.name in self.frequencies or not self.frequencies:
            return DAILY
        return Frequency.parse(self.frequencies[0])

    def _held(
        self, frequency: Frequency, symbols: list[str] | None, start: int | None, end: int | None
    ) -> list[FileRecord]:
        """Return the files that may hold what is asked for, in order of symbol and time."""

        def may_hold(record: FileRecord) -> bool:
            return (
                record.kind == "bars"
                and record.frequency == frequency.name
                and (start is None or record.last_bar >= start)
                and (end is None or record.first_bar <= end)
                and (symbols is None or any(record.first_symbol <= s <= record.last_symbol for s in symbols))
            )

        return sorted(filter(may_hold, self._files), key=lambda r: (r.first_symbol, r.first_bar))

    def _retrying(self, load: Callable[[], _T]) -> _T:
        """Run `load`; if a file has vanished, ask the database once more where the version's files are."""
        try:
            return load()
        except CorruptBundleError as error:
            if not error.details.get("missing"):
                raise
            self._files = list(self._reload())
            return load()

    # -- beside the bars ---------------------------------------------------------------------------------------------

    def corporate_actions(
        self, symbols: str | Iterable[str] | None = None, known_at: int | None = None
    ) -> list[CorporateAction]:
        """Return the events in force by ex-date: cancelled and revised ones are left out.

        Parameters
        ----------
        known_at
            Unix seconds: leave out what was first seen later.
        """
        wanted = None if symbols is None else ({symbols} if isinstance(symbols, str) else set(symbols))
        return in_force([a for a in self.description.actions if wanted is None or a.symbol in wanted], known_at)

    def price_basis(self, symbol: str, frequency: str | Frequency | None = None) -> str:
        """Return how the vendor delivered a symbol's prices: raw, split_adjusted, split_dividend_adjusted or unknown."""
        asset = self.asset(symbol)
        return self.description.assets[asset.symbol].price_basis.get(self._frequency(frequency).name, "unknown")

    def quality(self) -> QualityReport | None:
        """Return the quality report of this version's ingest, None when it was committed without one."""
        return self.info.quality

    def coverage(self) -> pl.DataFrame:
        """Return what was asked for and answered: frequency, symbol, start, end (UTC, both included), reason, fetched_at."""
        records: list[CoverageRecord] = self._store.load_coverage(self.name)
        stamp, seconds = pl.Datetime("us", "UTC"), pl.Datetime("ms", "UTC")
        columns = ("frequency", "symbol", "start", "end", "reason", "fetched_at")
        rows = {name: [getattr(record, name) for record in records] for name in columns}
        schema = {"frequency": pl.String, "symbol": pl.String, "start": pl.Int64, "end": pl.Int64}
        frame = pl.DataFrame(rows, schema={**schema, "reason": pl.String, "fetched_at": pl.Int64})
        return frame.with_columns(
            pl.col("start", "end").cast(stamp), (pl.col("fetched_at") * 1000).cast(seconds).alias("fetched_at")
        )

    def versions(self) -> list[VersionInfo]:
        """Return every version of this bundle, oldest first."""
        return self._store.versions(self.name)

    def diff(self, other: str | Bundle) -> BundleDiff:
        """Return what changed from `other` to this version."""
        return self._store.diff(other.reference if isinstance(other, Bundle) else other, self.reference)

    # -- end ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Give the lease back; reading still works until the files are collected."""
        self._store.release(self._lease)
        self._lease = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_lease", None) is not None:
            self.close()

    def __repr__(self) -> str:
        return (
            f"<Bundle {self.reference} {','.join(self.frequencies)} {self.info.row_count:,} bars, "
            f"{len(self.symbols)} symbols, sha256:{self.content_hash[:12]}>"
        )


def _to_arrays(parts: Sequence[pl.DataFrame], fields: Sequence[str]) -> BarArrays:
    """Join narrow frames as float64 columns; each part's integers keep their own scale until they are floats."""
    frames = [part.select("timestamp", "symbol") for part in parts]
    keys = join_frames(frames) if frames else empty_bars().select("timestamp", "symbol")
    values = {name: np.concatenate([column_floats(part[name]) for part in parts] or [np.empty(0)]) for name in fields}
    if len(parts) > 1:
        order = interleaved_order(parts)
        if order is None:
            order = keys.with_row_index("row").sort("symbol", "timestamp")["row"].to_numpy().astype(np.int64)
        keys = keys[order]
        values = {name: column[order] for name, column in values.items()}
    starts = series_starts(keys["symbol"])
    symbols = tuple(keys["symbol"].gather(starts).to_list())
    lengths = np.diff(np.append(starts, keys.height))
    codes = np.repeat(np.arange(len(symbols), dtype=np.int32), lengths)
    return BarArrays(keys["timestamp"].to_physical().to_numpy(), codes, symbols, values)
