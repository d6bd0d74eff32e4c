"""The bars that RustyBT and zipline-reloaded are compared on; imported by both environments, so only numpy and pandas.

Prices have at most three decimals, because Zipline keeps no more. `demo` is real (from the installed
`bokeh-sampledata`, never copied here; 150 closes have a fourth decimal, which is rounded); `generated` and `minutes` are
drawn with integer arithmetic alone, so that every platform draws the same bars.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Dataset:
    """Bars (columns date, symbol, open ... volume), splits (symbol, ex, new, old), dividends (symbol, ex, pay, amount).

    `date` is the session of a daily bar, and the instant in UTC at which a minute opens.
    """

    name: str
    bars: pd.DataFrame
    splits: tuple[tuple[str, date, int, int], ...]
    dividends: tuple[tuple[str, date, date, str], ...]
    frequency: str = "1d"

    @property
    def symbols(self) -> list[str]:
        return sorted(self.bars["symbol"].unique())

    @property
    def daily(self) -> pd.DataFrame:
        """The bars of whole sessions: those of minutes are their first open, highest, lowest, last close and volume."""
        if self.frequency == "1d":
            return self.bars
        session = self.bars["date"].dt.normalize()
        groups = self.bars.assign(date=session).groupby(["symbol", "date"], sort=True)
        rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
        return groups.agg(rules).reset_index()[["date", "symbol", *FIELDS]]


def demo() -> Dataset:
    """AAPL, IBM, MSFT 2000-2013, GOOG and FB from their listings; real splits, a few real dividends."""
    spec = importlib.util.find_spec("bokeh_sampledata")
    assert spec is not None
    assert spec.origin is not None
    raw = pd.read_csv(Path(spec.origin).parent / "_data" / "stocks.csv.gz")
    raw.columns = [name.lower() for name in raw.columns]
    bars = raw.rename(columns={"ticker": "symbol"})[["date", "symbol", *FIELDS]]
    bars = bars.assign(date=pd.to_datetime(bars["date"]), **{field: bars[field].round(3) for field in FIELDS[:4]})
    splits = (
        ("AAPL", date(2000, 6, 21), 2, 1),
        ("AAPL", date(2005, 2, 28), 2, 1),
        ("MSFT", date(2003, 2, 18), 2, 1),
    )
    dividends = (
        ("MSFT", date(2004, 11, 15), date(2004, 12, 2), "3.08"),
        ("AAPL", date(2012, 8, 9), date(2012, 8, 16), "2.65"),
        ("AAPL", date(2012, 11, 7), date(2012, 11, 15), "2.65"),
        ("IBM", date(2007, 5, 8), date(2007, 6, 11), "0.40"),
        ("IBM", date(2007, 8, 8), date(2007, 9, 10), "0.40"),
    )
    return Dataset("demo", bars, splits, dividends)


def _stream(seed: int):
    """Numerical Recipes' 32-bit generator: integers only, the same everywhere."""
    state = seed
    while True:
        state = (1664525 * state + 1013904223) % 2**32
        yield state >> 16


def _walk(symbol: str, sessions: list[date], seed: int, cents: int, volume: int, jumps: dict[date, tuple[int, int]]):
    draw = _stream(seed)
    price = cents
    for _ in range(20):
        next(draw)
    for session in sessions:
        if session in jumps:
            new, old = jumps[session]
            price = max(price * old // new, 100)
        opened = max(price + (next(draw) % 201 - 100) * price // 20000, 50)
        closed = max(opened + (next(draw) % 401 - 198) * opened // 10000, 50)
        high = max(opened, closed) + next(draw) % 100 * closed // 20000
        low = min(opened, closed) - next(draw) % 100 * closed // 20000
        traded = volume // 2 + next(draw) % 1000 * volume // 1000
        price = closed
        yield (session, symbol, opened / 100, high / 100, low / 100, closed / 100, traded)


def generated(sessions: list[date]) -> Dataset:
    """Six assets over XNYS sessions of 2016 and 2017: listed late, delisted, thin, halted, split, paying dividends."""
    splits = (
        ("BBB", date(2016, 9, 7), 3, 2),
        ("CCC", date(2017, 3, 1), 1, 10),
        ("DDD", date(2017, 6, 12), 2, 1),
    )
    dividends = (
        ("AAA", date(2016, 5, 11), date(2016, 5, 25), "0.75"),
        ("AAA", date(2016, 8, 10), date(2016, 8, 24), "0.80"),
        ("AAA", date(2017, 2, 8), date(2017, 2, 22), "1.25"),
        ("BBB", date(2017, 1, 17), date(2017, 1, 31), "0.55"),
        ("DDD", date(2017, 4, 12), date(2017, 4, 26), "1.40"),
    )
    jumps = {
        symbol: {ex: (new, old) for s, ex, new, old in splits if s == symbol}
        for symbol in ["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"]
    }
    halted = {date(2016, 10, 3), date(2016, 10, 4), date(2017, 6, 9), date(2017, 6, 12), date(2017, 11, 15)}
    first, last = date(2016, 7, 1), date(2017, 8, 18)
    rows: list[tuple[object, ...]] = []
    rows += _walk("AAA", sessions, 11, 10_000, 2_000_000, jumps["AAA"])
    rows += _walk("BBB", sessions, 23, 4_500, 900_000, jumps["BBB"])
    rows += _walk("CCC", sessions, 37, 700, 3_000_000, jumps["CCC"])
    rows += [r for r in _walk("DDD", sessions, 41, 25_000, 150_000, jumps["DDD"]) if r[0] not in halted]
    rows += _walk("EEE", [s for s in sessions if s >= first], 53, 3_300, 40_000, jumps["EEE"])
    rows += _walk("FFF", [s for s in sessions if s <= last], 67, 6_000, 80_000, jumps["FFF"])
    bars = pd.DataFrame(rows, columns=["date", "symbol", *FIELDS])
    bars["date"] = pd.to_datetime(bars["date"])
    bars["volume"] = bars["volume"].astype(np.int64)
    return Dataset("generated", bars, splits, dividends)


#: A half day of XNYS, which closes at 18:00 UTC.
HALF_DAY = date(2016, 11, 25)


def _trade(symbol: str, sessions: list[date], seed: int, start: int, volume: int, odds: int, jumps, silent):
    """Draw a bar in `odds` of 12 minutes, but none in those (first, stop) of a session that are `silent`."""
    draw = _stream(seed)
    price = start
    for _ in range(20):
        next(draw)
    for session in sessions:
        if session in jumps:
            new, old = jumps[session]
            price = max(price * old // new, 100)
        first, stop = silent.get(session, (0, 0))
        for minute in range(210 if session == HALF_DAY else 390):
            luck, step, move, reach, traded = (next(draw) for _ in range(5))
            if luck % 12 >= odds or first <= minute < stop:
                continue
            opened = price + step % 5 - 2
            closed = max(opened + move % 41 * opened // 20000 - 20 * opened // 20000, 50)
            high = max(opened, closed) + reach % 4
            low = min(opened, closed) - reach % 3
            stamp = datetime(session.year, session.month, session.day, 14, 30) + timedelta(minutes=minute)
            size = volume // 2 + traded % 1000 * volume // 1000
            # Half a cent beside the tick: whether a limit equals a price is a matter of floats in Zipline.
            yield (stamp, symbol, *((10 * cents + 5) / 1000 for cents in (opened, high, low, closed)), size)
            price = closed


def minutes(sessions: list[date]) -> Dataset:
    """Five assets over 14 sessions of XNYS, a half day among them: liquid, thin, listed late, delisted, halted.

    On the days on which THN goes ex it trades only after 47 and 21 minutes; SPL does not trade on 2016-11-18; LAT's first
    minute is 15:15 of 2016-11-17; GON's last is before 19:30 of 2016-11-28.
    """
    days = [session for session in sessions if date(2016, 11, 14) <= session <= date(2016, 12, 2)]
    splits = (
        ("SPL", date(2016, 11, 22), 2, 1),
        ("THN", date(2016, 11, 30), 3, 2),
    )
    dividends = (
        ("LIQ", date(2016, 11, 17), date(2016, 11, 29), "0.35"),
        ("SPL", date(2016, 11, 25), date(2016, 12, 1), "0.20"),
        ("THN", date(2016, 11, 29), date(2016, 12, 2), "0.50"),
    )
    jumps = {symbol: {ex: (new, old) for s, ex, new, old in splits if s == symbol} for symbol in ("SPL", "THN")}
    late, gone = date(2016, 11, 17), date(2016, 11, 28)
    whole = (0, 390)
    rows: list[tuple[object, ...]] = []
    rows += _trade("GON", [s for s in days if s <= gone], 71, 1_850, 1_500, 10, {}, {gone: (300, 390)})
    rows += _trade("LAT", [s for s in days if s >= late], 83, 5_200, 800, 9, {}, {late: (0, 45)})
    rows += _trade("LIQ", days, 97, 12_000, 20_000, 12, {}, {})
    rows += _trade("SPL", days, 101, 24_400, 6_000, 11, jumps["SPL"], {date(2016, 11, 18): whole})
    quiet = {date(2016, 11, 29): (0, 47), date(2016, 11, 30): (0, 21)}
    rows += _trade("THN", days, 113, 7_300, 300, 2, jumps["THN"], quiet)
    bars = pd.DataFrame(rows, columns=["date", "symbol", *FIELDS])
    bars["date"] = pd.to_datetime(bars["date"])
    bars["volume"] = bars["volume"].astype(np.int64)
    return Dataset("minutes", bars, splits, dividends, frequency="1m")


def load(name: str, sessions: list[date]) -> Dataset:
    """Return the dataset `name`; `sessions` are XNYS's of 2016 and 2017."""
    if name == "demo":
        return demo()
    return minutes(sessions) if name == "minutes" else generated(sessions)
