"""Bars from a frame in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from rustybt.data.sources.base import DataSource, Progress, Symbols
from rustybt.data.sources.csv.actions import check_actions
from rustybt.data.sources.csv.spool import Spool
from rustybt.data.sources.delivery import Delivery
from rustybt.data.sources.reading.bar_rows import FILE, LINE, BuiltBars, build_bars
from rustybt.data.sources.reading.collect import collect
from rustybt.data.sources.reading.columns import check_column_map, find_columns
from rustybt.data.sources.reading.frame_columns import split_frames
from rustybt.data.sources.reading.stamps import BarLabel, StampRules
from rustybt.errors import RequestError, SourceError, SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.calendars import canonical_name
from rustybt.market.corporate_actions import PRICE_BASES, CorporateAction
from rustybt.market.decimals import ParsedDecimals, to_contract
from rustybt.market.frequency import DAILY, Frequency
from rustybt.market.provenance import SourceMetadata
from rustybt.market.request import BarRequest, check_symbol

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.sources.ingest.report import IngestReport

_KEPT = ("timestamp", "symbol", "open", "high", "low", "close", "volume")
# Which rule a mixed frame is recorded under: the one that decoded most.
_RULE_ORDER = ("float32", "float64", "text", "decimal", "integer")


class FrameDataSource(DataSource):
    """Bars of a polars or pandas DataFrame, a pyarrow Table, or a dict of one frame a symbol.

    A long frame has a symbol (ticker) column or index level; a frame of one symbol takes `symbol`. The timestamp may be the
    index. Columns as ``yfinance.download`` returns them, prices by symbols, are understood. Floats become the decimals that they
    stand for, see `rustybt.market.decimals.decode_floats`; the rule used is recorded.

    Parameters
    ----------
    frame
        Not changed, and not kept in any bundle's provenance.
    symbol
        Of a frame that names none.
    column_map, timezone, date_format, bar_label, asset_type, venue, currency, price_basis, calendar, actions
        As for `CSVDataSource`.

    Raises
    ------
    RequestError
        It is no frame, or an option has no meaning.
    BadResponseError
        A needed column is missing or occurs twice.
    """

    name: ClassVar[str] = "frame"
    is_local: ClassVar[bool] = True

    def __init__(
        self,
        frame: Any,
        *,
        symbol: str | None = None,
        column_map: Mapping[str, str] | None = None,
        timezone: str | None = None,
        date_format: str | None = None,
        bar_label: BarLabel = "open",
        asset_type: str = "equity",
        venue: str | None = None,
        currency: str = "USD",
        price_basis: str = "raw",
        calendar: str | None = None,
        actions: Sequence[CorporateAction] | str | os.PathLike[str] | None = None,
    ) -> None:
        if price_basis not in PRICE_BASES:
            raise RequestError(f"unknown price basis {price_basis!r}", hint=f"use one of {', '.join(PRICE_BASES)}")
        self._rules = StampRules(DAILY, timezone, date_format, bar_label)
        self._attributes = AssetAttributes(venue=venue, asset_type=asset_type, currency=currency)
        self._price_basis = price_basis
        self._calendar = None if calendar is None else canonical_name(calendar)
        self._actions = check_actions(actions)[0]
        self._number_rules: dict[str, str] = {}
        fields = check_column_map(column_map)
        # Of a frame a symbol, those without a row, as vendors deliver the symbols that they do not know.
        self._empty: list[str] = []
        self._parts: list[_Part] = []
        for name, columns in split_frames(frame):
            if name is not None and not columns.height:
                self._empty.append(name)
            else:
                self._parts.append(_fields(columns, name if name is not None else symbol, fields, name))

    async def fetch(self, symbols: Symbols, start: Any, end: Any, frequency: str | Frequency = "1d") -> pl.DataFrame:
        """Return bars for `symbols`, see `DataSource.fetch`; rows that are no bars are left out with a DataQualityWarning."""
        return await asyncio.to_thread(collect, self, self.request(symbols, start, end, frequency))

    def deliver(self, request: BarRequest, progress: Progress | None = None) -> Iterator[Delivery]:
        """Yield the frame's bars in batches of whole symbols."""
        failures = self._absent(request)
        rules_used: dict[str, set[str]] = {}
        built = self.build(request, rules_used)
        self._number_rules = {name: first_rule(used) for name, used in sorted(rules_used.items())}
        number_rule = first_rule({rule for used in rules_used.values() for rule in used})
        pending = Delivery(
            failures=failures, actions=self._actions, price_basis=self._price_basis, number_rule=number_rule
        )
        if not any(item.bars.height or item.quarantined.height for item in built):
            yield pending
            return
        with Spool() as spool:
            quarantined = pending.quarantined
            for item in built:
                quarantined = quarantined.vstack(item.quarantined)
                flag = item.missing_volume
                spool.add(item.bars.with_columns(missing=pl.lit(value=False) if flag is None else flag))
            done = 0
            first = Delivery(
                quarantined=quarantined,
                failures=failures,
                actions=self._actions,
                price_basis=self._price_basis,
                number_rule=number_rule,
            )
            if not spool.counts:
                yield first
            for batch, rows in spool.drain():
                done += rows.height
                yield Delivery(
                    bars=rows.drop("missing"),
                    quarantined=first.quarantined,
                    missing_volume=rows["missing"] if rows["missing"].any() else None,
                    assets=dict.fromkeys(batch, self._attributes),
                    actions=first.actions,
                    price_basis=self._price_basis,
                    number_rule=number_rule,
                    failures=first.failures,
                )
                first = Delivery()
                if progress is not None:
                    progress("read", done, sum(spool.counts.values()))

    def build(self, request: BarRequest, rules_used: dict[str, set[str]]) -> list[BuiltBars]:
        """Return the bars of each frame, and note in `rules_used` how each column became decimals."""
        rules = StampRules(request.frequency, self._rules.timezone, self._rules.date_format, self._rules.bar_label)
        return [self._build(part, rules, request, rules_used) for part in self._parts if part.rows.height]

    def get_metadata(self) -> SourceMetadata:
        """Return what the source says of itself."""
        return SourceMetadata(
            source_type=self.name,
            source_url="memory",
            timezone=self._rules.timezone or "UTC",
            adjustment=self._price_basis,
        )

    def supports_live(self) -> bool:
        """Return False: a frame does not stream."""
        return False

    def options(self) -> dict[str, Any]:
        """Return how each column became decimals; the frame itself cannot be recorded."""
        return {"number_rules": self._number_rules} if self._number_rules else {}

    def calendar_name(self) -> str | None:
        """Return the calendar that was given."""
        return self._calendar

    def list_symbols(self) -> list[str]:
        """Return every symbol of the frame, sorted."""
        return sorted({name for part in self._parts for name in part.rows["symbol"].drop_nulls().unique().to_list()})

    def _absent(self, request: BarRequest) -> dict[str, SourceError]:
        known = set(self.list_symbols())
        empty: dict[str, SourceError] = {
            symbol: SymbolNotFoundError(f"the frame of {symbol!r} has no rows", symbol=symbol)
            for symbol in self._empty
            if symbol not in known and (not request.symbols or symbol in request.symbols)
        }
        return {
            symbol: SymbolNotFoundError(f"the frame has no symbol {symbol!r}", symbol=symbol)
            for symbol in request.symbols
            if symbol not in known
        } | empty

    def _build(self, part: _Part, rules: StampRules, request: BarRequest, rules_used: dict[str, set[str]]) -> BuiltBars:
        rows = part.rows
        if request.symbols:
            rows = rows.filter(pl.col("symbol").is_in(list(request.symbols)) | pl.col("symbol").is_null())
        stamps = rules.read_typed(rows["timestamp"])
        if request.frequency.is_intraday and rows.height and not stamps.has_time:
            raise RequestError(
                f"the timestamps are dates without a time, which cannot be bars of {request.frequency}",
                hint='ingest them with frequency="1d"',
            )
        return build_bars(rows, stamps, request, ["row"], _recording(rules_used, part.decimals))


def ingest_frame(
    df: Any,
    bundle: str,
    frequency: str | Frequency = "1d",
    *,
    symbols: Symbols | None = None,
    start: Any = None,
    end: Any = None,
    store: BundleStore | None = None,
    strict: bool = False,
    replace: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> IngestReport:
    """Store the bars of a frame as one new version of a bundle.

    Parameters
    ----------
    df
        polars or pandas, long or one frame a symbol (a dict); see `FrameDataSource`.
    symbols, start, end, store, strict, replace, progress
        As for `DataSource.ingest_to_bundle`.
    **options
        As for `FrameDataSource`: symbol, column_map, timezone, asset_type, venue, calendar, actions ...

    Raises
    ------
    RequestError, BadResponseError
        `df` is no frame of bars.
    DataQualityError
        `strict`, and not all is well; or no row is a bar.
    """
    source = FrameDataSource(df, **options)
    return source.ingest_to_bundle(
        bundle, symbols, start, end, frequency, store=store, strict=strict, replace=replace, progress=progress
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows under the names of fields; columns of Python decimals are text, and named in `decimals`."""

    rows: pl.DataFrame
    decimals: frozenset[str]


def _fields(columns: pl.DataFrame, symbol: str | None, column_map: Mapping[str, str], owner: str | None) -> _Part:
    """Return the columns that bars need, under their names, with the symbol and the row's number."""
    found = find_columns(columns.columns, column_map, "the frame" if owner is None else f"the frame of {owner!r}")
    picked = columns.select(
        pl.nth(position).alias(field) for field, position in found.positions.items() if field in _KEPT
    )
    if symbol is not None:
        picked = picked.with_columns(symbol=pl.lit(check_symbol(symbol), dtype=pl.String))
    elif "symbol" not in found:
        raise RequestError(
            "the frame has no symbol column", hint='name its one symbol: rb.ingest_frame(df, bundle=..., symbol="AAPL")'
        )
    decimals = frozenset(name for name in picked.columns if picked[name].dtype == pl.Object)
    as_text = [_as_text(picked[name]) for name in decimals]
    stripped = pl.col("symbol").cast(pl.String).str.strip_chars()
    rows = picked.with_columns(as_text).with_columns(
        symbol=pl.when(stripped != "").then(stripped), **{FILE: pl.lit(0, dtype=pl.UInt32)}
    )
    return _Part(rows.with_row_index(LINE, offset=1), decimals)


def _as_text(values: pl.Series) -> pl.Series:
    """Return Python objects as text: it keeps digits that a common scale would not."""
    texts = [None if value is None else str(value) for value in values.to_list()]
    return pl.Series(values.name, texts, dtype=pl.String)


def _recording(rules_used: dict[str, set[str]], decimals: frozenset[str]) -> Callable[[pl.Series], ParsedDecimals]:
    def parse(values: pl.Series) -> ParsedDecimals:
        parsed, rule = to_contract(values)
        rules_used.setdefault(values.name, set()).add("decimal" if values.name in decimals else rule)
        return parsed

    return parse


def first_rule(used: set[str]) -> str:
    """Return the rule that a mixed frame is recorded under, see `rustybt.market.provenance.Provenance`."""
    return next((rule for rule in _RULE_ORDER if rule in used), "text")
