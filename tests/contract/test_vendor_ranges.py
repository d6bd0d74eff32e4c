"""Ranges of every kind, with each vendor's real client, against the market's own rows."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from rustybt.data.sources.alpaca import AlpacaDataSource
from rustybt.data.sources.alphavantage import AlphaVantageDataSource
from rustybt.data.sources.polygon import PolygonDataSource
from rustybt.data.sources.yfinance import YFinanceDataSource
from rustybt.errors import NotCoveredError, RequestError
from rustybt.market.bars import BAR_SCHEMA
from rustybt.testing.vendor_contract import QUICK
from tests.fakes import alpaca, alphavantage, market, massive, yahoo

#: Server, source, how long after its close a bar is final, and the first day of the vendor's history.
VENDORS = {
    "yahoo": (yahoo.YahooServer, YFinanceDataSource, 1_800, date(1990, 1, 1)),
    "polygon": (massive.MassiveServer, PolygonDataSource, 900, date(2003, 9, 10)),
    "alpaca": (alpaca.AlpacaServer, AlpacaDataSource, 900, date(2016, 1, 1)),
    "alphavantage": (alphavantage.AlphaVantageServer, AlphaVantageDataSource, 15_300, date(1999, 11, 1)),
}
LISTINGS = [("yahoo", "7203.T"), ("yahoo", "VOD.L"), *((name, "AAPL") for name in VENDORS), ("polygon", "OLDCO")]
RANGES = [
    ("2024-11-20", "2024-11-20"),  # one day
    ("2024-11-23", "2024-11-24"),  # a weekend
    ("2024-02-28", "2024-03-01"),  # a leap day
    ("2024-03-07", "2024-04-03"),  # the clocks go forward, here and there
    ("2024-10-24", "2024-11-06"),  # and back
    ("2023-11-22", "2023-11-27"),  # a half day
    ("2024-05-15", "2024-06-18"),  # from and to the middle of a week and of a month
    ("2019-06-25", "2019-07-10"),  # the end of a listing
    ("2024-11-27", None),  # up to now
    ("2024-11-27", "2199-12-31"),  # and beyond
]


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("MASSIVE_API_KEY", massive.KEY)
    monkeypatch.setenv("ALPHAVANTAGE_API_KEY", alphavantage.KEY)
    monkeypatch.setenv("APCA_API_KEY_ID", alpaca.KEY_ID)
    monkeypatch.setenv("APCA_API_SECRET_KEY", alpaca.SECRET)


@pytest.fixture(params=LISTINGS, ids="-".join)
def asked(request, keys):
    name, symbol = request.param
    make_server, make_source, settles, first_day = VENDORS[name]
    # Early on Friday in New York: the market in Tokyo has closed 45 minutes ago, London has not opened.
    now = datetime(2024, 11, 29, 6, 45, tzinfo=UTC).timestamp()
    with make_server(now=now) as server:
        source = make_source(base_url=server.url, retry=QUICK, clock=lambda: now, requests_per_minute=0)
        yield source, symbol, now - settles, first_day
        source.close()


def period_of(day, frequency):
    return {"1d": day, "1w": day - timedelta(days=day.weekday()), "1M": day.replace(day=1)}[frequency]


def held(symbol, frequency, start, end, settled, first_day, *, widened):
    """What the market traded, in bars that are final: labelled by the first session of their day, week or month."""
    equity = market.EQUITIES[symbol]
    sessions: dict[date, list[date]] = {}
    for day in market.sessions(equity.calendar):
        sessions.setdefault(period_of(day, frequency), []).append(day)
    traded: dict[date, list[market.Row]] = {}
    for row in market.daily(symbol, max(first_day, date(2015, 1, 1)), date(2024, 12, 31)):
        traded.setdefault(period_of(row.start.date(), frequency), []).append(row)
    found = []
    for period, rows in traded.items():
        label, last = min(sessions[period]), max(sessions[period])
        if not start <= label <= end or market.sessions(equity.calendar)[last][1].timestamp() > settled:
            continue
        prices = [[row.open, row.high, row.low, row.close] for row in rows]
        volumes = [row.volume for row in rows]
        if widened:
            factors = [market.raw_factor(equity, row.start.date()) for row in rows]
            prices = [[Decimal(str(np.float32(p / f))) for p in four] for four, f in zip(prices, factors, strict=True)]
            volumes = [volume * f for volume, f in zip(volumes, factors, strict=True)]
        found.append(
            (
                datetime.combine(label, time(), UTC),
                symbol,
                prices[0][0],
                max(four[1] for four in prices),
                min(four[2] for four in prices),
                prices[-1][3],
                sum(volumes),
            )
        )
    return pl.DataFrame(found, schema=dict(BAR_SCHEMA), orient="row")


@pytest.mark.parametrize("frequency", ["1d", "1w", "1M"])
def test_every_range_holds_its_bars_and_no_other(asked, frequency):
    source, symbol, settled, first_day = asked
    for start, end in RANGES:
        bars = source.fetch_sync([symbol], start, end, frequency)
        last = date.fromisoformat(end) if end else date(2024, 11, 29)
        expected = held(
            symbol, frequency, date.fromisoformat(start), last, settled, first_day, widened=source.name == "yfinance"
        )
        assert bars.equals(expected), (start, end)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("1900-01-01", "1900-12-31"),
        ("1900-01-01", "9999-12-31"),
        ("0001-01-01", "9999-12-31"),
        ("2025-01-01", "2200-01-01"),
    ],
)
@pytest.mark.parametrize("frequency", ["1d", "1w", "1M"])
def test_ranges_beyond_all_markets_are_answered_or_refused(asked, frequency, start, end):
    source, symbol, _, first_day = asked
    try:
        bars = source.fetch_sync([symbol], start, end, frequency)
    except (NotCoveredError, RequestError):
        return
    if bars.height:
        assert bars["timestamp"][0].date() >= first_day
        assert end == "9999-12-31"


@pytest.mark.parametrize("name", list(VENDORS))
@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        ("2024-11-20T14:30:00Z", "2024-11-20T14:30:00Z", 1),
        ("2024-11-20T14:31:00Z", "2024-11-20T14:44:00Z", 0),
        ("2024-11-20T14:29:59Z", "2024-11-20T15:00:00Z", 3),
        ("2024-11-20T20:45:00Z", "2024-11-20T23:59:59Z", 1),
    ],
)
def test_an_instant_and_a_range_within_a_bar_hold_what_begins_there(keys, name, start, end, count):
    make_server, make_source, _, _ = VENDORS[name]
    with make_server() as server:
        source = make_source(base_url=server.url, retry=QUICK, clock=lambda: market.NOW, requests_per_minute=0)
        bars = source.fetch_sync(["AAPL"], start, end, "15m")
        source.close()
    rows = [
        row
        for row in market.intraday("AAPL", 15, date(2024, 11, 20), date(2024, 11, 20))
        if datetime.fromisoformat(start) <= row.start <= datetime.fromisoformat(end)
    ]
    assert bars["timestamp"].to_list() == [row.start for row in rows]
    assert bars.height == count
