"""What the tests of this vendor ask, and how they look at what was sent."""

from datetime import date

from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.sources import bridge
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.request import to_microseconds
from tests.fakes import market

QUICK = RetryPolicy(max_attempts=3, first_wait_seconds=0.001, max_wait_seconds=0.3)
END = date(2024, 11, 27)


def series(source, symbol="AAPL", start=date(2024, 1, 2), end=END, frequency="1d"):
    """What the adapter answers of one symbol; its error is raised."""
    last = to_microseconds(end) + 86_400_000_000 - 1
    request = source.adapter.fetch_series([symbol], to_microseconds(start), last, FREQUENCIES[frequency])
    found = bridge.run(request)[symbol]
    if isinstance(found, Exception):
        raise found
    return found


def paths(server):
    return [request.path for request in server.requests]


def first_row(symbol, day):
    return market.daily(symbol, day, day)[0]
