"""Bars of Polygon.io, which is called Massive since October 2025."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rustybt.data.adapters.massive.adapter import MassiveAdapter
from rustybt.data.sources.vendor.source import VendorDataSource
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.data.adapters.base import BaseDataAdapter
    from rustybt.data.adapters.connection import Connection


class PolygonDataSource(VendorDataSource):
    """US stocks and funds from Massive (formerly Polygon.io), listed and delisted, since September 2003.

    The key is the environment variable ``MASSIVE_API_KEY`` or ``POLYGON_API_KEY``, or stored in the keyring or in
    ``credentials.toml``. Needs ``pip install 'rustybt[polygon]'``.

    Prices are raw; splits and dividends come along as events, which takes two requests a symbol, and one more its listing.
    A day's bar is of its session, with the volume of the whole day. Intraday bars are those of New York's session; hours,
    which the vendor cuts on the clock (09:00), are made of half hours instead, from the open on (09:30).

    Parameters
    ----------
    adjusted
        True asks for prices in today's shares (splits, never dividends). The vendor then rewrites history with each split.
    extended_hours
        True keeps trading before and after the session (04:00 to 20:00), and takes hours from the vendor.
    details
        False leaves out the listing: no venue, and an unknown ticker cannot be told from one without bars.
    history_years
        How far back your plan reaches: 2 on the free one. An older start is then an error before anything is asked.
    live
        True for a plan in real time: streams are not late, and bars are final a minute after their close. Otherwise both come
        15 minutes later, as cheaper plans have it.
    **connection
        As every vendor's, see `VendorDataSource`. The free plan has 5 requests a minute; for others give
        ``requests_per_minute``, 0 for no limit.
    """

    name: ClassVar[str] = "polygon"
    streams: ClassVar[bool] = True

    def __init__(
        self,
        *,
        adjusted: bool | str = False,
        extended_hours: bool | str = False,
        details: bool | str = True,
        history_years: int | str | None = None,
        live: bool | str = False,
        **connection: Any,
    ) -> None:
        super().__init__(**connection)
        self._vendor_options: dict[str, Any] = {
            "adjusted": _flag("adjusted", adjusted),
            "extended_hours": _flag("extended_hours", extended_hours),
            "details": _flag("details", details),
            "history_years": _years(history_years),
            "live": _flag("live", live),
        }

    def make_adapter(self, connection: Connection) -> BaseDataAdapter:
        """Return the adapter; see `VendorDataSource.make_adapter`."""
        return MassiveAdapter(connection, **self._vendor_options)

    def vendor_options(self) -> dict[str, Any]:
        """Return the options that differ from the defaults."""
        usual = {"adjusted": False, "extended_hours": False, "details": True, "history_years": None, "live": False}
        return {name: value for name, value in self._vendor_options.items() if value != usual[name]}


def _flag(name: str, value: bool | str) -> bool:  # noqa: FBT001  an option as it was given
    """Return a yes or no; the command line hands over text."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    found = value if isinstance(value, bool) else words.get(str(value).strip().casefold())
    if found is None:
        raise RequestError(f"{name} must be true or false, not {value!r}")
    return found


def _years(value: int | str | None) -> int | None:
    if value is None:
        return None
    try:
        years = int(value)
    except (TypeError, ValueError):
        years = 0
    if not 1 <= years <= 100:
        raise RequestError(f"history_years must be a whole number above 0, not {value!r}", hint="2 for the free plan")
    return years
