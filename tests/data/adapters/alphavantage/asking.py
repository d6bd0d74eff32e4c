"""What the tests of this vendor ask, and how they look at what was sent."""

from datetime import UTC

from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.adapters.series import SeriesAnswer
from rustybt.data.sources import bridge
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.request import parse_range

QUICK = RetryPolicy(max_attempts=3, first_wait_seconds=0.01, max_wait_seconds=0.05)


def fetch(adapter, symbol, start, end, frequency="1d"):
    parsed = FREQUENCIES[frequency]
    return bridge.run(adapter.fetch_series([symbol], *parse_range(start, end, parsed), parsed))[symbol]


def rows_of(answer):
    assert isinstance(answer, SeriesAnswer), answer
    return [(row[0].replace(tzinfo=UTC), *row[2:]) for row in answer.bars.iter_rows()]


def queries(server):
    return [dict(request.query) for request in server.data_requests()]
