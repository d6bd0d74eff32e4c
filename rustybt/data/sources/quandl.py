"""Bars in the layout of Quandl's WIKI prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rustybt.data.sources.csv.source import CSVDataSource
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.data.sources.csv.files import FoundFiles
    from rustybt.market.frequency import Frequency


class QuandlDataSource(CSVDataSource):
    """Daily bars of a WIKI-prices table as Quandl delivered it, ``WIKI_PRICES.csv`` or its zip.

    The columns are ticker,date,open,high,low,close,volume,ex-dividend,split_ratio in any case and order; the adj_ columns are
    not used, because prices are stored as they were traded. An ex-dividend other than 0 becomes a cash dividend of that
    date, a split_ratio other than 1 a split: 2.0 is two new shares for one. (Zipline stores the reciprocal, which is the
    factor of earlier prices.) Numbers are kept digit for digit, and rows without a price are set aside with a reason where
    Zipline fills in zeros.

    Parameters
    ----------
    path
        The table, packed or not; a directory or a glob for a table in parts.
    **options
        As of `CSVDataSource`.
    """

    name: ClassVar[str] = "quandl"
    _event_columns: ClassVar[bool] = True
    _required: ClassVar[tuple[str, ...]] = ("symbol", "volume", "dividend", "split")

    def _files(self, frequency: Frequency) -> FoundFiles:
        if frequency.name != "1d":
            raise RequestError(
                f"WIKI prices are daily bars, none of {frequency}", hint="use --frequency 1d", frequency=frequency.name
            )
        return super()._files(frequency)
