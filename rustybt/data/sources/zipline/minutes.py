"""Minute bars of an ingestion: a bcolz table for each asset, with a row for every minute of every session.

A row's place is its time: each session has `minutes_per_day` rows from its open on, also where it closes early or pauses at
noon. Zipline names a minute by its end; the first row of a session is the minute that opens with the market.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.data.bundles.zipline_layout import HALF_WRITTEN, MINUTE_METADATA_FILE, minute_table
from rustybt.data.sources.zipline.columns import BcolzColumn, read_json
from rustybt.data.sources.zipline.series import ZiplineSeries, is_bar
from rustybt.errors import BadResponseError, RequestError
from rustybt.market.bars import VALUE_COLUMNS
from rustybt.market.calendars import EARLIEST_DATE, LATEST_DATE, get_calendar
from rustybt.market.decimals import MAX_SCALE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rustybt.market.decimals import IntegerArray
    from rustybt.market.trading_calendar import TradingCalendar

_MINUTE = 60_000_000
_TABLE = re.compile(r"(\d{6,})\.bcolz")
_US_MINUTES = 390
_SESSIONS_A_YEAR = 250


class ZiplineMinutes:
    """The tables below ``minute_equities.bcolz``.

    Parameters
    ----------
    folder
        The folder that holds ``metadata.json``.

    Raises
    ------
    BadResponseError
        The metadata are missing, unreadable, or say nothing that makes sense.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        said = read_json(folder / MINUTE_METADATA_FILE)
        # Versions before 1, 2 and 3 of the format lack what came with them.
        self._per_day = self._whole(said.get("minutes_per_day", _US_MINUTES), "minutes_per_day")
        self.calendar_name = str(said.get("calendar_name") or "XNYS")
        self._start = self._day(said.get("start_session", said.get("first_trading_day")))
        self._ratio = self._whole(said.get("ohlc_ratio"), "ohlc_ratio")
        own = said.get("ohlc_ratios_per_sid") or {}
        if not isinstance(own, dict) or not all(str(sid).isdecimal() for sid in own):
            raise self._bad("ohlc_ratios_per_sid is no table by sid")
        self._ratios = {int(sid): ratio for sid, ratio in own.items()}
        self._tables: tuple[int, dict[str, BcolzColumn]] | None = None
        self._opens = self._closes = np.empty(0, dtype=np.int64)

    @cached_property
    def sids(self) -> list[int]:
        """The assets that have a table, rising."""
        found = [_TABLE.fullmatch(path.name) for path in self.folder.glob("*/*/*.bcolz")]
        named = sorted({int(match[1]) for match in found if match})
        return [sid for sid in named if self._table(sid).is_dir()]

    def row_count(self, sid: int) -> int:
        """Return how many rows an asset has, padding included."""
        return len(self._columns(sid)["close"])

    def read(self, sid: int) -> ZiplineSeries:
        """Return the bars of an asset.

        Raises
        ------
        BadResponseError
            Its table is damaged, or longer than its calendar.
        """
        values, divisor = self.raw(sid)
        kept = np.flatnonzero(is_bar(values))
        session, minute = np.divmod(kept, self._per_day)
        opens, closes = self._hours(sid, int(values["close"].size))
        stamps = opens[session] + minute * _MINUTE
        trades = stamps < closes[session]
        kept = kept[trades]
        return ZiplineSeries(
            stamps[trades],
            {name: column[kept] for name, column in values.items()},
            divisor,
            padding=int(values["close"].size - trades.size),
            outside=int(trades.size - trades.sum()),
        )

    def raw(self, sid: int) -> tuple[Mapping[str, IntegerArray], int]:
        """Return the columns of bars as they are stored, padding included, and what prices are divided by."""
        columns = self._columns(sid)
        return {name: column.read(0, len(column)) for name, column in columns.items()}, self._divisor(sid)

    def rows_at(self, sid: int, stamps: IntegerArray) -> IntegerArray:
        """Return the row of each label; -1 where there is none."""
        rows = self.row_count(sid)
        opens, closes = self._hours(sid, rows)
        session = np.searchsorted(opens, stamps, side="right") - 1
        if not opens.size:
            return np.full(stamps.shape, -1, dtype=np.int64)
        safe = np.maximum(session, 0)
        minute, rest = np.divmod(stamps - opens[safe], _MINUTE)
        found = safe * self._per_day + minute
        inside = (session >= 0) & (stamps < closes[safe]) & (rest == 0) & (minute < self._per_day) & (found < rows)
        return np.where(inside, found, -1)

    def _columns(self, sid: int) -> dict[str, BcolzColumn]:
        if self._tables is None or self._tables[0] != sid:
            found = {name: BcolzColumn(self._table(sid), name) for name in VALUE_COLUMNS}
            lengths = {name: len(column) for name, column in found.items()}
            if len(set(lengths.values())) > 1:
                raise BadResponseError(
                    f"{self._table(sid)}: its columns are of different lengths: {lengths}",
                    hint=HALF_WRITTEN,
                    file=str(self._table(sid)),
                )
            self._tables = (sid, found)
        return self._tables[1]

    def _table(self, sid: int) -> Path:
        return self.folder / minute_table(sid)

    def _divisor(self, sid: int) -> int:
        ratio = self._whole(self._ratios.get(sid, self._ratio), f"the ohlc_ratio of sid {sid}")
        if 10**MAX_SCALE % ratio:
            raise self._bad(f"prices of sid {sid} are multiplied by {ratio}, which no decimal undoes exactly")
        return ratio

    def _hours(self, sid: int, rows: int) -> tuple[IntegerArray, IntegerArray]:
        """Return opens and closes of the sessions that so many rows span."""
        needed = -(-rows // self._per_day)
        if self._opens.size < needed:
            calendar = self._calendar(needed)
            at = int(np.searchsorted(calendar.sessions, np.datetime64(self._start)))
            self._opens, self._closes = calendar.opens[at:], calendar.closes[at:]
        if self._opens.size < needed:
            raise BadResponseError(
                f"{self._table(sid)} has minutes of {needed:,} sessions, and {self.calendar_name} has {self._opens.size:,} "
                f"since {self._start}",
                hint=HALF_WRITTEN,
                file=str(self._table(sid)),
            )
        return self._opens[:needed], self._closes[:needed]

    def _calendar(self, sessions: int) -> TradingCalendar:
        """Return the calendar from the first session over so many sessions, or all that is known of it."""
        years = 1 + sessions // _SESSIONS_A_YEAR
        while True:
            end = date(min(self._start.year + years, LATEST_DATE.year - 1), 12, 31)
            try:
                calendar = get_calendar(self.calendar_name, self._start, end)
            except RequestError as error:
                raise self._bad(f"it names the calendar {self.calendar_name}: {error.message}") from error
            known = calendar.sessions_between(self._start, end).size
            if known >= sessions or calendar.covered_end < end or end.year == LATEST_DATE.year - 1:
                return calendar
            years *= 2

    def _whole(self, value: Any, name: str) -> int:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or value % 1
            or not 1 <= value <= 10**MAX_SCALE
        ):
            raise self._bad(f"{name} is {value!r} and no positive whole number")
        return int(value)

    def _day(self, value: Any) -> date:
        try:
            found = date.fromisoformat(str(value)[:10])
        except ValueError as error:
            raise self._bad(f"start_session is {value!r} and no date") from error
        if not EARLIEST_DATE <= found < LATEST_DATE:
            raise self._bad(f"start_session is {value!r}, which is out of range")
        return found

    def _bad(self, what: str) -> BadResponseError:
        path = self.folder / MINUTE_METADATA_FILE
        return BadResponseError(f"{path}: {what}", hint=HALF_WRITTEN, file=str(path))
