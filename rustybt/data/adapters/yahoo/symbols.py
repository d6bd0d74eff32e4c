"""Yahoo's tickers and exchange codes, and what they are called everywhere else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rustybt.market.assets import AssetAttributes

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Yahoo's one-letter exchange suffixes: London, Frankfurt, Tokyo, TSX Venture. ``VOD.L`` is a listing and no class of shares.
_SUFFIX_LETTERS = "FLTV"
_CLASS_WITH_DASH = re.compile(rf"([A-Z]{{1,5}})-([A-Z])(?<![{_SUFFIX_LETTERS}])")
_CLASS_WITH_DOT = re.compile(rf"([A-Z]{{1,5}})\.([A-Z])(?<![{_SUFFIX_LETTERS}])")

#: MIC by Yahoo's ``exchangeName``; the composite prices of currencies and coins exist at Yahoo only.
VENUES: Mapping[str, str] = {
    "NMS": "XNAS", "NGM": "XNAS", "NCM": "XNAS", "NAS": "XNAS", "NIM": "XNAS", "NYQ": "XNYS", "NYS": "XNYS",
    "PCX": "ARCX", "ASE": "XASE", "BTS": "BATS", "CXI": "BATS", "PNK": "OTCM", "OQB": "OTCM", "OQX": "OTCM", "OEM": "OTCM",
    "LSE": "XLON", "IOB": "XLON", "GER": "XETR", "FRA": "XFRA", "STU": "XSTU", "MUN": "XMUN", "DUS": "XDUS", "BER": "XBER",
    "HAM": "XHAM", "HAN": "XHAN", "PAR": "XPAR", "AMS": "XAMS", "BRU": "XBRU", "LIS": "XLIS", "MIL": "XMIL", "MCE": "XMAD",
    "EBS": "XSWX", "VIE": "XWBO", "STO": "XSTO", "HEL": "XHEL", "CPH": "XCSE", "OSL": "XOSL", "ICE": "XICE", "ISE": "XDUB",
    "WSE": "XWAR", "PRA": "XPRA", "BUD": "XBUD", "ATH": "ASEX", "IST": "XIST", "TLV": "XTAE", "SAU": "XSAU", "JNB": "XJSE",
    "JPX": "XTKS", "TYO": "XTKS", "HKG": "XHKG", "SHH": "XSHG", "SHZ": "XSHE", "NSI": "XNSE", "BSE": "XBOM", "KSC": "XKRX",
    "KOE": "XKOS", "TAI": "XTAI", "TWO": "ROCO", "SES": "XSES", "KLS": "XKLS", "JKT": "XIDX", "SET": "XBKK", "PHS": "XPHS",
    "ASX": "XASX", "NZE": "XNZE", "TOR": "XTSE", "VAN": "XTSX", "CNQ": "XCNQ", "NEO": "NEOE", "MEX": "XMEX", "SAO": "BVMF",
    "BUE": "XBUE", "SGO": "XSGO",
    "CME": "XCME", "CBT": "XCBT", "CMX": "XCEC", "NYM": "XNYM", "NYB": "IFUS",
    "CCC": "yahoo", "CCY": "yahoo",
}  # fmt: skip

#: A fund is checked like an equity: it has one price a day, and Yahoo repeats it for open, high and low.
ASSET_TYPES: Mapping[str, str] = {
    "EQUITY": "equity",
    "ETF": "etf",
    "INDEX": "index",
    "FUTURE": "future",
    "CURRENCY": "forex",
    "CRYPTOCURRENCY": "crypto",
}


def canonical_symbol(text: str) -> str:
    """Return the canonical symbol of what a user typed or Yahoo uses: ``BRK-B`` is ``BRK.B``.

    Only a class of shares is rewritten, a single letter behind at most five. A letter that is also one of Yahoo's
    exchange suffixes stays as typed, because both readings exist: ``MKC-V`` is a class in New York, ``MKC.V`` a listing
    in Vancouver.
    """
    ticker = text.strip().upper()
    found = _CLASS_WITH_DASH.fullmatch(ticker)
    return f"{found[1]}.{found[2]}" if found else ticker


def vendor_symbol(symbol: str) -> str:
    """Return Yahoo's ticker of a canonical symbol."""
    found = _CLASS_WITH_DOT.fullmatch(symbol)
    return f"{found[1]}-{found[2]}" if found else symbol


def attributes_of(meta: Mapping[str, Any]) -> AssetAttributes:
    """Return what an answer's ``meta`` says of the asset; prices in pence keep Yahoo's ``GBp``."""
    code = _text(meta, "exchangeName")
    return AssetAttributes(
        venue=VENUES.get(code),
        asset_type=ASSET_TYPES.get(_text(meta, "instrumentType"), "unknown"),
        currency=_text(meta, "currency") or "USD",
        name=_text(meta, "longName") or _text(meta, "shortName"),
    )


def _text(meta: Mapping[str, Any], key: str) -> str:
    value = meta.get(key)
    return value if isinstance(value, str) else ""
