"""A vendor for a cache to be killed, starved and damaged under: each bar is a function of symbol and time, and never changes.

What it answers without a cache is therefore known everywhere, and every call to it leaves a line in a file that processes share.
"""

import asyncio
import os
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from rustybt.data.sources import DataSource
from rustybt.errors import SourceUnavailableError, SymbolNotFoundError
from rustybt.market.bars import BAR_COLUMNS, BAR_SCHEMA, join_frames
from rustybt.market.frequency import Frequency
from rustybt.market.provenance import SourceMetadata
from tests.fakes import market

MICRO = 1_000_000
SYMBOLS = [f"S{n:03}" for n in range(60)]
FIRST, LAST = date(2021, 1, 4), date(2024, 12, 31)
#: A Friday evening in New York; the week is over.
EVENING = datetime(2024, 6, 14, 22, tzinfo=UTC).timestamp()
#: Without trades for a summer, and listed late.
HALTED, LATE = "S007", "S003"
HALT = (date(2023, 6, 1), date(2023, 8, 31))
LISTED = date(2022, 3, 1)


@lru_cache
def grid(frequency):
    """Return labels and ends of all bars, microseconds UTC."""
    labels, ends = [], []
    for day, (opened, closed) in market.sessions("XNYS").items():
        if FIRST <= day <= LAST:
            begin, end = (int(at.timestamp()) * MICRO for at in (opened, closed))
            if frequency == "1d":
                labels.append(int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * MICRO)
                ends.append(end)
            else:
                step = Frequency.parse(frequency).microseconds
                starts = range(begin, end, step)
                labels += starts
                ends += (min(at + step, end) for at in starts)
    return np.array(labels), np.array(ends)


def micros(day):
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * MICRO


def series(symbol, start, end, frequency, now):
    """Return the bars of one symbol that are final at `now`."""
    labels, ends = grid(frequency)
    keep = (labels >= start) & (ends <= now * MICRO)
    if end is not None:
        keep &= labels <= end
    if symbol == HALTED:
        keep &= (labels < micros(HALT[0])) | (labels > micros(HALT[1]))
    if symbol == LATE:
        keep &= labels >= micros(LISTED)
    stamps = labels[keep]
    number = int(symbol[1:])
    close = 1_000 + (number * 7_919 + stamps // (3_600 * MICRO) * 31) % 9_973
    frame = pl.DataFrame(
        {
            "timestamp": stamps,
            "symbol": [symbol] * len(stamps),
            "open": close - 1,
            "high": close + 5,
            "low": close - 5,
            "close": close,
            "volume": 100 * number + close % 97,
        }
    )
    return frame.select(BAR_COLUMNS).with_columns(pl.col("timestamp").cast(pl.Int64)).cast(dict(BAR_SCHEMA))


def told(symbols, start, end, frequency="1d", now=EVENING):
    """Return the uncached answer; bounds in microseconds UTC, both included; no end is now."""
    return join_frames(
        [BAR_SCHEMA.to_frame(), *(series(symbol, start, end, frequency, now) for symbol in sorted(set(symbols)))]
    )


class Vendor(DataSource):
    """Answers a symbol at a time.

    Parameters
    ----------
    log
        Gets a line for each fetch: process, symbol, start, end.
    on_fetch
        Called with the number of the fetch in this process, before it is answered.
    """

    name = "steady"
    symbols_per_fetch = 1

    def __init__(self, log, clock=lambda: EVENING, delay=0.0, on_fetch=None, is_down=False):
        self._log = log
        self._now = clock
        self.delay = delay
        self.on_fetch = on_fetch
        self.is_down = is_down
        self.made = 0

    async def fetch(self, symbols, start=None, end=None, frequency="1d"):
        request = self.request(symbols, start, end, frequency)
        self.made += 1
        names = ",".join(request.symbols)
        line = f"{os.getpid()} {names} {request.start} {request.end}\n"
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, line.encode())
        os.close(descriptor)
        if self.on_fetch is not None:
            self.on_fetch(self.made)
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.is_down:
            raise SourceUnavailableError("the vendor is down")
        unknown = [symbol for symbol in request.symbols if symbol not in SYMBOLS]
        if unknown:
            raise SymbolNotFoundError(f"no symbol {unknown[0]}", symbol=unknown[0])
        return told(request.symbols, request.start, request.end, request.frequency.name, self._now())

    @property
    def clock(self):
        return self._now

    @property
    def requests_made(self):
        return self.made

    def get_metadata(self):
        return SourceMetadata(self.name, adjustment="raw")

    def supports_live(self):
        return False


def fetches(log):
    """Return process and symbols of each fetch so far."""
    if not Path(log).exists():
        return []
    return [tuple(line.split()[:2]) for line in Path(log).read_text().splitlines(keepends=True) if line.endswith("\n")]
