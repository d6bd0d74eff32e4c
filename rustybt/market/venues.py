"""Exchanges by the names that other programs give them: their MIC where it is certain, and the calendar they keep."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from rustybt.errors import RequestError
from rustybt.market.calendars import ALWAYS_OPEN, calendar_for, canonical_name

if TYPE_CHECKING:
    from collections.abc import Mapping

# An asset's identity hangs on its venue: only names that nobody gives to another one. In lower case, letters and digits alone.
_MICS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("nyse", "newyorkstockexchange"), "XNYS"),
        "nasdaq": "XNAS",
        **dict.fromkeys(("amex", "nyseamerican", "nysemkt"), "XASE"),
        **dict.fromkeys(("arca", "nysearca", "arcx"), "ARCX"),
        "bats": "BATS",
        "lse": "XLON",
        "tsx": "XTSE",
        "cme": "XCME",
    }
)
_CRYPTO_VENUES = frozenset((
    "binance", "binanceus", "binanceusdm", "binancecoinm", "kraken", "krakenfutures", "coinbase", "coinbasepro", "gdax",
    "coinbaseexchange", "bitstamp", "bitfinex", "bitmex", "bybit", "okx", "okex", "kucoin", "gemini", "huobi", "htx", "gate",
    "gateio", "poloniex", "bittrex", "deribit", "ftx", "cryptocom", "mexc", "bitget", "hitbtc", "upbit", "bithumb", "bitflyer",
    "phemex", "bingx", "lbank", "whitebit", "exmo", "dydx", "hyperliquid", "crypto", "ccxt", "ccc",
))  # fmt: skip
# Beside what exchange_calendars knows: MICs of venues that keep another one's sessions, vendors' codes, and words.
_CALENDARS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("xase", "arcx", "pacf", "batsz", "cboe", "cboebzx", "iex", "iexg"), "XNYS"),
        **dict.fromkeys(("otc", "otcbb", "pink", "us", "usa"), "XNYS"),
        **dict.fromkeys(("nyq", "nms", "ngm", "ncm", "pcx", "ase", "bts", "pnk", "nasdaqgs", "nasdaqgm", "nasdaqcm"), "XNYS"),
        **dict.fromkeys(("lon", "london"), "XLON"),
        **dict.fromkeys(("tor", "toronto"), "XTSE"),
        **dict.fromkeys(("xetra", "ger", "etr"), "XETR"),
        **dict.fromkeys(("hkg", "sehk"), "XHKG"),
        **dict.fromkeys(("tokyo", "tyo"), "XTKS"),
        **dict.fromkeys(("nse", "nsi"), "XBOM"),
        **dict.fromkeys(("xcme", "globex", "cmeglobex", "cbt", "nym", "cmx"), "CMES"),
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
_MIC_LENGTH = 4


def mic_of_exchange(name: str) -> str | None:
    """Return the MIC of an exchange by its usual name or the MIC itself, in any case; None for any other name.

    Of codes that are in no table, those of four letters that begin with X are taken for MICs, as most of these do.
    """
    plain = _plain(name)
    if plain in _MICS:
        return _MICS[plain]
    code = name.strip().upper()
    is_code = len(code) == _MIC_LENGTH and code.startswith("X") and code.isascii() and code.isalpha()
    return code if is_code else None


def calendar_of_exchange(name: str) -> str | None:
    """Return the calendar of an exchange by its MIC, its short name, a vendor's code or a crypto venue; None for no such."""
    plain = _plain(name)
    if plain in _CRYPTO_VENUES:
        return ALWAYS_OPEN
    code = _MICS.get(plain, name.strip())
    for known in (plain, code.casefold()):
        if known in _CALENDARS:
            return _CALENDARS[known]
    try:
        return canonical_name(code)
    except RequestError:
        return None


def calendar_of_type(asset_type: str) -> str | None:
    """Return the calendar that an asset type alone tells; None for equities and the like, which trade everywhere."""
    known = _TYPES.get(asset_type.strip().casefold())
    return None if known is None else calendar_for(None, known)


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())
