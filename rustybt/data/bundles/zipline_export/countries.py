"""Countries of exchanges, which Zipline's pipelines choose assets by."""

from __future__ import annotations

from rustybt.market.venues import calendar_of_exchange

#: What Zipline writes for an exchange whose country nobody named.
UNKNOWN = "??"

_COUNTRIES = {
    "AR": "XBUE",
    "AT": "XWBO",
    "AU": "XASX",
    "BE": "XBRU",
    "BR": "BVMF",
    "CA": "XTSE",
    "CH": "XSWX",
    "CL": "XSGO",
    "CN": "XSHG",
    "CO": "XBOG",
    "CZ": "XPRA",
    "DE": "XFRA XETR XEUR XDUS XHAM XSTU",
    "DK": "XCSE",
    "EE": "XTAL",
    "ES": "XMAD",
    "FI": "XHEL",
    "FR": "XPAR",
    "GB": "XLON",
    "GR": "ASEX",
    "HK": "XHKG",
    "HU": "XBUD",
    "ID": "XIDX",
    "IE": "XDUB",
    "IL": "XTAE",
    "IN": "XBOM",
    "IT": "XMIL",
    "JP": "XTKS",
    "KR": "XKRX",
    "LT": "XLIT",
    "LV": "XRIS",
    "MX": "XMEX",
    "MY": "XKLS",
    "NL": "XAMS",
    "NO": "XOSL",
    "NZ": "XNZE",
    "PE": "XLIM",
    "PH": "XPHS",
    "PK": "XKAR",
    "PL": "XWAR",
    "PT": "XLIS",
    "RO": "XBSE",
    "RU": "XMOS",
    "SA": "XSAU",
    "SE": "XSTO",
    "SG": "XSES",
    "TH": "XBKK",
    "TR": "XIST",
    "TW": "XTAI",
    "US": "XNYS CMES XCBF us_futures",
    "ZA": "XJSE",
}
_BY_CALENDAR = {calendar: country for country, calendars in _COUNTRIES.items() for calendar in calendars.split()}


def country_of(exchange: str, calendar_name: str) -> str:
    """Return the ISO 3166 code of an exchange's country, of its calendar's where the exchange is none that is known."""
    return _BY_CALENDAR.get(calendar_of_exchange(exchange) or calendar_name, UNKNOWN)
