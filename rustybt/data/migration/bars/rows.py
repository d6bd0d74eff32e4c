"""The rows of one old Parquet file as bars, piece by piece."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from rustybt.data.bundles.storage.foreign import open_foreign
from rustybt.data.migration.bars.columns import columns_of
from rustybt.data.sources.reading.bar_rows import FILE, LINE, BuiltBars, build_bars
from rustybt.data.sources.reading.stamps import StampRules, Stamps
from rustybt.errors import BadResponseError, RequestError
from rustybt.market.decimals import ParsedDecimals, to_contract
from rustybt.market.frequency import DAILY
from rustybt.market.request import BarRequest, check_symbol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from rustybt.data.migration.bars.columns import OldColumns
    from rustybt.market.frequency import Frequency

FINER = "several bars a day of one symbol: no daily bar"


@dataclass(slots=True)
class RowsRead:
    """What the rows of old files showed beside bars; filled while they are read.

    Parameters
    ----------
    unnamed_sids
        Rows by sid of those that the old catalog has no name for.
    refused_symbols
        Rows by symbol of those that cannot be a symbol here.
    refusals
        Why, by symbol.
    unused_columns
        Columns that were not read.
    number_rules
        How numbers became decimals.
    """

    unnamed_sids: Counter[int] = field(default_factory=Counter)
    refused_symbols: Counter[str] = field(default_factory=Counter)
    refusals: dict[str, str] = field(default_factory=dict)
    unused_columns: set[str] = field(default_factory=set)
    number_rules: set[str] = field(default_factory=set)


def read_rows(
    path: Path, where: str, frequency: Frequency, names: Mapping[int, str], found: RowsRead
) -> Iterator[BuiltBars]:
    """Yield the bars of a file in its order, some hundred thousand rows at a time.

    Floats become the decimals that they stand for (`rustybt.market.decimals.decode_floats`, a column of a piece at a time),
    all other numbers keep their digits.

    Parameters
    ----------
    where
        Begins the location of a row that is set aside: ``daily_bars/year=2023/month=01/data.parquet:17``.
    names
        Symbol of each sid.
    found
        Takes what is not bars.

    Raises
    ------
    BadResponseError
        The file is damaged, or holds no bars.
    """
    with open_foreign(path) as file:
        columns = columns_of(file, frequency, where)
        found.unused_columns.update(columns.unused)
        first_row = 1
        for piece in file.pieces(list(columns.names.values())):
            rows = _fields(piece, columns).with_row_index(LINE, offset=first_row)
            first_row += piece.height
            yield _built(_with_symbols(rows, names, found), where, frequency, found)


def check_holds_bars(path: Path, where: str, frequency: Frequency | None) -> OldColumns:
    """Return the columns of a Parquet file of bars; its rows are not looked at.

    Raises
    ------
    BadResponseError
        It is damaged, or its columns are not those of bars of `frequency`.
    """
    with open_foreign(path) as file:
        columns = columns_of(file, frequency, where)
        if columns.has_only_dates and frequency is not None and frequency.is_intraday:
            raise BadResponseError(f"{where} has dates without a time, which cannot be bars of {frequency}")
        rows = _fields(file.no_rows(list(columns.names.values())), columns).with_row_index(LINE, offset=1)
    named = rows["sid" if "sid" in rows.columns else "symbol"]
    if not (
        named.dtype in (pl.String, pl.Null)
        or named.dtype.is_integer()
        or (named.name == "sid" and named.dtype.is_float())
    ):
        raise BadResponseError(f"{where} holds no bars: its {named.name} is {named.dtype}")
    try:
        _built(_with_symbols(rows, {}, RowsRead()), where, frequency or DAILY, RowsRead())
    except (RequestError, pl.exceptions.PolarsError) as error:
        raise BadResponseError(f"{where} holds no bars: {error}") from error
    return columns


def read_through(path: Path, columns: OldColumns) -> None:
    """Read every row that bars are made of, and keep none.

    Raises
    ------
    BadResponseError
        The file is damaged.
    """
    with open_foreign(path) as file:
        for _ in file.pieces(list(columns.names.values())):
            pass


def _fields(piece: pl.DataFrame, columns: OldColumns) -> pl.DataFrame:
    return piece.select(
        *(pl.col(name).alias(given) for given, name in columns.names.items()), pl.lit(0, dtype=pl.UInt32).alias(FILE)
    )


def _with_symbols(rows: pl.DataFrame, names: Mapping[int, str], found: RowsRead) -> pl.DataFrame:
    """Return the rows with their symbols, without those that cannot have one: they are counted in `found`."""
    if "sid" in rows.columns:
        sids = rows["sid"].cast(pl.Int64, strict=False)
        known = {sid: name for sid, name in names.items() if name.strip()}
        symbols = sids.replace_strict(list(known), list(known.values()), default=None, return_dtype=pl.String)
        unnamed = sids.is_not_null() & symbols.is_null()
        rows = rows.with_columns(symbol=symbols).drop("sid")
        if unnamed.any():
            found.unnamed_sids.update(_counted(sids.filter(unnamed)))
            rows = rows.filter(~unnamed)
    stripped = pl.col("symbol").cast(pl.String).str.strip_chars()
    rows = rows.with_columns(symbol=pl.when(stripped != "").then(stripped))
    refused = {name: reason for name in rows["symbol"].unique().drop_nulls() if (reason := _refusal(name))}
    if refused:
        found.refusals.update(refused)
        is_refused = rows["symbol"].is_in(list(refused)).fill_null(value=False)
        found.refused_symbols.update(_counted(rows["symbol"].filter(is_refused)))
        rows = rows.filter(~is_refused)
    return rows


def _counted(values: pl.Series) -> dict[Any, int]:
    counted = values.value_counts()
    return dict(zip(counted[values.name], counted["count"], strict=True))


def _refusal(symbol: str) -> str:
    """Return why `symbol` cannot be one; empty where it can."""
    try:
        check_symbol(symbol)
    except RequestError as error:
        return error.message
    return ""


def _built(rows: pl.DataFrame, where: str, frequency: Frequency, found: RowsRead) -> BuiltBars:
    stamps = StampRules(frequency).read_typed(rows["timestamp"])
    if frequency == DAILY and _is_finer_than_daily(rows, stamps):
        stamps = _all_bad(stamps, FINER)
    request = BarRequest((), None, None, frequency)
    return build_bars(rows, stamps, request, [where], _recording(found.number_rules))


def _is_finer_than_daily(rows: pl.DataFrame, stamps: Stamps) -> bool:
    """Return whether there are more than two instants for each session: two may be one bar's midnight and its close."""
    if not stamps.has_time:
        return False
    keys = rows.select("symbol", "timestamp").with_columns(session=stamps.labels)
    return keys.n_unique(["symbol", "timestamp"]) > 2 * keys.n_unique(["symbol", "session"])


def _all_bad(stamps: Stamps, reason: str) -> Stamps:
    count = stamps.labels.len()
    told = pl.repeat(reason, count, dtype=pl.String, eager=True)
    bad = told if stamps.bad is None else stamps.bad.zip_with(stamps.bad.is_not_null(), told)
    return Stamps(pl.repeat(None, count, dtype=stamps.labels.dtype, eager=True), bad, stamps.has_time)


def _recording(rules: set[str]) -> Callable[[pl.Series], ParsedDecimals]:
    def parse(values: pl.Series) -> ParsedDecimals:
        parsed, rule = to_contract(values)
        rules.add(rule)
        return parsed

    return parse
