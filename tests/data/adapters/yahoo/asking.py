"""What the tests of this vendor ask, and how they look at what was sent."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.sources import bridge
from rustybt.market.frequency import FREQUENCIES
from tests.fakes import market

QUICK = RetryPolicy(max_attempts=3, first_wait_seconds=0.01, max_wait_seconds=0.2)
SATURDAY = datetime(2024, 11, 30, 12, tzinfo=UTC).timestamp()


def micros(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def end_of(text):
    return micros(text) + 86_400_000_000 - 1


def rounded(value):
    """What a price is after Yahoo's float32, by numpy."""
    return Decimal(str(np.float32(value)))


def per_share_of_today(symbol, rows):
    """(label, open, high, low, close, volume) of each raw row of the market."""
    equity = market.EQUITIES[symbol]
    for row in rows:
        factor = market.raw_factor(equity, row.start.date())
        prices = (row.open, row.high, row.low, row.close)
        yield row.start, *(rounded(price / factor) for price in prices), int(row.volume * factor)


def rows_of(answer):
    return [(row[0], *row[2:]) for row in answer.bars.rows()]


def ask(adapter, symbol, start, end, frequency="1d"):
    return bridge.run(adapter.fetch_series([symbol], micros(start), end_of(end), FREQUENCIES[frequency]))[symbol]


def paths(server):
    return [request.path for request in server.requests]
