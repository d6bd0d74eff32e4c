"""Exchanges as old catalogs name them, and the calendars they keep."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from rustybt.errors import RequestError
from rustybt.market.calendars import ALWAYS_OPEN, calendar_for, canonical_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_CRYPTO_VENUES = frozenset((
    "binance", "binanceus", "binanceusdm", "binancecoinm", "kraken", "krakenfutures", "coinbase", "coinbasepro", "gdax",
    "coinbaseexchange", "bitstamp", "bitfinex", "bitmex", "bybit", "okx", "okex", "kucoin", "gemini", "huobi", "htx", "gate",
    "gateio", "poloniex", "bittrex", "deribit", "ftx", "cryptocom", "mexc", "bitget", "hitbtc", "upbit", "bithumb", "bitflyer",
    "phemex", "bingx", "lbank", "whitebit", "exmo", "dydx", "hyperliquid", "crypto", "ccxt", "ccc",
))  # fmt: skip
# Beside what exchange_calendars knows: names of listings, vendors' codes, and words.
_OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("amex", "nyseamerican", "nysemkt", "nysearca", "arca", "pacf"), "XNYS"),
        **dict.fromkeys(("batsz", "cboe", "cboebzx", "iex", "iexg", "otc", "otcbb", "pink", "us", "usa"), "XNYS"),
        **dict.fromkeys(("nyq", "nms", "ngm", "ncm", "pcx", "ase", "bts", "pnk", "nasdaqgs", "nasdaqgm", "nasdaqcm"), "XNYS"),
        **dict.fromkeys(("lon", "london"), "XLON"),
        **dict.fromkeys(("tor", "toronto"), "XTSE"),
        **dict.fromkeys(("xetra", "ger", "etr"), "XETR"),
        **dict.fromkeys(("hkg", "sehk"), "XHKG"),
        **dict.fromkeys(("tokyo", "tyo"), "XTKS"),
        **dict.fromkeys(("nse", "nsi"), "XBOM"),
        **dict.fromkeys(("globex", "cmeglobex", "cbt", "nym", "cmx"), "CMES"),
        **dict.fromkeys(("fx", "forex", "oanda", "fxcm", "idealpro", "ccy"), "24/5"),
    }
)  # fmt: skip
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("crypto", "cryptocurrency", "coin", "perpetual", "swap"), "crypto"),
        **dict.fromkeys(("forex", "fx", "currency"), "forex"),
        **dict.fromkeys(("future", "futures"), "future"),
        **dict.fromkeys(("commodity", "commodities"), "commodity"),
    }
)


def calendar_of_exchange(name: str) -> str | None:
    """Return the calendar of an exchange by its MIC, its short name, a vendor's code or a crypto venue; None for no such."""
    plain = "".join(char for char in name.casefold() if char.isalnum())
    if plain in _CRYPTO_VENUES:
        return ALWAYS_OPEN
    if plain in _OTHER_NAMES:
        return _OTHER_NAMES[plain]
    try:
        return canonical_name(name.strip())
    except RequestError:
        return None


def calendar_of_type(asset_type: str) -> str | None:
    """Return the calendar that an asset type alone tells; None for equities and the like, which trade everywhere."""
    known = _TYPES.get(asset_type.strip().casefold())
    return None if known is None else calendar_for(None, known)
