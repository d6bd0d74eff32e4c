"""Rows of text become bars; a row that cannot is set aside with its reason, never changed and never dropped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from rustybt.data.sources.csv.table import MAX_TEXT
from rustybt.data.sources.delivery import QUARANTINE_SCHEMA, empty_quarantine
from rustybt.errors import RequestError
from rustybt.market.bars import BAR_COLUMNS, BAR_SCHEMA, DECIMAL, PRICE_COLUMNS, VALUE_COLUMNS
from rustybt.market.decimals import MISSING, ParsedDecimals, parse_decimals
from rustybt.market.request import BarRequest, check_symbol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rustybt.data.sources.reading.stamps import Stamps

#: Where a row of text stands: index into the labels of the files, and its line there.
FILE, LINE = "file", "line"

_WORDING = {MISSING: "is missing", "not a number": "is not a number", "not finite": "is not finite"}


@dataclass(frozen=True, slots=True)
class BuiltBars:
    """Bars of the contract's dtypes (order not promised), the rows set aside, and what the stamps showed.

    Parameters
    ----------
    missing_volume
        True per row whose volume the source left empty; None for none.
    has_time
        Whether any timestamp showed a time of day.
    """

    bars: pl.DataFrame
    quarantined: pl.DataFrame
    missing_volume: pl.Series | None
    has_time: bool


def build_bars(
    rows: pl.DataFrame,
    stamps: Stamps,
    request: BarRequest,
    labels: Sequence[str],
    parse: Callable[[pl.Series], ParsedDecimals] = parse_decimals,
) -> BuiltBars:
    """Return the bars of `rows` that lie in the request's range.

    Parameters
    ----------
    rows
        Columns `timestamp`, `symbol` (String), the four prices, and `volume` where there is one; `FILE` and `LINE`.
        Nulls are empty fields.
    stamps
        The labels of the rows.
    labels
        Name of each file for locations such as ``AAPL.csv:17``.
    parse
        Makes exact decimals of a column.
    """
    rows, stamp_reason = rows.with_columns(stamps.labels.alias("label")), stamps.bad
    if request.start is not None or request.end is not None:
        wanted = rows.select((request.in_range("label") | pl.col("label").is_null()).alias("wanted")).to_series()
        if not wanted.all():
            rows = rows.filter(wanted)
            stamp_reason = None if stamp_reason is None else stamp_reason.filter(wanted)
    numbers = _numbers(rows, parse)
    missing_volume = _missing_volume(rows, numbers)
    reasons = [reason for reason in (_symbol_reasons(rows["symbol"]), stamp_reason) if reason is not None]
    for column, parsed in numbers.items():
        if parsed.bad is not None:
            reasons.append(_worded(column, parsed.bad))
    bars = pl.DataFrame(
        {"timestamp": rows["label"], "symbol": rows["symbol"], **{name: item.values for name, item in numbers.items()}}
    ).select(BAR_COLUMNS)
    if not reasons:
        return BuiltBars(bars, empty_quarantine(), missing_volume, stamps.has_time)
    reason = pl.DataFrame({str(i): item for i, item in enumerate(reasons)}).select(pl.coalesce(pl.all())).to_series()
    good = reason.is_null()
    return BuiltBars(
        bars.filter(good).cast(BAR_SCHEMA),
        _quarantine(rows.with_columns(reason.alias("reason")).filter(~good), labels),
        None if missing_volume is None else missing_volume.filter(good),
        stamps.has_time,
    )


def ragged_quarantine(
    ragged: Sequence[tuple[int, str, str]], symbol: str | None, label: str, first_line: int
) -> pl.DataFrame:
    """Return the quarantine of records that do not have the header's number of fields; their symbol may be unknown."""
    return pl.DataFrame(
        [(symbol or "", "", reason, f"{label}:{first_line + line}", text) for line, reason, text in ragged],
        schema=QUARANTINE_SCHEMA,
        orient="row",
    )


def _numbers(rows: pl.DataFrame, parse: Callable[[pl.Series], ParsedDecimals]) -> dict[str, ParsedDecimals]:
    """Parse each column on a thread of its own: polars parses a series on one."""
    names = [name for name in VALUE_COLUMNS if name in rows.columns]
    with ThreadPoolExecutor(len(names), thread_name_prefix="rustybt-decimals") as pool:
        return dict(zip(names, pool.map(lambda name: parse(rows[name]), names), strict=True))


def _missing_volume(rows: pl.DataFrame, numbers: dict[str, ParsedDecimals]) -> pl.Series | None:
    """Put 0 where no volume is given, and return where that was; mutates `numbers`."""
    if "volume" not in numbers:
        numbers["volume"] = ParsedDecimals(pl.repeat(0, rows.height, dtype=pl.Int64, eager=True).cast(DECIMAL))
        return pl.repeat(value=True, n=rows.height, dtype=pl.Boolean, eager=True)
    parsed = numbers["volume"]
    if parsed.bad is None:
        return None
    missing = (parsed.bad == MISSING).fill_null(value=False)
    if not missing.any():
        return None
    zeros = pl.repeat(0, rows.height, dtype=pl.Int64, eager=True).cast(DECIMAL)
    bad = pl.repeat(None, rows.height, dtype=pl.String, eager=True).zip_with(missing, parsed.bad)
    numbers["volume"] = ParsedDecimals(
        zeros.zip_with(missing, parsed.values), bad if bad.null_count() < bad.len() else None
    )
    return missing


def _worded(column: str, bad: pl.Series) -> pl.Series:
    known = {reason: f"{column} {_WORDING.get(reason, 'has ' + reason)}" for reason in bad.drop_nulls().unique()}
    return bad.replace_strict(known, default=None, return_dtype=pl.String)


def _symbol_reasons(symbols: pl.Series) -> pl.Series | None:
    """Return a reason for each row whose symbol is missing or not usable."""
    reasons: dict[str, str] = {}
    for symbol in symbols.unique().drop_nulls():
        try:
            check_symbol(symbol)
        except RequestError:
            reasons[symbol] = "symbol is not usable"
    if not reasons and not symbols.null_count():
        return None
    named = (
        symbols.replace_strict(reasons, default=None, return_dtype=pl.String)
        if reasons
        else symbols.clear(symbols.len())
    )
    missing = pl.repeat("symbol is missing", symbols.len(), dtype=pl.String, eager=True)
    return missing.zip_with(symbols.is_null(), named)


def _quarantine(rows: pl.DataFrame, labels: Sequence[str]) -> pl.DataFrame:
    fields = [name for name in ("timestamp", *PRICE_COLUMNS, "volume") if name in rows.columns]
    names: Mapping[int, str] = dict(enumerate(labels))
    return rows.select(
        pl.col("symbol").fill_null(""),
        pl.col("timestamp").cast(pl.String).fill_null(""),
        "reason",
        location=pl.concat_str(
            pl.col(FILE).replace_strict(names, return_dtype=pl.String), pl.col(LINE).cast(pl.String), separator=":"
        ),
        text=pl.concat_str(pl.col(fields).cast(pl.String).fill_null(""), separator=",").str.slice(0, MAX_TEXT),
    ).cast(QUARANTINE_SCHEMA)
