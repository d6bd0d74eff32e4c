"""Alpha Vantage as a source: equities of many countries, and a small number of requests a day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rustybt.data.adapters.alphavantage.adapter import AlphaVantageAdapter
from rustybt.data.sources.vendor.source import VendorDataSource
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.data.adapters.base import BaseDataAdapter
    from rustybt.data.adapters.connection import Connection


class AlphaVantageDataSource(VendorDataSource):
    """Stocks of the US and other countries from Alpha Vantage, as traded; few requests a day.

    The key comes from ``ALPHAVANTAGE_API_KEY``, the keyring, or the credentials file. A free key has 25 requests a day, of
    daily bars the last 100 sessions, and weeks and months; give ``requests_per_minute=75`` (or what your plan has) with a
    premium key.

    Parameters
    ----------
    adjusted
        Fetch splits and dividends as well, as events beside raw bars; for premium keys. Without it the bars are raw too, and
        no event is known.
    extended_hours
        Keep intraday bars before the open and after the close.
    **connection
        See `VendorDataSource`.

    Examples
    --------
    >>> from rustybt.data.sources.alphavantage import AlphaVantageDataSource
    >>> AlphaVantageDataSource(adjusted=True).options()
    {'adjusted': True}
    """

    name: ClassVar[str] = "alphavantage"

    def __init__(self, *, adjusted: bool | str = False, extended_hours: bool | str = False, **connection: Any) -> None:
        super().__init__(**connection)
        self._options = {
            "adjusted": _truth("adjusted", adjusted),
            "extended_hours": _truth("extended_hours", extended_hours),
        }

    def make_adapter(self, connection: Connection) -> BaseDataAdapter:
        """Return the adapter."""
        return AlphaVantageAdapter(connection, **self._options)

    def vendor_options(self) -> dict[str, Any]:
        """Return the options that are not the usual ones."""
        return {name: True for name, value in self._options.items() if value}


def _truth(name: str, value: Any) -> bool:
    """Return a truth value; the command line hands over text."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    found = value if isinstance(value, bool) else words.get(str(value).strip().lower())
    if found is None:
        raise RequestError(f"{name} must be true or false, not {value!r}")
    return found
