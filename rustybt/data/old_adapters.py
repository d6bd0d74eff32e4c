"""The adapters of the first design, deprecated: each is the source of the same vendor under its old name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rustybt.data.sources.registry import get_source
from rustybt.deprecations import ADAPTER_SOURCES, warn_deprecated
from rustybt.errors import RequestError

if TYPE_CHECKING:
    import polars as pl

    from rustybt.data.sources.base import DataSource, Symbols
    from rustybt.market.frequency import Frequency


class OldAdapter:
    """A source as an adapter.

    Parameters
    ----------
    *positional
        The one option that may stand without its name, for the adapters that have one.
    **options
        Those of the source, see ``rustybt sources info NAME``.

    Raises
    ------
    RequestError
        The source has no such option.
    MissingDependencyError
        The vendor's package is not installed; the hint is the pip command.
    """

    #: Options by their old names; the first one may be given without a name.
    _renamed: ClassVar[dict[str, str]] = {}
    _first: ClassVar[str] = ""

    def __init__(self, *positional: Any, **options: Any) -> None:
        warn_deprecated(_name_of(type(self)))
        if len(positional) > bool(self._first):
            raise RequestError(
                f"{type(self).__name__} takes its options by name", hint="rustybt sources list shows the sources"
            )
        options.update(zip((self._first,), positional, strict=False))
        source = ADAPTER_SOURCES[_kind(type(self))]
        renamed = {self._renamed.get(name, name): value for name, value in options.items()}
        self._source: DataSource = get_source(source, **renamed)

    def fetch_ohlcv(
        self,
        symbols: Symbols,
        start: Any = None,
        end: Any = None,
        resolution: str | Frequency | None = None,
        *,
        start_date: Any = None,
        end_date: Any = None,
        frequency: str | Frequency | None = None,
    ) -> pl.DataFrame:
        """Fetch bars of `symbols`, see `DataSource.fetch`; works with and without a running event loop.

        Parameters
        ----------
        start, end
            Both included; also spelled `start_date` and `end_date`.
        resolution
            Daily bars by default; also spelled `frequency`.

        Raises
        ------
        RequestError
            One of them is given under both names.
        """
        warn_deprecated(f"{_name_of(type(self))}.fetch_ohlcv")
        return self._source.fetch_sync(
            symbols,
            _either("start", start, "start_date", start_date),
            _either("end", end, "end_date", end_date),
            _either("resolution", resolution, "frequency", frequency) or "1d",
        )

    def close(self) -> None:
        """Close connections; an adapter can be used again after it."""
        self._source.close()


class YFinanceAdapter(OldAdapter):
    """Yahoo Finance; see `rustybt.data.sources.yfinance.YFinanceDataSource`."""


class CCXTAdapter(OldAdapter):
    """Crypto exchanges, the exchange first; see `rustybt.data.sources.ccxt.CCXTDataSource`."""

    _first = "exchange"
    _renamed: ClassVar[dict[str, str]] = {"exchange_id": "exchange"}


class PolygonAdapter(OldAdapter):
    """Polygon.io; see `rustybt.data.sources.polygon.PolygonDataSource`."""


class AlpacaAdapter(OldAdapter):
    """Alpaca Markets; see `rustybt.data.sources.alpaca.AlpacaDataSource`."""


class AlphaVantageAdapter(OldAdapter):
    """Alpha Vantage; see `rustybt.data.sources.alphavantage.AlphaVantageDataSource`."""


class CSVAdapter(OldAdapter):
    """CSV files, the path first; see `rustybt.data.sources.csv.source.CSVDataSource`."""

    _first = "path"
    _renamed: ClassVar[dict[str, str]] = {"file_path": "path"}


__all__ = [
    "AlpacaAdapter",
    "AlphaVantageAdapter",
    "CCXTAdapter",
    "CSVAdapter",
    "PolygonAdapter",
    "YFinanceAdapter",
]


def _kind(adapter: type[OldAdapter]) -> str:
    """Return the deprecated name that a class, or one that a user derived from it, stands for."""
    return next(base.__name__ for base in adapter.__mro__ if base.__module__ == __name__)


def _name_of(adapter: type[OldAdapter]) -> str:
    return f"rustybt.data.adapters.{_kind(adapter)}"


def _either(name: str, value: Any, other_name: str, other: Any) -> Any:
    if value is not None and other is not None:
        raise RequestError(
            f"{name} and {other_name} mean the same: {value!r}, {other!r}", hint=f"leave {other_name} out"
        )
    return other if value is None else value
