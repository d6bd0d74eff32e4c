"""Daily bars of an ingestion: one bcolz table, the rows of each asset one behind the other."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.data.bundles.zipline_layout import HALF_WRITTEN
from rustybt.data.sources.zipline.columns import BcolzColumn, read_json
from rustybt.data.sources.zipline.series import ZiplineSeries, is_bar
from rustybt.errors import BadResponseError
from rustybt.market.bars import VALUE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rustybt.market.decimals import IntegerArray

_SECOND = 1_000_000
#: Daily prices are stored in thousandths, always.
DIVISOR = 1_000


class ZiplineDays:
    """The table ``daily_equities.bcolz``.

    The session of a row is read from its own column `day`, not counted from a calendar: holidays are corrected between
    versions of calendars.

    Parameters
    ----------
    folder
        The table's folder.

    Raises
    ------
    BadResponseError
        A column or the attributes are missing or unreadable.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        attributes = read_json(folder / "__attrs__")
        #: Zipline's name of the calendar; those that wrote none knew one market.
        self.calendar_name = str(attributes.get("calendar_name") or "XNYS")
        self._first = self._rows_of(attributes, "first_row")
        self._last = self._rows_of(attributes, "last_row")
        if self._first.keys() != self._last.keys():
            raise self._bad("first_row and last_row name different assets")

    @property
    def sids(self) -> list[int]:
        """The assets that have rows, rising."""
        return sorted(self._first)

    def row_count(self, sid: int) -> int:
        """Return how many rows an asset has, padding included."""
        return self._last[sid] - self._first[sid] + 1

    def read(self, sid: int) -> ZiplineSeries:
        """Return the bars of an asset.

        Raises
        ------
        BadResponseError
            Its rows are damaged, or not its own.
        """
        start, stop = self._span(sid)
        if (self._columns["id"].read(start, stop) != sid).any():
            raise self._bad(f"the rows {start:,} to {stop - 1:,} belong to others than sid {sid}")
        values, _ = self.raw(sid)
        kept = is_bar(values)
        stamps = self._columns["day"].read(start, stop) * _SECOND
        return ZiplineSeries(
            stamps[kept],
            {name: column[kept] for name, column in values.items()},
            DIVISOR,
            padding=int(kept.size - kept.sum()),
        )

    def raw(self, sid: int) -> tuple[Mapping[str, IntegerArray], int]:
        """Return the columns of bars as they are stored, padding included, and what prices are divided by."""
        start, stop = self._span(sid)
        return {name: self._columns[name].read(start, stop) for name in VALUE_COLUMNS}, DIVISOR

    def rows_at(self, sid: int, stamps: IntegerArray) -> IntegerArray:
        """Return the row of each label, counted from the asset's first; -1 where there is none."""
        days = self._columns["day"].read(*self._span(sid)) * _SECOND
        order = np.argsort(days, kind="stable")
        at = np.minimum(np.searchsorted(days[order], stamps), max(days.size - 1, 0))
        found = order[at]
        return np.where(days[found] == stamps, found, -1)

    @cached_property
    def _columns(self) -> dict[str, BcolzColumn]:
        found = {name: BcolzColumn(self.folder, name) for name in (*VALUE_COLUMNS, "day", "id")}
        lengths = {name: len(column) for name, column in found.items()}
        if len(set(lengths.values())) > 1:
            raise self._bad(f"its columns are of different lengths: {lengths}", "")
        return found

    def _span(self, sid: int) -> tuple[int, int]:
        start, stop = self._first[sid], self._last[sid] + 1
        length = len(self._columns["day"])
        if not 0 <= start < stop <= length:
            raise self._bad(f"the rows {start:,} to {stop - 1:,} of sid {sid} are not among its {length:,}")
        return start, stop

    def _rows_of(self, attributes: Mapping[str, Any], name: str) -> dict[int, int]:
        given = attributes.get(name)
        if not isinstance(given, dict):
            raise self._bad(f"there is no {name}")
        try:
            found = {int(sid): row for sid, row in given.items()}
        except ValueError as error:
            raise self._bad(f"{name} names something that is no sid") from error
        if not all(isinstance(row, int) and not isinstance(row, bool) for row in found.values()):
            raise self._bad(f"{name} names rows that are no numbers")
        return found

    def _bad(self, what: str, file: str = "__attrs__") -> BadResponseError:
        path = self.folder / file
        return BadResponseError(f"{path}: {what}", hint=HALF_WRITTEN, file=str(path))
