"""The vendor's stand-in, and adapters that ask it."""

import pytest

from rustybt.data.adapters.alpaca.adapter import AlpacaAdapter
from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources import bridge
from tests.data.adapters.alpaca.asking import QUICK
from tests.fakes import market
from tests.fakes.alpaca import KEY_ID, SECRET, AlpacaServer


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("APCA_API_KEY_ID", KEY_ID)
    monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET)


@pytest.fixture
def server():
    with AlpacaServer() as running:
        yield running


@pytest.fixture
def make(request):
    """Return a maker of adapters, all closed at the end."""
    made = []

    def build(server, transport=None, client=None, now=market.NOW, **options):
        connection = Connection(
            transport or Transport(base_url=server.url, timeout_seconds=5.0),
            requests_per_minute=0,
            retry=QUICK,
            client=client,
            clock=lambda: now,
        )
        made.append(AlpacaAdapter(connection, **options))
        return made[-1]

    yield build
    for adapter in made:
        bridge.run(adapter.close())
