"""Bars that an ingest function wrote, by sid, until all of them are there and every sid has its name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from rustybt.data.sources.csv.source import CSVDataSource
from rustybt.data.sources.csv.spool import Spool
from rustybt.data.sources.delivery import empty_quarantine
from rustybt.data.sources.frame import FrameDataSource
from rustybt.errors import BadResponseError, RequestError
from rustybt.market.bars import PRICE_COLUMNS, VALUE_COLUMNS, join_frames
from rustybt.market.request import BarRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from rustybt.data.sources.base import DataSource
    from rustybt.data.sources.delivery import Delivery
    from rustybt.data.sources.reading.bar_rows import BuiltBars
    from rustybt.data.sources.reading.stamps import BarLabel
    from rustybt.errors import SourceError
    from rustybt.market.frequency import Frequency

#: Rows that wait before they go to the spool together: a file for each sid would be many.
_WAITING_ROWS = 200_000
_DIGITS = 20


@dataclass(slots=True)
class _Found:
    """What was learned beside the bars, keyed as the spool is."""

    quarantined: list[pl.DataFrame] = field(default_factory=list)
    failures: dict[int, SourceError] = field(default_factory=dict)
    rules: dict[str, set[str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    fillers: int = 0


class WrittenBars:
    """Bars of one frequency, on disk where they are many; `drain` hands them out once.

    Parameters
    ----------
    frequency
        ``1d`` or ``1m``.
    bar_label
        Which end of a minute its time names.
    """

    def __init__(self, frequency: Frequency, bar_label: BarLabel) -> None:
        self.frequency = frequency
        self._bar_label = bar_label
        self._request = BarRequest((), None, None, frequency)
        self._sources: list[DataSource] = []
        self._reset()

    def _reset(self) -> None:
        self._spool = Spool()
        self._waiting: list[pl.DataFrame] = []
        self._waiting_rows = 0
        self._found = _Found()

    # -- taking ------------------------------------------------------------------------------------------------------

    def add(self, sid: Any, frame: Any) -> None:
        """Take the bars of a sid; a frame that holds none as it should is a failure of this sid alone.

        Parameters
        ----------
        frame
            Pandas, open, high, low, close and volume by time. Rows whose prices are all 0 or missing are Zipline's filler for
            "no trade", and are counted instead of stored.
        """
        number = check_sid(sid)
        missing = [name for name in VALUE_COLUMNS if name not in getattr(frame, "columns", ())]
        if missing:
            self._found.failures[number] = BadResponseError(
                f"the frame of sid {number} has no column {', '.join(missing)}",
                hint=f"the columns are {', '.join(VALUE_COLUMNS)}, the index is the time",
            )
            return
        bars = self._without_fillers(frame[list(VALUE_COLUMNS)])
        if not len(bars):
            return
        try:
            source = FrameDataSource(bars.rename_axis("timestamp"), symbol=key_of(number), bar_label=self._bar_label)
            built = source.build(self._request, self._found.rules)
        except (BadResponseError, RequestError) as error:
            self._found.failures[number] = BadResponseError(f"sid {number}: {error.message}", hint=error.hint)
            return
        for item in built:
            self._add_built(item)

    def add_csv(self, sid: Any, path: Any) -> None:
        """Take the bars of a sid from a CSV file, digit for digit; a column ``day`` is its date."""
        number = check_sid(sid)
        source = CSVDataSource(path, symbol=key_of(number), column_map={"timestamp": "day"})
        for delivery in source.deliver(self._request):
            self._add_delivery(number, delivery)

    def take_source(self, source: DataSource) -> None:
        """Let `source` deliver the bars of this frequency itself, with their events, instead of what is written.

        Raises
        ------
        RequestError
            Another one does already.
        """
        if self._sources:
            raise RequestError("csvdir_bundle or quandl_bundle is called twice for one frequency", hint="call it once")
        self._sources.append(source)

    def clear(self) -> int:
        """Forget what was written; return how many rows that were."""
        rows = self.rows
        self.close()
        self._reset()
        return rows

    # -- handing out -------------------------------------------------------------------------------------------------

    @property
    def source(self) -> DataSource | None:
        """What delivers the bars itself, see `take_source`."""
        return self._sources[0] if self._sources else None

    @property
    def rows(self) -> int:
        """Bars taken so far."""
        return sum(self._spool.counts.values()) + self._waiting_rows

    @property
    def sids(self) -> set[int]:
        """Every sid with a bar, a row set aside, or a failure."""
        self._flush()
        set_aside = {key for part in self._found.quarantined for key in part["symbol"].unique().to_list()}
        return {int(key) for key in {*self._spool.counts, *set_aside}} | set(self._found.failures)

    @property
    def failures(self) -> dict[int, SourceError]:
        """Sids whose frame could not be read."""
        return self._found.failures

    @property
    def fillers(self) -> int:
        """Rows that only said that there was no trade."""
        return self._found.fillers

    @property
    def rules(self) -> dict[str, set[str]]:
        """How the numbers of each column became decimals."""
        return self._found.rules

    @property
    def files(self) -> dict[str, str]:
        """Base name and SHA-256 of each CSV read."""
        return self._found.files

    @property
    def is_empty(self) -> bool:
        """True if nothing was written, and nothing delivers by itself."""
        return not (self._sources or self.rows or self._found.failures or self._found.quarantined)

    def drain(self) -> Iterator[pl.DataFrame]:
        """Yield the bars, sids as `key_of` spells them in the column `symbol`, and a column `missing`, in no promised order."""
        self._flush()
        for _, rows in self._spool.drain():
            yield rows

    def quarantined(self) -> pl.DataFrame:
        """Return the rows set aside, their sid in the column `symbol`."""
        return join_frames([empty_quarantine(), *self._found.quarantined])

    def close(self) -> None:
        """Remove the files."""
        self._waiting.clear()
        self._spool.__exit__(None, None, None)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _without_fillers(self, frame: pd.DataFrame) -> pd.DataFrame:
        prices = frame[list(PRICE_COLUMNS)]
        filler = (prices.isna() | (prices == 0)).all(axis=1)
        if not filler.any():
            return frame
        self._found.fillers += int(filler.sum())
        return frame[~filler]

    def _add_built(self, item: BuiltBars) -> None:
        if item.quarantined.height:
            self._found.quarantined.append(item.quarantined)
        flag = item.missing_volume
        self._wait(item.bars.with_columns(missing=pl.lit(value=False) if flag is None else flag))

    def _add_delivery(self, sid: int, delivery: Delivery) -> None:
        for error in delivery.failures.values():
            self._found.failures[sid] = error
        self._found.files.update(delivery.files)
        if delivery.quarantined.height:
            self._found.quarantined.append(delivery.quarantined)
        for column in VALUE_COLUMNS:
            self._found.rules.setdefault(column, set()).add(delivery.number_rule)
        flag = delivery.missing_volume
        self._wait(delivery.bars.with_columns(missing=pl.lit(value=False) if flag is None else flag))

    def _wait(self, rows: pl.DataFrame) -> None:
        self._waiting.append(rows)
        self._waiting_rows += rows.height
        if self._waiting_rows > _WAITING_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        whole = join_frames(self._waiting)
        self._waiting, self._waiting_rows = [], 0
        self._spool.add(whole.rechunk())


def check_sid(sid: Any) -> int:
    """Return a sid as a plain number.

    Raises
    ------
    RequestError
        It is none, or negative.
    """
    try:
        number = int(sid)
    except (TypeError, ValueError):
        number = -1
    if number < 0 or number != sid:
        raise RequestError(f"{sid!r} is no sid", hint="a sid is a whole number from 0 on")
    return number


def key_of(sid: int) -> str:
    """Return the text that stands for a sid until its symbol is known."""
    return f"{sid:0{_DIGITS}d}"
