"""Bars of one ccxt market, page by page, without a duplicate or a hole; ccxt's own paging starts at the wrong end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rustybt.data.adapters.ccxt.client import check_bar
from rustybt.data.adapters.ccxt.facts import other_exchange
from rustybt.data.adapters.ccxt.labels import DAY, is_label, label_at_or_after, labels_between, next_label, show
from rustybt.data.adapters.printed_bars import printed_bars
from rustybt.errors import BadResponseError, NotCoveredError
from rustybt.market.bars import VALUE_COLUMNS
from rustybt.market.frequency import DAILY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rustybt.data.adapters.ccxt.facts import ExchangeFacts
    from rustybt.market.frequency import Frequency

    #: Answers (frequency, since in ms, limit) with checked rows.
    Ask = Callable[[Frequency, int, int], Awaitable["list[Row]"]]

Row = list[Any]

#: 2009-01-01, ms: two days before the first block of Bitcoin. Nobody has older bars, and some refuse a negative time.
BEFORE_ALL = 1_230_768_000_000


def check_page(rows: Any, exchange: str, symbol: str, frequency: Frequency) -> list[Row]:
    """Return the rows of one answer in order of time, each time once.

    Raises
    ------
    BadResponseError
        A row is no bar, begins where none can begin, or comes twice with different numbers.
    """
    if not isinstance(rows, list):
        raise BadResponseError(f"{exchange} answered no list of bars of {symbol}", symbol=symbol)
    found: dict[int, Row] = {}
    for row in rows:
        check_bar(row, exchange)
        stamp = row[0]
        if not is_label(stamp, frequency):
            raise BadResponseError(
                f"{exchange} answered a {frequency} bar of {symbol} that begins at {show(stamp)}, off its grid",
                hint="a shorter frequency has bars that can be put together: --frequency 1h",
                symbol=symbol,
            )
        if found.setdefault(stamp, row)[:6] != row[:6]:
            raise BadResponseError(f"{exchange} answered {symbol} at {show(stamp)} twice, differently", symbol=symbol)
    return [found[stamp] for stamp in sorted(found)]


@dataclass(slots=True)
class BarWalk:
    """One walk through the bars of a market.

    Parameters
    ----------
    ask
        Makes one request.
    page_size
        The exchange's cap; asking for more is answered with as much, without a word.
    daily_probe
        Whether daily bars may show where bars begin again behind an empty answer.
    now
        The exchange's clock, ms.
    """

    ask: Ask
    exchange: str
    symbol: str
    frequency: Frequency
    facts: ExchangeFacts
    page_size: int
    daily_probe: bool
    now: int
    first_bar: int | None = None
    _busy_day: int | None = None

    async def rows(self, start: int, end: int) -> list[Row]:
        """Return every row whose label lies from `start` to `end` (ms), both included, the forming one too.

        Raises
        ------
        NotCoveredError
            The exchange keeps the newest bars only, and `start` lies before them.
        BadResponseError
            A page goes back in time.
        """
        since, last = label_at_or_after(max(start, BEFORE_ALL), self.frequency), min(end, self.now)
        found: list[Row] = []
        while since <= last:
            page = await self.ask(self.frequency, since, self._limit(since, last))
            fresh = [row for row in page if row[0] >= since]
            if page and not fresh:
                raise BadResponseError(
                    f"{self.exchange} was asked for {self.symbol} from {show(since)} and answered bars before that only",
                    symbol=self.symbol,
                )
            if not fresh:
                since = await self._behind_empty(since, last)
                continue
            if not found and fresh[0][0] > since:
                self._check_depth(since, fresh)
            found += [row for row in fresh if row[0] <= last]
            # At least one step: no answer can make this loop stand still.
            since = next_label(fresh[-1][0], self.frequency)
        return found

    def _limit(self, since: int, last: int) -> int:
        """Return how many rows to ask for; exactly what is missing where the exchange is known to keep to `since`."""
        if not self.facts.skips_ahead:
            return self.page_size
        return min(self.page_size, labels_between(since, last, self.frequency))

    async def _behind_empty(self, since: int, last: int) -> int:
        """Return where to go on after an empty answer; beyond `last` where nothing can follow."""
        if self.facts.skips_ahead:
            return last + 1
        window = since
        for _ in range(self.page_size):
            window = next_label(window, self.frequency)
            if window > last:
                return window
        day = window - window % DAY
        if not (self.daily_probe and self.frequency.is_intraday) or day == self._busy_day:
            return window
        # Daily bars cross years in a few requests, where windows of minutes would take thousands.
        while day <= last:
            page = [row for row in await self.ask(DAILY, day, self.page_size) if row[0] >= day]
            if page:
                self._busy_day = int(page[0][0])
                return max(window, self._busy_day)
            day += self.page_size * DAY
        return last + 1

    def _check_depth(self, since: int, page: Sequence[Row]) -> None:
        """Raise if the first page begins late because older bars are not to be had; else remember the first bar."""
        kept = self.facts.newest_only or self.page_size
        step = self.frequency.seconds * 1_000
        reaches_now = page[-1][0] + 2 * step > self.now
        if not self.facts.skips_ahead and reaches_now and len(page) >= kept - 1:
            first = show(page[0][0])
            raise NotCoveredError(
                f"{self.exchange} gives the newest {len(page)} bars of {self.frequency} only: those of {self.symbol} "
                f"begin at {first}; asked from {show(since)}",
                hint=f"--start {show(page[1][0])}, a longer frequency, or another exchange: "
                f"{other_exchange(self.exchange)}",
                missing=[self.symbol],
                first_available=first,
            )
        self.first_bar = page[0][0]


def to_bars(rows: Sequence[Row], symbol: str) -> tuple[pl.DataFrame, pl.Series | None, str]:
    """Return contract bars, where the exchange gave no volume, and how numbers became decimals.

    Raises
    ------
    BadResponseError
        A number is none, or has more digits than can be stored.
    """
    stamps = np.array([row[0] for row in rows], dtype=np.int64) * 1_000
    missing = pl.Series([row[5] is None for row in rows], dtype=pl.Boolean)
    columns = {
        name: ["0" if row[at] is None else str(row[at]) for row in rows]
        for at, name in enumerate(VALUE_COLUMNS, start=1)
    }
    binary = any(isinstance(value, float) for row in rows for value in row[1:6])
    return printed_bars(symbol, stamps, columns), missing if missing.any() else None, "float64" if binary else "text"
