"""The vendor's stand-in, and adapters that ask it."""

import pytest

from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.transport import Transport
from rustybt.data.adapters.yahoo.adapter import YahooAdapter
from rustybt.data.sources import bridge
from tests.data.adapters.yahoo.asking import QUICK
from tests.fakes import market
from tests.fakes.yahoo import YahooServer


@pytest.fixture
def server():
    with YahooServer() as running:
        yield running


@pytest.fixture
def connect(server):
    """Return a maker of adapters; each is closed at the end."""
    made = []

    def build(base_url=server.url, now=None, client=None, policy=QUICK, **options):
        server.now = market.NOW if now is None else now
        connection = Connection(
            Transport.create(base_url=base_url, timeout_seconds=5, **options),
            requests_per_minute=0,
            retry=policy,
            client=client,
            clock=lambda: server.now,
        )
        made.append(YahooAdapter(connection))
        return made[-1]

    yield build
    for adapter in made:
        bridge.run(adapter.close())
