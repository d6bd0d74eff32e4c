"""One reader behind a `BundleDataSource`: an opened bundle, or an object that can only read."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import polars as pl

from rustybt.data.sources.vendor.range import widened_range
from rustybt.errors import RequestError, SymbolNotFoundError
from rustybt.market.bars import check_bars
from rustybt.market.calendars import calendar_for, get_calendar
from rustybt.market.request import DAY_MICROSECONDS, to_date
from rustybt.market.resample import resample

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from rustybt.data.bundles.bundle import Bundle
    from rustybt.market.assets import AssetAttributes
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.frequency import Frequency
    from rustybt.market.request import BarRequest
    from rustybt.market.trading_calendar import Instants, TradingCalendar

#: Rows that are delivered at a time, and symbols where it is not known how many rows they have.
_BATCH_ROWS = 1_000_000
_BATCH_SYMBOLS = 50
#: A week or a month is labelled by, and ends with, sessions up to so many days away.
_PERIOD = timedelta(days=35)


class ReadsBars(Protocol):
    """What a bundle source needs at least."""

    def read(self, symbols: Any, start: Any, end: Any, frequency: Any) -> pl.DataFrame:
        """Return contract bars of `symbols` from `start` to `end`, both included."""
        ...


@dataclass(frozen=True, slots=True)
class BundlePart:
    """A reader, what is known of it, and longer bars made of its bars.

    Parameters
    ----------
    bundle
        The reader where it is a bundle; else None, and nothing is known beside bars.
    usual
        Frequencies of a reader that does not say which it has.
    """

    reader: ReadsBars
    bundle: Bundle | None
    usual: tuple[str, ...]

    @classmethod
    def of(cls, reader: ReadsBars, usual: tuple[str, ...]) -> Self:
        """Return the part of a reader that a user gave.

        Raises
        ------
        RequestError
            It cannot read.
        """
        from rustybt.data.bundles.bundle import Bundle

        if not callable(getattr(reader, "read", None)):
            raise RequestError(
                f"a reader is an opened bundle, not {type(reader).__name__} {reader!r}",
                hint='BundleDataSource.from_bundle("us"), or BundleDataSource(rb.bundle("us"))',
            )
        return cls(reader, reader if isinstance(reader, Bundle) else None, usual)

    # -- what is known -----------------------------------------------------------------------------------------------

    @property
    def frequencies(self) -> tuple[str, ...]:
        """Names of the frequencies that it has."""
        return tuple(getattr(self.reader, "frequencies", self.usual))

    @property
    def symbols(self) -> Collection[str] | None:
        """Symbols that it has, None where it does not say."""
        if self.bundle is not None:
            return self.bundle.description.assets.keys()
        named = getattr(self.reader, "symbols", None)
        return None if named is None else tuple(named)

    @property
    def calendar_name(self) -> str | None:
        """Calendar of its bars, None where it does not say."""
        found: str | None = getattr(self.reader, "calendar_name", None)
        return found

    @property
    def number_rule(self) -> str:
        """How the numbers became decimals at the bundle's last ingest."""
        return "decimal" if self.bundle is None else self.bundle.provenance.number_rule

    def canonical_symbol(self, symbol: str) -> str:
        """Return the symbol that is called so today; an unknown name as it is."""
        if self.bundle is None or symbol in self.bundle.description.assets:
            return symbol
        named = [alias for alias in self.bundle.description.aliases if alias.alias == symbol and alias.end is None]
        return named[-1].symbol if named else symbol

    def not_found(self, symbol: str) -> SymbolNotFoundError:
        """Return the error of a symbol that is not among `symbols`; its hint names near ones."""
        where = self.bundle.reference if self.bundle is not None else "the reader"
        near = difflib.get_close_matches(symbol, list(self.symbols or ()), n=3, cutoff=0.5)
        hint = f"rustybt bundle info {where} lists its symbols" if self.bundle is not None else None
        return SymbolNotFoundError(
            f"{where} has no symbol {symbol!r}" + (f"; did you mean {', '.join(near)}?" if near else ""),
            hint=hint,
            symbol=symbol,
            similar=near,
        )

    def attributes(self, symbols: Sequence[str]) -> dict[str, AssetAttributes]:
        """Return the attributes of the assets, where known."""
        if self.bundle is None:
            return {}
        assets = self.bundle.description.assets
        return {symbol: assets[symbol].attributes for symbol in symbols}

    def actions(self, symbols: Sequence[str]) -> tuple[CorporateAction, ...]:
        """Return every event ever told of the symbols, what took others back included."""
        if self.bundle is None:
            return ()
        wanted = set(symbols)
        return tuple(action for action in self.bundle.description.actions if action.symbol in wanted)

    def price_basis(self, symbol: str, base: Frequency) -> str:
        """Return how the prices of a symbol's stored bars are made; those of a mere reader count as raw."""
        if self.bundle is None:
            return "raw"
        return self.bundle.description.assets[symbol].price_basis.get(base.name, "unknown")

    # -- bars --------------------------------------------------------------------------------------------------------

    def batches(self, symbols: Sequence[str], base: Frequency) -> Iterator[list[str]]:
        """Yield `symbols`, sorted, in parts of about a million bars, or of some symbols; one price basis in each."""
        rows: dict[str, int] = {}
        if self.bundle is not None:
            series = self.bundle.series(base)
            rows = dict(zip(series["symbol"].to_list(), series["rows"].to_list(), strict=True))
        each = _BATCH_ROWS // _BATCH_SYMBOLS
        batch: list[str] = []
        held = 0
        basis = ""
        for symbol in symbols:
            count = each if self.bundle is None else rows.get(symbol, 0)
            # A symbol without bars of this frequency has no basis to differ by.
            own = self.price_basis(symbol, base) if count else basis
            if batch and (held + count > _BATCH_ROWS or own != basis):
                yield batch
                batch, held = [], 0
            basis = own
            batch.append(symbol)
            held += count
        if batch:
            yield batch

    def read(self, symbols: Sequence[str], request: BarRequest, base: Frequency, now: float) -> pl.DataFrame:
        """Return the bars of `request`, made of bars of `base` where that is another frequency.

        Dates on intraday bars are sessions of the calendar. Of longer bars made of shorter ones, those that are not over
        at `now`, Unix seconds, are left out.
        """
        if request.frequency.is_intraday:
            request = self._on_calendar(request)
        if base == request.frequency:
            return self._stored(symbols, request.start, request.end, base)
        first, last = self._widened(request, base)
        bars = self._stored(symbols, first, last, base)
        if bars.is_empty():
            return bars
        calendar = self._calendar(bars)
        longer = resample(bars, base, request.frequency, calendar)
        ends = calendar.bar_ends(_stamps(longer), request.frequency)
        return longer.filter(pl.Series(ends <= int(now * 1_000_000)) & request.in_range())

    def _stored(self, symbols: Sequence[str], start: int | None, end: int | None, base: Frequency) -> pl.DataFrame:
        bars = self.reader.read(list(symbols), _instant(start), _instant(end), base.name)
        return bars if self.bundle is not None else check_bars(bars)

    def _on_calendar(self, request: BarRequest) -> BarRequest:
        """Return a request whose dates are sessions, also where these open on the eve in UTC."""
        days = [to_date(side) for side in (request.start, request.end) if side is not None]
        if self.calendar_name is None or not days:
            return request
        return request.on_calendar(get_calendar(self.calendar_name, min(days), max(days)))

    def _widened(self, request: BarRequest, base: Frequency) -> tuple[int | None, int | None]:
        """Return the range of the stored bars that whole longer bars are made of."""
        known = request.start if request.start is not None else request.end
        if known is None:
            return None, None
        start = known if request.start is None else request.start
        end = known if request.end is None else request.end
        first, last = widened_range(request.frequency, base, start, end)
        if base.is_intraday:
            # The sessions at both ends of a week or a month may begin on the eve in UTC.
            first, last = first - DAY_MICROSECONDS, last + DAY_MICROSECONDS
        return None if request.start is None else first, None if request.end is None else last

    def _calendar(self, bars: pl.DataFrame) -> TradingCalendar:
        stamps = _stamps(bars)
        name = self.calendar_name or calendar_for(None, "equity")
        return get_calendar(name, to_date(int(stamps.min())) - _PERIOD, to_date(int(stamps.max())) + _PERIOD)


def _stamps(bars: pl.DataFrame) -> Instants:
    return bars["timestamp"].to_physical().to_numpy()


def _instant(microseconds: int | None) -> Any:
    return None if microseconds is None else np.datetime64(microseconds, "us")
