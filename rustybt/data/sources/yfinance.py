"""Yahoo Finance as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustybt.data.adapters.yahoo.adapter import YahooAdapter
from rustybt.data.sources.vendor.source import VendorDataSource

if TYPE_CHECKING:
    from rustybt.data.adapters.base import BaseDataAdapter
    from rustybt.data.adapters.connection import Connection


class YFinanceDataSource(VendorDataSource):
    """Bars of Yahoo Finance: stocks, funds, indices, currencies, futures and coins of the world, without a key.

    It takes the options of `VendorDataSource` and none of its own. `client` is a session of curl_cffi or requests; where it
    goes is then its own business, so `base_url`, `proxy` and `ca_bundle` do not apply.

    Yahoo's prices, volumes and dividends are adjusted for splits, and stored so (``price_basis`` is ``split_adjusted``);
    the portal brings them back to what was traded. Dividends are not taken out of the prices. Daily bars reach back to the
    listing, 1h bars 730 days, 5m and 15m bars 60 days, 1m bars 30 days; 30m bars are made of 15m bars. Symbols are Yahoo's,
    but for classes of shares, which have a dot as everywhere else: ``AAPL``, ``BRK.B``, ``VOD.L``, ``^GSPC``, ``BTC-USD``,
    ``EURUSD=X``, ``ES=F``. Yahoo's terms allow personal use; its limits are nowhere stated.

    Examples
    --------
    ::

        from rustybt.data.sources import get_source

        bars = get_source("yfinance").fetch_sync(["AAPL", "BRK.B"], "2020-01-01", "2023-12-31")
    """

    name = "yfinance"

    def make_adapter(self, connection: Connection) -> BaseDataAdapter:
        """Return the adapter; yfinance itself is imported with the first request."""
        return YahooAdapter(connection)
