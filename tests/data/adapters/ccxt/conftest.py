"""The vendor's stand-in, and adapters that ask it."""

import pytest

from rustybt.data.sources.bridge import run
from tests.data.adapters.ccxt.asking import adapter_of
from tests.fakes.binance import BinanceServer
from tests.fakes.kraken import KrakenServer


@pytest.fixture
def server():
    with BinanceServer() as running:
        yield running


@pytest.fixture
def kraken():
    with KrakenServer() as running:
        yield running


@pytest.fixture
def adapter(server):
    made = adapter_of(server)
    yield made
    run(made.close())


@pytest.fixture
def kraken_adapter(kraken):
    made = adapter_of(kraken, "kraken")
    yield made
    run(made.close())
