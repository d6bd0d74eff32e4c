"""Crypto exchanges, through ccxt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from rustybt.data.sources.vendor.source import VendorDataSource

if TYPE_CHECKING:
    from rustybt.data.adapters.base import BaseDataAdapter
    from rustybt.data.adapters.ccxt.adapter import CCXTAdapter
    from rustybt.data.adapters.connection import Connection

DEFAULT_EXCHANGE = "binance"


class CCXTDataSource(VendorDataSource):
    """Spot bars of about 90 crypto exchanges, through ccxt; no key needed.

    Days, weeks and months are those of UTC. Prices and volumes carry every digit that the exchange sends. An exchange
    that keeps only its newest bars, as Kraken does, says from when it has them instead of giving less.

    Parameters
    ----------
    exchange
        ccxt's id of the exchange: binance, coinbase, kraken, okx, bybit, ...; it is part of what the bars are.
    """

    name: ClassVar[str] = "ccxt"
    #: The class has streams; whether the exchange has is known when it is made.
    streams: ClassVar[bool] = True

    def __init__(self, *, exchange: str = DEFAULT_EXCHANGE, **connection: Any) -> None:
        super().__init__(**connection)
        self._exchange = str(exchange).strip().lower()

    def make_adapter(self, connection: Connection) -> BaseDataAdapter:
        """Return the adapter of the exchange.

        Raises
        ------
        RequestError
            ccxt knows no such exchange, or gets no bars from it.
        MissingDependencyError
            ccxt is not installed.
        """
        from rustybt.data.adapters.ccxt.adapter import CCXTAdapter

        return CCXTAdapter(connection, exchange=self._exchange)

    def vendor_options(self) -> dict[str, Any]:
        """Return the exchange; also the default one, for another default must not change what a bundle is made of."""
        return {"exchange": self._exchange}

    def supports_live(self) -> bool:
        """Return whether ccxt streams bars of this exchange."""
        return cast("CCXTAdapter", self.adapter).can_stream
