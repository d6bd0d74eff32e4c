"""Bars held in memory, served like a bundle: for frames, for sources without a bundle, and for tests."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rustybt.data.portal.rows.placing import join_bars
from rustybt.errors import RequestError, SymbolNotFoundError
from rustybt.market.assets import Asset, AssetAttributes
from rustybt.market.bars import VALUE_COLUMNS, check_bars, series_starts
from rustybt.market.calendars import get_calendar
from rustybt.market.corporate_actions import CorporateAction, in_force
from rustybt.market.decimals import to_floats
from rustybt.market.frequency import DAILY, Frequency
from rustybt.market.request import parse_range, to_date

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from rustybt.data.portal.bar_provider import BarBlock, Floats, Integers


@dataclass(frozen=True, slots=True)
class MemoryBlock:
    """Bars as arrays; see `BarBlock`."""

    timestamps: Integers
    symbol_codes: npt.NDArray[np.int32]
    symbols: tuple[str, ...]
    values: dict[str, Floats]


def join_blocks(parts: Sequence[BarBlock], fields: Sequence[str]) -> MemoryBlock:
    """Join blocks of different symbols and stretches into one, sorted by symbol and time; halves of one bar become that bar."""
    names = tuple(sorted({name for part in parts for name in part.symbols}))
    place = {name: code for code, name in enumerate(names)}
    coded = [np.array([place[n] for n in part.symbols], dtype=np.int32)[part.symbol_codes] for part in parts]
    codes = np.concatenate([np.empty(0, dtype=np.int32), *coded])
    stamps = np.concatenate([np.empty(0, dtype=np.int64), *(part.timestamps for part in parts)])
    values = {field: np.concatenate([np.empty(0), *(part.values[field] for part in parts)]) for field in fields}
    order = np.lexsort((stamps, codes))
    codes, stamps, values = codes[order], stamps[order], {field: column[order] for field, column in values.items()}
    # A session may reach over the midnight at which two stretches meet.
    starts = (
        np.flatnonzero(np.r_[True, (stamps[1:] != stamps[:-1]) | (codes[1:] != codes[:-1])]) if stamps.size else None
    )
    if starts is None or starts.size == stamps.size:
        return MemoryBlock(stamps, codes, names, values)
    return MemoryBlock(stamps[starts], codes[starts], names, join_bars(values, starts))


class MemoryAssets:
    """Assets of bars in memory: sids count from 0 in the order of the sorted symbols."""

    def __init__(self, assets: Iterable[Asset]) -> None:
        self._by_sid = {asset.sid: asset for asset in assets}
        self._by_symbol = {asset.symbol: asset for asset in self._by_sid.values()}

    @property
    def sids(self) -> tuple[int, ...]:
        """All sids, rising."""
        return tuple(sorted(self._by_sid))

    def lookup_symbol(self, symbol: str, as_of_date: Any = None) -> Asset:  # noqa: ARG002 - one listing per symbol
        """Return the asset named `symbol`.

        Raises
        ------
        SymbolNotFoundError
            No such symbol; the hint lists near ones.
        """
        found = self._by_symbol.get(symbol) or self._by_symbol.get(symbol.upper())
        if found is None:
            near = difflib.get_close_matches(symbol.upper(), self._by_symbol, n=3)
            hint = f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(sorted(self._by_symbol)[:10])}"
            raise SymbolNotFoundError(f"no symbol {symbol!r} in these bars", hint=hint, symbol=symbol)
        return found

    def retrieve_asset(self, sid: int) -> Asset:
        """Return the asset of `sid`.

        Raises
        ------
        SymbolNotFoundError
            No such sid.
        """
        found = self._by_sid.get(sid)
        if found is None:
            raise SymbolNotFoundError(f"no asset has the sid {sid}", sid=sid)
        return found

    def retrieve_all(self, sids: Iterable[int]) -> list[Asset]:
        """Return the assets of `sids`, in that order."""
        return [self.retrieve_asset(sid) for sid in sids]


class MemoryBars:
    """Frames of the bar contract as a `BarProvider`.

    Parameters
    ----------
    bars
        Contract frame of one frequency.
    actions
        Corporate actions of its symbols.
    frequency
        Of `bars`.
    attributes
        Attributes by symbol; the default is an equity.
    more
        Contract frames of other frequencies, by frequency.

    Raises
    ------
    RequestError
        Two frames of one frequency, or an unknown one.
    """

    def __init__(
        self,
        bars: pl.DataFrame,
        *,
        actions: Sequence[CorporateAction] = (),
        price_basis: str = "raw",
        calendar_name: str = "XNYS",
        frequency: str = "1d",
        attributes: Mapping[str, AssetAttributes] | None = None,
        more: Mapping[str, pl.DataFrame] | None = None,
    ) -> None:
        self._bars = check_bars(bars)
        self._actions = list(actions)
        self._price_basis = price_basis
        self.calendar_name = calendar_name
        self._frames = {Frequency.parse(frequency): self._bars}
        for name, frame in (more or {}).items():
            parsed = Frequency.parse(name)
            if parsed in self._frames:
                raise RequestError(f"two frames of {parsed} bars", hint="join them with market.bars.concat_bars")
            self._frames[parsed] = check_bars(frame)
        #: Names, shortest bars first.
        self.frequencies = tuple(found.name for found in sorted(self._frames))
        attributes = attributes or {}
        spans = self._spans()
        self.symbols: tuple[str, ...] = tuple(spans)
        self.assets = MemoryAssets(
            Asset(sid, symbol, calendar_name, first, last, attributes.get(symbol, AssetAttributes()))
            for sid, (symbol, (first, last)) in enumerate(spans.items())
        )

    def _spans(self) -> dict[str, tuple[date, date]]:
        """Return the first and the last session of each symbol over all frequencies, by symbol."""
        found: dict[str, tuple[date, date]] = {}
        for frequency, frame in self._frames.items():
            rows = frame.group_by("symbol").agg(
                pl.col("timestamp").to_physical().min().alias("first"),
                pl.col("timestamp").to_physical().max().alias("last"),
            )
            firsts, lasts = (self._sessions_of(rows[side].to_numpy(), frequency) for side in ("first", "last"))
            for symbol, first, last in zip(rows["symbol"].to_list(), firsts, lasts, strict=True):
                known = found.get(symbol, (first, last))
                found[symbol] = (min(known[0], first), max(known[1], last))
        return dict(sorted(found.items()))

    def _sessions_of(self, stamps: Integers, frequency: Frequency) -> list[date]:
        days = [to_date(int(stamp)) for stamp in stamps]
        if not frequency.is_intraday or not days:
            return days
        # A session may open on the eve in UTC, so the last instant may belong to the next day's.
        calendar = get_calendar(self.calendar_name, min(days), _next_day(max(days)))
        at = calendar.session_of_instants(stamps)
        # A bar outside trading hours belongs to its UTC day, for want of a session.
        return [calendar.sessions[i].item() if i >= 0 else day for i, day in zip(at.tolist(), days, strict=True)]

    def _frequency(self, name: str | None) -> Frequency:
        if name is None:
            return DAILY if DAILY in self._frames else min(self._frames)
        chosen = Frequency.parse(name)
        if chosen not in self._frames:
            raise RequestError(
                f"these bars are of frequency {', '.join(self.frequencies)}, not {name}",
                hint="ask for one of them, or pass a frame of the other with more=",
            )
        return chosen

    def read_arrays(
        self,
        symbols: Sequence[str] | None = None,
        start: date | None = None,
        end: date | None = None,
        fields: Sequence[str] = VALUE_COLUMNS,
        frequency: str | None = None,
    ) -> MemoryBlock:
        """Return the bars of `symbols` from `start` to `end`, both included.

        Parameters
        ----------
        start, end
            Dates, which mean whole sessions; or instants, UTC if naive.
        frequency
            None is the only one, or daily where there are several.

        Raises
        ------
        RequestError
            The bars are of another frequency.
        """
        chosen = self._frequency(frequency)
        rows = self._frames[chosen]
        if symbols is not None:
            rows = rows.filter(pl.col("symbol").is_in(list(symbols)))
        first, last = self._range(start, end, chosen)
        stamp = pl.col("timestamp").to_physical()
        if first is not None:
            rows = rows.filter(stamp >= first)
        if last is not None:
            rows = rows.filter(stamp <= last)
        starts = series_starts(rows["symbol"])
        lengths = np.diff(np.append(starts, rows.height))
        return MemoryBlock(
            timestamps=rows["timestamp"].to_physical().to_numpy(),
            symbol_codes=np.repeat(np.arange(len(starts), dtype=np.int32), lengths),
            symbols=tuple(rows["symbol"].gather(starts)),
            values={field: to_floats(rows[field]) for field in fields},
        )

    def _range(self, start: Any, end: Any, frequency: Frequency) -> tuple[int | None, int | None]:
        first, last = parse_range(start, end, frequency)
        if not frequency.is_intraday:
            return first, last
        if _is_date(start):
            first = get_calendar(self.calendar_name, start, start).instants_between(start, start)[0]
        if _is_date(end):
            last = get_calendar(self.calendar_name, end, end).instants_between(end, end)[1]
        return first, last

    def corporate_actions(
        self, symbols: Sequence[str] | None = None, known_at: int | None = None
    ) -> list[CorporateAction]:
        """Return the events in force, sorted by ex-date."""
        held = in_force(self._actions, known_at)
        return held if symbols is None else [a for a in held if a.symbol in set(symbols)]

    def price_basis(self, symbol: str) -> str:  # noqa: ARG002 - one basis for all bars in memory
        """Return the price basis of the frame."""
        return self._price_basis


def _is_date(side: Any) -> bool:
    return isinstance(side, date) and not isinstance(side, datetime)


def _next_day(day: date) -> date:
    return date.fromordinal(day.toordinal() + 1)
