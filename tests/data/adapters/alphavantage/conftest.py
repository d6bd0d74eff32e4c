"""The vendor's stand-in, and adapters that ask it."""

import pytest

from rustybt.data.adapters.alphavantage.adapter import AlphaVantageAdapter
from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources import bridge
from tests.data.adapters.alphavantage.asking import QUICK
from tests.fakes import market
from tests.fakes.alphavantage import KEY, AlphaVantageServer


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("ALPHAVANTAGE_API_KEY", KEY)


@pytest.fixture
def server():
    with AlphaVantageServer() as running:
        yield running


@pytest.fixture
def make():
    made = []

    def build(server, transport=None, client=None, now=market.NOW, **options):
        connection = Connection(
            transport or Transport(base_url=server.url, timeout_seconds=5.0),
            requests_per_minute=0,
            retry=QUICK,
            client=client,
            clock=lambda: now,
        )
        made.append(AlphaVantageAdapter(connection, **options))
        return made[-1]

    yield build
    for adapter in made:
        bridge.run(adapter.close())
