"""Bars in Zipline's csvdir layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rustybt.data.sources.csv.files import FoundFiles, find_files
from rustybt.data.sources.csv.source import CSVDataSource
from rustybt.errors import RequestError

if TYPE_CHECKING:
    import os

    from rustybt.data.sources.reading.stamps import BarLabel
    from rustybt.market.frequency import Frequency

_FOLDERS = {"1d": "daily", "1m": "minute"}


class CSVDirDataSource(CSVDataSource):
    """Bars from ``DIR/daily/SYMBOL.csv`` and ``DIR/minute/SYMBOL.csv``, as Zipline's csvdir bundle reads them.

    The columns are date,open,high,low,close,volume,dividend,split; the first one is the date, whatever it is called, and the
    last two may be absent. Dividends other than 0 and splits other than 1 become corporate actions; a split of 2 is two new
    shares for one. Zipline labels a minute by its end: minutes move back by one, unless `bar_label` is ``open``.

    Notes
    -----
    What differs from Zipline on purpose: a symbol is its file's name as it is written (Zipline turns it into capitals), with
    all its dots (BRK.B). Names of columns are known in any case. The date of a daily bar, and of an event, is the one
    printed, also behind an offset such as +09:00, where Zipline takes the day in UTC. An event that daily and minute files
    both tell, or every row of a day, is one event; Zipline applies each row. Prices keep all their digits, where Zipline
    rounds to a thousandth. Files may lack sessions, which Zipline refuses; they are counted as missing. A split of 0 is none.

    Parameters
    ----------
    path
        The directory that holds ``daily`` or ``minute``.
    **options
        As of `CSVDataSource`.
    """

    name: ClassVar[str] = "csvdir"
    _event_columns: ClassVar[bool] = True
    _named_by_file: ClassVar[bool] = True
    _default_label: ClassVar[BarLabel] = "close"

    def __init__(self, path: str | os.PathLike[str], *, bar_label: BarLabel = "close", **options: Any) -> None:
        super().__init__(path, bar_label=bar_label, **options)

    def _files(self, frequency: Frequency) -> FoundFiles:
        folder = _FOLDERS.get(frequency.name)
        if folder is None:
            raise RequestError(
                f"csvdir has daily and minute bars, none of {frequency}",
                hint="use --frequency 1d or 1m",
                frequency=frequency.name,
            )
        directory = Path(self._path) / folder
        if not directory.is_dir():
            others = [name for name in _FOLDERS.values() if (Path(self._path) / name).is_dir()]
            raise RequestError(
                f"csvdir needs the directory {directory}",
                hint="it has only minute bars: --frequency 1m"
                if others == ["minute"]
                else "lay files out as DIR/daily/SYMBOL.csv",
                path=str(directory),
            )
        return find_files(directory)
