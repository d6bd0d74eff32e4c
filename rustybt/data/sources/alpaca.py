"""Alpaca Markets as a source: US equities, exact and raw, from one exchange or from all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rustybt.data.adapters.alpaca.adapter import ADJUSTMENTS, FEEDS, AlpacaAdapter
from rustybt.data.sources.vendor.source import VendorDataSource
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.data.adapters.base import BaseDataAdapter
    from rustybt.data.adapters.connection import Connection


class AlpacaDataSource(VendorDataSource):
    """US stocks and funds from Alpaca since 2016, as traded; of one exchange (iex) or of all (sip).

    Keys come from ``APCA_API_KEY_ID`` and ``APCA_API_SECRET_KEY``, the keyring, or the credentials file.

    Parameters
    ----------
    feed
        ``iex``, one exchange, in every plan: prices and volumes are those of about 2 % of all trading. ``sip``, all US
        exchanges; the basic plan has it 15 minutes late. Part of what a bundle records: bars of the two are not the same.
    adjustment
        ``raw`` (as traded, the default), ``split``, ``dividend`` or ``all``. Splits and dividends are stored as events in any
        case; raw bars are adjusted with them when they are read.
    extended_hours
        Keep intraday bars before the open and after the close. Without them, hours are made of half hours, for Alpaca's own
        hours begin on the clock and mix both.
    **connection
        See `VendorDataSource`.

    Examples
    --------
    >>> from rustybt.data.sources.alpaca import AlpacaDataSource
    >>> AlpacaDataSource(feed="sip").options()
    {'feed': 'sip'}
    """

    name: ClassVar[str] = "alpaca"
    streams: ClassVar[bool] = True

    def __init__(
        self, *, feed: str = "iex", adjustment: str = "raw", extended_hours: bool | str = False, **connection: Any
    ) -> None:
        super().__init__(**connection)
        self._options = {
            "feed": _one_of("feed", feed, FEEDS),
            "adjustment": _one_of("adjustment", adjustment, tuple(ADJUSTMENTS)),
            "extended_hours": _truth("extended_hours", extended_hours),
        }

    def make_adapter(self, connection: Connection) -> BaseDataAdapter:
        """Return the adapter."""
        return AlpacaAdapter(connection, **self._options)  # type: ignore[arg-type]

    def vendor_options(self) -> dict[str, Any]:
        """Return the options that are not the usual ones."""
        usual = {"feed": "iex", "adjustment": "raw", "extended_hours": False}
        return {name: value for name, value in self._options.items() if value != usual[name]}


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    text = str(value).strip().lower()
    if text not in allowed:
        raise RequestError(f"alpaca has no {name} {value!r}", hint=f"use one of {', '.join(allowed)}")
    return text


def _truth(name: str, value: Any) -> bool:
    """Return a truth value; the command line hands over text."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    found = value if isinstance(value, bool) else words.get(str(value).strip().lower())
    if found is None:
        raise RequestError(f"{name} must be true or false, not {value!r}")
    return found
