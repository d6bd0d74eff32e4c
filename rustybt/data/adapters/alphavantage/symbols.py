"""How Alpha Vantage spells symbols, and what its list says of them.

It writes a class of a share with a hyphen (BRK-B), for a point begins the exchange (TSCO.LON); so does its list of all
symbols, and SYMBOL_SEARCH. Its series are also found under BRK.B, but that is written down nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rustybt.data.adapters.alphavantage.csv import LISTING, date_of, read_table
from rustybt.errors import BadResponseError
from rustybt.market.assets import AssetAttributes

if TYPE_CHECKING:
    from datetime import date

#: Exchange and currency of a symbol's suffix; prices in London are in pence, which Yahoo calls GBp as well.
EXCHANGES = {
    "LON": ("XLON", "GBp"),
    "TRT": ("XTSE", "CAD"),
    "TRV": ("XTSX", "CAD"),
    "DEX": ("XETR", "EUR"),
    "FRK": ("XFRA", "EUR"),
    "AMS": ("XAMS", "EUR"),
    "PAR": ("XPAR", "EUR"),
    "BSE": ("XBOM", "INR"),
    "SHH": ("XSHG", "CNY"),
    "SHZ": ("XSHE", "CNY"),
    "SAO": ("BVMF", "BRL"),
}
_US_VENUES = {
    "NASDAQ": "XNAS",
    "NYSE": "XNYS",
    "NYSE ARCA": "ARCX",
    "NYSE MKT": "XASE",
    "BATS": "BATS",
}


@dataclass(frozen=True, slots=True)
class AlphaVantageListing:
    """One row of the list of symbols."""

    attributes: AssetAttributes
    first_day: date | None
    is_active: bool


def canonical_symbol(text: str) -> str:
    """Return BRK.B for BRK-B; a symbol with an exchange stays as it is."""
    symbol = text.strip().upper()
    return symbol if _suffix(symbol) else symbol.replace("-", ".")


def vendor_symbol(symbol: str) -> str:
    """Return BRK-B for BRK.B; a symbol with an exchange stays as it is."""
    return symbol if _suffix(symbol) else symbol.replace(".", "-")


def is_listed_abroad(symbol: str) -> bool:
    """Return whether the symbol names an exchange outside of the United States."""
    return _suffix(symbol) is not None


def attributes_abroad(symbol: str) -> AssetAttributes | None:
    """Return what the suffix says of a symbol; None for one without."""
    suffix = _suffix(symbol)
    if suffix is None:
        return None
    venue, currency = EXCHANGES[suffix]
    return AssetAttributes(venue, "equity", currency)


def _suffix(symbol: str) -> str | None:
    suffix = symbol.rpartition(".")[2]
    return suffix if suffix in EXCHANGES and suffix != symbol else None


def read_listing(text: str) -> dict[str, AlphaVantageListing]:
    """Return the list of US symbols, under canonical names.

    Raises
    ------
    BadResponseError
        It has other columns, or no rows.
    """
    rows = read_table("list of symbols", text, LISTING)
    if rows.is_empty():
        raise BadResponseError("alphavantage: the list of symbols is empty")
    found: dict[str, AlphaVantageListing] = {}
    for symbol, name, exchange, kind, first, _, status in rows.iter_rows():
        if not symbol:
            continue
        attributes = AssetAttributes(
            _US_VENUES.get(exchange or ""), "etf" if kind == "ETF" else "equity", "USD", name=name or ""
        )
        found[canonical_symbol(symbol)] = AlphaVantageListing(attributes, date_of(first), status == "Active")
    return found
