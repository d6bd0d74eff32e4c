"""The proof of an import: Zipline's files and the stored bundle, both read again, compared bar by bar as whole numbers.

The import turns rows into bars; the proof goes the other way, from each stored bar back to the row that it must have come from.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rustybt.data.sources.zipline.series import decimal_factor, is_bar, to_bars
from rustybt.errors import SourceError
from rustybt.market.bars import PRICE_COLUMNS, VALUE_COLUMNS
from rustybt.market.quality import check_quality
from rustybt.market.quality_rules import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.sources.base import Progress
    from rustybt.data.sources.zipline.series import ReadsZiplineBars, ZiplineSeries
    from rustybt.data.sources.zipline.source import ZiplineDataSource
    from rustybt.market.decimals import IntegerArray
    from rustybt.market.request import BarRequest

#: Differences that are listed; all are counted.
MOST_DIFFERENCES = 100
_BATCH_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Difference:
    """One number, or one bar, that is not the same on both sides: texts, empty where a side has none."""

    symbol: str
    timestamp: str
    column: str
    zipline: str
    stored: str

    def __str__(self) -> str:
        return f"{self.symbol} {self.timestamp} {self.column}: {self.zipline or 'none'} in Zipline, {self.stored or 'none'} stored"


@dataclass(frozen=True, slots=True)
class SeriesProof:
    """What was compared of one asset: bars on both sides, and the first and last label, ISO text, empty without a bar."""

    sid: int
    zipline_rows: int
    stored_rows: int
    set_aside: int
    first: str
    last: str


@dataclass(slots=True)
class Proof:
    """What a comparison of both sides found.

    Parameters
    ----------
    rows
        Bars that are on both sides.
    prices, volumes
        Numbers compared.
    set_aside
        Rows of Zipline that break a quality rule and are therefore not in the bundle, by reason.
    padding
        Rows of zeros, which are no bars.
    differences
        The first of them; `difference_count` counts all.
    unread
        Symbols whose files cannot be read, with the reason: nothing is proved of these.
    """

    frequency: str
    reference: str
    rows: int = 0
    prices: int = 0
    volumes: int = 0
    padding: int = 0
    difference_count: int = 0
    set_aside: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    series: dict[str, SeriesProof] = field(default_factory=dict)

    @property
    def is_equal(self) -> bool:
        """True if no difference was found."""
        return self.difference_count == 0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "is_equal": self.is_equal}

    def differ(self, difference: Difference) -> None:
        """Take note of a difference."""
        self.difference_count += 1
        if len(self.differences) < MOST_DIFFERENCES:
            self.differences.append(difference)


def prove(
    source: ZiplineDataSource,
    bundle: Bundle,
    request: BarRequest,
    progress: Progress | None = None,
    now: float | None = None,
) -> Proof:
    """Compare every bar of `request` in Zipline's files with those of `bundle`, and the other way round.

    Memory is bounded by about a million bars, or one asset. Of rows that the bundle lacks, those that break a quality rule are
    counted as set aside; any other is a difference.

    Parameters
    ----------
    now
        Unix seconds; bars that end later are not final and set aside. None asks the clock.
    """
    proof = Proof(request.frequency.name, bundle.reference)
    moment = time.time() if now is None else now
    bars = source.bars(request.frequency, fresh=True)
    asked = source.on_sessions(request)
    symbols = source.chosen(request)
    done = 0
    for batch in _batches(source, bars, symbols):
        known = [symbol for symbol in batch if symbol in bundle.description.assets]
        stored = bundle.read(known, frequency=request.frequency).filter(asked.in_range()) if known else None
        parts = (
            {}
            if stored is None
            else {key[0]: part for key, part in stored.partition_by("symbol", as_dict=True).items()}
        )
        for symbol in batch:
            _compare(proof, source, bars, bundle, symbol, parts.get(symbol), asked, moment)
            done += 1
            if progress is not None:
                progress("compare", done, len(symbols))
    return proof


def _batches(source: ZiplineDataSource, bars: ReadsZiplineBars, symbols: list[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    rows = 0
    for symbol in symbols:
        try:
            count = bars.row_count(source.listings.by_symbol[symbol].sid)
        except SourceError:  # told when its bars are compared
            count = 0
        if batch and rows + count > _BATCH_ROWS:
            yield batch
            batch, rows = [], 0
        batch.append(symbol)
        rows += count
    if batch:
        yield batch


def _compare(
    proof: Proof,
    source: ZiplineDataSource,
    bars: ReadsZiplineBars,
    bundle: Bundle,
    symbol: str,
    stored: pl.DataFrame | None,
    asked: BarRequest,
    now: float,
) -> None:
    sid = source.listings.by_symbol[symbol].sid
    try:
        values, divisor = bars.raw(sid)
        series = bars.read(sid)
        stamps = np.empty(0, dtype=np.int64) if stored is None else stored["timestamp"].to_physical().to_numpy()
        at = bars.rows_at(sid, stamps)
    except SourceError as error:
        proof.unread[symbol] = error.message
        return
    held = is_bar(values)
    theirs = np.zeros(stamps.size, dtype=np.bool_)
    theirs[at >= 0] = held[at[at >= 0]]
    for stamp in stamps[~theirs]:
        proof.differ(Difference(symbol, _text(int(stamp), proof.frequency), "bar", "", "a bar"))
    both = np.flatnonzero(theirs)
    if stored is not None and both.size:
        _compare_values(
            proof, symbol, stored[both], {name: column[at[both]] for name, column in values.items()}, divisor
        )
    proof.rows += both.size
    proof.padding += series.padding
    aside = _only_in_zipline(proof, series, symbol, stamps, bundle, asked, now)
    proof.series[symbol] = SeriesProof(
        sid,
        both.size + aside[0],
        stamps.size,
        aside[1],
        _text(int(stamps[0]), proof.frequency) if stamps.size else "",
        _text(int(stamps[-1]), proof.frequency) if stamps.size else "",
    )


def _compare_values(
    proof: Proof, symbol: str, stored: pl.DataFrame, values: Mapping[str, IntegerArray], divisor: int
) -> None:
    for name in VALUE_COLUMNS:
        meant = pl.Series(values[name]).cast(pl.Int128) * decimal_factor(name, divisor)
        differing = (stored[name].to_physical() != meant).arg_true()
        for row in differing:
            stamp = stored["timestamp"].to_physical()[row]
            number = int(values[name][row])
            proof.differ(
                Difference(
                    symbol,
                    _text(stamp, proof.frequency),
                    name,
                    str(number) if name == "volume" else f"{number}/{divisor}",
                    format(stored[name][row].normalize(), "f"),
                )
            )
        if name in PRICE_COLUMNS:
            proof.prices += stored.height
        else:
            proof.volumes += stored.height


def _only_in_zipline(
    proof: Proof,
    series: ZiplineSeries,
    symbol: str,
    stamps: IntegerArray,
    bundle: Bundle,
    asked: BarRequest,
    now: float,
) -> tuple[int, int]:
    """Take note of Zipline's bars that the bundle lacks; return how many, and how many of these were set aside."""
    mine = to_bars(series, symbol).filter(asked.in_range())
    lacking = mine.filter(~pl.col("timestamp").to_physical().is_in(pl.Series(stamps).implode()))
    if lacking.is_empty():
        return 0, 0
    checked = check_quality(
        lacking,
        frequency=asked.frequency,
        calendar_of=bundle.calendar_name,
        asset_type_of=lambda _: "equity",
        now_us=int(now * 1_000_000),
    )
    for reason in checked.quarantined["reason"]:
        for part in reason.split(SEPARATOR):
            proof.set_aside[part] = proof.set_aside.get(part, 0) + 1
    for stamp in checked.bars["timestamp"].to_physical():
        proof.differ(Difference(symbol, _text(stamp, proof.frequency), "bar", "a bar", ""))
    return lacking.height, checked.quarantined.height


def _text(stamp: int, frequency: str) -> str:
    moment = np.datetime64(stamp, "us")
    return str(moment.astype("datetime64[D]")) if frequency == "1d" else f"{moment.astype('datetime64[s]')}Z"
