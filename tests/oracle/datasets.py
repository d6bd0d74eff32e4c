"""The bars that RustyBT and zipline-reloaded are compared on; imported by both environments, so only numpy and pandas.

Prices have at most three decimals, because Zipline keeps no more. `demo` is real (from the installed
`bokeh-sampledata`, never copied here; 150 closes have a fourth decimal, which is rounded); `generated` is drawn with
integer arithmetic alone, so that every platform draws the same bars.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Dataset:
    """Bars (columns date, symbol, open ... volume), splits (symbol, ex, new, old), dividends (symbol, ex, pay, amount)."""

    name: str
    bars: pd.DataFrame
    splits: tuple[tuple[str, date, int, int], ...]
    dividends: tuple[tuple[str, date, date, str], ...]

    @property
    def symbols(self) -> list[str]:
        return sorted(self.bars["symbol"].unique())


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


def load(name: str, sessions: list[date]) -> Dataset:
    """Return the dataset `name`; `sessions` are XNYS's of 2016 and 2017."""
    return demo() if name == "demo" else generated(sessions)
