"""What an ingest function tells of its assets: which symbol a sid has, and what is traded under it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.records import Alias
from rustybt.data.sources.registered.cells import check_frame, day_of, rows_of
from rustybt.data.sources.registered.written_bars import check_sid
from rustybt.errors import RequestError
from rustybt.market.assets import AssetAttributes
from rustybt.market.request import check_symbol
from rustybt.market.reused_tickers import TickerOwner, told_apart
from rustybt.market.venues import mic_of_exchange
from rustybt.market.wording import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

_SOURCE = "registered"


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of an equities or futures frame: what a sid was called from `start` to `end`, both included."""

    sid: int
    symbol: str
    start: date | None
    end: date | None
    attributes: AssetAttributes

    @property
    def order(self) -> tuple[date, int]:
        """What rows are sorted by: a sid without an end is still called so."""
        return (self.end or date.max, self.sid)


@dataclass(frozen=True, slots=True)
class SidNames:
    """The symbol of each sid, and what is worth a note.

    Parameters
    ----------
    symbols
        Sid -> symbol in the bundle.
    attributes
        Of each symbol.
    unusable
        Sid -> why its symbol cannot be one.
    former
        What they were called before, dated.
    """

    symbols: Mapping[int, str] = field(default_factory=dict)
    attributes: Mapping[str, AssetAttributes] = field(default_factory=dict)
    unusable: Mapping[int, str] = field(default_factory=dict)
    former: tuple[Alias, ...] = ()
    notes: tuple[str, ...] = ()


class AssetWriter:
    """Takes the place of Zipline's AssetDBWriter: the frames are read when the function has ended.

    Symbols are turned into capitals, as there. Start, end and auto-close dates are not stored: the bundle knows the first and
    last bar of an asset, which is closed on the day after the last one.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[int, str, date | None], _Row] = {}
        self._canonical: dict[str, str] = {}
        self._multipliers: set[str] = set()

    def write(
        self,
        equities: Any = None,
        futures: Any = None,
        exchanges: Any = None,
        root_symbols: Any = None,
        equity_supplementary_mappings: Any = None,
        chunk_size: int = 999,
    ) -> None:
        """Take assets; a further call adds to what is there.

        Parameters
        ----------
        equities, futures
            Pandas frames by sid (the index, or a column ``sid``): symbol, and where known asset_name, start_date, end_date,
            exchange, and tick_size of a future. Several rows of a sid are its names one after the other.
        exchanges
            exchange and canonical_name; the latter is the venue where it is a MIC.
        root_symbols, equity_supplementary_mappings, chunk_size
            Taken, without a meaning.

        Raises
        ------
        RequestError
            A frame is none, or has no column for the symbol.
        """
        del root_symbols, equity_supplementary_mappings, chunk_size
        if exchanges is not None:
            for row in rows_of(check_frame(exchanges, "exchanges"), "exchange"):
                self._canonical[str(row["exchange"])] = str(row.get("canonical_name") or "")
        self._take(equities, "equities", "equity")
        self._take(futures, "futures", "future")

    def _take(self, frame: Any, what: str, asset_type: str) -> None:
        if frame is None or not len(frame):
            return
        checked = check_frame(frame, what)
        if not {"symbol", "file_name"} & set(checked.columns):
            raise RequestError(
                f"asset_db_writer.write: the frame {what} has no column symbol", hint="give each sid its symbol"
            )
        for row in rows_of(checked, "sid"):
            sid = check_sid(row["sid"])
            symbol = str(row.get("file_name") or row.get("symbol") or "").strip().upper()
            tick = row.get("tick_size")
            attributes = AssetAttributes(
                venue=self._venue(str(row.get("exchange") or "")),
                asset_type=asset_type,
                name=str(row.get("asset_name") or row.get("company_name") or ""),
                tick_size=None if not tick else Decimal(str(tick)),
            )
            if float(row.get("multiplier") or 1) != 1:
                self._multipliers.add(symbol)
            start, end = _day(row.get("start_date")), _day(row.get("end_date"))
            self._rows[sid, symbol, end] = _Row(sid, symbol, start, end, attributes)

    def _venue(self, exchange: str) -> str | None:
        return mic_of_exchange(self._canonical.get(exchange, "")) or mic_of_exchange(exchange)

    def names(self) -> SidNames:
        """Return the symbol of each sid: the one that it had last; several that end with one are told apart by `told_apart`."""
        by_sid: dict[int, list[_Row]] = {}
        # Of equal ends the row written later holds.
        for row in sorted(self._rows.values(), key=lambda item: item.order):
            by_sid.setdefault(row.sid, []).append(row)
        unusable: dict[int, str] = {}
        owners: dict[str, list[_Row]] = {}
        for sid, rows in by_sid.items():
            try:
                check_symbol(rows[-1].symbol)
            except RequestError as error:
                unusable[sid] = error.message
            else:
                owners.setdefault(rows[-1].symbol, []).append(rows[-1])
        symbols: dict[int, str] = {}
        attributes: dict[str, AssetAttributes] = {}
        notes: list[str] = []
        for symbol, rows in owners.items():
            in_order = [TickerOwner(row.sid, row.start) for row in sorted(rows, key=lambda item: item.order)]
            named, said = told_apart(symbol, in_order, {*owners, *symbols.values()})
            notes += said
            symbols.update(named)
            for row in rows:
                own = named[row.sid]
                epoch = None if own == symbol else row.start
                attributes[own] = replace(row.attributes, listing_epoch=epoch)
        if self._multipliers:
            notes.append(f"the multiplier of futures is not stored: {listed(sorted(self._multipliers))}")
        former = tuple(
            Alias(symbols[row.sid], row.symbol, row.start, row.end, _SOURCE)
            for rows in by_sid.values()
            for row in rows
            if row.symbol and symbols.get(row.sid, row.symbol) != row.symbol
        )
        return SidNames(symbols, attributes, unusable, former, tuple(notes))


def _day(value: Any) -> date | None:
    """Return a date; one that cannot be read, or says that there is none, is none."""
    try:
        return day_of(value)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
