"""What Massive's answers mean: bars, corporate actions and listings, each checked against what was asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rustybt.data.adapters.printed_bars import printed_bars
from rustybt.errors import BadResponseError, RequestError
from rustybt.market.assets import AssetAttributes
from rustybt.market.bars import empty_bars, join_frames
from rustybt.market.corporate_actions import CorporateAction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rustybt.data.adapters.massive.window import MassiveWindow

_MOST_EMPTY_PAGES = 3
_COLUMNS = {"open": "o", "high": "h", "low": "l", "close": "c"}
#: Kinds of security: https://massive.com/docs/rest/stocks/tickers/ticker-types
_FUNDS = frozenset({"ETF", "ETN", "ETV", "ETS"})
_SHARES = frozenset({"CS", "OS", "PFD", "FUND", "SP", "ADRC", "ADRP", "ADRR", "ADRW", "GDR", "NYRS"})


@dataclass(frozen=True, slots=True)
class MassivePage:
    """One page of bars.

    Parameters
    ----------
    bars
        Contract bars in rising order.
    missing_volume
        True for each bar that came without a volume; None for no such bar.
    base_count
        Base aggregates (minutes or days) that the vendor looked through: it cuts answers by these.
    next_url
        Where the next page is; None for the last.
    """

    bars: pl.DataFrame
    missing_volume: pl.Series | None
    base_count: int
    next_url: Any

    @property
    def last_label(self) -> int:
        """Label of the newest bar, microseconds since 1970 UTC; there must be one."""
        return int(self.bars["timestamp"].to_physical()[-1])


def read_page(
    answer: Mapping[str, Any], symbol: str, ticker: str, window: MassiveWindow, *, adjusted: bool
) -> MassivePage:
    """Return the bars of one answer under the canonical `symbol`.

    Raises
    ------
    BadResponseError
        It is of another ticker or adjustment, holds fewer bars than it says, or a bar that cannot be one.
    """
    rows = [] if answer.get("results") is None else answer["results"]
    count = _count(answer, "resultsCount")
    if answer.get("ticker") != ticker:
        raise BadResponseError(f"polygon was asked for {ticker}, and answers with {str(answer.get('ticker'))[:40]!r}")
    if answer.get("adjusted") is not adjusted:
        raise BadResponseError(
            f"polygon was asked for adjusted={adjusted}, and answers with {answer.get('adjusted')!r}"
        )
    if not isinstance(rows, list):
        raise BadResponseError(f"polygon: the bars of {symbol} are no list", symbol=symbol)
    if len(rows) != count:
        raise BadResponseError(f"polygon says that a page has {count} bars of {symbol}, and it has {len(rows)}")
    base_count, next_url = _count(answer, "queryCount"), answer.get("next_url")
    if not rows:
        return MassivePage(empty_bars(), None, base_count, next_url)
    bars, missing = _bars(rows, symbol, window)
    return MassivePage(bars, missing, base_count, next_url)


def _bars(rows: Sequence[Any], symbol: str, window: MassiveWindow) -> tuple[pl.DataFrame, pl.Series | None]:
    try:
        times = pl.Series([row["t"] for row in rows], dtype=pl.String).cast(pl.Int64)
        columns: dict[str, Any] = {name: [row[key] for row in rows] for name, key in _COLUMNS.items()}
        volume = pl.Series([row.get("v") for row in rows], dtype=pl.String)
    except (KeyError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
        raise BadResponseError(
            f"polygon: a bar of {symbol} lacks a value, or holds none ({type(error).__name__})"
        ) from None
    columns["volume"] = volume.fill_null("0")
    bars = printed_bars(symbol, window.labels(times), columns)
    return bars, volume.is_null() if volume.null_count() else None


def check_progress(pages: Sequence[MassivePage], symbol: str) -> None:
    """Check that the newest page goes on where the others ended.

    Raises
    ------
    BadResponseError
        It begins before that, or pages without a bar follow each other.
    """
    newest, filled = pages[-1], [page for page in pages[-_MOST_EMPTY_PAGES - 1 :] if page.bars.height]
    if newest.next_url is not None and not filled and len(pages) > _MOST_EMPTY_PAGES:
        raise BadResponseError(f"polygon sent page after page of {symbol} without a bar", symbol=symbol)
    if newest.bars.height and len(filled) > 1:
        first = int(newest.bars["timestamp"].to_physical()[0])
        if first <= filled[-2].last_label:
            raise BadResponseError(f"polygon sent bars of {symbol} twice or out of order", symbol=symbol)


def join_pages(pages: Sequence[MassivePage]) -> tuple[pl.DataFrame, pl.Series | None]:
    """Return the bars of all pages, and which of them came without a volume.

    Raises
    ------
    BadResponseError
        A page does not begin after the end of the one before it.
    """
    filled = [page for page in pages if page.bars.height]
    if not filled:
        return empty_bars(), None
    bars = join_frames(page.bars for page in filled)
    _check_rising(bars["timestamp"].to_physical().to_numpy())
    if all(page.missing_volume is None for page in filled):
        return bars, None
    none = pl.Series([], dtype=pl.Boolean)
    for page in filled:
        missing = page.missing_volume
        none.append(
            pl.repeat(value=False, n=page.bars.height, dtype=pl.Boolean, eager=True) if missing is None else missing
        )
    return bars, none


def read_splits(answer: Mapping[str, Any], symbol: str, ticker: str) -> list[CorporateAction]:
    """Return the splits of one page of ``/v3/reference/splits``: `split_to` shares for `split_from`."""

    def make(row: dict[str, Any]) -> CorporateAction:
        new, old = _decimal(row["split_to"]), _decimal(row["split_from"])
        return CorporateAction.split(symbol, row["execution_date"], new, old, source="polygon")

    return [_action(row, make) for row in _rows_of(answer, ticker)]


def read_dividends(answer: Mapping[str, Any], symbol: str, ticker: str, currency: str) -> list[CorporateAction | str]:
    """Return the cash dividends of one page of ``/v3/reference/dividends``; one without an amount becomes a sentence.

    All types are cash: regular (CD), special (SC), and distributions of long- and short-term gains (LT, ST).
    """

    def make(row: dict[str, Any]) -> CorporateAction:
        return CorporateAction.cash_dividend(
            symbol,
            row["ex_dividend_date"],
            _decimal(row["cash_amount"]),
            str(row.get("currency") or currency).upper(),
            declared_date=row.get("declaration_date") or None,
            record_date=row.get("record_date") or None,
            pay_date=row.get("pay_date") or None,
            source="polygon",
        )

    return [
        _action(row, make)
        if str(row.get("cash_amount") or 0).strip("0.")
        else f"{symbol}: polygon lists a dividend of {row.get('ex_dividend_date')} without an amount; it is left out"
        for row in _rows_of(answer, ticker)
    ]


@dataclass(frozen=True, slots=True)
class MassiveListing:
    """What the vendor knows of one ticker.

    Parameters
    ----------
    listed
        First day of the listing, where known.
    delisted
        Day on which it left the exchange; None for one that is still there.
    """

    attributes: AssetAttributes
    listed: date | None = None
    delisted: date | None = None


def read_listing(row: Any, ticker: str) -> MassiveListing:
    """Return the listing in an answer of details, or in one row of the list of tickers.

    Raises
    ------
    BadResponseError
        It is of another ticker, or its dates are none.
    """
    if not isinstance(row, dict) or row.get("ticker") != ticker:
        raise BadResponseError(f"polygon was asked for the listing of {ticker}, and answers with another")
    kind = str(row.get("type") or "")
    attributes = AssetAttributes(
        venue=str(row.get("primary_exchange") or "") or None,
        asset_type="etf" if kind in _FUNDS else "equity" if kind in _SHARES else "unknown",
        currency=str(row.get("currency_name") or "USD").upper(),
        name=str(row.get("name") or ""),
    )
    return MassiveListing(attributes, _date(row.get("list_date")), _date(row.get("delisted_utc")))


def symbols_of(answer: Mapping[str, Any]) -> list[str]:
    """Return the tickers of one page of ``/v3/reference/tickers``.

    Raises
    ------
    BadResponseError
        A row has none.
    """
    try:
        return [str(row["ticker"]) for row in _rows_of(answer, None)]
    except KeyError:
        raise BadResponseError("polygon sent a list of tickers with one that has no name") from None


def _rows_of(answer: Mapping[str, Any], ticker: str | None) -> list[dict[str, Any]]:
    rows = answer.get("results")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadResponseError("polygon sent no list of results")
    if ticker is not None and any(row.get("ticker") != ticker for row in rows):
        raise BadResponseError(f"polygon was asked for events of {ticker}, and answers with those of another")
    return rows


def _action(row: dict[str, Any], make: Callable[[dict[str, Any]], CorporateAction]) -> CorporateAction:
    try:
        return make(row)
    except (KeyError, InvalidOperation, RequestError) as error:
        raise BadResponseError(f"polygon sent a corporate action that is none: {error}") from None


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value))


def _date(value: Any) -> date | None:
    if not value:
        return None
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        raise BadResponseError(f"polygon sent {str(value)[:40]!r} for a date") from None


def _count(answer: Mapping[str, Any], key: str) -> int:
    try:
        return int(answer.get(key) or 0)
    except (TypeError, ValueError):
        raise BadResponseError(f"polygon sent a {key} that is no number") from None


def _check_rising(labels: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    if labels.size > 1 and not (np.diff(labels) > 0).all():
        raise BadResponseError("polygon sent bars twice or out of order")
