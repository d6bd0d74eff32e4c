"""The one market that all fake vendors serve: the same trades, each vendor printing them its own way.

Every number is a pure function of symbol and time, so a test can work out any bar by hand and no two fakes can disagree.
Prices are in whole cents (equities) or in steps of 1e-8 (crypto); sessions come from the calendar library.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

#: What the fakes and the tests take as now: Friday 2024-11-29, a half day in New York, 16:00 UTC, the market open.
NOW = datetime(2024, 11, 29, 16, 0, tzinfo=UTC).timestamp()

CENT = Decimal("0.01")
TINY = Decimal("0.00000001")


@dataclass(frozen=True)
class Row:
    """One bar as traded (raw). `start` is the open instant, or the session's midnight UTC for daily bars."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True)
class Split:
    ex_date: date
    new: int
    old: int


@dataclass(frozen=True)
class Dividend:
    ex_date: date
    amount: Decimal
    declared: date
    record: date
    pay: date


@dataclass(frozen=True)
class Equity:
    """A listing. `base` is about its raw price before the first split, in cents."""

    symbol: str
    mic: str
    name: str
    listed: date
    delisted: date | None = None  # first day without trading
    base: int = 10_000
    kind: str = "equity"
    currency: str = "USD"
    timezone: str = "America/New_York"
    calendar: str = "XNYS"
    splits: tuple[Split, ...] = ()
    dividends: tuple[Dividend, ...] = ()


def _dividends(first: date, last: date, amount: str) -> tuple[Dividend, ...]:
    """One on the 9th of February, May, August and November that is a weekday."""
    found = []
    for year in range(first.year, last.year + 1):
        for month in (2, 5, 8, 11):
            ex = date(year, month, 9)
            while ex.weekday() > 4:
                ex += timedelta(days=1)
            if first <= ex <= last:
                found.append(
                    Dividend(
                        ex, Decimal(amount), ex - timedelta(days=14), ex + timedelta(days=1), ex + timedelta(days=7)
                    )
                )
    return tuple(found)


EQUITIES = {
    item.symbol: item
    for item in (
        Equity(
            "AAPL", "XNAS", "Apple Inc.", date(1980, 12, 12), base=40_000,
            splits=(Split(date(2014, 6, 9), 7, 1), Split(date(2020, 8, 31), 4, 1)),
            dividends=_dividends(date(2012, 8, 9), date(2024, 11, 29), "0.24"),
        ),
        Equity("MSFT", "XNAS", "Microsoft Corporation", date(1986, 3, 13), base=30_000,
               dividends=_dividends(date(2003, 2, 19), date(2024, 11, 29), "0.75")),
        Equity("BRK.B", "XNYS", "Berkshire Hathaway Inc. Class B", date(1996, 5, 9), base=350_000,
               splits=(Split(date(2010, 1, 21), 50, 1),)),
        Equity("SPY", "ARCX", "SPDR S&P 500 ETF Trust", date(1993, 1, 29), base=45_000, kind="etf"),
        Equity("GE", "XNYS", "General Electric", date(1962, 1, 2), base=1_200, splits=(Split(date(2021, 8, 2), 1, 8),)),
        Equity("NEWCO", "XNYS", "A company listed in 2024", date(2024, 3, 4), base=2_500),
        Equity("OLDCO", "XNYS", "A company that left in 2019", date(1999, 6, 1), delisted=date(2019, 7, 1), base=1_900),
        Equity("VOD.L", "XLON", "Vodafone Group Plc", date(1988, 10, 26), base=9_000, currency="GBp",
               timezone="Europe/London", calendar="XLON"),
        Equity("7203.T", "XTKS", "Toyota Motor Corporation", date(1999, 5, 6), base=250_000, currency="JPY",
               timezone="Asia/Tokyo", calendar="XTKS"),
    )
}  # fmt: skip

#: Two hundred companies for long jobs: CO000 to CO199.
CROWD = tuple(f"CO{n:03}" for n in range(200))
EQUITIES.update(
    (symbol, Equity(symbol, "XNYS", f"Company {n}", date(2010, 1, 4), base=5_000 + 37 * n))
    for n, symbol in enumerate(CROWD)
)


@dataclass(frozen=True)
class Pair:
    """A crypto pair of one exchange. `base` in units of 1e-8."""

    symbol: str
    exchange: str
    listed: datetime
    base: int
    amount_scale: int = 8
    extra: dict[str, str] = field(default_factory=dict)
    delisted: datetime | None = None  # no bar opens at or after it


PAIRS = {
    (item.exchange, item.symbol): item
    for item in (
        Pair("BTC/USDT", "binance", datetime(2017, 8, 17, 4, tzinfo=UTC), 4_285_080_00000000),
        Pair("ETH/USDT", "binance", datetime(2017, 8, 17, 4, tzinfo=UTC), 301_130_00000000),
        Pair("SHIB/USDT", "binance", datetime(2021, 5, 10, 11, tzinfo=UTC), 2_712),
        Pair("LUNA/USDT", "binance", datetime(2020, 8, 21, 10, tzinfo=UTC), 80_0000_0000,
             delisted=datetime(2022, 5, 13, 1, tzinfo=UTC)),
        Pair("NEW/USDT", "binance", datetime(2024, 12, 2, tzinfo=UTC), 1_0000_0000),  # listed, not traded yet
        Pair("BTC/USDT", "kraken", datetime(2019, 12, 19, tzinfo=UTC), 4_290_110_00000000),
        Pair("BTC/USD", "kraken", datetime(2013, 10, 6, tzinfo=UTC), 4_290_000_00000000),
    )
}  # fmt: skip


def noise(*what: object) -> int:
    """A number of 32 bits that depends on nothing but its arguments."""
    return int.from_bytes(hashlib.blake2b(repr(what).encode(), digest_size=4).digest(), "big")


# -- equities --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def sessions(calendar: str) -> dict[date, tuple[datetime, datetime]]:
    """Every session from 1990 on with its open and close in UTC."""
    import exchange_calendars

    first = {"XTKS": "1998-01-01"}.get(calendar, "1990-01-02")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's use of pandas is not our subject
        found = exchange_calendars.get_calendar(calendar, start=first, end="2027-06-30").schedule
    return {
        day.date(): (opened.to_pydatetime(), closed.to_pydatetime())
        for day, opened, closed in zip(found.index, found["open"].to_list(), found["close"].to_list(), strict=True)
    }


def raw_factor(equity: Equity, day: date) -> Decimal:
    """How many shares of today one share of `day` is: the product of the later splits."""
    factor = Decimal(1)
    for split in equity.splits:
        if split.ex_date > day:
            factor = factor * split.new / split.old
    return factor


@lru_cache(maxsize=512)
def daily(symbol: str, first: date, last: date) -> tuple[Row, ...]:
    """Raw daily bars from `first` to `last`, both included."""
    equity = EQUITIES[symbol]
    end = min(last, equity.delisted - timedelta(days=1)) if equity.delisted else last
    return tuple(
        _bar(equity, day, 0, datetime(day.year, day.month, day.day, tzinfo=UTC))
        for day in sessions(equity.calendar)
        if max(first, equity.listed) <= day <= end
    )


@lru_cache(maxsize=512)
def intraday(symbol: str, minutes: int, first: date, last: date) -> tuple[Row, ...]:
    """Raw bars of `minutes` of the sessions from `first` to `last`, from each open on; the last may be shorter."""
    equity = EQUITIES[symbol]
    rows = []
    for day, (opened, closed) in sessions(equity.calendar).items():
        if not max(first, equity.listed) <= day <= last or (equity.delisted and day >= equity.delisted):
            continue
        at, step = opened, 0
        while at < closed:
            step += 1
            rows.append(_bar(equity, day, step, at))
            at += timedelta(minutes=minutes)
    return tuple(rows)


def _bar(equity: Equity, day: date, step: int, start: datetime) -> Row:
    """A bar around a slow path; raw prices fall by a split's ratio on its ex-date."""
    n = noise(equity.symbol, day.isoformat(), step)
    path = equity.base + (day.toordinal() % 997) * equity.base // 4_000 + n % (equity.base // 50 + 1)
    raw = int(Decimal(path) * raw_factor(equity, day) / 4) + 5
    opened, closed = raw, raw + (n >> 8) % (raw // 40 + 1) - raw // 80
    high, low = max(opened, closed) + (n >> 16) % 7, min(opened, closed) - (n >> 20) % 5
    volume = 100_000 + (n >> 4) % 9_000_000
    return Row(start, opened * CENT, high * CENT, max(low, 1) * CENT, closed * CENT, Decimal(volume))


# -- crypto ----------------------------------------------------------------------------------------------------------


def candles(exchange: str, symbol: str, seconds: int, first: datetime, last: datetime) -> tuple[Row, ...]:
    """Bars of `seconds`, aligned to the epoch, whose open lies from `first` to `last`; none before the listing."""
    pair = PAIRS[exchange, symbol]
    rows = []
    at = int(max(first, pair.listed).timestamp())
    at += -at % seconds
    while at <= last.timestamp() and not (pair.delisted and at >= pair.delisted.timestamp()):
        rows.append(candle(pair, seconds, at))
        at += seconds
    return tuple(rows)


def candle(pair: Pair, seconds: int, at: int) -> Row:
    """The bar that opens at the Unix second `at`; its open and close lie on one path for every length of bar."""
    opened, closed = _level(pair, at), _level(pair, at + seconds)
    n = noise(pair.exchange, pair.symbol, seconds, at)
    high, low = max(opened, closed) + n % (opened // 300 + 1), min(opened, closed) - (n >> 9) % (opened // 300 + 1)
    volume = Decimal((n % 10_000_000) * seconds) * Decimal("0.00001")
    return Row(datetime.fromtimestamp(at, UTC), opened * TINY, high * TINY, low * TINY, closed * TINY, volume)


def _level(pair: Pair, at: int) -> int:
    base = pair.base
    return base + base * (at // 60 % 20_011) // 60_000 + noise(pair.exchange, pair.symbol, at) % (base // 200 + 1)


def local_midnight(day: date, timezone: str) -> datetime:
    """The instant at which `day` begins on the venue's wall clock."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone))
