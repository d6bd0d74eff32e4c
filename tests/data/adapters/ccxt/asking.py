"""What the tests of this vendor ask, and how they look at what was sent."""

from datetime import UTC, datetime

from rustybt.data.adapters.ccxt.adapter import CCXTAdapter
from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources.bridge import run
from rustybt.errors import SourceError
from rustybt.market.frequency import FREQUENCIES
from tests.fakes.market import NOW, candles

QUICK = RetryPolicy(max_attempts=3, first_wait_seconds=0.01, max_wait_seconds=1.0)
HOUR = FREQUENCIES["1h"]


def micros(year, month, day, hour=0, minute=0):
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) * 1_000_000


def adapter_of(server, exchange="binance", *, retry=QUICK, client=None, timeout_seconds=5.0):
    transport = Transport(base_url=server.url, timeout_seconds=timeout_seconds)
    connection = Connection(transport, requests_per_minute=0, retry=retry, client=client, clock=lambda: NOW)
    return CCXTAdapter(connection, exchange=exchange)


def fetch(adapter, symbol, start, end, frequency="1h"):
    """Return the one answer; an error of the symbol is raised."""
    answer = run(adapter.fetch_series([symbol], start, end, FREQUENCIES[frequency]))[symbol]
    if isinstance(answer, SourceError):
        raise answer
    return answer


def rows_of(exchange, symbol, seconds, first, last):
    """What the market traded, as tuples."""
    return [
        (row.start, row.open, row.high, row.low, row.close, row.volume)
        for row in candles(exchange, symbol, seconds, first, last)
    ]


def as_tuples(answer):
    return list(answer.bars.drop("symbol").iter_rows())


def paths(server):
    return [request.path for request in server.requests]
