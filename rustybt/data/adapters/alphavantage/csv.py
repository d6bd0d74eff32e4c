"""Alpha Vantage's CSV answers, checked to the last line: newest first, numbers as text."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.data.adapters.new_york import NEW_YORK
from rustybt.data.adapters.printed_bars import printed_bars
from rustybt.errors import BadResponseError, RequestError
from rustybt.market.bars import VALUE_COLUMNS
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.frequency import DAILY, Frequency
from rustybt.market.trading_calendar import Instants, period_numbers, period_starts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PLAIN = ("timestamp", *VALUE_COLUMNS)
ADJUSTED = (
    "timestamp",
    "open",
    "high",
    "low",
    "close",
    "adjusted_close",
    "volume",
    "dividend_amount",
    "split_coefficient",
)
LISTING = ("symbol", "name", "exchange", "assetType", "ipoDate", "delistingDate", "status")
DAY_FORMAT, INSTANT_FORMAT = "%Y-%m-%d", "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class AlphaVantageTable:
    """One answer, oldest row first.

    Parameters
    ----------
    rows
        All columns text.
    frame
        The rows as bars of the contract.
    """

    symbol: str
    rows: pl.DataFrame
    frame: pl.DataFrame

    @property
    def stamps(self) -> Instants:
        """Labels, microseconds since 1970 UTC: dates at 00:00, or instants."""
        return self.frame["timestamp"].to_physical().to_numpy()

    def bars(self, start: int, end: int) -> pl.DataFrame:
        """Return the bars from `start` to `end`, both included."""
        stamps = self.stamps
        return self.frame.filter(pl.Series((stamps >= start) & (stamps <= end)))

    def actions(self, start: int) -> Iterator[CorporateAction]:
        """Yield the splits and dividends of the rows from `start` on.

        Raises
        ------
        BadResponseError
            One of them cannot be.
        """
        names = ("timestamp", "dividend_amount", "split_coefficient")
        for stamp, (day, paid, coefficient) in zip(self.stamps, self.rows.select(names).iter_rows(), strict=True):
            if stamp < start:
                continue
            try:
                amount, ratio = Decimal(paid), Decimal(coefficient)
                if amount != 0:
                    yield CorporateAction.cash_dividend(self.symbol, day, amount, source="alphavantage")
                if ratio != 1:
                    yield CorporateAction.split(self.symbol, day, *_shares(ratio), source="alphavantage")
            except (InvalidOperation, RequestError, TypeError) as error:
                raise BadResponseError(
                    f"{self.symbol}: the dividend or split of {day} is malformed", symbol=self.symbol
                ) from error


def _shares(coefficient: Decimal) -> tuple[Decimal, Decimal]:
    """Return new and old shares: 0.125 is 1 for 8; what is no such fraction stays as printed."""
    if 0 < coefficient < 1:
        old = (Decimal(1) / coefficient).to_integral_value()
        if old * coefficient == 1:
            return Decimal(1), old
    return coefficient, Decimal(1)


def read_series(symbol: str, text: str, columns: Sequence[str], frequency: Frequency) -> AlphaVantageTable:
    """Return the table of a time series.

    Raises
    ------
    BadResponseError
        The header is another, a row is cut short, a time or a number is none, or rows do not go from the newest to the
        oldest.
    """
    rows = read_table(symbol, text, columns).reverse()
    texts = rows["timestamp"]
    times = texts.str.to_datetime(
        INSTANT_FORMAT if frequency.is_intraday else DAY_FORMAT, time_unit="us", strict=False, exact=True
    )
    if times.null_count():
        at = int(times.is_null().arg_max() or 0)
        raise BadResponseError(f"{symbol}: {texts[at]!r} is no time of a {frequency} bar", symbol=symbol)
    stamps = _in_utc(symbol, times) if frequency.is_intraday else times.to_physical().to_numpy()
    if not frequency.is_intraday and frequency != DAILY:
        # Named after their last session; the contract's label is where the week or month begins.
        days = stamps.astype("datetime64[us]").astype("datetime64[D]")
        stamps = period_starts(period_numbers(days, frequency), frequency)
    frame = printed_bars(symbol, stamps, {name: rows[name] for name in VALUE_COLUMNS}, frequency)
    return AlphaVantageTable(symbol, rows, frame)


def _in_utc(symbol: str, times: pl.Series) -> Instants:
    """Return the instants of wall clocks in New York."""
    try:
        utc = times.dt.replace_time_zone(NEW_YORK.key, ambiguous="raise", non_existent="raise")
    except pl.exceptions.PolarsError:
        raise BadResponseError(f"{symbol}: a bar lies in the hour in which the clocks change", symbol=symbol) from None
    return np.asarray(utc.dt.convert_time_zone("UTC").to_physical().to_numpy(), dtype=np.int64)


def read_table(what: str, text: str, columns: Sequence[str]) -> pl.DataFrame:
    """Return CSV text as a frame of texts with exactly `columns`.

    Raises
    ------
    BadResponseError
        Another header, a row with more or fewer fields, or no end of the last line.
    """
    header = text.partition("\n")[0].strip()
    if header != ",".join(columns):
        raise BadResponseError(f"alphavantage, {what}: the columns are {header[:80]!r}, not {','.join(columns)}")
    if not text.endswith("\n"):
        raise BadResponseError(f"alphavantage, {what}: the answer breaks off in its last line")
    try:
        frame = pl.read_csv(io.BytesIO(text.encode()), infer_schema=False)
    except pl.exceptions.NoDataError:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    except pl.exceptions.PolarsError:
        raise BadResponseError(f"alphavantage, {what}: a row has more fields than the header") from None
    if columns is not LISTING and sum(frame.null_count().row(0)):
        raise BadResponseError(f"alphavantage, {what}: a row has fewer fields than the header")
    return frame


def date_of(text: str | None) -> date | None:
    """Return the date of a listing's column; the list writes ``null`` for none."""
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
